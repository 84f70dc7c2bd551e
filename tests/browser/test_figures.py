"""The figures of the zoo tab in a browser: one at a time, by keyboard too, and a budget that can be changed."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import tab_to
from tests.browser.test_zoo import expect_shown, open_zoo, pick
from tests.ui.studies import LIGHT
from tests.ui.studio import family
from ui import text, text_zoo

pytestmark = [
    pytest.mark.browser,
    # Gradio 6.31 uses what pandas 3 calls deprecated; as errors these warnings would break Gradio's queue.
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),
]

MODELS = family()
QUICK, QUICK4 = "swinir-quick-x2-photos39-float16", "swinir-quick-x2-photos39-palette4"


def show(page: Page, figure: str) -> Locator:
    """Chooses a figure and returns it."""
    page.get_by_role("radio", name=figure).check(force=True)
    one = page.locator("#zoo-plot figure:visible")
    expect(one).to_have_count(1)
    return one


def energy_words(page: Page) -> str:
    return page.locator(f".budget a[data-variant='{LIGHT}']").get_attribute("aria-label") or ""


@pytest.mark.parametrize("width", [390, 1280])
def test_one_figure_is_seen_at_a_time_and_fits_the_page(zoo_page: Page, width: int) -> None:
    zoo_page.set_viewport_size({"width": width, "height": 844})
    open_zoo(zoo_page)
    expect(zoo_page.locator("#zoo-plot figure:visible h2")).to_have_text(text.PLOT_TITLE)
    for figure in (text_zoo.FIGURE_ENERGY, text_zoo.FIGURE_PRUNING, text_zoo.FIGURE_SIZE):
        one = show(zoo_page, figure)
        assert zoo_page.evaluate("document.documentElement.scrollWidth") == width
        marks = one.locator(".plot-mark")
        marks.locator(".plot-label").evaluate_all("(all) => all.forEach((one) => { one.style.display = 'inline'; })")
        boxes = marks.locator(".plot-label").evaluate_all(
            "(all) => all.map((one) => one.getBoundingClientRect()).map((one) => [one.left, one.right])"
        )
        assert boxes
        assert any(right - left > 150 for left, right in boxes)
        assert [(left, right) for left, right in boxes if not 0 <= left < right <= width] == []
    network = show(zoo_page, text_zoo.FIGURE_PRUNING).locator("xpath=ancestor::*[contains(@class, 'panels')][1]")
    network.get_by_label(text_zoo.PRUNING_LIST).select_option(label="SwinIR light ×2: time")
    expect(zoo_page.locator("#zoo-plot figure:visible h2")).to_have_text("Time against sparsity, swinir-light ×2")
    assert zoo_page.evaluate("document.documentElement.scrollWidth") == width


def test_another_budget_is_drawn_without_loading_the_page_again(zoo_page: Page) -> None:
    open_zoo(zoo_page)
    pick(zoo_page, QUICK)
    show(zoo_page, text_zoo.FIGURE_ENERGY)
    assert "221 photos" in energy_words(zoo_page)
    zoo_page.evaluate("window.stays = true")
    zoo_page.get_by_label(text_zoo.WATTS).fill("1,5")
    zoo_page.keyboard.press("Enter")
    expect(zoo_page.locator("#zoo-plot h2:visible")).to_have_text("Photos of a megapixel within 10 Wh at 1.5 W")
    assert "442 photos" in energy_words(zoo_page)
    expect_shown(zoo_page, MODELS.release(QUICK))  # the choice is marked in the new drawing too
    expect(zoo_page.locator(".budget [aria-current]")).to_have_attribute("data-variant", QUICK)
    hours = zoo_page.get_by_label(text_zoo.WATT_HOURS)
    hours.fill("lots")
    zoo_page.keyboard.press("Tab")
    alert = zoo_page.locator(".budget [role=alert]")
    expect(alert).to_have_text(
        "Energy, Wh: please give a number from 0.1 to 1000, such as 10; “lots” does not do, so the plot is still "
        "the old one."
    )
    expect(hours).to_have_attribute("aria-invalid", "true")
    assert "442 photos" in energy_words(zoo_page)
    hours.fill("20")
    zoo_page.keyboard.press("Tab")
    expect(zoo_page.locator("#zoo-plot h2:visible")).to_contain_text("20 Wh at 1.5 W")
    expect(alert).to_be_empty()
    expect(hours).to_have_attribute("aria-invalid", "false")
    zoo_page.locator(f".budget a[data-variant='{QUICK4}']").click()
    expect_shown(zoo_page, MODELS.release(QUICK4))
    assert zoo_page.get_by_label(text_zoo.WATTS).input_value() == "1,5"  # a choice changes nothing of it
    expect(zoo_page.locator("#zoo-plot h2:visible")).to_contain_text("20 Wh at 1.5 W")
    assert zoo_page.evaluate("window.stays") is True


def test_the_chosen_variant_is_named_beside_the_plot_and_covers_nothing(zoo_page: Page) -> None:
    open_zoo(zoo_page)
    pick(zoo_page, QUICK)
    for figure, words in ((text_zoo.FIGURE_SIZE, "0.72 MB · "), (text_zoo.FIGURE_ENERGY, "photos of")):
        one = show(zoo_page, figure)
        said = one.locator(".plot-chosen")
        expect(said).to_contain_text(f"{text_zoo.CHOSEN}SwinIR quick ×2: ")
        expect(said).to_contain_text(words)
        expect(one.locator(".plot-label:visible")).to_have_count(0)
        chosen, field = said.bounding_box(), one.locator(":scope > svg").bounding_box()
        assert chosen
        assert field
        assert chosen["y"] + chosen["height"] <= field["y"]
    expect(show(zoo_page, text_zoo.FIGURE_PRUNING).locator(".plot-chosen")).to_be_empty()  # it is not in this plot


@pytest.mark.parametrize("width", [390, 1280])
def test_huge_numbers_fit_beside_the_plot(zoo_page: Page, width: int) -> None:
    zoo_page.set_viewport_size({"width": width, "height": 844})
    open_zoo(zoo_page)
    show(zoo_page, text_zoo.FIGURE_ENERGY)
    zoo_page.get_by_label(text_zoo.WATTS).fill("0.1")
    zoo_page.get_by_label(text_zoo.WATT_HOURS).fill("1000")
    zoo_page.keyboard.press("Enter")
    expect(zoo_page.locator("#zoo-plot h2:visible")).to_contain_text("1000 Wh at 0.1 W")
    one = zoo_page.locator("#zoo-plot figure:visible")
    ticks = one.locator(".plot-grid text[x='-10']")
    assert all(words[-1] == "M" or words == "0" for words in ticks.all_text_contents())
    left = one.evaluate("(one) => one.getBoundingClientRect().left")
    assert min(ticks.evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().left)")) >= left


def test_arrows_of_what_lies_below_the_scale_keep_clear_of_the_words_there(zoo_page: Page) -> None:
    for width in (390, 1280):
        zoo_page.set_viewport_size({"width": width, "height": 844})
        open_zoo(zoo_page)
        one = show(zoo_page, text_zoo.FIGURE_PRUNING)
        foot = "(all) => all.map((one) => one.getBoundingClientRect().bottom)"
        arrows = one.locator(".plot-down").evaluate_all(foot)
        words = one.locator(".plot-grid text[dy='20']").evaluate_all(
            "(all) => all.map((one) => one.getBoundingClientRect().top)"
        )
        assert arrows
        assert max(arrows) < min(words)


def test_the_keyboard_alone_is_enough_for_the_figures(zoo_page: Page) -> None:
    open_zoo(zoo_page)
    tab_to(zoo_page, "[name=zoo-figure]", presses=20)
    zoo_page.keyboard.press("ArrowRight")
    zoo_page.keyboard.press("ArrowRight")
    expect(zoo_page.locator("#zoo-plot figure:visible h2")).to_contain_text("PSNR lost on Kodak24")
    tab_to(zoo_page, "select", presses=2)
    tab_to(zoo_page, ".plot-mark", presses=2)
    read = "document.activeElement.getAttribute('aria-label')"
    first = zoo_page.evaluate(read)
    for _ in range(6):  # past what ships
        zoo_page.keyboard.press("ArrowRight")
    assert zoo_page.evaluate(read) == "selective: 5.0% gone, −0.05 dB"
    expect(zoo_page.locator("*:focus .plot-label")).to_be_visible()
    zoo_page.keyboard.press("Enter")  # leads nowhere
    zoo_page.keyboard.press("ArrowLeft")
    zoo_page.keyboard.press("Enter")
    expect_shown(zoo_page, MODELS.release("swinir-light-x2-photos39-sparse30-float16"))
    for _ in range(5):
        zoo_page.keyboard.press("ArrowUp")
    assert zoo_page.evaluate(read) == first
    tab_to(zoo_page, "#zoo-use", presses=1)  # one stop for all points of the curves
