"""What a network costs: learned values, multiplications and bytes, computed from its spec alone.

Everything is proportional to the number of input pixels: a window costs the same wherever it lies, and convolutions
keep the size. So the multiplications for one input pixel are a whole number, and say all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Final, Literal, TypeAlias, assert_never

import torch

from sr_core.arch.storage import channel_axis, grid_of, palette_bits
from sr_core.errors import OptionError
from sr_core.spec import Formats, Precision, SwinIRSpec

__all__ = ["Cost", "count_bytes", "count_macs", "count_macs_per_megapixel", "count_parameters", "shapes_of"]

_Part: TypeAlias = Literal["attention", "mlp", "convolutions", "norms"]

MEGAPIXEL: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One kind of cost, by the parts of the network.

    Attributes:
        attention: Queries, keys, values, position biases, projections and the products between tokens.
        mlp: The two linear layers of every block.
        convolutions: Shallow features, the ends of stages and of the body, and the reconstruction.
        norms: Every LayerNorm; its multiplications are not counted.
    """

    attention: int
    mlp: int
    convolutions: int
    norms: int

    @property
    def total(self) -> int:
        """The whole network's cost."""
        return self.attention + self.mlp + self.convolutions + self.norms


def count_parameters(spec: SwinIRSpec) -> Cost:
    """Returns how many learned values a network has."""
    return _sum([(piece.part, sum(prod(shape) for shape in piece.tensors.values())) for piece in _pieces(spec)])


def count_macs(spec: SwinIRSpec, height: int, width: int) -> Cost:
    """Returns how many multiply-accumulates the products of a network take for one picture.

    Counted are linear layers, convolutions, queries times keys and weights times values; not counted are sums, norms,
    softmax, GELU and LeakyReLU.

    Args:
        spec: The network.
        height: Rows of the input; a multiple of the window, as the network would pad it to one.
        width: Columns of the input, likewise.

    Raises:
        OptionError: The size is not a multiple of the window.
    """
    if height < 1 or width < 1 or height % spec.window or width % spec.window:
        raise OptionError(
            f"Multiplications are counted for sizes that are multiples of the window of {spec.window} pixels, "
            f"not for {height} x {width}."
        )
    return _sum([(piece.part, piece.macs_per_pixel * height * width) for piece in _pieces(spec)])


def count_macs_per_megapixel(spec: SwinIRSpec) -> Cost:
    """Returns how many multiply-accumulates a million input pixels take; see :func:`count_macs`."""
    return _sum([(piece.part, piece.macs_per_pixel * MEGAPIXEL) for piece in _pieces(spec)])


def count_bytes(spec: SwinIRSpec, precision: Precision, formats: Formats = ()) -> Cost:
    """Returns how many bytes the weights take in a weight file, without the file's header.

    Args:
        spec: The network.
        precision: How the weights are stored.
        formats: How each layer is stored, for ``mixed-bit``.
    """
    return _sum(
        [
            (piece.part, sum(_stored_bytes(name, shape, precision, formats) for name, shape in piece.tensors.items()))
            for piece in _pieces(spec)
        ]
    )


