"""The store, on SQLite and, where it is installed, on PostgreSQL."""

import multiprocessing
import sqlite3
import stat
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from itertools import permutations
from pathlib import Path
from random import Random
from threading import Barrier
from time import perf_counter

import pytest
from sqlalchemy import create_engine, text

from ratings.database import _BUSY, is_elsewhere
from ratings.ledger import take_records
from ratings.parts import records_of
from ratings.store import VoteStore
from ratings.vote import Record, line_of, slot_of
from sr_core.errors import VoteError
from tests.ratings.votes import ANN, BEN, START, grade, pair, postgres_programs, running_postgres, wish

DAY = date(2026, 11, 3)
KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    if postgres_programs() is None:
        pytest.skip("PostgreSQL is not installed on this machine")
    with running_postgres() as url:
        yield url


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place for votes."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new/votes.db"
    address: str = request.getfixturevalue("postgres")
    engine = create_engine(address.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return address


@pytest.fixture
def store(url: str) -> Iterator[VoteStore]:
    one = VoteStore.open(url)
    yield one
    one.close()


@pytest.fixture
def other(url: str) -> Iterator[VoteStore]:
    """A second one on the same database, as in another process."""
    one = VoteStore.open(url)
    yield one
    one.close()


def sealed(store: VoteStore) -> dict[str, list[Record]]:
    store.seal("w", DAY)
    return {part.name: records_of(part.content)[0] for part in store.waiting_parts(1000)}


def send(store: VoteStore) -> dict[str, list[Record]]:
    """Lets everything be saved, and returns the parts."""
    parts = sealed(store)
    store.mark_saved(parts)
    return parts


def test_a_vote_is_stored_once(store: VoteStore) -> None:
    assert store.records() == ()
    before = store.revision
    assert store.accept(pair(1)) == "accepted"
    assert store.revision > before
    after = store.revision
    assert store.accept(pair(1)) == "repeated"
    assert store.accept(pair(1, choice="right")) == "repeated"
    assert store.accept(pair(2, picture="picture1")) == "taken"
    assert store.accept(pair(2, BEN, picture="picture1")) == "accepted"
    assert store.accept(grade(3)) == "accepted"
    assert store.revision == after + 2
    assert store.records() == (pair(1), pair(2, BEN, picture="picture1"), grade(3))
    assert store.find(pair(1).id) == pair(1)
    assert store.find(pair(9).id) is None


def test_it_is_all_there_after_opening_again(url: str) -> None:
    store = VoteStore.open(url)
    store.accept(pair(1))
    store.accept(wish(2, BEN))
    revision = store.revision
    store.close()
    again = VoteStore.open(url)
    assert again.records() == (pair(1), wish(2, BEN))
    assert again.revision == revision
    assert again.accept(pair(3, BEN)) == "forgotten"
    again.close()


def test_records_are_by_time_and_id_however_they_came(store: VoteStore) -> None:
    votes = [pair(number, seconds=number // 3) for number in range(12)]
    mixed = Random(1).sample(votes, len(votes))
    for vote in mixed[:6]:
        store.accept(vote)
    assert store.records() == tuple(sorted(mixed[:6], key=lambda one: (one.at, one.id)))
    for vote in mixed[6:]:
        store.accept(vote)
    assert store.records() == tuple(votes)
    assert store.records() is store.records()


def test_a_rater_is_counted(store: VoteStore) -> None:
    for number in range(5):
        store.accept(pair(number, seconds=number * 10))
    store.accept(pair(9, BEN, seconds=40))
    store.accept(wish(10, "c" * 16))
    assert store.count_of(ANN, START) == 5
    assert store.count_of(ANN, START + timedelta(seconds=30)) == 2
    assert store.count_of(ANN, START + timedelta(seconds=41)) == 0
    assert store.count_of("c" * 16, START) == 0
    assert store.slots_of(ANN) == {slot_of(pair(number)) for number in range(5)}
    assert store.slots_of("d" * 16) == frozenset()


def test_states(store: VoteStore) -> None:
    store.accept(pair(1))
    send(store)
    store.accept(pair(2))
    ids = [pair(number).id for number in (1, 2, 3)]
    assert store.states(ids) == {ids[0]: "saved", ids[1]: "accepted", ids[2]: "unknown"}
    store.is_remote = True  # as with a database of another machine
    assert store.states(ids) == {ids[0]: "saved", ids[1]: "saved", ids[2]: "unknown"}
    assert store.states([]) == {}
    assert len(store.states([f"{number:032x}" for number in range(2000)])) == 2000


def test_what_waits_is_sealed_once(store: VoteStore) -> None:
    for number in range(5):
        store.accept(pair(number))
    assert store.waiting() == 5
    store.seal("w", DAY, most=2)
    parts = store.waiting_parts()
    assert [len(records_of(part.content)[0]) for part in parts] == [2, 2, 1]
    assert [line for part in parts for line in part.content.decode().splitlines()] == [
        line_of(pair(number)) for number in range(5)
    ]
    store.accept(pair(5))
    store.seal("v", DAY + timedelta(days=1))
    assert store.waiting_parts()[:3] == parts
    assert len(store.waiting_parts()) == 4
    assert store.waiting_parts(2) == parts[:2]
    assert all(part.name.startswith("votes/2026-11-03/w-") for part in parts)
    store.mark_saved([parts[0].name, "votes/nobody.jsonl"])
    assert store.waiting() == 4
    assert store.known_parts() == {parts[0].name}
    assert store.waiting_parts()[:2] == parts[1:]


def test_a_wish_deletes_what_is_there_and_keeps_the_rest_away(store: VoteStore) -> None:
    store.accept(pair(1))
    store.accept(pair(2, BEN))
    assert len(store.records()) == 2
    assert store.accept(wish(3, ANN, "c" * 16)) == "accepted"
    assert store.records() == (pair(2, BEN), wish(3, ANN, "c" * 16))
    assert store.accept(pair(1)) == "forgotten"
    assert store.accept(pair(4)) == "forgotten"
    assert store.merge({"votes/x.jsonl": [pair(1), pair(5, BEN)]}) == 1
    assert store.records() == (pair(2, BEN), wish(3, ANN, "c" * 16), pair(5, BEN))
    assert store.states([pair(1).id])[pair(1).id] == "unknown"
    assert store.slots_of(ANN) == frozenset()
    assert store.forgotten() == {ANN, "c" * 16}
    assert store.accept(wish(3, ANN)) == "repeated"


def test_a_wish_counts_among_votes_that_come_at_the_same_moment(store: VoteStore) -> None:
    with store._database.writing() as connection:
        records = [pair(1), pair(2, BEN), wish(3, ANN), pair(4)]
        assert take_records(connection, records) == ["accepted", "accepted", "accepted", "forgotten"]
    assert store.records() == (pair(2, BEN), wish(3, ANN))


def test_forgotten_votes_are_not_sent(store: VoteStore) -> None:
    store.accept(pair(1))
    store.accept(pair(2, BEN))
    (name,) = sealed(store)
    store.accept(pair(3))
    store.accept(wish(4, ANN))
    parts = sealed(store)
    assert name not in parts
    assert [one for records in parts.values() for one in records] == [pair(2, BEN), wish(4, ANN)]
    store.mark_saved([name])  # its commit comes through all the same
    assert store.waiting() == 2
    assert store.known_parts() == frozenset()


def test_parts_to_clean_are_known(store: VoteStore) -> None:
    store.accept(pair(1))
    (sent,) = send(store)
    assert store.stained_parts() == frozenset()
    store.accept(wish(2, ANN))
    (with_wish,) = sealed(store)
    assert store.stained_parts() == {sent}
    store.mark_saved([with_wish])
    assert store.stained_parts() == {sent, with_wish}
    store.merge({"votes/late.jsonl": [pair(7)], "votes/clean.jsonl": [pair(8, BEN)]})
    assert store.stained_parts() == {sent, with_wish, "votes/late.jsonl"}
    store.merge({"votes/merged/done.jsonl": [wish(2, ANN)], "votes/other.jsonl": [wish(9, "d" * 16)]})
    assert store.stained_parts() == {sent, with_wish, "votes/late.jsonl", "votes/other.jsonl"}
    store.merge({"votes/merged/not-done.jsonl": [pair(7)]})
    assert "votes/merged/not-done.jsonl" in store.stained_parts()
    store.drop_parts(store.known_parts() - {"votes/late.jsonl", "votes/clean.jsonl"})
    assert store.stained_parts() == {"votes/late.jsonl"}
    assert store.known_parts() == {"votes/late.jsonl", "votes/clean.jsonl"}


def test_what_the_archive_has_is_saved(store: VoteStore) -> None:
    store.accept(pair(1))
    store.accept(pair(2))
    assert store.merge({"votes/x.jsonl": [pair(1), pair(3)]}) == 1
    assert store.waiting() == 1
    assert store.states([pair(1).id, pair(3).id]) == {pair(1).id: "saved", pair(3).id: "saved"}
    assert [one for records in sealed(store).values() for one in records] == [pair(2)]
    assert store.merge({"votes/x.jsonl": [pair(1), pair(3)]}) == 0
    assert store.known_parts() == {"votes/x.jsonl"}


def test_a_part_that_arrived_without_an_answer_is_recognized(store: VoteStore) -> None:
    store.accept(pair(1))
    parts = sealed(store)
    assert store.merge(parts) == 0
    assert store.waiting() == 0
    assert store.waiting_parts() == ()


def test_records_without_a_part_wait_again(store: VoteStore) -> None:
    store.accept(pair(1))
    store.accept(pair(2))
    (sent,) = send(store)
    store.accept(pair(3))
    (waits,) = sealed(store)
    store.merge({"votes/x.jsonl": [pair(2), pair(3)]})
    assert not store.has_strays()
    store.drop_parts([sent, waits])  # of these one cannot be gone, because it was not sent yet
    assert store.has_strays()
    assert store.waiting() == 0
    store.send_strays_again()
    assert not store.has_strays()
    assert store.states([pair(number).id for number in (1, 2, 3)]) == {
        pair(1).id: "accepted",
        pair(2).id: "saved",
        pair(3).id: "saved",
    }
    assert store.has_outgoing()
    assert sealed(store) == {waits: [pair(3)]} | {name: [pair(1)] for name in sealed(store).keys() - {waits}}
    send(store)
    assert not store.has_outgoing()


def test_a_part_that_waits_is_withdrawn_though_its_votes_came_another_way(store: VoteStore) -> None:
    store.accept(pair(1))
    sealed(store)
    store.merge({"votes/x.jsonl": [pair(1)]})
    store.accept(wish(2, ANN))
    assert [one for records in sealed(store).values() for one in records] == [wish(2, ANN)]


def test_what_another_archive_has_is_not_saved_and_waits_for_a_look(store: VoteStore, other: VoteStore) -> None:
    store.turn_to("owner/first")
    store.accept(pair(1))
    store.accept(pair(2))
    send(store)
    store.turn_to("owner/first")
    assert store.waiting() == 0
    other.turn_to("owner/second")
    assert store.waiting() == 2
    assert store.known_parts() == frozenset()
    assert sealed(store) == {}
    store.merge({"votes/x.jsonl": [pair(2)]})
    store.send_strays_again()
    assert [one for records in sealed(store).values() for one in records] == [pair(1)]


def test_only_one_server_is_alone_at_a_shared_database(store: VoteStore, other: VoteStore) -> None:
    is_shared = store._database._is_postgresql
    with store.alone() as first, other.alone() as second:
        assert first
        assert second != is_shared
        assert other.accept(pair(1)) == "accepted"  # votes do not wait for that
    with other.alone() as again:
        assert again


def test_large_parts_are_merged(store: VoteStore) -> None:
    votes = [pair(number) for number in range(1234)]
    assert store.merge({"votes/x.jsonl": votes}) == 1234
    assert len(store.records()) == 1234
    assert store.waiting() == 0


def rivals() -> list[Record]:
    """Two with one id, and three in one slot."""
    return [
        pair(1, choice="right"),
        pair(1, choice="left"),
        pair(2, picture="same", seconds=2),
        pair(3, picture="same", seconds=1),
        pair(4, picture="same", seconds=1),
        pair(5),
    ]


@pytest.mark.parametrize("seed", range(8))
def test_all_stores_count_the_same(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    seen: set[tuple[Record, ...]] = set()
    for number in range(6):
        store = VoteStore.open(f"sqlite:///{tmp_path}/{number}.db")
        records = random.sample(rivals(), 6)
        cut = random.randrange(6)
        for record in records[:cut]:
            store.accept(record)
        store.records()
        for start in range(cut, 6, 2):
            store.merge({f"votes/{start}.jsonl": records[start : start + 2]})
        store.merge({"votes/all.jsonl": rivals()})
        seen.add(store.records())
        assert store.accept(pair(9, picture="same")) == "taken"
        store.close()
    assert seen == {(pair(1, choice="left"), pair(5), pair(3, picture="same", seconds=1))}


def test_wishes_come_first_in_any_order(tmp_path: Path) -> None:
    parts = {"votes/a.jsonl": [pair(1)], "votes/b.jsonl": [wish(2, ANN), pair(3, BEN)], "votes/c.jsonl": [wish(4, BEN)]}
    for number, names in enumerate(permutations(parts)):
        store = VoteStore.open(f"sqlite:///{tmp_path}/{number}.db")
        store.merge({name: parts[name] for name in names})
        assert store.records() == (wish(2, ANN), wish(4, BEN))
        assert store.stained_parts() == set(parts)
        store.close()


def test_two_stores_on_one_database(store: VoteStore, other: VoteStore) -> None:
    assert store.records() == other.records() == ()
    store.accept(pair(1))
    assert other.accept(pair(1)) == "repeated"
    assert other.accept(pair(2, picture="picture1")) == "taken"
    assert other.records() == (pair(1),)
    other.accept(wish(3, ANN))
    assert store.records() == (wish(3, ANN),)
    assert store.revision == other.revision
    assert store.accept(pair(4)) == "forgotten"
    assert sealed(store) == sealed(other)


def test_a_storm_of_clicks_makes_one_vote_each(store: VoteStore, other: VoteStore) -> None:
    start = Barrier(100)

    def click(number: int) -> str:
        rater, turn = divmod(number, 4)
        vote = pair(rater * 10 + turn // 2, f"{rater:016x}", picture="same")
        start.wait()
        return (store, other)[number % 2].accept(vote)

    with ThreadPoolExecutor(100) as pool:
        outcomes = Counter(pool.map(click, range(100)))
    assert outcomes["accepted"] == 25
    assert set(outcomes) == {"accepted", "repeated", "taken"}
    assert len(store.records()) == 25
    assert other.records() == store.records()


def test_a_hundred_votes_at_once_are_on_the_disk_soon(store: VoteStore) -> None:
    start = Barrier(100)

    def vote(number: int) -> float:
        one = pair(number)
        start.wait()
        begun = perf_counter()
        store.accept(one)
        return perf_counter() - begun

    slowest: list[float] = []
    for turn in range(3):
        with ThreadPoolExecutor(100) as pool:
            slowest.append(max(pool.map(vote, range(turn * 100, turn * 100 + 100))))
    assert min(slowest) < 0.25
    assert len(store.records()) == 300


def accept_many(url: str, first: int, start: object) -> None:
    store = VoteStore.open(url)
    start.wait()  # type: ignore[attr-defined]
    for number in range(first, first + 40):
        assert store.accept(pair(number)) == "accepted"
        store.accept(pair(10_000 + number % 7, picture="same"))
        store.seal(f"w{first}", DAY)
    store.close()


@pytest.mark.slow
def test_processes_may_share_a_file(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    url, start = f"sqlite:///{tmp_path}/votes.db", context.Barrier(2)
    children = [context.Process(target=accept_many, args=(url, 100 * one, start)) for one in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    store = VoteStore.open(url)
    assert len(store.records()) == 81
    in_parts = [one.id for part in store.waiting_parts(1000) for one in records_of(part.content)[0]]
    assert sorted(in_parts) == sorted(one.id for one in store.records())
    store.close()


def test_what_is_deleted_is_not_in_the_file(tmp_path: Path) -> None:
    store = VoteStore.open(f"sqlite:///{tmp_path}/votes.db")
    for number in range(50):
        store.accept(pair(number, picture="a-secret-picture" if number == 25 else ""))
    sealed(store)
    store.accept(pair(99, BEN))
    assert any(b"a-secret-picture" in path.read_bytes() for path in tmp_path.iterdir())
    store.accept(wish(100, ANN))
    assert not any(b"a-secret-picture" in path.read_bytes() for path in tmp_path.iterdir())
    assert any(line_of(pair(99, BEN)).encode() in path.read_bytes() for path in tmp_path.iterdir())
    store.close()


def test_the_file_is_durable_and_ours_alone(tmp_path: Path) -> None:
    store = VoteStore.open(f"sqlite:///{tmp_path}/deep/er/votes.db")
    assert not store.is_remote
    with store._database.reading() as connection:
        asked = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")]
    assert asked == ["wal", 2]
    assert stat.S_IMODE((tmp_path / "deep" / "er" / "votes.db").stat().st_mode) & 0o077 == 0
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://a/b",
        "sqlite://",
        "sqlite:///:memory:",
        "no url",
        "",
        "postgresql://someone:open-sesame@127.0.0.1:1/votes",
        "postgresql+asyncpg://someone:open-sesame@127.0.0.1:1/votes",
        "sqlite:////proc/1/none/votes.db",
    ],
)
def test_what_cannot_be_opened(url: str) -> None:
    with pytest.raises(VoteError, match=r"\.$") as caught:
        VoteStore.open(url)
    assert "sesame" not in str(caught.value)


def test_a_file_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "votes.db").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(VoteError, match="cannot be opened"):
        VoteStore.open(f"sqlite:///{tmp_path}/votes.db")


def test_a_vote_that_cannot_be_written_is_an_error_and_the_next_may_work(tmp_path: Path) -> None:
    file = tmp_path / "votes.db"
    store = VoteStore.open(f"sqlite:///{file}")
    store._database._engine.dispose()
    with sqlite3.connect(file) as raw:
        raw.execute("ALTER TABLE psr_votes RENAME TO elsewhere")
    with pytest.raises(VoteError, match=_BUSY):
        store.accept(pair(1))
    with sqlite3.connect(file) as raw:
        raw.execute("ALTER TABLE elsewhere RENAME TO psr_votes")
    assert store.accept(pair(1)) == "accepted"
    raw.close()
    store.close()


@pytest.mark.parametrize(
    ("host", "address", "expected"),
    [
        ("db.example", "192.0.2.7", True),
        ("db.example", "2001:db8::7", True),
        ("db.example", "", True),
        ("192.0.2.7", "", True),
        ("db.example", "127.0.0.1", False),
        ("localhost", "127.0.1.1", False),
        ("localhost", "", False),
        ("::1", "::1", False),
        ("/run/postgresql", "", False),
        ("@abstract", "", False),
        ("", "", False),
    ],
)
def test_a_database_that_shares_the_disk_is_not_elsewhere(host: str, address: str, expected: bool) -> None:
    assert is_elsewhere(host, address) == expected


@pytest.mark.slow
def test_postgres_of_this_machine_outlives_no_disk_and_may_stop(postgres: str) -> None:
    store = VoteStore.open(postgres.replace("postgresql:", "postgres:").replace("127.0.0.1", "localhost"))
    assert not store.is_remote
    assert store.accept(pair(1)) in ("accepted", "repeated")
    engine = create_engine(postgres.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:  # as when the server starts anew
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        connection.execute(text(query + " AND backend_type = 'client backend'"))
    engine.dispose()
    assert store.accept(pair(2)) in ("accepted", "repeated")
    store.close()
