"""A device as OpenVINO's core reports it: its availability, its properties and the values it refuses.

Responsible for questions to the core. Must not know the model that is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino as ov

from tuner.model.core import operations
from tuner.model.files.openvino_error import first_line


def listed_properties(core: ov.Core, device: str) -> list[str]:
    """Returns the names of the properties that the device lists as supported; empty if it does not answer."""
    try:
        listed = core.get_property(device.split(":")[0], "SUPPORTED_PROPERTIES")
    except RuntimeError:
        return []
    return sorted({str(name) for name in listed})


def full_name(core: ov.Core, device: str) -> str:
    """Returns the device's own name; several devices together have the name under which they were requested."""
    return device if ":" in device else str(core.get_property(device, "FULL_DEVICE_NAME"))


def unknown_properties(core: ov.Core, device: str, names: Sequence[str]) -> list[str]:
    """Returns the names that the device refuses as unsupported when a tiny model is compiled with each alone.

    SUPPORTED_PROPERTIES does not tell (tuner/README.md). Empty values switch nothing on.
    """
    errors = _refusals(core, device, [(name, "") for name in names])
    return [name for name, error in zip(names, errors, strict=True) if "Unsupported property" in str(error)]


def refused_values(core: ov.Core, device: str, settings: Sequence[tuple[str, Any]]) -> list[str]:
    """Returns the device's objection to each name and value when a tiny model is compiled with it alone.

    The objection is "" if the model compiles or fails for a reason that mentions neither name nor value.
    """
    found = []
    for (name, value), error in zip(settings, _refusals(core, device, settings), strict=True):
        text = first_line(error) if error else ""
        words = (name, "YES" if value else "NO") if isinstance(value, bool) else (name, str(value))
        is_about = any(word and word in text for word in words) and "Unsupported property" not in str(error)
        found.append(text if is_about else "")
    return found


def _refusals(core: ov.Core, device: str, settings: Sequence[tuple[str, Any]]) -> list[RuntimeError | None]:
    ops = operations()
    x = ops.parameter([1], np.float32)
    tiny = ov.Model([ops.relu(x)], [x], "tiny")
    found: list[RuntimeError | None] = []
    for name, value in settings:
        try:
            core.compile_model(tiny, device, {name: value})
            found.append(None)
        except RuntimeError as error:
            found.append(error)
    return found
