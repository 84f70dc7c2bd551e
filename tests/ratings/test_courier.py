"""The courier between a real store and a small Hub on this machine."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic, sleep

import pytest

from ratings.archive import Archive, ArchiveError, ArchiveSource, Listing
from ratings.courier import Courier, Pace, _Tokens, compact, needs_compaction, pull, push
from ratings.parts import Folding, fold, fresh_part, is_merged, records_of
from ratings.store import VoteStore
from ratings.vote import Record, line_of
from tests.ratings.votes import ANN, BEN, DATASET, REPO, START, pair, wish
from tests.zoo.hub_client import hub_and_client
from tests.zoo.hub_server import TOKEN, Hub

COMMIT = r"POST /api/datasets/owner/votes/commit/main"
QUICK = Pace(beat_seconds=0.02, pull_seconds=0.2, longest_pause_seconds=0.2, commits_per_hour=1e6, burst=1000)


class Site:
    """A Hub, and servers each with a disk of its own."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        self.hub, self.folder = hub, folder
        self.source = ArchiveSource(repo=REPO, token=TOKEN, endpoint=hub.address, answer_seconds=1.0, call_seconds=2.0)
        self.stores: list[VoteStore] = []

    def server(self) -> tuple[VoteStore, Archive]:
        store = VoteStore.open(f"sqlite:///{self.folder}/{len(self.stores)}.db")
        self.stores.append(store)
        return store, Archive(self.source)

    def add(self, *records: Record, number: int = 0) -> str:
        """Puts a part on the Hub as another server would, and returns its name."""
        part = fresh_part([line_of(one) for one in records], START.date(), "other", number)
        if DATASET not in self.hub.repositories:
            self.hub.make(DATASET, {"README.md": b"# Votes"}, is_private=True)
        self.hub.put(DATASET, {part.name: part.content})
        return part.name

    def there(self) -> list[Record]:
        """All that is on the Hub now, by part."""
        files = self.hub.repositories[DATASET].files
        parts = sorted(path for path in files if path.startswith("votes/"))
        return [one for path in parts for one in records_of(files[path].content)[0]]

    def ever_there(self, record: Record) -> bool:
        """Whether any commit that can be asked for holds a record."""
        commits = self.hub.repositories[DATASET].commits.values()
        return any(line_of(record).encode() in blob.content for files in commits for blob in files.values())

    def restored(self) -> tuple[Record, ...]:
        store, archive = self.server()
        pull(store, archive)
        return store.records()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with hub_and_client(tmp_path) as hub:
        one = Site(hub, tmp_path)
        yield one
        for store in one.stores:
            store.close()


def until(is_so: Callable[[], bool], seconds: float = 10) -> None:
    end = monotonic() + seconds
    while not is_so():
        assert monotonic() < end, "it did not happen"
        sleep(0.01)


def state(store: VoteStore, record: Record) -> str:
    return store.states([record.id])[record.id]


def test_push_and_pull(site: Site) -> None:
    (store, archive), (other, other_archive) = site.server(), site.server()
    assert pull(other, other_archive) == 0
    assert push(store, archive, "w") == 0
    store.accept(pair(1))
    store.accept(pair(2))
    assert push(store, archive, "w") == 1
    assert state(store, pair(1)) == "saved"
    assert pull(other, other_archive) == 2
    assert pull(other, other_archive) == 0
    assert other.records() == store.records()
    before = len(site.hub.asked("GET .*/resolve/.*"))
    assert pull(store, archive) == 0
    assert len(site.hub.asked("GET .*/resolve/.*")) == before  # it knows what it sent


def test_nothing_is_saved_before_the_hub_said_so(site: Site) -> None:
    store, archive = site.server()
    store.accept(pair(1))
    push(store, archive, "w")
    store.accept(pair(2))
    for kind in ("hang up", "lose the answer"):
        site.hub.fail(kind, COMMIT)  # type: ignore[arg-type]
        with pytest.raises(ArchiveError):
            push(store, archive, "w")
        assert state(store, pair(2)) == "accepted"
    push(store, archive, "w")
    assert state(store, pair(2)) == "saved"
    assert site.there() == [pair(1), pair(2)]


