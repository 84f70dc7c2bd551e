"""Where the tiles of a picture lie and how their results are blended, in integers only.

A picture lies in a grid of windows: at each of its four edges follows a margin of at least one window of mirrored
picture, at the right and below as much more as fills the last window. The convolutions of a network see black beyond
what they are given; the margin, which is cropped from the result, takes what they get wrong there. Along each axis,
tiles of one size cover the grid: they start and end on window borders, neighbours overlap by at least what was asked,
and by no more than the next window border demands. Tile sizes shrink until they fit evenly, so there is no sliver at
the end that costs a whole tile.

Blend weights count steps of 1/4096. They are differences of neighbouring ramps, so at every output pixel they sum to
exactly 4096, and the product of two of them is exact in float32.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sr_core.arch.padding import align
from sr_core.errors import OptionError

__all__ = [
    "WEIGHT_SUM",
    "Axis",
    "Plan",
    "Span",
    "Tiling",
    "blend_weights",
    "overlap_spans",
    "picture_span",
    "plan_tiles",
]

WEIGHT_SUM: Final = 4096
"""What the blend weights of all tiles at an output pixel add up to, along each axis."""

_RAMP_PART: Final = 4
# What a tile gets wrong for want of surroundings falls off so fast behind its border that the middle quarter of an
# overlap is better than a wider ramp: with a 2-stage SwinIR, tiles of 96 and an overlap of 32, the largest difference
# to the untiled result is 0.002, 0.012 and 0.20 steps of 1/255 for a ramp over a quarter, a half and all of it.

Span = tuple[int, int]
"""First pixel, and the pixel after the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """How a picture is cut up, in input pixels.

    Attributes:
        tile: Longest side of a tile; rounded down to a multiple of the network's window.
        overlap: Least overlap of neighbouring tiles; rounded up to a multiple of the window.
        batch: Most tiles that go through the network at once.
        fixed: Whether every tile has that side, and the grid of a small picture grows to hold it, as a Core ML package
            needs; otherwise tiles shrink until they fit.
    """

    tile: int = 128
    overlap: int = 32
    batch: int = 1
    fixed: bool = False

    def __post_init__(self) -> None:
        """Refuses a tiling that cannot be, in one sentence."""
        if self.tile < 1:
            raise OptionError(f"A tile must have at least 1 pixel a side, not {self.tile}.")
        if self.overlap < 0:
            raise OptionError(f"The overlap of tiles cannot be negative, but is {self.overlap} pixels.")
        if self.batch < 1:
            raise OptionError(f"At least 1 tile must go through the network at once, not {self.batch}.")
        _check_overlap(self.tile, self.overlap)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The tiles along one axis, in input pixels.

    Attributes:
        size: Pixels of the picture.
        lead: Pixels of the grid before the picture: one window.
        padded: Pixels of the grid, which the tiles cover: ``size`` and a margin at both ends, aligned to the window.
        tile: Pixels of a tile, the same for all of them.
        starts: First pixel of each tile in the grid, ascending.
        ramp: Pixels over which one tile takes over from the one before it, in the middle of their overlap.
    """

    size: int
    lead: int
    padded: int
    tile: int
    starts: tuple[int, ...]
    ramp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The tiles of a picture: every one of ``rows`` crossed with every one of ``columns``."""

    rows: Axis
    columns: Axis

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return len(self.rows.starts) * len(self.columns.starts)

    @property
    def tile_pixels(self) -> int:
        """Input pixels of one tile."""
        return self.rows.tile * self.columns.tile

    def bands(self, batch: int) -> Iterator[tuple[int, tuple[tuple[int, ...], ...]]]:
        """Yields for each row of tiles its top and the left edges of its tiles, in batches of at most ``batch``."""
        lefts = self.columns.starts
        batches = tuple(lefts[i : i + batch] for i in range(0, len(lefts), batch))
        for top in self.rows.starts:
            yield top, batches


