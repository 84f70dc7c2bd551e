"""The ratings over HTTP: the real app, the real store, real clients."""

import base64
import io
import json
import logging
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ratings.booth import Booth
from ratings.identity import now
from ratings.vote import ANCHORS, BICUBIC, ORIGINAL, Forget, GradeVote, View
from sr_core.errors import AnswerError, BallotError, SRError, VoteError, VoteLimitError
from tests.ratings.picture_sets import write_small_set
from tests.ui.loops import closed_event_loops
from tests.ui.studio import fake_poll, family, manifest
from tests.ui.voters import LOOKING_SECONDS, VIEW, Served, Voter, served
from ui import text
from ui.limits import RATES, Clients, Rate
from ui.poll import Poll, labels_of, open_poll
from ui.polling import Polling
from ui.settings import Access, Voting


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with closed_event_loops(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        with served(tmp_path_factory.mktemp("poll"), family()) as one:
            yield one


@pytest.fixture
def voter(site: Served) -> Iterator[Voter]:
    with Voter(site.address) as one:
        yield one


# -- what a rater does


def test_a_rater_draws_looks_votes_and_sees_what_it_was(site: Served, voter: Voter) -> None:
    drawn = voter.draw()
    assert set(drawn) == {
        "browser", "ballot", "pictures", "height", "width", "unlock_ms", "done_today", "left_today"
    }  # fmt: skip
    assert (drawn["unlock_ms"], drawn["done_today"], drawn["left_today"]) == (1500, 0, 60)
    left, right = voter.look(drawn)
    for one in (left, right):
        assert (one.status_code, one.headers["content-type"]) == (200, "image/png")
        assert (one.headers["cache-control"], one.headers["x-content-type-options"]) == ("no-store", "nosniff")
        assert Image.open(io.BytesIO(one.content)).size == (drawn["width"], drawn["height"])
    time.sleep(LOOKING_SECONDS)
    voted = voter.vote(drawn, "left")
    assert set(voted) == {"id", "state", "receipt", "reveal", "ids", "picture"}
    assert voted["state"] == "accepted"
    assert voted["picture"] in {"The alpha", "The beta", "The gamma"}
    labels = labels_of(family())
    assert voted["reveal"] == [labels[one] for one in voted["ids"]]
    assert len(set(voted["ids"])) == 2
    (stored,) = [one for one in records(site) if one.id == voted["id"]]
    assert [stored.left, stored.right, stored.choice] == [*voted["ids"], "left"]
    assert stored.view == View.model_validate(VIEW)
    again = voter.draw()
    assert (again["done_today"], again["left_today"], again["browser"]) == (1, 59, drawn["browser"])


def test_one_picture_is_graded(voter: Voter) -> None:
    drawn = voter.draw("grade")
    assert len(drawn["pictures"]) == 1
    time.sleep(LOOKING_SECONDS)
    voted = voter.vote(drawn, 4)
    assert len(voted["reveal"]) == len(voted["ids"]) == 1


def test_an_own_result_is_graded_without_a_trial(site: Served, voter: Voter) -> None:
    assert site.poll.booth is not None
    ticket = site.poll.booth.own_ticket(family().releases[0].id, "a secret word")
    graded = voter.post("grade", browser=None, ticket=ticket, grade=5, consent=True, view=VIEW)
    assert graded.status_code == 200
    assert set(graded.json()) == {"id", "state", "receipt", "browser"}
    voter.browser = graded.json()["browser"]
    assert voter.draw()["done_today"] == 1


def test_states_tell_what_is_kept_and_where(voter: Voter) -> None:
    voted = voter.whole_vote()
    other = "0" * 32
    answer = voter.post("state", ids=[voted["id"], other]).json()
    assert answer == {"states": {voted["id"]: "accepted", other: "unknown"}, "keeper": "here", "trouble": False}
    assert voter.post("again", receipts=[voted["receipt"]]).json() == {"states": {voted["id"]: "accepted"}}


def test_a_rater_is_forgotten_on_request(site: Served, voter: Voter) -> None:
    voted = voter.whole_vote()
    assert voter.post("forget", browser=voter.browser).json() == {"deleted": 1}
    assert voted["id"] not in {one.id for one in records(site)}
    assert voter.post("again", receipts=[voted["receipt"]]).json()["states"] == {voted["id"]: "unknown"}


def records(site: Served) -> list[Any]:
    assert site.poll.store is not None
    return [one for one in site.poll.store.records() if not isinstance(one, Forget)]


def test_a_vote_that_comes_twice_counts_once_and_its_first_answer_stays(site: Served, voter: Voter) -> None:
    drawn = voter.draw()
    time.sleep(LOOKING_SECONDS)
    first, second = voter.vote(drawn, "left"), voter.vote(drawn, "right")
    assert {key: first[key] for key in ("id", "ids", "picture")} == {
        key: second[key] for key in ("id", "ids", "picture")
    }
    (stored,) = [one for one in records(site) if one.id == first["id"]]
    assert stored.choice == "left"


def test_twenty_five_raters_who_click_four_times_at_once_make_twenty_five_rows(tmp_path: Path) -> None:
    with served(tmp_path, family()) as site:
        voters = [Voter(site.address) for _ in range(25)]
        drawn = [voter.draw() for voter in voters]
        time.sleep(LOOKING_SECONDS)
        answers: list[tuple[int, httpx.Response]] = []
        together = threading.Barrier(100)

        def click(rater: int, answer: str) -> None:
            with Voter(site.address) as again:
                together.wait()
                answers.append((rater, again.ask_vote(drawn[rater], answer)))

        clicks = [
            threading.Thread(target=click, args=(rater, answer))
            for rater in range(25)
            for answer in ("left", "right", "tie", "left")
        ]
        for one in clicks:
            one.start()
        for one in clicks:
            one.join()
        assert {answer.status_code for _, answer in answers} == {200}
        assert len(answers) == 100
        by_rater = {rater: {answer.json()["id"] for one, answer in answers if one == rater} for rater in range(25)}
        assert all(len(ids) == 1 for ids in by_rater.values())
        assert len(records(site)) == 25
        assert {one.id for one in records(site)} == {vote for ids in by_rater.values() for vote in ids}
        for voter in voters:
            voter.client.close()


def test_all_votes_of_finished_days_are_one_click_away(
    site: Served, voter: Voter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.polling._ZIP_SECONDS", 0.0)
    at = now()
    monkeypatch.setattr(site.app.polling, "_clock", lambda: at)
    before = httpx.get(f"{voter.address}/ratings/votes.zip").content
    voted = voter.whole_vote()
    assert httpx.get(f"{voter.address}/ratings/votes.zip").content == before, "who asks all day sees no vote come"
    monkeypatch.setattr(site.app.polling, "_clock", lambda: at + timedelta(days=1))
    answer = httpx.get(f"{voter.address}/ratings/votes.zip")  # as a developer does, without a page
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert 'filename="votes.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert {"votes.jsonl", "table.csv", "README.txt"} <= {Path(name).name for name in packed.namelist()}
        lines = packed.read(next(name for name in packed.namelist() if name.endswith("votes.jsonl"))).splitlines()
    assert lines
    assert voted["id"].encode() not in answer.content
    assert all(voted["id"] not in line.decode() for line in lines)
    assert httpx.get(f"{voter.address}/ratings/votes.zip").content == answer.content


# -- what is refused


def test_without_consent_nothing_is_drawn_and_nothing_stored(site: Served, voter: Voter) -> None:
    drawn, before = voter.draw(), len(records(site))
    time.sleep(LOOKING_SECONDS)
    vote = {"browser": drawn["browser"], "ballot": drawn["ballot"], "answer": "left", "view": VIEW}
    for route, body in (
        ("draw", {"browser": None, "mode": "pair"}),
        ("vote", vote),
        ("grade", {"browser": None, "ticket": "x", "grade": 3, "view": VIEW}),
    ):
        for consent in ({}, {"consent": False}):
            answer = voter.post(route, **body, **consent)
            assert (answer.status_code, answer.json()) == (403, {"error": text.NO_CONSENT})
    assert len(records(site)) == before


GOOD = {"browser": "b", "ballot": "b", "answer": "left", "consent": True, "view": VIEW}


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("draw", {"browser": None, "mode": "triple", "consent": True}),
        ("draw", {"mode": "pair", "consent": True}),
        ("draw", {"browser": None, "mode": "pair", "consent": "yes"}),
        ("draw", {"browser": "x" * 9000, "mode": "pair", "consent": True}),
        ("vote", GOOD | {"answer": "middle"}),
        ("vote", GOOD | {"answer": 6}),
        ("vote", GOOD | {"answer": True}),
        ("vote", GOOD | {"answer": 2.5}),
        ("vote", GOOD | {"note": "hello"}),
        ("vote", GOOD | {"view": VIEW | {"zoom": 0}}),
        ("vote", GOOD | {"view": VIEW | {"agent": "me"}}),
        ("vote", GOOD | {"view": VIEW | {"viewport": [1, 2, 3]}}),
        ("vote", {}),
        ("grade", {"browser": None, "ticket": "t", "grade": 0, "consent": True, "view": VIEW}),
        ("state", {"ids": ["nonsense"]}),
        ("state", {"ids": ["0" * 32] * 501}),
        ("again", {"receipts": ["r"] * 201}),
        ("again", {"receipts": "r"}),
        ("forget", {"browser": None}),
    ],
)
def test_a_request_that_is_none_is_refused_in_a_sentence(voter: Voter, route: str, body: dict[str, Any]) -> None:
    answer = voter.post(route, **body)
    assert (answer.status_code, answer.json()) == (400, {"error": text.BAD_REQUEST})


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"view": NaN}', b"[" * 100_000])
def test_what_is_no_json_is_refused_in_a_sentence(voter: Voter, content: bytes) -> None:
    for route in ("draw", "vote", "grade", "state", "again", "forget"):
        answer = voter.client.post(route, content=content)
        assert (answer.status_code, answer.json()) == (400, {"error": text.BAD_REQUEST})


