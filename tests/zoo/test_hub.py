"""The zoo on the Hub, with the real client and a small Hub on this machine."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from socket import create_server
from time import monotonic, sleep

import pytest
import torch

from sr_core.errors import OptionError, PackageError, WeightsError
from tests.zoo.hub_client import client_environment, hub_and_client
from tests.zoo.hub_server import TOKEN, Hub
from tests.zoo.small_home import small_home
from zoo.catalogue import load_model
from zoo.files import Zoo
from zoo.hub import LISTING, HubSource, open_zoo
from zoo.manifest import Manifest, save_manifest
from zoo.release import FileRecord, Release
from zoo.workshop.publication import plan_publication

REPO = "owner/tiny"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Site:
    """A Hub with a repository, and an app that comes with other models."""

    hub: Hub
    commit: str
    offered: Manifest
    embedded: Path
    cache: Path

    def source(self, revision: str | None = None, **changes: object) -> HubSource:
        one = HubSource(
            repo=REPO,
            revision=revision or self.commit,
            endpoint=self.hub.address,
            cache_dir=self.cache,
            answer_seconds=1,
        )
        return replace(one, **changes)  # type: ignore[arg-type]

    def open(self, revision: str | None = None, **changes: object) -> Zoo:
        return open_zoo(self.source(revision, **changes), self.embedded)

    @property
    def one(self) -> Release:
        return self.offered.releases[0]

    @property
    def two(self) -> Release:
        return self.offered.releases[1]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_and_client(tmp_path) as one:
        yield one


@pytest.fixture
def site(hub: Hub, packed: Release, tmp_path: Path) -> Site:
    """The family ``tiny`` on the Hub; the app comes with ``other``."""
    home = tmp_path / "home"
    releases = small_home(home, packed).releases
    plan = plan_publication(home, "tiny", REPO)
    commit = hub.make(REPO, {file.path: file.content() for file in plan.files})
    embedded = tmp_path / "app" / "manifest.json"
    (embedded.parent / "builtin").mkdir(parents=True)
    other = releases[2]
    save_manifest(Manifest(releases=(other,)), embedded)
    (home / "builtin" / other.weights.path).rename(embedded.parent / "builtin" / other.weights.path)
    return Site(hub, commit, Manifest(releases=releases[:2]), embedded, tmp_path / "cache")


def ids(zoo: Zoo) -> list[str]:
    return [release.id for release in zoo.manifest.releases]


def on_hub(zoo: Zoo, release: Release) -> FileRecord:
    return zoo.manifest.release(release.id).weights


def cached_files(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file() and "blobs" in path.parts]


class TestOpening:
    def test_the_models_of_a_repository_are_offered_and_run(self, site: Site) -> None:
        zoo = site.open()
        assert ids(zoo) == [site.one.id, site.two.id]
        assert zoo.origin == f"those of {REPO} on the Hub at commit {site.commit}"
        assert zoo.notices == ()
        assert not zoo.files.is_here(on_hub(zoo, site.one))
        model = load_model(zoo.manifest.default, "float32", zoo.files)
        assert model.engine.run(torch.zeros(1, 3, 16, 16)).shape == (1, 3, 32, 32)
        assert zoo.files.is_here(on_hub(zoo, site.one))

    def test_without_a_repository_the_models_that_come_with_the_app_are_offered(self, site: Site) -> None:
        zoo = open_zoo(None, site.embedded)
        assert [release.variant.family for release in zoo.manifest.releases] == ["other"]
        assert zoo.origin == "those that come with the app"
        assert zoo.notices == ()
        assert site.hub.seen == []

    def test_a_pinned_commit_that_is_cached_needs_no_network(self, site: Site) -> None:
        first = site.open()
        path = first.files.path_of(on_hub(first, site.one), site.one.id)
        site.hub.seen.clear()
        again = site.open()
        assert ids(again) == ids(first)
        assert again.files.path_of(on_hub(again, site.one), site.one.id) == path
        assert site.hub.seen == []

    def test_a_branch_is_resolved_once_and_read_at_that_commit(self, site: Site) -> None:
        zoo = site.open("main")
        assert zoo.origin.endswith(site.commit)
        newer = site.hub.put(REPO, {f"variants/{site.one.id}/model.safetensors": b"another content"})
        path = zoo.files.path_of(on_hub(zoo, site.one), site.one.id)
        assert site.commit in path.parts
        assert site.open("main").origin.endswith(newer)

    def test_an_old_commit_stays_what_it_was(self, site: Site) -> None:
        site.hub.put(REPO, {LISTING: b"{}"})
        assert ids(site.open(site.commit)) == ids(site.open(site.commit, cache_dir=site.cache / "fresh"))

    def test_a_commit_that_is_not_there_is_named(self, site: Site) -> None:
        zoo = site.open("f" * 40)
        assert [release.variant.family for release in zoo.manifest.releases] == ["other"]
        [notice] = zoo.notices
        assert notice == (
            f"The models that come with the app are offered and not those of {REPO}: its zoo.json is not on this "
            f"machine, and {REPO} has no revision {'f' * 40}."
        )

    def test_a_repository_that_is_not_there_is_named(self, site: Site) -> None:
        [notice] = site.open(repo="owner/nothing").notices
        assert "no model repository owner/nothing that HF_TOKEN may read" in notice

    def test_a_repository_without_a_list_is_named(self, site: Site) -> None:
        empty = site.hub.make("owner/empty")
        [notice] = site.open(empty, repo="owner/empty").notices
        assert f"owner/empty has no file zoo.json at {empty}" in notice

    def test_an_unknown_schema_is_refused(self, site: Site) -> None:
        listing = json.loads(site.hub.repositories[REPO].files[LISTING].content)
        newer = site.hub.put(REPO, {LISTING: json.dumps({**listing, "schema": 99}).encode()})
        zoo = site.open(newer)
        assert [release.variant.family for release in zoo.manifest.releases] == ["other"]
        assert "schema number 99" in zoo.notices[0]

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema": 4, "default": "x", "releases": [{}]}'])
    def test_a_damaged_list_is_refused(self, site: Site, content: bytes) -> None:
        zoo = site.open(site.hub.put(REPO, {LISTING: content}))
        assert [release.variant.family for release in zoo.manifest.releases] == ["other"]
        assert "zoo.json is damaged" in zoo.notices[0]

    def test_a_list_that_was_damaged_in_the_cache_is_fetched_again_at_the_next_start(self, site: Site) -> None:
        site.open()
        [listing] = cached_files(site.cache)
        listing.write_bytes(b"{")
        assert "zoo.json is damaged" in site.open().notices[0]
        assert site.open().notices == ()

    def test_no_name_of_a_repository_is_refused(self) -> None:
        with pytest.raises(OptionError, match="such as owner/name, not 'tiny'"):
            HubSource(repo="tiny")


class TestTrouble:
    def test_an_error_of_the_hub_is_said_at_once(self, site: Site) -> None:
        site.hub.fail("status", f"HEAD .*/{LISTING}", number=500, times=99)
        started = monotonic()
        [notice] = site.open().notices
        assert "the Hub answered with the status 500" in notice
        assert monotonic() - started < 2.5
        assert len(site.hub.asked(f"HEAD .*/{LISTING}")) == 1

    def test_a_hub_that_refuses_connections_is_said_at_once(self, site: Site) -> None:
        with create_server(("127.0.0.1", 0)) as server:
            closed = f"http://127.0.0.1:{server.getsockname()[1]}"
        started = monotonic()
        [notice] = site.open(endpoint=closed).notices
        assert "the Hub cannot be reached" in notice
        assert monotonic() - started < 2.5

    def test_a_hub_that_never_answers_does_not_hold_up_the_start(self, site: Site) -> None:
        with create_server(("127.0.0.1", 0)) as server:
            silent = f"http://127.0.0.1:{server.getsockname()[1]}"
            started = monotonic()
            zoo = site.open(endpoint=silent)
            assert monotonic() - started < 2.5
        assert [release.variant.family for release in zoo.manifest.releases] == ["other"]
        assert "the Hub did not answer within 1 s" in zoo.notices[0]
        default = HubSource(repo=REPO)
        assert (default.answer_seconds, default.open_seconds) == (3, 6)

    def test_the_start_waits_no_longer_than_it_may(self, site: Site) -> None:
        site.hub.fail("wait", f"GET .*/{LISTING}", number=1200)
        started = monotonic()
        [notice] = site.open(open_seconds=0.3).notices
        assert monotonic() - started < 1
        assert "the Hub takes too long (0.3 s are allowed)" in notice

    def test_a_slow_look_up_of_names_does_not_hold_up_the_start(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def slow(*arguments: object, **named: object) -> object:
            sleep(1.2)
            return look_up(*arguments, **named)  # type: ignore[arg-type]

        look_up = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", slow)
        started = monotonic()
        [notice] = site.open(answer_seconds=0.1).notices
        assert monotonic() - started < 1
        assert "the Hub takes too long" in notice

    def test_a_branch_is_offered_as_it_was_seen_last(self, site: Site) -> None:
        site.open("main")
        site.hub.fail("status", "HEAD .*", number=503, times=9)
        zoo = site.open("main")
        assert ids(zoo) == [site.one.id, site.two.id]
        assert zoo.notices == (
            f"The models of {REPO} are offered as they were seen last, at commit {site.commit}, because the Hub "
            "answered with the status 503; with that commit as ZOO_REVISION the app starts without asking.",
        )

    def test_what_is_not_the_hub_is_not_believed(self, site: Site) -> None:
        site.hub.fail("status", ".*", number=200, times=9)
        [notice] = site.open().notices
        assert "what answers in the Hub's place is not the Hub" in notice

    def test_a_list_with_wrong_bytes_is_not_used_and_not_kept(self, site: Site) -> None:
        site.hub.fail("wrong bytes", f"GET .*/{LISTING}")
        [notice] = site.open().notices
        assert f"what arrived as zoo.json is not what {REPO} announced" in notice
        assert cached_files(site.cache) == []
        assert site.open().notices == ()

    def test_a_model_that_cannot_be_fetched_now_says_so(self, site: Site) -> None:
        zoo = site.open()
        site.hub.fail("status", ".*", number=503, times=99)
        with pytest.raises(WeightsError) as failure:
            load_model(zoo.manifest.default, "float32", zoo.files)
        assert str(failure.value) == (
            f"The weight file of {site.one.id} is not on this machine, and the Hub answered with the status 503; "
            "please take another model or try again later."
        )
        package = zoo.manifest.default.package
        assert package
        with pytest.raises(PackageError, match=f"Core ML package of {site.one.id} is not on this machine"):
            zoo.files.path_of(package, site.one.id)

    def test_a_download_that_takes_too_long_goes_on_in_the_background(self, site: Site) -> None:
        zoo = site.open(fetch_seconds=0.4)
        file = on_hub(zoo, site.one)
        site.hub.fail("wait", "GET /content/.*", number=900)
        with pytest.raises(WeightsError, match=r"takes too long \(0.4 s are allowed\)"):
            zoo.files.path_of(file, site.one.id)
        until = monotonic() + 10
        while not zoo.files.is_here(file) and monotonic() < until:
            sleep(0.02)
        assert zoo.files.path_of(file, site.one.id).stat().st_size == file.bytes


class TestFiles:
    def test_a_dropped_download_goes_on_where_it_stopped(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
        zoo = site.open()
        file = on_hub(zoo, site.one)
        site.hub.fail("drop", "GET /content/.*", number=5500)
        assert zoo.files.path_of(file, site.one.id).stat().st_size == file.bytes > 5500
        first, second = site.hub.asked("GET /content/.*")
        assert (first.byte_range, second.byte_range) == (None, "bytes=5000-")

    def test_a_file_that_is_too_short_is_refused(self, site: Site) -> None:
        zoo = site.open()
        site.hub.fail("wrong bytes", "GET /content/.*", number=10)
        with pytest.raises(WeightsError, match="is not on this machine, and it did not arrive completely"):
            zoo.files.path_of(on_hub(zoo, site.one), site.one.id)
        assert zoo.files.path_of(on_hub(zoo, site.one), site.one.id).is_file()

    def test_a_cache_that_cannot_be_written_is_named(self, site: Site, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("no folder")
        [notice] = site.open(cache_dir=tmp_path / "file").notices
        assert "it cannot be stored in the Hub's cache (Not a directory)" in notice

    def test_a_file_with_wrong_bytes_is_refused_and_deleted(self, site: Site) -> None:
        zoo = site.open()
        file = on_hub(zoo, site.one)
        kept = cached_files(site.cache)
        site.hub.fail("wrong bytes", "GET /content/.*")
        with pytest.raises(WeightsError, match=f"of {site.one.id} in {REPO} is not the one that its list names"):
            zoo.files.path_of(file, site.one.id)
        assert cached_files(site.cache) == kept
        assert not zoo.files.is_here(file)
        assert zoo.files.path_of(file, site.one.id).is_file()

    def test_a_cached_file_that_was_damaged_is_fetched_again(self, site: Site) -> None:
        zoo = site.open()
        file = on_hub(zoo, site.one)
        path = zoo.files.path_of(file, site.one.id)
        content = path.read_bytes()
        path.write_bytes(b"\0" * len(content))
        assert zoo.files.path_of(file, site.one.id).read_bytes() == content
        assert len(site.hub.asked("GET /content/.*")) == 2

    def test_a_file_that_comes_with_the_app_is_not_fetched(self, site: Site, tmp_path: Path) -> None:
        zoo = open_zoo(site.source(), tmp_path / "home" / "manifest.json")
        file = on_hub(zoo, site.one)
        assert zoo.files.is_here(file)
        path = zoo.files.path_of(file, site.one.id)
        assert path == tmp_path / "home" / "builtin" / site.one.weights.path
        assert site.hub.asked(".*safetensors") == []

        path.write_bytes(b"damaged")
        assert zoo.files.path_of(file, site.one.id).stat().st_size == file.bytes
        assert len(site.hub.asked("GET /content/.*")) == 1

    def test_a_package_is_fetched_as_it_was_published(self, site: Site, tmp_path: Path) -> None:
        zoo = site.open()
        package = zoo.manifest.default.package
        assert package
        assert package.path.startswith("coreml/")
        original = tmp_path / "home" / "builtin" / package.path
        assert zoo.files.path_of(package, site.one.id).read_bytes() == original.read_bytes()


class TestToken:
    def test_a_private_repository_opens_with_the_token(self, site: Site) -> None:
        site.hub.repositories[REPO].is_private = True
        [notice] = site.open().notices
        assert "that HF_TOKEN may read" in notice
        zoo = site.open(token=TOKEN)
        assert zoo.files.path_of(on_hub(zoo, site.one), site.one.id).is_file()
        assert {one.token for one in site.hub.asked("GET /content/.*")} == {None}
        assert {one.host for one in site.hub.asked("GET /content/.*")} == {"localhost"}

    def test_a_repository_behind_a_gate_says_whom_to_ask(self, site: Site) -> None:
        site.hub.repositories[REPO].is_gated = True
        [notice] = site.open().notices
        assert f"the owner of {REPO} has not granted access to HF_TOKEN" in notice

    @pytest.mark.parametrize("pattern", ["HEAD .*", "GET .*"])
    def test_nothing_tells_the_token(
        self, site: Site, pattern: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level("DEBUG")
        source = site.source(token=TOKEN)
        site.hub.fail("status", pattern, number=401, times=2)
        zoo = open_zoo(source, site.embedded)
        assert zoo.notices
        zoo = open_zoo(source, site.embedded)
        zoo = zoo if not zoo.notices else open_zoo(source, site.embedded)
        site.hub.fail("wrong bytes", "GET /content/.*")
        with pytest.raises(WeightsError) as failure:
            zoo.files.path_of(on_hub(zoo, site.one), site.one.id)
        said = [repr(source), repr(zoo), str(failure.value), caplog.text, *capfd.readouterr(), *zoo.notices]
        assert all(TOKEN not in words for words in said)


SCRIPT = """
import sys
from pathlib import Path
from sr_core.errors import ModelError
from zoo.hub import HubSource, open_zoo

