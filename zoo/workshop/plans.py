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
        precision: How the weights are stored; None for as those of the whole network.
        package: Arithmetic of its Core ML package, or None for no package.
    """

    words: str
    recommended_for: str
    method: Method | None = None
    amount: float = 0
    precision: Precision | None = None
    package: CoreMLCompute | None = None

    def variant(self, whole: Variant) -> Variant:
        """Returns the variant that it is, for a family's whole network."""
        return replace(whole, compression=self._compression(whole), precision=self.precision or whole.precision)

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
        recommended_for="studying what pruning costs",
        method="heads-l1",
        amount=count,
        package=package,
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
                recommended_for="studying what pruning costs",
                precision="int8",
            ),
            *(with_heads_removed(count) for count in (2, 3, 4, 5)),
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
