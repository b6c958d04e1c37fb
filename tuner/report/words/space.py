"""The words for a space that was enumerated. Must not resolve anything."""

from __future__ import annotations

from tuner.search.enumeration import ListingGivenUp, SpaceEnumeration


def enumeration_lines(enumeration: SpaceEnumeration) -> list[str]:
    """Returns how large the space is, what has no effect in it, and what does not compile."""
    line = f"space: {enumeration.requested} requested, {len(enumeration.distinct)} distinct"
    if count := len(enumeration.without_effect):
        noun = "parameter" if count == 1 else "parameters"
        line += f", {count} {noun} without effect here: {', '.join(enumeration.without_effect)}"
    refused = enumeration.refused
    if not refused:
        return [line]
    return [line, f"{len(refused)} sets of properties do not compile, the last: {refused[-1].message}"]


def given_up_line(found: ListingGivenUp) -> str:
    """Returns how far listing came, and what happens instead."""
    return (
        f"the space takes too long to list here ({found.listed} of {found.assignments} in {found.limit_s:.0f} s): "
        "candidates are resolved as they are proposed"
    )
