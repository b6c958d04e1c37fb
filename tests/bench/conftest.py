"""What the tests of measuring share: small values, a plan that takes no time, and a bench on made-up workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from tuner.bench import histogram
from tuner.bench.configuration import DeploymentConfig, Effective, Failure, PropertyValue
from tuner.bench.measurement import Session, Window, Windows
from tuner.bench.protocol import Role, SessionMember, SessionPlan, SessionRequest
from tuner.bench.worker.worker_bench import WorkerBench
from tuner.model.spec import ModelSpec

HERE = Path(__file__).resolve().parent
MLP = ModelSpec(path="builtin:mlp", folder=HERE)
BACKEND = "backends:Backend"
OpenBench = Callable[..., WorkerBench]


def config(properties: Mapping[str, PropertyValue] | None = None, **fields: Any) -> DeploymentConfig:
    return DeploymentConfig(device="CPU", properties=properties or {}, **fields)


def quick_plan(**fields: Any) -> SessionPlan:
    """Three blocks, hardly any time; a member that hangs is noticed after one second."""
    usual: dict[str, Any] = {
        "phase": "search",
        "seed": 0,
        "blocks": 3,
        "window_s": 0.01,
        "warm_up_s": 0.03,
        "steady_tolerance": 10.0,
        "drop_s": 0.0,
        "max_window_s": 0.5,
        "hang_limit_s": 0.5,
    }
    return SessionPlan(**{**usual, **fields})


def request_of(
    configurations: Sequence[DeploymentConfig], plan: SessionPlan, *, first: Role = Role.REFERENCE
) -> SessionRequest:
    """Candidates beside the first configuration, which is the reference unless another role is given."""
    roles = [first, *[Role.CANDIDATE] * (len(configurations) - 1)]
    members = [SessionMember(config=one, role=role) for one, role in zip(configurations, roles, strict=True)]
    return SessionRequest(members=tuple(members), plan=plan)


def window(
    latencies_ms: list[float], *, duration_s: float = 1.0, batch_size: int = 1, block: int = 0, **more: Any
) -> Window:
    return Window(
        block=block,
        turn=block,
        started_s=float(block),
        duration_s=duration_s,
        samples=len(latencies_ms) * batch_size,
        latency_counts=histogram.count(latencies_ms) if latencies_ms else {},
        latency_sum_ms=sum(latencies_ms),
        **more,
    )


def whole(member: Windows | Failure) -> Windows:
    """The member, which must have run."""
    assert isinstance(member, Windows), member
    return member


def failed(member: Windows | Failure) -> Failure:
    """The member's failure, which it must have."""
    assert isinstance(member, Failure), member
    return member


def resolved(bench_answer: Effective | Failure) -> Effective:
    assert isinstance(bench_answer, Effective), bench_answer
    return bench_answer


def blocks_of(session: Session) -> list[list[int] | str]:
    """Per member: the blocks of its windows, or the kind of its failure."""
    return [m.kind.value if isinstance(m, Failure) else [w.block for w in m.windows] for m in session.members]


def is_alive(pid: int) -> bool:
    """Returns True if there is such a process and it is no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def backends() -> Iterator[None]:
    """Worker processes find `backends.py`: they are started with -P, so the current folder is not on their path."""
    with pytest.MonkeyPatch.context() as patch:
        root = HERE.parents[1]
        patch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(root), os.environ.get("PYTHONPATH", "")]))
        yield


@pytest.fixture
def one_interrupt() -> Iterator[None]:
    """SIGUSR1 is Ctrl-C, once: a late second one does not end the process that runs the tests."""

    def interrupt(*_: object) -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGUSR1, interrupt)
    yield
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


@pytest.fixture
def open_bench(backends: None) -> Iterator[OpenBench]:
    """Opens benches on `backends.py` and closes them: not one process may be left over, dead or alive."""
    before = {child.pid for child in psutil.Process().children()}
    opened: list[WorkerBench] = []

    def opener(backend: str = BACKEND, **fields: Any) -> WorkerBench:
        opened.append(WorkerBench(MLP, backend=backend, **fields))
        return opened[-1]

    yield opener
    for bench in opened:
        with bench:
            pass
    assert {child.pid for child in psutil.Process().children()} <= before
