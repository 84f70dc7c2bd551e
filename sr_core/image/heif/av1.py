"""What an AV1 bitstream says of its pictures, so that it can be held against what the file around it says.

Source: AV1 Bitstream & Decoding Process Specification (2019), 5.3 (OBU), 5.5 (sequence header), 4.10.5 (leb128).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sr_core.image.heif.bits import Bits
from sr_core.image.heif.items import Bytes
from sr_core.image.picture import Chroma

__all__ = ["Sequence", "sequence_of"]

_SEQUENCE_HEADER: Final = 1
_MAX_HEADER_BYTES: Final = 1024
_MAX_OBUS: Final = 128
_SRGB_AS_RGB: Final = (1, 13, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """The sequence header of a bitstream.

    Attributes:
        height: Most rows of a frame.
        width: Most columns of a frame.
        bit_depth: 8, 10 or 12.
        chroma: Chroma sampling; None for grey.
        nclx: Colour primaries, transfer, matrix and full-range flag (ITU-T H.273), 2 where it states none.
    """

    height: int
    width: int
    bit_depth: int
    chroma: Chroma | None
    nclx: tuple[int, int, int, int]


def sequence_of(data: Bytes) -> Sequence:
    """Returns the sequence header of a bitstream.

    Args:
        data: OBUs, such as the data of an item of kind ``av01``.

    Raises:
        ValueError: There is none, it is broken, or there are several that differ.
    """
    found = {bytes(body[:_MAX_HEADER_BYTES]) for kind, body in _obus(memoryview(data)) if kind == _SEQUENCE_HEADER}
    sequences = {_sequence(Bits(body)) for body in found}
    if len(sequences) != 1:
        raise ValueError(f"{len(sequences)} sequence headers in a picture")
    return sequences.pop()


def _obus(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yields type and payload of each OBU."""
    at = 0
    for _ in range(_MAX_OBUS):
        if at >= len(data):
            return
        head = data[at]
        at += 2 if head & 4 else 1
        size = max(len(data) - at, 0)
        if head & 2:
            size = 0
            for place in range(8):
                byte = data[at] if at < len(data) else 0
                size |= (byte & 0x7F) << 7 * place
                at += 1
                if not byte & 0x80:
                    break
        yield head >> 3 & 15, data[at : at + size]
        at += size
    raise ValueError("too many OBUs")


def _sequence(bits: Bits) -> Sequence:
    """Returns a sequence header (5.5.1)."""
    profile = bits.take(3)
    bits.flag()  # still_picture
    is_reduced = bits.flag()
    if is_reduced:
        bits.take(5)  # seq_level_idx
    else:
        _skip_timing(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(width_bits) + 1, bits.take(height_bits) + 1
    if not is_reduced and bits.flag():
        bits.take(7)  # lengths of frame ids
    bits.take(3)  # superblocks, filter_intra, intra_edge
    if not is_reduced:
        _skip_tools(bits)
    bits.take(3)  # superres, cdef, restoration
    depth, chroma, nclx = _colour(bits, profile)
    return Sequence(height=height, width=width, bit_depth=depth, chroma=chroma, nclx=nclx)


def _skip_timing(bits: Bits) -> None:
    """Passes timing, decoder model and operating points."""
    delay_bits = 0
    if bits.flag():  # timing_info
        bits.take(64)
        if bits.flag():
            _skip_uvlc(bits)
        if bits.flag():  # decoder_model_info
            delay_bits = bits.take(5) + 1
            bits.take(42)
    has_delay = bits.flag()
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.flag()  # seq_tier
        if delay_bits and bits.flag():
            bits.take(2 * delay_bits + 1)
        if has_delay and bits.flag():
            bits.take(4)


def _skip_uvlc(bits: Bits) -> None:
    """Passes a number of variable length (4.10.3)."""
    zeros = 0
    while not bits.flag():
        zeros += 1
    if zeros < 32:
        bits.take(zeros)


def _skip_tools(bits: Bits) -> None:
    """Passes the coding tools that only moving pictures have."""
    bits.take(4)
    has_order_hint = bits.flag()
    if has_order_hint:
        bits.take(2)
    screen_content = 2 if bits.flag() else bits.take(1)
    if screen_content and not bits.flag():
        bits.flag()  # seq_force_integer_mv
    if has_order_hint:
        bits.take(3)


def _colour(bits: Bits, profile: int) -> tuple[int, Chroma | None, tuple[int, int, int, int]]:
    """Returns depth, chroma sampling and code points (5.5.2)."""
    is_deep = bits.flag()
    depth = 8
    if is_deep:
        depth = 12 if profile == 2 and bits.flag() else 10
    is_grey = profile != 1 and bits.flag()
    primaries, transfer, matrix = (bits.take(8), bits.take(8), bits.take(8)) if bits.flag() else (2, 2, 2)
    if is_grey:
        return depth, None, (primaries, transfer, matrix, bits.take(1))
    if (primaries, transfer, matrix) == _SRGB_AS_RGB:
        return depth, "444", (primaries, transfer, matrix, 1)
    is_full = bits.take(1)
    chroma: Chroma = "444"
    if profile == 0:
        chroma = "420"
    elif profile == 2:
        is_halved = bits.flag() if depth == 12 else True
        chroma = "444" if not is_halved else "420" if depth == 12 and bits.flag() else "422"
    return depth, chroma, (primaries, transfer, matrix, is_full)
