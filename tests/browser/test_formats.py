"""Photos as cameras make them, through a real browser: what is said of them, and the file that comes back."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from playwright.sync_api import Page, expect

from sr_core.image.decode import decode
from sr_core.image.header import Limits
from sr_core.image.metadata import has_location
from sr_core.image.picture import PhotoFormat, Picture
from tests.browser.conftest import Site
from tests.browser.test_page import open_photo, served_bytes, upload
from tests.sr_core.image.raw_files import bayer_dng, light_scene
from tests.ui.studio import MAKER, write_heic, write_photo

pytestmark = [
    pytest.mark.browser,
    # Gradio 6.31 uses what pandas 3 calls deprecated; as errors these warnings would break Gradio's queue.
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),
]


def downloaded(page: Page, folder: Path) -> tuple[str, Picture]:
    """Runs the job and returns the name of the file that is downloaded, and what is in it."""
    page.click("#run")
    page.wait_for_selector("#comparison .compare")
    with page.expect_download() as download:
        page.click("#download")
    path = folder / "downloaded"
    download.value.save_as(path)
    return download.value.suggested_filename, decode(path, Limits())


def choose_format(page: Page, name: str) -> None:
    page.click("#save-as input")
    page.get_by_role("option", name=name).click()


def test_a_heic_says_what_each_format_would_lose_and_comes_back_without_its_place(
    page: Page, site: Site, tmp_path: Path
) -> None:
    expect(page.locator("#remove-location")).to_have_count(0)
    open_photo(page, write_heic(tmp_path / "IMG_0042.heic"))
    expect(page.locator("#photo-facts")).to_contain_text("10 bit")
    expect(page.locator("#losses")).to_contain_text("Saved as HEIC, nothing that the photo carries is left out.")
    choose_format(page, "JPEG")
    expect(page.locator("#losses")).to_contain_text("The 10 bits of a sample")
    choose_format(page, "Same format as the photo (HEIC)")
    expect(page.locator("#losses")).to_contain_text("Saved as HEIC")
    expect(page.locator("#remove-location")).to_contain_text("This photo says where it was taken.")
    page.get_by_label("Remove location").check()
    name, result = downloaded(page, tmp_path)
    assert name == "IMG_0042_x2.heic"
    assert (result.source_format, result.bit_depth, result.pixels.shape) == ("heic", 10, (96, 144, 3))
    assert not has_location(result.metadata)
    assert MAKER.encode() in (result.metadata.exif or b"")
    expect(page.locator("#result-facts")).to_contain_text("The file does not say where the photo was taken.")
    deadline = time.monotonic() + 10
    while {path.name for path in site.temp.iterdir()} != {"gradio"} and time.monotonic() < deadline:
        time.sleep(0.1)
    assert {path.name for path in site.temp.iterdir()} == {"gradio"}


def test_what_was_chosen_holds_for_the_next_photo(page: Page, tmp_path: Path) -> None:
    open_photo(page, write_photo(tmp_path / "a.jpg"))
    page.get_by_label("Remove location").check()
    choose_format(page, "WebP")
    replace_photo(page, write_tiff(tmp_path / "b.tif"))
    expect(page.locator("#photo-facts")).to_contain_text("no location")
    expect(page.locator("#remove-location")).to_have_count(0)
    replace_photo(page, write_photo(tmp_path / "c.jpg"))
    expect(page.get_by_label("Remove location")).to_be_checked()
    expect(page.locator("#save-as input")).to_have_value("WebP")


def test_what_cannot_be_made_is_said_before_it_is_tried(page: Page, tmp_path: Path) -> None:
    open_photo(page, write_photo(tmp_path / "wide.jpg", 16, 4200))
    choose_format(page, "WebP")
    expect(page.locator("#losses")).to_contain_text("Saved as WebP")
    page.click("label[for='model-swinir-fake-x4-fake-float32']")
    expect(page.locator("#losses [role=alert]")).to_contain_text("a WebP holds at most 16383 pixels a side")
    choose_format(page, "PNG, lossless")
    expect(page.locator("#losses [role=alert]")).to_have_count(0)


def replace_photo(page: Page, photo: Path) -> None:
    page.locator("#photo").get_by_role("button", name="Clear").click()
    upload(page, photo)
    expect(page.locator("#photo-facts")).to_be_visible()


def write_raw(path: Path) -> Path:
    path.write_bytes(bayer_dng(light_scene(60, 80)))
    return path


def write_tiff(path: Path) -> Path:
    tifffile.imwrite(path, np.random.default_rng(1).integers(0, 65536, (60, 80, 3), np.uint16), photometric="rgb")
    return path


@pytest.mark.parametrize(
    ("write", "name", "family", "choice"),
    [
        (write_raw, "DSC_0001.NEF", "dng", "DNG, as the photo is RAW"),
        (write_tiff, "scan.tiff", "tiff", "Same format as the photo (TIFF)"),
    ],
)
def test_what_a_browser_cannot_show_is_shown_and_comes_back_in_its_family(
    page: Page, tmp_path: Path, write: Callable[[Path], Path], name: str, family: PhotoFormat, choice: str
) -> None:
    open_photo(page, write(tmp_path / name))
    expect(page.locator("#save-as input")).to_have_value(choice)
    assert served_bytes(page, "#picker img").startswith(b"\x89PNG")
    suggested, result = downloaded(page, tmp_path)
    assert suggested == {"dng": "DSC_0001_x2.dng", "tiff": "scan_x2.tif"}[family]
    assert (result.source_format, result.bit_depth, result.pixels.shape) == (family, 16, (120, 160, 3))
    assert (result.metadata.camera is not None) == (family == "dng")
