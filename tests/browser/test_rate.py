"""The Rate tab and the grade under a result, in a browser: the real routes, a real store and a Hub on this machine."""

import io
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from ratings.archive import ArchiveSource
from ratings.vote import OWN, GradeVote, PairVote, Record
from tests.browser.conftest import ARGUMENTS, BROWSERS, opened, tab_to
from tests.browser.test_page import contrast, open_photo
from tests.ui.loops import closed_event_loops
from tests.ui.studio import Loader, fake_poll, family, write_photo
from tests.ui.voters import Served, served
from tests.zoo.hub_client import hub_and_client
from tests.zoo.hub_server import TOKEN, FaultKind, Hub
from ui import text

pytestmark = [
    pytest.mark.browser,
    # Gradio 6.31 uses what pandas 3 calls deprecated; as errors these warnings would break Gradio's queue.
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),
]

REPO = "tester/votes"


@dataclass(frozen=True)
class Polled:
    """An app whose votes go to a Hub, or stay where they are."""

    served: Served
    hub: Hub | None

    @property
    def address(self) -> str:
        return self.served.address + "/"

    def records(self) -> tuple[Record, ...]:
        store = self.served.poll.store
        assert store is not None
        return store.records()

    def archived(self) -> str:
        repository = self.hub.repositories.get(f"datasets/{REPO}") if self.hub else None
        files = repository.files if repository else {}
        return "\n".join(blob.content.decode() for path, blob in files.items() if path.endswith(".jsonl"))


@contextmanager
def polled(folder: Path, hub: Hub | None = None) -> Iterator[Polled]:
    with closed_event_loops(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        source = ArchiveSource(repo=REPO, token=TOKEN, endpoint=hub.address) if hub else None
        models = family()
        poll = fake_poll(folder / "votes", models, source=source)
        with served(folder, models, Loader(seconds=0.001).load, poll=poll) as one:
            yield Polled(one, hub)


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Polled]:
    """An app whose votes go to a Hub."""
    folder = tmp_path_factory.mktemp("archived")
    with hub_and_client(folder) as hub, polled(folder, hub) as one:
        yield one


def fail_commits(archived: Polled, kind: FaultKind, times: int, number: int) -> None:
    assert archived.hub
    archived.hub.fail(kind, rf"POST /api/datasets/{REPO}/commit/.*", times=times, number=number)


@pytest.fixture
def page(browser: Browser, archived: Polled) -> Iterator[Page]:
    with opened(browser, archived.address) as one:
        yield one


@pytest.fixture
def new(archived: Polled) -> Callable[[], list[Record]]:
    """Returns what was stored since the test began."""
    before = {record.id for record in archived.records()}
    return lambda: [record for record in archived.records() if record.id not in before]


def open_tab(page: Page) -> None:
    page.get_by_role("tab", name=text.RATE_TAB).click()
    page.wait_for_selector(".rate-intro")


def start(page: Page) -> None:
    open_tab(page)
    page.check(".rate-consent")
    page.click(".rate-start")
    phase(page, "open")


def phase(page: Page, name: str) -> None:
    expect(page.locator(".rate")).to_have_attribute("data-phase", name)


def kept(page: Page, key: str) -> Any:
    words = page.evaluate("(key) => localStorage.getItem(key)", key)
    return words if words is None or key != "psr-receipts" else json.loads(words)


def counting(page: Page, route: str) -> list[dict[str, Any]]:
    """Returns the bodies that the page sends to a route from now on."""
    sent: list[dict[str, Any]] = []
    page.on("request", lambda one: sent.append(one.post_data_json) if one.url.endswith(f"ratings/{route}") else None)
    return sent


