"""The archive, with the real client and a small Hub on this machine."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep

import httpx2
import pytest
from huggingface_hub.errors import GatedRepoError

from hub.calls import Calls, TooManyCallsError, results
from ratings.archive import Archive, ArchiveError, ArchiveSource
from ratings.parts import Folding, Part, fold, fresh_part, records_of
from ratings.vote import Record, line_of
from sr_core.errors import OptionError
from tests.ratings.votes import ANN, BEN, DATASET, REPO, START, pair, wish
from tests.zoo.hub_client import hub_and_client
from tests.zoo.hub_server import TOKEN, Hub

RESOLVE = r"GET /datasets/owner/votes/resolve/.*"
COMMIT = r"POST /api/datasets/owner/votes/commit/main"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_and_client(tmp_path) as one:
        yield one


@pytest.fixture
def source(hub: Hub) -> ArchiveSource:
    return ArchiveSource(repo=REPO, token=TOKEN, endpoint=hub.address, answer_seconds=2, call_seconds=5)


@pytest.fixture
def archive(source: ArchiveSource) -> Archive:
    return Archive(source)


def part(*records: Record, number: int = 0) -> Part:
    return fresh_part([line_of(one) for one in records], START.date(), "w", number)


def there(hub: Hub) -> dict[str, bytes]:
    files = hub.repositories[DATASET].files
    return {path: blob.content for path, blob in files.items() if path.startswith("votes/")}


def contents(*parts: Part) -> dict[str, bytes]:
    return {one.name: one.content for one in parts}


def test_the_first_push_makes_a_private_dataset_with_a_card(hub: Hub, archive: Archive) -> None:
    assert archive.listing().head is None
    parts = [part(pair(1)), part(pair(2), number=1)]
    archive.push(parts)
    repository = hub.repositories[DATASET]
    assert repository.is_private
    assert repository.messages == ["initial commit", "Add 2 parts"]
    assert there(hub) == contents(*parts)
    card = repository.files["README.md"].content.decode()
    assert card.startswith("---\npretty_name:")
    for column in (*pair(1).model_dump(), "system", "grade", "raters"):
        assert f"`{column}" in card
    archive.push([part(pair(3), number=2)])
    assert repository.messages[2:] == ["Add 1 parts"]


def test_a_card_of_the_owner_is_kept(hub: Hub, archive: Archive) -> None:
    hub.make(DATASET, {"README.md": b"# Mine"})
    archive.push([part(pair(1))])
    assert hub.repositories[DATASET].files["README.md"].content == b"# Mine"
    assert not hub.repositories[DATASET].is_private


def test_a_public_dataset_only_when_asked(hub: Hub, source: ArchiveSource) -> None:
    Archive(replace(source, private=False)).push([part(pair(1))])
    assert not hub.repositories[DATASET].is_private


def test_a_dataset_that_was_deleted_is_made_again(hub: Hub, archive: Archive) -> None:
    archive.push([part(pair(1))])
    del hub.repositories[DATASET]
    with pytest.raises(ArchiveError):
        archive.push([part(pair(2), number=1)])  # only now it is known to be gone
    archive.push([part(pair(2), number=1)])
    assert hub.repositories[DATASET].is_private
    assert "README.md" in hub.repositories[DATASET].files
    del hub.repositories[DATASET]
    assert archive.listing().head is None
    archive.push([part(pair(3), number=2)])
    assert there(hub) == contents(part(pair(3), number=2))


def test_a_dataset_behind_a_gate_is_there(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise GatedRepoError("gated", response=httpx2.Response(403, request=httpx2.Request("GET", "http://hub")))

    monkeypatch.setattr(archive._api, "dataset_info", refuse)
    with pytest.raises(ArchiveError):
        archive.listing()


def test_commits_are_counted(hub: Hub, archive: Archive) -> None:
    archive.push([part(pair(1)), part(pair(2, BEN), number=1)])
    assert archive.commits == 1
    hub.fail("status", COMMIT, number=500)
    with pytest.raises(ArchiveError):
        archive.push([part(pair(3), number=2)])
    assert archive.commits == 2
    listing = archive.listing()
    archive.replace(listing, fold(archive.read(listing, listing.parts), [ANN]))
    archive.finish_deletion()
    assert archive.commits == 5


def test_what_was_pushed_is_read(hub: Hub, archive: Archive, source: ArchiveSource) -> None:
    parts = [part(pair(number), number=number) for number in range(12)]
    archive.push(parts)
    hub.put(DATASET, {"votes/notes.txt": b"no part", "other/x.jsonl": b"{}"})
    hub.page = 5
    reader = Archive(source)
    listing = reader.listing()
    assert listing.head == hub.repositories[DATASET].branches["main"]
    assert dict(listing.parts) == {one.name: len(one.content) for one in parts}
    assert reader.read(listing, [parts[3].name, parts[5].name]) == contents(parts[3], parts[5])
    assert reader.read(listing, []) == {}
    before = len(hub.seen)
    assert reader.listing() == listing
    assert len(hub.seen) == before + 1


def test_pushing_again_changes_nothing(hub: Hub, archive: Archive) -> None:
    archive.push([part(pair(1))])
    commit = hub.repositories[DATASET].branches["main"]
    archive.push([part(pair(1))])
    assert hub.repositories[DATASET].branches["main"] == commit
    archive.push([part(pair(1)), part(pair(2), number=1)])
    assert set(there(hub)) == {part(pair(1)).name, part(pair(2), number=1).name}


def test_a_lost_answer_does_no_harm(hub: Hub, archive: Archive) -> None:
    archive.push([part(pair(0), number=9)])
    hub.fail("lose the answer", COMMIT)
    with pytest.raises(ArchiveError, match="cannot be reached"):
        archive.push([part(pair(1))])
    commit = hub.repositories[DATASET].branches["main"]
    archive.push([part(pair(1))])
    assert hub.repositories[DATASET].branches["main"] == commit


def test_what_the_hub_leaves_out_is_noticed(hub: Hub, archive: Archive) -> None:
    hub.ignored.add(part(pair(1)).name)
    with pytest.raises(ArchiveError, match="gitignore"):
        archive.push([part(pair(1))])


@pytest.mark.parametrize(
    ("status", "words", "is_stale"),
    [
        (500, "the Hub answered with the status 500", False),
        (403, "HF_TOKEN may not write to the dataset owner/votes", False),
        (412, "somebody else changed owner/votes at the same time", True),
        (409, "somebody else changed owner/votes at the same time", True),
        (429, "the Hub takes no more commits for now", False),
    ],
)
def test_refusals(hub: Hub, archive: Archive, status: int, words: str, is_stale: bool) -> None:
    archive.push([part(pair(0), number=9)])
    hub.fail("status", COMMIT, number=status)
    with pytest.raises(ArchiveError) as caught:
        archive.push([part(pair(1))])
    assert str(caught.value) == f"Votes wait here, because {words}."
    assert caught.value.is_stale == is_stale
    assert caught.value.retry_seconds is None


def test_a_spent_quota_tells_when_to_come_back(hub: Hub, archive: Archive) -> None:
    archive.push([part(pair(0), number=9)])
    hub.commits_left, hub.retry_after = 0, 1234
    with pytest.raises(ArchiveError, match="no more commits") as caught:
        archive.push([part(pair(1))])
    assert caught.value.retry_seconds == 1234


def test_without_access_nothing_is_said_of_what_is_inside(hub: Hub, source: ArchiveSource) -> None:
    hub.make(DATASET, is_private=True)
    for token in ("hf_wrong", "hf_other"):
        stranger = Archive(replace(source, token=token))
        with pytest.raises(ArchiveError, match=r"no dataset owner/votes that HF_TOKEN may read") as caught:
            stranger.listing()
        assert token not in str(caught.value)
        with pytest.raises(ArchiveError):
            stranger.push([part(pair(1))])
    assert "hf_wrong" not in repr(replace(source, token="hf_wrong"))  # noqa: S106


def test_the_client_may_be_kept_off_the_network(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ArchiveError, match="HF_HUB_OFFLINE is set"):
        archive.listing()


def test_nobody_is_there(source: ArchiveSource) -> None:
    gone = Archive(replace(source, endpoint="http://127.0.0.1:1", call_seconds=1))
    begun = monotonic()
    with pytest.raises(ArchiveError):
        gone.listing()
    assert monotonic() - begun < 3


def test_a_hanging_hub_is_waited_for_only_so_long(hub: Hub, source: ArchiveSource) -> None:
    archive = Archive(replace(source, answer_seconds=0.5))
    archive.push([part(pair(0), number=9)])
    hub.fail("wait", COMMIT, number=2000, times=2)
    begun = monotonic()
    with pytest.raises(ArchiveError, match="does not answer in time"):
        archive.push([part(pair(1))])
    assert monotonic() - begun < 1.5
    patient = Archive(replace(source, answer_seconds=30))
    with pytest.raises(ArchiveError, match="does not answer in time"):
        patient.push([part(pair(1))], seconds=0.3)
    assert monotonic() - begun < 3


def test_a_damaged_part_is_not_taken(hub: Hub, archive: Archive) -> None:
    archive.push([part(pair(1)), part(pair(2), number=1)])
    hub.fail("wrong bytes", RESOLVE)
    with pytest.raises(ArchiveError, match="is not what was announced"):
        archive.read(archive.listing(), [part(pair(1)).name])
    assert archive.read(archive.listing(), [part(pair(1)).name]) == contents(part(pair(1)))


def test_reading_goes_on_where_it_stopped(hub: Hub, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [part(pair(number), number=number) for number in range(40)]
    archive.push(parts)
    monkeypatch.setattr("ratings.archive._WORKERS", 1)
    hub.fail("status", f".*{parts[5].name}", number=404)
    listing = archive.listing()
    with pytest.raises(ArchiveError):
        archive.read(listing, [one.name for one in parts])
    first = len(hub.asked(RESOLVE))
    assert archive.read(listing, [one.name for one in parts]) == contents(*parts)
    assert len(hub.asked(RESOLVE)) <= 43
    assert first > 10


def test_a_thousand_parts_are_read_with_as_many_requests(hub: Hub, archive: Archive) -> None:
    parts = [part(pair(number), number=number) for number in range(1000)]
    hub.make(DATASET, contents(*parts), is_private=True)
    before, begun = len(hub.seen), monotonic()
    assert archive.read(archive.listing(), [one.name for one in parts]) == contents(*parts)
    assert len(hub.seen) - before == 1003  # which commit, two pages of names, and the parts
    assert monotonic() - begun < 30


def test_parts_are_replaced_in_one_commit(hub: Hub, archive: Archive) -> None:
    parts = [part(pair(number), number=number) for number in range(5)]
    archive.push(parts)
    listing = archive.listing()
    folding = fold(archive.read(listing, listing.parts.keys()), [])
    archive.replace(listing, folding)
    assert hub.repositories[DATASET].messages[-1] == "Make 1 parts of 5"
    assert there(hub) == contents(*folding.added)
    assert not archive.listing().is_deleting
    commits = hub.repositories[DATASET].made
    archive.replace(archive.listing(), Folding(added=(), removed=(), dropped=0))
    assert hub.repositories[DATASET].made == commits


def test_who_is_slower_must_look_again(hub: Hub, archive: Archive, source: ArchiveSource) -> None:
    archive.push([part(pair(1))])
    listing = archive.listing()
    folding = fold(archive.read(listing, listing.parts.keys()), [])
    Archive(source).push([part(pair(2), number=1)])
    with pytest.raises(ArchiveError) as caught:
        archive.replace(listing, folding)
    assert caught.value.is_stale
    assert set(there(hub)) == {part(pair(1)).name, part(pair(2), number=1).name}


def test_a_deletion_is_marked_until_the_history_is_gone(hub: Hub, archive: Archive, source: ArchiveSource) -> None:
    archive.push([part(pair(1), pair(2, BEN)), part(wish(3, ANN), number=1)])
    old = archive.listing()
    folding = fold(archive.read(old, old.parts.keys()), [])
    archive.replace(old, folding)
    assert Archive(source).listing().is_deleting
    archive.finish_deletion()
    assert not archive.listing().is_deleting
    every = [blob.content for files in hub.repositories[DATASET].commits.values() for blob in files.values()]
    assert not any(line_of(pair(1)).encode() in content for content in every)
    assert [one for content in there(hub).values() for one in records_of(content)[0]] == [pair(2, BEN), wish(3, ANN)]
    with pytest.raises(ArchiveError) as caught:
        archive.read(old, [part(wish(3, ANN), number=1).name])
    assert caught.value.is_stale
    archive.finish_deletion()  # once more does no harm


@pytest.mark.parametrize("name", ["votes", "a/b/c", "", "owner/.."])
def test_names_that_no_dataset_has(name: str) -> None:
    with pytest.raises(OptionError, match="owner/votes"):
        ArchiveSource(repo=name)


def test_calls_that_nobody_waits_for_are_few() -> None:
    calls, end = Calls(most=2), threading.Event()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            calls.within(0.01, end.wait)
    with pytest.raises(TooManyCallsError):
        calls.within(0.01, end.wait)
    end.set()
    sleep(0.05)
    assert calls.within(1, lambda: 7) == 7


def test_results_come_as_they_are_ready() -> None:
    assert sorted(results(lambda one: one * 2, range(50), 4, 1.0)) == [(one, one * 2) for one in range(50)]
    assert list(results(str, [], 4, 1.0)) == []
    with pytest.raises(ZeroDivisionError):
        list(results(lambda one: 1 // one, [1, 0, 2], 2, 1.0))
    with pytest.raises(TimeoutError):
        list(results(sleep, [0.5], 2, 0.05))
