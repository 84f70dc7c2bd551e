"""Packages of small networks in every precision: what is in them, that they repeat, and what is refused."""

import importlib.util
import json
import logging
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sr_core.arch.storage import encode
from sr_core.arch.swinir import SwinIR, relative_position_index
from sr_core.compress.quantize import quantize
from sr_core.coreml import converter, export
from sr_core.coreml.constants import Codes, Plain, Sparse, Storage, Stored, plan_constants
from sr_core.coreml.export import ExportedPackage, PackagePlan, PackageText, export_package, rewrite
from sr_core.coreml.interpret import Package
from sr_core.coreml.network import load_constants
from sr_core.coreml.package import CoreMLCompute, file_hashes, package_bytes, zip_package
from sr_core.coreml.program import Operation, Program, read_program
from sr_core.errors import OptionError, WeightsError
from sr_core.spec import Precision, SwinIRSpec, Variant, swinir_spec
from tests.sr_core.compress.networks import SPECS, random_network

ROOT = Path(__file__).parents[3]
SPEC = SwinIRSpec(scale=2, embed_dim=24, head_dim=6, heads=((4, 3),), hidden=((24, 30),))
TEXT = PackageText(author="The authors", license="Apache-2.0", version="1.2.3", overlap=16, margin=8)
COMBINATIONS: list[tuple[Precision, CoreMLCompute, int]] = [
    ("float32", "float32", 0),
    ("float32", "float32-stored-float16", 0),
    ("float16", "float16", 3),
    ("int8", "float16", 2),
    ("int8", "float32-stored-float16", 0),
    ("palette6", "float16", 1),
    ("palette4", "mixed", 0),
]
IN_BLOCKS = 4 + 3  # the second projection is too small to be worth a grid
ON_GRID = IN_BLOCKS + 2  # with the two convolutions after blocks
LARGE = ON_GRID + 2  # with the first and the last convolution
TABLES = 2


def variant(precision: Precision, spec: SwinIRSpec = SPEC) -> Variant:
    return Variant(family="tiny", spec=spec, task="lightweight", trained="test", precision=precision)


def plan(precision: Precision, compute: CoreMLCompute, rescale: int = 0, tile: int = 16) -> PackagePlan:
    return PackagePlan(variant=variant(precision), compute=compute, tile=tile, rescale=rescale)


@cache
def network(precision: Precision) -> SwinIR:
    return quantize(random_network(SPEC), precision)


@pytest.fixture(scope="module", params=COMBINATIONS, ids=lambda combination: "-".join(map(str, combination)))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ExportedPackage:
    precision, compute, rescale = request.param
    folder = tmp_path_factory.mktemp("export")
    return export_package(network(precision), plan(precision, compute, rescale), TEXT, folder)


@pytest.fixture(scope="module")
def program(exported: ExportedPackage) -> Program:
    return read_program(exported.path)


def find(program: Program, name: str) -> Operation:
    return next(operation for operation in program.operations if operation.name == name)


def part(operation: Operation, key: str) -> np.ndarray:
    (value,) = operation.inputs[key]
    assert not isinstance(value, str)
    return np.asarray(value.value)


def model_of(package: Path) -> Any:
    """The protobuf message of a package."""
    model = import_module("coremltools.proto.Model_pb2").Model()
    model.ParseFromString((package / "Data/com.apple.CoreML/model.mlmodel").read_bytes())
    return model


def test_a_package_computes_what_the_network_computes(exported: ExportedPackage) -> None:
    """With its own constants and ideal arithmetic exactly; as typed nearly."""
    package = Package.open(exported.path)
    picture = np.random.default_rng(6).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    tile = torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]
    rewritten = rewrite(network(exported.plan.variant.precision), exported.plan)
    with torch.inference_mode():
        intended = rewritten(tile)[0].permute(1, 2, 0).numpy()
        load_constants(rewritten, package.constants())
        held = rewritten(tile)[0].permute(1, 2, 0).numpy()
    assert np.std(intended) > 20
    assert np.abs(package.run(picture, "ideal") - held).max() < 0.005
    tolerance = 0.01 if exported.plan.compute == "float32" else 2
    assert np.abs(package.run(picture, "typed") - intended).max() < tolerance


