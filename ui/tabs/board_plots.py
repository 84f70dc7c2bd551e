"""The board's plots: score against the size of the package, against PSNR, and against photos within a budget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ratings.board import Board, PairScore
from ratings.vote import ANCHORS
from ui import text, text_zoo
from ui.poll import labels_of
from ui.tabs.board_points import points_of, points_text, range_text
from ui.tabs.zoo_rows import main_dataset, networks_of
from ui.widgets.axes import Axis
from ui.widgets.looks import Look
from ui.widgets.plot import Level, Plot, Point, plot_html
from ui.widgets.sheet import Html, words
from zoo.energy import ASSUMED_WATTS, WATT_HOURS, inferences_per_budget, photos_words, times_of_one_run
from zoo.manifest import Manifest
from zoo.release import Release

__all__ = ["plots_of"]

_ROOM_POINTS: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quantity:
    """What a score is plotted against.

    Attributes:
        title: Of the plot.
        group: What its points are, in words.
        axis: The axis along the foot.
        value: A variant's value in the axis' unit, or None where it has none.
        said: How a value is said.
        missing: The sentence on those without one.
        source: What the values rest on, in a sentence; empty where the page says it elsewhere.
    """

    title: str
    group: str
    axis: Axis
    value: Callable[[Release], float | None]
    said: Callable[[float], str]
    missing: str
    source: str = ""


def plots_of(board: Board, manifest: Manifest) -> Html:
    """Returns the plots with what they leave out, or a sentence where no variant has a score."""
    known = {release.id for release in manifest.releases}
    shown = {one.system: one for one in board.pairs if one.standing != "hidden"}
    if not shown.keys() & known:
        return Html(f"<p>{words(text.BOARD_NO_PLOTS)}</p>")
    dataset = main_dataset(manifest.releases)
    plots = (_plot(board, shown, manifest, one) for one in (_size(), _psnr(dataset), _photos(manifest)))
    return Html(f'<div class="board-plots">{"".join(plots)}</div>')


def _size() -> _Quantity:
    def megabytes(release: Release) -> float | None:
        return None if release.coreml is None else release.coreml.package_bytes / 1e6

    return _Quantity(
        title=text.BOARD_SIZE_TITLE,
        group=text.BOARD_SIZE_GROUP,
        axis=Axis(title=text.BOARD_SIZE_X, kind="log"),
        value=megabytes,
        said=lambda value: text.BOARD_MEGABYTES.format(value=f"{value:.2f}"),
        missing=text.BOARD_NO_PACKAGE,
    )


def _psnr(dataset: str) -> _Quantity:
    def psnr_db(release: Release) -> float | None:
        metric = release.metric(dataset)
        return None if metric is None else metric.psnr_db

    return _Quantity(
        title=text.BOARD_PSNR_TITLE,
        group=text.BOARD_PSNR_GROUP,
        axis=Axis(title=text.BOARD_PSNR_X.format(dataset=dataset), room=0.05),
        value=psnr_db,
        said=lambda value: text.BOARD_DECIBELS.format(value=text.decibels_text(value)),
        missing=text.BOARD_NO_SCORE.format(dataset=dataset, labels="{labels}"),
    )


def _photos(manifest: Manifest) -> _Quantity:
    times = times_of_one_run(manifest)

    def photos(release: Release) -> float | None:
        time = times.get(release.id)
        return None if time is None else inferences_per_budget(time.seconds, ASSUMED_WATTS, WATT_HOURS)

    run = next((time.run for time in times.values()), "")
    return _Quantity(
        title=text_zoo.BOARD_ENERGY_TITLE,
        group=text_zoo.BOARD_ENERGY_GROUP,
        axis=Axis(title=text_zoo.BOARD_ENERGY_X.format(watts=ASSUMED_WATTS, watt_hours=WATT_HOURS), kind="log"),
        value=photos,
        said=photos_words,
        missing=text_zoo.BOARD_NO_TIME,
        source=text_zoo.BOARD_TIMES.format(run=run, tab=text.ZOO_TAB, figure=text_zoo.FIGURE_ENERGY) if run else "",
    )


def _plot(board: Board, shown: dict[str, PairScore], manifest: Manifest, quantity: _Quantity) -> str:
    networks = networks_of(manifest)
    labels = labels_of(manifest)
    placed = [(one, quantity.value(one)) for one in manifest.releases if one.id in shown]
    points = tuple(
        _point(release, shown[release.id], networks[release.id], value, quantity)
        for release, value in placed
        if value is not None
    )
    note = _note(board, [one for one, value in placed if value is None], manifest, quantity)
    if not points:
        return f"<p>{words(note)}</p>"
    return plot_html(
        Plot(
            title=quantity.title,
            group=quantity.group,
            x=quantity.axis,
            y=Axis(title=text.BOARD_Y, room=_ROOM_POINTS, is_signed=True),
            points=points,
            levels=tuple(
                Level(y=points_of(shown[one].score), words=f"{labels[one]} {points_text(shown[one].score)}")
                for one in ANCHORS
                if one in shown
            ),
            filled=text.BOARD_FILLED,
            hollow=text.BOARD_HOLLOW,
            note=note,
        )
    )


def _point(release: Release, score: PairScore, network: tuple[str, Look], value: float, quantity: _Quantity) -> Point:
    return Point(
        id=release.id,
        label=release.label,
        family=network[0],
        look=network[1],
        x=value,
        y=points_of(score.score),
        words=text.BOARD_POINT.format(
            x=quantity.said(value), points=points_text(score.score), interval=range_text(score.low, score.high)
        ),
        interval=(points_of(score.low), points_of(score.high)),
        is_filled=score.standing == "ranked",
    )


def _note(board: Board, without: Sequence[Release], manifest: Manifest, quantity: _Quantity) -> str:
    """Returns which systems the plot leaves out and why."""
    hidden = {one.system for one in board.pairs if one.standing == "hidden"}
    labels = [label for system, label in labels_of(manifest).items() if system in hidden]  # in the manifest's order
    sentences = [quantity.source] if quantity.source else []
    sentences += [text.BOARD_LEFT_OUT.format(labels="; ".join(labels))] if labels else []
    sentences += [quantity.missing.format(labels="; ".join(one.label for one in without))] if without else []
    return " ".join(sentences)
