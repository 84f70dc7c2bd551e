import shutil
import struct
import subprocess
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, MpoImagePlugin

from sr_core.errors import UnreadablePhotoError, UnsupportedFormatError
from sr_core.image.decode import Limits, decode, read_header
from sr_core.image.encode import Quality, encode
from sr_core.image.extras import without_extras
from sr_core.image.jpeg import photo as jpeg
from sr_core.image.orientation import upright
from sr_core.image.picture import Extra, Metadata
from sr_core.image.resize import bicubic_picture

from .jpeg_files import (
    APPLE_XMP,
    EXTENSION_MARK,
    ISO_MARK,
    MAP_XMP,
    ULTRA_HDR_XMP,
    XMP_MARK,
    extension_of,
    index_body,
    jpeg_bytes,
    profile_of_gamma,
    segment,
    several_pictures,
    with_segments,
)
from .photo_files import XMP, exif_block, ink_profile, noise, picture_of, rgb_profile, scene

LIMITS = Limits()
SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "samples"
MAP = scene(24, 32, 1)[::-1]
REST = "What follows the picture in this JPEG is not kept."


def write(path, data):
    path.write_bytes(data)
    return path


def twice(path, tmp_path, **options):
    """Decodes a file, enlarges it and writes it again; returns the picture that was read and the result."""
    picture = decode(path, LIMITS)
    result = tmp_path / "result.jpg"
    encode(bicubic_picture(picture, picture.height * 2, picture.width * 2), result, **options)
    return picture, result.read_bytes()


def map_of(kind, pixels=MAP):
    """Returns a gain map as a JPEG, marked in one of three ways."""
    plain = jpeg_bytes(pixels)
    match kind:
        case "apple":
            return with_segments(plain, segment(0xE1, XMP_MARK + APPLE_XMP))
        case "ultra":
            return with_segments(plain, segment(0xE1, XMP_MARK + MAP_XMP))
        case _:
            return with_segments(plain, segment(0xE2, ISO_MARK + bytes(61)))


def hdr_photo(kind, orientation=1, pixels=MAP, pad=0):
    """Returns a photo with a gain map, and the map."""
    gain_map = map_of(kind, pixels)
    primary = jpeg_bytes(scene(48, 64), exif=b"Exif\x00\x00" + exif_block(orientation))
    if kind == "ultra":
        primary = with_segments(primary, segment(0xE1, XMP_MARK + ULTRA_HDR_XMP % len(gain_map)))
    if kind == "iso":
        primary = with_segments(primary, segment(0xE2, ISO_MARK + bytes(4)))
    return several_pictures(primary + bytes(pad), gain_map), gain_map


def frames(data):
    # Not Image.open: Pillow has a rule to open Ultra HDR as a single picture.
    with MpoImagePlugin.MpoImageFile(BytesIO(data)) as image:
        for number in range(image.n_frames):
            image.seek(number)
            yield np.asarray(image)


def second_picture(data):
    """Returns what stands behind the first picture, by the index alone."""
    at = data.index(b"MPF\x00") + 4
    order = "<" if data[at : at + 2] == b"II" else ">"
    entries = struct.unpack_from(order + "I", data, at + 10 + 2 * 12 + 8)[0]
    size, offset = struct.unpack_from(order + "II", data, at + entries + 16 + 4)
    assert at + offset + size == len(data)
    first = struct.unpack_from(order + "II", data, at + entries + 4)
    assert first == (at + offset, 0)
    return data[at + offset :]


@pytest.mark.parametrize("kind", ["apple", "ultra", "iso"])
def test_gain_map_comes_along_byte_exact(tmp_path, kind):
    data, gain_map = hdr_photo(kind)
    picture, result = twice(write(tmp_path / "a", data), tmp_path)
    assert picture.notices == ()
    assert [extra.name for extra in picture.metadata.extras] == ["The HDR gain map of this JPEG"]
    assert second_picture(result) == gain_map
    primary, second = frames(result)
    assert primary.shape == (96, 128, 3)
    np.testing.assert_array_equal(second, np.asarray(Image.open(BytesIO(gain_map))))
    assert result.count(ISO_MARK) == (2 if kind == "iso" else 0)
    with Image.open(BytesIO(result)) as image:
        assert image.format == ("JPEG" if kind == "ultra" else "MPO")


