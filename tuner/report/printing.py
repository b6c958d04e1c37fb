"""Prints the answer of a command on stdout, as JSON or for a person to read.

Responsible for the choice of the two. Imports Rich only where it prints, since that takes long.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from tuner.report.stream import say

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tuner.phases.progress import Event

T = TypeVar("T")


def print_result(
    result: T, as_json: bool, to_json: Callable[[T], Any], to_lines: Callable[[T], Sequence[RenderableType]]
) -> None:
    """Prints the answer of a command on stdout, as JSON or for a person to read."""
    from tuner.report.terminal import print_lines

    if as_json:
        print_json(to_json(result))
    else:
        print_lines(to_lines(result), sys.stdout)


def print_json(content: Any) -> None:
    """Prints plain values as JSON on stdout."""
    say(json.dumps(content, indent=2), stream=sys.stdout)


def print_events(events: Sequence[Event]) -> None:
    """Prints the sentences of events on stdout."""
    from tuner.report.terminal import print_lines
    from tuner.report.words.progress import event_lines

    print_lines([line for event in events for line in event_lines(event)], sys.stdout)
