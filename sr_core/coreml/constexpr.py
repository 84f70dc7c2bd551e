"""Compressed constants of an ML program multiplied out: what the ``constexpr`` operations stand for.

Source: coremltools 9.0, converters/mil/mil/ops/defs/iOS16/constexpr_ops.py and iOS18/compression.py.
"""

from collections.abc import Callable, Mapping
from math import prod
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sr_core.coreml.blob import unpack_bits
from sr_core.coreml.program import Constant, Operation
from sr_core.errors import PackageError

__all__ = ["CONSTEXPRS", "multiply_out"]

Parts: TypeAlias = dict[str, NDArray[Any]]
"""The arrays of an operation by the name of their parameter; whoever uses one takes it out."""


def multiply_out(operation: Operation, known: Mapping[str, Constant]) -> Constant:
    """Returns the constant that an operation of ``CONSTEXPRS`` stands for.

    Args:
        operation: What is stored.
        known: The constants before it.

    Raises:
        PackageError: Its parts do not fit each other, or what they make is not what is declared.
    """
    declared = operation.outputs[0][1]
    try:
        parts = _parts(operation, known)
        value = CONSTEXPRS[operation.type](parts)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise PackageError(
            f"The parts of the compressed constant {operation.name} ({operation.type}) do not fit each other."
        ) from error
    if parts or len(operation.outputs) != 1:
        raise PackageError(f"The compressed constant {operation.name} has parts that are not known here.")
    if (value.dtype.name, value.shape) != (declared.dtype, declared.shape):
        raise PackageError(
            f"The compressed constant {operation.name} is declared to be {declared}, "
            f"but its parts make {value.dtype.name} {value.shape}."
        )
    return Constant(type=declared, value=value)


def _parts(operation: Operation, known: Mapping[str, Constant]) -> Parts:
    """Returns the arrays of an operation; those of iOS 16 stand in place, those of iOS 18 under names."""
    parts: Parts = {}
    for key, several in operation.inputs.items():
        [argument] = several
        constant = known[argument] if isinstance(argument, str) else argument
        parts[key] = np.asarray(constant.value)
    return parts


def _affine(parts: Parts) -> NDArray[Any]:
    """Codes minus zero points, times steps: one for all, or one for each place along an axis."""
    codes, steps, zeros = parts.pop("quantized_data"), parts.pop("scale"), parts.pop("zero_point")
    shape = [1] * codes.ndim
    shape[int(parts.pop("axis"))] = -1

    def spread(vector: NDArray[Any]) -> NDArray[np.float32]:
        if vector.ndim > 1:
            raise ValueError("one number, or one for each place along the axis")
        return vector.astype(np.float32).reshape(shape if vector.ndim else ())

    return _rounded((codes.astype(np.float32) - spread(zeros)) * spread(steps), steps.dtype)


def _blockwise(parts: Parts) -> NDArray[Any]:
    """Codes minus offsets, times steps: one for each block, where a step covers equal parts of every axis."""
    codes, steps = parts.pop("data"), parts.pop("scale")
    offsets = parts.pop("offset", np.zeros(steps.shape, codes.dtype))
    if offsets.shape != steps.shape:
        raise ValueError("an offset for each step")
    spread = [_over_blocks(blocks.astype(np.float32), codes.shape) for blocks in (offsets, steps)]
    return _rounded((codes.astype(np.float32) - spread[0]) * spread[1], steps.dtype)


def _from_palette(parts: Parts) -> NDArray[Any]:
    """Values that places in a table stand for; in iOS 18, with a table for each block."""
    palette, places = parts.pop("lut"), parts.pop("indices")
    if "shape" in parts:  # iOS 16: one table, places packed in bytes
        shape = tuple(int(size) for size in parts.pop("shape"))
        bits, count = palette.size.bit_length() - 1, prod(shape)
        if palette.shape != (2**bits,) or places.shape != (-(-count * bits // 8),):
            raise ValueError("as many bytes as the places take")
        return palette[unpack_bits(places, bits, count)].reshape(shape)
    if palette.ndim != places.ndim + 2 or palette.shape[-1] != 1:
        raise ValueError("a table of single values for each block")
    blocks = np.arange(prod(palette.shape[:-2])).reshape(palette.shape[:-2])
    tables = palette.reshape(blocks.size, -1)
    return tables[_over_blocks(blocks, places.shape), places]


def _from_sparse(parts: Parts) -> NDArray[Any]:
    """Values where a mask has ones, and zero elsewhere."""
    values, mask = parts.pop("nonzero_data"), parts.pop("mask")
    if "shape" in parts:  # iOS 16: the mask is packed in bytes
        shape = tuple(int(size) for size in parts.pop("shape"))
        if mask.shape != (-(-prod(shape) // 8),):
            raise ValueError("as many bytes as the mask takes")
        mask = unpack_bits(mask, 1, prod(shape)).reshape(shape)
    if values.shape != (np.count_nonzero(mask),):
        raise ValueError("a value for each one in the mask")
    dense = np.zeros(mask.shape, values.dtype)
    dense[mask != 0] = values
    return dense


def _cast(parts: Parts) -> NDArray[Any]:
    """Values in float32 that are stored in float16."""
    stored, dtype = parts.pop("source_val"), str(parts.pop("output_dtype"))
    if stored.dtype != np.float16 or dtype != "fp32":
        raise ValueError("from float16 to float32")
    return stored.astype(np.float32)


def _over_blocks(blocks: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Returns one number per block spread over an array: each axis is cut into as many equal parts as there are."""
    if blocks.ndim != len(shape):
        raise ValueError("a number of blocks for each axis")
    for axis, (parts, size) in enumerate(zip(blocks.shape, shape, strict=True)):
        if size % parts:
            raise ValueError("blocks of equal size")
        blocks = np.repeat(blocks, size // parts, axis)
    return blocks


def _rounded(values: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.name not in ("float16", "float32"):
        raise ValueError("steps that are floats")
    with np.errstate(over="ignore"):  # what overflows float16 is infinite there
        return values.astype(dtype)


CONSTEXPRS: Final[Mapping[str, Callable[[Parts], NDArray[Any]]]] = MappingProxyType(
    {
        "constexpr_affine_dequantize": _affine,
        "constexpr_blockwise_shift_scale": _blockwise,
        "constexpr_cast": _cast,
        "constexpr_lut_to_dense": _from_palette,
        "constexpr_sparse_to_dense": _from_sparse,
    }
)
"""The operations that are known here; the others of iOS 18 (vectors of values, two compressions at once) are not."""
