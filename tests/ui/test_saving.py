"""The file of the result: choices that fit the photo, losses said before the run, and the place that can be removed."""

from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from sr_core.image.header import Header
from sr_core.image.picture import Picture
from sr_core.image.sandbox import Sandbox
from tests.ui.studio import studio, write_heic, write_photo
from ui import text
from ui.tabs.handlers import UpscaleHandlers
from ui.tabs.layout import UpscaleView, lay_out
from ui.tabs.place import Place

MODEL = "swinir-fake-x2-fake-float32"


def desk(confined: Sandbox | None = None) -> tuple[UpscaleHandlers, UpscaleView]:
    one = studio(confined=confined)
    with gr.Blocks(analytics_enabled=False):
        view = lay_out(one)
    return UpscaleHandlers(one, view), view


def opened(
    handlers: UpscaleHandlers, photo: Path, save_as: str = "same", *, remove_location: bool = False
) -> dict[Any, Any]:
    return list(handlers.open_photo(str(photo), MODEL, save_as, remove_location, None))[-1]


def said(handlers: UpscaleHandlers, view: UpscaleView, photo: Path, save_as: str, place: Place) -> str:
    updates = handlers.saving.choose(str(photo), MODEL, save_as, False, place)
    return unescape(updates[view.saving.losses]["value"])


def test_without_a_photo_every_family_is_on_offer_but_a_dng() -> None:
    assert [value for _, value in text.format_choices(None)] == ["same", "jpeg", "png", "webp", "heic", "avif", "tiff"]


def test_the_choices_name_the_format_of_the_photo_once() -> None:
    choices = text.format_choices("heic")
    assert choices[0] == ("Same format as the photo (HEIC)", "same")
    assert [value for _, value in choices] == ["same", "jpeg", "png", "webp", "avif", "tiff"]


def test_a_raw_photo_becomes_a_dng_or_anything_else() -> None:
    choices = text.format_choices("dng")
    assert choices[0] == ("DNG, as the photo is RAW", "same")
    assert [value for _, value in choices] == ["same", "jpeg", "png", "webp", "heic", "avif", "tiff"]


def test_what_gets_lost_is_said_for_the_format_that_is_chosen(tmp_path: Path) -> None:
    handlers, view = desk()
    photo = write_heic(tmp_path / "a.heic")
    shown = opened(handlers, photo)
    assert shown[view.saving.losses]["visible"] is True
    assert text.KEEPS_ALL.format(name="HEIC") in shown[view.saving.losses]["value"]
    place = shown[view.closer.place]
    assert "The 10 bits of a sample become 8" in said(handlers, view, photo, "jpeg", place)
    assert text.KEEPS_ALL.format(name="PNG") in said(handlers, view, photo, "png", place)


def test_a_choice_stays_for_the_next_photo_where_it_can(tmp_path: Path) -> None:
    handlers, view = desk()
    photo = write_heic(tmp_path / "a.heic")
    chosen = opened(handlers, photo, "webp")
    assert chosen[view.saving.save_as]["value"] == "webp"
    assert "become 8, the most that is written to a WebP" in chosen[view.saving.losses]["value"]
    assert opened(handlers, photo, "heic")[view.saving.save_as]["value"] == "same"
    assert opened(handlers, write_photo(tmp_path / "b.jpg"), "heic")[view.saving.save_as]["value"] == "heic"


def test_a_file_that_cannot_hold_the_result_is_said_before_the_run(tmp_path: Path) -> None:
    handlers, view = desk()
    photo = tmp_path / "glass.png"
    Image.fromarray(np.full((20, 20, 4), 128, np.uint8), "RGBA").save(photo)
    place = opened(handlers, photo)[view.closer.place]
    refused = said(handlers, view, photo, "jpeg", place)
    assert "A JPEG cannot hold the transparency of this picture" in refused
    assert "role='alert'" in refused
    assert "role='alert'" not in said(handlers, view, photo, "webp", place)


def test_a_place_can_be_removed_where_there_is_one(tmp_path: Path) -> None:
    handlers, view = desk()
    shown = opened(handlers, write_photo(tmp_path / "a.jpg"))
    assert shown[view.saving.remove_location] == gr.update(visible=True)  # and stays as it was ticked
    assert "with location" in shown[view.facts]["value"]
    Image.new("RGB", (20, 20)).save(tmp_path / "b.jpg")
    shown = opened(handlers, tmp_path / "b.jpg")
    assert shown[view.saving.remove_location] == gr.update(visible=False)
    assert "no location" in shown[view.facts]["value"]


@pytest.mark.parametrize("remove_location", [False, True])
def test_the_result_says_what_became_of_the_place(tmp_path: Path, remove_location: bool) -> None:
    handlers, view = desk()
    photo = str(write_photo(tmp_path / "a.jpg"))
    shown: dict[Any, Any] = {}
    for updates in handlers.run(photo, MODEL, "same", remove_location, text.BICUBIC, None):
        shown |= updates
    facts = unescape(shown[view.result_facts])
    assert (text.LOCATION_REMOVED in facts) == remove_location
    assert (text.LOCATION_KEPT in facts) == (not remove_location)


def test_the_result_of_a_photo_without_a_place_claims_none(tmp_path: Path) -> None:
    handlers, view = desk()
    exif = Image.Exif()
    exif[271] = "Maker"
    Image.new("RGB", (20, 20)).save(tmp_path / "a.jpg", exif=exif)
    for updates in handlers.run(str(tmp_path / "a.jpg"), MODEL, "same", False, text.BICUBIC, None):
        if view.result_facts in updates:
            facts = unescape(updates[view.result_facts])
            assert text.EXIF_KEPT in facts
            assert text.LOCATION_KEPT not in facts


def test_what_only_the_pixels_told_is_said_too(tmp_path: Path) -> None:
    known = Header(
        format="heic", height=8, width=8, bit_depth=8, channels=3, has_alpha=False, size_bytes=9, kind="HEIC",
        samples="8 bit",
    )  # fmt: skip
    confined = create_autospec(Sandbox, instance=True)
    confined.read_header.return_value = known
    handlers, view = desk(confined)
    photo, place = write_photo(tmp_path / "a.jpg"), Place("upload")
    assert "half" not in said(handlers, view, photo, "same", place)
    picture = Picture(pixels=np.zeros((8, 8, 3), np.uint8), bit_depth=8, source_format="heic")
    handlers._studio.kept.put(place.photo, "", replace(picture, notices=("Only half of it was there.",)))
    assert "Only half of it was there." in said(handlers, view, photo, "same", place)


def test_nothing_is_said_without_a_photo() -> None:
    handlers, view = desk()
    (emptied,) = handlers.open_photo(None, MODEL, "webp", True, None)
    assert emptied[view.saving.losses]["visible"] is False
    assert emptied[view.saving.remove_location]["visible"] is False
    assert "value" not in emptied[view.saving.save_as]
    assert handlers.saving.choose(None, MODEL, "png", False, None) == {view.saving.losses: gr.skip()}