def test_the_program_is_made_of_known_operations(exported: ExportedPackage, program: Program) -> None:
    counts: dict[str, int] = {}
    for operation in program.operations:
        counts[operation.type] = counts.get(operation.type, 0) + 1
        assert all(len(declared.shape) <= 5 for _, declared in operation.outputs)
    assert counts == exported.operations
    rescaled, apart = exported.plan.rescale > 0, exported.plan.variant.precision.startswith("palette")
    expected = {"conv": 2 * 4 + 4, "layer_norm": 2 * 2 + 2, "matmul": 4, "softmax": 2, "gelu": 2, "transpose": 4}
    expected |= {"reshape": 8, "slice_by_index": 8, "concat": 4, "split": 2, "pixel_shuffle": 1, "clip": 1, "sub": 1}
    expected |= {"add": 4 + 2 + 1 + 1 + 1 + 2, "mul": 4 + 4 * rescaled + 2 * apart}
    casts = {"float16": 2, "mixed": 2 + 2 * 8}.get(exported.plan.compute, 0)
    expected |= {"cast": casts} if casts else {}
    assert {kind: n for kind, n in counts.items() if not kind.startswith("constexpr_")} == expected


def test_every_large_constant_is_stored_as_planned(exported: ExportedPackage) -> None:
    compressed = {k: n for k, n in exported.operations.items() if k.startswith("constexpr_")}
    match exported.plan.variant.precision, exported.plan.compute:
        case "int8", _:
            expected = {"constexpr_affine_dequantize": ON_GRID + TABLES, "constexpr_lut_to_dense": 1}
            expected |= {"constexpr_cast": 2} if exported.plan.compute == "float32-stored-float16" else {}
        case "palette6" | "palette4", _:
            expected = {"constexpr_affine_dequantize": TABLES, "constexpr_lut_to_dense": ON_GRID + 1}
        case _, "float32-stored-float16":
            expected = {"constexpr_cast": LARGE + TABLES + 1}
        case _:
            expected = {}
    assert compressed == expected


def signed_codes(operation: Operation) -> NDArray[np.int16]:
    """Stored unsigned, because signed codes are reported to go wrong on devices."""
    codes, zeros = part(operation, "quantized_data"), part(operation, "zero_point")
    assert codes.dtype == zeros.dtype == np.uint8
    assert (zeros == 128).all()
    return codes.astype(np.int16) - 128