def test_a_vote_by_keyboard_is_accepted_and_then_saved(
    page: Page, archived: Polled, new: Callable[[], list[Record]]
) -> None:
    fail_commits(archived, "wait", 1, 1500)
    page.get_by_role("tab", name=text.RATE_TAB).click()
    tab_to(page, ".rate-consent", presses=40)
    page.keyboard.press("Space")
    tab_to(page, ".rate-start", presses=3)
    page.keyboard.press("Enter")
    phase(page, "open")
    assert kept(page, "psr-consent") == "yes"
    page.keyboard.press("ArrowLeft")
    said = page.locator(".rate-said")
    expect(said).to_contain_text(text.RATE_ACCEPTED)
    expect(said).not_to_contain_text(text.RATE_SAVED)
    (receipt,) = kept(page, "psr-receipts")
    (vote,) = new()
    assert isinstance(vote, PairVote)
    assert (vote.id, vote.choice) == (receipt["id"], "left")
    expect(said).to_contain_text(text.RATE_SAVED)
    assert vote.id in archived.archived()
    assert kept(page, "psr-receipts") is None
    labels = archived.served.poll.labels
    assert page.locator(".rate-maker").all_inner_texts() == [labels[vote.left], labels[vote.right]]
    aloud = page.locator(".rate-aloud[role=status]")
    expect(aloud).to_have_text(f"A is {labels[vote.left]}. B is {labels[vote.right]}.")
    assert vote.view.decision_ms >= 1400
    assert vote.view.viewport == (1280, 860)
    expect(page.locator(".rate-today")).to_have_text("1 of 60 today")
    page.wait_for_timeout(450)
    page.keyboard.press("n")
    expect(aloud).to_have_text("")
    phase(page, "open")
    page.keyboard.press("x")
    phase(page, "done")
    assert [one.choice for one in new() if isinstance(one, PairVote)] == ["left", "both_bad"]


def test_a_storm_of_clicks_is_one_vote(page: Page, new: Callable[[], list[Record]]) -> None:
    start(page)
    sent, drawn = counting(page, "vote"), counting(page, "draw")
    page.evaluate("""() => {
      const answers = [...document.querySelectorAll('.rate .vote')];
      for (let i = 0; i < 40; i++) answers[i % 5].click();
      for (const key of ['ArrowRight', 's', 'ArrowLeft', 'n', 'Enter']) {
        document.dispatchEvent(new KeyboardEvent('keydown', {key}));
      }
    }""")
    phase(page, "done")
    page.locator(".rate-next").dblclick()  # the second half of a double click on an answer is no wish to go on
    page.keyboard.press("t")
    page.wait_for_timeout(450)
    assert drawn == []
    page.locator(".rate-next").dblclick()
    phase(page, "open")
    assert (len(sent), len(drawn)) == (1, 1)
    assert [one.choice for one in new() if isinstance(one, PairVote)] == ["left"]


def test_the_answers_are_locked_until_both_pictures_were_seen(page: Page) -> None:
    waiting: list[Route] = []
    page.route("**/ratings/picture/**", lambda route: waiting.append(route))  # noqa: PLW0108  it takes no method
    sent = counting(page, "vote")
    open_tab(page)
    expect(page.locator(".rate-start")).to_be_disabled()
    page.keyboard.press("ArrowLeft")  # nothing is drawn before the consent
    page.check(".rate-consent")
    page.click(".rate-start")
    page.wait_for_function("document.querySelectorAll('.rate-frame img[src]').length === 2")
    while len(waiting) < 2:
        page.wait_for_timeout(20)
    waiting[0].continue_()
    page.wait_for_timeout(1700)  # longer than the lock
    phase(page, "loading")
    waiting[1].continue_()
    phase(page, "locked")
    expect(page.locator(".rate .vote[data-answer=left]")).to_have_attribute("aria-disabled", "true")
    page.keyboard.press("ArrowLeft")
    page.locator(".rate .vote[data-answer=left]").click(force=True)
    phase(page, "open")
    page.evaluate("""() => {
      const press = (at, more) => at.dispatchEvent(
        new KeyboardEvent('keydown', {key: 'ArrowLeft', bubbles: true, cancelable: true, ...more}));
      for (const more of [{ctrlKey: true}, {metaKey: true}, {altKey: true}, {repeat: true}]) press(document, more);
      for (const other of ['.rate-consent', '.rate-delete']) press(document.querySelector(other), {});
    }""")
    page.get_by_role("tab", name=text.ZOO_TAB).click()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("s")
    page.wait_for_timeout(200)
    assert sent == []
    phase(page, "open")


