"""A visitor's job, from the file that was uploaded to the file that is downloaded; knows no Gradio."""

import math
import re
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

from sr_core.errors import OptionError, OutputError, PhotoError, PhotoTooLargeError
from sr_core.image.encode import EncodedInfo, check_output, extension_of
from sr_core.image.header import Header
from sr_core.image.metadata import has_location
from sr_core.image.picture import PhotoFormat, Picture
from sr_core.image.scratch import memory_bytes
from sr_core.infer.estimate import estimate_peak_bytes
from sr_core.infer.model import LoadedModel
from sr_core.infer.upscale import TileProgress, upscale
from ui import text
from ui.studio import Studio
from zoo.release import Release

__all__ = [
    "Enlarged", "Finished", "Order", "Stage", "check_result", "chosen_format", "enlarge_photo", "photo_path",
    "result_name", "upscale_photo",
]  # fmt: skip

_MIB: Final = 1 << 20
_LONGEST_STEM: Final = 80
_GRACE: Final = 1.5
"""An estimate may be wrong by this factor before the clock stops a job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a visitor asks for.

    Attributes:
        photo: The uploaded file.
        model_id: Which model.
        save_as: A photo format, or ``same`` for that of the photo.
        remove_location: Whether the file must not tell where the photo was taken.
    """

    photo: Path
    model_id: str
    save_as: str
    remove_location: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a job is doing: ``done`` of ``total`` tiles, ``total`` 0 where there are no tiles to count."""

    words: str
    detail: str = ""
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Enlarged:
    """What a network made of a photo, both in memory."""

    photo: Picture
    result: Picture
    tiles: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A job's result: the pictures in memory, the file, and whether the file tells where the photo was taken."""

    release: Release
    photo: Picture
    result: Picture
    file: EncodedInfo
    has_location: bool
    tiles: int
    seconds: float

    @property
    def notices(self) -> tuple[str, ...]:
        """What of the photo is not in the file."""
        return (*self.photo.notices, *self.file.notices)


def upscale_photo(studio: Studio, order: Order, folder: Path) -> Generator[Stage, None, Finished]:
    """Yields what the job is doing, at least once for each batch of tiles, and returns its result.

    Closing the generator stops the computation.

    Args:
        studio: What the app owns.
        order: What is asked for.
        folder: Where the file is written.

    Raises:
        SRError: The photo, the model or the format cannot be used, or the job is too large or too long for this server.
    """
    release = studio.manifest.release(order.model_id)
    yield Stage(words=text.READING)
    header = studio.sandbox.read_header(order.photo, studio.settings.limits)
    photo_format = chosen_format(order.save_as, header.format)
    check_result(header, release, photo_format)
    made = yield from enlarge_photo(studio, order.photo, header, release)
    yield Stage(words=text.WRITING, done=1, total=1)
    name = result_name(order.photo, release.variant.spec.scale, photo_format)
    file = studio.sandbox.encode(
        made.result, folder / name, photo_format=photo_format, remove_location=order.remove_location
    )
    return Finished(
        release=release,
        photo=made.photo,
        result=made.result,
        file=file,
        has_location=has_location(made.photo.metadata) and not order.remove_location,
        tiles=made.tiles,
        seconds=made.seconds,
    )


def enlarge_photo(studio: Studio, path: Path, header: Header, release: Release) -> Generator[Stage, None, Enlarged]:
    """Yields what the job is doing, and returns the enlarged picture; as :func:`upscale_photo`, without a file.

    Args:
        studio: What the app owns.
        path: The photo.
        header: What is known of it before it is decoded.
        release: Which model.

    Raises:
        SRError: The photo or the model cannot be used, or the job is too large or too long for this server.
    """
    _check(studio, header, release)
    yield Stage(words=text.LOADING_MODEL.format(model=release.label))
    model = studio.models.get(release.id)
    _check_memory(studio, header, model)
    photo = studio.sandbox.decode(path, studio.settings.limits)
    started = time.monotonic()
    tiles = 0
    with closing(upscale(photo, model.engine, model.tiling, speed=studio.speeds.of(release))) as work:
        while True:
            try:
                tile = next(work)
            except StopIteration as end:
                result: Picture = end.value
                break
            _check_clock(studio, time.monotonic() - started)
            tiles = tile.total
            yield _stage(release, tile)
    seconds = time.monotonic() - started
    studio.speeds.record(release, photo.height, photo.width, seconds)
    return Enlarged(photo=photo, result=result, tiles=tiles, seconds=seconds)


