"""Waits, before a session, until a host that turned bad is calm again: for a minute at most, outside the budget.

Knows the covariates of the last windows and a look at the host; not what was measured. Time and host are injected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tuner.bench.measurement import HostActivity
from tuner.bench.protocol import Clock
from tuner.records.session_log import SessionLine
from tuner.report.words.host import warning
from tuner.statistics.disturbance import MUCH_WORSE, mean_load, windows_of

BAD_OTHER_PCT, BAD_STEAL_PCT = 25.0, 15.0
"""Far beyond what spoils a window: of 12 studies on a shared 2-core VM those beside test suites on both cores saw 33 to
40 % of other load, all others below 2 % in nine sessions of ten; 15 % of steal was seen in 1 % of the windows."""

LAST_TURNS = 2
"""The last second or so of a session: two windows of 0.4 s with their ramps."""

LOOK_S = 0.5
"""One look at the host: on 2 CPUs a hundred scheduler ticks."""

REST_S = 10.0
"""Steal and heat do not show while nobody computes: there a pause is a rest, and the next windows tell."""

PAUSE_LIMIT_S = 60.0

PAUSE_SHARE = 0.25
"""Of the budget: who asked for one minute does not wait another one."""

QUIET_S = 600.0
"""After so long without a pause there may be a minute of pauses again: a host that is always busy is measured busy."""

Say = Callable[[str], None]


class Watch(Protocol):
    def before_session(self, earlier: Sequence[SessionLine], say: Say) -> None:
        """May wait. `earlier`: what is on record; `say` gets a line where there is a pause, and at its end."""


class NoWatch:
    """For benches that are no host: never waits."""

    def before_session(self, earlier: Sequence[SessionLine], say: Say) -> None:
        return None


@dataclass(slots=True, kw_only=True)
class HostWatch:
    """Watches a real host.

    A session begins at once where the last windows of the one before were not bad, so that watching costs nothing;
    where they were, and before the first session of a run, a look at the host decides. What is bad is far worse than
    windows that are left out, and far worse than the baselines' session, on which the plan rests.
    """

    now: Clock
    sleep: Callable[[float], None]
    look: Callable[[float], HostActivity]
    """The load of the host over the next so many seconds."""
    limit_s: float = PAUSE_LIMIT_S
    _seen: int | None = field(default=None, init=False)
    """Sessions on record when the one before began; None before the first of this run."""
    _waited_s: float = field(default=0.0, init=False)
    """In all, looks and pauses."""
    _used_s: float = field(default=0.0, init=False)
    """Of the limit, since there last was a long time without a pause."""
    _ended_s: float = field(default=-math.inf, init=False)
    """The last pause."""
    _is_warned: bool = field(default=False, init=False)

    def clock(self) -> float:
        """For the study: stands still while it is paused."""
        return self.now() - self._waited_s

    def before_session(self, earlier: Sequence[SessionLine], say: Say) -> None:
        begin_s = self.now()
        try:
            self._wait(earlier, say)
        finally:
            self._waited_s += self.now() - begin_s

    def _wait(self, earlier: Sequence[SessionLine], say: Say) -> None:
        is_first, usual, load = self._seen is None, _usual(earlier), HostActivity()
        if self._seen is not None and len(earlier) > self._seen:
            load = _last(earlier[-1])
        self._seen = len(earlier)
        if not is_first and not _bad(load, usual):
            return
        if self.now() - self._ended_s >= QUIET_S:
            self._used_s, self._is_warned = 0.0, False
        remaining_s = self.limit_s - self._used_s
        if remaining_s < LOOK_S:
            words = warning(load, when="just now")
            if words and not self._is_warned:
                self._is_warned = True
                say(words)
            return
        if is_first or _bad(load, usual) == "other":
            load = self.look(LOOK_S)
            if _bad(load, usual) == "other":
                self._pause(remaining_s, load, usual, say)
        else:
            self._rest(min(remaining_s, REST_S), load, usual, say)

    def _pause(self, remaining_s: float, load: HostActivity, usual: HostActivity, say: Say) -> None:
        percent = f"{load.other_cpu_pct:.0f} %"
        say(f"paused: other processes use {percent} of the CPUs; waiting up to {remaining_s:.0f} s for them to calm")
        begin_s, is_calm = self.now(), False
        while not is_calm and self.now() - begin_s + LOOK_S <= remaining_s:
            is_calm = _bad(self.look(LOOK_S), usual) != "other"
        waited_s = self._ended(begin_s)
        if is_calm:
            say(f"calm again after {waited_s:.0f} s: measuring goes on")
        else:
            say(f"still busy after {waited_s:.0f} s: measuring goes on, results are noisier")

    def _rest(self, rest_s: float, load: HostActivity, usual: HostActivity, say: Say) -> None:
        why = "the CPUs were slowed down by heat"
        if _bad(load, usual) == "steal":
            why = f"the hypervisor gives {load.steal_pct:.0f} % of the CPUs to other guests"
        say(f"paused: {why}; waiting {rest_s:.0f} s")
        begin_s = self.now()
        self.sleep(rest_s)
        say(f"measuring goes on after {self._ended(begin_s):.0f} s")

    def _ended(self, begin_s: float) -> float:
        """How long the pause took that ends now."""
        self._ended_s = self.now()
        waited_s = self._ended_s - begin_s
        self._used_s += waited_s
        return waited_s


def _usual(earlier: Sequence[SessionLine]) -> HostActivity:
    """What the plan of this study was made under: the load while its baselines were measured."""
    lines = [line for line in earlier if line.phase == "baselines"]
    return mean_load(windows_of([lines[-1].session])) if lines else HostActivity()


def _last(line: SessionLine) -> HostActivity:
    windows = sorted(windows_of([line.session]), key=lambda w: w.turn)
    return mean_load(windows[-LAST_TURNS:])


def _bad(load: HostActivity, usual: HostActivity) -> str:
    """What is bad about it: `other`, `steal` or `heat`; empty where nothing is."""
    if load.other_cpu_pct > max(BAD_OTHER_PCT, MUCH_WORSE * usual.other_cpu_pct):
        return "other"
    if load.steal_pct > max(BAD_STEAL_PCT, MUCH_WORSE * usual.steal_pct):
        return "steal"
    return "heat" if load.thermal_throttles > 0 else ""
