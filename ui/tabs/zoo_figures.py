"""The zoo's figures: size against quality, photos within a budget of energy, and what pruning costs."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sr_core.errors import OptionError
from ui import text_zoo
from ui.tabs.zoo_rows import main_dataset, networks_of, plot_of
from ui.widgets.axes import Axis
from ui.widgets.budget import Quantity, budget_html
from ui.widgets.looks import Look
from ui.widgets.panels import Panel, listed_panels_html, panels_html
from ui.widgets.plot import Plot, Point, plot_html
from ui.widgets.sheet import Html, words
from zoo.energy import ASSUMED_WATTS, WATT_HOURS
from zoo.manifest import Manifest
from zoo.report import (
    Figure,
    FigureAxis,
    FigurePoint,
    Series,
    datasets_of,
    figure_energy,
    figure_loss,
    figure_speed,
    merge_studies,
    study_title,
)
from zoo.report.techniques import LOOKS
from zoo.study import Study

__all__ = ["WATTS", "WATT_HOURS_FIELD", "Field", "energy_of", "figures_of", "number_of"]

_NUMBER: Final = re.compile(r"\d+(\.\d+)?|\d+,\d{1,2}", re.ASCII)
"""With a point, or with a comma where it cannot stand before thousands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A number that a visitor may change.

    Attributes:
        name: In what the browser sends.
        words: Beside the field.
        first: Its value at first.
        low: The least that is taken.
        high: And the most.
    """

    name: str
    words: str
    first: float
    low: float
    high: float


WATTS: Final = Field(name="watts", words=text_zoo.WATTS, first=ASSUMED_WATTS, low=0.1, high=500)
WATT_HOURS_FIELD: Final = Field(name="watt_hours", words=text_zoo.WATT_HOURS, first=WATT_HOURS, low=0.1, high=1000)


def number_of(field: Field, found: str) -> float:
    """Returns what a visitor wrote into a field.

    Raises:
        OptionError: It is no number, or outside of what the field takes.
    """
    value = float(found.replace(",", ".")) if _NUMBER.fullmatch(found) else None
    if value is None or not field.low <= value <= field.high:
        raise OptionError(
            text_zoo.BUDGET_REFUSED.format(
                field=field.words,
                low=f"{field.low:g}",
                high=f"{field.high:g}",
                example=f"{field.first:g}",
                found=text_zoo.BUDGET_FOUND.format(found=found) if found else text_zoo.BUDGET_EMPTY,
            )
        )
    return value


def figures_of(manifest: Manifest, studies: Sequence[Study], notice: str = "") -> Html:
    """Returns all figures of which anything was measured, one of them on show; nothing where nothing was.

    Args:
        manifest: The variants on offer.
        studies: What was measured of networks that are no variants.
        notice: What is to be said of that; empty for nothing.
    """
    panels: list[Panel] = []
    if sizes := plot_of(manifest):
        panels.append(Panel(words=text_zoo.FIGURE_SIZE, content=Html(sizes)))
    if energy := energy_of(manifest, WATTS.first, WATT_HOURS_FIELD.first):
        quantities = [
            Quantity(name=one.name, words=one.words, value=f"{one.first:g}") for one in (WATTS, WATT_HOURS_FIELD)
        ]
        content = budget_html(text_zoo.BUDGET, quantities, energy)
        panels.append(Panel(words=text_zoo.FIGURE_ENERGY, content=content))
    if pruning := list(_pruning(manifest, studies)):
        content = listed_panels_html(text_zoo.PRUNING_LIST, pruning)
        panels.append(Panel(words=text_zoo.FIGURE_PRUNING, content=content))
    said = Html(f'<p class="plot-note" role="note">{words(notice)}</p>') if notice else Html("")
    return Html((panels_html("zoo-figure", text_zoo.FIGURES, panels) if panels else "") + said)


def energy_of(manifest: Manifest, watts: float, watt_hours: float) -> Html:
    """Returns how many photos a budget is good for, or nothing where no time was measured.

    Args:
        manifest: The variants on offer.
        watts: Power, assumed.
        watt_hours: The budget.
    """
    networks = networks_of(manifest)

    def point(_: Series, one: FigurePoint) -> Point:
        family, look = networks[one.id or ""]
        return Point(id=one.id, label=one.label, family=family, look=look, x=one.x, y=one.y, words=one.words)

    return _drawn(figure_energy(manifest, watts=watts, watt_hours=watt_hours), point, text_zoo.ENERGY_GROUP)


def _pruning(manifest: Manifest, studies: Sequence[Study]) -> Iterator[Panel]:
    """Yields what pruning costs: for each network that was pruned, on each data set, and in time."""
    labels, main = {one.id: one.label for one in manifest.releases}, main_dataset(manifest.releases)
    for study in merge_studies(manifest, studies):
        network = labels.get(study.whole, study_title(study))
        for dataset in sorted(datasets_of([study]), key=lambda one: one != main):
            if drawn := _drawn(figure_loss(study, dataset), _pruned_point, text_zoo.PRUNING_GROUP):
                yield Panel(words=text_zoo.PRUNING_LOSS.format(network=network, dataset=dataset), content=drawn)
        speed = figure_speed(study)
        if any(series.is_joined for series in speed.series):
            drawn = _drawn(speed, _pruned_point, text_zoo.PRUNING_GROUP)
            yield Panel(words=text_zoo.PRUNING_TIME.format(network=network), content=drawn)


def _pruned_point(series: Series, one: FigurePoint) -> Point:
    return Point(
        id=one.id,
        label=one.label if one.id else series.name,  # how much is gone stands in the words already
        family=series.name,
        look=Look(
            name=f"technique-{series.technique}", shape=LOOKS[series.technique].shape, is_dashed=series.is_dashed
        ),
        x=one.x,
        y=one.y,
        words=one.words,
        interval=one.interval,
    )


def _drawn(figure: Figure, point: Callable[[Series, FigurePoint], Point], group: str) -> Html:
    points = tuple(point(series, one) for series in figure.series for one in series.points)
    if not points:
        return Html("")
    plot = Plot(
        title=figure.title,
        group=group,
        x=_axis(figure.x),
        y=_axis(figure.y),
        points=points,
        has_curves=any(series.is_joined for series in figure.series),
        note=figure.note,
    )
    return Html(plot_html(plot))


def _axis(axis: FigureAxis) -> Axis:
    return Axis(title=axis.words[:1].upper() + axis.words[1:], kind=axis.kind, floor=axis.floor)
