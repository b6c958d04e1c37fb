"""The page of a study in a real browser: every figure is drawn, nothing is complained about and nothing asked for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tuner.outcome.study_report import StudyReport
from tuner.report.html.page import write_page

GOLDEN = Path(__file__).resolve().parents[2] / "golden/results-0.1"
CHROMIUM = shutil.which("chromium")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [1280, 375])
def test_a_browser_draws_every_figure_without_a_complaint(width: int, tmp_path: Path) -> None:
    """A request to another host would be refused by the policy of the page, and then stand on the console."""
    write_page(StudyReport.read(GOLDEN), tmp_path / "report.html")
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--virtual-time-budget=10000"]
    command = [str(CHROMIUM), *switches, f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},4000"]
    done = subprocess.run(
        [*command, "--dump-dom", (tmp_path / "report.html").as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    body = done.stdout.rpartition("</script>")[0]
    assert body.count('class="plot js-plotly-plot"') == 10
    assert "CONSOLE" not in done.stderr
