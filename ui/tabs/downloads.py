"""What happens when a download button is pressed: the file of the variant that it names is made and handed over."""

import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr

from ui.failures import failure_sentence, spoken_error
from ui.kits import copy_weights, kit_offer, make_kit, weights_offer
from ui.studio import Studio
from ui.widgets.download import Offer, offer_value
from ui.widgets.press import pressed_id
from zoo.release import Release

__all__ = ["hand_over", "wire_kit", "wire_weights"]

Make: TypeAlias = Callable[[Studio, Release, Path], Path]
Describe: TypeAlias = Callable[[Release], Offer]


def wire_kit(studio: Studio, button: gr.HTML) -> None:
    """Lets a button hand over the kit that it offers."""
    _wire(studio, button, kit_offer, make_kit)


def wire_weights(studio: Studio, button: gr.HTML) -> None:
    """Lets a button hand over the weights that it offers."""
    _wire(studio, button, weights_offer, copy_weights)


def hand_over(studio: Studio, release_id: str, describe: Describe, make: Make) -> Generator[dict[str, Any]]:
    """Yields the value of the button that was pressed: its offer with the file, or without one before an error.

    A generator, because Gradio copies the file after the yield and before the folder is gone.
    """
    try:
        release = studio.manifest.release(release_id)
    except Exception as error:
        raise spoken_error(failure_sentence(error)) from error
    try:
        with tempfile.TemporaryDirectory(prefix="psr-kit-") as folder:
            yield offer_value(describe(release), make(studio, release, Path(folder)))
    except Exception as error:  # said to the visitor as a sentence, logged where it is a bug
        yield offer_value(describe(release))
        raise spoken_error(failure_sentence(error)) from error


def _wire(studio: Studio, button: gr.HTML, describe: Describe, make: Make) -> None:
    def press(event: gr.EventData) -> Generator[dict[str, Any]]:
        yield from hand_over(studio, pressed_id(event), describe, make)

    button.click(
        fn=press,
        outputs=button,
        concurrency_limit=4,
        concurrency_id="files",
        show_progress="hidden",
        api_visibility="private",
    )
