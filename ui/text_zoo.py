"""What a visitor reads of the zoo's figures, and of what is left of a pruned network."""

from collections.abc import Sequence
from typing import Final

from sr_core.spec import PerBlock
from ui import text

__all__ = ["counts_text", "left_text"]

FIGURES: Final = "What the plot shows"
FIGURE_SIZE: Final = "Size"
FIGURE_ENERGY: Final = "Energy"
FIGURE_PRUNING: Final = "Pruning"
ENERGY_GROUP: Final = "Variants by size of the weight file and photos within a budget of energy"
BUDGET: Final = "The budget; its power is assumed"
WATTS: Final = "Assumed power, W"
WATT_HOURS: Final = "Energy, Wh"
BUDGET_REFUSED: Final = "{field}: please give a number from {low} to {high}, such as {example}; {found}"
BUDGET_FOUND: Final = "“{found}” does not do, so the plot is still the old one."
BUDGET_EMPTY: Final = "the field is empty, so the plot is still the old one."
PRUNING_LIST: Final = "Shown"
PRUNING_LOSS: Final = "{network}: PSNR lost, {dataset}"
PRUNING_TIME: Final = "{network}: time"
PRUNING_GROUP: Final = "Pruned networks; arrow keys go from point to point"
OTHER_RUNS: Final = "Times of other runs are left out, because only times of one run can be compared."
NO_STUDY: Final = "What was measured of networks that are not on offer cannot be shown. {problem}"
CHOSEN: Final = "Chosen: "

BOARD_ENERGY_TITLE: Final = "Score against energy"
BOARD_ENERGY_GROUP: Final = "Variants by photos within a budget of energy and score"
BOARD_ENERGY_X: Final = "Photos of a megapixel at {watts:g} W, {watt_hours:g} Wh (assumed)"
BOARD_NO_TIME: Final = "Left out, without a time of that run: {labels}."
BOARD_TIMES: Final = (
    "Times were measured on {run}. The power was not: put in your own in the {tab} tab, below the plot “{figure}”."
)

LEFT_TITLE: Final = "What is left, block by block"
LEFT_CAPTIONS: Final = ("Attention heads, of {whole} in a block", "Hidden units, of {whole} in a block")
LEFT_STAGE: Final = "Stage"
LEFT_BLOCK: Final = "Block {number}"
LEFT_NOTE: Final = "{heads} of {all_heads} heads and {units} of {all_units} hidden units are left."
NO_ATTENTION: Final = "Attention is gone from {blocks}."
NO_MLP: Final = "The MLP is gone from {blocks}."
REPAIR: Final = "Repair"
REPAIRED: Final = "the weights that are left were recomputed, without training, to make up for those that are gone"
CALIBRATED: Final = "Calibrated on"
CALIBRATION_SHA: Final = "Calibration's sha256"
DISTILLED: Final = "Taught by the whole network"
COMPACT_BIAS: Final = "Position biases"
COMPACT_BIAS_WORDS: Final = "stored once as tables, and spread in the graph"


def counts_text(counts: PerBlock) -> str:
    """Returns numbers per block: one where all blocks have as many, otherwise the smallest and the largest."""
    values = {count for stage in counts for count in stage}
    return str(values.pop()) if len(values) == 1 else f"{min(values)} to {max(values)}"


def left_text(heads: PerBlock, hidden: PerBlock, whole: tuple[PerBlock, PerBlock]) -> str:
    """Returns how many heads and hidden units are left, and from how many blocks a whole branch is gone.

    Args:
        heads: Heads of each block.
        hidden: Hidden units of each block.
        whole: The same of the whole network.
    """
    all_heads, all_units = (sum(map(sum, counts)) for counts in whole)
    sentences = [
        LEFT_NOTE.format(
            heads=f"{sum(map(sum, heads)):,}", all_heads=f"{all_heads:,}", units=f"{sum(map(sum, hidden)):,}",
            all_units=f"{all_units:,}",
        )
    ]  # fmt: skip
    for sentence, counts in ((NO_ATTENTION, heads), (NO_MLP, hidden)):
        gone = _without(counts)
        sentences += [sentence.format(blocks=text.counted_text(gone, "block", "blocks"))] if gone else []
    return " ".join(sentences)


def _without(counts: Sequence[Sequence[int]]) -> int:
    return sum(count == 0 for stage in counts for count in stage)
