"""A small set of pictures in a folder, made in milliseconds: colours and noise in place of photos and networks."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ratings.stimuli import PictureSet, Rendering, Shown, Stimulus, load_pictures, write_pictures
from ratings.vote import ANCHORS

__all__ = ["small_set", "write_small_set"]


def small_set(
    folder: Path, variants: Sequence[str], pictures: Sequence[str] = ("alpha", "beta", "gamma"), seed: int = 0
) -> PictureSet:
    """Writes a set of pictures of 16 to 48 pixels a side by the anchors and the variants, and loads it."""
    write_small_set(folder, variants, pictures, seed)
    return load_pictures(folder)


def write_small_set(
    folder: Path, variants: Sequence[str], pictures: Sequence[str] = ("alpha", "beta", "gamma"), seed: int = 0
) -> None:
    """Writes the set; each system is noisier than the one before it."""
    random = np.random.default_rng(seed)
    shown: list[Shown] = []
    for name in pictures:
        height, width = (int(side) for side in random.integers(16, 49, 2))
        stimulus = Stimulus(
            name=name, title=f"The {name}", author="Nobody", rights="CC0", source="made up", height=height, width=width
        )
        smooth = np.linspace(0, 255, height * width * 3).reshape(height, width, 3).astype(np.uint8)
        noise = {
            system: random.integers(0, 2 + 8 * place, (height, width, 3), np.uint8)
            for place, system in enumerate((*ANCHORS, *variants))
        }
        shown.append(Shown(stimulus=stimulus, pixels={system: smooth + noise[system] for system in noise}))
    renderings = [
        Rendering(
            variant=variant,
            weights_sha256=hashlib.sha256(variant.encode()).hexdigest(),
            tile=64,
            overlap=16,
            fixed=True,
        )
        for variant in variants
    ]
    write_pictures(folder, shown, renderings, tool="tests")
