"""The command that writes the report: one page, its tables as CSV, its figures as CSV and SVG."""

import argparse
import csv
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, get_args

from sr_core.commands import Commands
from sr_core.errors import OptionError, OutputError
from zoo.energy import ASSUMED_WATTS, WATT_HOURS
from zoo.manifest import Manifest, load_manifest
from zoo.report.accounts import merge_studies
from zoo.report.drawing import svg_of
from zoo.report.figures import (
    Scores,
    datasets_of,
    figure_energy,
    figure_loss,
    figure_psnr,
    figure_score,
    figure_speed,
    study_title,
)
from zoo.report.pages import NamedFigure, figure_csv, markdown_report, table_csv
from zoo.report.tables import TableName
from zoo.study import STUDY_PATH, Study, load_study

__all__ = ["add_report", "read_scores", "report_files", "run_report"]

_SCORE_COLUMNS: Final = ("score", "low", "high")


def add_report(commands: Commands) -> None:
    """Adds the command ``report``."""
    report = commands.add_parser("report", help="write what compression costs: tables and figures")
    report.add_argument("--out", type=Path, required=True, help="folder for the page, its tables and its figures")
    report.add_argument(
        "--scores", type=Path, help="the board as `python -m ratings board --csv` prints it; by default no scores"
    )
    report.add_argument(
        "--watts",
        type=float,
        default=ASSUMED_WATTS,
        help="power of a device at work, an assumption; %(default)s by default",
    )
    report.add_argument("--watt-hours", type=float, default=WATT_HOURS, help="budget of energy; %(default)s by default")
    report.set_defaults(run=run_report)


def run_report(options: argparse.Namespace) -> None:
    """Writes the report from the manifest and the study of the zoo's home.

    Raises:
        ModelError: The manifest or the study is damaged.
        OptionError: Power or budget is not above 0, or the scores are no table of the board.
        OutputError: The folder cannot be written to.
    """
    manifest = load_manifest(options.home / "manifest.json")
    studies = load_study(options.home / STUDY_PATH.name)
    scores = read_scores(options.scores) if options.scores else None
    files = report_files(manifest, studies, scores, watts=options.watts, watt_hours=options.watt_hours)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (options.out / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"The report cannot be written to {options.out}: {error.strerror}.") from error
    sys.stdout.write(f"{options.out / 'report.md'} and {len(files) - 1} files beside it\n")


def report_files(
    manifest: Manifest, studies: Sequence[Study], scores: Scores | None, *, watts: float, watt_hours: float
) -> Mapping[str, str]:
    """Returns the text of every file of the report by its name.

    Args:
        manifest: The releases.
        studies: What else was measured.
        scores: The crowd's score with its interval, by id; None where none were given.
        watts: Assumed power, above 0.
        watt_hours: Budget, above 0.

    Raises:
        OptionError: Power or budget is not a number above 0.
    """
    merged = merge_studies(manifest, studies)
    energy = figure_energy(manifest, watts=watts, watt_hours=watt_hours)
    figures = [
        *_psnr_figures(manifest, merged),
        NamedFigure(file="figure-4-score", heading=_SCORE, figure=figure_score(manifest, scores)),
        NamedFigure(file="figure-5-energy", heading=_ENERGY, figure=energy),
        *_loss_figures(merged),
        *(
            NamedFigure(file=f"figure-7-time-{word}", heading=_TIME, figure=figure_speed(study))
            for study, word in zip(merged, _study_words(merged), strict=True)
        ),
    ]
    files = {"report.md": markdown_report(manifest, merged, figures)}
    files |= {f"table-{name}.csv": table_csv(merged, name) for name in get_args(TableName)}
    for one in figures:
        if one.figure.series:
            files |= {f"{one.file}.svg": svg_of(one.figure), f"{one.file}.csv": figure_csv(one.figure)}
    return files


def read_scores(path: Path) -> Scores:
    """Returns the scores of a board's table; systems that it gives no score are not among them.

    Raises:
        OptionError: The file cannot be read or is no such table.
    """
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines(), strict=True))
        return {row["system"]: _score(row) for row in rows if row["score"] != ""}
    except OSError as error:
        raise OptionError(f"The scores {path.name} cannot be read.") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise OptionError(
            f"The file {path.name} is no table of the board: it needs the columns system, score, low and high."
        ) from error


_PSNR: Final = "PSNR against size (after the seed's Figure 3)"
_SCORE: Final = "The crowd's score against size (after the seed's Figure 4)"
_ENERGY: Final = "Inferences within a budget of energy (after the seed's Figure 5)"
_LOSS: Final = "PSNR lost against sparsity"
_TIME: Final = "Time against sparsity"


def _psnr_figures(manifest: Manifest, studies: Sequence[Study]) -> Iterator[NamedFigure]:
    for dataset in datasets_of(studies):
        for size in ("weights", "package"):
            figure = figure_psnr(manifest, studies, dataset, size=size)
            yield NamedFigure(file=f"figure-3-psnr-{_word(dataset)}-{size}", heading=_PSNR, figure=figure)


def _loss_figures(studies: Sequence[Study]) -> Iterator[NamedFigure]:
    for study, word in zip(studies, _study_words(studies), strict=True):
        for dataset in datasets_of([study]):
            figure = figure_loss(study, dataset)
            yield NamedFigure(file=f"figure-6-loss-{word}-{_word(dataset)}", heading=_LOSS, figure=figure)


def _study_words(studies: Sequence[Study]) -> list[str]:
    """Returns each study's part of file names: family and scale, or where two have the same the whole network's id."""
    titles = [study_title(study) for study in studies]
    return [
        _word(f"{study.family}-x{study.scale}" if titles.count(title) == 1 else study.whole)
        for study, title in zip(studies, titles, strict=True)
    ]


def _score(row: Mapping[str, str]) -> tuple[float, float, float]:
    score, low, high = (float(row[name]) for name in _SCORE_COLUMNS)
    if not (math.isfinite(low) and math.isfinite(high) and low <= score <= high):
        raise ValueError("the score is outside its interval")
    return score, low, high


def _word(name: str) -> str:
    """Returns a name as part of a file name."""
    return "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in name.lower())
