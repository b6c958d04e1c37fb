"""A member of a session as the session sees it, and the exceptions that end a member.

Responsible for the protocol between a session and its members, real or simulated. Must not import processes.
"""

from __future__ import annotations

from typing import Protocol

from tuner.bench.configuration import DeploymentConfig, Effective, Failure
from tuner.bench.turn import TurnPlan, TurnResult


class WorkerLost(Exception):
    """Raised when a worker process has ended or was ended; `failure` has the reason."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class CommandFailed(Exception):
    """Raised when a command failed and its process lives; `failure` has the reason."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class ProcessContaminated(Exception):
    """Raised when a compile failed only because of an earlier member of the same process.

    `by` is the configuration of that member, which gets `failure`.
    """

    def __init__(self, by: DeploymentConfig, failure: Failure) -> None:
        super().__init__(str(failure))
        self.by = by
        self.failure = failure


class SystemUnderTest(Protocol):
    """A compiled member that can take turns (the term of MLPerf LoadGen).

    Every method raises CommandFailed or WorkerLost.
    """

    @property
    def effective(self) -> Effective:
        """Effective configuration."""

    @property
    def start_s(self) -> float:
        """Seconds for which this session started the process; 0 if the process was running."""

    @property
    def compile_s(self) -> float:
        """Seconds for which this session compiled the member."""

    @property
    def process(self) -> str:
        """Names of the processes, separated by commas."""

    def settle(self, limit_s: float) -> None:
        """Runs every request once; takes at most `limit_s` beyond what the device needs to settle."""

    def turn(self, plan: TurnPlan, limit_s: float) -> TurnResult:
        """Measures one turn; the member counts as hung after `limit_s`."""
