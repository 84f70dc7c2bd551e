import hashlib
import http.server
import threading
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sr_core.arch.build import build
from sr_core.arch.weights import PUBLISHED_SHA256, load_weights
from sr_core.compress.cost import count_parameters
from sr_core.errors import OptionError, WeightsError
from tests.peers import official_weights, randomize
from zoo import __main__ as command
from zoo.manifest import load_manifest
from zoo.workshop import official as module
from zoo.workshop.official import OFFICIAL, download, official, official_of_file


def test_every_published_file_with_a_known_sha256_can_be_imported() -> None:
    assert {one.file for one in OFFICIAL.values()} == set(PUBLISHED_SHA256)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("lightweight-x2", 910_152),
        ("lightweight-x4", 929_628),
        ("classical-x2", 11_752_487),
        ("classical-x4", 11_900_199),
        ("real-x2", 11_678_631),
        ("real-x4", 11_715_559),
    ],
)
def test_the_networks_have_the_published_sizes(name: str, parameters: int) -> None:
    assert count_parameters(official(name).spec).total == parameters


def test_a_name_that_is_not_known_is_refused_with_those_that_are() -> None:
    with pytest.raises(OptionError, match="no published checkpoint 'huge'; there are lightweight-x2"):
        official("huge")
    with pytest.raises(OptionError, match="say with --as"):
        official_of_file(Path("mine.pth"))
    assert official_of_file(Path("a") / official("real-x4").file).name == "real-x4"


@pytest.fixture
def server(tmp_path: Path) -> Generator[str]:
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_checkpoint_is_fetched_once_and_checked(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, body = official("lightweight-x2"), b"weights"
    (tmp_path / "served" / one.file).write_bytes(body)
    with pytest.raises(WeightsError, match="not the published checkpoint: its sha256 differs"):
        download(one, tmp_path / "here", server)
    assert list((tmp_path / "here").iterdir()) == []
    monkeypatch.setattr(module, "PUBLISHED_SHA256", {one.file: hashlib.sha256(body).hexdigest()})
    path = download(one, tmp_path / "here", server)
    assert path.read_bytes() == body
    (tmp_path / "served" / one.file).unlink()
    assert download(one, tmp_path / "here", server) == path
    with pytest.raises(WeightsError, match=r"cannot be fetched from .* download it yourself"):
        download(official("lightweight-x4"), tmp_path / "here", server)
    assert [left.name for left in (tmp_path / "here").iterdir()] == [one.file]


class TestImport:
    """``python -m zoo import``, on a small network in the published form."""

    @pytest.fixture
    def small(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        spec = official("lightweight-x2").spec
        spec = replace(spec, embed_dim=12, head_dim=2, heads=spec.heads[:1], hidden=((24,) * 6,))
        small = replace(official("lightweight-x2"), spec=spec, file="small.pth")
        monkeypatch.setattr(module, "OFFICIAL", {small.name: small})
        network = build(spec)
        randomize(network, 0)
        torch.save({"params": official_weights(network)}, tmp_path / "mine.pth")
        return tmp_path / "mine.pth"

    def test_a_checkpoint_becomes_a_release(self, small: Path, tmp_path: Path) -> None:
        home = tmp_path / "home"
        assert command.main(["--home", str(home), "import", str(small), "--as", "lightweight-x2"]) == 0
        release = load_manifest(home / "manifest.json").default
        assert release.id == "swinir-s-x2-official-float16"
        assert [link.covers for link in release.license_chain] == ["weights", "training data"]
        assert (release.training.data, release.author) == ("DIV2K", "JingyunLiang")
        stored = load_weights(home / "builtin" / release.weights.path, release.variant)
        given = torch.load(small, weights_only=True)["params"]
        assert torch.equal(stored.conv_first.weight, given["conv_first.weight"].half().float())

    def test_a_large_network_does_not_get_into_the_project(
        self, small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("zoo.workshop.commands.EMBEDDED_FILE_BYTES", 1000)
        assert command.main(["import", str(small), "--as", "lightweight-x2"]) == 1
        assert "name another folder with --home" in capsys.readouterr().err

    def test_a_file_that_holds_another_network_is_refused(
        self, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        torch.save({"params": {"conv_first.weight": torch.zeros(1)}}, small)
        assert command.main(["--home", str(tmp_path / "home"), "import", str(small), "--as", "lightweight-x2"]) == 1
        assert "do not fit the network" in capsys.readouterr().err
        assert not (tmp_path / "home" / "manifest.json").exists()