def test_what_a_server_lost_is_handed_over_again(
    browser: Browser, archived: Polled, tmp_path: Path, new: Callable[[], list[Record]]
) -> None:
    """The other server has the same secret and pictures, and an empty disk."""
    fail_commits(archived, "wait", 1, 2500)
    with opened(browser, archived.address) as page:
        start(page)
        page.keyboard.press("ArrowRight")
        phase(page, "done")
        storage = page.evaluate("() => ({...localStorage})")
    (vote,) = new()
    with polled(tmp_path) as other:
        context = browser.new_context()  # pages are opened anew and not reloaded, which Gradio 6.31 complains of
        context.add_init_script(f"if (!localStorage.length) Object.assign(localStorage, {json.dumps(storage)})")
        assert other.records() == ()
        context.new_page().goto(other.address)  # the Rate tab is not opened
        until(lambda: other.records() == (vote,))
        page = context.new_page()
        page.goto(other.address)
        start(page)
        page.keyboard.press("t")
        expect(page.locator(".rate-said")).to_have_text(text.RATE_KEPT)
        assert [record for record in other.records() if record.id == vote.id] == [vote]
        assert len(kept(page, "psr-receipts")) == 2  # the server might still lose them
        page.evaluate("""() => {
          const all = JSON.parse(localStorage.getItem('psr-receipts'));
          all[0].at -= 90_000_000;
          all.push({id: '0'.repeat(32), receipt: 'nonsense', at: 0});
          localStorage.setItem('psr-receipts', JSON.stringify(all));
        }""")
        context.new_page().goto(other.address)
        page.wait_for_function("JSON.parse(localStorage.getItem('psr-receipts')).length === 1")
        context.close()


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_so() and time.monotonic() < end:
        time.sleep(0.05)
    assert is_so()


def test_one_picture_is_graded_by_its_number(page: Page, new: Callable[[], list[Record]]) -> None:
    start(page)
    page.get_by_role("button", name=text.RATE_ONE).click()
    phase(page, "open")
    expect(page.locator(".rate-frame img:visible")).to_have_count(1)
    names = page.locator(".rate-answers.for-grade .vote span").all_inner_texts()
    assert names == ["Bad", "Poor", "Fair", "Good", "Excellent"]
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(100)
    assert new() == []
    page.keyboard.press("4")
    phase(page, "done")
    (vote,) = new()
    assert isinstance(vote, GradeVote)
    assert vote.grade == 4
    assert page.locator(".rate-maker").first.inner_text() == archived_label(page, vote.system)


def archived_label(page: Page, system: str) -> str:
    link = page.locator(".rate-maker a").first
    if link.count():
        assert link.get_attribute("data-variant") == system
    return page.locator(".rate-maker").first.inner_text()


def test_a_vote_that_did_not_arrive_is_sent_again_as_it_was(
    browser: Browser, archived: Polled, new: Callable[[], list[Record]]
) -> None:
    # All routes are there before the page is: one that is added later may miss a request that is made at once, because
    # the renderer is told of it in its own time.
    answers: dict[str, list[Callable[[Route], None]]] = {
        "vote": [Route.abort, lose_answer, Route.continue_],
        "draw": [Route.continue_, refuse_draw],
    }

    def answer(route: Route) -> None:
        answers[route.request.url.rsplit("/", 1)[1]].pop(0)(route)

    context = browser.new_context()
    page = context.new_page()
    page.route("**/ratings/vote", answer)
    page.route("**/ratings/draw", answer)
    page.goto(archived.address)
    start(page)
    sent = counting(page, "vote")
    page.keyboard.press("=")
    expect(page.locator(".rate-problem")).to_have_text(text.RATE_OFFLINE)
    page.keyboard.press("ArrowLeft")  # too late to change it
    page.get_by_role("button", name=text.RATE_RETRY).click()
    expect(page.locator(".rate-problem")).to_have_text(text.RATE_BROKEN)
    page.get_by_role("button", name=text.RATE_RETRY).click()
    phase(page, "done")
    assert len(sent) == 3
    assert sent[0] == sent[1] == sent[2]
    assert [one.choice for one in new() if isinstance(one, PairVote)] == ["tie"]
    page.wait_for_timeout(450)
    page.keyboard.press("Enter")
    expect(page.locator(".rate-problem")).to_have_text("Enough <b>today</b>.")
    expect(page.locator(".rate-retry")).not_to_be_visible()
    assert answers == {"vote": [], "draw": []}
    context.close()


