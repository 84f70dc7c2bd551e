"""The tables of the report, as records: which networks stand in which table, in which order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from zoo.report.techniques import COARSE, TECHNIQUES
from zoo.study import Study, StudyPoint, Technique

__all__ = ["Table", "TableName", "tables_of"]

TableName: TypeAlias = Literal["heads", "zeros", "formats"]
"""Whole heads and hidden units, single weights, ways to store weights: the seed paper's Tables 4, 5 and 6."""

_TECHNIQUES: Final[Mapping[TableName, frozenset[Technique]]] = MappingProxyType(
    {
        "heads": frozenset({"heads-l1", "selective", "selective-repair", "selective-distilled"}),
        "zeros": frozenset({"magnitude-l1"}),
        "formats": COARSE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What was made of one whole network by techniques of one kind.

    Attributes:
        name: Which table it is.
        study: The study that its rows are of.
        rows: The whole network where it is known, then each technique from little to much.
    """

    name: TableName
    study: Study
    rows: tuple[StudyPoint, ...]


def tables_of(studies: Sequence[Study], name: TableName) -> tuple[Table, ...]:
    """Returns a table for each study that has anything of its kind; ``merge_studies`` adds the releases to studies."""
    tables: list[Table] = []
    for study in studies:
        made = [point for point in study.points if point.technique in _TECHNIQUES[name]]
        if made:
            whole = [point for point in study.points if point.technique == "whole"]
            tables.append(Table(name=name, study=study, rows=(*whole, *sorted(made, key=_amount))))
    return tuple(tables)


def _amount(point: StudyPoint) -> tuple[int, float, int, str]:
    """Returns what rows are sorted by: the technique, then how much is gone, then how coarse it is."""
    order = list(TECHNIQUES).index(point.technique)
    return order, point.sparsity, -point.weights_bytes, point.words