zoo = open_zoo(HubSource(repo=sys.argv[1], revision=sys.argv[2]), Path(sys.argv[3]))
print(*zoo.notices)
for release in zoo.manifest.releases:
    try:
        print(zoo.files.path_of(release.weights, release.id).stat().st_size)
    except ModelError as error:
        print(error)
assert "torch" not in sys.modules
"""


class TestProcesses:
    def start(self, site: Site, folder: Path, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, REPO, site.commit, str(site.embedded)],
            cwd=ROOT,
            env={**client_environment(site.hub, folder), **environment},
            stdout=subprocess.PIPE,
            text=True,
        )

    def test_two_processes_fetch_a_file_once(self, site: Site, tmp_path: Path) -> None:
        site.hub.fail("wait", "GET /content/.*", number=700, times=4)
        both = [self.start(site, tmp_path / "shared") for _ in range(2)]
        said = [process.communicate(timeout=60)[0].split() for process in both]
        sizes = [str(release.weights.bytes) for release in (site.one, site.two)]
        assert said == [sizes, sizes]
        assert len(site.hub.asked("GET /content/.*")) == 2
        assert list((tmp_path / "shared").rglob("*.incomplete")) == []

    def test_offline_what_is_cached_serves_and_the_rest_is_named(self, site: Site, tmp_path: Path) -> None:
        zoo = site.open(cache_dir=tmp_path / "offline" / "hub")
        zoo.files.path_of(on_hub(zoo, site.one), site.one.id)
        site.hub.seen.clear()
        both = [self.start(site, tmp_path / name, HF_HUB_OFFLINE="1") for name in ("offline", "empty")]
        cached, empty = [process.communicate(timeout=60)[0].splitlines() for process in both]
        assert cached[:2] == ["", str(site.one.weights.bytes)]
        assert cached[2] == (
            f"The weight file of {site.two.id} is not on this machine, and the Hub is not asked because HF_HUB_OFFLINE "
            "is set; please take another model or try again later."
        )
        assert "its zoo.json is not on this machine, and the Hub is not asked because HF_HUB_OFFLINE is set" in empty[0]
        assert site.hub.seen == []
