"""The result of a study, read off its record alone.

Responsible for verdicts and confirmations. Must not measure or write.
"""

from __future__ import annotations

from dataclasses import dataclass

from tuner.bench.configuration import DeploymentConfig
from tuner.decision.confirmation import Confirmation, read_confirmation
from tuner.decision.pareto_confirmation import Front, read_front
from tuner.evidence.state import StudyState
from tuner.planning.selection import is_larger, runner_up
from tuner.records.session_log import Answer, Reason, VerdictLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The verdict that a study ended with, and the configuration to deploy."""

    line: VerdictLine
    config: DeploymentConfig
    """The winner, the knee of the front, or the baseline that is deployed in their place."""
    reference: str
    """Name of the strongest baseline, with which a winner is compared."""
    baseline: str
    """Name of the baseline that is deployed if no winner is."""
    today: str | None = None
    """Name of today's baseline; None if it failed, and in records of earlier versions."""
    is_reference_feasible: bool
    confirmation: Confirmation | None
    front: Front | None = None
    """The front; None for one objective."""

    @property
    def is_tuned(self) -> bool:
        """True if a candidate is deployed."""
        return self.line.verdict == "tuned"

    @property
    def is_answer(self) -> bool:
        """False if no configuration ran or none keeps the limits; the result is then the nearest to the limits."""
        if self.line.answer is not None:
            return self.line.answer is not Answer.NONE
        return self.is_tuned or (self.line.reason != Reason.FAILED and self.is_reference_feasible)


def is_finished(state: StudyState) -> bool:
    """Returns True if there is a verdict for this budget, and no runner-up to confirm."""
    verdicts = state.log.verdicts()
    if not verdicts or is_larger(state.study.budget, verdicts[-1]):
        return False
    return state.log.confirmation(len(verdicts) + 1) is None and runner_up(state) is None


def read_result(state: StudyState) -> Result:
    """Returns the best verdict of all attempts.

    A gain once confirmed stays, unless a later attempt proved a larger one, and so does the gain of a hint over what
    runs today where no winner was found. Of fronts the latest that was confirmed counts.
    """
    results = [_read_attempt(state, line) for line in state.log.verdicts()]
    tuned = [result for result in results if result.is_tuned]
    if state.study.objective.has_several:
        return (tuned or results)[-1]
    if tuned:
        return max(tuned, key=_proved_log)
    hints = [result for result in results if result.line.answer is Answer.HINT]
    return (hints or results)[-1]


def _read_attempt(state: StudyState, line: VerdictLine) -> Result:
    plan = state.log.confirmation(line.attempt)
    found = read_confirmation(state, plan) if plan else None
    front = read_front(state, found) if state.study.objective.has_several else None
    reference = plan.reference if plan else state.reference.name
    today = state.reference.today if line.answer is not None else None
    stays = line.answer is Answer.NOTHING or (line.answer is Answer.NONE and line.reason is Reason.FAILED)
    baseline = today if stays and today is not None else reference
    config = state.setup.baselines[baseline]
    if front is not None:
        if front.knee is not None and (line.verdict == "tuned" or front.knee.is_baseline):
            config = front.knee.config
    elif plan is not None and line.verdict == "tuned":
        config = plan.members[0]  # a verdict `tuned` has a winner
    return Result(
        line=line,
        config=config,
        reference=reference,
        baseline=baseline,
        today=today,
        is_reference_feasible=found.is_reference_feasible if found else state.reference.ranking.is_feasible,
        confirmation=found,
        front=front,
    )


def _proved_log(result: Result) -> float:
    """Returns the lower bound of the gain (log-ratio)."""
    interval = result.confirmation.interval if result.confirmation else None
    return interval.low if interval else 0.0
