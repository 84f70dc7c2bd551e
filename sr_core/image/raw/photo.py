"""RAW photos of every kind into the light of their sensors, and that light into a linear DNG.

A Picture of a RAW photo is in the camera's own colour space, before any white balance: nothing has been decided that
the photographer could still want to decide. Its signal is white-balanced all the same, because a network knows photos
in which white is white; the gains of its ``Transfer`` take that back.
"""

from dataclasses import replace
from typing import BinaryIO, Final

import numpy as np

from sr_core.image.camera import UNKNOWN_FROM_XYZ, CameraColour, as_matrix, moderate_exposure
from sr_core.image.family import Decoded, Holds, Quality
from sr_core.image.header import Stored
from sr_core.image.picture import Extra, Metadata, Picture
from sr_core.image.raw.capture import camera_of, capture_of, with_exif_apart
from sr_core.image.raw.libraw import Developed, RawFrame, develop, open_raw, preview_exif, raw_frame
from sr_core.image.raw.linear_dng import PROFILE_KIND, write_linear_dng
from sr_core.image.raw.linear_light import develop_linear, holds_linear_light, refuse_packed
from sr_core.image.raw.profile import exposure_of, lost_parts, matrix_of, profile_of
from sr_core.image.raw.tags import RawTags, raw_tags
from sr_core.image.raw.whole import refuse_cut
from sr_core.image.tiff.exif import exif_of, stays_behind
from sr_core.image.transfer import fitted_transfer, signal_of_samples

__all__ = ["HOLDS", "parse", "pixels", "write"]

HOLDS = Holds(
    bits=(16,),
    longest_side=65000,
    most_pixels=250_000_000,  # LibRaw refuses linear DNGs that take it 2 GiB, 8 bytes a pixel
    alpha=False,
    linear=True,
    camera=True,
    takes_exif_apart=True,
)

_BAND_ROWS: Final = 512
_LOOK_SIDE: Final = 256
_PEAK: Final = 65535
_UNKNOWN_SAMPLES: Final = "sensor values"


def parse(data: bytes) -> Stored:
    """Returns what a RAW file says of itself, without decoding a pixel.

    Raises:
        UnsupportedFormatError: It is of a kind that is not read here.
        ValueError: It is damaged or cut short.
    """
    tags = raw_tags(data)
    refuse_packed(tags)
    refuse_cut(data, tags)
    if tags is not None and holds_linear_light(tags):
        frame, preview = _linear_frame(tags), None
    else:
        with open_raw(data) as raw:
            frame = raw_frame(raw)
            preview = None if tags else capture_of(preview_exif(raw))
    block = exif_of(data)
    exif = with_exif_apart(block.exif) or preview
    lost = lost_parts(tags) if tags else ()
    stretched = ("The pixels of this camera are not square; the result has square ones.",) if frame.is_stretched else ()
    return Stored(
        height=frame.height,
        width=frame.width,
        bit_depth=16,
        channels=frame.channels,
        has_alpha=False,
        orientation=frame.orientation,
        metadata=Metadata(exif=exif, xmp=tags.xmp if tags else None, extras=_extras(tags)),
        kind=_kind(tags, exif),
        samples=f"{tags.bits} bit" if tags and 0 < tags.bits <= 16 else _UNKNOWN_SAMPLES,
        notices=tuple(dict.fromkeys((*stretched, *lost, *block.notices, *stays_behind(exif)))),
    )


def pixels(data: bytes, stored: Stored) -> Decoded:
    """Returns the light of a RAW file as a signal, not yet turned upright.

    Raises:
        UnsupportedFormatError: It is of a kind that is not read here.
    """
    tags = raw_tags(data)
    if tags is not None and holds_linear_light(tags):
        developed = develop_linear(data, tags)
    else:
        with open_raw(data) as raw:
            developed = develop(raw, raw_frame(raw))
    camera, notices = _camera(developed, tags, stored.channels)
    samples = developed.samples
    transfer = fitted_transfer(samples, bits=16)
    for top in range(0, samples.shape[0], _BAND_ROWS):  # in place: the light of a large photo is half a gigabyte
        band = samples[top : top + _BAND_ROWS]
        band[...] = signal_of_samples(band, transfer)
    return Decoded(samples=samples, transfer=replace(transfer, gains=developed.balance), camera=camera, notices=notices)


def write(picture: Picture, file: BinaryIO, quality: Quality) -> None:  # noqa: ARG001 - a DNG is lossless
    """Writes a picture in camera space as a linear DNG to an empty file, open for reading and writing."""
    write_linear_dng(picture, file)


def _linear_frame(tags: RawTags) -> RawFrame:
    """Returns the size and kind of a linear DNG."""
    seen = tags.seen
    return RawFrame(
        height=seen.height,
        width=seen.width,
        channels=tags.shape[2],
        orientation=tags.orientation,
        is_stretched=False,
    )


def _extras(tags: RawTags | None) -> tuple[Extra, ...]:
    """Returns the parts that only a DNG can hold."""
    profile = profile_of(tags) if tags else None
    name = "The colour profile of this RAW photo"
    return () if profile is None else (Extra(kind=PROFILE_KIND, name=name, data=profile),)


def _kind(tags: RawTags | None, exif: bytes | None) -> str:
    """Returns what the file is called."""
    family = "DNG" if tags and tags.is_dng else "RAW"
    name = (tags.camera_name if tags else "") or camera_of(exif)
    return f"{family} ({name})" if name else family


def _camera(developed: Developed, tags: RawTags | None, channels: int) -> tuple[CameraColour, tuple[str, ...]]:
    """Returns what the channels mean, and a sentence for each thing about them that had to be assumed."""
    notices: list[str] = []
    is_dng = tags is not None and tags.is_dng
    matrix = matrix_of(tags) if tags and is_dng else None
    if matrix is None and developed.from_xyz is not None:
        matrix = as_matrix(developed.from_xyz)
    if matrix is None and channels == 3:
        notices.append("The colours of this camera are not known, so they may look pale or tinted.")
    if not developed.is_balance_known:
        notices.append("The file states no white balance, so that of daylight is assumed.")
    first, second, third = (min(developed.balance) / factor for factor in (developed.balance * 3)[:3])
    asked = exposure_of(tags) if tags and is_dng else 1.0
    camera = CameraColour(neutral=(first, second, third), from_xyz=matrix or UNKNOWN_FROM_XYZ, exposure=asked)
    rows, columns = (max(1, side // _LOOK_SIDE) for side in developed.samples.shape[:2])
    light = developed.samples[::rows, ::columns].astype(np.float32) / np.float32(_PEAK)
    light /= np.asarray(developed.balance, np.float32)
    return replace(camera, exposure=asked * moderate_exposure(light, camera)), tuple(notices)