def plan_tiles(height: int, width: int, multiple: int, tiling: Tiling) -> Plan:
    """Returns the tiles of a picture.

    Args:
        height: Rows of the picture, at least 1.
        width: Columns of the picture, at least 1.
        multiple: The network's window: tiles start and end on multiples of it, and so wide is the margin.
        tiling: What is wanted.

    Raises:
        OptionError: Rounded to windows, the tile is too small for the overlap.
    """
    tile = tiling.tile // multiple * multiple
    overlap = align(tiling.overlap, multiple)
    if tile == 0:
        raise OptionError(
            f"A tile of {tiling.tile} pixels is smaller than the network's window; at least {multiple} are needed."
        )
    _check_overlap(tile, overlap)
    sides = (_axis(size, tile, overlap, multiple, fixed=tiling.fixed) for size in (height, width))
    return Plan(rows=next(sides), columns=next(sides))


def blend_weights(axis: Axis, scale: int) -> tuple[tuple[int, ...], ...]:
    """Returns for each tile along an axis the weight of each of its output pixels, in steps of 1/4096.

    A weight is 1 in the middle of a tile and falls to 0 well before the tile's own border, where a network sees least
    of the surroundings: the ramp takes the middle quarter of an overlap. Of all tiles that cover an output pixel the
    weights sum to exactly ``WEIGHT_SUM``.

    Args:
        axis: The tiles.
        scale: Output pixels per input pixel.

    Returns:
        As many weights for each tile as it has output pixels.
    """
    size = axis.tile * scale
    width = axis.ramp * scale
    ramps = [((first + end) * scale - width) // 2 for first, end in _overlaps(axis)]  # where each ramp begins

    def weights(index: int) -> Iterator[int]:
        for pixel in range(axis.starts[index] * scale, axis.starts[index] * scale + size):
            risen = _smooth_step(pixel - ramps[index - 1], width) if index else WEIGHT_SUM
            fallen = _smooth_step(pixel - ramps[index], width) if index < len(ramps) else 0
            yield risen - fallen

    return tuple(tuple(weights(index)) for index in range(len(axis.starts)))


def overlap_spans(axis: Axis, scale: int) -> tuple[Span, ...]:
    """Returns where neighbouring tiles overlap in the picture, in its output pixels; none lies in the margin."""
    spans = (picture_span(axis, overlap, scale) for overlap in _overlaps(axis))
    return tuple((first, end) for first, end in spans if first < end)


def picture_span(axis: Axis, span: Span, scale: int) -> Span:
    """Returns which output pixels of the picture come from input pixels of the grid.

    Args:
        axis: The grid.
        span: Input pixels of the grid.
        scale: Output pixels per input pixel.

    Returns:
        Output pixels, 0 being the first of the picture; first and end are equal when the span is all margin.
    """
    first, end = (min(max(at - axis.lead, 0), axis.size) * scale for at in span)
    return first, end


def _overlaps(axis: Axis) -> tuple[Span, ...]:
    """Returns where neighbouring tiles overlap, in input pixels of the grid."""
    pairs = zip(axis.starts, axis.starts[1:], strict=False)
    return tuple((after, before + axis.tile) for before, after in pairs)


def _check_overlap(tile: int, overlap: int) -> None:
    if tile < 2 * overlap:
        raise OptionError(
            f"A tile of {tile} pixels is too small for an overlap of {overlap}; at least {2 * overlap} are needed."
        )


def _axis(size: int, tile: int, overlap: int, multiple: int, *, fixed: bool) -> Axis:
    """Returns the fewest tiles that cover a grid; unless fixed, all shrunk to the smallest size that still does."""
    if size < 1:
        raise ValueError(f"a picture cannot have a side of {size} pixels")
    margin = multiple
    padded = max(align(size + 2 * margin, multiple), tile if fixed else 0)
    count = 1 if padded <= tile else 1 - (tile - padded) // (tile - overlap)
    fitted = tile if fixed else align(-(-(padded + (count - 1) * overlap) // count), multiple)
    windows = (padded - fitted) // multiple  # that the last tile lies behind the first
    starts = tuple(index * windows // max(count - 1, 1) * multiple for index in range(count))
    return Axis(size=size, lead=margin, padded=padded, tile=fitted, starts=starts, ramp=overlap // _RAMP_PART)


def _smooth_step(at: int, width: int) -> int:
    """Returns the ramp ``3 t**2 - 2 t**3`` at the centre of pixel ``at`` of ``width``, in steps of 1/4096, rounded."""
    if at < 0:
        return 0
    if at >= width:
        return WEIGHT_SUM
    part, whole = 2 * at + 1, 2 * width
    return (2 * WEIGHT_SUM * part * part * (3 * whole - 2 * part) + whole**3) // (2 * whole**3)
