"""What every release that ships must do, on photos that ship with the project."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from sr_core.arch.weights import load_weights
from sr_core.image.picture import Picture
from sr_core.infer.model import LoadedModel
from sr_core.infer.tiles import Tiling
from sr_core.infer.torch_engine import TorchEngine
from sr_core.infer.upscale import run_to_end, seam_report, upscale
from sr_core.infer.window_engine import WindowEngine
from sr_core.metrics.fidelity import psnr_db
from ui.tabs.layout import EXAMPLES
from zoo.catalogue import load_model
from zoo.files import EmbeddedFiles
from zoo.manifest import load_manifest
from zoo.release import Release
from zoo.workshop.packages import Networks, cut_tiles, prove_again

RELEASES = load_manifest().releases


def photo(name: str) -> NDArray[np.uint8]:
    with Image.open(Path(EXAMPLES) / f"{name}.jpg") as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture(scope="module", params=RELEASES, ids=[release.id for release in RELEASES])
def release(request: pytest.FixtureRequest) -> Release:
    return request.param


@pytest.fixture(scope="module")
def model(release: Release) -> LoadedModel:
    return load_model(release, "float32")


def enlarge(model: LoadedModel, pixels: NDArray[np.uint8]) -> NDArray[np.generic]:
    return run_to_end(upscale(Picture(pixels=pixels, bit_depth=8), model.engine, model.tiling)).pixels


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 3), (33, 17)])
def test_any_size_comes_out_at_the_claimed_scale(model: LoadedModel, release: Release, size: tuple[int, int]) -> None:
    scale = release.variant.spec.scale
    result = enlarge(model, photo("cat")[100 : 100 + size[0], 100 : 100 + size[1]])
    assert result.shape == (size[0] * scale, size[1] * scale, 3)


def is_cut(release: Release) -> bool:
    """Whether weights were removed by their size alone, which costs quality on purpose."""
    done = release.compression
    return done is not None and done.method in ("heads-l1", "magnitude-l1")


@cache
def score_db(model_id: str) -> float:
    """Y-PSNR of a model on a photo that was reduced; of bicubic enlargement where the id is empty."""
    truth = photo("astronaut")[40:200, 100:260]
    low = Image.fromarray(truth).resize((80, 80), Image.Resampling.BICUBIC)
    if model_id:
        release = next(one for one in RELEASES if one.id == model_id)
        assert release.variant.spec.scale == 2
        result = enlarge(load_model(release, "float32"), np.asarray(low))
    else:
        result = np.asarray(low.resize((160, 160), Image.Resampling.BICUBIC))
    return psnr_db(result, truth, data_range=255, border=2, channels="y")


def test_it_restores_what_its_family_does(release: Release) -> None:
    """A whole network beats interpolation; coarser weights make the same picture; what was cut away is missed."""
    whole = next(one for one in RELEASES if one.variant.family == release.variant.family)
    assert score_db(whole.id) > score_db("") + 1.0
    if is_cut(release):
        assert score_db("") - 5.0 < score_db(release.id) < score_db(whole.id)
    else:
        assert score_db(release.id) == pytest.approx(score_db(whole.id), abs=0.15)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (90, 120, 150)])
def test_a_flat_colour_stays_what_it_is(model: LoadedModel, release: Release, colour: tuple[int, int, int]) -> None:
    result = enlarge(model, np.full((40, 40, 3), colour, np.uint8)).astype(int)
    assert np.abs(result - colour).max() <= (30 if is_cut(release) else 3)  # corners included


def test_the_fast_engine_computes_what_the_module_does(model: LoadedModel, release: Release) -> None:
    module = load_weights(EmbeddedFiles().path_of(release.weights, release.id), release.variant)
    tile = torch.from_numpy(photo("cat")[80:144, 140:204].copy()).permute(2, 0, 1)[None].float() / 255
    difference = (model.engine.run(tile) - TorchEngine(module).run(tile)).abs().max()
    assert float(difference) < 1e-4


@pytest.mark.slow
def test_bfloat16_products_change_less_than_anybody_sees(model: LoadedModel, release: Release) -> None:
    module = load_weights(EmbeddedFiles().path_of(release.weights, release.id), release.variant)
    tile = torch.from_numpy(photo("cat")[80:128, 140:188].copy()).permute(2, 0, 1)[None].float() / 255
    error = (WindowEngine(module, "bfloat16").run(tile) - model.engine.run(tile)).square().mean()
    assert -10 * float(error.log10()) >= 50


@pytest.mark.slow
def test_no_seam_shows_at_the_recorded_overlap(model: LoadedModel) -> None:
    picture = Picture(pixels=photo("cat")[100:164, :300], bit_depth=8)
    assert seam_report(picture, model.engine, model.tiling).max <= 0.5


@pytest.mark.slow
def test_the_seam_metric_sees_tiles_that_do_not_overlap(model: LoadedModel) -> None:
    picture = Picture(pixels=photo("cat")[60:140, 100:228], bit_depth=8)
    assert seam_report(picture, model.engine, Tiling(tile=64, overlap=0)).max > 0.5


@pytest.mark.slow
def test_its_package_passes_the_gates(release: Release) -> None:
    """All three, on a few of the tiles that the recorded figures are from; raises below a floor."""
    record, file = release.coreml, release.package
    if record is None or file is None:
        assert release.variant.precision == "float16", "what is quantized is made for phones"
        return
    files = EmbeddedFiles()
    own = load_weights(files.path_of(release.weights, release.id), release.variant)
    source = next(one for one in RELEASES if one.id == record.proof.reference)
    original = load_weights(files.path_of(source.weights, source.id), source.variant)
    tiles = cut_tiles([photo("cat")], record.tile, "the cat")
    few = replace(tiles, natural=tiles.natural[2:5], saturated=tiles.saturated[5:7], black=tiles.black[1:])
    networks = Networks(own=own, original=original, original_id=source.id)
    proof = prove_again(release, record, files.path_of(file, release.id), networks, few)
    assert proof.gate_a_db >= 90
    assert proof.max_lsb <= record.proof.max_lsb
    assert (
        abs(proof.gate_b_db - record.proof.gate_b_db) < 4
    )  # other tiles; ``zoo verify`` compares on the recorded ones


def test_int8_of_the_light_model_is_small() -> None:
    sizes = [
        release.coreml.package_bytes
        for release in RELEASES
        if release.variant.family == "swinir-light" and release.variant.precision == "int8" and release.coreml
    ]
    assert sizes
    assert max(sizes) <= 2_000_000
