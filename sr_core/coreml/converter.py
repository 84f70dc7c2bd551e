"""coremltools behind one door: from a rewritten network to the two files of an ML program.

The network is traced and converted, every weight is then exchanged for its stored form, and the results get names that
do not depend on what was converted before in the same process.

coremltools is imported only when something is converted. Its noise about torch versions it has not seen and about
parts that exist only on macOS is kept quiet, by message; everything else stays audible.
"""

import contextlib
import importlib
import importlib.util
import io
import logging
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, assert_never

import numpy as np
import torch

from sr_core.coreml.compact import BIASES, MASK, Place, kinds_of_windows, spread_biases, spread_mask
from sr_core.coreml.constants import Codes, Halves, Palette, Plain, Sparse, Stored
from sr_core.coreml.network import WHITE, ChannelFirstSwinIR
from sr_core.coreml.package import INPUT, OUTPUT, CoreMLCompute
from sr_core.errors import OptionError

__all__ = ["EXPECTED", "NUMPY_BELOW", "ConvertedProgram", "convert"]

NUMPY_BELOW: Final = (2, 4)
"""coremltools 9.0 cannot convert with this numpy or a newer one: https://github.com/apple/coremltools/issues/2633."""

UNSIGNED_ZERO: Final = 128
"""The unsigned code of zero in a package."""

HOW: Final = "Install the pinned tools with: pip install -r requirements-workshop.txt"

EXPECTED: Final = frozenset(
    {
        *("add", "mul", "sub", "clip", "cast", "conv", "matmul", "softmax", "gelu", "leaky_relu", "layer_norm"),
        *("reshape", "transpose", "slice_by_index", "concat", "split", "pixel_shuffle", "upsample_nearest_neighbor"),
    }
)
"""Every kind of operation that a package computes with; anything else means that a conversion went astray."""

MAX_RANK: Final = 5
FLOAT32_WHEN_MIXED: Final = frozenset({"layer_norm", "softmax"})
"""What stays in float32 in a mixed package: the operations that sum squares or exponentials."""

KEPT_OUT: Final = frozenset(
    {"common::fuse_elementwise_to_batchnorm", "common::fuse_conv_scale", "common::const_deduplication"}
)
"""Passes that would make one constant out of two, after which a weight would not be the one that was stored."""

KINDS: Final[Mapping[type[Stored], str]] = MappingProxyType(
    {
        Halves: "constexpr_cast",
        Codes: "constexpr_affine_dequantize",
        Palette: "constexpr_lut_to_dense",
        Sparse: "constexpr_sparse_to_dense",
    }
)

NOISE: Final = ("has not been tested with coremltools", "Failed to load _ML")
PROGRESS: Final = ("Converting PyTorch Frontend", "Running MIL ")
NOISY_WARNINGS: Final = ("`torch.jit.trace", "Implicitly cleaning up <TemporaryDirectory")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedProgram:
    """An ML program as its files have it.

    Attributes:
        model: The protobuf message ``Model``; the caller adds the description and writes it.
        weights: The content of ``weight.bin``.
        operations: How often each kind of operation occurs, constants apart.
    """

    model: Any
    weights: bytes
    operations: Mapping[str, int]


