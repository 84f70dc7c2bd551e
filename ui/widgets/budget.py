"""Numbers that a visitor may change, and what is drawn from them: the server draws it anew or says why not.

The answer comes through a component of its own, so that the one that holds the drawing keeps its value.
"""

import html
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import gradio as gr

from ui.widgets.sheet import Html

__all__ = ["ASK_BUDGET", "Quantity", "asked_words", "budget_answer", "budget_html", "drawn_value", "refused_value"]

ASK_BUDGET: Final = """
// One question at a time, and the last one is always asked.
let until = 0, again = false;
const ask = (form) => {
  again = Date.now() < until;
  if (again) return;
  until = Date.now() + 10_000;  // an answer that got lost must not hold up others for ever
  trigger('submit', Object.fromEntries(new FormData(form)));
};
element.addEventListener('submit', (event) => { event.preventDefault(); ask(event.target); });
element.addEventListener('change', (event) => {
  const form = event.target.closest('.budget form');
  if (form) ask(form);
});
element.addEventListener('answered', (event) => {
  paint();
  until = 0;
  if (again) ask(event.target.querySelector('form'));
});
"""
"""What ``variant_plots`` runs besides when they hold a budget; ``submit`` is triggered, see :func:`asked_words`."""

_ON_ANSWER: Final = """
watch('value', () => {
  const answer = props.value, budget = document.querySelector('#ELEM_ID .budget');
  if (!answer || !budget) return;
  budget.querySelector('[role=alert]').textContent = answer.refusal;
  for (const field of budget.querySelectorAll('input')) {
    field.setAttribute('aria-invalid', String(field.name === answer.refused));
  }
  if (answer.drawn) budget.querySelector('.budget-drawn').innerHTML = answer.drawn;
  budget.dispatchEvent(new Event('answered', {bubbles: true}));
});
"""
_MOST_SIGNS: Final = 20
"""Of what a browser sent, more is not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number that may be changed: its name in what is sent, what stands beside it, and what it is at first."""

    name: str
    words: str
    value: str


def budget_html(legend: str, quantities: Sequence[Quantity], drawn: Html) -> Html:
    """Returns what is drawn from the first values, and the fields; ``legend`` says what they are for."""
    fields = "".join(
        f'<label><span>{html.escape(one.words)}</span><input name="{html.escape(one.name)}" type="text" '
        f'inputmode="decimal" autocomplete="off" value="{html.escape(one.value)}"></label>'
        for one in quantities
    )
    return Html(
        f'<div class="budget"><div class="budget-drawn">{drawn}</div>'
        f'<form novalidate aria-label="{html.escape(legend)}">{fields}<p role="alert"></p></form></div>'
    )


def budget_answer(elem_id: str) -> gr.HTML:
    """Returns the component that takes the answers; nobody sees it.

    Args:
        elem_id: The id of the element that holds the budget.
    """
    return gr.HTML(
        js_on_load=_ON_ANSWER.replace("ELEM_ID", elem_id),
        apply_default_css=False,
        visible="hidden",
        elem_id=f"{elem_id}-budget",
    )


def asked_words(event: gr.EventData, name: str) -> str:
    """Returns what a visitor wrote into a field; a browser may send anything."""
    data = cast(dict[str, Any], event._data or {})  # pyright: ignore[reportPrivateUsage]  # no public way in Gradio 6.31
    return str(data.get(name, ""))[:_MOST_SIGNS].strip()


def drawn_value(drawn: Html) -> dict[str, str]:
    """Returns the answer with a new drawing."""
    return _answer(drawn=drawn)


def refused_value(name: str, sentence: str) -> dict[str, str]:
    """Returns the answer that says which field cannot be taken and why; the drawing stays."""
    return _answer(refused=name, refusal=sentence)


def _answer(*, drawn: str = "", refused: str = "", refusal: str = "") -> dict[str, str]:
    key = uuid.uuid4().hex  # another one each time, or a second equal answer would not be noticed
    return {"drawn": drawn, "refused": refused, "refusal": refusal, "key": key}
