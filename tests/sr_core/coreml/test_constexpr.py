"""Compressed constants against what coremltools multiplies out."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sr_core.coreml.constexpr import CONSTEXPRS, multiply_out
from sr_core.coreml.interpret import Package
from sr_core.coreml.program import Constant, Operation, TensorType
from sr_core.errors import PackageError
from tests.sr_core.coreml.packages import quiet, save_program, tools

WEIGHT = np.random.default_rng(5).normal(size=(40, 20, 1, 1)).astype(np.float32)


def compressed(kind: str) -> Callable[[Any], Any]:
    """Returns what compresses the convolution of a model in one way."""
    optimize = importlib.import_module("coremltools.optimize.coreml")

    def palette(bits: int) -> Any:
        def table(weight: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
            values = np.linspace(-3, 3, 2**bits).astype(weight.dtype)
            return values, np.abs(weight[..., None] - values).argmin(-1).astype(np.uint8)

        return optimize.OpPalettizerConfig(mode="custom", lut_function=table, weight_threshold=0)

    def change(model: Any) -> Any:
        def by(name: str, config: Any) -> Any:
            return getattr(optimize, name)(model, optimize.OptimizationConfig(op_type_configs={"conv": config}))

        integers = {
            "int8": {"mode": "linear_symmetric"},
            "uint8": {"mode": "linear", "dtype": "uint8", "granularity": "per_tensor"},
            "int4": {"mode": "linear_symmetric", "dtype": "int4", "granularity": "per_block", "block_size": 5},
            "uint4": {"mode": "linear", "dtype": "uint4", "granularity": "per_channel"},
        }
        if kind in integers:
            config = optimize.OpLinearQuantizerConfig(weight_threshold=0, **integers[kind])
            return by("linear_quantize_weights", config)
        if kind == "sparse":
            pruner = optimize.OpMagnitudePrunerConfig(target_sparsity=0.37, weight_threshold=0)
            return by("prune_weights", pruner)
        return by("palettize_weights", palette(int(kind.split()[1]))) if kind.startswith("palette") else model

    return change


def stored_as_float16(mb: Any, weight: NDArray[Any]) -> Any:
    return mb.constexpr_cast(source_val=weight.astype(np.float16), output_dtype="fp32", name="stored")


COMPRESSED = {
    "int8": ("float16", "iOS16", "constexpr_affine_dequantize"),
    "uint8": ("float32", "iOS16", "constexpr_affine_dequantize"),
    "palette 1": ("float16", "iOS16", "constexpr_lut_to_dense"),
    "palette 4": ("float16", "iOS16", "constexpr_lut_to_dense"),
    "palette 6": ("float32", "iOS16", "constexpr_lut_to_dense"),
    "sparse": ("float16", "iOS16", "constexpr_sparse_to_dense"),
    "cast": ("float32", "iOS16", "constexpr_cast"),
    "int4": ("float16", "iOS18", "constexpr_blockwise_shift_scale"),
    "uint4": ("float16", "iOS18", "constexpr_blockwise_shift_scale"),
    "palette 6 newer": ("float16", "iOS18", "constexpr_lut_to_dense"),
    "palette 3 newer": ("float16", "iOS18", "constexpr_lut_to_dense"),
}


@pytest.mark.parametrize("kind", COMPRESSED)
def test_a_compressed_constant_is_what_coremltools_multiplies_out(kind: str, tmp_path: Path) -> None:
    precision, target, operation = COMPRESSED[kind]

    def body(mb: Any, x: Any) -> Any:
        given = stored_as_float16(mb, WEIGHT) if kind == "cast" else WEIGHT
        return mb.conv(x=x, weight=given, name="y")

    path = tmp_path / "C.mlpackage"
    save_program(path, (1, 20, 8, 8), body, precision=precision, target=target, change=compressed(kind))
    package = Package.open(path)
    assert package.count_operations()[operation] == 1
    [value] = [array for array in package.constants().values() if array.shape == WEIGHT.shape]
    np.testing.assert_array_equal(value, evaluated(path, operation))
    x = np.random.default_rng(6).normal(size=(1, 20, 8, 8))
    expected = np.einsum("bihw,oi->bohw", x, value[:, :, 0, 0].astype(np.float64))
    np.testing.assert_allclose(package.run_features({"x": x}, "ideal")["y"], expected, rtol=1e-9, atol=1e-9)


def evaluated(path: Path, operation: str) -> NDArray[Any]:
    """Returns the one compressed constant of a package as coremltools reads and multiplies it out."""
    load = importlib.import_module("coremltools.converters.mil.frontend.milproto.load").load
    with quiet():
        model = tools().models.MLModel(str(path), skip_model_load=True)
        program = load(model.get_spec(), model.get_spec().specificationVersion, model.weights_dir)
        [found] = program.functions["main"].find_ops(op_type=operation)
        value = found.materialized_val_inference()
        del model
    return np.asarray(value)


def stored(kind: str, declared: tuple[str, tuple[int, ...]], **parts: Any) -> Operation:
    """Returns a compressed constant that is made of arrays."""
    arrays = {key: np.asarray(value) for key, value in parts.items()}
    constants = {
        key: (Constant(type=TensorType(dtype=array.dtype.name, shape=array.shape), value=array),)
        for key, array in arrays.items()
    }
    dtype, shape = declared
    return Operation(type=kind, inputs=constants, outputs=(("weight", TensorType(dtype=dtype, shape=shape)),))


U8, I8, F16 = np.uint8, np.int8, np.float16
AFFINE: dict[str, Any] = {
    "quantized_data": np.zeros((4, 2), I8), "scale": np.ones(4, F16), "zero_point": np.zeros(4, I8), "axis": 0,
}  # fmt: skip
PALETTE: dict[str, Any] = {"lut": np.arange(4, dtype=F16), "indices": np.zeros(2, U8), "shape": np.uint32([8])}
SPARSE: dict[str, Any] = {"nonzero_data": F16([1, 2]), "mask": U8([0b10001, 0]), "shape": np.uint32([9])}
BLOCKS: dict[str, Any] = {"data": np.zeros((4, 6), I8), "scale": np.ones((2, 3), F16)}
NEWER: dict[str, Any] = {"lut": np.zeros((2, 1, 4, 1), F16), "indices": np.zeros((4, 6), U8)}
SOUND = {
    "constexpr_affine_dequantize": (AFFINE, (4, 2)),
    "constexpr_lut_to_dense": (PALETTE, (8,)),
    "constexpr_sparse_to_dense": (SPARSE, (9,)),
    "constexpr_blockwise_shift_scale": (BLOCKS, (4, 6)),
}


@pytest.mark.parametrize("kind", SOUND)
def test_sound_parts_make_what_is_declared(kind: str) -> None:
    parts, shape = SOUND[kind]
    assert multiply_out(stored(kind, ("float16", shape), **parts), {}).type.shape == shape
    for declared in (("float32", shape), ("float16", (*shape, 1))):
        with pytest.raises(PackageError, match="declared to be"):
            multiply_out(stored(kind, declared, **parts), {})


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("constexpr_affine_dequantize", AFFINE | {"scale": np.ones(3, F16)}),
        ("constexpr_affine_dequantize", AFFINE | {"scale": np.ones(4, I8)}),
        ("constexpr_affine_dequantize", AFFINE | {"zero_point": np.zeros((4, 1), I8)}),
        ("constexpr_affine_dequantize", AFFINE | {"axis": 2}),
        ("constexpr_affine_dequantize", AFFINE | {"offset": 0}),
        ("constexpr_affine_dequantize", {"quantized_data": AFFINE["quantized_data"]}),
        ("constexpr_lut_to_dense", PALETTE | {"lut": np.zeros(5, F16)}),
        ("constexpr_lut_to_dense", PALETTE | {"indices": np.zeros(3, U8)}),
        ("constexpr_lut_to_dense", NEWER | {"lut": np.zeros((3, 1, 4, 1), F16)}),
        ("constexpr_lut_to_dense", NEWER | {"lut": np.zeros((2, 1, 4, 2), F16)}),
        ("constexpr_lut_to_dense", NEWER | {"indices": np.full((4, 6), 4, U8)}),
        ("constexpr_sparse_to_dense", SPARSE | {"nonzero_data": F16([1])}),
        ("constexpr_sparse_to_dense", SPARSE | {"mask": U8([0b10001])}),
        ("constexpr_blockwise_shift_scale", BLOCKS | {"scale": np.ones((2, 4), F16)}),
        ("constexpr_blockwise_shift_scale", BLOCKS | {"offset": np.zeros((2, 1), I8)}),
        ("constexpr_cast", {"source_val": np.zeros(8, np.float32), "output_dtype": "fp32"}),
        ("constexpr_cast", {"source_val": np.zeros(8, F16), "output_dtype": "fp16"}),
    ],
)
def test_parts_that_do_not_fit_are_refused(kind: str, parts: dict[str, Any]) -> None:
    with pytest.raises(PackageError, match=r"do not fit each other|not known"):
        multiply_out(stored(kind, ("float16", (8,)), **parts), {})


def test_every_kind_is_tested() -> None:
    assert {operation for _, _, operation in COMPRESSED.values()} == set(CONSTEXPRS)
