import pytest

from sr_core.errors import UnsupportedFormatError
from sr_core.image.sniff import sniff

from .photo_files import png_bytes, scene


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
        (b"", None),
        (b"\xff\xd8", None),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", None),
        (b"hello, this is not a photo", None),
    ],
)
def test_family_is_told_by_bytes(head, family):
    assert sniff(head) == family


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"II*\x00\x08\x00\x00\x00", "a TIFF or RAW file"),
        (b"MM\x00*\x00\x00\x00\x08", "a TIFF or RAW file"),
        (b"GIF89a\x01\x00", "a GIF"),
        (boxes(b"avif", b"mif1"), "an AVIF"),
        (boxes(b"mif1", b"avif"), "an AVIF"),
        (boxes(b"crx ", b"isom"), "a RAW file"),
        (boxes(b"qt  "), "a video"),
        (b"FUJIFILMCCD-RAW 0201", "a RAW file"),
        (b"II\x1a\x00\x00\x00HEAPCCDR", "a RAW file"),
        (b"\xff\x0a\xfa\x1f", "a JPEG XL"),
        (b"BM\x36\x00", "a BMP"),
        (b"%PDF-1.7", "a PDF"),
    ],
)
def test_foreign_family_is_named_with_what_to_do(head, name):
    with pytest.raises(UnsupportedFormatError, match=f"^This is {name}, .* JPEG, PNG, WebP or HEIC photo\\.$"):
        sniff(head)
