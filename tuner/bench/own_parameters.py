"""The parameters of a configuration that are no properties of the device, one row each.

Responsible for names, legal values, defaults and meaning. Must not import the study file, the search or a backend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from tuner.bench.configuration import Affinity, Effective
from tuner.bench.value import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnParameter:
    """One parameter beside the properties: a count, or one of a few words."""

    name: str
    description: str
    """Meaning for a reader of the JSON schema, valid for a baseline and for a space."""
    read: Callable[[Effective], Value]
    """Returns the parameter's value in an effective configuration."""
    words: tuple[str, ...] = ()
    """Legal values of a parameter that is no count, the default first; empty for a count."""
    lowest: int = 1
    """Smallest legal value of a count."""
    default: Value = None
    """Value of a baseline or a point that says nothing.

    None leaves the value to the model (infer_requests), to the deployment (replicas), or to the first of the words.
    """
    is_nullable: bool = False
    """True if null is a value of a space, with the meaning of leaving the parameter out."""
    needs_compile: bool = False
    """True if another value needs another compiled model; otherwise one compiled model serves every value."""
    is_per_stream: bool = False
    """True if the ratio to NUM_STREAMS explains the parameter's effect better than the number itself."""
    is_for_replicas: bool = False
    """True if the parameter is about several replicas; a single process has the first of the words."""

    @property
    def is_count(self) -> bool:
        """True for a whole number, False for a word."""
        return not self.words

    @property
    def usual(self) -> Value:
        """Value that needs no mention in the name of a configuration."""
        if self.words:
            return self.words[0]
        return self.lowest if self.default is None and not self.is_nullable else self.default

    @property
    def allowed(self) -> str:
        """Legal values as the end of a message, such as `a whole number from 1`."""
        return f"a whole number from {self.lowest}" if self.is_count else f"one of {', '.join(self.words)}"

    def is_legal(self, value: object) -> bool:
        """Returns True if a configuration may have the value; `is_nullable` decides about null."""
        if self.is_count:
            return isinstance(value, int) and not isinstance(value, bool) and value >= self.lowest
        return value in self.words


_ROWS = (
    OwnParameter(
        name="batch_size",
        description="Samples in one request.",
        read=lambda effective: effective.batch_size,
        default=1,
        needs_compile=True,
    ),
    OwnParameter(
        name="infer_requests",
        description="Requests in flight. Default, and null in a space: as many as the compiled model suggests.",
        read=lambda effective: effective.infer_requests,
        is_nullable=True,
        is_per_stream=True,
    ),
    OwnParameter(
        name="replicas",
        description="Identical processes that serve at the same time. Default: those of the deployment.",
        read=lambda effective: effective.replicas,
    ),
    OwnParameter(
        name="affinity",
        description="shared, the default: every replica uses all CPUs; split: each has a part of its own.",
        read=lambda effective: effective.affinity,
        words=get_args(Affinity),
        is_for_replicas=True,
    ),
)

OWN_PARAMETERS: Mapping[str, OwnParameter] = {row.name: row for row in _ROWS}
"""Every parameter beside the properties by its name, in the order in which messages list them: a closed set."""


def read_own(effective: Effective) -> dict[str, Any]:
    """Returns the value of each own parameter in an effective configuration."""
    return {name: row.read(effective) for name, row in OWN_PARAMETERS.items()}


def own_values(*sources: Mapping[str, Value]) -> dict[str, Any]:
    """Returns a value for each own parameter of a configuration, from the last of the sources that gives one.

    A source may hold properties too, and None for what it leaves open.
    """
    found = {name: row.words[0] if row.words else row.default for name, row in OWN_PARAMETERS.items()}
    for source in sources:
        found |= {name: value for name, value in source.items() if name in found and value is not None}
    if found["replicas"] == 1:
        found |= {row.name: row.words[0] for row in OWN_PARAMETERS.values() if row.is_for_replicas}
    return found
