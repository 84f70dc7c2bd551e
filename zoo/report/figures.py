"""The figures of the report, from manifest, studies, scores and power.

No figure compares what cannot be compared: losses are between scores of one tool, times are of one run, and what is
left out for that is said.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from zoo.energy import inferences_per_budget, photo_times, photos_words, run_of, times_of_one_run
from zoo.manifest import Manifest
from zoo.report.accounts import merge_studies
from zoo.report.caveats import caveat_of
from zoo.report.comparison import comparable_scores, metric_by, run_of_points, tool_words, tools_on, whole_of
from zoo.report.records import Figure, FigureAxis, FigurePoint, Series
from zoo.report.scales import signed_number
from zoo.report.techniques import PRUNING, TECHNIQUES, network_words, series_words
from zoo.study import Study, StudyPoint, Technique

__all__ = [
    "Scores",
    "Size",
    "datasets_of",
    "figure_energy",
    "figure_loss",
    "figure_psnr",
    "figure_score",
    "figure_speed",
    "study_title",
]

Size: TypeAlias = Literal["weights", "package"]
"""Which file's size: the weight file, or the unzipped Core ML package, which not every network has."""

Scores: TypeAlias = Mapping[str, tuple[float, float, float]]
"""Score, and the lower and upper end of its interval, by id of release."""

_LEAST_LOSS_DB: Final = 0.01
"""Smaller losses stand below a logarithmic axis; in pictures, nobody sees them."""


def figure_psnr(manifest: Manifest, studies: Sequence[Study], dataset: str, *, size: Size = "weights") -> Figure:
    """Returns PSNR of luma on a data set against size, a series for each technique of each whole network.

    Scores of two tools are never in one series. A network that several tools scored has the score of the one that
    scored most.
    """
    merged = merge_studies(manifest, studies)
    tools = tools_on((point for study in merged for point in study.points), dataset)
    words_of = tool_words(tools)

    def place(point: StudyPoint) -> FigurePoint | None:
        metric, megabytes = metric_by(point, dataset, tools), _megabytes(point, size)
        if metric is None or megabytes is None:
            return None
        return _figure_point(point, megabytes, metric.psnr_db, f"{megabytes:.2f} MB, {metric.psnr_db:.2f} dB")

    def tag(point: StudyPoint) -> str:
        metric = metric_by(point, dataset, tools)
        return "" if metric is None or metric.tool == tools[0] else f", {words_of[metric.tool]}"

    series = _series(merged, _Drawing(place=place, tag=tag))
    by_tools = f"Scores are by {tools[0]} where nothing else is said." if len(tools) > 1 else ""
    return Figure(
        title=f"PSNR on {dataset} against the size of the {_FILES[size]}",
        x=FigureAxis(words=_SIZES[size], kind="log"),
        y=FigureAxis(words=f"PSNR of luma on {dataset}, dB"),
        series=series,
        note=_joined(by_tools, _left_out(merged, place, f"{_SCORED} {dataset}{_PACKED[size]}"), *_caveats(series)),
    )


def figure_score(manifest: Manifest, scores: Scores | None, *, size: Size = "weights") -> Figure:
    """Returns the crowd's score against size; empty where nothing has a score.

    Args:
        manifest: The releases.
        scores: In log odds against the mean of all; those of what is no release are left out. None where nobody gave
            any.
        size: Of which file.
    """

    def place(point: StudyPoint) -> FigurePoint | None:
        megabytes = _megabytes(point, size)
        if not scores or megabytes is None or point.release is None or point.release not in scores:
            return None
        score, low, high = scores[point.release]
        words = f"{megabytes:.2f} MB, {signed_number(score, 2)} ({signed_number(low, 2)} to {signed_number(high, 2)})"
        return _figure_point(point, megabytes, score, words, (low, high))

    merged = merge_studies(manifest, ())
    note = _left_out(merged, place, f"have too few votes for a score{_PACKED[size]}")
    if scores is None:
        note = "No scores were given, so nothing can be said here of votes."
    elif not scores:
        note = "No variant has enough votes for a score."
    return Figure(
        title=f"What people prefer, against the size of the {_FILES[size]}",
        x=FigureAxis(words=_SIZES[size], kind="log"),
        y=FigureAxis(words="score, log odds against the mean of all"),
        series=_series(merged, _Drawing(place=place, is_joined=False)),
        note=note,
    )


