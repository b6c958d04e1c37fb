"""Decides whether a result in a batch equals the result of the same sample alone, and says why it differs.

Responsible for differences and what is allowed of them. Must not import OpenVINO.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

TOLERANCE = 1e-4
"""Largest difference between equal results, relative to the largest value of the output. Kernels for another batch sum
in another order, which costs about 1e-6 in f32; a wrong sample differs by far more (tests/model/test_batching.py)."""
PRECISION_FACTOR = 2.0
"""Number of times that a difference may exceed what the device's own precision changes. Both results, in the batch
and alone, may be that far from the exact one."""
MAX_ALLOWANCE = 0.1
"""Largest difference that a precision may excuse, whatever it changes by itself."""
SEPARATION = 0.25
"""Largest allowed difference as a part of the smallest difference between two samples, which must not be confused."""
OFFERED_UP_TO = 0.2
"""Largest difference for which a tolerance is offered; a larger one is another result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The largest difference of one output between the batch and the samples alone."""

    value: float
    """Part of the output's scale; the part of unequal elements for whole numbers."""
    sample: int
    """Index of the sample that shows it."""
    axis: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceCheck:
    """Compares a difference with the user's own tolerance, or with what the precision itself changes."""

    alone: Sequence[Sequence[Array]]
    """Outputs of each sample alone, in f32."""
    run_copies: Callable[[int], Sequence[Array]]
    """Runs a batch of copies of one sample, in f32."""
    run_default: Callable[[], Sequence[Sequence[Array]]]
    """Runs each sample alone in the device's own precision."""
    given: float | None
    """Tolerance of the study file; None without one."""

    def compare(self, index: int, name: str, found: Difference, batch_size: int) -> tuple[bool, str]:
        """Returns True for a difference that is allowed, and the words that say the difference and the allowance."""
        if self.given is not None:
            if found.value <= self.given:
                return True, f"up to {found.value:.2g} of the scale of output {name!r} (batch_tolerance {self.given:g})"
            allowance, basis = self.given, "batch_tolerance"
            is_kernel = self._is_kernel(index, found)
        else:
            is_kernel = self._is_kernel(index, found)
            allowance, basis = self._allowance(index, is_kernel=is_kernel)
            if found.value <= allowance:
                return (
                    True,
                    f"up to {found.value:.2g} of the scale of output {name!r} ({allowance:.2g} allowed: {basis})",
                )
        why = (
            "a batch of copies of that sample differs from it too, so the device computes batches by other kernels or "
            "in another layout"
            if is_kernel
            else "copies of that sample agree with it, so the other samples of the batch change it, "
            "as padding, a normalisation over the batch or a shared state does"
        )
        words = (
            f"sample {found.sample + 1} of {batch_size} gives another result in the batch than alone: "
            f"output {name!r} differs by {found.value:.2g} of its scale, allowed are {allowance:.2g} ({basis}); {why}"
        )
        if found.value <= OFFERED_UP_TO:
            words += f"; if that is equal for you, set model: {{batch_tolerance: {_rounded_up(found.value):g}}}"
        return False, words

    def _is_kernel(self, index: int, found: Difference) -> bool:
        """Returns True if a batch of copies of the sample differs from it as well: no other sample is involved."""
        copies = self.run_copies(found.sample)[index]
        single = self.alone[found.sample][index]
        seen = worst([single] * copies.shape[found.axis], copies, found.axis)
        return seen.value > max(TOLERANCE, found.value / 4)

    def _allowance(self, index: int, *, is_kernel: bool) -> tuple[float, str]:
        singles = [sample[index] for sample in self.alone]
        if is_exact(singles[0]):
            return 0.0, "whole numbers are equal or not"
        if not is_kernel:
            return TOLERANCE, "other samples must not change a result"
        theirs = [sample[index] for sample in self.run_default()]
        scale = scale_of(singles)
        changed = max(difference(one, other, scale) for one, other in zip(singles, theirs, strict=True))
        apart = min(difference(one, other, scale) for one, other in itertools.combinations(singles, 2))
        allowance = min(PRECISION_FACTOR * changed, MAX_ALLOWANCE, SEPARATION * apart)
        if allowance <= TOLERANCE:
            return TOLERANCE, "the device's own precision changes no more"
        return allowance, f"the device's own precision changes {changed:.2g}, samples are {apart:.2g} apart"


def worst(singles: Sequence[Array], batched: Array, axis: int) -> Difference:
    """Returns the largest difference between samples alone and their slices of a batch."""
    scale = scale_of(singles)
    slices = [np.take(batched, [index], axis=axis) for index in range(len(singles))]
    values = [difference(one, many, scale) for one, many in zip(singles, slices, strict=True)]
    return Difference(value=max(values), sample=values.index(max(values)), axis=axis)


def are_telling(singles: Sequence[Array]) -> bool:
    """Returns True if the outputs would show that two samples were exchanged."""
    scale = scale_of(singles)
    return any(difference(singles[0], other, scale) > TOLERANCE for other in singles[1:])


def is_exact(array: Array) -> bool:
    """Returns True for whole numbers and flags, for which nothing is nearly equal."""
    return array.dtype.kind in "biu"


def scale_of(arrays: Sequence[Array]) -> float:
    """Returns the largest absolute value."""
    return max((float(np.max(np.abs(np.asarray(array, np.float64)), initial=0.0)) for array in arrays), default=0.0)


def difference(one: Array, other: Array, scale: float | None = None) -> float:
    """Returns the largest difference as a part of the scale; for whole numbers the part of unequal elements."""
    if one.shape != other.shape:
        return float("inf")
    if is_exact(one):
        return float(np.mean(one != other)) if one.size else 0.0
    scale = scale_of([one, other]) if scale is None else scale
    gap = float(np.max(np.abs(np.asarray(one, np.float64) - np.asarray(other, np.float64)), initial=0.0))
    if np.isnan(gap):
        return float("inf")
    return gap / scale if scale > 0 else gap


def _rounded_up(value: float) -> float:
    """Returns a tolerance with one digit that is larger than the value by a tenth at least."""
    step = 10.0 ** np.floor(np.log10(value * 1.1))
    return float(np.ceil(value * 1.1 / step) * step)
