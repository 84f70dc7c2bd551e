"""What is said of the light network is true of the weights that ship."""

import copy

import numpy as np
import torch
from PIL import Image

from zoo.manifest import HOME, load_manifest
from zoo.report.caveats import caveat_of
from zoo.workshop.stock import Stock

LIGHT = "swinir-light-x2-photos39-float16"
IDLE = {(0, 4), (0, 5), (1, 4), (1, 5)} | {(stage, block) for stage in (2, 3) for block in range(6)}
PHOTO = HOME.parent / "ratings" / "pictures" / "cat" / "original.webp"


def test_sixteen_of_its_blocks_add_nothing_that_anybody_could_see() -> None:
    module = Stock(HOME).module(load_manifest().release(LIGHT))
    every = {(stage, block) for stage, depth in enumerate(module.spec.depths) for block in range(depth)}
    assert f"{len(IDLE)} of its {len(every)} blocks" in caveat_of(LIGHT)
    pixels = np.asarray(Image.open(PHOTO).convert("RGB"))[:64, :64]
    picture = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255

    def agreement_db(gone: set[tuple[int, int]]) -> float:
        silenced = copy.deepcopy(module)
        with torch.no_grad():
            for stage, block in gone:
                for name, value in silenced.get_submodule(
                    f"layers.{stage}.residual_group.blocks.{block}"
                ).named_parameters():
                    if ".proj." in f".{name}" or ".fc2." in f".{name}":
                        value.zero_()
            difference = silenced(picture) - module(picture)
        return -10 * float(difference.square().mean().log10())

    assert agreement_db(IDLE) > 65  # a step of 1/255 is 48 dB
    assert agreement_db(every - IDLE) < 45
