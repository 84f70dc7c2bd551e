from dataclasses import replace
from io import BytesIO

import numpy as np
import pillow_heif
import pytest

from sr_core.image.decode import Limits, decode, read_header
from sr_core.image.encode import Quality, encode, losses
from sr_core.image.heif import heic as heif
from sr_core.image.heif.items import Item, ItemSet, Property, Reference, read
from sr_core.image.heif.turns import turn_of, turn_properties
from sr_core.image.orientation import upright
from sr_core.image.picture import Metadata

from .heif_files import (
    DEPTH,
    GAIN_MAP,
    MAP_XMP,
    MATTE,
    exiftool,
    heic_items,
    sample,
    save,
    turned,
    with_item,
    with_map,
    with_properties,
    with_tone_map,
)
from .photo_files import everything, exif_block, noise, picture_of, rgb_profile, scene

LIMITS = Limits()
KEPT = "The HDR gain map of this HEIC"


def map_of(path, kind=GAIN_MAP):
    """Returns the auxiliary picture of a kind as the engine shows it."""
    file = pillow_heif.open_heif(path, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    image = file[file.primary_index]
    (number,) = image.info["aux"][kind.decode()]
    return np.asarray(image.get_aux_image(number))


def photo(kind=GAIN_MAP, **options) -> ItemSet:
    """Returns a photo with a map that differs in all four corners."""
    return with_map(heic_items(scene(48, 64)), heic_items(scene(24, 32)[:, :, :1]), kind, **options)


def xmp_of_maps(items):
    """Returns the XMP of all pictures but the primary one."""
    return [bytes(item.data) for item in items.items.values() if item.kind == b"mime" and item.to(b"cdsc")]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_gain_map_lies_on_its_photo_whichever_way_both_are_turned(tmp_path, orientation):
    source = save(tmp_path / "photo", turned(photo(), orientation))
    picture = decode(source, LIMITS)
    assert np.abs(picture.pixels.astype(int) - upright(scene(48, 64), orientation)).max() <= 12
    assert [(extra.kind, extra.name) for extra in picture.metadata.extras] == [("gain-map", KEPT)]
    assert picture.notices == ()
    result = tmp_path / "result"
    assert encode(picture, result, quality=Quality(heic_chroma="444")).notices == ()
    again = decode(result, LIMITS)
    assert np.abs(again.pixels.astype(int) - picture.pixels).max() <= 12
    assert again.metadata.extras[0].name == KEPT
    assert np.array_equal(map_of(result), map_of(source))
    items = read(result.read_bytes())
    (gain_map,) = items.referring(b"auxl", items.primary)
    # Readers that turn a map as its photo is turned, and those that turn it as it says itself, agree.
    assert turn_of(gain_map.properties) == turn_of(items.main.properties) == orientation
    assert gain_map.hidden
    assert not items.main.hidden
    assert xmp_of_maps(items) == [MAP_XMP]


@pytest.mark.parametrize("orientation", [3, 5, 6])
def test_gain_map_of_a_photo_that_exif_alone_turns(tmp_path, orientation):
    pixels = heic_items(scene(48, 64), exif=b"Exif\x00\x00" + exif_block(1))
    exif = next(item for item in pixels.items.values() if item.kind == b"Exif")
    pixels = with_item(pixels, replace(exif, data=bytes(exif.data).replace(exif_block(1), exif_block(orientation))))
    shape = heic_items(scene(24, 32)[:, :, :1])
    source = save(tmp_path / "photo", with_map(pixels, shape, GAIN_MAP))
    picture = decode(source, LIMITS)
    assert np.abs(picture.pixels.astype(int) - upright(scene(48, 64), orientation)).max() <= 12
    result = tmp_path / "result"
    encode(picture, result)
    assert decode(result, LIMITS).pixels.shape == picture.pixels.shape
    assert np.array_equal(map_of(result), upright(map_of(source), orientation))


def test_gain_map_goes_with_a_larger_picture(tmp_path):
    source = save(tmp_path / "photo", turned(photo(), 6))
    picture = decode(source, LIMITS)
    larger = replace(picture, pixels=picture.pixels.repeat(2, axis=0).repeat(2, axis=1))
    result = tmp_path / "result"
    encode(larger, result)
    assert decode(result, LIMITS).pixels.shape == (128, 96, 3)
    assert np.array_equal(map_of(result), map_of(source))


def test_gain_map_in_tiles_is_kept(tmp_path):
    tile = heic_items(scene(64, 64)[:, :, :1])
    items = with_map(heic_items(scene(64, 128)), tile, GAIN_MAP, xmp=None)
    gain_map = items.items[max(items.items)]
    first = gain_map.id + 1
    for number in (first, first + 1):
        items = with_item(items, replace(tile.main, id=number, hidden=True))
    size = Property(kind=b"ispe", body=bytes(4) + (128).to_bytes(4, "big") + (64).to_bytes(4, "big"))
    shown = (size, *(prop for prop in gain_map.properties if prop.kind in (b"auxC", b"pixi")))
    references = (*gain_map.references, Reference(kind=b"dimg", to=(first, first + 1)))
    grid = replace(
        gain_map, kind=b"grid", properties=shown, references=references, data=bytes((0, 0, 0, 1, 0, 128, 0, 64))
    )
    source = save(tmp_path / "photo", with_item(items, grid))
    result = tmp_path / "result"
    encode(decode(source, LIMITS), result)
    assert map_of(result).shape == (64, 128)
    assert np.array_equal(map_of(result), map_of(source))
    (kept,) = read(result.read_bytes()).referring(b"auxl", read(result.read_bytes()).primary)
    assert (kept.kind, len(kept.to(b"dimg"))) == (b"grid", 2)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (DEPTH, "The depth map of this HEIC"),
        (MATTE, "The set of auxiliary maps of this HEIC (portrait matte, hair, skin, sky or others)"),
    ],
)
def test_other_maps_are_kept(tmp_path, kind, name):
    source = save(tmp_path / "photo", photo(kind))
    picture = decode(source, LIMITS)
    assert [extra.name for extra in picture.metadata.extras] == [name]
    assert losses(read_header(source, LIMITS), "png") == (f"{name} cannot go into a PNG.",)
    result = tmp_path / "result"
    encode(picture, result)
    assert [extra.name for extra in decode(result, LIMITS).metadata.extras] == [name]
    items = read(result.read_bytes())
    assert [item.body(b"auxC")[4:-1] for item in items.referring(b"auxl", items.primary)] == [kind]


