import struct
import time
import tracemalloc
from dataclasses import replace
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from sr_core.errors import OutputError, PhotoTooLargeError, UnreadablePhotoError, UnsupportedFormatError
from sr_core.image.decode import Limits, decode, read_header
from sr_core.image.encode import Quality, check_output, encode, losses
from sr_core.image.heif import avif
from sr_core.image.heif.assembly import encoded_in_tiles
from sr_core.image.heif.items import Item, Property, Reference, read
from sr_core.image.heif.turns import turn_of, turn_properties
from sr_core.image.metadata import refresh_size
from sr_core.image.orientation import upright
from sr_core.image.picture import Metadata

from .heif_files import (
    GAIN_MAP,
    MAP_XMP,
    avif_items,
    exiftool,
    file_bytes,
    film,
    mutations,
    sample,
    save,
    turned,
    with_item,
    with_map,
    with_properties,
    with_tone_map,
)
from .photo_files import P3_NCLX, XMP, everything, exif_block, noise, picture_of, rgb_profile, scene

LIMITS = Limits()
FINE = Quality(avif=97, avif_chroma="444")


def again(tmp_path, picture, quality=FINE):
    """Returns a picture after it was written and read."""
    encode(picture, tmp_path / "result", photo_format="avif", quality=quality)
    return decode(tmp_path / "result", LIMITS)


def error(one, other):
    return np.abs(one.astype(int) - other.astype(int)).max()


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_pixels_keep_their_depth(tmp_path, bits, channels, has_alpha):
    opacity = scene(50, 70, 3, bits)[:, :, 1] if has_alpha else None
    picture = picture_of(scene(50, 70, channels, bits), bits, alpha=opacity, source_format="avif")
    result = again(tmp_path, picture)
    assert (result.bit_depth, result.pixels.shape) == (bits, picture.pixels.shape)
    assert error(result.pixels, picture.pixels) <= 6 << (bits - 8)
    assert (result.alpha is None) == (opacity is None)
    if opacity is not None:
        assert np.array_equal(result.alpha, opacity)  # the engine writes alpha without loss
    header = read_header(tmp_path / "result", LIMITS)
    assert (header.bit_depth, header.channels, header.has_alpha) == (bits, channels, has_alpha)
    assert (header.kind, header.samples, header.notices) == ("AVIF", f"{bits} bit", ())


@pytest.mark.parametrize("chroma", ["420", "422", "444"])
def test_chroma_of_the_source_is_kept(tmp_path, chroma):
    picture = picture_of(scene(32, 32), source_format="avif", metadata=Metadata(chroma=chroma))
    assert again(tmp_path, picture, Quality()).metadata.chroma == chroma
    assert again(tmp_path, picture, Quality(avif_chroma="422")).metadata.chroma == "422"


def test_grey_is_stored_as_grey_and_not_without_loss(tmp_path):
    grey = noise(128, 128, 1, 8) // 4 + scene(128, 128, 1) // 2
    picture = picture_of(grey, source_format="avif")
    assert again(tmp_path, picture, Quality(avif=60)).metadata.chroma is None
    small = (tmp_path / "result").stat().st_size
    again(tmp_path, picture, Quality(avif=97))
    assert small < 0.8 * (tmp_path / "result").stat().st_size


@pytest.mark.parametrize("channels", [1, 3])
def test_quality_100_is_lossless(tmp_path, channels):
    picture = picture_of(noise(64, 48, channels, 10), 10, source_format="avif", metadata=Metadata(nclx=P3_NCLX))
    assert again(tmp_path, picture, Quality(avif=100)).metadata.nclx[:2] == P3_NCLX[:2]
    assert np.array_equal(again(tmp_path, picture, Quality(avif=100)).pixels, picture.pixels)


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("profile", [None, rgb_profile()])
def test_lossless_stays_lossless(tmp_path, bits, has_alpha, profile):
    opacity = noise(50, 70, 3, bits)[:, :, 1] if has_alpha else None
    metadata = Metadata(nclx=(12, 13, 0, 1), icc=profile, chroma="444")
    first = picture = picture_of(noise(50, 70, 3, bits), bits, alpha=opacity, source_format="avif", metadata=metadata)
    for _ in range(2):
        picture = again(tmp_path, picture, Quality(avif=20, avif_chroma="420"))
        assert np.array_equal(picture.pixels, first.pixels)
        assert opacity is None or np.array_equal(picture.alpha, opacity)
        assert (picture.metadata.nclx[2], picture.metadata.icc) == (0, profile)


