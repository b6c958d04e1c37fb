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
    "tuner/bench/worker/contamination.py": {"spoils"},
    "tuner/deploy/best_file.py": {"who"},
    "tuner/deploy/front_file.py": {"who"},
    "tests/test_architecture.py": {"who", "whoever"},
    "tests/test_documents.py": None,
    "tests/test_words.py": None,
}
"""Files that may use a word: they hold a key of files on disk, or this list. None allows every word."""

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
    if allowed is not None:
        assert found - allowed == set()
