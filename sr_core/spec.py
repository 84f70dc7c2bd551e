"""What a network is, as frozen records: no torch, no files.

A pruned network is a smaller spec, never a mask: heads and hidden units are counted per block, and the
width of a head stands apart from the width of the embedding.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias, get_args

from sr_core.errors import OptionError

__all__ = [
    "Formats",
    "LayerFormat",
    "PerBlock",
    "Precision",
    "ResiConnection",
    "SwinIRSpec",
    "Task",
    "Upsampler",
    "Variant",
    "check_formats",
    "spec_from_json",
    "swinir_spec",
]

Upsampler: TypeAlias = Literal["pixelshuffle", "pixelshuffledirect", "nearest+conv"]
ResiConnection: TypeAlias = Literal["1conv", "3conv"]
Task: TypeAlias = Literal["classical", "lightweight", "real-world"]
Precision: TypeAlias = Literal["float32", "float16", "int8", "palette6", "palette4", "mixed-bit"]
"""How weights are stored: as floats; as one byte each with a step for each output channel; as 6 or 4 bits each that
point into a table of 64 or 16 values for each tensor; or each layer in its own one of these formats.
``sr_core.arch.storage`` says it exactly."""

LayerFormat: TypeAlias = Literal["float16", "int8", "palette6", "palette4"]
"""How the weight of one layer is stored in a ``mixed-bit`` network."""

Formats: TypeAlias = tuple[tuple[str, LayerFormat], ...]
"""The format of each layer's weight, by the weight's name and in the order of names."""

PerBlock: TypeAlias = tuple[tuple[int, ...], ...]
"""One number for each block, grouped by stage (a stage is a residual Swin transformer block, RSTB)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwinIRSpec:
    """The shape of a SwinIR network.

    Attributes:
        scale: Output pixels per input pixel along each axis: 2, 3, 4 or 8.
        embed_dim: Channels of a token.
        heads: Attention heads of each block; 0 means that the block has no attention branch.
        head_dim: Channels of one head.
        hidden: Hidden units of each block's MLP; 0 means that the block has no MLP branch.
        window: Side of an attention window.
        upsampler: How the picture gets its final size.
        resi_connection: The convolution that closes a stage.
        features: Channels between the body and the output (not used by ``pixelshuffledirect``).
        channels: Channels of input and output.
        mean: Mean colour that is taken off the input and put back on the output.

    Source: Liang et al., "SwinIR: Image Restoration Using Swin Transformer", ICCV Workshops 2021, section 3.
    """

    scale: int
    embed_dim: int
    heads: PerBlock
    head_dim: int
    hidden: PerBlock
    window: int = 8
    upsampler: Upsampler = "pixelshuffledirect"
    resi_connection: ResiConnection = "1conv"
    features: int = 64
    channels: int = 3
    mean: tuple[float, ...] = (0.4488, 0.4371, 0.4040)

    def __post_init__(self) -> None:
        """Refuses a spec that describes no network, in one sentence."""
        if [len(stage) for stage in self.heads] != [len(stage) for stage in self.hidden]:
            raise OptionError(
                f"A SwinIR spec needs as many head counts as hidden sizes, "
                f"but has {[len(s) for s in self.heads]} and {[len(s) for s in self.hidden]} blocks per stage."
            )
        if not self.heads or not all(self.heads):
            raise OptionError("A SwinIR spec needs at least one stage and one block in each stage.")
        if min(min(stage) for stage in (*self.heads, *self.hidden)) < 0:
            raise OptionError("A SwinIR spec cannot have a negative number of heads or hidden units.")
        if min(self.embed_dim, self.head_dim, self.features, self.channels) < 1:
            raise OptionError("Every width of a SwinIR spec must be at least 1.")
        if self.window < 2 or self.window % 2:
            raise OptionError(f"A SwinIR window must be an even number of pixels, not {self.window}.")
        if self.upsampler not in get_args(Upsampler) or self.resi_connection not in get_args(ResiConnection):
            raise OptionError(
                f"A SwinIR spec names the unknown upsampler or residual connection "
                f"{self.upsampler!r} / {self.resi_connection!r}."
            )
        scales = {"pixelshuffle": (2, 3, 4, 8), "pixelshuffledirect": (2, 3, 4, 8), "nearest+conv": (2, 4)}
        if self.scale not in scales[self.upsampler]:
            raise OptionError(
                f"The upsampler {self.upsampler} works at scale {scales[self.upsampler]}, not {self.scale}."
            )
        if len(self.mean) != self.channels:
            raise OptionError(f"A SwinIR spec needs one mean for each of its {self.channels} channels.")

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks in each stage."""
        return tuple(len(stage) for stage in self.heads)

    def to_json(self) -> dict[str, Any]:
        """Returns the spec as plain JSON values, with the architecture's name under ``arch``."""
        return {"arch": "swinir", **asdict(self)}


