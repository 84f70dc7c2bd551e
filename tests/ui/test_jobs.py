from pathlib import Path
from unittest.mock import Mock, create_autospec

import numpy as np
import pytest
from PIL import Image

from sr_core.errors import OptionError, OutputError, PhotoError, PhotoTooLargeError, UnknownModelError
from sr_core.image.header import Header, Limits
from sr_core.image.metadata import has_location
from sr_core.image.picture import PhotoFormat
from sr_core.image.sandbox import Sandbox
from sr_core.infer.tiles import Tiling, plan_tiles
from tests.sr_core.image.raw_files import bayer_dng, light_scene
from tests.ui.studio import GPS_IFD, MAKE, MAKER, ORIENTATION, Loader, release, sandbox, studio, write_photo
from ui.jobs import Finished, Order, Stage, photo_path, result_name, upscale_photo
from ui.settings import Settings
from ui.studio import Studio
from zoo.manifest import Manifest

MODEL = "swinir-fake-x2-fake-float32"


def order(photo: Path, model_id: str = MODEL, save_as: str = "same") -> Order:
    return Order(photo=photo, model_id=model_id, save_as=save_as)


def finish(one: Studio, what: Order, folder: Path) -> tuple[list[Stage], Finished]:
    job, stages = upscale_photo(one, what, folder), []
    while True:
        try:
            stages.append(next(job))
        except StopIteration as end:
            return stages, end.value


def test_a_job_makes_the_photo_bigger_upright_and_keeps_its_exif(tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "holiday.jpg", 48, 72, orientation=6)
    stages, finished = finish(studio(), order(photo), tmp_path)
    assert finished.file.path == tmp_path / "holiday_x2.jpg"
    with Image.open(finished.file.path) as result:
        assert (result.format, result.size) == ("JPEG", (96, 144))
        assert result.getexif()[MAKE] == MAKER
        assert result.getexif().get(ORIENTATION, 1) == 1
        assert result.getexif().get_ifd(GPS_IFD)
    tiles = [stage for stage in stages if stage.total > 1]
    assert [stage.done for stage in tiles] == sorted(stage.done for stage in tiles)
    assert tiles[-1].done == tiles[-1].total == finished.tiles


def test_a_job_sharpens_the_estimate(tmp_path: Path) -> None:
    one, photo = studio(loader=Loader(seconds=0.002)), write_photo(tmp_path / "a.jpg")
    chosen = one.manifest.default
    before = one.speeds.seconds(chosen, 48, 72)
    assert before == pytest.approx(60 * 48 * 72 / 1e6)
    _, finished = finish(one, order(photo), tmp_path)
    assert one.speeds.seconds(chosen, 48, 72) == pytest.approx(finished.seconds)


def test_a_speed_of_the_manifest_is_for_the_photo_and_a_measured_one_for_what_the_network_computes() -> None:
    one, chosen = studio(), release()
    assert one.speeds.seconds(chosen, 500, 400) == pytest.approx(60 * 0.2)  # 60 seconds for a megapixel of the photo
    one.speeds.record(chosen, 48, 72, 1.0)
    small, large = (
        plan_tiles(height, width, 8, Tiling(tile=32, overlap=8)) for height, width in ((48, 72), (500, 400))
    )
    computed = large.tiles * large.tile_pixels / (small.tiles * small.tile_pixels)
    assert computed != pytest.approx(500 * 400 / (48 * 72), rel=0.01)
    assert one.speeds.seconds(chosen, 500, 400) == pytest.approx(computed)


def test_what_needs_too_much_memory_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    photo, loader = write_photo(tmp_path / "a.jpg", 1200, 1200), Loader()
    with pytest.raises(PhotoTooLargeError, match="MiB of memory and a job may take 20 MiB"):
        refuse(Settings(max_job_bytes=20 << 20), order(photo), tmp_path, loader)
    assert loader.runs == 0


@pytest.mark.parametrize(("bit_depth", "limit_mib", "is_taken"), [(8, 4096, True), (16, 768, True), (8, 20, False)])
def test_the_memory_limit_lets_a_50_megapixel_photo_be_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bit_depth: int, limit_mib: int, is_taken: bool
) -> None:
    header = Header(
        format="jpeg",
        height=5773,
        width=8660,
        bit_depth=bit_depth,
        channels=3,
        has_alpha=False,
        size_bytes=1000,
        kind="JPEG",
        samples="8 bit",
    )
    monkeypatch.setattr("ui.jobs.check_output", Mock())  # a JPEG has neither 16 bits nor these sides
    says_so = create_autospec(Sandbox, instance=True)
    says_so.read_header.return_value = header
    says_so.decode.side_effect = sandbox().decode
    settings = Settings(max_result_pixels=10**10, max_job_seconds=10**6, max_job_bytes=limit_mib << 20)
    one = studio(settings, confined=says_so)
    sentence = "damaged|empty" if is_taken else "of memory and a job may take 20 MiB"
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(PhotoError, match=sentence):
        finish(one, order(tmp_path / "a.jpg"), tmp_path)


def test_without_any_speed_there_is_no_estimate() -> None:
    one = studio(models=Manifest(releases=(release(seconds=None),)))
    assert one.speeds.seconds(one.manifest.default, 100, 100) is None


