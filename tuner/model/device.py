"""Says whether a device of OpenVINO is there, and which devices are made of others.

Responsible for names of devices. Must not know models or properties.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner.errors import DeviceError

if TYPE_CHECKING:
    import openvino

PASSING_DOWN = ("AUTO", "MULTI", "HETERO", "BATCH")
"""Names of OpenVINO's devices that hand a model and its properties down to other devices."""


def is_composed(device: str) -> bool:
    """Returns True for a device that hands its work down to others, with or without a list of them."""
    return device.partition(":")[0] in PASSING_DOWN


def check_device(core: openvino.Core, device: str) -> None:
    """Raises DeviceError if the device, or one that a composed device is told to use, is not there."""
    available = core.available_devices
    here = {name for found in available for name in (found, found.split(".")[0])}
    first, _, rest = device.partition(":")
    wanted = [part.split("(")[0] for part in rest.split(",") if part and not part.startswith("-")]
    if first not in PASSING_DOWN:
        wanted.append(first)
    missing = [name for name in wanted if name not in here]
    if missing:
        raise DeviceError(f"device {', '.join(missing)} is not available here", advice=available_words(core))


def available_words(core: openvino.Core) -> str:
    """Returns the advice that names the devices of this host."""
    return f"available: {', '.join(core.available_devices) or 'no device'}; a GPU or NPU also needs its driver"
