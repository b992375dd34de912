from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from lib.tokenizers.vocabulary import Vocabulary, byte_alphabet, read_vocabulary

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["the cat  sat\n", "a    b", "é 😀", "<|end|> the", "\u2581", "▁▁", "<0x41>", "\0"]
)


def byte_level() -> Tokenizer:
    letters = sorted(byte_alphabet())
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("Ġ", "Ġ"), ("Ã", "©"), ("ð", "Ł")]
    names = [*letters, *("".join(pair) for pair in merges)]
    tokenizer = Tokenizer(models.BPE({name: number for number, name in enumerate(names)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>"])
    tokenizer.add_tokens([AddedToken("naïve word", normalized=False), AddedToken("\t\t", normalized=False)])
    return tokenizer


def sentencepiece() -> Tokenizer:
    """As in Llama and Gemma: ▁ for spaces, byte tokens for text without an entry, no space added in front."""
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    letters = [*"▁abcdehst", "é"]
    merges = [("t", "h"), ("th", "e"), ("▁", "the"), ("▁", "▁")]
    names = ["<unk>", "<s>", *fallback, *letters, *("".join(pair) for pair in merges)]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "<｜end▁of▁text｜>"])
    return tokenizer


def metaspace() -> Tokenizer:
    names = ["<unk>", "▁the", "▁cat", "s", "▁", "é"]
    tokenizer = Tokenizer(models.Unigram([(name, -float(number)) for number, name in enumerate(names)], 0, False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
    return tokenizer


def read(tokenizer: Tokenizer, text: str, vocabulary: Vocabulary | None = None) -> bytes:
    """The bytes of a text's IDs."""
    pieces = (vocabulary or read_vocabulary(tokenizer)).pieces
    return b"".join(pieces.bytes_of(number) for number in tokenizer.encode(text, add_special_tokens=False).ids)


BYTE_LEVEL, SENTENCEPIECE = byte_level(), sentencepiece()
OF_BYTE_LEVEL, OF_SENTENCEPIECE = read_vocabulary(BYTE_LEVEL), read_vocabulary(SENTENCEPIECE)


@given(TEXT)
def test_byte_level_pieces_are_the_bytes_of_the_text(text: str) -> None:
    assert read(BYTE_LEVEL, text, OF_BYTE_LEVEL) == text.encode()


@given(TEXT)
def test_sentencepiece_pieces_are_the_bytes_of_the_text(text: str) -> None:
    # ▁ itself is how this family writes a space; a text that holds one reads the same to it.
    assert read(SENTENCEPIECE, text, OF_SENTENCEPIECE) == text.replace("▁", " ").encode()


@given(TEXT)
def test_special_tokens_aside_decode_undoes_encode(text: str) -> None:
    ids = BYTE_LEVEL.encode(text).ids
    assert OF_BYTE_LEVEL.decode(np.array(ids, np.int32)) == text.replace("<|end|>", "")


def test_the_families_are_distinguished() -> None:
    assert OF_BYTE_LEVEL.exact
    assert OF_SENTENCEPIECE.exact
    assert read_vocabulary(metaspace()).exact


def test_metaspace_keeps_leading_spaces() -> None:
    assert read(metaspace(), " the cats") == b" the cats"
    assert read(metaspace(), "é s") == "é s".encode()


def test_a_single_byte_of_a_character_is_that_byte() -> None:
    by_name = BYTE_LEVEL.get_vocab()
    assert OF_BYTE_LEVEL.pieces.bytes_of(by_name["ðŁ"]) == b"\xf0\x9f"
    assert OF_BYTE_LEVEL.pieces.bytes_of(by_name["Ġthe"]) == b" the"
    by_name = SENTENCEPIECE.get_vocab()
    assert OF_SENTENCEPIECE.pieces.bytes_of(by_name["<0xF0>"]) == b"\xf0"
    assert OF_SENTENCEPIECE.pieces.bytes_of(by_name["▁the"]) == b" the"


def test_special_tokens_are_marked_and_keep_their_text() -> None:
    end, added = BYTE_LEVEL.token_to_id("<|end|>"), BYTE_LEVEL.token_to_id("naïve word")
    assert (OF_BYTE_LEVEL.pieces.bytes_of(end), bool(OF_BYTE_LEVEL.pieces.special[end])) == (b"<|end|>", True)
    assert (OF_BYTE_LEVEL.pieces.text_of(added), bool(OF_BYTE_LEVEL.pieces.special[added])) == ("naïve word", False)
    end = SENTENCEPIECE.token_to_id("<｜end▁of▁text｜>")
    assert OF_SENTENCEPIECE.pieces.text_of(end) == "<｜end▁of▁text｜>"
    assert OF_BYTE_LEVEL.pieces.special.sum() == 1
    assert OF_SENTENCEPIECE.pieces.special.sum() == 3


def test_added_runs_of_spaces_are_spaces() -> None:
    # Gemma lists ▁▁ among its added tokens, and its model makes that same id of two spaces.
    tokenizer = sentencepiece()
    tokenizer.add_tokens([AddedToken("▁▁", normalized=False), AddedToken("<0x0A>", normalized=False)])
    assert read(tokenizer, "a  b\n") == b"a  b\n"


def test_an_added_token_of_letters_from_the_byte_alphabet_is_its_text() -> None:
    tokenizer = byte_level()
    tokenizer.add_tokens(["é"])
    assert read(tokenizer, "né") == "né".encode()


def test_rows_are_ids_and_gaps_have_no_bytes() -> None:
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 5}, []))
    tokenizer.decoder = decoders.ByteLevel()
    vocabulary = read_vocabulary(tokenizer)
    assert [vocabulary.pieces.bytes_of(row) for row in range(len(vocabulary))] == [b"a", b"", b"", b"", b"", b"b"]
    assert vocabulary.pieces.ids.tolist() == list(range(6))