@pytest.mark.parametrize(("source", "chroma"), [("png", None), ("heic", "444"), ("avif", None)])
def test_only_a_lossless_avif_becomes_a_lossless_avif(tmp_path, source, chroma):
    metadata = Metadata(nclx=(1, 13, 0, 1), chroma=chroma)
    picture = picture_of(noise(48, 48, 3, 8), source_format=source, metadata=metadata)
    result = again(tmp_path, picture, Quality())
    assert result.metadata.nclx[2] != 0
    assert not np.array_equal(result.pixels, picture.pixels)


@pytest.mark.parametrize("nclx", [None, (1, 13, 6, 1), (1, 13, 5, 0), (12, 13, 0, 1), (2, 2, 2, 1)])
def test_8_bit_colours_have_no_cast(tmp_path, nclx):
    colours = noise(64, 64, 3, 8) // 2 + 64
    picture = picture_of(colours, source_format="avif", metadata=Metadata(nclx=nclx))
    result = again(tmp_path, picture)
    assert np.abs((result.pixels.astype(float) - colours).mean(axis=(0, 1))).max() < 0.3
    assert result.metadata.nclx[:2] == (nclx or (1, 13))[:2]


@pytest.mark.parametrize("nclx", [(12, 16, 6, 1), (9, 16, 9, 1), (9, 18, 9, 1), (12, 13, 1, 1)])
@pytest.mark.parametrize("bits", [10, 12])
def test_code_points_are_kept_exactly(tmp_path, nclx, bits):
    pixels = scene(48, 48, 3, bits)
    picture = picture_of(pixels, bits, source_format="avif", metadata=Metadata(nclx=nclx))
    result = again(tmp_path, picture)
    assert (result.metadata.nclx, result.metadata.icc, result.metadata.transfer) == (nclx, None, None)
    assert error(result.pixels, pixels) <= 6 << (bits - 8)


def test_code_points_of_a_bitstream_count_where_the_file_states_none(tmp_path):
    items = avif_items(scene(48, 48), primaries=12, transfer=13, matrix=1)
    main = items.main
    bare = replace(main, properties=tuple(prop for prop in main.properties if prop.kind != b"colr"))
    assert decode(save(tmp_path / "a", with_item(items, bare)), LIMITS).metadata.nclx == (12, 13, 1, 1)
    plain = avif_items(scene(48, 48))
    bare = replace(plain.main, properties=tuple(prop for prop in plain.main.properties if prop.kind != b"colr"))
    assert decode(save(tmp_path / "a", with_item(plain, bare)), LIMITS).metadata.nclx is None


def test_what_travels_beside_the_pixels(tmp_path):
    metadata = everything()
    picture = picture_of(scene(60, 80), source_format="avif", metadata=metadata)
    result = again(tmp_path, picture)
    expected = refresh_size(metadata, 60, 80)
    assert (result.metadata.icc, result.metadata.exif, result.metadata.xmp) == (
        rgb_profile(), expected.exif, expected.xmp,
    )  # fmt: skip
    assert result.notices == ()
    data = (tmp_path / "result").read_bytes()
    assert b"nclx" in data  # the matrix has to be known in any case
    assert read(data).main.body(b"colr")[4:8] == (2).to_bytes(2, "big") * 2  # and nothing that contradicts the profile
    # Another reader understands the same.
    with Image.open(BytesIO(data)) as image:
        assert image.info["icc_profile"] == rgb_profile()
        assert image.info["exif"].endswith(expected.exif)
        assert image.info["xmp"] == expected.xmp
        assert error(np.asarray(image), picture.pixels) <= 6