def test_directory_of_an_ultra_hdr_photo_fits_its_result(tmp_path):
    data, gain_map = hdr_photo("ultra", 6)
    picture, result = twice(write(tmp_path / "a", data), tmp_path)
    xmp = decode(write(tmp_path / "b", result), LIMITS).metadata.xmp
    turned = second_picture(result)
    assert len(turned) != len(gain_map)
    assert b'Item:Length="%d"' % len(turned) in xmp
    assert xmp.count(b"Item:Length") == 1
    assert xmp.count(b"<Container:Directory") == 1
    assert xmp.count(b"Item:Semantic=") == 2
    assert b"MotionPhoto" not in xmp
    assert b'hdrgm:Version="1.0"' in xmp
    assert b'dc:title="harbour"' in xmp
    assert picture.metadata.extras


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [1, 3])
def test_gain_map_is_turned_with_its_photo(tmp_path, orientation, channels):
    pixels = scene(24, 32, channels)
    data, gain_map = hdr_photo("apple", orientation, pixels)
    _, result = twice(write(tmp_path / "a", data), tmp_path)
    primary, second = frames(result)
    assert (second.ndim == 2) == (channels == 1)
    wanted = upright(np.asarray(Image.open(BytesIO(gain_map))), orientation)
    assert second.shape == wanted.shape
    assert np.abs(second.astype(int) - wanted).max() <= 3
    assert (primary.shape[0] > primary.shape[1]) == (second.shape[0] > second.shape[1])
    assert APPLE_XMP in second_picture(result)
    again = decode(write(tmp_path / "b", result), LIMITS)
    assert again.metadata.extras[0].kind == "gain-map"


def test_orientation_in_the_map_itself_is_reset_when_it_is_turned(tmp_path):
    gain_map = with_segments(map_of("iso"), segment(0xE1, b"Exif\x00\x00" + exif_block(6)))
    primary = jpeg_bytes(scene(48, 64), exif=b"Exif\x00\x00" + exif_block(6))
    _, result = twice(write(tmp_path / "a", several_pictures(primary, gain_map)), tmp_path)
    assert exif_block(1) in second_picture(result)


def test_profile_of_a_coloured_map_comes_along_when_it_is_turned(tmp_path):
    gain_map = with_segments(map_of("iso", scene(24, 32)), segment(0xE2, b"ICC_PROFILE\x00\x01\x01" + rgb_profile()))
    primary = jpeg_bytes(scene(48, 64), exif=b"Exif\x00\x00" + exif_block(3))
    _, result = twice(write(tmp_path / "a", several_pictures(primary, gain_map)), tmp_path)
    with Image.open(BytesIO(second_picture(result))) as image:
        assert image.info["icc_profile"] == rgb_profile()


def test_result_is_ultra_hdr_to_the_reference_decoder(tmp_path):
    down, right = np.mgrid[0:48, 0:64] / 50
    light = np.stack((right * 4, down * 3, np.full_like(down, 0.5), np.ones_like(down)), axis=2).astype(np.float16)
    ultra = imagecodecs.ULTRAHDR
    data = imagecodecs.ultrahdr_encode(
        light, level=95, transfer=ultra.CT.LINEAR, gamut=ultra.CG.BT_709, crange=ultra.CR.FULL_RANGE
    )
    _, result = twice(write(tmp_path / "a", data), tmp_path)
    before, after = imagecodecs.ultrahdr_decode(data), imagecodecs.ultrahdr_decode(result)
    assert after.shape == (96, 128, 4)
    assert after[..., :3].max() > 2  # brighter than display white
    np.testing.assert_allclose(after[8:-8:2, 8:-8:2, :3], before[4:-4, 4:-4, :3], atol=0.25)


@pytest.mark.parametrize("kind", ["apple", "ultra", "iso"])
def test_gain_map_goes_nowhere_else_and_that_is_said_beforehand(tmp_path, kind):
    data, _ = hdr_photo(kind)
    picture = decode(write(tmp_path / "a", data), LIMITS)
    info = encode(picture, tmp_path / "b", photo_format="png")
    assert info.notices == ("The HDR gain map of this JPEG cannot go into a PNG.",)
    metadata = without_extras(picture.metadata)
    assert metadata.extras == ()
    if kind == "ultra":
        assert b"hdrgm:Version" in picture.metadata.xmp
        for claim in (b"hdrgm:Version", b"<Container:", b"Item:Semantic"):
            assert claim not in metadata.xmp
        assert b'dc:title="harbour"' in metadata.xmp


