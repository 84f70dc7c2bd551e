"""The board tab in a browser; the votes are made up, the tab, its links and the download are not."""

import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from ratings.board import Board
from ratings.booth import Booth
from tests.browser.conftest import Site, tab_to
from tests.browser.test_page import contrast
from tests.browser.test_zoo import expect_shown
from tests.ui.boards import CROWD, board_of
from tests.ui.studio import family
from ui import text

pytestmark = [
    pytest.mark.browser,
    # Gradio 6.31 uses what pandas 3 calls deprecated; as errors these warnings would break Gradio's queue.
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),
]

MODELS = family()
LIGHT, INT8, QUICK = (
    "swinir-light-x2-photos39-float16", "swinir-light-x2-photos39-int8", "swinir-quick-x2-photos39-float16",
)  # fmt: skip
MANY, SOME = board_of(MODELS, 520, CROWD), board_of(MODELS, 260, CROWD)


def open_board(page: Page) -> None:
    page.get_by_role("tab", name=text.BOARD_TAB).click()
    page.wait_for_selector("#board .board")


def show(monkeypatch: pytest.MonkeyPatch, board: Board) -> None:
    """Lets the server of the test have a board."""
    monkeypatch.setattr(Booth, "board", lambda _: board)


def test_the_board_is_made_anew_when_it_is_opened(zoo_page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    open_board(zoo_page)
    expect(zoo_page.locator("#board")).to_contain_text(text.BOARD_NO_VOTES)
    zoo_page.get_by_role("tab", name=text.ZOO_TAB).click()
    show(monkeypatch, SOME)
    zoo_page.get_by_role("tab", name=text.BOARD_TAB).click()
    expect(zoo_page.locator("#board table").first.locator("tbody tr")).to_have_count(len(SOME.pairs))
    expect(zoo_page.locator("#board .board-waiting").first).to_contain_text("of 100 votes")


def test_a_name_opens_the_zoo_at_its_variant(zoo_page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    show(monkeypatch, MANY)
    open_board(zoo_page)
    zoo_page.locator(f"#board table a[data-variant='{INT8}']").first.click()
    expect_shown(zoo_page, MODELS.release(INT8))
    expect(zoo_page.get_by_role("tab", name=text.ZOO_TAB)).to_have_attribute("aria-selected", "true")
    assert zoo_page.evaluate("location.search") == ""  # nothing was loaded again


def test_the_keyboard_alone_is_enough_for_the_board(zoo_page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    show(monkeypatch, MANY)
    tab_to(zoo_page, "[role=tab]", presses=60)
    for _ in range(3):
        tab_to(zoo_page, "[role=tab]", presses=3)
    zoo_page.keyboard.press("Enter")
    zoo_page.wait_for_selector("#board table")
    tab_to(zoo_page, ".board-frame", presses=10)  # what scrolls sideways can be scrolled
    tab_to(zoo_page, f".board-plots a[data-variant='{QUICK}']", presses=60)
    label = zoo_page.locator(f".board-plots a[data-variant='{QUICK}']").first
    expect(label).to_have_accessible_name(label.get_attribute("aria-label") or "")
    expect(label.locator(".plot-label")).to_be_visible()
    zoo_page.keyboard.press("Enter")
    expect_shown(zoo_page, MODELS.release(QUICK))


def test_raw_votes_are_one_click_away(zoo_page: Page, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    show(monkeypatch, MANY)
    open_board(zoo_page)
    with zoo_page.expect_download() as download:
        zoo_page.get_by_role("link", name=text.BOARD_DATA).click()
    download.value.save_as(tmp_path / "votes.zip")
    with zipfile.ZipFile(tmp_path / "votes.zip") as file:
        assert "votes.jsonl" in file.namelist()


@pytest.mark.parametrize("board", [MANY, SOME], ids=["many", "some"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_needs_no_sideways_scrolling(
    zoo_page: Page, monkeypatch: pytest.MonkeyPatch, board: Board, width: int
) -> None:
    show(monkeypatch, board)
    zoo_page.set_viewport_size({"width": width, "height": 844})
    open_board(zoo_page)
    zoo_page.wait_for_selector("#board table")
    assert zoo_page.evaluate("document.documentElement.scrollWidth") == width
    for part in zoo_page.locator(".board > *").all():
        box = part.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    points = zoo_page.locator(".board-plots a")
    points.locator(".plot-label").evaluate_all("(all) => all.forEach((one) => { one.style.display = 'inline'; })")
    for label in points.locator(".plot-label").all():
        box = label.bounding_box()
        assert box
        assert (box["x"] >= 0, box["x"] + box["width"] <= width) == (True, True)
    frame = zoo_page.locator(".board-frame").first
    scrolls = frame.evaluate("(one) => one.scrollWidth > one.clientWidth")
    assert scrolls == (width == 390)  # on a phone, the table does so by itself
    name = zoo_page.locator(".board tbody th").first
    frame.evaluate("(one) => one.scrollTo(300, 0)")
    box = name.bounding_box()
    assert box
    assert box["x"] >= 0  # and the names stay


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_board_can_be_read_in_both_colour_schemes(
    browser: Browser, zoo_site: Site, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    show(monkeypatch, SOME)
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    page.goto(zoo_site.address)
    open_board(page)
    page.wait_for_selector("#board table")
    page.wait_for_timeout(300)  # colours are faded in
    selectors = (
        ".board h2", ".board section > p", ".board-list li", ".board thead th", ".board-unit", ".board a.board-name",
        ".board-mark", ".board-anchor .board-name", ".board-waiting .board-name", ".board-progress > :last-child",
        ".board-interval > :last-child", ".board-open", ".board-worse", ".board-detail", ".board-key dt",
        ".board-key dd", ".board a.board-data", ".plot-note", ".plot-legend li",
    )  # fmt: skip
    found = {selector: contrast(page, selector) for selector in selectors}
    context.close()
    assert {selector: ratio for selector, ratio in found.items() if ratio < 4.5} == {}


def test_a_table_with_more_to_the_right_shows_it(
    browser: Browser, zoo_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(monkeypatch, MANY)
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(zoo_site.address)
    open_board(page)
    frames = page.locator("#board .board-frame")
    for at in range(2):  # the pairs and the grades
        frame = frames.nth(at)
        expect(frame).to_have_class("board-frame has-more")
        assert frame.evaluate("(one) => getComputedStyle(one).maskImage") != "none"
        frame.evaluate("(one) => one.scrollTo(one.scrollWidth, 0)")
        expect(frame).to_have_class("board-frame")
    page.set_viewport_size({"width": 1600, "height": 900})
    expect(page.locator("#board .has-more")).to_have_count(0)
    context.close()
