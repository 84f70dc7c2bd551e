"""The pictures that raters compare: freely licensed ones, rendered in advance by every variant and kept without loss.

A picture is handed out as a PNG that tells nothing but its pixels: all files of a picture have the same length and the
same chunks, and each one differs in every byte that can differ.
"""

import hashlib
import io
import json
import struct
import threading
import zlib
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Self, TypeAlias, cast

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from ratings.vote import ANCHORS
from sr_core.errors import VoteError

__all__ = [
    "EMBEDDED",
    "PictureSet",
    "Rendering",
    "Shown",
    "Stimulus",
    "load_pictures",
    "renderings_of",
    "write_pictures",
]

EMBEDDED: Final = Path(__file__).parent / "pictures"
"""The set that comes with the project."""
SCHEMA: Final = 1

_LIST: Final = "set.json"
_Name: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
_Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Side: TypeAlias = Annotated[int, Field(ge=1, le=4096)]
_Pixels: TypeAlias = NDArray[np.uint8]

_MOST_DECODED: Final = 64
"""Decoded pictures kept: 20 MB at 320 x 320."""
_MOST_PACKED: Final = 16
"""Pictures whose PNGs are kept compressed: about 2.5 MB each with 17 systems."""
_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_NONCE: Final = b"nnCe"
"""A chunk that is ancillary, private and safe to copy, as the case of its letters says: readers pass over it."""
_LEAST_NONCE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Stimulus:
    """A picture that raters look at.

    Attributes:
        name: A word for it; votes name it.
        title: What it shows, for people.
        author: Who made it.
        rights: Under which terms it may be used.
        source: Where it comes from, and which part of it is shown.
        height: Rows that are shown.
        width: Columns that are shown.
    """

    name: _Name
    title: str
    author: str
    rights: str
    source: str
    height: _Side
    width: _Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A picture with what each system made of it: (height, width, 3) RGB."""

    stimulus: Stimulus
    pixels: Mapping[str, _Pixels]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """How a variant made its pictures.

    Attributes:
        variant: Its id.
        weights_sha256: Of the weight file.
        tile: Side of a tile in input pixels.
        overlap: Overlap of neighbouring tiles.
        fixed: Whether every tile has just that size, as in an app, or may be smaller.
    """

    variant: _Name
    weights_sha256: _Sha256
    tile: _Side
    overlap: Annotated[int, Field(ge=0)]
    fixed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A picture by one system, as it lies in a file.

    Attributes:
        bytes: Length of the file, a lossless WebP.
        sha256: Of the file.
        base: The system whose pixels must be added, modulo 256; None where the file holds the pixels themselves.
    """

    bytes: Annotated[int, Field(ge=1)]
    sha256: _Sha256
    base: _Name | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    stimulus: Stimulus
    files: dict[str, _File]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """What stands in ``set.json`` besides the schema number."""

    version: _Name
    tool: str
    renderings: tuple[Rendering, ...]
    pictures: tuple[_Listed, ...]

    @property
    def systems(self) -> tuple[str, ...]:
        return (*ANCHORS, *(rendering.variant for rendering in self.renderings))


_DOCUMENT: Final = TypeAdapter(tuple[_Document], config=ConfigDict(strict=True, extra="forbid"))


