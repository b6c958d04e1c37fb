"""Describes the inputs of a model as its file declares them, and proposes shapes for what the file leaves open.

Responsible for facts and proposals as plain values. Must not decide that a proposal is right: its reader does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tuner.model.data_faults import smallest_table
from tuner.model.inputs import INTEGERS
from tuner.model.ports import input_aliases, input_name

if TYPE_CHECKING:
    import openvino

USUAL_SIDE = 224
"""Height and width that most published classifiers of pictures are trained with, as ImageNet's are."""
USUAL_TOKENS = 128
"""Number of tokens of a short text, the length of most examples of transformers."""
CHANNELS = (1, 3, 4)
"""Numbers of channels of a picture: grey, colours, colours with transparency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFacts:
    """Describes one input of a model as its file declares it."""

    name: str
    aliases: Sequence[str] = ()
    """Every name under which a study file may speak of the input."""
    shape: Sequence[int | None] | None
    """Lengths of the dimensions, None for an open one; None if not even their number is fixed."""
    kind: str
    """Element type as OpenVINO names it: `f32`, `i64`."""
    layout: str | None = None
    """One letter for each dimension if the model says so, such as `NCHW`."""
    table_rows: int | None = None
    """Number of rows of the table that the values index; None for values that index nothing."""
    sides: Sequence[int] = ()
    """Height and width that the metadata of the model names; empty if they name none."""

    @property
    def is_open(self) -> bool:
        """True if a dimension has no length that the model fixes. A layout makes an open batch one sample."""
        if self.shape is None:
            return True
        batch = (self.layout or "").find("N")
        return any(length is None for axis, length in enumerate(self.shape) if axis != batch)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> InputFacts:
        """Returns the facts that `describe_inputs` wrote as plain data."""
        return cls(**content)


def describe_inputs(model: openvino.Model) -> list[dict[str, Any]]:
    """Returns the fields of `InputFacts` for each input, as plain data."""
    sides = _metadata_sides(model)
    return [asdict(_facts(port, sides)) for port in model.inputs]


def _facts(port: openvino.Output, sides: Sequence[int]) -> InputFacts:
    partial, kind = port.partial_shape, port.get_element_type().to_string()
    table = smallest_table(port) if kind in INTEGERS else None
    lengths = [dim.get_length() if dim.is_static else None for dim in partial] if partial.rank.is_static else None
    letters = port.node.layout.to_string().strip("[]").split(",")
    is_plain = all(re.fullmatch(r"[A-Z?]", letter) for letter in letters)
    return InputFacts(
        name=input_name(port),
        aliases=sorted(input_aliases(port)),
        shape=lengths,
        kind=kind,
        layout="".join(letters) if is_plain and lengths is not None and len(letters) == len(lengths) else None,
        table_rows=table.rows if table else None,
        sides=sides,
    )


def _metadata_sides(model: openvino.Model) -> list[int]:
    """Returns the height and width under `imgsz`, where exporters of detectors put them; empty if there are none."""
    for section in ("framework", "model_info"):
        try:
            found = json.loads(str(model.get_rt_info([section, "imgsz"]).astype(str)))
        except (RuntimeError, ValueError):  # No such entry, or no list of numbers.
            continue
        if isinstance(found, list) and len(found) == 2 and all(isinstance(n, int) and n > 0 for n in found):
            return found
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Proposes a shape for an input with open dimensions, for a person to accept or to change."""

    shape: Sequence[int | None]
    """Lengths of one request; None where nothing makes a length likely."""
    layout: str | None
    reason: str
    """Words on what makes the lengths likely; empty if nothing does."""

    @property
    def text(self) -> str:
        """The shape as a person writes it, with a question mark for each length that is not known."""
        return "[" + ",".join("?" if length is None else str(length) for length in self.shape) + "]"


def propose_shape(facts: InputFacts, layout: str | None = None) -> Proposal:
    """Returns what metadata, layout or name of an input make likely; `layout` is the user's, before the model's."""
    if facts.shape is None:
        return Proposal(shape=(), layout=layout, reason="the model does not say how many dimensions it has")
    given = layout or facts.layout or _likely_layout(facts)
    reasons = []
    if given is not None and given != facts.layout:
        reasons.append(f"{given} {'as you say' if layout else 'by its shape'}")
    lengths = list(facts.shape)
    is_text = _is_text(facts)
    for axis, length in enumerate(lengths):
        if length is not None:
            continue
        letter = given[axis] if given and axis < len(given) else ""
        if letter == "N" or (axis == 0 and not given):
            lengths[axis] = 1
        elif letter in ("H", "W"):
            side = facts.sides["HW".index(letter)] if facts.sides else USUAL_SIDE
            lengths[axis] = side
            reasons.append(f"{side} {'by the metadata of the model' if facts.sides else 'is usual for pictures'}")
        elif letter == "C":
            lengths[axis] = 3
            reasons.append("3 channels are colours")
        elif is_text and axis == 1:
            lengths[axis] = USUAL_TOKENS
            reasons.append(f"{USUAL_TOKENS} tokens are a short text")
    return Proposal(shape=lengths, layout=given, reason=", ".join(dict.fromkeys(reasons)))


def _likely_layout(facts: InputFacts) -> str | None:
    """Returns the layout of pictures that the lengths make likely: few channels beside open or long sides."""
    if facts.shape is None or len(facts.shape) != 4 or facts.kind in ("i32", "i64", "boolean"):
        return None
    _, second, third, last = facts.shape
    if second in CHANNELS and last not in CHANNELS:
        return "NCHW"
    return "NHWC" if last in CHANNELS and third not in CHANNELS else None


def _is_text(facts: InputFacts) -> bool:
    """Returns True if name or type say that an input holds one number for each token of a text."""
    is_named = re.search(r"ids|mask|token|position", facts.name, flags=re.IGNORECASE) is not None
    return facts.shape is not None and len(facts.shape) == 2 and facts.kind in INTEGERS and is_named
