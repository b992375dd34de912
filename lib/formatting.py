"""Format numbers for display: fixed decimals, a unit, and a dash if unknown."""

from __future__ import annotations

import math

from lib.segmentation.char_classes import encodable, marked, plain

MISSING = "–"


def percent(probability: float) -> str:
    """A probability: "95.1%", "0.40%", "6.1e-07" below a millionth."""
    if math.isnan(probability):
        return MISSING
    if probability == 0:
        return "0"
    if probability < 1e-6:
        return f"{probability:.1e}"
    if probability < 0.001:
        return f"{probability * 100:.2g}%"
    return f"{probability:.2%}" if probability < 0.0995 else f"{probability:.1%}"


def exact_percent(share: float) -> str:
    """A round share without trailing zeros: "90%", "0.5%", "0.0001%"."""
    return f"{100 * share:.4f}".rstrip("0").rstrip(".") + "%"


def nats(value: float, decimals: int = 3) -> str:
    """A logprob or an entropy in nats: "−1.204 nats"."""
    if math.isnan(value):
        return MISSING
    return f"{signed(value, decimals)} nats"


def signed(value: float, decimals: int) -> str:
    """A number with a true minus sign, except for zero."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:,.{decimals}f}"
    return text.replace("-", "−") if text.strip("-0.") else text.lstrip("-")


def p_value(value: float) -> str:
    """The p value of a test: "p = 0.042", or "p < 0.001"."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def bracket(low: float, high: float) -> str:
    """A range in nats: "0.42 nats" if both ends look the same, else "0.42 to 0.61 nats" or "at least 0.42 nats"."""
    if math.isnan(low):
        return MISSING
    if not math.isfinite(high):
        return f"at least {nats(low, 2)}"
    least, most = signed(low, 2), nats(high, 2)
    return most if most == f"{least} nats" else f"{least} to {most}"


def count(number: int, noun: str) -> str:
    """A count with its noun: "1 token", "1,204 tokens"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def rank(number: int) -> str:
    """A rank, "unknown" for -1."""
    return f"{number:,}" if number > 0 else "unknown"


def number(value: float, decimals: int) -> str:
    """A plain number: "1,204.50"; a dash for NaN."""
    return MISSING if math.isnan(value) else signed(value, decimals)


def visible(text: str) -> str:
    """The text with invisible characters shown: · for a space, → a tab, ↵ a line break, ‹U+200B› any other."""
    return encodable(marked(text)).replace(" ", "·").replace("\t", "→").replace("\r", "␍").replace("\n", "↵")


def capital(text: str) -> str:
    """The text with a leading capital. Unlike `str.capitalize` it leaves names further on as they are."""
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """The text with a leading capital and a final full stop."""
    text = text.strip()
    return capital(text) + ("" if text.endswith((".", "!", "?")) else ".")


def dollars(value: float) -> str:
    """An amount of US dollars: "$0.29", "$1,204.50"."""
    return f"${value:,.2f}"


def seconds(value: float) -> str:
    """A duration: "3 s", "2 min 05 s"."""
    minutes, rest = divmod(int(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def size(number: int) -> str:
    """A number of bytes: "512 B", "37.1 kB", "1.2 GB"."""
    if number < 1000:
        return f"{number} B"
    value, units = float(number), iter(("kB", "MB", "GB", "TB"))
    unit = ""
    while value >= 1000 and (following := next(units, None)):
        value, unit = value / 1000, following
    return f"{value:.1f} {unit}"


def beginning(text: str, characters: int) -> str:
    """The start of a text on one line, with an ellipsis if it is longer."""
    line = " ".join(plain(text[: 4 * characters]).split())
    return line if len(line) <= characters else line[: characters - 1] + "…"
