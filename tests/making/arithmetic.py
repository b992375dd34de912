"""Facts about numbers: operations, notations and units. They follow from rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product

from tests.making.facts import Fact, Relation, as_number, fact, in_words

_ROMAN = ((100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))
Numbers = tuple[int, ...]
UNITS = (
    ("hours", "minutes", 60),
    ("weeks", "days", 7),
    ("metres", "centimetres", 100),
    ("feet", "inches", 12),
    ("yards", "feet", 3),
)


def roman(number: int) -> str:
    """47 → XLVII; up to 399."""
    found = ""
    for value, letters in _ROMAN:
        while number >= value:
            found, number = found + letters, number - value
    return found


def ordinal(number: int) -> str:
    """22 → 22nd."""
    last = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{last}"


def _facts(numbers: Iterable[Numbers], value: Callable[..., int], words: bool = False) -> Iterator[Fact]:
    """One fact for each tuple of numbers; an entity is the numbers whatever is done with them, and in any order."""
    for each in numbers:
        kind = "number" if len(each) == 1 else "pair" if len(each) == 2 else "triple"
        subjects = [in_words(part) if words else str(part) for part in each]
        yield fact(kind, ", ".join(map(str, sorted(each))), as_number(value(*each)), *subjects)


def _pairs(first: range, second: range) -> list[Numbers]:
    """Pairs in both orders are one entity, so only one of them is asked."""
    found: dict[Numbers, Numbers] = {}
    for pair in product(first, second):
        key = tuple(sorted(pair))
        if key not in found or (sum(pair) % 2 == 0) == (pair[0] > pair[1]):
            found[key] = pair
    return list(found.values())


def _singles(numbers: Iterable[int], answer: Callable[[int], str | tuple[str, ...]], subject: Callable[[int], str] = str
             ) -> Iterator[Fact]:  # fmt: skip
    for each in numbers:
        yield fact("number", str(each), answer(each), subject(each))


def _operations() -> Iterator[Relation]:
    def of(name: str, line: str, question: str, facts: Iterator[Fact], chat: bool = True) -> Relation:
        return Relation(name, "arithmetic", line, question, tuple(facts), chat=chat)

    digits, tens = range(2, 10), range(11, 60)
    small = _pairs(digits, digits)
    mixed = _pairs(tens, digits)
    downwards = [(max(pair), min(pair)) for pair in _pairs(range(3, 20), digits) if pair[0] != pair[1]]
    yield of("small sum", "{0} + {1} =", "What is {0} plus {1}?", _facts(small, lambda a, b: a + b))
    yield of("small sum in words", "{0} plus {1} equals", "What do {0} and {1} add up to?",
             _facts(small, lambda a, b: a + b, words=True))  # fmt: skip
    yield of("mixed sum", "{0} + {1} =", "What is {0} + {1}?", _facts(mixed, lambda a, b: a + b))
    yield of("large sum", "{0} + {1} =", "What is the sum of {0} and {1}?",
             _facts([(13 * a % 80 + 10, 29 * a % 70 + 12) for a in range(1, 90)], lambda a, b: a + b))  # fmt: skip
    yield of("difference", "{0} - {1} =", "What is {0} minus {1}?", _facts(downwards, lambda a, b: a - b))
    yield of("difference in words", "{0} minus {1} equals", "What is left if you take {1} from {0}?",
             _facts(downwards, lambda a, b: a - b, words=True))  # fmt: skip
    yield of(
        "product", "{0} x {1} =", "What is {0} times {1}?", _facts(_pairs(digits, range(2, 13)), lambda a, b: a * b)
    )
    yield of("quotient", "{0} divided by {1} is", "What is {0} divided by {1}?",
             _facts([(a * b, b) for a, b in product(range(2, 11), range(2, 10))], lambda a, b: a // b))  # fmt: skip
    yield of("three terms", "{0} + {1} + {2} =", "What is {0} + {1} + {2}?",
             _facts([(a, 3 * a % 8 + 1, 5 * b % 9 + 1) for a, b in product(digits, digits)],
                    lambda a, b, c: a + b + c))  # fmt: skip
    yield of("missing term", "{0} + ? = {1}. The missing number is", "Which number must be added to {0} to get {1}?",
             _facts([(min(a), min(a) + 1 + (7 * sum(a)) % 9) for a in mixed], lambda a, b: b - a))  # fmt: skip
    yield of("larger", "The larger of {0} and {1} is", "", _facts(_pairs(tens, range(5, 99, 7)), max))
    yield of("smaller", "The smaller of {0} and {1} is", "", _facts(_pairs(tens, range(8, 99, 7)), min))
    yield of(
        "apples",
        "Anna has {0} apples. She gets {1} more. Her number of apples is now",
        "Anna has {0} apples and gets {1} more. How many does she have?",
        _facts(small, lambda a, b: a + b),
    )
    yield of("seats", "Of {0} seats, {1} are taken. The number of free seats is",
             "Of {0} seats on a bus, {1} are taken. How many are free?",
             _facts(downwards, lambda a, b: a - b))  # fmt: skip
    yield of("rows of chairs", "{0} rows of {1} chairs. Number of chairs:",
             "A room has {0} rows of {1} chairs. How many chairs are there?",
             _facts(_pairs(digits, digits), lambda a, b: a * b))  # fmt: skip
    yield of("sequence", "{0}, {1}, {2},", "What comes next: {0}, {1}, {2}?",
             _facts([(a, a + b, a + 2 * b) for a, b in product(range(1, 12), range(2, 8))],
                    lambda _, b, c: c + c - b))  # fmt: skip
    yield of("doubling sequence", "{0}, {1}, {2},", "What continues the sequence {0}, {1}, {2}?",
             _facts([(a, 2 * a, 4 * a) for a in range(2, 60)], lambda _, __, c: 2 * c), chat=False)  # fmt: skip
    yield of("average", "The number halfway between {0} and {1} is", "Which number is halfway between {0} and {1}?",
             _facts([(a, a + 2 * b) for a, b in product(range(2, 20), range(1, 6))],
                    lambda a, b: (a + b) // 2))  # fmt: skip


def _notations() -> Iterator[Relation]:
    def of(name: str, line: str, question: str, facts: Iterator[Fact], chat: bool = True) -> Relation:
        return Relation(name, "arithmetic", line, question, tuple(facts), chat=chat)

    many = range(11, 100)
    yield of("double", "Twice {0} is", "What is twice {0}?", _singles(many, lambda n: as_number(2 * n)))
    yield of("half", "Half of {0} is", "What is half of {0}?", _singles(range(8, 140, 2), lambda n: as_number(n // 2)))
    yield of(
        "square", "The square of {0} is", "What is {0} squared?", _singles(range(2, 61), lambda n: as_number(n * n))
    )
    yield of("ten times", "{0} x 10 =", "What is ten times {0}?", _singles(many, lambda n: as_number(10 * n)))
    yield of("number before", "The number just before {0} is", "Which number comes just before {0}?",
             _singles(range(20, 200, 3), lambda n: as_number(n - 1)))  # fmt: skip
    yield of(
        "ten more", "Ten more than {0} is", "What is ten more than {0}?", _singles(many, lambda n: as_number(n + 10))
    )
    yield of("to words", "{0} in words:", "How do you write {0} in words?", _singles(many, in_words))
    yield of(
        "from words", "{0} in digits:", "How do you write {0} in digits?", _singles(range(101, 999, 8), str, in_words)
    )
    yield of("to Roman", "{0} as a Roman numeral:", "What is {0} as a Roman numeral?", _singles(range(11, 80), roman))
    yield of("from Roman", "The Roman numeral {0} is", "Which number is the Roman numeral {0}?",
             _singles(range(11, 100), as_number, roman))  # fmt: skip
    yield of("digits' sum", "The digits of {0} add up to", "What do the digits of {0} add up to?",
             _singles(range(12, 100), lambda n: as_number(n // 10 + n % 10)))  # fmt: skip
    yield of("odd or even", "Odd or even? {0}:", "", _singles(many, lambda n: "odd" if n % 2 else "even"))
    yield of("rounded", "{0}, rounded to the nearest ten, is", "What is {0} rounded to the nearest ten?",
             _singles([n for n in many if n % 10 not in (0, 5)], lambda n: as_number((n + 5) // 10 * 10)))  # fmt: skip
    yield of("ordinal", "{0} as an ordinal number:", "", _singles(many, ordinal))
    yield of(
        "percentage", "10% of {0} is", "What is 10% of {0}?", _singles(range(20, 900, 10), lambda n: as_number(n // 10))
    )


def _units() -> Iterator[Relation]:
    for large, small, factor in UNITS:
        facts = tuple(
            fact("amount", f"{count} {large}", (*as_number(factor * count), f"{factor * count} {small}"), str(count))
            for count in range(2, 50)
        )
        line, question = f"{{0}} {large} in {small}:", f"How many {small} are there in {{0}} {large}?"
        yield Relation(f"{large} to {small}", "arithmetic", line, question, facts)


def relations() -> Iterator[Relation]:
    """All relations of numbers."""
    yield from _operations()
    yield from _notations()
    yield from _units()
