"""Sets of pictures: nothing is lost, nothing damaged is taken, and a file tells nothing but its pixels."""

import hashlib
import io
import json
import shutil
import struct
import subprocess
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ratings import stimuli
from ratings.stimuli import EMBEDDED, PictureSet, Rendering, Shown, Stimulus, load_pictures, write_pictures
from ratings.vote import ANCHORS, OWN, GradeVote
from sr_core.errors import VoteError
from tests.ratings.picture_sets import small_set
from zoo.manifest import load_manifest

VARIANTS = ("one-x2", "two-x2", "three-x2")


@pytest.fixture
def pictures(tmp_path: Path) -> PictureSet:
    return small_set(tmp_path, VARIANTS)


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields kind and body of each chunk, all sums checked, to the very end."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    place = 8
    while place < len(png):
        length, kind = struct.unpack_from(">I4s", png, place)
        body = png[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", png, place + 8 + length) == (zlib.crc32(kind + body),)
        yield kind, body
        place += 12 + length
    assert place == len(png)


def edit(folder: Path, change: Any) -> None:
    """Changes the list of a set."""
    path = folder / "set.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def record(**changes: Any) -> Stimulus:
    fields: dict[str, Any] = {"name": "a", "title": "A", "author": "B", "rights": "CC0", "source": "D"}
    return Stimulus(**{**fields, "height": 6, "width": 9, **changes})


def rendering(variant: str) -> Rendering:
    return Rendering(variant=variant, weights_sha256="0" * 64, tile=64, overlap=24, fixed=True)


# Pixels.


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), distance=st.integers(0, 255), height=st.integers(1, 20), width=st.integers(1, 20))
def test_no_pixel_is_lost(tmp_path: Path, seed: int, distance: int, height: int, width: int) -> None:
    random = np.random.default_rng(seed)
    first = random.integers(0, 256, (height, width, 3), np.uint8)
    made = {
        system: first + random.integers(0, distance + 1, first.shape).astype(np.uint8) * place
        for place, system in enumerate((*ANCHORS, *VARIANTS))
    }
    write_pictures(
        tmp_path,
        [Shown(stimulus=record(height=height, width=width), pixels=made)],
        [rendering(v) for v in VARIANTS],
        tool="t",
    )
    loaded = load_pictures(tmp_path)
    for system, pixels in made.items():
        assert np.array_equal(loaded.pixels("a", system), pixels)
        png = loaded.png("a", system, b"n")
        assert np.array_equal(imagecodecs.png_decode(png), pixels)


def test_near_pixels_are_stored_as_their_difference_also_of_a_difference(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    first = random.integers(0, 256, (40, 40, 3), np.uint8)
    second, third = first.copy(), first.copy()
    second[:20] += 1  # wraps in places
    third[:20] += 2
    third[5, 5] = 7
    unlike = random.integers(0, 256, first.shape, np.uint8)
    made = dict(zip((*ANCHORS, *VARIANTS), (unlike, first, second, third, unlike), strict=True))
    write_pictures(
        tmp_path,
        [Shown(stimulus=record(height=40, width=40), pixels=made)],
        [rendering(v) for v in VARIANTS],
        tool="t",
    )
    listed = json.loads((tmp_path / "set.json").read_text())["pictures"][0]["files"]
    assert [listed[s]["base"] for s in made] == [None, None, "bicubic", "one-x2", "original"]
    assert sum(listed[s]["bytes"] for s in VARIANTS) < listed["original"]["bytes"] / 4
    fresh = load_pictures(tmp_path)  # the last of a chain is asked for first
    for system in reversed(made):
        assert np.array_equal(fresh.pixels("a", system), made[system])


def test_pixels_cannot_be_written_to(pictures: PictureSet) -> None:
    for system in pictures.systems:
        with pytest.raises(ValueError, match="read-only"):
            pictures.pixels("alpha", system)[0, 0] = 0


def test_few_pictures_are_kept_decoded_and_compressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stimuli, "_MOST_DECODED", 3)
    monkeypatch.setattr(stimuli, "_MOST_PACKED", 2)
    pictures = small_set(tmp_path, VARIANTS)
    for _ in range(2):
        for picture in pictures.pictures:
            for system in pictures.systems:
                png = pictures.png(picture.name, system, b"n")
                assert np.array_equal(imagecodecs.png_decode(png), pictures.pixels(picture.name, system))
                assert len(pictures._decoded) <= 3
                assert len(pictures._packed) <= 2


# PNGs.