def broken_index(data):
    at = data.index(b"MPF\x00")
    return data[: at + 8] + b"\xff\xff\xff\xff" + data[at + 12 :]


def index_before_an_edit(data):
    at = data.index(b"MPF\x00") - 4
    at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return data[:at] + segment(0xFE, b"an edit " * 9) + data[at:]


def no_index(data):
    at = data.index(b"MPF\x00") - 4
    return data[:at] + data[at + 2 + struct.unpack_from(">H", data, at + 2)[0] :]


@pytest.mark.parametrize("kind", ["apple", "ultra", "iso"])
@pytest.mark.parametrize("damage", [broken_index, index_before_an_edit, no_index])
def test_gain_map_that_its_index_misses_is_found_behind_the_picture(tmp_path, kind, damage):
    data, gain_map = hdr_photo(kind, pad=40)
    picture, result = twice(write(tmp_path / "a", damage(data)), tmp_path)
    assert picture.notices == ()
    assert second_picture(result) == gain_map
    picture, result = twice(write(tmp_path / "b", damage(data) + noise(1, 99, 1, 8).tobytes()), tmp_path)
    assert picture.notices == (REST,)
    assert second_picture(result) == gain_map


def map_beyond_the_end(data):
    return data[:-40]


def unmarked_map(data):
    return data.replace(MAP_XMP, bytes(len(MAP_XMP)))


