from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tuner.errors import DeviceError
from tuner.model.device import check_device, is_composed

HOST: Any = SimpleNamespace(available_devices=["CPU", "GPU.0", "GPU.1"])


@pytest.mark.parametrize(
    "device", ["CPU", "GPU", "GPU.1", "AUTO", "AUTO:GPU,CPU", "AUTO:-CPU", "BATCH:GPU(4)", "MULTI:CPU,GPU.0"]
)
def test_a_device_that_is_there_is_accepted(device: str) -> None:
    check_device(HOST, device)


@pytest.mark.parametrize(
    ("device", "missing"), [("NPU", "NPU"), ("GPU.2", "GPU.2"), ("AUTO:NPU,CPU", "NPU"), ("HETERO:NPU,TPU", "NPU, TPU")]
)
def test_a_device_that_is_not_there_is_named_with_those_that_are(device: str, missing: str) -> None:
    with pytest.raises(DeviceError, match=f"device {missing} is not available here") as caught:
        check_device(HOST, device)
    assert caught.value.advice == "available: CPU, GPU.0, GPU.1; a GPU or NPU also needs its driver"


@pytest.mark.parametrize(
    ("device", "is_so"), [("AUTO", True), ("AUTO:CPU", True), ("CPU", False), ("AUTOMATIC", False)]
)
def test_composed_devices_are_known_by_their_name(device: str, is_so: bool) -> None:
    assert is_composed(device) is is_so
