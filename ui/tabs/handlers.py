"""What happens when a visitor does something on the upscale tab."""

import tempfile
import uuid
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from sr_core.image.header import Header
from sr_core.image.metadata import has_location
from sr_core.image.picture import FORMAT_NAMES, Picture
from ui import text
from ui.cards import facts_card, panel, photo_card, stage_panel
from ui.failures import failure_sentence, spoken_error
from ui.jobs import Finished, Order, photo_path, upscale_photo
from ui.kits import kit_offer
from ui.pictures import Pair, enlarge, result_views, spot_view
from ui.studio import Studio
from ui.tabs.against import AgainstHandlers
from ui.tabs.closer import CloserHandlers, Updates
from ui.tabs.layout import UpscaleView
from ui.tabs.place import Place
from ui.tabs.rows import model_groups, time_note
from ui.tabs.saving import SavingHandlers
from ui.widgets.compare import compare_value
from ui.widgets.download import offer_value
from ui.widgets.grade import grade_value
from ui.widgets.models import table_html
from ui.widgets.spot import spot_value
from zoo.release import Release

__all__ = ["UpscaleHandlers"]


class UpscaleHandlers:
    """The handlers of one app.

    Args:
        studio: What the app owns.
        view: The components to read and write.

    Attributes:
        closer: The handlers of the close look.
        full: The handlers of the full comparison.
        saving: The handlers of the choice of a file.
    """

    def __init__(self, studio: Studio, view: UpscaleView) -> None:
        self._studio, self._view = studio, view
        self.closer = CloserHandlers(studio, view.closer)
        self.full = AgainstHandlers(studio, view)
        self.saving = SavingHandlers(studio, view.saving)

    def open_photo(
        self, uploaded: str | None, model_id: str, save_as: str, remove_location: bool, before: Place | None
    ) -> Generator[Updates]:
        """Shows a photo that was uploaded, or the empty tab when it was taken away; lets go of the one before."""
        view, limits = self._view, self._studio.settings.limits
        if before is not None:
            self._studio.kept.forget(before.photo)
        yield self._emptied()
        if not uploaded:
            return
        yield {view.status: panel(text.READING), view.welcome: gr.update(visible=False)}
        try:
            with _work_folder() as folder:
                path = photo_path(uploaded)
                header = self._studio.sandbox.read_header(path, limits)
                picture = self._studio.sandbox.decode(path, limits)
                order = Order(photo=path, model_id=model_id, save_as=save_as, remove_location=remove_location)
                place = Place(uuid.uuid4().hex)
                self._studio.kept.put(place.photo, "", picture)
                yield {
                    view.facts: gr.update(value=photo_card(header), visible=True),
                    view.models: self._table(header),
                    view.run: gr.update(interactive=True),
                    view.status: "",
                    view.closer.column: gr.update(visible=True),
                    view.closer.picker: spot_value(spot_view(self._studio.sandbox.preview, picture, Path(folder))),
                    view.closer.place: place,
                    **self.saving.opened(header, picture, order),
                }
        except Exception as error:  # said to the visitor as a sentence, logged where it is a bug
            sentence = failure_sentence(error)
            yield {view.status: panel(sentence, "error"), view.welcome: gr.update(visible=True)}
            raise spoken_error(sentence) from error

    def measure(self, uploaded: str | None, model_id: str) -> Generator[Updates]:
        """Measures what is on this machine and has no speed yet, the chosen one first; shows the better times."""
        yield {self._view.models: gr.skip()}
        if not uploaded or not Path(uploaded).is_file():
            return
        try:
            header = self._studio.sandbox.read_header(Path(uploaded), self._studio.settings.limits)
            for release in self._chosen_first(model_id):
                if self._studio.speeds.of(release) is None and self._studio.zoo.files.is_here(release.weights):
                    self._studio.speeds.measure(release, self._studio.models.get(release.id))
                    yield {self._view.models: self._table(header)}
        except Exception as error:  # said to the visitor as a sentence, logged where it is a bug
            raise spoken_error(failure_sentence(error)) from error

    def prepare_run(self) -> Updates:
        """Shows at once that the job is on its way."""
        return {
            self._view.status: gr.update(value=panel(text.WAITING), visible=True),
            self._view.outcome: "",
            **self._buttons(is_running=True),
            **self.closer.idle(),
            **self.full.idle(is_waiting=True),
            self._view.full.also_status: gr.update(visible=False),
        }

    def run(
        self,
        uploaded: str | None,
        model_id: str,
        save_as: str,
        remove_location: bool,
        against: str,
        place: Place | None,
    ) -> Generator[Updates]:
        """Upscales the photo; closing it stops the computation and removes what it has written."""
        view = self._view
        try:
            with _work_folder() as folder:
                order = Order(
                    photo=photo_path(uploaded), model_id=model_id, save_as=save_as, remove_location=remove_location
                )
                job = upscale_photo(self._studio, order, Path(folder))
                try:
                    while True:
                        yield {view.status: stage_panel(next(job))}
                except StopIteration as end:
                    finished: Finished = end.value
                finally:
                    job.close()
                handed_over = self._handed_over(finished)
                try:
                    shown = self._shown(finished, against, place, Path(folder))
                except Exception:
                    yield handed_over  # the file is there, whatever became of its pictures
                    raise
                # At once, because Gradio 6.31 may lose the first values of a widget that appears between two updates.
                yield {**handed_over, **shown}
        except Exception as error:  # said to the visitor as a sentence, logged where it is a bug
            sentence = failure_sentence(error)
            yield {view.status: panel(sentence, "error"), **self.not_started()}
            raise spoken_error(sentence) from error

    def cancelled(self) -> Updates:
        """Says that the job has stopped.

        The panel of the job is hidden and not written to, because its last progress may arrive after this.
        """
        return {
            self._view.status: gr.update(visible=False),
            self._view.outcome: panel(text.CANCELLED, "quiet"),
            **self.not_started(),
        }

    def not_started(self) -> Updates:
        """Puts the buttons back after a job that failed or was not taken into the queue."""
        return {**self._buttons(is_running=False), **self.full.idle()}

    def _handed_over(self, finished: Finished) -> Updates:
        """Returns the file and what is known of it, which is handed over even when its pictures cannot be shown."""
        view, release = self._view, finished.release
        return {
            view.result: gr.update(visible=True),
            view.result_facts: facts_card(_result_facts(finished), _result_notices(finished)),
            view.result_of: release.id,
            view.comparison: None,
            view.grade: None,
            view.download: str(finished.file.path),
            view.kit: offer_value(kit_offer(release)),
        }

    def _shown(self, finished: Finished, against: str, place: Place | None, folder: Path) -> Updates:
        view, release = self._view, finished.release
        enlarged = enlarge(finished.photo, release.variant.spec.scale)
        pair = Pair(before=enlarged, after=finished.result, before_name=text.BEFORE, after_name=release.label)
        updates: Updates = {
            view.status: "",
            view.comparison: compare_value(result_views(self._studio.sandbox.preview, pair, folder)),
            view.grade: self._asked_grade(finished, place),
            view.models: self._table(finished.photo),
            **self.full.after_run(release.id),
            **self._buttons(is_running=False),
        }
        if place is not None:
            self._studio.kept.put(place.photo, release.id, finished.result)
            updates |= self.closer.after_run(release, against, place, finished.photo, folder)
        return updates

    def _asked_grade(self, finished: Finished, place: Place | None) -> dict[str, Any] | None:
        """Returns what lets the visitor grade a result, of which nothing but a random word is told; None without."""
        if self._studio.booth is None:
            return None
        photo = uuid.uuid4().hex if place is None else place.photo
        return grade_value(self._studio.booth.own_ticket(finished.release.id, photo), finished.result.width)

    def _chosen_first(self, model_id: str) -> Sequence[Release]:
        return sorted(self._studio.manifest.releases, key=lambda release: release.id != model_id)

    def _table(self, photo: Header | Picture | None) -> dict[str, Any]:
        return gr.update(table=table_html(model_groups(self._studio, photo), time_note(self._studio, photo)))

    def _emptied(self) -> Updates:
        view = self._view
        return {
            view.facts: gr.update(value="", visible=False),
            view.models: self._table(None),
            view.run: gr.update(interactive=False, visible=True),
            view.cancel: gr.update(visible=False),
            view.status: gr.update(value="", visible=True),
            view.outcome: "",
            view.welcome: gr.update(visible=True),
            view.result: gr.update(visible=False),
            view.result_of: None,
            view.comparison: None,
            view.grade: None,
            view.download: None,
            view.kit: None,
            view.full.also_status: "",
            **self.full.idle(),
            **self.closer.emptied(),
            **self.saving.emptied(),
        }

    def _buttons(self, *, is_running: bool) -> Updates:
        return {
            self._view.run: gr.update(visible=not is_running),
            self._view.cancel: gr.update(visible=is_running),
        }


def _work_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="psr-job-")


def _result_facts(finished: Finished) -> list[str]:
    photo, result, file = finished.photo, finished.result, finished.file
    return [
        finished.release.label,
        f"{photo.width} × {photo.height} → {result.width} × {result.height}",
        f"{FORMAT_NAMES[file.format]}, {text.size_text(file.size_bytes)}",
        f"{text.tiles_text(finished.tiles)} in {text.duration_text(finished.seconds)}",
    ]


def _result_notices(finished: Finished) -> list[str]:
    """Returns what got lost on the way, and what may be more than the visitor wants to pass on."""
    metadata = finished.photo.metadata
    if finished.has_location:
        return [*finished.notices, text.LOCATION_KEPT]
    if has_location(metadata):
        return [*finished.notices, text.LOCATION_REMOVED]
    return [*finished.notices, *([text.EXIF_KEPT] if metadata.exif is not None else [])]
