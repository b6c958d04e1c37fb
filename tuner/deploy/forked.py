"""Keeps a process from hanging that was forked from one in which a model is compiled.

OpenVINO's threads do not exist in such a child: an inference waits for them forever, and so does the destructor of the
compiled model when the child ends (OpenVINO 2026.4.1, tests/deploy/test_predictor.py). Must not know what a deployment
is.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

from tuner.errors import ForkError

T = TypeVar("T")

ADVICE = (
    "Compile in each worker, after the fork: gunicorn without --preload, in post_fork or post_worker_init; "
    "multiprocessing with the start method spawn."
)
_models: list[weakref.ref[Any]] = []
"""Compiled models of this process; a forked child never destroys its copies."""
_compiled_by: list[int] = []
"""Ids of the processes that compiled: this process, and those it was forked from."""


def note_compiled(compiled_model: Any) -> None:
    """Remembers that this process compiled a model."""
    if not _compiled_by and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_keep_models)
    if os.getpid() not in _compiled_by:
        _compiled_by.append(os.getpid())
    _models[:] = [model for model in _models if model() is not None]
    _models.append(weakref.ref(compiled_model))


def has_forked_late() -> bool:
    """Returns True if a process from which this one was forked had compiled a model."""
    return any(pid != os.getpid() for pid in _compiled_by)


def refuse_in_child(pid: int) -> None:
    """Raises ForkError if this is not the process `pid`, which compiled the model."""
    if os.getpid() != pid:
        raise ForkError(
            f"this process was forked from process {pid}, which compiled the model: an inference here would wait "
            f"forever for threads that a fork does not copy. {ADVICE}",
            advice=ADVICE,
        )


def refusing(kind: type[T], pid: int) -> type[T]:
    """Returns a subclass of OpenVINO's InferRequest or AsyncInferQueue whose calls raise ForkError in a child.

    Threads take turns at `start_async`: without that a queue gives two of them the same request.
    """
    turns = threading.Lock()

    def checked(name: str) -> Callable[..., Any]:
        method = getattr(kind, name)

        @functools.wraps(method)
        def call(self: T, *arguments: Any, **options: Any) -> Any:
            refuse_in_child(pid)
            with turns if name == "start_async" else nullcontext():
                return method(self, *arguments, **options)

        return call

    calls = {name: checked(name) for name in ("infer", "start_async", "wait", "wait_all") if hasattr(kind, name)}
    return type(kind.__name__, (kind,), calls)


def _keep_models() -> None:
    """Takes a reference that is never given back, so that the child ends without the destructors."""
    for reference in _models:
        if (model := reference()) is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(model))
