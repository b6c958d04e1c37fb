"""Real sessions with short windows, which wait for no calm host: for what a study writes, not what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tuner.bench.measurement import Session
from tuner.bench.protocol import Progress, SessionRequest
from tuner.bench.worker.worker_bench import WorkerBench
from tuner.commands import run

SHORTER = 40
"""Number of times that windows are shorter: 10 ms, in which a small model runs some hundred requests."""
EVERYTHING = 10.0
"""Is steady: windows so short differ by more than what is waited for, up to 5 s for each member."""


def shorten(set_attribute: Callable[[object, str, object], None] = setattr) -> None:
    """From now on in this process; `set_attribute` may take it back."""
    measure = WorkerBench.measure

    def measure_shortly(bench: WorkerBench, request: SessionRequest, progress: Progress | None = None) -> Session:
        shorter = {name: getattr(request.plan, name) / SHORTER for name in ("window_s", "warm_up_s", "drop_s")}
        plan = replace(request.plan, **shorter, steady_tolerance=EVERYTHING)
        return measure(bench, replace(request, plan=plan), progress)

    set_attribute(WorkerBench, "measure", measure_shortly)
    set_attribute(run, "PAUSE_LIMIT_S", 0.0)
