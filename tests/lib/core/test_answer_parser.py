from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lib.core.answer_parser import AnswerParser, Settled
from lib.core.tokens import TokenKind
from tests.support.strategies import cut

T, S, X, R = TokenKind.TEXT, TokenKind.SPECIAL, TokenKind.STOP, TokenKind.REASONING


@dataclass
class Told:
    """Everything the parser released, and how many tokens it had read when it stopped."""

    numbers: list[int] = field(default_factory=list)
    kinds: list[TokenKind] = field(default_factory=list)
    text: str = ""
    stopped: bool = False
    given: int = 0

    def add(self, released: Settled) -> None:
        self.numbers += [number for number, _ in released.tokens]
        self.kinds += [kind for _, kind in released.tokens]
        self.text += released.text
        self.stopped |= released.stopped


def read(*pieces: bytes | str, stops: tuple[str, ...] = (), prompt: str = "", special: tuple[int, ...] = ()) -> Told:
    reader, told = AnswerParser(stops, prompt), Told()
    for number, piece in enumerate(pieces):
        told.add(reader.push(piece.encode() if isinstance(piece, str) else piece, number in special))
        told.given += 1
        if told.stopped:
            return told
    told.add(reader.end())
    return told


def visible_until_stop(data: bytes, stops: tuple[str, ...]) -> tuple[bytes, bool]:
    """The bytes before the first stop string to be completed, and whether there is one."""
    for end in range(len(data) + 1):
        ending = [stop.encode() for stop in stops if data[:end].endswith(stop.encode())]
        if ending:
            return data[: end - max(map(len, ending))], True
    return data, False


LETTERS = [
    b"a",
    b"b",
    b"ab",
    b"aab",
    "é".encode(),
    "😀".encode(),
    b"\xe2\x82",
    b"\xff",
    b" ",
    b"\n",
    b"<",
    b"<think>",
    b"</think>",
]
DATA = st.lists(st.sampled_from(LETTERS), max_size=10).map(b"".join)
STOPS = st.lists(st.text("ab \né😀<", min_size=1, max_size=4), max_size=3).map(tuple)


@given(cut(DATA), STOPS)
@example([b"a", b"b", b"c", b"d"], ("abcd", "c"))
@example([b"aa", b"ab"], ("aab",))
@example(["é".encode()[:1], "é".encode()[1:]], ("é",))
def test_the_text_is_what_comes_before_the_first_stop_however_it_is_cut(
    pieces: list[bytes], stops: tuple[str, ...]
) -> None:
    expected, stopped = visible_until_stop(b"".join(pieces), stops)
    told = read(*pieces, stops=stops)
    assert told.text == expected.decode("utf-8", "replace")
    assert told.stopped == stopped


@given(cut(DATA), STOPS, st.sets(st.integers(0, 8)))
def test_every_token_is_released_once_in_order(pieces: list[bytes], stops: tuple[str, ...], special: set[int]) -> None:
    told = read(*pieces, stops=stops, special=tuple(special))
    assert told.numbers == list(range(told.given))


@given(cut(DATA), STOPS)
def test_nothing_released_lies_past_a_stop(pieces: list[bytes], stops: tuple[str, ...]) -> None:
    expected, _ = visible_until_stop(b"".join(pieces), stops)
    final = expected.decode("utf-8", "replace")
    reader, text = AnswerParser(stops), ""
    position = 0
    for piece in pieces:
        released = reader.push(piece)
        text += released.text
        assert final.startswith(text)
        for number, kind in released.tokens:
            assert (kind == X) == (released.stopped and position >= len(expected))
            position += len(pieces[number])
        if released.stopped:
            return


@given(cut(DATA), st.sets(st.integers(0, 8)))
def test_special_tokens_are_no_part_of_the_text(pieces: list[bytes], special: set[int]) -> None:
    # A letter before everything, so that no marker can open a block of reasoning.
    told = read(b"a", *pieces, special=tuple(number + 1 for number in special))
    kept = b"".join(piece for number, piece in enumerate(pieces) if number not in special)
    assert told.text == (b"a" + kept).decode("utf-8", "replace")
    assert told.kinds == [T, *(S if number in special else T for number in range(len(pieces)))]


def test_tokens_beyond_the_cut_are_stops() -> None:
    assert read("a", "bc", "d", "e", stops=("cd",)) == Told([0, 1, 2], [T, T, X], "ab", True, 3)
    assert read("a", "bc", stops=("bc",)) == Told([0, 1], [T, X], "a", True, 2)
    assert read("abc", stops=("a",)) == Told([0], [X], "", True, 1)


def test_what_might_become_a_stop_is_held_back() -> None:
    reader = AnswerParser(["\n\nUser:"])
    assert reader.push(b"Hi") == Settled(((0, T),), "Hi")
    assert reader.push(b".\n") == Settled()
    assert reader.push(b"\nUs") == Settled()
    assert reader.push(b"a") == Settled(((1, T), (2, T), (3, T)), ".\n\nUsa")


