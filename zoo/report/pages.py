"""The report as text: Markdown for readers, CSV for programs, with the same figures in both.

Markdown rounds, CSV does not. What was not measured is a dash in Markdown and empty in CSV.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from zoo.manifest import Manifest
from zoo.release import SpeedRecord
from zoo.report.figures import TECHNIQUES, Figure, datasets_of, study_title
from zoo.report.tables import Table, TableName, tables_of
from zoo.study import Study, StudyPoint

__all__ = ["NamedFigure", "figure_csv", "markdown_report", "table_csv"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFigure:
    """A figure, the name of its files without suffix, and the heading under which it stands."""

    file: str
    heading: str
    figure: Figure


def markdown_report(manifest: Manifest, studies: Sequence[Study], figures: Sequence[NamedFigure]) -> str:
    """Returns the report as Markdown; the pictures and CSV files that it names are beside it.

    Args:
        manifest: The releases, for those that have no place in a study.
        studies: With the releases in them, as ``merge_studies`` returns them.
        figures: In the order in which they are shown.
    """
    lines = [*_OPENING, "", *_origins(manifest, studies), *_without_whole(manifest)]
    for name, heading in _HEADINGS.items():
        lines += [f"## {heading}", "", _NOTES[name], ""]
        tables = tables_of(studies, name)
        for table in tables:
            lines += [f"### {_escaped(study_title(table.study))}", "", *_table(table), ""]
        lines += [f"[As CSV](table-{name}.csv)" if tables else "Nothing was measured.", ""]
    heading = ""
    for one in figures:
        lines += [f"## {one.heading}", ""] if one.heading != heading else []
        heading = one.heading
        lines += _figure(one)
    return "\n".join(lines)


def table_csv(studies: Sequence[Study], name: TableName) -> str:
    """Returns the rows of a table of all studies as CSV, numbers in full and empty cells where nothing was measured."""
    tables = tables_of(studies, name)
    datasets = datasets_of(studies)
    scores = [f"{score}_{dataset}" for dataset in datasets for score in ("psnr_db", "ssim")]
    rows = ([table.study.whole, *_values(point, datasets)] for table in tables for point in table.rows)
    return _csv(("whole", *_COLUMNS, *scores), rows)


def figure_csv(figure: Figure) -> str:
    """Returns the points of a figure as CSV."""
    rows = (
        [series.name, point.id, point.label, point.x, point.y, *(point.interval or (None, None)), point.words]
        for series in figure.series
        for point in series.points
    )
    return _csv(("series", "id", "label", "x", "y", "low", "high", "words"), rows)


_OPENING: Final = (
    "# What compression costs",
    "",
    "Made by `python -m zoo report` from `zoo/manifest.json` and `zoo/study.json`: nothing here is typed by hand, and "
    "a dash means that it was not measured. The tables and figures are those of the seed paper, "
    '"Single Image Super Resolution on iPhone", by their content; networks, photos, weights and machines are others, '
    "so its numbers and these cannot be compared one by one.",
    "",
    "Sparsity stands in two accounts, both over all parameters of the whole network. **q, k, v** is the paper's: only "
    "weights of queries, keys and values count as removed. **removed** is what is really gone or zero: with a head "
    "also go its biases, its position biases and its part of the projection, and hidden units of the MLPs count too.",
    "",
    "MB are millions of bytes: of the weight file, and of the unzipped Core ML package. PSNR and SSIM are of luma, "
    "8-bit output against the original. Agreement is the PSNR of the package, as typed, against the whole network in "
    "float32.",
)
_HEADINGS: Final[Mapping[TableName, str]] = MappingProxyType(
    {
        "heads": "Heads and hidden units (after the seed's Table 4)",
        "zeros": "Single weights (after the seed's Table 5)",
        "formats": "Formats of weights (after the seed's Table 6)",
    }
)
_NOTES: Final[Mapping[TableName, str]] = MappingProxyType(
    {
        "heads": "An iteration takes one more head from every block, that of least L1 norm, and nothing is trained "
        "again: the paper's way. Selective removal takes the heads and hidden units whose loss is measured to cost "
        "least, wherever they are; repair solves by least squares for what is left; distillation trains that a little "
        "with the whole network as teacher.",
        "zeros": "The smallest weights of each linear layer become zero. The zeros are stored like any weight, so "
        "neither the file nor the time shrinks.",
        "formats": "One format for all layers that bear it, or a format for each layer. A processor here computes all "
        "of them in the same arithmetic, so the time does not fall with the size.",
    }
)
_COLUMNS: Final = (
    "technique", "words", "release", "share", "parameters", "iterations", "sparsity_qkv", "sparsity", "heads", "hidden",
    "weights_bytes", "package_bytes", "seconds_per_megapixel", "compute", "machine", "agreement_db",
)  # fmt: skip
_NONE: Final = "–"


def _origins(manifest: Manifest, studies: Sequence[Study]) -> Iterator[str]:
    """Yields the lines that say what each study began from, and what its scores are worth."""
    chosen = {release.id: release.training.selected_on for release in manifest.releases}
    for study in studies:
        facts = [f"whole network `{study.whole}`"]
        if dataset := chosen.get(study.whole):
            facts.append(f"its weights were chosen on {_escaped(dataset)}, so scores on it are a little too good")
        if study.calibration:
            facts.append(f"calibrated on {_escaped(study.calibration)}")
        facts.append(f"last measured {study.date}")
        yield f"- {_escaped(study_title(study))}: {'; '.join(facts)}."
    yield ""


def _without_whole(manifest: Manifest) -> Iterator[str]:
    ids = [release.id for release in manifest.releases if manifest.whole(release) is None]
    if ids:
        names = ", ".join(f"`{name}`" for name in ids)
        yield f"Left out, because the whole network that they were made from is not listed: {names}."
        yield ""


def _table(table: Table) -> Iterator[str]:
    datasets = [name for name in datasets_of([table.study]) if any(row.metric(name) for row in table.rows)]
    machines = list(dict.fromkeys(_machine(row.speed) for row in table.rows if row.speed))
    has_agreement = table.name == "formats"
    header = [
        "technique", "network", "iterations", "parameters", "q, k, v", "removed", "disk MB", "Core ML MB",
        *(f"{score} {_escaped(name)}" for name in datasets for score in ("PSNR", "SSIM")),
        *(["agreement dB"] if has_agreement else []),
        "s/MP",
    ]  # fmt: skip
    yield _row(header)
    yield _row(["---"] * 2 + ["---:"] * (len(header) - 2))
    for row in table.rows:
        yield _row(
            [
                TECHNIQUES[row.technique],
                f"`{row.release}`" if row.release else _escaped(row.words),
                str(row.iterations) if row.technique in ("heads-l1", "whole") else _NONE,
                f"{row.parameters:,}",
                f"{row.sparsity_qkv:.1%}",
                f"{row.sparsity:.1%}",
                _megabytes(row.weights_bytes),
                _megabytes(row.package_bytes),
                *(cell for name in datasets for cell in _scores(row, name)),
                *([_NONE if row.agreement_db is None else f"{row.agreement_db:.1f}"] if has_agreement else []),
                _seconds(row.speed, machines),
            ]
        )
    notes = [*_bicubic(table, datasets), *_times(machines)]
    if notes:
        yield ""
        yield " ".join(notes)


def _bicubic(table: Table, datasets: Sequence[str]) -> Iterator[str]:
    """Yields what bicubic enlargement reaches, where all rows agree on it."""
    found = {name: {m.bicubic_psnr_db for row in table.rows if (m := row.metric(name))} for name in datasets}
    words = [f"{scores.pop():.2f} dB on {_escaped(name)}" for name, scores in found.items() if len(scores) == 1]
    if words:
        yield f"Bicubic enlargement has {', '.join(words)}."


def _times(machines: Sequence[str]) -> Iterator[str]:
    words = [_escaped(machine) for machine in machines]
    if len(words) > 1:
        words = [f"{_mark(index)} {machine}" for index, machine in enumerate(words)]
    if words:
        yield f"s/MP is measured seconds for a megapixel of photo on {'; '.join(words)}."


def _scores(row: StudyPoint, dataset: str) -> tuple[str, str]:
    metric = row.metric(dataset)
    return (_NONE, _NONE) if metric is None else (f"{metric.psnr_db:.2f}", f"{metric.ssim:.4f}")


def _seconds(speed: SpeedRecord | None, machines: Sequence[str]) -> str:
    if speed is None:
        return _NONE
    seconds = f"{speed.seconds_per_megapixel:.1f}"
    return seconds if len(machines) == 1 else f"{seconds} {_mark(machines.index(_machine(speed)))}"


def _machine(speed: SpeedRecord) -> str:
    return f"{speed.machine}, {speed.compute}"


def _mark(index: int) -> str:
    """Returns how times of a machine are marked where there are several."""
    return f"({index + 1})"


def _megabytes(size_bytes: int | None) -> str:
    return _NONE if size_bytes is None else f"{size_bytes / 1e6:.2f}"


def _figure(one: NamedFigure) -> Iterator[str]:
    if one.figure.series:
        yield f"![{_escaped(one.figure.title)}]({one.file}.svg)"
        yield ""
        yield f"{_escaped(one.figure.note)} [As CSV]({one.file}.csv)".strip()
    else:
        yield f"{_escaped(one.figure.title)}: {_escaped(one.figure.note)}"
    yield ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """Returns words so that Markdown shows them as they are, on one line and inside a table cell."""
    return re.sub(r"([\\`*_\[\]<>|#~&$])", r"\\\1", " ".join(text.split()))


def _values(point: StudyPoint, datasets: Sequence[str]) -> Iterator[object]:
    speed = point.speed
    yield from (point.technique, point.words, point.release, point.share, point.parameters, point.iterations)
    yield from (point.sparsity_qkv, point.sparsity, point.heads, point.hidden)
    yield from (point.weights_bytes, point.package_bytes)
    yield from (None, None, None) if speed is None else (speed.seconds_per_megapixel, speed.compute, speed.machine)
    yield point.agreement_db
    for dataset in datasets:
        metric = point.metric(dataset)
        yield from (None, None) if metric is None else (metric.psnr_db, metric.ssim)


def _csv(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Returns CSV in which None is an empty cell and every number reads back as itself."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()