def shapes_of(spec: SwinIRSpec) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each learned tensor by name, in the order of the layers."""
    return {name: shape for piece in _pieces(spec) for name, shape in piece.tensors.items()}


@dataclass(frozen=True, slots=True)
class _Piece:
    """A layer: the shapes of its learned tensors by name, and its multiply-accumulates for each input pixel."""

    part: _Part
    tensors: dict[str, tuple[int, ...]]
    macs_per_pixel: int


def _pieces(spec: SwinIRSpec) -> Iterator[_Piece]:
    """Yields every layer of a network, with the names that its weights have."""
    dim = spec.embed_dim
    yield _conv("conv_first", spec.channels, dim)
    yield _norm("patch_norm", dim)
    for i, blocks in enumerate(zip(spec.heads, spec.hidden, strict=True)):
        for j, (heads, hidden) in enumerate(zip(*blocks, strict=True)):
            yield from _block(spec, f"layers.{i}.residual_group.blocks.{j}", heads, hidden)
        yield from _closing(spec, f"layers.{i}.conv")
    yield _norm("norm", dim)
    yield from _closing(spec, "conv_after_body")
    yield from _reconstruction(spec)


def _block(spec: SwinIRSpec, name: str, heads: int, hidden: int) -> Iterator[_Piece]:
    dim, inner, tokens = spec.embed_dim, heads * spec.head_dim, spec.window**2
    if heads:
        yield _norm(f"{name}.norm1", dim)
        yield _linear("attention", f"{name}.attn.qkv", dim, 3 * inner)
        # Each token meets every token of its window twice: as a query, and as a sum of values.
        table: dict[str, tuple[int, ...]] = {
            f"{name}.attn.relative_position_bias_table": ((2 * spec.window - 1) ** 2, heads)
        }
        yield _Piece("attention", table, 2 * tokens * inner)
        yield _linear("attention", f"{name}.attn.proj", inner, dim)
    if hidden:
        yield _norm(f"{name}.norm2", dim)
        yield _linear("mlp", f"{name}.mlp.fc1", dim, hidden)
        yield _linear("mlp", f"{name}.mlp.fc2", hidden, dim)


def _closing(spec: SwinIRSpec, name: str) -> Iterator[_Piece]:
    dim = spec.embed_dim
    match spec.resi_connection:
        case "1conv":
            yield _conv(name, dim, dim)
        case "3conv":
            yield _conv(f"{name}.0", dim, dim // 4)
            yield _conv(f"{name}.2", dim // 4, dim // 4, side=1)
            yield _conv(f"{name}.4", dim // 4, dim)
        case _:
            assert_never(spec.resi_connection)


def _reconstruction(spec: SwinIRSpec) -> Iterator[_Piece]:
    """Yields the convolutions up to the picture; each works on ``area`` pixels for one input pixel."""
    dim, features, channels, scale = spec.embed_dim, spec.features, spec.channels, spec.scale
    factors = {2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}[scale]
    area, place = 1, 2
    match spec.upsampler:
        case "pixelshuffledirect":
            yield _conv("reconstruction.0", dim, channels * scale * scale)
        case "pixelshuffle":
            yield _conv("reconstruction.0", dim, features)
            for factor in factors:
                yield _conv(f"reconstruction.{place}", features, features * factor * factor, area=area)
                area, place = area * factor * factor, place + 2
            yield _conv(f"reconstruction.{place}", features, channels, area=area)
        case "nearest+conv":
            yield _conv("reconstruction.0", dim, features)
            for factor in factors:
                area *= factor * factor
                yield _conv(f"reconstruction.{place + 1}", features, features, area=area)
                place += 3
            yield _conv(f"reconstruction.{place}", features, features, area=area)
            yield _conv(f"reconstruction.{place + 2}", features, channels, area=area)
        case _:
            assert_never(spec.upsampler)


def _conv(name: str, inputs: int, outputs: int, *, side: int = 3, area: int = 1) -> _Piece:
    tensors = {f"{name}.weight": (outputs, inputs, side, side), f"{name}.bias": (outputs,)}
    return _Piece("convolutions", tensors, inputs * outputs * side * side * area)


def _linear(part: _Part, name: str, inputs: int, outputs: int) -> _Piece:
    return _Piece(part, {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}, inputs * outputs)


def _norm(name: str, dim: int) -> _Piece:
    return _Piece("norms", {f"{name}.weight": (dim,), f"{name}.bias": (dim,)}, 0)


def _stored_bytes(name: str, shape: tuple[int, ...], precision: Precision, formats: Formats) -> int:
    count, grid = prod(shape), grid_of(name, torch.empty(shape, device="meta"), precision, formats)
    match grid:
        case None:
            return count * (4 if precision == "float32" else 2)
        case "int8":
            return count + 2 * shape[channel_axis(name)]
        case "palette6" | "palette4":
            bits = palette_bits(grid)
            return -(-count * bits // 8) + 2 * 2**bits


def _sum(costs: list[tuple[_Part, int]]) -> Cost:
    totals: dict[_Part, int] = {"attention": 0, "mlp": 0, "convolutions": 0, "norms": 0}
    for part, cost in costs:
        totals[part] += cost
    return Cost(**totals)
