"""The deployment block: what it becomes, what is refused where, and what a study does with replicas and conditions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.outcome.test_best_config import HOST, best_of
from tests.virtual import Virtual, calm, make_study, parameter, space_of
from tuner.bench.configuration import Conditions, DeploymentConfig
from tuner.bench.protocol import ModelFacts
from tuner.bench.simulated.synthetic import effective_of
from tuner.errors import StudyChangedError, StudyFileError
from tuner.model.host import HostFacts
from tuner.outcome.study_report import StudyReport
from tuner.records.folder import write_text
from tuner.records.identity import check_identity, study_identity
from tuner.report.study import study_lines
from tuner.report.study_json import study_json
from tuner.search.auto_space import SpaceFacts, auto_space
from tuner.search.search_space import make_setup
from tuner.search.seeds import seeds
from tuner.study.baselines import baseline_configs
from tuner.study.conditions import as_written, under
from tuner.study.configuration import to_configuration
from tuner.study.file import device_checks
from tuner.study.file.loader import Draft, load_study, parse
from tuner.study.file.scalars import read_cpuset, read_memory
from tuner.study.study import BaselineSpec, Limit, Objective, Study

EIGHT = replace(HOST, cpu_list="0-7")
Write = Callable[..., Path]
FACTS = ModelFacts(
    inputs=[], precision="f32", device_properties=[], device_name="CPU", batch_legal=True, batch_reason=""
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_study(**sections: str) -> Path:
        text = "schema_version: 1\nmodel: builtin:mlp\ndevice: CPU\n"
        text += "objective: {maximize: throughput}\nbudget: {minutes: 5}\n"
        path = tmp_path / "study.yaml"
        path.write_text(text + "".join(f"{key}: {value}\n" for key, value in sections.items()))
        return path

    return write_study


def on_host(path: Path, host: HostFacts = EIGHT) -> Draft:
    draft = parse(path)
    draft.check_host(host)
    return draft


def problems_of(path: Path, host: HostFacts = EIGHT) -> list[str]:
    with pytest.raises(StudyFileError) as caught:
        on_host(path, host).study()
    return [str(problem) for problem in caught.value.problems]


# Values


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("512M", 512 << 20),
        ("512Mi", 512 << 20),
        ("512MiB", 512 << 20),
        ("512MB", 512_000_000),
        ("1g", 1 << 30),
        ("1.5GiB", 3 << 29),
        ("2 GB", 2_000_000_000),
        ("1T", 1 << 40),
        ("100k", 100 << 10),
        ("16777216", 16777216),
        ("16777216B", 16777216),
    ],
)
def test_memory_is_read_as_docker_and_kubernetes_write_it(text: str, found: int) -> None:
    assert read_memory(text) == found


@pytest.mark.parametrize("text", ["", "much", "-1M", "1X", "1MM", "1.M", "nan", "1e9", "1,5G"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_memory(text)


def test_cpus_are_read_as_linux_writes_them() -> None:
    assert read_cpuset("0-3,6") == {0, 1, 2, 3, 6}
    assert read_cpuset(" 2 , 0 ") == {0, 2}
    for text in ("", "a", "3-1", "-1", "0-999999", "1-2-3"):
        with pytest.raises(ValueError, match=r".*"):
            read_cpuset(text)


@pytest.mark.parametrize(
    ("block", "conditions"),
    [
        ("{}", Conditions()),
        ("{cpus: 1.5}", Conditions(cpus=1.5)),
        ("{cpuset: 0-1}", Conditions(cpuset=(0, 1))),
        ("{cpuset: 3}", Conditions(cpuset=(3,))),
        ("{cpuset: [2, 0, 2]}", Conditions(cpuset=(0, 2))),
        ("{memory: 1GiB, replicas: 2}", Conditions(memory_bytes=1 << 30, replicas=2)),
        ("{memory: 67108864, background: ./other}", Conditions(memory_bytes=64 << 20, background="./other")),
    ],
)
def test_a_block_becomes_conditions(write: Write, block: str, conditions: Conditions) -> None:
    assert on_host(write(deployment=block)).study().conditions == conditions


def test_without_a_block_nothing_is_stated_and_nothing_written(write: Write) -> None:
    conditions = load_study(write()).conditions
    assert conditions == Conditions()
    assert as_written(conditions) == {}
    assert not conditions.has_limits


def test_what_was_stated_is_written_as_a_file_shows_it() -> None:
    everything = Conditions(cpus=0.5, cpuset=(0, 1, 2, 5), memory_bytes=64 << 20, replicas=2, background="./other")
    assert as_written(everything) == {
        "cpus": 0.5,
        "cpuset": "0-2,5",
        "memory_bytes": 64 << 20,
        "replicas": 2,
        "background": "./other",
    }


# What does not go together, and what this host lacks

REPLICAS = "{replicas: {choices: [1, 2]}}"
SHARED = "{extends: auto, affinity: {choices: [shared, split]}}"


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"deployment": "{cpus: 9}"}, "6:20: a quota of 9 CPUs is no limit: there are 8 here"),
        ({"deployment": "{memory: 900000G}"}, "6:22: a limit of 921600000 MiB is no limit: there are "),
        ({"deployment": "{cpus: 3, cpuset: 0-1}"}, "6:20: a quota of 3 CPUs is no limit: there are 2 here"),
        ({"deployment": "{cpuset: 7-9}"}, "6:22: CPUs 8, 9 are not there for this process; it may use 0-7"),
        ({"deployment": "{cpuset: [11]}"}, "6:22: CPU 11 is not there for this process; it may use 0-7"),
        ({"deployment": "{cpus: 1}", "space": REPLICAS}, "6:14: cpus does not go with replicas in the space"),
        ({"space": SHARED}, "6:24: affinity is about several replicas"),
        ({"baselines": "{a: {affinity: split}}"}, "6:17: affinity is about several replicas"),
        ({"baselines": "{a: {affinity: split, replicas: 1}}"}, "6:17: affinity is about several replicas"),
        ({"space": "{affinity: {low: 1, high: 2}}", "deployment": "{replicas: 2}"}, "affinity has no range"),
        ({"space": "{affinity: {choices: [apart]}}", "deployment": "{replicas: 2}"}, 'unknown affinity "apart"'),
        ({"space": "{replicas: {choices: [0, 2]}}"}, "replicas is a whole number from 1, got 0"),
        ({"space": "{replicas: {choices: [null, 2]}}"}, "replicas is a whole number from 1"),
    ],
)
def test_what_cannot_be_is_refused_at_its_place(write: Write, sections: dict[str, str], words: str) -> None:
    (problem,) = problems_of(write(**sections))
    assert words in problem


def test_a_wrong_key_of_the_block_hides_none_of_the_others(write: Write) -> None:
    path = write(deployment="{cpus: lots, cpuset: [11], memory: much, replica: 2}", baselines="{a: {affinity: split}}")
    found = [problem.split(" ", 1)[0] for problem in problems_of(path)]
    assert found == ["6:20:", "6:34:", "6:48:", "6:54:", "7:17:"]
    (problem,) = problems_of(write(deployment="{cpus: 9, replicas: many}"))[:1]
    assert "6:20: a quota of 9 CPUs is no limit" in problem


MIB = 1 << 20


def test_a_memory_limit_below_what_a_worker_takes_is_refused_with_what_is_needed(write: Write) -> None:
    path = write(deployment="{memory: 32M}")
    draft = on_host(path)
    draft.check_worker(59 * MIB)
    with pytest.raises(StudyFileError) as caught:
        draft.study()
    (problem,) = map(str, caught.value.problems)
    assert problem.startswith("6:22: a limit of 32 MiB does not hold a process that measures")
    assert "take 59 MiB without any model" in problem
    assert "`memory: 256M`" in problem
    draft = on_host(path)
    draft.check_worker(32 * MIB)
    assert draft.study().conditions.memory_bytes == 32 * MIB
    assert on_host(path).study().conditions.memory_bytes == 32 * MIB


def test_what_a_worker_takes_is_asked_only_where_memory_is_limited(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def answer() -> int:
        asked.append(1)
        return 59 * MIB

    monkeypatch.setattr(device_checks, "bare_worker_bytes", answer)
    for sections in ({"deployment": "{replicas: 2}"}, {}):
        device_checks.DeviceInspector(on_host(write(**sections))).check_device()
    assert not asked
    draft = on_host(write(deployment="{memory: 32M}"))
    device_checks.DeviceInspector(draft).check_device()
    assert asked
    assert len(draft.problems.problems) == 1


@pytest.mark.parametrize(("own", "words"), [(4, "4 would be given more"), (1, "1 would be given less")])
def test_under_a_quota_of_each_replica_a_baseline_has_as_many_as_the_deployment(
    write: Write, own: int, words: str
) -> None:
    deployment = "{cpus: 1, replicas: 2}"
    (problem,) = problems_of(write(deployment=deployment, baselines=f"{{today: {{replicas: {own}}}}}"))
    assert problem.startswith("7:31: deployment.cpus is the quota of each replica, of which there are 2")
    assert words in problem
    on_host(write(deployment=deployment, baselines="{today: {replicas: 2}}")).study()
    on_host(write(deployment="{replicas: 2}", baselines="{today: {replicas: 4}}")).study()


def test_a_quota_above_the_own_one_is_refused(write: Write) -> None:
    path = write(deployment="{cpus: 2}")
    (problem,) = problems_of(path, replace(EIGHT, cpu_quota=1.5))
    assert "lives under a quota of 1.5 CPUs, less than 2" in problem
    assert on_host(path, replace(EIGHT, cpu_quota=2.0)).study().conditions.cpus == 2


def test_without_a_host_a_file_is_read_wherever_it_is(write: Write) -> None:
    assert load_study(write(deployment="{cpus: 64, cpuset: 100-163}")).conditions.cpus == 64


@pytest.mark.parametrize(
    "sections",
    [
        {"deployment": "{replicas: 2}", "space": SHARED},
        {"space": "{replicas: {low: 1, high: 3}, affinity: {choices: [split]}}"},
        {"baselines": "{a: {affinity: split, replicas: 2}}"},
        {"deployment": "{replicas: 2}", "baselines": "{a: {affinity: split}}"},
    ],
)
def test_affinity_goes_with_replicas_wherever_they_are_said(write: Write, sections: dict[str, str]) -> None:
    on_host(write(**sections)).study()


# The host under conditions


@pytest.mark.parametrize(
    ("conditions", "quota", "found"),
    [
        (Conditions(), None, (8, "0-7", None)),
        (Conditions(), 1.5, (8, "0-7", 1.5)),
        (Conditions(cpus=2), None, (8, "0-7", 2)),
        (Conditions(cpus=2), 1.5, (8, "0-7", 1.5)),
        (Conditions(cpuset=(1, 2, 5), cpus=0.5), None, (3, "1-2,5", 0.5)),
    ],
)
def test_a_replica_finds_the_tightest_quota_and_its_cpus(
    conditions: Conditions, quota: float | None, found: tuple[object, ...]
) -> None:
    host = under(replace(EIGHT, cpu_quota=quota), conditions)
    assert (host.cpus_allowed, host.cpu_list, host.cpu_quota) == found


# Replicas in the space, the seeds and the baselines


def setting_of(study: Study, host: HostFacts = EIGHT) -> Any:
    return make_setup(study, FACTS, host, effective_of, lambda line: None)


def test_auto_offers_affinity_where_there_are_replicas_and_only_there(write: Write) -> None:
    one = setting_of(load_study(write()))
    two = setting_of(load_study(write(deployment="{replicas: 2}")))
    searched = setting_of(load_study(write(space="{extends: auto, replicas: {choices: [1, 2, 4]}}")))
    offered = [{p.name: p.values for p in setting.space.parameters} for setting in (one, two, searched)]
    assert [names.get("affinity") for names in offered] == [None, ("shared", "split"), ("shared", "split")]
    assert [names.get("replicas") for names in offered] == [None, None, (1, 2, 4)]


def test_other_devices_are_not_split() -> None:
    space = auto_space(SpaceFacts(device="GPU", cpus=8, replicas=2))
    assert "affinity" not in {p.name for p in space.parameters}


def test_the_first_seeds_give_each_replica_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    space = space_of(
        parameter("NUM_STREAMS", 1, 2, 4, 8),
        parameter("INFERENCE_NUM_THREADS", 1, 2, 4, 8),
        parameter("ENABLE_CPU_PINNING", True, False),
        parameter("infer_requests", 1, 2, 4, 8),
        parameter("replicas", 1, 2, 4),
        parameter("affinity", "shared", "split"),
    )
    first = seeds(space, cpus=8, quota=None, throughput=None, is_latency=False, replicas=4)[:3]
    shares = [(s["replicas"], s["affinity"], s["INFERENCE_NUM_THREADS"], s["ENABLE_CPU_PINNING"]) for s in first]
    assert shares == [(4, "shared", 2, False), (4, "shared", 2, False), (4, "split", 2, True)]
    assert len({s["infer_requests"] for s in first}) >= 2


@pytest.mark.parametrize(
    ("deployment", "own_quota", "threads"),
    [("{replicas: 2}", None, 4), ("{replicas: 2, cpus: 1.5}", None, 1), ("{replicas: 2}", 4.0, 2)],
)
def test_the_seeds_of_replicas_obey_the_quota_of_each(
    write: Write, deployment: str, own_quota: float | None, threads: int
) -> None:
    study = on_host(write(deployment=deployment)).study()
    setting = setting_of(study, under(replace(EIGHT, cpus_allowed=8, cpu_quota=own_quota), study.conditions))
    assert [seed["INFERENCE_NUM_THREADS"] for seed in setting.seeds[:3]] == [threads] * 3


def test_split_is_shared_where_there_is_but_one_replica() -> None:
    configs = [to_configuration({"replicas": n, "affinity": "split"}, device="CPU", api="async") for n in (1, 2)]
    assert [(c.replicas, c.affinity) for c in configs] == [(1, "shared"), (2, "split")]


def test_replicas_are_those_of_the_deployment_unless_the_assignment_says_otherwise() -> None:
    assert to_configuration({}, device="CPU", api="async", replicas=3).replicas == 3
    assert to_configuration({"replicas": 1}, device="CPU", api="async", replicas=3).replicas == 1


def test_baselines_run_as_many_replicas_as_the_deployment_unless_they_say_otherwise() -> None:
    own = {
        "plain": BaselineSpec(properties={}),
        "apart": BaselineSpec(properties={}, affinity="split"),
        "one": BaselineSpec(properties={}, replicas=1, affinity="split"),
    }
    study = replace(make_study(baselines=own), conditions=Conditions(replicas=2))
    found = {name: (c.replicas, c.affinity) for name, c in baseline_configs(study).items()}
    hints = dict.fromkeys(("default", "LATENCY", "THROUGHPUT"), (2, "shared"))
    assert found == {**hints, "plain": (2, "shared"), "apart": (2, "split"), "one": (1, "shared")}


def test_a_latency_beside_a_throughput_is_a_server_s() -> None:
    alone = Objective(metric="latency_p99_ms", limits=(Limit(metric="latency_p50_ms", max=5),))
    server = Objective(metric="latency_p99_ms", limits=(Limit(metric="throughput", min_ratio=0.95),))
    assert (alone.is_single, server.is_single) == (True, False)
    assert server.is_latency, "its single requests are waited for"


# Identity


def identity_of(study: Study, host: HostFacts = EIGHT) -> dict[str, Any]:
    return study_identity(setting_of(study, host), FACTS, under(host, study.conditions), "digest")


def test_a_study_without_conditions_is_what_it_was_before_there_were_any(write: Write, tmp_path: Path) -> None:
    study = load_study(write(baselines="{today: {NUM_STREAMS: 2}}"))
    identity = identity_of(study)
    assert "deployment" not in identity
    assert identity["baselines"] == {
        "today": {"properties": {"NUM_STREAMS": 2}, "batch_size": 1, "infer_requests": None}
    }
    before = {k: v for k, v in asdict(EIGHT).items() if k != "cpu_list"}
    check_identity(tmp_path, identity, before)
    check_identity(tmp_path, identity_of(study), asdict(EIGHT))


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("{cpus: 2}", "cpu_quota: was 1.0, is 2.0"),
        ("{cpus: 1, replicas: 2}", "deployment.replicas: "),
        ("{cpus: 1, background: ./other}", "deployment.background: "),
        ("{cpus: 1, cpuset: 0-1}", "cpus_allowed: was 8, is 2"),
        ("{}", "cpu_quota: was 1.0, is null"),
    ],
)
def test_other_conditions_are_another_study(write: Write, tmp_path: Path, block: str, words: str) -> None:
    check_identity(tmp_path, identity_of(load_study(write(deployment="{cpus: 1}"))), {})
    with pytest.raises(StudyChangedError) as error:
        check_identity(tmp_path, identity_of(load_study(write(deployment=block))), {})
    assert words in str(error.value)


def test_how_a_server_is_called_is_part_of_what_a_study_is(tmp_path: Path) -> None:
    """Before calls went by the number of requests, all of them were asynchronous."""
    server = make_study(metric="latency_p99_ms", limits=[Limit(metric="throughput", min_ratio=0.95)])
    others = [make_study(), make_study(metric="latency_p99_ms"), make_study(others=["latency_p99_ms"])]
    assert ["calls" in identity_of(study) for study in (server, *others)] == [True, False, False, False]
    before = {name: value for name, value in identity_of(server).items() if name != "calls"}
    check_identity(tmp_path, before, {})
    with pytest.raises(StudyChangedError, match='calls: was null, is "by_requests"'):
        check_identity(tmp_path, identity_of(server), {})


# A whole study


def doubled(config: DeploymentConfig) -> float:
    return 100.0 * config.replicas


TEXT = """\
schema_version: 1
name: replicas
model: builtin:mlp
device: CPU
objective: {maximize: throughput}
deployment: {background: ./other}
space:
  NUM_STREAMS: {choices: [1, 4]}
  replicas: {choices: [1, 2]}
  affinity: {choices: [shared, split]}
budget: {minutes: 6}
"""


@pytest.mark.slow
def test_a_searched_number_of_replicas_is_found_shown_and_written(tmp_path: Path) -> None:
    write_text(tmp_path / "study.yaml", TEXT)
    check_identity(tmp_path, {}, asdict(HOST))
    study = load_study(tmp_path / "study.yaml")
    virtual = Virtual(
        folder=tmp_path,
        study=study,
        space=space_of(*study.space.parameters),
        bench=calm(doubled),
    )
    result = virtual.run()
    best = best_of(virtual, result)
    assert best.verdict == "tuned"
    assert best.replicas == 2
    assert (best.baseline.replicas, best.baseline.affinity) == (1, None)
    assert dict(best.deployment) == {"background": "./other"}
    report = StudyReport.read(tmp_path)
    shown = study_json(report)
    assert (shown["replicas"], shown["affinity"]) == (2, best.affinity)
    lines = [line for line in study_lines(report) if isinstance(line, str)]
    assert any("2 replicas" in line for line in lines)
