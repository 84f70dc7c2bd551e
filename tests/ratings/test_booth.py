import base64
import io
import itertools
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Literal

import pytest
from PIL import Image

import ratings.booth
from ratings.ballot import Ballot
from ratings.board import Board
from ratings.booth import Accepted, Booth, Draw
from ratings.identity import Keys
from ratings.stimuli import PictureSet
from ratings.store import VoteStore
from ratings.vote import OWN, Choice, Forget, GradeVote, PairVote, View
from sr_core.errors import AnswerError, BallotError, VoteError, VoteLimitError
from tests.ratings.picture_sets import small_set

VARIANTS = ("full", "w8", "w4")
REFERENCES = {"w8": "full", "w4": "full"}
VIEW = View(decision_ms=2000, viewport=(1200, 800), pixel_ratio=1, zoom=1)
HIDDEN = "what only the servers know"


@dataclass
class Clock:
    """A time that passes when it is told to."""

    time: datetime = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> PictureSet:
    return small_set(tmp_path_factory.mktemp("pictures"), VARIANTS)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[VoteStore]:
    store = VoteStore.open(f"sqlite:///{tmp_path / 'votes.db'}")
    yield store
    store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def booth(store: VoteStore, pictures: PictureSet, clock: Clock) -> Booth:
    return booth_of(store, pictures, clock)


def booth_of(store: VoteStore, pictures: PictureSet, clock: Callable[[], datetime], per_day: int = 60) -> Booth:
    return Booth(store, Keys(HIDDEN, clock), pictures, REFERENCES, per_day, clock, Random(1))


def rate(booth: Booth, clock: Clock, browser: str | None = None, answer: Choice = "left") -> tuple[Draw, Accepted]:
    draw = booth.draw(browser, "pair")
    clock.wait(2)
    return draw, booth.vote(draw.browser, draw.ballot, answer, VIEW)


def test_a_pair_is_drawn_looked_at_and_answered(booth: Booth, store: VoteStore, clock: Clock) -> None:
    draw = booth.draw(None, "pair")
    pixels = [Image.open(io.BytesIO(booth.picture(ticket))).size for ticket in draw.pictures]
    clock.wait(1)
    accepted = booth.vote(draw.browser, draw.ballot, "left", VIEW)
    [vote] = store.records()
    assert isinstance(vote, PairVote)
    assert pixels == [(draw.width, draw.height)] * 2
    assert (draw.unlock_ms, draw.done_today, draw.left_today) == (1500, 0, 60)
    assert (vote.id, (vote.left, vote.right), vote.picture) == (accepted.id, accepted.systems, accepted.picture)
    assert (vote.choice, vote.view, vote.at) == ("left", VIEW, clock.time)
    assert (accepted.state, accepted.browser) == ("accepted", draw.browser)
    assert booth.states([vote.id, "0" * 32]) == {vote.id: "accepted", "0" * 32: "unknown"}
    after = booth.draw(draw.browser, "pair")
    assert (after.browser, after.done_today, after.left_today) == (draw.browser, 1, 59)


def test_what_is_answered_is_known_to_the_next_draws(booth: Booth, clock: Clock) -> None:
    rate(booth, clock, answer="skip")
    draw, told = rate(booth, clock)
    booth.vote(draw.browser, draw.ballot, "left", VIEW)
    knowledge = booth._draws.knowledge()
    left, right = (knowledge.systems.index(system) for system in told.systems)
    assert knowledge.counts.answers[left, right] == 1
    assert knowledge.counts.answers.sum() == 2, "of one pair: in both orders"
    assert knowledge.counts.pairs.sum() == 4
    assert not booth._draws._open


def test_a_picture_is_graded(booth: Booth, store: VoteStore, clock: Clock) -> None:
    draw = booth.draw(None, "grade")
    clock.wait(2)
    accepted = booth.vote(draw.browser, draw.ballot, 5, VIEW)
    [vote] = store.records()
    assert isinstance(vote, GradeVote)
    assert len(draw.pictures) == 1
    assert (vote.grade, (vote.system,), vote.picture_set) == (5, accepted.systems, booth._pictures.version)


