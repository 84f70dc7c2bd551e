"""The Swift file that enlarges photos of any size with a release's package, and the recipe in it.

The recipe's numbers come from the record; what they give for some sizes comes from the code that tiles on the page, so
that the Swift file can check itself.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

from sr_core.arch.padding import align, mirror_indices
from sr_core.coreml.package import INPUT, OUTPUT
from sr_core.errors import PackageError
from sr_core.infer.tiles import WEIGHT_SUM, Axis, blend_weights, plan_tiles
from zoo.release import AUTHOR, CoreMLRecord, FileRecord, Release

__all__ = ["CHECK_SIZES", "SWIFT_FILE", "filled", "packaged", "swift_sample", "tile_recipe"]

SWIFT_FILE: Final = "PocketSuperResolution.swift"

CHECK_SIZES: Final = (1, 40, 64, 100, 509, 4032)
"""Sides of photos for which the Swift file holds check values: a pixel, less than a tile, one, more, a prime, a phone's
photo."""

_TEMPLATES: Final = Path(__file__).parent / "templates"
_LINE: Final = 120
_DIGEST_FACTOR: Final = 31
_DIGEST_PRIME: Final = 1_000_000_007


def packaged(release: Release) -> tuple[CoreMLRecord, FileRecord]:
    """Returns the record of a release's package, and that of its zip.

    Raises:
        PackageError: The release has no Core ML package.
    """
    if release.coreml is None or release.package is None:
        raise PackageError(
            f"{release.id} has no Core ML package, so there is no kit of it; please choose another model."
        )
    return release.coreml, release.package


def swift_sample(release: Release) -> str:
    """Returns the Swift file that enlarges photos of any size with a release's package.

    Raises:
        PackageError: The release has no Core ML package.
    """
    record, _ = packaged(release)
    recipe = tile_recipe(release)
    return filled(
        SWIFT_FILE,
        {
            "author": AUTHOR,
            "id": release.id,
            "name": record.name,
            "min_ios": record.min_ios,
            "input": INPUT,
            "output": OUTPUT,
            "out": recipe["tile"] * recipe["scale"],
            "checks": "\n".join(map(_swift_check, recipe["checks"])),
            "page_tile": release.tiling.tile,
            "page_overlap": release.tiling.overlap,
            "seam": _seam(record.seam_max),
            "page_seam": _seam(release.tiling.seam_max),
            **{name: recipe[name] for name in ("tile", "overlap", "margin", "ramp", "scale", "weight_sum")},
        },
    )


def tile_recipe(release: Release) -> dict[str, Any]:
    """Returns how to tile with a release's package, in input pixels, and what that gives for ``CHECK_SIZES``.

    Sources and weights of a check are digests of the lists: beginning with 0, for each value 31 times what is there and
    the value, modulo 1,000,000,007. The weights are those of all tiles, one after the other.

    Raises:
        PackageError: The release has no Core ML package, or none that can be tiled.
    """
    record, _ = packaged(release)
    spec = release.variant.spec
    overlap = align(record.overlap, spec.window)
    if record.margin != spec.window or record.tile % spec.window or record.tile < 2 * overlap:
        raise PackageError(
            f"The package of {release.id} takes tiles of {record.tile} pixels with an overlap of {record.overlap} and "
            f"a margin of {record.margin}, which do not fit its windows of {spec.window}."
        )
    axes = [plan_tiles(size, size, spec.window, record.plain_tiling()).rows for size in CHECK_SIZES]
    return {
        "tile": record.tile,
        "overlap": overlap,
        "margin": record.margin,
        "ramp": axes[0].ramp,
        "scale": spec.scale,
        "weight_sum": WEIGHT_SUM,
        "padding": "mirrored, the edge is repeated",
        "rounding": "to the nearest, half way to the even",
        "checks": [_check(axis, spec.scale) for axis in axes],
    }


def filled(template: str, values: Mapping[str, object]) -> str:
    """Returns a template with a value in each place that is marked ``{{name}}``.

    Args:
        template: File name below ``zoo/templates``.
        values: By name; exactly those that the template marks.
    """
    text = (_TEMPLATES / template).read_text(encoding="utf-8")
    names = set(re.findall(r"\{\{(\w+)\}\}", text))
    if names != set(values):
        raise ValueError(f"the template {template} and its values differ in {sorted(names ^ set(values))}")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: str(values[found[1]]), text)


def _check(axis: Axis, scale: int) -> dict[str, Any]:
    weights = [weight for tile in blend_weights(axis, scale) for weight in tile]
    return {
        "size": axis.size,
        "padded": axis.padded,
        "sources": _digest(mirror_indices(axis.size, axis.padded, lead=axis.lead)),
        "weights": _digest(weights),
        "starts": list(axis.starts),
    }


def _seam(steps: float | None) -> str:
    return "not measured" if steps is None else f"{steps:.2g}/255"


def _digest(values: Sequence[int]) -> int:
    total = 0
    for value in values:
        total = (_DIGEST_FACTOR * total + value) % _DIGEST_PRIME
    return total


def _swift_check(check: Mapping[str, Any]) -> str:
    """Returns a check as a Swift tuple, in lines that stand on their own."""
    starts = ", ".join(map(str, check["starts"]))
    words = (
        f"(size: {check['size']}, padded: {check['padded']}, sources: {check['sources']}, "
        f"weights: {check['weights']}, starts: [{starts}]),"
    )
    return "\n".join(wrap(words, _LINE, initial_indent=" " * 8, subsequent_indent=" " * 12))
