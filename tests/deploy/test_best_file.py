from __future__ import annotations

import os
import stat
import string
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tuner.deploy.best import (
    Best,
    BestArrivals,
    BestBaseline,
    BestConstraint,
    BestGain,
    BestInput,
    BestModel,
    BestObjective,
)
from tuner.deploy.best_file import format_best, load_best, parse_best, unheld_inputs, write_best
from tuner.errors import BestFileError, OutputError

GOLDEN = Path(__file__).parent / "golden" / "best-v1.yaml"

texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=40)
names = st.text(string.ascii_letters + string.digits + "_:/.-", min_size=1, max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 10**12)
some = st.integers(1, 10**6)
scalars = st.one_of(texts, numbers, st.integers(), st.booleans())
shapes = st.lists(st.integers(0, 4096), min_size=1, max_size=5).map(tuple)
inputs = shapes.flatmap(
    lambda shape: st.builds(
        BestInput,
        shape=st.just(shape),
        batch_axis=st.one_of(st.none(), st.integers(0, len(shape) - 1)),
        layout=st.one_of(st.none(), texts),
        range=st.tuples(numbers, numbers),
    )
)
bounds = st.one_of(st.none(), numbers)
bests = st.builds(
    Best,
    study=texts,
    verdict=st.sampled_from(["tuned", "baseline"]),
    reason=st.one_of(st.none(), texts),
    device=texts,
    model=st.builds(BestModel, path=texts, sha256=texts, variant=texts),
    properties=st.dictionaries(names, scalars, max_size=4),
    inputs=st.dictionaries(names, inputs, max_size=3),
    batch_size=some,
    infer_requests=some,
    api=st.sampled_from(["async", "sync"]),
    effective=st.dictionaries(names, texts, max_size=4),
    objective=st.builds(BestObjective, metric=texts, value=numbers, unit=texts),
    baseline=st.builds(
        BestBaseline,
        name=texts,
        value=numbers,
        properties=st.dictionaries(names, scalars, max_size=3),
        batch_size=some,
        infer_requests=st.one_of(st.none(), some),
        api=st.sampled_from([None, "async", "sync"]),
    ),
    baselines=st.dictionaries(names, numbers, max_size=4),
    gain=st.one_of(
        st.none(),
        st.builds(
            BestGain,
            estimate_pct=numbers,
            low_pct=numbers,
            high_pct=numbers,
            confidence=numbers,
            sessions=counts,
            pairs=counts,
        ),
    ),
    arrivals=st.one_of(
        st.none(),
        st.builds(
            BestArrivals, pattern=st.sampled_from(["poisson", "constant"]), rate_per_s=st.one_of(st.none(), numbers)
        ),
    ),
    constraints=st.lists(
        st.builds(
            BestConstraint,
            metric=texts,
            min=bounds,
            max=bounds,
            min_ratio=bounds,
            max_ratio=bounds,
            measured=numbers,
            requests=st.one_of(st.none(), counts),
        ),
        max_size=3,
    ).map(tuple),
    environment=st.fixed_dictionaries(
        {}, optional={"cpu_model": texts, "cpus_allowed": some, "cpu_quota": bounds, "openvino": texts, "else": scalars}
    ),
    provenance=st.dictionaries(names, st.one_of(scalars, st.lists(scalars, max_size=3)), max_size=4),
    source=st.none(),
)


@given(best=bests)
def test_what_is_written_is_what_is_read(best: Best) -> None:
    assert parse_best(format_best(best), "best.yaml") == best


def test_the_file_of_version_1_stays_readable(illustration: Best) -> None:
    best = load_best(GOLDEN)
    assert best == illustration
    assert best.folder == GOLDEN.parent


def test_the_file_of_version_1_is_written_as_ever(illustration: Best, tmp_path: Path) -> None:
    write_best(tmp_path / "best.yaml", illustration)
    assert (tmp_path / "best.yaml").read_text() == GOLDEN.read_text()


def test_a_program_without_this_package_reads_what_it_needs() -> None:
    content = yaml.safe_load(GOLDEN.read_text())
    assert list(content)[:5] == ["schema_version", "study", "verdict", "device", "model"]
    assert content["properties"] == {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1, "ENABLE_CPU_PINNING": False}
    assert content["inputs"]["x"] == {"shape": [1, 3, 48, 192], "layout": "NCHW", "batch_axis": 0}
    assert (content["batch_size"], content["infer_requests"], content["api"]) == (1, 4, "async")


