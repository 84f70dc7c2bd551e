"""The gates: sound packages of every kind pass them, and everything that is wrong in a package is caught."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sr_core.arch.swinir import SwinIR
from sr_core.arch.weights import load_described, sha256_of
from sr_core.compress.fold import fold_norms
from sr_core.compress.quantize import quantize
from sr_core.coreml.blob import open_weights
from sr_core.coreml.constants import folds_query_scale
from sr_core.coreml.interpret import Package
from sr_core.coreml.package import CoreMLCompute, file_hashes, zip_package
from sr_core.coreml.proof import EXACT_DB, Floors, Proof, check, floors_for
from sr_core.coreml.reference import Rewriting, module_from_constants, weights_deviation
from sr_core.coreml.verify import Subject, Tiles, gate_a, gate_b, gate_c, proof_tiles, prove
from sr_core.errors import OptionError, PackageError
from sr_core.spec import Precision, SwinIRSpec
from tests.sr_core.compress.networks import formats_for
from tests.sr_core.coreml.packages import (
    SPEC,
    TILE,
    change_file,
    change_program,
    find_operation,
    operations_of,
    read_model,
    save_network,
    strong_network,
    weights_of,
)

STREAM = 3
"""The exponent of the rescale of the packages here."""


def natural_tiles(count: int = 2, side: int = TILE) -> NDArray[np.uint8]:
    """Smooth colours with some noise on top."""
    rng = np.random.default_rng(5)
    rows, columns = np.indices((side, side))[..., None] / side
    waves = np.sin(
        6.0 * rows * rng.normal(size=3) + 6.0 * columns * rng.normal(size=3) + rng.normal(size=(count, 1, 1, 3))
    )
    return (127 + 100 * waves + rng.normal(size=(count, side, side, 3)) * 8).clip(0, 255).astype(np.uint8)


TILES = Tiles(
    natural=natural_tiles(1),
    saturated=np.random.default_rng(6).integers(0, 2, (1, TILE, TILE, 3), np.uint8) * 255,
    black=np.zeros((1, TILE, TILE, 3), np.uint8),
    name="few",
)


def subject(module: SwinIR, original: SwinIR | None = None, precision: Precision = "float32") -> Subject:
    rewriting = Rewriting(spec=module.spec, rescale=STREAM, folds_query_scale=folds_query_scale(precision))
    return Subject(rewriting=rewriting, own=module, original=original or module)


@pytest.fixture(scope="module")
def network() -> SwinIR:
    return strong_network()


@pytest.fixture(scope="module")
def sound(network: SwinIR, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network(tmp_path_factory.mktemp("sound"), network, rescale=STREAM)


KINDS: dict[str, tuple[Precision, CoreMLCompute, SwinIRSpec]] = {
    "float32": ("float32", "float32", replace(SPEC, scale=3)),
    "halves": ("float16", "float32-stored-float16", replace(SPEC, scale=4, upsampler="pixelshuffle", features=8)),
    "float16": (
        *("float16", "float16"),
        replace(SPEC, scale=4, upsampler="nearest+conv", features=8, resi_connection="3conv"),
    ),
    "mixed": ("float16", "mixed", replace(SPEC, heads=((3, 0), (4,)), hidden=((40, 40), (0,)))),
    "int8": ("int8", "float16", replace(SPEC, heads=((4, 3), (0,)), hidden=((0, 40), (48,)))),
    "palette6": ("palette6", "float16", SPEC),
    "palette4": ("palette4", "float16", SPEC),
    "mixed-bit": ("mixed-bit", "float16", SPEC),
}
COMPRESSED = {
    "halves": "constexpr_cast",
    "int8": "constexpr_affine_dequantize",
    "palette6": "constexpr_lut_to_dense",
    "palette4": "constexpr_lut_to_dense",
}
LENIENT = {"gate_b_natural_db": 15.0, "gate_b_extreme_db": 10.0, "screen_db": 40.0, "max_lsb": 30}
"""Floors for networks of noise, which amplify every rounding; those of the project are for trained ones."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_package_of_each_kind_passes(kind: str, tmp_path: Path) -> None:
    precision, compute, spec = KINDS[kind]
    original = strong_network(spec)
    own = quantize(original, precision, formats_for(spec, precision))
    package = Package.open(save_network(tmp_path, own, precision, compute, rescale=STREAM))
    proof = prove(package, subject(own, original, precision), TILES)
    assert proof.gate_a_db == EXACT_DB
    assert proof.weights_deviation < (1e-6 if precision == "float32" else 1e-3)
    assert proof.operations == package.count_operations()
    assert proof.operations.get(COMPRESSED.get(kind, "none"), 0) >= (4 if kind in COMPRESSED else 0)
    check(proof, replace(floors_for(precision, compute), **LENIENT))
    json.dumps(asdict(proof), allow_nan=False)