def test_a_png_holds_its_pixels_and_nothing_else_that_can_be_read(pictures: PictureSet) -> None:
    for picture in pictures.pictures:
        for system in pictures.systems:
            png = pictures.png(picture.name, system, b"some nonce")
            assert [kind for kind, _ in chunks(png)] == [b"IHDR", b"nnCe", b"IDAT", b"IEND"]
            with Image.open(io.BytesIO(png)) as image:
                image.load()
                assert image.format == "PNG"
                assert image.mode == "RGB"
                assert image.info == {}
                assert image.size == (picture.width, picture.height)
                assert not image.getexif()
                assert np.array_equal(np.asarray(image), pictures.pixels(picture.name, system))
            for word in (system, picture.name, picture.title, pictures.version):
                assert word.encode() not in png


def test_pngs_of_a_picture_have_one_length(pictures: PictureSet) -> None:
    for picture in pictures.pictures:
        made = [
            pictures.png(picture.name, system, nonce)
            for system in pictures.systems
            for nonce in (b"", b"1", b"2" * 16, b"3" * 100)
        ]
        assert len({len(png) for png in made}) == 1
        streams = {len(body) for png in made for kind, body in chunks(png) if kind == b"IDAT"}
        assert len(streams) > 2, "the test needs pixels that do not compress alike"


def test_each_nonce_makes_other_bytes_and_the_same_one_the_same(pictures: PictureSet) -> None:
    for system in pictures.systems:
        made = [pictures.png("beta", system, n.to_bytes(16)) for n in range(50)]
        assert len(set(made)) == 50
        assert made[7] == pictures.png("beta", system, (7).to_bytes(16))
        fillers = [dict(chunks(png))[b"nnCe"] for png in made]
        assert min(map(len, fillers)) >= 64
        heads = {filler[:32] for filler in fillers}
        assert len(heads) == 50


def test_the_filler_looks_random(tmp_path: Path) -> None:
    made = {system: np.zeros((400, 400, 3), np.uint8) for system in ANCHORS}
    made["original"] = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    write_pictures(tmp_path, [Shown(stimulus=record(height=400, width=400), pixels=made)], [], tool="t")
    filler = dict(chunks(load_pictures(tmp_path).png("a", "bicubic", b"n")))[b"nnCe"]
    assert len(filler) > 400_000
    assert len(zlib.compress(filler, 9)) > len(filler)
    counts = np.bincount(np.frombuffer(filler, np.uint8), minlength=256)
    expected = len(filler) / 256
    assert ((counts - expected) ** 2 / expected).sum() < 400  # chi-squared with 255 degrees: 1 in 10 million


def test_many_threads_get_the_same(pictures: PictureSet) -> None:
    asked = [(p.name, system) for p in pictures.pictures for system in pictures.systems] * 8
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda one: pictures.png(*one, b"n"), asked))
    alone = {one: pictures.png(*one, b"n") for one in set(asked)}
    assert made == [alone[one] for one in asked]


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_finds_no_metadata(pictures: PictureSet, tmp_path: Path) -> None:
    path = tmp_path / "served.png"
    path.write_bytes(pictures.png("alpha", VARIANTS[0], b"nonce"))
    answer = subprocess.run(["exiftool", "-j", "-G1", "-a", "-u", str(path)], capture_output=True, check=True)
    [tags] = json.loads(answer.stdout)
    groups = {tag.partition(":")[0] for tag in tags if tag != "SourceFile"}
    assert groups <= {"ExifTool", "System", "File", "PNG", "Composite"}
    assert {tag for tag in tags if tag.startswith("PNG:")} <= {
        f"PNG:{name}" for name in ("ImageWidth", "ImageHeight", "BitDepth", "ColorType", "Compression", "Filter")
    } | {"PNG:Interlace"}


# Which systems.


def test_only_keeps_anchors_and_the_order(pictures: PictureSet) -> None:
    some = pictures.only(["three-x2", "one-x2", "unknown-x2"])
    assert some.systems == (*ANCHORS, "one-x2", "three-x2")
    assert some.version == pictures.version
    assert some.pictures == pictures.pictures
    assert pictures.only([]).systems == ANCHORS
    assert pictures.systems == (*ANCHORS, *VARIANTS)
    for call in (some.pixels, lambda *one: some.png(*one, b"n")):
        with pytest.raises(KeyError, match="two-x2"):
            call("alpha", "two-x2")
        with pytest.raises(KeyError, match="nowhere"):
            call("nowhere", "one-x2")
    assert np.array_equal(some.pixels("beta", "three-x2"), pictures.pixels("beta", "three-x2"))
    assert len({len(some.png("beta", system, b"n")) for system in some.systems}) == 1


# Files.


