"""What the directories of a RAW file that is built like a TIFF say: which of them is the sensor's, and what it shows.

Source: Adobe, Digital Negative Specification 1.7.1, chapters 4 to 6; TIFF 6.0; TIFF/EP (ISO 12234-2).
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from sr_core.image.tiff.ifd import Directory, Form, form_of

__all__ = ["Area", "RawTags", "full_name", "raw_tags", "text_of"]

_MOST_DIRECTORIES: Final = 64
_MOST_XMP_BYTES: Final = 1 << 21
_MOST_NAME: Final = 64

_SUBFILE: Final = 254
_WIDTH: Final = 256
_HEIGHT: Final = 257
_BITS: Final = 258
_COMPRESSION: Final = 259
_PHOTOMETRIC: Final = 262
_MAKE: Final = 271
_MODEL: Final = 272
_ORIENTATION: Final = 274
_SAMPLES: Final = 277
_SUB_DIRECTORIES: Final = 330
_XMP: Final = 700
_DNG_VERSION: Final = 50706
_UNIQUE_MODEL: Final = 50708
_BLACK_REPEAT: Final = 50713
_BLACK: Final = 50714
_WHITE: Final = 50717
_ACTIVE_AREA: Final = 50829

_MOSAIC: Final = 32803
_LINEAR_RAW: Final = 34892
_MAIN_SUBFILE: Final = 0
_RAW_COMPRESSIONS: Final = frozenset({32767, 32769, 32770, 32772, 34713, 34892, 52546, 65000, 65535})
"""Sony, packed, Samsung (two), Nikon, lossy DNG, JPEG XL of DNG, Kodak, Pentax: no picture is stored in these ways."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A part of a picture.

    Attributes:
        top: Its first row.
        left: Its first column.
        height: Rows.
        width: Columns.
    """

    top: int = 0
    left: int = 0
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def is_inside(self, height: int, width: int) -> bool:
        """Returns whether it lies in a picture of this size and is not empty."""
        is_begun = min(self.top, self.left) >= 0 and min(self.height, self.width) > 0
        return is_begun and self.top + self.height <= height and self.left + self.width <= width


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTags:
    """The directories of a file that is built like a TIFF.

    Attributes:
        form: How its numbers are written.
        directories: IFD0, those that follow it, and those inside them; at least one.
        sensor: That of the main image of a sensor, or None where none is marked as such.
    """

    form: Form
    directories: tuple[Directory, ...]
    sensor: Directory | None

    @property
    def first(self) -> Directory:
        """IFD0."""
        return self.directories[0]

    @property
    def is_dng(self) -> bool:
        """Whether the file calls itself a DNG."""
        return _DNG_VERSION in self.first

    @property
    def is_raw(self) -> bool:
        """Whether the file holds the values of a sensor, and not only pictures."""
        return self.is_dng or any(
            directory.whole(_PHOTOMETRIC) in (_MOSAIC, _LINEAR_RAW)
            or directory.whole(_COMPRESSION) in _RAW_COMPRESSIONS
            for directory in self.directories
        )

    @property
    def is_linear(self) -> bool:
        """Whether the main image has all colours at each pixel."""
        return self.sensor is not None and self.sensor.whole(_PHOTOMETRIC) == _LINEAR_RAW

    @property
    def compression(self) -> int:
        """How the main image is compressed, 1 for not at all."""
        return self.sensor.whole(_COMPRESSION, 1) if self.sensor else 1

    @property
    def bits(self) -> int:
        """Bits of a sample of the main image, or 0 where they are not known."""
        return self.sensor.whole(_BITS) if self.sensor else 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels of the main image masked pixels included; zeros where it is not marked."""
        sensor = self.sensor
        return (0, 0, 0) if sensor is None else (*_size(sensor), sensor.whole(_SAMPLES, 1))

    @property
    def seen(self) -> Area:
        """The part of the main image that sees light; all of it where the tags make no sense.

        A crop that the camera suggests inside of it is not taken: LibRaw, dcraw and others develop all that was seen.
        """
        height, width, _ = self.shape
        whole = Area(height=height, width=width)
        active = _integers(self.sensor, _ACTIVE_AREA) if self.sensor else ()
        if len(active) != 4:
            return whole
        top, left, bottom, right = active
        area = Area(top=top, left=left, height=bottom - top, width=right - left)
        return area if area.is_inside(height, width) else whole

    def levels(self, channel: int) -> tuple[float, float] | None:
        """Returns the values of a channel of a linear image that stand for black and white; None without sense."""
        sensor = self.sensor
        if sensor is None or (sensor.numbers(_BLACK_REPEAT, 2) or (1, 1)) != (1, 1):
            return None
        blacks, whites = sensor.numbers(_BLACK), sensor.numbers(_WHITE)
        black = blacks[min(channel, len(blacks) - 1)] if blacks else 0
        white = whites[min(channel, len(whites) - 1)] if whites else (1 << self.bits) - 1
        return (black, white) if white > black else None

    @property
    def orientation(self) -> int:
        """EXIF orientation 1 to 8."""
        found = self.first.whole(_ORIENTATION, 1)
        return found if 1 <= found <= 8 else 1

    @property
    def camera_name(self) -> str:
        """Maker and model, or an empty text."""
        unique = text_of(self.first, _UNIQUE_MODEL)
        return unique or full_name(text_of(self.first, _MAKE), text_of(self.first, _MODEL))

    @property
    def xmp(self) -> bytes | None:
        """XMP packet."""
        entry = self.first.entries.get(_XMP)
        return None if entry is None else self.first.data_of(entry, _MOST_XMP_BYTES).rstrip(b"\x00") or None

    @property
    def subfiles(self) -> frozenset[int]:
        """What the directories are for (NewSubfileType)."""
        return frozenset(directory.whole(_SUBFILE) for directory in self.directories)


