"""The Rate tab and the grade under a result, without a browser."""

import html
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from ratings.ballot import Seals
from ratings.identity import Keys
from tests.ui.studio import Loader, fake_poll, manifest, studio, write_photo, zoo
from ui import text
from ui.factory import create_app
from ui.poll import Poll
from ui.settings import Settings
from ui.studio import Studio
from ui.tabs.handlers import UpscaleHandlers
from ui.tabs.layout import UpscaleView, lay_out
from ui.tabs.place import Place
from ui.tabs.rate import build_rate_tab
from ui.widgets.ballots import grade_buttons, receipt_keeper, said_words, vote_script
from ui.widgets.blind import blind_view
from ui.widgets.grade import grade_value, grade_view

ATTACK = "<img src=x onerror=alert(1)>\"'{{x}} ${y} `\\"
MODEL = "swinir-fake-x2-fake-float32"


@pytest.fixture
def poll(tmp_path: Path) -> Iterator[Poll]:
    one = fake_poll(tmp_path / "poll")
    yield one
    one.close()


def template(view: gr.HTML) -> str:
    return str(view.html_template)


def rate_tab(one: Studio) -> tuple[gr.HTML | None, str]:
    with gr.Blocks(analytics_enabled=False) as blocks:
        view = build_rate_tab(one)
    return view, str(blocks.config)


def test_the_tab_says_why_nobody_can_vote(poll: Poll) -> None:
    view, config = rate_tab(studio())
    assert view is None
    assert html.escape(text.RATINGS_OFF) in config
    view, config = rate_tab(studio(poll=replace(Poll.off(manifest()), notice="The <disk> is full.")))
    assert "The &lt;disk&gt; is full." in config
    view, _ = rate_tab(studio(poll=poll))
    assert view is not None


@pytest.mark.parametrize("keeper", ["here", "hub"])
def test_the_visitor_is_told_what_is_stored_and_where(keeper: str) -> None:
    shown = html.unescape(template(blind_view(keeper, ("original",), "rate")))
    assert text.RATE_STORED in shown
    assert text.RATE_CONSENT in shown
    assert (text.RATE_HERE in shown) == (keeper == "here")


def test_words_from_outside_are_escaped_and_mean_nothing_to_a_template(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RATE_INTRO", "RATE_START", "RATE_ACCEPTED", "RATE_DELETE_ASK", "GRADE_CONSENT", "GRADE_THANKS"):
        monkeypatch.setattr(text, name, ATTACK)
    monkeypatch.setattr(text, "RATE_ANSWERS", ((ATTACK, ATTACK, ATTACK, ATTACK),))
    monkeypatch.setattr(text, "GRADES", (ATTACK,) * 5)
    for view in (blind_view(ATTACK, (ATTACK,), "rate"), grade_view(ATTACK, ATTACK, "grade")):
        shown = template(view)
        assert "<img src=x" not in shown
        assert not set("{`\\") & set(shown)
        (words,) = re.findall(r'data-words="([^"]*)"', shown)
        assert json.loads(html.unescape(words))["accepted"] == ATTACK


def test_every_word_that_a_script_says_is_there() -> None:
    for name, view in (("blind.js", blind_view("hub", (), "a")), ("grade.js", grade_view("hub", "#b", "b"))):
        (words,) = re.findall(r'data-words="([^"]*)"', template(view))
        known = set(json.loads(html.unescape(words)))
        assert set(re.findall(r"\bwords\.(\w+)", vote_script(name))) == known


def test_every_element_that_a_script_looks_for_is_there() -> None:
    for name, view in (("blind.js", blind_view("hub", (), "a")), ("grade.js", grade_view("hub", "#b", "b"))):
        asked = {
            one
            for words in re.findall(r"'((?:\.[a-z-]+ ?)+)", vote_script(name))
            for one in re.findall("[a-z-]+", words)
        }
        there = {one for words in re.findall(r'class="([^"]*)"', template(view)) for one in words.split()}
        assert asked - there == set()


def test_grades_have_the_words_of_the_standard() -> None:
    found = re.findall(r'data-answer="(\d)".*?<span>(\w+)</span>', grade_buttons())
    assert found == [("1", "Bad"), ("2", "Poor"), ("3", "Fair"), ("4", "Good"), ("5", "Excellent")]


def test_the_shared_script_is_on_the_page_once_and_unseen() -> None:
    keeper = receipt_keeper()
    assert keeper.visible == "hidden"
    assert vote_script("grade.js").startswith(str(keeper.js_on_load))
    assert json.loads(html.unescape(said_words({"more": "x"})))["more"] == "x"


def test_nothing_of_a_trial_is_in_the_config(poll: Poll) -> None:
    app = create_app(Settings(), zoo(), Loader().load, poll)
    assert poll.booth
    config = json.dumps(app.blocks.config, default=str)
    (rate,) = [one for one in app.blocks.config["components"] if one["props"].get("elem_id") == "rate"]
    drawn = poll.booth.draw(None, "pair")
    for word in (*drawn.pictures, drawn.ballot, *(one.title for one in poll.pictures.pictures if poll.pictures)):
        assert word not in config
    for release in manifest().releases:
        assert release.id not in json.dumps(rate, default=str)
    app.polling.close()


def desk(poll: Poll | None) -> tuple[UpscaleHandlers, UpscaleView]:
    one = studio(poll=poll)
    with gr.Blocks(analytics_enabled=False):
        view = lay_out(one)
    return UpscaleHandlers(one, view), view


def asked(handlers: UpscaleHandlers, view: UpscaleView, photo: Path, place: Place | None) -> Any:
    """Returns what the widget gets with the result, and sees that it comes in one update with it."""
    updates = [one for one in handlers.run(str(photo), MODEL, "png", False, text.BICUBIC, place) if view.grade in one]
    (last,) = updates
    assert last[view.result]["visible"] is True
    assert last[view.comparison] is not None
    return last[view.grade]


def test_a_result_comes_with_a_ticket_for_its_grade(poll: Poll, tmp_path: Path) -> None:
    handlers, view = desk(poll)
    photo = write_photo(tmp_path / "a.jpg")
    values = [asked(handlers, view, photo, place) for place in (Place("one"), Place("one"), Place("two"), None, None)]
    assert {value["width"] for value in values} == {144}
    assert len({value["ticket"] for value in values}) == 5
    keys = Keys("a secret of the tests")
    assert poll.pictures
    names = tuple(one.name for one in poll.pictures.pictures)
    seals = Seals(keys, poll.pictures.version, names, poll.pictures.systems)
    tickets = [seals.read_own_ticket(value["ticket"]) for value in values]
    assert {ticket.variant for ticket in tickets} == {MODEL}
    assert tickets[0].photo == tickets[1].photo == keys.photo_word("one")
    assert len({ticket.photo for ticket in tickets}) == 4
    assert "one" not in str(values)


def test_without_ratings_nobody_is_asked(tmp_path: Path) -> None:
    handlers, view = desk(None)
    assert asked(handlers, view, write_photo(tmp_path / "a.jpg"), Place("one")) is None


def test_another_photo_takes_the_question_away(poll: Poll) -> None:
    handlers, view = desk(poll)
    (updates,) = handlers.open_photo(None, MODEL, "same", False, None)
    assert updates[view.grade] is None
    assert grade_value("ticket", 8) == {"ticket": "ticket", "width": 8}
