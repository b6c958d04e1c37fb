"""Text that comes from files and hosts, made harmless for a terminal.

Responsible for single characters. Must not know what a text means.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

ONE_CALLER = "one caller that waits for each answer"
"""Words for the load of a latency objective that states none."""


def printable(text: str) -> str:
    r"""Returns a text without characters that control a terminal or turn the direction of writing.

    Each of them, line breaks and tabs among them, is shown as its escape, such as `\x1b`.
    """
    if text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    """Returns a character of the categories "other" and "line or paragraph separator" as its escape."""
    category = unicodedata.category(character)
    is_harmless = category[0] != "C" and category not in ("Zl", "Zp")
    return character if is_harmless else character.encode("unicode_escape", "surrogatepass").decode("ascii")


def callers_phrase(callers: Sequence[int]) -> str:
    """Returns the numbers of callers for which something holds, such as `2 callers that wait for their answers`.

    No number stands for the one caller that a latency objective means by itself.
    """
    if not callers:
        return f"{ONE_CALLER} (`load: {{callers: N}}` states more)"
    if tuple(callers) == (1,):
        return ONE_CALLER
    if len(callers) == 1:
        return f"{callers[0]} callers that wait for their answers"
    numbers = f"{', '.join(map(str, callers[:-1]))} and {callers[-1]}"
    return f"{numbers} callers that wait for their answers, the worst of which counts"
