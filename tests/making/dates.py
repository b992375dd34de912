"""Facts about days, months, years and times of day."""

from __future__ import annotations

from calendar import isleap, monthrange
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import product

from babel import Locale

from tests.making.arithmetic import ordinal
from tests.making.facts import Fact, Relation, as_number, fact, in_words

_ENGLISH = Locale("en")
MONTHS = tuple(_ENGLISH.months["format"]["wide"][number] for number in range(1, 13))
DAYS = tuple(_ENGLISH.days["format"]["wide"][number] for number in range(7))
# The last day of each sign, by the tropical zodiac; a sign's first and last two days differ between years.
_SIGNS = ((19, "Capricorn"), (18, "Aquarius"), (20, "Pisces"), (19, "Aries"), (20, "Taurus"), (20, "Gemini"),
          (22, "Cancer"), (22, "Leo"), (22, "Virgo"), (22, "Libra"), (21, "Scorpio"), (21, "Sagittarius"))  # fmt: skip
_SEASONS = ("winter", "spring", "summer", ("autumn", "fall"))
_SOME_DAYS = tuple(date(2023, 1, 1) + timedelta(days=3 * step) for step in range(121))
_SOME_YEARS = tuple(range(1503, 2020, 7))


def _spoken(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]}"


def _month_names(day: date) -> tuple[str, ...]:
    month, number = MONTHS[day.month - 1], ordinal(day.day)
    return (_spoken(day), f"{month} {day.day}", f"{number} {month}", f"{number} of {month}", f"{month} {number}")


def _after(days: int) -> Iterator[Fact]:
    for day in _SOME_DAYS:
        yield fact("date", _spoken(day), _month_names(day + timedelta(days=days)))


def _signs() -> Iterator[Fact]:
    for day in _SOME_DAYS:
        last, sign = _SIGNS[day.month - 1]
        if abs(day.day - last) > 2:
            yield fact("date", _spoken(day), sign if day.day <= last else _SIGNS[day.month % 12][1])


