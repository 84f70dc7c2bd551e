"""The pictures that a visitor is shown: PNG files in sRGB without metadata, written from Pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sr_core.image.picture import Picture
from sr_core.image.preview import save_png, to_srgb_preview
from sr_core.image.resize import area_average, bicubic_picture
from ui import text
from ui.widgets.compare import Comparison
from ui.widgets.spot import Spot, SpotView

__all__ = [
    "SPOT_SIDE",
    "Box",
    "crop",
    "difference_map",
    "enlarge",
    "result_views",
    "spot_box",
    "spot_comparison",
    "spot_view",
]

SPOT_SIDE: Final = 256
"""Side of the square that is computed as a trial, in pixels of the photo."""
_PICKER_SIDE: Final = 1024
_SHOWN_SIDE: Final = 2048
_GAIN: Final = 8
_BAND_ROWS: Final = 256
# Black through the accent colour to white: the eye orders it by brightness, also without colour vision.
_RAMP: Final = ((0, 0, 0), (10, 74, 78), (45, 190, 170), (240, 255, 244))


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


def spot_view(picture: Picture, folder: Path) -> SpotView:
    """Returns the photo as the spot picker shows it; its PNG is written to ``folder``."""
    path = folder / "photo.png"
    save_png(to_srgb_preview(picture, _PICKER_SIDE), path)
    box = spot_box(picture.height, picture.width, Spot(0, 0))
    return SpotView(
        picture=path, box_height=100 * box.height / picture.height, box_width=100 * box.width / picture.width
    )


def spot_comparison(before: Picture, after: Picture, folder: Path, *, after_name: str, note: str) -> Comparison:
    """Returns a square at full size, before and after; the PNG files are written to ``folder``."""
    paths = (folder / "spot-before.png", folder / "spot-after.png")
    for picture, path in zip((before, after), paths, strict=True):
        save_png(to_srgb_preview(picture), path)
    return Comparison(
        before=paths[0], after=paths[1], height=after.height, width=after.width, after_name=after_name, note=note
    )


def result_views(enlarged: Picture, result: Picture, folder: Path, after_name: str) -> Comparison:
    """Returns a result next to bicubic enlargement, with a difference map.

    A large result is shown as a smaller copy, and the note says so.

    Args:
        enlarged: The photo, enlarged to the size of the result by bicubic interpolation.
        result: What the model made.
        folder: Where the PNG files are written.
        after_name: What made the result, as a short tag.
    """
    before, after = to_srgb_preview(enlarged, _SHOWN_SIDE), to_srgb_preview(result, _SHOWN_SIDE)
    height, width = after.shape[:2]
    changed = _ramp(difference_map(enlarged, result, height, width))
    files = {"before": before, "after": after, "difference": changed}
    for name, array in files.items():
        save_png(array, folder / f"{name}.png")
    full = f"{result.width} × {result.height}"
    note = text.SHOWN_WHOLE if (height, width) == (result.height, result.width) else text.SHOWN_SMALLER
    return Comparison(
        before=folder / "before.png",
        after=folder / "after.png",
        difference=folder / "difference.png",
        height=height,
        width=width,
        after_name=after_name,
        note=note.format(shown=f"{width} × {height}", full=full),
        difference_name=text.DIFFERENCE.format(gain=_GAIN),
    )


def difference_map(before: Picture, after: Picture, height: int, width: int) -> NDArray[np.uint8]:
    """Returns how much two pictures of one size and depth differ, amplified.

    Args:
        before: One.
        after: The other.
        height: Rows of the map, at most those of the pictures.
        width: Columns of the map.

    Returns:
        (height, width); the mean absolute difference of the channels, as encoded in the file, times eight. Each value
        is the average over the area that it stands for, so that detail does not cancel out in a smaller map.
    """
    changed = np.empty(before.pixels.shape[:2], dtype=np.uint16)
    gain = 65535 / before.peak
    for top in range(0, before.height, _BAND_ROWS):
        band = slice(top, top + _BAND_ROWS)
        apart = np.abs(before.pixels[band].astype(np.float32) - after.pixels[band].astype(np.float32))
        changed[band] = np.rint(apart.mean(axis=2) * gain)
    smaller = area_average(changed[:, :, np.newaxis], height, width)[:, :, 0]
    return np.clip(np.rint(smaller.astype(np.float32) * (_GAIN / 257)), 0, 255).astype(np.uint8)


def enlarge(picture: Picture, scale: int) -> Picture:
    """Returns a photo enlarged by bicubic interpolation: what a model is compared with."""
    return bicubic_picture(picture, picture.height * scale, picture.width * scale)


def _ramp(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns values as colours, (H, W, 3)."""
    stops = np.linspace(0, 255, len(_RAMP))
    table = np.stack([np.interp(np.arange(256), stops, [color[c] for color in _RAMP]) for c in range(3)], axis=1)
    return np.rint(table).astype(np.uint8)[values]