def figure_energy(manifest: Manifest, *, watts: float, watt_hours: float, size: Size = "weights") -> Figure:
    """Returns how many photos of a megapixel a budget of energy is good for, against size.

    The times are those of one run; the power is what the caller says, and not measured.

    Args:
        manifest: The releases.
        watts: Power while a photo is enlarged, above 0.
        watt_hours: The budget, above 0.
        size: Of which file.

    Raises:
        OptionError: Power or budget is not a number above 0.
    """
    inferences_per_budget(1.0, watts, watt_hours)  # refuses wrong numbers also where nothing was measured
    times = times_of_one_run(manifest)
    elsewhere = {one.id for one in manifest.releases if photo_times(one)} - times.keys()

    def place(point: StudyPoint) -> FigurePoint | None:
        time, megabytes = times.get(point.release or ""), _megabytes(point, size)
        if time is None or megabytes is None:
            return None
        photos = inferences_per_budget(time.seconds, watts, watt_hours)
        words = f"{megabytes:.2f} MB, {photos_words(photos)} of {time.seconds:.1f} s"
        return _figure_point(point, megabytes, photos, words)

    merged = merge_studies(manifest, ())
    return Figure(
        title=f"Photos of a megapixel within {watt_hours:g} Wh at {watts:g} W",
        x=FigureAxis(words=_SIZES[size], kind="log"),
        y=FigureAxis(words=f"photos of a megapixel at {watts:g} W (assumed)"),
        series=_series(merged, _Drawing(place=place, is_joined=False)),
        note=_joined(
            *_energy_notes(manifest, watts),
            _left_out(merged, lambda p: None if p.release in elsewhere else p, _OTHER_RUN),
            _left_out(
                merged,
                lambda p: p if p.release in elsewhere else place(p),
                f"have no measured time{_PACKED[size]}",
            ),
        ),
    )


def figure_loss(study: Study, dataset: str) -> Figure:
    """Returns what each technique of pruning loses on a data set, in dB of luma PSNR, against physical sparsity.

    A loss is between two scores of one tool, of the network and of the whole one.

    Args:
        study: With a point of the whole network; ``merge_studies`` adds it.
        dataset: The data set.
    """
    whole = whole_of(study)

    def place(point: StudyPoint) -> FigurePoint | None:
        scores = comparable_scores(point.metrics, whole.metrics, dataset) if whole else None
        if point.technique not in PRUNING or scores is None:
            return None
        loss_db = round(scores[1].psnr_db - scores[0].psnr_db, 6)
        words = f"{_gone(point)}, {signed_number(-loss_db, 2)} dB"
        return _figure_point(point, _percent(point), loss_db, words)

    def place_scored(point: StudyPoint) -> object:
        return None if point.technique in PRUNING and point.metric(dataset) and place(point) is None else point

    series = _series([study], _Drawing(place=place))
    least = f"Losses below {_LEAST_LOSS_DB} dB, and gains, stand below the axis." if series else "Nothing was measured."
    return Figure(
        title=f"PSNR lost on {dataset} against sparsity, {study_title(study)}",
        x=FigureAxis(words="parameters that are gone or zero, %"),
        y=FigureAxis(words=f"PSNR of luma lost on {dataset}, dB", kind="log", floor=_LEAST_LOSS_DB),
        series=series,
        note=_joined(least, _left_out([study], place_scored, _OTHER_TOOL), *_caveats(series)),
    )


def figure_speed(study: Study) -> Figure:
    """Returns the measured time for a megapixel against physical sparsity, of the whole network and of pruned ones.

    Only times of the run in which the whole network was timed are in it.

    Args:
        study: With a point of the whole network; ``merge_studies`` adds it.
    """
    run = run_of_points(study.points)

    def is_meant(point: StudyPoint) -> bool:
        return point.speed is not None and point.technique in {*PRUNING, "whole"}

    def place(point: StudyPoint) -> FigurePoint | None:
        if point.speed is None or not is_meant(point) or run_of(point.speed) != run:
            return None
        seconds = point.speed.seconds_per_megapixel
        return _figure_point(point, _percent(point), seconds, f"{_gone(point)}, {seconds:.1f} s")

    series = _series([study], _Drawing(place=place))
    if run is not None:
        told = f"Measured on {run}."
    elif any(map(is_meant, study.points)):
        told = "The whole network was not timed, and times of others say nothing without it."
    else:
        told = "Nothing was measured."
    others = _left_out([study], lambda p: place(p) if is_meant(p) else p, _OTHER_RUN) if run else ""
    return Figure(
        title=f"Time against sparsity, {study_title(study)}",
        x=FigureAxis(words="parameters that are gone or zero, %"),
        y=FigureAxis(words="seconds for a megapixel of photo"),
        series=series,
        note=_joined(told, others, *_caveats(series)),
    )


def datasets_of(studies: Sequence[Study]) -> tuple[str, ...]:
    """Returns the data sets on which luma was scored, in the order in which they first appear."""
    metrics = (metric for study in studies for point in study.points for metric in point.metrics)
    return tuple(dict.fromkeys(metric.dataset for metric in metrics if metric.channels == "y"))


