"""The zoo tab in a browser, and the one variant that is chosen on all tabs."""

import re
import zipfile
from pathlib import Path
from threading import Event

import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Browser, Locator, Page, expect

from sr_core.errors import PackageError
from tests.browser.conftest import Site, opened, tab_to
from tests.browser.test_page import contrast, open_photo
from tests.ui.studio import FakeFiles, family, write_photo
from ui import text, text_zoo
from zoo.kit import swift_sample
from zoo.release import FileRecord, Release

pytestmark = [
    pytest.mark.browser,
    # Gradio 6.31 uses what pandas 3 calls deprecated; as errors these warnings would break Gradio's queue.
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),
]

MODELS = family()
LIGHT, INT8 = "swinir-light-x2-photos39-float16", "swinir-light-x2-photos39-int8"
HEADS4, QUICK = "swinir-light-x2-photos39-heads4-float16", "swinir-quick-x2-photos39-float16"


def open_zoo(page: Page) -> None:
    page.get_by_role("tab", name=text.ZOO_TAB).click()
    page.wait_for_selector("#zoo-table table")


def listed(page: Page) -> list[str]:
    """Returns the ids of the table's rows, from top to bottom."""
    return page.locator("#zoo-table input").evaluate_all("(all) => all.map((one) => one.value)")


def heading(page: Page, words: str) -> Locator:
    return page.locator("#zoo-table").get_by_role("columnheader").filter(has_text=words)


def pick(page: Page, release_id: str) -> None:
    page.locator(f"#zoo-table input[value='{release_id}']").check(force=True)
    expect(page.locator("#zoo-card code")).to_have_text(release_id)


def expect_shown(page: Page, release: Release) -> None:
    """Sees that everything on the tab is of one variant."""
    expect(page.locator("#zoo-card code")).to_have_text(release.id)
    expect(page.locator("#zoo-table input:checked")).to_have_value(release.id)
    shown = page.locator("#zoo-plot [aria-current]").evaluate_all("(all) => all.map((one) => one.dataset.variant)")
    assert set(shown) == {release.id}  # in each figure that has it
    expect(page.locator("#zoo-kit .offer-detail")).to_contain_text(release.label)
    expect(page.locator("#zoo-sheet > * h2")).to_contain_text(release.label)
    expect(page.locator("#zoo-sheet")).to_contain_text(release.weights.sha256)