def test_damaged_exif_is_left_out(tmp_path):
    items = avif_items(scene(32, 32))
    exif = Item(id=9, kind=b"Exif", references=(Reference(kind=b"cdsc", to=(1,)),), data=bytes(4) + b"no exif at all")
    picture = decode(save(tmp_path / "a", with_item(items, exif)), LIMITS)
    assert picture.notices == ("The EXIF data of this photo is damaged and is not kept.",)
    misplaced = replace(exif, data=b"\x00\x00\xff\xff" + exif_block(1))
    assert decode(save(tmp_path / "a", with_item(items, misplaced)), LIMITS).metadata.exif == exif_block(1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_turned_by_the_file_are_upright(tmp_path, orientation):
    pixels = scene(48, 70)
    exif = Item(id=9, kind=b"Exif", references=(Reference(kind=b"cdsc", to=(1,)),), data=bytes(4) + exif_block(6))
    items = turned(avif_items(pixels), orientation)
    path = save(tmp_path / "a", with_item(items, exif) if orientation != 1 else items)
    picture = decode(path, LIMITS)
    assert error(picture.pixels, upright(pixels, orientation)) <= 8
    header = read_header(path, LIMITS)
    assert (header.height, header.width) == picture.pixels.shape[:2]
    if orientation != 1:
        assert picture.metadata.exif == exif_block(1)
    result = again(tmp_path, picture)
    assert error(result.pixels, picture.pixels) <= 8
    assert turn_of(read((tmp_path / "result").read_bytes()).main.properties) == 1


def test_turns_apply_in_the_order_of_the_standard(tmp_path):
    rotation, mirror = turn_properties(7)
    path = save(tmp_path / "a", with_properties(avif_items(scene(48, 70)), mirror, rotation))
    assert error(decode(path, LIMITS).pixels, upright(scene(48, 70), 7)) <= 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_turned_by_exif_alone_are_upright(tmp_path, orientation):
    pixels = scene(48, 70)
    exif = Item(
        id=9, kind=b"Exif", references=(Reference(kind=b"cdsc", to=(1,)),), data=bytes(4) + exif_block(orientation)
    )
    picture = decode(save(tmp_path / "a", with_item(avif_items(pixels), exif)), LIMITS)
    assert error(picture.pixels, upright(pixels, orientation)) <= 8
    assert picture.metadata.exif == exif_block(1)


def crop(*numbers: int) -> Property:
    """Returns a crop: width, height, then how far its middle is right of and below that of the picture."""
    return Property(kind=b"clap", body=b"".join(number.to_bytes(4, "big", signed=True) for number in numbers))


def test_crops_are_applied_before_turns(tmp_path):
    items = turned(with_properties(avif_items(scene(48, 70)), crop(40, 1, 30, 1, -5, 1, 18, 2)), 6)
    path = save(tmp_path / "a", items)
    assert error(decode(path, LIMITS).pixels, upright(scene(48, 70)[18:48, 10:50], 6)) <= 8
    assert (read_header(path, LIMITS).height, read_header(path, LIMITS).width) == (40, 30)


@pytest.mark.parametrize(
    "numbers",
    [(71, 1, 30, 1, 0, 1, 0, 1), (40, 1, 30, 1, 40, 1, 0, 1), (41, 1, 30, 1, 0, 1, 0, 1), (0, 1, 30, 1, 0, 1, 0, 1),
     (40, 0, 30, 1, 0, 1, 0, 1), (40, 1, 30, 1, 0, 1)],
)  # fmt: skip
def test_impossible_crops_are_passed_over(tmp_path, numbers):
    items = with_properties(avif_items(scene(48, 70)), crop(*numbers))
    assert decode(save(tmp_path / "a", items), LIMITS).pixels.shape == (48, 70, 3)


@pytest.mark.parametrize("bits", [8, 10])
def test_premultiplied_colours_are_divided_by_alpha(tmp_path, bits):
    peak = (1 << bits) - 1
    alpha = np.full((48, 64, 1), peak // 2, dtype=np.uint8 if bits == 8 else np.uint16)
    colours = scene(48, 64, 3, bits)
    items = avif_items(np.concatenate((colours // 2, alpha), axis=2), bits)
    (opacity,) = items.referring(b"auxl", items.primary)
    main = replace(items.main, references=(*items.main.references, Reference(kind=b"prem", to=(opacity.id,))))
    picture = decode(save(tmp_path / "a", with_item(items, main)), LIMITS)
    assert error(picture.pixels, colours) <= 16 << (bits - 8)
    assert error(picture.alpha, alpha[:, :, 0]) == 0


@pytest.mark.parametrize(("height", "width"), [(70, 90), (71, 90), (128, 64), (65, 129)])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_large_pictures_are_written_in_tiles(tmp_path, monkeypatch, height, width, has_alpha):
    monkeypatch.setattr(avif, "LARGEST_SINGLE_PIXELS", 64 * 64)
    monkeypatch.setattr(avif, "_TILE_SIDE", 64)
    pixels = scene(height, width)
    opacity = pixels[:, :, 0] if has_alpha else None
    picture = picture_of(
        pixels, alpha=opacity, source_format="avif", metadata=replace(everything(), chroma="420", nclx=(1, 13, 1, 1))
    )
    result = again(tmp_path, picture, Quality(avif=97))
    items = read((tmp_path / "result").read_bytes())
    assert items.main.kind == b"grid"
    assert result.metadata.chroma == ("444" if height % 2 or width % 2 else "420")
    assert result.metadata.nclx[2] == 1
    assert error(result.pixels, pixels) <= 12
    assert result.metadata.icc == picture.metadata.icc
    with Image.open(tmp_path / "result") as image:  # another reader of the same engine, which is strict about grids
        assert error(np.asarray(image)[:, :, :3], pixels) <= 12
    if has_alpha:
        assert np.array_equal(result.alpha, opacity)


def test_tiles_beyond_the_border_repeat_it():
    parts = []

    def encode(samples):
        parts.append(samples)
        return file_bytes(avif_items(samples))

    pixels = scene(100, 70)
    encoded_in_tiles(picture_of(pixels), 6, 64, encode, encode)
    stored = np.rot90(pixels)  # anti-clockwise, because the orientation turns it clockwise
    assert np.array_equal(parts[3][:6, :36], stored[64:, 64:])
    assert (parts[3][6:] == parts[3][5]).all()
    assert (parts[3][:, 36:] == parts[3][:, 35:36]).all()


def test_alpha_of_each_tile_is_alpha(tmp_path, monkeypatch):
    monkeypatch.setattr(avif, "LARGEST_SINGLE_PIXELS", 64 * 64)
    monkeypatch.setattr(avif, "_TILE_SIDE", 64)
    pixels = scene(64, 128)
    encode(picture_of(pixels, alpha=pixels[:, :, 0], source_format="avif"), tmp_path / "a", quality=FINE)
    items = read((tmp_path / "a").read_bytes())
    (whole,) = items.referring(b"auxl", items.primary)
    aux = next(prop for prop in whole.properties if prop.kind == b"auxC")
    kept = {number: item for number, item in items.items.items() if number != whole.id}
    for cell, alpha in zip(items.main.to(b"dimg"), whole.to(b"dimg"), strict=True):
        item = kept[alpha]
        to_cell = (Reference(kind=b"auxl", to=(cell,)),)
        kept[alpha] = replace(item, properties=(*item.properties, aux), references=to_cell)
    picture = decode(save(tmp_path / "a", replace(items, items=kept)), LIMITS)
    assert np.array_equal(picture.alpha, pixels[:, :, 0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_gain_map_lies_on_its_photo_whichever_way_both_are_turned(tmp_path, orientation):
    gain_map = avif_items(scene(24, 35))
    items = with_map(avif_items(scene(48, 70)), gain_map, GAIN_MAP)
    source = save(tmp_path / "a", turned(items, orientation))
    picture = decode(source, LIMITS)
    assert [extra.name for extra in picture.metadata.extras] == ["The HDR gain map of this AVIF"]
    assert losses(read_header(source, LIMITS), "heic") == ("The HDR gain map of this AVIF cannot go into a HEIC.",)
    result = again(tmp_path, picture)
    assert error(result.pixels, picture.pixels) <= 8
    written = read((tmp_path / "result").read_bytes())
    (kept,) = written.referring(b"auxl", written.primary)
    assert bytes(kept.data) == bytes(gain_map.main.data)
    assert turn_of(kept.properties) == turn_of(written.main.properties) == orientation
    assert MAP_XMP in (bytes(item.data) for item in written.items.values())


def test_what_a_map_says_of_other_pictures_is_left_out(tmp_path):
    items = with_map(avif_items(scene(48, 64)), avif_items(scene(24, 32)), GAIN_MAP)
    gain_map = items.items[2]
    further = (Reference(kind=b"auxl", to=(items.primary, 77)), Reference(kind=b"thmb", to=(items.primary,)))
    source = save(tmp_path / "a", with_item(items, replace(gain_map, references=(*gain_map.references, *further))))
    again(tmp_path, decode(source, LIMITS))
    written = read((tmp_path / "result").read_bytes())
    (kept,) = written.referring(b"auxl", written.primary)
    assert kept.references == (Reference(kind=b"auxl", to=(written.primary,)),)


def test_tone_map_is_kept_with_its_picture(tmp_path):
    source = sample("gainmap.avif")
    picture = decode(source, LIMITS)
    larger = replace(picture, pixels=picture.pixels.repeat(2, axis=0).repeat(2, axis=1))
    again(tmp_path, larger)
    before, after = (read(path.read_bytes()) for path in (source, tmp_path / "result"))
    old, new = (next(item for item in items.items.values() if item.kind == b"tmap") for items in (before, after))
    assert (bytes(new.data), new.body(b"colr")) == (bytes(old.data), old.body(b"colr"))
    assert new.body(b"ispe") == after.main.body(b"ispe") == struct.pack(">III", 0, 800, 600)
    assert new.to(b"dimg")[0] == after.primary
    assert bytes(after.items[new.to(b"dimg")[1]].data) == bytes(before.items[old.to(b"dimg")[1]].data)
    assert [group.members for group in after.groups] == [(new.id, after.primary)]
    assert b"tmap" in after.brands
    words = ("-validate", "-warning", "-a")
    assert exiftool(tmp_path / "result", *words) == exiftool(source, *words)


def test_light_that_a_photo_was_mastered_for_is_kept(tmp_path):
    light = Property(kind=b"clli", body=b"\x03\xe8\x01\x90")
    source = save(tmp_path / "a", with_properties(avif_items(scene(48, 64, bits=10), 10), light))
    picture = decode(source, LIMITS)
    assert losses(read_header(source, LIMITS), "png") == ("The HDR mastering data of this AVIF cannot go into a PNG.",)
    again(tmp_path, picture)
    assert read((tmp_path / "result").read_bytes()).main.body(b"clli") == light.body


def test_animation_gives_one_picture(tmp_path):
    frames = np.stack([scene(48, 64)] * 3 + [scene(48, 64) // 2])
    path = tmp_path / "a"
    path.write_bytes(imagecodecs.avif_encode(frames, level=97, speed=9, bitspersample=8, pixelformat="444"))
    picture = decode(path, LIMITS)
    assert error(picture.pixels, scene(48, 64)) <= 8
    assert picture.notices == ("This AVIF is animated; only one picture of it is kept.",)


def test_film_gives_its_first_frame(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(film(avif_items(scene(48, 64))))
    picture = decode(path, LIMITS)
    assert error(picture.pixels, scene(48, 64)) <= 8
    assert picture.notices == ("This AVIF is animated; only one picture of it is kept.",)


def test_what_is_not_carried_is_told(tmp_path):
    items = avif_items(scene(48, 64))
    further = replace(items.main, id=20)
    items = with_item(items, further)
    items = with_item(items, replace(further, id=21, references=(Reference(kind=b"thmb", to=(1,)),)))
    items = with_item(
        items, Item(id=22, kind=b"uri ", label=b"\x00x\x00", references=(Reference(kind=b"cdsc", to=(1,)),), data=b"x")
    )
    items = with_properties(items, Property(kind=b"pasp", body=struct.pack(">II", 4, 3)))
    assert decode(save(tmp_path / "a", items), LIMITS).notices == (
        "This AVIF holds 2 pictures; only the main one is kept.",
        "The pixels of this AVIF are not square, which the result does not state.",
        "Some metadata of this AVIF beyond EXIF and XMP is not kept.",
    )


def test_pictures_of_another_kind_are_refused_by_name(tmp_path):
    items = avif_items(scene(48, 64))
    path = save(tmp_path / "a", with_item(items, replace(items.main, kind=b"iovl")))
    with pytest.raises(UnsupportedFormatError, match=r"^The picture in this AVIF is of a kind \(iovl\) that is not"):
        read_header(path, LIMITS)


def stated(height: int, width: int) -> Property:
    return Property(kind=b"ispe", body=struct.pack(">III", 0, width, height))


def test_huge_pictures_are_refused_unseen(tmp_path, monkeypatch):
    items = avif_items(scene(48, 64))
    header = bytes(items.main.data)
    monkeypatch.setattr(imagecodecs, "avif_decode", None)
    # The bitstream says what the decoder would take memory for.
    for size in ((30000, 30000), (24, 32)):
        changed = tuple(stated(*size) if prop.kind == b"ispe" else prop for prop in items.main.properties)
        with pytest.raises(UnreadablePhotoError):
            read_header(save(tmp_path / "a", with_item(items, replace(items.main, properties=changed))), LIMITS)
    large = bytes(imagecodecs.avif_encode(np.zeros((9000, 9000, 3), np.uint8), level=10, speed=10))
    started = time.perf_counter()
    (tmp_path / "a").write_bytes(large)
    with pytest.raises(PhotoTooLargeError, match=r"^The photo is 9000 x 9000, 81\.0 megapixels"):
        decode(tmp_path / "a", LIMITS)
    assert time.perf_counter() - started < 1
    assert header


@pytest.mark.parametrize(
    ("layout", "size", "cells"),
    [
        ((0, 0, 200, 200, 30000, 30000), (30000, 30000), 4),  # more tiles than there are
        ((0, 0, 1, 1, 300, 96), (96, 300), 4),  # tiles that do not reach
        ((0, 0, 1, 1, 60, 96), (96, 60), 4),  # tiles that nobody sees
        ((0, 0, 1, 1, 128, 96), (96, 127), 4),  # two sizes
        ((0, 0, 1, 1, 128, 96), (96, 128), 0),  # no tiles
    ],
)
def test_impossible_grids_are_refused(tmp_path, layout, size, cells):
    items = avif_items(scene(48, 64))
    tile = items.main
    for number in range(2, 2 + cells):
        items = with_item(items, replace(tile, id=number, hidden=True))
    grid = Item(
        id=1,
        kind=b"grid",
        properties=(stated(*size),),
        references=(Reference(kind=b"dimg", to=tuple(range(2, 2 + cells))),),
        data=struct.pack(">4BHH", *layout),
    )
    with pytest.raises(UnreadablePhotoError):
        read_header(save(tmp_path / "a", with_item(items, grid)), LIMITS)


def test_grid_of_a_file_is_read(tmp_path):
    pixels = scene(128, 128)
    items = avif_items(np.ascontiguousarray(pixels[:64, :64]))
    parts = [pixels[top : top + 64, left : left + 64] for top in (0, 64) for left in (0, 64)]
    for number, part in enumerate(parts, 2):
        items = with_item(items, replace(avif_items(np.ascontiguousarray(part)).main, id=number, hidden=True))
    grid = Item(
        id=1,
        kind=b"grid",
        properties=(stated(120, 127),),
        references=(Reference(kind=b"dimg", to=(2, 3, 4, 5)),),
        data=struct.pack(">4BHH", 0, 0, 1, 1, 127, 120),
    )
    picture = decode(save(tmp_path / "a", with_item(items, grid)), LIMITS)
    assert error(picture.pixels, pixels[:120, :127]) <= 8


def test_files_that_are_cut_short_are_refused(tmp_path):
    data = file_bytes(avif_items(noise(64, 64, 3, 8)))
    for end in (40, 100, len(data) // 2, len(data) - 1):
        (tmp_path / "a").write_bytes(data[:end])
        with pytest.raises(UnreadablePhotoError):
            decode(tmp_path / "a", LIMITS)


def test_linear_samples_become_a_signal_and_are_written_as_they_were(tmp_path):
    pixels = scene(64, 64, bits=12)
    items = avif_items(pixels[:, :, [0, 1, 2, 0]], 12, primaries=9, transfer=8, matrix=9)
    picture = decode(save(tmp_path / "a", items), LIMITS)
    assert (picture.bit_depth, picture.metadata.transfer.bits) == (16, 12)
    assert 0.6 < picture.pixels[32, 32, 0] / 65535 < 0.9  # half of the light is three quarters of the signal
    assert error(picture.alpha // 16, pixels[:, :, 0]) <= 1
    encode(picture, tmp_path / "result", quality=FINE)
    stored = imagecodecs.avif_decode((tmp_path / "result").read_bytes())
    assert error(stored, pixels[:, :, [0, 1, 2, 0]]) <= 100
    result = decode(tmp_path / "result", LIMITS)
    assert (result.metadata.nclx, result.metadata.transfer.bits) == ((9, 8, 9, 1), 12)


def test_results_beyond_the_limits_of_decoders_are_refused():
    check_output("avif", 16384, 16384, source_format="avif", has_alpha=True)
    for height, width in ((32769, 10), (20000, 20000)):
        with pytest.raises(OutputError, match="AVIF holds at most"):
            check_output("avif", height, width, source_format="avif")


def test_deeper_pictures_get_12_bits(tmp_path):
    picture = picture_of(scene(40, 40, bits=16), 16, source_format="png")
    assert again(tmp_path, picture).bit_depth == 12


def test_damaged_files_take_no_time_and_memory():
    items = with_tone_map(turned(avif_items(scene(64, 64)[:, :, [0, 1, 2, 0]]), 6), avif_items(scene(16, 16)), b"how")
    exif = Item(id=90, kind=b"Exif", references=(Reference(kind=b"cdsc", to=(1,)),), data=bytes(4) + exif_block(6))
    xmp = Item(
        id=91,
        kind=b"mime",
        label=b"\x00application/rdf+xml\x00",
        references=(Reference(kind=b"cdsc", to=(1,)),),
        data=XMP % 6,
    )
    seeds = [file_bytes(with_item(with_item(items, exif), xmp)), film(avif_items(scene(32, 32)))]
    tracemalloc.start()
    started = time.perf_counter()
    outcomes = {True: 0, False: 0}
    for data in seeds:
        for damaged in mutations(data, 600):
            try:
                avif.parse(damaged)
                outcomes[True] += 1
            except (ValueError, UnsupportedFormatError):
                outcomes[False] += 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert min(outcomes.values()) > 100
    assert time.perf_counter() - started < 20
    assert peak < 4 << 20