def test_a_baseline_verdict_says_why_and_claims_no_gain(illustration: Best, tmp_path: Path) -> None:
    best = replace(illustration, verdict="baseline", reason="nothing was faster\nthan THROUGHPUT", gain=None)
    write_best(tmp_path / "best.yaml", best)
    assert load_best(tmp_path / "best.yaml") == best
    assert "\ngain: null\n" in (tmp_path / "best.yaml").read_text()


def failure(text: str) -> str:
    with pytest.raises(BestFileError) as caught:
        parse_best(text, "b.yaml")
    assert caught.value.advice
    return str(caught.value)


def changed(**fields: Any) -> str:
    return yaml.safe_dump({**yaml.safe_load(GOLDEN.read_text()), **fields})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schema_version": "1"}, "schema_version: '1' is not 1"),
        ({"schema_version": True}, "schema_version: True is not 1"),
        ({"verdict": "perhaps"}, "verdict: 'perhaps' is not one of tuned, baseline"),
        ({"device": 7}, "device: 7 is not text"),
        ({"batch_size": 0}, "batch_size: 0 is not a whole number of at least 1"),
        ({"batch_size": True}, "batch_size: True is not a whole number"),
        ({"infer_requests": 2.5}, "infer_requests: 2.5 is not a whole number"),
        ({"api": "both"}, "api: 'both' is not one of async, sync"),
        ({"properties": {"NUM_STREAMS": None}}, "properties.NUM_STREAMS: None is not text, a finite number"),
        ({"properties": {"NUM_STREAMS": [1]}}, "properties.NUM_STREAMS: [1] is not text"),
        ({"model": "a.xml"}, "model: 'a.xml' is not a mapping of names"),
        ({"model": {"path": "a.xml"}}, "model.sha256: missing"),
        ({"inputs": {"x": {"shape": "wide"}}}, "inputs.x.shape: 'wide' is not a list of whole numbers"),
        ({"inputs": {"x": {"shape": [1, -1]}}}, "inputs.x.shape: [1, -1] is not a list of whole numbers"),
        ({"inputs": {"x": {"shape": [1], "batch_axis": 1}}}, "inputs.x.batch_axis: 1 is not an axis of the shape [1]"),
        ({"inputs": {"x": {"shape": [1], "range": [1]}}}, "inputs.x.range: [1] is not a list of 2 numbers"),
        ({"effective": {"NUM_STREAMS": 1}}, "effective.NUM_STREAMS: 1 is not text"),
        ({"objective": {"metric": "t", "value": float("nan"), "unit": "s"}}, "objective.value: nan is not a finite"),
        ({"baseline": {"name": "x", "value": 1}}, "baseline.properties: missing"),
        ({"baselines": {"default": "fast"}}, "baselines.default: 'fast' is not a finite number"),
        ({"gain": {"estimate_pct": 1}}, "gain.low_pct: missing"),
        ({"constraints": {}}, "constraints: {} is not a list"),
        ({"load": "poisson"}, "load: 'poisson' is not a mapping of names"),
        ({"load": {}}, "load: expected one pattern, such as {poisson: {rate_per_s: 120}}"),
        ({"load": {"poisson": {}}}, "load.poisson.rate_per_s: missing"),
        ({"constraints": [3]}, "constraints[0]: 3 is not a mapping"),
        ({"constraints": [{"metric": "x"}]}, "constraints[0].measured: missing"),
        ({"environment": {"openvino": 2026.4}}, "environment.openvino: 2026.4 is not text (quote it"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(fields: dict[str, Any], message: str) -> None:
    assert f"b.yaml: {message}" in failure(changed(**fields))


def test_everything_wrong_is_said_at_once() -> None:
    text = failure(changed(batch_size=0, api="both", gain={}))
    assert text.count("b.yaml: ") == 8


def test_every_key_that_is_needed_is_missed() -> None:
    lines = failure("schema_version: 1\n").splitlines()
    missing = {line.split(": ")[1].split(".")[0] for line in lines}
    assert missing == {
        "study", "verdict", "device", "model", "properties", "inputs", "batch_size", "infer_requests", "api",
        "effective", "objective", "baseline", "baselines", "environment", "provenance",
    }  # fmt: skip


def test_keys_of_a_later_program_are_left_alone(illustration: Best) -> None:
    assert parse_best(changed(novelty={"a": 1}), "b.yaml") == illustration


def test_a_newer_schema_version_asks_for_a_newer_program() -> None:
    assert "has schema_version 2; this program reads up to 1" in failure("schema_version: 2\nnovelty: true\n")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "3"])
