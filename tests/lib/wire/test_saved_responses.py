"""Saved responses: the published one, the shapes of files, and files without a response."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import llama_models.llama3
import pytest

from lib.cli import main
from lib.errors import BadResponse
from lib.models.tokenizer_files import load_tokenizer
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.decode_warnings import NO_LOGPROBS, WRONG_TOKENIZER
from lib.wire.saved_responses import decoded, read_saved
from tests.support.paths import FOX
from tests.support.wire_strategies import tokenizer as tiny_tokenizer

PUBLISHED = FOX
LLAMA3 = Path(llama_models.llama3.__file__).parent / "tokenizer.model"
FOX = json.loads(PUBLISHED.read_text())


@cache
def llama3() -> Tokenizer:
    return load_tokenizer(LLAMA3)


def sorted_keys(value: Any, key: Any) -> Any:
    """JSON as a relay passes it on that sorts its keys."""
    if isinstance(value, dict):
        return {name: sorted_keys(value[name], key) for name in sorted(value, key=key)}
    return [sorted_keys(each, key) for each in value] if isinstance(value, list) else value


def as_numbers(name: str) -> tuple[int, int, str]:
    return (0, int(name), "") if name.isdigit() else (1, 0, name)


def test_the_published_response_decodes_exactly(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", str(PUBLISHED), "--tokenizer", str(LLAMA3)]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == FOX["decoded"]
    assert err == ""


@pytest.mark.parametrize("key", [str, as_numbers])
def test_sorted_keys_with_the_request(key: Any) -> None:
    saved = json.dumps({"request": FOX["request"], "response": sorted_keys(FOX["response"], key)}).encode()
    (done,) = read_saved(saved)[0].completions(llama3())
    assert decoded(done) == FOX["decoded"]
    assert done.warnings == ()


@pytest.mark.parametrize("key", [str, as_numbers])
@pytest.mark.parametrize("known", [True, False])
def test_sorted_keys_without_the_request_leave_tokens_unknown(key: Any, known: bool) -> None:
    response = json.dumps(sorted_keys(FOX["response"], key)).encode()
    (done,) = read_saved(response)[0].completions(llama3() if known else None)
    assert done.prompt.ids.tolist()[1:] == [-1, -1, -1, 39935, 35308]
    assert (done.prompt.top_refs[1] >= 0).sum() == 2
    assert any("3 positions" in warning for warning in done.warnings)


def test_unsorted_keys_identify_tokens_by_order() -> None:
    (done,) = read_saved(json.dumps(FOX["response"]).encode())[0].completions(None)
    assert done.prompt.ids.tolist()[1:] == [791, 4062, 14198, 39935, 35308]
    assert "order" in done.chosen_by


def test_every_shape_of_file() -> None:
    bare, pair = FOX["response"], {"request": FOX["request"], "response": FOX["response"]}
    lines = "\n".join(json.dumps(each) for each in (bare, pair, {"request": 5, "response": bare}))
    found = read_saved(lines.encode())
    assert [each.request is None for each in found] == [True, False, True]
    assert [each.place for each in found] == ["Line 1", "Line 2", "Line 3"]
    assert "cannot be used" in found[2].warnings[0]
    quoted = {"request": json.dumps(FOX["request"]), "response": json.dumps(bare)}
    assert read_saved(json.dumps(quoted, indent=2).encode())[0].request == found[1].request
    spread = b"\xef\xbb\xbf" + json.dumps(pair, indent=1).encode()
    assert decoded(read_saved(spread)[0].completions(llama3())[0]) == FOX["decoded"]


def test_another_models_tokenizer_has_a_warning() -> None:
    for saved in read_saved(PUBLISHED.read_bytes()):
        (done,) = saved.completions(tiny_tokenizer())
        assert WRONG_TOKENIZER in done.warnings
        assert done.generated.ids.tolist() == [927, 279, 16053, 5679, 627]
        assert done.pieces.text_of(int(done.generated.refs[0])) == "⟨927⟩"
        assert done.generated.logprobs.tolist() == pytest.approx(
            [-0.0409, -0.0729, -0.0201, -0.0377, -1.1941], abs=1e-4
        )


def test_missing_logprobs_have_a_warning() -> None:
    (done,) = read_saved(b'{"generation": " over", "stop_reason": "stop", "logprobs": null}')[0].completions(llama3())
    assert NO_LOGPROBS in done.warnings
    assert done.text == " over"


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "nothing in it"),
        (b"not json", "not JSON"),
        (b'{"generation": "cut o', "ends too early"),
        (b'{"generation": "cut o", "logprobs": [', "ends too early"),
        (b'{"generation": "\xe9"}', "not UTF-8"),
        (b"[1, 2]", "a list"),
        (b'"text"', "a single value"),
        (b"{}", "not a Custom Model Import response"),
        (b'{"name": "x"}', "not a Custom Model Import response"),
        (b'{"message": "Too many requests"}', "an error, not a response: Too many requests"),
        (b'{"choices": []}', "no answer"),
        (b'{"choices": 5}', "match any format"),
        (b'{"generation": 5}', "match any format"),
        (b'{"generation": "x", "logprobs": [{"a": -1}]}', "match any format"),
        (b'{"generation": "x", "logprobs": [{"1": 0.5}]}', "as a logprob"),
        (b'{"generation": "x", "logprobs": [{"-1": -0.5}]}', "negative token id"),
        (b'{"generation": "x", "logprobs": [{"99999999999": -0.5}]}', "no vocabulary has"),
        (b'{"generation": "x", "logprobs": [{"1": Infinity}]}', "Infinity"),
        (
            b'{"choices": [{"text": "x", "logprobs": {"tokens": ["x"], "token_logprobs": [-1, -2]}}]}',
            "differ in length",
        ),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"generation":' + b'{"a":' * 100_000, "nested too deeply"),
        (b'{"generation": "x"}\n{"generation": 5}\n', "Line 2"),
    ],
)
def test_files_without_a_response(data: bytes, cause: str) -> None:
    with pytest.raises(BadResponse, match=cause) as raised:
        _ = [saved.completions(None) for saved in read_saved(data)]
    assert raised.value.remedy


def test_two_hundred_megabytes() -> None:
    with pytest.raises(BadResponse, match="200 MB"):
        read_saved(b" " * 200_000_000)


def test_constants_that_only_python_writes() -> None:
    response = '{"generation": "ab", "logprobs": [{"1": -Infinity}, {"2": NaN}], "stop_reason": "length"}'
    for data in (response, f'{{"response": {response}, "request": {{"prompt": "x"}}}}'):
        (done,) = read_saved(data.encode())[0].completions(None)
        assert done.generated.logprobs.tolist()[0] == float("-inf")
        assert done.generated.logprobs[1] != done.generated.logprobs[1]


def test_the_command_prints_the_error(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["decode", "/nowhere"]) == 1
    assert "cannot be read" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"{}")))
    assert main(["decode", "-"]) == 1
    assert "not a Custom Model Import response" in capsys.readouterr().err
