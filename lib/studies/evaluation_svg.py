"""The charts of an evaluation as SVG, for a page without scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lib.statistics.calibration import Reliability
from lib.statistics.selective import RiskCoverage

Column = NDArray[np.floating]

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 440, 300, 48, 40  # pixels
_MOST_POINTS = 400
_TICKS = (0, 0.25, 0.5, 0.75, 1)


def reliability_svg(found: Reliability) -> str:
    """The share of right answers by stated probability, with the band in which a calibrated model lies, and a rug."""
    keep = _thinned(len(found.p))
    p = found.p[keep]
    band = [*_points(p, found.high[keep]), *reversed(_points(p, found.low[keep]))]
    inside = [
        f'<polygon class="band" points="{_text(band)}"/>',
        f'<polyline class="even" points="{_text(_points([0, 1], [0, 1]))}"/>',
        f'<polyline class="line" points="{_text(_steps(p, found.right[keep]))}"/>',
        *(f'<line class="rug" x1="{_x(at):.1f}" x2="{_x(at):.1f}" y1="{_y(0):.1f}" y2="{_y(0) - 6:.1f}"/>' for at in p),
    ]
    return _chart("Reliability diagram", "Probability", "Share that is right", 1.0, inside)


def risk_svg(found: RiskCoverage) -> str:
    """The share of wrong answers among those that are kept, by the share kept."""
    keep = _thinned(len(found.coverage))
    coverage, last = found.coverage[keep], float(found.risk[-1])
    ideal = np.maximum(coverage - (1 - last), 0) / coverage
    top = max(float(found.risk.max()), last, 0.01)
    inside = [
        f'<polyline class="even" points="{_text(_points([0, 1], [last, last], top))}"/>',
        f'<polyline class="even" points="{_text(_points(coverage, ideal, top))}"/>',
        f'<polyline class="line" points="{_text(_points(coverage, found.risk[keep], top))}"/>',
    ]
    return _chart("Risk by coverage", "Answers kept, most confident first", "Wrong among them", top, inside)


def histogram_svg(p: Column, right: NDArray[np.bool_]) -> str:
    """How many right answers, upwards, and wrong ones, downwards, have each probability, in twenty bins."""
    edges = np.linspace(0, 1, 21)
    upwards, downwards = (np.histogram(p[which], edges)[0] for which in (right, ~right))
    most = max(int(upwards.max()), int(downwards.max()), 1)
    middle, half = _y(0.5), _y(0) - _y(0.5)
    bars = []
    for name, counts in (("right", upwards), ("wrong", downwards)):
        for left, following, count in zip(edges, edges[1:], counts, strict=False):
            tall = half * count / most
            top = middle - tall if name == "right" else middle
            wide = _x(float(following)) - _x(float(left)) - 1
            bars.append(
                f'<rect class="{name}" x="{_x(float(left)):.1f}" y="{top:.1f}" width="{wide:.1f}" height="{tall:.1f}"/>'
            )
    labels = (
        f'<text x="{_LEFT + 6}" y="{_y(1) + 12:.1f}">right, at most {most:,} a bin</text>'
        f'<text x="{_LEFT + 6}" y="{_y(0) - 6:.1f}">wrong</text>'
    )
    return _frame("Confidence of right and wrong answers", "Probability", "Answers", "".join((*bars, labels)))


def _chart(title: str, x: str, y: str, top: float, inside: Iterable[str]) -> str:
    ticks = []
    for share in _TICKS:
        height = _y(share)
        ticks.append(f'<text x="{_LEFT - 6}" y="{height + 4:.1f}" text-anchor="end">{share * top:.0%}</text>')
        ticks.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{height:.1f}" y2="{height:.1f}"/>')
    return _frame(title, x, y, "".join((*ticks, *inside)))


def _frame(title: str, x: str, y: str, inside: str) -> str:
    """A chart with its labels, and the shares along its lower edge."""
    middle, edge = (_LEFT + _WIDTH) / 2, _HEIGHT - _BOTTOM
    shares = "".join(
        f'<text x="{_x(share):.1f}" y="{edge + 16}" text-anchor="middle">{share:.0%}</text>' for share in _TICKS
    )
    labels = (
        f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{x}</text>'
        f'<text transform="rotate(-90)" x="{-edge / 2}" y="12" text-anchor="middle">{y}</text>'
    )
    content = f"{shares}{inside}{labels}"
    return f'<svg role="img" aria-label="{title}" viewBox="0 0 {_WIDTH + 8} {_HEIGHT}">{content}</svg>'


def _x(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT)


def _y(share: float) -> float:
    return 8 + (1 - share) * (_HEIGHT - _BOTTOM - 8)


def _points(x: Column | Sequence[float], y: Column | Sequence[float], top: float = 1.0) -> list[tuple[float, float]]:
    return [(_x(float(across)), _y(float(up) / top)) for across, up in zip(x, y, strict=True)]


def _steps(x: Column, y: Column) -> list[tuple[float, float]]:
    """A line that stays at each value until the next one begins."""
    points = _points(x, y)
    found = points[:1]
    for before, after in pairwise(points):
        found += [(after[0], before[1]), after]
    return found


def _text(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{across:.1f},{up:.1f}" for across, up in points)


def _thinned(count: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).astype(np.intp))
