"""Calibration tiles: any that windows fill are taken, and others are refused in one sentence."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sr_core.compress.mixedbit import BitBudget, measure_formats, quantize_selective, round_network
from sr_core.compress.removal import Removal, remove
from sr_core.compress.repair import repair, without_each_stage
from sr_core.compress.selective import Budget, measure_costs, prune_selective
from sr_core.errors import OptionError
from sr_core.spec import SwinIRSpec
from tests.sr_core.compress.networks import mixed_formats, random_network

SPEC = SwinIRSpec(scale=2, embed_dim=12, heads=((2, 1), (1,)), head_dim=6, hidden=((8, 6), (6,)), window=6)
SOME = Removal(heads=(((0,), ()), ((),)), units=(((0, 3), ()), ((1,),)))


def tiles(side: int) -> Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))


USES: dict[str, Callable[[Tensor], object]] = {
    "measure_costs": lambda some: measure_costs(random_network(SPEC), some, repairs=False),
    "prune_selective": lambda some: prune_selective(random_network(SPEC), some, Budget(share=0.1), repairs=True),
    "repair": lambda some: repair(remove(random_network(SPEC), SOME), random_network(SPEC), some),
    "without_each_stage": lambda some: list(
        without_each_stage(random_network(SPEC).requires_grad_(False), some, repairs=True)
    ),
    "measure_formats": lambda some: measure_formats(random_network(SPEC), some),
    "round_network": lambda some: round_network(random_network(SPEC), some, mixed_formats(SPEC)),
    "quantize_selective": lambda some: quantize_selective(random_network(SPEC), some, BitBudget(package_bytes=10**6)),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
@pytest.mark.parametrize("side", [12, 42])
def test_windows_of_any_size_fill_tiles(use: Callable[[Tensor], object], side: int) -> None:
    """Tiles of 12 pixels hold no window of 8, and the first 32 pixels of larger ones no whole number of 6."""
    assert use(tiles(side))


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_tiles_that_windows_do_not_fill_are_refused(use: Callable[[Tensor], object]) -> None:
    with pytest.raises(
        OptionError,
        match=r"\ACalibration tiles must be multiples of the network's window of 6 pixels, not 16 x 16\.\Z",
    ):
        use(tiles(16))