def test_a_part_whose_answer_was_lost_is_known_after_a_look(site: Site) -> None:
    store, archive = site.server()
    store.accept(pair(1))
    push(store, archive, "w")
    store.accept(pair(2))
    site.hub.fail("lose the answer", COMMIT)
    with suppress(ArchiveError):
        push(store, archive, "w")
    pull(store, archive)
    assert state(store, pair(2)) == "saved"
    assert push(store, archive, "w") == 0


def test_what_a_deleted_dataset_held_is_sent_again(site: Site) -> None:
    (store, archive), (other, other_archive) = site.server(), site.server()
    for number in (1, 2):
        store.accept(pair(number))
        push(store, archive, "w")
    pull(other, other_archive)
    del site.hub.repositories[DATASET]
    site.hub.fail("hang up", "GET /api/datasets.*", times=20)
    with pytest.raises(ArchiveError):
        pull(store, archive)
    assert store.waiting() == 0  # who cannot be asked may have lost nothing
    site.hub.faults.clear()
    pull(store, archive)
    assert (store.waiting(), state(store, pair(1))) == (2, "accepted")
    push(store, archive, "w")
    assert (store.waiting(), state(store, pair(1))) == (0, "saved")
    assert site.hub.repositories[DATASET].is_private
    assert site.there() == [pair(1), pair(2)]
    pull(other, other_archive)  # it had them from the first dataset, and finds them in the second
    assert not other.has_outgoing()
    assert site.restored() == store.records() == other.records()


def test_a_listing_without_access_loses_nothing(site: Site) -> None:
    store, archive = site.server()
    store.accept(pair(1))
    push(store, archive, "w")
    for status in (401, 403, 500):
        site.hub.fail("status", "GET /api/datasets.*", number=status, times=20)
        with pytest.raises(ArchiveError):
            pull(store, archive)
        site.hub.faults.clear()
        assert state(store, pair(1)) == "saved"


def test_parts_that_were_deleted_are_sent_again_and_no_others(site: Site) -> None:
    store, archive = site.server()
    for number in range(4):
        store.accept(pair(number))
        push(store, archive, "w")
    lost = sorted(store.known_parts())[1]
    archive.replace(archive.listing(), Folding(added=(), removed=(lost,), dropped=0))
    pull(store, archive)
    assert store.waiting() == 1
    push(store, archive, "w")
    assert sorted(one.id for one in site.there()) == [pair(number).id for number in range(4)]


def test_another_archive_gets_what_it_has_not(site: Site) -> None:
    store, archive = site.server()
    for number in (1, 2):
        store.accept(pair(number))
        push(store, archive, "w")
    (content,) = [
        blob.content
        for path, blob in site.hub.repositories[DATASET].files.items()
        if path.startswith("votes/") and line_of(pair(2)).encode() in blob.content
    ]
    site.hub.make("datasets/owner/other", {"votes/copy.jsonl": content})
    second = Archive(replace(site.source, repo="owner/other"))
    site.hub.fail("hang up", "GET /api/datasets.*", times=20)
    with pytest.raises(ArchiveError):
        pull(store, second)
    assert {state(store, pair(1)), state(store, pair(2))} == {"accepted"}  # of this archive nothing is known yet
    site.hub.faults.clear()
    assert push(store, second, "w") == 0
    pull(store, second)
    assert (state(store, pair(1)), state(store, pair(2))) == ("accepted", "saved")
    push(store, second, "w")
    files = site.hub.repositories["datasets/owner/other"].files
    lines = [line for path, blob in files.items() if path.startswith("votes/") for line in blob.content.splitlines()]
    assert sorted(lines) == [line_of(pair(number)).encode() for number in (1, 2)]


def test_after_compaction_by_another_nothing_is_sent_again(site: Site) -> None:
    (store, archive), (other, other_archive) = site.server(), site.server()
    servers = [(store, archive, "w"), (other, other_archive, "o")]
    number = 0
    for turn in range(4):
        for one, where, writer in servers:
            for rater in (ANN, BEN):
                number += 1
                one.accept(pair(number, rater))
                one.accept(pair(500 + turn, rater))  # that both have
                push(one, where, writer)
        for one, where, _ in servers:
            pull(one, where)
        if turn == 2:
            other.accept(wish(999, ANN))
            push(other, other_archive, "o")
            pull(other, other_archive)
        compact(other, other_archive, 1000 if turn == 2 else 0)
        made = site.hub.repositories[DATASET].made
        for one, where, writer in servers * 2:
            pull(one, where)
            assert not one.has_strays()
            assert one.waiting() == 0
            assert push(one, where, writer) == 0
        assert site.hub.repositories[DATASET].made == made
    assert store.records() == other.records() == site.restored()


