"""The short name of a configuration, such as `2 streams x 1 thread, batch 32, 16 requests, unpinned`.

Responsible for words. Property names stay in best.yaml, in JSON and in `tuner apply`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set

from tuner.bench.configuration import DeploymentConfig
from tuner.bench.own_parameters import OWN_PARAMETERS
from tuner.bench.value import Value
from tuner.deploy.best import Best
from tuner.report.words.text import printable

Values = Mapping[str, Value]
"""Each shown parameter of a configuration -> its value; a parameter that the device chooses is missing."""

NOTHING_SET = "defaults"
"""Name of a configuration that leaves everything to the device."""

CORE_TYPES = {"ANY_CORE": "any cores", "PCORE_ONLY": "P-cores only", "ECORE_ONLY": "E-cores only"}
YES, NO = ("YES", "TRUE"), ("NO", "FALSE")
"""Texts of a switch, in capitals; a study file may have them in place of true and false."""


def short_name(config: DeploymentConfig, among: Iterable[DeploymentConfig] = ()) -> str:
    """Returns the name of a configuration in one line, with only what differs between the configurations `among`.

    Everything that is set is shown if `among` is empty or its configurations are all alike.
    """
    return name_by(config, differing([config, *among]))


def name_by(config: DeploymentConfig, parameters: Set[str]) -> str:
    """Returns the name of a configuration with these parameters only; an empty set stands for all that are set."""
    values = _values(config)
    shown: Values = {name: values.get(name) for name in parameters} if parameters else _unusual(values)
    parts = [part for names, words in _PARTS if names & shown.keys() and (part := words(values, shown))]
    known = frozenset[str]().union(*(names for names, _ in _PARTS))
    parts += [f"{name}={value}" for name, value in sorted(shown.items()) if name not in known and value is not None]
    return printable(", ".join(parts)) or NOTHING_SET


def differing(configs: Iterable[DeploymentConfig]) -> frozenset[str]:
    """Returns the names of the parameters that do not have the same value in all of the configurations."""
    every = [_values(config) for config in configs]
    names = {name for values in every for name in values}
    return frozenset(name for name in names if len({repr(values.get(name)) for values in every}) > 1)


def baseline_name(name: str, config: DeploymentConfig) -> str:
    """Returns a baseline's name, and in brackets what it sets beyond a hint of this name."""
    hint = config.properties.get("PERFORMANCE_HINT")
    names = _unusual(_values(config)).keys() - ({"PERFORMANCE_HINT"} if hint == name else set())
    return printable(f"{name} ({name_by(config, names)})" if names else name)


def deployed(best: Best) -> DeploymentConfig:
    """Returns the configuration of a best.yaml, with the precision that is pinned in it."""
    return DeploymentConfig(
        device=best.device,
        properties=dict(best.properties),
        api=best.api,
        **{name: getattr(best, name) for name in OWN_PARAMETERS},
    )


def _values(config: DeploymentConfig) -> dict[str, Value]:
    own: dict[str, Value] = {name: getattr(config, name) for name in OWN_PARAMETERS}
    return {**config.properties, **own, "api": config.api}


def _unusual(values: Values) -> dict[str, Value]:
    """Returns the parameters that are set, without those of our own that have their usual values."""
    usual = {name: row.usual for name, row in OWN_PARAMETERS.items()}
    words = {name: value for name, value in values.items() if name not in usual or value != usual[name]}
    if words.get("api") != "sync":
        words.pop("api", None)
    return words


def _counted(value: Value, noun: str) -> str:
    return f"{value} {noun}" if value == 1 and not isinstance(value, bool) else f"{value} {noun}s"


def _hint(values: Values, shown: Values) -> str:
    hint = values.get("PERFORMANCE_HINT")
    return "" if hint is None else f"{hint} hint"


def _layout(values: Values, shown: Values) -> str:
    """Returns streams and threads of a stream; INFERENCE_NUM_THREADS is the number of all threads."""
    streams, threads = values.get("NUM_STREAMS"), values.get("INFERENCE_NUM_THREADS")
    if streams is None:
        return "" if threads is None else _counted(threads, "thread")
    words = _counted(streams, "stream")
    if threads is None:
        return words
    if type(streams) is int and type(threads) is int and streams > 0 and threads % streams == 0:
        return f"{words} x {_counted(threads // streams, 'thread')}"
    return f"{words} on {_counted(threads, 'thread')}"


def _batch(values: Values, shown: Values) -> str:
    return f"batch {values['batch_size']}"


def _requests(values: Values, shown: Values) -> str:
    requests = values["infer_requests"]
    return "suggested requests" if requests is None else _counted(requests, "request")


def _replicas(values: Values, shown: Values) -> str:
    words = [_counted(values["replicas"], "replica")] if "replicas" in shown else []
    if "affinity" in shown and values["replicas"] != 1:
        words.append(f"{values['affinity']} CPUs")
    return " with ".join(words)


def _switch(name: str, on: str, off: str) -> Callable[[Values, Values], str]:
    def words(values: Values, shown: Values) -> str:
        value = values.get(name)
        text = "" if value is None else str(value).upper()
        return on if text in YES else off if text in NO else text and f"{name}={value}"

    return words


def _core_type(values: Values, shown: Values) -> str:
    value = values.get("SCHEDULING_CORE_TYPE")
    return "" if value is None else CORE_TYPES.get(str(value), f"SCHEDULING_CORE_TYPE={value}")


def _precision(values: Values, shown: Values) -> str:
    value = values.get("INFERENCE_PRECISION_HINT")
    return "" if value is None else f"{value}"


def _api(values: Values, shown: Values) -> str:
    return "synchronous" if values["api"] == "sync" else ""


_PARTS: tuple[tuple[frozenset[str], Callable[[Values, Values], str]], ...] = (
    (frozenset({"PERFORMANCE_HINT"}), _hint),
    (frozenset({"NUM_STREAMS", "INFERENCE_NUM_THREADS"}), _layout),
    (frozenset({"batch_size"}), _batch),
    (frozenset({"infer_requests"}), _requests),
    (frozenset({"replicas", "affinity"}), _replicas),
    (frozenset({"ENABLE_CPU_PINNING"}), _switch("ENABLE_CPU_PINNING", "pinned", "unpinned")),
    (
        frozenset({"ENABLE_HYPER_THREADING"}),
        _switch("ENABLE_HYPER_THREADING", "hyper-threading", "no hyper-threading"),
    ),
    (frozenset({"SCHEDULING_CORE_TYPE"}), _core_type),
    (frozenset({"INFERENCE_PRECISION_HINT"}), _precision),
    (frozenset({"api"}), _api),
)
"""Parameters that share one part of the name -> the words of the part, in the order of the name.

The words get the values of the configuration, and those of the parameters that are shown.
"""
