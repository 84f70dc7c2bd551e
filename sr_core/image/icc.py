"""What an ICC profile says of its tone curves, read by hand within bounds.

Source: ICC.1:2022, 7 (profile structure), 10.6 (curveType) and 10.18 (parametricCurveType).
"""

import struct
from typing import Final

__all__ = ["is_linear"]

_CURVES: Final = (b"rTRC", b"gTRC", b"bTRC", b"kTRC")
_TAG_COUNT_AT: Final = 128
_TAG_BYTES: Final = 12
_MOST_TAGS: Final = 256
_PARAMETERS: Final = (1, 3, 4, 5, 7)
_MIDDLE: Final = 0.5
# A gamma of 0.84 to 1.16. The nearest that displays have is 1.8, which makes 0.29 of the middle.
_LINEAR_FROM, _LINEAR_TO = 0.447, 0.559


def is_linear(icc: bytes | None) -> bool:
    """Returns whether the samples of a profile are proportional to light, or nearly so.

    A profile without tone curves of its own, or with damaged ones, is taken for one of encoded samples, as usual.

    Args:
        icc: Profile for RGB or grey, or None.
    """
    if icc is None or icc[36:40] != b"acsp":
        return False
    try:
        middles = [_middle(icc[at : at + size]) for at, size in _curve_places(icc)]
    except (struct.error, ArithmeticError, ValueError):
        return False
    return bool(middles) and all(_LINEAR_FROM <= middle <= _LINEAR_TO for middle in middles)


def _curve_places(icc: bytes) -> list[tuple[int, int]]:
    """Returns offset and size of each tone curve."""
    count = min(struct.unpack_from(">I", icc, _TAG_COUNT_AT)[0], _MOST_TAGS)
    starts = range(_TAG_COUNT_AT + 4, _TAG_COUNT_AT + 4 + count * _TAG_BYTES, _TAG_BYTES)
    tags = [struct.unpack_from(">4sII", icc, start) for start in starts if start + _TAG_BYTES <= len(icc)]
    return [(at, size) for name, at, size in tags if name in _CURVES]


def _middle(curve: bytes) -> float:
    """Returns the light of a signal of 0.5."""
    if curve[:4] == b"para":
        kind = struct.unpack_from(">H", curve, 8)[0]
        if kind >= len(_PARAMETERS):
            raise ValueError("no such curve")
        return _parametric(kind, [value / 65536 for value in struct.unpack_from(f">{_PARAMETERS[kind]}i", curve, 12)])
    if curve[:4] != b"curv":
        raise ValueError("no curve")
    count = struct.unpack_from(">I", curve, 8)[0]
    if count == 0:
        return _MIDDLE
    if count == 1:
        return _MIDDLE ** (struct.unpack_from(">H", curve, 12)[0] / 256)
    below, above = (struct.unpack_from(">H", curve, 12 + 2 * at)[0] for at in ((count - 1) // 2, count // 2))
    return (below + above) / 2 / 65535


def _parametric(kind: int, values: list[float]) -> float:
    """Returns the light that a parametric curve makes of a signal of 0.5."""
    g, a, b, c, d, e, f = (*values, *(0.0,) * 7)[:7]
    x = _MIDDLE
    base = x if kind == 0 else max(a * x + b, 0.0)
    match kind:
        case 0 | 1:
            return base**g
        case 2:
            return base**g + c
        case 3:
            return base**g if x >= d else c * x
        case _:
            return base**g + e if x >= d else c * x + f
