"""The colours of a DNG: its camera space, and the tags that stay true for another number of pixels in it.

Source: Adobe, Digital Negative Specification 1.7.1, chapters 4 (tags) and 6 (mapping camera colour space to CIE XYZ).
"""

import math
from typing import Final

import numpy as np

from sr_core.image.camera import Matrix, as_matrix
from sr_core.image.raw.gain_table import GAIN_TABLE, turned_gain_table
from sr_core.image.raw.tags import RawTags
from sr_core.image.tiff.ifd import Directory, Entry, Form, Value, directory_bytes, reordered

__all__ = [
    "PROFILE_FORM",
    "dng_version",
    "exposure_of",
    "lost_parts",
    "matrix_of",
    "neutral_of",
    "profile_of",
    "profile_values",
]

PROFILE_FORM: Final = Form(order="little", is_big=False, first_at=8)
_MOST_PROFILE_BYTES: Final = 16 << 20
_MOST_STOPS: Final = 4.0
_RATIONALS: Final = (5, 10)

_COLOR_MATRICES: Final = (50721, 50722)
_CALIBRATIONS: Final = (50723, 50724)
_ILLUMINANTS: Final = (50778, 50779)
_ANALOG_BALANCE: Final = 50727
_NEUTRAL: Final = 50728
_WHITE_XY: Final = 50729
_EXPOSURES: Final = (50730, 51109)
_DAYLIGHT: Final = (21, 20, 23, 22, 1, 4)
"""CalibrationIlluminant from the one of sRGB outwards: D65, D55, D50, D75, daylight, flash."""

_PROFILE: Final = frozenset(
    (
        *(50708, 50709, *range(50721, 50725), *range(50727, 50733), *range(50734, 50737), 50739, 50778, 50779),
        *(*range(50831, 50835), 50879, 50931, 50932, 50934, 50936, *range(50937, 50943), 50964, 50965, 50981, 50982),
        *(51107, 51108, 51109, 51110, *range(52529, 52538), 52543, 52551, 52552),
    )
)
"""Tags of IFD0 that say what camera space means and how it is shown, whatever the number of pixels."""
_SINCE: Final[tuple[tuple[frozenset[int], int], ...]] = (
    (frozenset({52543, 52551, 52552}), 7),
    (frozenset({GAIN_TABLE, *range(52529, 52539)}), 6),
)
_PLAIN_VERSION: Final = 4

_LOST: Final[tuple[tuple[frozenset[int], str], ...]] = (
    (
        frozenset({51008, 51009, 51022}),
        "The corrections of lens and sensor that this DNG lists (opcode lists) are not applied and not kept.",
    ),
    (
        frozenset({50935, 51041}),
        "What this DNG says of its noise (noise profile, noise reduction) is about the original pixels and not kept.",
    ),
    (frozenset({50740}), "The private data of the camera maker in this DNG is not kept."),
    (frozenset({50933}), "The further colour profiles of this DNG are not kept; its main profile is."),
    (frozenset({50828}), "The original RAW file inside this DNG is not kept."),
    (frozenset({52544}), "A local tone map of this DNG (ProfileGainTableMap2) is not kept."),
)
_LOST_SUBFILES: Final[dict[int, str]] = {
    4: "The transparency mask of this DNG is not kept.",
    8: "The depth map of this DNG is not kept.",
    16: "The enhanced version of the photo in this DNG is not kept.",
    65540: "The semantic masks of this DNG are not kept.",
}


def matrix_of(tags: RawTags) -> Matrix | None:
    """Returns XYZ to camera space for daylight, calibration included; None without a usable matrix."""
    first = tags.first
    found = [place for place, tag in enumerate(_COLOR_MATRICES) if len(first.numbers(tag)) == 9]
    if not found:
        return None
    lights = [first.whole(tag) for tag in _ILLUMINANTS]
    place = min(found, key=lambda at: _DAYLIGHT.index(lights[at]) if lights[at] in _DAYLIGHT else len(_DAYLIGHT))
    matrix = np.array(first.numbers(_COLOR_MATRICES[place]), np.float64).reshape(3, 3)
    calibration, balance = first.numbers(_CALIBRATIONS[place]), first.numbers(_ANALOG_BALANCE)
    if len(calibration) == 9:
        matrix = np.array(calibration, np.float64).reshape(3, 3) @ matrix
    if len(balance) == 3:
        matrix = np.array(balance, np.float64)[:, np.newaxis] * matrix
    return as_matrix(matrix)


