"""Reads the documents of the repository: their code blocks, commands, tables, links and anchors.

Responsible for Markdown as these documents use it. Must not know what a document says.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WRITTEN = (
    "README.md",
    "configs/README.md",
    "results/README.md",
    "tuner/README.md",
    "tuner/DECISIONS.md",
    "tests/README.md",
)
"""Documents that are written by hand."""
DOCUMENTS = (*WRITTEN, "CHANGELOG.md", "results/benchmarks.md")
"""The same with the history and the page that a script makes."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def text_of(document: str) -> str:
    """Returns the text of a document, named relative to the repository."""
    return (ROOT / document).read_text()


def blocks(document: str, language: str) -> list[str]:
    """Returns the fenced blocks of a document in one language, in their order."""
    return [content for name, content in _FENCE.findall(text_of(document)) if name == language]


def prose(document: str) -> str:
    """Returns a document without its fenced blocks."""
    return _FENCE.sub("", text_of(document))


def inline_code(document: str) -> list[str]:
    """Returns what stands between single backticks outside of the fenced blocks."""
    return re.findall(r"`([^`\n]+)`", prose(document))


def commands(*documents: str) -> list[str]:
    """Returns every `tuner ...` line of the shell blocks, without its comment and without repetitions."""
    lines = [line for document in documents for block in blocks(document, "sh") for line in block.splitlines()]
    found = (shlex.join(shlex.split(line, comments=True)) for line in lines if line.startswith("tuner "))
    return list(dict.fromkeys(found))


def tables(document: str) -> Iterator[list[list[str]]]:
    """Yields the tables of a document: rows of cells, the first row being the header."""
    rows: list[list[str]] = []
    for line in [*prose(document).splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif rows:
            yield [row for row in rows if not all(set(cell) <= set("-: ") for cell in row)]
            rows = []


def links(document: str) -> list[str]:
    """Returns the targets of all links and pictures of a document that point into the repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(document))
    return [target for target in found if "://" not in target]


def anchors(document: str) -> list[str]:
    """Returns the anchors that GitHub makes of the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", prose(document), flags=re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
