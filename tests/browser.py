"""Debian's Chromium, headless, as the tests of pages use it; every request and message is on record."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
PATIENCE_S = 120.0
"""Seconds that a page may take to do what is asked: a busy host is no failure."""

needs_browser = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="needs chromium and chromium-driver (apt-get)"
)


class Browser:
    """One page in headless Chromium, whose every request and message is on record."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path, width: int) -> None:
        """Opens a page at a width, and waits until its last figure is drawn."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "light"}]}
        )
        self.console()
        self.requests()
        self.driver.get(page.as_uri())
        self.wait("return [...document.querySelectorAll('.plot')].every(e => e._fullLayout && e.querySelector('svg'))")

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def wait(self, script: str) -> Any:
        """Waits until a script returns something true, and returns it."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, PATIENCE_S).until(lambda driver: driver.execute_script(script))

    def point_at(self, x: float, y: float) -> None:
        """Moves the mouse to a place of the window, where it comes from another one."""
        for dx in (12, 0):
            where = {"type": "mouseMoved", "x": x + dx, "y": y + dx}
            self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", where)

    def hover(self, place: str) -> str:
        """Returns the label that a figure shows for the place which a script returns; points again until it does."""
        from selenium.webdriver.support.ui import WebDriverWait

        def label(driver: Any) -> Any:
            self.point_at(*self.run(place))
            return self.run("return document.querySelector('.hoverlayer .hovertext')?.textContent")

        return str(WebDriverWait(self.driver, PATIENCE_S).until(label))

    def console(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Returns the addresses that the page asked for, its own left out."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:", "chrome:"))]


@contextmanager
def open_browser(profile: Path) -> Iterator[Browser]:
    """Starts a browser with a new profile, and ends it."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for switch in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(switch)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    driver.set_page_load_timeout(PATIENCE_S)
    driver.set_script_timeout(PATIENCE_S)
    try:
        yield Browser(driver)
    finally:
        driver.quit()


PLACE = """
const plot = document.getElementById('tradeoff'), wanted = plot.data.findIndex(t => t.name === 'tried, not confirmed');
plot.scrollIntoView({block: 'center', behavior: 'instant'});
const dot = plot.querySelectorAll('.scatterlayer .trace')[wanted].querySelector('.points path');
const box = dot.getBoundingClientRect();
return [box.x + box.width / 2, box.y + box.height / 2];
"""
"""Script that returns the middle of the first candidate's dot in the window."""

INK = "return getComputedStyle(document.body).color + document.querySelector('#tradeoff .xtick text').style.fill"
"""Script that returns the colour of the text and of a figure's labels."""


def read_as_a_person(browser: Browser, page: Path, width: int) -> None:
    """Opens a page, finds its figures, points at a candidate, and switches the theme there and back."""
    browser.open(page, width)
    assert browser.run("return document.querySelectorAll('.plot').length") >= 6
    overflow = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, "no scrolling to the side"

    tried = "document.getElementById('tradeoff').data.filter(t => t.name !== 'baselines').flatMap(t => t.text)"
    names = [text.split("<br>")[0] for text in browser.run(f"return {tried}")]
    label = browser.hover(PLACE)
    assert any(name in label for name in names), label

    before = browser.run(INK)
    browser.run("document.getElementById('theme').click()")
    browser.wait(f"const ink = (() => {{ {INK} }})(); return ink !== {json.dumps(before)}")
    assert browser.run("return getComputedStyle(document.documentElement).colorScheme") == "dark"
    browser.run("document.getElementById('theme').click()")
    browser.wait(f"const ink = (() => {{ {INK} }})(); return ink === {json.dumps(before)}")

    assert browser.console() == []
    assert browser.requests() == []
