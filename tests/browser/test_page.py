import re
import time
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Site, tab_to
from tests.ui.studio import GPS_IFD, MAKE, MAKER, ORIENTATION, write_photo

pytestmark = [
    pytest.mark.browser,
    # Gradio 6.31 uses what pandas 3 calls deprecated; as errors these warnings would break Gradio's queue.
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),
]


def upload(page: Page, photo: Path) -> None:
    page.set_input_files("#photo input[type=file]", str(photo))


def open_photo(page: Page, photo: Path) -> None:
    """Uploads a photo and waits until its first spot is shown, when no network is at work any more."""
    upload(page, photo)
    page.wait_for_selector("#spot-comparison .compare")


COLOURS_OF = """(selector) => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const paint = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  };
  const one = document.querySelector(selector), behind = [];
  for (let at = one; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
  behind.unshift('white');
  return [paint([...behind, getComputedStyle(one).color]), paint(behind)];
}"""
"""The text's colour and that of what lies behind it, as a browser paints them."""


def luminance(colour: list[int]) -> float:
    """Returns the relative luminance of an sRGB colour, as WCAG 2.2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(page: Page, selector: str) -> float:
    low, high = sorted(luminance(colour) for colour in page.evaluate(COLOURS_OF, selector))
    return (high + 0.05) / (low + 0.05)


def served_bytes(page: Page, selector: str) -> bytes:
    source = page.get_attribute(selector, "src")
    assert source
    return page.request.get(source).body()


def test_a_photo_becomes_a_file_twice_its_size_with_all_that_it_carried(page: Page, tmp_path: Path) -> None:
    open_photo(page, write_photo(tmp_path / "My <b>photo.jpg", 48, 72, orientation=6))
    expect(page.locator("#photo-facts")).to_contain_text("48 × 72")
    expect(page.locator(".models-note")).to_contain_text("measured on this machine")
    page.click("#run")
    page.wait_for_selector("#comparison .compare")
    expect(page.locator("#result-facts")).to_contain_text("48 × 72 → 96 × 144")
    expect(page.locator("#comparison .compare-after")).to_have_attribute("alt", "The photo enlarged by Fake ×2")
    for selector in ("#comparison .compare-before", "#comparison .compare-after", "#picker img"):
        data = served_bytes(page, selector)
        assert data.startswith(b"\x89PNG")
        assert MAKER.encode() not in data
    with page.expect_download() as download:
        page.click("#download")
    assert re.fullmatch(r"My .*photo.*_x2\.jpg", download.value.suggested_filename)
    download.value.save_as(tmp_path / "result.jpg")
    with Image.open(tmp_path / "result.jpg") as result:
        assert (result.format, result.size) == ("JPEG", (96, 144))
        assert result.getexif()[MAKE] == MAKER
        assert result.getexif().get(ORIENTATION, 1) == 1
        assert result.getexif().get_ifd(GPS_IFD)
        red = np.asarray(result.convert("RGB"))[..., 0]
    assert red[:20].mean() > red[-20:].mean() + 50  # the photo's left edge is its top when upright


def test_the_divider_and_the_difference_work(page: Page, tmp_path: Path) -> None:
    open_photo(page, write_photo(tmp_path / "a.png"))
    page.click("#run")
    page.wait_for_selector("#comparison .compare")
    page.locator("#comparison .compare-range").fill("80")
    assert "--divide: 80%" in (page.get_attribute("#comparison .compare", "style") or "")
    expect(page.locator("#comparison .compare-difference")).not_to_be_visible()
    page.locator("#comparison").get_by_role("button", name="Difference ×8").click()
    expect(page.locator("#comparison .compare-difference")).to_be_visible()
    page.locator("#comparison").get_by_role("button", name="Actual pixels").click()
    box = page.locator("#comparison .compare-stage").bounding_box()
    assert box
    assert round(box["width"]) == 144


def test_cancel_stops_the_computation_on_the_server(page: Page, site: Site, tmp_path: Path) -> None:
    open_photo(page, write_photo(tmp_path / "large.jpg", 1500, 1500))
    expect(page.locator(".models-note")).to_contain_text("measured on this machine")
    page.click("#run")
    page.wait_for_selector("#status progress")
    page.wait_for_function("document.querySelector('#status progress').value > 5")
    page.click("#cancel")
    expect(page.locator("#outcome")).to_contain_text("Cancelled")
    expect(page.locator("#status")).not_to_be_visible()
    time.sleep(0.5)
    runs = site.loader.runs
    time.sleep(1.5)
    assert site.loader.runs <= runs + 1
    assert not list(site.temp.glob("psr-job-*"))
    expect(page.locator("#run")).to_be_visible()
    page.click("#run")  # the queue's place was given back
    page.wait_for_selector("#status progress")
    page.click("#cancel")


def test_the_run_does_not_wait_for_a_spot_that_nobody_asked_for(page: Page, site: Site, tmp_path: Path) -> None:
    upload(page, write_photo(tmp_path / "a.png", 400, 400))
    expect(page.locator("#try-spot")).to_contain_text("tile")
    page.click("#run")
    page.wait_for_selector("#status progress")
    expect(page.locator("#try-spot")).to_have_text("Try this spot")
    page.click("#cancel")


def test_closing_the_page_stops_the_computation(page: Page, site: Site, tmp_path: Path) -> None:
    open_photo(page, write_photo(tmp_path / "large.jpg", 1500, 1500))
    page.click("#run")
    page.wait_for_selector("#status progress")
    page.context.close()
    deadline = time.monotonic() + 15
    while list(site.temp.glob("psr-job-*")) and time.monotonic() < deadline:
        time.sleep(0.2)
    runs = site.loader.runs
    time.sleep(1)
    assert site.loader.runs == runs


def test_a_bad_file_is_said_in_a_sentence_and_the_next_one_works(page: Page, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"this is not a photo")
    upload(page, bad)
    expect(page.locator("#status [role=alert]")).to_contain_text("not a photo of a known kind")
    expect(page.locator("#run")).to_be_disabled()
    page.get_by_role("button", name="Cat").click()
    page.wait_for_selector("#spot-comparison .compare")
    expect(page.locator("#status [role=alert]")).to_have_count(0)


def test_another_spot_is_computed_where_the_photo_is_clicked(page: Page, tmp_path: Path) -> None:
    open_photo(page, write_photo(tmp_path / "a.png", 400, 600))
    first = page.get_attribute("#spot-comparison .compare-after", "src")
    page.locator("#picker .spot-photo").click(position={"x": 5, "y": 5})
    expect(page.locator("#spot-comparison .compare-after")).not_to_have_attribute("src", first or "")
    assert page.input_value("#picker .spot-x") == "0"


def test_a_phone_needs_no_sideways_scrolling(page: Page, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    width = "document.documentElement.scrollWidth"
    assert page.evaluate(width) == 390
    open_photo(page, write_photo(tmp_path / "a.png", 120, 180))
    page.click("#run")
    page.wait_for_selector("#comparison .compare")
    assert page.evaluate(width) == 390


def test_the_keyboard_alone_is_enough(page: Page) -> None:
    tab_to(page, "#examples button", presses=40)
    page.keyboard.press("Enter")
    page.wait_for_selector("#spot-comparison .compare")
    tab_to(page, "#models input", presses=40)
    page.keyboard.press("ArrowDown")
    expect(page.locator("#spot-comparison .compare-note")).to_contain_text("Fake ×4")
    tab_to(page, "#run", presses=40)
    page.keyboard.press("Enter")
    page.wait_for_selector("#comparison .compare")
    tab_to(page, "#comparison .compare-range", presses=40)
    page.keyboard.press("ArrowRight")
    assert "--divide: 50.5%" in (page.get_attribute("#comparison .compare", "style") or "")
    tab_to(page, "#picker .spot-x", presses=40)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#spot-comparison .compare-note")).to_contain_text("Cut from the full result of Fake ×4")


def test_the_public_endpoints_and_no_others(site: Site, tmp_path: Path) -> None:
    client = Client(site.address, verbose=False, download_files=str(tmp_path))
    assert set(client.view_api(return_format="dict")["named_endpoints"]) == {"/models", "/upscale", "/kit"}
    models = client.predict(api_name="/models")
    assert (models[0]["scale"], models[0]["psnr_db"]["Set5"], models[0]["license"]) == (2, 37.5, "Apache-2.0")
    assert [model["id"] for model in models] == ["swinir-fake-x2-fake-float32", "swinir-fake-x4-fake-float32"]
    photo = write_photo(tmp_path / "a.jpg")
    result = client.predict(handle_file(str(photo)), models[1]["id"], "png", api_name="/upscale")
    with Image.open(result) as picture:
        assert (picture.format, picture.size) == ("PNG", (288, 192))
        assert picture.getexif().get_ifd(GPS_IFD)
    result = client.predict(handle_file(str(photo)), models[0]["id"], "same", True, api_name="/upscale")
    with Image.open(result) as picture:
        assert (picture.format, picture.size) == ("JPEG", (144, 96))
        assert not picture.getexif().get_ifd(GPS_IFD)
        assert picture.getexif()[MAKE] == MAKER
    with pytest.raises(Exception, match="There is no model 'nonsense'"):
        client.predict(handle_file(str(photo)), "nonsense", "same", api_name="/upscale")
    client.close()


def test_cancelling_through_the_client_stops_the_computation(site: Site, tmp_path: Path) -> None:
    client = Client(site.address, verbose=False, download_files=str(tmp_path))
    photo, before = write_photo(tmp_path / "large.jpg", 1500, 1500), site.loader.runs
    job = client.submit(handle_file(str(photo)), "", "same", api_name="/upscale")
    deadline = time.monotonic() + 30
    while site.loader.runs < before + 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert site.loader.runs >= before + 5
    assert job.cancel()
    time.sleep(0.5)
    runs = site.loader.runs
    time.sleep(1.5)
    assert site.loader.runs <= runs + 1
    assert not list(site.temp.glob("psr-job-*"))
    client.close()


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_page_follows_the_colour_scheme_and_can_be_read_in_it(
    browser: Browser, site: Site, scheme: Literal["dark", "light"], tmp_path: Path
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 860})
    page = context.new_page()
    page.goto(site.address)
    page.wait_for_selector("#models table")
    _, behind = page.evaluate(COLOURS_OF, "#top h1")
    assert (luminance(behind) < 0.05) == (scheme == "dark")
    first = {
        selector: contrast(page, selector)
        for selector in ("#top h1", "#top p", "#photo label", ".models-note", "#welcome dd", "#welcome dt")
    }
    open_photo(page, write_photo(tmp_path / "a.png"))
    selectors = ("#photo-facts li", "#closer h2", "#try-spot", "#losses .keeps-all", "#remove-location .info-text")
    shown = {selector: contrast(page, selector) for selector in selectors}
    page.wait_for_timeout(400)  # the button's colour is faded in
    shown["#run"] = contrast(page, "#run")
    context.close()
    assert {selector: ratio for selector, ratio in (first | shown).items() if ratio < 4.5} == {}