def test_the_codes_are_those_of_the_weight_file(exported: ExportedPackage, program: Program) -> None:
    """Codes, steps and palettes, one for one; only the steps of queries carry their scale."""
    precision = exported.plan.variant.precision
    half = exported.plan.compute in ("float16", "mixed")
    number = np.float16 if half else np.float32
    checked = 0
    for key, stored in encode(network(precision).state_dict(), precision).items():
        name, _, kind = key.rpartition(".")
        label = name.replace(".", "_")
        if kind == "codes" and name.endswith("relative_position_bias_table"):
            operation = find(program, label.replace("relative_position_bias_table", "position_bias"))
            index = relative_position_index(SPEC.window)
            np.testing.assert_array_equal(signed_codes(operation)[0], stored[index].permute(2, 0, 1).numpy())
            assert part(operation, "axis") == 1
        elif kind == "codes":
            codes = signed_codes(find(program, label))
            np.testing.assert_array_equal(codes.reshape(stored.shape), stored.numpy())
            assert part(find(program, label), "axis") == 0
        elif kind == "steps":
            label = label.replace("relative_position_bias_table", "position_bias")
            steps, scale = stored.float().numpy(), part(find(program, label), "scale")
            if name.endswith("qkv.weight"):
                steps[: len(steps) // 3] *= np.float32(SPEC.head_dim**-0.5)
            np.testing.assert_array_equal(scale, steps.astype(number))
            assert scale.dtype == number
        elif kind == "indices":
            np.testing.assert_array_equal(part(find(program, label), "indices"), stored.numpy())
        elif kind == "palette":
            np.testing.assert_array_equal(part(find(program, label), "lut"), stored.numpy().astype(number))
        else:
            continue
        checked += 1
    assert checked == (2 * (ON_GRID + TABLES) if precision in ("int8", "palette6", "palette4") else 0)


def test_numbers_have_the_type_that_was_asked_for(exported: ExportedPackage, program: Program) -> None:
    wide = exported.plan.compute in ("float32", "float32-stored-float16")
    kinds = {"conv": "float32" if wide else "float16", "add": "float32" if wide else "float16"}
    sums = "float16" if exported.plan.compute == "float16" else "float32"
    kinds |= {"layer_norm": sums, "softmax": sums}
    for operation in program.operations:
        if operation.type in kinds:
            assert operation.outputs[0][1].dtype == kinds[operation.type]


def test_the_mask_takes_a_bit_for_each_value(exported: ExportedPackage, program: Program) -> None:
    if exported.plan.variant.precision in ("float32", "float16"):
        assert "mask" in Package.open(exported.path).constants()
        return
    operation = find(program, "mask")
    assert part(operation, "lut").tolist() == [-100, 0]
    assert part(operation, "indices").size == 4 * 64 * 64 // 8


def test_a_package_says_what_it_is(exported: ExportedPackage) -> None:
    tools = import_module("coremltools")
    model = tools.models.MLModel(str(exported.path), skip_model_load=True)
    precision, compute = exported.plan.variant.precision, exported.plan.compute
    assert (model.author, model.license, model.version) == ("The authors", "Apache-2.0", "1.2.3")
    is_experimental = precision.startswith("palette") or compute == "float32-stored-float16"
    assert ("Experimental" in model.short_description) == exported.plan.is_experimental == is_experimental
    assert exported.plan.variant.id in model.short_description
    said = dict(model.user_defined_metadata)
    assert said.pop("com.github.apple.coremltools.version") == tools.__version__
    assert re.fullmatch(r".*at least 8 mirrored.*16 x 16.*at least 16.*", said.pop("tiling"))
    numbers = {"scale": "2", "tile": "16", "overlap": "16", "margin": "8", "rescale": str(exported.plan.rescale)}
    assert said == {"variant": exported.plan.variant.id, "precision": precision, "compute": compute, **numbers}
    assert all(model.input_description[name] for name in ("image",))
    assert all(model.output_description[name] for name in ("upscaled",))


def test_a_picture_goes_in_and_a_picture_comes_out(exported: ExportedPackage) -> None:
    model = model_of(exported.path)
    (image,), (upscaled,) = model.description.input, model.description.output
    for feature, name, side in ((image, "image", 16), (upscaled, "upscaled", 32)):
        picture = feature.type.imageType
        assert feature.name == name
        assert (picture.width, picture.height, picture.WhichOneof("SizeFlexibility")) == (side, side, None)
        assert picture.colorSpace == picture.ColorSpace.Value("RGB")
    assert (exported.input_side, exported.output_side) == (16, 32)
    assert model.specificationVersion == exported.specification_version == 7
    assert (exported.min_ios, exported.compute_units) == ("16.0", "all")


def test_coremltools_agrees_with_every_type(exported: ExportedPackage) -> None:
    """Its own reader infers the types of all operations again and refuses what does not fit."""
    load = import_module("coremltools.converters.mil.frontend.milproto.load").load
    folder = exported.path / "Data/com.apple.CoreML/weights"
    program = load(model_of(exported.path), exported.specification_version, str(folder))
    assert list(program.functions["main"].inputs) == ["image"]


def test_nothing_of_this_machine_is_in_a_package(exported: ExportedPackage) -> None:
    assert exported.path.name == f"{exported.plan.name}.mlpackage"
    assert {path.stat().st_mode & 0o777 for path in exported.path.rglob("*") if path.is_file()} == {0o644}
    assert {path.stat().st_mode & 0o777 for path in (exported.path, exported.path / "Data")} == {0o755}
    for name in ("Manifest.json", "Data/com.apple.CoreML/model.mlmodel"):
        data = (exported.path / name).read_bytes()
        assert not re.search(rb"conversion_date|/home|/tmp|/usr|\.py\b", data)
        assert str(ROOT).encode() not in data
    sorted_form = model_of(exported.path).SerializeToString(deterministic=True)
    assert sorted_form == (exported.path / "Data/com.apple.CoreML/model.mlmodel").read_bytes()
    manifest = json.loads((exported.path / "Manifest.json").read_bytes())
    paths = {item["path"] for item in manifest["itemInfoEntries"].values()}
    assert paths == {"com.apple.CoreML/model.mlmodel", "com.apple.CoreML/weights"}
    root = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]
    assert root["path"] == "com.apple.CoreML/model.mlmodel"


