"""The sentences for how a model behaves, which a user reads before anything is measured.

Responsible for words. Must not decide or compute results.
"""

from __future__ import annotations

from tuner.bench.model_behaviour import StateKept, TimeDependsOnData

SHOWN_VARIABLES = 3
"""Number of variables of a state that are named: a decoder has dozens, whose long names differ in a number."""


def state_lines(event: StateKept) -> list[str]:
    """Returns what a state means for the figures, and a warning if its steps make a long study."""
    names, steps = event.variables, event.steps
    kept = ", ".join([*names[:SHOWN_VARIABLES], *(["..."] if len(names) > SHOWN_VARIABLES else [])])
    said = (
        "as the study says"
        if event.is_stated
        else f"write `load: {{steps: N}}` if a conversation has not {steps} steps"
    )
    lines = [
        f"the model keeps a state from one inference to the next ({len(names)} variables: {kept}): each request "
        f"empties its state after every {steps} inferences, every figure is that of these {steps} steps, and all "
        f"configurations are timed on the same steps; {said}"
    ]
    if event.is_long:
        lines.append(
            f"warning: {steps} steps take about {steps * event.step_s:.0f} s, and each window has all of "
            f"them: fewer steps make a shorter study, such as `load: {{steps: {max(1, event.timed_steps // 2)}}}`"
        )
    return lines


def data_line(event: TimeDependsOnData) -> str:
    """Returns what a time that depends on the data means for the figures."""
    return (
        f"the time of an inference depends on the data: {1e3 * event.fastest_s:.3g} ms on one random input, "
        f"{1e3 * event.slowest_s:.3g} ms on another, again and again; figures hold for such data: give inputs the "
        "`range` that the application has"
    )
