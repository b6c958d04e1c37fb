"""Answers the calls of an application from any thread, with as many requests as were tuned.

A request belongs to one thread at a time: to the caller's, where one is free at once, or to a thread of the predictor,
which takes waiting calls in batches. Must not know where the compiled model comes from.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from tuner.deploy.batcher import Batcher, Call, PredictorStats
from tuner.deploy.guards import refuse_in_child
from tuner.deploy.ports import Array, Inputs, Outputs, Port, Ports
from tuner.errors import DeviceError, InputError
from tuner.model.files.openvino_error import first_line

if TYPE_CHECKING:
    import openvino

AT_EXIT_S = 5.0
"""Longest wait for running inferences when the process ends without `close`, in seconds."""

_batchers: weakref.WeakSet[Batcher[_Request]] = weakref.WeakSet()
_threads: set[threading.Thread] = set()
"""Threads of all predictors of this process, those of forgotten ones too."""


class _Request:
    """Runs batches on one InferRequest, whose input tensors it fills itself."""

    def __init__(self, compiled_model: openvino.CompiledModel, ports: Ports, *, is_sync: bool) -> None:
        self._request = compiled_model.create_infer_request()
        self._views = [self._request.get_input_tensor(index).data for index in range(len(ports.inputs))]
        self._states = self._request.query_state()
        self._ports = ports
        # infer() on one stream of one thread loses an exception and leaves the previous caller's outputs in place
        # (OpenVINO 2026.4.1, tests/deploy/test_predictor.py): what may fail is waited for instead.
        self._is_sync = is_sync and not ports.has_open_shapes

    def start(self, calls: Sequence[Call]) -> None:
        """Fills the input tensors and starts the inference, in the way that was measured.

        Rows that no call fills keep what they held: the rows of a batch do not depend on each other. A model with
        variables starts from their initial values.
        """
        first = 0
        for call in calls:
            for port, view, array in zip(self._ports.inputs, self._views, call.arrays, strict=True):
                view[port.part(first, call.samples, self._ports.batch_size)] = array
            first += call.samples
        for state in self._states:
            state.reset()
        if not self._is_sync:
            self._request.start_async()

    def finish(self, calls: Sequence[Call]) -> list[Outputs]:
        """Waits for the end of the inference; returns the answers to all calls, as copies."""
        if self._is_sync:
            self._request.infer(share_outputs=True)
        else:
            self._request.wait()
        tensors = [self._request.get_output_tensor(index) for index in range(len(self._ports.outputs))]
        answers, first = [], 0
        for call in calls:
            parts = (port.part(first, call.samples, self._ports.batch_size) for port in self._ports.outputs)
            arrays = [_copy(*of) for of in zip(self._ports.outputs, tensors, parts, strict=True)]
            answers.append(Outputs(self._ports.outputs, arrays))
            first += call.samples
        return answers

    def settle(self) -> None:
        """Waits after a failure, so that the next call does not find the request busy, as after Ctrl-C in `finish`."""
        with suppress(RuntimeError):
            self._request.wait()


def _copy(port: Port, tensor: openvino.Tensor, part: tuple[slice, ...]) -> Array:
    return np.array((tensor.str_data if port.is_text else tensor.data)[part])


class Predictor:
    """Answers calls from any thread, from futures and from asyncio. Opened by `Deployment.predictor`."""

    def __init__(
        self,
        compiled_model: openvino.CompiledModel,
        ports: Ports,
        *,
        infer_requests: int,
        api: Literal["async", "sync"],
        warm_up: Callable[[], Sequence[Array]],
        max_wait_ms: float,
        max_waiting: int,
    ) -> None:
        if text := [port.name for port in ports.inputs if port.is_text]:
            raise InputError(f"the input {text[0]!r} takes text: use `infer_request()`, one for each thread")
        if not max_wait_ms >= 0 or max_waiting < 1:
            raise InputError(f"max_wait_ms={max_wait_ms} is to be at least 0, max_waiting={max_waiting} at least 1")
        self._pid = os.getpid()
        self._ports = ports
        requests = [_Request(compiled_model, ports, is_sync=api == "sync") for _ in range(infer_requests)]
        _warm_up(requests, warm_up(), ports.batch_size)
        self._batcher = Batcher(
            requests,
            batch_size=ports.batch_size,
            max_wait_s=max_wait_ms / 1e3,
            max_waiting=max_waiting,
            may_share=ports.may_share,
        )
        self._threads = [
            threading.Thread(target=_serve, args=(self._batcher,), name=f"tuner-predictor-{index}", daemon=True)
            for index in range(infer_requests)
        ]
        for thread in self._threads:
            thread.start()
        weakref.finalize(self, self._batcher.close, cancel=False).atexit = False
        _batchers.add(self._batcher)
        _threads.difference_update([thread for thread in list(_threads) if not thread.is_alive()])
        _threads.update(self._threads)

    def infer(self, inputs: Inputs) -> Outputs:
        """Returns the answer to one call, from any thread.

        Args:
            inputs: Arrays by name or in order, with one sample, several, or a whole batch. Fewer samples than the
                batch wait up to `max_wait_ms` for those of other calls.

        Raises:
            InputError: An array is missing, or has a wrong shape or element type.
            QueueFullError: More than `max_waiting` calls wait.
            ClosedError: The predictor is closed.
            ForkError: This process was forked from the one that compiled.
            RuntimeError: What the inference itself raised.
        """
        refuse_in_child(self._pid)
        if threading.current_thread() in self._threads:
            raise InputError("infer() in the callback of a future would wait for its own thread: use submit()")
        call = self._call(inputs, copy=False)
        if call.samples == self._ports.batch_size and (request := self._batcher.borrow()) is not None:
            return _run(self._batcher, request, [call])[0]
        self._batcher.put(call)
        try:
            return call.future.result()
        except BaseException:
            call.future.cancel()  # after Ctrl-C; nothing if it has ended
            raise

    def submit(self, inputs: Inputs) -> Future[Outputs]:
        """Returns a future of the answer at once; the inputs are copied. Raises what `infer` does, at once or later."""
        return self._queued(inputs, copy=True)

    async def ainfer(self, inputs: Inputs) -> Outputs:
        """Returns the answer to one call on asyncio, whose loop stays free. Raises what `infer` does.

        As in `infer`, the inputs must not change until the answer is there; a cancelled call no longer needs them.
        """
        import asyncio

        return await asyncio.wrap_future(self._queued(inputs, copy=False))

    def stats(self) -> PredictorStats:
        """Returns what happened to the calls so far."""
        refuse_in_child(self._pid)
        return self._batcher.stats()

    def close(self, *, cancel: bool = False) -> None:
        """Takes no more calls, answers those that wait or with `cancel` cancels them, and waits for running ones.

        May be called again, from any thread; a predictor that is left as a context manager is closed.
        """
        if os.getpid() != self._pid:
            return  # the threads are in the parent
        self._batcher.close(cancel=cancel)
        if threading.current_thread() in self._threads:
            return  # called back by a future: waiting would be for itself
        self._batcher.wait_until_idle()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Predictor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _queued(self, inputs: Inputs, *, copy: bool) -> Future[Outputs]:
        refuse_in_child(self._pid)
        call = self._call(inputs, copy=copy)
        self._batcher.put(call)
        return call.future

    def _call(self, inputs: Inputs, *, copy: bool) -> Call:
        arrived_s = self._batcher.clock()
        arrays, samples = self._ports.accept(inputs, copy=copy)
        return Call(arrays=arrays, samples=samples, arrived_s=arrived_s)


def _warm_up(requests: Sequence[_Request], inputs: Sequence[Array], samples: int) -> None:
    """Runs the first inference of each request, one after the other; raises DeviceError if the model does not run.

    The first inferences of a process may hang where several threads start them at once.
    """
    calls = [Call(arrays=inputs, samples=samples, arrived_s=0.0)]
    for request in requests:
        try:
            request.start(calls)
            request.finish(calls)
        except RuntimeError as error:
            raise DeviceError(
                f"the model compiles but does not run: {first_line(error)}",
                advice="Check the device's driver and its free memory.",
            ) from error


@dataclass(slots=True, kw_only=True)
class _Ended:
    """Holds calls whose inference has ended, with what their callers get."""

    calls: list[Call]
    answers: list[Outputs]
    error: BaseException | None

    def deliver(self) -> None:
        """Completes the futures, which runs the callbacks of the application; does nothing the second time."""
        while self.calls:
            call = self.calls.pop()
            try:
                if self.error is None:
                    call.future.set_result(self.answers.pop())
                else:
                    call.future.set_exception(self.error)
            except BaseException:  # of a callback, as SystemExit: this thread goes on for the other callers
                threading.excepthook(threading.ExceptHookArgs([*sys.exc_info(), threading.current_thread()]))


def _serve(batcher: Batcher[_Request]) -> None:
    """Answers calls until the batcher is closed. Holds no predictor, so that one that is forgotten ends.

    Answers are delivered while the next inference runs: callers that wake up would delay its start.
    """
    ended: _Ended | None = None
    while True:
        taken = batcher.take(wait=ended is None)
        if taken is not None:
            ended = _answer(batcher, *taken, ended)
        elif ended is not None:
            ended.deliver()
            ended = None
        else:
            return


def _answer(batcher: Batcher[_Request], request: _Request, calls: list[Call], before: _Ended | None) -> _Ended:
    answers: list[Outputs] = []
    error = None
    try:
        answers = _run(batcher, request, calls, before)
    except BaseException as raised:
        error = raised
    if before is not None:
        before.deliver()  # where the start failed
    return _Ended(calls=calls, answers=answers, error=error)


def _run(
    batcher: Batcher[_Request], request: _Request, calls: list[Call], before: _Ended | None = None
) -> list[Outputs]:
    """Returns the answers to the calls, and gives the request back; delivers what ended `before` meanwhile."""
    is_answered = False
    try:
        request.start(calls)
        if before is not None:
            before.deliver()
        answers = request.finish(calls)
        is_answered = True
        return answers
    except BaseException:
        request.settle()
        raise
    finally:
        batcher.give_back(request, calls, is_answered=is_answered)


def _end_all() -> None:
    """Ends all threads with the process: one inside OpenVINO would abort the interpreter that goes away."""
    deadline_s = time.monotonic() + AT_EXIT_S
    for batcher in list(_batchers):
        batcher.close(cancel=True)
    for thread in list(_threads):
        thread.join(max(0.0, deadline_s - time.monotonic()))


def _forget_parent() -> None:
    _batchers.clear()
    _threads.clear()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
