"""What an HEVC bitstream says of its colours, for files that say nothing of them.

Source: ITU-T H.265 (08/2021), 7.3.1 (NAL unit), 7.3.2.2 (sequence parameter set), 7.3.3 (profile, tier and level),
7.3.4 (scaling lists), 7.3.7 and 7.4.8 (reference picture sets), E.2.1 (VUI); ISO/IEC 14496-15, 8.3.3.1 (hvcC).
"""

from collections.abc import Iterator
from typing import Final

from sr_core.image.heif.bits import Bits
from sr_core.image.heif.items import Cursor, ItemSet

__all__ = ["code_points_of", "colours_of"]

_SEQUENCE_PARAMETERS: Final = 33
_HEAD_BYTES: Final = 22
# With scaling lists as long as they can be, the colours begin before byte 3500.
_MOST_BYTES: Final = 4096
_MOST_UNITS: Final = 64
_MOST_SETS: Final = 64
_MOST_PICTURES: Final = 16
_MOST_LONG_TERM: Final = 32
_ASPECT_IN_NUMBERS: Final = 255
_UNSTATED: Final = 2
_RGB: Final = 0


def colours_of(items: ItemSet) -> tuple[int, int, int, int] | None:
    """Returns the code points in the bitstream of the primary picture; of one in tiles, those of the first tile.

    Returns:
        Primaries, transfer, matrix and full-range flag (ITU-T H.273); None where they are not stated or not readable.
    """
    item = items.main
    if item.kind in (b"grid", b"iden"):
        item = next((items.items[number] for number in item.to(b"dimg") if number in items.items), item)
    configuration = item.body(b"hvcC") if item.kind == b"hvc1" else None
    try:
        return None if configuration is None else code_points_of(configuration)
    except ValueError:
        return None


def code_points_of(configuration: bytes) -> tuple[int, int, int, int] | None:
    """Returns the code points that the parameters of a bitstream state.

    Args:
        configuration: Body of an hvcC box.

    Returns:
        Primaries, transfer, matrix and full-range flag; None where neither primaries nor transfer are stated, unless
        the samples are RGB.

    Raises:
        ValueError: The parameters are broken, or there are several that differ.
    """
    found = {_code_points(Bits(unit)) for unit in _sequence_parameters(configuration)}
    if len(found) != 1:
        raise ValueError(f"{len(found)} kinds of colours in a bitstream")
    points = found.pop()
    return None if points[:2] == (_UNSTATED, _UNSTATED) and points[2] != _RGB else points


def _sequence_parameters(configuration: bytes) -> Iterator[bytes]:
    """Yields the sequence parameter sets of the base layer, without what keeps start codes out of them."""
    box = Cursor(memoryview(configuration))
    box.take(_HEAD_BYTES)
    units = 0
    for _ in range(box.number(1)):
        kind, count = box.number(1) & 63, box.number(2)
        units += count
        if units > _MOST_UNITS:
            raise ValueError("too many parameter sets")
        for _ in range(count):
            unit = box.take(box.number(2))
            if kind == _SEQUENCE_PARAMETERS and len(unit) > 2 and not (unit[0] & 1 or unit[1] >> 3):
                yield bytes(unit[2:_MOST_BYTES]).replace(b"\x00\x00\x03", b"\x00\x00")


def _code_points(bits: Bits) -> tuple[int, int, int, int]:
    """Returns the code points in a sequence parameter set, 2 where it states none (7.3.2.2)."""
    bits.take(4)  # video parameter set
    sub_layers = bits.take(3)
    bits.flag()  # temporal nesting
    _skip_profile(bits, sub_layers)
    order_bits = _skip_format(bits)
    for _ in range(sub_layers + 1 if bits.flag() else 1):
        _skip_numbers(bits, 3)  # sizes of the picture buffer
    _skip_numbers(bits, 6)  # sizes of blocks
    if bits.flag() and bits.flag():
        _skip_scaling_lists(bits)
    bits.take(2)  # amp, sao
    if bits.flag():  # pcm
        bits.take(8)
        _skip_numbers(bits, 2)
        bits.flag()
    deltas: list[int] = []
    for place in range(bits.golomb(_MOST_SETS)):
        deltas = _picture_set(bits, deltas, is_first=place == 0)
    if bits.flag():
        bits.take(bits.golomb(_MOST_LONG_TERM) * (order_bits + 1))
    bits.take(2)  # motion vectors, smoothing
    return _usability(bits) if bits.flag() else (_UNSTATED, _UNSTATED, _UNSTATED, 0)


def _skip_profile(bits: Bits, sub_layers: int) -> None:
    """Passes profile, tier and level (7.3.3)."""
    bits.take(96)
    if not sub_layers:
        return
    present = [(bits.flag(), bits.flag()) for _ in range(sub_layers)]
    bits.take(2 * (8 - sub_layers))
    for has_profile, has_level in present:
        bits.take(88 * has_profile + 8 * has_level)


def _skip_format(bits: Bits) -> int:
    """Passes chroma sampling, size, window and depth; returns the bits of a number that orders pictures."""
    bits.golomb()
    if bits.golomb(3) == 3:
        bits.flag()  # separate planes
    _skip_numbers(bits, 2)
    if bits.flag():
        _skip_numbers(bits, 4)
    _skip_numbers(bits, 2)
    return bits.golomb(12) + 4


def _skip_numbers(bits: Bits, count: int) -> None:
    for _ in range(count):
        bits.golomb()


def _skip_scaling_lists(bits: Bits) -> None:
    """Passes the scaling lists (7.3.4)."""
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if bits.flag():
                _skip_numbers(bits, min(64, 16 << 2 * size) + (size > 1))
            else:
                bits.golomb()


def _picture_set(bits: Bits, last: list[int], *, is_first: bool) -> list[int]:
    """Returns the pictures of a short-term reference picture set (7.3.7, 7.4.8).

    Args:
        bits: Where it begins.
        last: The pictures of the set before.
        is_first: Whether there is none before.

    Returns:
        How far before (below 0) or behind each picture is, those before first, each group from near to far.
    """
    if is_first or not bits.flag():
        before, behind = bits.golomb(_MOST_PICTURES), bits.golomb(_MOST_PICTURES)
        pictures: list[int] = []
        for count, sign in ((before, -1), (behind, 1)):
            place = 0
            for _ in range(count):
                place += sign * (bits.golomb(1 << 15) + 1)
                bits.flag()  # used by the current picture
                pictures.append(place)
        return pictures
    sign = -1 if bits.flag() else 1
    shift = sign * (bits.golomb(1 << 15) + 1)
    moved = [place + shift for place in (*last, 0) if bits.flag() or bits.flag()]
    if len(moved) > _MOST_PICTURES + 1:
        raise ValueError("too many reference pictures")
    return [*sorted((place for place in moved if place < 0), reverse=True), *sorted(p for p in moved if p > 0)]


def _usability(bits: Bits) -> tuple[int, int, int, int]:
    """Returns the code points in the usability information (E.2.1), which begins with aspect ratio and overscan."""
    if bits.flag() and bits.take(8) == _ASPECT_IN_NUMBERS:
        bits.take(32)
    if bits.flag():
        bits.flag()
    if not bits.flag():
        return _UNSTATED, _UNSTATED, _UNSTATED, 0
    bits.take(3)
    full_range = bits.take(1)
    primaries, transfer, matrix = (bits.take(8), bits.take(8), bits.take(8)) if bits.flag() else (_UNSTATED,) * 3
    return primaries, transfer, matrix, full_range
