"""Weight files: what is written is what is read, and nothing else is accepted."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sr_core.arch.build import build
from sr_core.arch.swinir import SwinIR
from sr_core.arch.weights import (
    load_official,
    load_weights,
    read_formats,
    read_header,
    read_note,
    save_weights,
    sha256_of,
)
from sr_core.compress.quantize import quantize
from sr_core.errors import WeightsError
from sr_core.spec import SwinIRSpec, Variant, swinir_spec
from tests.peers import official_weights, randomize
from tests.sr_core.compress.networks import mixed_formats

SPEC = swinir_spec(scale=2, embed_dim=12, depths=(2, 1), heads=2)
PRUNED = replace(SPEC, heads=((2, 0), (1,)), hidden=((24, 3), (0,)))


def variant(spec: SwinIRSpec = SPEC, **changes: Any) -> Variant:
    fields = {"family": "tiny", "task": "lightweight", "trained": "noise", "precision": "float32"}
    return Variant(spec=spec, **(fields | changes))


def network(spec: SwinIRSpec = SPEC) -> SwinIR:
    module = build(spec).eval()
    randomize(module, seed=3)
    return module


def checkpoint(path: Path, spec: SwinIRSpec = SPEC) -> dict[str, Tensor]:
    tensors = {key: value.clone() for key, value in official_weights(network(spec)).items()}
    torch.save({"params": tensors}, path)
    return tensors


def refused(message: str) -> Any:
    """Expects a WeightsError of one sentence that contains ``message``."""
    return pytest.raises(WeightsError, match=rf"(?s)\A(?=.*{re.escape(message)}).*\Z")


@pytest.mark.parametrize("spec", [SPEC, PRUNED], ids=["whole", "pruned"])
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_what_is_saved_is_loaded(spec: SwinIRSpec, precision: str, tmp_path: Path) -> None:
    module, one, path = network(spec), variant(spec, precision=precision), tmp_path / "model.safetensors"
    save_weights(module, path, one, note={"data": "noise"})
    assert read_header(path) == (one.id, spec)
    assert read_note(path) == {"data": "noise"}
    assert list(tmp_path.iterdir()) == [path]
    stored = {value.dtype for value in load_file(path).values()}
    assert stored == {getattr(torch, precision)}
    loaded = load_weights(path, one)
    assert not loaded.training
    for key, value in module.state_dict().items():
        expected = value.half().float() if precision == "float16" else value
        assert torch.equal(loaded.state_dict()[key], expected)
        assert loaded.state_dict()[key].dtype == torch.float32


def test_saving_refuses_another_spec_and_numbers_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with refused("not of the spec"):
        save_weights(network(), path, variant(PRUNED))
    for bad, precision in ((float("nan"), "float32"), (1e6, "float16")):
        module = network()
        with torch.no_grad():
            module.norm.weight[0] = bad
        with refused("norm.weight"):
            save_weights(module, path, variant(precision=precision))
    assert not list(tmp_path.iterdir())


def test_loading_refuses_another_id_or_spec(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_weights(network(), path, variant())
    with refused("belongs to tiny-x2-noise-float32"):
        load_weights(path, variant(trained="other"))
    with refused("another network shape"):
        load_weights(path, variant(PRUNED))


@pytest.mark.parametrize("size", [0, 4, 100, 2000, -1])
def test_a_truncated_file_is_refused(size: int, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_weights(network(), path, variant())
    path.write_bytes(path.read_bytes()[:size])
    with refused("model.safetensors is damaged"):
        load_weights(path, variant())


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with refused("is missing"):
        load_weights(tmp_path / "none.safetensors", variant())
    with refused("is damaged"):
        load_weights(tmp_path, variant())
    with refused("is missing"):
        load_official(tmp_path / "none.pth", SPEC)
    with refused("is missing"):
        load_official(tmp_path, SPEC)


@pytest.mark.parametrize(
    "header",
    [
        None,
        {},
        {"id": variant().id},
        {"spec": json.dumps(SPEC.to_json())},
        {"id": variant().id, "spec": "{"},
        {"id": variant().id, "spec": "[]"},
        {"id": variant().id, "spec": "5"},
        {"id": variant().id, "spec": "null"},
        {"id": variant().id, "spec": json.dumps({"arch": "swinir"})},
    ],
)
def test_a_header_without_a_model_is_refused(header: dict[str, str] | None, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(network().state_dict(), path, metadata=header)
    with refused("model.safetensors"):
        load_weights(path, variant())


def tampered(kind: str, tensors: dict[str, Tensor]) -> str:
    """Damages a table of weights and returns what the refusal must name."""
    match kind:
        case "missing":
            del tensors["norm.weight"]
            return "1 missing, 0 unknown (norm.weight is missing)"
        case "extra":
            tensors["stranger"] = torch.zeros(1)
            return "0 missing, 1 unknown (stranger is not part of it)"
        case "shape":
            tensors["norm.weight"] = torch.zeros(13)
            return "norm.weight in"
        case "nan":
            tensors["norm.weight"][3] = float("nan")
            return "is not finite"
        case _:
            raise AssertionError(kind)


@pytest.mark.parametrize("kind", ["missing", "extra", "shape", "nan"])
def test_weights_that_do_not_fit_are_refused(kind: str, tmp_path: Path) -> None:
    path, tensors = tmp_path / "model.safetensors", network().state_dict()
    message = tampered(kind, tensors)
    save_file(tensors, path, metadata={"id": variant().id, "spec": json.dumps(SPEC.to_json())})
    with refused(message):
        load_weights(path, variant())


@pytest.mark.parametrize("kind", ["missing", "extra", "shape", "nan"])
def test_a_checkpoint_that_does_not_fit_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    tensors = checkpoint(path)
    message = tampered(kind, tensors)
    torch.save({"params": tensors}, path)
    with refused(message):
        load_official(path, SPEC)


@pytest.mark.parametrize("key", [None, "params", "params_ema"])
def test_a_checkpoint_is_read_under_each_of_its_keys(key: str | None, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    tensors = checkpoint(path)
    torch.save(tensors if key is None else {key: tensors}, path)
    loaded = load_official(path, SPEC).state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in network().state_dict().items())


def test_params_ema_wins_over_params(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    tensors = checkpoint(path)
    other = {key: torch.zeros_like(value) for key, value in tensors.items()}
    torch.save({"params": other, "params_ema": tensors}, path)
    assert load_official(path, SPEC).norm.weight.abs().sum() > 0


class Hostile:
    """Pickled, it runs a command when it is read without care."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("hostile-was-here",)