def test_ballots_of_others_and_of_nobody_are_refused(site: Served, voter: Voter) -> None:
    drawn = voter.draw()
    time.sleep(LOOKING_SECONDS)
    with Voter(site.address) as other:
        other.draw()
        for body in (
            GOOD | {"browser": other.browser, "ballot": drawn["ballot"]},
            GOOD | {"browser": voter.browser, "ballot": drawn["ballot"][:-2]},
            GOOD | {"browser": voter.browser, "ballot": drawn["pictures"][0][8:-4]},
        ):
            answer = other.post("vote", **body)
            assert answer.status_code == 409
            assert answer.json()["error"].endswith(".")
    for ticket in (drawn["ballot"], "nonsense", drawn["pictures"][0][8:-4][::-1]):
        answer = voter.client.get(f"picture/{ticket}.png")
        assert answer.status_code == 409
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "draw"),
        ("GET", "vote"),
        ("POST", "nothing"),
        ("GET", "picture/x.jpg"),
        ("GET", "../ratings/x"),
        ("PUT", "vote"),
    ],
)
def test_other_addresses_hold_nothing(voter: Voter, method: str, path: str) -> None:
    answer = voter.client.request(method, path)
    assert (answer.status_code, answer.json()) == (404, {"error": text.NO_SUCH_ANSWER})