class TestRepeating:
    """The same network and plan give the same bytes."""

    def test_two_exports_give_one_zip(self, tmp_path: Path) -> None:
        zips: list[bytes] = []
        counters = import_module("coremltools.converters.mil.mil").Builder.name_count
        for _ in range(2):
            package = export_package(network("int8"), plan("int8", "float16"), TEXT, tmp_path).path
            zip_package(package, tmp_path / "a.zip")
            zips.append((tmp_path / "a.zip").read_bytes())
            counters["clip"] += 7  # as a conversion that failed would leave it
        counters.clear()
        assert zips[0] == zips[1]
        assert sorted(path.name for path in tmp_path.iterdir()) == [package.name, "a.zip"]

    def test_identifiers_are_made_from_the_content(self) -> None:
        def identifiers(model: bytes, weights: bytes) -> dict[str, str]:
            manifest = json.loads(export._manifest({"model": model, "weights": weights}))
            return {item["name"]: key for key, item in manifest["itemInfoEntries"].items()}

        first, second, third = identifiers(b"1", b"1"), identifiers(b"2", b"1"), identifiers(b"1", b"2")
        assert first == identifiers(b"1", b"1")
        assert len({first["weights"], third["weights"], first["model.mlmodel"], second["model.mlmodel"]}) == 4
        assert (second["weights"], third["model.mlmodel"]) == (first["weights"], first["model.mlmodel"])

    @pytest.mark.slow
    def test_another_process_gives_the_same_bytes(self, tmp_path: Path) -> None:
        script = (
            "import sys; from pathlib import Path\n"
            "from sr_core.coreml.export import export_package\n"
            "from tests.sr_core.coreml.test_export import TEXT, network, plan\n"
            "export_package(network('int8'), plan('int8', 'float16'), TEXT, Path(sys.argv[1]))\n"
        )
        here = export_package(network("int8"), plan("int8", "float16"), TEXT, tmp_path).path
        for seed in ("1", "2"):
            folder = tmp_path / seed
            folder.mkdir()
            environment = {**os.environ, "PYTHONHASHSEED": seed}
            command = [sys.executable, "-W", "error", "-c", script, folder]
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
            assert file_hashes(folder / here.name) == file_hashes(here)
            assert done.stdout == done.stderr == ""