def convert(network: ChannelFirstSwinIR, stored: Mapping[str, Stored], compute: CoreMLCompute) -> ConvertedProgram:
    """Returns the network as an ML program for iOS 16, picture in and picture out.

    Args:
        network: The rewritten network.
        stored: How each of its buffers is stored, by the buffer's name. With ``BIASES`` for the position biases of all
            blocks the program is compact: they and the mask are spread when it starts, and equal settings stand there
            once.
        compute: The number format of the arithmetic.

    Raises:
        OptionError: coremltools is missing, numpy is too new for it, or a weight is too large for float16.
    """
    tools = _coremltools()
    number = np.float32 if compute in ("float32", "float32-stored-float16") else np.float16
    _check_range(stored, number)
    picture = torch.zeros(1, network.spec.channels, network.tile, network.tile)
    with _quiet(), tempfile.TemporaryDirectory() as folder:
        with torch.inference_mode():
            traced = torch.jit.trace(network, picture, check_trace=False)
        passes = tools.PassPipeline.DEFAULT
        passes.remove_passes(KEPT_OUT)
        program = tools.convert(
            traced,
            convert_to="milinternal",
            minimum_deployment_target=tools.target.iOS16,
            compute_precision=_precision(tools, compute),
            inputs=[tools.ImageType(INPUT, picture.shape, scale=1 / WHITE, color_layout=tools.colorlayout.RGB)],
            outputs=[tools.ImageType(OUTPUT, color_layout=tools.colorlayout.RGB)],
            pass_pipeline=passes,
        )
        if BIASES in stored:
            _exchange_compact(program, stored, network, number)
        _exchange_constants(program, stored, number)
        model = tools.convert(
            program,
            source="milinternal",
            convert_to="mlprogram",
            minimum_deployment_target=tools.target.iOS16,
            pass_pipeline=tools.PassPipeline.EMPTY,
            package_dir=str(Path(folder) / "converted.mlpackage"),
            skip_model_load=True,
        )
        spec, weights = model.get_spec(), (Path(model.weights_dir) / "weight.bin").read_bytes()
    block = _block(spec)
    kept = {*(name.replace(".", "_") for name in stored), OUTPUT}
    if BIASES in stored:
        _share_settings(block, kept)
    _rename(block, kept)
    return ConvertedProgram(model=spec, weights=weights, operations=_count_operations(block, stored))


def _coremltools() -> Any:
    if importlib.util.find_spec("coremltools") is None:
        raise OptionError(f"Writing Core ML packages needs coremltools, which is not installed. {HOW}")
    if tuple(int(part) for part in np.__version__.split(".")[:2]) >= NUMPY_BELOW:
        below = ".".join(map(str, NUMPY_BELOW))
        raise OptionError(f"Writing Core ML packages needs numpy below {below}, not {np.__version__}. {HOW}")
    with _quiet():
        return importlib.import_module("coremltools")


@contextlib.contextmanager
def _quiet() -> Generator[None, None, None]:
    """Keeps coremltools' known messages and progress bars and the tracer's deprecation off the screen."""

    def is_news(record: logging.LogRecord) -> bool:
        return not any(noise in record.getMessage() for noise in NOISE)

    logger, screen = logging.getLogger("coremltools"), io.StringIO()
    logger.addFilter(is_news)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(screen):
            for start in NOISY_WARNINGS:
                warnings.filterwarnings("ignore", start)
            yield
    finally:
        logger.removeFilter(is_news)
        lines = re.split(r"[\r\n]+", screen.getvalue())
        sys.stderr.writelines(f"{line}\n" for line in lines if line and not line.startswith(PROGRESS))


def _precision(tools: Any, compute: CoreMLCompute) -> Any:
    match compute:
        case "float32" | "float32-stored-float16":
            return tools.precision.FLOAT32
        case "float16":
            return tools.precision.FLOAT16
        case "mixed":
            return tools.transform.FP16ComputePrecision(op_selector=_is_float16_when_mixed)
        case _:
            assert_never(compute)


def _check_range(stored: Mapping[str, Stored], number: type[np.floating[Any]]) -> None:
    for name, one in stored.items():
        held = np.float16 if isinstance(one, Halves) else number
        if not np.abs(one.floats).max() <= np.finfo(held).max:  # nor where it is no number
            raise OptionError(f"The constant {name} does not fit into {held.__name__}; choose a wider number format.")


def _is_float16_when_mixed(op: Any) -> bool:
    return op.op_type not in FLOAT32_WHEN_MIXED