def study_title(study: Study) -> str:
    """Returns what a study is about, such as ``swinir-light ×2``."""
    return f"{study.family} ×{study.scale}"


_SIZES: Final[Mapping[Size, str]] = MappingProxyType(
    {"weights": "weight file, MB", "package": "Core ML package, unzipped, MB"}
)
_FILES: Final[Mapping[Size, str]] = MappingProxyType({"weights": "weight file", "package": "package"})
_PACKED: Final[Mapping[Size, str]] = MappingProxyType({"weights": "", "package": ", or no Core ML package"})
_SCORED: Final = "have no score on"
_OTHER_RUN: Final = "were timed in another run, and times of two runs cannot be compared"
_OTHER_TOOL: Final = "were scored by a tool that did not score the whole network, so that their loss is not known"
_MOST_NAMES: Final = 8
"""More networks that a figure leaves out are counted and not named."""

_Place: TypeAlias = Callable[[StudyPoint], FigurePoint | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawing:
    """How points become series.

    Attributes:
        place: A point's place, or None where it has none.
        tag: What a series says beside its technique; points of two tags are of two series.
        is_joined: Whether amounts of one technique are joined.
    """

    place: _Place
    tag: Callable[[StudyPoint], str] = lambda _point: ""
    is_joined: bool = True


def _series(studies: Sequence[Study], drawing: _Drawing) -> tuple[Series, ...]:
    """Returns the series of studies, in the order of the techniques; with a study's name where there are several."""
    titles = [study_title(study) for study in studies]
    series: list[Series] = []
    for study, title in zip(studies, titles, strict=True):
        name = "" if len(titles) == 1 else f"{title if titles.count(title) == 1 else study.whole}: "
        for technique in TECHNIQUES:
            series += _of_technique(study, technique, name, drawing)
    return tuple(series)


def _of_technique(study: Study, technique: Technique, name: str, drawing: _Drawing) -> Iterator[Series]:
    """Yields the series of a technique: one, and one more for each other measure, or tag."""
    found: dict[str, list[tuple[StudyPoint, FigurePoint]]] = {}
    for point in study.points:
        if point.technique == technique and (placed := drawing.place(point)) is not None:
            words = f"{name}{series_words(technique, point.measure)}{drawing.tag(point)}"
            found.setdefault(words, []).append((point, placed))
    for words, pairs in found.items():
        yield Series(
            name=words,
            points=tuple(sorted((one for _, one in pairs), key=lambda one: (one.x, one.y, one.label))),
            technique=technique,
            whole=study.whole,
            is_joined=drawing.is_joined and technique in PRUNING,
            is_dashed=pairs[0][0].measure != "parameters",
        )


def _figure_point(
    point: StudyPoint, x: float, y: float, words: str, interval: tuple[float, float] | None = None
) -> FigurePoint:
    return FigurePoint(id=point.release, label=network_words(point), x=x, y=y, words=words, interval=interval)


def _gone(point: StudyPoint) -> str:
    return f"{point.sparsity:.1%} {'zero' if point.technique == 'magnitude-l1' else 'gone'}"


def _percent(point: StudyPoint) -> float:
    """Returns the sparsity in percent, without the tail that multiplying leaves."""
    return round(100 * point.sparsity, 6)


def _megabytes(point: StudyPoint, size: Size) -> float | None:
    size_bytes = point.weights_bytes if size == "weights" else point.package_bytes
    return None if size_bytes is None else size_bytes / 1e6


def _left_out(studies: Sequence[Study], place: Callable[[StudyPoint], object], why: str) -> str:
    """Returns a sentence on the points that have no place, or nothing where all have one."""
    labels = [network_words(point) for study in studies for point in study.points if place(point) is None]
    if len(labels) > _MOST_NAMES:
        return f"Not shown, because they {why}: {len(labels)} networks."
    return f"Not shown, because they {why}: {'; '.join(labels)}." if labels else ""


def _caveats(series: Sequence[Series]) -> list[str]:
    """Returns what must be said beside the networks of a figure."""
    return list(dict.fromkeys(caveat_of(one.whole) for one in series))


def _joined(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def _energy_notes(manifest: Manifest, watts: float) -> Iterator[str]:
    time = next(iter(times_of_one_run(manifest).values()), None)
    if time is None:
        timed = any(photo_times(release) for release in manifest.releases)
        yield "No whole network was timed." if timed else "No time was measured."
        return
    yield (
        f"Times are those of the Core ML package on {time.run}."
        if time.is_device
        else f"Times were measured on {time.run}, not on a phone."
    )
    yield (
        f"The power of {watts:g} W is an assumption, the same for all, and was not measured: "
        f"compare the variants with each other, and put in your own."
    )