class TestRefusing:
    """What cannot become a package is refused in one sentence."""

    def test_weights_that_are_not_on_the_grid(self, tmp_path: Path) -> None:
        for precision in ("int8", "palette4"):
            with pytest.raises(WeightsError, match="quantize"):
                export_package(network("float32"), plan(precision, "float16"), TEXT, tmp_path)
        assert not list(tmp_path.iterdir())

    def test_a_network_of_another_spec(self, tmp_path: Path) -> None:
        other = random_network(SPECS["pruned"])
        with pytest.raises(WeightsError, match="tiny-x2-test-float32"):
            export_package(other, plan("float32", "float32"), TEXT, tmp_path)

    def test_pictures_that_are_not_rgb(self, tmp_path: Path) -> None:
        spec = SPECS["nearest x2, one channel"]
        grey = PackagePlan(variant=variant("float32", spec), compute="float32", tile=16)
        with pytest.raises(OptionError, match="1 channels"):
            export_package(random_network(spec), grey, TEXT, tmp_path)

    def test_a_tile_that_is_no_multiple_of_the_window(self, tmp_path: Path) -> None:
        with pytest.raises(OptionError, match="multiple of the window of 8 pixels, not 20"):
            export_package(network("float32"), plan("float32", "float32", tile=20), TEXT, tmp_path)

    @pytest.mark.parametrize("compute", ["float16", "mixed", "float32-stored-float16"])
    def test_a_weight_beyond_float16(self, compute: CoreMLCompute, tmp_path: Path) -> None:
        module = random_network(SPEC)
        with torch.no_grad():
            module.conv_after_body.weight[0, 0, 0, 0] = 70000.0
        with pytest.raises(OptionError, match=r"conv_after_body\.weight does not fit into float16"):
            export_package(module, plan("float32", compute), TEXT, tmp_path)

    def test_a_machine_without_the_tools(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(OptionError, match=r"coremltools.*requirements-workshop\.txt"):
            export_package(network("float32"), plan("float32", "float32"), TEXT, tmp_path)

    @pytest.mark.parametrize("version", ["2.4.0", "2.10.1", "3.0.0rc1"])
    def test_a_numpy_that_is_too_new(self, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(np, "__version__", version)
        with pytest.raises(OptionError, match=rf"numpy below 2\.4, not {re.escape(version)}\. .*workshop"):
            export_package(network("float32"), plan("float32", "float32"), TEXT, tmp_path)


class TestChecking:
    """A conversion that silently did something else is found out."""

    @staticmethod
    def count(package: Path, stored: Mapping[str, Stored]) -> dict[str, int]:
        return converter._count_operations(converter._block(model_of(package)), stored)

    def test_what_a_program_must_not_have(self, exported: ExportedPackage, monkeypatch: pytest.MonkeyPatch) -> None:
        module, precision = network(exported.plan.variant.precision), exported.plan.variant.precision
        storage = Storage(precision=precision, compute=exported.plan.compute)
        stored = plan_constants(rewrite(module, exported.plan), module, storage)
        assert self.count(exported.path, stored) == exported.operations
        monkeypatch.setattr(converter, "EXPECTED", converter.EXPECTED - {"gelu"})
        with pytest.raises(RuntimeError, match=r"unexpected operations \['gelu'\]"):
            self.count(exported.path, stored)
        monkeypatch.undo()
        monkeypatch.setattr(converter, "MAX_RANK", 4)
        with pytest.raises(RuntimeError, match="more than 4 axes"):
            self.count(exported.path, stored)
        monkeypatch.undo()
        weight = stored["conv_after_body.weight"]
        other = Plain(values=np.zeros(1, np.float32)) if not isinstance(weight, Plain) else Sparse(values=weight.values)
        with pytest.raises(RuntimeError, match="compressed constants"):
            self.count(exported.path, {**stored, "conv_after_body.weight": other})

    def test_a_constant_that_got_lost(self) -> None:
        rewritten = rewrite(network("float32"), plan("float32", "float32"))
        stored = plan_constants(rewritten, network("float32"), Storage(precision="float32", compute="float32"))
        extra = {"conv_second.weight": Plain(values=np.zeros(4, np.float32))}
        with pytest.raises(RuntimeError, match="conv_second"):
            converter.convert(rewritten, {**stored, **extra}, "float32")

    def test_a_constant_of_another_shape(self) -> None:
        rewritten = rewrite(network("int8"), plan("int8", "float32"))
        stored = plan_constants(rewritten, network("int8"), Storage(precision="int8", compute="float32"))
        codes = stored["conv_after_body.weight"]
        assert isinstance(codes, Codes)
        bent = replace(codes, codes=codes.codes.reshape(24, 24, 9, 1))
        with pytest.raises(RuntimeError, match=r"changed conv_after_body\.weight"):
            converter.convert(rewritten, {**stored, "conv_after_body.weight": bent}, "float32")


@pytest.mark.parametrize("name", ["nearest x4, 3conv", "pixelshuffle x3, narrow", "no branches"])
def test_every_kind_of_network_becomes_a_package(name: str, tmp_path: Path) -> None:
    spec = SPECS[name]
    module = random_network(spec)
    a_plan = PackagePlan(variant=variant("float32", spec), compute="float32", tile=2 * spec.window, rescale=2)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    package = Package.open(export_package(module, a_plan, TEXT, tmp_path).path)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    picture = np.random.default_rng(2).integers(0, 256, (a_plan.tile, a_plan.tile, 3)).astype(np.uint8)
    with torch.inference_mode():
        result = module(torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None])
    expected = result[0].permute(1, 2, 0).clamp(0, 1).numpy() * 255
    assert np.abs(package.run(picture) - expected).max() < 0.02


def test_weights_with_many_zeros_are_stored_without_them(tmp_path: Path) -> None:
    module = quantize(random_network(SPEC), "float16")
    with torch.no_grad():
        for weight in (value for name, value in module.named_parameters() if "fc" in name and value.ndim == 2):
            weight[torch.rand(weight.shape, generator=torch.Generator().manual_seed(1)) < 0.6] = 0.0
    pruned = export_package(module, plan("float16", "float16"), TEXT, tmp_path)
    assert pruned.operations["constexpr_sparse_to_dense"] == 4
    rewritten = rewrite(module, pruned.plan)
    constants = Package.open(pruned.path).constants()
    for name in ("layers.0.residual_group.blocks.0.mlp.fc1.weight", "layers.0.residual_group.blocks.1.mlp.fc2.weight"):
        held = constants[name.replace(".", "_")]
        np.testing.assert_array_equal(held, rewritten.get_buffer(name).half().float().numpy())
        assert 0.5 < np.mean(held == 0) < 0.7


def pins(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.\[\]-]+)==([\w.]+)$", text, re.MULTILINE))


