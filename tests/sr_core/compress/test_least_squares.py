"""Layers solved for, against the plain equations of least squares."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_core.compress import least_squares
from sr_core.compress.least_squares import bias_of, solve, sum_up
from sr_core.compress.segments import Layer

LAYERS: dict[str, tuple[Layer, tuple[int, ...], tuple[int, ...]]] = {
    "linear": (nn.Linear(5, 3), (4, 6, 6, 5), (4, 6, 6, 3)),
    "1x1": (nn.Conv2d(5, 3, 1), (4, 5, 6, 6), (4, 3, 6, 6)),
    "3x3": (nn.Conv2d(2, 3, 3, padding=1), (4, 2, 6, 6), (4, 3, 6, 6)),
}


def rows_of(layer: Layer, inputs: Tensor, missing: Tensor) -> tuple[Tensor, Tensor]:
    """All rows at once, with a one at the end of each."""
    if isinstance(layer, nn.Linear):
        rows, rest = inputs.flatten(0, -2), missing.flatten(0, -2)
    else:
        side = layer.kernel_size[0]
        rows = F.unfold(inputs, side, padding=side // 2).transpose(1, 2).flatten(0, 1)
        rest = missing.permute(0, 2, 3, 1).flatten(0, -2)
    return torch.cat([rows, torch.ones(len(rows), 1)], 1).double(), rest.double()


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("at_a_time", [7, 10_000])
def test_a_layer_is_the_best_there_is(name: str, at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(least_squares, "ROWS", at_a_time)
    layer, given, wanted = LAYERS[name]
    random = torch.Generator().manual_seed(3)
    inputs, missing = (0.5 + torch.randn(shape, generator=random) for shape in (given, wanted))
    rows, rest = rows_of(layer, inputs, missing)
    sums = sum_up(layer, inputs, missing)
    torch.testing.assert_close(sums.gram, rows.t() @ rows)
    torch.testing.assert_close(sums.right, rows.t() @ rest)
    torch.testing.assert_close(solve(sums, 0.0), torch.linalg.lstsq(rows, rest).solution)
    assert solve(sums, 0.0).shape == (layer.weight[0].numel() + 1, layer.weight.shape[0])


def test_a_ridge_holds_weights_back_in_units_of_the_inputs_and_leaves_the_bias_free() -> None:
    layer, random = nn.Linear(4, 2), torch.Generator().manual_seed(1)
    inputs, missing = torch.randn(50, 4, generator=random), 3.0 + torch.randn(50, 2, generator=random)
    sums, larger = sum_up(layer, inputs, missing), sum_up(layer, 10.0 * inputs, missing)
    held = solve(sums, 1e9)
    assert held[:-1].abs().max() < 1e-6
    torch.testing.assert_close(held[-1], missing.double().mean(0))
    torch.testing.assert_close(solve(larger, 0.3)[:-1] * 10.0, solve(sums, 0.3)[:-1])


def test_a_layer_without_a_bias_is_a_bug() -> None:
    with pytest.raises(ValueError, match="has a bias"):
        bias_of(nn.Linear(2, 2, bias=False))
