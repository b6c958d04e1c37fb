"""The words for the state of a run: what is measured, and how much time is left.

Responsible for words. Must not decide or compute results.
"""

from __future__ import annotations

from dataclasses import replace

from tuner.phases.progress import Measuring, Status
from tuner.report.words.configuration import name_by
from tuner.report.words.gain import amount_words


def status_line(status: Status) -> str:
    """Returns one line with everything known: phase, remaining time, incumbent, counts, noise."""
    words: list[str] = [status.phase]
    if status.remaining_s is not None:
        words.append(left_words(status.remaining_s))
    if status.incumbent is not None:
        known = status.incumbent_gain is not None
        gain = f" {amount_words(status.metric, status.incumbent_gain or 0.0)}" if known else ""
        words.append(f"best so far{gain}: {name_by(status.incumbent, status.differing)}")
    if status.trials or status.duplicates or status.failures:
        words.append(f"{status.trials} trials, {status.duplicates} repeats, {status.failures} failures")
    if status.noise is not None:
        words.append(f"noise {100 * status.noise:.0f} %")
    if measuring := measuring_words(status):
        words.append(measuring)
    return " | ".join(words)


def news_of(status: Status) -> str:
    """Returns what a status tells apart from the time: statuses with the same news are one line."""
    if status.phase == "enumeration":  # Its configurations are counted, up to thousands of them.
        status = replace(status, measuring=Measuring())
    return status_line(replace(status, remaining_s=None))


def left_words(remaining_s: float) -> str:
    """Returns the seconds that are left of a budget, negative beyond it, in minutes and seconds."""
    minutes, seconds = divmod(int(abs(remaining_s)), 60)
    return f"{minutes}:{seconds:02d} {'left' if remaining_s >= 0.0 else 'over the budget'}"


def measuring_words(status: Status) -> str:
    """Returns what is being measured, in one line."""
    now = status.measuring
    count = len(now.configurations)
    names = [name_by(config, status.differing) for config in now.configurations]
    return {
        "preflight": "one inference on the device",
        "writing": "best.yaml and report.html",
        "enumeration": f"configuration {now.session} of the space compiles",
        "baselines": ", ".join(now.baselines),
        "calibration": "against itself",
        "race": f"{count} at once",
        "search": names[0] if count == 1 else f"{count} at once",
        "final": f"{count} candidates{', the best from the second best' if now.is_refinement else ''}",
        "confirm": f"session {now.session} of {now.max_sessions}, {count} points"
        if count > 1
        else f"session {now.session} of at most {now.max_sessions}{'' if count else ', baselines alone'}",
        "measure": f"session {now.session} of {now.max_sessions}: {', '.join(names or now.baselines)}",
    }[status.phase]
