"""PNG files: chunks read and written by hand, pixels read by imagecodecs (libpng): Pillow has no RGB of 16 bits.

Source: PNG specification, third edition (W3C, 2025), 5 (chunks) and 11 (their contents).
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import imagecodecs
import numpy as np

from sr_core.image.family import Decoded, Holds, Quality
from sr_core.image.header import Stored
from sr_core.image.icc import is_linear
from sr_core.image.light import decoded_light
from sr_core.image.metadata import orientation_of, usable_exif
from sr_core.image.picture import Extra, Metadata, Picture, Samples
from sr_core.image.png_rows import chunk, pixel_chunks

__all__ = ["HOLDS", "parse", "pixels", "write"]

HOLDS: Final = Holds(bits=(8, 16), longest_side=1_000_000, code_points=True)

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_XMP_KEY: Final = b"XML:com.adobe.xmp"
_EXIF_KEYS: Final = (b"Raw profile type exif", b"Raw profile type APP1")
_INFLATED_BYTES: Final = 16 << 20
_DEFLATE_RATIO: Final = 1032  # the most bytes that deflate makes of one
_MOST_TEXTS: Final = 4096
_COLOUR_TYPES: Final = {0: (1, False), 2: (3, False), 3: (3, False), 4: (1, True), 6: (3, True)}
_COLOUR_TYPE_OF: Final = {(1, False): 0, (3, False): 2, (1, True): 4, (3, True): 6}
_PALETTE: Final = 3
_SRGB_GAMMA: Final = 45455
_LINEAR_GAMMA: Final = 100_000
_GAMMA_TOLERANCE: Final = 1000
_SRGB_CHROMATICITIES: Final = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_SRGB_POINTS: Final = (1, 13, 0, 1)
_LINEAR_POINTS: Final = (1, 8, 0, 1)
_LINEAR: Final = 8
_INCH: Final = 0.0254
_PER_METRE: Final = 1
_TEXT: Final = "text"
_COLOUR: Final = "colour"
_MASTERING: Final = "mastering"
_DAMAGED: Final = "A part of the metadata of this PNG is damaged or too long and is not kept."


@dataclass(slots=True, kw_only=True)
class _Found:
    """What the chunks beside the pixels hold; ``gamma``, ``chromaticities`` and the lists are whole chunks."""

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    code_points: tuple[int, int, int, int] | None = None
    gamma: int | None = None
    chromaticities: tuple[int, ...] | None = None
    is_srgb: bool = False
    has_transparency: bool = False
    dpi: tuple[float, float] | None = None
    texts: list[bytes] = field(default_factory=list[bytes])
    mastering: list[bytes] = field(default_factory=list[bytes])
    may_inflate_bytes: int = _INFLATED_BYTES  # shared by all chunks: a file can hold thousands of them
    dropped: dict[str, None] = field(default_factory=dict[str, None])


def parse(data: bytes) -> Stored:
    """Returns what the chunks of a PNG say of it.

    Raises:
        ValueError: The chunks are broken.
    """
    if data[12:16] != b"IHDR":
        raise ValueError("the first chunk is not IHDR")
    width, height, bits, colour_type = struct.unpack_from(">IIBB", data, 16)
    channels, has_alpha = _COLOUR_TYPES[colour_type]
    if not height or not width:
        raise ValueError("the picture is empty")
    found = _Found()
    if colour_type == _PALETTE:
        found.dropped["The palette of this PNG becomes full colours."] = None
    elif bits < 8:
        found.dropped[f"The {bits} bit{'s' * (bits > 1)} of a sample of this PNG become{'s' * (bits == 1)} 8."] = None
    for name, body in _chunks(data):
        try:
            _read_chunk(name, body, found)
        except (ValueError, IndexError, struct.error):  # what stands beside the pixels must not cost the photo
            found.dropped[_DAMAGED] = None
    exif, exif_notices = usable_exif(found.exif)
    metadata = Metadata(
        icc=found.icc,
        exif=exif,
        xmp=found.xmp,
        nclx=_code_points(found),
        dpi=found.dpi,
        extras=tuple(_extras(found)),
    )
    return Stored(
        height=height,
        width=width,
        bit_depth=16 if bits == 16 or _states_light(metadata) else 8,
        samples="palette" if colour_type == _PALETTE else f"{bits} bit",
        channels=channels,
        has_alpha=has_alpha or found.has_transparency,
        orientation=orientation_of(exif),
        metadata=metadata,
        notices=(*found.dropped, *exif_notices),
    )


def pixels(data: bytes, stored: Stored) -> Decoded:
    """Returns the stored samples, (H, W, C) with C from grey to RGB with alpha; palettes and few bits are expanded.

    Raises:
        imagecodecs.PngError: The file is damaged or cut short.
    """
    samples: Samples = imagecodecs.png_decode(b"".join(_pixel_parts(data)))
    samples = samples[:, :, np.newaxis] if samples.ndim == 2 else samples
    if not _states_light(stored.metadata):
        return Decoded(samples=samples)
    return decoded_light(samples, stored.channels, bits=8 if samples.dtype == np.uint8 else 16)


def write(picture: Picture, file: BinaryIO, quality: Quality) -> None:
    """Writes a PNG of 8 or 16 bits, in bands.

    Args:
        picture: 8 or 16 bits.
        file: File to write.
        quality: Effort of the compression.
    """
    colour_type = _COLOUR_TYPE_OF[picture.pixels.shape[2], picture.alpha is not None]
    header = struct.pack(">IIBBBBB", picture.width, picture.height, picture.bit_depth, colour_type, 0, 0, 0)
    file.writelines((_SIGNATURE, chunk(b"IHDR", header), *_metadata_chunks(picture)))
    file.writelines(pixel_chunks(picture, quality.png_level))
    file.write(chunk(b"IEND", b""))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields name and body of each chunk that is not pixels; the engine checks that the file ends as it should."""
    at = len(_SIGNATURE)
    while at + 12 <= len(data):
        size = struct.unpack_from(">I", data, at)[0]
        name = data[at + 4 : at + 8]
        if name == b"IEND":
            return
        if name not in (b"IDAT", b"fdAT"):
            yield name, data[at + 8 : at + 8 + size]
        at += 12 + size


