"""Distance between the circumstances of two studies, and what their configurations become on another host.

Pure functions. A distance orders suggestions and decides nothing else: what is suggested is measured like any other.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from tuner.bench.metrics import METRICS
from tuner.bench.value import Value
from tuner.records.past.past_study import Circumstances, PastModel

FARTHEST = 4.0
"""Largest distance at which a study suggests anything: the same model on 64 CPUs and on 2 has 3."""

SAME_CLASS = 1.0
"""Largest log2 of the ratio of operations, or of weights, of two models that are alike: a factor of two."""

ANOTHER_VERSION, LIKE_MODEL = 1.0, 2.0
"""Distances between versions of one model, and between models that are alike."""

CPU_DOUBLING = 0.5
"""Distance of a factor of two in CPUs, to which counts of streams, threads and requests are scaled."""

ANOTHER_CPU, ANOTHER_DETAIL = 0.5, 0.25
"""Distances of another CPU model; and of each of other limits, other conditions and another OpenVINO."""

SCALED = ("NUM_STREAMS", "INFERENCE_NUM_THREADS", "infer_requests")
"""Settings that count what the CPUs share: they grow with the number of CPUs."""


class Likeness(enum.StrEnum):
    """Relation of an earlier study to the one at hand, in words that are written to suggestions.json."""

    SAME = "same"
    OTHER_HOST = "other_host"
    OTHER_VERSION = "other_version"
    LIKE = "like"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearness:
    """Relation of two studies, and their distance: 0 is the same model under the same circumstances."""

    likeness: Likeness
    distance: float


def nearness(mine: Circumstances, past: Circumstances) -> Nearness | None:
    """Returns how near an earlier study is; None if it is about something else or farther than `FARTHEST`.

    Device, kinds of the metrics, callers, and one replica or several have to agree. The model has to be the same, a
    version of it (same file name and inputs), or alike: same shapes, operations and weights within a factor of two.
    """
    if _question(mine) != _question(past):
        return None
    model = _model_distance(mine.model, past.model)
    if model is None:
        return None
    is_same_host = (mine.cpu_model, mine.cpus) == (past.cpu_model, past.cpus)
    distance = model + CPU_DOUBLING * abs(math.log2(past.cpus / mine.cpus))
    distance += ANOTHER_CPU * (mine.cpu_model != past.cpu_model)
    details = (mine.limits, mine.deployment, mine.openvino), (past.limits, past.deployment, past.openvino)
    distance += ANOTHER_DETAIL * sum(a != b for a, b in zip(*details, strict=True))
    if distance > FARTHEST:
        return None
    if mine.model.sha256 == past.model.sha256:
        likeness = Likeness.SAME if is_same_host else Likeness.OTHER_HOST
    else:
        likeness = Likeness.OTHER_VERSION if model == ANOTHER_VERSION else Likeness.LIKE
    return Nearness(likeness=likeness, distance=distance)


def scaled(settings: Mapping[str, Value], *, from_cpus: float, to_cpus: float) -> dict[str, Value]:
    """Returns the settings with the counts that CPUs share scaled from one number of CPUs to another, at least 1."""
    ratio = to_cpus / from_cpus
    return {
        name: max(1, round(value * ratio))
        if name in SCALED and isinstance(value, int) and not isinstance(value, bool) and value > 0
        else value
        for name, value in settings.items()
    }


def _question(about: Circumstances) -> tuple[object, ...]:
    """Returns what two studies must have in common for the answer of one to mean anything to the other."""
    kinds = tuple(METRICS[name].kind if name in METRICS else name for name in about.metrics)
    return about.device, kinds, about.callers, about.replicas > 1


def _model_distance(mine: PastModel, past: PastModel) -> float | None:
    """Returns the distance of two models; None if they are not alike."""
    if mine.sha256 == past.sha256:
        return 0.0 if mine.inputs == past.inputs else ANOTHER_VERSION
    if mine.inputs == past.inputs and PurePath(mine.name).name == PurePath(past.name).name:
        return ANOTHER_VERSION
    sizes = [(mine.operations, past.operations), (mine.weight_bytes, past.weight_bytes)]
    if sorted(mine.inputs.values()) != sorted(past.inputs.values()) or not mine.operations or not past.operations:
        return None
    # One byte more keeps a model without weights comparable.
    logs = [abs(math.log2((a + 1) / (b + 1))) for a, b in sizes]
    return LIKE_MODEL + sum(logs) if max(logs) <= SAME_CLASS else None