def test_several_maps_are_kept_together(tmp_path):
    items = photo()
    for kind in (DEPTH, MATTE):
        items = with_map(items, heic_items(scene(16, 16)[:, :, :1]), kind, xmp=None)
    source = save(tmp_path / "photo", turned(items, 8))
    result = tmp_path / "result"
    encode(decode(source, LIMITS), result)
    assert [extra.kind for extra in decode(result, LIMITS).metadata.extras] == ["gain-map", "depth-map", "auxiliary"]
    assert np.array_equal(map_of(result), map_of(source))
    assert np.array_equal(map_of(result, MATTE), map_of(source, MATTE))


def test_tone_map_is_kept_with_its_picture(tmp_path):
    items = with_tone_map(heic_items(scene(48, 64)), heic_items(scene(24, 32)), b"how to map it")
    source = save(tmp_path / "photo", replace(items, brands=(*items.brands, b"tmap")))
    picture = decode(source, LIMITS)
    assert [extra.name for extra in picture.metadata.extras] == [KEPT]
    result = tmp_path / "result"
    encode(replace(picture, pixels=picture.pixels.repeat(2, axis=0)), result)
    again = read(result.read_bytes())
    (tone_map,) = (item for item in again.items.values() if item.kind == b"tmap")
    primary, gain_map = tone_map.to(b"dimg")
    assert primary == again.primary
    assert tone_map.body(b"ispe") == again.main.body(b"ispe")  # it is as large as the new picture
    assert bytes(tone_map.data) == b"how to map it"
    assert bytes(again.items[gain_map].data) == bytes(items.items[max(items.items)].data)
    assert [(group.kind, group.members) for group in again.groups] == [(b"altr", (tone_map.id, primary))]
    assert again.groups[0].id not in again.items
    assert b"tmap" in again.brands


