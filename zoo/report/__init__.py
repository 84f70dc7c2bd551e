"""What the report says, as records: tables and figures, pure functions of the manifest, studies, scores and power."""

from zoo.report.accounts import merge_studies
from zoo.report.figures import (
    Figure,
    FigureAxis,
    FigurePoint,
    Series,
    Size,
    datasets_of,
    figure_energy,
    figure_loss,
    figure_psnr,
    figure_score,
    figure_speed,
)
from zoo.report.tables import Table, tables_of

__all__ = [
    "Figure",
    "FigureAxis",
    "FigurePoint",
    "Series",
    "Size",
    "Table",
    "datasets_of",
    "figure_energy",
    "figure_loss",
    "figure_psnr",
    "figure_score",
    "figure_speed",
    "merge_studies",
    "tables_of",
]