def raw_tags(data: bytes) -> RawTags | None:
    """Returns the directories of a file, or None for one that is not built like a TIFF.

    Args:
        data: The file; from it a bounded number of directories is read, each one once.
    """
    form = form_of(data)
    if form is None:
        return None
    found: dict[int, Directory] = {}
    waiting = deque([form.first_at])
    while waiting and len(found) < _MOST_DIRECTORIES:
        at = waiting.popleft()
        if at in found:
            continue
        found[at] = directory = Directory(data, form, at)
        inside = [number for number in directory.numbers(_SUB_DIRECTORIES) if isinstance(number, int)]
        waiting.extend(place for place in (*inside, directory.next_at) if place)
    directories = tuple(found.values())
    marked = [
        directory
        for directory in directories
        if directory.whole(_PHOTOMETRIC) in (_MOSAIC, _LINEAR_RAW) and directory.whole(_SUBFILE) == _MAIN_SUBFILE
    ]
    sensor = max(marked, key=lambda directory: _size(directory)[0] * _size(directory)[1], default=None)
    return RawTags(form=form, directories=directories, sensor=sensor)


def text_of(directory: Directory, tag: int) -> str:
    """Returns a text as one line, or an empty one."""
    entry = directory.entries.get(tag)
    data = b"" if entry is None else directory.data_of(entry, _MOST_NAME)
    text = data.split(b"\x00", 1)[0].decode("utf-8", "replace")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def full_name(make: str, model: str) -> str:
    """Returns maker and model of a camera as one name; many models begin with a word of the maker."""
    words = make.lower().split()
    return model if model and model.lower().split()[0] in words else f"{make} {model}".strip()


def _size(directory: Directory) -> tuple[int, int]:
    """Returns rows and columns of an image."""
    return directory.whole(_HEIGHT), directory.whole(_WIDTH)


def _integers(directory: Directory, tag: int) -> tuple[int, ...]:
    """Returns numbers that may be written as fractions, rounded."""
    return tuple(round(number) for number in directory.numbers(tag))
