"""What happens when a visitor compares a full result with that of another variant."""

import tempfile
from collections.abc import Generator
from pathlib import Path

import gradio as gr

from sr_core.errors import OutputError
from ui import text
from ui.cards import panel, stage_panel
from ui.failures import failure_sentence, spoken_error
from ui.jobs import enlarge_photo, photo_path
from ui.pictures import Pair, enlarge, result_views
from ui.studio import Studio
from ui.tabs.closer import Updates, kept_or_decoded, other_release
from ui.tabs.layout import UpscaleView
from ui.tabs.place import Place
from ui.tabs.rows import compare_choices
from ui.widgets.compare import compare_value
from zoo.release import Release

__all__ = ["AgainstHandlers"]


class AgainstHandlers:
    """The handlers of the full comparison.

    Args:
        studio: What the app owns.
        view: The components to read and write.
    """

    def __init__(self, studio: Studio, view: UpscaleView) -> None:
        self._studio, self._view, self._full = studio, view, view.full

    def choose(
        self, uploaded: str | None, result_of: str | None, against: str, place: Place | None
    ) -> Generator[Updates]:
        """Compares the result with another one that is kept or bicubic; else offers to compute it."""
        full = self._full
        yield {full.also_status: "", **self.idle()}
        if result_of is None or place is None:
            return
        try:
            release = self._studio.manifest.release(result_of)
            other = other_release(self._studio, release, against)
            if other is not None and self._studio.kept.get(place.photo, other.id) is None:
                yield {full.also_run: gr.update(value=self._offer(other, place, uploaded), visible=True)}
                return
            with tempfile.TemporaryDirectory(prefix="psr-job-") as folder:
                yield self._compared(release, other, place, uploaded, Path(folder))
        except Exception as error:  # said to the visitor as a sentence, logged where it is a bug
            raise spoken_error(failure_sentence(error)) from error

    def prepare(self) -> Updates:
        """Shows at once that the other result is on its way."""
        full = self._full
        return {
            full.also_run: gr.update(visible=False),
            full.also_cancel: gr.update(visible=True),
            full.also_status: gr.update(value=panel(text.WAITING), visible=True),
        }

    def run(self, uploaded: str | None, result_of: str | None, against: str, place: Place | None) -> Generator[Updates]:
        """Upscales the photo with the other variant as well, keeps that, and compares the two."""
        full = self._full
        yield {full.also_status: panel(text.READING)}
        try:
            path = photo_path(uploaded)
            release = self._studio.manifest.release(result_of or "")
            other = other_release(self._studio, release, against)
            if other is None or place is None:
                yield {full.also_status: "", **self.idle()}
                return
            header = self._studio.sandbox.read_header(path, self._studio.settings.limits)
            job = enlarge_photo(self._studio, path, header, other)
            try:
                while True:
                    yield {full.also_status: stage_panel(next(job))}
            except StopIteration as end:
                self._studio.kept.put(place.photo, other.id, end.value.result)
            finally:
                job.close()
            with tempfile.TemporaryDirectory(prefix="psr-job-") as folder:
                shown = self._compared(release, other, place, uploaded, Path(folder))
                yield {**shown, full.also_status: "", **self.idle()}
        except Exception as error:  # said to the visitor as a sentence, logged where it is a bug
            sentence = failure_sentence(error)
            yield {full.also_status: panel(sentence, "error"), **self.stopped()}
            raise spoken_error(sentence) from error

    def cancelled(self) -> Updates:
        """Offers the job again; the panel is hidden and not written to, as its last progress may arrive after this."""
        return {self._full.also_status: gr.update(visible=False), **self.stopped()}

    def stopped(self) -> Updates:
        """Returns the controls after a job that did not end well or was not taken into the queue."""
        full = self._full
        return {**self.idle(), full.also_run: gr.update(visible=True)}

    def after_run(self, model_id: str) -> Updates:
        """Returns the choices for a result that was just made, which is compared with bicubic."""
        choices = compare_choices(self._studio, model_id)
        return {
            **self.idle(),
            self._full.against: gr.update(choices=choices, value=text.BICUBIC, interactive=True),
            self._full.also_status: gr.update(value="", visible=True),
        }

    def idle(self, *, is_waiting: bool = False) -> Updates:
        """Returns the controls as they are when nothing is computed here; not usable while another job runs."""
        full = self._full
        return {
            full.also_run: gr.update(visible=False),
            full.also_cancel: gr.update(visible=False),
            full.against: gr.update(interactive=not is_waiting),
        }

    def _compared(
        self, release: Release, other: Release | None, place: Place, uploaded: str | None, folder: Path
    ) -> Updates:
        kept = self._studio.kept
        result = kept.get(place.photo, release.id)
        before = None if other is None else kept.get(place.photo, other.id)
        if result is None or (other is not None and before is None):
            raise OutputError(text.RESULT_GONE)
        if before is None:
            before = enlarge(kept_or_decoded(self._studio, place, uploaded), release.variant.spec.scale)
        pair = Pair(
            before=before,
            after=result,
            before_name=text.BEFORE if other is None else other.label,
            after_name=release.label,
            is_close=other is not None,
        )
        return {self._view.comparison: compare_value(result_views(self._studio.sandbox.preview, pair, folder))}

    def _offer(self, other: Release, place: Place, uploaded: str | None) -> str:
        photo = kept_or_decoded(self._studio, place, uploaded)
        seconds = self._studio.speeds.seconds(other, photo.height, photo.width)
        words = text.ALSO_RUN.format(model=other.label)
        return words if seconds is None else f"{words} · {text.ALSO_TIME.format(duration=text.duration_text(seconds))}"