def test_the_end_releases_what_was_held() -> None:
    assert read("Hi", "\n", stops=("\n\n",)) == Told([0, 1], [T, T], "Hi\n", False, 2)


def test_a_stop_is_found_across_special_tokens() -> None:
    assert read("xa", "<s>", "by", stops=("ab",), special=(1,)) == Told([0, 1, 2], [T, X, X], "x", True, 3)


def test_of_two_stops_the_one_complete_first_counts() -> None:
    for pieces in (["xabcd"], ["xa", "bc", "d"], [*"xabcd"]):
        assert read(*pieces, stops=("abcd", "c")).text == "xab"
        assert read(*pieces, stops=("bc", "abc", "c")).text == "x"


def test_characters_in_several_tokens_are_told_whole() -> None:
    reader = AnswerParser()
    assert reader.push(b"x\xf0\x9f") == Settled(((0, T),), "x")
    assert reader.push(b"\x98") == Settled(((1, T),), "")
    assert reader.push(b"\x80y") == Settled(((2, T),), "😀y")
    assert reader.push(b"\xf0\x9f") == Settled(((3, T),), "")
    assert reader.end() == Settled((), "\ufffd")


def test_a_character_broken_off_by_a_stop() -> None:
    assert read(b"a\xf0\x9f", "STOP", stops=("STOP",)).text == "a\ufffd"


THOUGHT = ["<think>", "Hm", ".", "</think>", "\n\n", "Yes"]


def test_reasoning_at_the_start() -> None:
    told = read(*THOUGHT)
    assert told.kinds == [R, R, R, R, T, T]
    assert told.text == "".join(THOUGHT)


@pytest.mark.parametrize(
    ("pieces", "kinds"),
    [
        (["<", "th", "ink", ">", "Hm", "</", "think", ">", "Yes"], [R] * 8 + [T]),
        (["<think>Hm</think>", "Yes"], [R, T]),
        (["<think>\n", "</think", ">\n", "Yes"], [R, R, R, T]),
        (["\n", " <think", "> x", "</think>", "y"], [R, R, R, R, T]),
        (["<think>", "never", "closed"], [R, R, R]),
        (["<think>", "a</think", "b", "</th", "ink>", "c"], [R, R, R, R, R, T]),
        (["<think>", "a", "</think>", "<think>", "b"], [R, R, R, T, T]),
        (["<thin", "g>"], [T, T]),
        (["<", "b>"], [T, T]),
        (["So: ", "<think>", "x", "</think>"], [T, T, T, T]),
        (["<thi"], [T]),
        (["<THINK>", "x"], [T, T]),
        (["</think>", "x"], [T, T]),
    ],
)
def test_where_reasoning_begins_and_ends(pieces: list[str], kinds: list[TokenKind]) -> None:
    told = read(*pieces)
    assert told.kinds == kinds
    assert told.text == "".join(pieces)


@pytest.mark.parametrize("prompt", ["<|assistant|><think>", "<think>\n", "<think> \n\n"])
def test_reasoning_opened_by_the_prompt(prompt: str) -> None:
    assert read("Hm", "</thi", "nk>", "Yes", prompt=prompt).kinds == [R, R, R, T]
    assert read("Hm", prompt=prompt).kinds == [R]


def test_a_block_that_the_prompt_closed_again_is_not_open() -> None:
    assert read("Yes", prompt="<think>\n\n</think>\n").kinds == [T]


def test_an_opening_marker_is_released_as_soon_as_it_is_one() -> None:
    reader = AnswerParser()
    assert reader.push(b"<th") == Settled()
    assert reader.push(b"ink>") == Settled(((0, R), (1, R)), "<think>")
    assert reader.push(b"a") == Settled(((2, R),), "a")


def test_markers_that_are_special_tokens() -> None:
    told = read(*THOUGHT, special=(0, 3))
    assert told.kinds == [R, R, R, R, T, T]
    assert told.text == "".join(THOUGHT)
    reader = AnswerParser()
    assert reader.push(b"<think>", special=True) == Settled(((0, R),), "<think>")


def test_other_special_tokens_stay_special_inside_reasoning() -> None:
    told = read("<think>", "Hm", "<|end|>", special=(2,))
    assert told.kinds == [R, R, S]
    assert told.text == "<think>Hm"
    assert read("Hm", "<|end|>", special=(1,), prompt="<think>").kinds == [R, S]


def test_a_stop_inside_reasoning_ends_the_answer_there() -> None:
    assert read("<think>", "a", "\n\n", "b", stops=("\n\n",)) == Told([0, 1, 2], [R, R, X], "<think>a", True, 3)
    assert read("<think>ab", stops=("b",)) == Told([0], [R], "<think>a", True, 1)
    assert read("<thi", "nk>", stops=("think",)) == Told([0, 1], [R, X], "<", True, 2)


def test_an_empty_answer() -> None:
    assert read() == Told()
    assert read("", "") == Told([0, 1], [T, T], "", False, 2)
    assert AnswerParser().end() == Settled()
