"""Says what of a best.yaml does not fit this host, for exports, which compile nothing: model, host, properties.

Responsible for warnings. Must not change the file or raise for what another host may well have.
"""

from __future__ import annotations

from pathlib import Path

from tuner.deploy.best import Best
from tuner.deploy.differences import Differences, compare_host, compare_model
from tuner.errors import ModelError
from tuner.model.host import host_facts
from tuner.model.openvino_error import first_line
from tuner.model.spec import ModelSpec


def host_doubts(best: Best) -> list[str]:
    """Returns how this host differs from the one of the measurement."""
    differences = Differences(strict=False)
    compare_host(best, host_facts(), differences)
    return differences.messages


def file_doubts(best: Best) -> list[str]:
    """Returns what is wrong with the file as far as this host can tell: another model or none, unknown properties."""
    differences = Differences(strict=False)
    try:
        compare_model(best, best.spec(), differences)
    except ModelError as error:
        return [*differences.messages, str(error), *property_doubts(best)]
    return [*differences.messages, *property_doubts(best)]


def property_doubts(best: Best) -> list[str]:
    """Returns the properties with which a tiny model does not compile here; none if the device is not here.

    The list of supported properties of a device is no oracle (tuner/README.md): compiling is.
    """
    try:
        import openvino

        from tuner.model.read import read
    except ImportError:
        return []
    core = openvino.Core()
    tiny = read(core, ModelSpec(path="builtin:mlp", folder=Path()))
    try:
        core.compile_model(tiny, best.device, {})
    except RuntimeError:
        return []
    found = []
    for name, value in best.properties.items():
        try:
            core.compile_model(tiny, best.device, {name: value})
        except (RuntimeError, TypeError) as error:
            found.append(f"{best.device} does not take {name}={value}: {first_line(error)}")
    return found