def test_a_hostile_checkpoint_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.pth"
    torch.save({"params": Hostile()}, path)
    with refused("cannot be read safely"):
        load_official(path, SPEC)
    assert not (tmp_path / "hostile-was-here").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no checkpoint at all" * 50])
def test_a_damaged_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    with refused("cannot be read safely"):
        load_official(path, SPEC)


@pytest.mark.parametrize("stored", [5, [torch.zeros(1)], {"params": {"a": 1}}, {"params": 3}, {3: torch.zeros(1)}])
def test_a_checkpoint_of_something_else_is_refused(stored: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save(stored, path)
    with refused("holds no table of weights"):
        load_official(path, SPEC)


def test_a_published_name_needs_the_published_content(tmp_path: Path) -> None:
    path = tmp_path / "002_lightweightSR_DIV2K_s64w8_SwinIR-S_x2.pth"
    checkpoint(path)
    with refused("sha256 differs"):
        load_official(path, SPEC)


def test_the_same_weight_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    tensors = checkpoint(path)
    tensors["patch_norm.weight"] = tensors["patch_embed.norm.weight"].clone()
    torch.save({"params": tensors}, path)
    with refused("patch_norm.weight twice"):
        load_official(path, SPEC)


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


class TestMixtures:
    """Files whose layers have formats of their own."""

    formats = mixed_formats(SPEC)

    def save(self, path: Path) -> tuple[SwinIR, Variant]:
        one = variant(precision="mixed-bit", formats=self.formats)
        module = quantize(network(), "mixed-bit", self.formats)
        save_weights(module, path, one, note={"data": "noise"})
        return module, one

    def test_the_formats_stand_in_the_header_and_nowhere_else(self, tmp_path: Path) -> None:
        path = tmp_path / "model.safetensors"
        module, one = self.save(path)
        assert read_formats(path) == self.formats
        assert read_note(path) == {"data": "noise"}
        assert one.id == variant(precision="mixed-bit", formats=self.formats[:1]).id
        loaded = load_weights(path, one).state_dict()
        assert all(torch.equal(loaded[name], value) for name, value in module.state_dict().items())
        save_weights(network(), path, variant())
        assert read_formats(path) == ()

    def test_a_file_in_other_formats_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "model.safetensors"
        self.save(path)
        name = self.formats[0][0]
        other = tuple((n, ("int8" if word != "int8" else "float16") if n == name else word) for n, word in self.formats)
        with refused("has layers in other formats than tiny-x2-noise-mixed-bit is listed with"):
            load_weights(path, variant(precision="mixed-bit", formats=other))

    def test_formats_that_are_not_those_of_the_network_are_not_written(self, tmp_path: Path) -> None:
        path = tmp_path / "model.safetensors"
        with refused("do not fit the network: 1 missing, 0 too many"):
            save_weights(network(), path, variant(precision="mixed-bit", formats=self.formats[1:]))
        assert not path.exists()

    @pytest.mark.parametrize("text", ["{", "[]", '{"a": "int4"}', '{"a": 4}', "{}"])
    def test_a_damaged_list_of_formats_is_refused(self, text: str, tmp_path: Path) -> None:
        path = tmp_path / "model.safetensors"
        _, one = self.save(path)
        header = {"id": one.id, "spec": json.dumps(SPEC.to_json()), "formats": text}
        save_file(load_file(path), path, metadata=header)
        with refused("is damaged: its formats cannot be read"):
            load_weights(path, one)