@pytest.mark.parametrize(
    ("mode", "answer"),
    [("pair", 3), ("pair", "best"), ("pair", True), ("pair", ""), ("grade", "left"), ("grade", 0), ("grade", 6),
     ("grade", True), ("grade", 3.0), ("grade", None)],
)  # fmt: skip
def test_an_answer_that_does_not_fit_is_refused(
    booth: Booth, store: VoteStore, clock: Clock, mode: Literal["pair", "grade"], answer: Choice
) -> None:
    draw = booth.draw(None, mode)
    clock.wait(2)
    with pytest.raises(AnswerError, match=r"^A (pair|grade) is "):
        booth.vote(draw.browser, draw.ballot, answer, VIEW)
    assert store.records() == ()


def test_what_a_browser_gets_tells_nothing(booth: Booth, pictures: PictureSet) -> None:
    draws = [booth.draw(None, mode) for mode in ("pair", "grade") for _ in range(60)]
    texts = [text for draw in draws for text in (draw.ballot, *draw.pictures)]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", text) for text in texts)
    assert len(set(texts)) == len(texts), "no address is there twice, though few pictures are"
    assert len({len(draw.ballot) for draw in draws}) == 1
    assert len({len(ticket) for draw in draws for ticket in draw.pictures}) == 1
    words = {*pictures.systems, *(picture.name for picture in pictures.pictures)}
    read = [*texts, *(base64.urlsafe_b64decode(text + "===").decode("latin-1") for text in texts)]
    assert not [word for text in read for word in words if len(word) > 4 and word in text]
    files = {ticket: booth.picture(ticket) for draw in draws[:30] for ticket in draw.pictures}
    assert len(set(files.values())) == len(files), "no file is there twice"


def test_the_same_ballot_gets_the_same_answer(booth: Booth, store: VoteStore, clock: Clock) -> None:
    draw = booth.draw(None, "pair")
    clock.wait(2)
    first = booth.vote(draw.browser, draw.ballot, "left", VIEW)
    clock.wait(3)
    second = booth.vote(draw.browser, draw.ballot, "right", VIEW)
    clock.wait(3 * 3600)
    late = booth.vote(draw.browser, draw.ballot, "right", VIEW)
    [vote] = store.records()
    for other in (second, late):
        assert (other.id, other.systems, other.picture, other.state) == (vote.id, first.systems, first.picture, "accepted")  # fmt: skip  # noqa: E501
        assert booth._seals.read_receipt(other.receipt) == booth._seals.read_receipt(first.receipt) == vote
    assert isinstance(vote, PairVote)
    assert vote.choice == "left"


def test_ballots_of_others_old_ones_and_hasty_answers_are_refused(booth: Booth, store: VoteStore, clock: Clock) -> None:
    draw, other = booth.draw(None, "pair"), booth.draw(None, "pair")
    clock.wait(0.999)
    with pytest.raises(BallotError, match="look for a second"):
        booth.vote(draw.browser, draw.ballot, "left", VIEW)
    clock.wait(2)
    with pytest.raises(BallotError, match="another browser"):
        booth.vote(other.browser, draw.ballot, "left", VIEW)
    with pytest.raises(BallotError, match="load it again"):
        booth.vote("not ours", draw.ballot, "left", VIEW)
    with pytest.raises(BallotError, match="load it again"):
        booth.vote(draw.browser, draw.pictures[0], "left", VIEW)
    with pytest.raises(BallotError, match="load it again"):
        booth.picture(draw.ballot)
    clock.wait(3600)
    with pytest.raises(BallotError, match="more than an hour"):
        booth.vote(draw.browser, draw.ballot, "left", VIEW)
    with pytest.raises(BallotError, match="too long"):
        booth.picture(draw.pictures[0])
    assert store.records() == ()


