"""Publishing with the real client to a small Hub on this machine."""

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sr_core.errors import OptionError, OutputError
from tests.zoo.hub_client import hub_and_client
from tests.zoo.hub_server import TOKEN, Hub
from tests.zoo.small_home import TINY, small_home, small_release
from zoo.catalogue import load_model
from zoo.hub import HubSource, open_zoo
from zoo.manifest import Manifest, load_manifest, save_manifest
from zoo.release import Release
from zoo.workshop.publication import Publication, plan_publication
from zoo.workshop.publish import compare, comparison_lines, publish, run_publish

REPO = "owner/tiny"

# huggingface_hub 2.4.0 uploads in a way that httpx2 2.16 calls deprecated
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")


@pytest.fixture
def home(packed: Release, tmp_path: Path) -> Path:
    small_home(tmp_path / "home", packed)
    return tmp_path / "home"


@pytest.fixture
def plan(home: Path) -> Publication:
    return plan_publication(home, "tiny", REPO)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_and_client(tmp_path) as one:
        yield one


@pytest.fixture
def source(hub: Hub) -> HubSource:
    return HubSource(repo=REPO, endpoint=hub.address, token=TOKEN)


def silent(sentence: str) -> None:
    assert sentence.endswith(".")


def there(hub: Hub) -> dict[str, bytes]:
    """What the repository holds of ours."""
    return {path: blob.content for path, blob in hub.repositories[REPO].files.items() if path != ".gitattributes"}


def planned(plan: Publication) -> dict[str, bytes]:
    return {file.path: file.content() for file in plan.files}


def test_a_family_is_published_in_one_commit(hub: Hub, source: HubSource, plan: Publication) -> None:
    said: list[str] = []
    commit = publish(plan, source, said.append)
    assert said == ["owner/tiny is made.", "owner/tiny is published."]
    assert hub.repositories[REPO].messages == ["initial commit", "Publish tiny"]
    assert hub.repositories[REPO].branches["main"] == commit
    assert not hub.repositories[REPO].is_private
    assert there(hub) == planned(plan)
    assert {one.token for one in hub.asked("PUT /upload/.*")} == {None}


def test_a_new_repository_can_be_private(hub: Hub, source: HubSource, plan: Publication) -> None:
    publish(plan, source, silent, private=True)
    assert hub.repositories[REPO].is_private


def test_publishing_again_makes_no_commit_and_sends_nothing(hub: Hub, source: HubSource, plan: Publication) -> None:
    commit = publish(plan, source, silent)
    hub.seen.clear()
    said: list[str] = []
    assert publish(plan, source, said.append) == commit
    assert said == ["owner/tiny has all this already."]
    assert {one.method for one in hub.seen} == {"GET"}
    assert len(hub.repositories[REPO].messages) == 2


def test_only_what_has_changed_is_sent_and_what_is_left_over_goes(
    hub: Hub, source: HubSource, plan: Publication, home: Path
) -> None:
    publish(plan, source, silent)
    hub.put(REPO, {"NOTES.md": b"by hand", "variants/notes.txt": b"by hand", "coreml/README.md": b"by hand"})
    manifest = load_manifest(home / "manifest.json")
    described = replace(manifest.default, description="A new description.")
    save_manifest(Manifest(releases=(described,)), home / "manifest.json")
    smaller = plan_publication(home, "tiny", REPO)

    lines = comparison_lines(compare(smaller, source))
    kinds = {line.split()[-1]: line.split()[0] for line in lines[:-1]}
    assert kinds.pop("model.safetensors") == "same"
    assert kinds["README.md"] == "replace"
    gone = [path for path, kind in kinds.items() if kind == "remove"]
    assert gone == [f"variants/tiny-x2-drawn-float32/{n}" for n in ("README.md", "config.json", "model.safetensors")]
    assert "0 to add, 4 to replace, 3 to remove, 4 are there" in lines[-1]

    hub.seen.clear()
    publish(smaller, source, silent)
    assert hub.asked("PUT .*") == []
    by_hand = {"NOTES.md": b"by hand", "variants/notes.txt": b"by hand", "coreml/README.md": b"by hand"}
    assert there(hub) == {**planned(smaller), **by_hand}
    assert hub.repositories[REPO].messages[-2:] == ["from outside", "Publish tiny"]