def test_a_sparse_package_passes(network: SwinIR, tmp_path: Path) -> None:
    pruned = quantize(network, "float16")
    for name, value in pruned.named_parameters():
        if "mlp" in name and value.ndim == 2:
            value.data[value.abs() < value.abs().median()] = 0.0
    package = Package.open(save_network(tmp_path, pruned, "float16", "float16", rescale=STREAM))
    assert package.count_operations()["constexpr_sparse_to_dense"] == 6
    assert gate_a(package, subject(pruned).rewriting, TILES) == EXACT_DB


def test_the_constants_become_the_original_network_again(network: SwinIR, sound: Path) -> None:
    restored = module_from_constants(Package.open(sound), subject(network).rewriting)
    assert type(restored) is SwinIR
    folded = fold_norms(network).state_dict()
    for name, value in restored.state_dict().items():
        torch.testing.assert_close(value, folded[name].double(), rtol=1e-5, atol=1e-6)
    other = strong_network(seed=1)
    assert weights_deviation(restored, fold_norms(network)) < 1e-6
    assert weights_deviation(restored, fold_norms(other)) > 0.5


Change = Callable[[Any], None]
BLOCK = "layers_0_residual_group_blocks_0"


def nth(operations: Any, kind: str, number: int) -> Any:
    return [operation for operation in operations if operation.type == kind][number]


def set_argument(operation: Any, key: str, name: str) -> None:
    operation.inputs[key].arguments[0].name = name


def swap(kind: str, number: int, key: str, other: str) -> Change:
    def change(operations: Any) -> None:
        inputs = nth(operations, kind, number).inputs
        first, second = inputs[key].arguments[0].name, inputs[other].arguments[0].name
        set_argument(nth(operations, kind, number), key, second)
        set_argument(nth(operations, kind, number), other, first)

    return change


def swap_parts(number: int) -> Change:
    def change(operations: Any) -> None:
        parts = nth(operations, "concat", number).inputs["values"].arguments
        parts[0].name, parts[1].name = parts[1].name, parts[0].name

    return change


def set_constant(kind: str, number: int, key: str, value: str | int) -> Change:
    """Gives an operation a setting of its own, so that no other one that shares the constant changes."""

    def change(operations: Any) -> None:
        operation = nth(operations, kind, number)
        constant = find_operation(operations, operation.inputs[key].arguments[0].name)
        binding = operation.inputs[key].arguments[0]
        binding.value.CopyFrom(constant.attributes["val"])
        tensor = binding.value.immediateValue.tensor
        (tensor.strings if isinstance(value, str) else tensor.ints).values[0] = value

    return change


def set_bias(number: int, name: str) -> Change:
    """Lets the addition of a constant that is named like a bias or the mask add another one."""

    def change(operations: Any) -> None:
        additions = [
            (operation, key)
            for operation in operations
            for key in operation.inputs
            if operation.type == "add" and operation.inputs[key].arguments[0].name.endswith(("position_bias", "mask"))
        ]
        set_argument(*additions[number], name)

    return change


