"""Layers on a grid: storable, never worse than plain rounding, and as good as trying everything where that can be."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_core.arch.storage import decode, encode
from sr_core.compress.quantize import palette_of, to_int8
from sr_core.compress.rounding import DAMPING, Floats, output_error, round_to_int8, round_to_palette
from sr_core.spec import LayerFormat

Case = tuple[Floats, Floats]


def correlated(outputs: int, width: int, seed: int, spread: float = 1.0) -> Case:
    """Weights, and the covariance of inputs that lie near few directions, of very different size."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(200, 4)) @ rng.normal(size=(4, width)) + 0.2 * rng.normal(size=(200, width))
    rows *= np.exp(spread * rng.normal(size=width))
    return rng.normal(size=(outputs, width)), np.cov(rows.T).reshape(width, width)


def rounded(case: Case, word: LayerFormat) -> Floats:
    weight, covariance = case
    if word == "int8":
        return round_to_int8(weight, covariance)
    return round_to_palette(weight, covariance, plain_palette(weight, word))


def plain_palette(weight: Floats, word: LayerFormat) -> Floats:
    return palette_of(np.sort(weight.reshape(-1)), 64 if word == "palette6" else 16)


def plain(case: Case, word: LayerFormat) -> Floats:
    """Each weight at its nearest place."""
    weight, _ = case
    if word == "int8":
        return to_int8(torch.from_numpy(weight).float(), 0).double().numpy()
    values = np.unique(plain_palette(weight, word).astype(np.float16).astype(np.float64))
    return values[np.abs(weight[..., None] - values).argmin(-1)]


@given(
    outputs=st.integers(1, 30),
    width=st.integers(40, 60),
    seed=st.integers(0, 100),
    word=st.sampled_from(["int8", "palette6", "palette4"]),
)
@settings(max_examples=25, deadline=None)
def test_what_is_rounded_can_be_stored(outputs: int, width: int, seed: int, word: LayerFormat) -> None:
    name, case = "a.weight", correlated(outputs, width, seed)
    weight = torch.from_numpy(rounded(case, word)).float()
    stored = encode({name: weight}, "mixed-bit", ((name, word),))
    assert torch.equal(decode(stored, {name: weight.shape})[name], weight)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("word", "times"), [("int8", 3.0), ("palette6", 3.0), ("palette4", 2.0)])
def test_outputs_change_far_less_than_with_plain_rounding(word: LayerFormat, times: float, seed: int) -> None:
    case = correlated(20, 60, seed)
    errors = [output_error(one - case[0], case[1]) for one in (rounded(case, word), plain(case, word))]
    assert times * errors[0] < errors[1]


@pytest.mark.parametrize("word", ["int8", "palette6", "palette4"])
def test_uncorrelated_inputs_are_rounded_as_ever(word: LayerFormat) -> None:
    """With no correlation there is nothing that others could take up."""
    rng = np.random.default_rng(3)
    case = rng.normal(size=(20, 50)), np.diag(np.exp(rng.normal(size=50)))
    np.testing.assert_allclose(rounded(case, word), plain(case, word), atol=1e-7)


def test_what_is_left_is_solved_for_after_each_column() -> None:
    """Against least squares, once more for each column: those that are rounded stay, all others are free."""
    weight, covariance = correlated(3, 8, 4)
    values, order = np.linspace(-2, 2, 5), np.argsort(-np.diagonal(covariance))
    damped = covariance + DAMPING * np.diagonal(covariance).mean() * np.eye(8)
    free = weight.copy()
    for i, number in enumerate(order):
        free[:, number] = values[np.abs(free[:, number, None] - values).argmin(-1)]
        done, rest = order[: i + 1], order[i + 1 :]
        change = (free - weight)[:, done] @ damped[np.ix_(done, rest)]
        if len(rest):
            free[:, rest] = weight[:, rest] - change @ np.linalg.inv(damped[np.ix_(rest, rest)])
    np.testing.assert_allclose(round_to_palette(weight, covariance, values), free)


def test_a_fine_place_takes_up_what_a_coarse_one_left() -> None:
    """Two inputs that are nearly one: the first weight misses by 0.4, and the second, on a fine grid, by that less."""
    weight, covariance = np.array([[0.6, 0.0]]), np.array([[1.001, 1.0], [1.0, 1.0]])
    found = round_to_palette(weight, covariance, np.append(np.arange(-50, 1) / 100, 1.0))
    assert found[0, 0] == 1.0
    assert found[0, 1] == pytest.approx(-0.4, abs=0.01)


def test_a_layer_of_few_weights_is_nearly_the_best_there_is() -> None:
    """Against all that can be: four weights at one of three places."""
    values, ratios = np.array([-1.0, 0.25, 1.0]), list[tuple[float, float]]()
    for seed in range(40):
        weight, covariance = correlated(1, 4, seed, spread=0.3)
        everything = np.array(list(product(values, repeat=4)))
        least = min(output_error(one[None] - weight, covariance) for one in everything)
        nearest = values[np.abs(weight[..., None] - values).argmin(-1)]
        found = round_to_palette(weight, covariance, values)
        ratios.append(tuple(output_error(one - weight, covariance) / least for one in (found, nearest)))
    own, plain_ones = np.median(ratios, axis=0)
    assert own < 1.5
    assert own < plain_ones


@pytest.mark.parametrize("word", ["int8", "palette6", "palette4"])
def test_inputs_that_never_vary_and_empty_rows_do_no_harm(word: LayerFormat) -> None:
    weight, covariance = correlated(20, 60, 2)
    covariance[7] = covariance[:, 7] = 0.0
    weight[3] = 0.0
    found = rounded((weight, covariance), word)
    assert np.isfinite(found).all()
    assert np.isfinite(rounded((weight, np.zeros((60, 60))), word)).all()
    assert output_error(found - weight, covariance) < output_error(weight, covariance) / 50


def test_the_error_is_that_of_the_outputs() -> None:
    rng = np.random.default_rng(0)
    rows, change = rng.normal(size=(5000, 6)) @ rng.normal(size=(6, 6)), rng.normal(size=(2, 6))
    covariance = np.cov(rows.T, bias=True)
    expected = float(np.var(rows @ change.T, axis=0).sum())
    assert output_error(change, covariance) == pytest.approx(expected)