def _exchange_constants(program: Any, stored: Mapping[str, Stored], number: type[np.floating[Any]]) -> None:
    """Puts the stored form of every buffer in the place of its constant; ``number`` is what is computed with."""
    function = program.functions["main"]
    spread = {BIASES, MASK} if BIASES in stored else set[str]()
    left = stored.keys() - spread
    for name, op in _constants_of(function):
        if name in stored and name not in spread:
            left.remove(name)  # fails where a buffer has become two constants
            _exchange(function, op, name, partial(_emit, stored=stored[name], number=number))
    if left:
        raise RuntimeError(f"the conversion lost the constants {sorted(left)}")


def _exchange_compact(
    program: Any, stored: Mapping[str, Stored], network: ChannelFirstSwinIR, number: type[np.floating[Any]]
) -> None:
    """Puts the tables of all blocks, and the kinds of windows, where the biases and the mask of all tokens were."""
    function, heads = program.functions["main"], {}
    for name, buffer in network.named_buffers():
        if name.endswith(f".{BIASES}"):
            heads[name] = buffer.shape[1]
    constants = {name: op for name, op in _constants_of(function) if name in heads or name == MASK}
    lost = sorted((heads.keys() | ({MASK} & stored.keys())) - constants.keys())
    if lost:
        raise RuntimeError(f"the conversion lost the constants {lost}")
    first = next(iter(function.operations))
    with function, _builder().scope(*_origin(constants[next(iter(heads))])):
        tables = _emit(BIASES, first, stored=stored[BIASES], number=number)
        biases = spread_biases(_builder(), tables, tuple(heads.values()), network.spec.window, first)
    for name, bias in zip(heads, biases, strict=True):
        _exchange(function, constants[name], name, lambda _name, _before, bias=bias: bias)
    if network.mask is not None:
        _, places = kinds_of_windows(network.mask.numpy())

        def mask(name: str, before: Place) -> Any:
            kinds = _emit(name, before, stored=stored[MASK], number=number)
            return spread_mask(_builder(), kinds, places, before)

        _exchange(function, constants[MASK], MASK, mask)


def _constants_of(function: Any) -> list[tuple[str, Any]]:
    """Returns every constant of a program by the name that it had before a cast was folded into it."""
    constants = (op for op in function.operations if op.op_type == "const")
    return [(op.outputs[0].name.removesuffix("_to_fp16"), op) for op in constants]


def _exchange(function: Any, op: Any, name: str, make: Callable[[str, Place], Any]) -> None:
    """Puts the value that ``make`` returns, for a name and the operation it stands before, where a constant was."""
    old = op.outputs[0]
    with function, _builder().scope(*_origin(op)):
        new = make(name, op)
    if new.shape != old.shape or new.dtype != old.dtype:
        raise RuntimeError(f"the conversion changed {name} from {new.dtype} {new.shape} to {old.dtype} {old.shape}")
    function.replace_uses_of_var_after_op(anchor_op=op, old_var=old, new_var=new)
    function.remove_ops([op])


def _builder() -> Any:
    return importlib.import_module("coremltools.converters.mil.mil").Builder


def _origin(op: Any) -> list[Any]:
    """Returns where an operation comes from, in the form in which new ones in its place are told of it."""
    scope_info = importlib.import_module("coremltools.converters.mil.mil.scope").ScopeInfo
    return [scope_info(source, where) for source, where in op.scopes.items() if source.name != "COREMLTOOLS_GRAPH_PASS"]


