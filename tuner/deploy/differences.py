"""Compares the host, the model and the compiled configuration with those that a best.yaml was measured with.

Responsible for the sentences about differences. Must not compile.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from tuner.errors import BestFileError, InputError, ModelError
from tuner.model.host import HostFacts, host_facts
from tuner.model.locate import sha256
from tuner.model.property_text import as_text
from tuner.model.read import check_format
from tuner.model.spec import ModelSpec

if TYPE_CHECKING:
    import openvino

    from tuner.deploy.best import Best

COMPARED = ("NUM_STREAMS", "INFERENCE_NUM_THREADS")
"""Names of properties that a device changes silently; they are compared beside the properties asked for."""
PRECISION = "INFERENCE_PRECISION_HINT"
CAPABILITY = {"bf16": "BF16", "f16": "FP16"}
"""Name in OPTIMIZATION_CAPABILITIES of a device that has instructions for a precision. A CPU without them accepts
bf16, reports it, and emulates it (tests/deploy/test_deployment.py)."""
QUOTA_TOLERANCE = 0.01
"""Largest difference of two equal CPU quotas, in CPUs.

Each quota is a ratio of whole microseconds, and best.yaml may be rounded.
"""


class Differences:
    """Collects how this deployment differs from the measured one, or raises at the first difference if `strict`."""

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.messages: list[str] = []

    def add(self, message: str, *, advice: str, error: type[InputError] = BestFileError) -> None:
        """Notes a difference. Raises `error` with the message and the advice if `strict`."""
        if self.strict:
            raise error(message, advice=advice)
        self.messages.append(message)


def compare_model(best: Best, spec: ModelSpec, differences: Differences) -> None:
    """Notes a model whose SHA-256 is not the tuned one's; raises ModelError if it is no model of its format."""
    found = sha256(spec)
    if found != best.model.sha256:
        differences.add(
            f"the model {spec.path!r} is not the one that was tuned: "
            f"its SHA-256 begins with {found[:12]}, the tuned one's with {best.model.sha256[:12]}",
            advice="Put the tuned model there, or tune this one.",
            error=ModelError,
        )
        check_format(spec)


def compare_host(best: Best, host: HostFacts, differences: Differences) -> None:
    """Notes all differing facts of the host in one message; facts that the file lacks are not compared."""
    tuned = best.environment
    found = []
    if tuned.get("cpu_model") not in (None, host.cpu_model):
        found.append(f"on {tuned['cpu_model']} (here {host.cpu_model})")
    if tuned.get("cpus_allowed") not in (None, host.cpus_allowed):
        found.append(f"with {tuned['cpus_allowed']} CPUs (here {host.cpus_allowed})")
    if "cpu_quota" in tuned and not _same_quota(tuned["cpu_quota"], host.cpu_quota):
        found.append(f"with {_quota_words(tuned['cpu_quota'])} (here {_quota_words(host.cpu_quota)})")
    if tuned.get("openvino") not in (None, host.openvino):
        found.append(f"with OpenVINO {tuned['openvino']} (here {host.openvino})")
    if found:
        differences.add(
            f"tuned {', '.join(found)}", advice="`tuner measure` with these settings shows whether the gain holds here."
        )


def host_differences(best: Best) -> list[str]:
    """Returns how this host differs from the one of the measurement; nothing is raised."""
    differences = Differences(strict=False)
    compare_host(best, host_facts(), differences)
    return differences.messages


def model_differences(best: Best) -> list[str]:
    """Returns how the model differs from the tuned one, or why it cannot be read; nothing is raised."""
    differences = Differences(strict=False)
    try:
        compare_model(best, best.spec(), differences)
    except ModelError as error:
        return [*differences.messages, str(error)]
    return differences.messages


def _same_quota(tuned: float | None, here: float | None) -> bool:
    if tuned is None or here is None:
        return tuned is here
    return abs(tuned - here) <= QUOTA_TOLERANCE


def _quota_words(quota: float | None) -> str:
    return "no CPU quota" if quota is None else f"a quota of {quota:g} CPUs"


def compare_effective(
    best: Best, core: openvino.Core, device: str, compiled: openvino.CompiledModel, differences: Differences
) -> None:
    """Compares the properties that the device reports back here with those it reported when they were measured.

    The capabilities of the device are asked for unless this is the CPU of the measurement.
    """
    is_measured_here = best.environment.get("cpu_model") == host_facts().cpu_model
    capabilities = () if is_measured_here else _capabilities(core, device)
    _compare_precision(best, compiled, capabilities, differences)
    changed = []
    for name in sorted({*COMPARED, *best.properties} - {PRECISION}):
        tuned, here = best.effective.get(name), _readable(compiled, name)
        if tuned is not None and here is not None and tuned != here:
            changed.append(f"{name} {here} (tuned: {tuned})")
    if changed:
        differences.add(
            f"the device makes something else of the configuration here: {', '.join(changed)}",
            advice="Tune on this host.",
        )


def _compare_precision(
    best: Best, compiled: openvino.CompiledModel, capabilities: Collection[str], differences: Differences
) -> None:
    asked: Any = best.properties.get(PRECISION)
    tuned = best.effective.get(PRECISION, None if asked is None else as_text(asked))
    here = _readable(compiled, PRECISION)
    if tuned is not None and here is not None and tuned != here:
        pinned = f"{PRECISION} is pinned to {asked}" if asked is not None else f"it was measured in {tuned}"
        differences.add(
            f"{pinned}, but the device computes in {here} here: results and speed may differ",
            advice="Tune on this host.",
        )
    elif here in CAPABILITY and capabilities and CAPABILITY[here] not in capabilities:
        differences.add(
            f"{PRECISION} is {here}, which the device has no instructions for here: it is emulated, and slow",
            advice="Tune on this host.",
        )


def _capabilities(core: openvino.Core, device: str) -> Collection[str]:
    try:
        return tuple(core.get_property(device, "OPTIMIZATION_CAPABILITIES"))
    except RuntimeError:
        return ()


def _readable(compiled: openvino.CompiledModel, name: str) -> str | None:
    try:
        return as_text(compiled.get_property(name))
    except (RuntimeError, TypeError):
        return None