def test_padding_to_the_size_of_the_head() -> None:
    own = len(OF_BYTE_LEVEL)
    padded = read_vocabulary(BYTE_LEVEL, own + 3)
    assert len(padded) == own + 3
    assert [padded.pieces.bytes_of(row) for row in range(own, own + 3)] == [b"", b"", b""]
    assert len(read_vocabulary(BYTE_LEVEL, 1)) == own


def test_an_unknown_decoder_is_called_id_by_id_and_marked_inexact() -> None:
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0, "cat": 1, "##s": 2}, unk_token="[UNK]"))
    tokenizer.decoder = decoders.WordPiece()
    vocabulary = read_vocabulary(tokenizer)
    assert not vocabulary.exact
    assert vocabulary.pieces.text_of(1) == "cat"
    tokenizer = Tokenizer(models.WordLevel({"a": 0}, "a"))
    assert not read_vocabulary(tokenizer).exact


def test_decoding_shows_invalid_characters() -> None:
    ids = [BYTE_LEVEL.token_to_id(name) for name in ("ðŁ", "t")]
    assert OF_BYTE_LEVEL.decode(np.array(ids)) == "\ufffdt"


def test_fingerprints_distinguish_vocabularies() -> None:
    assert read_vocabulary(byte_level()).fingerprint == OF_BYTE_LEVEL.fingerprint
    changed = byte_level()
    changed.add_special_tokens(["naïve word"])
    others = [
        OF_BYTE_LEVEL,
        OF_SENTENCEPIECE,
        read_vocabulary(BYTE_LEVEL, len(OF_BYTE_LEVEL) + 1),
        read_vocabulary(changed),
    ]
    for one, other in itertools.combinations(others, 2):
        assert one.fingerprint != other.fingerprint


def test_the_byte_alphabet_is_gpt2s() -> None:
    alphabet = byte_alphabet()
    assert sorted(alphabet.values()) == list(range(256))
    assert set(alphabet) == set(pre_tokenizers.ByteLevel.alphabet())
    assert (alphabet["Ġ"], alphabet["Ċ"], alphabet["A"], alphabet["Ń"]) == (0x20, 0x0A, 0x41, 0xAD)


@pytest.mark.parametrize("byte", [0, 0x7F, 0x80, 0xA0, 0xAD, 0xFF])
def test_every_byte_has_a_piece(byte: int) -> None:
    spelled = next(letter for letter, value in byte_alphabet().items() if value == byte)
    assert OF_BYTE_LEVEL.pieces.bytes_of(BYTE_LEVEL.token_to_id(spelled)) == bytes([byte])
