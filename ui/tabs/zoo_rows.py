"""The zoo's table and plot, from the manifest alone."""

from typing import Final

from sr_core.spec import PerBlock
from ui import text, text_zoo
from ui.tabs.rows import families
from ui.widgets.axes import Axis
from ui.widgets.looks import Look, network_look
from ui.widgets.plot import Level, Plot, Point, plot_html
from ui.widgets.variants import Cell, Column, VariantRow, variants_html
from zoo.energy import PhotoTime, photo_times, times_of_one_run
from zoo.manifest import Manifest
from zoo.release import Metric, Release
from zoo.report.comparison import comparable_scores

__all__ = ["main_dataset", "networks_of", "plot_of", "table_of"]

_DATASETS: Final = ("Kodak24", "Set5")
"""Set5 chose the weights, so scores on it are a little too good; it stands in where the other one was not measured."""
_LOWEST_BELOW_BICUBIC_DB: Final = 0.5
"""Variants that do worse than that are no use; they stand at the foot of the plot and do not flatten the others."""


def main_dataset(releases: tuple[Release, ...]) -> str:
    """Returns the data set by which variants are compared: the first one on which any of them was measured."""
    return next((name for name in _DATASETS if any(one.metric(name) for one in releases)), _DATASETS[-1])


def networks_of(manifest: Manifest) -> dict[str, tuple[str, Look]]:
    """Returns the network that each variant was made from, in words, with its look: the same one in all plots."""
    return {
        one.id: (family[0].label, network_look(number))
        for number, family in enumerate(families(manifest.releases))
        for one in family
    }


def table_of(manifest: Manifest) -> str:
    """Returns the table of all variants; times in it are of one run."""
    dataset, times = main_dataset(manifest.releases), times_of_one_run(manifest)
    notes = [text.TABLE_HELP.format(dataset=dataset)]
    notes += [text.SPEED_NOTE.format(machine=time.run) for time in list(times.values())[:1]]
    if any(photo_times(one) for one in manifest.releases if one.id not in times):
        notes.append(text_zoo.OTHER_RUNS)
    rows = [_row(manifest, one, dataset, times.get(one.id)) for one in manifest.releases]
    return variants_html(_COLUMNS, rows, notes)


def plot_of(manifest: Manifest) -> str:
    """Returns the plot of size against PSNR, or nothing where no variant was measured."""
    dataset = main_dataset(manifest.releases)
    networks = networks_of(manifest)
    measured = [(one, metric) for one in manifest.releases if (metric := one.metric(dataset)) is not None]
    missing = [one.label for one in manifest.releases if one.metric(dataset) is None]
    if not measured:
        return ""
    scores = {metric.bicubic_psnr_db for _, metric in measured}  # one for each scale
    bicubic_db = scores.pop() if len(scores) == 1 else None
    bicubic = () if bicubic_db is None else (Level(y=bicubic_db, words=_bicubic_words(bicubic_db)),)
    floor_db = None if bicubic_db is None else bicubic_db - _LOWEST_BELOW_BICUBIC_DB
    return plot_html(
        Plot(
            title=text.PLOT_TITLE,
            group=text.PLOT_GROUP,
            x=Axis(title=text.PLOT_X, kind="log"),
            y=Axis(title=text.PLOT_Y.format(dataset=dataset), room=0.05, floor=floor_db),
            points=tuple(_point(release, metric, *networks[release.id]) for release, metric in measured),
            levels=bicubic,
            filled=text.PLOT_FILLED,
            hollow=text.PLOT_HOLLOW,
            front=text.PLOT_FRONT,
            note=text.PLOT_MISSING.format(dataset=dataset, labels=", ".join(missing)) if missing else "",
        )
    )


def _point(release: Release, metric: Metric, family: str, look: Look) -> Point:
    megabytes, psnr_db = text.megabytes_text(release.size_bytes), text.decibels_text(metric.psnr_db)
    return Point(
        id=release.id,
        label=release.label,
        family=family,
        look=look,
        x=release.size_bytes / 1e6,
        y=metric.psnr_db,
        words=text.PLOT_POINT.format(megabytes=megabytes, psnr_db=psnr_db),
        is_filled=release.package is not None,
    )


def _bicubic_words(bicubic_db: float) -> str:
    return text.PLOT_BICUBIC.format(psnr_db=text.decibels_text(bicubic_db))


_COLUMNS: Final = (
    Column(words="Variant"),
    Column(words="Kodak24", unit="dB", first="descending"),
    Column(words="Δ", unit="dB", first="descending"),
    Column(words="Set5", unit="dB", first="descending"),
    Column(words="File", unit="MB"),
    Column(words="Package", unit="MB"),
    Column(words="Time", unit="s/MP"),
    Column(words="Stored", unit="as", is_number=False),
    Column(words="Heads", first="descending"),
    Column(words="Hidden", unit="units", first="descending"),
    Column(words="Param.", unit="M"),
    Column(words="Sparsity", unit="%", first="descending"),
    Column(words="Gate B", unit="dB", first="descending"),
    Column(words="Steps", unit="of 255"),
)


def _row(manifest: Manifest, release: Release, dataset: str, time: PhotoTime | None) -> VariantRow:
    spec, package = release.variant.spec, release.coreml
    cells = (
        _number(_score(release, "Kodak24"), 2),
        _difference(manifest, release, dataset),
        _number(_score(release, "Set5"), 2),
        _number(release.size_bytes / 1e6, 2),
        _number(None if package is None else package.package_bytes / 1e6, 2),
        _number(None if time is None else time.seconds, 1),
        Cell(shown=release.variant.precision, order=release.variant.precision),
        _per_block(spec.heads),
        _per_block(spec.hidden),
        _number(release.parameters / 1e6, 2),
        _number(100 * release.cost.sparsity, 1),
        _number(None if package is None else package.proof.gate_b_db, 1),
        _number(None if package is None else package.proof.max_lsb, 0),
    )
    return VariantRow(id=release.id, label=release.label, cells=cells)


def _score(release: Release, dataset: str) -> float | None:
    metric = release.metric(dataset)
    return None if metric is None else metric.psnr_db


def _difference(manifest: Manifest, release: Release, dataset: str) -> Cell:
    whole = manifest.whole(release)
    scores = None if whole is None else comparable_scores(release.metrics, whole.metrics, dataset)
    if scores is None:
        return _number(None, 2)
    difference_db = scores[0].psnr_db - scores[1].psnr_db
    return Cell(shown=text.change_text(difference_db), order=round(difference_db, 4))


def _per_block(counts: PerBlock) -> Cell:
    blocks = [count for stage in counts for count in stage]
    return Cell(shown=text_zoo.counts_text(counts), order=sum(blocks) / len(blocks))


def _number(value: float | None, digits: int) -> Cell:
    return Cell(shown=text.NO_TIME, order=None) if value is None else Cell(shown=f"{value:.{digits}f}", order=value)
