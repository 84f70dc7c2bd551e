"""Which variants of a family are built: the whole network, smaller ones, zeroed weights, coarser storage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, assert_never

from sr_core.coreml.package import CoreMLCompute
from sr_core.errors import OptionError
from sr_core.spec import Formats, Precision, Variant
from zoo.release import Measure

__all__ = ["ANY_FORMATS", "PLANS", "Method", "PlannedVariant", "mixed", "plan", "pruned", "with_heads_removed"]

Method: TypeAlias = Literal["heads-l1", "magnitude-l1", "selective"]

ANY_FORMATS: Final[Formats] = (("any", "float16"),)
"""Stands for formats that are not chosen yet where only the id of a variant is asked for, which tells none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedVariant:
    """A variant to build from a family's whole network.

    What is removed comes first, then distillation, then coarser storage; each is made from the variant without it.

    Attributes:
        words: What is added to the family's label; empty for the whole network itself.
        recommended_for: One phrase on when to pick it.
        method: How weights are removed, or None for none.
        amount: Heads to remove from each block, the share of the linear weights to set to zero, or the share of
            ``measure`` to remove.
        measure: What a selective ``amount`` is a share of.
        is_repaired: Whether what a selective removal leaves is solved for again.
        is_distilled: Whether the whole network teaches what a selective removal leaves.
        precision: How the weights are stored; None for as those of the whole network.
        package_budget: Most bytes of the unzipped package, for ``mixed-bit``; 0 for others.
        package: Arithmetic of its Core ML package, or None for no package.
    """

    words: str
    recommended_for: str
    method: Method | None = None
    amount: float = 0
    measure: Measure = "parameters"
    is_repaired: bool = True
    is_distilled: bool = False
    precision: Precision | None = None
    package_budget: int = 0
    package: CoreMLCompute | None = None

    def __post_init__(self) -> None:
        """Refuses what cannot be built, in one sentence."""
        if self.is_distilled and self.method != "selective":
            raise OptionError("Only a network that was pruned selectively is distilled.")
        if (self.precision == "mixed-bit") != (self.package_budget > 0):
            raise OptionError("A budget of package bytes belongs to mixed-bit storage and to no other.")
        if self.precision == "mixed-bit" and self.package is None:
            raise OptionError("Mixed-bit storage is chosen for a package, so it needs one.")

    @property
    def origin(self) -> "PlannedVariant | None":
        """What it is made from; None for the family's whole network."""
        if self.precision is not None:
            before = replace(self, precision=None, package_budget=0)
        elif self.is_distilled:
            before = replace(self, is_distilled=False)
        else:
            return None
        return before if before.method is not None else None

    def id(self, whole: Variant) -> str:
        """Returns the id of the variant that it is, for a family's whole network."""
        return self.variant(whole, ANY_FORMATS if self.precision == "mixed-bit" else ()).id

    def variant(self, whole: Variant, formats: Formats = ()) -> Variant:
        """Returns the variant that it is, with the spec of the whole network still.

        Args:
            whole: The family's whole network.
            formats: How each layer is stored, for ``mixed-bit``.
        """
        words = "-".join(word for word in (self._removal(whole), self._budget()) if word)
        return replace(whole, compression=words, precision=self.precision or whole.precision, formats=formats)

    def _removal(self, whole: Variant) -> str:
        match self.method:
            case None:
                return ""
            case "heads-l1":
                return f"heads{max(map(max, whole.spec.heads)) - int(self.amount)}"
            case "magnitude-l1":
                return f"sparse{round(100 * self.amount)}"
            case "selective":
                ways = ("m" if self.measure == "macs" else "", "" if self.is_repaired else "u", "d" * self.is_distilled)
                return f"prune{round(100 * self.amount)}{''.join(ways)}"
            case _:
                assert_never(self.method)

    def _budget(self) -> str:
        return f"{self.package_budget / 1e6:g}mb" if self.package_budget else ""


def with_heads_removed(count: int, package: CoreMLCompute | None = None) -> PlannedVariant:
    """Returns the variant with so many heads fewer in each block."""
    return PlannedVariant(
        words=f"{count} {'head' if count == 1 else 'heads'} fewer",
        recommended_for="studying what pruning costs",
        method="heads-l1",
        amount=count,
        package=package,
    )