def test_a_copy_in_a_part_that_compaction_removes_is_not_sent_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store, archive), (other, other_archive) = site.server(), site.server()
    site.add(*(pair(number) for number in range(20)), number=1)
    pull(other, other_archive)
    compact(other, other_archive)
    pull(store, archive)
    site.add(pair(5), number=2)  # again, in a part that all read last
    pull(store, archive)
    pull(other, other_archive)
    monkeypatch.setattr("ratings.courier.fold", partial(fold, full_bytes=100))  # the merged part stays as it is
    site.add(wish(99, BEN), number=3)
    pull(other, other_archive)
    compact(other, other_archive)
    for _ in range(3):
        for one, where in ((store, archive), (other, other_archive)):
            pull(one, where)
            assert (one.waiting(), one.has_strays(), one.has_outgoing()) == (0, False, False)
    assert len(site.there()) == 21


def test_a_deleted_dataset_is_made_again_by_the_courier(site: Site) -> None:
    store, archive = site.server()
    courier = Courier(store, archive, pace=QUICK)
    courier.start()
    store.accept(pair(1))
    until(lambda: state(store, pair(1)) == "saved")
    del site.hub.repositories[DATASET]
    until(lambda: DATASET in site.hub.repositories and site.there() == [pair(1)])
    until(lambda: state(store, pair(1)) == "saved")
    courier.stop(5)


def test_a_part_whose_votes_came_another_way_is_sent_all_the_same(site: Site) -> None:
    store, archive = site.server()
    store.accept(pair(1))
    store.seal("w", START.date())
    site.add(pair(1))
    pull(store, archive)
    assert store.waiting() == 0
    courier = Courier(store, archive, pace=QUICK)
    courier.start()
    until(lambda: not store.has_outgoing())
    courier.stop(5)
    assert len(site.there()) == 2


