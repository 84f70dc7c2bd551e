"""Compact packages: small tables and a few kinds of windows become what every pair of tokens needs, exactly."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sr_core.arch.swinir import SwinIR, relative_position_index, shift_mask
from sr_core.compress.fold import fold_norms
from sr_core.compress.quantize import quantize
from sr_core.coreml.compact import BIASES, MASK, kinds_of_windows, stack_tables
from sr_core.coreml.constants import Codes, Palette, Plain, Storage, folds_query_scale, plan_constants
from sr_core.coreml.export import PackagePlan, rewrite
from sr_core.coreml.interpret import Package
from sr_core.coreml.package import CoreMLCompute, package_bytes
from sr_core.coreml.proof import EXACT_DB
from sr_core.coreml.reference import Rewriting, module_from_constants, weights_deviation
from sr_core.coreml.verify import Tiles, gate_a
from sr_core.errors import PackageError
from sr_core.spec import Precision, SwinIRSpec
from tests.sr_core.compress.networks import formats_for, mixed_formats, tiny_variant
from tests.sr_core.coreml.packages import (
    SPEC,
    change_program,
    find_operation,
    operations_of,
    read_model,
    save_network,
    strong_network,
)

STREAM = 2
ODD = replace(SPEC, heads=((3, 1), (0, 5)), hidden=((40, 0), (40, 33)))
NETWORKS: dict[str, tuple[SwinIRSpec, Precision, CoreMLCompute, int]] = {
    "float32": (SPEC, "float32", "float32", 2),
    "float16": (ODD, "float16", "float16", 3),
    "halves": (SPEC, "float16", "float32-stored-float16", 2),
    "int8": (SPEC, "int8", "float16", 2),
    "int8, some tables too small": (ODD, "int8", "float16", 2),
    "palette6, mixed arithmetic": (ODD, "palette6", "mixed", 2),
    "mixed-bit": (ODD, "mixed-bit", "float16", 2),
    "window 4": (replace(ODD, window=4), "mixed-bit", "float16", 5),
    "window 6, one block": (replace(SPEC, window=6, heads=((5,),), hidden=((40,),)), "mixed-bit", "float16", 2),
    "one window": (SPEC, "mixed-bit", "float16", 1),
    "no shift": (replace(SPEC, heads=((3,), (2,)), hidden=((40,), (40,))), "mixed-bit", "float16", 2),
    "no attention": (replace(SPEC, heads=((0, 0), (0,))), "mixed-bit", "float16", 2),
}

QUICK = ("mixed-bit", "window 4", "int8, some tables too small")


def noise_tiles(side: int) -> Tiles:
    rng = np.random.default_rng(3)
    natural, saturated = rng.integers(0, 256, (1, side, side, 3)), rng.integers(0, 2, (1, side, side, 3)) * 255
    black = np.zeros((1, side, side, 3), np.uint8)
    return Tiles(natural=natural.astype(np.uint8), saturated=saturated.astype(np.uint8), black=black, name="noise")


def rewriting(spec: SwinIRSpec, precision: Precision) -> Rewriting:
    return Rewriting(spec=spec, rescale=STREAM, folds_query_scale=folds_query_scale(precision))


def quantized(spec: SwinIRSpec, precision: Precision) -> SwinIR:
    return quantize(strong_network(spec), precision, formats_for(spec, precision))


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]
)
def test_a_compact_package_is_the_same_network_in_fewer_bytes(name: str, tmp_path: Path) -> None:
    spec, precision, compute, windows = NETWORKS[name]
    module, tile, sizes = quantized(spec, precision), windows * spec.window, list[int]()
    for folder, compact in (("compact", True), ("baked", False)):
        (tmp_path / folder).mkdir()
        path = save_network(
            tmp_path / folder, module, precision, compute, rescale=STREAM, tile=tile, compact_bias=compact
        )
        sizes.append(package_bytes(path))
        package = Package.open(path)
        assert gate_a(package, rewriting(spec, precision), noise_tiles(tile)) == EXACT_DB
        restored = module_from_constants(package, rewriting(spec, precision))
        assert weights_deviation(restored, fold_norms(module)) < 2e-3
        assert all(len(kind.shape) <= 5 for one in package.program.operations for _, kind in one.outputs)
    assert sizes[0] < sizes[1] or not any(map(any, spec.heads))


@pytest.fixture(scope="module")
def network() -> SwinIR:
    return quantized(SPEC, "mixed-bit")


@pytest.fixture(scope="module")
def sound(network: SwinIR, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compact")
    return save_network(folder, network, "mixed-bit", "float16", rescale=STREAM, compact_bias=True)


def test_the_spread_biases_are_those_of_the_network(network: SwinIR, sound: Path) -> None:
    """Looked up once more by the index of each pair of tokens, block by block."""
    seen: dict[str, NDArray[Any]] = {}
    package = Package.open(sound)
    package.run(noise_tiles(16).natural[0], "typed", lambda name, _kind, found: seen.__setitem__(name, found.copy()))
    split = next(one for one in package.program.operations if one.type == "split" and len(one.outputs) == 3)
    tables = [value for name, value in network.state_dict().items() if name.endswith("bias_table")]
    for (name, _), table in zip(split.outputs, tables, strict=True):
        expected = table[relative_position_index(8)].permute(2, 0, 1)[None]
        np.testing.assert_array_equal(seen[name], expected.half().float().numpy())


def test_what_a_compact_package_stores(network: SwinIR) -> None:
    formats = mixed_formats(SPEC)
    plan = PackagePlan(variant=tiny_variant(SPEC, "mixed-bit"), compute="float16", tile=32, compact_bias=True)
    storage = Storage(precision="mixed-bit", compute="float16", formats=formats, compact_bias=True)
    stored = plan_constants(rewrite(network, plan), network, storage)
    tables, mask = stored[BIASES], stored[MASK]
    assert isinstance(tables, Codes)
    assert isinstance(mask, Palette)
    assert (tables.codes.shape, tables.steps.shape, tables.axis) == ((9, 15, 15), (9,), 0)
    assert mask.shape == (4, 1, 64, 64)
    assert not any(name.endswith(f".{BIASES}") for name in stored)
    wide = replace(storage, formats=mixed_formats(SPEC, "float16"))
    assert isinstance(plan_constants(rewrite(network, plan), network, wide)[BIASES], Plain)


def test_the_plan_says_that_it_is_compact_and_an_experiment(sound: Path) -> None:
    metadata = read_model(sound).description.metadata
    assert metadata.userDefined["compact_bias"] == "true"
    assert "Experimental: some devices are known to compute wrongly with palettes." in metadata.shortDescription
    int8 = PackagePlan(variant=tiny_variant(SPEC, "int8"), compute="float16")
    assert not int8.is_experimental
    assert replace(int8, compact_bias=True).is_experimental


def test_equal_settings_stand_in_a_compact_package_once(sound: Path) -> None:
    constants = [one.attributes["val"] for one in operations_of(read_model(sound)) if one.type == "const"]
    values = [
        one.SerializeToString(deterministic=True) for one in constants if one.WhichOneof("value") != "blobFileValue"
    ]
    assert len(values) == len(set(values)) > 20


def test_tables_of_blocks_are_stacked_head_by_head() -> None:
    tables = [torch.arange(49 * heads).view(49, heads) for heads in (2, 1)]
    stacked = stack_tables(tables, window=4)
    assert stacked.shape == (3, 7, 7)
    assert stacked[1, 2, 3] == tables[0][2 * 7 + 3, 1]
    assert stacked[2, 6, 0] == tables[1][6 * 7, 0]


@pytest.mark.parametrize(("tile", "count"), [(8, 1), (16, 4), (24, 4), (64, 4)])
def test_a_tile_has_at_most_four_kinds_of_windows(tile: int, count: int) -> None:
    mask = shift_mask(tile, tile, 8, 4)[:, None].numpy()
    kinds, places = kinds_of_windows(mask)
    assert kinds.shape == (count, 1, 64, 64)
    np.testing.assert_array_equal(kinds[list(places)], mask)


Change = Callable[[Any], None]


def first(operations: Any, kind: str) -> Any:
    return next(one for one in operations if one.type == kind)


def turn(values: list[int]) -> Change:
    """Lets the first transposition with these axes exchange the last two of them."""

    def change(operations: Any) -> None:
        for one in operations:
            if one.type != "transpose":
                continue
            argument = one.inputs["perm"].arguments[0]
            constant = find_operation(operations, argument.name).attributes["val"]
            if list(constant.immediateValue.tensor.ints.values) == values:
                argument.value.CopyFrom(constant)
                order = argument.value.immediateValue.tensor.ints.values
                order[-1], order[-2] = order[-2], order[-1]
                return
        raise AssertionError("no such transposition")

    return change


def shift_begin(operations: Any) -> None:
    """Lets the first row begin a place too early."""
    one = first(operations, "slice_by_index")
    for key in ("begin", "end"):
        argument = one.inputs[key].arguments[0]
        argument.value.CopyFrom(find_operation(operations, argument.name).attributes["val"])
        argument.value.immediateValue.tensor.ints.values[-1] -= 1


def swap_blocks(operations: Any) -> None:
    split = first(operations, "split")
    a, b = split.outputs[0].name, split.outputs[1].name
    exchange = {a: b, b: a}
    for one in operations:
        for argument in (argument for given in one.inputs.values() for argument in given.arguments):
            argument.name = exchange.get(argument.name, argument.name) if argument.name in exchange else argument.name


def wrong_window(operations: Any) -> None:
    """Gives two windows each other's mask."""
    windows = [one for one in operations if one.type == "concat" and len(one.inputs["values"].arguments) == 4]
    parts = windows[0].inputs["values"].arguments
    parts[0].name, parts[3].name = parts[3].name, parts[0].name


GRAPHS: dict[str, Change] = {
    "rows and columns of the differences exchanged": turn([0, 4, 2, 3, 1]),
    "keys and queries exchanged": turn([0, 2, 3, 1]),
    "the first row one place too early": shift_begin,
    "the biases of two blocks exchanged": swap_blocks,
    "two windows with each other's mask": wrong_window,
}


@pytest.mark.parametrize("what", GRAPHS)
def test_gate_a_sees_a_wrong_spread(what: str, sound: Path, tmp_path: Path) -> None:
    package = Package.open(change_program(sound, tmp_path / "Wrong.mlpackage", GRAPHS[what]))
    try:
        found = gate_a(package, rewriting(SPEC, "mixed-bit"), noise_tiles(16))
    except PackageError:
        return  # the shapes no longer fit
    assert found < 100


def test_a_table_with_other_heads_is_refused(sound: Path) -> None:
    fewer = replace(SPEC, heads=((3, 3), (2,)))
    with pytest.raises(PackageError, match="does not fit"):
        module_from_constants(Package.open(sound), rewriting(fewer, "mixed-bit"))
