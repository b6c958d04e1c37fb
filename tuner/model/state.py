"""A model's own memory: variables that it reads and assigns, such as the keys and values of a decoder.

Responsible for the rhythm in which it is emptied. Must not run anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner.model.spec import ModelSpec

if TYPE_CHECKING:
    import openvino

DEFAULT_STEPS = 64
"""Number of inferences of a request after which its state is emptied where the study file states none.

The time of a step depends on how many came before, so that no figure is one without a length; 64 tokens are a short
answer of a language model.
"""


def state_variables(model: openvino.Model) -> list[str]:
    """Returns the names of the variables that a request keeps from one inference to the next."""
    return sorted(variable.info.variable_id for variable in model.get_variables())


def steps_between_resets(model: openvino.Model, spec: ModelSpec) -> int | None:
    """Returns the number of inferences after which a request's state is emptied; None for a model without one."""
    return (spec.steps or DEFAULT_STEPS) if state_variables(model) else None
