"""HEIC and AVIF files made to order at the level of items."""

import os
import shutil
import struct
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray

from sr_core.image.heif.item_writer import box, write
from sr_core.image.heif.items import Group, Item, ItemSet, Property, Reference, read
from sr_core.image.heif.turns import turn_properties

SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "samples"
GAIN_MAP = b"urn:com:apple:photo:2020:aux:hdrgainmap"
DEPTH = b"urn:mpeg:hevc:2015:auxid:2"
MATTE = b"urn:com:apple:photo:2018:aux:portraiteffectsmatte"
MAP_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:HDRGainMap="http://ns.apple.com/HDRGainMap/1.0/" HDRGainMap:HDRGainMapVersion="65536"/>'
    b"</rdf:RDF></x:xmpmeta>"
)
XMP_LABEL = b"\x00application/rdf+xml\x00"

Pixels = NDArray[np.uint8 | np.uint16]


def sample(name: str) -> Path:
    """Returns a sample photo; the test is skipped where it is missing."""
    path = SAMPLES / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    return path


def exiftool(path: Path, *options: str) -> str:
    """Returns what exiftool says of a file; the test is skipped where it is missing."""
    program = shutil.which("exiftool")
    if program is None:
        pytest.skip("exiftool is not here")
    return subprocess.run([program, *options, os.fspath(path)], capture_output=True, text=True, check=True).stdout


def heic_items(pixels: Pixels, bits: int = 8, **info: object) -> ItemSet:
    """Returns a HEIC (4:4:4) of pixels as items."""
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[pixels.shape[2]] + ("" if bits == 8 else f";{bits}")
    file = pillow_heif.from_bytes(mode, (pixels.shape[1], pixels.shape[0]), np.ascontiguousarray(pixels).tobytes())
    file[0].info.update(bit_depth=bits, **info)
    stream = BytesIO()
    file.save(stream, quality=95, chroma=444, enc_params={"preset": "ultrafast"}, tile_size=0)
    return read(stream.getvalue())


def avif_items(pixels: Pixels, bits: int = 8, **options: object) -> ItemSet:
    """Returns an AVIF (4:4:4) of pixels as items."""
    settings: dict[str, object] = {"level": 95, "speed": 9, "bitspersample": bits, "pixelformat": "444"}
    return read(bytes(imagecodecs.avif_encode(pixels, **(settings | options))))


def with_properties(items: ItemSet, *properties: Property, number: int | None = None) -> ItemSet:
    """Returns items with further properties of one of them, by default the primary one."""
    item = items.items[number or items.primary]
    changed = replace(item, properties=(*item.properties, *properties))
    return replace(items, items={**items.items, item.id: changed})


def turned(items: ItemSet, orientation: int) -> ItemSet:
    """Returns items whose pictures are all turned by irot and imir."""
    for number in items.items:
        items = with_properties(items, *turn_properties(orientation), number=number)
    return items


def with_item(items: ItemSet, item: Item) -> ItemSet:
    """Returns items with a further one."""
    return replace(items, items={**items.items, item.id: item})


def with_map(items: ItemSet, pixels: ItemSet, kind: bytes, *, xmp: bytes | None = MAP_XMP) -> ItemSet:
    """Returns a photo with an auxiliary picture, which is the next item, and its XMP, which is the one behind.

    Args:
        items: The photo.
        pixels: The auxiliary picture, as a file of its own.
        kind: What it is for.
        xmp: Its XMP.
    """
    number = max(items.items) + 1
    aux = Property(kind=b"auxC", body=bytes(4) + kind + b"\x00", essential=True)
    references = (Reference(kind=b"auxl", to=(items.primary,)),)
    picture = replace(
        pixels.main, id=number, hidden=True, properties=(*pixels.main.properties, aux), references=references
    )
    items = with_item(items, picture)
    if xmp is None:
        return items
    described = (Reference(kind=b"cdsc", to=(number,)),)
    return with_item(
        items, Item(id=number + 1, kind=b"mime", label=XMP_LABEL, hidden=True, references=described, data=xmp)
    )


def with_tone_map(items: ItemSet, gain_map: ItemSet, metadata: bytes) -> ItemSet:
    """Returns a photo with a tone-mapped version of itself, and the gain map that makes it."""
    number = max(items.items) + 1
    size = tuple(prop for prop in items.main.properties if prop.kind == b"ispe")
    tone_map = Item(
        id=number,
        kind=b"tmap",
        properties=size,
        references=(Reference(kind=b"dimg", to=(items.primary, number + 1)),),
        data=metadata,
    )
    items = with_item(with_item(items, tone_map), replace(gain_map.main, id=number + 1, hidden=True))
    return replace(items, groups=(Group(kind=b"altr", id=number + 2, members=(number, items.primary)),))


def file_bytes(items: ItemSet) -> bytes:
    """Returns items as a file."""
    stream = BytesIO()
    write(items, stream)
    return stream.getvalue()


def save(path: Path, items: ItemSet) -> Path:
    """Writes items to a file."""
    path.write_bytes(file_bytes(items))
    return path


def film(items: ItemSet, frames: int = 3) -> bytes:
    """Returns an AVIF that holds a film of one picture, and no items."""
    main = items.main
    frame = bytes(main.data or b"")
    width, height = struct.unpack(">II", (main.body(b"ispe") or b"")[4:12])
    known = [box(prop.kind, prop.body) for prop in main.properties if prop.kind in (b"av1C", b"colr")]
    entry = box(b"av01", bytes(24) + struct.pack(">HH", width, height) + bytes(50), *known)
    head = box(b"ftyp", b"avis", bytes(4), b"avis", b"msf1")

    def movie(at: int) -> bytes:
        table = box(
            b"stbl",
            box(b"stsd", bytes(4) + struct.pack(">I", 1), entry),
            box(b"stsz", struct.pack(">5I", 0, 0, frames, len(frame), 7)),
            box(b"stco", struct.pack(">3I", 0, 1, at)),
        )
        media = box(b"mdia", box(b"hdlr", bytes(8) + b"pict" + bytes(13)), box(b"minf", table))
        sound = box(b"mdia", box(b"hdlr", bytes(8) + b"soun" + bytes(13)), box(b"minf", box(b"stbl")))
        return box(b"moov", box(b"trak", sound), box(b"trak", media))

    return head + movie(len(head) + len(movie(0)) + 8) + box(b"mdat", frame)


def mutations(data: bytes, count: int, seed: int = 0) -> Iterable[bytes]:
    """Yields damaged versions of a file: bits flipped, words overwritten, parts cut out, doubled or cut off."""
    random = np.random.default_rng(seed)
    head = min(len(data), 1200)
    words = (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x00\x00\x00\x01", b"\x7f\xff\xff\xff", b"\x00\x00\xff\xff")
    for _ in range(count):
        damaged = bytearray(data)
        for _ in range(int(random.integers(1, 5))):
            at = int(random.integers(0, head))
            match int(random.integers(0, 5)):
                case 0:
                    damaged[at : at + 1] = bytes((int(random.integers(0, 256)),))
                case 1:
                    damaged[at : at + 4] = words[int(random.integers(0, len(words)))]
                case 2:
                    del damaged[at : at + int(random.integers(1, 40))]
                case 3:
                    damaged[at:at] = damaged[at : at + int(random.integers(1, 40))]
                case _:
                    if random.integers(0, 8) == 0:
                        del damaged[int(random.integers(0, len(damaged) + 1)) :]
        yield bytes(damaged)
