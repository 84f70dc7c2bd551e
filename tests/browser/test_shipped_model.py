"""The whole product once: the real entry point as a process, the model that ships, a real photo, a real browser."""

from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from sr_core.metrics.fidelity import psnr_db
from zoo.manifest import load_manifest

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
RUN_MS = 180_000


def test_a_heic_comes_back_sharper_twice_as_large_and_as_a_heic(
    shipped_address: str, browser: Browser, tmp_path: Path
) -> None:
    truth = Image.open(ROOT / "ui" / "examples" / "astronaut.jpg").convert("RGB").crop((100, 40, 228, 136))
    low = truth.resize((64, 48), Image.Resampling.BICUBIC)
    pillow_heif.from_pillow(low).save(tmp_path / "photo.heic", quality=100, chroma=444)
    quick = next(release for release in load_manifest().releases if "quick" in release.id)

    page = browser.new_context(accept_downloads=True).new_page()
    page.set_default_timeout(RUN_MS)
    page.goto(shipped_address)
    expect(page.locator("#models input:checked")).to_have_value(load_manifest().default.id)
    page.click(f"label[for='model-{quick.id}']")
    expect(page.locator("#models input:checked")).to_have_value(quick.id)
    page.set_input_files("#photo input[type=file]", str(tmp_path / "photo.heic"))
    expect(page.locator("#photo-facts")).to_contain_text("64 × 48", timeout=RUN_MS)
    page.click("#run")
    page.wait_for_selector("#comparison .compare")
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "photo_x2.heic"
    download.value.save_as(tmp_path / "result.heic")
    page.context.close()

    result = np.asarray(pillow_heif.open_heif(tmp_path / "result.heic"))
    expected = np.asarray(truth)
    bicubic = np.asarray(low.resize(truth.size, Image.Resampling.BICUBIC))
    assert result.shape == expected.shape
    gain = psnr_db(result, expected, data_range=255, border=2, channels="y") - psnr_db(
        bicubic, expected, data_range=255, border=2, channels="y"
    )
    assert gain > 0.8
