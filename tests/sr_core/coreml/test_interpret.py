"""The interpreter: rounding as typed, images, and packages that do not do what they declare."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from sr_core.coreml.interpret import Package, to_bytes
from sr_core.errors import OptionError, PackageError
from tests.sr_core.coreml.packages import (
    change_file,
    change_program,
    find_operation,
    save_image_package,
    save_program,
    weights_of,
)

RNG = np.random.default_rng(7)
X = RNG.normal(size=(2, 8, 6, 4)).astype(np.float32).astype(np.float64)
KERNEL, BIAS = RNG.normal(size=(5, 8, 3, 3)).astype(np.float32), RNG.normal(size=5).astype(np.float32)


def convolved(x: NDArray[Any], dtype: Any = np.float32) -> NDArray[Any]:
    """The convolution in float64, with constants of another precision."""
    kernel, bias = (torch.from_numpy(array.astype(dtype).astype(np.float64)) for array in (KERNEL, BIAS))
    return F.conv2d(torch.from_numpy(x), kernel, bias).numpy()


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of float16 arithmetic between two casts."""

    def body(mb: Any, x: Any) -> Any:
        y = mb.relu(x=mb.conv(x=x, weight=KERNEL, bias=BIAS, name="conv"), name="relu")
        return mb.mul(x=y, y=np.float32(9000.0), name="scaled")

    return save_program(tmp_path_factory.mktemp("half") / "Half.mlpackage", X.shape, body, precision="float16")


def test_typed_arithmetic_rounds_each_result_to_its_declared_type(half: Path) -> None:
    package, seen = Package.open(half), dict[str, NDArray[Any]]()
    out = package.run_features({"x": X}, "typed", lambda name, kind, values: seen.update({f"{kind} {name}": values}))
    x = X.astype(np.float16).astype(np.float64)
    conv = convolved(x, np.float16)
    kinds = ["cast x_to_fp16", "conv conv_cast_fp16", "relu relu_cast_fp16", "mul scaled_cast_fp16", "cast scaled"]
    assert list(seen) == kinds
    np.testing.assert_array_equal(seen["cast x_to_fp16"], x)
    rounded = seen["conv conv_cast_fp16"]
    np.testing.assert_array_equal(rounded, rounded.astype(np.float16))
    np.testing.assert_allclose(rounded, conv, rtol=2**-11, atol=1e-6)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(out["scaled"], (np.maximum(rounded, 0) * np.float32(9000)).astype(np.float16))
    assert np.isinf(out["scaled"]).any()
    ideal = package.run_features({"x": X}, "ideal")["scaled"]
    np.testing.assert_allclose(ideal, 9000 * np.maximum(convolved(X, np.float16), 0), rtol=1e-12)


def test_constants_are_given_as_they_are_stored(half: Path) -> None:
    constants = Package.open(half).constants()
    assert sorted(array.shape for array in constants.values()) == [(), (5,), (5, 8, 3, 3)]
    np.testing.assert_array_equal(constants["conv_weight_0_to_fp16"], KERNEL.astype(np.float16))


