"""Colours, axes and ratios that all figures have in common.

Responsible for looks. Must not read a study.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BLUE, ORANGE, GREEN, GREY, RED, VIOLET = "#3b82f6", "#e08a1e", "#22a06b", "#8b93a1", "#d64545", "#9061d6"
"""Colours that are legible on white and on black."""

PHASES = {
    "baselines": GREY,
    "calibration": VIOLET,
    "search": BLUE,
    "race": BLUE,
    "final": ORANGE,
    "confirm": GREEN,
}
"""Colour of each phase."""

SOFT = "rgba(128,128,128,.25)"
"""Colour of lines that only help to read a value, on white and on black."""

TIMES = 2.0
"""Ratio from which people say `times` and below which they say per cent."""

NICE = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7))
"""Numbers within a power of ten at which a logarithmic axis may have labels, from few to many."""

STEPS_PCT = (1, 2, 5, 10, 25, 50)
"""Steps (%) between the labels of an axis of small gains."""

MOST_TICKS = 7
"""Number of labels of an axis at most: as many fit on a telephone."""


def dot(colour: str, size: int, symbol: str = "circle") -> dict[str, Any]:
    """Returns a marker of plotly."""
    return {"color": colour, "size": size, "symbol": symbol}


def finished(figure: Figure, x: str, y: str, *, height: int = 380) -> Figure:
    """Returns a figure with titles of its axes, a legend above and no background of its own."""
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 45, "r": 12, "t": 10, "b": 45},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hoverlabel={"align": "left"},
        height=height,
    )
    figure.update_xaxes(title=_title(x), gridcolor=SOFT, zeroline=False, automargin=True)
    figure.update_yaxes(title=_title(y), gridcolor=SOFT, zeroline=False, automargin=True)
    return figure


def _title(text: str) -> dict[str, Any]:
    """Returns the title of an axis, no larger than its labels: a telephone cuts longer ones off."""
    return {"text": text, "font": {"size": 11}}


def ratio_axis(ratios: Sequence[float]) -> dict[str, Any]:
    """Returns a logarithmic axis for ratios, all > 0, with labels as people say them."""
    low, high = min([1.0, *ratios]), max([1.0, *ratios])
    if high / low > 2 * TIMES:
        ticks = nice_ticks(low, high)
        texts = [f"{tick:g}x" for tick in ticks]
    else:
        widths = [step for step in STEPS_PCT if 100 * (high - low) / step <= MOST_TICKS - 1]
        step = widths[0] if widths else STEPS_PCT[-1]
        first, last = math.floor(100 * (low - 1) / step), math.ceil(100 * (high - 1) / step)
        ticks = [1 + step * i / 100 for i in range(first, last + 1) if 1 + step * i / 100 > 0]
        texts = ["0" if tick == 1 else f"{100 * (tick - 1):+.0f} %" for tick in ticks]
    return log_axis(low, high, ticks, texts)


def value_axis(values: Sequence[float]) -> dict[str, Any]:
    """Returns a logarithmic axis for values, all > 0."""
    low, high = min(values, default=1.0), max(values, default=1.0)
    ticks = nice_ticks(low, high)
    return log_axis(low, high, ticks, [f"{tick:g}" for tick in ticks])


def nice_ticks(low: float, high: float) -> list[float]:
    """Returns at most `MOST_TICKS` round numbers around a range, or the powers of ten if these are more."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    found: list[float] = []
    for numbers in NICE:
        every = [n * 10.0**power for power in powers for n in numbers]
        within = [tick for tick in every if low / 1.3 <= tick <= high * 1.3]
        if not found or len(within) <= MOST_TICKS:
            found = within
    return found


def log_axis(low: float, high: float, ticks: Sequence[float], texts: Sequence[str]) -> dict[str, Any]:
    """Returns a logarithmic axis with these labels and a margin around a range."""
    margin = max(0.01, 0.06 * math.log10(high / low))
    wanted = [math.log10(low) - margin, math.log10(high) + margin]
    return {"type": "log", "tickvals": list(ticks), "ticktext": list(texts), "range": wanted}
