"""Guards OpenVINO's own requests and queues: against forks, against several threads, and against a hang at their end.

OpenVINO's threads do not exist in a forked child: an inference waits for them forever, and so does the destructor of
the compiled model when the child ends (OpenVINO 2026.4.1, tests/deploy/test_process.py). Must not know what a
deployment is.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

from tuner.errors import ForkError

T = TypeVar("T")

ADVICE = (
    "Compile in each worker, after the fork: gunicorn without --preload, in post_fork or post_worker_init; "
    "multiprocessing with the start method spawn."
)
CALLBACK_S = 5.0
"""Longest wait for the threads of a queue to drop its callbacks, in seconds; it takes less than a millisecond."""
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


@contextmanager
def open_queue(compiled_model: Any, infer_requests: int, pid: int) -> Iterator[Any]:
    """Yields an AsyncInferQueue; leaving it waits for all requests, and until no callback is held by their threads.

    A thread that still held the last reference to a callback would wait for the GIL to drop it, while the destructor of
    the compiled model holds the GIL and waits for the thread: dropped right after `wait_all`, 2 of 4 processes hung
    within 25 models (OpenVINO 2026.4.1, tests/deploy/test_process.py).
    """
    import openvino

    held: list[weakref.ref[Any]] = []

    class Queue(refusing(openvino.AsyncInferQueue, pid)):  # type: ignore[misc]
        def set_callback(self, callback: Callable[..., Any]) -> None:
            def own(request: Any, userdata: Any) -> Any:
                return callback(request, userdata)

            held.append(weakref.ref(own))
            super().set_callback(own)

    queue = Queue(compiled_model, infer_requests)
    try:
        yield queue
    finally:
        try:
            queue.wait_all()
        finally:
            openvino.AsyncInferQueue.set_callback(queue, _ignore)
            end_s = time.monotonic() + CALLBACK_S
            while any(callback() is not None for callback in held) and time.monotonic() < end_s:
                time.sleep(0.001)


def _ignore(request: Any, userdata: Any) -> None:
    """Takes the place of a callback that is to be dropped."""


def _keep_models() -> None:
    """Takes a reference that is never given back, so that the child ends without the destructors."""
    for reference in _models:
        if (model := reference()) is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(model))