@pytest.mark.parametrize("save_as", ["png", "webp", "heic", "jpeg", "avif", "tiff"])
def test_a_result_can_be_saved_as_any_format(tmp_path: Path, save_as: PhotoFormat) -> None:
    photo = write_photo(tmp_path / "a.jpg")
    _, finished = finish(studio(), order(photo, save_as=save_as), tmp_path)
    assert finished.file.format == save_as
    assert finished.file.path.is_file()


def test_a_raw_photo_becomes_a_dng(tmp_path: Path) -> None:
    (tmp_path / "DSC_0001.NEF").write_bytes(bayer_dng(light_scene(60, 80)))
    _, finished = finish(studio(), order(tmp_path / "DSC_0001.NEF"), tmp_path)
    assert finished.file.path == tmp_path / "DSC_0001_x2.dng"
    assert sandbox().decode(finished.file.path, Limits()).source_format == "dng"


@pytest.mark.parametrize("save_as", ["same", "webp", "heic", "png"])
def test_a_place_goes_only_where_it_was_not_asked_to_go(tmp_path: Path, save_as: str) -> None:
    photo = write_photo(tmp_path / "a.jpg")
    for remove_location in (False, True):
        what = Order(photo=photo, model_id=MODEL, save_as=save_as, remove_location=remove_location)
        _, finished = finish(studio(), what, tmp_path)
        written = sandbox().decode(finished.file.path, Limits())
        assert has_location(finished.photo.metadata)
        assert has_location(written.metadata) == finished.has_location == (not remove_location)
        assert MAKER.encode() in (written.metadata.exif or b"")


def test_closing_a_job_stops_the_network(tmp_path: Path) -> None:
    loader = Loader()
    job = upscale_photo(studio(loader=loader), order(write_photo(tmp_path / "a.jpg", 200, 200)), tmp_path)
    while not loader.runs:
        next(job)
    job.close()
    runs = loader.runs
    assert runs < 10
    assert list(job) == []
    assert loader.runs == runs


def refuse(settings: Settings, what: Order, folder: Path, loader: Loader | None = None) -> None:
    finish(studio(settings, loader), what, folder)


def test_what_cannot_be_done_is_refused_before_any_work(tmp_path: Path) -> None:
    photo, loader = write_photo(tmp_path / "a.jpg", 1200, 1200), Loader()
    with pytest.raises(OutputError, match="would have 6 megapixels and this server makes at most 5"):
        refuse(Settings(max_result_pixels=5_000_000), order(photo), tmp_path, loader)
    with pytest.raises(PhotoTooLargeError, match="would take about 1 min on this machine and a job may take 20 s"):
        refuse(Settings(max_job_seconds=20), order(photo), tmp_path, loader)
    with pytest.raises(PhotoTooLargeError, match="megapixels are accepted"):
        refuse(Settings(limits=Limits(max_pixels=1_000_000)), order(photo), tmp_path, loader)
    with pytest.raises(UnknownModelError, match="no model 'nonsense'"):
        refuse(Settings(), order(photo, "nonsense"), tmp_path, loader)
    with pytest.raises(
        OptionError, match="'gif' is not known; the formats are same, jpeg, png, webp, heic, avif, tiff"
    ):
        refuse(Settings(), order(photo, save_as="gif"), tmp_path, loader)
    with pytest.raises(OutputError, match="Only a RAW photo can become a DNG"):
        refuse(Settings(), order(photo, save_as="dng"), tmp_path, loader)
    assert loader.runs == 0


def test_transparency_is_not_dropped_into_a_jpeg(tmp_path: Path) -> None:
    path, loader = tmp_path / "glass.png", Loader()
    Image.fromarray(np.full((20, 20, 4), 128, np.uint8), "RGBA").save(path)
    with pytest.raises(OutputError, match="transparency"):
        refuse(Settings(), order(path, save_as="jpeg"), tmp_path, loader)
    assert loader.runs == 0


def test_the_clock_stops_what_the_estimate_let_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 7))
    monkeypatch.setattr("ui.jobs.time.monotonic", lambda: float(next(clock)))
    with pytest.raises(PhotoTooLargeError, match="took longer than 15 s and was stopped"):
        refuse(Settings(max_job_seconds=10), order(write_photo(tmp_path / "a.jpg", 100, 100)), tmp_path)


def test_a_photo_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="no photo yet"):
        photo_path(None)
    with pytest.raises(PhotoError, match="no longer on the server"):
        photo_path(str(tmp_path / "gone.jpg"))


@pytest.mark.parametrize(
    ("photo", "name"),
    [
        ("holiday.HEIC", "holiday_x2.jpg"),
        ("Grüße (3).jpg", "Grüße (3)_x2.jpg"),
        ("a/../<b>.png", "b_x2.jpg"),
        ("....jpg", "photo_x2.jpg"),
        ("x" * 300 + ".jpg", "x" * 80 + "_x2.jpg"),
    ],
)
def test_a_result_has_a_name_that_every_system_takes(photo: str, name: str) -> None:
    assert result_name(Path(photo), 2, "jpeg") == name
