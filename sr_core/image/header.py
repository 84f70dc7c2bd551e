"""What a file says of itself before any pixel is decoded, and the limits it is held to."""

from dataclasses import dataclass, field
from typing import Final

from sr_core.errors import PhotoTooLargeError
from sr_core.image.orientation import swaps_sides
from sr_core.image.picture import FORMAT_NAMES, Metadata, PhotoFormat

__all__ = ["Header", "Limits", "Stored", "guard_bytes", "guard_pixels"]

_MIB: Final = 1 << 20
_MEGAPIXEL: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The largest photo that is taken in.

    Attributes:
        max_file_bytes: Size of the file.
        max_pixels: Height times width.
        max_side: Height or width, whichever is longer.
    """

    max_file_bytes: int = 64 * _MIB
    max_pixels: int = 50 * _MEGAPIXEL
    max_side: int = 16384


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A photo as its Picture will be, known without decoding it.

    Attributes:
        format: Family of the file.
        height: Rows when upright.
        width: Columns when upright.
        bit_depth: Bits of a sample of the Picture: 8, 10, 12 or 16.
        channels: 3 for RGB or 1 for grey, alpha not counted.
        has_alpha: Whether there is an alpha channel, opaque or not.
        size_bytes: Size of the file.
        kind: What the file is called, such as ``JPEG`` or ``RAW (Canon PowerShot G2)``.
        samples: What a sample of the file is, such as ``14 bit`` or ``32 bit float``.
        metadata: That of the Picture, without what only the pixels tell (``transfer``, ``camera``).
        notices: Sentences about what the file holds and a Picture does not.
    """

    format: PhotoFormat
    height: int
    width: int
    bit_depth: int
    channels: int
    has_alpha: bool
    size_bytes: int
    kind: str
    samples: str
    metadata: Metadata = field(default_factory=Metadata)
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A photo as its file stores it; each family parses its own files into this record.

    Attributes:
        height: Rows as stored.
        width: Columns as stored.
        bit_depth: Bits of a decoded sample: 8, 10, 12 or 16.
        channels: 3 for RGB or 1 for grey, alpha not counted.
        has_alpha: Whether the decoded samples end with an alpha channel.
        orientation: EXIF orientation 1 to 8 that the decoded samples still need.
        metadata: As in the file, EXIF orientation not yet reset.
        kind: What the file is called, where that is not the name of its family.
        samples: What a sample of the file is, where it is not an integer of ``bit_depth`` bits.
        notices: Sentences about what the file holds and a Picture does not.
    """

    height: int
    width: int
    bit_depth: int
    channels: int
    has_alpha: bool
    orientation: int
    metadata: Metadata
    kind: str | None = None
    samples: str | None = None
    notices: tuple[str, ...] = ()

    def header(self, photo_format: PhotoFormat, size_bytes: int) -> Header:
        """Returns the header of the upright photo, its metadata as in the file."""
        sides = (self.height, self.width)
        height, width = reversed(sides) if swaps_sides(self.orientation) else sides
        return Header(
            format=photo_format,
            height=height,
            width=width,
            bit_depth=self.bit_depth,
            channels=self.channels,
            has_alpha=self.has_alpha,
            size_bytes=size_bytes,
            kind=self.kind or FORMAT_NAMES[photo_format],
            samples=self.samples or f"{self.bit_depth} bit",
            metadata=self.metadata,
            notices=self.notices,
        )


def guard_bytes(size_bytes: int, limits: Limits) -> None:
    """Refuses a file with too many bytes.

    Raises:
        PhotoTooLargeError: The file is larger than the limit.
    """
    if size_bytes > limits.max_file_bytes:
        raise PhotoTooLargeError(
            f"The file has {size_bytes / _MIB:.1f} MiB and at most {limits.max_file_bytes / _MIB:.0f} MiB are"
            " accepted; please send a smaller file."
        )


def guard_pixels(height: int, width: int, limits: Limits) -> None:
    """Refuses a photo with too many pixels or too long a side.

    Raises:
        PhotoTooLargeError: The photo is larger than a limit.
    """
    if height * width > limits.max_pixels:
        raise PhotoTooLargeError(
            f"The photo is {width} x {height}, {height * width / _MEGAPIXEL:.1f} megapixels, and at most"
            f" {limits.max_pixels / _MEGAPIXEL:g} megapixels are accepted; please make it smaller first."
        )
    if max(height, width) > limits.max_side:
        raise PhotoTooLargeError(
            f"The photo is {width} x {height} and at most {limits.max_side} pixels a side are accepted;"
            " please make it smaller first."
        )
