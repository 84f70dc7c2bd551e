"""Stored weights: exact both ways at every precision, as small as promised, and nothing damaged is read."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from sr_core.arch.build import build
from sr_core.arch.storage import (
    CODE_MAX,
    SMALL,
    channel_axis,
    check_covered,
    choices,
    decode,
    encode,
    grid_of,
    has_choice,
    is_table,
    palette_bits,
)
from sr_core.arch.weights import load_weights, save_weights
from sr_core.errors import WeightsError
from sr_core.spec import Formats, LayerFormat, Precision, SwinIRSpec
from tests.peers import randomize
from tests.sr_core.compress.networks import mixed_formats, tiny_variant

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
PALETTES: tuple[Precision, ...] = ("palette6", "palette4")
SPEC = SwinIRSpec(scale=2, embed_dim=18, head_dim=7, heads=((3, 1), (0,)), hidden=((37, 0), (29,)))
TABLE = "layers.0.residual_group.blocks.0.attn.relative_position_bias_table"


def int8_weights(shape: tuple[int, ...], axis: int, seed: int) -> Tensor:
    """Random weights on the int8 grid: steps from the least float16 on; in each channel one code is 127 or -127."""
    generator = torch.Generator().manual_seed(seed)
    channels, rest = shape[axis], torch.Size(shape).numel() // shape[axis]
    codes = torch.randint(-CODE_MAX, CODE_MAX + 1, (channels, rest), generator=generator).float()
    codes[:, seed % rest] = CODE_MAX * (-1) ** seed
    steps = (2.0 ** torch.empty(channels).uniform_(-24, 4, generator=generator)).half().float()
    moved = [channels, *(size for i, size in enumerate(shape) if i != axis)]
    return (codes * steps[:, None]).view(moved).movedim(0, axis)


def palette_weights(shape: tuple[int, ...], count: int, seed: int) -> Tensor:
    """Random weights of ``count`` different float16 values, each of which occurs."""
    generator = torch.Generator().manual_seed(seed)
    values = (torch.randperm(2000, generator=generator)[:count] / 1000 - 1).half().float()
    places = torch.randint(count, (torch.Size(shape).numel(),), generator=generator)
    places[:count] = torch.arange(count)
    return values[places].view(shape)


def on_grid(precision: Precision, formats: Formats = ()) -> dict[str, Tensor]:
    """Random weights of SPEC that lie on the grid of a precision."""
    module = build(SPEC)
    randomize(module, seed=5)
    weights: dict[str, Tensor] = {}
    for seed, (name, value) in enumerate(module.state_dict().items()):
        grid = grid_of(name, value, precision, formats)
        match grid:
            case "int8":
                weights[name] = int8_weights(tuple(value.shape), channel_axis(name), seed)
            case "palette6" | "palette4":
                weights[name] = palette_weights(tuple(value.shape), 2 ** palette_bits(grid), seed)
            case None:
                weights[name] = value if precision == "float32" else value.half().float()
    return weights


def shapes_of(weights: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in weights.items()}


def refused(sentence: str) -> Any:
    return pytest.raises(WeightsError, match=rf"\A{sentence}\Z")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_saved_is_loaded_bit_for_bit(precision: Precision, tmp_path: Path) -> None:
    module, path, variant = build(SPEC), tmp_path / "model.safetensors", tiny_variant(SPEC, precision)
    weights = on_grid(precision, variant.formats)
    module.load_state_dict(weights)
    save_weights(module, path, variant)
    loaded = load_weights(path, variant).state_dict()
    assert loaded.keys() == weights.keys()
    for name, value in weights.items():
        assert loaded[name].dtype == torch.float32
        assert torch.equal(loaded[name], value), name
    save_weights(load_weights(path, variant), tmp_path / "again.safetensors", variant)  # the header's order too
    assert path.read_bytes() == (tmp_path / "again.safetensors").read_bytes()
    # What each weight takes: by its own rule, not by the code's.
    stored = load_file(path)
    for name, value in weights.items():
        size_bytes = sum(t.nbytes for key, t in stored.items() if key == name or key.rpartition(".")[0] == name)
        count, table, listed = value.numel(), name.endswith("table"), dict(variant.formats)
        plain = count <= 512 or value.ndim == 1 or name.startswith(("conv_first.", "reconstruction."))
        word = listed.get(name, "float16") if listed else "float16" if plain and precision != "float32" else precision
        if word == "float32":
            assert size_bytes == 4 * count
        elif word == "float16":
            assert size_bytes == 2 * count
        elif word == "int8" or table:
            assert size_bytes == count + 2 * (value.shape[1] if table else value.shape[0])
        else:
            bits = int(word[-1])
            assert size_bytes == (count * bits + 7) // 8 + 2 * 2**bits


def test_the_network_of_these_tests_has_every_kind_of_weight() -> None:
    weights = on_grid("palette6")
    kinds = {grid_of(name, value, "palette6") for name, value in weights.items()}
    odd = [v for n, v in weights.items() if grid_of(n, v, "palette6") == "palette6" and v.numel() * 6 % 8]
    assert kinds == {None, "int8", "palette6"}
    assert set(dict(mixed_formats(SPEC)).values()) == set(choices("weight"))
    assert odd  # the last byte of a packed tensor is not full
    assert any(v.ndim > 1 and v.numel() <= SMALL for v in weights.values())


def test_small_weights_biases_and_what_carries_the_picture_have_no_grid() -> None:
    for precision in ("int8", *PALETTES):
        assert grid_of("fc1.weight", torch.zeros(2, SMALL // 2), precision) is None
        assert grid_of("fc1.weight", torch.zeros(1, SMALL + 1), precision) is not None
        assert grid_of("fc1.bias", torch.zeros(SMALL + 1), precision) is None
        assert grid_of("conv_first.weight", torch.zeros(60, 3, 3, 3), precision) is None
        assert grid_of("reconstruction.0.weight", torch.zeros(12, 60, 3, 3), precision) is None
        assert grid_of("layers.0.conv.weight", torch.zeros(60, 60, 3, 3), precision) is not None
        assert grid_of("x.relative_position_bias_table", torch.zeros(225, 2), precision) is None
        assert grid_of("x.relative_position_bias_table", torch.zeros(225, 3), precision) == "int8"
    for precision in ("float32", "float16"):
        assert grid_of("fc1.weight", torch.zeros(99, 99), precision) is None
    for precision in ("float32", "float16", "int8", "mixed-bit"):
        with pytest.raises(ValueError, match=f"{precision} has no palette"):
            palette_bits(precision)


def test_in_a_mixture_every_matrix_that_is_not_small_has_a_choice_and_every_table() -> None:
    assert has_choice("fc1.weight", (1, SMALL + 1))
    assert not has_choice("fc1.weight", (2, SMALL // 2))
    assert not has_choice("fc1.bias", (SMALL + 1,))
    assert has_choice("reconstruction.0.weight", (12, 60, 3, 3))
    assert has_choice(TABLE, (225, 1))
    for name in ("conv_first.weight", TABLE):
        assert grid_of(name, torch.zeros(60, 27), "mixed-bit", ((name, "int8"),)) == "int8"
        assert grid_of(name, torch.zeros(60, 27), "mixed-bit", ((name, "float16"),)) is None
        assert grid_of(name, torch.zeros(60, 27), "mixed-bit", (("another", "int8"),)) is None


@given(data=st.data(), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_any_mixture_of_formats_is_read_as_it_was_stored(data: st.DataObject, seed: int) -> None:
    module, listed, weights = build(SPEC), dict[str, LayerFormat](), dict[str, Tensor]()
    for i, (name, value) in enumerate(module.state_dict().items()):
        word: LayerFormat = "float16"
        if has_choice(name, value.shape):
            listed[name] = word = data.draw(st.sampled_from(choices(name)), label=name)
        shape = tuple(value.shape)
        match word:
            case "float16":
                weights[name] = torch.randn(shape, generator=torch.Generator().manual_seed(seed + i)).half().float()
            case "int8":
                weights[name] = int8_weights(shape, channel_axis(name), seed + i)
            case "palette6" | "palette4":
                weights[name] = palette_weights(shape, data.draw(st.integers(1, 2 ** palette_bits(word))), seed + i)
    formats = tuple(sorted(listed.items()))
    check_covered(shapes_of(weights), formats)
    stored = encode(weights, "mixed-bit", formats)
    kinds = {"float16": set[str](), "int8": {"codes", "steps"}} | {key: {"indices", "palette"} for key in PALETTES}
    for name, word in formats:
        assert {key.rpartition(".")[2] for key in stored if key.startswith(f"{name}.")} == kinds[word]
    read = decode(stored, shapes_of(weights))
    assert all(torch.equal(read[name], value) for name, value in weights.items())


def test_formats_of_other_weights_are_refused() -> None:
    formats, shapes = mixed_formats(SPEC), shapes_of(on_grid("float16"))
    with refused(
        r"The formats of the layers do not fit the network: 1 missing, 0 too many \(conv_after_body.weight has none\)."
    ):
        check_covered(shapes, tuple(one for one in formats if one[0] != "conv_after_body.weight"))
    with refused(
        r"The formats of the layers do not fit the network: 0 missing, 1 too many \(conv_after_body.bias takes none\)."
    ):
        check_covered(shapes, tuple(sorted([*formats, ("conv_after_body.bias", "int8")])))
    with refused(f"The weight {TABLE} cannot be stored as palette4, only as float16 or int8."):
        check_covered(shapes, tuple((name, "palette4" if is_table(name) else word) for name, word in formats))


def test_a_weight_beside_the_grid_of_its_own_format_is_refused() -> None:
    formats = mixed_formats(SPEC)
    weights = on_grid("mixed-bit", formats)
    name = next(name for name, word in formats if word == "palette4")
    widened = tuple((one, "palette6" if one == name else word) for one, word in formats)
    assert torch.equal(decode(encode(weights, "mixed-bit", widened), shapes_of(weights))[name], weights[name])
    weights[name] = palette_weights(tuple(weights[name].shape), 17, seed=1)
    with refused(f"The weight {name} has 17 values, but 4 bits can name only 16."):
        encode(weights, "mixed-bit", formats)


@given(
    shape=st.tuples(st.integers(1, 41), st.integers(1, 41)).filter(lambda shape: shape[0] * shape[1] > SMALL),
    precision=st.sampled_from(PALETTES),
    seed=st.integers(0, 1000),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_any_number_of_places_is_packed_and_found_again(
    shape: tuple[int, int], precision: Precision, seed: int, data: st.DataObject
) -> None:
    bits = palette_bits(precision)
    weights = {"w.weight": palette_weights(shape, data.draw(st.integers(1, 2**bits)), seed)}
    stored = encode(weights, precision)
    assert stored.keys() == {"w.weight.indices", "w.weight.palette"}
    packed, palette = stored["w.weight.indices"], stored["w.weight.palette"]
    assert packed.dtype == torch.uint8
    assert palette.dtype == torch.float16
    assert len(packed) == -(-shape[0] * shape[1] * bits // 8)
    assert torch.equal(decode(stored, shapes_of(weights))["w.weight"], weights["w.weight"])
    # Unpacked once more, as a plain number whose lowest bits are the first place.
    number = int.from_bytes(packed.numpy().tobytes(), "little")
    places = [number >> (i * bits) & (2**bits - 1) for i in range(shape[0] * shape[1])]
    assert torch.equal(palette.float()[places], weights["w.weight"].reshape(-1))
    assert number >> (shape[0] * shape[1] * bits) == 0  # what is left of the last byte


@given(
    shape=st.sampled_from([(1, 513), (3, 19, 3, 3), (600, 1), (225, 3)]),
    table=st.booleans(),
    seed=st.integers(0, 1000),
    empty=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_codes_and_steps_of_any_channel_are_found_again(
    shape: tuple[int, ...], table: bool, seed: int, empty: bool
) -> None:
    name = "a.relative_position_bias_table" if table and len(shape) == 2 else "a.weight"
    axis = 1 if name.endswith("table") else 0
    weight = int8_weights(shape, axis, seed)
    if empty:
        weight.movedim(axis, 0)[0] = 0.0
    stored = encode({name: weight}, "int8")
    codes, steps = stored[f"{name}.codes"], stored[f"{name}.steps"]
    assert (codes.dtype, steps.dtype) == (torch.int8, torch.float16)
    assert (codes.shape, steps.shape) == (weight.shape, (shape[axis],))
    assert codes.min() >= -CODE_MAX
    assert torch.equal(decode(stored, {name: weight.shape})[name], weight)
    if empty:
        assert (codes.movedim(axis, 0)[0] == 0).all()
        assert steps[0] == 1.0


@pytest.mark.parametrize("shape", [(20, 30), (225, 3)])
def test_a_weight_beside_the_int8_grid_is_refused(shape: tuple[int, int]) -> None:
    name = "a.relative_position_bias_table" if shape == (225, 3) else "a.weight"
    sentence = f"The weight {name} does not lie on the grid of its precision; quantize the network first."
    weight = int8_weights(shape, channel_axis(name), seed=4)
    weight[7, 1] += 1e-3 * weight.abs().max()
    with refused(sentence):
        encode({name: weight}, "int8")
    with refused(sentence):
        encode({name: torch.randn(shape, generator=torch.Generator().manual_seed(0))}, "int8")
    with refused(sentence):
        encode({name: torch.full(shape, float("nan"))}, "int8")


@pytest.mark.parametrize("precision", PALETTES)
def test_weights_that_a_palette_cannot_hold_are_refused(precision: Precision) -> None:
    size = 2 ** palette_bits(precision)
    with refused(
        f"The weight w has {size + 1} values, but {palette_bits(precision)} bits can name only {size}\\.",
    ):
        encode({"w": palette_weights((30, 30), size + 1, seed=0)}, precision)
    weight = palette_weights((30, 30), size, seed=0)
    weight[weight == weight[0, 0]] = 0.1  # no float16
    with refused("The weight w does not lie on the grid of its precision; quantize the network first."):
        encode({"w": weight}, precision)


@pytest.mark.parametrize(
    ("precision", "part"), [("int8", "codes"), ("int8", "steps"), ("palette4", "indices"), ("palette4", "palette")]
)
def test_a_weight_without_one_of_its_parts_is_refused(precision: Precision, part: str) -> None:
    weights = on_grid(precision)
    name = "conv_after_body.weight"
    stored = encode(weights, precision)
    del stored[f"{name}.{part}"]
    with refused(f"The weight {name} is stored without its {part}."):
        decode(stored, shapes_of(weights))


def damaged_int8() -> dict[str, tuple[Tensor, Tensor]]:
    codes, steps = torch.ones(20, 30, dtype=torch.int8), torch.ones(20, dtype=torch.float16)
    return {
        "codes of another kind": (codes.int(), steps),
        "a step too few": (codes, steps[1:]),
        "one step": (codes, steps[0]),
        "a table of steps": (codes, steps[:, None]),
        "flat codes": (codes.view(-1), steps),
        "no codes": (codes[0, 0], steps),
    }


def damaged_palette() -> dict[str, tuple[Tensor, Tensor]]:
    packed, palette = torch.zeros(300, dtype=torch.uint8), torch.zeros(16, dtype=torch.float16)
    return {
        "places of another kind": (packed.char(), palette),
        "a byte too few": (packed[1:], palette),
        "a byte too many": (torch.zeros(301, dtype=torch.uint8), palette),
        "a value too few": (packed, palette[1:]),
        "another palette": (packed, torch.zeros(64, dtype=torch.float16)),
        "no values": (packed, palette[:0]),
        "one value, not a list": (packed, palette[0]),
        "a table of values": (packed, palette.view(16, 1).expand(16, 2)),
        "a table of places": (packed.view(300, 1), palette),
        "one place, not a list": (packed[0], palette),
    }


@pytest.mark.parametrize("damage", damaged_int8())
def test_codes_and_steps_that_do_not_fit_are_refused(damage: str) -> None:
    codes, steps = damaged_int8()[damage]
    with refused("The codes and the steps of the weight w do not fit each other."):
        decode({"w.codes": codes, "w.steps": steps}, {"w": torch.Size((20, 30))})


@pytest.mark.parametrize("damage", damaged_palette())
def test_indices_and_palette_that_do_not_fit_are_refused(damage: str) -> None:
    packed, palette = damaged_palette()[damage]
    with refused("The indices and the palette of the weight w do not fit each other."):
        decode({"w.indices": packed, "w.palette": palette}, {"w": torch.Size((20, 30))})


def test_an_unknown_palette_is_left_to_the_caller_and_a_twin_is_refused() -> None:
    weights = on_grid("palette4")
    stored = encode(weights, "palette4")
    packed, palette = torch.zeros(300, dtype=torch.uint8), torch.zeros(16, dtype=torch.float16)
    decoded = decode({**stored, "stranger.indices": packed, "stranger.palette": palette}, shapes_of(weights))
    assert decoded.keys() - weights.keys() == {"stranger"}
    for twins in (
        {"w": torch.zeros(20, 30), "w.codes": torch.ones(20, 30, dtype=torch.int8), "w.steps": torch.ones(20)},
        {"w.indices": packed, "w.palette": palette, "w": torch.zeros(20, 30)},
    ):
        with refused("The weight w is stored twice."):
            decode(twins, {"w": torch.Size((20, 30))})


def test_position_biases_have_a_step_for_each_head() -> None:
    stored = encode(on_grid("palette4"), "palette4")
    assert stored[f"{TABLE}.codes"].shape == (225, 3)
    assert stored[f"{TABLE}.steps"].shape == (3,)
    assert np.array_equal(stored[f"{TABLE}.codes"].abs().max(0).values.numpy(), [127, 127, 127])