def map_that_claims_to_be_huge(data):
    at = data.rindex(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", 60000, 60000) + data[at + 4 :]


@pytest.mark.parametrize("damage", [map_beyond_the_end, unmarked_map, map_that_claims_to_be_huge])
@pytest.mark.parametrize("index", [bytes, index_before_an_edit, no_index])
def test_gain_map_that_cannot_be_carried_is_told_and_not_claimed(tmp_path, damage, index):
    data, _ = hdr_photo("ultra")
    picture, result = twice(write(tmp_path / "a", index(damage(data))), tmp_path)
    assert picture.notices[0] == "The HDR gain map of this JPEG is not kept: the result is the standard picture."
    assert picture.notices[1:] == ((REST,) if damage is map_beyond_the_end and index is not bytes else ())
    assert [extra.kind for extra in picture.metadata.extras if extra.kind != "comment"] == []
    for claim in (b"hdrgm:Version", b"<Container:", b"Item:", b"MPF\x00"):
        assert claim not in result.replace(b"xmlns:Item:", b"")
    assert b'dc:title="harbour"' in result


@pytest.mark.parametrize("orientation", [1, 6])
def test_damaged_map_of_a_turned_photo_does_not_cost_the_photo(tmp_path, orientation):
    data, gain_map = hdr_photo("ultra", orientation)
    at = len(data) - 20
    picture, result = twice(write(tmp_path / "a", data[:at] + bytes(len(data) - at)), tmp_path)
    if orientation == 1:  # carried as it is, nobody has looked into it
        assert picture.notices == ()
        assert len(second_picture(result)) == len(gain_map)
    else:
        assert picture.notices == ("The HDR gain map of this JPEG is not kept: the result is the standard picture.",)
        assert b"hdrgm:Version" not in result
        assert b"MPF\x00" not in result


def test_other_pictures_are_dropped_and_told(tmp_path):
    primary, large = jpeg_bytes(scene(48, 64)), jpeg_bytes(scene(40, 60))
    picture, result = twice(write(tmp_path / "a", several_pictures(primary, large)), tmp_path)
    assert picture.notices == ("This JPEG holds 2 pictures; only the main one is kept.",)
    assert b"MPF\x00" not in result
    both = several_pictures(primary, large, map_of("apple"))
    picture, result = twice(write(tmp_path / "b", both), tmp_path)
    assert picture.notices == ("This JPEG holds 3 pictures; only the main one and its HDR gain map are kept.",)
    assert second_picture(result) == map_of("apple")


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
@pytest.mark.parametrize("kind", ["apple", "ultra", "iso"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_exiftool_finds_the_map_and_no_new_fault(tmp_path, kind, orientation):
    def faults(path):
        command = ["exiftool", "-validate", "-warning", "-error", "-a", "-s3", str(path)]
        return set(subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()[1:])

    data, gain_map = hdr_photo(kind, orientation)
    source = write(tmp_path / "a.jpg", data)
    _, result = twice(source, tmp_path)
    written = write(tmp_path / "b.jpg", result)
    assert faults(written) <= faults(source)
    command = ["exiftool", "-b", "-MPImage2", str(written)]
    found = subprocess.run(command, capture_output=True, check=True).stdout
    assert found == second_picture(result)
    assert (found == gain_map) == (orientation == 1)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample photos are not here")
def test_gain_map_of_a_phone_comes_along(tmp_path):
    path = SAMPLES / "iphone_gainmap.jpg"
    picture, result = twice(path, tmp_path)
    assert picture.notices == ()
    assert picture.metadata.dpi == (300, 300)
    first, second = frames(result)
    assert first.shape == (1024, 768, 3)
    np.testing.assert_array_equal(second, list(frames(path.read_bytes()))[1])


def test_crowd_of_pictures_and_segments_costs_little(tmp_path):
    primary = jpeg_bytes(scene(48, 64))
    crowd = segment(0xFE, bytes(65000)) * 400
    far = with_segments(primary, segment(0xE2, index_body([(20_000_000, 8 + 20 * at) for at in range(256)])), crowd)
    started = time.perf_counter()
    decode(write(tmp_path / "a", far), LIMITS)
    assert time.perf_counter() - started < 2
    with pytest.raises(ValueError, match="far too many segments"):
        jpeg.parse(with_segments(primary, segment(0xFE, b"") * 20_000))


def test_comments_and_photoshop_notes_come_along(tmp_path):
    iptc = b"8BIM\x04\x04\x00\x00" + struct.pack(">I", 9) + b"\x1c\x02\x05\x00\x04Boat" + b"\x00"
    thumbnail = b"8BIM\x04\x0c\x02ab\x00" + struct.pack(">I", 5) + b"STALE\x00"
    other = b"8BIM\x04\x25\x00\x00" + struct.pack(">I", 16) + bytes(range(16))
    notes = [segment(0xED, b"Photoshop 3.0\x00" + part) for part in (iptc + thumbnail[:15], thumbnail[15:] + other)]
    comments = [segment(0xFE, b"hello"), segment(0xFE, b"w\xf6rld")]
    data = with_segments(jpeg_bytes(scene(16, 16)), *notes, *comments)
    picture, result = twice(write(tmp_path / "a", data), tmp_path)
    assert picture.notices == ()
    assert result.count(b"Photoshop 3.0\x00" + iptc + other) == 1
    assert b"STALE" not in result
    assert b"".join(comments) in result
    info = encode(picture, tmp_path / "c", photo_format="png")
    assert (
        info.notices
        == (
            "The IPTC and Photoshop notes of this JPEG cannot go into a PNG.",
            "The comment in this JPEG cannot go into a PNG.",
        )
        or len(info.notices) == 2
    )


def test_long_photoshop_notes_take_several_segments(tmp_path):
    notes = b"8BIM\x04\x22\x00\x00" + struct.pack(">I", 150_000) + noise(150, 1000, 1, 8).tobytes()
    extra = Extra(kind="iptc", name="The notes", data=notes)
    picture = picture_of(scene(8, 8), source_format="jpeg", metadata=Metadata(extras=(extra,)))
    encode(picture, tmp_path / "a")
    assert decode(tmp_path / "a", LIMITS).metadata.extras[0].data == notes


def test_broken_photoshop_notes_come_along_as_they_are(tmp_path):
    notes = b"8BIM\x04\x0c\x00\x00" + struct.pack(">I", 500) + b"short"
    data = with_segments(jpeg_bytes(scene(8, 8)), segment(0xED, b"Photoshop 3.0\x00" + notes))
    assert decode(write(tmp_path / "a", data), LIMITS).metadata.extras[0].data == notes


def xmp_naming(digest):
    return XMP.replace(b'dc:title="harbour"', b'dc:title="harbour" xmpNote:HasExtendedXMP="' + digest + b'"') % 1


def test_extended_xmp_comes_along_with_the_packet_that_names_it(tmp_path):
    packet = b"<x:xmpmeta>" + noise(100, 1000, 1, 8).tobytes() + b"</x:xmpmeta>"
    digest, parts = extension_of(packet)
    main = segment(0xE1, XMP_MARK + xmp_naming(digest))
    picture, result = twice(write(tmp_path / "a", with_segments(jpeg_bytes(scene(20, 40)), main, *parts)), tmp_path)
    assert picture.notices == ()
    again = decode(write(tmp_path / "b", result), LIMITS)
    assert again.notices == ()
    assert again.metadata.extras == picture.metadata.extras
    assert again.metadata.extras[0].data == packet
    assert b'xmpNote:HasExtendedXMP="' + digest in again.metadata.xmp
    assert result.count(EXTENSION_MARK + digest + struct.pack(">I", len(packet))) == 2
    assert b"HasExtendedXMP" not in without_extras(picture.metadata).xmp
    assert b"harbour" in without_extras(picture.metadata).xmp


@pytest.mark.parametrize("fault", ["not named", "part lost", "changed", "cut"])
def test_extended_xmp_that_is_not_whole_is_left_out(tmp_path, fault):
    digest, parts = extension_of(noise(100, 1000, 1, 8).tobytes())
    xmp = XMP % 1 if fault == "not named" else xmp_naming(digest)
    if fault == "part lost":
        parts = parts[1:]
    elif fault == "changed":
        parts[0] = parts[0][:-1] + bytes((parts[0][-1] ^ 1,))
    elif fault == "cut":
        parts[0] = segment(0xE1, EXTENSION_MARK + b"short")
    data = with_segments(jpeg_bytes(scene(8, 8)), segment(0xE1, XMP_MARK + xmp), *parts)
    picture, result = twice(write(tmp_path / "a", data), tmp_path)
    assert picture.notices == ("The extended part of the XMP data of this JPEG is damaged and is not kept.",)
    assert b"HasExtendedXMP" not in result
    assert EXTENSION_MARK not in result
    assert b"harbour" in result


@pytest.mark.parametrize(("unit", "stated", "dpi"), [(1, (300, 300), (300, 300)), (2, (118, 59), (299.72, 149.86))])
def test_density_comes_along(tmp_path, unit, stated, dpi):
    data = bytearray(jpeg_bytes(scene(8, 8)))
    assert data[6:11] == b"JFIF\x00"
    data[13:18] = struct.pack(">BHH", unit, *stated)
    picture, result = twice(write(tmp_path / "a", bytes(data)), tmp_path)
    np.testing.assert_allclose(picture.metadata.dpi, dpi)
    with Image.open(BytesIO(result)) as image:
        assert image.info["dpi"] == tuple(round(each) for each in dpi)


def test_without_density_none_is_stated(tmp_path):
    picture, result = twice(write(tmp_path / "a", jpeg_bytes(scene(8, 8))), tmp_path)
    assert picture.metadata.dpi is None
    assert result[6:18] == b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01"


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (segment(0xEB, b"JP\x00\x01\x00\x00\x00\x01jumb"), "content credentials"),
        (segment(0xE4, b"FLIR" + bytes(20)), "beyond EXIF, XMP and IPTC"),
        (segment(0xE1, b"QVCI\x00"), "beyond EXIF, XMP and IPTC"),
    ],
)
def test_other_segments_are_told_once(tmp_path, extra, words):
    picture = decode(write(tmp_path / "a", with_segments(jpeg_bytes(scene(8, 8)), extra, extra)), LIMITS)
    assert [words in notice for notice in picture.notices] == [True]


def test_video_behind_a_photo_is_told(tmp_path):
    data = jpeg_bytes(scene(8, 8)) + b"MotionPhoto_Data\x00\x00\x00\x18ftypmp42"
    assert decode(write(tmp_path / "a", data), LIMITS).notices == ("The video of this motion photo is not kept.",)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"quality": 100}])
