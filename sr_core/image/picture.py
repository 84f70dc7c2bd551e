"""The one in-memory form of a photo, upright and at its own bit depth."""

from dataclasses import dataclass, field, replace
from typing import Final, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sr_core.image.camera import CameraColour
from sr_core.image.transfer import Transfer

__all__ = ["FORMAT_NAMES", "Chroma", "Extra", "Metadata", "PhotoFormat", "Picture", "Samples"]

Samples: TypeAlias = NDArray[np.uint8 | np.uint16]
PhotoFormat: TypeAlias = Literal["jpeg", "png", "webp", "heic", "avif", "tiff", "dng"]
"""A family of files; ``dng`` stands for every kind of RAW when it is read, and is a linear DNG when it is written."""
FORMAT_NAMES: Final[dict[PhotoFormat, str]] = {
    "jpeg": "JPEG", "png": "PNG", "webp": "WebP", "heic": "HEIC", "avif": "AVIF", "tiff": "TIFF", "dng": "DNG",
}  # fmt: skip
Chroma: TypeAlias = Literal["420", "422", "444"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """A part of a file that only its own family can hold; it goes into a result of that family as it is.

    Attributes:
        kind: The family's own word for it, such as ``gain-map``.
        name: What a visitor calls it, as in "The HDR gain map of this JPEG ...".
        data: Its bytes, in a form that only its family reads.
    """

    kind: str
    name: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What travels beside the pixels, as the bytes of the file.

    Attributes:
        icc: ICC profile, or None for the format's default (sRGB).
        exif: EXIF block as TIFF bytes (without the ``Exif`` mark in front), orientation already reset to 1.
        xmp: XMP packet.
        nclx: Colour primaries, transfer, matrix and full-range flag (ITU-T H.273 code points) of a HEIC, AVIF or PNG.
        chroma: Chroma sampling of a HEIC, AVIF or JPEG, or None where the file has none (grey, other families).
        dpi: Pixels per inch across and down, as the file's own header states them, or None.
        transfer: How the samples of the file became the signal in the Picture, or None where they are the same.
        camera: The colour space of a camera that the signal is in, or None where ``icc`` or ``nclx`` state it.
        extras: Parts that only files of the Picture's own family can hold.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    nclx: tuple[int, int, int, int] | None = None
    chroma: Chroma | None = None
    dpi: tuple[float, float] | None = None
    transfer: Transfer | None = None
    camera: CameraColour | None = None
    extras: tuple[Extra, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Length of all that is kept as bytes."""
        parts = [self.icc, self.exif, self.xmp, *(extra.data for extra in self.extras)]
        return sum(len(part) for part in parts if part is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A photo as pixels: upright, as a signal that is fit for the eye and the network, never premultiplied.

    That is how nearly all files hold it. Samples that are proportional to light, or to far more light than a screen
    shows, are turned into such a signal by ``metadata.transfer`` and back when they are written.

    Attributes:
        pixels: (H, W, 3) RGB or (H, W, 1) grey; uint8 for 8 bits, uint16 for more; 0 to ``peak``.
        bit_depth: Bits of a sample: 8, 10, 12 or 16.
        alpha: Opacity (H, W) at the same depth and type, or None.
        source_format: The family the file belonged to; the result is written in the same one.
        metadata: What travels beside the pixels.
        notices: Sentences about what the file held and this picture does not (further frames, gain map, ...).
    """

    pixels: Samples
    bit_depth: int
    alpha: Samples | None = None
    source_format: PhotoFormat = "png"
    metadata: Metadata = field(default_factory=Metadata)
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Holds the record to its own description: a violation is a bug of the caller."""
        dtype = np.uint8 if self.bit_depth == 8 else np.uint16
        if self.pixels.ndim != 3 or self.pixels.shape[2] not in (1, 3) or self.pixels.dtype != dtype:
            raise ValueError(f"pixels of {self.bit_depth} bits cannot be {self.pixels.dtype} {self.pixels.shape}")
        if self.alpha is not None and (self.alpha.shape != self.pixels.shape[:2] or self.alpha.dtype != dtype):
            raise ValueError(f"alpha {self.alpha.dtype} {self.alpha.shape} does not fit {self.pixels.shape}")

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def peak(self) -> int:
        """The sample value of full intensity."""
        return (1 << self.bit_depth) - 1

    def crop(self, top: int, left: int, height: int, width: int) -> Self:
        """Returns a view of a part of the picture; the part is cut at the borders."""
        rows, columns = slice(top, top + height), slice(left, left + width)
        alpha = None if self.alpha is None else self.alpha[rows, columns]
        return replace(self, pixels=self.pixels[rows, columns], alpha=alpha)
