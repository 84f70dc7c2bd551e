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

from zoo.energy import run_of
from zoo.manifest import Manifest
from zoo.release import Metric
from zoo.report.caveats import caveat_of
from zoo.report.comparison import metric_by, run_of_points, tools_on
from zoo.report.figures import datasets_of, study_title
from zoo.report.records import Figure
from zoo.report.tables import Table, TableName, tables_of
from zoo.report.techniques import TECHNIQUES, network_words
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
            lines += [f"### {_escaped(study_title(table.study))}", "", *_caveat(table.study), *_table(table), ""]
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
    scores = [f"{score}_{dataset}" for dataset in datasets for score in ("psnr_db", "ssim", "tool")]
    rows = ([table.study.whole, *_values(point, table, datasets)] for table in tables for point in table.rows)
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
    "8-bit output against the original. Agreement is the PSNR of the package, as typed, against a network in float32: "
    "the whole one, or where that is said the smaller one that it was made from, which is nearer.",
    "",
    "Only what can be compared is compared: losses are between scores of one tool with one border, and times are of "
    "one run, that in which the whole network was timed.",
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
        "zeros": "The smallest weights of each linear layer become zero. The weight file stores them like any "
        "weight and the time stays; a Core ML package packs layers of which a quarter and more is zero. "
        "“30 % zeros” in the name of a variant that ships is a share of the "
        "weights of its linear layers; where the study names zeros, it is a share of all parameters. The column "
        "**removed** is a share of all parameters for both.",
        "formats": "One format for all layers that bear it, or a format for each layer, alone or with selective "
        "removal before or after it. A processor here computes all formats in the same arithmetic, so the time does "
        "not fall with the bits.",
    }
)
_COLUMNS: Final = (
    "technique", "words", "release", "share", "measure", "recipe", "parameters", "iterations", "sparsity_qkv",
    "sparsity", "heads", "hidden", "weights_bytes", "package_bytes", "seconds_per_megapixel", "compute", "machine",
    "agreement_db", "agreement_with",
)  # fmt: skip
_NUMBERS: Final = frozenset(
    {"iterations", "parameters", "q, k, v", "removed", "disk MB", "Core ML MB", "agreement dB", "s/MP"}
)
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


def _caveat(study: Study) -> list[str]:
    """Returns the lines of what must be said beside a table."""
    words = caveat_of(study.whole)
    return [_escaped(words), ""] if words else []


def _table(table: Table) -> Iterator[str]:
    datasets = [name for name in datasets_of([table.study]) if any(row.metric(name) for row in table.rows)]
    scores = [{name: _score(row, table, name) for name in datasets} for row in table.rows]
    tools = list(dict.fromkeys(one.tool for row in scores for one in row.values() if one))
    run = run_of_points(table.rows)
    has_agreement = table.name == "formats"
    header = [
        "technique", "network", "iterations", "parameters", "q, k, v", "removed", "disk MB", "Core ML MB",
        *(f"{score} {_escaped(name)}" for name in datasets for score in ("PSNR", "SSIM")),
        *(["agreement dB", "agreement with"] if has_agreement else []),
        "s/MP",
    ]  # fmt: skip
    yield _row(header)
    yield _row("---:" if name in _NUMBERS or name.startswith(("PSNR", "SSIM")) else "---" for name in header)
    for row, found in zip(table.rows, scores, strict=True):
        yield _row(
            [
                TECHNIQUES[row.technique],
                _network(row),
                str(row.iterations) if row.technique in ("heads-l1", "whole") else _NONE,
                f"{row.parameters:,}",
                f"{row.sparsity_qkv:.1%}",
                f"{row.sparsity:.1%}",
                _megabytes(row.weights_bytes),
                _megabytes(row.package_bytes),
                *(cell for metric in found.values() for cell in _scores(metric, tools)),
                *(_agreement(row) if has_agreement else []),
                _seconds(row, run),
            ]
        )
    notes = [*_tools(tools), *_bicubic(scores, datasets), *_times(table.rows, run), *_recipes(table.rows)]
    if notes:
        yield ""
        yield " ".join(notes)