def test_an_answer_of_another_kind_is_the_mistake_of_who_sent_it(site: Served, voter: Voter) -> None:
    before = len(records(site))
    drawn = [(voter.draw("pair"), 3), (voter.draw("grade"), "left")]
    time.sleep(LOOKING_SECONDS)
    for one, answer in drawn:
        refused = voter.ask_vote(one, answer)
        assert refused.status_code == 400
        assert refused.json()["error"].startswith(("A pair is", "A grade is"))
    assert len(records(site)) == before


def test_all_votes_from_one_address_have_one_share(tmp_path: Path) -> None:
    poll = fake_poll(tmp_path, family())
    assert poll.booth is not None
    assert poll.store is not None
    booth = Booth(poll.store, poll.booth._keys, poll.booth._pictures, poll.references, votes_per_client=3)
    poll = replace(poll, booth=booth)
    ticket = booth.own_ticket(family().releases[0].id, "a secret word")
    with served(tmp_path, family(), poll=poll, access=Access(trusted_hops=1)) as site, ExitStack() as stack:
        address = {"forwarded_for": "203.0.113.5"}
        one, two, three = (stack.enter_context(Voter(site.address, **address)) for _ in range(3))
        drawn = [(voter, voter.draw()) for voter in (one, two, three)]
        time.sleep(LOOKING_SECONDS)
        votes = [voter.vote(trial, "left") for voter, trial in drawn[:2]]
        graded = one.post("grade", browser=None, ticket=ticket, grade=5, consent=True, view=VIEW)
        refused = [three.ask_vote(drawn[2][1], "left"), three.post("draw", **POSTS["draw"])]
        assert graded.status_code == 200
        for answer in refused:
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "3600")
            assert "Your network has given 3 votes today" in answer.json()["error"]
        assert one.vote(drawn[0][1], "right")["id"] == votes[0]["id"]
        lost = lost_receipt(booth)
        again = three.post("again", receipts=[lost])
        assert (again.status_code, again.headers["retry-after"]) == (429, "300")
        with Voter(site.address, forwarded_for="203.0.113.6") as elsewhere:
            elsewhere.whole_vote()
            assert elsewhere.post("again", receipts=[lost]).status_code == 200