def downloaded(page: Page, selector: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.click(selector)
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_each_column_sorts_the_table(zoo_page: Page) -> None:
    open_zoo(zoo_page)
    assert listed(zoo_page) == [one.id for one in MODELS.releases]
    by_score = sorted(MODELS.releases, key=lambda one: -one.metrics[1].psnr_db)
    kodak = heading(zoo_page, "Kodak24")
    kodak.get_by_role("button").click()
    expect(kodak).to_have_attribute("aria-sort", "descending")
    assert listed(zoo_page) == [one.id for one in by_score]
    kodak.get_by_role("button").click()
    expect(kodak).to_have_attribute("aria-sort", "ascending")
    assert listed(zoo_page) == [one.id for one in reversed(by_score)]
    expect(zoo_page.locator("#zoo-table [role=status]")).to_have_text("Sorted by Kodak24, ascending.")
    package = heading(zoo_page, "Package")
    without = {one.id for one in MODELS.releases if one.package is None}
    for _ in range(2):  # what has no package stands at the end in either order
        package.get_by_role("button").click()
        assert set(listed(zoo_page)[-len(without) :]) == without
    expect(zoo_page.locator("#zoo-table [aria-sort]")).to_have_count(1)
    pick(zoo_page, QUICK)  # a choice changes nothing about the order
    assert set(listed(zoo_page)[-len(without) :]) == without


def test_a_point_of_the_plot_shows_its_variant_as_the_manifest_has_it(zoo_page: Page) -> None:
    open_zoo(zoo_page)
    release = MODELS.release("swinir-quick-x2-photos39-palette4")
    expect(zoo_page.locator("#zoo-plot a:visible")).to_have_count(len(MODELS.releases))
    zoo_page.locator(f"#zoo-plot a[data-variant='{release.id}']:visible").click()
    expect_shown(zoo_page, release)
    assert release.coreml
    sheet = zoo_page.locator("#zoo-sheet")
    for words in (f"{release.coreml.proof.gate_b_db:.1f} dB on photos", release.coreml.name, "not on a device"):
        expect(sheet).to_contain_text(words)
    assert zoo_page.evaluate("location.search") == ""  # nothing was loaded again


def test_a_link_of_the_lineage_shows_the_parent(zoo_page: Page) -> None:
    open_zoo(zoo_page)
    pick(zoo_page, INT8)
    zoo_page.locator(f"#zoo-sheet a[data-variant='{LIGHT}']").click()
    expect_shown(zoo_page, MODELS.release(LIGHT))


def test_a_choice_in_the_zoo_is_the_choice_for_the_photo_and_back(zoo_page: Page, tmp_path: Path) -> None:
    open_photo(zoo_page, write_photo(tmp_path / "a.png"))
    open_zoo(zoo_page)
    pick(zoo_page, INT8)
    zoo_page.click("#zoo-use")
    expect(zoo_page.get_by_role("tab", name=text.UPSCALE_TAB)).to_have_attribute("aria-selected", "true")
    expect(zoo_page.locator("#models input:checked")).to_have_value(INT8)
    expect(zoo_page.locator(".models-chosen")).to_have_text("Chosen: SwinIR light ×2, int8")
    expect(zoo_page.locator("#spot-comparison .compare-tag-after")).to_have_text("SwinIR light ×2, int8")
    zoo_page.click(f"label[for='model-{QUICK}']")
    expect(zoo_page.locator(".models-chosen")).to_have_text("")
    open_zoo(zoo_page)
    expect_shown(zoo_page, MODELS.release(QUICK))


def test_the_kit_is_always_that_of_the_variant_beside_it(zoo_page: Page, tmp_path: Path) -> None:
    open_zoo(zoo_page)
    pick(zoo_page, INT8)
    zoo_page.click("#zoo-use")
    open_photo(zoo_page, write_photo(tmp_path / "a.png"))
    zoo_page.click("#run")
    zoo_page.wait_for_selector("#comparison .compare")
    zoo_page.click(f"label[for='model-{QUICK}']")  # the picture on screen is still that of int8
    expect(zoo_page.locator("#spot-comparison .compare-tag-after")).to_have_text("SwinIR quick ×2")
    expect(zoo_page.locator("#result-kit .offer-detail")).to_contain_text("SwinIR light ×2, int8")
    assert downloaded(zoo_page, "#result-kit button", tmp_path).name == "SwinirLightX2Photos39Int8_T64-kit.zip"
    open_zoo(zoo_page)
    kit = downloaded(zoo_page, "#zoo-kit button", tmp_path)
    assert kit.name == "SwinirQuickX2Photos39Float16_T64-kit.zip"
    with zipfile.ZipFile(kit) as archive:
        assert QUICK in archive.read("PROOF.json").decode()
    assert downloaded(zoo_page, "#zoo-kit button", tmp_path).name == kit.name  # a second press works too
    weights = downloaded(zoo_page, "#zoo-weights button", tmp_path)
    assert weights.name == f"{QUICK}.safetensors"
    assert weights.stat().st_size == MODELS.release(QUICK).weights.bytes
    pick(zoo_page, HEADS4)
    expect(zoo_page.locator("#zoo-kit button")).to_be_disabled()
    expect(zoo_page.locator("#zoo-kit .offer-reason")).to_have_text(text.NO_KIT)
    expect(zoo_page.locator("#zoo-weights button")).to_be_enabled()


def test_a_late_kit_does_not_come_back_beside_another_variant(
    zoo_page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on, plain = Event(), Event(), FakeFiles.path_of

    def slow(files: FakeFiles, file: FileRecord, release_id: str) -> Path:
        if release_id == INT8:
            asked.set()
            assert go_on.wait(30)
        return plain(files, file, release_id)

    monkeypatch.setattr(FakeFiles, "path_of", slow)
    names: list[str] = []
    zoo_page.on("download", lambda download: names.append(download.suggested_filename))
    open_zoo(zoo_page)
    pick(zoo_page, INT8)
    words = zoo_page.locator("#zoo-kit .offer-words")
    zoo_page.click("#zoo-kit button")
    expect(words).to_have_text(text.KIT_BUSY)
    assert asked.wait(30)
    pick(zoo_page, QUICK)
    expect(words).to_have_text(text.KIT)
    kit = downloaded(zoo_page, "#zoo-kit button", tmp_path)  # not held up by the other one
    go_on.set()
    zoo_page.wait_for_timeout(1000)  # nothing on the page may tell that the late answer has come
    expect(zoo_page.locator("#zoo-kit .offer-detail")).to_contain_text("SwinIR quick ×2")
    again = downloaded(zoo_page, "#zoo-kit button", tmp_path)
    assert names == [kit.name, again.name] == ["SwinirQuickX2Photos39Float16_T64-kit.zip"] * 2
    expect(words).to_have_text(text.KIT)


def test_a_kit_that_cannot_be_had_can_be_asked_for_again(
    zoo_page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(files: FakeFiles, file: FileRecord, release_id: str) -> Path:
        raise PackageError("The hub cannot be reached.")

    open_zoo(zoo_page)
    pick(zoo_page, INT8)
    with monkeypatch.context() as patch:
        patch.setattr(FakeFiles, "path_of", fail)
        zoo_page.click("#zoo-kit button")
        expect(zoo_page.get_by_text("The hub cannot be reached.")).to_be_visible()
        expect(zoo_page.locator("#zoo-kit .offer-words")).to_have_text(text.KIT)
    assert downloaded(zoo_page, "#zoo-kit button", tmp_path).name == "SwinirLightX2Photos39Int8_T64-kit.zip"


def choose_against(page: Page, selector: str, label: str) -> None:
    page.click(f"{selector} input")
    page.get_by_role("option", name=label, exact=True).click()


def test_any_two_variants_can_be_compared(zoo_page: Page, zoo_site: Site, tmp_path: Path) -> None:
    open_photo(zoo_page, write_photo(tmp_path / "a.png", 60, 90))
    choose_against(zoo_page, "#spot-against", "SwinIR light ×2, int8")
    spot = zoo_page.locator("#spot-comparison")
    expect(spot.locator(".compare-note")).to_contain_text("at most 1 of 255 apart")
    expect(spot.locator(".compare-tag-before")).to_have_text("SwinIR light ×2, int8")
    zoo_page.click("#run")
    zoo_page.wait_for_selector("#comparison .compare")
    full = zoo_page.locator("#comparison")
    expect(full.locator(".compare-tag-before")).to_have_text("Bicubic")
    runs = zoo_site.loader.engines[QUICK].runs if QUICK in zoo_site.loader.engines else 0
    choose_against(zoo_page, "#against", "SwinIR quick ×2")
    expect(zoo_page.locator("#also-run")).to_contain_text("Also upscale with SwinIR quick ×2 · about")
    zoo_page.click("#also-run")
    expect(full.locator(".compare-tag-before")).to_have_text("SwinIR quick ×2")
    expect(full.locator(".compare-note")).to_contain_text("equal in every value")
    assert zoo_site.loader.engines[QUICK].runs > runs
    expect(zoo_page.locator("#also-run")).not_to_be_visible()
    far = full.get_by_role("button", name="Difference ×64")
    far.click()
    expect(full.locator(".compare-difference").nth(1)).to_be_visible()
    expect(full.locator(".compare-difference").nth(0)).not_to_be_visible()
    full.get_by_role("button", name="Difference ×8").click()
    expect(full.locator(".compare-difference").nth(0)).to_be_visible()
    expect(far).to_have_attribute("aria-pressed", "false")
    choose_against(zoo_page, "#against", text.BICUBIC_CHOICE)
    expect(full.locator(".compare-tag-before")).to_have_text("Bicubic")
    choose_against(zoo_page, "#against", "SwinIR quick ×2")  # kept, so nothing is computed
    expect(full.locator(".compare-tag-before")).to_have_text("SwinIR quick ×2")


def test_the_keyboard_alone_is_enough_for_the_zoo(zoo_page: Page) -> None:
    tab_to(zoo_page, "[role=tab][aria-selected=false]", presses=60)
    zoo_page.keyboard.press("Enter")
    zoo_page.wait_for_selector("#zoo-table table")
    tab_to(zoo_page, f"#zoo-plot a[data-variant='{QUICK}']", presses=60)
    zoo_page.keyboard.press("Enter")
    expect_shown(zoo_page, MODELS.release(QUICK))
    tab_to(zoo_page, "#zoo-kit button", presses=60)
    with zoo_page.expect_download() as download:
        zoo_page.keyboard.press("Enter")
    assert download.value.suggested_filename == "SwinirQuickX2Photos39Float16_T64-kit.zip"
    tab_to(zoo_page, "#zoo-table thead th:nth-child(5) button", presses=60)
    zoo_page.keyboard.press("Enter")
    expect(heading(zoo_page, "File")).to_have_attribute("aria-sort", "ascending")
    tab_to(zoo_page, "#zoo-table input", presses=60)
    zoo_page.keyboard.press("ArrowDown")
    order = sorted(MODELS.releases, key=lambda one: one.size_bytes)
    after = order[[one.id for one in order].index(QUICK) + 1]
    expect_shown(zoo_page, after)


def test_a_phone_needs_no_sideways_scrolling_in_the_zoo(zoo_page: Page) -> None:
    zoo_page.set_viewport_size({"width": 390, "height": 844})
    open_zoo(zoo_page)
    assert zoo_page.evaluate("document.documentElement.scrollWidth") == 390
    for selector in (
        "#zoo-plot > *",
        "#zoo-card > *",
        "#zoo-kit button",
        "#zoo-sheet > *",
        "#zoo-table .variants-frame",
    ):
        box = zoo_page.locator(selector).first.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    frame = zoo_page.locator("#zoo-table .variants-frame")
    assert frame.evaluate("(one) => one.scrollWidth > one.clientWidth")  # the table scrolls by itself


def test_an_address_can_name_a_variant(browser: Browser, zoo_site: Site) -> None:
    with opened(browser, zoo_site.address, f"?variant={INT8}") as page:
        expect_shown(page, MODELS.release(INT8))
        page.get_by_role("tab", name=text.UPSCALE_TAB).click()
        expect(page.locator("#models input:checked")).to_have_value(INT8)
    with opened(browser, zoo_site.address, "?variant=<b>nonsense") as page:
        expect(page.locator("#models input:checked")).to_have_value(LIGHT)
        expect(page.get_by_role("tab", name=text.UPSCALE_TAB)).to_have_attribute("aria-selected", "true")


def test_the_swift_file_can_be_copied(zoo_page: Page) -> None:
    zoo_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_zoo(zoo_page)
    pick(zoo_page, INT8)
    zoo_page.get_by_role("button", name=text.COPY).click()
    expect(zoo_page.locator(".code button")).to_have_text(text.COPIED)
    assert zoo_page.evaluate("navigator.clipboard.readText()") == swift_sample(MODELS.release(INT8))


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_zoo_can_be_read_in_both_colour_schemes(browser: Browser, zoo_site: Site, scheme: str) -> None:
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    page.goto(zoo_site.address)
    page.get_by_role("tab", name=text.ZOO_TAB).click()
    page.wait_for_selector("#zoo-sheet section")
    page.wait_for_timeout(300)  # colours of buttons are faded in
    selectors = (
        "[role=tab][aria-selected=true]", "[role=tab][aria-selected=false]", "#zoo-card dt", "#zoo-card code",
        "#zoo-kit .offer-words", "#zoo-weights .offer-words", "#zoo-table thead button", "#zoo-table code",
        "#zoo-table tr:has(:checked) td", ".variants-notes p", ".plot-legend li", "#zoo-sheet dt",
        "#zoo-sheet .sheet-note", "#zoo-sheet a", ".gates dd", ".code code", ".code-head span",
    )  # fmt: skip
    found = {selector: contrast(page, selector) for selector in selectors}
    page.get_by_role("radio", name=text_zoo.FIGURE_ENERGY).check(force=True)
    page.get_by_label(text_zoo.WATTS).fill("much")
    page.keyboard.press("Enter")
    expect(page.locator(".budget [role=alert]")).not_to_be_empty()
    selectors = (
        "[name=zoo-figure]:checked + span", "[name=zoo-figure]:not(:checked) + span", ".budget label", ".budget input",
        ".budget [role=alert]", ".budget .plot-note",
    )  # fmt: skip
    found |= {selector: contrast(page, selector) for selector in selectors}
    page.get_by_role("radio", name=text_zoo.FIGURE_PRUNING).check(force=True)
    found |= {selector: contrast(page, selector) for selector in (".panels-list", ".panels-list select")}
    context.close()
    assert {selector: ratio for selector, ratio in found.items() if ratio < 4.5} == {}


def test_the_kit_can_be_had_through_the_client(zoo_site: Site, tmp_path: Path) -> None:
    client = Client(zoo_site.address, verbose=False, download_files=str(tmp_path))
    models = {model["id"]: model for model in client.predict(api_name="/models")}
    release = MODELS.release(INT8)
    assert release.coreml
    assert models[INT8]["precision"] == "int8"
    assert models[INT8]["package_bytes"] == release.coreml.package_bytes
    assert (models[HEADS4]["has_package"], models[HEADS4]["package_bytes"]) == (False, None)
    assert models[HEADS4]["sparsity"] == MODELS.release(HEADS4).cost.sparsity
    kit = Path(client.predict(INT8, api_name="/kit"))
    assert kit.name == "SwinirLightX2Photos39Int8_T64-kit.zip"
    assert zipfile.is_zipfile(kit)
    with pytest.raises(Exception, match="No Core ML package was made"):
        client.predict(HEADS4, api_name="/kit")
    with pytest.raises(Exception, match=re.escape("There is no model '../x'")):
        client.predict("../x", api_name="/kit")
    photo = write_photo(tmp_path / "a.jpg")
    assert Path(client.predict(handle_file(str(photo)), INT8, "png", api_name="/upscale")).is_file()
    client.close()
