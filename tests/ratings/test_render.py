"""Rendering: the way of the scores and of a phone, the same bytes each time."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from ratings.stimuli import load_pictures
from ratings.vote import BICUBIC, ORIGINAL
from ratings.workshop import photos as photos_module
from ratings.workshop.photos import PHOTOS, Photo
from ratings.workshop.render import SCALE, render, shown_by, tiling_of
from sr_core.errors import VoteError
from tests.zoo.small_home import TINY, small_release
from zoo.catalogue import load_model
from zoo.files import EmbeddedFiles, Zoo, embedded_zoo
from zoo.manifest import BUILTIN, Manifest, load_manifest, save_manifest

SMALL = Photo(
    name="corner",
    title="A corner",
    author="Nobody",
    rights="CC0",
    call="coins",
    top=20,
    left=32,
    height=24,
    width=40,
)


@pytest.fixture
def zoo(tmp_path: Path) -> Zoo:
    home = tmp_path / "home"
    (home / "builtin").mkdir(parents=True)
    releases = (small_release(TINY, home), small_release(TINY, home, "float32", seed=1))
    save_manifest(Manifest(releases=releases), home / "manifest.json")
    return embedded_zoo(home / "manifest.json")


@pytest.fixture
def small_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos_module, "_MOST", 96)


@pytest.mark.usefixtures("small_photos")
def test_a_set_is_rendered_by_every_release_and_the_same_again(zoo: Zoo, tmp_path: Path) -> None:
    told: list[str] = []
    ids = [release.id for release in zoo.manifest.releases]
    pictures = render(zoo, tmp_path / "one", [SMALL], told.append)
    assert told == ["corner (1 of 1), by 2 of 2 variants"]
    assert pictures.systems == (ORIGINAL, BICUBIC, *ids)
    assert np.array_equal(pictures.pixels("corner", ORIGINAL)[:, :, 0], data.coins()[20:44, 32:72])
    assert not np.array_equal(pictures.pixels("corner", ids[0]), pictures.pixels("corner", ids[1]))
    assert "| corner | A corner | Nobody | CC0 |" in (tmp_path / "one" / "NOTICE.md").read_text()

    render(zoo, tmp_path / "two", [SMALL])
    names = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert names == sorted(path.relative_to(tmp_path / "two") for path in (tmp_path / "two").rglob("*.*"))
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.usefixtures("small_photos")
def test_only_what_would_be_made_otherwise_is_rendered_again(zoo: Zoo, tmp_path: Path) -> None:
    first, second = zoo.manifest.releases
    folder, told = tmp_path / "set", list[str]()
    render(replace(zoo, manifest=Manifest(releases=(first,))), folder, [SMALL])
    render(zoo, folder, [SMALL], told.append)
    render(zoo, folder, [SMALL], told.append)
    other = replace(first, tiling=replace(first.tiling, overlap=first.tiling.overlap + 8))
    render(replace(zoo, manifest=Manifest(releases=(other, second))), folder, [SMALL], told.append)
    render(zoo, folder, [replace(SMALL, width=32)], told.append)
    render(zoo, folder, [replace(SMALL, width=32)], told.append, is_fresh=True)
    assert [int(words.split()[5]) for words in told] == [1, 0, 1, 2, 2]
    anew = render(zoo, tmp_path / "anew", [replace(SMALL, width=32)])
    for path in folder.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "anew" / path.relative_to(folder)).read_bytes()
    assert anew.systems == load_pictures(folder).systems


@pytest.mark.usefixtures("small_photos")
def test_what_is_shown_is_cut_from_the_whole_enlarged_photo(zoo: Zoo) -> None:
    high, top, left = SMALL.surroundings()
    assert high.shape == (96, 96, 3)
    assert np.array_equal(high[:, :, 0], data.coins()[20 - top : 116 - top, 32 - left : 128 - left])
    size = (high.shape[1] // SCALE, high.shape[0] // SCALE)
    low = Image.fromarray(high).resize(size, Image.Resampling.BICUBIC)
    again = np.asarray(low.resize((96, 96), Image.Resampling.BICUBIC))
    release = zoo.manifest.default
    shown = shown_by(SMALL, [(load_model(release, "float32", zoo.files), tiling_of(release))])
    assert np.array_equal(shown.pixels[BICUBIC], again[top : top + 24, left : left + 40])
    assert shown.pixels[release.id].shape == (24, 40, 3)


def test_releases_of_another_scale_are_left_out(zoo: Zoo, tmp_path: Path) -> None:
    others = tuple(
        replace(r, variant=replace(r.variant, spec=replace(r.variant.spec, scale=4))) for r in zoo.manifest.releases
    )
    with pytest.raises(VoteError, match="enlarges 2 times"):
        render(replace(zoo, manifest=Manifest(releases=others)), tmp_path / "out", [SMALL])
    assert not (tmp_path / "out").exists()


def test_variants_are_tiled_as_on_a_phone_where_they_have_a_package() -> None:
    tilings = {release.id: tiling_of(release) for release in load_manifest().releases}
    packed = [release for release in load_manifest().releases if release.coreml is not None]
    assert packed
    for release in load_manifest().releases:
        assert tilings[release.id].fixed == (release.coreml is not None)


def test_shown_parts_lie_in_their_photos() -> None:
    assert len({photo.name for photo in PHOTOS}) == len(PHOTOS)
    for photo in PHOTOS:
        high, top, left = photo.surroundings()
        assert high.dtype == np.uint8
        assert max(high.shape[:2]) <= 640
        assert not any(number % 2 for number in (*high.shape[:2], top, left, photo.height, photo.width))
        assert top + photo.height <= high.shape[0]
        assert left + photo.width <= high.shape[1]
        whole = np.asarray(getattr(data, photo.call)())
        whole = whole if whole.ndim == 3 else whole[:, :, np.newaxis]
        expected = whole[photo.top : photo.top + photo.height, photo.left : photo.left + photo.width]
        assert np.array_equal(
            high[top : top + photo.height, left : left + photo.width],
            np.broadcast_to(expected, (*expected.shape[:2], 3)),
        )


def test_a_part_that_is_not_all_there_is_refused() -> None:
    with pytest.raises(ValueError, match="not all there"):
        replace(SMALL, top=290).surroundings()


@pytest.mark.slow
def test_the_shipped_set_can_be_made_again() -> None:
    release = load_manifest().release("swinir-quick-x2-photos39-int8")
    photo = next(photo for photo in PHOTOS if photo.name == "coins")
    shown = shown_by(photo, [(load_model(release, "float32", EmbeddedFiles(BUILTIN)), tiling_of(release))])
    pictures = load_pictures()
    for system in (ORIGINAL, BICUBIC):
        assert np.array_equal(shown.pixels[system], pictures.pixels("coins", system))
    steps = np.abs(shown.pixels[release.id].astype(np.int16) - pictures.pixels("coins", release.id))
    assert steps.max() <= 1, "another processor may round a sum differently, but by no more than that"
    assert (steps > 0).mean() < 0.001