def test_light_that_a_photo_was_mastered_for_is_kept(tmp_path):
    light = {"max_content_light_level": 1000, "max_pic_average_light_level": 400}
    source = save(tmp_path / "photo", heic_items(scene(32, 32, bits=10), 10, content_light_level=light))
    picture = decode(source, LIMITS)
    assert [extra.name for extra in picture.metadata.extras] == ["The HDR mastering data of this HEIC"]
    encode(picture, tmp_path / "result")
    assert pillow_heif.open_heif(tmp_path / "result")[0].info["content_light_level"] == light


def damaged_map(kind: str) -> ItemSet:
    """Returns a photo whose map cannot be understood."""
    whole = with_map(heic_items(scene(64, 128)), heic_items(scene(64, 64)[:, :, :1]), GAIN_MAP)
    items = turned(whole, 6)
    number = max(items.items) - 1
    gain_map = items.items[number]
    match kind:
        case "turned":
            properties = (*(prop for prop in gain_map.properties if prop.kind != b"irot"), *turn_properties(3))
            return with_item(items, replace(gain_map, properties=properties))
        case "part missing":
            missing = Reference(kind=b"dimg", to=(999,))
            return with_item(items, replace(gain_map, references=(*gain_map.references, missing)))
        case _:
            crop = b"".join(value.to_bytes(4, "big") for value in (32, 1, 32, 1, 0, 1, 0, 1))
            return with_properties(items, Property(kind=b"clap", body=crop, essential=True))


@pytest.mark.parametrize("kind", ["turned", "part missing", "photo cropped"])
def test_map_that_does_not_lie_on_its_photo_is_left_out(tmp_path, kind):
    picture = decode(save(tmp_path / "photo", damaged_map(kind)), LIMITS)
    assert picture.metadata.extras == ()
    assert picture.notices == (f"{KEPT} is not kept.",)


def test_uncropped_map_of_a_whole_photo_is_kept(tmp_path):
    whole = with_map(heic_items(scene(64, 128)), heic_items(scene(64, 64)[:, :, :1]), GAIN_MAP)
    assert decode(save(tmp_path / "photo", turned(whole, 6)), LIMITS).metadata.extras


def test_map_without_its_data_is_left_out(tmp_path):
    path = save(tmp_path / "photo", photo(xmp=None))
    path.write_bytes(path.read_bytes()[:-10])
    picture = decode(path, LIMITS)
    assert picture.pixels.shape == (48, 64, 3)
    assert picture.notices == (f"{KEPT} is not kept.",)


def test_photo_is_read_when_its_items_are_not_understood(tmp_path, monkeypatch):
    def refuse(data):
        raise ValueError("a box is cut short")

    path = save(tmp_path / "photo", turned(photo(), 6))
    monkeypatch.setattr(heif, "read", refuse)
    picture = decode(path, LIMITS)
    assert picture.pixels.shape == (64, 48, 3)
    assert picture.notices == ("What this HEIC holds beside its main picture could not be read and is not kept.",)


