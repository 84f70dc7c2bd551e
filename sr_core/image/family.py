"""What every family of files offers: one module for each, with the same three functions and one record."""

from dataclasses import dataclass
from typing import BinaryIO, Protocol

from sr_core.image.camera import CameraColour
from sr_core.image.header import Stored
from sr_core.image.picture import Chroma, Picture, Samples
from sr_core.image.transfer import Transfer

__all__ = ["Decoded", "Family", "Holds", "Quality"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How faithfully a result is written.

    Attributes:
        jpeg: 1 to 100, in libjpeg's terms.
        webp: 1 to 100, in libwebp's terms.
        heic: 1 to 100, in libheif's terms.
        avif: 1 to 100, in libavif's terms.
        jpeg_chroma: Chroma sampling of a JPEG; None for that of the source.
        heic_chroma: Chroma sampling of a HEIC; None for that of the source, which phones are sure to show.
        avif_chroma: Chroma sampling of an AVIF; None for that of the source.
        png_level: Effort of the PNG compression, 1 (fast) to 9; the pixels are the same.
    """

    jpeg: int = 95
    webp: int = 95
    heic: int = 90
    avif: int = 95
    jpeg_chroma: Chroma | None = "444"
    heic_chroma: Chroma | None = None
    avif_chroma: Chroma | None = None
    png_level: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """The pixels of a file as they are stored, and what is only known once they are there.

    Attributes:
        samples: (H, W, C) as the header says, alpha as the last channel if any.
        transfer: How they were made from the samples of the file, where they are not the same.
        camera: Their colour space, where it is that of a camera.
        notices: Sentences about what the pixels turned out to be, or to lack.
    """

    samples: Samples
    transfer: Transfer | None = None
    camera: CameraColour | None = None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """What a file of a family can hold.

    Attributes:
        bits: Depths of a sample that are written, ascending.
        longest_side: Most pixels a side.
        deepest: The depth that deeper samples get, or None for the greatest of ``bits``.
        most_pixels: Most pixels in all, or None.
        most_pixels_with_alpha: Most pixels of a picture with alpha, or None.
        grey: Whether there are grey pictures.
        alpha: Whether there is transparency.
        code_points: Whether colours can be stated by ITU-T H.273 code points.
        linear: Whether ``write`` takes a Picture with a transfer and itself turns the signal back.
        camera: Whether the colours are those of a camera.
        takes_exif_apart: Whether the directories of an EXIF block become those of the file; what works only where it
            lies, as some maker notes do, stays behind.
        exif_bytes: Longest EXIF block, or None.
        xmp_bytes: Longest XMP packet, or None.
    """

    bits: tuple[int, ...]
    longest_side: int
    deepest: int | None = None
    most_pixels: int | None = None
    most_pixels_with_alpha: int | None = None
    grey: bool = True
    alpha: bool = True
    code_points: bool = False
    linear: bool = False
    camera: bool = False
    takes_exif_apart: bool = False
    exif_bytes: int | None = None
    xmp_bytes: int | None = None


class Family(Protocol):
    """A module that reads and writes the files of one family; engines may raise anything."""

    @property
    def HOLDS(self) -> Holds:  # noqa: N802 - a constant of the module
        """What its files can hold."""
        ...

    @staticmethod
    def parse(data: bytes) -> Stored:
        """Returns what a file says of itself, without decoding a pixel."""
        ...

    @staticmethod
    def pixels(data: bytes, stored: Stored) -> Decoded:
        """Returns the pixels of a file that was parsed."""
        ...

    @staticmethod
    def write(picture: Picture, file: BinaryIO, quality: Quality) -> None:
        """Writes a picture that the family can hold to an empty file, open for reading and writing."""
        ...
