"""The promise of the project: what is downloaded makes the picture that is on screen."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from sr_core.coreml.interpret import Package
from sr_core.coreml.package_engine import PackageEngine
from sr_core.image.picture import Picture
from sr_core.infer.model import LoadedModel
from sr_core.infer.tiles import plan_tiles
from sr_core.infer.upscale import run_to_end, upscale
from sr_core.metrics.fidelity import psnr_db
from tests.browser.conftest import served
from zoo.catalogue import load_model
from zoo.hub import open_zoo
from zoo.manifest import load_manifest
from zoo.release import Release

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
RUN_MS = 180_000


def small_release() -> Release:
    """Returns the smallest variant with a package: its weights are not stored as they are computed with."""
    packed = [one for one in load_manifest().releases if one.package is not None]
    return min(packed, key=lambda one: one.package.bytes if one.package else 0)


@pytest.fixture
def exact_address(tmp_path: Path) -> Iterator[str]:
    """The address of the app with the models that ship in float32, on every processor: the proof is about that."""

    def load(release: Release) -> LoadedModel:
        return load_model(release, "float32", models.files)

    models = open_zoo(None)
    (tmp_path / "server").mkdir()
    with served(tmp_path / "server", models, load) as address:
        yield address


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
    exact_address: str, browser: Browser, tmp_path: Path
) -> None:
    release = small_release()
    assert release.coreml
    side = 2 * release.coreml.tile  # an app cuts this photo up, and blends what the package gives
    photo = Image.open(ROOT / "ui" / "examples" / "cat.jpg").convert("RGB").crop((150, 100, 150 + side, 100 + side))
    photo.save(tmp_path / "photo.png")
    page = browser.new_context(accept_downloads=True).new_page()
    page.set_default_timeout(RUN_MS)
    page.goto(exact_address)
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
    package = Package.open(tmp_path / "kit" / f"{proof['package']['name']}.mlpackage")
    engine = PackageEngine(package, release.variant.spec.window)
    picture = Picture(pixels=np.asarray(photo), bit_depth=8)
    tiling = release.coreml.plain_tiling()
    plan = plan_tiles(side, side, engine.multiple, tiling)
    assert plan.tiles > 4
    made = run_to_end(upscale(picture, engine, tiling)).pixels

    assert made.shape == shown.shape
    assert np.abs(made.astype(int) - shown.astype(int)).max() <= proof["screen"]["max_lsb"]
    assert psnr_db(made, shown, data_range=255, border=0, channels="rgb") >= proof["screen"]["floor_db"]
