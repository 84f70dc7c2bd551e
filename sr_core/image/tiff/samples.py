"""Integer samples of a TIFF as those of a Picture: bits and palettes expanded, white at the peak, alpha straight.

Source: TIFF 6.0, sections 4, 5, 16 (CMYK) and 18 (associated alpha).
"""

from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sr_core.image.colour import cmyk_to_srgb
from sr_core.image.depth import change_depth
from sr_core.image.picture import Samples
from sr_core.image.tiff.ifd import Directory
from sr_core.image.tiff.page import Page
from sr_core.image.tiff.pixels import RawSamples

__all__ = ["colour_map", "integer_samples", "straight"]

_Sample = TypeVar("_Sample", bound=np.unsignedinteger[Any] | np.floating[Any])

_COLOUR_MAP: Final = 320
_BAND_PIXELS: Final = 1 << 22
_LEAST_OPACITY: Final = 0.5 / 65535


def integer_samples(raw: RawSamples, directory: Directory, page: Page, icc: bytes | None) -> Samples:
    """Returns integer samples as those of a Picture.

    Args:
        raw: (H, W, samples), as stored.
        directory: That of the page, for its palette.
        page: What it says.
        icc: Its profile, for CMYK.

    Returns:
        (H, W, C): grey or RGB, then straight alpha if the page has one; ``raw`` itself where nothing has to change.

    Raises:
        ValueError: The palette is cut short.
        ImageCms.PyCMSError: The profile of a CMYK page is not one for CMYK.
        OSError: That profile is damaged.
    """
    channels = (1 if page.colours == "grey" else 3) + (page.alpha is not None)
    is_plain = page.colours in ("grey", "rgb") and page.bits in (8, 16) and not page.is_inverted
    if is_plain and page.alpha != "premultiplied" and page.samples == channels:
        return cast("Samples", raw)
    palette, depth = colour_map(directory, page) if page.colours == "palette" else (None, _depth(page))
    samples: Samples = np.empty((page.height, page.width, channels), dtype=np.uint8 if depth == 8 else np.uint16)
    rows = max(1, _BAND_PIXELS // page.width)
    for top in range(0, page.height, rows):
        band, converted = cast("Samples", raw[top : top + rows]), samples[top : top + rows]
        colours = band[:, :, : page.colour_samples]
        if palette is not None:
            np.take(palette, colours[:, :, 0], axis=0, out=converted[:, :, :3], mode="clip")
        elif page.colours == "cmyk":
            converted[:, :, :3] = _cmyk_as_srgb(change_depth(colours, page.bits, 8), icc)
        else:
            grown = change_depth(colours, page.bits, depth)
            converted[:, :, : page.colour_samples] = ~grown if page.is_inverted else grown
        if page.alpha is not None:
            alpha = change_depth(band[:, :, page.colour_samples], page.bits, depth)
            converted[:, :, -1] = alpha
            if page.alpha == "premultiplied":
                converted[:, :, :-1] = straight(converted[:, :, :-1], alpha)
    return samples


def colour_map(directory: Directory, page: Page) -> tuple[Samples, int]:
    """Returns the palette of a page, (2**bits, 3), and the bits of its colours, 8 where these lose nothing.

    Raises:
        ValueError: The palette is cut short.
    """
    size = 1 << page.bits
    values = np.asarray(directory.numbers(_COLOUR_MAP, 3 * size), dtype=np.uint16)
    if values.size < 3 * size:
        raise ValueError("the palette is cut short")
    palette = np.ascontiguousarray(values.reshape(3, size).T)
    if not (palette % 257).any() or not (palette % 256).any():
        return (palette >> 8).astype(np.uint8), 8
    if palette.max() < 256:  # as some programs write them
        return palette.astype(np.uint8), 8
    return palette, 16


def straight(colours: NDArray[_Sample], alpha: NDArray[_Sample]) -> NDArray[_Sample]:
    """Returns colours divided by their opacity; what is fully transparent becomes black.

    Args:
        colours: (H, W, C) of integers of the full range of their type, or light.
        alpha: (H, W) of the same type.
    """
    is_float = colours.dtype.kind == "f"
    peak = 1.0 if is_float else float((1 << 8 * colours.dtype.itemsize) - 1)
    opacity = alpha.astype(np.float64)[:, :, np.newaxis] / peak
    is_seen = opacity > _LEAST_OPACITY
    divided = np.where(is_seen, colours / np.where(is_seen, opacity, 1), 0)
    rounded = divided if is_float else np.rint(np.minimum(divided, peak))
    return rounded.astype(colours.dtype)


def _depth(page: Page) -> int:
    """Returns the bits that samples of a page without palette get."""
    return 8 if page.bits <= 8 or page.colours == "cmyk" else 16


def _cmyk_as_srgb(inks: Samples, icc: bytes | None) -> Samples:
    """Returns inks (H, W, 4) of 8 bits as sRGB."""
    height, width, _ = inks.shape
    return cmyk_to_srgb(Image.frombuffer("CMYK", (width, height), np.ascontiguousarray(inks).tobytes()), icc)