def test_another_replica_takes_the_vote_and_another_secret_does_not(
    booth: Booth, store: VoteStore, pictures: PictureSet, clock: Clock
) -> None:
    draw = booth.draw(None, "pair")
    clock.wait(2)
    replica = booth_of(store, pictures, clock)
    accepted = replica.vote(draw.browser, draw.ballot, "left", VIEW)
    assert booth.vote(draw.browser, draw.ballot, "right", VIEW).systems == accepted.systems
    assert len(replica.picture(draw.pictures[0])) == len(booth.picture(draw.pictures[0]))
    with pytest.raises(BallotError):
        Booth(store, Keys("another secret", clock), pictures, {}, 60, clock).picture(draw.pictures[0])


def test_pictures_that_changed_since_the_draw_are_told(
    booth: Booth, store: VoteStore, pictures: PictureSet, clock: Clock
) -> None:
    draw = booth.draw(None, "pair")
    clock.wait(2)
    fewer = booth_of(store, pictures.only(["w8", "w4"]), clock)
    with pytest.raises(BallotError, match="has changed"):
        fewer.vote(draw.browser, draw.ballot, "left", VIEW)
    with pytest.raises(BallotError, match="has changed"):
        fewer.picture(draw.pictures[0])
    assert fewer.draw(draw.browser, "pair").browser == draw.browser, "the rater stays the same"


def test_where_there_are_no_models_there_is_nothing_to_rate(
    store: VoteStore, pictures: PictureSet, clock: Clock
) -> None:
    with pytest.raises(VoteLimitError, match="no pictures yet"):
        booth_of(store, pictures.only([]), clock).draw(None, "pair")


def test_a_rater_gets_each_trial_once_and_one_in_six_is_golden(
    store: VoteStore, pictures: PictureSet, clock: Clock
) -> None:
    booth, browser, shown = booth_of(store, pictures, clock, per_day=1000), None, list[str]()
    answers = itertools.cycle(("left", "skip", "right", "tie", "both_bad"))
    for number in range(30):
        if number == 10:
            booth = booth_of(store, pictures, clock, per_day=1000)  # a restart
        draw, accepted = rate(booth, clock, browser, next(answers))
        browser = draw.browser
        shown.append("|".join((accepted.picture, *sorted(accepted.systems))))
    golden = [number for number, one in enumerate(shown) if one.endswith("|bicubic|original")]
    assert len(set(shown)) == 30, "5 systems and 3 pictures: all that there are, the skipped ones too"
    assert [sum(block * 6 <= number < block * 6 + 6 for number in golden) for block in range(3)] == [1, 1, 1]
    with pytest.raises(VoteLimitError, match="rated all there is this month"):
        booth.draw(browser, "pair")
    grades = [booth.draw(browser, "grade")]
    assert len(grades[0].pictures) == 1, "grades are trials of their own"
    clock.time = datetime(2026, 12, 1, tzinfo=UTC)
    assert booth.draw(browser, "pair").done_today == 0


def test_the_place_of_the_golden_pair_differs_between_raters(booth: Booth) -> None:
    places = Counter[int]()
    for rater in range(300):
        golden = [booth._is_golden(f"{rater:016x}", number) for number in range(12)]
        assert sum(golden[:6]) == sum(golden[6:]) == 1
        places.update(number for number in range(12) if golden[number])
    assert min(places[place] for place in range(12)) > 25


def trial_of(booth: Booth, draw: Draw) -> tuple[str, ...]:
    ballot = booth._seals.read_ballot(draw.ballot)
    return ballot.picture, *ballot.systems


@pytest.mark.parametrize("mode", ["pair", "grade"])
def test_two_tabs_show_two_trials_and_further_ones_these_again(
    booth: Booth, store: VoteStore, clock: Clock, mode: Literal["pair", "grade"]
) -> None:
    first = booth.draw(None, mode)
    other = booth.draw(first.browser, "grade" if mode == "pair" else "pair")
    shown = [first]
    for _ in range(5):
        clock.wait(800)
        shown.append(booth.draw(first.browser, mode))
    trials = [trial_of(booth, draw) for draw in shown]
    assert trials[0] != trials[1]
    assert trials == trials[:2] * 3, "with the same sides, for longer than an hour"
    assert len({draw.ballot for draw in shown}) == len({draw.pictures for draw in shown}) == 6
    assert len(other.pictures) != len(first.pictures), "each mode has its own"
    clock.wait(2)
    answers: tuple[Choice | int, ...] = ("left", "right", "tie") if mode == "pair" else (5, 1, 2)
    told = [
        booth.vote(first.browser, shown[n].ballot, answer, VIEW) for n, answer in zip((4, 2, 4), answers, strict=True)
    ]
    assert len({one.id for one in told}) == len(store.records()) == 1
    [vote] = store.records()
    assert (vote.choice if isinstance(vote, PairVote) else getattr(vote, "grade", None)) == answers[0]
    third = trial_of(booth, booth.draw(first.browser, mode))
    assert third not in trials
    assert trial_of(booth, booth.draw(first.browser, mode)) == trials[1]


