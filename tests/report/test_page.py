"""The report as a reader has it: a headless browser opens the file, sorts, searches, opens variants and prints."""

import base64
import time
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.report.browser import chromium, open_page, requests  # noqa: F401 (a fixture)
from tests.report.reports import HOSTILE, make_report, write_hostile
from tests.report.scored import write_scored


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of the small run, with tracks."""
    folder = tmp_path_factory.mktemp("page")
    scored = write_scored(folder)
    return make_report(scored.parquet, folder / "report.html", annotation=scored.gtf, has_tracks=True)


@pytest.fixture
def reader(chromium: Chrome, page: Path) -> Chrome:  # noqa: F811
    open_page(chromium, page)
    return chromium


def rows(reader: Chrome) -> list[WebElement]:
    return [row for row in reader.find_elements("css selector", "tr.variant") if row.is_displayed()]


def variants(reader: Chrome) -> list[str]:
    return [row.find_elements("css selector", "td")[1].text.lstrip("▸▾ ") for row in rows(reader)]


def press(reader: Chrome, *keys: str) -> None:
    for key in keys:
        reader.switch_to.active_element.send_keys(key)


def focus_first(reader: Chrome) -> None:
    reader.execute_script("document.querySelector('tr.variant').focus()")


def panels(reader: Chrome) -> list[WebElement]:
    """Return the panels, once each expanded row has one: they are unpacked in the background."""

    def find(selector: str) -> list[WebElement]:
        return reader.find_elements("css selector", selector)

    WebDriverWait(reader, 30).until(
        lambda _: len(find("tr.panel")) == len(find("tr.variant[aria-expanded='true']"))
    )
    return find("tr.panel")


KEYS = {
    "enter": "\ue007",
    "escape": "\ue00c",
    "down": "\ue015",
    "up": "\ue013",
    "right": "\ue014",
    "left": "\ue012",
}


class TestReading:
    def test_nothing_is_fetched_and_nothing_fails(self, reader: Chrome, page: Path) -> None:
        rows(reader)[0].click()
        assert requests(reader) == [page.as_uri()]
        assert reader.get_log("browser") == []

    def test_it_is_said_what_it_is_not_for(self, reader: Chrome) -> None:
        assert "Not for clinical use" in reader.find_element("tag name", "header").text

    def test_the_strongest_is_first(self, reader: Chrome) -> None:
        assert variants(reader) == ["chr1:2001 A>C", "chr1:3050 A>G", "chr1:2131 G>A"]

    def test_columns_sort_both_ways(self, reader: Chrome) -> None:
        button = reader.find_element("css selector", "button[data-key='variant']")
        button.click()
        assert variants(reader) == ["chr1:2001 A>C", "chr1:2131 G>A", "chr1:3050 A>G"]
        button.click()
        assert variants(reader) == ["chr1:3050 A>G", "chr1:2131 G>A", "chr1:2001 A>C"]
        assert button.find_element("xpath", "..").get_attribute("aria-sort") == "descending"

    def test_search_leaves_what_has_every_word(self, reader: Chrome) -> None:
        reader.find_element("id", "search").send_keys("other chr1")
        assert variants(reader) == ["chr1:3050 A>G"]
        assert reader.find_element("id", "count").text == "1 of 3"
        reader.find_element("id", "search").send_keys(" absent")
        assert variants(reader) == []
        assert reader.find_element("id", "none").is_displayed()


class TestKeyboard:
    def test_rows_are_walked_opened_and_closed(self, reader: Chrome) -> None:
        focus_first(reader)
        press(reader, KEYS["down"], KEYS["enter"])
        (panel,) = panels(reader)
        assert "Record 4 of the input" in panel.text
        press(reader, KEYS["escape"])
        assert panels(reader) == []
        press(reader, KEYS["up"], KEYS["right"])
        assert reader.switch_to.active_element.get_attribute("aria-expanded") == "true"
        press(reader, KEYS["left"])
        assert panels(reader) == []

    def test_escape_in_a_panel_closes_it_and_goes_back_to_its_row(self, reader: Chrome) -> None:
        focus_first(reader)
        press(reader, KEYS["enter"], "\ue004")
        assert reader.switch_to.active_element.text == "Event"
        press(reader, KEYS["escape"])
        assert panels(reader) == []
        assert reader.switch_to.active_element.get_attribute("data-panel") == "0"

    def test_slash_goes_to_the_search_and_down_to_the_rows(self, reader: Chrome) -> None:
        focus_first(reader)
        press(reader, "/", "3050", KEYS["down"])
        assert "chr1:3050" in reader.switch_to.active_element.text

    def test_a_panel_moves_with_its_row(self, reader: Chrome) -> None:
        focus_first(reader)
        press(reader, KEYS["enter"])
        button = reader.find_element("css selector", "button[data-key='rank']")
        button.click()
        assert "chr1:2001" in panels(reader)[0].find_element("xpath", "preceding-sibling::tr[1]").text


class TestPanel:
    def test_scores_stand_as_in_the_table(self, reader: Chrome) -> None:
        rows(reader)[0].click()
        cells = [cell.text for cell in panels(reader)[0].find_elements("css selector", ".effects td")]
        assert {"0.75", "0.5", "1.25", "-0.75", "1,101–3,000", "2,001"} <= set(cells)
        reader.find_element("xpath", "//button[text()='All tissues']").click()
        tissues = [cell.text for cell in panels(reader)[0].find_elements("css selector", ".effects td")]
        assert {"heart UBERON:h", "left liver UBERON:l", "K562 UBERON:K"} <= set(tissues)

    def test_event_is_in_words_and_in_the_name_of_the_picture(self, reader: Chrome) -> None:
        rows(reader)[0].click()
        assert "exon skipping" in panels(reader)[0].find_element("css selector", ".event").text
        label = reader.find_element("css selector", "svg.picture").get_attribute("aria-label")
        assert "acceptor loss -0.75 at 2001" in label

    def test_picture_has_a_lane_for_all_that_is_known(self, reader: Chrome) -> None:
        rows(reader)[0].click()
        texts = {text.text for text in panels(reader)[0].find_elements("css selector", "svg.picture text")}
        assert {"junctions", "splice sites", "site changes", "Main ▸", "DNASE", "D 0.90", "0.10"} <= texts

    def test_a_button_shows_all_that_was_predicted(self, reader: Chrome) -> None:
        rows(reader)[0].click()
        panel = panels(reader)[0]
        height = panel.find_element("css selector", "svg.picture").rect["height"]
        panel.find_element("xpath", ".//button[text()='All']").click()
        texts = {text.text for text in panel.find_elements("css selector", "svg.picture text")}
        assert "not predicted" in texts
        assert panel.find_element("css selector", "svg.picture").rect["height"] >= height


def test_it_prints(reader: Chrome) -> None:
    reader.find_element("id", "open-all").click()
    pdf = base64.b64decode(reader.print_page())
    assert pdf.startswith(b"%PDF") and len(pdf) > 20_000


def test_text_of_the_input_is_never_markup(chromium: Chrome, tmp_path: Path) -> None:  # noqa: F811
    scored = write_hostile(tmp_path)
    path = make_report(scored.vcf, tmp_path / "hostile.html", annotation=scored.gtf)
    open_page(chromium, path)
    rows(chromium)[0].click()
    time.sleep(0.2)
    assert chromium.execute_script("return window.hostile") is None
    assert chromium.get_log("browser") == []
    assert HOSTILE in panels(chromium)[0].text
    assert HOSTILE in chromium.find_element("id", "variants").text