def test_new_weights_take_the_place_of_the_old_ones(hub: Hub, source: HubSource, plan: Publication, home: Path) -> None:
    publish(plan, source, silent)
    manifest = load_manifest(home / "manifest.json")
    exact = manifest.releases[1]
    again = small_release(TINY, home, "float32", parent=exact.parent, seed=1)
    save_manifest(Manifest(releases=(manifest.default, replace(exact, files=again.files))), home / "manifest.json")
    newer = plan_publication(home, "tiny", REPO)
    hub.seen.clear()
    hub.announced.clear()
    publish(newer, source, silent)
    assert there(hub) == planned(newer)
    [upload] = hub.asked("PUT /upload/.*")
    assert upload.path.endswith(again.weights.sha256)
    assert sorted(hub.announced) == [
        f"variants/{exact.id}/README.md",
        f"variants/{exact.id}/model.safetensors",
        "zoo.json",
    ]


@pytest.mark.parametrize("is_there", [False, True])
def test_a_dry_run_sends_nothing(
    hub: Hub, plan: Publication, home: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    if is_there:
        hub.make(REPO, {"zoo.json": b"{}"})
    said: list[str] = []
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    run_publish(_options(home, dry_run=True), said.append)
    assert {one.method for one in hub.seen} == {"GET"}
    assert (REPO in hub.repositories) == is_there
    assert said[0].split() == ["add", f"{plan.files[0].size_bytes:,}", "README.md"]
    assert said[-1] == "Nothing was sent."
    total = sum(file.size_bytes for file in plan.files)
    where = f"the repository at {hub.repositories[REPO].branches['main']}" if is_there else "a new repository"
    counts = "10 to add, 1 to replace" if is_there else "11 to add, 0 to replace"
    assert said[-2] == f"{counts}, 0 to remove, 0 are there; {total:,} bytes for {where}"


def test_the_command_tells_the_settings_of_the_demo(hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    run_publish(_options(home, dry_run=False), said.append)
    commit = hub.repositories[REPO].branches["main"]
    assert said[-2:] == [f"ZOO_REPO={REPO}", f"ZOO_REVISION={commit}"]


def test_the_command_takes_the_repository_of_the_demo(hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = Namespace(**{**vars(_options(home, dry_run=True)), "repo": None})
    monkeypatch.delenv("ZOO_REPO", raising=False)
    with pytest.raises(OptionError, match="give --repo or set ZOO_REPO"):
        run_publish(options, silent)
    monkeypatch.setenv("ZOO_REPO", REPO)
    run_publish(options, lambda _: None)
    assert hub.asked(f"GET /api/models/{REPO}/.*")


def _options(home: Path, *, dry_run: bool) -> Namespace:
    return Namespace(home=home, family="tiny", repo=REPO, base_model=None, private=False, dry_run=dry_run)


class TestTrouble:
    def test_a_lost_answer_is_no_loss(self, hub: Hub, source: HubSource, plan: Publication) -> None:
        hub.fail("lose the answer", "POST .*/commit/main")
        said: list[str] = []
        commit = publish(plan, source, said.append)
        assert commit == hub.repositories[REPO].branches["main"]
        assert said[-1] == "The Hub's answer got lost, but everything is there."
        assert len(hub.repositories[REPO].messages) == 2

    def test_a_lost_answer_and_a_lost_hub_are_made_up_for_by_running_again(
        self, hub: Hub, source: HubSource, plan: Publication
    ) -> None:
        hub.make(REPO)
        hub.fail("lose the answer", "POST .*/commit/main")
        looks = 0

        def leave() -> None:
            nonlocal looks
            looks += 1
            hub.fail("status", "GET /api/.*", number=500)

        hub.before_commit = leave
        with pytest.raises(OutputError, match="owner/tiny cannot be looked at: the Hub answered with the status 500"):
            publish(plan, source, silent)
        assert looks == 1
        said: list[str] = []
        assert publish(plan, source, said.append) == hub.repositories[REPO].branches["main"]
        assert said == ["owner/tiny has all this already."]
        assert len(hub.repositories[REPO].messages) == 2

    def test_two_people_do_not_overwrite_each_other(self, hub: Hub, source: HubSource, plan: Publication) -> None:
        hub.make(REPO)
        hub.before_commit = lambda: hub.put(REPO, {"README.md": b"by somebody else"})
        with pytest.raises(
            OutputError, match="somebody else has changed it meanwhile; please look at the plan and run"
        ):
            publish(plan, source, silent)
        assert there(hub) == {"README.md": b"by somebody else"}
        publish(plan, source, silent)
        assert there(hub) == planned(plan)

    def test_who_comes_right_after_does_not_matter(self, hub: Hub, source: HubSource, plan: Publication) -> None:
        hub.after_commit = lambda: hub.put(REPO, {"README.md": b"by somebody else"})
        commit = publish(plan, source, silent)
        assert hub.repositories[REPO].commits[commit]["README.md"].content == planned(plan)["README.md"]
        assert there(hub)["README.md"] == b"by somebody else"

    def test_an_error_of_the_hub_leaves_nothing_half_done(self, hub: Hub, source: HubSource, plan: Publication) -> None:
        hub.make(REPO)
        hub.fail("status", "POST .*/commit/main", number=500)
        with pytest.raises(OutputError, match="owner/tiny is not published: the Hub answered with the status 500"):
            publish(plan, source, silent)
        assert there(hub) == {}
        hub.seen.clear()
        publish(plan, source, silent)
        assert there(hub) == planned(plan)
        assert hub.asked("PUT .*") == []

    def test_an_upload_that_is_dropped_is_tried_again(self, hub: Hub, source: HubSource, plan: Publication) -> None:
        hub.fail("lose the answer", "PUT /upload/.*")
        publish(plan, source, silent)
        assert there(hub) == planned(plan)

    def test_an_upload_that_is_refused_is_named(self, hub: Hub, source: HubSource, plan: Publication) -> None:
        hub.fail("status", "PUT /upload/.*", number=403, times=9)
        with pytest.raises(OutputError, match="not published: HF_TOKEN gives no access to it"):
            publish(plan, source, silent)
        assert there(hub) == {}

    def test_what_the_hub_leaves_out_is_noticed(self, hub: Hub, source: HubSource, plan: Publication) -> None:
        hub.ignored.add("variants/tiny-x2-drawn-float16/README.md")
        with pytest.raises(OutputError, match=r"but variants/tiny-x2-drawn-float16/README\.md is not as planned"):
            publish(plan, source, silent)

    @pytest.mark.parametrize("is_there", [False, True])
    def test_without_a_token_nothing_is_written(
        self, hub: Hub, source: HubSource, plan: Publication, is_there: bool
    ) -> None:
        if is_there:
            hub.make(REPO)
        with pytest.raises(OutputError, match="not published: HF_TOKEN gives no access to it") as failure:
            publish(plan, replace(source, token="hf_wrong"), silent)  # noqa: S106
        assert "hf_wrong" not in str(failure.value)
        assert not is_there or there(hub) == {}

    def test_offline_nothing_is_tried(
        self, hub: Hub, source: HubSource, plan: Publication, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(OutputError, match="the Hub is not asked because HF_HUB_OFFLINE is set"):
            publish(plan, source, silent)
        assert hub.seen == []


def test_what_is_published_can_be_offered_and_run(
    hub: Hub, source: HubSource, plan: Publication, home: Path, tmp_path: Path
) -> None:
    commit = publish(plan, source, silent)
    manifest = load_manifest(home / "manifest.json")
    embedded = tmp_path / "app" / "manifest.json"
    embedded.parent.mkdir()
    save_manifest(Manifest(releases=manifest.releases[2:]), embedded)
    zoo = open_zoo(HubSource(repo=REPO, revision=commit, endpoint=hub.address, cache_dir=tmp_path / "cache"), embedded)
    assert zoo.notices == ()
    picture = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    for release, original in zip(zoo.manifest.releases, manifest.releases[:2], strict=True):
        from_hub = load_model(release, "float32", zoo.files).engine.run(picture)
        at_home = load_model(original, "float32", open_zoo(None, home / "manifest.json").files).engine.run(picture)
        assert torch.equal(from_hub, at_home)