def test_one_cannot_draw_until_a_wanted_system_shows(booth: Booth) -> None:
    browser = booth.draw(None, "pair").browser
    start = threading.Barrier(50)

    def draw(_: int) -> tuple[str, ...]:
        start.wait(30)
        return trial_of(booth, booth.draw(browser, "pair"))

    with ThreadPoolExecutor(50) as pool:
        assert len(set(pool.map(draw, range(50)))) == 2
    assert booth._draws.knowledge().counts.pairs.sum() == 4, "in both orders: it pushes nothing away from others"


def test_after_an_hour_without_a_look_there_is_something_new(booth: Booth, clock: Clock) -> None:
    browser = booth.draw(None, "pair").browser
    old = {trial_of(booth, booth.draw(browser, "pair")) for _ in range(4)}
    clock.wait(3601)
    new = {trial_of(booth, booth.draw(browser, "pair")) for _ in range(4)}
    assert len(old) == len(new) == 2
    assert old != new


def test_when_nothing_else_is_left_what_is_open_comes_again(
    store: VoteStore, pictures: PictureSet, clock: Clock
) -> None:
    booth, browser = booth_of(store, pictures, clock, per_day=1000), None
    for _ in range(29):
        browser = rate(booth, clock, browser)[0].browser
    last = [trial_of(booth, booth.draw(browser, "pair")) for _ in range(3)]
    assert len(set(last)) == 1


def test_what_another_replica_took_is_not_drawn_again(store: VoteStore, pictures: PictureSet, clock: Clock) -> None:
    booth = booth_of(store, pictures, clock)
    first = booth.draw(None, "pair")
    second = booth.draw(first.browser, "pair")
    clock.wait(2)
    booth_of(store, pictures, clock).vote(first.browser, first.ballot, "left", VIEW)
    new = trial_of(booth, booth.draw(first.browser, "pair"))
    assert new not in {trial_of(booth, first), trial_of(booth, second)}


def test_a_third_of_a_day_and_five_may_be_skipped(store: VoteStore, pictures: PictureSet, clock: Clock) -> None:
    booth, browser = booth_of(store, pictures, clock, per_day=12), None
    for _ in range(9):
        skipped, accepted = rate(booth, clock, browser, "skip")
        browser = skipped.browser
    draw = booth.draw(browser, "pair")
    clock.wait(2)
    with pytest.raises(VoteLimitError, match="skipped 9 pairs today; please answer this one, or come back tomorrow"):
        booth.vote(draw.browser, draw.ballot, "skip", VIEW)
    assert booth.vote(skipped.browser, skipped.ballot, "skip", VIEW).id == accepted.id
    assert rate(booth, clock, None, "skip")[1].state == "accepted", "others may"
    booth.vote(draw.browser, draw.ballot, "tie", VIEW)
    assert booth.draw(browser, "pair").left_today == 2, "skips are votes of the day"
    clock.time = datetime(2026, 11, 22, 0, 0, tzinfo=UTC)
    rate(booth, clock, browser, "skip")


