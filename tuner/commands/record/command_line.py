"""Parses `tuner record list` and `tuner record clear`. Must not decide anything."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tuner.report.printing import print_result
from tuner.report.stream import say

record = typer.Typer(help="List or clear what finished studies of this user found; `run` tries the nearest first.")


@record.command("list")
def record_list(as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False) -> None:
    """Every study on record with its best configuration; a gain with `?` was not proved by a confirmation."""
    from tuner.commands.record.listing import list_record
    from tuner.report.record import record_json, record_lines

    print_result(list_record(), as_json, record_json, record_lines)


@record.command("clear")
def record_clear() -> None:
    """Remove every study from the record; the folders of the studies stay."""
    from tuner.commands.record.listing import clear_record
    from tuner.report.record import cleared_line

    say(cleared_line(clear_record()), stream=sys.stdout)
