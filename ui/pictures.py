"""The pictures that a visitor is shown: PNG files in sRGB without metadata, written from Pictures.

What turns a Picture into sRGB is handed in: the profiles of strangers are read where photos are, in a sandbox.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sr_core.image.picture import Picture
from sr_core.image.preview import save_png
from sr_core.image.resize import area_average, bicubic_picture
from sr_core.image.scratch import canvas, rest
from ui import text
from ui.widgets.compare import Comparison, Difference
from ui.widgets.spot import Spot, SpotView

__all__ = [
    "SPOT_SIDE",
    "Apart",
    "Box",
    "Pair",
    "Preview",
    "amplified",
    "apart",
    "crop",
    "difference_map",
    "enlarge",
    "result_views",
    "spot_box",
    "spot_comparison",
    "spot_view",
]

Preview: TypeAlias = Callable[[Picture, int | None], NDArray[np.uint8]]
"""Returns a picture as sRGB, (H, W, 3), with at most so many pixels a side."""

SPOT_SIDE: Final = 256
"""Side of the square that is computed as a trial, in pixels of the photo."""
_PICKER_SIDE: Final = 1024
_SHOWN_SIDE: Final = 2048
_GAINS: Final = (8, 64)
"""Every comparison has a map with the first amplification, so that maps can be compared. Two variants are often so
close that it stays black; they get the second one as well."""
_BAND_ROWS: Final = 256
# Black through the accent colour to white: the eye orders it by brightness, also without colour vision.
_RAMP: Final = ((0, 0, 0), (10, 74, 78), (45, 190, 170), (240, 255, 244))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two pictures of one size to compare.

    Attributes:
        before: What the result is compared with.
        after: The result.
        before_name: What made the one, as a short tag.
        after_name: What made the other.
        is_close: Whether both are made by variants, so that their distance is said in numbers.
    """

    before: Picture
    after: Picture
    before_name: str
    after_name: str
    is_close: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """How far two pictures are apart: PSNR over all values, infinite when equal, and the largest difference of a value
    in steps of 1/255.
    """

    psnr_db: float
    largest: float


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture."""

    top: int
    left: int
    height: int
    width: int

    def scaled(self, scale: int) -> "Box":
        """Returns the same part of the enlarged picture."""
        return Box(self.top * scale, self.left * scale, self.height * scale, self.width * scale)


def spot_box(height: int, width: int, spot: Spot) -> Box:
    """Returns the square around a spot, cut to the size of a smaller photo."""
    rows, columns = min(SPOT_SIDE, height), min(SPOT_SIDE, width)
    return Box(round((height - rows) * spot.y / 100), round((width - columns) * spot.x / 100), rows, columns)


def crop(picture: Picture, box: Box) -> Picture:
    """Returns a part of a picture."""
    return picture.crop(box.top, box.left, box.height, box.width)


def spot_view(preview: Preview, picture: Picture, folder: Path) -> SpotView:
    """Returns the photo as the spot picker shows it; its PNG is written to ``folder``."""
    path = folder / "photo.png"
    save_png(preview(picture, _PICKER_SIDE), path)
    box = spot_box(picture.height, picture.width, Spot(0, 0))
    return SpotView(
        picture=path, box_height=100 * box.height / picture.height, box_width=100 * box.width / picture.width
    )


def apart(before: Picture, after: Picture) -> Apart:
    """Returns how far two pictures of one size and depth are apart, as encoded in the file."""
    squares, largest = 0.0, 0.0
    for top in range(0, before.height, _BAND_ROWS):
        difference = _difference(before, after, slice(top, top + _BAND_ROWS))
        squares += float(np.square(difference, dtype=np.float64).sum())
        largest = max(largest, float(np.abs(difference).max()))
    error = squares / before.pixels.size / before.peak**2
    psnr_db = math.inf if error == 0 else -10 * math.log10(error)
    return Apart(psnr_db=psnr_db, largest=255 * largest / before.peak)


def spot_comparison(preview: Preview, pair: Pair, folder: Path, note: str) -> Comparison:
    """Returns a square at full size, before and after; the PNG files are written to ``folder``."""
    return _comparison(preview, pair, folder, "spot", None, note)


def result_views(preview: Preview, pair: Pair, folder: Path) -> Comparison:
    """Returns a result next to what it is compared with.

    A large result is shown as a smaller copy, and the note says so.

    Args:
        preview: What makes sRGB of a Picture.
        pair: Both, whole.
        folder: Where the PNG files are written.
    """
    full = f"{pair.after.width} × {pair.after.height}"
    longest = max(pair.after.height, pair.after.width)
    if longest <= _SHOWN_SIDE:
        return _comparison(preview, pair, folder, "result", _SHOWN_SIDE, text.SHOWN_WHOLE.format(full=full))
    height, width = (max(1, round(side * _SHOWN_SIDE / longest)) for side in (pair.after.height, pair.after.width))
    note = text.SHOWN_SMALLER.format(shown=f"{width} × {height}", full=full)
    return _comparison(preview, pair, folder, "result", _SHOWN_SIDE, note)


def difference_map(before: Picture, after: Picture, height: int, width: int) -> NDArray[np.uint16]:
    """Returns how much two pictures of one size and depth differ.

    Args:
        before: One.
        after: The other.
        height: Rows of the map, at most those of the pictures.
        width: Columns of the map.

    Returns:
        (height, width); the mean absolute difference of the channels, as encoded in the file, 65535 for full
        intensity. Each value is the average over the area that it stands for, so that detail does not cancel out in a
        smaller map.
    """
    changed = canvas(before.pixels.shape[:2], np.uint16)
    full = 65535 / before.peak
    for top in range(0, before.height, _BAND_ROWS):
        band = slice(top, top + _BAND_ROWS)
        changed[band] = np.rint(np.abs(_difference(before, after, band)).mean(axis=2) * full)
        rest(changed)
    return area_average(changed[:, :, np.newaxis], height, width)[:, :, 0].astype(np.uint16)


def amplified(changed: NDArray[np.uint16], gain: int) -> NDArray[np.uint8]:
    """Returns a difference map for display: so many times as bright, cut at full intensity."""
    return np.clip(np.rint(changed.astype(np.float32) * (gain / 257)), 0, 255).astype(np.uint8)


def _difference(before: Picture, after: Picture, rows: slice) -> NDArray[np.float32]:
    return before.pixels[rows].astype(np.float32) - after.pixels[rows].astype(np.float32)


def _comparison(preview: Preview, pair: Pair, folder: Path, stem: str, max_side: int | None, note: str) -> Comparison:
    """Returns two pictures with their difference maps, as PNG files whose names begin with ``stem``."""
    shown = {"before": preview(pair.before, max_side), "after": preview(pair.after, max_side)}
    paths = {name: folder / f"{stem}-{name}.png" for name in shown}
    for name, array in shown.items():
        save_png(array, paths[name])
    height, width = shown["after"].shape[:2]
    changed = difference_map(pair.before, pair.after, height, width)
    differences: list[Difference] = []
    for gain in _GAINS if pair.is_close else _GAINS[:1]:
        path = folder / f"{stem}-difference-{gain}.png"
        save_png(_ramp(amplified(changed, gain)), path)
        differences.append(Difference(picture=path, gain=gain))
    if pair.is_close:
        between = apart(pair.before, pair.after)
        note = f"{note} {text.apart_text(between.psnr_db, between.largest)}"
    return Comparison(
        before=paths["before"],
        after=paths["after"],
        height=height,
        width=width,
        before_name=pair.before_name,
        after_name=pair.after_name,
        note=note,
        differences=tuple(differences),
    )


def enlarge(picture: Picture, scale: int) -> Picture:
    """Returns a photo enlarged by bicubic interpolation: what a model is compared with."""
    return bicubic_picture(picture, picture.height * scale, picture.width * scale)


def _ramp(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns values as colours, (H, W, 3)."""
    stops = np.linspace(0, 255, len(_RAMP))
    table = np.stack([np.interp(np.arange(256), stops, [color[c] for color in _RAMP]) for c in range(3)], axis=1)
    return np.rint(table).astype(np.uint8)[values]