def test_a_class_behind_one_address_has_four_votes_each(store: VoteStore, pictures: PictureSet, clock: Clock) -> None:
    booth, school = booth_of(store, pictures, clock), b"the word of a school"
    browsers = [booth.draw(None, "pair", school).browser for _ in range(30)]
    own, receipts = booth.own_ticket("w8", "a word"), list[str]()
    for browser in browsers * 2:
        for mode, answer in (("pair", "left"), ("grade", 3)):
            draw = booth.draw(browser, mode, school)
            last = booth.draw(browser, mode, school)
            clock.wait(2)
            receipts.append(booth.vote(browser, draw.ballot, answer, VIEW, school).receipt)
            booth.vote(browser, draw.ballot, answer, VIEW, school)  # twice is once
    refusal = r"network has given 120 votes today, .*\(4 each for a class of 30\).* tomorrow"
    with pytest.raises(VoteLimitError, match=refusal):
        booth.draw(browsers[0], "pair", school)
    with pytest.raises(VoteLimitError, match=refusal):
        booth.draw(None, "grade", school)
    with pytest.raises(VoteLimitError, match=refusal):
        booth.vote(browsers[-1], last.ballot, 3, VIEW, school)
    with pytest.raises(VoteLimitError, match=refusal):
        booth.grade_own(None, own, 3, VIEW, school)
    assert len(store.records()) == 120
    assert len(booth.again(receipts, school)) == 120, "what is stored is confirmed again"
    booth.vote(browsers[-1], last.ballot, 3, VIEW, b"another network")
    clock.time = datetime(2026, 11, 22, 0, 0, tzinfo=UTC)
    booth.grade_own(browsers[0], own, 3, VIEW, school)
    assert booth.draw(browsers[0], "pair", school).left_today == 59


def test_votes_that_come_again_count_for_their_network_when_they_are_new(
    store: VoteStore, pictures: PictureSet, clock: Clock, tmp_path: Path
) -> None:
    first = booth_of(store, pictures, clock)
    told = [rate(first, clock)[1] for _ in range(4)]
    wiped = VoteStore.open(f"sqlite:///{tmp_path / 'new.db'}")
    booth = Booth(wiped, Keys(HIDDEN, clock), pictures, {}, 60, clock, votes_per_client=3)
    receipts = [one.receipt for one in told]
    clock.wait(86_400)  # they count on the day on which they come
    for _ in range(3):
        assert set(booth.again(receipts[:2], b"net").values()) == {"accepted"}
    with pytest.raises(VoteLimitError, match="network has given 3 votes"):
        booth.again(receipts, b"net")
    assert len(wiped.records()) == 3
    assert set(booth.again(receipts, b"other").values()) == {"accepted"}
    clock.wait(86_400)
    assert booth.draw(None, "pair", b"net").left_today == 60
    wiped.close()


