"""Every photo at hand goes through the command line and comes back as what it was, twice as large.

The network is one that repeats pixels, so that all the rest can be judged: family, depth, colours, metadata, upright.
``python -m tests.sr_core.test_samples`` prints what became of each as a table.
"""

import json
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from PIL import Image

from sr_core import cli
from sr_core.errors import SRError
from sr_core.image.decode import decode, read_header
from sr_core.image.header import Header, Limits
from sr_core.image.metadata import orientation_of
from sr_core.image.preview import to_srgb_preview
from sr_core.infer.engine import ComputeChoice
from sr_core.infer.model import LoadedModel
from sr_core.infer.tiles import Tiling
from sr_core.metrics.fidelity import psnr_db
from tests.test_memory import NearestEngine

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "samples"
REFUSED = {"corrupted.heic": "This HEIC is damaged or cut short; please send or export it again."}
LARGE_PIXELS = 4_000_000
LIMITS = Limits(max_file_bytes=256 << 20)
LIKENESS_DB = 30.0


@dataclass(frozen=True)
class Sample:
    """A photo and its result."""

    photo: Header
    result: Header
    exif_tags: tuple[int, int]
    likeness_db: float
    notices: tuple[str, ...]


def samples() -> list[Path]:
    return sorted(path for path in FOLDER.glob("*") if path.is_file() and path.suffix != ".md")


def nearest(_: str | None, __: ComputeChoice) -> LoadedModel:
    return LoadedModel(id="nearest", engine=NearestEngine(), tiling=Tiling(tile=256, overlap=0, batch=8))


def tag_count(exif: bytes | None) -> int:
    """Returns how many tags an EXIF block has, as Pillow reads it; pointers and thumbnails do not count."""
    if exif is None:
        return 0
    block = Image.Exif()
    block.load(b"Exif\x00\x00" + exif)
    inner = [block.get_ifd(pointer) for pointer in (0x8769, 0x8825)]
    return len(block) + sum(len(ifd) for ifd in inner)


def through_the_command_line(path: Path, folder: Path) -> Sample:
    """Returns a photo and its result, or raises the sentence with which it was refused."""
    out = StringIO()
    with redirect_stdout(out), redirect_stderr(StringIO()):
        status = cli.main(["upscale", str(path), "-o", str(folder), "--json"], nearest)
    (outcome,) = json.loads(out.getvalue())
    if status != 0:
        raise SRError(outcome["message"])
    result = Path(outcome["result"])
    before, after = decode(path, LIMITS), decode(result, LIMITS)
    shown, reduced = to_srgb_preview(before), to_srgb_preview(after, max(before.height, before.width))
    assert orientation_of(after.metadata.exif) == 1
    return Sample(
        photo=read_header(path, LIMITS),
        result=read_header(result, LIMITS),
        exif_tags=(tag_count(before.metadata.exif), tag_count(after.metadata.exif)),
        likeness_db=psnr_db(reduced, shown, data_range=255, border=0, channels="rgb"),
        notices=tuple(outcome["notices"]),
    )


@pytest.mark.skipif(not samples(), reason="no sample photos at hand")
@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_a_photo_comes_back_as_what_it_was(path, tmp_path):
    if path.name in REFUSED:
        with pytest.raises(SRError, match=REFUSED[path.name]):
            through_the_command_line(path, tmp_path)
        assert not list(tmp_path.iterdir())
        return
    sample = through_the_command_line(path, tmp_path)
    photo, result = sample.photo, sample.result
    assert (result.height, result.width) == (2 * photo.height, 2 * photo.width)
    assert (result.format, result.channels) == (photo.format, photo.channels)
    assert result.has_alpha == photo.has_alpha or photo.format == "webp"  # libwebp writes no alpha that is opaque
    assert result.bit_depth == photo.bit_depth
    is_told = any("becomes" in notice for notice in sample.notices)  # few bits and palettes
    if photo.format != "dng" and not is_told:  # whatever a sensor's depth is, a linear DNG has 16 bits
        assert result.samples == photo.samples
    assert result.metadata.icc == photo.metadata.icc
    points = (photo.metadata.nclx or ())[:2], (result.metadata.nclx or ())[:2]
    assert points[0] in (
        points[1],
        (),
    )  # a HEIC that states nothing comes back stating sRGB; the matrix between RGB and YCbCr is the encoder's choice
    assert result.metadata.chroma == photo.metadata.chroma or photo.format == "jpeg"  # written without subsampling
    assert {extra.kind for extra in result.metadata.extras} >= {extra.kind for extra in photo.metadata.extras}
    assert sample.exif_tags[1] >= sample.exif_tags[0]
    assert sample.likeness_db > LIKENESS_DB


def main() -> None:
    """Prints a table of all samples."""
    sys.stdout.write(
        "| file | is | size | samples | ICC | EXIF tags | result | likeness dB | said |\n" + "|---" * 9 + "|\n"
    )
    for path in samples():
        with tempfile.TemporaryDirectory() as folder:
            try:
                sample = through_the_command_line(path, Path(folder))
            except SRError as error:
                sys.stdout.write(f"| {path.name} | refused | | | | | | | {error} |\n")
                continue
        photo, result = sample.photo, sample.result
        icc = "same" if photo.metadata.icc == result.metadata.icc else "differs"
        words = [
            path.name, photo.kind, f"{photo.width}x{photo.height}", f"{photo.samples} -> {result.samples}",
            icc if photo.metadata.icc else "none", f"{sample.exif_tags[0]} -> {sample.exif_tags[1]}",
            f"{result.kind} {result.width}x{result.height}", f"{sample.likeness_db:.1f}", " ".join(sample.notices),
        ]  # fmt: skip
        sys.stdout.write("| " + " | ".join(words) + " |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