def set_wrong_input(kind: str, number: int, name: str) -> Change:
    return lambda operations: set_argument(nth(operations, kind, number), "x", name)


def skip_norm(operations: Any) -> None:
    """Lets the third norm's reader take what the norm was given."""
    norm = nth(operations, "layer_norm", 2)
    for operation in operations:
        for given in operation.inputs.values():
            for argument in given.arguments:
                if argument.name == norm.outputs[0].name:
                    argument.name = norm.inputs["x"].arguments[0].name


GRAPHS: dict[str, Change] = {
    "the parts of one roll in the wrong order": swap_parts(0),
    "the parts of the roll back in the wrong order": swap_parts(3),
    "swapped queries and keys": swap("matmul", 0, "x", "y"),
    "swapped queries and keys in the last block": swap("matmul", -2, "x", "y"),
    "another formula for one GELU": set_constant("gelu", 1, "mode", "TANH_APPROXIMATION"),
    "softmax over the other axis": set_constant("softmax", 1, "axis", -2),
    "the position bias of another block": set_bias(0, "layers_1_residual_group_blocks_0_attn_position_bias"),
    "no mask": set_bias(2, "layers_0_residual_group_blocks_1_attn_position_bias"),
    "one norm left out": skip_norm,
    "rows of a window for its columns": lambda operations: (
        nth(operations, "transpose", 0).inputs["perm"].arguments[0].value.CopyFrom(turned(operations))
    ),
}


def turned(operations: Any) -> Any:
    """Returns the order of axes of the first window partition with rows and columns of a window exchanged."""
    name = nth(operations, "transpose", 0).inputs["perm"].arguments[0].name
    value = type(find_operation(operations, name).attributes["val"])()
    value.CopyFrom(find_operation(operations, name).attributes["val"])
    order = value.immediateValue.tensor.ints.values
    order[-1], order[-2] = order[-2], order[-1]
    return value


@pytest.mark.parametrize("what", GRAPHS)
def test_a_graph_that_is_wrong_is_caught(what: str, network: SwinIR, sound: Path, tmp_path: Path) -> None:
    package = Package.open(change_program(sound, tmp_path / "Wrong.mlpackage", GRAPHS[what]))
    found = gate_a(package, subject(network).rewriting, TILES)
    assert found < floors_for("float32", "float32").gate_a_db


class WrongOnBlack(Package):
    """A package that is a tenth of white too bright on black tiles, and right on all others."""

    def run(self, image: NDArray[Any], mode: Any = "typed", on_output: Any = None) -> NDArray[Any]:
        return super().run(image, mode, on_output) + (25.5 if image.max() == 0 else 0.0)


def test_gate_a_judges_by_the_worst_tile(network: SwinIR, sound: Path) -> None:
    assert gate_a(WrongOnBlack.open(sound), subject(network).rewriting, TILES) == pytest.approx(20.0, abs=0.01)


CONSTANTS: dict[str, tuple[Callable[[NDArray[Any]], None], str, str]] = {
    "a mask that does too little": (
        lambda mask: mask.__setitem__(slice(-4096, None), 0.0),
        "mask",
        "constant mask",
    ),
    "a mask that does too much": (lambda mask: mask.__setitem__(1, -100.0), "mask", "constant mask"),
    "a bias of one pair of tokens": (
        lambda bias: bias.__setitem__(1, bias[1] + 1e-3),
        f"{BLOCK}_attn_position_bias",
        "differs between tokens",
    ),
}


def with_constant(package: Path, copy: Path, name: str, change: Callable[[NDArray[Any]], None]) -> Path:
    """Returns a copy of a package in which the values of a constant were changed, in a weight file that stays sound."""
    shutil.copytree(package, copy)
    value = find_operation(operations_of(read_model(package)), name).attributes["val"]
    data = bytearray(weights_of(package).read_bytes())
    blob = open_weights(weights_of(package)).blobs[value.blobFileValue.offset]
    change(np.frombuffer(data, blob.dtype, blob.count, blob.start))
    weights_of(copy).write_bytes(data)
    return copy