def test_the_share_of_a_network_holds_in_a_storm_and_failures_take_none_of_it(
    store: VoteStore, pictures: PictureSet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    booth = Booth(store, Keys(HIDDEN, clock), pictures, {}, 60, clock, votes_per_client=5)
    draws = [booth.draw(None, "pair", b"net") for _ in range(24)]
    clock.wait(2)

    def vote(draw: Draw) -> str:
        try:
            return booth.vote(draw.browser, draw.ballot, "left", VIEW, b"net").id
        except VoteLimitError:
            return "limit"

    def fail(_: object) -> None:
        raise VoteError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(store, "accept", fail)
        for draw in draws[:6]:
            with pytest.raises(VoteError, match="disk is full"):
                vote(draw)
    with ThreadPoolExecutor(24) as pool:
        told = Counter(pool.map(vote, draws))
    assert told["limit"] == 19
    assert len(store.records()) == 5


def test_a_second_answer_by_another_ballot_does_not_count(store: VoteStore, pictures: PictureSet, clock: Clock) -> None:
    booths = [Booth(store, Keys(HIDDEN, clock), pictures, {}, 60, clock, Random(5)) for _ in range(2)]
    browser = Keys(HIDDEN, clock).new_browser()
    one, two = (booth.draw(browser, "pair") for booth in booths)
    read = [booth._seals.read_ballot(draw.ballot) for booth, draw in zip(booths, (one, two), strict=True)]
    assert read[0].slot("") == read[1].slot(""), "the same chance, and no replica knows of the other's draws"
    clock.wait(2)
    booths[0].vote(browser, one.ballot, "left", VIEW)
    with pytest.raises(BallotError, match="rated this before"):
        booths[1].vote(browser, two.ballot, "left", VIEW)
    assert len(store.records()) == 1


def test_the_day_has_a_limit_for_all_kinds_together(store: VoteStore, pictures: PictureSet, clock: Clock) -> None:
    booth, browser = booth_of(store, pictures, clock, per_day=4), None
    for _ in range(2):
        browser = rate(booth, clock, browser, "skip")[0].browser
    assert browser is not None
    kept = [booth.draw(browser, "pair") for _ in range(3)]
    grade = booth.draw(browser, "grade")
    clock.wait(2)
    booth.vote(browser, grade.ballot, 3, VIEW)
    own = booth.own_ticket("w8", "a word")
    booth.grade_own(browser, own, 4, VIEW)
    for refused in (lambda: booth.draw(browser, "pair"), lambda: booth.draw(browser, "grade")):
        with pytest.raises(VoteLimitError, match="4 votes today"):
            refused()
    for draw in kept:
        with pytest.raises(VoteLimitError, match="4 votes today"):
            booth.vote(browser, draw.ballot, "left", VIEW)
    with pytest.raises(VoteLimitError, match="4 votes today"):
        booth.grade_own(browser, booth.own_ticket("w4", "a word"), 4, VIEW)
    assert booth.grade_own(browser, own, 4, VIEW).state == "accepted", "what is stored is confirmed again"
    assert booth.vote(browser, grade.ballot, 3, VIEW).state == "accepted"
    assert len(store.records()) == 4
    clock.time = datetime(2026, 11, 22, 0, 0, tzinfo=UTC)
    assert booth.draw(browser, "pair").left_today == 4


def test_the_turn_of_a_month_gives_no_second_day(store: VoteStore, pictures: PictureSet, clock: Clock) -> None:
    clock.time = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
    booth = booth_of(store, pictures, clock, per_day=1)
    browser = Keys(HIDDEN, clock).new_browser()
    kept = [booth.draw(browser, "pair") for _ in range(2)]
    clock.time = datetime(2026, 12, 1, 0, 1, tzinfo=UTC)
    new = booth.draw(browser, "pair")
    assert len({booth._seals.read_ballot(draw.ballot).rater for draw in (kept[0], new)}) == 2
    clock.wait(2)
    booth.vote(browser, kept[0].ballot, "left", VIEW)
    for draw in (kept[1], new):
        with pytest.raises(VoteLimitError):
            booth.vote(browser, draw.ballot, "left", VIEW)
    with pytest.raises(VoteLimitError):
        booth.draw(browser, "pair")
    clock.wait(86_400)
    assert booth.draw(browser, "pair").done_today == 0


def test_the_limit_holds_in_a_storm(store: VoteStore, pictures: PictureSet, clock: Clock) -> None:
    booth = booth_of(store, pictures, clock, per_day=5)
    browser = Keys(HIDDEN, clock).new_browser()
    rater, pairs = booth._keys.word_of(browser, clock.time), itertools.combinations(pictures.systems, 2)
    trials = list(itertools.product([one.name for one in pictures.pictures], pairs))[:16]
    drawn = [
        Ballot(id=f"{n:032x}", rater=rater, at=clock.time, picture=one, systems=two)
        for n, (one, two) in enumerate(trials)
    ]
    ballots = [booth._seals.ballot(one) for one in drawn]
    clock.wait(2)

    def vote(ballot: str) -> str:
        try:
            return booth.vote(browser, ballot, "left", VIEW).id
        except VoteLimitError:
            return "limit"

    with ThreadPoolExecutor(16) as pool:
        told = Counter(pool.map(vote, ballots))
    assert told["limit"] == 11
    assert len(store.records()) == 5


def test_25_raters_who_click_4_times_at_once_make_25_rows(booth: Booth, store: VoteStore, clock: Clock) -> None:
    draws = [booth.draw(None, "pair") for _ in range(25)]
    clock.wait(2)
    start = threading.Barrier(100)

    def click(one: tuple[Draw, Choice]) -> Accepted:
        start.wait(30)
        return booth.vote(one[0].browser, one[0].ballot, one[1], VIEW)

    choices: tuple[Choice, ...] = ("left", "right", "tie", "skip")
    with ThreadPoolExecutor(100) as pool:
        told = list(pool.map(click, itertools.product(draws, choices)))
    records = {record.id: record for record in store.records()}
    assert len(records) == 25
    for accepted in told:
        assert booth._seals.read_receipt(accepted.receipt) == records[accepted.id], "all four hear the same"
    assert Counter(accepted.id for accepted in told) == dict.fromkeys(records, 4)


def test_a_result_on_an_own_photo_is_graded_once(booth: Booth, store: VoteStore, clock: Clock) -> None:
    ticket = booth.own_ticket("swinir-s_x4", "the word of an upload")
    first = booth.grade_own(None, ticket, 4, VIEW)
    clicks = [booth.grade_own(browser, ticket, 1, VIEW) for browser in (None, None, first.browser)]
    [vote] = store.records()
    assert isinstance(vote, GradeVote)
    assert (vote.picture_set, vote.system, vote.grade) == (OWN, "swinir-s_x4", 4)
    assert vote.picture not in {"the word of an upload", ""}
    assert {click.id for click in clicks} == {first.id}
    with pytest.raises(BallotError, match="rated this before"):
        booth.grade_own(first.browser, booth.own_ticket("swinir-s_x4", "the word of an upload"), 2, VIEW)
    booth.grade_own(first.browser, booth.own_ticket("swinir-s_x4", "another upload"), 2, VIEW)
    with pytest.raises(BallotError, match="another browser"):
        booth.grade_own(Keys(HIDDEN, clock).new_browser(), ticket, 2, VIEW)
    with pytest.raises(VoteError, match="whole number"):
        booth.grade_own(None, ticket, 6, VIEW)
    assert len(store.records()) == 2
    clock.wait(2)
    assert booth.forget(clicks[0].browser) == 2, "all tokens from one ticket are one browser's"


def test_first_clicks_at_once_are_one_rater(booth: Booth, store: VoteStore) -> None:
    ticket = booth.own_ticket("w8", "word")
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: booth.grade_own(None, ticket, 4, VIEW), range(8)))
    keys = booth._keys
    assert len({keys.word_of(accepted.browser, datetime(2026, 11, 21, tzinfo=UTC)) for accepted in told}) == 1
    assert len(store.records()) == 1