def _seasons() -> Iterator[Fact]:
    """Without the months in which a season ends, on days that differ between definitions."""
    for day in _SOME_DAYS:
        if day.month % 3:
            yield fact("date", _spoken(day), _SEASONS[day.month // 3])


def _number_dates() -> Iterator[Fact]:
    for day in _SOME_DAYS:
        yield fact("date", _spoken(day), MONTHS[day.month - 1], f"{day:%Y-%m-%d}")


def _as_iso() -> Iterator[Fact]:
    for day in _SOME_DAYS:
        yield fact("date", _spoken(day), f"{day:%m-%d}")


def _quarters() -> Iterator[Fact]:
    for day in _SOME_DAYS:
        number = (day.month - 1) // 3 + 1
        yield fact("date", _spoken(day), (in_words_ordinal(number), ordinal(number), str(number), f"Q{number}"))


def in_words_ordinal(number: int) -> str:
    """1 → first; up to 4."""
    return ("first", "second", "third", "fourth")[number - 1]


def _weekdays(sign: int) -> Iterator[Fact]:
    for count, place in product(range(2, 13), range(7)):
        day = DAYS[place]
        yield fact("weekday", f"{day} and {count}", DAYS[(place + sign * count) % 7], in_words(count), day)


def _months(sign: int) -> Iterator[Fact]:
    for count, place in product(range(2, 10), range(12)):
        month = MONTHS[place]
        yield fact("month", f"{month} and {count}", MONTHS[(place + sign * count) % 12], in_words(count), month)


def _lengths() -> Iterator[Fact]:
    for place, year in product(range(12), (1900, 1996, 2000, 2003, 2012, 2018, 2021)):
        yield fact("month", f"{MONTHS[place]} {year}", as_number(monthrange(year, place + 1)[1]))


def _year_facts() -> Iterator[Relation]:
    def of(name: str, line: str, question: str, facts: Iterator[Fact]) -> Relation:
        return Relation(name, "calendar", line, question, tuple(facts))

    years = _SOME_YEARS
    yield of("century", "The year {0} was in the", "In which century was the year {0}?",
             (fact("year", str(each), (f"{ordinal((each - 1) // 100 + 1)} century", ordinal((each - 1) // 100 + 1)))
              for each in years))  # fmt: skip
    yield of("decade", "The decade of the year {0}:", "Which decade was the year {0} in?",
             (fact("year", str(each), (f"{each // 10}0s", f"the {each // 10}0s")) for each in years))  # fmt: skip
    yield of("century later", "100 years after {0} was", "Which year was 100 years after {0}?",
             (fact("year", str(each), str(each + 100)) for each in years if each < 1920))  # fmt: skip
    yield of("decade earlier", "Ten years before {0} was", "Which year was ten years before {0}?",
             (fact("year", str(each), str(each - 10)) for each in years))  # fmt: skip
    yield of("leap year", "Leap year or common year? {0}:", "",
             (fact("year", str(each), ("leap year", "leap") if isleap(each) else ("common year", "common"))
              for each in range(1804, 2024, 3)))  # fmt: skip
    yield of("age", "Born in {0}, turned 20 in", "Someone is born in {0}. In which year is their 20th birthday?",
             (fact("year", str(each), str(each + 20)) for each in years))  # fmt: skip


def _times() -> Iterator[Relation]:
    def of(name: str, line: str, question: str, facts: Iterator[Fact]) -> Relation:
        return Relation(name, "calendar", line, question, tuple(facts))

    def clock(hour: int, minute: int) -> str:
        return f"{hour}:{minute:02}"

    half_days = [(hour, minute) for hour in range(13, 24) for minute in range(0, 60, 5)]
    times = [(hour, minute) for hour in range(1, 12) for minute in range(0, 60, 5)]
    yield of("afternoon", "{0} is the same time as", "What is {0} on a 12-hour clock?",
             (fact("time", clock(*each), (f"{clock(each[0] - 12, each[1])} pm", f"{clock(each[0] - 12, each[1])} p.m.",
                                          clock(each[0] - 12, each[1]))) for each in half_days))  # fmt: skip
    yield of("24 hours", "{0} pm on a 24-hour clock:", "What is {0} pm on a 24-hour clock?",
             (fact("time", clock(*each), clock(each[0] + 12, each[1])) for each in times))  # fmt: skip
    yield of("hour later", "One hour after {0} it is", "What time is it one hour after {0}?",
             (fact("time", clock(*each), clock(each[0] + 1, each[1])) for each in times))  # fmt: skip
    yield of("half an hour later", "Half an hour after {0} it is", "What time is it half an hour after {0}?",
             (fact("time", clock(*each), clock(each[0] + (each[1] + 30) // 60, (each[1] + 30) % 60))
              for each in times))  # fmt: skip
    yield of("minutes to the hour", "Minutes from {0} to the next full hour:",
             "How many minutes is it from {0} to the next full hour?",
             (fact("time", clock(*each), as_number(60 - each[1])) for each in times if each[1]))  # fmt: skip


def relations() -> Iterator[Relation]:
    """All relations of the calendar and the clock."""

    def of(name: str, line: str, question: str, facts: Iterator[Fact], chat: bool = True) -> Relation:
        return Relation(name, "calendar", line, question, tuple(facts), chat=chat)

    yield of("day after", "The day after {0} is", "Which date is the day after {0}?", _after(1))
    yield of("day before", "The day before {0} is", "Which date is the day before {0}?", _after(-1))
    yield of("week after", "One week after {0} is", "Which date is one week after {0}?", _after(7))
    yield of("zodiac", "Born on {0}, star sign", "What is the star sign of someone born on {0}?", _signs())
    yield of("season", "Season in Europe on {0}:", "Which season is it in Europe on {0}?", _seasons())
    yield of("month of a date", "The month of {0} is", "Which month is the date {0} in?", _number_dates())
    yield of("numeric date", "{0} as month and day:", "", _as_iso())
    yield of("quarter", "Quarter of the year on {0}:", "In which quarter of the year is {0}?", _quarters())
    yield of("days later", "{0} days after {1} it is", "Which day of the week is {0} days after {1}?", _weekdays(1))
    yield of(
        "days earlier", "{0} days before {1} it was", "Which day of the week is {0} days before {1}?", _weekdays(-1)
    )
    yield of("months later", "{0} months after {1} it is", "Which month is {0} months after {1}?", _months(1))
    yield of("months earlier", "{0} months before {1} it was", "Which month is {0} months before {1}?", _months(-1))
    yield of("days of a month", "Number of days in {0}:", "How many days did {0} have?", _lengths())
    yield from _year_facts()
    yield from _times()
