"""A button that has a file made when it is pressed, and downloads it: what it offers is what it says on it.

``gr.DownloadButton`` 6.31 needs its file before it is pressed; here the press itself names the file, so that a button
can never hand out what an earlier choice was.
"""

import html
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gradio as gr

from ui.widgets.compare import file_value

__all__ = ["Offer", "download_button", "offer_value"]

_TEMPLATE: Final = """
${value ? `
<div class="offer"><button type="button" class="offer-button" ${value.reason ? 'disabled' : ''}
  aria-describedby="${value.key}">
  <span class="offer-words">${value.words}</span><span class="offer-detail">${value.detail}</span></button>
<p class="offer-reason" id="${value.key}">${value.reason}</p></div>` : ``}
"""

_ON_LOAD: Final = """
const button = () => element.querySelector('.offer-button');
element.addEventListener('click', (event) => {
  if (!event.target.closest('.offer-button') || button().getAttribute('aria-busy') === 'true') return;
  button().setAttribute('aria-busy', 'true');
  button().querySelector('.offer-words').textContent = props.value.busy;
  trigger('click', {id: props.value.id});
});
watch('value', () => {
  if (!props.value?.file) return;
  const link = document.createElement('a');
  link.href = props.value.file.url;
  link.download = props.value.file.orig_name;
  link.click();
});
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A file that can be had.

    Attributes:
        id: What it belongs to; the press hands it back.
        words: What the button says.
        busy: What it says while the file is made.
        detail: Of what the file is, and how long.
        reason: Why it cannot be had; the button is disabled then. Empty when it can.
    """

    id: str
    words: str
    busy: str
    detail: str
    reason: str = ""


def download_button(elem_id: str, offer: Offer | None = None) -> gr.HTML:
    """Returns the component; ``click`` is triggered by a press, and ``pressed_id`` says of what."""
    return gr.HTML(
        None if offer is None else offer_value(offer),
        html_template=_TEMPLATE,
        js_on_load=_ON_LOAD,
        apply_default_css=False,
        elem_id=elem_id,
    )


def offer_value(offer: Offer, file: Path | None = None) -> dict[str, Any]:
    """Returns an offer as the component shows it, all words escaped; with a file, the browser downloads it."""
    return {
        "id": offer.id,
        "words": html.escape(offer.words),
        "busy": offer.busy,
        "detail": html.escape(offer.detail),
        "reason": html.escape(offer.reason),
        "file": None if file is None else file_value(file),
        "key": f"offer-{uuid.uuid4().hex}",  # another one each time, or a second press would not be noticed
    }
