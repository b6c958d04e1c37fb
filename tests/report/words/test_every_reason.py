"""Every reason that the code can give has words: a value without a sentence would end a study with an error."""

from __future__ import annotations

import re

import pytest

from tests.documents import text_of
from tuner.decision.verdict import Cause
from tuner.records.session_log import Reason
from tuner.report.words import verdict as verdict_module
from tuner.report.words.limits import limit_words
from tuner.report.words.progress import end_words
from tuner.search.strategies import EndReason, SearchEnd
from tuner.statistics.limits import Bound, ConstraintCheck, LimitOutcome


def test_every_cause_of_a_verdict_has_a_sentence_and_every_sentence_a_cause() -> None:
    assert set(verdict_module._WORDS) == set(Cause)


def test_every_reason_of_the_record_has_a_cause_that_leads_to_it() -> None:
    assert {cause.reason for cause in Cause} == set(Reason)


def test_every_reason_of_a_baseline_is_in_the_table_of_verdicts() -> None:
    table = set(
        re.findall(r"^\| `(\w+)` \|", text_of("tuner/README.md").partition("### Verdict")[2], flags=re.MULTILINE)
    )
    assert {reason.value for reason in Reason if not reason.is_tuned} <= table


@pytest.mark.parametrize("reason", EndReason)
def test_every_end_of_a_search_has_words_of_its_own(reason: EndReason) -> None:
    said = {other: end_words(SearchEnd(reason=other, trials=3, cause="crash: boom")) for other in EndReason}
    assert said[reason].startswith("3 ")
    assert said[reason].endswith(": crash: boom")
    assert list(said.values()).count(said[reason]) == 1


def test_the_end_of_a_search_names_trials_or_the_last_failure() -> None:
    assert end_words(SearchEnd(reason=EndReason.TRIALS_DONE, trials=12)) == "12 trials done"
    failed = SearchEnd(reason=EndReason.ALL_FAILED, cause="compile: not supported")
    assert end_words(failed) == "every configuration failed: compile: not supported"


def check_of(outcome: LimitOutcome) -> ConstraintCheck:
    return ConstraintCheck(
        bound=Bound(metric="latency_p99_ms", kind="max", limit=20.0),
        outcome=outcome,
        alpha=0.025,
        requests=700,
        measured=19.0,
        confidence_bound=21.0,
        needed=900,
        found=700,
    )


def test_every_outcome_of_a_limit_that_is_not_kept_has_words_of_its_own() -> None:
    said = {outcome: limit_words(check_of(outcome)) for outcome in LimitOutcome if not check_of(outcome).is_kept}
    assert all(words.startswith("latency_p99_ms: ") and len(words) > 30 for words in said.values()), said
    assert len(set(said.values())) == len(said) == 8
