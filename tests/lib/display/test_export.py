"""JSON and CSV exports: everything is in them, and a spreadsheet runs none of it."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.completion import Completion, Timing
from lib.core.pieces import make_pieces
from lib.core.request import Message, Request
from lib.core.tokens import NO_TOKENS, TokenKind
from lib.display.export import to_csv, to_json
from lib.display.spreadsheet import as_csv
from lib.display.tables import table
from lib.wire.saved_responses import completions_of, read_saved
from tests.support.paths import CASES
from tests.support.strategies import INF, NAN, completion_of, completions, table_of, tokens_of, tokens_on


def strictly(document: str) -> dict:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(document, parse_constant=refuse)


def lines_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.encode().decode("utf-8-sig"), newline="")))


CASE = CASES / "09-non-ascii-reply.json"
FORMULA = re.compile(r"(?:\A|[;\t\r\n])[\s\ufeff]*[=+\-@＝]")
SAMPLE = completion_of(
    tokens_on(
        table_of("Hé", b"\xff", "<s>", special=[2]),
        range(3),
        logprobs=[NAN, -1.25, -INF],
        ranks=[-1, 2, 9],
        kinds=[0, 0, 1],
    ),
    tokens_on(
        make_pieces([(-1, b" lit", False), (7, b"=x", False)]),
        [0, 1, -1],
        logprobs=[-0.5, -0.25, NAN],
        top_refs=[[0, 1, -1], [1, 0, -1], [-1, -1, -1]],
        top_logprobs=[[-0.5, -1, NAN], [-0.25, -2, NAN], [NAN, NAN, NAN]],
    ),
    text=" lit=x",
    stop_reason="length",
    vocabulary_size=300,
    timing=Timing(total=1.5),
    warnings=("careful",),
    provenance=(("torch", "2.0"),),
    request=Request(messages=(Message("user", "Hi\u2028"),)),
)


def test_json_holds_everything() -> None:
    document = strictly(to_json(SAMPLE))
    first, broken, special = document["prompt"]
    assert {name: first[name] for name in ("id", "logprob", "rank")} == {"id": 0, "logprob": None, "rank": None}
    assert (first["text"], first["bytes"], first["kind"]) == ("Hé", [0x48, 0xC3, 0xA9], "text")
    assert first["alternatives"] == []
    assert (broken["text"], broken["bytes"], broken["logprob"], broken["rank"]) == ("\\xff", [255], -1.25, 2)
    assert (special["kind"], special["logprob"]) == ("special", "-inf")
    literal, known, unknown = document["generated"]
    assert (literal["id"], literal["text"]) == (None, " lit")
    assert [each["id"] for each in known["alternatives"]] == [7, None]
    assert [each["logprob"] for each in known["alternatives"]] == [-0.25, -2]
    assert (unknown["id"], unknown["text"], unknown["bytes"]) == (None, "", [])
    assert document["request"]["messages"] == [{"role": "user", "content": "Hi\u2028"}]
    assert (document["text"], document["stop_reason"], document["model"]) == (" lit=x", "length", "m")
    assert document["timing_seconds"] == {"queued": None, "first_token": None, "total": 1.5}
    assert (document["warnings"], document["provenance"]) == (["careful"], {"torch": "2.0"})
    assert document["logprobs"]["unit"] == "nats"


@given(completions())
def test_json_is_strict_and_round_trips_the_numbers(done: Completion) -> None:
    raw = to_json(done)
    raw.encode("ascii")
    document = strictly(raw)
    for part in ("prompt", "generated"):
        tokens, rows = getattr(done, part), document[part]
        assert [row["id"] if row["id"] is not None else -1 for row in rows] == tokens.ids.tolist()
        assert [bytes(row["bytes"]) for row in rows] == [tokens.pieces.bytes_of(ref) for ref in tokens.refs]
        back = {None: NAN, "-inf": -INF}
        logprobs = np.array([back.get(row["logprob"], row["logprob"]) for row in rows], np.float32)
        np.testing.assert_array_equal(logprobs, tokens.logprobs)
        assert [len(row["alternatives"]) for row in rows] == (tokens.top_refs >= 0).sum(axis=1).tolist()


def test_the_table_has_prompt_and_answer_with_missing_as_missing() -> None:
    frame = table(SAMPLE)
    assert frame["part"].tolist() == ["prompt"] * 3 + ["answer"] * 3
    assert frame["position"].tolist() == [1, 2, 3, 1, 2, 3]
    assert frame["text"].tolist() == ["Hé", "\\xff", "<s>", " lit", "=x", ""]
    assert frame["id"].isna().tolist() == [False, False, False, True, False, True]
    assert frame["rank"].isna().tolist() == [True, False, False, True, True, True]
    assert frame["probability"].tolist() == pytest.approx(
        [NAN, math.exp(-1.25), 0, math.exp(-0.5), math.exp(-0.25), NAN], nan_ok=True
    )
    assert frame["margin"].notna().tolist() == [False, False, False, True, True, False]


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\r", "\n", "=", "-", " =1", "\u00a0 =1", "\ufeff=1", "\u200b@a"]
FORMULAS += [
    "＝1",
    "＋1",
    "－1",
    "＠a",
    "\u2028-1",
    "\u2060+1",
    "\n=1",
    "\r\n =1",
    " -",
    "﹦1",
    "\0=1",
    "\ufe0f=1",
    "\u2800=1",
    "\u034f=1",
    "\U000e0020=1",
    "\u3164=1",
]
LATER = [";=1", "x;=1", "x\t=1", "x\n=1", "x\r\n  @a", "a; ＝1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_run_is_quoted(text: str) -> None:
    (line,) = lines_of(to_csv(completion_of(tokens_of(text, logprobs=[-1.5]), NO_TOKENS)))
    assert line["text"].startswith("'")
    assert line["text"].replace("'", "") == text
    assert line["logprob"] == "-1.5"


@pytest.mark.parametrize("text", LATER)
def test_no_formula_begins_where_a_cell_may_begin_elsewhere(text: str) -> None:
    (line,) = lines_of(to_csv(completion_of(tokens_of(text), NO_TOKENS)))
    assert not FORMULA.search(line["text"])
    assert line["text"].replace("'", "") == text


@pytest.mark.parametrize("text", ["a=1", "1", "'", "", '"', "a,b", "a\nb", "x;y", "a\rb", "😀", " a -b"])
def test_other_texts_are_left_as_they_are(text: str) -> None:
    (line,) = lines_of(to_csv(completion_of(tokens_of(text), NO_TOKENS)))
    assert line["text"] == text


@pytest.mark.parametrize("text", ["\t" * 200_000, " " * 200_000 + "x", ";" * 200_000, "\n=" * 100_000])
def test_a_long_text_takes_little_time(text: str) -> None:
    began = time.monotonic()
    assert len(as_csv(pd.DataFrame({"text": [text]}))) >= len(text)
    assert time.monotonic() - began < 2


def test_numbers_stay_numbers_and_missing_is_empty() -> None:
    lines = lines_of(to_csv(SAMPLE))
    assert [line["logprob"] for line in lines] == ["", "-1.25", "-inf", "-0.5", "-0.25", ""]
    assert [line["id"] for line in lines] == ["0", "1", "2", "", "7", ""]
    assert [line["rank"] for line in lines] == ["", "2", "9", "", "", ""]
    assert [line["position"] for line in lines] == ["1", "2", "3", "1", "2", "3"]
    for line in lines:
        for name in ("probability", "logprob", "others", "entropy_at_least", "entropy_at_most", "margin"):
            assert line[name] == "" or not math.isnan(float(line[name]))


@given(
    st.lists(
        st.one_of(
            st.sampled_from([*FORMULAS, '"', ",", "\r\n", "a\rb", *LATER]),
            st.text("=+-@,;\"'\t\r\n aé＝\ufeff", max_size=4),
        ),
        max_size=6,
    )
)
def test_texts_survive_the_csv(texts: list[str]) -> None:
    done = completion_of(tokens_of(*texts), NO_TOKENS)
    for line, text in zip(lines_of(to_csv(done)), texts, strict=True):
        assert line["text"].replace("'", "") == text.replace("'", "")
        assert not FORMULA.search(line["text"])


def test_a_csv_says_that_it_is_unicode_and_reads_back() -> None:
    (done,) = completions_of(read_saved(CASE.read_bytes()), None)
    file = to_csv(done).encode()
    assert file.startswith(b"\xef\xbb\xbfpart,")
    assert file.count(b"\xef\xbb\xbf") == 1
    texts = ["café", " –", " 你好", " I", "’m", " naïve", " €5"]
    for encoding in ("utf-8-sig", "utf-8"):  # pandas skips the mark either way
        frame = pd.read_csv(io.BytesIO(file), encoding=encoding)
        assert (frame.columns[0], frame["text"].tolist()) == ("part", texts)
    assert as_csv(pd.DataFrame({"é": ["ü"]})) == "\ufeffé\r\nü\r\n"


def test_a_csv_shows_what_is_hidden_beside_the_text_as_it_is() -> None:
    (line,) = lines_of(to_csv(completion_of(tokens_of(" a\U000e0073\u3164\n"), NO_TOKENS)))
    assert (line["text"], line["shown"]) == (" a\U000e0073\u3164\n", "·a‹U+E0073›‹U+3164›↵")


@given(completions())
def test_any_completion_has_a_table(done: Completion) -> None:
    lines = lines_of(to_csv(done))
    assert len(lines) == len(done.prompt) + len(done.generated)
    assert [line["kind"] for line in lines[: len(done.prompt)]] == [
        TokenKind(kind).name.lower() for kind in done.prompt.kinds
    ]