def chosen_format(name: str, of_the_photo: PhotoFormat) -> PhotoFormat:
    """Returns the family of files that a choice means.

    Args:
        name: A photo format, or ``same``.
        of_the_photo: What ``same`` means.

    Raises:
        OptionError: There is no such format.
    """
    if name == text.AS_THE_PHOTO:
        return of_the_photo
    for known in get_args(PhotoFormat):
        if name == known:
            return known
    formats = ", ".join((text.AS_THE_PHOTO, *get_args(PhotoFormat)))
    raise OptionError(text.BAD_FORMAT.format(name=name, known=formats))


def check_result(header: Header, release: Release, photo_format: PhotoFormat) -> None:
    """Refuses a result that its family of files cannot hold.

    Args:
        header: The photo.
        release: The model that enlarges it.
        photo_format: Family of the result.

    Raises:
        OutputError: The family cannot hold such a picture.
    """
    scale = release.variant.spec.scale
    check_output(
        photo_format,
        header.height * scale,
        header.width * scale,
        source_format=header.format,
        has_alpha=header.has_alpha,
    )


def photo_path(uploaded: str | None) -> Path:
    """Returns the uploaded file.

    Raises:
        PhotoError: Nothing was uploaded, or the server has deleted it in the meantime.
    """
    if not uploaded:
        raise PhotoError(text.NO_PHOTO)
    path = Path(uploaded)
    if not path.is_file():
        raise PhotoError(text.PHOTO_GONE)
    return path


def result_name(photo: Path, scale: int, photo_format: PhotoFormat) -> str:
    """Returns the name of the file to download, such as ``holiday_x2.jpg``; only characters that any system takes."""
    stem = re.sub(r"[^\w .()+-]+", "_", photo.stem).strip(" ._")[:_LONGEST_STEM] or "photo"
    return f"{stem}_x{scale}{extension_of(photo_format)}"


def _check(studio: Studio, header: Header, release: Release) -> None:
    """Refuses before any work what would be refused after it."""
    scale, settings = release.variant.spec.scale, studio.settings
    height, width = header.height * scale, header.width * scale
    if height * width > settings.max_result_pixels:
        raise OutputError(
            text.RESULT_TOO_LARGE.format(
                megapixels=f"{height * width / 1e6:.0f}", limit=f"{settings.max_result_pixels / 1e6:.0f}"
            )
        )
    seconds = studio.speeds.seconds(release, header.height, header.width)
    if seconds is not None and seconds > settings.max_job_seconds:
        limit = text.duration_text(settings.max_job_seconds)
        raise PhotoTooLargeError(text.TOO_LONG.format(duration=text.duration_text(seconds), limit=limit))


def _check_memory(studio: Studio, header: Header, model: LoadedModel) -> None:
    """Refuses, before any pixel is decoded, what would take more memory than a job may have."""
    limit = studio.settings.max_job_bytes
    needed = max(estimate_peak_bytes(header, model.engine, model.tiling), _shown_bytes(header, model.engine.scale))
    if needed > limit:
        raise PhotoTooLargeError(
            text.TOO_MUCH_MEMORY.format(needed=f"{math.ceil(needed / _MIB)}", limit=f"{limit // _MIB}")
        )


def _shown_bytes(header: Header, scale: int) -> int:
    """Returns the memory at work when a result is shown: the photo, two enlargements and their difference.

    What is large of these is in files.
    """
    pixels, area = header.height * header.width, scale**2
    photo_bytes = pixels * (1 if header.bit_depth == 8 else 2) * (header.channels + header.has_alpha)
    return memory_bytes(photo_bytes) + 2 * memory_bytes(photo_bytes * area) + memory_bytes(2 * pixels * area)


def _check_clock(studio: Studio, seconds: float) -> None:
    limit = studio.settings.max_job_seconds
    if seconds > _GRACE * limit:
        raise PhotoTooLargeError(text.STOPPED_LATE.format(limit=text.duration_text(_GRACE * limit)))


def _stage(release: Release, tile: TileProgress) -> Stage:
    detail = text.PART.format(done=tile.done, total=tile.total)
    if tile.seconds_left is not None and tile.done < tile.total:
        detail += " · " + text.TIME_LEFT.format(duration=text.duration_text(tile.seconds_left))
    return Stage(words=text.WORKING.format(model=release.label), detail=detail, done=tile.done, total=tile.total)
