"""Runs the search: asks for points, measures them beside the reference and tells Optuna the answers.

Must not know why a point is chosen: `strategies.py` chooses, `optuna_study.py` numbers, `search_time.py` ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner.bench.configuration import DeploymentConfig, Failure
from tuner.bench.protocol import Role, SessionMember
from tuner.evidence.candidates import Candidate
from tuner.evidence.state import StudyState
from tuner.evidence.trials import answer_of, trials_of
from tuner.phases.progress import Measuring, SpaceEnumerated, SpaceTooLarge
from tuner.phases.runner import SessionRunner
from tuner.phases.search_time import SearchTime, end_of, failure_of, race_blocks, remaining_trials
from tuner.planning.budget import StudyPlan
from tuner.planning.session_plan import plan_session
from tuner.search.enumeration import SpaceEnumeration
from tuner.search.known import KnownConfigurations
from tuner.search.optuna_study import Search
from tuner.search.stopping import SHORT_SEARCH_S, trial_rule
from tuner.search.strategies import NEED_LISTING, STRATEGIES, EndReason, Knowledge, SearchEnd
from tuner.study.space import Assignment
from tuner.study.trial import Answer, Proposal

SEARCH_BLOCKS = 1000
"""Number of blocks that no trial reaches, because its stop rule ends it."""


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
            # Time is checked before a single trial is chosen, but after a race has said that it is complete.
            if not strategy.is_race and (end := end_of(self.known, self.time, is_new=True)) is not None:
                return end
            chosen = strategy.choose(self.knowledge(), (), self.time.group_size() if strategy.is_race else 1)
            if isinstance(chosen, SearchEnd):
                return chosen
            if not strategy.is_race:
                for point in chosen:
                    self.try_one(point)
                continue
            if (end := end_of(self.known, self.time, is_new=False)) is not None:
                return end
            self.measure([self.proposal(point) for point in chosen if point is not None], is_race=True)

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

    def try_one(self, point: Assignment | None) -> None:
        """Measures a point, or one that Optuna's sampler proposes; a known point is answered and is no trial."""
        proposal = self.search.propose(point)
        config = self.state.setup.configuration(proposal.assignment)
        effective = self.runner.resolve(config)
        self.repeats += 1
        if isinstance(effective, Failure):
            self.known.refused[config.properties_key] = effective
            self.tell(proposal.number, Answer(failure=str(effective)))
        elif (answer := self.known.answer(effective.key)) is not None:
            self.search.duplicates += 1
            self.tell(proposal.number, answer)
        else:
            self.repeats = 0
            self.measure([proposal], is_race=False)

    def proposal(self, point: Assignment) -> Proposal:
        """Returns the trial of a member of a race: its trial of the first stage, or a new trial."""
        effective = self.runner.resolve(self.state.setup.configuration(point))
        known = None if isinstance(effective, Failure) else self.known.candidate(effective.key)
        if known is not None and known.trial is not None:
            return Proposal(number=known.trial, assignment=dict(known.assignment or point))
        return self.search.propose(point)

    def measure(self, group: Sequence[Proposal], *, is_race: bool) -> None:
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
        search_s = self.time.plan.search_s
        rule = trial_rule(
            state.study.objective,
            window_sd=reference.noise.window_sd,
            window_s=reference.window_s,
            is_short=search_s is not None and search_s < SHORT_SEARCH_S,
            incumbent_gain=best.value if best else 0.0,
        )
        if is_race:
            plan = plan_session(state, reference, "race", blocks=race_blocks(state))
        else:
            plan = plan_session(state, reference, "search", blocks=SEARCH_BLOCKS, stop=rule)
        told = {c.trial for c in state.candidates.values()}
        members = [SessionMember(config=reference.configuration, role=Role.REFERENCE), *candidates]
        line = self.runner.measure(members, plan, duplicates=self.search.duplicates)
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