def test_a_set_is_known_by_its_content(tmp_path: Path) -> None:
    one = small_set(tmp_path / "one", VARIANTS)
    again = small_set(tmp_path / "again", VARIANTS)
    other = small_set(tmp_path / "other", VARIANTS, seed=1)
    fewer = small_set(tmp_path / "fewer", VARIANTS[:2])
    renamed = small_set(tmp_path / "renamed", ("one-x2", "two-x2", "three-x3"))
    assert one.version == again.version
    assert len({one.version, other.version, fewer.version, renamed.version}) == 4
    assert one.version != OWN
    assert GradeVote.model_fields["picture_set"]  # a version is a word that votes can name:
    vote = {"id": "0" * 32, "at": "2026-11-21T00:00:00Z", "rater": "0" * 16, "picture": "a", "system": "b", "grade": 3}
    view = {"decision_ms": 1, "viewport": (1, 1), "pixel_ratio": 1.0, "zoom": 1.0}
    GradeVote.model_validate({**vote, "picture_set": one.version, "view": view})


def test_titles_do_not_change_the_version(tmp_path: Path) -> None:
    version = small_set(tmp_path, VARIANTS).version
    edit(tmp_path, lambda document: document["pictures"][0]["stimulus"].update(title="Another", source="corrected"))
    assert load_pictures(tmp_path).version == version
    assert load_pictures(tmp_path).pictures[0].title == "Another"


def test_a_set_replaces_an_earlier_one(tmp_path: Path) -> None:
    small_set(tmp_path, VARIANTS)
    kept = tmp_path / "alpha" / "notes.txt"
    kept.write_text("of somebody")
    small_set(tmp_path, VARIANTS[:1], pictures=("alpha",))
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {"set.json", "alpha/notes.txt", *(f"alpha/{s}.webp" for s in (*ANCHORS, VARIANTS[0]))}


@pytest.mark.parametrize("fault", ["size", "type", "system"])
def test_a_picture_that_is_not_all_there_is_not_written(tmp_path: Path, fault: str) -> None:
    made: dict[str, Any] = {system: np.zeros((6, 9, 3), np.uint8) for system in (*ANCHORS, "one-x2")}
    if fault == "size":
        made["one-x2"] = np.zeros((6, 8, 3), np.uint8)
    elif fault == "type":
        made["one-x2"] = np.zeros((6, 9, 3), np.uint16)
    else:
        del made["one-x2"]
    with pytest.raises(ValueError, match="no pixels of a by one-x2"):
        write_pictures(tmp_path, [Shown(stimulus=record(), pixels=made)], [rendering("one-x2")], tool="t")


def test_a_damaged_file_is_refused(pictures: PictureSet, tmp_path: Path) -> None:
    for path in sorted(tmp_path.rglob("*.webp"))[::4]:
        sound = path.read_bytes()
        for place in (0, len(sound) // 2, len(sound) - 1):
            damaged = bytearray(sound)
            damaged[place] ^= 1
            path.write_bytes(damaged)
            with pytest.raises(VoteError, match="damaged"):
                load_pictures(tmp_path)
        path.write_bytes(sound + b"\0")
        with pytest.raises(VoteError, match="damaged"):
            load_pictures(tmp_path)
        path.unlink()
        with pytest.raises(VoteError, match="missing"):
            load_pictures(tmp_path)
        path.write_bytes(sound)
    assert load_pictures(tmp_path).version == pictures.version


def test_a_folder_without_a_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VoteError, match=r"set\.json .* cannot be read"):
        load_pictures(tmp_path)


def _swap(document: dict[str, Any]) -> None:
    files = document["pictures"][0]["files"]
    files["one-x2"], files["two-x2"] = files["two-x2"], files["one-x2"]


