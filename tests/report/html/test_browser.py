"""The page of a study in a real browser, as a person uses it: read, point, switch, sort, copy, print."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Browser, needs_browser, open_browser, read_as_a_person
from tests.report.html.test_page import HOSTILE, hostile_report
from tuner.outcome.study_report import StudyReport
from tuner.report.html.page import write_page

GOLDEN = Path(__file__).resolve().parents[2] / "golden"

pytestmark = [pytest.mark.slow, needs_browser]
both_widths = pytest.mark.parametrize("width", [1280, 375])


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("browser") / "profile") as found:
        yield found


@pytest.fixture(params=["results-0.1", "front-0.1"])
def page(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A page of a study that once was measured, with one objective and with several."""
    write_page(StudyReport.read(GOLDEN / request.param), tmp_path / "report.html")
    return tmp_path / "report.html"


@both_widths
def test_a_person_reads_points_and_switches(page: Path, width: int, browser: Browser) -> None:
    read_as_a_person(browser, page, width)


def test_a_heading_sorts_and_a_button_copies(page: Path, browser: Browser) -> None:
    browser.open(page, 1280)
    shown = "return [...document.querySelectorAll('#table tbody tr')].map(r => parseFloat(r.cells[4].dataset.v))"
    head = "document.querySelectorAll('#table thead th')[4]"
    browser.run(f"{head}.click()")
    falling = browser.run(shown)
    browser.run(f"{head}.click()")
    assert falling == sorted(falling, reverse=True)
    assert browser.run(shown) == sorted(falling)
    assert browser.run(f"return {head}.getAttribute('aria-sort')") == "ascending"

    browser.run("document.querySelector('[data-copy=best]').click()")
    words = browser.wait("const t = document.querySelector('[data-copy=best]').textContent; return t !== 'Copy' && t")
    assert words in ("Copied", "Selected: press Ctrl-C")
    assert browser.console() == []


def test_hostile_names_are_text_to_a_browser(tmp_path: Path, browser: Browser) -> None:
    write_page(hostile_report(), tmp_path / "report.html")
    browser.open(tmp_path / "report.html", 1280)
    assert browser.run("return document.querySelectorAll('img, svg image').length") == 0
    assert HOSTILE in browser.run("return document.querySelector('header').textContent")
    assert HOSTILE in browser.run("return document.title")
    names = browser.run("return [...document.querySelectorAll('#intervals .ytick text')].map(e => e.textContent)")
    assert HOSTILE in names
    assert browser.console() == []
    assert browser.requests() == []


def test_a_page_prints_in_black_on_white_whatever_the_theme(page: Path, browser: Browser) -> None:
    browser.open(page, 1280)
    browser.run("document.getElementById('theme').click()")
    printed = browser.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF-")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.run("return getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("return getComputedStyle(document.getElementById('theme')).display") == "none"
    assert browser.console() == []
