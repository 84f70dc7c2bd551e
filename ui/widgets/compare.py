"""Before and after under one divider, with difference maps: lossless, and usable by keyboard.

``gr.ImageSlider`` 6.31 has neither alternative text nor a divider that the keyboard can move, and makes WebP of what
it is given; this component shows the PNG files as they are. The widgets here are ``gr.HTML`` with a template and not
subclasses of it, because Gradio writes a ``.pyi`` file next to the source of each component class.
"""

import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ui import text

__all__ = ["Comparison", "Difference", "compare_value", "compare_view", "file_value"]

_TEMPLATE = """
${value ? `
<figure class="compare" style="--divide:50%;--ratio:${value.width}/${value.height};--w:${value.width}px">
  <div class="compare-frame"><div class="compare-stage">
    <img class="compare-after" src="${value.after.url}" alt="${value.after_alt}" draggable="false">
    <img class="compare-before" src="${value.before.url}" alt="${value.before_alt}" draggable="false">
    <span class="compare-tag compare-tag-before" aria-hidden="true">${value.before_name}</span>
    <span class="compare-tag compare-tag-after" aria-hidden="true">${value.after_name}</span>
    <span class="compare-line" aria-hidden="true"></span>
    <input class="compare-range" type="range" min="0" max="100" step="0.5" value="50" aria-label="${value.slider}">
    ${value.differences.map((map) => `<img class="compare-difference" src="${map.picture.url}"
      alt="${map.alt}" draggable="false">`).join('')}
  </div></div>
  <figcaption>
    <span class="compare-note">${value.note}</span>
    <span class="compare-buttons">
    <button type="button" class="compare-button compare-actual" aria-pressed="false">${value.actual_name}</button>
    ${value.differences.map((map) => `<button type="button" class="compare-button compare-toggle"
      aria-pressed="false">${map.name}</button>`).join('')}
    </span>
  </figcaption>
</figure>` : ``}
"""

_ON_LOAD = """
const figure = () => element.querySelector('.compare');
const toggles = () => [...element.querySelectorAll('.compare-toggle')];
const show = (index) => {  // which difference map, -1 for none
  toggles().forEach((one, at) => one.setAttribute('aria-pressed', String(at === index)));
  element.querySelectorAll('.compare-difference').forEach((one, at) => one.classList.toggle('is-shown', at === index));
  figure().classList.toggle('is-difference', index >= 0);
};
element.addEventListener('input', (event) => {
  if (event.target.matches('.compare-range')) {
    figure().style.setProperty('--divide', event.target.value + '%');
  }
});
element.addEventListener('click', (event) => {
  const button = event.target.closest('.compare-button');
  if (!button) return;
  const on = button.getAttribute('aria-pressed') !== 'true';
  if (button.matches('.compare-toggle')) {
    show(on ? toggles().indexOf(button) : -1);
    return;
  }
  button.setAttribute('aria-pressed', String(on));
  figure().style.setProperty('--dots', window.devicePixelRatio);
  figure().classList.toggle('is-actual', on);
  const frame = element.querySelector('.compare-frame');
  frame.scrollTo((frame.scrollWidth - frame.clientWidth) / 2, (frame.scrollHeight - frame.clientHeight) / 2);
});
watch('value', () => {
  const range = element.querySelector('.compare-range');
  if (range) range.value = 50;
});
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A difference map: its PNG, and by how much it is amplified."""

    picture: Path
    gain: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two pictures of one size that are shown over each other.

    Attributes:
        before: PNG of what the result is compared with.
        after: PNG of the result.
        height: Rows of both.
        width: Columns of both.
        before_name: What made the one, as a short tag.
        after_name: What made the other.
        note: A sentence under the pictures.
        differences: Maps of where the two differ.
    """

    before: Path
    after: Path
    height: int
    width: int
    before_name: str
    after_name: str
    note: str
    differences: tuple[Difference, ...] = ()


def compare_view(elem_id: str) -> gr.HTML:
    """Returns the component, empty; its values are what :func:`compare_value` returns."""
    return gr.HTML(html_template=_TEMPLATE, js_on_load=_ON_LOAD, apply_default_css=False, elem_id=elem_id)


def compare_value(comparison: Comparison) -> dict[str, Any]:
    """Returns a comparison as the component shows it, all words escaped."""
    before, after = comparison.before_name, comparison.after_name
    return {
        "before": file_value(comparison.before),
        "after": file_value(comparison.after),
        "differences": [_difference_value(one, comparison) for one in comparison.differences],
        "height": comparison.height,
        "width": comparison.width,
        "before_name": html.escape(before),
        "after_name": html.escape(after),
        "note": html.escape(comparison.note),
        "actual_name": html.escape(text.ACTUAL_PIXELS),
        "slider": html.escape(text.COMPARE_SLIDER.format(before=before, after=after)),
        "before_alt": html.escape(_alt(before)),
        "after_alt": html.escape(_alt(after)),
    }


def file_value(path: Path) -> dict[str, Any]:
    """Returns a file in the form in which Gradio copies it to its cache and gives it an address."""
    return {"path": str(path), "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}


def _difference_value(difference: Difference, comparison: Comparison) -> dict[str, Any]:
    alt = text.DIFFERENCE_ALT.format(after=comparison.after_name, before=comparison.before_name, gain=difference.gain)
    return {
        "picture": file_value(difference.picture),
        "name": html.escape(text.DIFFERENCE.format(gain=difference.gain)),
        "alt": html.escape(alt),
    }


def _alt(name: str) -> str:
    return text.PICTURE_ALT.format(name=text.BICUBIC_ALT if name == text.BEFORE else name)