class PictureSet:
    """Pictures and what every system made of them. Safe between threads.

    Args:
        version: A word from the content of the whole set.
        pictures: The pictures, in a fixed order.
        systems: ``ANCHORS``, then ids of variants.
        files: By picture and system, the bytes of its file and the system whose pixels must be added to it.
    """

    def __init__(
        self,
        version: str,
        pictures: tuple[Stimulus, ...],
        systems: tuple[str, ...],
        files: Mapping[tuple[str, str], tuple[bytes, str | None]],
    ) -> None:
        self.version, self.pictures, self.systems = version, pictures, systems
        self._files = files
        self._by_name = {picture.name: picture for picture in pictures}
        self._decoded: OrderedDict[tuple[str, str], _Pixels] = OrderedDict()
        self._packed: OrderedDict[str, dict[str, bytes]] = OrderedDict()
        self._lock = threading.Lock()
        self._packing = {picture.name: threading.Lock() for picture in pictures}

    def only(self, variants: Collection[str]) -> Self:
        """Returns the same pictures by the anchors and by those of the variants that are in the set."""
        systems = tuple(system for system in self.systems if system in ANCHORS or system in variants)
        return type(self)(self.version, self.pictures, systems, self._files)

    def pixels(self, picture: str, system: str) -> _Pixels:
        """Returns what a system made of a picture: (height, width, 3) RGB, not to be written to.

        Raises:
            KeyError: There is no such picture or system.
        """
        self._check(picture, system)
        return self._pixels(picture, system)

    def png(self, picture: str, system: str, nonce: bytes) -> bytes:
        """Returns a PNG of what a system made of a picture.

        All PNGs of a picture have one length, whatever the system and the nonce. They hold the chunks IHDR, nnCe, IDAT
        and IEND; nnCe holds bytes made from the nonce that cannot be told from random ones, as many as the pixels,
        compressed, leave room for.

        The first PNG of a picture waits until all systems' pixels are compressed (:meth:`warm`).

        Args:
            picture: Name of the picture.
            system: An anchor or a variant's id.
            nonce: What no other PNG was made with.

        Raises:
            KeyError: There is no such picture or system.
        """
        self._check(picture, system)
        packed, shown = self._streams(picture), self._by_name[picture]
        stream, room = packed[system], max(map(len, packed.values())) + _LEAST_NONCE
        header = struct.pack(">IIBBBBB", shown.width, shown.height, 8, 2, 0, 0, 0)
        filler = hashlib.shake_256(nonce).digest(room - len(stream))
        chunks = ((b"IHDR", header), (_NONCE, filler), (b"IDAT", stream), (b"IEND", b""))
        return _PNG_SIGNATURE + b"".join(part for kind, body in chunks for part in _chunk(kind, body))

    def warm(self) -> None:
        """Compresses all pictures, which takes a tenth of a second for each, so that no later PNG waits."""
        for picture in self._by_name:
            self._streams(picture)

    def _check(self, picture: str, system: str) -> None:
        if picture not in self._by_name or system not in self.systems:
            raise KeyError(f"no picture {picture} by {system}")

    def _pixels(self, picture: str, system: str) -> _Pixels:
        with self._lock:
            kept = self._decoded.get((picture, system))
            if kept is not None:
                self._decoded.move_to_end((picture, system))
                return kept
        data, base = self._files[picture, system]
        pixels = _decoded(data, self._by_name[picture])
        if base is not None:
            pixels = pixels + self._pixels(picture, base)  # uint8 wraps, as it was stored
        pixels.flags.writeable = False
        with self._lock:
            self._decoded[picture, system] = pixels
            while len(self._decoded) > _MOST_DECODED:
                self._decoded.popitem(last=False)
        return pixels

    def _streams(self, picture: str) -> dict[str, bytes]:
        """Returns the compressed pixels by all systems; their lengths must be known before any is handed out."""
        with self._packing[picture]:
            with self._lock:
                streams = self._packed.get(picture)
            if streams is None:
                streams = {system: _deflated(self._pixels(picture, system)) for system in self.systems}
            with self._lock:
                self._packed[picture] = streams
                self._packed.move_to_end(picture)
                while len(self._packed) > _MOST_PACKED:
                    self._packed.popitem(last=False)
            return streams


def load_pictures(folder: Path = EMBEDDED) -> PictureSet:
    """Returns the set of pictures in a folder; every file is the one that its list names.

    Raises:
        VoteError: The list or a file is missing or damaged.
    """
    document = _read_list(folder / _LIST)
    files: dict[tuple[str, str], tuple[bytes, str | None]] = {}
    for listed in document.pictures:
        name = listed.stimulus.name
        for system, file in listed.files.items():
            try:
                data = _path_of(folder, name, system).read_bytes()
            except OSError as error:
                raise VoteError(
                    f"A file of the picture {name} to be rated is missing; please install the project again."
                ) from error
            if len(data) != file.bytes or hashlib.sha256(data).hexdigest() != file.sha256:
                raise VoteError(
                    f"A file of the picture {name} to be rated is damaged: it is not the one that {_LIST} lists."
                )
            files[name, system] = data, file.base
    stimuli = tuple(listed.stimulus for listed in document.pictures)
    return PictureSet(document.version, stimuli, document.systems, files)


def renderings_of(folder: Path) -> tuple[str, tuple[Rendering, ...]]:
    """Returns what made the set in a folder, in words, and how each variant did; nothing where there is no set.

    Raises:
        VoteError: The list of the set is damaged.
    """
    if not (folder / _LIST).exists():
        return "", ()
    document = _read_list(folder / _LIST)
    return document.tool, document.renderings


def write_pictures(folder: Path, shown: Iterable[Shown], renderings: Sequence[Rendering], *, tool: str) -> None:
    """Writes a set of pictures; its list is replaced last. Files that an earlier list there names are removed.

    Args:
        folder: Made when it is not there.
        shown: The pictures, each by the anchors and by all variants; one is held at a time.
        renderings: How the variants made them, in the order in which the variants stand in the set.
        tool: What made them, in words.

    Raises:
        ValueError: A picture has another size than it says, or lacks a system.
        VoteError: There is an earlier list, and it is damaged.
    """
    systems = (*ANCHORS, *(rendering.variant for rendering in renderings))
    _remove_listed(folder)
    pictures = [_written(folder, picture, systems) for picture in shown]
    document = _Document(
        version=_version_of(pictures), tool=tool, renderings=tuple(renderings), pictures=tuple(pictures)
    )
    [fields] = _DOCUMENT.dump_python((document,), mode="json")
    part = folder / (_LIST + ".part")
    text = json.dumps({"schema": SCHEMA, **fields}, indent=1, ensure_ascii=False)
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(folder / _LIST)


