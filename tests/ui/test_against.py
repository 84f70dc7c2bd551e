"""Comparing two variants: in the square, and in the full picture."""

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from tests.ui.studio import Loader, family, studio, write_photo
from ui import text
from ui.settings import Settings
from ui.studio import Studio
from ui.tabs.handlers import UpscaleHandlers
from ui.tabs.layout import UpscaleView, lay_out
from ui.tabs.place import Place
from ui.widgets.spot import Spot

LIGHT, INT8 = "swinir-light-x2-photos39-float16", "swinir-light-x2-photos39-int8"
QUICK = "swinir-quick-x2-photos39-float16"
PLACE = Place("upload")


class Desk:
    """A tab with a photo, and the networks behind it."""

    def __init__(self, photo: Path, settings: Settings | None = None) -> None:
        self.photo, self.loader = str(photo), Loader()
        self.studio: Studio = studio(settings, self.loader, family())
        with gr.Blocks(analytics_enabled=False):
            self.view: UpscaleView = lay_out(self.studio)
        self.handlers = UpscaleHandlers(self.studio, self.view)

    def spot(self, model: str, against: str, place: Place = PLACE) -> tuple[dict[str, Any], list[np.ndarray]]:
        """Returns the square as it is shown, and its two pictures."""
        for updates in self.handlers.closer.try_spot(self.photo, model, against, place):
            if self.view.closer.comparison in updates:
                value = updates[self.view.closer.comparison]
                return value, pictures(value)
        pytest.fail("no square was shown")

    def run(self, model: str, against: str = text.BICUBIC) -> dict[Any, Any]:
        updates: dict[Any, Any] = {}
        for some in self.handlers.run(self.photo, model, "same", False, against, PLACE):
            updates |= some
        return updates


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(write_photo(tmp_path / "a.png", 260, 280))


def pictures(value: dict[str, Any]) -> list[np.ndarray]:
    return [np.asarray(Image.open(value[name]["path"])).astype(int) for name in ("before", "after")]


def last(updates: Any) -> Any:
    return list(updates)[-1]


def test_two_variants_are_computed_on_the_same_square(desk: Desk) -> None:
    value, (before, after) = desk.spot(LIGHT, INT8)
    assert (value["before_name"], value["after_name"]) == ("SwinIR light ×2, int8", "SwinIR light ×2")
    assert before.shape == after.shape == (512, 512, 3)
    assert {*np.unique(before - after)} <= {0, 1}  # the fake int8 network is brighter by one step
    assert (before - after).mean() > 0.9
    assert "at most 1 of 255 apart" in value["note"]
    assert [one["name"] for one in value["differences"]] == ["Difference ×8", "Difference ×64"]


def test_a_square_is_computed_once_for_all_that_it_is_compared_with(desk: Desk) -> None:
    desk.spot(LIGHT, text.BICUBIC)
    runs = desk.loader.engines[LIGHT].runs
    desk.spot(LIGHT, INT8)
    desk.spot(QUICK, LIGHT)
    assert desk.loader.engines[LIGHT].runs == runs
    desk.spot(LIGHT, INT8, Place("upload", Spot(0, 0)))
    assert desk.loader.engines[LIGHT].runs > runs


def test_one_side_is_never_cut_from_a_full_result_where_the_other_is_not(desk: Desk) -> None:
    desk.run(LIGHT)
    value, _ = desk.spot(LIGHT, INT8)
    assert "Cut from" not in value["note"]
    desk.run(INT8)
    runs = desk.loader.runs
    value, (before, after) = desk.spot(LIGHT, INT8)
    assert "Cut from the full results of SwinIR light ×2 and SwinIR light ×2, int8" in value["note"]
    assert desk.loader.runs == runs
    assert (before - after).mean() > 0.9


def test_a_run_leaves_a_square_alone_that_it_cannot_cut(desk: Desk) -> None:
    assert desk.view.closer.comparison not in desk.run(LIGHT, QUICK)
    assert desk.view.closer.comparison in desk.run(LIGHT, text.BICUBIC)


def test_a_square_is_computed_again_only_when_something_else_is_chosen(desk: Desk) -> None:
    handlers, view = desk.handlers.closer, desk.view.closer
    shown = last(handlers.refresh(desk.photo, LIGHT, text.BICUBIC, PLACE, ""))[view.shown]
    runs = desk.loader.runs
    assert last(handlers.refresh(desk.photo, LIGHT, text.BICUBIC, PLACE, shown)) == {view.try_spot: gr.skip()}
    assert desk.loader.runs == runs
    for model, against, place in (
        (INT8, text.BICUBIC, PLACE),
        (LIGHT, INT8, PLACE),
        (LIGHT, text.BICUBIC, Place("upload", Spot(1, 50))),
        (LIGHT, text.BICUBIC, Place("other")),
    ):
        assert view.comparison in last(handlers.refresh(desk.photo, model, against, place, shown))
    assert last(handlers.refresh(None, LIGHT, text.BICUBIC, None, "")) == {view.try_spot: gr.skip()}