def test_what_follows_the_picture_is_told(tmp_path, options):
    thumbnail = with_segments(jpeg_bytes(scene(8, 8)), segment(0xE4, b"a whole JPEG in a segment"))
    picture = with_segments(jpeg_bytes(noise(64, 64, 3, 8), **options), segment(0xFE, thumbnail))
    for rest, notices in (
        (b"", ()),
        (bytes(3000) + b"\r\n \t" * 50, ()),
        (b"\x00x" * 16, ()),
        (b"\x00x" * 17, (REST,)),
        (bytes(3000) + jpeg_bytes(scene(8, 8)), (REST,)),
        (b"SEFH" + bytes(range(100)) + b"SEFT", (REST,)),
        (
            jpeg_bytes(scene(8, 8)) + b"MotionPhoto_Data" + bytes(range(99)),
            ("The video of this motion photo is not kept.",),
        ),
    ):
        assert jpeg.parse(picture + rest).notices == notices, rest[-40:]
    cut = picture[:-2]
    assert jpeg.parse(cut).notices == ()


def test_what_follows_indexed_pictures_is_told_beside_them():
    primary, other = jpeg_bytes(scene(48, 64)), jpeg_bytes(scene(40, 60))
    told = "This JPEG holds 2 pictures; only the main one is kept."
    both = several_pictures(primary + bytes(50), other)
    assert jpeg.parse(both).notices == (told,)
    assert jpeg.parse(both + b"and something more, not zeros").notices == (told, REST)
    assert jpeg.parse(index_before_an_edit(both)).notices == (told,)
    unlisted = with_segments(primary, segment(0xE2, index_body([(len(primary), 0), (0, 0)])))
    assert jpeg.parse(unlisted).notices == (told,)