def test_maps_do_not_tell_where_a_photo_was_taken(tmp_path):
    items = photo(xmp=b'<x:xmpmeta exif:GPSLatitude="1"/>')
    number = max(items.items) - 1
    both = (Reference(kind=b"cdsc", to=(items.primary, number)),)
    items = with_item(items, Item(id=900, kind=b"Exif", references=both, data=bytes(4) + exif_block()))
    items = with_item(items, Item(id=901, kind=b"mime", references=both, data=b"shared"))
    picture = decode(save(tmp_path / "photo", items), LIMITS)
    part = read(picture.metadata.extras[0].data)
    assert [item.kind for item in part.items.values()] == [b"hvc1", b"hvc1"]
    assert bytes(part.main.data) == b""


def test_transparency_is_no_map(tmp_path):
    source = save(tmp_path / "photo", heic_items(scene(48, 64, 3)[:, :, [0, 1, 2, 0]]))
    picture = decode(source, LIMITS)
    assert picture.alpha is not None
    assert (picture.metadata.extras, picture.notices) == ((), ())


@pytest.mark.parametrize("orientation", [1, 6])
def test_transparency_turns_with_its_picture(tmp_path, orientation):
    items = with_map(heic_items(scene(48, 64)[:, :, [0, 1, 2, 0]]), heic_items(scene(24, 32)[:, :, :1]), GAIN_MAP)
    picture = decode(save(tmp_path / "photo", turned(items, orientation)), LIMITS)
    encode(picture, tmp_path / "result")
    again = decode(tmp_path / "result", LIMITS)
    assert again.alpha.shape == picture.alpha.shape
    assert np.abs(again.alpha.astype(int) - picture.alpha).max() <= 6


@pytest.mark.parametrize("orientation", [1, 6])
def test_large_pictures_are_written_in_tiles(tmp_path, monkeypatch, orientation):
    source = save(tmp_path / "photo", turned(photo(), orientation))
    extras = decode(source, LIMITS).metadata.extras
    monkeypatch.setattr(heif, "LARGEST_SINGLE_PIXELS", 500 * 500)
    pixels = scene(700, 601)
    picture = picture_of(pixels, source_format="heic", metadata=replace(everything(), extras=extras))
    result = tmp_path / "result"
    encode(picture, result, quality=Quality(heic_chroma="444"))
    again = decode(result, LIMITS)
    assert np.abs(again.pixels.astype(int) - pixels).max() <= 12
    assert (again.metadata.icc, again.metadata.xmp) == (picture.metadata.icc, everything().xmp.replace(b"40", b"601"))
    assert again.metadata.exif[:40] == picture.metadata.exif[:40]
    assert read(result.read_bytes()).main.kind == b"grid"
    assert np.array_equal(map_of(result), map_of(source))


@pytest.mark.parametrize("bits", [8, 10])
def test_linear_samples_become_a_signal_and_are_written_as_they_were(tmp_path, bits):
    nclx = {"color_primaries": 12, "transfer_characteristics": 8, "matrix_coefficients": 6, "full_range_flag": 1}
    pixels = scene(64, 64, bits=bits)
    path = save(tmp_path / "photo", heic_items(pixels[:, :, [0, 1, 2, 0]], bits, nclx_profile=nclx))
    picture = decode(path, LIMITS)
    assert (picture.bit_depth, picture.metadata.transfer.bits) == (16, bits)
    assert read_header(path, LIMITS).samples == f"{bits} bit"
    middle = picture.pixels[32, 32, 0] / 65535
    assert 0.6 < middle < 0.9  # half of the light is three quarters of the signal
    encode(picture, tmp_path / "result", quality=Quality(heic_chroma="444"))
    stored = pillow_heif.open_heif(tmp_path / "result", convert_hdr_to_8bit=False, hdr_to_16bit=False)[0]
    assert stored.info["bit_depth"] == bits
    assert stored.info["nclx_profile"]["transfer_characteristics"] == 8
    wanted = pixels[:, :, [0, 1, 2, 0]].astype(int)
    assert np.abs(np.asarray(stored).astype(int) - wanted).max() <= 12 << (bits - 8)


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_code_values_stay_as_they_are(tmp_path, transfer):
    picture = picture_of(
        scene(48, 48, 3, 10), 10, source_format="heic", metadata=Metadata(nclx=(9, transfer, 9, 1), chroma="444")
    )
    encode(picture, tmp_path / "photo")
    again = decode(tmp_path / "photo", LIMITS)
    assert (again.metadata.transfer, again.metadata.nclx, again.bit_depth) == (None, (9, transfer, 9, 1), 10)


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("profile", [None, rgb_profile()])
def test_lossless_stays_lossless(tmp_path, bits, has_alpha, profile):
    opacity = noise(50, 70, 3, bits)[:, :, 1] if has_alpha else None
    metadata = Metadata(nclx=(9, 16, 0, 1), icc=profile, chroma="444")
    picture = picture_of(noise(50, 70, 3, bits), bits, alpha=opacity, source_format="heic", metadata=metadata)
    for _ in range(2):
        encode(picture, tmp_path / "photo", quality=Quality(heic=20, heic_chroma="420"))
        again = decode(tmp_path / "photo", LIMITS)
        assert np.array_equal(again.pixels, picture.pixels)
        assert opacity is None or np.array_equal(again.alpha, opacity)
        assert (again.metadata.nclx, again.metadata.icc) == ((9, 16, 0, 1), profile)
        picture = again


