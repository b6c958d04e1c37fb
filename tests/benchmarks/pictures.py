"""Makes the pictures of the first page from a real run: the terminal as SVG, the report as PNG.

    python tests/benchmarks/pictures.py [STUDY.yaml] [--minutes 2]

Writes results/pictures/: terminal-search.svg, terminal-end.svg and report.png. The study itself goes to a temporary
folder. Needs chromium and chromium-driver, a host that does nothing else, and half a minute beyond the study's own.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import tempfile
from pathlib import Path

from PIL import Image

from tests.browser import open_browser
from tuner.commands.run import RunOptions, run_study
from tuner.outcome.study_report import StudyReport
from tuner.report.html.page import FILE
from tuner.report.live.picture import Camera, picture_of_the_end, terminal_svg
from tuner.report.live.screen import Size

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "results/pictures"
COLUMNS, ROWS = 100, 30
"""Size of the terminal: what fits beside an editor."""
WIDTH, HEIGHT = 1100, 1410
"""Size of the report's picture (pixels): verdict, intervals, and throughput against latency."""
COLOURS = 256
"""Number of colours of the picture: the page has few, and the file is half the size."""
AT_MOST_BYTES = 200_000


def terminal(report: StudyReport, camera: Camera, command: str) -> None:
    """Writes what the terminal showed while the study searched, and at its end."""
    if "search" in camera.screens:
        during = terminal_svg([camera.screens["search"]], command=command, width=COLUMNS)
        (PICTURES / "terminal-search.svg").write_text(during)
    after = terminal_svg(picture_of_the_end(report, width=COLUMNS), command=command, width=COLUMNS)
    (PICTURES / "terminal-end.svg").write_text(after)


def page(path: Path, profile: Path) -> None:
    """Writes the upper part of a report as a PNG with few colours."""
    with open_browser(profile) as browser:
        browser.open(path, WIDTH)
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT, "scale": 1}
        taken = {"format": "png", "captureBeyondViewport": True, "clip": clip}
        shot = browser.driver.execute_cdp_cmd("Page.captureScreenshot", taken)
    whole = profile.with_name("whole.png")
    whole.write_bytes(base64.b64decode(shot["data"]))
    Image.open(whole).convert("RGB").quantize(COLOURS).save(PICTURES / "report.png", optimize=True)
    size = (PICTURES / "report.png").stat().st_size
    assert size < AT_MOST_BYTES, f"report.png has {size} bytes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    quickstart = ROOT / "configs/quickstart.yaml"
    parser.add_argument("study", nargs="?", type=Path, default=quickstart, help="the study (configs/quickstart.yaml)")
    parser.add_argument("--minutes", type=float, help="budget, instead of the study's own")
    given = parser.parse_args()
    study = given.study.resolve()
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        camera = Camera(size=Size(width=COLUMNS, height=ROWS))
        report = run_study(study, RunOptions(results=Path("results"), minutes=given.minutes, wait=True), camera)
        terminal(report, camera, f"tuner run {study.relative_to(ROOT)}")
        page(Path(folder) / report.folder / FILE, Path(folder) / "profile")
    for picture in sorted(PICTURES.iterdir()):
        print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size} bytes")


if __name__ == "__main__":
    main()