def _pixel_parts(data: bytes) -> Iterator[memoryview]:
    """Yields the signature and the chunks that libpng needs: it would inflate each of thousands of texts."""
    whole = memoryview(data)
    yield whole[: len(_SIGNATURE)]
    at = len(_SIGNATURE)
    while at < len(data):
        size = int.from_bytes(whole[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        if name == b"tRNS" or not name[:1].islower():  # lower case marks what can be left out (5.4)
            yield whole[at : at + 12 + size]
        at += 12 + size


def _read_chunk(name: bytes, body: bytes, found: _Found) -> None:
    """Adds what one chunk holds to what was found."""
    match name:
        case b"iCCP":
            found.icc = _inflate(body[body.index(b"\x00") + 2 :], found)
        case b"eXIf":
            found.exif = body
        case b"cICP":
            found.code_points = (body[0], body[1], body[2], body[3])
        case b"gAMA":
            found.gamma = struct.unpack(">I", body)[0]
        case b"cHRM":
            found.chromaticities = struct.unpack(">8I", body)
        case b"sRGB":
            found.is_srgb = True
        case b"tRNS":
            found.has_transparency = True
        case b"pHYs":
            _read_density(body, found)
        case b"mDCV" | b"cLLI":
            found.mastering.append(chunk(name, body))
        case b"acTL":
            found.dropped["This PNG is animated; only its still picture is kept."] = None
        case b"iTXt" | b"tEXt" | b"zTXt":
            _read_text(name, body, found)
        case _:
            pass


def _read_density(body: bytes, found: _Found) -> None:
    """Takes pixels per inch, or notes that pixels are not square."""
    across, down, unit = struct.unpack(">IIB", body)
    if unit == _PER_METRE and across and down:
        found.dpi = (across * _INCH, down * _INCH)
    elif across != down:
        found.dropped["The pixels of this PNG are not square, which the result does not state."] = None


def _read_text(name: bytes, body: bytes, found: _Found) -> None:
    """Takes XMP and EXIF from a text chunk; other texts are carried as they are, unless they inflate to too much."""
    key, _, rest = body.partition(b"\x00")
    if name == b"iTXt" and key == _XMP_KEY:
        is_compressed, text = rest[0] == 1, rest[2:].split(b"\x00", 2)[2]
        found.xmp = _inflate(text, found) if is_compressed else text
    elif name != b"iTXt" and key in _EXIF_KEYS:
        profile = _inflate(rest[1:], found) if name == b"zTXt" else rest
        found.exif = found.exif or _raw_profile(profile or b"")
    elif len(found.texts) == _MOST_TEXTS:
        found.dropped[_DAMAGED] = None
    elif _is_whole(name, rest, found):
        found.texts.append(chunk(name, body))


def _is_whole(name: bytes, rest: bytes, found: _Found) -> bool:
    """Returns whether a text, given by what follows its key, can be read; notes it when it cannot."""
    if name == b"zTXt":
        return _inflate(rest[1:], found) is not None
    if name == b"iTXt":
        text = rest[2:].split(b"\x00", 2)[2]
        return rest[0] == 0 or _inflate(text, found) is not None
    return True


def _raw_profile(text: bytes) -> bytes | None:
    """Returns the bytes of a profile in ImageMagick's way: a name, a length, then hexadecimal digits."""
    words = text.split(None, 2)
    return bytes.fromhex(words[2].decode("ascii")) if len(words) > 2 else None


def _inflate(body: bytes, found: _Found) -> bytes | None:
    """Returns the inflated bytes, or None with a notice when they are damaged or far too many."""
    inflater = zlib.decompressobj()
    spent_bytes = min(len(body) * _DEFLATE_RATIO, found.may_inflate_bytes)
    inflated = b""
    if spent_bytes > 0:  # to zlib, 0 is no limit
        with suppress(zlib.error):
            inflated = inflater.decompress(body, spent_bytes)
            spent_bytes = len(inflated)
        found.may_inflate_bytes -= spent_bytes
    if inflater.eof:
        return inflated
    found.dropped[_DAMAGED] = None
    return None


def _code_points(found: _Found) -> tuple[int, int, int, int] | None:
    """Returns the code points of a PNG, those included that older chunks stand for."""
    if found.code_points is not None or found.icc is not None:
        return found.code_points
    if found.is_srgb:
        return _SRGB_POINTS
    is_linear_gamma = found.gamma is not None and abs(found.gamma - _LINEAR_GAMMA) <= _GAMMA_TOLERANCE
    return _LINEAR_POINTS if is_linear_gamma else None


def _states_light(metadata: Metadata) -> bool:
    """Returns whether samples are proportional to light."""
    if metadata.icc is not None:
        return is_linear(metadata.icc)
    return metadata.nclx is not None and metadata.nclx[1] == _LINEAR


def _extras(found: _Found) -> Iterator[Extra]:
    """Yields the parts that only a PNG can hold."""
    if found.texts:
        yield Extra(kind=_TEXT, name="The text notes in this PNG", data=b"".join(found.texts))
    if found.mastering:
        yield Extra(kind=_MASTERING, name="The HDR mastering data of this PNG", data=b"".join(found.mastering))
    if found.icc is not None or found.code_points is not None or found.is_srgb:
        return
    gamma, primaries = found.gamma, found.chromaticities
    is_usual = gamma is None or any(abs(gamma - usual) <= _GAMMA_TOLERANCE for usual in (_SRGB_GAMMA, _LINEAR_GAMMA))
    has_usual_primaries = primaries is None or all(
        abs(stated - usual) <= _GAMMA_TOLERANCE for stated, usual in zip(primaries, _SRGB_CHROMATICITIES, strict=True)
    )
    if is_usual and has_usual_primaries:
        return
    stated = b"" if gamma is None else chunk(b"gAMA", struct.pack(">I", gamma))
    stated += b"" if primaries is None else chunk(b"cHRM", struct.pack(">8I", *primaries))
    yield Extra(kind=_COLOUR, name="The unusual gamma or primaries that this PNG states", data=stated)


def _metadata_chunks(picture: Picture) -> Iterator[bytes]:
    """Yields the chunks that stand between IHDR and the pixels."""
    metadata = picture.metadata
    yield from (extra.data for extra in metadata.extras if extra.kind == _MASTERING)
    yield from _colour_chunks(picture)
    if metadata.dpi is not None:
        across, down = (min(max(round(each / _INCH), 1), 0x7FFFFFFF) for each in metadata.dpi)
        yield chunk(b"pHYs", struct.pack(">IIB", across, down, _PER_METRE))
    if metadata.exif is not None:
        yield chunk(b"eXIf", metadata.exif)
    if metadata.xmp is not None:
        yield chunk(b"iTXt", _XMP_KEY + bytes(5) + metadata.xmp)
    yield from (extra.data for extra in metadata.extras if extra.kind == _TEXT)


def _colour_chunks(picture: Picture) -> Iterator[bytes]:
    """Yields the chunks that state the colour space."""
    metadata, is_own = picture.metadata, picture.source_format == "png"
    stated = [extra.data for extra in metadata.extras if extra.kind == _COLOUR]
    if metadata.icc is not None:
        yield chunk(b"iCCP", b"ICC profile\x00\x00" + zlib.compress(metadata.icc))
    points = metadata.nclx
    if stated:
        yield from stated
    elif points is None or (metadata.icc is not None and not is_own):
        return
    elif points[:2] == _SRGB_POINTS[:2] and metadata.icc is None:
        yield chunk(b"sRGB", bytes(1))
    else:
        # PNG stores RGB, so the matrix is 0; only a PNG can have had RGB of less than the full range.
        yield chunk(b"cICP", bytes((points[0], points[1], 0, points[3] if is_own else 1)))
        if points[1] == _LINEAR:
            yield chunk(b"gAMA", struct.pack(">I", _LINEAR_GAMMA))  # for readers that do not know the other