def test_a_square_against_itself_is_one_against_bicubic(desk: Desk) -> None:
    value, _ = desk.spot(INT8, INT8)
    assert value["before_name"] == text.BEFORE


def choose(desk: Desk, against: str, result_of: str | None = LIGHT) -> dict[Any, Any]:
    return last(desk.handlers.full.choose(desk.photo, result_of, against, PLACE))


def test_a_variant_that_was_not_run_is_offered_with_its_time(desk: Desk) -> None:
    desk.run(LIGHT)
    runs = desk.loader.runs
    offered = choose(desk, QUICK)[desk.view.full.also_run]
    assert offered["visible"] is True
    assert "Also upscale with SwinIR quick ×2 · about 1 s" in offered["value"]
    assert desk.loader.runs == runs


def test_the_other_variant_is_run_on_request_and_then_kept(desk: Desk) -> None:
    desk.run(LIGHT)
    full = desk.view.full
    updates = list(desk.handlers.full.run(desk.photo, LIGHT, INT8, PLACE))
    assert any("tile 2 of" in update.get(full.also_status, "") for update in updates)
    assert updates[-1][full.also_cancel]["visible"] is False
    value = updates[-1][desk.view.comparison]
    assert (value["before_name"], value["after_name"]) == ("SwinIR light ×2, int8", "SwinIR light ×2")
    assert "at most 1 of 255 apart" in value["note"]
    runs = desk.loader.runs
    assert choose(desk, INT8)[desk.view.comparison]["before_name"] == "SwinIR light ×2, int8"
    assert choose(desk, text.BICUBIC)[desk.view.comparison]["before_name"] == text.BEFORE
    assert desk.loader.runs == runs


def test_both_results_are_compared_whole(desk: Desk) -> None:
    desk.run(LIGHT)
    desk.run(INT8)
    shown: list[list[np.ndarray]] = []
    for updates in desk.handlers.full.choose(desk.photo, INT8, LIGHT, PLACE):
        if desk.view.comparison in updates:
            shown.append(pictures(updates[desk.view.comparison]))
    [(before, after)] = shown
    assert before.shape == (520, 560, 3)
    assert {*np.unique(after - before)} <= {0, 1}
    assert (after - before).mean() > 0.9


def test_closing_the_other_run_stops_the_network(desk: Desk) -> None:
    desk.run(LIGHT)
    job = desk.handlers.full.run(desk.photo, LIGHT, QUICK, PLACE)
    while not (QUICK in desk.loader.engines and desk.loader.engines[QUICK].runs):
        next(job)
    job.close()
    runs = desk.loader.runs
    assert list(job) == []
    assert desk.loader.runs == runs
    assert desk.studio.kept.get(PLACE.photo, QUICK) is None
    stopped = desk.handlers.full.cancelled()
    assert stopped[desk.view.full.also_status] == gr.update(visible=False)
    assert stopped[desk.view.full.also_run]["visible"] is True
    assert stopped[desk.view.full.against]["interactive"] is True


def test_a_result_that_is_not_kept_any_more_is_a_sentence(desk: Desk) -> None:
    with pytest.raises(gr.Error, match="no longer kept on the server"):
        choose(desk, text.BICUBIC)


def test_the_limits_of_a_job_hold_for_the_other_run_too(tmp_path: Path) -> None:
    desk = Desk(write_photo(tmp_path / "a.png", 260, 280), Settings(max_job_seconds=10))
    desk.studio.speeds.record(desk.studio.manifest.release(QUICK), 100, 100, 1000.0)
    updates = desk.handlers.full.run(desk.photo, LIGHT, QUICK, PLACE)
    with pytest.raises(gr.Error, match="a job may take 10 s"):
        list(updates)
    assert desk.loader.runs == 0


def test_a_new_result_is_compared_with_bicubic_and_offers_its_own_kit(desk: Desk) -> None:
    updates = desk.run(INT8)
    assert updates[desk.view.result_of] == INT8
    assert updates[desk.view.kit]["id"] == INT8
    assert updates[desk.view.full.against]["value"] == text.BICUBIC
    assert INT8 not in {value for _, value in updates[desk.view.full.against]["choices"]}
    unpacked = desk.run("swinir-light-x2-photos39-heads4-float16")
    assert unpacked[desk.view.kit]["reason"] == text.NO_KIT


def test_without_a_result_there_is_nothing_to_compare(desk: Desk) -> None:
    assert desk.view.comparison not in choose(desk, INT8, None)
    assert desk.view.comparison not in last(desk.handlers.full.choose(desk.photo, LIGHT, INT8, None))


def test_another_job_closes_the_controls_for_as_long_as_it_runs(desk: Desk) -> None:
    full = desk.view.full
    assert desk.handlers.prepare_run()[full.against]["interactive"] is False
    assert desk.handlers.cancelled()[full.against]["interactive"] is True
    assert desk.handlers.not_started()[full.against]["interactive"] is True