def pruned(
    share: float,
    recommended_for: str,
    *,
    measure: Measure = "parameters",
    is_distilled: bool = False,
    package: CoreMLCompute | None = "float16",
) -> PlannedVariant:
    """Returns the variant without the heads and hidden units that are missed least, and repaired.

    Args:
        share: Of the parameters, or of the multiplications, that is to go.
        recommended_for: One phrase on when to pick it.
        measure: What the share is of.
        is_distilled: Whether the whole network teaches it after that.
        package: Arithmetic of its Core ML package, or None for no package.
    """
    less = "less work" if measure == "macs" else "smaller"
    return PlannedVariant(
        words=f"{share:.0%} {less}{', taught' if is_distilled else ''}",
        recommended_for=recommended_for,
        method="selective",
        amount=share,
        measure=measure,
        is_distilled=is_distilled,
        package=package,
    )


def mixed(origin: PlannedVariant, package_budget: int, recommended_for: str) -> PlannedVariant:
    """Returns a variant with each layer stored as coarsely as it bears, for a package of at most so many bytes."""
    words = f"{package_budget / 1e6:g} MB"
    return replace(
        origin,
        words=f"{origin.words}, {words}" if origin.words else words,
        recommended_for=recommended_for,
        precision="mixed-bit",
        package_budget=package_budget,
        package="float16",
    )


_WHOLE: Final = PlannedVariant(words="", recommended_for="", package="float16")
_INT8: Final = PlannedVariant(
    words="int8",
    recommended_for="apps: half the download",
    precision="int8",
    package="float16",
)
_PALETTE6: Final = PlannedVariant(
    words="6-bit palette", recommended_for="smaller downloads; experimental", precision="palette6", package="float16"
)
_PALETTE4: Final = PlannedVariant(
    words="4-bit palette",
    recommended_for="small downloads; experimental",
    precision="palette4",
    package="float16",
)
_SPARSE: Final = PlannedVariant(
    words="30 % zeros", recommended_for="contrast to removing heads", method="magnitude-l1", amount=0.3
)

_HALF: Final = pruned(0.5, "the same picture in half the time")
_QUARTER: Final = pruned(0.75, "studying what distillation adds", package=None)

PLANS: Final[Mapping[str, Sequence[PlannedVariant]]] = MappingProxyType(
    {
        "swinir-light": (
            _WHOLE,
            _INT8,
            _PALETTE4,
            _HALF,
            mixed(_HALF, 1_000_000, "apps: half the time, half the download"),
            _QUARTER,
            replace(
                _QUARTER,
                words=f"{_QUARTER.words}, taught",
                recommended_for="apps and slow machines",
                is_distilled=True,
                package="float16",
            ),
            *(with_heads_removed(count) for count in (1, 2, 3, 4, 5)),
            _SPARSE,
        ),
        "swinir-quick": (_WHOLE, _INT8, _PALETTE6, _PALETTE4),
    }
)
"""What ships of each family."""

_OTHERS: Final = (_WHOLE, _INT8, *(with_heads_removed(count) for count in range(1, 7)), _SPARSE)


def plan(whole: Variant, heads: Sequence[int] | None = None) -> tuple[PlannedVariant, ...]:
    """Returns what is built of a family, each variant after the one it is made from.

    Args:
        whole: Its whole network. A family without a plan of its own gets int8, each number of heads fewer, and zeros.
        heads: Numbers of heads to remove, instead of those of the plan.

    Raises:
        OptionError: There are not so many heads.
    """
    most = max(map(max, whole.spec.heads))
    planned = tuple(PLANS.get(whole.family, _OTHERS))
    if heads is not None:
        if any(not 0 <= count <= most for count in heads):
            raise OptionError(f"{whole.family} has up to {most} heads in a block, so 0 to {most} can go.")
        known = {one.amount for one in planned if one.method == "heads-l1"}
        planned = tuple(one for one in planned if one.method != "heads-l1" or one.amount in heads)
        planned += tuple(with_heads_removed(count) for count in heads if count and count not in known)
    return tuple(one for one in planned if one.method != "heads-l1" or one.amount <= most)