def neutral_of(tags: RawTags) -> tuple[float, ...]:
    """Returns what the camera gave for white, for each channel; nothing where the tags do not say."""
    neutral = tags.first.numbers(_NEUTRAL, 3)
    if neutral:
        return tuple(float(number) for number in neutral)
    white, matrix = tags.first.numbers(_WHITE_XY), matrix_of(tags)
    if len(white) != 2 or white[1] <= 0 or matrix is None:
        return ()
    xyz = np.array([white[0], white[1], 1 - white[0] - white[1]]) / white[1]
    return tuple(float(number) for number in np.array(matrix) @ xyz)


def exposure_of(tags: RawTags) -> float:
    """Returns by how much the maker of a DNG wants its light multiplied for display; 1 where it does not say."""
    stops = sum(sum(tags.first.numbers(tag, 1)) for tag in _EXPOSURES)
    return 2.0 ** min(max(stops, -_MOST_STOPS), _MOST_STOPS) if math.isfinite(stops) else 1.0


def lost_parts(tags: RawTags) -> tuple[str, ...]:
    """Returns a sentence for each part of a DNG that a picture, or another number of pixels, cannot have."""
    if not tags.is_dng:
        return ()
    present = {tag for directory in tags.directories for tag in directory.entries}
    parts = [sentence for subfile, sentence in _LOST_SUBFILES.items() if subfile in tags.subfiles]
    return (*(sentence for gone, sentence in _LOST if gone & present), *parts)


def profile_of(tags: RawTags) -> bytes | None:
    """Returns the colour profile of a DNG, which :func:`profile_values` reads; None for another file."""
    if not tags.is_dng:
        return None
    values = [
        value if tags.form.order == PROFILE_FORM.order else reordered(value)
        for tag, entry in tags.first.entries.items()
        if tag in _PROFILE and 0 < entry.size_bytes <= _MOST_PROFILE_BYTES and not _is_undefined(tags.first, entry)
        for value in (tags.first.value_of(entry),)
    ]
    values.extend(_gain_table(tags))
    header = b"II*\x00" + PROFILE_FORM.first_at.to_bytes(4, "little")
    return header + directory_bytes(values, PROFILE_FORM.first_at, PROFILE_FORM) if values else None


def profile_values(profile: bytes) -> list[Value]:
    """Returns the tags of a colour profile that :func:`profile_of` made, in little-endian order."""
    directory = Directory(profile, PROFILE_FORM, PROFILE_FORM.first_at)
    return [directory.value_of(entry) for entry in directory.entries.values()]


def dng_version(values: list[Value]) -> int:
    """Returns the second number of the first version of DNG that knows all of some tags, at least 1.4."""
    tags = {value.tag for value in values}
    return max((version for since, version in _SINCE if since & tags), default=_PLAIN_VERSION)


def _is_undefined(directory: Directory, entry: Entry) -> bool:
    """Returns whether a value has a fraction without a denominator, which some cameras write for "not known"."""
    if entry.kind not in _RATIONALS:
        return False
    data = directory.data_of(entry)
    return any(not any(data[at + 4 : at + 8]) for at in range(0, len(data), 8))


def _gain_table(tags: RawTags) -> list[Value]:
    """Returns the local tone map for the upright picture, if there is one."""
    for directory in (tags.sensor, tags.first):
        entry = None if directory is None else directory.entries.get(GAIN_TABLE)
        if directory is not None and entry is not None and entry.size_bytes <= _MOST_PROFILE_BYTES:
            turned = turned_gain_table(directory.data_of(entry), tags.form.order, tags.orientation)
            return [] if turned is None else [Value(tag=GAIN_TABLE, kind=entry.kind, count=len(turned), data=turned)]
    return []
