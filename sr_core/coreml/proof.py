"""What was proven of a Core ML package, and how much must be proven before it is offered: records without torch.

Decibels are PSNR with a peak of 1 before anything is rounded to 8 bits, over all values of a class of tiles together.
Where two results agree to more than ``EXACT_DB``, or entirely, ``EXACT_DB`` stands. Where a result is not finite, 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol, assert_never

from sr_core.coreml.package import CoreMLCompute
from sr_core.errors import PackageError
from sr_core.spec import Precision

__all__ = ["EXACT_DB", "INTERPRETER", "Figures", "Floors", "Proof", "check", "check_figures", "floors_for"]

EXACT_DB: Final = 200.0
"""Beyond what float32 can tell apart from equal by far."""

INTERPRETER: Final = "sr_core.coreml.interpret 1"
"""The name and the version of the interpreter; the version changes with what it computes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the interpreter found when it ran a package.

    Attributes:
        gate_a_db: In ideal arithmetic against the original network with the package's own constants, on the tile where
            they differ most.
        gate_b_natural_db: As typed against the float32 network before quantization, on natural tiles: the published
            figure.
        gate_b_saturated_db: The same on tiles of extreme colours.
        gate_b_black_db: The same on black tiles.
        screen_db: As typed and rounded to 8 bits, on all tiles, against the 8-bit picture that the variant's own
            float32 network makes; None when they are equal.
        max_lsb: Largest difference of a value in that comparison, in steps of 1/255.
        weights_deviation: How far the package's constants, unscaled, are from the variant's own weights: the largest
            difference, as a part of the largest weight of its tensor.
        is_finite: Whether every value of every result was a finite number.
        operations: How often each kind of operation occurs.
        tiles: Which tiles these were.
        interpreter: What ran the package.
    """

    gate_a_db: float
    gate_b_natural_db: float
    gate_b_saturated_db: float
    gate_b_black_db: float
    screen_db: float | None
    max_lsb: int
    weights_deviation: float
    is_finite: bool
    operations: Mapping[str, int]
    tiles: str
    interpreter: str = INTERPRETER


class Figures(Protocol):
    """The figures of a proof that are recorded; see :class:`Proof`."""

    @property
    def gate_a_db(self) -> float: ...
    @property
    def gate_b_natural_db(self) -> float: ...
    @property
    def gate_b_saturated_db(self) -> float: ...
    @property
    def gate_b_black_db(self) -> float: ...
    @property
    def screen_db(self) -> float | None: ...
    @property
    def max_lsb(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """What a package must reach, field by field as in :class:`Proof`.

    Attributes:
        gate_b_natural_db: What the precision of the weights and the arithmetic leave at least.
        gate_b_extreme_db: The same on saturated and on black tiles.
        gate_a_db: At least, for all packages alike. A sound one reaches ``EXACT_DB``; swapped queries and keys of an
            attention that hardly looks may leave 95 dB, a GELU by another formula 132 dB.
        screen_db: At least, for all packages alike.
        max_lsb: At most, for all packages alike.
        weights_deviation: At most, for all packages alike: what float16 does to a weight, with room to spare.
    """

    gate_b_natural_db: float
    gate_b_extreme_db: float
    gate_a_db: float = 150.0
    screen_db: float = 50.0
    max_lsb: int = 4
    weights_deviation: float = 0.01


def floors_for(precision: Precision, compute: CoreMLCompute) -> Floors:
    """Returns what a package must reach, from how its weights are stored and what it computes with.

    What quantization costs depends on the network as well; the floors are what is worth offering. The light network
    reaches 141 dB, 114 dB, 74 dB and 74 dB in float arithmetic of each kind, 73 dB with int8 and 67 dB and 54 dB with
    palettes of 6 and 4 bits.
    """
    match precision:
        case "float32" | "float16":
            arithmetic = {"float32": 100.0, "float32-stored-float16": 70.0, "float16": 60.0, "mixed": 60.0}[compute]
            return Floors(gate_b_natural_db=arithmetic, gate_b_extreme_db=arithmetic)
        case "int8":
            return Floors(gate_b_natural_db=50.0, gate_b_extreme_db=45.0)
        case "palette6":
            return Floors(gate_b_natural_db=40.0, gate_b_extreme_db=35.0)
        case "palette4":
            return Floors(gate_b_natural_db=30.0, gate_b_extreme_db=25.0)
        case "mixed-bit":
            return Floors(gate_b_natural_db=45.0, gate_b_extreme_db=40.0)
        case _:
            assert_never(precision)


def check(proof: Proof, floors: Floors) -> None:
    """Refuses a package that does not reach its floors.

    Raises:
        PackageError: The first one that it misses, in one sentence.
    """
    if not proof.is_finite:
        raise PackageError("The package must not be offered: it computes values that are not finite.")
    check_figures(proof, floors)
    if not proof.weights_deviation <= floors.weights_deviation:
        raise PackageError(
            f"The package must not be offered: a weight in it differs by {proof.weights_deviation:.2g} of its tensor's "
            f"largest from the network's own, but at most {floors.weights_deviation:.2g} is allowed."
        )


def check_figures(figures: Figures, floors: Floors) -> None:
    """Refuses a package whose figures do not reach its floors, whether just found or recorded.

    Raises:
        PackageError: The first one that it misses, in one sentence.
    """
    needed = (
        ("gate A", figures.gate_a_db, floors.gate_a_db),
        ("gate B on natural tiles", figures.gate_b_natural_db, floors.gate_b_natural_db),
        ("gate B on saturated tiles", figures.gate_b_saturated_db, floors.gate_b_extreme_db),
        ("gate B on black tiles", figures.gate_b_black_db, floors.gate_b_extreme_db),
        ("the comparison on screen", EXACT_DB if figures.screen_db is None else figures.screen_db, floors.screen_db),
    )
    for what, found, floor in needed:
        if not found >= floor:  # refuses what is no number, too
            raise PackageError(
                f"The package must not be offered: {what} found {found:.1f} dB, but at least {floor:.0f} dB are needed."
            )
    if figures.max_lsb > floors.max_lsb:
        raise PackageError(
            f"The package must not be offered: a value on screen is off by {figures.max_lsb} steps of 1/255, "
            f"but at most {floors.max_lsb} are allowed."
        )