def test_a_file_without_keys_is_no_best_yaml(text: str) -> None:
    assert "holds no keys" in failure(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "line 1, column"),
        ("a: 1\na: 2\n", 'b.yaml: line 2, column 1: duplicate key "a"; it is already given in line 1'),
        (
            "a: !!python/object/apply:os.system ['true']\n",
            "line 1, column 4: tag !!python/object/apply:os.system is not allowed",
        ),
        ("properties: {1: 1}\n", "line 1, column 14: a key must be text, got 1; quote it if it is meant"),
        ("a: 2001-13-45\nb: !!int five\n", 'b.yaml: line 2, column 4: "five" is no !!int'),
        (
            "a: 1\na: 2\n1: 3",
            'b.yaml: line 2, column 1: duplicate key "a"; it is already given in line 1\nb.yaml: line 3',
        ),
        ("\x00", "not YAML"),
    ],
)
def test_garbage_is_answered_with_its_line(text: str, message: str) -> None:
    assert message in failure(text)


@pytest.mark.parametrize(
    ("arrivals", "line"),
    [
        (BestArrivals(pattern="poisson", rate_per_s=80.0), "load: {poisson: {rate_per_s: 80.0}}"),
        (BestArrivals(pattern="constant"), "load: {constant: {find_max: true}}"),
    ],
)
def test_arrivals_stand_on_one_line_as_in_the_study_file(arrivals: BestArrivals, line: str, illustration: Best) -> None:
    text = format_best(replace(illustration, arrivals=arrivals))
    assert line in text.splitlines()
    assert parse_best(text, "b.yaml").arrivals == arrivals
    assert "load:" not in format_best(illustration)


def test_dates_without_quotes_stay_text() -> None:
    text = GOLDEN.read_text().replace("'2026-11-20T10:00:00Z'", "2026-11-20T10:00:00Z")
    assert parse_best(text, "b.yaml").provenance["created"] == "2026-11-20T10:00:00Z"


@pytest.mark.parametrize("make", [lambda p: None, Path.mkdir, lambda p: p.write_bytes(b"\xff\xfe\x00")])
def test_what_is_no_readable_file_is_an_error_with_advice(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "best.yaml")
    with pytest.raises(BestFileError, match=r"best\.yaml") as caught:
        load_best(tmp_path / "best.yaml")
    assert caught.value.advice


def test_writing_replaces_the_file_in_one_step(illustration: Best, tmp_path: Path) -> None:
    file = tmp_path / "best.yaml"
    write_best(file, illustration)
    write_best(file, replace(illustration, batch_size=8))
    assert load_best(file).batch_size == 8
    assert [path.name for path in tmp_path.iterdir()] == ["best.yaml"]
    assert stat.S_IMODE(file.stat().st_mode) & stat.S_IRUSR


def test_a_full_disk_leaves_the_old_file(illustration: Best, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "best.yaml"
    write_best(file, illustration)

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        write_best(file, replace(illustration, batch_size=8))
    monkeypatch.undo()
    assert load_best(file) == illustration
    assert [path.name for path in tmp_path.iterdir()] == ["best.yaml"]


def test_a_folder_that_does_not_exist_is_an_output_error(illustration: Best, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write") as caught:
        write_best(tmp_path / "gone" / "best.yaml", illustration)
    assert str(tmp_path / "gone") in caught.value.advice


def test_a_file_that_would_not_read_back_is_never_written(illustration: Best, tmp_path: Path) -> None:
    with pytest.raises((BestFileError, ValueError)):
        write_best(tmp_path / "best.yaml", replace(illustration, batch_size=0))
    assert not (tmp_path / "best.yaml").exists()


def test_what_the_file_cannot_hold_of_an_input_is_known_before(illustration: Best) -> None:
    assert unheld_inputs(illustration.inputs) == []
    empty = BestInput(shape=(1, 2, 0, 32), batch_axis=None, range=(16000.0, 16000.0))
    assert unheld_inputs({"past, 0": empty, "7": BestInput(shape=(), batch_axis=None)}) == []
    assert unheld_inputs({"x": BestInput(shape=(1,), batch_axis=1)}) == [
        "inputs.x.batch_axis: 1 is not an axis of the shape [1]"
    ]


@pytest.mark.parametrize(("callers", "line"), [((4,), "load: {callers: 4}"), ((1, 2, 4), "load: {callers: [1, 2, 4]}")])
def test_callers_stand_on_one_line_as_in_the_study_file(
    callers: tuple[int, ...], line: str, illustration: Best
) -> None:
    best = replace(illustration, callers=callers)
    assert line in format_best(best).splitlines()
    assert parse_best(format_best(best), "best.yaml") == best


@pytest.mark.parametrize("given", [0, True, "4", [], [1, 0], [2.5]])
def test_wrong_callers_are_named(given: Any) -> None:
    assert "load.callers: expected a whole number from 1, or a list of them" in failure(
        changed(load={"callers": given})
    )
