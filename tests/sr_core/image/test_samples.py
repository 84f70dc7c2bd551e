"""Every real photo at hand goes through decode, encode and decode; without them the other tests stand alone."""

from pathlib import Path

import numpy as np
import pytest

from sr_core.errors import PhotoError, SRError, UnsupportedFormatError
from sr_core.image.decode import Limits, decode, read_header
from sr_core.image.encode import encode
from sr_core.image.metadata import orientation_of
from sr_core.image.preview import to_srgb_preview

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "samples"
FOREIGN = {".avif", ".crw", ".dng", ".kdc", ".md", ".tif"}
BROKEN = {"corrupted.heic"}
LARGEST_ENCODED = 500_000
LIMITS = Limits()


def samples() -> list[Path]:
    return sorted(path for path in FOLDER.glob("*") if path.is_file())


@pytest.mark.skipif(not samples(), reason="no sample photos at hand")
@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_real_photo(path, tmp_path):
    if path.suffix in FOREIGN or path.name in BROKEN:
        expected = UnsupportedFormatError if path.suffix in FOREIGN else PhotoError
        with pytest.raises(expected) as raised:
            decode(path, LIMITS)
        assert isinstance(raised.value, SRError)
        assert str(raised.value).endswith(".")
        return
    header, first = read_header(path, LIMITS), decode(path, LIMITS)
    assert (header.height, header.width, header.bit_depth) == (first.height, first.width, first.bit_depth)
    assert (header.channels, header.has_alpha) == (first.pixels.shape[2], first.alpha is not None)
    assert orientation_of(first.metadata.exif) == 1
    assert max(to_srgb_preview(first, 64).shape[:2]) <= 64
    if first.height * first.width > LARGEST_ENCODED:  # a part is enough, encoders are slow
        first = first.crop(0, 0, 320, 240)
    info = encode(first, tmp_path / "result")
    second = decode(info.path, LIMITS)
    assert second.source_format == first.source_format == header.format
    assert second.pixels.shape == first.pixels.shape
    assert second.bit_depth == first.bit_depth
    is_opaque_webp = header.format == "webp" and first.alpha is not None and bool((first.alpha == first.peak).all())
    assert (second.alpha is None) == (first.alpha is None or is_opaque_webp)  # libwebp writes no opaque alpha
    assert second.metadata.icc == first.metadata.icc
    assert second.notices == ()
    difference = np.abs(second.pixels.astype(np.int32) - first.pixels).mean() / first.peak
    assert difference == 0 if header.format == "png" else difference < 0.03
