"""Before and after under one divider, with a difference map: lossless, and usable by keyboard.

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

__all__ = ["Comparison", "compare_value", "compare_view", "file_value"]

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
    ${value.difference ? `<img class="compare-difference" src="${value.difference.url}"
      alt="${value.difference_alt}" draggable="false">` : ``}
  </div></div>
  <figcaption>
    <span class="compare-note">${value.note}</span>
    <button type="button" class="compare-button compare-actual" aria-pressed="false">${value.actual_name}</button>
    ${value.difference ? `<button type="button" class="compare-button compare-toggle" aria-pressed="false"
      >${value.difference_name}</button>` : ``}
  </figcaption>
</figure>` : ``}
"""

_ON_LOAD = """
const figure = () => element.querySelector('.compare');
element.addEventListener('input', (event) => {
  if (event.target.matches('.compare-range')) {
    figure().style.setProperty('--divide', event.target.value + '%');
  }
});
element.addEventListener('click', (event) => {
  const button = event.target.closest('.compare-button');
  if (!button) return;
  const on = button.getAttribute('aria-pressed') !== 'true';
  button.setAttribute('aria-pressed', String(on));
  if (button.matches('.compare-toggle')) {
    figure().classList.toggle('is-difference', on);
    return;
  }
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
class Comparison:
    """Two pictures of one size that are shown over each other.

    Attributes:
        before: PNG of bicubic enlargement.
        after: PNG of the model's result.
        height: Rows of both.
        width: Columns of both.
        after_name: What made the result, as a short tag.
        note: A sentence under the pictures.
        difference: PNG of the difference map, or None.
        difference_name: What the button says that shows it.
    """

    before: Path
    after: Path
    height: int
    width: int
    after_name: str
    note: str
    difference: Path | None = None
    difference_name: str = ""


def compare_view(elem_id: str) -> gr.HTML:
    """Returns the component, empty; its values are what :func:`compare_value` returns."""
    return gr.HTML(html_template=_TEMPLATE, js_on_load=_ON_LOAD, apply_default_css=False, elem_id=elem_id)


def compare_value(comparison: Comparison) -> dict[str, Any]:
    """Returns a comparison as the component shows it, all words escaped."""
    difference = comparison.difference
    return {
        "before": file_value(comparison.before),
        "after": file_value(comparison.after),
        "difference": None if difference is None else file_value(difference),
        "height": comparison.height,
        "width": comparison.width,
        "before_name": html.escape(text.BEFORE),
        "after_name": html.escape(comparison.after_name),
        "note": html.escape(comparison.note),
        "difference_name": html.escape(comparison.difference_name),
        "actual_name": html.escape(text.ACTUAL_PIXELS),
        "slider": html.escape(text.COMPARE_SLIDER),
        "before_alt": html.escape(text.BEFORE_ALT),
        "after_alt": html.escape(text.AFTER_ALT),
        "difference_alt": html.escape(text.DIFFERENCE_ALT),
    }


def file_value(path: Path) -> dict[str, Any]:
    """Returns a file in the form in which Gradio copies it to its cache and gives it an address."""
    return {"path": str(path), "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}