CHANGES: dict[str, tuple[Any, str]] = {
    "schema": (lambda d: d.update(schema=2), "schema number 2, not 1"),
    "no schema": (lambda d: d.pop("schema"), "damaged"),
    "more": (lambda d: d.update(more=1), "damaged"),
    "more in a picture": (lambda d: d["pictures"][0]["stimulus"].update(more=1), "damaged"),
    "no version": (lambda d: d.pop("version"), "damaged"),
    "other version": (lambda d: d.update(version="0" * 12), "version is not that of its content"),
    "swapped": (_swap, "version is not that of its content|damaged"),
    "escape": (lambda d: d["pictures"][0]["stimulus"].update(name="../alpha"), "damaged"),
    "text as a number": (lambda d: d["pictures"][0]["stimulus"].update(height="16"), "damaged"),
    "no pictures": (lambda d: d.update(pictures=[]), "at least one picture"),
    "twice": (lambda d: d.update(pictures=d["pictures"][:1] * 2), "no name twice"),
    "system twice": (lambda d: d.update(renderings=d["renderings"][:1] * 2), "a system twice"),
    "system without files": (lambda d: d["pictures"][0]["files"].pop("two-x2"), "not there by just"),
    "later base": (lambda d: d["pictures"][0]["files"]["original"].update(base="one-x2"), "not to an earlier"),
    "own base": (lambda d: d["pictures"][0]["files"]["one-x2"].update(base="one-x2"), "not to an earlier"),
    "unknown base": (lambda d: d["pictures"][0]["files"]["one-x2"].update(base="none"), "not to an earlier"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_damaged_list_is_refused(pictures: PictureSet, tmp_path: Path, change: str) -> None:
    alter, words = CHANGES[change]
    edit(tmp_path, alter)
    with pytest.raises(VoteError, match=words) as caught:
        load_pictures(tmp_path)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff\xfe", b'{"schema": 1', b'"schema"'])
def test_a_list_that_is_no_list_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "set.json").write_bytes(content)
    with pytest.raises(VoteError, match="damaged"):
        load_pictures(tmp_path)


# The set that ships.


@pytest.fixture(scope="module")
def shipped() -> PictureSet:
    return load_pictures()


def test_the_shipped_set_was_rendered_by_the_weights_that_ship(shipped: PictureSet) -> None:
    manifest = load_manifest()
    renderings = json.loads((EMBEDDED / "set.json").read_text())["renderings"]
    assert [one["variant"] for one in renderings] == [release.id for release in manifest.releases], "render it again"
    for one in renderings:
        release = manifest.release(one["variant"])
        assert one["weights_sha256"] == release.weights.sha256, "render it again"
        tiling = release.tiling.plain() if release.coreml is None else release.coreml.plain_tiling()
        assert (one["tile"], one["overlap"], one["fixed"]) == (tiling.tile, tiling.overlap, tiling.fixed)
    assert shipped.systems == (*ANCHORS, *(release.id for release in manifest.releases))


def test_the_shipped_set_is_small_free_and_told_of(shipped: PictureSet) -> None:
    files = [path for path in EMBEDDED.rglob("*") if path.is_file()]
    listed = {f"{p.name}/{system}.webp" for p in shipped.pictures for system in shipped.systems}
    assert {path.relative_to(EMBEDDED).as_posix() for path in files} == listed | {"set.json", "NOTICE.md"}
    assert sum(path.stat().st_size for path in files) <= 9_500_000
    assert len(shipped.pictures) >= 10
    notice = (EMBEDDED / "NOTICE.md").read_text()
    for picture in shipped.pictures:
        assert (
            f"| {picture.name} | {picture.title} | {picture.author} | {picture.rights} | {picture.source} |" in notice
        )
        assert any(word in picture.rights for word in ("CC0", "public domain", "no known copyright restrictions"))
        assert min(picture.height, picture.width) >= 300
        assert picture.height % 2 == picture.width % 2 == 0


def test_shipped_files_hold_no_metadata() -> None:
    for path in EMBEDDED.rglob("*.webp"):
        content = path.read_bytes()
        assert content[:4] == b"RIFF"
        assert content[8:16] == b"WEBPVP8L", "one chunk of lossless pixels, nothing else"
        assert (
            struct.unpack_from("<I", content, 16)[0] + 20
            <= len(content)
            <= struct.unpack_from("<I", content, 16)[0] + 21
        )


def test_shipped_pictures_differ_as_they_must(shipped: PictureSet) -> None:
    for picture in shipped.pictures:
        original = shipped.pixels(picture.name, "original").astype(np.int16)
        error = {
            system: float(np.square(shipped.pixels(picture.name, system) - original).astype(np.float64).mean())
            for system in shipped.systems
        }
        assert error["original"] == 0
        best = min(value for system, value in error.items() if system != "original")
        assert 0 < best < error["bicubic"], "a network is nearer to the original than bicubic interpolation"
        seen = {hashlib.sha256(shipped.pixels(picture.name, s).tobytes()).digest() for s in shipped.systems}
        assert len(seen) == len(shipped.systems)


def test_shipped_pngs_have_one_length_and_are_quick(shipped: PictureSet) -> None:
    for picture in shipped.pictures[:3]:
        first = shipped.png(picture.name, "original", b"first")
        seconds: list[float] = []
        for number, system in enumerate(shipped.systems):
            start = time.perf_counter()
            png = shipped.png(picture.name, system, number.to_bytes(16))
            seconds.append(time.perf_counter() - start)
            assert len(png) == len(first) < 210_000
        assert sorted(seconds)[len(seconds) // 2] < 0.01


def test_a_warm_set_compresses_nothing_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = small_set(tmp_path, ("one", "two"))
    pictures.warm()
    monkeypatch.setattr("ratings.stimuli._deflated", None)
    for picture in pictures.pictures:
        assert pictures.png(picture.name, "one", b"nonce")
