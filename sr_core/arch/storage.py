"""How the weights of a network are stored at each precision, and how they are read back: exact both ways.

A quantized network is an ordinary network whose weights lie on a grid (``sr_core.compress.quantize`` puts them there).
So nothing but this file knows of codes: storing finds the grid again, reading multiplies it out.

- ``int8``: code times step. Codes run from -127 to 127, the step is a float16 for each output channel, and the largest
  weight of a channel has the code 127 or -127, which is how the step is found again.
- ``palette6`` and ``palette4``: each tensor has a table of 64 or 16 float16 values, and each weight the 6 or 4 bits of
  its place in the table, packed from the lowest bit up. Tables of position biases stay ``int8``.
- ``mixed-bit``: each weight that has a choice (:func:`has_choice`) is stored in the format that is listed for it, the
  layers that carry the picture and the tables of position biases included. A table is ``int8`` or ``float16``.
- Everything small (up to ``SMALL`` values), every bias, and the layers that carry the picture itself past the body (the
  first convolution and the reconstruction) are stored as float16, as in ``float16``, unless a format is listed. Those
  layers are 1 % of a light network's weights; with them on the grid too, int8 came to 45 dB against float32 on photos,
  without them to 80 dB.

In a file, the tensor ``x`` stands as ``x``, as ``x.codes`` and ``x.steps``, or as ``x.indices`` and ``x.palette``.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Final, Literal, TypeAlias, assert_never

import numpy as np
import torch
from torch import Tensor

from sr_core.errors import WeightsError
from sr_core.spec import Formats, LayerFormat, Precision

__all__ = [
    "CODE_MAX",
    "SMALL",
    "Grid",
    "channel_axis",
    "check_covered",
    "choices",
    "decode",
    "encode",
    "grid_of",
    "has_choice",
    "is_table",
    "palette_bits",
]

CODE_MAX: Final = 127
SMALL: Final = 512
"""Tensors of up to so many values are not worth a grid."""

CARRIERS: Final = ("conv_first.", "reconstruction.")
"""How the names of the weights begin that carry the picture past the body."""

TABLE: Final = "relative_position_bias_table"

Grid: TypeAlias = Literal["int8", "palette6", "palette4"]


def is_table(name: str) -> bool:
    """Returns whether a weight is a table of position biases."""
    return name.endswith(TABLE)


def has_choice(name: str, shape: Sequence[int]) -> bool:
    """Returns whether the format of a weight must be listed in a ``mixed-bit`` network.

    That is so for every matrix of more than ``SMALL`` values, and for every table of position biases: a package holds
    those of all blocks as one constant.
    """
    return is_table(name) or (len(shape) > 1 and prod(shape) > SMALL)


def choices(name: str) -> tuple[LayerFormat, ...]:
    """Returns the formats that a weight with a choice can have, the widest first."""
    return ("float16", "int8") if is_table(name) else ("float16", "int8", "palette6", "palette4")


def check_covered(shapes: Mapping[str, Sequence[int]], formats: Formats) -> None:
    """Refuses formats that are not those of a network's weights.

    Args:
        shapes: The shape of each weight by name.
        formats: What is listed for a ``mixed-bit`` network.

    Raises:
        WeightsError: A weight with a choice is not listed, another one is, or a format cannot be that of its weight.
    """
    wanted, listed = {name for name, shape in shapes.items() if has_choice(name, shape)}, dict(formats)
    missing, further = sorted(wanted - listed.keys()), sorted(listed.keys() - wanted)
    if missing or further:
        first = f"{missing[0]} has none" if missing else f"{further[0]} takes none"
        raise WeightsError(
            f"The formats of the layers do not fit the network: {len(missing)} missing, {len(further)} too many "
            f"({first})."
        )
    for name, word in formats:
        if word not in choices(name):
            raise WeightsError(f"The weight {name} cannot be stored as {word}, only as {' or '.join(choices(name))}.")


def grid_of(name: str, tensor: Tensor, precision: Precision, formats: Formats = ()) -> Grid | None:
    """Returns on which grid a weight lies at a precision; None where it is a plain float.

    Args:
        name: The weight's name.
        tensor: The weight; only its shape counts.
        precision: How the network is stored.
        formats: How its layers are stored, for ``mixed-bit``; a weight that is not listed is a plain float.
    """
    is_plain = tensor.numel() <= SMALL or tensor.ndim < 2 or name.startswith(CARRIERS)
    match precision:
        case "float32" | "float16":
            return None
        case "int8":
            return None if is_plain else "int8"
        case "palette6" | "palette4":
            return None if is_plain else "int8" if is_table(name) else precision
        case "mixed-bit":
            listed = dict(formats).get(name, "float16")
            return None if listed == "float16" else listed
        case _:
            assert_never(precision)


def channel_axis(name: str) -> int:
    """Returns the axis of a weight's output channels; those of a position bias table (offsets, heads) are its heads."""
    return 1 if is_table(name) else 0


def palette_bits(grid: Precision | LayerFormat) -> int:
    """Returns the bits of a place in a palette.

    Raises:
        ValueError: What is named has no palette (a bug of the caller).
    """
    bits = {"palette6": 6, "palette4": 4}.get(grid)
    if bits is None:
        raise ValueError(f"{grid} has no palette")
    return bits