def _emit(name: str, before: Place, *, stored: Stored, number: type[np.floating[Any]]) -> Any:
    """Returns the value of a new operation that yields the constant."""
    builder, label = _builder(), name.replace(".", "_")
    match stored:
        case Plain():
            return builder.const(val=stored.values.astype(number), name=label, before_op=before)
        case Halves():
            halves = stored.values.astype(np.float16)
            return builder.constexpr_cast(source_val=halves, output_dtype="fp32", name=label, before_op=before)
        case Codes():
            return builder.constexpr_affine_dequantize(
                # Unsigned, because GPU and Neural Engine are reported to read signed codes with a zero point of 0
                # wrongly: https://github.com/apple/coremltools/pull/2675, still so in coremltools 9.0.
                quantized_data=(stored.codes.astype(np.int16) + UNSIGNED_ZERO).astype(np.uint8),
                zero_point=np.full(len(stored.steps), UNSIGNED_ZERO, np.uint8),
                scale=stored.steps.astype(number),
                axis=np.int32(stored.axis),
                name=label,
                before_op=before,
            )
        case Palette():
            return builder.constexpr_lut_to_dense(
                indices=stored.places,
                lut=stored.table.astype(number),
                shape=np.array(stored.shape, np.uint32),
                name=label,
                before_op=before,
            )
        case Sparse():
            others = stored.values != 0
            return builder.constexpr_sparse_to_dense(
                nonzero_data=stored.values[others].astype(number),
                mask=np.packbits(others.reshape(-1), bitorder="little"),
                shape=np.array(stored.values.shape, np.uint32),
                name=label,
                before_op=before,
            )
        case _:
            assert_never(stored)


def _block(model: Any) -> Any:
    (block,) = model.mlProgram.functions["main"].block_specializations.values()
    return block


def _share_settings(block: Any, kept: Collection[str]) -> None:
    """Leaves one constant of those that are equal and stand in the network itself, but for those in ``kept``.

    Each operation brings its own shapes, axes and words. Written once, they take a third less of a light network.
    """
    first: dict[bytes, str] = {}
    shared: dict[str, str] = {}
    left: list[Any] = []
    for op in block.operations:
        for argument in (argument for given in op.inputs.values() for argument in given.arguments):
            if argument.WhichOneof("binding") == "name":
                argument.name = shared.get(argument.name, argument.name)
        if op.type == "const" and op.attributes["val"].WhichOneof("value") == "immediateValue":
            own, value = op.outputs[0].name, op.attributes["val"].SerializeToString(deterministic=True)
            if own not in kept and first.setdefault(value, own) != own:
                shared[own] = first[value]
                continue
        left.append(op)
    copies = [type(op).FromString(op.SerializeToString(deterministic=True)) for op in left]
    del block.operations[:]
    block.operations.extend(copies)


def _rename(block: Any, kept: Collection[str]) -> None:
    """Names every operation and its results after its kind and a running number, but for those in ``kept``."""
    names: dict[str, str] = {}
    numbers: Counter[str] = Counter()
    for op in block.operations:
        own = op.outputs[0].name
        if own not in kept:
            own = f"{op.type}_{numbers[op.type]}"
            numbers[op.type] += 1
        op.attributes["name"].immediateValue.tensor.strings.values[0] = own
        for i, output in enumerate(op.outputs):
            names[output.name] = own if len(op.outputs) == 1 else f"{own}_{i}"
            output.name = names[output.name]
        for argument in (argument for given in op.inputs.values() for argument in given.arguments):
            if argument.WhichOneof("binding") == "name":
                argument.name = names.get(argument.name, argument.name)  # the picture that goes in keeps its name


def _count_operations(block: Any, stored: Mapping[str, Stored]) -> dict[str, int]:
    """Returns how often each kind of operation occurs, after checking that nothing unwanted does."""
    counts = Counter(str(op.type) for op in block.operations)
    del counts["const"]
    expected = Counter(KINDS[type(one)] for one in stored.values() if not isinstance(one, Plain))
    compressed = {kind: number for kind, number in counts.items() if kind.startswith("constexpr_")}
    if compressed != dict(expected):
        raise RuntimeError(f"the program has the compressed constants {compressed}, not {dict(expected)}")
    unknown = counts.keys() - EXPECTED - expected.keys()
    if unknown:
        raise RuntimeError(f"the conversion brought in the unexpected operations {sorted(unknown)}")
    for output in (output for op in block.operations for output in op.outputs):
        dimensions = output.type.tensorType.dimensions
        if len(dimensions) > MAX_RANK or any(d.WhichOneof("dimension") != "constant" for d in dimensions):
            raise RuntimeError(f"{output.name} has more than {MAX_RANK} axes or an open size")
    return dict(sorted(counts.items()))
