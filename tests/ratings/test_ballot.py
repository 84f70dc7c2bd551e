from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratings.ballot import Ballot, OwnTicket, Seals
from ratings.identity import Keys
from ratings.vote import GradeVote, PairVote, View, slot_of
from sr_core.errors import BallotError

AT = datetime(2026, 11, 21, 12, 0, 0, 125_000, tzinfo=UTC)
KEYS = Keys("what only the tests know", clock=lambda: AT)
PICTURES = ("cat", "a-picture-with-a-long-name")
SYSTEMS = ("original", "bicubic", "full", "a-variant-with-" + "a-very-" * 12 + "long-name")
SEALS = Seals(KEYS, "set-1", PICTURES, SYSTEMS)
BALLOT = Ballot(id="0f" * 16, rater="0123456789abcdef", at=AT, picture="cat", systems=("full", "bicubic"))
VIEW = View(decision_ms=2000, viewport=(1200, 800), pixel_ratio=1.5, zoom=3)

systems = st.lists(st.sampled_from(SYSTEMS), min_size=1, max_size=2, unique=True).map(tuple)
ballots = st.builds(
    Ballot,
    id=st.binary(min_size=16, max_size=16).map(bytes.hex),
    rater=st.binary(min_size=8, max_size=8).map(bytes.hex),
    at=st.integers(0, 4 * 10**12).map(lambda ms: datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)),
    picture=st.sampled_from(PICTURES),
    systems=systems,
)


@given(ballot=ballots)
@settings(max_examples=100, deadline=None)
def test_a_ballot_comes_back_and_all_have_one_length(ballot: Ballot) -> None:
    token = SEALS.ballot(ballot)
    read = SEALS.read_ballot(token)
    assert abs(read.at - ballot.at) < timedelta(milliseconds=1)
    assert replace(read, at=ballot.at) == ballot
    assert len(token) == len(SEALS.ballot(BALLOT))
    assert ballot.mode == ("pair" if len(ballot.systems) == 2 else "grade")


def test_a_ballot_knows_its_slot() -> None:
    pair = PairVote(
        id=BALLOT.id, at=AT, rater=BALLOT.rater, picture_set="set-1", picture="cat", left="full", right="bicubic",
        choice="tie", view=VIEW,
    )  # fmt: skip
    grade = GradeVote(
        id=BALLOT.id, at=AT, rater=BALLOT.rater, picture_set="set-1", picture="cat", system="full", grade=2, view=VIEW
    )
    assert BALLOT.slot("set-1") == slot_of(pair)
    assert replace(BALLOT, systems=("full",)).slot("set-1") == slot_of(grade)


def test_a_ballot_stays_in_the_month_of_its_draw() -> None:
    last = datetime(2026, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC)
    assert SEALS.read_ballot(SEALS.ballot(replace(BALLOT, at=last))).at.month == 11


@pytest.mark.parametrize(
    ("version", "pictures", "names"),
    [
        ("set-2", PICTURES, SYSTEMS),
        ("set-1", PICTURES[::-1], SYSTEMS),
        ("set-1", PICTURES, SYSTEMS[:3]),
        ("set-1", PICTURES, (*SYSTEMS[:2], "other", SYSTEMS[3])),
        ("set-1", (*PICTURES, SYSTEMS[0]), SYSTEMS[1:]),
    ],
)
def test_what_was_drawn_from_another_list_is_refused(
    version: str, pictures: tuple[str, ...], names: tuple[str, ...]
) -> None:
    other = Seals(KEYS, version, pictures, names)
    with pytest.raises(BallotError, match="has changed"):
        other.read_ballot(SEALS.ballot(BALLOT))
    with pytest.raises(BallotError, match="has changed"):
        other.read_ticket(SEALS.ticket("cat", "full"))


def test_tickets_of_one_picture_have_nothing_in_common() -> None:
    tokens = [SEALS.ticket("cat", "full") for _ in range(100)]
    read = [SEALS.read_ticket(token) for token in tokens]
    assert {(picture, system) for picture, system, _ in read} == {("cat", "full")}
    assert len({nonce for _, _, nonce in read}) == len(set(tokens)) == 100
    assert {len(nonce) for _, _, nonce in read} == {16}
    lengths = {len(SEALS.ticket(picture, system)) for picture in PICTURES for system in SYSTEMS}
    assert len(lengths) == 1


def test_own_tickets_come_back_and_have_one_length() -> None:
    tickets = [OwnTicket(id="ab" * 16, photo="cd" * 8, variant=name) for name in ("x", "swinir-s_x4_w8", "v" * 128)]
    tokens = [SEALS.own_ticket(ticket) for ticket in tickets]
    assert [SEALS.read_own_ticket(token) for token in tokens] == tickets
    assert len({len(token) for token in tokens}) == 1
    with pytest.raises(ValueError, match="128"):
        SEALS.own_ticket(replace(tickets[0], variant="v" * 129))


def test_receipts_come_back_and_have_one_length() -> None:
    short = GradeVote(id="0" * 32, at=AT, rater="0" * 16, picture_set="s", picture="p", system="x", grade=1, view=VIEW)
    name, view = "n" * 128, VIEW.model_copy(update={"pixel_ratio": 1.2345678901234567, "decision_ms": 86_400_000})
    long = PairVote(
        id="f" * 32, at=AT, rater="f" * 16, picture_set=name, picture=name, left=name, right=name, choice="both_bad",
        view=view,
    )  # fmt: skip
    tokens = [SEALS.receipt(vote) for vote in (short, long)]
    assert [SEALS.read_receipt(token) for token in tokens] == [short, long]
    assert len(tokens[0]) == len(tokens[1])


def test_one_thing_is_not_another() -> None:
    vote = GradeVote(id="0" * 32, at=AT, rater="0" * 16, picture_set="s", picture="p", system="x", grade=1, view=VIEW)
    tokens = {
        "ballot": SEALS.ballot(BALLOT),
        "ticket": SEALS.ticket("cat", "full"),
        "own": SEALS.own_ticket(OwnTicket(id="ab" * 16, photo="cd" * 8, variant="x")),
        "receipt": SEALS.receipt(vote),
        "browser": KEYS.new_browser(),
    }
    readers = {
        "ballot": SEALS.read_ballot,
        "ticket": SEALS.read_ticket,
        "own": SEALS.read_own_ticket,
        "receipt": SEALS.read_receipt,
    }
    for kind, reader in readers.items():
        reader(tokens[kind])
        for other in tokens.keys() - {kind}:
            with pytest.raises(BallotError):
                reader(tokens[other])


def test_tickets_age() -> None:
    time = [AT]
    seals = Seals(Keys("what only the tests know", clock=lambda: time[0]), "set-1", PICTURES, SYSTEMS)
    ticket = seals.ticket("cat", "full")
    own = seals.own_ticket(OwnTicket(id="ab" * 16, photo="cd" * 8, variant="x"))
    time[0] += timedelta(hours=1)
    seals.read_ticket(ticket)
    time[0] += timedelta(seconds=1)
    with pytest.raises(BallotError, match="too long"):
        seals.read_ticket(ticket)
    time[0] += timedelta(hours=22, minutes=59)
    seals.read_own_ticket(own)
    time[0] += timedelta(minutes=1)
    with pytest.raises(BallotError, match="too long"):
        seals.read_own_ticket(own)
