"""What the app says of where its models come from."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ui.studio import Loader, manifest, zoo
from ui.factory import App, create_app
from ui.settings import Settings, Voting
from zoo.hub import HubSource
from zoo.manifest import save_manifest


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
