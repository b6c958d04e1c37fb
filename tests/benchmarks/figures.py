"""The figures of the published page, as SVG. Knows the files that the other scripts leave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

try:
    import matplotlib
except ImportError:
    raise SystemExit("the page's figures need matplotlib: pip install -e '.[dev]'") from None

matplotlib.use("svg")
import matplotlib.pyplot as plt

from tuner.bench.measurement import Windows
from tuner.bench.metrics import METRICS
from tuner.records.confirmation_plan import ConfirmationPlan
from tuner.records.session_log import read_log
from tuner.statistics.sequential_test import alpha_per_look, gain_pct, interval
from tuner.statistics.session_effect import session_value

COLORS = {"auto": "#0b6e4f", "tpe": "#3a7ca5", "random": "#8d99ae", "grid": "#c9a227", "plain": "#bc4749"}


def read_all(folder: Path, pattern: str, key: str) -> list[dict[str, Any]]:
    return [one for path in sorted(folder.glob(pattern)) for one in json.loads(path.read_text())[key]]


def pick(found: Sequence[dict[str, Any]], **wanted: object) -> list[dict[str, Any]]:
    return [one for one in found if all(one[key] == value for key, value in wanted.items())]


def draw(folder: Path, out: Path, strategies: Sequence[str]) -> None:
    """Draws the figures as SVG; a figure without data in `folder` stays as it is."""
    out.mkdir(parents=True, exist_ok=True)
    _draw_regret(folder, out, strategies)
    _draw_side_by_side(folder, out)
    _draw_null_studies(folder, out)


def _draw_regret(folder: Path, out: Path, strategies: Sequence[str]) -> None:
    replays = pick(read_all(folder, "replay-*.json", "evaluations"), minutes=10.0)
    here = [o for o in replays if not o["table"].endswith("-48")]
    groups = list(dict.fromkeys((o["table"], o["noise"]) for o in here))
    if groups:
        figure, axis = plt.subplots(figsize=(9, 0.42 * len(groups) + 1.2))
        for y, (table, noise) in enumerate(groups):
            for k, strategy in enumerate(strategies):
                for o in pick(here, table=table, noise=noise, strategy=strategy):
                    at = y + 0.14 * (k - 2)
                    axis.plot([o["regret_median_pct"], o["regret_p90_pct"]], [at, at], color=COLORS[strategy], lw=1.5)
                    axis.plot(o["regret_median_pct"], at, "o", ms=4, color=COLORS[strategy])
        axis.set_yticks(range(len(groups)), [f"{t}, {n}" for t, n in groups], fontsize=8)
        axis.invert_yaxis()
        axis.set_xlim(left=-0.3)
        axis.set_xlabel("regret of what is deployed after 10 min, % below the best: median, and to the 90th percentile")
        for strategy in strategies:
            axis.plot([], [], "o-", ms=4, lw=1.5, color=COLORS[strategy], label=strategy)
        axis.legend(fontsize=8, loc="lower right")
        save(figure, out / "regret.svg")


def _draw_side_by_side(folder: Path, out: Path) -> None:
    path = folder / "side" / "side_by_side.json"
    if path.exists():
        content = json.loads(path.read_text())
        figure, axes = plt.subplots(1, len(content["models"]), figsize=(4.6 * len(content["models"]), 3), squeeze=False)
        for axis, (name, model) in zip(axes[0], content["models"].items(), strict=True):
            for y, c in enumerate(model["contenders"].values()):
                gain, claimed = c["own"]["gain"], c["own"]["claimed"]
                if gain:
                    axis.plot([gain["low_pct"], gain["high_pct"]], [y, y], color="#333", lw=2)
                    axis.plot(gain["median_pct"], y, "o", color="#333", label="true, 95 %" if y == 0 else None)
                if claimed:
                    axis.plot(claimed["gain_pct"], y - 0.2, "v", color="#bc4749", label="claimed" if y == 0 else None)
            axis.set_yticks(range(len(model["contenders"])), list(model["contenders"]))
            axis.invert_yaxis()
            axis.set_title(name, fontsize=10)
            axis.set_xlabel("gain over THROUGHPUT, %")
            axis.legend(fontsize=8)
        save(figure, out / "side-by-side.svg")


def _draw_null_studies(folder: Path, out: Path) -> None:
    real = folder / "null-studies.json"
    intervals = null_study_intervals(folder) if real.exists() else []
    if intervals:
        figure, axis = plt.subplots(figsize=(6, 0.28 * len(intervals) + 1))
        for y, (low, high, estimate) in enumerate(intervals):
            axis.plot([low, high], [y, y], color="#3a7ca5", lw=2)
            axis.plot(estimate, y, "o", color="#3a7ca5")
        axis.axvline(0.0, color="#333", lw=0.8)
        axis.set_yticks(range(len(intervals)), [f"study {i}" for i in range(len(intervals))], fontsize=8)
        axis.set_xlabel("gain of the best of twenty copies, %, with the interval shown")
        save(figure, out / "null-studies.svg")


def session_values(folder: Path) -> list[tuple[ConfirmationPlan, list[float]]]:
    """Returns the confirmation of each real A/A study, with the values of its sessions."""
    found = []
    for path in sorted(folder.glob("null-study-*/sessions.jsonl")):
        log = read_log(path)
        plan = log.confirmation(1)
        if plan is None:
            continue
        values = []
        for line in log.sessions("confirm"):
            reference, winner = line.session.members
            if isinstance(reference, Windows) and isinstance(winner, Windows):
                value = session_value(METRICS["throughput"], winner, reference)
                values += [] if value is None else [value]
        found.append((plan, values))
    return found


def null_study_intervals(folder: Path) -> list[tuple[float, float, float]]:
    """Returns low, high and estimate (%) of each real A/A study that reached a look."""
    found = []
    for plan, values in session_values(folder):
        due = [n for n in plan.looks if n <= len(values)]
        if due:
            one = interval(values[: due[-1]], alpha_per_look(plan.looks[-1], plan.alpha), sd_floor=plan.sd_floor)
            found.append((gain_pct(one.low), gain_pct(one.high), gain_pct(one.estimate)))
    return found


def save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
