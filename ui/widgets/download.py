"""A button that has a file made when it is pressed, and downloads it: what it offers is what it says on it.

``gr.DownloadButton`` 6.31 needs its file before it is pressed; here the press itself names the file. The answer to a
press goes to a component of its own: it downloads the file while the button still offers what was pressed, and never
changes what is on offer, however late it comes.
"""

import html
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gradio as gr

from ui.widgets.compare import file_value

__all__ = ["Offer", "answer_value", "download_answer", "download_button", "offer_value"]

_TEMPLATE: Final = """
${value ? `
<div class="offer" data-id="${value.id}" data-words="${value.words}">
<button type="button" class="offer-button" ${value.reason ? 'disabled' : ''} aria-describedby="${value.key}">
  <span class="offer-words">${value.words}</span><span class="offer-detail">${value.detail}</span></button>
<p class="offer-reason" id="${value.key}">${value.reason}</p></div>` : ``}
"""

_ON_LOAD: Final = """
const button = () => element.querySelector('.offer-button');
element.addEventListener('click', (event) => {
  if (!event.target.closest('.offer-button') || button().getAttribute('aria-busy') === 'true') return;
  button().setAttribute('aria-busy', 'true');
  button().querySelector('.offer-words').textContent = props.value.busy;
  trigger('click', {id: element.querySelector('.offer').dataset.id});
});
"""

_ON_ANSWER: Final = """
watch('value', () => {
  const answer = props.value, offer = document.querySelector('#ELEM_ID .offer');
  if (!answer || !offer || (answer.id && answer.id !== offer.dataset.id)) return;
  const button = offer.querySelector('.offer-button');
  button.removeAttribute('aria-busy');
  button.querySelector('.offer-words').textContent = offer.dataset.words;
  if (!answer.file) return;
  const link = document.createElement('a');
  link.href = answer.file.url;
  link.download = answer.file.orig_name;
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


def download_answer(elem_id: str) -> gr.HTML:
    """Returns the component that takes the answers to presses of a button; nobody sees it.

    Args:
        elem_id: The element's id of the button.
    """
    return gr.HTML(
        js_on_load=_ON_ANSWER.replace("ELEM_ID", elem_id),
        apply_default_css=False,
        visible="hidden",
        elem_id=f"{elem_id}-answer",
    )


def offer_value(offer: Offer) -> dict[str, Any]:
    """Returns an offer as the button shows it, the id and all words escaped."""
    return {
        "id": html.escape(offer.id),
        "words": html.escape(offer.words),
        "busy": offer.busy,
        "detail": html.escape(offer.detail),
        "reason": html.escape(offer.reason),
        "key": f"offer-{uuid.uuid4().hex}",
    }


def answer_value(offer_id: str = "", file: Path | None = None) -> dict[str, Any]:
    """Returns the answer to a press, which lets the button be pressed again.

    Args:
        offer_id: What was pressed: a button that offers something else by now takes no notice. Empty for whatever is on
            offer.
        file: What the browser downloads, or None when it could not be made.
    """
    return {
        "id": offer_id,
        "file": None if file is None else file_value(file),
        "key": uuid.uuid4().hex,  # another one each time, or a second equal answer would not be noticed
    }
