"""Comments and names in the code: documents that they cite exist, and retired words are gone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.documents import ROOT, WRITTEN

FILES = sorted(path for folder in ("tuner", "tests") for path in (ROOT / folder).rglob("*.py"))
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))

RETIRED = re.compile(
    r"(?<![a-z])(campaigns?|standings?|judge?ments?|seats?|play.?offs?|contests?|rivals?|twins?|lineups?|k_max|"
    r"hopeless|moods?|spoil(?:s|t|ed|er|ers)?|crews?|staff|bur(?:y|ied)|obituar(?:y|ies)|false wins?|who(?:ever)?|"
    r"nobody|everybody)(?![a-z])",
    flags=re.IGNORECASE,
)
"""Words that the glossary of tuner/README.md replaced; house style knows no persons among configurations."""

ON_DISK = {
    "tuner/bench/measurement.py": {"lineup"},
    "tuner/records/confirmation_plan.py": {"k_max"},
    "tests/test_documents.py": None,
    "tests/test_words.py": None,
}
"""Files that may use a word: they hold a key of files on disk, or this list. None allows every word."""

NOT_YET: set[str] = {
    "tests/bench/session/test_session.py",
    "tests/bench/simulated/test_replay.py",
    "tests/bench/simulated/test_synthetic.py",
    "tests/bench/test_conformance.py",
    "tests/bench/worker/test_worker_failures.py",
    "tests/deploy/test_front_file.py",
    "tests/deploy/test_replicas.py",
    "tests/model/test_batching.py",
    "tests/phases/test_arriving_requests.py",
    "tests/phases/test_final.py",
    "tests/phases/test_order.py",
    "tests/phases/test_same_bytes.py",
    "tests/phases/test_search.py",
    "tests/study/file/test_yaml_document.py",
    "tests/test_life.py",
    "tuner/bench/worker/contamination.py",
    "tuner/deploy/best_file.py",
    "tuner/deploy/front_file.py",
    "tuner/search/stopping.py",
    "tuner/search/strategies.py",
}
"""Files that still use retired words. Each that is cleaned leaves the list."""

CITED = re.compile(r"(?<![\w.*/-])(?:[\w-]+/)*[\w-]+\.md\b")
MADE = {"notes.md"}
"""Names of documents that a script writes."""


@each_file
def test_every_document_that_the_code_cites_is_in_the_repository(path: Path) -> None:
    cited = set(CITED.findall(path.read_text())) - MADE
    names = {Path(document).name for document in (*WRITTEN, "CHANGELOG.md", "results/benchmarks.md")}
    assert [name for name in cited if not ((ROOT / name).exists() or ("/" not in name and name in names))] == []


@each_file
def test_the_code_uses_the_words_of_the_glossary(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    allowed = ON_DISK.get(name, set())
    found = {word.lower() for word in RETIRED.findall(path.read_text())}
    if allowed is not None and name not in NOT_YET:
        assert found - allowed == set()