def refuse_draw(route: Route) -> None:
    route.fulfill(status=429, json={"error": "Enough <b>today</b>."}, headers={"Retry-After": "3600"})


def lose_answer(route: Route) -> None:
    route.fetch()
    route.fulfill(status=502, body="<html>bad gateway</html>")


def test_votes_are_deleted_after_a_second_thought(page: Page, new: Callable[[], list[Record]]) -> None:
    start(page)
    browser = kept(page, "psr-browser")
    page.keyboard.press("s")
    phase(page, "done")
    assert len(new()) == 1
    page.get_by_role("button", name=text.RATE_DELETE).click()
    page.get_by_role("button", name=text.RATE_DELETE_NO).click()
    assert len(new()) == 1
    page.get_by_role("button", name=text.RATE_DELETE).click()
    page.get_by_role("button", name=text.RATE_DELETE_YES).click()
    expect(page.locator(".rate-said")).to_have_text(text.RATE_DELETED.format(count=1))
    assert [one for one in new() if one.kind != "forget"] == []
    assert {kept(page, key) for key in ("psr-browser", "psr-consent", "psr-receipts")} == {None}
    expect(page.locator(".rate-start")).to_be_disabled()
    page.check(".rate-consent")
    page.click(".rate-start")
    phase(page, "open")
    assert kept(page, "psr-browser") not in (None, browser)


def test_a_name_opens_the_zoo_at_its_variant(page: Page, archived: Polled) -> None:
    start(page)
    for _ in range(3):  # until a pair with a variant was drawn
        inside = page.locator("#rate").evaluate("(one) => one.outerHTML")
        assert "swinir" not in inside.lower()
        page.keyboard.press("s")
        phase(page, "done")
        if page.locator(".rate-maker a").count():
            break
        page.wait_for_timeout(450)
        page.keyboard.press("n")
        phase(page, "open")
    link = page.locator(".rate-maker a").first
    variant = link.get_attribute("data-variant")
    assert link.get_attribute("href") == f"?variant={variant}"
    link.click()
    expect(page.get_by_role("tab", name=text.ZOO_TAB)).to_have_attribute("aria-selected", "true")
    expect(page.locator("#zoo-card code")).to_have_text(variant or "")


@pytest.mark.parametrize(("ratio", "width"), [(1.75, None), (3.0, 390)])
def test_each_pixel_is_a_whole_number_of_device_pixels(
    browser: Browser, archived: Polled, ratio: float, width: int | None
) -> None:
    with seen_at(browser, ratio, width) as page:
        page.goto(archived.address)
        start(page)
        sizes = set()
        for _ in range(2):
            boxes = page.locator(".rate-frame").evaluate_all(
                "(all) => all.map((one) => one.getBoundingClientRect()).map((one) => [one.width, one.height])"
            )
            assert boxes[0] == boxes[1]
            for side in range(2):
                image = page.locator(".rate-frame img").nth(side)
                original = pixels(page.request.get(f"{archived.address}{image.get_attribute('src')}").body())
                times = round(boxes[0][0] * ratio / original.shape[1])
                assert holds(pixels(image.screenshot()), original.repeat(times, 0).repeat(times, 1))
                sizes.add(times)
            page.keyboard.press("z")
        assert len(sizes) == 2
        assert width is None or page.evaluate("document.documentElement.scrollWidth") == width


