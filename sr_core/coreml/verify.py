"""The three gates that a Core ML package passes before it is offered, on any machine.

- Gate A, in ideal arithmetic: does the package compute SwinIR? It is compared with the original network loaded with
  the package's own constants, so that nothing but the graph (shifts, masks, biases, products, their order) is judged.
- Gate B, as typed: what do the storage of the weights and the rounding of the arithmetic cost? It is compared with the
  float32 network before quantization. Beside it stands what is seen on screen: the 8-bit result against the 8-bit
  picture that the variant's own weights make.
- Gate C: is the file still the one that was proven? Its sha256, and that of each file in it.

What is proven is what the files say. How a device computes it is not known here.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from sr_core.arch.swinir import SwinIR
from sr_core.compress.fold import fold_norms
from sr_core.coreml.interpret import Package, to_bytes
from sr_core.coreml.package import file_hashes
from sr_core.coreml.proof import EXACT_DB, Proof
from sr_core.coreml.reference import Rewriting, module_from_constants, weights_deviation
from sr_core.errors import OptionError, PackageError

__all__ = ["AsTyped", "Subject", "Tiles", "gate_a", "gate_b", "gate_c", "proof_tiles", "prove"]

IDEAL_TILES: Final = 2
"""Tiles of each class that gate A looks at; it takes float64, and a wrong graph is wrong on every tile."""

WHITE_LEVEL: Final = 255.0
BLACK: Final = (0, 0, 0)
WHITE: Final = (255, 255, 255)
RED: Final = (255, 0, 0)
GREEN: Final = (0, 255, 0)
BLUE: Final = (0, 0, 255)
CYAN: Final = (0, 255, 255)
MAGENTA: Final = (255, 0, 255)
YELLOW: Final = (255, 255, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """What packages are proven on: 8-bit RGB, (n, tile, tile, 3) each.

    Attributes:
        natural: Cut from photos.
        saturated: Primary colours, checkerboards and stripes of extremes, and noise of extremes.
        black: Black, and the two darkest shades in random order.
        name: Which tiles these are, in words.
    """

    natural: NDArray[np.uint8]
    saturated: NDArray[np.uint8]
    black: NDArray[np.uint8]
    name: str

    @property
    def classes(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        """The natural, the saturated and the black tiles."""
        return self.natural, self.saturated, self.black


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The network that a package claims to be.

    Attributes:
        rewriting: What was done to its weights on their way into the package.
        own: The network with the weights as they are stored.
        original: The network before quantization; the same one where there was none.
    """

    rewriting: Rewriting
    own: SwinIR
    original: SwinIR


@dataclass(frozen=True, slots=True, kw_only=True)
class AsTyped:
    """What gate B found; the fields are those of :class:`sr_core.coreml.proof.Proof`."""

    natural_db: float
    saturated_db: float
    black_db: float
    screen_db: float | None
    max_lsb: int
    is_finite: bool