def _written(folder: Path, shown: Shown, systems: tuple[str, ...]) -> _Listed:
    stimulus = shown.stimulus
    (folder / stimulus.name).mkdir(parents=True, exist_ok=True)
    files: dict[str, _File] = {}
    for place, system in enumerate(systems):
        pixels = shown.pixels.get(system)
        if pixels is None or pixels.shape != (stimulus.height, stimulus.width, 3) or pixels.dtype != np.uint8:
            raise ValueError(f"no pixels of {stimulus.name} by {system}, or of another size")
        data, base = _encoded(pixels, {earlier: shown.pixels[earlier] for earlier in systems[:place]})
        _path_of(folder, stimulus.name, system).write_bytes(data)
        files[system] = _File(bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), base=base)
    return _Listed(stimulus=stimulus, files=files)


def _read_list(path: Path) -> _Document:
    try:
        fields = cast(dict[str, Any], json.loads(path.read_bytes()))
        schema = fields.pop("schema")
        if schema != SCHEMA:
            raise VoteError(f"The list {path.name} of pictures has the schema number {schema}, not {SCHEMA}.")
        [document] = _DOCUMENT.validate_json(json.dumps([fields]))
    except OSError as error:
        raise VoteError(
            f"The list {path.name} of the pictures to be rated cannot be read; please install the project again."
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise VoteError(f"The list {path.name} of pictures is damaged: {first['msg']} (at {place}).") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise VoteError(f"The list {path.name} of pictures is damaged: {error}.") from error
    for fault in _faults(document):
        raise VoteError(f"The list {path.name} of pictures is damaged: {fault}.")
    return document


def _faults(document: _Document) -> Iterator[str]:
    """Yields what no type can tell: fields that contradict each other."""
    systems = document.systems
    if len(set(systems)) < len(systems):
        yield "it names a system twice"
    names = [listed.stimulus.name for listed in document.pictures]
    if not names or len(set(names)) < len(names):
        yield "it needs at least one picture and no name twice"
    for listed in document.pictures:
        if tuple(listed.files) != systems:
            yield f"the picture {listed.stimulus.name} is not there by just the listed systems"
        for place, system in enumerate(systems):
            file = listed.files.get(system)
            if file is not None and file.base is not None and file.base not in systems[:place]:
                yield f"a difference in {listed.stimulus.name} is not to an earlier system"
    if document.version != _version_of(document.pictures):
        yield "its version is not that of its content"


def _version_of(pictures: Sequence[_Listed]) -> str:
    """Returns the word for the content: what is shown under which names, not who made it or what it is called."""
    content = [
        (listed.stimulus.name, [(system, file.sha256, file.base) for system, file in sorted(listed.files.items())])
        for listed in pictures
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def _remove_listed(folder: Path) -> None:
    if not (folder / _LIST).is_file():
        return
    for listed in _read_list(folder / _LIST).pictures:
        for system in listed.files:
            _path_of(folder, listed.stimulus.name, system).unlink(missing_ok=True)


def _path_of(folder: Path, picture: str, system: str) -> Path:
    return folder / picture / f"{system}.webp"


def _encoded(pixels: _Pixels, earlier: Mapping[str, _Pixels]) -> tuple[bytes, str | None]:
    """Returns the shortest file, of the pixels or of their difference to an earlier system's, and which that is.

    A variant's pixels are often nearly those of another one: with all differences, the set is half as long as without.
    """
    files = [(_webp(pixels), None), *((_webp(pixels - base), system) for system, base in earlier.items())]
    return min(files, key=lambda file: len(file[0]))


def _webp(pixels: _Pixels) -> bytes:
    """Returns a lossless file. More effort than this takes 40 times as long for 2 % fewer bytes."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", lossless=True, quality=75, method=4, exact=True)
    return stream.getvalue()


def _decoded(data: bytes, picture: Stimulus) -> _Pixels:
    with Image.open(io.BytesIO(data), formats=("WEBP",)) as image:
        pixels = np.array(image.convert("RGB"))
    if pixels.shape != (picture.height, picture.width, 3):
        raise VoteError(f"A file of the picture {picture.name} to be rated has another size than {_LIST} says.")
    return pixels


def _deflated(pixels: _Pixels) -> bytes:
    """Returns the data of a PNG's IDAT chunk, from the PNG that libpng makes at its fastest level."""
    data, stream, place = imagecodecs.png_encode(pixels, level=1), b"", len(_PNG_SIGNATURE)
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"IDAT":
            stream += data[place + 8 : place + 8 + length]
        place += 12 + length
    return stream


def _chunk(kind: bytes, body: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    return struct.pack(">I", len(body)), kind, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))