@contextmanager
def seen_at(browser: Browser, ratio: float, width: int | None) -> Iterator[Page]:
    """Opens a page at a ratio of device pixels to CSS pixels; only a browser of its own lays out at a broken ratio."""
    if width is not None:
        context = browser.new_context(viewport={"width": width, "height": 844}, device_scale_factor=ratio)
        yield context.new_page()
        context.close()
        return
    found = next(path for name in BROWSERS if (path := shutil.which(name)))
    arguments = [*ARGUMENTS, f"--force-device-scale-factor={ratio}", "--window-size=1280,900"]
    other = browser.browser_type.launch(executable_path=found, args=arguments)
    yield other.new_context(no_viewport=True).new_page()
    other.close()


def holds(shown: np.ndarray[Any, Any], picture: np.ndarray[Any, Any]) -> bool:
    """Returns whether a screenshot, which has whole CSS pixels around, holds a picture as it is."""
    windows = np.lib.stride_tricks.sliding_window_view(shown, picture.shape)
    return windows.size > 0 and bool((windows == picture).all(axis=(-3, -2, -1)).any())


def pixels(png: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_all_of_it_can_be_read(browser: Browser, archived: Polled, scheme: Literal["dark", "light"]) -> None:
    context = browser.new_context(color_scheme=scheme, reduced_motion="reduce", viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(archived.address)
    open_tab(page)
    ratios = {
        one: contrast(page, one)
        for one in (".rate h2 .for-pair", ".rate-intro p", ".rate-stored", ".rate-modes button + button")
    }
    page.check(".rate-consent")
    page.click(".rate-start")
    phase(page, "open")
    page.wait_for_timeout(250)  # the answers are faded in
    selectors = [
        ".vote[data-answer=tie] span",
        ".vote[data-answer=skip] span",
        ".rate-said",
        ".rate-today",
        "figcaption b",
    ]
    ratios |= {one: contrast(page, f".rate {one}") for one in selectors}
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.click(".vote[data-answer=tie]")
    phase(page, "done")
    page.wait_for_timeout(250)
    selectors = [".vote[data-answer=tie] span", ".rate-said b", ".rate-next span", ".rate-maker", ".rate-delete"]
    ratios |= {f"{one} after": contrast(page, f".rate {one}") for one in selectors}
    expect(page.locator(".rate-next")).to_be_in_viewport()
    context.close()
    assert {selector: ratio for selector, ratio in ratios.items() if ratio < 4.5} == {}


def test_a_result_can_be_graded_once_for_each_run(page: Page, tmp_path: Path, new: Callable[[], list[Record]]) -> None:
    open_photo(page, write_photo(tmp_path / "a.png"))
    expect(page.locator("#grade .grade")).to_have_count(0)
    page.click("#run")
    page.wait_for_selector("#comparison .compare")
    grade = page.locator("#grade")
    expect(grade.get_by_role("heading", name=text.GRADE_TITLE)).to_be_visible()
    good = grade.get_by_role("button", name="Good")
    good.click()
    expect(grade.locator(".rate-said[role=status]")).to_have_text(text.GRADE_TICK)
    expect(grade.locator(".rate-consent")).to_be_focused()
    page.wait_for_timeout(100)
    assert new() == []
    page.keyboard.press("Space")
    expect(grade.locator(".rate-said")).to_have_text("")
    sent = counting(page, "grade")
    page.evaluate("for (let i = 0; i < 9; i++) document.querySelectorAll('#grade .vote')[3 + i % 2].click()")
    expect(grade.locator(".rate-said")).to_contain_text(text.GRADE_THANKS.format(grade="Good"))
    expect(grade.locator(".rate-said")).to_contain_text(text.RATE_ACCEPTED)
    expect(grade.locator(".rate-consent")).not_to_be_visible()
    (vote,) = new()
    assert isinstance(vote, GradeVote)
    assert (vote.picture_set, vote.grade, len(sent)) == (OWN, 4, 1)
    assert vote.system == family().default.id
    assert vote.view.zoom > 0
    assert (kept(page, "psr-consent-own"), kept(page, "psr-consent")) == ("yes", None)
    expect(grade.locator(".grade-stored")).to_have_text(text.GRADE_STORED, use_inner_text=True)
    page.locator("#models input").nth(1).check(force=True)
    page.click("#run")
    expect(grade.locator(".vote[aria-pressed]")).to_have_count(0)  # asked anew
    grade.get_by_role("button", name="Poor").click()
    expect(grade.locator(".rate-said")).to_contain_text(text.GRADE_THANKS.format(grade="Poor"))
    other = next(one for one in new() if one.id != vote.id)
    assert isinstance(other, GradeVote)
    assert (other.grade, other.rater, other.picture) == (2, vote.rater, vote.picture)
    assert other.system != vote.system
    open_tab(page)  # which asks for more
    expect(page.locator(".rate-intro .rate-consent")).not_to_be_checked()
    expect(page.locator(".rate-start")).to_be_disabled()


def test_the_consent_to_rate_is_one_for_own_results_too(
    page: Page, tmp_path: Path, new: Callable[[], list[Record]]
) -> None:
    start(page)
    page.get_by_role("tab", name=text.UPSCALE_TAB).click()
    open_photo(page, write_photo(tmp_path / "a.png"))
    page.click("#run")
    page.wait_for_selector("#comparison .compare")
    grade = page.locator("#grade")
    expect(grade.locator(".grade-stored")).to_have_text(f"{text.GRADE_STORED} {text.GRADE_AS_RATE}")
    expect(grade.locator(".rate-consent")).not_to_be_visible()
    grade.get_by_role("button", name="Fair").click()
    expect(grade.locator(".rate-said")).to_contain_text(text.GRADE_THANKS.format(grade="Fair"))
    assert len(new()) == 1
    assert kept(page, "psr-consent-own") is None


@pytest.mark.parametrize("size", [(1280, 600), (640, 430)])
def test_keys_that_scroll_do_not_vote(browser: Browser, archived: Polled, size: tuple[int, int]) -> None:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce")
    page = context.new_page()
    page.route("**/ratings/draw", as_large_as_they_ship)
    page.goto(archived.address)
    open_tab(page)
    page.check(".rate-consent")
    page.click(".rate-start")
    see_all(page)
    phase(page, "open")
    sent = counting(page, "vote")
    for key in ("ArrowUp", "ArrowDown"):
        scrolls(page, key)
    assert sent == []
    phase(page, "open")
    page.keyboard.press("s")
    phase(page, "done")
    for key in ("ArrowUp", "ArrowDown"):
        scrolls(page, key)
    assert len(sent) == 1
    context.close()


def as_large_as_they_ship(route: Route) -> None:
    route.fulfill(json=route.fetch().json() | {"height": 320, "width": 320})


def see_all(page: Page) -> None:
    for frame in page.locator(".rate-frame").all():
        frame.evaluate("(one) => one.scrollIntoView({block: 'start'})")
        page.wait_for_timeout(150)


def scrolls(page: Page, key: str) -> None:
    """Sees that a key moves the page."""
    middle = page.evaluate("""() => {
      window.scrollTo(0, Math.floor((document.documentElement.scrollHeight - innerHeight) / 2));
      return scrollY;
    }""")
    page.keyboard.press(key)
    way = "<" if key == "ArrowUp" else ">"
    page.wait_for_function(f"scrollY {way} {middle}")


def test_letters_act_only_with_the_focus_in_the_trial(page: Page) -> None:
    start(page)
    sent, drawn = counting(page, "vote"), counting(page, "draw")
    expect(page.locator(".rate-hands")).to_be_focused()
    for other in (".rate-delete", ".rate-modes button >> nth=0"):
        page.locator(other).focus()
        for key in ("t", "x", "s", "n", "z"):
            page.keyboard.press(key)
    page.wait_for_timeout(200)
    assert sent == []
    page.locator(".vote[data-answer=tie]").focus()
    page.keyboard.press("x")
    phase(page, "done")
    page.wait_for_timeout(450)
    page.locator(".rate-delete").focus()
    page.keyboard.press("n")
    page.wait_for_timeout(100)
    assert drawn == []
    page.click(".rate-next")
    phase(page, "open")
    expect(page.locator(".rate-hands")).to_be_focused()
    assert [one["answer"] for one in sent] == ["both_bad"]


def test_the_time_runs_from_when_both_pictures_were_seen(
    browser: Browser, archived: Polled, new: Callable[[], list[Record]]
) -> None:
    context = browser.new_context(viewport={"width": 500, "height": 300}, reduced_motion="reduce")
    page = context.new_page()
    page.route("**/ratings/draw", as_large_as_they_ship)
    page.goto(archived.address)
    open_tab(page)
    page.check(".rate-consent")
    page.click(".rate-start")
    phase(page, "unseen")
    expect(page.locator(".rate-said")).to_have_text(text.RATE_SCROLL)
    expect(page.locator(".rate-said")).to_be_in_viewport(ratio=1)
    box = page.locator(".rate-frame").nth(1).bounding_box()
    assert box is not None
    assert box["y"] > 300 - 0.8 * box["height"]
    page.wait_for_timeout(1700)  # longer than the lock
    phase(page, "unseen")
    page.keyboard.press("ArrowLeft")
    page.locator(".rate-frame").nth(1).evaluate("(one) => one.scrollIntoView({block: 'start'})")
    phase(page, "locked")
    phase(page, "open")
    page.keyboard.press("ArrowRight")
    phase(page, "done")
    (vote,) = new()
    assert isinstance(vote, PairVote)
    assert vote.choice == "right"
    assert 1400 <= vote.view.decision_ms < 2400
    context.close()


def test_votes_under_an_earlier_secret_are_not_dropped_in_silence(
    browser: Browser, archived: Polled, new: Callable[[], list[Record]]
) -> None:
    context = browser.new_context()  # the browser tells of refused requests as errors
    page = context.new_page()
    page.goto(archived.address)
    start(page)
    first = kept(page, "psr-browser")
    page.keyboard.press("s")
    phase(page, "done")
    page.evaluate("localStorage.setItem('psr-browser', 'foreign')")  # as if the secret were another now
    page.wait_for_timeout(450)
    page.keyboard.press("n")
    phase(page, "open")
    page.keyboard.press("s")
    phase(page, "done")
    second = kept(page, "psr-browser")
    assert second not in (first, "foreign")
    assert json.loads(kept(page, "psr-browser-old")) == ["foreign"]
    page.evaluate("(old) => localStorage.setItem('psr-browser-old', JSON.stringify(old))", ["foreign", first])
    sent = counting(page, "forget")
    page.get_by_role("button", name=text.RATE_DELETE).click()
    page.get_by_role("button", name=text.RATE_DELETE_YES).click()
    expect(page.locator(".rate-problem")).to_have_text(text.RATE_FOREIGN.format(count=2))
    assert [one["browser"] for one in sent] == ["foreign", first, second]
    assert [one for one in new() if one.kind != "forget"] == []
    assert json.loads(kept(page, "psr-browser-old")) == ["foreign"]
    assert {kept(page, key) for key in ("psr-browser", "psr-consent", "psr-receipts")} == {None}
    expect(page.get_by_role("button", name=text.RATE_DELETE)).to_be_visible()
    context.close()


def test_only_some_of_the_replaced_tokens_are_kept(page: Page) -> None:
    open_tab(page)
    page.evaluate("""() => {
      for (let at = 0; at < 8; at++) psrBallots.keepBrowser(`token ${at % 7}`);
      psrBallots.keepBrowser('token 0');
    }""")
    assert json.loads(kept(page, "psr-browser-old")) == [f"token {at}" for at in range(2, 7)]
