"""The photo with a square on it that can be put anywhere: by pointer, or by two sliders."""

import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import gradio as gr

from ui import text
from ui.widgets.compare import file_value

__all__ = ["CENTRE", "Spot", "SpotView", "spot_of", "spot_picker", "spot_value"]

_TEMPLATE = """
${value ? `
<div class="spot" style="--x:50;--y:50;--bw:${value.box_width};--bh:${value.box_height}">
  <div class="spot-photo">
    <img src="${value.picture.url}" alt="${value.alt}" draggable="false">
    <span class="spot-box" aria-hidden="true"></span>
  </div>
  <label><span>${value.across}</span><input class="spot-x" type="range" min="0" max="100" value="50"></label>
  <label><span>${value.down}</span><input class="spot-y" type="range" min="0" max="100" value="50"></label>
</div>` : ``}
"""

_ON_LOAD = """
const part = (name) => element.querySelector(name);
const paint = () => {
  part('.spot').style.setProperty('--x', part('.spot-x').value);
  part('.spot').style.setProperty('--y', part('.spot-y').value);
};
const pick = () => trigger('select', {x: Number(part('.spot-x').value), y: Number(part('.spot-y').value)});
element.addEventListener('input', (event) => { if (event.target.type === 'range') paint(); });
element.addEventListener('change', (event) => { if (event.target.type === 'range') pick(); });
element.addEventListener('click', (event) => {
  const photo = event.target.closest('.spot-photo');
  if (!photo) return;
  const frame = photo.getBoundingClientRect();
  const place = (at, start, length, box) => {
    const free = length * (1 - box / 100);
    return free < 1 ? 50 : Math.max(0, Math.min(100, ((at - start - length * box / 200) / free) * 100));
  };
  part('.spot-x').value = place(event.clientX, frame.left, frame.width, props.value.box_width);
  part('.spot-y').value = place(event.clientY, frame.top, frame.height, props.value.box_height);
  paint();
  pick();
});
watch('value', () => {
  if (!part('.spot')) return;
  part('.spot-x').value = 50;
  part('.spot-y').value = 50;
  paint();
});
"""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the square is: 0 to 100 percent of the way that it can go, to the right and down."""

    x: float
    y: float


CENTRE: Final = Spot(50, 50)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotView:
    """What the picker shows.

    Attributes:
        picture: PNG of the photo.
        box_height: Height of the square, in percent of the photo's.
        box_width: Width of the square, in percent of the photo's.
    """

    picture: Path
    box_height: float
    box_width: float


def spot_picker(elem_id: str) -> gr.HTML:
    """Returns the component, empty; ``select`` is triggered when the square has been put somewhere."""
    return gr.HTML(html_template=_TEMPLATE, js_on_load=_ON_LOAD, apply_default_css=False, elem_id=elem_id)


def spot_value(view: SpotView) -> dict[str, Any]:
    """Returns a photo and the size of the square as the component shows them."""
    return {
        "picture": file_value(view.picture),
        "box_height": view.box_height,
        "box_width": view.box_width,
        "alt": html.escape(text.SPOT_ALT),
        "across": html.escape(text.SPOT_ACROSS),
        "down": html.escape(text.SPOT_DOWN),
    }


def spot_of(event: gr.EventData) -> Spot:
    """Returns where the square was put; what a browser sent is held to the range."""
    data = cast(dict[str, Any], event._data or {})  # pyright: ignore[reportPrivateUsage]  # no public way in Gradio 6.31
    return Spot(*(_percent(data.get(axis)) for axis in ("x", "y")))


def _percent(value: object) -> float:
    if isinstance(value, int | float) and 0 <= value <= 100:
        return float(value)
    return 50.0
