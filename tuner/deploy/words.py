"""Says in lines of English what a best.yaml holds: what was found, where, and what is deployed.

Responsible for the comments of the code and of the exported files. Must not know how a comment is written.
"""

from __future__ import annotations

from tuner.deploy.best import Best, BestGain, BestObjective

NOT_KEPT = "NO CONFIGURATION KEEPS THE LIMITS of the study; this is the nearest to them"


def found_lines(best: Best) -> list[str]:
    """Returns what was measured, the claim, the host, and the conditions."""
    values = best.objectives or (best.objective,)
    objective = ", ".join(_value(value, best.baseline.name) for value in values)
    lines = [f"{best.study}: {objective}, {_gain(best)}"]
    if best.broken:
        lines.append(f"{NOT_KEPT}: {best.broken}")
    if best.reason:
        lines += best.reason.splitlines()
    facts = {name: best.environment.get(name) for name in ("cpu_model", "cpus_allowed", "cpu_quota", "openvino")}
    known = ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
    if known:
        lines.append(f"Measured on: {known}")
    if best.deployment:
        stated = ", ".join(f"{name} {value}" for name, value in best.deployment.items())
        lines.append(f"Measured under the deployment's conditions: {stated}")
    if best.baseline_has_own_processes:
        lines.append(f"The baseline {best.baseline.name}, used where this does not compile: {best.baseline.processes}")
    return lines


def configuration_lines(best: Best) -> list[str]:
    """Returns the configuration: device, properties, batch, requests, replicas."""
    settings = " ".join(f"{name}={value}" for name, value in best.properties.items()) or "none, the defaults"
    lines = [
        f"Device {best.device}; properties: {settings}",
        f"Batch size {best.batch_size}; infer requests: {best.infer_requests}; calls: {best.api}",
    ]
    if best.replicas > 1:
        cpus = "CPUs split among them" if best.affinity == "split" else "all on the same CPUs"
        lines.append(f"Replicas: {best.replicas} identical processes, {cpus}; start each as below")
    return lines


def _value(objective: BestObjective, reference: str) -> str:
    beside = "" if objective.reference is None else f" ({reference} {objective.reference:g})"
    return f"{objective.metric} {objective.value:g} {objective.unit}{beside}"


def _gain(best: Best) -> str:
    baseline = best.baseline.name
    if best.answer == "nothing" and best.today is not None:
        return f"which is what runs today ({best.today.name}): nothing is to be changed"
    if best.verdict == "baseline" and not best.objectives:
        beside = _over_today(best)
        return f"which is the baseline {baseline}{f', {beside}' if beside else ''}"
    if best.gain is None:
        return "no gain claimed"
    is_today = best.today is not None and best.today.name == baseline
    beside = "" if is_today else _over_today(best)
    return f"{_claim(best.gain)} than the baseline {baseline}{_interval(best.gain)}{f'; {beside}' if beside else ''}"


def _over_today(best: Best) -> str:
    """Returns the gain over what runs today; empty if none is shown."""
    if best.today is None or best.today_gain is None:
        return ""
    return f"{_claim(best.today_gain)} than {best.today.name}, which runs today"


def _claim(gain: BestGain) -> str:
    what = "" if gain.metric is None else f"{gain.metric} "
    return f"{what}at least {_size(gain.low_pct)} better"


def _interval(gain: BestGain) -> str:
    return f" (estimate {_size(gain.estimate_pct)}, interval to {_size(gain.high_pct)}, confidence {gain.confidence:g})"


def _size(pct: float) -> str:
    """Returns a gain in per cent of the speed, as a number of times from a factor of two on."""
    return f"{1.0 + pct / 100.0:.1f} times" if pct >= 100.0 else f"{pct:.1f} %"