def encode(tensors: Mapping[str, Tensor], precision: Precision, formats: Formats = ()) -> dict[str, Tensor]:
    """Returns the tensors as they are stored.

    Args:
        tensors: Weights by name; those that belong on a grid must lie on it.
        precision: How to store.
        formats: How to store each layer, for ``mixed-bit``.

    Raises:
        WeightsError: A weight does not lie on the grid of the precision.
    """
    stored: dict[str, Tensor] = {}
    dtype = torch.float32 if precision == "float32" else torch.float16
    for name, tensor in tensors.items():
        weight = tensor.detach().to("cpu", torch.float32)
        grid = grid_of(name, weight, precision, formats)
        match grid:
            case None:
                stored[name] = weight.to(dtype).contiguous()
            case "int8":
                stored |= _int8(name, weight)
            case "palette6" | "palette4":
                stored |= _palette(name, weight, palette_bits(grid))
    return stored


def decode(stored: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Returns stored tensors as float32 weights.

    Args:
        stored: What :func:`encode` returned.
        shapes: The shapes of the network's weights by name; what is not listed there is returned as it stands.

    Raises:
        WeightsError: Parts of a weight are missing or do not fit each other, or it is stored twice.
    """
    weights: dict[str, Tensor] = {}
    for key, tensor in stored.items():
        name, _, part = key.rpartition(".")
        match part:
            case "codes":
                weight = _from_int8(name, tensor, _part(stored, name, "steps"))
            case "indices":
                palette = _part(stored, name, "palette")
                # What is not listed is for the caller to refuse as unknown.
                weight = _from_palette(name, tensor, palette, shapes[name]) if name in shapes else tensor
            case "steps" | "palette":
                _part(stored, name, "codes" if part == "steps" else "indices")
                continue
            case _:
                name, weight = key, tensor.float()
        if name in weights:
            raise WeightsError(f"The weight {name} is stored twice.")
        weights[name] = weight
    return weights


def _int8(name: str, weight: Tensor) -> dict[str, Tensor]:
    axis = channel_axis(name)
    rows = weight.movedim(axis, 0).flatten(1)
    steps = (rows.abs().amax(1) / CODE_MAX).half()
    steps[steps == 0] = 1.0
    codes = torch.round(rows / steps.float()[:, None]).clamp(-CODE_MAX, CODE_MAX).to(torch.int8)
    moved = codes.view(weight.movedim(axis, 0).shape).movedim(0, axis).contiguous()
    parts = {f"{name}.codes": moved, f"{name}.steps": steps}
    _check(name, _from_int8(name, moved, steps), weight)
    return parts


def _from_int8(name: str, codes: Tensor, steps: Tensor) -> Tensor:
    axis = channel_axis(name)
    if codes.dtype != torch.int8 or steps.ndim != 1 or codes.ndim < 2 or codes.shape[axis] != len(steps):
        raise WeightsError(f"The codes and the steps of the weight {name} do not fit each other.")
    shape = [1] * codes.ndim
    shape[axis] = -1
    return codes.float() * steps.float().view(shape)


def _palette(name: str, weight: Tensor, bits: int) -> dict[str, Tensor]:
    values, places = torch.unique(weight, return_inverse=True)
    if len(values) > 2**bits:
        raise WeightsError(f"The weight {name} has {len(values)} values, but {bits} bits can name only {2**bits}.")
    palette = torch.zeros(2**bits, dtype=torch.float16)
    palette[: len(values)] = values.half()
    _check(name, palette.float()[places], weight)
    digits = (places.reshape(-1, 1) >> torch.arange(bits)) & 1  # (values, bits), lowest bit first
    packed = np.packbits(digits.to(torch.uint8).numpy().reshape(-1), bitorder="little")
    return {f"{name}.indices": torch.from_numpy(packed), f"{name}.palette": palette}


def _from_palette(name: str, packed: Tensor, palette: Tensor, shape: torch.Size) -> Tensor:
    bits, count = palette.numel().bit_length() - 1, shape.numel()
    plain = packed.ndim == 1 and palette.ndim == 1 and packed.dtype == torch.uint8
    if not plain or len(palette) != 2**bits or len(packed) != -(-count * bits // 8):
        raise WeightsError(f"The indices and the palette of the weight {name} do not fit each other.")
    digits = np.unpackbits(packed.numpy(), bitorder="little", count=count * bits).reshape(count, bits)
    places = digits.astype(np.int64) @ (1 << np.arange(bits))
    return palette.float()[torch.from_numpy(places)].view(shape)


def _check(name: str, read_back: Tensor, weight: Tensor) -> None:
    if not torch.equal(read_back, weight):
        raise WeightsError(f"The weight {name} does not lie on the grid of its precision; quantize the network first.")


def _part(stored: Mapping[str, Tensor], name: str, part: str) -> Tensor:
    tensor = stored.get(f"{name}.{part}")
    if tensor is None:
        raise WeightsError(f"The weight {name} is stored without its {part}.")
    return tensor
