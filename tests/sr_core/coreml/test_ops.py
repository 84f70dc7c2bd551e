"""Every operation against a computation that shares nothing with it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import correlate2d
from scipy.special import erf

from sr_core.coreml.interpret import Package
from sr_core.coreml.ops import OPERATIONS as KNOWN
from tests.sr_core.coreml.packages import save_program

Array = NDArray[np.float64]
RNG = np.random.default_rng(7)
SHAPE = (2, 8, 6, 4)
X: Array = RNG.normal(size=SHAPE).astype(np.float32).astype(np.float64)


def noise(*shape: int) -> NDArray[np.float32]:
    return RNG.normal(size=shape).astype(np.float32)


OTHER, ROW, POSITIVE = noise(8, 1, 4), noise(8), np.abs(noise(8)) + np.float32(0.5)
PLANE, PLANES, SQUARE = noise(4, 5), noise(2, 8, 5, 4), noise(8, 4)
KERNEL, GROUPED, POINT, LINE = noise(5, 8, 3, 3), noise(4, 4, 2, 3), noise(3, 8, 1, 1), noise(3, 4)


def convolved(
    x: Array, weight: NDArray[Any], bias: NDArray[Any] | None = None, pads: Any = ((0, 0), (0, 0)), **settings: Any
) -> Array:
    """A convolution by scipy's correlation of single planes."""
    groups, (down, across) = settings.get("groups", 1), settings.get("strides", (1, 1))
    rows, columns = settings.get("dilations", (1, 1))
    spread = np.zeros((*weight.shape[:2], (weight.shape[2] - 1) * rows + 1, (weight.shape[3] - 1) * columns + 1))
    spread[:, :, ::rows, ::columns] = weight
    x = np.pad(x, ((0, 0), (0, 0), *pads))
    inputs, outputs = x.shape[1] // groups, len(weight) // groups

    def plane(picture: Array, output: int) -> Array:
        first = output // outputs * inputs
        planes = [correlate2d(picture[first + i], spread[output, i], "valid") for i in range(inputs)]
        return sum(planes)[::down, ::across] + (0.0 if bias is None else bias[output])

    return np.array([[plane(picture, output) for output in range(len(weight))] for picture in x])