def test_a_token_that_is_not_ours_gets_a_new_one(booth: Booth) -> None:
    for browser in (None, "", "rubbish", "\ud800", Keys("another secret").new_browser()):
        assert not booth.is_known(browser)
        draw = booth.draw(browser, "pair")
        assert draw.browser != browser
        assert booth.is_known(draw.browser)


def test_lost_votes_come_again(booth: Booth, store: VoteStore, pictures: PictureSet, clock: Clock, tmp_path: Path) -> None:  # fmt: skip  # noqa: E501
    first, browser = rate(booth, clock)[1], None
    draw, second = rate(booth, clock, browser)
    assert booth.again([first.receipt]) == {first.id: "accepted"}
    revision = store.revision
    wiped = VoteStore.open(f"sqlite:///{tmp_path / 'new.db'}")
    other = booth_of(wiped, pictures, clock)
    receipts = [first.receipt, second.receipt, second.receipt, "rubbish", draw.ballot]
    assert other.states([first.id]) == {first.id: "unknown"}
    assert other.again(receipts) == {first.id: "accepted", second.id: "accepted"}
    assert wiped.records() == store.records()
    assert other.again(receipts) == {first.id: "accepted", second.id: "accepted"}
    assert len(wiped.records()) == 2
    assert store.revision == revision
    assert other.again([]) == {}
    with pytest.raises(VoteError, match="At most 500"):
        other.again(["x"] * 501)
    wiped.close()


