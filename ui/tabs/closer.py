"""What happens when a visitor looks closer: a square of the photo at full size, beside bicubic or another variant."""

import tempfile
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr
from gradio.blocks import Block

from sr_core.image.picture import Picture
from sr_core.infer.upscale import upscale
from ui import text
from ui.failures import failure_sentence, spoken_error
from ui.jobs import photo_path
from ui.pictures import Box, Pair, crop, enlarge, spot_box, spot_comparison
from ui.studio import Studio
from ui.tabs.layout import CloserView
from ui.tabs.place import Place
from ui.tabs.rows import compare_choices
from ui.widgets.compare import Comparison, compare_value
from ui.widgets.spot import spot_of
from zoo.release import Release

__all__ = ["CloserHandlers", "Updates", "kept_or_decoded", "other_release"]

Updates: TypeAlias = dict[Block, Any]
"""New values of components; those that are not named stay as they are."""


class CloserHandlers:
    """The handlers of the close look.

    Args:
        studio: What the app owns.
        view: The components to read and write.
    """

    def __init__(self, studio: Studio, view: CloserView) -> None:
        self._studio, self._view = studio, view

    def move(self, place: Place | None, event: gr.EventData) -> Place | None:
        """Returns the place that was picked."""
        return None if place is None else replace(place, spot=spot_of(event))

    def try_spot(self, uploaded: str | None, model_id: str, against: str, place: Place | None) -> Generator[Updates]:
        """Shows the square at full size: cut from full results while these are kept, else computed."""
        view = self._view
        if place is None:  # a generator of Gradio must yield, or the queue's place is never given back
            yield {view.try_spot: gr.skip()}
            return
        yield {view.try_spot: gr.update(value=text.TRYING, interactive=False)}
        try:
            with tempfile.TemporaryDirectory(prefix="psr-job-") as folder:
                picture = kept_or_decoded(self._studio, place, uploaded)
                release = self._studio.manifest.release(model_id)
                other = other_release(self._studio, release, against)
                comparison = self._cut(picture, release, other, place, Path(folder))
                if comparison is None:
                    comparison = yield from self._computed(picture, release, other, place, Path(folder))
                yield {**self._shown(comparison, place, model_id, against), **self.idle()}
        except Exception as error:  # said to the visitor as a sentence, logged where it is a bug
            yield self.idle()
            raise spoken_error(failure_sentence(error)) from error

    def refresh(
        self, uploaded: str | None, model_id: str, against: str, place: Place | None, shown: str
    ) -> Generator[Updates]:
        """Shows the square of what is chosen now, if it is not on screen yet."""
        if place is None or place.key(model_id, against) == shown:
            yield {self._view.try_spot: gr.skip()}
            return
        yield from self.try_spot(uploaded, model_id, against, place)

    def after_run(self, release: Release, against: str, place: Place, photo: Picture, folder: Path) -> Updates:
        """Returns the square cut from a result that was just made, or nothing where the other one is not kept."""
        other = other_release(self._studio, release, against)
        comparison = self._cut(photo, release, other, place, folder)
        return {} if comparison is None else self._shown(comparison, place, release.id, against)

    def choices(self, model_id: str, against: str) -> Updates:
        """Returns what a model can be compared with; the choice stays where it still can be."""
        choices = compare_choices(self._studio, model_id)
        value = against if against in {value for _, value in choices} else text.BICUBIC
        return {self._view.against: gr.update(choices=choices, value=value)}

    def idle(self) -> Updates:
        """Returns the button as it is when nothing is computed."""
        return {self._view.try_spot: gr.update(value=text.TRY_SPOT, interactive=True)}

    def emptied(self) -> Updates:
        """Returns what is shown without a photo."""
        view = self._view
        return {
            view.column: gr.update(visible=False), view.comparison: None, view.place: None, view.shown: "",
            **self.idle(),
        }  # fmt: skip

    def _shown(self, comparison: Comparison, place: Place, model_id: str, against: str) -> Updates:
        return {
            self._view.comparison: compare_value(comparison),
            self._view.shown: place.key(model_id, against),
        }

    def _cut(
        self, photo: Picture, release: Release, other: Release | None, place: Place, folder: Path
    ) -> Comparison | None:
        """Returns the square cut from full results, or None where one of them is not kept.

        Both sides come from full results or neither does: a square that was computed alone sees less of what is around
        it, and the difference would be that of the surroundings.
        """
        kept = self._studio.kept
        result = kept.get(place.photo, release.id)
        other_result = None if other is None else kept.get(place.photo, other.id)
        if result is None or (other is not None and other_result is None):
            return None
        scale, box = release.variant.spec.scale, spot_box(photo.height, photo.width, place.spot)
        after = crop(result, box.scaled(scale))
        if other is None or other_result is None:
            note = text.SPOT_FROM_RESULT.format(model=release.label)
            return self._compared(_pair(enlarge(crop(photo, box), scale), after, release, None), folder, note)
        note = text.SPOT_FROM_RESULTS.format(model=release.label, other=other.label)
        return self._compared(_pair(crop(other_result, box.scaled(scale)), after, release, other), folder, note)

    def _computed(
        self, photo: Picture, release: Release, other: Release | None, place: Place, folder: Path
    ) -> Generator[Updates, None, Comparison]:
        """Yields how far the squares are, and returns them compared."""
        box = spot_box(photo.height, photo.width, place.spot)
        after, seconds = yield from self._square(photo, box, release, place)
        size = f"{box.width} × {box.height}"
        if other is not None:
            before, _ = yield from self._square(photo, box, other, place)
            note = text.SPOT_PAIR.format(model=release.label, other=other.label, size=size)
        else:
            before = enlarge(crop(photo, box), release.variant.spec.scale)
            note = text.SPOT_KEPT.format(model=release.label, size=size)
            if seconds is not None:
                duration = text.duration_text(seconds)
                note = text.SPOT_FROM_MODEL.format(model=release.label, size=size, duration=duration)
        return self._compared(_pair(before, after, release, other), folder, note)

    def _compared(self, pair: Pair, folder: Path, note: str) -> Comparison:
        return spot_comparison(self._studio.sandbox.preview, pair, folder, note)

    def _square(
        self, photo: Picture, box: Box, release: Release, place: Place
    ) -> Generator[Updates, None, tuple[Picture, float | None]]:
        """Yields how far the square of one model is; returns it and how long it took, None where it was kept."""
        made_by = f"{release.id} {place.spot.x} {place.spot.y}"
        kept = self._studio.kept.get(place.photo, made_by)
        if kept is not None:
            return kept, None
        model = self._studio.models.get(release.id)
        seconds = 0.0
        with closing(upscale(crop(photo, box), model.engine, model.tiling)) as work:
            while True:
                try:
                    tile = next(work)
                except StopIteration as end:
                    square: Picture = end.value
                    break
                seconds = tile.seconds
                words = text.TRYING_PART.format(done=tile.done, total=tile.total)
                yield {self._view.try_spot: gr.update(value=words, interactive=False)}
        self._studio.speeds.record(release, box.height, box.width, seconds)
        self._studio.kept.put(place.photo, made_by, square)
        return square, seconds


def kept_or_decoded(studio: Studio, place: Place, uploaded: str | None) -> Picture:
    """Returns the photo of a place.

    Raises:
        PhotoError: It is neither kept nor uploaded any more.
    """
    return studio.kept.get(place.photo) or studio.sandbox.decode(photo_path(uploaded), studio.settings.limits)


def other_release(studio: Studio, release: Release, against: str) -> Release | None:
    """Returns the variant to compare with, or None for bicubic.

    That is also what stands for a variant of another scale or the same one, which a choice may still name for as long
    as the answer to the last choice of a model is on its way.
    """
    if against in (text.BICUBIC, release.id):
        return None
    other = studio.manifest.release(against)
    return other if other.variant.spec.scale == release.variant.spec.scale else None


def _pair(before: Picture, after: Picture, release: Release, other: Release | None) -> Pair:
    return Pair(
        before=before,
        after=after,
        before_name=text.BEFORE if other is None else other.label,
        after_name=release.label,
        is_close=other is not None,
    )
