"""How each constant of a package is stored: from the precision of the weights, and with the variant's own codes.

What stands here are arrays and where they go; ``sr_core.coreml.converter`` turns them into operations of Core ML. The
scale of the queries, by which some weights are multiplied on their way into the package, goes into the steps, never
into the codes.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_core.arch.storage import SMALL, encode, grid_of, is_table
from sr_core.arch.swinir import SwinIR, relative_position_index
from sr_core.compress.fold import fold_norms
from sr_core.coreml.compact import BIASES, MASK, kinds_of_windows, stack_tables
from sr_core.coreml.network import ChannelFirstSwinIR, Convolution
from sr_core.coreml.package import CoreMLCompute
from sr_core.spec import Formats, Precision

__all__ = ["Codes", "Halves", "Palette", "Plain", "Sparse", "Storage", "Stored", "folds_query_scale", "plan_constants"]

SPARSE_FROM: Final = 0.25
"""Share of zeros from which a float weight is stored as its other values and one bit for each place."""

TABLE: Final = "relative_position_bias_table"
BAKED: Final = "position_bias"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """Values in the number format that is computed with."""

    values: NDArray[np.float32]

    @property
    def floats(self) -> NDArray[np.float32]:
        """What has to fit into the number format."""
        return self.values


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """Float32 values of which only float16 is stored."""

    values: NDArray[np.float32]

    @property
    def floats(self) -> NDArray[np.float32]:
        """What has to fit into the number format."""
        return self.values


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """Codes from -127 to 127 in the shape of the constant, and the step of each index along an axis."""

    codes: NDArray[np.int8]
    steps: NDArray[np.float32]
    axis: int

    @property
    def floats(self) -> NDArray[np.float32]:
        """What has to fit into the number format."""
        return self.steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """A table of 2, 16 or 64 values, and for each value of the shape its place there, packed from the lowest bit up."""

    places: NDArray[np.uint8]
    table: NDArray[np.float32]
    shape: tuple[int, ...]

    @property
    def floats(self) -> NDArray[np.float32]:
        """What has to fit into the number format."""
        return self.table


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparse:
    """Values of which many are zero; only the others are stored."""

    values: NDArray[np.float32]

    @property
    def floats(self) -> NDArray[np.float32]:
        """What has to fit into the number format."""
        return self.values


Stored: TypeAlias = Plain | Halves | Codes | Palette | Sparse


def folds_query_scale(precision: Precision) -> bool:
    """Returns whether the scale of the queries is folded into their weights in a package of this precision.

    A step for each output takes it; one palette for queries, keys and values does not.
    """
    match precision:
        case "float32" | "float16" | "int8":
            return True
        case "palette6" | "palette4" | "mixed-bit":
            return False
        case _:
            assert_never(precision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """How the constants of a package are to be stored.

    Attributes:
        precision: How the weights are stored.
        formats: How each layer is stored, for ``mixed-bit``.
        compute: The number format of the package; ``float32-stored-float16`` halves what stays float.
        compact_bias: Whether the position biases of all blocks are one constant, ``BIASES``, in the form of their
            tables, and the mask has each kind of window once; otherwise each block has its own bias, for every pair of
            tokens, and the mask all windows.
    """

    precision: Precision
    compute: CoreMLCompute
    formats: Formats = ()
    compact_bias: bool = False


def plan_constants(network: ChannelFirstSwinIR, module: SwinIR, storage: Storage) -> dict[str, Stored]:
    """Returns how each buffer of the rewritten network is stored, by name.

    Args:
        network: ``module``, rewritten, with the scale of the queries folded as :func:`folds_query_scale` says.
        module: The network whose weights lie on the grid of the precision.
        storage: What is wanted.

    Raises:
        WeightsError: The weights do not lie on the grid of the precision.
    """
    weights, compute = fold_norms(module).state_dict(), storage.compute
    factors = {f"{name}.weight": part.factor for name, part in network.named_modules() if isinstance(part, Convolution)}
    plan: dict[str, Stored] = {}
    for name, buffer in network.named_buffers():
        values: NDArray[np.float32] = buffer.numpy()
        source = name.replace(BAKED, TABLE)
        grid = grid_of(source, weights[source], storage.precision, storage.formats) if source in weights else None
        if source != name and storage.compact_bias:
            continue
        if name == MASK and storage.compact_bias:
            values, _ = kinds_of_windows(values)
        if name == MASK and (storage.compact_bias or storage.precision not in ("float32", "float16")):
            plan[name] = _two_values(values)
        elif grid is None:
            plan[name] = _floats(values, compute, may_be_sparse=name in factors)
        elif source != name:
            plan[name] = _baked_table(source, weights[source], network.spec.window)
        else:
            plan[name] = _on_grid(name, {name: weights[name]}, storage, factors[name], values.shape)
    tables = {name: weights[name] for name in weights if is_table(name)}
    if storage.compact_bias and tables:
        plan[BIASES] = _stacked_tables(tables, network.spec.window, storage)
    return plan


def _floats(values: NDArray[np.float32], compute: CoreMLCompute, may_be_sparse: bool) -> Stored:
    if values.size > SMALL and compute == "float32-stored-float16":
        return Halves(values=values)
    if values.size > SMALL and may_be_sparse and np.count_nonzero(values) <= (1 - SPARSE_FROM) * values.size:
        return Sparse(values=values)
    return Plain(values=values)


def _two_values(values: NDArray[np.float32]) -> Palette:
    """Returns the shift mask, which has no other values than -100 and 0, with one bit for each value."""
    table, places = np.unique(values, return_inverse=True)
    packed = np.packbits(places.astype(np.uint8).reshape(-1), bitorder="little")
    return Palette(places=packed, table=table, shape=values.shape)


def _on_grid(name: str, weight: dict[str, Tensor], storage: Storage, factor: Tensor, shape: tuple[int, ...]) -> Stored:
    """Returns the weight of a layer with the codes that its file has; ``factor`` is for all outputs or for each."""
    parts = encode(weight, storage.precision, storage.formats)
    if f"{name}.codes" in parts:
        steps = parts[f"{name}.steps"].float() * factor
        return Codes(codes=parts[f"{name}.codes"].numpy().reshape(shape), steps=steps.numpy(), axis=0)
    assert len(factor) == 1  # noqa: S101  a palette serves all outputs
    table = parts[f"{name}.palette"].float() * factor
    return Palette(places=parts[f"{name}.indices"].numpy(), table=table.numpy(), shape=shape)


def _stacked_tables(tables: dict[str, Tensor], window: int, storage: Storage) -> Stored:
    """Returns the tables of all blocks as one constant: as codes where each has them, otherwise as floats."""
    if any(grid_of(name, table, storage.precision, storage.formats) != "int8" for name, table in tables.items()):
        values = stack_tables(list(tables.values()), window).numpy()
        return _floats(values, storage.compute, may_be_sparse=False)
    parts = encode(tables, "mixed-bit", tuple((name, "int8") for name in tables))
    codes = stack_tables([parts[f"{name}.codes"] for name in tables], window)
    steps = [parts[f"{name}.steps"].float() for name in tables]
    return Codes(codes=codes.contiguous().numpy(), steps=torch.cat(steps).numpy(), axis=0)


def _baked_table(name: str, table: Tensor, window: int) -> Codes:
    """Returns a table of position biases as codes for each pair of tokens, (1, heads, N, N)."""
    parts = encode({name: table}, "mixed-bit", ((name, "int8"),))
    codes = parts[f"{name}.codes"][relative_position_index(window)].permute(2, 0, 1)[None]
    return Codes(codes=codes.contiguous().numpy(), steps=parts[f"{name}.steps"].float().numpy(), axis=1)
