"""A headless Chromium that opens reports from files; tests that need it are skipped where it is absent."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LOADING = "goog:loggingPrefs"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A driver, whose performance log has every request."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("needs chromium and chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1360,1000"):
        options.add_argument(argument)
    options.set_capability(LOADING, {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


def open_page(chromium: Any, path: Path) -> None:
    """Opens a page from its file, with empty logs."""
    for log in ("browser", "performance"):
        chromium.get_log(log)
    chromium.get(path.as_uri())


def requests(chromium: Any) -> list[str]:
    """The addresses that were asked for since the page was opened."""
    messages = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
