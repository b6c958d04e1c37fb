"""An application's calls: right answers under threads, futures, asyncio, faults, cancellations and the end."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from tuner.deploy.best import Best, BestInput
from tuner.deploy.deployment import Deployment
from tuner.errors import ClosedError, InputError, QueueFullError

pytestmark = pytest.mark.openvino

MakeBest = Callable[..., Best]
PATIENCE_S = 120.0
"""Longest wait for what takes less than a second unless it hangs, in seconds."""
FOREVER_MS = 1e6
"""A deadline that no test reaches: what is answered was answered for another reason."""


def samples(count: int, seed: int = 0) -> list[np.ndarray[Any, Any]]:
    return [np.random.default_rng([seed, i]).random((1, 64), np.float32) for i in range(count)]


def right(best: Best, core: openvino.Core, inputs: list[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """Returns what each sample gives alone, in plain OpenVINO."""
    request = replace(best, batch_size=1).compile(core=core).infer_request()
    return [np.array(request.infer({"x": one})["y"]) for one in inputs]


def save(folder: Path, outputs: list[Any], inputs: list[Any]) -> str:
    openvino.save_model(openvino.Model(outputs, inputs, "m"), folder / "m.xml", compress_to_fp16=False)
    return "m.xml"


def named(node: Any, name: str) -> Any:
    node.output(0).set_names({name})
    return node


# Answers


@pytest.mark.parametrize("api", ["async", "sync"])
def test_the_answer_is_the_models_by_name_and_index(make_best: MakeBest, core: openvino.Core, api: Any) -> None:
    best = make_best(api=api)
    inputs = samples(4)
    with best.compile(core=core) as deployment:
        answer = deployment.infer({"x": np.concatenate(inputs)})
    np.testing.assert_allclose(answer["y"], np.concatenate(right(best, core, inputs)), rtol=1e-4, atol=1e-4)
    assert answer[0] is answer["y"]


def test_answers_stay_when_others_follow_and_the_deployment_is_gone(make_best: MakeBest, core: openvino.Core) -> None:
    best = make_best(batch_size=1, infer_requests=1)
    inputs = samples(20)
    with best.compile(core=core) as deployment:
        answers = [deployment.infer({"x": one})["y"] for one in inputs]
    del deployment
    for answer, expected in zip(answers, right(best, core, inputs), strict=True):
        assert answer.flags.owndata
        np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-4)


def check_many_callers(deployment: Deployment, best: Best, core: openvino.Core, calls: int, threads: int = 8) -> None:
    """Each thread infers, submits and awaits samples of its own, and compares every answer with the right one."""
    wrong: list[Any] = []
    done: list[int] = []
    given = [samples(16, seed) for seed in range(threads)]
    expected = [right(best, core, one) for one in given]

    def compare(number: int, which: int, answer: Any) -> None:
        if not np.allclose(answer["y"], expected[number][which], rtol=1e-3, atol=1e-3):
            wrong.append((number, which))
        done.append(number)

    async def gather(number: int) -> None:
        answers = await asyncio.gather(*(deployment.ainfer({"x": one}) for one in given[number]))
        for which, answer in enumerate(answers):
            compare(number, which, answer)

    def work(number: int) -> None:
        turn = 0
        while turn < calls // threads:
            if turn % 64 == 0:
                asyncio.run(gather(number))
                futures = [deployment.submit({"x": one}) for one in given[number]]
                for which, future in enumerate(futures):
                    compare(number, which, future.result(PATIENCE_S))
                turn += 2 * len(futures)
            compare(number, turn % 16, deployment.infer({"x": given[number][turn % 16]}))
            turn += 1

    workers = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(threads)]
    for worker in workers:
        worker.start()
    deadline = time.monotonic() + PATIENCE_S
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
    assert not any(worker.is_alive() for worker in workers), f"hangs after {len(done)} answers: {deployment.stats()}"
    assert wrong == []
    assert len(done) >= calls
    assert deployment.stats().answered == len(done)


DEPLOYED = pytest.mark.parametrize(
    "fields",
    [
        {"batch_size": 1, "infer_requests": 2, "properties": {"NUM_STREAMS": 2}},
        {"batch_size": 4, "infer_requests": 2, "properties": {"NUM_STREAMS": 2}},
        {"batch_size": 1, "infer_requests": 1, "api": "sync"},
        {"batch_size": 8, "infer_requests": 1, "api": "sync"},
    ],
    ids=["async", "async, batch 4", "sync", "sync, batch 8"],
)


@DEPLOYED
def test_eight_threads_get_their_own_answers(make_best: MakeBest, core: openvino.Core, fields: dict[str, Any]) -> None:
    best = make_best(effective={}, **fields)
    with best.compile(core=core) as deployment:
        check_many_callers(deployment, best, core, calls=800)


@pytest.mark.slow
@DEPLOYED
def test_ten_thousand_answers_to_eight_threads_are_right(
    make_best: MakeBest, core: openvino.Core, fields: dict[str, Any]
) -> None:
    best = make_best(effective={}, **fields)
    with best.compile(core=core) as deployment:
        check_many_callers(deployment, best, core, calls=10_000)


def test_two_deployments_answer_at_once(make_best: MakeBest, core: openvino.Core) -> None:
    best = make_best(batch_size=1)
    failures: list[BaseException] = []

    def check(deployment: Deployment) -> None:
        try:
            check_many_callers(deployment, best, core, calls=400, threads=4)
        except BaseException as error:
            failures.append(error)

    with best.compile(core=core) as one, best.compile(core=core) as other:
        threads = [threading.Thread(target=check, args=(deployment,)) for deployment in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_threads_take_turns_at_a_queue(make_best: MakeBest, core: openvino.Core) -> None:
    best = make_best(batch_size=1, infer_requests=2, properties={"NUM_STREAMS": 2}, effective={})
    given = [samples(8, seed) for seed in range(8)]
    expected = [right(best, core, one) for one in given]
    answers: list[list[Any]] = [[] for _ in given]

    def feed(number: int) -> None:
        for turn in range(100):
            future: Future[Any] = Future()
            queue.start_async({"x": given[number][turn % 8]}, future)
            answers[number].append(future.result(PATIENCE_S))

    with best.compile(core=core).infer_queue() as queue:
        queue.set_callback(lambda request, future: future.set_result(np.array(request.get_output_tensor(0).data)))
        threads = [threading.Thread(target=feed, args=(number,), daemon=True) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
    for own, one in zip(answers, expected, strict=True):
        np.testing.assert_allclose(np.concatenate(own), np.concatenate(one * 13)[:100], rtol=1e-3, atol=1e-3)


def test_the_caller_of_submit_may_use_its_array_again(make_best: MakeBest, core: openvino.Core) -> None:
    best = make_best()
    inputs = samples(4)
    buffer = np.empty((1, 64), np.float32)
    with best.compile(core=core).predictor(max_wait_ms=FOREVER_MS) as predictor:
        futures = []
        for one in inputs:
            buffer[:] = one
            futures.append(predictor.submit({"x": buffer}))
        answers = [future.result(PATIENCE_S)["y"] for future in futures]
    np.testing.assert_allclose(np.concatenate(answers), np.concatenate(right(best, core, inputs)), rtol=1e-3, atol=1e-3)


def test_a_model_with_variables_answers_each_call_from_its_initial_state(
    make_best: MakeBest, core: openvino.Core, tmp_path: Path
) -> None:
    x = named(ops.parameter([1, 2], np.float32, name="x"), "x")
    memory = ops.read_value(ops.constant(np.zeros((1, 2), np.float32)), "sum")
    total = named(ops.add(x, memory), "y")
    model = openvino.Model([ops.result(total)], [ops.assign(total, "sum")], [x], "sums")
    openvino.save_model(model, tmp_path / "m.xml", compress_to_fp16=False)
    best = make_best(path="m.xml", inputs={"x": BestInput(shape=(1, 2), batch_axis=None)}, batch_size=1)
    with best.compile(core=core) as deployment:
        for _ in range(3):
            assert deployment.infer([np.ones((1, 2), np.float32)])["y"].tolist() == [[1, 1]]


# Batches


def test_single_samples_of_many_callers_share_one_inference(make_best: MakeBest, core: openvino.Core) -> None:
    best = make_best(batch_size=4)
    inputs = samples(8)
    with best.compile(core=core).predictor(max_wait_ms=FOREVER_MS) as predictor:
        futures = [predictor.submit({"x": one}) for one in inputs]
        answers = [future.result(PATIENCE_S)["y"] for future in futures]
        stats = predictor.stats()
    np.testing.assert_allclose(np.concatenate(answers), np.concatenate(right(best, core, inputs)), rtol=1e-3, atol=1e-3)
    assert (stats.answered, stats.samples, stats.inferences) == (8, 8, 2)


def test_a_sample_alone_is_answered_after_its_deadline(make_best: MakeBest, core: openvino.Core) -> None:
    best = make_best(batch_size=4)
    (one,) = samples(1)
    with best.compile(core=core).predictor(max_wait_ms=1) as predictor:
        answer = predictor.infer({"x": one})
    np.testing.assert_allclose(answer["y"], right(best, core, [one])[0], rtol=1e-3, atol=1e-3)


def test_what_carries_no_batch_is_never_that_of_another_caller(
    make_best: MakeBest, core: openvino.Core, tmp_path: Path
) -> None:
    x, s = (named(ops.parameter([1, 1], np.float32, name=name), name) for name in "xs")
    path = save(tmp_path, [named(ops.multiply(x, s), "y")], [x, s])
    inputs = {"x": BestInput(shape=(1, 1), batch_axis=0), "s": BestInput(shape=(1, 1), batch_axis=None)}
    best = make_best(path=path, inputs=inputs, batch_size=4)
    with best.compile(core=core).predictor(max_wait_ms=1) as predictor:
        given = [(float(i), float(i % 3)) for i in range(30)]
        futures = [predictor.submit({"x": [[value]], "s": [[factor]]}) for value, factor in given]
        answers = [future.result(PATIENCE_S)["y"].item() for future in futures]
    assert answers == [value * factor for value, factor in given]


# asyncio


def test_the_loop_stays_free_while_a_call_waits(make_best: MakeBest, core: openvino.Core) -> None:
    """The first call waits for a batch that the loop itself completes."""
    inputs = samples(4)

    async def complete() -> list[Any]:
        with make_best().compile(core=core).predictor(max_wait_ms=FOREVER_MS) as predictor:
            first = asyncio.create_task(predictor.ainfer({"x": inputs[0]}))
            await asyncio.sleep(0)
            assert not first.done()
            rest = await asyncio.gather(*(predictor.ainfer({"x": one}) for one in inputs[1:]))
            return [await first, *rest]

    answers = asyncio.run(asyncio.wait_for(complete(), PATIENCE_S))
    expected = right(make_best(), core, inputs)
    np.testing.assert_allclose(
        np.concatenate([a["y"] for a in answers]), np.concatenate(expected), rtol=1e-3, atol=1e-3
    )


def test_a_task_that_is_cancelled_leaves_its_place_to_others(make_best: MakeBest, core: openvino.Core) -> None:
    inputs = samples(5)

    async def cancel() -> list[Any]:
        with make_best().compile(core=core).predictor(max_wait_ms=FOREVER_MS) as predictor:
            task = asyncio.create_task(predictor.ainfer({"x": inputs[0]}))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            rest = [asyncio.create_task(predictor.ainfer({"x": one})) for one in inputs[1:]]
            await asyncio.sleep(0)
            predictor.close()  # four are left of five: the batch is answered whole, or now
            answers = [await one for one in rest]
            assert predictor.stats().cancelled == 1
            assert predictor.stats().running == 0
            return answers

    answers = asyncio.run(asyncio.wait_for(cancel(), PATIENCE_S))
    expected = right(make_best(), core, inputs[1:])
    np.testing.assert_allclose(
        np.concatenate([a["y"] for a in answers]), np.concatenate(expected), rtol=1e-3, atol=1e-3
    )


def test_cancelled_tasks_and_a_closed_loop_leave_no_request_busy(make_best: MakeBest, core: openvino.Core) -> None:
    best = make_best(batch_size=1)
    inputs = samples(32)

    async def abandon(deployment: Deployment) -> None:
        tasks = [asyncio.create_task(deployment.ainfer({"x": one})) for one in inputs]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks[::2]:
            task.cancel()

    with best.compile(core=core) as deployment:
        asyncio.run(abandon(deployment))  # ends with the other tasks still waiting: the loop cancels and closes
        check_many_callers_after(deployment, best, core)


def check_many_callers_after(deployment: Deployment, best: Best, core: openvino.Core) -> None:
    """Checks that the deployment still answers, and that no request is lost."""
    inputs = samples(8, seed=9)
    futures = [deployment.submit({"x": one}) for one in inputs]
    answers = [future.result(PATIENCE_S)["y"] for future in futures]
    np.testing.assert_allclose(np.concatenate(answers), np.concatenate(right(best, core, inputs)), rtol=1e-3, atol=1e-3)
    deployment.close()
    assert (deployment.stats().waiting, deployment.stats().running) == (0, 0)


# Faults


@pytest.fixture
def fails_at_five(make_best: MakeBest, tmp_path: Path) -> Best:
    """A model that broadcasts one sample to the shape in its second input: [4, 4] works, [4, 5] raises inside."""
    x = named(ops.parameter([1, 4], np.float32, name="x"), "x")
    shape = named(ops.parameter([2], np.int64, name="shape"), "shape")
    path = save(tmp_path, [named(ops.relu(ops.broadcast(x, shape)), "y")], [x, shape])
    inputs = {
        "x": BestInput(shape=(1, 4), batch_axis=None),
        "shape": BestInput(shape=(2,), batch_axis=None, range=(4, 4)),
    }
    return make_best(path=path, inputs=inputs, batch_size=1)


@pytest.mark.parametrize("api", ["async", "sync"])
def test_what_an_inference_raises_reaches_its_caller_alone(fails_at_five: Best, core: openvino.Core, api: Any) -> None:
    x = np.ones((1, 4), np.float32)
    with replace(fails_at_five, api=api).compile(core=core) as deployment:

        def ask(last: int) -> Future[Any]:
            return deployment.submit({"x": x, "shape": np.array([4, last])})

        for _ in range(5):
            futures = [ask(5 if i % 3 == 0 else 4) for i in range(9)]
            for i, future in enumerate(futures):
                if i % 3:
                    assert future.result(PATIENCE_S)["y"].shape == (4, 4)
                else:
                    assert isinstance(future.exception(PATIENCE_S), RuntimeError)
            with pytest.raises(RuntimeError, match=r"[Bb]roadcast|dimension"):
                deployment.infer({"x": x, "shape": np.array([4, 5])})
        stats = deployment.stats()
    assert (stats.failed, stats.answered, stats.running) == (20, 30, 0)


def test_a_full_queue_refuses_and_answers_what_it_took(make_best: MakeBest, core: openvino.Core) -> None:
    inputs = samples(3)
    with make_best().compile(core=core).predictor(max_wait_ms=FOREVER_MS, max_waiting=3) as predictor:
        futures = [predictor.submit({"x": one}) for one in inputs]
        for refused in (predictor.submit, predictor.infer):
            with pytest.raises(QueueFullError, match="3 calls wait"):
                refused({"x": inputs[0]})

        async def one_more() -> None:
            await predictor.ainfer({"x": inputs[0]})

        with pytest.raises(QueueFullError):
            asyncio.run(one_more())
        assert predictor.stats().refused == 3
    answers = [future.result(PATIENCE_S)["y"] for future in futures]
    expected = right(make_best(), core, inputs)
    np.testing.assert_allclose(np.concatenate(answers), np.concatenate(expected), rtol=1e-3, atol=1e-3)


def test_closing_while_requests_run_answers_or_refuses_each_call(make_best: MakeBest, core: openvino.Core) -> None:
    best = make_best(batch_size=1)
    deployment = best.compile(core=core)
    ends: list[str] = []

    def work() -> None:
        (one,) = samples(1)
        while True:
            try:
                deployment.infer({"x": one})
            except ClosedError:
                ends.append("refused")
                return

    workers = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for worker in workers:
        worker.start()
    deployment.submit({"x": samples(1)[0]}).result(PATIENCE_S)
    closers = [threading.Thread(target=deployment.close, daemon=True) for _ in range(3)]
    for thread in closers:
        thread.start()
    for thread in (*closers, *workers):
        thread.join(PATIENCE_S)
    assert ends == ["refused"] * 8
    assert (deployment.stats().waiting, deployment.stats().running) == (0, 0)
    deployment.close()


def test_closing_may_cancel_what_waits(make_best: MakeBest, core: openvino.Core) -> None:
    predictor = make_best().compile(core=core).predictor(max_wait_ms=FOREVER_MS)
    future = predictor.submit({"x": samples(1)[0]})
    predictor.close(cancel=True)
    with pytest.raises(CancelledError):
        future.result(PATIENCE_S)
    predictor.close()
    with pytest.raises(ClosedError, match="takes no more calls"):
        predictor.submit({"x": samples(1)[0]})


def test_a_deployment_that_is_closed_before_its_first_call_stays_closed(
    make_best: MakeBest, core: openvino.Core
) -> None:
    deployment = make_best().compile(core=core)
    deployment.close()
    with pytest.raises(ClosedError):
        deployment.infer({"x": np.zeros((4, 64), np.float32)})


def test_a_callback_cannot_wait_for_its_own_thread_but_may_submit_and_close(
    make_best: MakeBest, core: openvino.Core
) -> None:
    predictor = make_best(batch_size=1, infer_requests=1).compile(core=core).predictor()
    (one,) = samples(1)
    found: list[Any] = []
    closed = threading.Event()

    def call_back(future: Future[Any]) -> None:
        try:
            predictor.infer({"x": one})
        except InputError as error:
            found.append(str(error))
        found.append(predictor.submit({"x": one}))
        predictor.close()
        closed.set()

    predictor.submit({"x": one}).add_done_callback(call_back)
    assert closed.wait(PATIENCE_S)
    predictor.close()
    if len(found) == 2:  # the callback was called by the predictor's thread, and not at once by this one
        assert "use submit()" in found[0]
    assert found[-1].result(PATIENCE_S)["y"].shape[0] == 1


def test_a_callback_that_ends_its_thread_does_not_end_the_answers(
    make_best: MakeBest, core: openvino.Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: said.append(arguments.exc_type))

    def give_up(future: Future[Any]) -> None:
        raise SystemExit

    with make_best(infer_requests=1).compile(core=core).predictor(max_wait_ms=FOREVER_MS) as predictor:
        futures = [predictor.submit({"x": one}) for one in samples(3)]
        for future in futures:
            future.add_done_callback(give_up)
        futures += [predictor.submit({"x": one}) for one in samples(5)]
        assert not wait(futures, PATIENCE_S).not_done
    assert said == [SystemExit] * 3


def test_a_predictor_that_is_forgotten_answers_and_ends_its_threads(make_best: MakeBest, core: openvino.Core) -> None:
    predictor = make_best().compile(core=core).predictor(max_wait_ms=FOREVER_MS)
    threads = predictor._threads
    future = predictor.submit({"x": samples(1)[0]})
    del predictor
    gc.collect()
    assert future.result(PATIENCE_S)["y"].shape[0] == 1
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@pytest.mark.parametrize(("options", "message"), [({"max_wait_ms": -1}, "at least 0"), ({"max_waiting": 0}, "least 1")])
def test_options_out_of_range_are_refused(
    make_best: MakeBest, core: openvino.Core, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make_best().compile(core=core).predictor(**options)
