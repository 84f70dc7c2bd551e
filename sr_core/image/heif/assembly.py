"""Encoded pictures put together as one HEIF file: tiles to a grid, then EXIF and XMP beside it.

A large picture is encoded tile by tile, so the encoder never holds more than one of them.

Source: ISO/IEC 23008-12:2022, 6.6.2.3 (grid), A.2.1 (Exif), A.3 (XMP).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np

from sr_core.image.heif.auxiliary import ALPHA
from sr_core.image.heif.items import Bytes, Item, ItemSet, Property, Reference, read
from sr_core.image.heif.turns import stored_view
from sr_core.image.picture import PhotoFormat, Picture, Samples

__all__ = ["Encoder", "encoded", "encoded_in_tiles", "exif_of", "grid_of", "is_lossless", "with_metadata", "xmp_of"]

Encoder: TypeAlias = Callable[[Samples], bytes]

_XMP_TYPE: Final = b"application/rdf+xml"
_MOST_TILES_ACROSS: Final = 256
_RGB: Final = 0


def is_lossless(picture: Picture, target: PhotoFormat) -> bool:
    """Returns whether a picture comes from a file of the target's family that holds RGB without any conversion.

    Nothing else says before decoding that a file is lossless, and conversion is where most others lose something.
    """
    metadata = picture.metadata
    is_rgb = metadata.nclx is not None and metadata.nclx[2] == _RGB and metadata.chroma == "444"
    return is_rgb and picture.source_format == target and picture.pixels.shape[2] == 3


def encoded(picture: Picture, turn: int, encode: Encoder) -> ItemSet:
    """Returns a picture encoded as a whole, as a file without metadata.

    Args:
        picture: What to encode.
        turn: EXIF orientation that is going to turn it upright when it is shown.
        encode: Gives the file of contiguous samples (H, W, C), alpha being the last channel if there is any.
    """
    samples = stored_view(picture.pixels, turn)
    if picture.alpha is not None:
        samples = np.concatenate((samples, stored_view(picture.alpha, turn)[:, :, np.newaxis]), axis=2)
    return read(encode(np.ascontiguousarray(samples)))


def encoded_in_tiles(picture: Picture, turn: int, side: int, encode: Encoder, encode_alpha: Encoder) -> ItemSet:
    """Returns a picture encoded tile by tile, as a file without metadata.

    Args:
        picture: What to encode.
        turn: EXIF orientation that is going to turn it upright when it is shown.
        side: Rows and columns of a tile.
        encode: Gives the file of contiguous samples (H, W, C).
        encode_alpha: Gives that of alpha (H, W, 1), which encoders leave out where a tile is opaque.
    """
    colours = stored_view(picture.pixels, turn)
    height, width = colours.shape[:2]
    whole = grid_of([read(encode(tile)) for tile in _tiles(colours, side)], height, width, side)
    if picture.alpha is None:
        return whole
    opacity = stored_view(picture.alpha, turn)[:, :, np.newaxis]
    alpha = grid_of([read(encode_alpha(tile)) for tile in _tiles(opacity, side)], height, width, side)
    return _with_alpha(whole, alpha)


def grid_of(parts: Sequence[ItemSet], height: int, width: int, side: int) -> ItemSet:
    """Returns tiles as one picture.

    Args:
        parts: The tiles row by row, each the primary picture of a file.
        height: Rows of the whole.
        width: Columns of the whole.
        side: Rows and columns of a tile.

    Raises:
        ValueError: There are too many tiles, or not as many as the size needs.
    """
    rows, columns = -(-height // side), -(-width // side)
    if max(rows, columns) > _MOST_TILES_ACROSS or len(parts) != rows * columns:
        raise ValueError(f"{len(parts)} tiles cannot be {rows} rows and {columns} columns")
    is_wide = max(height, width) > 0xFFFF
    size = 4 if is_wide else 2
    layout = (
        bytes((0, int(is_wide), rows - 1, columns - 1)) + width.to_bytes(size, "big") + height.to_bytes(size, "big")
    )
    ispe = Property(kind=b"ispe", body=bytes(4) + width.to_bytes(4, "big") + height.to_bytes(4, "big"))
    tiles = {
        number: replace(part.main, id=number, hidden=True, references=()) for number, part in enumerate(parts, start=1)
    }
    main = Item(
        id=len(parts) + 1,
        kind=b"grid",
        properties=(ispe, *(prop for prop in tiles[1].properties if prop.kind in (b"pixi", b"colr"))),
        references=(Reference(kind=b"dimg", to=tuple(tiles)),),
        data=layout,
    )
    return replace(parts[0], primary=main.id, items={**tiles, main.id: main})


def with_metadata(items: ItemSet, exif: bytes | None, xmp: bytes | None) -> ItemSet:
    """Returns a file with EXIF and XMP of its primary picture.

    Args:
        items: A file without them.
        exif: TIFF bytes, or None.
        xmp: XMP packet, or None.
    """
    known = dict(items.items)
    of_primary = (Reference(kind=b"cdsc", to=(items.primary,)),)
    if exif is not None:
        number = max(known) + 1
        # The four bytes in front say how far the TIFF bytes are: here, behind the mark that some readers look for.
        data = (6).to_bytes(4, "big") + b"Exif\x00\x00" + exif
        known[number] = Item(id=number, kind=b"Exif", hidden=True, references=of_primary, data=data)
    if xmp is not None:
        number = max(known) + 1
        label = b"\x00" + _XMP_TYPE + b"\x00"
        known[number] = Item(id=number, kind=b"mime", label=label, hidden=True, references=of_primary, data=xmp)
    return replace(items, items=known)


def exif_of(items: ItemSet) -> bytes | None:
    """Returns the EXIF of the primary picture from where it says that its TIFF bytes begin, or None without any."""
    for item in items.referring(b"cdsc", items.primary):
        if item.kind == b"Exif" and item.data is not None and len(item.data) > 4:
            return bytes(item.data[4 + int.from_bytes(item.data[:4], "big") :]) or bytes(item.data[4:])
    return None


def xmp_of(items: ItemSet) -> bytes | None:
    """Returns the XMP of the primary picture, or None without any."""
    found: Iterator[Bytes] = (
        item.data
        for item in items.referring(b"cdsc", items.primary)
        if item.kind == b"mime" and item.content_type == _XMP_TYPE and item.data
    )
    return next(map(bytes, found), None)


def _with_alpha(items: ItemSet, alpha: ItemSet) -> ItemSet:
    """Returns a grid with another one as its alpha."""
    start = max(items.items)
    known = dict(items.items)
    for item in alpha.items.values():
        references = tuple(
            replace(reference, to=tuple(start + number for number in reference.to)) for reference in item.references
        )
        properties = tuple(prop for prop in item.properties if prop.kind != b"colr")
        if item.id == alpha.primary:
            references = (*references, Reference(kind=b"auxl", to=(items.primary,)))
            properties = (*properties, Property(kind=b"auxC", body=bytes(4) + ALPHA + b"\x00", essential=True))
        known[start + item.id] = replace(
            item, id=start + item.id, hidden=True, references=references, properties=properties
        )
    return replace(items, items=known)


def _tiles(samples: Samples, side: int) -> Iterator[Samples]:
    """Yields the tiles of a picture row by row; what lies beyond its borders repeats them."""
    for top in range(0, samples.shape[0], side):
        for left in range(0, samples.shape[1], side):
            tile = samples[top : top + side, left : left + side]
            beyond = ((0, side - tile.shape[0]), (0, side - tile.shape[1]), (0, 0))
            yield np.ascontiguousarray(np.pad(tile, beyond, mode="edge"))
