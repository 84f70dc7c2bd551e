"""What happens when a visitor chooses the file of the result: the choices fit the photo, and losses are said before."""

from dataclasses import replace

import gradio as gr

from sr_core.errors import OutputError
from sr_core.image.encode import losses
from sr_core.image.header import Header
from sr_core.image.metadata import has_location
from sr_core.image.picture import Picture
from ui import text
from ui.cards import losses_card, refusal_card
from ui.failures import failure_sentence, spoken_error
from ui.jobs import Order, check_result, chosen_format, photo_path
from ui.studio import Studio
from ui.tabs.closer import Updates
from ui.tabs.layout import SavingView
from ui.tabs.place import Place

__all__ = ["SavingHandlers"]


class SavingHandlers:
    """The handlers of the choice of a file.

    Args:
        studio: What the app owns.
        view: The components to read and write.
    """

    def __init__(self, studio: Studio, view: SavingView) -> None:
        self._studio, self._view = studio, view

    def opened(self, header: Header, photo: Picture, order: Order) -> Updates:
        """Returns the choices for a photo that was opened; what was chosen before stays where it still can."""
        offered = text.format_choices(header.format)
        save_as = order.save_as if order.save_as in {value for _, value in offered} else text.AS_THE_PHOTO
        return {
            self._view.save_as: gr.update(choices=offered, value=save_as),
            self._view.remove_location: gr.update(visible=has_location(photo.metadata)),
            **self._told(_known(header, photo), replace(order, save_as=save_as)),
        }

    def choose(
        self, uploaded: str | None, model_id: str, save_as: str, remove_location: bool, place: Place | None
    ) -> Updates:
        """Says what of the photo will not be in the file that is chosen now."""
        if not uploaded or place is None:
            return {self._view.losses: gr.skip()}
        try:
            photo = photo_path(uploaded)
            header = self._studio.sandbox.read_header(photo, self._studio.settings.limits)
            order = Order(photo=photo, model_id=model_id, save_as=save_as, remove_location=remove_location)
            return self._told(_known(header, self._studio.kept.get(place.photo)), order)
        except Exception as error:  # said to the visitor as a sentence, logged where it is a bug
            raise spoken_error(failure_sentence(error)) from error

    def emptied(self) -> Updates:
        """Returns what is shown without a photo."""
        return {
            self._view.save_as: gr.update(choices=text.format_choices(None)),
            self._view.remove_location: gr.update(visible=False),
            self._view.losses: gr.update(value="", visible=False),
        }

    def _told(self, header: Header, order: Order) -> Updates:
        photo_format = chosen_format(order.save_as, header.format)
        try:
            check_result(header, self._studio.manifest.release(order.model_id), photo_format)
            lost = losses(header, photo_format, remove_location=order.remove_location)
            card = losses_card(lost, photo_format)
        except OutputError as error:
            card = refusal_card(str(error))
        return {self._view.losses: gr.update(value=card, visible=True)}


def _known(header: Header, photo: Picture | None) -> Header:
    """Returns the header with what only the pixels told, where these are there."""
    return header if photo is None else replace(header, metadata=photo.metadata, notices=photo.notices)