def lost_receipt(booth: Booth) -> str:
    """Returns the receipt of a vote that the store does not have."""
    vote = GradeVote(
        id="2" * 32, at=now(), rater="1" * 16, picture_set="own", picture="2" * 16, system="w8", grade=3,
        view=View.model_validate(VIEW),
    )  # fmt: skip
    return booth._seals.receipt(vote)


def test_new_raters_are_few_at_one_client(tmp_path: Path) -> None:
    with served(tmp_path, family()) as site, Voter(site.address) as one, Voter(site.address) as known:
        known.draw()
        answers = [one.post("draw", browser=None, mode="pair", consent=True) for _ in range(31)]
        codes = Counter(answer.status_code for answer in answers)
        assert codes == {200: 29, 429: 2}
        assert "began to rate" in answers[-1].json()["error"]
        assert 0 < int(answers[-1].headers["retry-after"]) <= 300
        # who pretends to be known is new as well; who is known goes on
        assert one.post("draw", browser="made-up", mode="pair", consent=True).status_code == 429
        known.draw()


# -- what can go wrong behind the routes


class Faulty:
    """A booth where everything fails in the same way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def is_known(self, _: object) -> bool:
        return True

    def __getattr__(self, _: str) -> Callable[..., Any]:
        def fail(*_: object) -> Any:
            raise self._error

        return fail


def client_of(booth: object, clients: Clients | None = None) -> TestClient:
    poll = replace(Poll.off(manifest()), booth=cast(Any, booth))
    return TestClient(Starlette(routes=Polling(poll, clients or Clients(0)).routes()))


POSTS = {
    "draw": {"browser": None, "mode": "pair", "consent": True},
    "vote": GOOD,
    "grade": {"browser": None, "ticket": "t", "grade": 3, "consent": True, "view": VIEW},
    "state": {"ids": []},
    "again": {"receipts": []},
    "forget": {"browser": "b"},
}


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (AnswerError("A pair is no grade."), 400, None),
        (VoteLimitError("Enough for today."), 429, "3600"),
        (BallotError("Too old."), 409, None),
        (VoteError("The disk is full."), 503, "3"),
    ],
)
def test_every_refusal_of_the_booth_is_said(error: SRError, status: int, retry: str | None) -> None:
    client = client_of(Faulty(error))
    answers = [client.post(f"/ratings/{route}", json=body) for route, body in POSTS.items()]
    for route, answer in zip((*POSTS, "picture"), (*answers, client.get("/ratings/picture/t.png")), strict=True):
        assert (answer.status_code, answer.json()) == (status, {"error": str(error)})
        # the page lets go of a receipt that cannot be brought again soon
        assert answer.headers.get("retry-after") == ("300" if route == "again" and status == 429 else retry)
        assert answer.headers["cache-control"] == "no-store"


def test_a_bug_is_a_sentence_with_a_number_that_the_log_knows(caplog: pytest.LogCaptureFixture) -> None:
    client = client_of(Faulty(ZeroDivisionError("secret detail")))
    for route, body in POSTS.items():
        caplog.clear()
        answer = client.post(f"/ratings/{route}", json=body)
        assert answer.status_code == 500
        sentence = answer.json()["error"]
        job = sentence.rpartition("job ")[2].rstrip(".")
        assert sentence == text.BUG.format(job=job)
        assert "secret detail" not in sentence
        assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == [
            f"job {job} failed"
        ]


def test_where_ratings_are_off_that_is_said() -> None:
    client = TestClient(Starlette(routes=Polling(Poll.off(manifest()), Clients(0)).routes()))
    for route, body in POSTS.items():
        answer = client.post(f"/ratings/{route}", json=body)
        assert (answer.status_code, answer.json()) == (503, {"error": text.RATINGS_OFF})
    assert client.get("/ratings/votes.zip").status_code == 503


class Slow:
    """A booth where looking takes as long as the test wants."""

    def __init__(self) -> None:
        self.looking, self.may_go_on = threading.Semaphore(0), threading.Event()

    def picture(self, _: str) -> bytes:
        self.looking.release()
        assert self.may_go_on.wait(30)
        return b"png"

    def states(self, _: object) -> dict[str, str]:
        return {}


def test_votes_do_not_wait_for_pictures() -> None:
    booth = Slow()
    client = client_of(booth)
    threads = [threading.Thread(target=client.get, args=("/ratings/picture/t.png",)) for _ in range(12)]
    with client:
        for thread in threads:
            thread.start()
        assert booth.looking.acquire(timeout=10)
        try:
            assert client.post("/ratings/state", json={"ids": []}).status_code == 200
        finally:
            booth.may_go_on.set()
            for thread in threads:
                thread.join()


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.polling._MOST_WAITING", 5)
    booth = Slow()
    answers: list[Any] = []
    with client_of(booth) as client:

        def look() -> None:
            answers.append(client.get("/ratings/picture/t.png"))

        threads = [threading.Thread(target=look) for _ in range(8)]
        for thread in threads:
            thread.start()
        while len(answers) < 3:
            time.sleep(0.01)
        booth.may_go_on.set()
        for thread in threads:
            thread.join()
    assert Counter(answer.status_code for answer in answers) == {200: 5, 503: 3}
    assert answers[0].json() == {"error": text.RATINGS_BUSY}
    assert answers[0].headers["retry-after"] == "3"


def test_trouble_on_the_way_to_the_hub_is_told() -> None:
    poll = Poll.off(manifest())
    for trouble in (None, "The Hub cannot be reached."):
        courier = SimpleNamespace(lag=lambda trouble=trouble: SimpleNamespace(trouble=trouble))
        with_courier = replace(poll, booth=cast(Any, Slow()), courier=cast(Any, courier), keeper="hub")
        client = TestClient(Starlette(routes=Polling(with_courier, Clients(0)).routes()))
        answer = client.post("/ratings/state", json={"ids": []}).json()
        assert answer == {"states": {}, "keeper": "hub", "trouble": trouble is not None}


# -- how the poll is opened


def test_anchors_have_names_too() -> None:
    labels = labels_of(manifest())
    assert set(labels) == {*ANCHORS, *(one.id for one in manifest().releases)}
    assert (labels[ORIGINAL], labels[BICUBIC]) == (text.ORIGINAL_SHOWN, text.BICUBIC_CHOICE)


def pictures(folder: Path) -> Path:
    write_small_set(folder / "pictures", [*(one.id for one in manifest().releases), "not-on-offer"])
    return folder / "pictures"


def test_votes_stay_here_where_nothing_else_is_set(tmp_path: Path) -> None:
    poll = open_poll(Voting(folder=tmp_path / "deep" / "votes"), manifest(), pictures(tmp_path))
    assert (poll.keeper, poll.courier, poll.notice) == ("here", None, None)
    assert poll.booth is not None
    assert poll.pictures is not None
    assert set(poll.pictures.systems) == set(poll.labels)
    assert (tmp_path / "deep" / "votes" / "secret").stat().st_mode & 0o077 == 0
    poll.close()


def test_a_folder_that_cannot_be_written_turns_ratings_off_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "votes").write_text("a file where a folder must be")
    poll = open_poll(Voting(folder=tmp_path / "votes"), manifest(), pictures(tmp_path))
    assert (poll.booth, poll.store, poll.courier) == (None, None, None)
    assert poll.notice == text.RATINGS_OFF
    assert "Ratings are off" in caplog.text
    assert str(tmp_path) not in poll.notice
    poll.close()
    with served(tmp_path, poll=poll) as site:
        page = httpx.get(site.address)
        assert page.status_code == 200
        assert json.dumps(text.RATINGS_OFF)[1:-1] in page.text
        with Voter(site.address) as voter:
            assert voter.post("draw", **POSTS["draw"]).status_code == 503


def test_a_database_that_cannot_be_opened_turns_ratings_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = "postgresql://app:pass-word@127.0.0.1:1/votes"
    poll = open_poll(Voting(folder=tmp_path, database=url, secret="0123456789abcdef"), manifest(), pictures(tmp_path))  # noqa: S106
    assert poll.booth is None
    assert "in PostgreSQL cannot be opened" in caplog.text
    assert "pass-word" not in caplog.text


def test_with_a_repository_votes_are_taken_to_the_hub(tmp_path: Path) -> None:
    voting = Voting(folder=tmp_path, folder_lasts=True, repo="owner/votes")
    poll = open_poll(voting, manifest(), pictures(tmp_path))
    assert poll.keeper == "hub"
    assert poll.courier is not None
    poll.close()


def test_a_rater_word_cannot_be_guessed_from_what_the_browser_has(voter: Voter) -> None:
    drawn = voter.draw()
    sealed = base64.urlsafe_b64decode(drawn["browser"] + "==")
    with Voter(voter.address) as other:
        assert len(sealed) == len(base64.urlsafe_b64decode(other.draw()["browser"] + "=="))


def test_rates_hold_for_the_ratings_of_the_real_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = {**RATES, "vote": Rate(2, 0.01)}
    monkeypatch.setattr("ui.factory.Clients", lambda hops: Clients(hops, slow))
    with served(tmp_path) as site, Voter(site.address) as voter:
        codes = [voter.post("state", ids=[]).status_code for _ in range(4)]
    assert codes == [200, 200, 429, 429]


def test_the_poll_of_the_tests_is_closed_with_the_app(tmp_path: Path) -> None:
    poll = fake_poll(tmp_path)
    poll.close()
    assert poll.keeper == "here"
