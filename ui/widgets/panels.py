"""One of several contents at a time, chosen by radio buttons or in a list; arrow keys go from one to the next."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ui.widgets.sheet import Html

__all__ = ["SWITCH_PANELS", "Panel", "listed_panels_html", "panels_html"]

SWITCH_PANELS: Final = """
element.addEventListener('change', (event) => {
  const choice = event.target.closest('.panels-choice');
  if (!choice) return;
  for (const one of choice.parentElement.children) {
    if (one.dataset.panel) one.hidden = one.dataset.panel !== event.target.value;
  }
});
"""
"""What a component runs that holds panels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A content and the word on its button."""

    words: str
    content: Html


def panels_html(group: str, legend: str, panels: Sequence[Panel]) -> Html:
    """Returns a row of buttons and the panels, the first of them on show; one panel alone needs no button.

    Args:
        group: A word that no other group on the page has.
        legend: What is chosen, for those who do not see it.
        panels: At least one; they may hold panels themselves.
    """
    buttons = "".join(
        f'<label><input type="radio" name="{html.escape(group)}" value="{at}"{"" if at else " checked"}>'
        f"<span>{html.escape(panel.words)}</span></label>"
        for at, panel in enumerate(panels)
    )
    choice = (
        f'<fieldset class="panels-choice"><legend class="unseen">{html.escape(legend)}</legend>{buttons}</fieldset>'
    )
    return _chosen(choice, panels)


def listed_panels_html(legend: str, panels: Sequence[Panel]) -> Html:
    """Returns the same with a list to choose from, for panels with longer words, or many.

    Args:
        legend: What is chosen; it stands before the list.
        panels: At least one.
    """
    options = "".join(f'<option value="{at}">{html.escape(panel.words)}</option>' for at, panel in enumerate(panels))
    choice = (
        f'<label class="panels-choice panels-list"><span>{html.escape(legend)}</span>'
        f'<select autocomplete="off">{options}</select></label>'
    )
    return _chosen(choice, panels)


def _chosen(choice: str, panels: Sequence[Panel]) -> Html:
    if len(panels) == 1:
        return panels[0].content
    contents = "".join(
        f'<div data-panel="{at}"{" hidden" if at else ""}>{panel.content}</div>' for at, panel in enumerate(panels)
    )
    return Html(f'<div class="panels">{choice}{contents}</div>')