def test_of_servers_with_one_database_one_is_at_work(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    store, archive = site.server()
    free = [False]

    @contextmanager
    def alone() -> Generator[bool]:
        yield free[0]

    monkeypatch.setattr(store, "alone", alone)
    courier = Courier(store, archive, pace=QUICK)
    courier.start()
    store.accept(pair(1))
    sleep(0.3)
    assert site.hub.seen == []
    free[0] = True
    until(lambda: state(store, pair(1)) == "saved" and courier.lag().is_restored)
    courier.stop(5)


def test_compaction(site: Site) -> None:
    store, archive = site.server()
    for number in range(12):
        site.add(pair(number), pair(100), number=number)
    assert not needs_compaction(store, archive, 11)  # it knows none of them yet
    pull(store, archive)
    assert not needs_compaction(store, archive, 12)
    assert not compact(store, archive, 12)
    late = site.add(pair(50), number=50)
    assert needs_compaction(store, archive, 11)
    assert compact(store, archive, 11)
    parts = [path for path in site.hub.repositories[DATASET].files if path.startswith("votes/")]
    assert [is_merged(path) for path in sorted(parts)] == [False, True]
    assert late in parts
    assert sorted(one.id for one in site.there()) == sorted(pair(number).id for number in (*range(12), 100, 50))
    before = len(site.hub.asked("GET .*/resolve/.*"))
    assert pull(store, archive) == 1
    assert len(site.hub.asked("GET .*/resolve/.*")) == before + 1  # not what it merged itself
    assert site.restored() == store.records()
    assert store.known_parts() == set(parts)
    assert site.hub.repositories[DATASET].made > len(parts)
    assert not any("squash" in one.path for one in site.hub.seen)


def test_a_part_that_comes_again_after_compaction_does_no_harm(site: Site) -> None:
    (store, archive), (slow, slow_archive) = site.server(), site.server()
    slow.accept(pair(1))
    push(store, archive, "w")
    site.hub.make(DATASET, is_private=True)
    site.hub.fail("lose the answer", COMMIT)
    with suppress(ArchiveError):
        push(slow, slow_archive, "s")
    pull(store, archive)
    assert compact(store, archive)
    assert push(slow, slow_archive, "s") == 1
    assert len(site.there()) == 2
    pull(store, archive)
    assert store.records() == site.restored() == (pair(1),)
    assert compact(store, archive)
    assert site.there() == [pair(1)]
    pull(slow, slow_archive)
    assert slow.records() == (pair(1),)


def test_of_two_that_compact_one_must_look_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    (store, archive), (other, other_archive) = site.server(), site.server()
    for number in range(6):
        site.add(pair(number), number=number)
    pull(store, archive)
    pull(other, other_archive)

    def replace_late(listing: Listing, folding: Folding) -> None:
        other.accept(pair(50))
        push(other, other_archive, "o")
        compact(other, other_archive)
        Archive.replace(archive, listing, folding)

    monkeypatch.setattr(archive, "replace", replace_late)
    with pytest.raises(ArchiveError) as caught:
        compact(store, archive)
    assert caught.value.is_stale
    assert sorted(one.id for one in site.there()) == [pair(number).id for number in (*range(6), 50)]
    pull(store, archive)
    assert store.records() == site.restored() == other.records()


def test_deletion_on_request(site: Site) -> None:
    (store, archive), (other, other_archive) = site.server(), site.server()
    for number in range(4):
        site.add(pair(number), pair(10 + number, BEN), number=number)
    pull(store, archive)
    compact(store, archive)
    site.add(pair(4), pair(14, BEN), number=14)
    pull(store, archive)
    pull(other, other_archive)
    store.accept(wish(99, ANN))
    push(store, archive, "w")
    pull(store, archive)
    assert needs_compaction(store, archive, 1000)
    assert compact(store, archive, 1000)
    kept = {pair(10 + number, BEN).id for number in range(5)} | {wish(99, ANN).id}
    assert {one.id for one in site.there()} == kept
    assert not any(site.ever_there(pair(number)) for number in range(5))
    assert not needs_compaction(store, archive, 1000)
    pull(other, other_archive)
    assert {one.id for one in other.records()} == kept
    assert not needs_compaction(other, other_archive, 1000)
    assert site.restored() == store.records() == other.records()


def test_forgotten_votes_that_come_back_go_again(site: Site) -> None:
    (store, archive), (behind, behind_archive) = site.server(), site.server()
    behind.accept(pair(1))
    behind.accept(pair(2, BEN))
    behind.seal("b", START.date())
    store.accept(wish(9, ANN))
    push(store, archive, "w")
    pull(store, archive)
    compact(store, archive)
    push(behind, behind_archive, "b")  # it has not heard of the wish
    assert site.ever_there(pair(1))
    pull(store, archive)
    assert store.records() == site.restored() == (pair(2, BEN), wish(9, ANN))
    assert store.accept(pair(1)) == "forgotten"
    assert compact(store, archive, 1000)
    assert not site.ever_there(pair(1))
    pull(behind, behind_archive)
    assert behind.records() == store.records()


def test_who_sent_forgotten_votes_without_knowing_deletes_them_when_it_knows(site: Site) -> None:
    (store, archive), (behind, behind_archive) = site.server(), site.server()
    store.accept(wish(9, ANN))
    push(store, archive, "w")
    pull(store, archive)
    compact(store, archive)
    behind.accept(pair(1))
    push(behind, behind_archive, "b")
    pull(behind, behind_archive)
    assert compact(behind, behind_archive, 1000)
    assert not site.ever_there(pair(1))


def test_a_deletion_that_was_cut_off_is_finished_by_anyone(site: Site) -> None:
    (store, archive), (other, other_archive) = site.server(), site.server()
    site.add(pair(1), pair(2, BEN))
    store.accept(wish(9, ANN))
    push(store, archive, "w")
    pull(store, archive)
    site.hub.fail("status", "POST .*/super-squash/main", number=500)
    with pytest.raises(ArchiveError, match="500"):
        compact(store, archive)
    assert site.ever_there(pair(1))
    pull(other, other_archive)
    assert needs_compaction(other, other_archive, 1000)
    assert compact(other, other_archive, 1000)
    assert not site.ever_there(pair(1))
    assert not needs_compaction(other, other_archive, 1000)


def test_the_courier_takes_votes_away_and_brings_those_of_others(site: Site) -> None:
    name = site.add(pair(50, BEN))
    store, archive = site.server()
    store.accept(pair(1))
    courier = Courier(store, archive, pace=QUICK)
    assert courier.lag().seconds_since_success is None
    assert not courier.lag().is_restored
    courier.start()
    until(lambda: state(store, pair(1)) == "saved")
    until(lambda: courier.lag().is_restored)
    assert store.records() == (pair(1), pair(50, BEN))
    assert name in store.known_parts()
    store.accept(pair(2))
    site.add(pair(51, BEN), number=1)
    until(lambda: state(store, pair(2)) == "saved" and len(store.records()) == 4)
    lag = courier.lag()
    assert (lag.waiting, lag.trouble) == (0, None)
    assert lag.seconds_since_success is not None
    assert lag.seconds_since_success < 5
    courier.stop(5)
    assert site.restored() == store.records()


def test_a_wish_is_done_soon(site: Site) -> None:
    site.add(pair(1), pair(2, BEN))
    store, archive = site.server()
    courier = Courier(store, archive, pace=replace(QUICK, pull_seconds=1000))
    courier.start()
    until(lambda: courier.lag().is_restored)
    store.accept(wish(9, ANN))
    until(lambda: not site.ever_there(pair(1)) and not store.stained_parts() & archive.listing().parts.keys())
    courier.stop(5)
    assert site.restored() == (pair(2, BEN), wish(9, ANN))


def test_parts_stay_few(site: Site) -> None:
    store, archive = site.server()
    courier = Courier(store, archive, pace=replace(QUICK, most_fresh=5))
    courier.start()
    most = 0
    for number in range(40):
        store.accept(pair(number))
        until(lambda: store.waiting() == 0)
        most = max(most, len(site.hub.repositories[DATASET].files))
    until(lambda: len(site.hub.repositories[DATASET].files) < 9)
    courier.stop(5)
    assert most < 40
    assert len(site.restored()) == 40


def test_a_start_without_the_hub(site: Site) -> None:
    store, archive = site.server()
    site.add(pair(50, BEN))
    site.hub.fail("hang up", ".*", times=10_000)
    courier = Courier(store, archive, pace=QUICK)
    begun = monotonic()
    courier.start()
    assert monotonic() - begun < 0.5
    assert store.accept(pair(1)) == "accepted"
    until(lambda: courier.lag().trouble is not None)
    assert courier.lag().trouble == "Votes wait here, because the Hub cannot be reached."
    assert courier.lag().waiting == 1
    site.hub.faults.clear()
    until(lambda: state(store, pair(1)) == "saved" and courier.lag().is_restored, 20)
    assert courier.lag().trouble is None
    courier.stop(5)
    assert len(store.records()) == 2


def test_a_start_while_the_hub_hangs(site: Site) -> None:
    store, archive = site.server()
    site.hub.fail("wait", ".*", times=3, number=1500)
    courier = Courier(store, archive, pace=QUICK)
    begun = monotonic()
    courier.start()
    assert store.accept(pair(1)) == "accepted"
    assert monotonic() - begun < 1
    until(lambda: state(store, pair(1)) == "saved", 20)
    courier.stop(5)


def test_stopping_sends_what_waits_whatever_the_budget(site: Site) -> None:
    store, archive = site.server()
    courier = Courier(store, archive, pace=replace(QUICK, burst=1, commits_per_hour=1))
    courier.start()
    store.accept(pair(1))
    until(lambda: state(store, pair(1)) == "saved")
    store.accept(pair(2))
    sleep(0.2)
    assert state(store, pair(2)) == "accepted"
    courier.stop(5)
    assert state(store, pair(2)) == "saved"
    courier.stop(1)


def test_stopping_gets_through_faults_and_past_a_call_that_hangs(site: Site) -> None:
    store, _ = site.server()
    archive = Archive(replace(site.source, answer_seconds=10, call_seconds=10))
    site.add(pair(50, BEN))
    courier = Courier(store, archive, pace=QUICK)
    courier.start()
    until(lambda: courier.lag().is_restored)
    site.hub.fail("wait", "GET /api/datasets.*", number=4500)
    until(lambda: site.hub.faults[0].times == 0)
    store.accept(pair(1))
    site.hub.fail("status", COMMIT, number=500, times=2)
    begun = monotonic()
    courier.stop(4)
    assert state(store, pair(1)) == "saved"
    assert monotonic() - begun < 4.3


def test_stopping_ends_in_time_when_nobody_answers(site: Site) -> None:
    store, archive = site.server()
    courier = Courier(store, archive, pace=QUICK)
    courier.start()
    site.hub.fail("wait", ".*", number=2500, times=1000)
    store.accept(pair(1))
    begun = monotonic()
    courier.stop(1.5)
    assert monotonic() - begun < 2.5
    assert state(store, pair(1)) == "accepted"
    site.hub.faults.clear()


def test_a_spent_quota_is_obeyed(site: Site) -> None:
    store, archive = site.server()
    store.accept(pair(0))
    push(store, archive, "w")
    site.hub.commits_left, site.hub.retry_after = 0, 1
    courier = Courier(store, archive, pace=QUICK)
    courier.start()
    store.accept(pair(1))
    until(lambda: courier.lag().trouble is not None)
    assert courier.lag().trouble == "Votes wait here, because the Hub takes no more commits for now."
    tried = len(site.hub.asked(COMMIT))
    sleep(0.7)
    assert len(site.hub.asked(COMMIT)) == tried
    site.hub.commits_left = None
    until(lambda: state(store, pair(1)) == "saved")
    courier.stop(5)


def test_after_a_spent_quota_the_budget_is_empty(site: Site) -> None:
    store, archive = site.server()
    store.accept(pair(0))
    push(store, archive, "w")
    site.hub.commits_left, site.hub.retry_after = 0, 0
    courier = Courier(store, archive, pace=replace(QUICK, burst=5, commits_per_hour=1))
    courier.start()
    store.accept(pair(1))
    until(lambda: courier.lag().trouble is not None)
    site.hub.commits_left = None
    sleep(0.5)
    assert state(store, pair(1)) == "accepted"
    courier.stop(5)
    assert state(store, pair(1)) == "saved"


def test_a_bug_does_not_end_the_courier(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store, archive = site.server()
    calls: list[int] = []

    def listing() -> object:
        calls.append(1)
        if len(calls) < 3:
            raise KeyError("a secret of the Hub")
        return Archive.listing(archive)

    monkeypatch.setattr(archive, "listing", listing)
    courier = Courier(store, archive, pace=QUICK)
    courier.start()
    until(lambda: courier.lag().trouble is not None)
    assert "secret" not in str(courier.lag().trouble)
    until(lambda: courier.lag().is_restored)
    courier.stop(5)
    assert "stumbled" in caplog.text


def test_stopping_without_a_start(site: Site) -> None:
    store, archive = site.server()
    store.accept(pair(1))
    Courier(store, archive, pace=QUICK).stop(5)
    assert state(store, pair(1)) == "saved"
    assert not [one for one in threading.enumerate() if one.name == "courier"]


def test_commits_are_paced(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("ratings.courier.time.monotonic", lambda: now[0])
    tokens = _Tokens(3, 60)

    def taken(most: int) -> int:
        number = 0
        while tokens.has_one and number < most:
            tokens.take(1)
            number += 1
        return number

    assert taken(9) == 3
    now[0] = 59
    assert not tokens.has_one
    now[0] = 61
    assert tokens.has_one
    assert taken(9) == 1
    now[0] = 10_000
    assert taken(9) == 3
    now[0] = 20_000
    tokens.take_all()
    assert taken(9) == 0
    now[0] = 30_000
    taken(2)
    tokens.take(3)  # two of them are owed
    tokens.take_all()
    now[0] = 30_150
    assert taken(9) == 0
    now[0] = 30_181
    assert taken(9) == 1


@pytest.mark.parametrize(("replicas", "at_once"), [(1, 8), (4, 2), (100, 1)])
def test_replicas_share_the_budget(site: Site, replicas: int, at_once: int) -> None:
    store, archive = site.server()
    tokens = Courier(store, archive, replicas)._tokens
    assert tokens.has_one
    tokens.take(at_once)
    assert not tokens.has_one


def test_a_deletion_costs_as_many_commits_as_it_makes(site: Site) -> None:
    site.add(pair(1), pair(2, BEN))
    store, archive = site.server()
    store.accept(wish(9, ANN))
    courier = Courier(store, archive, pace=replace(QUICK, burst=4, commits_per_hour=1))
    courier.start()
    until(lambda: not site.ever_there(pair(1)) and not archive.listing().is_deleting)
    store.accept(pair(3, BEN))
    sleep(0.3)
    assert state(store, pair(3, BEN)) == "accepted"
    courier.stop(5)
    assert state(store, pair(3, BEN)) == "saved"
