"""What the report says, as records: tables and figures, pure functions of the manifest, studies, scores and power."""

from zoo.report.accounts import merge_studies
from zoo.report.figures import (
    Size,
    datasets_of,
    figure_energy,
    figure_loss,
    figure_psnr,
    figure_score,
    figure_speed,
    study_title,
)
from zoo.report.records import Figure, FigureAxis, FigurePoint, Series
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
    "study_title",
    "tables_of",
]
