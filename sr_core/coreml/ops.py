"""What the operations of an ML program compute, in the number format of the tensors that they are given.

Each function reads the operands it knows and returns its results before they are rounded to their declared type. An
operation, an operand or a setting that is not known here is refused, never guessed.

Source: coremltools 9.0, converters/mil/mil/ops/defs/iOS15 to iOS18, the documentation of each operation.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sr_core.coreml.program import Argument, Constant, Operation
from sr_core.errors import PackageError

__all__ = ["FLOATS", "OPERATIONS", "Operands", "Results", "Value"]

FLOATS: Final = ("float16", "float32")
"""The types that operations compute with."""

Results: TypeAlias = Tensor | tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor while a program runs, and the type that it is declared to have."""

    dtype: str
    data: Tensor


class Operands:
    """What one operation is given, taken out operand by operand; what is left at the end was not understood."""

    def __init__(self, operation: Operation, look_up: Callable[[Argument], Value | Constant]) -> None:
        """Prepares the operands of an operation; ``look_up`` knows what each argument stands for."""
        self._operation, self._look_up = operation, look_up
        self._left = dict(operation.inputs)
        self.dtype: str | None = None

    def has(self, key: str) -> bool:
        """Returns whether an operand is given and was not taken yet."""
        return key in self._left

    def tensors(self, key: str) -> list[Tensor]:
        """Returns a list of tensors; all tensors of an operation must be of one float type."""
        tensors: list[Tensor] = []
        for argument in self._take(key):
            value = self._look_up(argument)
            if not isinstance(value, Value):
                raise self.refusal(f"takes {key}, which is no tensor of floats")
            if self.dtype not in (None, value.dtype):
                raise self.refusal(f"mixes {self.dtype} and {value.dtype}")
            self.dtype = value.dtype
            tensors.append(value.data)
        return tensors

    def tensor(self, key: str) -> Tensor:
        """Returns one tensor."""
        return self._one(key, self.tensors(key))

    def number(self, key: str, default: float | None = None) -> float:
        """Returns a single number, of whatever type it is stored in."""
        if default is not None and not self.has(key):
            return default
        value = self._one(key, [self._look_up(argument) for argument in self._take(key)])
        array: Any = value.data if isinstance(value, Value) else value.value
        if isinstance(array, str) or array.ndim:
            raise self.refusal(f"needs a single number as {key}")
        return float(array)

    def wholes(self, key: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Returns a row of whole numbers."""
        if default is not None and not self.has(key):
            return default
        array = self._constant(key, "int32")
        if array.ndim != 1:
            raise self.refusal(f"needs a row of numbers as {key}")
        return tuple(int(number) for number in array)

    def whole(self, key: str, default: int | None = None) -> int:
        """Returns a single whole number."""
        if default is not None and not self.has(key):
            return default
        return int(self._constant(key, "int32"))

    def flags(self, key: str, count: int) -> tuple[bool, ...]:
        """Returns a row of truth values; all false when it is not given."""
        if not self.has(key):
            return (False,) * count
        return tuple(bool(flag) for flag in self._constant(key, "bool"))

    def flag(self, key: str) -> bool:
        """Returns a single truth value; false when it is not given."""
        return self.has(key) and bool(self._constant(key, "bool"))

    def word(self, key: str, default: str | None = None) -> str:
        """Returns a word."""
        if default is not None and not self.has(key):
            return default
        return str(self._constant(key, "string"))

    def finish(self) -> None:
        """Refuses what was given and not taken."""
        if self._left:
            raise self.refusal(f"has operands that are not known here: {', '.join(sorted(self._left))}")

    def refusal(self, what: str) -> PackageError:
        """Returns the error that this operation does something it must not."""
        return PackageError(f"The operation {self._operation.name} ({self._operation.type}) {what}.")

    def _take(self, key: str) -> tuple[Argument, ...]:
        arguments = self._left.pop(key, None)
        if arguments is None:
            raise self.refusal(f"lacks the operand {key}")
        return arguments

    def _constant(self, key: str, dtype: str) -> Any:
        value = self._one(key, [self._look_up(argument) for argument in self._take(key)])
        if not isinstance(value, Constant) or value.type.dtype != dtype:
            raise self.refusal(f"needs a constant of type {dtype} as {key}")
        return value.value

    def _one(self, key: str, several: list[Any]) -> Any:
        if len(several) != 1:
            raise self.refusal(f"needs exactly one {key}")
        return several[0]


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Operands], Tensor]:
    return lambda operands: function(operands.tensor("x"), operands.tensor("y"))


def _unary(function: Callable[[Tensor], Tensor]) -> Callable[[Operands], Tensor]:
    return lambda operands: function(operands.tensor("x"))


def _conv(operands: Operands) -> Tensor:
    x, weight = operands.tensor("x"), operands.tensor("weight")
    bias = operands.tensor("bias") if operands.has("bias") else None
    axes = x.ndim - 2
    ones = (1,) * axes
    pad_type = operands.word("pad_type", "valid")
    pads = operands.wholes("pad", (0, 0) * axes)
    if pad_type not in ("valid", "custom") or len(pads) != 2 * axes or (pad_type == "valid" and any(pads)):
        raise operands.refusal(f"pads in a way that is not known here: {pad_type!r} by {pads}")
    padded = F.pad(x, _last_axis_first(pads)) if any(pads) else x
    function = {3: F.conv1d, 4: F.conv2d}[x.ndim]
    settings = (operands.wholes("strides", ones), (0,) * axes, operands.wholes("dilations", ones))
    return function(padded, weight, bias, *settings, operands.whole("groups", 1))


def _linear(operands: Operands) -> Tensor:
    bias = operands.tensor("bias") if operands.has("bias") else None
    return F.linear(operands.tensor("x"), operands.tensor("weight"), bias)


def _matmul(operands: Operands) -> Tensor:
    x, y = operands.tensor("x"), operands.tensor("y")
    x = x.mT if operands.flag("transpose_x") else x
    y = y.mT if operands.flag("transpose_y") else y
    return x @ y


def _gelu(operands: Operands) -> Tensor:
    x, mode = operands.tensor("x"), operands.word("mode", "EXACT")
    match mode:
        case "EXACT":
            return F.gelu(x)
        case "TANH_APPROXIMATION":
            return F.gelu(x, approximate="tanh")
        case "SIGMOID_APPROXIMATION":
            return x * torch.sigmoid(1.702 * x)
        case _:
            raise operands.refusal(f"has a mode that is not known here: {mode!r}")


def _leaky_relu(operands: Operands) -> Tensor:
    return F.leaky_relu(operands.tensor("x"), operands.number("alpha", 0.01))


def _clip(operands: Operands) -> Tensor:
    return operands.tensor("x").clamp(operands.number("alpha"), operands.number("beta"))


def _cast(operands: Operands) -> Tensor:
    x, word = operands.tensor("x"), operands.word("dtype")
    target = {"fp16": "float16", "fp32": "float32"}.get(word)
    if target is None:
        raise operands.refusal(f"makes a type that is not known here: {word!r}")
    operands.dtype = target
    return x


def _softmax(operands: Operands) -> Tensor:
    return operands.tensor("x").softmax(operands.whole("axis", -1))


def _layer_norm(operands: Operands) -> Tensor:
    x = operands.tensor("x")
    axes = operands.wholes("axes")
    sizes = [1] * x.ndim
    for axis in axes:
        sizes[axis] = x.shape[axis]
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    y = (x - mean) * (variance + operands.number("epsilon", 1e-5)).rsqrt()
    if operands.has("gamma"):
        y = y * operands.tensor("gamma").view(sizes)
    if operands.has("beta"):
        y = y + operands.tensor("beta").view(sizes)
    return y


def _batch_norm(operands: Operands) -> Tensor:
    x, mean, variance = (operands.tensor(key) for key in ("x", "mean", "variance"))
    gamma, beta = (operands.tensor(key) if operands.has(key) else None for key in ("gamma", "beta"))
    return F.batch_norm(x, mean, variance, gamma, beta, eps=operands.number("epsilon", 1e-5))


def _rsqrt(operands: Operands) -> Tensor:
    return (operands.tensor("x") + operands.number("epsilon", 1e-12)).rsqrt()


def _reduce_mean(operands: Operands) -> Tensor:
    return operands.tensor("x").mean(operands.wholes("axes"), keepdim=operands.flag("keep_dims"))


def _reshape(operands: Operands) -> Tensor:
    x, shape = operands.tensor("x"), operands.wholes("shape")
    if 0 in shape and len(shape) != x.ndim:
        raise operands.refusal("keeps a side of a shape that has another number of sides")
    return x.reshape([x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)])


def _transpose(operands: Operands) -> Tensor:
    return operands.tensor("x").permute(operands.wholes("perm"))


def _expand_dims(operands: Operands) -> Tensor:
    x, axes = operands.tensor("x"), operands.wholes("axes")
    places = {axis % (x.ndim + len(axes)) for axis in axes}
    sizes = iter(x.shape)
    return x.reshape([1 if axis in places else next(sizes) for axis in range(x.ndim + len(axes))])


def _squeeze(operands: Operands) -> Tensor:
    x = operands.tensor("x")
    axes = operands.wholes("axes", tuple(axis for axis, size in enumerate(x.shape) if size == 1))
    if any(x.shape[axis] != 1 for axis in axes):
        raise operands.refusal("takes away an axis that is not 1 long")
    return x.squeeze(axes)


def _slice_by_index(operands: Operands) -> Tensor:
    x = operands.tensor("x")
    begins, ends = operands.wholes("begin"), operands.wholes("end")
    strides = operands.wholes("stride", (1,) * x.ndim)
    from_start, to_end, single = (operands.flags(key, x.ndim) for key in ("begin_mask", "end_mask", "squeeze_mask"))
    if any(single) or min(strides) < 1:
        raise operands.refusal("picks single places or goes backwards, which is not known here")
    parts = zip(begins, ends, strides, from_start, to_end, strict=True)
    return x[tuple(slice(None if a else b, None if z else e, s) for b, e, s, a, z in parts)]


def _slice_by_size(operands: Operands) -> Tensor:
    x = operands.tensor("x")
    for axis, (begin, size) in enumerate(zip(operands.wholes("begin"), operands.wholes("size"), strict=True)):
        first = begin + (x.shape[axis] if begin < 0 else 0)
        x = x.narrow(axis, first, x.shape[axis] - first if size == -1 else size)
    return x


def _concat(operands: Operands) -> Tensor:
    if operands.flag("interleave"):
        raise operands.refusal("interleaves, which is not known here")
    return torch.cat(operands.tensors("values"), operands.whole("axis"))


def _split(operands: Operands) -> tuple[Tensor, ...]:
    x, axis = operands.tensor("x"), operands.whole("axis")
    if operands.has("split_sizes"):
        sizes = operands.wholes("split_sizes")
    else:
        count = operands.whole("num_splits")
        sizes = (x.shape[axis] // count,) * count
    if operands.has("num_splits") and operands.whole("num_splits") != len(sizes):
        raise operands.refusal("is split in two ways at once")
    return x.split(sizes, axis)


def _pixel_shuffle(operands: Operands) -> Tensor:
    return F.pixel_shuffle(operands.tensor("x"), operands.whole("upscale_factor"))


def _upsample_nearest(operands: Operands) -> Tensor:
    x = operands.tensor("x")
    for axis, key in ((-2, "scale_factor_height"), (-1, "scale_factor_width")):
        factor = operands.number(key, 1.0)
        if factor != int(factor):
            raise operands.refusal(f"enlarges by {factor}, but only whole factors are known here")
        x = x.repeat_interleave(int(factor), axis)
    return x


def _pad(operands: Operands) -> Tensor:
    x, pads, mode = operands.tensor("x"), operands.wholes("pad"), operands.word("mode", "constant")
    value = operands.number("constant_val", 0.0)
    if mode == "constant":
        return F.pad(x, _last_axis_first(pads), value=value)
    if mode not in ("reflect", "replicate"):
        raise operands.refusal(f"has a mode that is not known here: {mode!r}")
    for axis, (before, after) in enumerate(zip(pads[::2], pads[1::2], strict=True), x.ndim - len(pads) // 2):
        if mode == "reflect" and max(before, after) >= x.shape[axis]:
            raise operands.refusal(f"mirrors {max(before, after)} places of an axis that is {x.shape[axis]} long")
        places = np.pad(np.arange(x.shape[axis]), (before, after), "reflect" if mode == "reflect" else "edge")
        x = x.index_select(axis, torch.from_numpy(places))
    return x


def _last_axis_first(pads: tuple[int, ...]) -> list[int]:
    """Returns paddings, first axis first, in the order that torch wants."""
    pairs = list(zip(pads[::2], pads[1::2], strict=True))
    return [pad for pair in reversed(pairs) for pad in pair]


OPERATIONS: Final[Mapping[str, Callable[[Operands], Results]]] = MappingProxyType(
    {
        "add": _binary(torch.add),
        "batch_norm": _batch_norm,
        "cast": _cast,
        "clip": _clip,
        "concat": _concat,
        "conv": _conv,
        "expand_dims": _expand_dims,
        "gelu": _gelu,
        "identity": _unary(torch.Tensor.clone),
        "layer_norm": _layer_norm,
        "leaky_relu": _leaky_relu,
        "linear": _linear,
        "matmul": _matmul,
        "maximum": _binary(torch.maximum),
        "minimum": _binary(torch.minimum),
        "mul": _binary(torch.mul),
        "pad": _pad,
        "pixel_shuffle": _pixel_shuffle,
        "real_div": _binary(torch.div),
        "reduce_mean": _reduce_mean,
        "relu": _unary(torch.relu),
        "reshape": _reshape,
        "rsqrt": _rsqrt,
        "slice_by_index": _slice_by_index,
        "slice_by_size": _slice_by_size,
        "softmax": _softmax,
        "split": _split,
        "square": _unary(torch.square),
        "squeeze": _squeeze,
        "sub": _binary(torch.sub),
        "transpose": _transpose,
        "upsample_nearest_neighbor": _upsample_nearest,
    }
)
"""The operations that are known here."""
