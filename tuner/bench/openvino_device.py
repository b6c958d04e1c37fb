"""What a device says of itself: whether it is there, which properties it lists and which it refuses.

Knows OpenVINO's core; nothing of the model that is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino as ov

from tuner.errors import DeviceError
from tuner.model.openvino_error import first_line

PASSING_DOWN = ("AUTO", "MULTI", "HETERO", "BATCH")
"""Devices that hand properties down and cannot report them (openvino.md): there the request is the identity."""


def check_device(core: ov.Core, device: str) -> None:
    """Raises DeviceError when the device, or one that AUTO, MULTI, HETERO or BATCH is told to use, is not there."""
    available = core.available_devices
    here = {name for found in available for name in (found, found.split(".")[0])}
    first, _, rest = device.partition(":")
    wanted = [part.split("(")[0] for part in rest.split(",") if part and not part.startswith("-")]
    if first not in PASSING_DOWN:
        wanted.append(first)
    missing = [name for name in wanted if name not in here]
    if missing:
        raise DeviceError(
            f"device {', '.join(missing)} is not available here",
            advice=f"available: {', '.join(available)}; a GPU or NPU also needs its driver",
        )


def listed_properties(core: ov.Core, device: str) -> list[str]:
    """What the device lists as supported, by name; nothing where it does not answer."""
    try:
        listed = core.get_property(device.split(":")[0], "SUPPORTED_PROPERTIES")
    except RuntimeError:
        return []
    return sorted({str(name) for name in listed})


def full_name(core: ov.Core, device: str) -> str:
    """The device's own name; that of several devices together is how they were asked for."""
    return device if ":" in device else str(core.get_property(device, "FULL_DEVICE_NAME"))


def unknown_properties(core: ov.Core, device: str, names: Sequence[str]) -> list[str]:
    """The names that the device calls unsupported when a tiny model is compiled with each alone (openvino.md: its
    own SUPPORTED_PROPERTIES is no oracle). Empty values switch nothing on."""
    errors = _refusals(core, device, [(name, "") for name in names])
    return [name for name, error in zip(names, errors, strict=True) if "Unsupported property" in str(error)]


def refused_values(core: ov.Core, device: str, settings: Sequence[tuple[str, Any]]) -> list[str]:
    """For each name and value what the device says against it when a tiny model is compiled with that alone; ""
    where it compiles, or fails for a reason that names neither."""
    found = []
    for (name, value), error in zip(settings, _refusals(core, device, settings), strict=True):
        text = first_line(error) if error else ""
        words = (name, "YES" if value else "NO") if isinstance(value, bool) else (name, str(value))
        is_about = any(word and word in text for word in words) and "Unsupported property" not in str(error)
        found.append(text if is_about else "")
    return found


def _refusals(core: ov.Core, device: str, settings: Sequence[tuple[str, Any]]) -> list[RuntimeError | None]:
    ops: Any = ov.opset13
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
