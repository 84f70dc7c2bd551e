"""What happens when a visitor does something on the upscale tab."""

import tempfile
import uuid
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr
from gradio.blocks import Block

from sr_core.image.decode import decode, read_header
from sr_core.image.header import Header
from sr_core.image.picture import Picture
from sr_core.infer.upscale import upscale
from ui import text
from ui.cards import facts_card, panel, photo_card, progress_panel
from ui.failures import failure_sentence, spoken_error
from ui.jobs import Finished, Order, Stage, photo_path, upscale_photo
from ui.pictures import crop, enlarge, result_views, spot_box, spot_comparison, spot_view
from ui.studio import Studio
from ui.tabs.layout import UpscaleView
from ui.tabs.place import Place
from ui.tabs.rows import model_rows, time_note
from ui.widgets.compare import compare_value
from ui.widgets.models import table_html
from ui.widgets.spot import Spot, spot_of, spot_value

__all__ = ["Place", "UpscaleHandlers"]

Updates: TypeAlias = dict[Block, Any]
"""New values of components; those that are not named stay as they are."""


class UpscaleHandlers:
    """The handlers of one app.

    Args:
        studio: What the app owns.
        view: The components to read and write.
    """

    def __init__(self, studio: Studio, view: UpscaleView) -> None:
        self._studio, self._view = studio, view

    def open_photo(self, uploaded: str | None, model_id: str, before: Place | None) -> Generator[Updates]:
        """Shows a photo that was uploaded, or the empty tab when it was taken away; lets go of the one before."""
        view, limits = self._view, self._studio.settings.limits
        if before is not None:
            self._studio.kept.forget(before.photo)
        yield self._emptied(model_id)
        if not uploaded:
            return
        yield {view.status: panel(text.READING), view.welcome: gr.update(visible=False)}
        try:
            with _work_folder() as folder:
                path = photo_path(uploaded)
                header = read_header(path, limits)
                picture = decode(path, limits)
                place = Place(uuid.uuid4().hex)
                self._studio.kept.put(place.photo, "", picture)
                yield {
                    view.facts: gr.update(value=photo_card(header, picture.notices), visible=True),
                    view.models: self._table(model_id, header),
                    view.run: gr.update(interactive=True),
                    view.status: "",
                    view.closer: gr.update(visible=True),
                    view.picker: spot_value(spot_view(picture, Path(folder))),
                    view.place: place,
                }
        except Exception as error:  # said to the visitor as a sentence, logged where it is a bug
            sentence = failure_sentence(error)
            yield {view.status: panel(sentence, "error"), view.welcome: gr.update(visible=True)}
            raise spoken_error(sentence) from error

    def move_spot(self, place: Place | None, event: gr.EventData) -> Place | None:
        """Returns the place that was picked."""
        return None if place is None else replace(place, spot=spot_of(event))

    def try_spot(self, uploaded: str | None, model_id: str, place: Place | None) -> Generator[Updates]:
        """Shows the square at full size: cut from this model's result while that is kept, else computed."""
        view, kept = self._view, self._studio.kept
        if place is None:  # a generator of Gradio must yield, or the queue's place is never given back
            yield {view.try_spot: gr.skip()}
            return
        idle = self._idle_spot()
        yield {view.try_spot: gr.update(value=text.TRYING, interactive=False)}
        try:
            with _work_folder() as folder:
                picture = kept.get(place.photo)
                if picture is None:
                    picture = decode(photo_path(uploaded), self._studio.settings.limits)
                result = kept.get(place.photo, model_id)
                if result is not None:
                    shown = self._cut(picture, result, model_id, place.spot, Path(folder))
                else:
                    shown = yield from self._computed(picture, model_id, place.spot, Path(folder))
                yield {view.spot_comparison: shown, **idle}
        except Exception as error:  # said to the visitor as a sentence, logged where it is a bug
            yield idle
            raise spoken_error(failure_sentence(error)) from error

    def measure(self, uploaded: str | None, model_id: str) -> Generator[Updates]:
        """Measures the models whose speed here is not known yet, and shows the better times."""
        yield {self._view.models: gr.skip()}
        if not uploaded or not Path(uploaded).is_file():
            return
        try:
            header = read_header(Path(uploaded), self._studio.settings.limits)
            for release in self._studio.manifest.releases:
                if self._studio.speeds.of(release) is None:
                    self._studio.speeds.measure(self._studio.models.get(release.id))
                    yield {self._view.models: self._table(model_id, header)}
        except Exception as error:  # said to the visitor as a sentence, logged where it is a bug
            raise spoken_error(failure_sentence(error)) from error

    def prepare_run(self) -> Updates:
        """Shows at once that the job is on its way."""
        return {
            self._view.status: gr.update(value=panel(text.WAITING), visible=True),
            self._view.outcome: "",
            **self._buttons(is_running=True),
            **self._idle_spot(),
        }

    def run(self, uploaded: str | None, model_id: str, save_as: str, place: Place | None) -> Generator[Updates]:
        """Upscales the photo; closing it stops the computation and removes what it has written."""
        view = self._view
        try:
            with _work_folder() as folder:
                order = Order(photo=photo_path(uploaded), model_id=model_id, save_as=save_as)
                job = upscale_photo(self._studio, order, Path(folder))
                try:
                    while True:
                        yield {view.status: _stage_panel(next(job))}
                except StopIteration as end:
                    finished: Finished = end.value
                finally:
                    job.close()
                yield self._shown(finished, place, Path(folder))
        except Exception as error:  # said to the visitor as a sentence, logged where it is a bug
            sentence = failure_sentence(error)
            yield {view.status: panel(sentence, "error"), **self._buttons(is_running=False)}
            raise spoken_error(sentence) from error

    def cancelled(self) -> Updates:
        """Says that the job has stopped.

        The panel of the job is hidden and not written to, because its last progress may arrive after this.
        """
        return {
            self._view.status: gr.update(visible=False),
            self._view.outcome: panel(text.CANCELLED, "quiet"),
            **self._buttons(is_running=False),
        }

    def not_started(self) -> Updates:
        """Puts the buttons back after a job that failed or was not taken into the queue."""
        return self._buttons(is_running=False)

    def _shown(self, finished: Finished, place: Place | None, folder: Path) -> Updates:
        view, release = self._view, finished.release
        label, scale = release.label, release.variant.spec.scale
        enlarged = enlarge(finished.photo, scale)
        updates: Updates = {
            view.status: "",
            view.result: gr.update(visible=True),
            view.result_facts: facts_card(_result_facts(finished), _result_notices(finished)),
            view.comparison: compare_value(result_views(enlarged, finished.result, folder, label)),
            view.download: str(finished.file.path),
            view.models: self._table(release.id, finished.photo),
            **self._buttons(is_running=False),
        }
        if place is not None:
            self._studio.kept.put(place.photo, release.id, finished.result)
            updates[view.spot_comparison] = self._cut(finished.photo, finished.result, release.id, place.spot, folder)
        return updates

    def _cut(self, photo: Picture, result: Picture, model_id: str, spot: Spot, folder: Path) -> dict[str, Any]:
        release = self._studio.manifest.release(model_id)
        scale = release.variant.spec.scale
        box = spot_box(photo.height, photo.width, spot)
        comparison = spot_comparison(
            enlarge(crop(photo, box), scale),
            crop(result, box.scaled(scale)),
            folder,
            after_name=release.label,
            note=text.SPOT_FROM_RESULT.format(model=release.label),
        )
        return compare_value(comparison)

    def _computed(
        self, photo: Picture, model_id: str, spot: Spot, folder: Path
    ) -> Generator[Updates, None, dict[str, Any]]:
        release = self._studio.manifest.release(model_id)
        model = self._studio.models.get(model_id)
        part = crop(photo, spot_box(photo.height, photo.width, spot))
        seconds = 0.0
        with closing(upscale(part, model.engine, model.tiling)) as work:
            while True:
                try:
                    tile = next(work)
                except StopIteration as end:
                    sharp: Picture = end.value
                    break
                seconds = tile.seconds
                words = text.TRYING_PART.format(done=tile.done, total=tile.total)
                yield {self._view.try_spot: gr.update(value=words, interactive=False)}
        self._studio.speeds.record(release, part.height, part.width, seconds)
        duration = text.duration_text(seconds)
        comparison = spot_comparison(
            enlarge(part, release.variant.spec.scale),
            sharp,
            folder,
            after_name=release.label,
            note=text.SPOT_FROM_MODEL.format(
                model=release.label, width=part.width, height=part.height, duration=duration
            ),
        )
        return compare_value(comparison)

    def _table(self, model_id: str, photo: Header | Picture | None) -> dict[str, Any]:
        rows, note = model_rows(self._studio, photo), time_note(self._studio, photo)
        return gr.update(table=table_html(rows, model_id, note))

    def _emptied(self, model_id: str) -> Updates:
        view = self._view
        return {
            view.facts: gr.update(value="", visible=False),
            view.models: self._table(model_id, None),
            view.run: gr.update(interactive=False, visible=True),
            view.cancel: gr.update(visible=False),
            view.status: gr.update(value="", visible=True),
            view.outcome: "",
            view.welcome: gr.update(visible=True),
            view.result: gr.update(visible=False),
            view.closer: gr.update(visible=False),
            view.comparison: None,
            view.spot_comparison: None,
            view.download: None,
            view.place: None,
            **self._idle_spot(),
        }

    def _idle_spot(self) -> Updates:
        return {self._view.try_spot: gr.update(value=text.TRY_SPOT, interactive=True)}

    def _buttons(self, *, is_running: bool) -> Updates:
        return {
            self._view.run: gr.update(visible=not is_running),
            self._view.cancel: gr.update(visible=is_running),
        }


def _work_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="psr-job-")


def _stage_panel(stage: Stage) -> str:
    if not stage.total:
        return panel(stage.words)
    return progress_panel(stage.words, stage.detail, stage.done, stage.total)


def _result_facts(finished: Finished) -> list[str]:
    photo, result, file = finished.photo, finished.result, finished.file
    return [
        finished.release.label,
        f"{photo.width} × {photo.height} → {result.width} × {result.height}",
        f"{text.FORMAT_LABELS[file.format]}, {text.size_text(file.size_bytes)}",
        f"{text.tiles_text(finished.tiles)} in {text.duration_text(finished.seconds)}",
    ]


def _result_notices(finished: Finished) -> list[str]:
    """Returns what got lost on the way, and what may be more than the visitor wants to pass on."""
    has_exif = finished.photo.metadata.exif is not None
    return [*finished.notices, *([text.EXIF_KEPT] if has_exif else [])]