@pytest.mark.parametrize("what", CONSTANTS)
def test_a_baked_constant_that_is_wrong_is_caught(what: str, network: SwinIR, sound: Path, tmp_path: Path) -> None:
    change, name, sentence = CONSTANTS[what]
    package = Package.open(with_constant(sound, tmp_path / "Wrong.mlpackage", name, change))
    with pytest.raises(PackageError, match=sentence):
        gate_a(package, subject(network).rewriting, TILES)


def test_weights_of_another_network_are_caught(network: SwinIR, sound: Path) -> None:
    other = strong_network(seed=1)
    proof = prove(Package.open(sound), subject(other), TILES)
    assert proof.gate_a_db == EXACT_DB  # the graph is right
    assert proof.gate_b_natural_db < 30
    assert proof.weights_deviation > 0.5


def test_a_truncated_weight_file_is_caught(sound: Path, tmp_path: Path) -> None:
    weights = weights_of(sound).relative_to(sound)
    data = (sound / weights).read_bytes()
    for length in (len(data) - 1, len(data) // 2, 70, 0):
        with pytest.raises(PackageError, match="cut short"):
            Package.open(change_file(sound, tmp_path / "Cut.mlpackage", weights, data[:length]))


def test_silent_damage_is_caught_by_its_sha256(network: SwinIR, sound: Path, tmp_path: Path) -> None:
    zip_package(sound, tmp_path / "sound.zip")
    sha256, hashes = sha256_of(tmp_path / "sound.zip"), file_hashes(sound)
    gate_c(tmp_path / "sound.zip", sha256, hashes)

    def damage(weight: NDArray[Any]) -> None:
        weight[3] += 1e-4

    damaged = with_constant(sound, tmp_path / sound.name, "conv_first_weight", damage)
    found = prove(Package.open(damaged), subject(network), TILES)
    assert found.gate_a_db == EXACT_DB
    assert found.gate_b_natural_db > 60  # what runs it sees nothing
    zip_package(damaged, tmp_path / "damaged.zip")
    with pytest.raises(PackageError, match="its sha256 differs"):
        gate_c(tmp_path / "damaged.zip", sha256, hashes)
    with pytest.raises(PackageError, match=r"weight\.bin differs"):
        gate_c(tmp_path / "damaged.zip", sha256_of(tmp_path / "damaged.zip"), hashes)
    with pytest.raises(PackageError, match="more differs"):
        gate_c(tmp_path / "sound.zip", sha256, hashes | {"more": sha256})
    with pytest.raises(PackageError, match="missing"):
        gate_c(tmp_path / "none.zip", sha256, hashes)


def test_large_damage_is_caught_by_the_weights_themselves(network: SwinIR, sound: Path, tmp_path: Path) -> None:
    def damage(weight: NDArray[Any]) -> None:
        weight[3] += 0.05 * np.abs(weight).max()

    damaged = with_constant(sound, tmp_path / sound.name, "conv_first_weight", damage)
    proof = prove(Package.open(damaged), subject(network), TILES)
    assert proof.weights_deviation == pytest.approx(0.05, rel=0.1)
    with pytest.raises(PackageError, match="a weight in it differs"):
        check(proof, Floors(gate_b_natural_db=0.0, gate_b_extreme_db=0.0, screen_db=0.0, max_lsb=255))


def test_a_package_that_declares_another_shape_or_type_is_never_proven(
    network: SwinIR, sound: Path, tmp_path: Path
) -> None:
    def shape(operations: Any) -> None:
        nth(operations, "gelu", 0).outputs[0].type.tensorType.dimensions[1].constant.size += 1

    def dtype(operations: Any) -> None:
        nth(operations, "softmax", 0).outputs[0].type.tensorType.dataType = 10

    for name, change in (("shape", shape), ("type", dtype)):
        package = Package.open(change_program(sound, tmp_path / f"{name}.mlpackage", change))
        with pytest.raises(PackageError, match="is declared to give"):
            prove(package, subject(network), TILES)


def drop(name: str) -> Change:
    def change(operations: Any) -> None:
        operation = find_operation(operations, name)
        operation.outputs[0].name = "renamed"
        for other in operations:
            for argument in (one for given in other.inputs.values() for one in given.arguments):
                argument.name = "renamed" if argument.name == name else argument.name

    return change


def test_a_constant_that_is_missing_or_unknown_is_refused(network: SwinIR, sound: Path, tmp_path: Path) -> None:
    package = Package.open(change_program(sound, tmp_path / "A.mlpackage", drop("conv_first_weight")))
    with pytest.raises(PackageError, match="no constant conv_first_weight"):
        gate_a(package, subject(network).rewriting, TILES)
    smaller = replace(subject(network).rewriting, spec=replace(SPEC, heads=((3, 3), (0,))))
    with pytest.raises(PackageError, match="that its network does not have"):
        gate_a(Package.open(sound), smaller, TILES)
    wider = replace(subject(network).rewriting, spec=replace(SPEC, hidden=((40, 40), (20,))))
    with pytest.raises(PackageError, match="which does not fit"):
        gate_a(Package.open(sound), wider, TILES)


class Fake:
    """A package of which is known what it gives: the network's own picture, and an error for each class of tiles."""

    def __init__(self, module: SwinIR, errors: Mapping[str, float], hidden: float = 0.0) -> None:
        self.module, self.errors, self.hidden = module, errors, hidden

    def run(self, tile: NDArray[np.uint8], mode: str, on_output: Any) -> NDArray[np.float64]:
        kind = "black" if tile.max() == 0 else "saturated" if set(np.unique(tile)) == {0, 255} else "natural"
        on_output("x", "add", np.array([self.hidden]))
        with torch.inference_mode():
            picture = self.module(torch.from_numpy(tile).permute(2, 0, 1)[None] / 255.0)[0].clamp(0, 1)
        return (picture.permute(1, 2, 0).double().numpy() + self.errors[kind]) * 255


def test_gate_b_gives_the_error_of_each_class(network: SwinIR) -> None:
    fake: Any = Fake(network, {"natural": 1e-3, "saturated": 1e-2, "black": 0.0})
    found = gate_b(fake, subject(network), TILES)
    assert found.natural_db == pytest.approx(60.0, abs=0.01)
    assert found.saturated_db == pytest.approx(40.0, abs=0.01)
    assert found.black_db == EXACT_DB
    assert found.max_lsb == 3  # a hundredth is 2.55 steps
    assert found.screen_db is not None
    assert 40 < found.screen_db < 50
    assert found.is_finite


def test_an_exact_package_has_no_screen_error(network: SwinIR) -> None:
    fake: Any = Fake(network, {"natural": 0.0, "saturated": 0.0, "black": 0.0})
    found = gate_b(fake, subject(network), TILES)
    assert (found.natural_db, found.saturated_db, found.screen_db, found.max_lsb) == (EXACT_DB, EXACT_DB, None, 0)


def test_what_is_not_finite_is_noted_wherever_it_stands(network: SwinIR) -> None:
    errors = {"natural": 0.0, "saturated": 0.0, "black": 0.0}
    inside: Any = Fake(network, errors, hidden=float("inf"))
    assert not gate_b(inside, subject(network), TILES).is_finite
    outside: Any = Fake(network, errors | {"natural": float("nan")}, hidden=float("nan"))
    found = gate_b(outside, subject(network), TILES)
    assert (found.natural_db, found.is_finite) == (0.0, False)


GOOD = Proof(
    gate_a_db=200.0,
    gate_b_natural_db=74.0,
    gate_b_saturated_db=70.0,
    gate_b_black_db=200.0,
    screen_db=None,
    max_lsb=0,
    weights_deviation=1e-4,
    is_finite=True,
    operations={"conv": 1},
    tiles="few",
)


@pytest.mark.parametrize(
    ("worse", "sentence"),
    [
        ({"gate_a_db": 149.9}, "gate A found 149.9 dB, but at least 150 dB"),
        ({"gate_a_db": float("nan")}, "gate A"),
        ({"gate_b_natural_db": 59.9}, "gate B on natural"),
        ({"gate_b_saturated_db": 59.9}, "gate B on saturated"),
        ({"gate_b_black_db": 59.9}, "gate B on black"),
        ({"screen_db": 49.9}, "comparison on screen"),
        ({"max_lsb": 5}, "off by 5 steps"),
        ({"weights_deviation": 0.011}, "a weight in it differs"),
        ({"is_finite": False}, "not finite"),
    ],
)
def test_a_package_below_a_floor_is_refused(worse: dict[str, Any], sentence: str) -> None:
    floors = floors_for("float16", "float16")
    check(GOOD, floors)
    with pytest.raises(PackageError, match=sentence):
        check(replace(GOOD, **worse), floors)


def test_every_kind_of_package_has_floors_and_none_is_below_what_was_asked() -> None:
    asked = {"float32": 100.0, "float16": 60.0, "int8": 45.0, "palette6": 35.0, "palette4": 25.0, "mixed-bit": 45.0}
    assert asked.keys() == set(get_args(Precision))
    for precision, natural in asked.items():
        floors = floors_for(precision, "float32" if precision == "float32" else "float16")
        assert floors.gate_a_db >= 90
        assert floors.gate_b_natural_db >= natural
    assert floors_for("float16", "float32-stored-float16").gate_b_natural_db >= 70


def test_proof_tiles_hold_the_extremes() -> None:
    tiles = proof_tiles(natural_tiles(3), "waves")
    again = proof_tiles(natural_tiles(3), "waves")
    for group, same in zip(tiles.classes, again.classes, strict=True):
        np.testing.assert_array_equal(group, same)
    assert tiles.natural.shape == (3, TILE, TILE, 3)
    assert set(np.unique(tiles.saturated)) == {0, 255}
    colours = {tuple(colour) for colour in tiles.saturated.reshape(-1, 3).tolist()}
    assert len(colours) == 8
    assert tiles.saturated[0].min() == 255
    assert tiles.black[0].max() == 0
    assert tiles.black.max() == 1
    assert len({tile.tobytes() for group in tiles.classes for tile in group}) == 3 + len(tiles.saturated) + 2
    assert "3 natural (waves)" in tiles.name


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (1, 8, 9, 3), (1, 8, 8, 4), (8, 8, 3)])
def test_tiles_of_another_kind_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match="Square tiles"):
        proof_tiles(np.zeros(shape, np.uint8), "none")
    with pytest.raises(OptionError, match="8 bits"):
        proof_tiles(np.zeros((1, 8, 8, 3), np.float32), "none")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_packages_of_the_shipped_network_reach_the_projects_floors(precision: Precision, tmp_path: Path) -> None:
    path = Path(__file__).parents[3] / "zoo" / "builtin" / "swinir-light-x2-photos39-float16.safetensors"
    original = load_described(path)[1].requires_grad_(False)
    own = quantize(original, precision)
    package = Package.open(save_network(tmp_path, own, precision, "float16", tile=64))
    tiles = proof_tiles(natural_tiles(1, 64), "waves")
    some = replace(tiles, saturated=tiles.saturated[1:2], black=tiles.black[:1])
    rewriting = Rewriting(spec=own.spec, rescale=0, folds_query_scale=folds_query_scale(precision))
    proof = prove(package, Subject(rewriting=rewriting, own=own, original=original), some)
    assert proof.gate_a_db == EXACT_DB
    check(proof, floors_for(precision, "float16"))