def _network(row: StudyPoint) -> str:
    """Returns the id of a network that ships, and of what its share is one where that is not the usual one."""
    if row.release is None:
        return _escaped(network_words(row))
    return f"`{row.release}`" if row.measure == "parameters" else f"`{row.release}`: {_escaped(network_words(row))}"


def _agreement(row: StudyPoint) -> tuple[str, str]:
    if row.agreement_db is None:
        return _NONE, _NONE
    return f"{row.agreement_db:.1f}", f"`{row.agreement_with}`" if row.agreement_with else "the whole network"


def _tools(tools: Sequence[str]) -> Iterator[str]:
    """Yields what scored, where that were several."""
    if len(tools) > 1:
        words = "; ".join(f"{_mark(index)} {_escaped(tool)}" for index, tool in enumerate(tools))
        yield f"Scores are by {words}; a difference between scores of two tools is no loss."


def _score(row: StudyPoint, table: Table, dataset: str) -> Metric | None:
    """Returns the score of a network by the tool that scored most of the table, where that scored it."""
    return metric_by(row, dataset, tools_on(table.rows, dataset))


def _bicubic(scores: Sequence[Mapping[str, Metric | None]], datasets: Sequence[str]) -> Iterator[str]:
    """Yields what bicubic enlargement reaches, where all rows agree on it."""
    found = {name: {one.bicubic_psnr_db for row in scores if (one := row[name])} for name in datasets}
    words = [f"{values.pop():.2f} dB on {_escaped(name)}" for name, values in found.items() if len(values) == 1]
    if words:
        yield f"Bicubic enlargement has {', '.join(words)}."


def _times(rows: Sequence[StudyPoint], run: str | None) -> Iterator[str]:
    """Yields in which run times were measured, and how many of other runs are left out."""
    others = sum(row.speed is not None and run_of(row.speed) != run for row in rows)
    if run is not None:
        yield f"s/MP is measured seconds for a megapixel of photo on {_escaped(run)}."
    if others:
        networks = "1 network" if others == 1 else f"{others} networks"
        why = "were measured in other runs" if run else "were measured, but none of the whole network"
        yield f"Times of {networks} {why}; they are left out, because times of two runs cannot be compared."


def _recipes(rows: Sequence[StudyPoint]) -> Iterator[str]:
    """Yields how networks were distilled, and which, where they were distilled in several ways."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.recipe:
            found.setdefault(row.recipe, []).append(_network(row))
    for recipe, networks in found.items():
        which = f" ({'; '.join(networks)})" if len(found) > 1 else ""
        yield f"Distilled by {_escaped(recipe)}{which}."


def _scores(metric: Metric | None, tools: Sequence[str]) -> tuple[str, str]:
    if metric is None:
        return _NONE, _NONE
    mark = f" {_mark(tools.index(metric.tool))}" if len(tools) > 1 else ""
    return f"{metric.psnr_db:.2f}{mark}", f"{metric.ssim:.4f}"


def _seconds(row: StudyPoint, run: str | None) -> str:
    return f"{row.speed.seconds_per_megapixel:.1f}" if row.speed and run_of(row.speed) == run else _NONE


def _mark(index: int) -> str:
    """Returns how scores of a tool are marked where there are several."""
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


def _values(point: StudyPoint, table: Table, datasets: Sequence[str]) -> Iterator[object]:
    speed = point.speed if point.speed and run_of(point.speed) == run_of_points(table.rows) else None
    yield from (point.technique, network_words(point), point.release, point.share, point.measure, point.recipe)
    yield from (point.parameters, point.iterations, point.sparsity_qkv, point.sparsity, point.heads, point.hidden)
    yield from (point.weights_bytes, point.package_bytes)
    yield from (None, None, None) if speed is None else (speed.seconds_per_megapixel, speed.compute, speed.machine)
    yield from (point.agreement_db, None if point.agreement_db is None else point.agreement_with or "whole")
    for dataset in datasets:
        metric = _score(point, table, dataset)
        yield from (None, None, None) if metric is None else (metric.psnr_db, metric.ssim, metric.tool)


def _csv(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Returns CSV in which None is an empty cell and every number reads back as itself."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()