def test_what_is_forgotten_stays_forgotten(booth: Booth, store: VoteStore, pictures: PictureSet, clock: Clock) -> None:
    stays = rate(booth, clock)[1]
    clock.time = datetime(2026, 12, 31, 23, tzinfo=UTC)
    browser = rate(booth, clock)[0].browser
    clock.time = datetime(2027, 1, 2, tzinfo=UTC)
    gone = [rate(booth, clock, browser)[1] for _ in range(2)]
    kept = booth.draw(browser, "pair")
    clock.wait(2)
    assert booth.forget(browser) == 3
    assert not booth.is_known(browser)
    votes = [record for record in store.records() if not isinstance(record, Forget)]
    assert [vote.id for vote in votes] == [stays.id]
    assert booth.again([gone[0].receipt]) == {gone[0].id: "unknown"}
    for _ in range(2):
        with pytest.raises(BallotError, match="deleted as you asked"):
            booth.vote(browser, kept.ballot, "left", VIEW)
    restarted = booth_of(store, pictures, clock)
    restarted.draw(None, "pair")
    for one in (booth, restarted):
        assert not one.is_known(browser)
        draw = one.draw(browser, "pair")
        assert draw.browser != browser
        clock.wait(2)
        assert one.vote(draw.browser, draw.ballot, "left", VIEW).state == "accepted"
    before = len([record for record in store.records() if isinstance(record, Forget)])
    assert booth.forget(browser) == 0
    assert len([record for record in store.records() if isinstance(record, Forget)]) == before
    with pytest.raises(BallotError):
        booth.forget("rubbish")


def test_a_replica_learns_of_the_wish_when_it_matters(
    booth: Booth, store: VoteStore, pictures: PictureSet, clock: Clock
) -> None:
    browser = rate(booth, clock)[0].browser
    replica = booth_of(store, pictures, clock)
    kept = replica.draw(browser, "pair")
    clock.wait(2)
    booth.forget(browser)
    assert replica.is_known(browser)
    with pytest.raises(BallotError, match="deleted as you asked"):
        replica.vote(browser, kept.ballot, "left", VIEW)
    assert replica.draw(browser, "pair").browser != browser


def test_the_board_is_counted_when_there_are_new_votes_and_not_too_often(
    booth: Booth, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, board_of = list[int](), ratings.booth.board_of

    def count(*args: object) -> Board:
        counted.append(1)
        return board_of(*args)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(ratings.booth, "board_of", count)
    rate(booth, clock)
    first = booth.board()
    assert first.screening.votes == 1
    clock.wait(1000)
    assert booth.board() is first
    rate(booth, clock)
    assert booth.board().screening.votes == 2
    rate(booth, clock)
    clock.wait(17)
    assert booth.board().screening.votes == 2
    clock.wait(1)
    assert booth.board().screening.votes == 3
    assert len(counted) == 3


def test_who_comes_while_the_board_is_counted_gets_the_last_one(
    booth: Booth, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end, board_of, times = threading.Event(), threading.Event(), ratings.booth.board_of, list[int]()

    def slow(*args: object) -> Board:
        times.append(1)
        begun.set()
        assert may_end.wait(10)
        return board_of(*args)  # pyright: ignore[reportArgumentType]

    first = booth.board()
    rate(booth, clock)
    clock.wait(30)
    monkeypatch.setattr(ratings.booth, "board_of", slow)
    with ThreadPoolExecutor(1) as pool:
        counting = pool.submit(booth.board)
        assert begun.wait(10)
        assert booth.board() is first
        rate(booth, clock)
        may_end.set()
        assert counting.result().screening.votes == 1
    assert len(times) == 1
    clock.wait(30)
    assert booth.board().screening.votes == 2


def test_the_first_board_is_counted_once(booth: Booth, monkeypatch: pytest.MonkeyPatch) -> None:
    board_of, times = ratings.booth.board_of, list[int]()

    def slow(*args: object) -> Board:
        times.append(1)
        time.sleep(0.05)
        return board_of(*args)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(ratings.booth, "board_of", slow)
    with ThreadPoolExecutor(8) as pool:
        boards = list(pool.map(lambda _: booth.board(), range(8)))
    assert len(times) == 1
    assert all(board is boards[0] for board in boards)