def test_the_pins_hold_what_conversion_needs() -> None:
    needed = {**pins("requirements.txt"), **pins("requirements-workshop.txt")}
    for tool in ("torch", "numpy", "coremltools"):
        assert metadata.version(tool).partition("+")[0] == needed[tool]
    for version in (needed["numpy"], metadata.version("numpy")):
        assert tuple(map(int, version.split(".")[:2])) < (2, 4) == converter.NUMPY_BELOW
    assert "coremltools" not in pins("requirements.txt")  # the demo runs without
    for name, base in (
        ("requirements-workshop.txt", "requirements.txt"),
        ("requirements-dev.txt", "requirements-workshop.txt"),
    ):
        assert f"-r {base}" in (ROOT / name).read_text(encoding="utf-8").splitlines()


def test_the_converters_noise_is_kept_quiet_and_nothing_else(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with converter._quiet():
        logger = logging.getLogger("coremltools")
        logger.warning("Failed to load _MLModelProxy: No module named 'coremltools.libcoremlpython'")
        logger.warning("Torch version 9 has not been tested with coremltools.")
        logger.warning("This is new")
        sys.stderr.write("\rRunning MIL default pipeline: 50%\rRunning MIL default pipeline: 100%\n")
        sys.stderr.write("So is this\n")
        warnings.warn("`torch.jit.trace` is deprecated.", DeprecationWarning, stacklevel=1)
        with pytest.raises(UserWarning, match="and this"):
            warnings.warn("and this", stacklevel=1)
    logger.warning("Failed to load _ML outside")
    assert caplog.messages == ["This is new", "Failed to load _ML outside"]
    assert capfd.readouterr() == ("", "So is this\n")


@pytest.mark.slow
def test_a_light_network_is_small_enough_for_a_phone(tmp_path: Path) -> None:
    spec = swinir_spec(scale=2, embed_dim=60, depths=(6,) * 4, heads=6)
    light = variant("int8", spec)
    package = export_package(
        quantize(random_network(spec), "int8"), PackagePlan(variant=light, compute="float16", rescale=6), TEXT, tmp_path
    )
    assert package_bytes(package.path) <= 2_000_000
    counts = {kind: package.operations[kind] for kind in ("conv", "layer_norm", "matmul", "softmax", "gelu", "concat")}
    assert counts == {"conv": 103, "layer_norm": 50, "matmul": 48, "softmax": 24, "gelu": 24, "concat": 48}
    assert package.operations["constexpr_affine_dequantize"] == 24 * 5 + 5
    assert sum(n for kind, n in package.operations.items() if not kind.startswith("constexpr")) == 709