DEPTH = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description dc:title="harbour" GDepth:Format="RangeInverse"'
    b' GImage:Mime="image/jpeg"%s><Device:Cameras><rdf:Seq><rdf:li DepthMap:ItemURI="android/depthmap"/></rdf:Seq>'
    b"</Device:Cameras></rdf:Description></x:xmpmeta>"
)


def test_depth_map_that_followed_the_picture_is_not_claimed(tmp_path):
    def xmp_of(name, more, packet=b"", rest=bytes(range(100))):
        digest, parts = extension_of(packet)
        xmp = DEPTH % (more + (b' xmpNote:HasExtendedXMP="' + digest + b'"' if packet else b""))
        data = with_segments(jpeg_bytes(scene(8, 8)), segment(0xE1, XMP_MARK + xmp), *(parts if packet else ()))
        return decode(write(tmp_path / name, data + rest), LIMITS).metadata.xmp

    bare = xmp_of("a", b"")
    for claim in (b"GDepth:", b"GImage:", b"Device:", b"DepthMap:"):
        assert claim not in bare
    assert b'dc:title="harbour"' in bare
    for inside in (xmp_of("b", b' GDepth:Data="QQ=="'), xmp_of("c", b"", b'<x GDepth:Data="QQ=="/>')):
        assert b'GDepth:Format="RangeInverse"' in inside
        assert b"GImage:" not in inside
        assert b"Device:" not in inside
    assert xmp_of("d", b"", rest=b"") == DEPTH % b""


def test_end_of_a_large_picture_is_found_soon():
    picture = jpeg_bytes(scene(48, 64))[:-2]
    for scan in (b"\xff\x00" * 5_000_000, noise(1000, 10_000, 1, 8).tobytes().replace(b"\xff", b"\xff\x00")):
        data = picture + scan + b"\xff\xd9"
        for rest in (b"", bytes(5_000_000), noise(1, 99, 1, 8).tobytes()):
            started = time.perf_counter()
            assert jpeg.parse(data + rest).notices == ((REST,) if len(rest) == 99 else ())
            assert time.perf_counter() - started < 1  # some hundredths here
    started = time.perf_counter()
    jpeg.parse(picture + segment(0xFE, b"") * 2_000_000)
    assert time.perf_counter() - started < 1


def test_second_packets_are_told():
    plain = jpeg_bytes(scene(8, 8))
    first, second = segment(0xE1, XMP_MARK + XMP % 1), segment(0xE1, XMP_MARK + XMP % 2)
    stored = jpeg.parse(with_segments(plain, first, second, second))
    assert stored.metadata.xmp == XMP % 1
    assert stored.notices == ("A second XMP packet in this JPEG is not kept.",)
    assert jpeg.parse(with_segments(plain, first, first)).notices == ()
    block = segment(0xE1, b"Exif\x00\x00" + exif_block(6))
    stored = jpeg.parse(with_segments(plain, block, block))
    assert stored.metadata.exif == exif_block(6)
    assert stored.notices == ("A second EXIF block in this JPEG is not kept.",)


