"""What the app says of where its models come from, when ratings are off, and where it takes a request to be from."""

import gc
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ratings.picture_sets import write_small_set
from tests.ui.studio import Loader, manifest, studio, write_photo, zoo
from tests.ui.voters import Served, served
from ui import text
from ui.endpoints import Endpoints
from ui.factory import App, create_app
from ui.limits import RATES
from ui.poll import open_poll
from ui.settings import Settings, Voting
from zoo.hub import HubSource
from zoo.manifest import Manifest, save_manifest


def words(app: App) -> str:
    return str(app.blocks.config["components"])


@pytest.fixture
def voting(tmp_path: Path) -> Voting:
    return Voting(folder=tmp_path / "votes")


def test_what_is_missing_is_said_on_the_page_and_in_the_log(voting: Voting, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    notice = "The models of <owner> are not here, & more."
    app = create_app(Settings(voting=voting), replace(zoo(), notices=(notice,)), Loader().load)
    assert "The models of &lt;owner&gt; are not here, &amp; more." in words(app)
    assert [record.message for record in caplog.records if record.name == "ui.factory"] == [
        "The models are fakes.",
        notice,
    ]


@pytest.mark.parametrize("hub", [None, HubSource(repo="owner/tiny")])
def test_the_commit_is_shown_where_the_hub_is_asked(voting: Voting, hub: HubSource | None) -> None:
    app = create_app(
        Settings(hub=hub, voting=voting), replace(zoo(), origin="those of owner/tiny at abc"), Loader().load
    )
    assert ("The models are those of owner/tiny at abc." in words(app)) == (hub is not None)


def test_the_settings_choose_the_models(voting: Voting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    save_manifest(manifest(), tmp_path / "manifest.json")
    settings = Settings(
        manifest=tmp_path / "manifest.json",
        hub=HubSource(repo="owner/tiny", cache_dir=tmp_path / "cache"),
        voting=voting,
    )
    app = create_app(settings, load=Loader().load)
    assert "offered and not those of owner/tiny" in words(app)
    assert "HF_HUB_OFFLINE is set" in words(app)
    assert "Fake ×2" in words(app)


# -- whose votes would outlive the secret of their raters


@pytest.mark.parametrize("kept", [{"VOTES_REPO": "owner/votes"}, {"VOTES_DB_URL": "postgresql://a:pass@127.0.0.1:1/v"}])
def test_without_a_secret_that_lasts_ratings_are_off_and_the_owner_is_told_what_to_set(
    kept: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_environment(kept)
    app = create_app(settings, zoo(), Loader().load)
    assert app.studio.poll.booth is None
    assert text.RATINGS_OFF in words(app)
    assert "PSR_VOTES" not in words(app)
    [said] = [record.message for record in caplog.records if record.name == "ui.poll"]
    assert all(name in said for name in ("Ratings are off", "PSR_VOTES_SECRET", "PSR_VOTES_DIR", *kept))
    assert "pass" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["VOTES_REPO", "VOTES_DB_URL", "nowhere else"])
@pytest.mark.parametrize("lasts", ["PSR_VOTES_SECRET", "PSR_VOTES_DIR"])
def test_with_one_they_are_on(name: str, lasts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kept = {"VOTES_REPO": "owner/votes", "VOTES_DB_URL": f"sqlite:///{tmp_path / 'votes.sqlite'}"}
    given = {"PSR_VOTES_SECRET": "0123456789abcdef", "PSR_VOTES_DIR": "votes"}
    environment = {lasts: given[lasts]} | ({name: kept[name]} if name in kept else {})
    write_small_set(tmp_path / "pictures", [one.id for one in manifest().releases])
    poll = open_poll(Settings.from_environment(environment).voting, manifest(), tmp_path / "pictures")
    assert (poll.booth is not None, poll.notice) == (True, None)
    poll.close()


# -- where a request is from


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as site:
        yield site


def test_made_up_addresses_do_not_make_one_client_many(site: Served) -> None:
    body = {"browser": None, "mode": "pair", "consent": True}
    with httpx.Client(base_url=site.address, headers={"origin": site.address}) as client:
        codes = [
            client.post("/ratings/draw", json=body, headers={"x-forwarded-for": f"203.0.113.{number}"}).status_code
            for number in range(60)
        ]
    allowed = int(RATES["rater"].burst)
    assert codes[:allowed] == [200] * allowed
    assert codes[allowed + 1 :] == [429] * (59 - allowed), "one more may come while they are asked for"


def test_behind_a_proxy_the_page_names_the_address_that_it_was_asked_by(site: Served) -> None:
    """The proxy is on this machine, as the peer of Spaces is not; the connection to it may be encrypted or not."""
    host = {"host": "votes.example"}
    for headers, root in (
        (host | {"x-forwarded-proto": "https"}, "https://votes.example"),
        ({"x-forwarded-host": "votes.example", "x-forwarded-proto": "https"}, "https://votes.example"),
        (host, "http://votes.example"),
    ):
        page = httpx.get(site.address, headers=headers).text
        assert re.search(r'"root": ?"([^"]*)"', page)[1] == root  # pyright: ignore[reportOptionalSubscript]
        config: dict[str, Any] = httpx.get(f"{site.address}/config", headers=headers).json()
        assert config["root"] == root


def test_serving_leaves_the_environment_and_the_collector_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.1")
    with served(tmp_path):
        assert os.environ["FORWARDED_ALLOW_IPS"] == "10.0.0.1"
        assert gc.get_freeze_count() > 100_000, "else the collector stops all votes for as long as it looks at them"
    assert gc.get_freeze_count() < 1000


def test_the_default_is_chosen_everywhere_and_need_not_be_the_first(tmp_path: Path) -> None:
    first, chosen = manifest().releases
    models = Manifest(releases=(first, chosen), default_id=chosen.id)
    app = create_app(Settings(), zoo(models), Loader().load)
    values = {one["props"].get("elem_id"): one["props"].get("value") for one in app.blocks.config["components"]}
    assert values["models"] == values["zoo-plot"] == values["zoo-table"] == chosen.id
    assert chosen.id in values["zoo-card"]
    one = studio(models=models)
    assert [(row["id"], row["is_default"]) for row in Endpoints(one).models()] == [(first.id, False), (chosen.id, True)]
    loader = Loader()
    *_, path = Endpoints(studio(models=models, loader=loader)).upscale(str(write_photo(tmp_path / "a.jpg")), "", "png")
    assert list(loader.engines) == [chosen.id]
    assert Path(path).name == "a_x4.png"
