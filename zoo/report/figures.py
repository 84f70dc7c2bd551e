"""The figures of the report, as records that a page or a file can draw.

Whoever draws one needs nothing else: names, words and places are in it, and nothing in it depends on how it is drawn.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from zoo.energy import PhotoTime, inferences_per_budget, photo_time
from zoo.manifest import Manifest
from zoo.report.accounts import merge_studies
from zoo.study import Study, StudyPoint, Technique

__all__ = [
    "TECHNIQUES",
    "Figure",
    "FigureAxis",
    "FigurePoint",
    "Scores",
    "Series",
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

TECHNIQUES: Final[Mapping[Technique, str]] = MappingProxyType(
    {
        "whole": "whole network",
        "heads-l1": "heads by L1 norm",
        "magnitude-l1": "single weights by size",
        "selective": "selective",
        "selective-repair": "selective + repair",
        "selective-distilled": "selective + repair + distillation",
        "uniform-bits": "one format for all layers",
        "mixed-bit": "a format for each layer",
    }
)
"""Techniques in words, in the order in which they are shown."""

_PRUNING: Final[frozenset[Technique]] = frozenset(
    {"heads-l1", "magnitude-l1", "selective", "selective-repair", "selective-distilled"}
)
_LEAST_LOSS_DB: Final = 0.01
"""Smaller losses stand at the foot of a logarithmic axis; in pictures, nobody sees them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureAxis:
    """What stands along a side of a figure.

    Attributes:
        words: What the values are, with their unit.
        kind: Whether equal steps or equal factors are equally far apart.
        floor: Values below it stand at it; None where all have their place. A logarithmic axis with values of 0 or
            less has one.
    """

    words: str
    kind: Literal["linear", "log"] = "linear"
    floor: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FigurePoint:
    """A network in a figure.

    Attributes:
        id: Id of the release that it is; None when it does not ship.
        label: Its name.
        x: Its value along the foot.
        y: Its value upwards, which may be below the floor of that axis.
        words: Both, as they are said beside it.
        interval: Ends of an upright whisker; None for none.
    """

    id: str | None
    label: str
    x: float
    y: float
    words: str
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points that have one colour and one shape.

    Attributes:
        name: What they have in common.
        points: From left to right, at least one.
        technique: How they were made; gives them one colour in all figures.
        whole: Id of the whole network that they were made from; gives them one shape.
        is_joined: Whether they are amounts of one technique, so that a line may join them.
    """

    name: str
    points: tuple[FigurePoint, ...]
    technique: Technique
    whole: str
    is_joined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """All that a figure shows; without series where nothing was measured.

    Attributes:
        title: Its heading.
        x: The axis along the foot.
        y: The upright one.
        series: What is drawn.
        note: Sentences below: what is assumed, and what is left out.
    """

    title: str
    x: FigureAxis
    y: FigureAxis
    series: tuple[Series, ...]
    note: str


def figure_psnr(manifest: Manifest, studies: Sequence[Study], dataset: str, *, size: Size = "weights") -> Figure:
    """Returns PSNR of luma on a data set against size, a series for each technique of each whole network."""

    def place(point: StudyPoint) -> FigurePoint | None:
        metric, megabytes = point.metric(dataset), _megabytes(point, size)
        if metric is None or megabytes is None:
            return None
        words = f"{megabytes:.2f} MB, {metric.psnr_db:.2f} dB"
        return _figure_point(point, megabytes, metric.psnr_db, words)

    merged = merge_studies(manifest, studies)
    return Figure(
        title=f"PSNR on {dataset} against the size of the {_FILES[size]}",
        x=FigureAxis(words=_SIZES[size], kind="log"),
        y=FigureAxis(words=f"PSNR of luma on {dataset}, dB"),
        series=_series(merged, place),
        note=_left_out(merged, place, f"{_SCORED} {dataset}{_PACKED[size]}"),
    )


def figure_score(manifest: Manifest, scores: Scores, *, size: Size = "weights") -> Figure:
    """Returns the crowd's score against size; empty where nothing has a score.

    Args:
        manifest: The releases.
        scores: In log odds against the mean of all; those of what is no release are left out.
        size: Of which file.
    """

    def place(point: StudyPoint) -> FigurePoint | None:
        megabytes = _megabytes(point, size)
        if megabytes is None or point.release is None or point.release not in scores:
            return None
        score, low, high = scores[point.release]
        words = f"{megabytes:.2f} MB, {_signed(score, 2)} ({_signed(low, 2)} to {_signed(high, 2)})"
        return _figure_point(point, megabytes, score, words, (low, high))

    merged = merge_studies(manifest, ())
    what = f"have too few votes for a score{_PACKED[size]}"
    return Figure(
        title=f"What people prefer, against the size of the {_FILES[size]}",
        x=FigureAxis(words=_SIZES[size], kind="log"),
        y=FigureAxis(words="score, log odds against the mean of all"),
        series=_series(merged, place, is_joined=False),
        note=_left_out(merged, place, what) if scores else "No variant has enough votes for a score.",
    )


def figure_energy(manifest: Manifest, *, watts: float, watt_hours: float, size: Size = "weights") -> Figure:
    """Returns how many photos of a megapixel a budget of energy is good for, against size.

    The time is measured, on a device where one was added to the record and otherwise on a processor; the power is
    what the caller says, and not measured.

    Args:
        manifest: The releases.
        watts: Power while a photo is enlarged, above 0.
        watt_hours: The budget, above 0.
        size: Of which file.

    Raises:
        OptionError: Power or budget is not a number above 0.
    """
    inferences_per_budget(1.0, watts, watt_hours)  # refuses wrong numbers also where nothing was measured
    times = {one.id: time for one in manifest.releases if (time := photo_time(one)) is not None}

    def place(point: StudyPoint) -> FigurePoint | None:
        time, megabytes = times.get(point.release or ""), _megabytes(point, size)
        if time is None or megabytes is None:
            return None
        photos = inferences_per_budget(time.seconds, watts, watt_hours)
        words = f"{megabytes:.2f} MB, {photos:,.0f} photos of {time.seconds:.1f} s on {time.machine}"
        return _figure_point(point, megabytes, photos, words)

    merged = merge_studies(manifest, ())
    return Figure(
        title=f"Photos of a megapixel within {watt_hours:g} Wh at {watts:g} W",
        x=FigureAxis(words=_SIZES[size], kind="log"),
        y=FigureAxis(words="photos of a megapixel"),
        series=_series(merged, place, is_joined=False),
        note=" ".join(
            [
                *_energy_notes(times.values(), watts),
                _left_out(merged, place, f"have no measured time{_PACKED[size]}"),
            ]
        ).strip(),
    )


def figure_loss(studies: Sequence[Study], dataset: str) -> Figure:
    """Returns what each technique of pruning loses on a data set, in dB of luma PSNR, against physical sparsity.

    Args:
        studies: Those that have a point of the whole network with a score there; ``merge_studies`` adds it.
        dataset: The data set.
    """
    wholes = {study.whole: _whole_psnr(study, dataset) for study in studies}

    def place(point: StudyPoint, study: Study) -> FigurePoint | None:
        metric, whole_db = point.metric(dataset), wholes[study.whole]
        if point.technique not in _PRUNING or metric is None or whole_db is None:
            return None
        loss_db = round(whole_db - metric.psnr_db, 6)
        words = f"{point.sparsity:.1%} gone, {_signed(-loss_db, 2)} dB"
        return _figure_point(point, _percent(point), loss_db, words)

    series = tuple(one for study in studies for one in _study_series(study, lambda p, s=study: place(p, s), studies))
    return Figure(
        title=f"PSNR lost on {dataset} against sparsity",
        x=FigureAxis(words="parameters that are gone or zero, %"),
        y=FigureAxis(words=f"PSNR of luma lost on {dataset}, dB", kind="log", floor=_LEAST_LOSS_DB),
        series=series,
        note=f"Losses below {_LEAST_LOSS_DB} dB, and gains, stand at the foot." if series else "Nothing was measured.",
    )


def figure_speed(studies: Sequence[Study]) -> Figure:
    """Returns the measured time for a megapixel against physical sparsity, of whole and pruned networks."""

    def place(point: StudyPoint) -> FigurePoint | None:
        if point.speed is None or point.technique not in {*_PRUNING, "whole"}:
            return None
        seconds = point.speed.seconds_per_megapixel
        return _figure_point(point, _percent(point), seconds, f"{point.sparsity:.1%} gone, {seconds:.1f} s")

    points = [point for study in studies for point in study.points if place(point)]
    machines = dict.fromkeys(f"{one.speed.machine}, {one.speed.compute}" for one in points if one.speed)
    return Figure(
        title="Time against sparsity",
        x=FigureAxis(words="parameters that are gone or zero, %"),
        y=FigureAxis(words="seconds for a megapixel of photo"),
        series=_series(studies, place),
        note=f"Measured on {'; '.join(machines)}." if machines else "Nothing was measured.",
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
_MOST_NAMES: Final = 8
"""More networks that a figure leaves out are counted and not named."""

_Place: TypeAlias = Callable[[StudyPoint], FigurePoint | None]


def _series(studies: Sequence[Study], place: _Place, *, is_joined: bool = True) -> tuple[Series, ...]:
    return tuple(one for study in studies for one in _study_series(study, place, studies, is_joined=is_joined))


def _study_series(study: Study, place: _Place, studies: Sequence[Study], *, is_joined: bool = True) -> Iterator[Series]:
    """Yields the series of a study, in the order of the techniques; with its name where there are several studies."""
    titles = [study_title(one) for one in studies]
    name = "" if len(titles) == 1 else study_title(study) if titles.count(study_title(study)) == 1 else study.whole
    for technique, words in TECHNIQUES.items():
        placed = (place(point) for point in study.points if point.technique == technique)
        points = sorted((point for point in placed if point), key=lambda point: (point.x, point.y, point.label))
        if points:
            yield Series(
                name=f"{name}: {words}" if name else words,
                points=tuple(points),
                technique=technique,
                whole=study.whole,
                is_joined=is_joined and technique in _PRUNING,
            )


def _figure_point(
    point: StudyPoint, x: float, y: float, words: str, interval: tuple[float, float] | None = None
) -> FigurePoint:
    return FigurePoint(id=point.release, label=point.words, x=x, y=y, words=words, interval=interval)


def _percent(point: StudyPoint) -> float:
    """Returns the sparsity in percent, without the tail that multiplying leaves."""
    return round(100 * point.sparsity, 6)


def _megabytes(point: StudyPoint, size: Size) -> float | None:
    size_bytes = point.weights_bytes if size == "weights" else point.package_bytes
    return None if size_bytes is None else size_bytes / 1e6


def _whole_psnr(study: Study, dataset: str) -> float | None:
    metrics = (point.metric(dataset) for point in study.points if point.technique == "whole")
    return next((metric.psnr_db for metric in metrics if metric is not None), None)


def _left_out(studies: Sequence[Study], place: _Place, why: str) -> str:
    """Returns a sentence on the points that have no place, or nothing where all have one."""
    labels = [point.words for study in studies for point in study.points if place(point) is None]
    if len(labels) > _MOST_NAMES:
        return f"Not shown, because they {why}: {len(labels)} networks."
    return f"Not shown, because they {why}: {'; '.join(labels)}." if labels else ""


def _energy_notes(times: Iterable[PhotoTime], watts: float) -> Iterator[str]:
    machines = dict.fromkeys((time.machine, time.is_device) for time in times)
    if not machines:
        yield "No time was measured."
        return
    processors = [machine for machine, is_device in machines if not is_device]
    devices = [machine for machine, is_device in machines if is_device]
    if devices:
        yield f"Times are those of the Core ML package on {'; '.join(devices)}."
    if processors:
        others = " of the others" if devices else ""
        yield f"Times{others} were measured on {'; '.join(processors)}, not on a phone."
    yield (
        f"The power of {watts:g} W is an assumption, the same for all, and was not measured: "
        f"compare the variants with each other, and put in your own."
    )


def _signed(value: float, digits: int) -> str:
    """Returns a number with its sign, a real minus, and no sign before zero."""
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else f"{'−' if value < 0 else '+'}{text}"