def swinir_spec(  # noqa: PLR0913  every one is a number that a paper gives for a network
    *,
    scale: int,
    embed_dim: int,
    depths: tuple[int, ...],
    heads: int,
    mlp_ratio: float = 2.0,
    upsampler: Upsampler = "pixelshuffledirect",
    resi_connection: ResiConnection = "1conv",
) -> SwinIRSpec:
    """Returns the spec of an unpruned network: the same heads and hidden units in every block.

    Args:
        scale: Output pixels per input pixel along each axis.
        embed_dim: Channels of a token; must be a multiple of ``heads``.
        depths: Blocks in each stage.
        heads: Attention heads of every block.
        mlp_ratio: Hidden units of an MLP, as a multiple of ``embed_dim``.
        upsampler: How the picture gets its final size.
        resi_connection: The convolution that closes a stage.

    Raises:
        OptionError: The numbers describe no network.
    """
    if heads < 1 or embed_dim % heads:
        raise OptionError(f"An embedding of {embed_dim} channels cannot be split into {heads} heads.")
    return SwinIRSpec(
        scale=scale,
        embed_dim=embed_dim,
        heads=tuple((heads,) * depth for depth in depths),
        head_dim=embed_dim // heads,
        hidden=tuple((int(embed_dim * mlp_ratio),) * depth for depth in depths),
        upsampler=upsampler,
        resi_connection=resi_connection,
    )


def spec_from_json(record: Mapping[str, Any]) -> SwinIRSpec:
    """Returns the spec that :meth:`SwinIRSpec.to_json` wrote.

    Raises:
        OptionError: The record has an unknown architecture, or a field too few or too many.
    """
    fields = dict(record)
    arch = fields.pop("arch", None)
    if arch != "swinir":
        raise OptionError(f"The architecture {arch!r} is not known here; known is 'swinir'.")
    try:
        for name in ("scale", "embed_dim", "head_dim", "window", "features", "channels"):
            fields[name] = _whole(fields[name])
        for name in ("heads", "hidden"):
            fields[name] = tuple(tuple(_whole(n) for n in stage) for stage in fields[name])
        fields["mean"] = tuple(float(value) for value in fields["mean"])
        return SwinIRSpec(**fields)
    except (KeyError, TypeError, ValueError) as error:
        raise OptionError(f"The record of a SwinIR spec is not complete or not clean: {error}.") from error


def check_formats(precision: Precision, formats: Formats) -> None:
    """Refuses formats of layers that do not belong to a precision, or are not in order.

    Raises:
        OptionError: Formats are given for a precision that has none or missing for ``mixed-bit``, a format is unknown,
            or the names do not ascend.
    """
    if (precision == "mixed-bit") != bool(formats):
        raise OptionError(
            f"Formats of single layers belong to the precision mixed-bit and to no other, but {len(formats)} are given "
            f"for {precision}."
        )
    for name, word in formats:
        if word not in get_args(LayerFormat):
            raise OptionError(f"The weight {name} has the unknown format {word!r}.")
    names = [name for name, _ in formats]
    if any(a >= b for a, b in pairwise(names)):
        raise OptionError("The formats of layers must be listed in the order of their names, each once.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One network with one set of weights: what a visitor picks.

    Attributes:
        family: What the network is called, such as ``swinir-light``.
        spec: The shape of the network.
        task: The kind of degradation it was trained for.
        trained: The name of the training run, such as ``photos39``; tells apart weights of one spec.
        precision: How the weights are stored.
        compression: What was removed after the training, in one word such as ``heads5``; empty for nothing.
        formats: How each weight is stored that has a choice (``sr_core.arch.storage.has_choice``), when the precision
            is ``mixed-bit``; otherwise empty. No part of the id.
    """

    family: str
    spec: SwinIRSpec
    task: Task
    trained: str
    precision: Precision
    compression: str = ""
    formats: Formats = ()

    def __post_init__(self) -> None:
        """Refuses formats that do not belong to the precision, in one sentence."""
        check_formats(self.precision, self.formats)

    @property
    def id(self) -> str:
        """The variant's name everywhere: manifest key, file name, Hub folder, rating row."""
        parts = (self.family, f"x{self.spec.scale}", self.trained, self.compression, self.precision)
        name = "-".join(part for part in parts if part)
        if not re.fullmatch(r"[a-z0-9._-]{1,64}", name):
            raise OptionError(f"A variant id has 1 to 64 of a-z, 0-9, '.', '_' and '-'; {name!r} does not fit.")
        return name


def _whole(value: Any) -> int:
    """Returns a JSON value that must be a whole number; true and 60.0 are none."""
    if type(value) is not int:
        raise TypeError(f"{value!r} is not a whole number")
    return value
