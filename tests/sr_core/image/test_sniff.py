from io import BytesIO

import numpy as np
import pytest
import tifffile

from sr_core.errors import UnsupportedFormatError
from sr_core.image.sniff import sniff
from sr_core.image.tiff.ifd import Directory, form_of

from .photo_files import png_bytes, scene
from .raw_files import SAMPLES, bayer_dng, light_scene, linear_dng, packed_dng, tiff_bytes


def boxes(major: bytes, *compatible: bytes) -> bytes:
    return (
        (16 + 4 * len(compatible)).to_bytes(4, "big") + b"ftyp" + major + bytes(4) + b"".join(compatible) + b"\x00" * 9
    )


@pytest.mark.parametrize(
    ("head", "family"),
    [
        (b"\xff\xd8\xff\xe1\x00\x10Exif", "jpeg"),
        (png_bytes(scene(2, 2)), "png"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "webp"),
        (boxes(b"heic", b"mif1", b"heic"), "heic"),
        (boxes(b"mif1", b"heic"), "heic"),
        (boxes(b"mif1"), "heic"),
        (boxes(b"heix"), "heic"),
        (boxes(b"msf1", b"hevc", b"avif"), "heic"),
        (boxes(b"avif", b"mif1"), "avif"),
        (boxes(b"avis", b"avif"), "avif"),
        (boxes(b"mif1", b"avif"), "avif"),
        (boxes(b"crx ", b"isom"), "dng"),
        (b"FUJIFILMCCD-RAW 0201", "dng"),
        (b"II\x1a\x00\x00\x00HEAPCCDR", "dng"),
    ],
)
def test_family_is_told_by_bytes(head, family):
    assert sniff(BytesIO(head)) == family


@pytest.mark.parametrize("head", [b"", b"\xff\xd8", b"RIFF\x10\x00\x00\x00WAVEfmt ", b"hello, this is not a photo"])
def test_unknown_bytes_are_refused(head):
    with pytest.raises(UnsupportedFormatError, match=r"not a photo of a known kind; please use a .*\.$"):
        sniff(BytesIO(head))


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"GIF89a\x01\x00", "a GIF"),
        (boxes(b"qt  "), "a video"),
        (b"\xff\x0a\xfa\x1f", "a JPEG XL"),
        (b"BM\x36\x00", "a BMP"),
        (b"%PDF-1.7", "a PDF"),
    ],
)
def test_foreign_family_is_named_with_what_to_do(head, name):
    with pytest.raises(
        UnsupportedFormatError, match=f"^This is {name}, .* JPEG, PNG, WebP, HEIC, AVIF, TIFF or RAW photo\\.$"
    ):
        sniff(BytesIO(head))


LIGHT = light_scene(48, 64)
MAKER = [(271, 2, None, "NIKON CORPORATION", True)]


def raw_tiff(compression: int = 1, photometric: int = 32803, inside: bool = True, **options) -> bytes:
    """Returns a TIFF with a preview and, in a directory inside or behind it, values marked as those of a sensor."""
    stream = BytesIO()
    with tifffile.TiffWriter(stream, **options) as tiff:
        tiff.write(scene(8, 8), photometric="rgb", subfiletype=1, subifds=1 if inside else 0, extratags=MAKER)
        tiff.write(np.zeros((16, 16), np.uint16), photometric="minisblack", metadata=None)
    data = bytearray(stream.getvalue())
    form = form_of(bytes(data))
    first = Directory(bytes(data), form, form.first_at)
    sensor = Directory(bytes(data), form, first.whole(330) if inside else first.next_at)
    for tag, value in ((259, compression), (262, photometric)):
        at = sensor.entries[tag].at
        data[at : at + 2] = value.to_bytes(2, form.order)
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        bayer_dng(LIGHT),
        linear_dng(np.rint(LIGHT * 65535).astype(np.uint16), order=">"),
        packed_dng(np.rint(LIGHT * 65535).astype(np.uint16)),
        raw_tiff(),
        raw_tiff(inside=False),
        raw_tiff(byteorder=">"),
        raw_tiff(bigtiff=True),
        raw_tiff(photometric=34892),
        raw_tiff(photometric=1, compression=34713),
        raw_tiff(photometric=1, compression=65535),
        b"II*\x00\x10\x00\x00\x00CR\x02\x00" + bytes(40),
    ],
)
def test_raw_file_that_is_built_as_a_tiff_is_told_from_one(data):
    assert sniff(BytesIO(data)) == "dng"


@pytest.mark.parametrize(
    "data",
    [
        tiff_bytes(scene(9, 9)),
        tiff_bytes(scene(9, 9), order=">"),
        tiff_bytes(scene(9, 9), bigtiff=True),
        tiff_bytes(scene(9, 9), extratags=MAKER, compression="deflate"),
        raw_tiff(photometric=1),
        b"II*\x00\xff\xff\xff\xff",
        b"MM\x00*",
    ],
)
def test_tiff_that_holds_a_picture_stays_one_even_from_a_maker_of_cameras(data):
    assert sniff(BytesIO(data)) == "tiff"


def test_directories_without_end_are_left(tmp_path):
    entries = (
        (330).to_bytes(2, "little") + (4).to_bytes(2, "little") + (60000).to_bytes(4, "little") + bytes((26, 0, 0, 0))
    )
    data = (
        b"II*\x00\x08\x00\x00\x00\x01\x00"
        + entries
        + bytes(4)
        + b"".join((8 + 2 * number).to_bytes(4, "little") for number in range(60000))
    )
    assert sniff(BytesIO(data)) == "tiff"


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("canon_g2.crw", "dng"), ("canon_550d_bayer.dng", "dng"), ("dng_proraw_like_jxl10.dng", "dng"),
        ("kodak_dc120.kdc", "dng"), ("jpeg_named_nef.nef", "jpeg"), ("tiff_rgb16_p3.tif", "tiff"),
    ],
)  # fmt: skip
def test_samples_belong_to_their_families(name, family):
    if not (SAMPLES / name).exists():
        pytest.skip("the sample photos are not here")
    with (SAMPLES / name).open("rb") as file:
        assert sniff(file) == family
