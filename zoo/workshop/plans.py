"""Which variants of a family are built: the whole network, fewer heads, zeroed weights, coarser storage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from sr_core.coreml.package import CoreMLCompute
from sr_core.errors import OptionError
from sr_core.spec import Precision, Variant

__all__ = ["PLANS", "Method", "PlannedVariant", "plan", "with_heads_removed"]

Method: TypeAlias = Literal["heads-l1", "magnitude-l1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedVariant:
    """A variant to build from a family's whole network.

    Attributes:
        words: What is added to the family's label; empty for the whole network itself.
        recommended_for: One phrase on when to pick it.
        method: How weights are removed, or None for none.
        amount: Heads to remove from each block, or the share of the linear weights to set to zero.
        precision: How the weights are stored.
        package: Arithmetic of its Core ML package, or None for no package.
    """

    words: str
    recommended_for: str
    method: Method | None = None
    amount: float = 0
    precision: Precision = "float16"
    package: CoreMLCompute | None = None

    def variant(self, whole: Variant) -> Variant:
        """Returns the variant that it is, for a family's whole network."""
        return replace(whole, compression=self._compression(whole), precision=self.precision)

    def _compression(self, whole: Variant) -> str:
        match self.method:
            case None:
                return ""
            case "heads-l1":
                return f"heads{max(map(max, whole.spec.heads)) - int(self.amount)}"
            case "magnitude-l1":
                return f"sparse{round(100 * self.amount)}"


def with_heads_removed(count: int, package: CoreMLCompute | None = None) -> PlannedVariant:
    """Returns the variant with so many heads fewer in each block."""
    return PlannedVariant(
        words=f"{count} {'head' if count == 1 else 'heads'} fewer",
        recommended_for="a little less time" if count == 1 else "studying what pruning costs",
        method="heads-l1",
        amount=count,
        package=package,
    )


_WHOLE: Final = PlannedVariant(words="", recommended_for="", package="float16")
_INT8: Final = PlannedVariant(
    words="int8",
    recommended_for="apps: half the download at no measurable loss",
    precision="int8",
    package="float16",
)
_PALETTE6: Final = PlannedVariant(
    words="6-bit palette", recommended_for="smaller downloads; experimental", precision="palette6", package="float16"
)
_PALETTE4: Final = PlannedVariant(
    words="4-bit palette",
    recommended_for="the smallest download; experimental",
    precision="palette4",
    package="float16",
)
_SPARSE: Final = PlannedVariant(
    words="30 % zeros", recommended_for="contrast to removing heads", method="magnitude-l1", amount=0.3
)

PLANS: Final[Mapping[str, Sequence[PlannedVariant]]] = MappingProxyType(
    {
        "swinir-light": (
            _WHOLE,
            _INT8,
            _PALETTE6,
            _PALETTE4,
            with_heads_removed(1, package="float16"),
            replace(
                with_heads_removed(1, package="float16"),
                words="1 head fewer, int8",
                recommended_for="apps: a little less time",
                precision="int8",
            ),
            *(with_heads_removed(count) for count in (2, 3, 4, 5)),
            _SPARSE,
        ),
        "swinir-quick": (_WHOLE, _INT8, _PALETTE6, _PALETTE4),
    }
)
"""What ships of each family; of any other one, :data:`_OTHERS` is built."""

_OTHERS: Final = (_WHOLE, _INT8, *(with_heads_removed(count) for count in range(1, 7)), _SPARSE)


def plan(family: str, heads: Sequence[int] | None = None) -> tuple[PlannedVariant, ...]:
    """Returns what is built of a family, each variant after the one it is made from.

    Args:
        family: Its name; one without a plan of its own gets int8, 1 to 6 heads fewer and zeroed weights.
        heads: Numbers of heads to remove, added to the plan where it has them not; with it, those of the plan that are
            not named are left out.

    Raises:
        OptionError: A quantized variant is planned without its float16 counterpart before it (a bug of the plan).
    """
    planned = tuple(PLANS.get(family, _OTHERS))
    if heads is not None:
        known = {one.amount for one in planned if one.method == "heads-l1"}
        planned = tuple(one for one in planned if one.method != "heads-l1" or one.amount in heads)
        planned += tuple(with_heads_removed(count) for count in heads if count and count not in known)
    floats: set[tuple[Method | None, float]] = set()
    for one in planned:
        if one.precision == "float16":
            floats.add((one.method, one.amount))
        elif (one.method, one.amount) not in floats:
            raise OptionError(f"The plan of {family} stores {one.words!r} coarser before it is built as float16.")
    return planned
