"""Measure how soon a report is usable: `python -m examples.benchmarks.page REPORT.html…`, in a headless Chromium.

Milliseconds, medians of five loads: from the navigation until all handlers are attached, the processor time of the
page's main thread until then, and what opening a variant, sorting and searching take.
"""

import shutil
import statistics
import sys
from pathlib import Path

from selenium import webdriver

_LOADS = 5
_MEASURE = """
const done = arguments[0];
const timed = (act) => { const start = performance.now(); act(); document.body.offsetHeight;
  return performance.now() - start; };
const search = document.getElementById("search");
const find = (text) => { search.value = text; search.dispatchEvent(new Event("input")); };
const [navigation] = performance.getEntriesByType("navigation");
const open = async () => { const start = performance.now(); document.querySelector("tr.variant").click();
  while (!document.querySelector("tr.panel")) await new Promise((next) => setTimeout(next));
  document.body.offsetHeight; return performance.now() - start; };
open().then((opened) => done({
  "usable after": navigation.domContentLoadedEventEnd,
  open: opened,
  sort: timed(() => document.querySelector("button[data-key='variant']").click()),
  search: timed(() => find("exon skipping")),
}));
"""


def measure(path: Path) -> dict[str, float]:
    """Return the measurements, by name."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as chrome:
        chrome.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        loads = []
        for _ in range(_LOADS):
            chrome.get("about:blank")
            before = _thread_ms(chrome)
            chrome.get(path.resolve().as_uri())
            processor = {"processor": _thread_ms(chrome) - before}
            loads.append(processor | chrome.execute_async_script(_MEASURE))
    return {name: statistics.median(load[name] for load in loads) for name in loads[0]}


def _thread_ms(chrome: webdriver.Chrome) -> float:
    metrics = chrome.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(1000 * one["value"] for one in metrics if one["name"] == "TaskDuration")


def main() -> None:
    """Print a row for each page."""
    for name in sys.argv[1:]:
        path = Path(name)
        found = "  ".join(f"{what} {value:.0f} ms" for what, value in measure(path).items())
        print(f"{path.name}  {path.stat().st_size / 1e6:.2f} MB  {found}")


if __name__ == "__main__":
    main()
