"""A package as an engine: whole pictures, tile by tile, in 8 bits as a phone makes them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sr_core.arch.swinir import SwinIR
from sr_core.coreml.interpret import Package
from sr_core.coreml.package_engine import PackageEngine
from sr_core.errors import OptionError, PackageError
from sr_core.infer.engine import Engine
from sr_core.infer.tiles import Tiling
from sr_core.infer.torch_engine import TorchEngine
from tests.sr_core.coreml.packages import SPEC, TILE, save_image_package, save_network, save_program, strong_network
from tests.sr_core.infer.fake_engines import FakeEngine
from tests.sr_core.infer.noise_pictures import picture_of, run

TILING = Tiling(tile=TILE, overlap=8, batch=2, fixed=True)


@pytest.fixture(scope="module")
def network() -> SwinIR:
    return strong_network()


@pytest.fixture(scope="module")
def engine(network: SwinIR, tmp_path_factory: pytest.TempPathFactory) -> PackageEngine:
    return PackageEngine(Package.open(save_network(tmp_path_factory.mktemp("engine"), network)), SPEC.window)


def in_steps(values: Tensor) -> Tensor:
    return (values.clamp(0, 1) * 255).round() / 255


def test_it_says_what_it_is(engine: PackageEngine) -> None:
    as_engine: Engine = engine
    assert (as_engine.scale, as_engine.multiple, as_engine.compute, engine.tile) == (2, 8, "float32", TILE)


def test_tiles_are_rounded_to_8_bits_on_both_sides(engine: PackageEngine, network: SwinIR) -> None:
    tiles = torch.rand((3, 3, TILE, TILE), generator=torch.Generator().manual_seed(2)) * 1.2 - 0.1
    result = engine.run(tiles)
    assert result.shape == (3, 3, 2 * TILE, 2 * TILE)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, in_steps(result), rtol=0, atol=1e-7)
    expected = TorchEngine(network).run(in_steps(tiles)).clamp(0, 1)
    assert float((result - expected).abs().max()) < 0.51 / 255
    assert float((result - TorchEngine(network).run(tiles).clamp(0, 1)).abs().max()) > 1 / 255


@pytest.mark.parametrize("size", [(5, 9), (21, 34)])
def test_a_whole_picture_is_made_as_with_the_network_itself(
    size: tuple[int, int], engine: PackageEngine, network: SwinIR
) -> None:
    picture = picture_of(*size)
    own = TorchEngine(network)
    peer = FakeEngine(lambda tiles, _: in_steps(own.run(in_steps(tiles))))
    made, expected = (run(picture, one, TILING) for one in (engine, peer))
    assert set(peer.shapes) <= {(1, 3, TILE, TILE), (2, 3, TILE, TILE)}
    assert made.pixels.shape == (2 * size[0], 2 * size[1], 3)
    assert np.abs(made.pixels.astype(int) - expected.pixels.astype(int)).max() <= 1
    assert np.mean(made.pixels != expected.pixels) < 0.01


def test_tiles_of_another_size_are_refused(engine: PackageEngine) -> None:
    with pytest.raises(OptionError, match="16 pixels a side"):
        engine.run(torch.zeros(1, 3, TILE, 2 * TILE))
    shrunk = Tiling(tile=32, overlap=8)
    with pytest.raises(OptionError, match="16 pixels a side"):
        run(picture_of(20, 20), engine, shrunk)


class Doubled(torch.nn.Module):
    """Enlarges twice; what is darker than half becomes no number at all."""

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate((x - 0.5) / F.relu(x - 0.5), scale_factor=2.0, mode="nearest") * 255


def test_a_package_must_map_one_square_image_to_a_larger_one(tmp_path: Path) -> None:
    array = save_program(tmp_path / "Array.mlpackage", (1, 3, 8, 8), lambda mb, x: mb.relu(x=x))
    with pytest.raises(PackageError, match="one square image"):
        PackageEngine(Package.open(array), 8)
    image = Package.open(save_image_package(tmp_path / "Image.mlpackage", Doubled(), tile=12))
    with pytest.raises(OptionError, match="windows of 8"):
        PackageEngine(image, 8)
    engine = PackageEngine(image, 4)
    assert engine.scale == 2
    assert float(engine.run(torch.ones(1, 3, 12, 12)).min()) == 1.0
    with pytest.raises(PackageError, match="not numbers"):
        engine.run(torch.zeros(1, 3, 12, 12))


def test_pictures_of_16_bits_keep_their_depth(engine: PackageEngine) -> None:
    deep = picture_of(9, 9, bits=16)
    made = run(deep, engine, TILING)
    assert made.pixels.dtype == np.uint16
