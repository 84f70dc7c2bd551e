"""The promise of the project: what is downloaded makes the picture that is on screen."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from sr_core.arch.padding import mirror_indices
from sr_core.coreml.interpret import Package, to_bytes
from sr_core.infer.window_engine import resolve_compute
from sr_core.metrics.fidelity import psnr_db
from zoo.manifest import load_manifest
from zoo.release import Release

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
RUN_MS = 180_000
BFLOAT16_LSB = 1
"""What the page's own arithmetic may add on processors where its products are bfloat16; the proof is about float32."""


def small_release() -> Release:
    """Returns the quick variant with 8-bit weights: a package that is not stored as it is computed."""
    return next(
        one
        for one in load_manifest().releases
        if one.coreml is not None and one.variant.family == "swinir-quick" and one.variant.precision == "int8"
    )


def picture_on_screen(page: Page, release: Release, photo: Path) -> np.ndarray:
    """Chooses the variant in the zoo, upscales the photo with it, and returns what the page shows."""
    page.get_by_role("tab", name="Zoo").click()
    page.locator(f"#zoo-table input[value='{release.id}']").check(force=True)
    expect(page.locator("#zoo-card code")).to_have_text(release.id)
    page.click("#zoo-use")
    expect(page.locator("#models input:checked")).to_have_value(release.id)
    page.set_input_files("#photo input[type=file]", str(photo))
    expect(page.locator("#photo-facts")).to_contain_text("PNG", timeout=RUN_MS)
    page.click("#run")
    page.wait_for_selector("#comparison .compare")
    source = page.get_attribute("#comparison .compare-after", "src")
    assert source
    return np.asarray(Image.open(io.BytesIO(page.request.get(source).body())).convert("RGB"))


def test_the_downloaded_package_makes_the_picture_on_screen(
    shipped_address: str, browser: Browser, tmp_path: Path
) -> None:
    release = small_release()
    assert release.coreml
    tile, margin = release.coreml.tile, release.coreml.margin
    side = tile - 2 * margin  # a photo that is one tile: the phone and the page have nothing to cut
    photo = Image.open(ROOT / "ui" / "examples" / "cat.jpg").convert("RGB").crop((150, 100, 150 + side, 100 + side))
    photo.save(tmp_path / "photo.png")
    page = browser.new_context(accept_downloads=True).new_page()
    page.set_default_timeout(RUN_MS)
    page.goto(shipped_address)
    shown = picture_on_screen(page, release, tmp_path / "photo.png")
    expect(page.locator("#result-kit .offer-detail")).to_contain_text(release.label)
    with page.expect_download() as download:
        page.click("#result-kit button")
    download.value.save_as(tmp_path / "kit.zip")
    page.context.close()

    with zipfile.ZipFile(tmp_path / "kit.zip") as kit:
        kit.extractall(tmp_path / "kit")  # our own, and only into this folder
    proof = json.loads((tmp_path / "kit" / "PROOF.json").read_text(encoding="utf-8"))
    assert proof["id"] == release.id
    at = mirror_indices(side, tile, lead=margin)
    package = Package.open(tmp_path / "kit" / f"{proof['package']['name']}.mlpackage")
    made = to_bytes(package.run(np.asarray(photo)[np.ix_(at, at)]))
    scale = release.variant.spec.scale
    inside = slice(scale * margin, scale * (margin + side))
    made = made[inside, inside]

    assert made.shape == shown.shape
    tolerance = proof["screen"]["max_lsb"] + (BFLOAT16_LSB if resolve_compute("auto") == "bfloat16" else 0)
    assert np.abs(made.astype(int) - shown.astype(int)).max() <= tolerance
    assert psnr_db(made, shown, data_range=255, border=0, channels="rgb") >= proof["screen"]["floor_db"]
