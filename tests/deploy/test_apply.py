from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from tuner.deploy.apply import FALLBACK, NOT_KEPT, check, describe
from tuner.deploy.best import Best, BestConstraint, BestInput
from tuner.deploy.best_file import write_best
from tuner.deploy.deployment import DeploymentWarning
from tuner.errors import BestFileError

pytestmark = pytest.mark.openvino

MakeBest = Callable[..., Best]


def test_the_code_with_and_without_this_package_runs_as_it_is_printed(
    make_best: MakeBest, saved_mlp: str, tmp_path: Path
) -> None:
    best = make_best(path=saved_mlp, properties={"NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}, effective={})
    write_best(tmp_path / "best.yaml", best)
    names: dict[str, Any] = {}
    exec(describe(best), names)
    assert names["deployment"].batch_size == 4
    assert list(names["compiled"].inputs[0].shape) == [4, 64]
    assert names["compiled"].get_property("ENABLE_CPU_PINNING") is False
    assert len(names["queue"]) == 2


def test_the_code_for_synchronous_calls_makes_one_request(make_best: MakeBest, saved_mlp: str, tmp_path: Path) -> None:
    best = make_best(path=saved_mlp, api="sync", infer_requests=1, batch_size=1)
    write_best(tmp_path / "best.yaml", best)
    names: dict[str, Any] = {}
    exec(describe(best), names)
    assert isinstance(names["request"], openvino.InferRequest)
    assert "queue" not in names


def test_the_words_say_what_was_found_and_where(illustration: Best) -> None:
    text = describe(illustration)
    assert "throughput 265.3 samples/s, at least 22.1 % better than the baseline THROUGHPUT" in text
    assert "(estimate 25.8 %, interval to 29.4 %" in text
    assert "cpu_model Example CPU, cpus_allowed 2, cpu_quota 1.0, openvino 2026.4.1" in text
    assert "Batch size 1; infer requests: 4; calls: async" in text
    assert "properties: NUM_STREAMS=1 INFERENCE_NUM_THREADS=1 ENABLE_CPU_PINNING=False" in text


def test_no_gain_is_claimed_where_none_was_shown(illustration: Best) -> None:
    baseline = replace(illustration, verdict="baseline", reason="no candidate\nwas faster", gain=None, properties={})
    text = describe(baseline)
    assert "which is the baseline THROUGHPUT" in text
    assert "# no candidate\n# was faster" in text
    assert "none, the defaults" in text
    assert "no gain claimed" in describe(replace(illustration, gain=None, reason="the first that keeps the limit"))
    point = replace(baseline, objectives=(illustration.objective,), reason="no gain is claimed: trial 3 is not shown")
    assert "no gain claimed\n# no gain is claimed: trial 3 is not shown" in describe(point)
    assert "which is the baseline" not in describe(point), "a point of a front may be none"


def test_after_a_fallback_what_runs_here_is_shown_and_no_gain(
    make_best: MakeBest, saved_mlp: str, core: openvino.Core, tmp_path: Path
) -> None:
    best = make_best(path=saved_mlp, properties={"NUM_STREAMS": "many"}, effective={})
    write_best(tmp_path / "best.yaml", best)
    with pytest.warns(DeploymentWarning, match="does not compile here"):
        deployment = check(best, core=core)
    text = describe(best, deployment)
    assert FALLBACK in text
    assert "using the baseline THROUGHPUT instead" in text
    assert "better than" not in text
    assert "many" not in text.split("import tuner")[1]
    names: dict[str, Any] = {}
    with pytest.warns(DeploymentWarning):
        exec(text, names)
    assert "THROUGHPUT" in str(names["compiled"].get_property("PERFORMANCE_HINT"))
    assert len(names["queue"]) == names["deployment"].infer_requests


def test_a_built_in_model_needs_this_package(make_best: MakeBest) -> None:
    assert "OpenVINO alone cannot read it" in describe(make_best(inputs={}))


def test_a_model_that_is_not_here_is_shown_as_it_was_written(illustration: Best) -> None:
    gone = replace(illustration, model=replace(illustration.model, path="gone/model.xml"))
    assert "core.read_model('gone/model.xml')" in describe(gone)


def test_the_check_runs_one_inference(make_best: MakeBest, core: openvino.Core) -> None:
    assert check(make_best(), strict=True, core=core).batch_size == 4


def test_the_check_feeds_integers_within_their_range(make_best: MakeBest, core: openvino.Core, tmp_path: Path) -> None:
    from openvino import opset13

    ids = opset13.parameter([1, 8], np.int64, name="ids")
    table = opset13.constant(np.ones((10, 4), np.float32))
    model = openvino.Model([opset13.gather(table, ids, opset13.constant(0))], [ids], "embedding")
    openvino.save_model(model, tmp_path / "embedding.xml")
    best = make_best(path="embedding.xml", inputs={"ids": BestInput(shape=(1, 8), batch_axis=0, range=(0, 9))})
    assert not check(best, core=core).is_fallback


def test_the_check_warns_and_is_strict_as_compiling_is(make_best: MakeBest, core: openvino.Core) -> None:
    best = make_best(properties={"NO_SUCH_PROPERTY": 1})
    with pytest.warns(DeploymentWarning, match="NO_SUCH_PROPERTY") as caught:
        assert check(best, core=core).is_fallback
    assert caught[0].filename == __file__
    with pytest.raises(BestFileError, match="NO_SUCH_PROPERTY"):
        check(best, strict=True, core=core)


def test_limits_that_nothing_keeps_are_said_loudly(illustration: Best) -> None:
    limit = BestConstraint(metric="latency_p99_ms", max=20.0, measured=35.1, kept=False)
    broken = replace(illustration, verdict="baseline", reason="constraint: none", gain=None, constraints=(limit,))
    assert f"# {NOT_KEPT}: latency_p99_ms max 20, measured 35.1" in describe(broken)
    assert NOT_KEPT not in describe(illustration)


def test_an_input_without_a_tensor_name_is_called_by_its_index(
    make_best: MakeBest, nameless_mlp: str, tmp_path: Path
) -> None:
    best = make_best(path=nameless_mlp, inputs={"INPUT": BestInput(shape=(1, 64), layout="NC", batch_axis=0)})
    write_best(tmp_path / "best.yaml", best)
    code = describe(best, check(best))
    assert "deployment.infer({0: array})" in code
    names: dict[str, Any] = {}
    exec(code, names)
    assert list(names["compiled"].inputs[0].shape) == [4, 64]
    names["queue"].start_async({0: np.zeros((4, 64), np.float32)})
    names["queue"].wait_all()
    assert names["deployment"].infer({0: np.zeros((4, 64), np.float32)})[0].shape[0] == 4
