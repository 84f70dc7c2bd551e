"""Between Gradio's HTML component and the widgets here: fixed content, and what a browser says was pressed."""

from typing import Any, Final, cast

import gradio as gr

__all__ = ["fixed_template", "pressed_id"]

_SPECIAL: Final = str.maketrans({sign: f"&#{ord(sign)};" for sign in "{`\\"})


def fixed_template(content: str) -> str:
    """Returns the template of a component whose content never changes.

    Gradio 6.31 forgets the properties of a component that gets a new value before its tab was ever opened, but not its
    template. Signs that mean something in a template become entities.
    """
    return content.translate(_SPECIAL)


def pressed_id(event: gr.EventData) -> str:
    """Returns the id that came with an event; a browser may send anything, so it must be looked up before use."""
    data = cast(dict[str, Any], event._data or {})  # pyright: ignore[reportPrivateUsage]  # no public way in Gradio 6.31
    return str(data.get("id", ""))