def test_an_image_goes_in_and_comes_out_in_steps_of_255(tmp_path: Path) -> None:
    class Double(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (F.interpolate(x, scale_factor=2.0, mode="nearest") * 1.5 - 0.2).clamp(0, 1) * 255

    package = Package.open(save_image_package(tmp_path / "Double.mlpackage", Double(), tile=4))
    image = RNG.integers(0, 256, (4, 4, 3), np.uint8)
    out = package.run(image)
    expected = np.clip(image.repeat(2, 0).repeat(2, 1) * 1.5 - 0.2 * 255, 0, 255)
    assert out.shape == (8, 8, 3)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(package.run(image.astype(np.float64)), out)
    np.testing.assert_allclose(package.run(image, "ideal"), expected, rtol=1e-6, atol=1e-6)
    with pytest.raises(OptionError, match="4 x 4"):
        package.run(image[:3])
    with pytest.raises(OptionError, match="must be float32"):
        package.run_features({"image": image})
    with pytest.raises(OptionError, match="takes"):
        package.run_features({"picture": image})


def test_bytes_are_clamped_and_rounded_to_the_nearest() -> None:
    values = to_bytes(np.array([-3.0, 0.49, 0.51, 1.5, 2.5, 254.6, 300.0], np.float32))
    assert values.dtype == np.uint8
    assert values.tolist() == [0, 0, 1, 2, 2, 255, 255]


def test_an_array_is_no_image(half: Path) -> None:
    with pytest.raises(PackageError, match="one image"):
        Package.open(half).run(np.zeros((6, 4, 3), np.uint8))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with a few of the operations that a network is made of."""

    def body(mb: Any, x: Any) -> Any:
        y = mb.conv(x=x, weight=KERNEL, name="conv")
        y = mb.softmax(x=mb.gelu(x=y, mode="EXACT", name="gelu"), axis=1, name="softmax")
        left, right = mb.split(x=y, num_splits=2, axis=2, name="split")
        return mb.concat(values=[right, left], axis=2, name="out")

    return save_program(tmp_path_factory.mktemp("small") / "Small.mlpackage", X.shape, body)


Change = Callable[[Any], None]


def type_of(operations: Any, name: str) -> Any:
    return find_operation(operations, name).outputs[0].type.tensorType


def set_shape(name: str, axis: int, size: int) -> Change:
    def change(operations: Any) -> None:
        type_of(operations, name).dimensions[axis].constant.size = size

    return change


def set_dtype(name: str, dtype: int) -> Change:
    def change(operations: Any) -> None:
        type_of(operations, name).dataType = dtype

    return change


def set_kind(name: str, kind: str) -> Change:
    def change(operations: Any) -> None:
        find_operation(operations, name).type = kind

    return change


def rename_input(name: str, key: str, new: str) -> Change:
    def change(operations: Any) -> None:
        find_operation(operations, name).inputs[key].arguments[0].name = new

    return change


def add_input(name: str, key: str, value: str) -> Change:
    def change(operations: Any) -> None:
        find_operation(operations, name).inputs[key].arguments.add().name = value

    return change


def drop_input(name: str, key: str) -> Change:
    def change(operations: Any) -> None:
        del find_operation(operations, name).inputs[key]

    return change


def set_word(name: str, word: str) -> Change:
    def change(operations: Any) -> None:
        find_operation(operations, name).attributes["val"].immediateValue.tensor.strings.values[0] = word

    return change


def add_output(name: str) -> Change:
    def change(operations: Any) -> None:
        operation = find_operation(operations, name)
        operation.outputs.add().CopyFrom(operation.outputs[0])
        operation.outputs[-1].name = "further"

    return change


WHEN_OPENED = {
    "an unknown operation": (set_kind("gelu", "swish"), "kind 'swish', which is not known"),
    "a value that nothing gives": (rename_input("gelu", "x", "nothing"), "which nothing before it gives"),
    "a value of later": (rename_input("gelu", "x", "softmax"), "which nothing before it gives"),
    "a name given twice": (lambda ops: setattr(find_operation(ops, "gelu").outputs[0], "name", "conv"), "twice"),
    "a type that does not exist": (set_dtype("gelu", 13), "of a kind that is not read"),
    "a shape of the output": (set_shape("out", 2, 5), "with another shape"),
    "a constant of another shape": (set_shape("conv_weight_0", 0, 4), "constant conv_weight_0 is declared"),
    "a constant of another type": (set_dtype("conv_weight_0", 10), "constant conv_weight_0 is declared"),
    "a size that is open": (
        lambda ops: setattr(type_of(ops, "gelu").dimensions[0].unknown, "variadic", False),
        "without a fixed size",
    ),
    "a tensor at another place": (
        lambda ops: setattr(find_operation(ops, "conv_weight_0").attributes["val"].blobFileValue, "offset", 128),
        "where none begins",
    ),
    "another weight file": (
        lambda ops: setattr(
            find_operation(ops, "conv_weight_0").attributes["val"].blobFileValue, "fileName", "@model_path/../x.bin"
        ),
        "does not list",
    ),
}
WHEN_RUN = {
    "a declared shape": (set_shape("gelu", 3, 1), "gelu.*declared to give float32 .* but gives float32"),
    "a declared type": (set_dtype("gelu", 10), "gelu.*declared to give float16 .* but gives float32"),
    "a mix of types": (set_dtype("softmax", 10), "softmax.*declared to give float16"),
    "a further operand": (add_input("gelu", "beta", "conv"), "not known here: beta"),
    "a missing operand": (drop_input("softmax", "x"), "lacks the operand x"),
    "two of one": (add_input("gelu", "x", "conv"), "exactly one x"),
    "an unknown mode": (set_word("gelu_mode_0", "FAST"), "mode that is not known here: 'FAST'"),
    "an unknown padding": (set_word("conv_pad_type_0", "same"), "pads in a way"),
    "a number for a word": (rename_input("gelu", "mode", "conv_weight_0"), "constant of type string as mode"),
    "a constant for a tensor": (rename_input("gelu", "x", "conv_pad_type_0"), "no tensor of floats"),
    "a further output": (add_output("gelu"), "gives 1 results, but is declared to give 2"),
    "tensors that do not fit": (rename_input("conv", "x", "conv_weight_0"), "cannot be computed|declared to give"),
}


@pytest.mark.parametrize("what", WHEN_OPENED)
def test_a_program_that_is_not_sound_is_refused_when_it_is_opened(what: str, small: Path, tmp_path: Path) -> None:
    change, sentence = WHEN_OPENED[what]
    with pytest.raises(PackageError, match=sentence):
        Package.open(change_program(small, tmp_path / "Bad.mlpackage", change))


@pytest.mark.parametrize("what", WHEN_RUN)
def test_a_program_that_does_not_do_what_it_declares_is_refused(what: str, small: Path, tmp_path: Path) -> None:
    change, sentence = WHEN_RUN[what]
    with pytest.raises(PackageError, match=sentence):
        Package.open(change_program(small, tmp_path / "Bad.mlpackage", change)).run_features({"x": X})


def test_a_package_without_its_files_is_refused(small: Path, tmp_path: Path) -> None:
    for missing, sentence in (
        ("Manifest.json", "Manifest.json"),
        ("Data/com.apple.CoreML/model.mlmodel", "model.mlmodel"),
        ("Data/com.apple.CoreML/weights/weight.bin", "weight.bin is missing"),
    ):
        copy = shutil.copytree(small, tmp_path / f"{len(missing)}.mlpackage")
        (copy / missing).unlink()
        with pytest.raises(PackageError, match=sentence):
            Package.open(copy)


def test_damaged_files_are_refused(small: Path, tmp_path: Path) -> None:
    weights = weights_of(small).relative_to(small)
    model = weights.parent.parent / "model.mlmodel"
    manifest = json.loads((small / "Manifest.json").read_text())
    outside = json.loads(json.dumps(manifest).replace("com.apple.CoreML/weights", "../weights"))
    other = json.loads(json.dumps(manifest).replace("com.apple.CoreML/weights", "com.apple.CoreML/others"))
    whole = (small / weights).read_bytes()
    for file, data, sentence in (
        (weights, whole[:-1], "cut short"),
        (weights, whole[:64] + bytes(64) + whole[128:], "describes no tensor"),
        (model, (small / model).read_bytes()[:-9], "damaged"),
        (model, b"", "no ML program"),
        (Path("Manifest.json"), b"{", "damaged"),
        (Path("Manifest.json"), b"[]", "damaged"),
        (Path("Manifest.json"), json.dumps(manifest | {"rootModelIdentifier": "x"}).encode(), "damaged"),
        (Path("Manifest.json"), json.dumps(outside).encode(), "outside of the package"),
        (Path("Manifest.json"), json.dumps(other).encode(), "does not list"),
    ):
        with pytest.raises(PackageError, match=sentence):
            Package.open(change_file(small, tmp_path / "Bad.mlpackage", file, data))
