"""How often the right passage is kept against the tokens that this saves, as an SVG file of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator

from lib.contexts.recall import Recall, Recalled
from lib.contexts.scorings import SCORINGS

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _RIGHT, _TOP = 720, 400, 60, 50, 170, 16  # pixels
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_APART = 15  # pixels between two labels
_STYLE = """
text { font: 13px sans-serif; fill: #31333f } .grid { stroke: #31333f; opacity: .15 }
.line { fill: none; stroke: #6b7280; stroke-width: 1.5 } .best { stroke: #0068c9; stroke-width: 2.5 }
.even { stroke-dasharray: 4 4 } .bar { stroke: #6b7280; opacity: .45 } .best.bar { stroke-width: 2; opacity: .6 }
@media (prefers-color-scheme: dark) { text { fill: #fafafa } .grid { stroke: #fafafa } .best { stroke: #83c9ff } }
"""


def curve_svg(found: Recalled) -> str:
    """A line for each scoring, from the best passage on the right to more passages on the left, with 95% intervals."""
    lines = {name: each for name, each in found.recalls.items() if name in SCORINGS or name == "random"}
    drawn = "".join(_line(found, name, each) for name, each in lines.items())
    names = "".join(_labels(found, lines))
    title = f"Right passage kept by tokens saved, {found.n:,} questions"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{title}" viewBox="0 0 {_WIDTH} {_HEIGHT}">'
        f"<title>{title}</title><style>{_STYLE}</style>{_axes()}{drawn}{names}</svg>\n"
    )


def _axes() -> str:
    edge, middle = _HEIGHT - _BOTTOM, (_LEFT + _WIDTH - _RIGHT) / 2
    parts = []
    for share in _TICKS:
        parts += [
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{_y(share):.1f}" y2="{_y(share):.1f}"/>',
            f'<text x="{_LEFT - 8}" y="{_y(share) + 4:.1f}" text-anchor="end">{share:.0%}</text>',
            f'<text x="{_x(share):.1f}" y="{edge + 20}" text-anchor="middle">{share:.0%}</text>',
        ]
    parts += [
        f'<text x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle">Tokens of passages saved</text>',
        f'<text transform="rotate(-90)" x="{-edge / 2}" y="14" text-anchor="middle">Right passage kept</text>',
    ]
    return "".join(parts)


def _line(found: Recalled, name: str, recall: Recall) -> str:
    kind = "line best" if name == found.best else "line even" if name == "random" else "line"
    places = [(saved, each) for saved, each in zip(found.saved, recall.kept, strict=True) if math.isfinite(saved)]
    points = " ".join(f"{_x(saved):.1f},{_y(each.value):.1f}" for saved, each in places)
    bars = "".join(
        f'<line class="{kind.replace("line", "bar")}" x1="{_x(saved):.1f}" x2="{_x(saved):.1f}" '
        f'y1="{_y(each.low):.1f}" y2="{_y(each.high):.1f}"/>'
        for saved, each in places
        if math.isfinite(each.low) and name != "random"
    )
    return f'{bars}<polyline class="{kind}" points="{points}"/>'


def _labels(found: Recalled, lines: dict[str, Recall]) -> Iterator[str]:
    """The names beside the right ends, moved apart where lines end close together."""
    x = max((_x(saved) for saved in found.saved if math.isfinite(saved)), default=_x(1)) + 8
    below = -math.inf
    for name, recall in sorted(lines.items(), key=lambda each: _y(each[1].kept[0].value)):
        y = max(_y(recall.kept[0].value) + 4, below + _APART)
        below = y
        label = SCORINGS[name].label if name in SCORINGS else "Random"
        yield f'<text x="{x:.1f}" y="{y:.1f}">{label.replace("&", "&amp;")}</text>'


def _x(share: float) -> float:
    return _LEFT + share * (_WIDTH - _RIGHT - _LEFT)


def _y(share: float) -> float:
    return _TOP + (1 - share) * (_HEIGHT - _BOTTOM - _TOP)
