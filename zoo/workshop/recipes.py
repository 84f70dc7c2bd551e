"""The networks that are trained here: a name, a shape, and what to say of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sr_core.errors import OptionError
from sr_core.spec import Precision, SwinIRSpec, Task, Variant, swinir_spec

__all__ = ["RECIPES", "Recipe", "recipe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A network that can be trained.

    Attributes:
        family: The name in ids.
        label: The name on screen; the scale is added to it.
        task: The degradation it is trained for.
        recommended_for: One phrase on when to pick it.
        embed_dim: Channels of a token.
        depths: Blocks in each stage.
        heads: Attention heads of every block.
    """

    family: str
    label: str
    task: Task
    recommended_for: str
    embed_dim: int
    depths: tuple[int, ...]
    heads: int

    def spec(self, scale: int) -> SwinIRSpec:
        """Returns the network's shape at a scale."""
        return swinir_spec(scale=scale, embed_dim=self.embed_dim, depths=self.depths, heads=self.heads)

    def variant(self, *, scale: int, trained: str, precision: Precision) -> Variant:
        """Returns the record of a training run of this network."""
        return Variant(family=self.family, spec=self.spec(scale), task=self.task, trained=trained, precision=precision)


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        one.family: one
        for one in (
            Recipe(
                family="swinir-light",
                label="SwinIR light",
                task="lightweight",
                recommended_for="best quality",
                embed_dim=60,
                depths=(6, 6, 6, 6),
                heads=6,
            ),
            Recipe(
                family="swinir-quick",
                label="SwinIR quick",
                task="lightweight",
                recommended_for="large photos and slow machines",
                embed_dim=60,
                depths=(4, 4),
                heads=6,
            ),
        )
    }
)


def recipe(family: str) -> Recipe:
    """Returns the recipe of a family.

    Raises:
        OptionError: There is none; the sentence lists those there are.
    """
    if family not in RECIPES:
        raise OptionError(f"There is no recipe {family!r}; the recipes are {', '.join(RECIPES)}.")
    return RECIPES[family]