def long_exif(size):
    """Returns an EXIF block with a comment of many bytes; where a segment would be full, it looks like a block."""
    head = b"II*\x00" + struct.pack("<IHHHIII", 8, 1, 0x010E, 2, size - 26, 26, 0)
    text = bytearray(noise(1, size - 26, 1, 8).tobytes().translate(bytes(65 + byte % 26 for byte in range(256))))
    text[-1:] = b"\x00"
    block = bytearray(head + text)
    if size > 65531:
        block[65527:65531] = b"MM\x00*"
    return bytes(block)


@pytest.mark.parametrize("size", [65527, 65528, 65600, 200_000])
@pytest.mark.parametrize("cut", [b"MM\x00*", b"II*\x00", b"MMMM", b"IIII"])
def test_long_exif_takes_several_segments(tmp_path, size, cut):
    exif = long_exif(size).replace(b"MM\x00*", cut)
    picture = picture_of(scene(8, 8), source_format="jpeg", metadata=Metadata(exif=exif))
    assert encode(picture, tmp_path / "a").notices == ()
    again = decode(tmp_path / "a", LIMITS)
    assert again.notices == ()
    assert again.metadata.exif == exif
    assert (tmp_path / "a").read_bytes().count(b"Exif\x00\x00") == -(-size // 65527)


def test_endless_exif_is_left_out_and_told(tmp_path):
    longest = jpeg.HOLDS.exif_bytes
    for size, notices in ((longest, 0), (longest + 1, 1)):
        exif = long_exif(100).ljust(size, b"\x00")
        picture = picture_of(scene(8, 8), source_format="jpeg", metadata=Metadata(exif=exif))
        assert len(encode(picture, tmp_path / "a").notices) == notices
        assert (decode(tmp_path / "a", LIMITS).metadata.exif == exif) == (not notices)


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_reads_long_exif_and_the_other_way_round(tmp_path):
    def description(path):
        command = ["exiftool", "-b", "-EXIF:ImageDescription", str(path)]
        return subprocess.run(command, capture_output=True, check=True).stdout

    def warnings(path):
        command = ["exiftool", "-s3", "-warning", "-a", str(path)]
        return subprocess.run(command, capture_output=True, check=True).stdout

    exif = long_exif(200_000).replace(b"MM\x00*", b"MMMM")
    encode(picture_of(scene(8, 8), source_format="jpeg", metadata=Metadata(exif=exif)), tmp_path / "a.jpg")
    assert description(tmp_path / "a.jpg") == exif[26:-1]
    assert warnings(tmp_path / "a.jpg").splitlines() in ([], [b"[minor] File contains multi-segment EXIF"])
    edit = ["exiftool", "-q", "-EXIF:Artist=somebody", str(tmp_path / "a.jpg"), "-o", str(tmp_path / "b.jpg")]
    subprocess.run(edit, capture_output=True, check=True)
    _, result = twice(tmp_path / "b.jpg", tmp_path)
    assert description(write(tmp_path / "c.jpg", result)) == exif[26:-1]


def test_progressive_and_other_samplings_are_read(tmp_path):
    stored = scene(40, 48)
    for options in ({"progressive": True}, {"subsampling": 2}, {"restart_marker_rows": 1}, {"keep_rgb": True}):
        picture = decode(write(tmp_path / "a", jpeg_bytes(stored, **options)), LIMITS)
        assert np.abs(picture.pixels.astype(int) - stored).max() <= 12, options


def test_twelve_bits_are_refused_with_a_sentence(tmp_path):
    data = imagecodecs.jpeg8_encode(noise(8, 8, 1, 12)[:, :, 0], level=95, bitspersample=12)
    with pytest.raises(UnsupportedFormatError, match=r"This JPEG has 12 bits a sample; please use .*\.$"):
        decode(write(tmp_path / "a", data), LIMITS)


@pytest.mark.parametrize("space", ["CMYK", "YCCK"])
def test_inks_are_those_that_pillow_sees(tmp_path, space):
    ink = np.ascontiguousarray(255 - np.dstack((scene(32, 40), scene(32, 40, 1) // 3)))
    data = imagecodecs.jpeg8_encode(ink, level=98, colorspace="CMYK", outcolorspace=space)
    picture = decode(write(tmp_path / "a", data), LIMITS)
    with Image.open(BytesIO(data)) as image:
        assert image.info["adobe_transform"] == (2 if space == "YCCK" else 0)
        wanted = np.asarray(image.convert("RGB")).astype(float)
    paper = (ink[:, :, :3].astype(float) * ink[:, :, 3:]) / 255  # Adobe stores what is left white
    for reference, most in ((wanted, 1), (paper, 12)):
        assert np.abs(picture.pixels - reference).max() <= most


def test_profile_of_inks_is_used_for_ycck_too(tmp_path):
    ink = np.full((16, 16, 4), (255, 55, 55, 235), dtype=np.uint8)
    data = imagecodecs.jpeg8_encode(ink, level=98, colorspace="CMYK", outcolorspace="YCCK")
    data = with_segments(data, segment(0xE2, b"ICC_PROFILE\x00\x01\x01" + ink_profile()))
    red, green, blue = decode(write(tmp_path / "a", data), LIMITS).pixels[8, 8].astype(int)
    assert blue > 180
    assert max(red, green) < 140


def test_linear_profile_makes_a_signal_and_goes_back(tmp_path):
    dark = scene(32, 48) // 6
    profile = profile_of_gamma(1.0)
    picture = decode(write(tmp_path / "a", jpeg_bytes(dark, icc_profile=profile)), LIMITS)
    assert picture.bit_depth == 16
    assert picture.metadata.transfer.stored == "linear"
    assert picture.pixels.mean() / 65535 > 2 * dark.mean() / 255
    header = jpeg.parse((tmp_path / "a").read_bytes())
    assert (header.bit_depth, header.samples) == (16, "8 bit")
    info = encode(picture, tmp_path / "b")
    assert info.notices == ()
    result = decode(info.path, LIMITS)
    assert result.metadata.icc == profile
    with Image.open(info.path) as image:
        assert np.abs(np.asarray(image).astype(int) - dark).max() <= 4


@pytest.mark.parametrize("chroma", ["420", "422", "444"])
@pytest.mark.parametrize("channels", [1, 3])
def test_written_as_pillow_writes_it(tmp_path, chroma, channels):
    pixels = scene(40, 56, channels)
    picture = picture_of(pixels, source_format="jpeg", metadata=Metadata(chroma=chroma if channels == 3 else None))
    encode(picture, tmp_path / "a", quality=Quality(jpeg=88, jpeg_chroma=None))
    subsampling = {"444": 0, "422": 1, "420": 2}[chroma]
    with Image.open(tmp_path / "a") as image:
        reference = Image.open(BytesIO(jpeg_bytes(pixels, quality=88, subsampling=subsampling)))
        np.testing.assert_array_equal(np.asarray(image), np.asarray(reference))


def test_profile_of_several_segments_is_written(tmp_path):
    long = rgb_profile() + np.random.default_rng(0).bytes(150_000)
    encode(picture_of(scene(8, 8), source_format="jpeg", metadata=Metadata(icc=long)), tmp_path / "a")
    with Image.open(tmp_path / "a") as image:
        assert image.info["icc_profile"] == long


def test_damaged_exif_is_left_out_and_told(tmp_path):
    data = with_segments(jpeg_bytes(scene(8, 8)), segment(0xE1, b"Exif\x00\x00nonsense"))
    picture = decode(write(tmp_path / "a", data), LIMITS)
    assert picture.metadata.exif is None
    assert len(picture.notices) == 1


def test_extras_without_claims_leave_the_xmp_alone():
    metadata = Metadata(xmp=XMP % 1, extras=(Extra(kind="comment", name="The comment", data=b""),))
    assert without_extras(metadata) == replace(metadata, extras=())
    assert without_extras(Metadata()) == Metadata()


def test_scans_without_end_are_refused_at_once(tmp_path):
    stream = BytesIO()
    Image.fromarray(scene(64, 64, 1)[:, :, 0]).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    last = data.rindex(b"\xff\xda")
    path = tmp_path / "a"
    path.write_bytes(data[:last] + data[last:-2] * 100 + data[-2:])
    assert read_header(path, LIMITS).width == 64
    path.write_bytes(data[:last] + data[last:-2] * 500 + data[-2:])
    with pytest.raises(UnreadablePhotoError):
        read_header(path, LIMITS)