def softmax(x: Array, axis: int) -> Array:
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def normalised(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


def shuffled(x: Array) -> Array:
    """Channel 4c + 2i + j becomes the pixel in row i and column j of the 2 x 2 that replaces a pixel."""
    out = np.empty((x.shape[0], x.shape[1] // 4, 2 * x.shape[2], 2 * x.shape[3]))
    for i in range(2):
        for j in range(2):
            out[:, :, i::2, j::2] = x[:, 2 * i + j :: 4]
    return out


def per_channel(row: NDArray[Any]) -> NDArray[Any]:
    return row[:, None, None]


OPERATIONS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Array], Array]]] = {
    "add": (lambda mb, x: mb.add(x=x, y=OTHER), lambda x: x + OTHER),
    "sub": (lambda mb, x: mb.sub(x=OTHER, y=x), lambda x: OTHER - x),
    "mul": (lambda mb, x: mb.mul(x=x, y=np.float32(0.3)), lambda x: x * np.float32(0.3)),
    "real_div": (lambda mb, x: mb.real_div(x=OTHER, y=x), lambda x: OTHER / x),
    "maximum": (lambda mb, x: mb.maximum(x=x, y=OTHER), lambda x: np.where(x > OTHER, x, OTHER)),
    "minimum": (lambda mb, x: mb.minimum(x=x, y=OTHER), lambda x: np.where(x < OTHER, x, OTHER)),
    "square": (lambda mb, x: mb.square(x=x), lambda x: x * x),
    "rsqrt": (lambda mb, x: mb.rsqrt(x=mb.square(x=x), epsilon=0.25), lambda x: (x * x + 0.25) ** -0.5),
    "relu": (lambda mb, x: mb.relu(x=x), lambda x: x * (x > 0)),
    "leaky_relu": (lambda mb, x: mb.leaky_relu(x=x, alpha=0.2), lambda x: np.where(x < 0, 0.2 * x, x)),
    "clip": (lambda mb, x: mb.clip(x=x, alpha=-0.5, beta=0.25), lambda x: np.clip(x, -0.5, 0.25)),
    "identity": (lambda mb, x: mb.identity(x=x), lambda x: x),
    "gelu EXACT": (lambda mb, x: mb.gelu(x=x, mode="EXACT"), lambda x: x * (1 + erf(x / 2**0.5)) / 2),
    "gelu TANH_APPROXIMATION": (
        lambda mb, x: mb.gelu(x=x, mode="TANH_APPROXIMATION"),
        lambda x: x / 2 * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))),
    ),
    "gelu SIGMOID_APPROXIMATION": (
        lambda mb, x: mb.gelu(x=x, mode="SIGMOID_APPROXIMATION"),
        lambda x: x / (1 + np.exp(-1.702 * x)),
    ),
    "softmax of the last": (lambda mb, x: mb.softmax(x=x), lambda x: softmax(x, -1)),
    "softmax of channels": (lambda mb, x: mb.softmax(x=x, axis=1), lambda x: softmax(x, 1)),
    "layer_norm of channels": (
        lambda mb, x: mb.layer_norm(x=x, axes=[1], gamma=ROW, beta=POSITIVE, epsilon=0.01),
        lambda x: normalised(x, (1,), 0.01) * per_channel(ROW) + per_channel(POSITIVE),
    ),
    "layer_norm of two": (
        lambda mb, x: mb.layer_norm(x=x, axes=[1, 3], gamma=SQUARE, epsilon=1e-3),
        lambda x: normalised(x, (1, 3), 1e-3) * SQUARE[:, None, :],
    ),
    "layer_norm of three": (
        lambda mb, x: mb.layer_norm(x=x, axes=[1, 2, 3]),
        lambda x: normalised(x, (1, 2, 3), 1e-5),
    ),
    "batch_norm": (
        lambda mb, x: mb.batch_norm(x=x, mean=ROW, variance=POSITIVE, gamma=ROW, beta=POSITIVE, epsilon=0.1),
        lambda x: (
            (x - per_channel(ROW)) / np.sqrt(per_channel(POSITIVE) + 0.1) * per_channel(ROW) + per_channel(POSITIVE)
        ),
    ),
    "batch_norm of nothing else": (
        lambda mb, x: mb.batch_norm(x=x, mean=ROW, variance=POSITIVE),
        lambda x: (x - per_channel(ROW)) / np.sqrt(per_channel(POSITIVE) + 1e-5),
    ),
    "reduce_mean": (lambda mb, x: mb.reduce_mean(x=x, axes=[1, -1]), lambda x: x.mean((1, 3))),
    "reduce_mean that stays": (
        lambda mb, x: mb.reduce_mean(x=x, axes=[1], keep_dims=True),
        lambda x: x.mean(1, keepdims=True),
    ),
    "matmul": (lambda mb, x: mb.matmul(x=x, y=PLANE), lambda x: np.einsum("abij,jk->abik", x, PLANE)),
    "matmul of both turned": (
        lambda mb, x: mb.matmul(x=x, y=PLANES, transpose_x=False, transpose_y=True),
        lambda x: np.einsum("abij,abkj->abik", x, PLANES),
    ),
    "matmul of one turned": (
        lambda mb, x: mb.matmul(x=x, y=x, transpose_x=True),
        lambda x: np.einsum("abji,abjk->abik", x, x),
    ),
    "linear": (lambda mb, x: mb.linear(x=x, weight=LINE, bias=ROW[:3]), lambda x: x @ LINE.T + ROW[:3]),
    "conv valid": (lambda mb, x: mb.conv(x=x, weight=KERNEL), lambda x: convolved(x, KERNEL)),
    "conv padded": (
        lambda mb, x: mb.conv(x=x, weight=KERNEL, bias=ROW[:5], pad_type="custom", pad=[1, 2, 0, 3]),
        lambda x: convolved(x, KERNEL, ROW[:5], ((1, 2), (0, 3))),
    ),
    "conv of groups": (
        lambda mb, x: mb.conv(x=x, weight=GROUPED, groups=2, strides=[2, 1], dilations=[3, 1]),
        lambda x: convolved(x, GROUPED, groups=2, strides=(2, 1), dilations=(3, 1)),
    ),
    "conv of points": (
        lambda mb, x: mb.conv(x=x, weight=POINT),
        lambda x: np.einsum("bihw,oi->bohw", x, POINT[:, :, 0, 0]),
    ),
    "reshape": (lambda mb, x: mb.reshape(x=x, shape=[0, 2, -1, 4]), lambda x: x.reshape(2, 2, 24, 4)),
    "transpose": (lambda mb, x: mb.transpose(x=x, perm=[2, 0, -1, 1]), lambda x: np.einsum("abcd->cadb", x)),
    "expand_dims": (
        lambda mb, x: mb.expand_dims(x=mb.reduce_mean(x=x, axes=[2], keep_dims=False), axes=[1, -1]),
        lambda x: x.mean(2)[:, None, :, :, None],
    ),
    "squeeze": (
        lambda mb, x: mb.squeeze(x=mb.reduce_mean(x=x, axes=[0, 3], keep_dims=True), axes=[-1]),
        lambda x: x.mean((0, 3), keepdims=True)[..., 0],
    ),
    "slice_by_index": (
        lambda mb, x: mb.slice_by_index(
            x=x, begin=[0, 2, -3, 1], end=[9, -1, 0, 4], stride=[1, 2, 1, 2],
            begin_mask=[True, False, False, False], end_mask=[False, False, True, False],
        ),
        lambda x: x[:9, 2:-1:2, -3:, 1:4:2],
    ),
    "slice_by_size": (
        lambda mb, x: mb.slice_by_size(x=x, begin=[0, 3, -2, 1], size=[-1, 4, 2, -1]),
        lambda x: x[:, 3:7, -2:, 1:],
    ),
    "concat": (
        lambda mb, x: mb.concat(values=[x, mb.relu(x=x), x], axis=-2),
        lambda x: np.concatenate([x, np.maximum(x, 0), x], 2),
    ),
    "split": (lambda mb, x: mb.split(x=x, num_splits=4, axis=1)[2], lambda x: x[:, 4:6]),
    "split in sizes": (lambda mb, x: mb.split(x=x, split_sizes=[1, 2, 5], axis=1)[1], lambda x: x[:, 1:3]),
    "pixel_shuffle": (lambda mb, x: mb.pixel_shuffle(x=x, upscale_factor=2), shuffled),
    "upsample_nearest_neighbor": (
        lambda mb, x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=3),
        lambda x: x[:, :, np.arange(12) // 2][..., np.arange(12) // 3],
    ),
    "pad": (
        lambda mb, x: mb.pad(x=x, pad=[1, 0, 2, 3], constant_val=0.5),
        lambda x: np.pad(x, ((0, 0), (0, 0), (1, 0), (2, 3)), constant_values=0.5),
    ),
    "pad reflect": (
        lambda mb, x: mb.pad(x=x, pad=[2, 1, 3, 2], mode="reflect"),
        lambda x: x[:, :, [2, 1, 0, 1, 2, 3, 4, 5, 4]][..., [3, 2, 1, 0, 1, 2, 3, 2, 1]],
    ),
    "pad replicate": (
        lambda mb, x: mb.pad(x=x, pad=[0, 2], mode="replicate"),
        lambda x: x[..., [0, 1, 2, 3, 3, 3]],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def every_operation(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """One package with all operations, each with an output of its own."""

    def body(mb: Any, x: Any) -> Any:
        return [mb.identity(x=build(mb, x), name=f"out{i}") for i, (build, _) in enumerate(OPERATIONS.values())]

    return Package.open(save_program(tmp_path_factory.mktemp("ops") / "Ops.mlpackage", SHAPE, body))


@pytest.fixture(scope="module")
def results(every_operation: Package) -> dict[str, dict[str, NDArray[Any]]]:
    both = {mode: every_operation.run_features({"x": X}, mode) for mode in ("typed", "ideal")}
    return {mode: dict(zip(OPERATIONS, outputs.values(), strict=True)) for mode, outputs in both.items()}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_computes_what_it_says(name: str, every_operation: Package, results: Any) -> None:
    expected = OPERATIONS[name][1](X)
    assert name.split(maxsplit=1)[0] in every_operation.count_operations()
    assert results["typed"][name].dtype == np.float32
    np.testing.assert_allclose(results["typed"][name], expected, rtol=3e-5, atol=3e-5)
    assert results["ideal"][name].dtype == np.float64
    np.testing.assert_allclose(results["ideal"][name], expected, rtol=1e-6, atol=1e-8)


def test_every_operation_that_is_known_is_tested(every_operation: Package) -> None:
    assert set(KNOWN) - {"cast"} <= set(every_operation.count_operations())  # casts round: see test_interpret.py
