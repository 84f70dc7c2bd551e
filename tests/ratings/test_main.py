"""The command line of the ratings, on real stores and a Hub on this machine."""

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ratings import __main__ as command
from ratings.archive import Archive, ArchiveSource
from ratings.courier import pull, push
from ratings.export import votes_zip
from ratings.identity import Keys, now
from ratings.stimuli import PictureSet, load_pictures
from ratings.store import VoteStore
from ratings.vote import BICUBIC, ORIGINAL
from ratings.workshop import render
from ratings.workshop.photos import Photo
from tests.ratings.picture_sets import small_set
from tests.ratings.votes import ANN, BEN, DATASET, REPO, grade, pair
from tests.zoo.hub_client import hub_and_client
from tests.zoo.hub_server import TOKEN, Hub
from tests.zoo.small_home import TINY, small_release
from zoo.manifest import Manifest, load_manifest, save_manifest

NAMES = ("VOTES_REPO", "VOTES_DB_URL", "PSR_VOTES_DIR", "PSR_VOTES_SECRET", "HF_TOKEN")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, and an environment without the app's settings."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / "builtin").mkdir(parents=True)
    save_manifest(Manifest(releases=(small_release(TINY, home),)), home / "manifest.json")
    return home


@pytest.fixture
def pictures(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> PictureSet:
    """A small set in place of the one that ships."""
    small = small_set(tmp_path / "set", [load_manifest(home / "manifest.json").default.id])
    monkeypatch.setattr(command, "load_pictures", lambda: small)
    return small


@pytest.fixture
def store(folder: Path) -> Iterator[VoteStore]:
    """The app's own store, with votes of two raters."""
    store = VoteStore.open("sqlite:///votes/votes.sqlite")
    for number in range(4):
        store.accept(pair(number, ANN).model_copy(update={"left": ORIGINAL, "right": BICUBIC}))
        store.accept(pair(10 + number, BEN).model_copy(update={"left": BICUBIC, "right": ORIGINAL, "choice": "right"}))
    yield store
    store.close()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_and_client(tmp_path / "hub") as hub:
        yield hub


def archive() -> Archive:
    return Archive(ArchiveSource(repo=REPO, token=TOKEN))


@pytest.mark.usefixtures("pictures", "store")
def test_the_board_is_printed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--home", str(home), "board"]) == 0
    printed = capsys.readouterr().out
    assert "8 votes of 2 raters" in printed
    assert load_manifest(home / "manifest.json").default.id in printed
    assert "8 of 8 golden trials" in printed

    assert command.main(["--home", str(home), "board", "--csv", "--store", "sqlite:///votes/votes.sqlite"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["system"] for row in rows} == {ORIGINAL, BICUBIC, load_manifest(home / "manifest.json").default.id}


@pytest.mark.usefixtures("pictures")
def test_votes_are_exported(home: Path, store: VoteStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--home", str(home), "export", "--out", "all.zip"]) == 0
    content = Path("all.zip").read_bytes()
    assert f"all.zip: {len(content)} bytes" in capsys.readouterr().out
    manifest = load_manifest(home / "manifest.json")
    systems = (ORIGINAL, BICUBIC, manifest.default.id)
    assert content == votes_zip(store.records(), systems, manifest.references, now())
    with zipfile.ZipFile(io.BytesIO(content)) as zipped:
        assert json.loads(zipped.read("board.json"))["systems"] == list(systems)

    store.accept(pair(99, BEN).model_copy(update={"left": ORIGINAL, "right": BICUBIC, "at": now()}))
    assert command.main(["--home", str(home), "export", "--out", "again.zip"]) == 0
    assert Path("again.zip").read_bytes() == content, "what came today is not given away yet"
    assert command.main(["--home", str(home), "export", "--out", "every.zip", "--all"]) == 0
    assert Path("every.zip").read_bytes() == votes_zip(store.records(), systems, manifest.references, None) != content

    assert command.main(["--home", str(home), "export", "--out", "no/such/folder.zip"]) == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["board", "export", "forget"])
@pytest.mark.usefixtures("pictures")
def test_a_store_that_is_not_there_is_not_made(name: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--rater", ANN] if name == "forget" else []
    assert command.main(["--home", str(home), name, *more]) == 1
    assert "There are no votes in votes/votes.sqlite" in capsys.readouterr().err
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "sqlite://"])
@pytest.mark.usefixtures("pictures")
def test_an_address_that_is_none_is_told(url: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--home", str(home), "board", "--store", url]) == 1
    assert "sqlite:///FILE" in capsys.readouterr().err


def test_a_rater_is_forgotten_by_word(store: VoteStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["forget", "--rater", ANN]) == 0
    assert capsys.readouterr().out == "4 votes deleted in the store.\n"
    assert {vote.rater for vote in store.records() if vote.kind != "forget"} == {BEN}
    assert store.accept(pair(99, ANN)) == "forgotten"
    assert command.main(["forget", "--rater", ANN]) == 0, "asking again does no harm"


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("word", ["", "ann", "A" * 16, "a" * 17])
def test_a_word_that_is_none_is_told(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["forget", "--rater", word]) == 1
    assert "16 hexadecimal digits" in capsys.readouterr().err


def test_a_rater_is_forgotten_by_what_the_browser_keeps(
    store: VoteStore, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = Keys("a secret that nobody can guess")
    browser = keys.new_browser()
    store.accept(grade(50, keys.word_of(browser, now())))

    assert command.main(["forget", "--browser", browser]) == 1
    assert "secret is not in votes" in capsys.readouterr().err
    assert not (folder / "votes" / "secret").exists(), "a new secret would not know the rater"

    (folder / "votes" / "secret").write_text("another secret, which is wrong\n")
    assert command.main(["forget", "--browser", browser]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1

    monkeypatch.setenv("PSR_VOTES_SECRET", "a secret that nobody can guess")
    assert command.main(["forget", "--browser", browser]) == 0
    assert capsys.readouterr().out.startswith("1 votes deleted")
    assert {vote.rater for vote in store.records() if vote.kind != "forget"} == {ANN, BEN}


def test_whose_votes_must_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["forget"], ["forget", "--rater", ANN, "--browser", "x"], []):
        with pytest.raises(SystemExit) as caught:
            command.main(arguments)
        assert caught.value.code == 2
    capsys.readouterr()


@pytest.mark.parametrize("name", ["pull", "compact"])
def test_a_dataset_must_be_named(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([name]) == 1
    assert "VOTES_REPO" in capsys.readouterr().err
    assert command.main([name, "--repo", "no owner"]) == 1
    assert "owner/votes" in capsys.readouterr().err


def test_votes_come_from_the_dataset_and_go_from_it(
    store: VoteStore, hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert push(store, archive(), "0" * 12) == 1
    store.accept(pair(60, ANN))
    assert push(store, archive(), "0" * 12) == 1

    other = "sqlite:///other/fresh.sqlite"
    assert command.main(["pull", "--repo", REPO, "--store", other]) == 0
    assert capsys.readouterr().out == "9 records are new.\n"
    assert command.main(["compact", "--repo", REPO, "--store", other]) == 0
    assert capsys.readouterr().out == "Done.\n"
    assert command.main(["compact", "--repo", REPO, "--store", other]) == 0
    assert capsys.readouterr().out == "There is nothing to do.\n"

    assert command.main(["forget", "--rater", ANN, "--repo", REPO, "--store", other]) == 0
    assert capsys.readouterr().out == "5 votes deleted in the store and in the dataset, with its history.\n"
    repository = hub.repositories[DATASET]
    everything = b"".join(blob.content for files in repository.commits.values() for blob in files.values())
    rows = [line for line in everything.splitlines() if ANN.encode() in line]
    assert rows
    assert all(b'"forget"' in line for line in rows), "only the wish itself is left of the rater"
    pull(store, archive())
    assert {vote.rater for vote in store.records() if vote.kind != "forget"} == {BEN}


@pytest.mark.usefixtures("hub")
def test_a_dataset_that_is_not_there_holds_no_votes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["pull", "--repo", "owner/nowhere"]) == 1
    assert "HF_TOKEN" in capsys.readouterr().err, "who may not look cannot tell"
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert command.main(["pull", "--repo", "owner/nowhere"]) == 0
    assert capsys.readouterr().out == "0 records are new.\n"


def test_pictures_are_rendered(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    photo = Photo(name="corner", title="C", author="N", rights="CC0", call="coins", top=0, left=0, height=16, width=24)
    monkeypatch.setattr(render, "PHOTOS", (photo,))
    monkeypatch.setattr("ratings.workshop.photos._MOST", 64)
    assert command.main(["--home", str(home), "render", "--out", "set"]) == 0
    printed = capsys.readouterr().out
    pictures = load_pictures(Path("set"))
    assert "corner (1 of 1)" in printed
    assert f"1 pictures by 3 systems, version {pictures.version}" in printed
    assert pictures.pixels("corner", ORIGINAL).shape == (16, 24, 3)

    assert command.main(["--home", str(home / "nowhere"), "render", "--out", "set"]) == 1
    assert "manifest.json cannot be read" in capsys.readouterr().err


class TestOriginals:
    """The benchmark that is made of the pictures."""

    def test_every_original_is_a_png_of_its_pixels(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert command.main(["originals"]) == 0
        assert capsys.readouterr().out == "Skimage10: 10 pictures\n"
        pictures = load_pictures()
        assert sorted(path.name for path in (folder / "Skimage10").iterdir()) == sorted(
            f"{picture.name}.png" for picture in pictures.pictures
        )
        for picture in pictures.pictures:
            with Image.open(folder / "Skimage10" / f"{picture.name}.png") as image:
                assert image.mode == "RGB"
                assert np.array_equal(np.asarray(image), pictures.pixels(picture.name, ORIGINAL))

    def test_a_place_that_cannot_be_written_to_is_named(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "file").write_text("")
        assert command.main(["originals", "--out", "file"]) == 1
        assert capsys.readouterr().err == "The pictures cannot be written to file (File exists).\n"
