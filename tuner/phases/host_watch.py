"""Waits, before a session, for a host to be calm again: for a minute at most, outside the budget.

Knows the activity of the host in the last windows and in a sample of now, not what was measured. Time and host are
injected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tuner.bench.measurement import HostActivity
from tuner.bench.protocol import Clock
from tuner.phases.host_events import HostBusy, HostEvent, HostPaused, HostResumed, PauseCause, PauseGoesOn
from tuner.records.session_log import SessionLine
from tuner.statistics.disturbance import MUCH_WORSE, mean_load, windows_of

BAD_OTHER_PCT, BAD_STEAL_PCT = 25.0, 15.0
"""Load of other processes and steal (% of the CPUs) above which a study pauses: more than disturbs a window.

Of 12 studies on a shared 2-core VM, those beside test suites on both cores saw 33 to 40 % of other load, all others
below 2 % in nine sessions of ten; 15 % of steal was seen in 1 % of the windows.
"""

LAST_TURNS = 2
"""Number of windows that tell how a session ended: about its last second, two windows of 0.4 s with ramps."""

SAMPLE_S = 0.5
"""Seconds in which the activity of the host is sampled: on 2 CPUs a hundred scheduler ticks."""

REST_S = 10.0
"""Seconds of a rest: without computation steal and heat do not show, and only the next windows tell."""

PAUSE_LIMIT_S = 60.0
"""Seconds of pauses at most, until a host has been measured for `QUIET_S` without one."""

PAUSE_SHARE = 0.25
"""Share of the budget that pauses take at most: a study of one minute does not wait for another minute."""

QUIET_S = 600.0
"""Seconds without a pause after which there may be pauses again; a host that is always busy is measured busy."""

Tell = Callable[[HostEvent], None]


class Watch(Protocol):
    """Watches the host between sessions."""

    def before_session(self, earlier: Sequence[SessionLine], tell: Tell) -> None:
        """Waits if the host is bad.

        `earlier` are the sessions on record; `tell` takes the beginning and the end of a pause.
        """


class NoWatch:
    """Never waits: the watch of benches that are no host."""

    def before_session(self, earlier: Sequence[SessionLine], tell: Tell) -> None:
        """Returns at once."""
        return None


@dataclass(slots=True, kw_only=True)
class HostWatch:
    """Watches a real host.

    A session begins at once if the last windows of the session before it were not bad, so that watching costs nothing.
    If they were bad, and before the first session of a run, a sample of the host decides. A bad host is far worse than
    what disturbs a window, and far worse than in the baselines' session, on which the plan rests.
    """

    now: Clock
    sleep: Callable[[float], None]
    sample_host: Callable[[float], HostActivity]
    """Returns the activity of the host over the next so many seconds."""
    limit_s: float = PAUSE_LIMIT_S
    _seen: int | None = field(default=None, init=False)
    """Number of sessions on record when the session before began; None before the first session of this run."""
    _waited_s: float = field(default=0.0, init=False)
    """Seconds of all samples and pauses."""
    _used_s: float = field(default=0.0, init=False)
    """Seconds of the limit that are used, since there last was a long time without a pause."""
    _ended_s: float = field(default=-math.inf, init=False)
    """Time at which the last pause ended."""
    _is_warned: bool = field(default=False, init=False)
    """True if the user knows that there is no time left to wait."""

    def clock(self) -> float:
        """Returns the time of the study, which stands still while the study is paused."""
        return self.now() - self._waited_s

    def before_session(self, earlier: Sequence[SessionLine], tell: Tell) -> None:
        """Waits if the host is bad and there is time left to wait."""
        begin_s = self.now()
        try:
            self._wait(earlier, tell)
        finally:
            self._waited_s += self.now() - begin_s

    def _wait(self, earlier: Sequence[SessionLine], tell: Tell) -> None:
        is_first, usual, load = self._seen is None, _usual(earlier), HostActivity()
        if self._seen is not None and len(earlier) > self._seen:
            load = _last(earlier[-1])
        self._seen = len(earlier)
        cause = _cause(load, usual)
        if not is_first and cause is None:
            return
        if self.now() - self._ended_s >= QUIET_S:
            self._used_s, self._is_warned = 0.0, False
        remaining_s = self.limit_s - self._used_s
        if remaining_s < SAMPLE_S:
            if cause is not None and not self._is_warned:
                self._is_warned = True
                tell(HostBusy(load=load))
        elif is_first or cause is PauseCause.OTHER:
            load = self.sample_host(SAMPLE_S)
            if _cause(load, usual) is PauseCause.OTHER:
                self._pause(remaining_s, load, usual, tell)
        elif cause is not None:
            self._rest(min(remaining_s, REST_S), cause, load, tell)

    def _pause(self, remaining_s: float, load: HostActivity, usual: HostActivity, tell: Tell) -> None:
        """Waits until other processes have calmed, or the limit is reached."""
        tell(HostPaused(cause=PauseCause.OTHER, load=load, limit_s=remaining_s))
        begin_s, is_calm = self.now(), False
        while not is_calm and self.now() - begin_s + SAMPLE_S <= remaining_s:
            is_calm = _cause(self.sample_host(SAMPLE_S), usual) is not PauseCause.OTHER
            tell(PauseGoesOn(waited_s=self.now() - begin_s, limit_s=remaining_s))
        tell(HostResumed(cause=PauseCause.OTHER, waited_s=self._end_pause(begin_s), is_calm=is_calm))

    def _rest(self, rest_s: float, cause: PauseCause, load: HostActivity, tell: Tell) -> None:
        """Waits for a fixed time."""
        tell(HostPaused(cause=cause, load=load, limit_s=rest_s))
        begin_s = self.now()
        while (waited_s := self.now() - begin_s) < rest_s:
            self.sleep(min(SAMPLE_S, rest_s - waited_s))
            tell(PauseGoesOn(waited_s=self.now() - begin_s, limit_s=rest_s))
        tell(HostResumed(cause=cause, waited_s=self._end_pause(begin_s), is_calm=False))

    def _end_pause(self, begin_s: float) -> float:
        """Notes that a pause ends now and returns the seconds that it took."""
        self._ended_s = self.now()
        waited_s = self._ended_s - begin_s
        self._used_s += waited_s
        return waited_s


def _usual(earlier: Sequence[SessionLine]) -> HostActivity:
    """Returns the load while the baselines were measured, under which this study was planned."""
    lines = [line for line in earlier if line.phase == "baselines"]
    return mean_load(windows_of([lines[-1].session])) if lines else HostActivity()


def _last(line: SessionLine) -> HostActivity:
    """Returns the load at the end of a session."""
    windows = sorted(windows_of([line.session]), key=lambda w: w.turn)
    return mean_load(windows[-LAST_TURNS:])


def _cause(load: HostActivity, usual: HostActivity) -> PauseCause | None:
    """Returns what is bad about a load; None if nothing is."""
    if load.other_cpu_pct > max(BAD_OTHER_PCT, MUCH_WORSE * usual.other_cpu_pct):
        return PauseCause.OTHER
    if load.steal_pct > max(BAD_STEAL_PCT, MUCH_WORSE * usual.steal_pct):
        return PauseCause.STEAL
    return PauseCause.HEAT if load.thermal_throttles > 0 else None