def test_lossless_in_tiles_stays_lossless(tmp_path, monkeypatch):
    monkeypatch.setattr(heif, "LARGEST_SINGLE_PIXELS", 1000)
    metadata = Metadata(nclx=(1, 13, 0, 1), chroma="444")
    picture = picture_of(noise(530, 40, 3, 8), source_format="heic", metadata=metadata)
    encode(picture, tmp_path / "photo")
    assert read((tmp_path / "photo").read_bytes()).main.kind == b"grid"
    again = decode(tmp_path / "photo", LIMITS)
    assert np.array_equal(again.pixels, picture.pixels)
    assert again.metadata.nclx == metadata.nclx


@pytest.mark.parametrize(
    ("source", "nclx", "chroma"),
    [("png", (1, 13, 0, 1), None), ("avif", (1, 13, 0, 1), "444"), ("heic", (1, 13, 6, 1), "444")],
)
def test_only_a_lossless_heic_becomes_a_lossless_heic(tmp_path, source, nclx, chroma):
    metadata = Metadata(nclx=nclx, chroma=chroma)
    picture = picture_of(noise(48, 48, 3, 8), source_format=source, metadata=metadata)
    encode(picture, tmp_path / "photo", photo_format="heic")
    again = decode(tmp_path / "photo", LIMITS)
    assert again.metadata.nclx == (1, 13, 6, 1)
    assert not np.array_equal(again.pixels, picture.pixels)


def test_results_are_written_to_any_stream():
    stream = BytesIO()
    heif.write(picture_of(scene(32, 48)), stream, Quality())
    assert heif.parse(stream.getvalue()).width == 48


@pytest.mark.parametrize("name", ["iphone13pro_small_gainmap.heic", "samsung_exif6_no_irot.heic"])
def test_photos_of_phones(tmp_path, name):
    source = sample(name)
    picture = decode(source, LIMITS)
    result = tmp_path / "result.heic"
    small = replace(picture, pixels=np.ascontiguousarray(picture.pixels[::8, ::8]))
    encode(small, result)
    words = ("-validate", "-warning", "-a")
    assert exiftool(result, *words) == exiftool(source, *words)
    if "gainmap" in name:
        assert np.array_equal(map_of(result), map_of(source))
        words = ("-HDRGainMapVersion", "-AuxiliaryImageType", "-HDRHeadroom", "-HDRGain", "-Rotation")
        assert exiftool(result, *words) == exiftool(source, *words)
        assert "HDR Gain Map Version" in exiftool(result, *words)
