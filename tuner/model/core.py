"""Holds the OpenVINO core of a process, which lives as long as the process.

The CPU plugin of a core gives its thread a stack for signals, and frees it with the core. Of two cores that end in the
order of their birth, the second gives the thread the freed stack of the first back: the next signal with a handler in
Python ends the process with SIGSEGV (OpenVINO 2026.4.1, tests/deploy/test_process.py). A core that never ends is safe.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import openvino

_cores: dict[int, openvino.Core] = {}
"""Core of this process, and those of the processes it was forked from, by the id of the process."""


def operations() -> Any:
    """Returns the module that builds nodes of models; OpenVINO 2024 has it in another place."""
    import openvino

    if not hasattr(openvino, "opset13"):
        from openvino.runtime import opset13

        return opset13
    return openvino.opset13


def process_core() -> openvino.Core:
    """Returns the core of this process; a forked child gets its own."""
    import openvino

    return _cores.get(os.getpid()) or _cores.setdefault(os.getpid(), openvino.Core())
