"""What happens when a download button is pressed: the file of the variant that it names is made and handed over."""

import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr

from ui.failures import failure_sentence, spoken_error
from ui.kits import copy_weights, make_kit
from ui.studio import Studio
from ui.widgets.download import answer_value, download_answer
from ui.widgets.press import pressed_id
from zoo.release import Release

__all__ = ["hand_over", "wire_kit", "wire_weights"]

Make: TypeAlias = Callable[[Studio, Release, Path], Path]


def wire_kit(studio: Studio, button: gr.HTML) -> None:
    """Lets a button hand over the kit that it offers; must be called inside a Blocks context."""
    _wire(studio, button, make_kit)


def wire_weights(studio: Studio, button: gr.HTML) -> None:
    """Lets a button hand over the weights that it offers; must be called inside a Blocks context."""
    _wire(studio, button, copy_weights)


def hand_over(studio: Studio, release_id: str, make: Make) -> Generator[dict[str, Any]]:
    """Yields the answer to a press: the file, and of which variant it is. What is on offer stays as it is.

    A generator, because Gradio copies the file after the yield and before the folder is gone.
    """
    try:
        release = studio.manifest.release(release_id)
        with tempfile.TemporaryDirectory(prefix="psr-kit-") as folder:
            yield answer_value(release.id, make(studio, release, Path(folder)))
    except Exception as error:  # said to the visitor as a sentence, logged where it is a bug
        raise spoken_error(failure_sentence(error)) from error


def _wire(studio: Studio, button: gr.HTML, make: Make) -> None:
    def press(event: gr.EventData) -> Generator[dict[str, Any]]:
        yield from hand_over(studio, pressed_id(event), make)

    answer = download_answer(str(button.elem_id))
    pressed = button.click(
        fn=press,
        outputs=answer,
        concurrency_limit=4,
        concurrency_id="files",
        trigger_mode="multiple",  # the file of one variant may take its time while that of another is asked for
        show_progress="hidden",
        api_visibility="private",
    )
    # Also a press that the queue did not take must not leave the button busy.
    pressed.failure(fn=answer_value, outputs=answer, queue=False, show_progress="hidden", api_visibility="private")