def proof_tiles(natural: NDArray[np.uint8], name: str) -> Tiles:
    """Returns natural tiles together with saturated and black ones of the same size; nothing in them is random.

    Args:
        natural: (n, tile, tile, 3), n at least 1.
        name: Where they are from, in words.

    Raises:
        OptionError: They have another shape or are not 8-bit.
    """
    if natural.ndim != 4 or natural.shape[1:] != (natural.shape[1], natural.shape[1], 3) or not natural.size:
        raise OptionError(f"Square tiles in RGB are needed, (n, tile, tile, 3), not {natural.shape}.")
    if natural.dtype != np.uint8:
        raise OptionError(f"Tiles of 8 bits are needed, not of {natural.dtype}.")
    side, rng = natural.shape[1], np.random.default_rng(0)
    rows, columns = np.indices((side, side))
    saturated = [
        _chosen(rows * 0, WHITE),
        _chosen(2 * (2 * rows // side) + 2 * columns // side, RED, GREEN, BLUE, WHITE),
        _chosen(2 * (2 * rows // side) + 2 * columns // side, CYAN, MAGENTA, YELLOW, BLACK),
        _chosen((rows + columns) % 2, BLACK, WHITE),
        _chosen((rows // 8 + columns // 8) % 2, RED, CYAN),
        _chosen(columns // 2 % 2, BLUE, YELLOW),
        _chosen(rows // 3 % 2, GREEN, MAGENTA),
        rng.integers(0, 2, (side, side, 3), np.uint8) * 255,
    ]
    black = [_chosen(rows * 0, BLACK), rng.integers(0, 2, (side, side, 3), np.uint8)]
    words = f"{len(natural)} natural ({name}), {len(saturated)} saturated, {len(black)} black, {side} pixels a side"
    return Tiles(natural=natural, saturated=np.stack(saturated), black=np.stack(black), name=words)


def prove(package: Package, subject: Subject, tiles: Tiles) -> Proof:
    """Returns what is found when a package is run; ``sr_core.coreml.proof.check`` says whether it is enough.

    Args:
        package: The package.
        subject: What it claims to be.
        tiles: What it is run on, of the package's size.

    Raises:
        PackageError: The package does not compute what it declares, or its constants are not those of the network.
        OptionError: The tiles are of another size.
    """
    restored = module_from_constants(package, subject.rewriting)
    typed = gate_b(package, subject, tiles)
    return Proof(
        gate_a_db=_gate_a(package, restored, tiles),
        gate_b_natural_db=typed.natural_db,
        gate_b_saturated_db=typed.saturated_db,
        gate_b_black_db=typed.black_db,
        screen_db=typed.screen_db,
        max_lsb=typed.max_lsb,
        weights_deviation=weights_deviation(restored, fold_norms(subject.own)),
        is_finite=typed.is_finite,
        operations=package.count_operations(),
        tiles=tiles.name,
    )


def gate_a(package: Package, rewriting: Rewriting, tiles: Tiles) -> float:
    """Returns how well a package in ideal arithmetic agrees with SwinIR, in dB on the worst tile.

    Args:
        package: The package.
        rewriting: What was done to the weights on their way into it.
        tiles: The first two of each class are used.

    Raises:
        PackageError: The package does not compute what it declares, or its constants are not those of the network.
        OptionError: The tiles are of another size.
    """
    return _gate_a(package, module_from_constants(package, rewriting), tiles)


def gate_b(package: Package, subject: Subject, tiles: Tiles) -> AsTyped:
    """Returns how well a package as typed agrees with the float32 network, for each class of tiles, and on screen.

    Raises:
        PackageError: The package does not compute what it declares.
        OptionError: The tiles are of another size.
    """
    finite: list[bool] = []
    errors: list[float] = []
    steps: list[NDArray[np.int16]] = []
    for group in tiles.classes:
        squares: list[float] = []
        for tile in group:
            result = package.run(tile, "typed", lambda _, __, values: finite.append(bool(np.isfinite(values).all())))
            squares.append(_mean_square(result / WHITE_LEVEL, _run(subject.original, tile)))
            on_page = to_bytes(_run(subject.own, tile) * WHITE_LEVEL)
            with np.errstate(invalid="ignore"):  # what is not finite was noted
                steps.append(to_bytes(result).astype(np.int16) - on_page)
        errors.append(float(np.mean(squares)))
    natural, saturated, black = map(_decibels, errors)
    differences = np.abs(np.stack(steps))
    return AsTyped(
        natural_db=natural,
        saturated_db=saturated,
        black_db=black,
        screen_db=_decibels(_mean_square(np.stack(steps) / WHITE_LEVEL, np.zeros(1))) if differences.any() else None,
        max_lsb=int(differences.max()),
        is_finite=all(finite),
    )


def gate_c(zip_path: Path, sha256: str, hashes: Mapping[str, str]) -> None:
    """Refuses a zipped package that is not the one that was proven.

    Args:
        zip_path: The zip.
        sha256: Its sha256, in hexadecimal.
        hashes: The sha256 of each file in the package by its path below the package directory.

    Raises:
        PackageError: The zip or a file in it differs, is missing or was added.
    """
    try:
        data = zip_path.read_bytes()
    except OSError as error:
        raise PackageError(f"The package {zip_path.name} is missing or cannot be read.") from error
    found = file_hashes(zip_path) if hashlib.sha256(data).hexdigest() == sha256 else {}
    if not found:
        raise PackageError(f"The package {zip_path.name} is not the one that was proven: its sha256 differs.")
    wrong = sorted(name for name in {*found, *hashes} if found.get(name) != hashes.get(name))
    if wrong:
        raise PackageError(f"The package {zip_path.name} is not the one that was proven: {wrong[0]} differs.")


def _gate_a(package: Package, restored: SwinIR, tiles: Tiles) -> float:
    some = np.concatenate([group[:IDEAL_TILES] for group in tiles.classes])
    white = 1.0 / float(np.float32(1.0 / WHITE_LEVEL))  # a package multiplies by a float32, even in ideal arithmetic
    errors = [_mean_square(package.run(tile, "ideal") / WHITE_LEVEL, _run(restored, tile, white)) for tile in some]
    return min(map(_decibels, errors))


def _run(module: SwinIR, tile: NDArray[np.uint8], white: float = WHITE_LEVEL) -> NDArray[Any]:
    """Returns what a network makes of a tile (H, W, 3) that is divided by ``white``, in its own precision, 0 to 1."""
    with torch.inference_mode():
        picture = torch.from_numpy(tile).permute(2, 0, 1)[None].to(module.conv_first.weight.dtype) / white
        return module(picture)[0].clamp(0.0, 1.0).permute(1, 2, 0).numpy()


def _mean_square(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.mean(np.square(a.astype(np.float64) - b)))


def _decibels(mean_square: float) -> float:
    """Returns a PSNR with a peak of 1, from 0 for what is not finite up to ``EXACT_DB``."""
    if not np.isfinite(mean_square):
        return 0.0
    return EXACT_DB if mean_square <= 10.0 ** (-EXACT_DB / 10.0) else max(-10.0 * float(np.log10(mean_square)), 0.0)


def _chosen(places: NDArray[Any], *colours: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.array(colours, np.uint8)[places]
