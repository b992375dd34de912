"""Checks a tokenizer against the library that its file is made for."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from lib.errors import ModelUnavailable
from lib.tokenizers.built import Built

# Text that tokenizers treat differently: digits, spaces, line breaks, scripts, combining characters, emoji, code.
PROBES = (
    "",
    "hello",
    " hello",
    "  hello   world  ",
    "The quick brown fox, 1234.\n\tcafé 世界 😀",
    "x =  12; y = 1234567890 + 3.14159e-10",
    "٣٤٥ ²³ ½ Ⅷ １２３",
    "one\ntwo\r\nthree\rfour\n\n\nfive\n \n  six\n",
    "\u2028\u2029\x0b\x0c\x85 a\u00a0b\u3000c\u200bd\ufeffe",
    "\ta\t\tb \t c",
    "日本語のテキスト。中文，没有空格！한국어 문장",
    "👨‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪 ☺️",
    "e\u0301 n\u0303 a\u0323\u0302 क्षि நி ก็",
    "السلام عليكم، كيف الحالُ؟ שָׁלוֹם",
    "Ünïcödé ﬁ Å Ω ſ ẞ İ ǆ",
    "don't I'LL we've 'tis \"quoted\" “curly” – — …",
    "def f(x):\n    return {'a': x[0]['b']} != None  # ok?\n\t}\n</div>&amp;",
    "https://example.com/a_b?c=1&d=%20#e user@mail.org C:\\dir",
    "aaaaaaaaaaaaaaaaaaaa !!!!!! ------ ======",
    "CamelCaseWord snake_case_word UPPER lower1word2",
    "<s> </s> <unk> <|endoftext|> <|im_start|>user\n[INST] <0x0A> ▁ Ġ Ċ",
)
_MARKERS_PER_TEXT = 64


def check(built: Built, files: Mapping[str, bytes]) -> None:
    """Raise ModelUnavailable if a tokenizer splits a probe differently from its file.

    files: the files it was built from, by name.
    """
    markers, reference = _reference(files)
    for text in [*PROBES, *_with_markers(markers)]:
        found = built.encode(text)
        if reference is None:
            same = _spelled(built, found) in (text.encode(), unicodedata.normalize("NFC", text).encode())
        else:
            expected = reference(text)
            same = expected is None or found == expected
        if not same:
            raise ModelUnavailable(
                f"This tokenizer splits {text[:40]!r} differently from its file.",
                "Use the model's own tokenizer.json, and report this as a bug in Candor.",
            )


def check_markers(encode: Callable[[str], Sequence[int]], markers: Mapping[str, int]) -> None:
    """Raise ModelUnavailable if a marker in a text doesn't encode to its ID. markers: IDs by name."""
    for name, number in markers.items():
        if number not in encode(name):
            raise ModelUnavailable(
                f"The token {name[:80]!r} doesn't encode to its ID {number:,}.",
                "Use the model's original directory with safetensors weights.",
            )


def _reference(files: Mapping[str, bytes]) -> tuple[list[str], Callable[[str], list[int] | None] | None]:
    """(markers to probe, function from a text to the library's IDs).

    The function returns None for a text that the library can't judge. There is no function if `built` uses the library
    itself; compare the bytes of its pieces with the text instead.
    """
    if (data := files.get("tokenizer.json")) is not None:
        import tokenizers

        backend = tokenizers.Tokenizer.from_buffer(data)
        backend.no_truncation()
        backend.no_padding()
        markers = [str(entry["content"]) for entry in json.loads(data).get("added_tokens") or ()]
        return markers, lambda text: list(backend.encode(text, add_special_tokens=False).ids)
    if (data := files.get("tokenizer.model")) is None or _is_tiktoken(data):
        return [], None
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_proto=data)
    controls = [model.id_to_piece(number) for number in range(model.get_piece_size()) if model.is_control(number)]
    marks = [name for name in (*controls, *_beside(files)) if name]

    def ids(text: str) -> list[int] | None:
        # The library doesn't recognize markers in a text.
        return None if any(mark in text for mark in marks) else [int(each) for each in model.encode(text)]

    return [], ids


def _beside(files: Mapping[str, bytes]) -> list[str]:
    """Tokens that other files add to a SentencePiece model."""
    added = json.loads(files.get("added_tokens.json", b"{}"))
    listed = json.loads(files.get("tokenizer_config.json", b"{}"))
    entries = listed.get("added_tokens_decoder") if isinstance(listed, dict) else None
    contents = [each.get("content") for each in entries.values()] if isinstance(entries, dict) else []
    return [str(each) for each in (*(added if isinstance(added, dict) else ()), *contents)]


def _is_tiktoken(data: bytes) -> bool:
    first = data.split(b"\n", 1)[0].split()
    return len(first) == 2 and first[1].isdigit()


def _with_markers(markers: Sequence[str]) -> Iterator[str]:
    for start in range(0, len(markers), _MARKERS_PER_TEXT):
        yield "a " + "b ".join(markers[start : start + _MARKERS_PER_TEXT]) + " c"


def _spelled(built: Built, ids: Sequence[int]) -> bytes:
    return built.vocabulary.pieces.select(np.array(ids, np.int32)).data.tobytes()
