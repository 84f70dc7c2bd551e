"""Selective quantization: within its budget, storable, better than plain rounding, and the same every time."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sr_core.arch.storage import choices, has_choice, is_table
from sr_core.arch.swinir import SwinIR
from sr_core.arch.weights import load_weights, save_weights
from sr_core.compress.fold import fold_norms
from sr_core.compress.mixedbit import (
    BitBudget,
    Choice,
    choose_formats,
    measure_formats,
    quantize_selective,
    round_network,
)
from sr_core.compress.package_size import package_bytes_of
from sr_core.compress.quantize import quantize
from sr_core.compress.segments import (
    Segment,
    begin,
    inputs_of,
    run,
    seen,
    segments_of,
    shortcut,
    writer_of,
)
from sr_core.coreml.export import PackagePlan
from sr_core.coreml.package import package_bytes
from sr_core.errors import OptionError, WeightsError
from sr_core.spec import Formats, LayerFormat, SwinIRSpec, Variant
from tests.sr_core.compress.networks import PRUNED, SPECS, WHOLE, explained, mixed_formats, random_network
from tests.sr_core.coreml.packages import save_planned, strong_network

SMALL = replace(WHOLE, heads=((4, 3), (2,)), hidden=((48, 30), (24,)))
NARROW = replace(WHOLE, embed_dim=4, heads=((0,),), hidden=((200,),), upsampler="nearest+conv", features=16)


def smooth_tiles(count: int, side: int = 16, channels: int = 3) -> Tensor:
    """Waves with a little noise, as photos are: (count, channels, side, side) in 0 to 1."""
    generator = torch.Generator().manual_seed(2)
    place = torch.arange(side) / side
    waves = torch.randn(4, count, channels, 1, 1, generator=generator)
    rows, columns = place[:, None] * waves[0] * 7 + waves[1], place[None, :] * waves[2] * 7 + waves[3]
    noise = 0.05 * torch.randn(count, channels, side, side, generator=generator)
    return (0.5 + 0.2 * torch.sin(rows * 2) + 0.2 * torch.cos(columns * 2) + noise).clamp(0, 1)


TILES = smooth_tiles(12)


@cache
def measured() -> tuple[Choice, ...]:
    return measure_formats(strong_network(SMALL), TILES)


def error(own: SwinIR, whole: SwinIR, tiles: Tensor = TILES) -> float:
    with torch.inference_mode():
        return float((own(tiles) - whole(tiles)).double().square().mean())


def uniform(spec: SwinIRSpec, word: LayerFormat) -> Formats:
    return tuple((name, word if not is_table(name) else "int8") for name, _ in mixed_formats(spec))


class TestMeasuring:
    def test_every_weight_that_has_a_choice_is_measured_once(self) -> None:
        names = [name for choice in measured() for name in choice.names]
        assert sorted(names) == [name for name, _ in mixed_formats(SMALL)]
        for choice in measured():
            assert tuple(choice.errors) == choices(choice.names[0])
            assert len(choice.names) == 1 or all(map(is_table, choice.names))

    def test_fewer_bits_cost_more(self) -> None:
        for choice in measured():
            errors = list(choice.errors.values())
            assert errors[0] == 0.0
            assert errors == sorted(errors), choice.names
            assert errors[-1] > 0.0

    def test_what_is_measured_is_what_happens_at_the_output(self) -> None:
        """One layer alone on a grid, on the tiles that are run."""
        whole, name = strong_network(SMALL), "layers.0.residual_group.blocks.1.mlp.fc1.weight"
        formats = tuple((one, "palette4" if one == name else "float16") for one, _ in mixed_formats(SMALL))
        alone, rounded = fold_norms(whole), round_network(whole, TILES, formats).state_dict()
        alone.load_state_dict(
            alone.state_dict() | {key: rounded[key] for key in (name, name.replace("weight", "bias"))}
        )
        [choice] = [choice for choice in measured() if choice.names == (name,)]
        assert error(alone, whole, TILES[:8]) == pytest.approx(choice.errors["palette4"], rel=0.3)

    def test_the_network_is_left_alone(self) -> None:
        module = strong_network(SMALL)
        measure_formats(module, TILES[:2])
        assert all(torch.equal(v, strong_network(SMALL).state_dict()[n]) for n, v in module.state_dict().items())


def invented(spec: SwinIRSpec, seed: int) -> tuple[Choice, ...]:
    rng = np.random.default_rng(seed)

    def errors(name: str) -> Mapping[LayerFormat, float]:
        costs = np.sort(np.exp(3 * rng.normal(size=4)))
        return {word: float(cost) for word, cost in zip(choices(name), costs, strict=False)}

    names = [name for name, _ in mixed_formats(spec)]
    tables = tuple(filter(is_table, names))
    groups = [*([tables] if tables else []), *((name,) for name in names if name not in tables)]
    return tuple(Choice(names=group, errors=errors(group[0])) for group in groups)


class TestChoosing:
    @given(seed=st.integers(0, 50), share=st.floats(0, 1.1))
    @settings(max_examples=25, deadline=None)
    def test_the_choice_fits_and_no_single_change_is_better(self, seed: int, share: float) -> None:
        costs = invented(PRUNED, seed)
        least, most = (package_bytes_of(PRUNED, self.alike(costs, place), 16) for place in (-1, 0))
        budget = BitBudget(package_bytes=round(least + share * (most - least)), tile=16)
        formats = choose_formats(PRUNED, costs, budget)
        assert [name for name, _ in formats] == [name for name, _ in mixed_formats(PRUNED)]
        assert package_bytes_of(PRUNED, formats, 16) <= budget.package_bytes
        total = self.total(costs, formats)
        for choice in costs:
            for word in choice.errors:
                other = tuple(sorted((dict(formats) | dict.fromkeys(choice.names, word)).items()))
                tight = budget.package_bytes - 16 * len(costs)  # the knapsack rounds each saving down to 16 bytes
                assert package_bytes_of(PRUNED, other, 16) > tight or self.total(costs, other) >= total - 1e-12

    def test_a_budget_is_met_down_to_the_last_byte(self) -> None:
        for seed in range(5):
            costs = invented(PRUNED, seed)
            coarsest = self.alike(costs, -1)
            least = package_bytes_of(PRUNED, coarsest, 16)
            assert choose_formats(PRUNED, costs, BitBudget(package_bytes=least, tile=16)) == coarsest
            for more in range(1, 800, 57):
                formats = choose_formats(PRUNED, costs, BitBudget(package_bytes=least + more, tile=16))
                assert package_bytes_of(PRUNED, formats, 16) <= least + more
            with pytest.raises(OptionError, match=rf"at least {least:,} bytes .* the budget of {least - 1:,}\.\Z"):
                choose_formats(PRUNED, costs, BitBudget(package_bytes=least - 1, tile=16))

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
    def test_a_format_that_takes_more_is_not_offered(self, share: float) -> None:
        """Codes of a small layer take more with their steps than float16, and here they cost less as well."""
        names = [name for name, _ in mixed_formats(NARROW) if not is_table(name)]
        words: tuple[LayerFormat, ...] = ("float16", "int8", "palette4")
        costs = tuple(Choice(names=(one,), errors=dict(zip(words, (2.0, 0.0, 3.0), strict=True))) for one in names)
        floats = dict.fromkeys(names, words[0])
        larger = {
            name
            for name in names
            if package_bytes_of(NARROW, self.listed(floats | {name: "int8"}), 16)
            > package_bytes_of(NARROW, self.listed(floats), 16)
        }
        assert 0 < len(larger) < len(names)
        least = package_bytes_of(NARROW, self.listed(dict.fromkeys(names, "palette4")), 16)
        most = package_bytes_of(NARROW, self.listed(floats), 16)
        budget = BitBudget(package_bytes=round(least + share * (most - least)), tile=16)
        formats = dict(choose_formats(NARROW, costs, budget))
        assert package_bytes_of(NARROW, self.listed(formats), 16) <= budget.package_bytes
        assert not any(formats[name] == "int8" for name in larger)
        assert share == 0.0 or any(word == "int8" for word in formats.values())

    @staticmethod
    def listed(formats: Mapping[str, LayerFormat]) -> Formats:
        return tuple(sorted(formats.items()))

    def test_nothing_is_better_than_the_choice(self) -> None:
        """Against every mixture of a network of three weights."""
        spec = SPECS["no branches"]
        costs = invented(spec, 3)
        names = [choice.names[0] for choice in costs]
        for budget in np.linspace(36_000, 60_000, 7).astype(int):
            within = dict[float, Formats]()
            for words in product(*(choice.errors for choice in costs)):
                formats = tuple(sorted(zip(names, words, strict=True)))
                if package_bytes_of(spec, formats, 16) <= budget - 16 * len(costs):
                    within[self.total(costs, formats)] = formats
            if within:
                chosen = choose_formats(spec, costs, BitBudget(package_bytes=int(budget), tile=16))
                assert self.total(costs, chosen) <= min(within) + 1e-12

    def test_where_all_fits_nothing_is_lost(self) -> None:
        formats = choose_formats(SMALL, measured(), BitBudget(package_bytes=10_000_000, tile=16))
        assert {word for _, word in formats} == {"float16"}

    def test_a_budget_that_nothing_fits_is_refused(self) -> None:
        with pytest.raises(OptionError, match=r"\AThe package takes at least [\d,]+ bytes in the coarsest formats"):
            choose_formats(SMALL, measured(), BitBudget(package_bytes=20_000))

    @staticmethod
    def alike(costs: tuple[Choice, ...], place: int) -> Formats:
        return tuple(sorted((name, list(one.errors)[place]) for one in costs for name in one.names))

    @staticmethod
    def total(costs: tuple[Choice, ...], formats: Formats) -> float:
        return sum(choice.errors[dict(formats)[choice.names[0]]] for choice in costs)


class TestRounding:
    @pytest.mark.parametrize("name", SPECS)
    def test_any_network_can_be_stored_afterwards(self, name: str, tmp_path: Path) -> None:
        spec = SPECS[name]
        module, formats = random_network(spec), mixed_formats(spec)
        tiles = smooth_tiles(2, spec.window, spec.channels)
        rounded = round_network(module, tiles, formats)
        variant = Variant(
            family="tiny", spec=spec, task="lightweight", trained="noise", precision="mixed-bit", formats=formats
        )
        path = tmp_path / "model.safetensors"
        save_weights(rounded, path, variant)
        loaded = load_weights(path, variant).state_dict()
        assert all(torch.equal(value, loaded[key]) for key, value in rounded.state_dict().items())
        assert all(torch.equal(v, random_network(spec).state_dict()[n]) for n, v in module.state_dict().items())

    @pytest.mark.parametrize(("word", "decibels"), [("palette4", 4.0), ("palette6", 4.0), ("int8", 0.5)])
    def test_less_is_lost_than_with_plain_rounding_on_other_tiles_too(self, word: LayerFormat, decibels: float) -> None:
        whole, formats = strong_network(SMALL), uniform(SMALL, word)
        own, plain = round_network(whole, TILES, formats), quantize(whole, "mixed-bit", formats)
        for tiles in (TILES, smooth_tiles(20)[12:]):
            gained = 10 * np.log10(error(plain, whole, tiles) / error(own, whole, tiles))
            assert gained > decibels, gained

    def test_biases_take_up_the_mean_error(self) -> None:
        """Of every layer that stands alone, and of the stream behind every segment."""
        whole, formats = strong_network(SMALL), uniform(SMALL, "palette4")
        own = round_network(whole, TILES, formats)
        folded = fold_norms(whole)
        with torch.inference_mode():
            mine, theirs = begin(own, TILES), begin(folded, TILES)
            for segment in segments_of(own):
                pairs = list(zip(seen(own, segment, mine), seen(folded, segment, theirs), strict=True))
                for (_, _, output), (_, _, target) in pairs[:-1]:
                    self.assert_no_mean(output, target, -1)
                mine, theirs = run(own, (segment,), mine), run(folded, (segment,), theirs)
                if segment.kind in ("attention", "mlp", "closing"):
                    self.assert_no_mean(mine.x, theirs.x, -1)

    def test_what_is_left_has_nothing_to_do_with_what_a_layer_takes(self) -> None:
        """Else the layer could take off more of it. Here layers are coarse before, and hardly rounded themselves."""
        whole = strong_network(SMALL)
        coarse = ("conv_first.", "layers.0.residual_group.blocks.0.")
        formats = tuple(
            (name, "palette4" if name.startswith(coarse) and not is_table(name) else "float16")
            for name, _ in mixed_formats(SMALL)
        )
        own, folded, shares = round_network(whole, TILES, formats), fold_norms(whole), dict[Segment, float]()
        with torch.inference_mode():
            mine, theirs = begin(own, TILES), begin(folded, TILES)
            for segment in segments_of(own):
                layer, inputs = writer_of(own, segment), inputs_of(own, segment, mine)
                target = writer_of(folded, segment)(inputs_of(folded, segment, theirs))
                missing = target - layer(inputs)
                here, there = shortcut(segment, mine), shortcut(segment, theirs)
                if here is not None and there is not None:
                    missing = missing + there - here
                if segment.kind in ("attention", "mlp", "closing", "body") and (segment.stage, segment.block) > (0, 0):
                    shares[segment] = explained(layer, inputs, missing)
                mine, theirs = run(own, (segment,), mine), run(folded, (segment,), theirs)
        assert len(shares) == 5
        assert max(shares.values()) < 1e-3, shares

    @staticmethod
    def assert_no_mean(own: Tensor, whole: Tensor, axis: int) -> None:
        difference = (own - whole).double().movedim(axis, 0).flatten(1)
        assert difference.mean(1).abs().max() < 2e-3 * whole.double().square().mean().sqrt()
        assert difference.std() > 5e-3 * whole.double().square().mean().sqrt()

    def test_layers_mend_what_those_before_them_have_done(self) -> None:
        """Only the first stage is coarse: the others, and the shortcuts in them, take off a part of its error."""
        whole = strong_network(SMALL)
        formats = tuple(
            (name, "palette4" if name.startswith("layers.0.") and not is_table(name) else "float16")
            for name, _ in mixed_formats(SMALL)
        )
        own, rival = round_network(whole, TILES, formats), fold_norms(whole)
        weights = {name: value for name, value in own.state_dict().items() if name.startswith("layers.0.")}
        rival.load_state_dict(rival.state_dict() | weights)
        assert 1.5 * error(own, whole) < error(rival, whole)

    def test_weights_that_do_not_fit_are_refused(self) -> None:
        module = strong_network(SMALL)
        module.conv_after_body.bias[3] = 1e6
        with pytest.raises(WeightsError, match=r"The weight conv_after_body\.bias is not finite as float16"):
            round_network(module, TILES[:2], uniform(SMALL, "int8"))


@pytest.mark.slow
def test_the_package_of_a_quantized_network_keeps_its_budget(tmp_path: Path) -> None:
    whole = strong_network(SMALL)
    least, most = (package_bytes_of(SMALL, uniform(SMALL, word), 16) for word in ("palette4", "float16"))
    budget = BitBudget(package_bytes=round(least + 0.3 * (most - least)), tile=16)
    own, formats = quantize_selective(whole, TILES, budget)
    again, same = quantize_selective(whole, TILES, budget)
    assert formats == same
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in own.state_dict().items())
    assert len({word for _, word in formats}) > 1
    assert all(has_choice(name, own.state_dict()[name].shape) for name, _ in formats)
    variant = Variant(
        family="tiny", spec=SMALL, task="lightweight", trained="noise", precision="mixed-bit", formats=formats
    )
    plan = PackagePlan(variant=variant, compute="float16", tile=16, compact_bias=True)
    taken = package_bytes(save_planned(tmp_path, own, plan))
    assert 0.95 * budget.package_bytes < taken <= budget.package_bytes
