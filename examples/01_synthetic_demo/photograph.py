"""Take the picture of the demo's report that the README shows.

    python photograph.py FOLDER/report.html report.png

Needs selenium, Chromium and its driver. The page is opened at its strongest variant.
"""

import pathlib
import shutil
import sys

from selenium import webdriver

WIDTH, HEIGHT = 1250, 1250  # pixels


def photograph(page: pathlib.Path, picture: pathlib.Path) -> None:
    """Save a picture of the page, with the panel of its first variant open."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--window-size={WIDTH},{HEIGHT}",
    ):
        options.add_argument(argument)
    with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as chrome:
        chrome.implicitly_wait(30)
        chrome.get(page.resolve().as_uri())
        chrome.find_element("css selector", "tr.variant").click()
        chrome.find_element("css selector", "svg.picture")
        chrome.execute_script("window.scrollTo(0, 0)")
        picture.write_bytes(chrome.get_screenshot_as_png())


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: photograph.py REPORT.html PICTURE.png")
    photograph(*map(pathlib.Path, sys.argv[1:]))
