"""Runs the search: asks for points, measures them beside the reference and tells Optuna the answers.

Must not know why a point is chosen: `strategies.py` chooses, `optuna_study.py` numbers, `search_time.py` ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tuner.bench.configuration import DeploymentConfig, Failure
from tuner.bench.protocol import Phase, Role, SessionMember
from tuner.evidence.candidates import Candidate
from tuner.evidence.state import StudyState
from tuner.evidence.trials import answer_of, trials_of
from tuner.phases.progress import Measuring, SpaceEnumerated, SpaceTooLarge
from tuner.phases.runner import SessionRunner
from tuner.phases.search_time import SearchTime, end_of, failure_of, remaining_trials
from tuner.planning.budget import StudyPlan
from tuner.planning.session_plan import plan_session
from tuner.search.enumeration import SpaceEnumeration
from tuner.search.known import KnownConfigurations
from tuner.search.optuna_study import Search
from tuner.search.stopping import trial_rule
from tuner.search.strategies import NEED_LISTING, STRATEGIES, EndReason, Knowledge, SearchEnd
from tuner.statistics.session_effect import Estimate
from tuner.study.space import Assignment
from tuner.study.trial import Answer, Proposal

SEARCH_BLOCKS = 1000
"""Number of blocks that no trial reaches, because its stop rule ends it."""

NO_GAIN = Estimate(value=0.0, sd=0.0)
"""Gain of the reference over itself: the incumbent before any candidate keeps the limits."""


def explore(runner: SessionRunner, plan: StudyPlan, search: Search, enumeration: SpaceEnumeration | None) -> SearchEnd:
    """Measures candidates until the time, the trials or the space are used up, and returns why the search ended.

    `search` agrees with the record already. `enumeration` is the space as the device sees it, None where it is too
    large to be listed.
    """
    state, sampler = runner.state, runner.state.study.sampler
    if enumeration is None and sampler in NEED_LISTING:
        runner.tell(SpaceTooLarge(sampler=sampler))
    if enumeration is not None:
        runner.tell(SpaceEnumerated(enumeration=enumeration))
    names = {key: name for name, key in state.reference.baseline_keys.items()}
    known = KnownConfigurations(state=state, resolve=runner.resolve, baselines=names)
    time = SearchTime(state=state, plan=plan, clock=runner.clock)
    end = _Exploration(runner=runner, search=search, enumeration=enumeration, known=known, time=time).run()
    return failure_of(known) or end


@dataclass(slots=True, kw_only=True)
class _Exploration:
    """One run of the search phase."""

    runner: SessionRunner
    search: Search
    enumeration: SpaceEnumeration | None
    known: KnownConfigurations
    time: SearchTime
    repeats: int = 0
    """Number of proposals that were answered since the last measured one."""
    duplicates: list[tuple[int, str]] = field(default_factory=list)
    """Number and effective key of each trial that waits for the answer to an equal one."""

    @property
    def state(self) -> StudyState:
        """State of the study."""
        return self.runner.state

    def run(self) -> SearchEnd:
        """Asks, measures and tells until the strategy or the budget ends the search."""
        if self.enumeration is not None and self.enumeration.is_broken:
            return SearchEnd(reason=EndReason.ALL_FAILED, cause=str(self.enumeration.refused[-1]))
        strategy = STRATEGIES[self.state.study.sampler](self.knowledge())
        while True:
            chosen = strategy.choose(self.knowledge(), (), self.time.group_size())
            if isinstance(chosen, SearchEnd):
                return chosen
            is_new = any(point is None or self.known.is_new(point) for point in chosen.points)
            if (end := end_of(self.known, self.time, is_new=is_new)) is not None:
                return end
            if self.time.is_better_spent(chosen):
                return SearchEnd(reason=EndReason.BEST_UNSURE)
            group = self.proposals(chosen.points)
            if group:
                self.measure(group, strategy.phase)
            self.answer_duplicates()

    def knowledge(self) -> Knowledge:
        """Returns the facts that a strategy may use."""
        return Knowledge(
            state=self.state,
            configurations=self.known,
            enumeration=self.enumeration,
            proposals=len(self.search.trials()),
            repeats=self.repeats,
            remaining_trials=remaining_trials(self.state),
        )

    def proposals(self, points: Sequence[Assignment | None]) -> list[Proposal]:
        """Returns the trials to measure: one for each point, and for each None one that Optuna's sampler proposes.

        A point that was measured before keeps its trial. What the sampler proposes again is answered and is no trial.
        """
        group: list[Proposal] = []
        keys: set[str] = set()
        for point in points:
            proposal = self.proposal(point)
            config = self.state.setup.configuration(proposal.assignment)
            effective = self.runner.resolve(config)
            if isinstance(effective, Failure):
                self.known.refused[config.properties_key] = effective
                self.tell(proposal.number, Answer(failure=str(effective)))
            elif effective.key in keys or (point is None and self.known.is_known(effective.key)):
                self.duplicates.append((proposal.number, effective.key))
            else:
                keys.add(effective.key)
                group.append(proposal)
        self.repeats = 0 if group else self.repeats + len(points)
        return group

    def answer_duplicates(self) -> None:
        """Tells Optuna what is known of the points that were proposed again; others wait for a later session."""
        waiting, self.duplicates = self.duplicates, []
        for number, key in waiting:
            if (answer := self.known.answer(key)) is None:
                self.duplicates.append((number, key))
                continue
            self.search.duplicates += 1
            self.tell(number, answer)

    def proposal(self, point: Assignment | None) -> Proposal:
        """Returns the trial of a point: the trial that measured it before, or a new one."""
        if point is not None:
            effective = self.runner.resolve(self.state.setup.configuration(point))
            known = None if isinstance(effective, Failure) else self.known.candidate(effective.key)
            if known is not None and known.trial is not None:
                return Proposal(number=known.trial, assignment=dict(known.assignment or point))
        return self.search.propose(point)

    def measure(self, group: Sequence[Proposal], phase: Phase) -> None:
        """Measures one session of the reference and the group, and tells Optuna of trials that it does not know."""
        state, reference = self.state, self.state.reference
        candidates = [
            SessionMember(
                config=state.setup.configuration(p.assignment),
                role=Role.CANDIDATE,
                trial=p.number,
                assignment=p.assignment,
            )
            for p in group
        ]
        best = self.known.incumbent()
        self.show(best, [candidate.config for candidate in candidates])
        plan = plan_session(state, reference, phase, blocks=SEARCH_BLOCKS)
        rule = trial_rule(
            state.study.objective,
            window_sd=reference.noise.window_sd_of(plan.window_s),
            window_s=plan.window_s,
            incumbent=best.estimates[0] if best else NO_GAIN,
        )
        told = {c.trial for c in state.candidates.values()}
        members = [SessionMember(config=reference.configuration, role=Role.REFERENCE), *candidates]
        line = self.runner.measure(members, replace(plan, stop=rule), duplicates=self.search.duplicates)
        self.time.measured_s += line.session.wall_s
        for number, _, i in trials_of(line):
            if number not in told:
                self.tell(number, answer_of(state, line, i))

    def tell(self, number: int, answer: Answer) -> None:
        """Tells Optuna the answer to a proposal."""
        self.search.tell(
            number,
            value=answer.value,
            others=answer.others,
            failure=answer.failure,
            constraints=answer.constraints,
            record=answer.record,
        )

    def show(self, incumbent: Candidate | None, configs: Sequence[DeploymentConfig]) -> None:
        """Shows how far the search is."""
        candidates, reference = self.state.candidates.values(), self.state.reference
        self.runner.show(
            "search",
            Measuring(configurations=tuple(configs)),
            reference=reference.name,
            incumbent=incumbent.config if incumbent else None,
            incumbent_gain=incumbent.value if incumbent else None,
            trials=sum(1 for c in candidates if c.is_measured),
            failures=sum(1 for c in candidates if c.failure is not None) + len(self.known.refused),
            duplicates=self.search.duplicates,
            noise=reference.noise.window_sd,
        )
