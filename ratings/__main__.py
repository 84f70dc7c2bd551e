"""The command line of the ratings: the board and the votes for their owner, and the rendering of the pictures.

It reads the same environment as the app, so that it finds the app's votes.
"""

import argparse
import hashlib
import os
import sys
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from PIL import Image

from ratings.archive import Archive, ArchiveSource
from ratings.courier import compact, pull, push
from ratings.export import votes_zip
from ratings.identity import Keys, now, server_secret
from ratings.rank import board_of
from ratings.stimuli import EMBEDDED, load_pictures
from ratings.store import VoteStore
from ratings.table import csv_of, text_of
from ratings.vote import ORIGINAL, Forget
from sr_core.commands import Commands, run_command
from sr_core.errors import OutputError, VoteError
from zoo.manifest import HOME, Manifest, load_manifest

_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status: 0 done, 1 refused with a sentence."""
    return run_command(_parser(), arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ratings", description="What people say of the models.")
    parser.add_argument("--home", type=Path, default=HOME, help="folder of manifest.json and builtin/")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    board = commands.add_parser("board", help="print what the votes say")
    board.add_argument("--csv", action="store_true", help="print the whole table as CSV")
    _add_store(board)
    board.set_defaults(run=_board)

    export = commands.add_parser("export", help="write votes, without whose they are, and the code of the board")
    export.add_argument(
        "--all", action="store_true", help="the votes of today too (UTC), which are not to be given away"
    )
    export.add_argument("--out", type=Path, default=Path("votes.zip"), help="file to write; votes.zip by default")
    _add_store(export)
    export.set_defaults(run=_export)

    _add_keeping(commands)

    render = commands.add_parser("render", help="make the pictures that raters compare, with every model of the zoo")
    render.add_argument("--out", type=Path, default=EMBEDDED, help="folder of the set; by default the project's own")
    render.add_argument("--fresh", action="store_true", help="render again what the same weights made")
    render.set_defaults(run=_render)

    originals = commands.add_parser("originals", help="write the original pictures as PNG: the benchmark Skimage10")
    originals.add_argument(
        "--out", type=Path, default=Path("Skimage10"), help="folder to write to; %(default)s by default"
    )
    originals.set_defaults(run=_originals)
    return parser


def _add_keeping(commands: Commands) -> None:
    forget = commands.add_parser("forget", help="delete all votes of a rater, here and in the dataset with its history")
    whose = forget.add_mutually_exclusive_group(required=True)
    whose.add_argument("--browser", help="what the rater's browser keeps as psr-browser; needs the app's secret")
    whose.add_argument("--rater", nargs="+", metavar="WORD", help="words that stand in the votes, 16 digits each")
    forget.add_argument(
        "--folder", type=Path, default=_folder(), help="where the secret lies if PSR_VOTES_SECRET is unset"
    )
    _add_store(forget)
    _add_repo(forget, "without one, only the store is changed, and the app changes the dataset when it runs next")
    forget.set_defaults(run=_forget)

    fetch = commands.add_parser("pull", help="take over votes of the dataset that are not in the store")
    _add_store(fetch)
    _add_repo(fetch)
    fetch.set_defaults(run=_pull)

    tidy = commands.add_parser("compact", help="make few files of many in the dataset, and delete what must go")
    _add_store(tidy)
    _add_repo(tidy)
    tidy.set_defaults(run=_compact)


def _add_store(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--store", help="sqlite:///FILE or postgresql://...; by default VOTES_DB_URL, or the file in PSR_VOTES_DIR"
    )


def _add_repo(command: argparse.ArgumentParser, more: str = "") -> None:
    words = "owner/name of the dataset on the Hugging Face Hub; by default VOTES_REPO"
    command.add_argument("--repo", help=f"{words}; {more}" if more else words)


def _board(options: argparse.Namespace) -> None:
    systems, references = _standing(load_manifest(options.home / "manifest.json"))
    store = _store(options)
    try:
        board = board_of(store.records(), systems, references)
    finally:
        store.close()
    print(csv_of(board) if options.csv else text_of(board), end="" if options.csv else "\n")


def _export(options: argparse.Namespace) -> None:
    systems, references = _standing(load_manifest(options.home / "manifest.json"))
    store = _store(options)
    try:
        content = votes_zip(store.records(), systems, references, None if options.all else now())
    finally:
        store.close()
    try:
        options.out.write_bytes(content)
    except OSError as error:
        raise OutputError(f"The file {options.out} cannot be written ({error.strerror}).") from error
    print(f"{options.out}: {len(content)} bytes")


def _forget(options: argparse.Namespace) -> None:
    at = now()
    if options.browser is None:
        words = tuple(sorted(set(options.rater)))
    else:
        words = _keys(options.folder).words_of(options.browser, at)
    try:
        # The same wish has the same id, however often it comes.
        wish = Forget(id=hashlib.sha256(",".join(words).encode()).hexdigest()[:32], at=at, raters=words)
    except ValueError as error:
        raise VoteError("A rater's word has 16 hexadecimal digits, as it stands in the votes.") from error
    archive = _archive(options)
    store = _store(options)
    try:
        if archive is not None:
            pull(store, archive)
        votes = sum(store.count_of(word, _EPOCH) for word in words)
        store.accept(wish)
        if archive is not None:
            while push(store, archive, uuid.uuid4().hex[:12]):
                pass
            pull(store, archive)
            compact(store, archive, sys.maxsize)
    finally:
        store.close()
    place = "in the store" if archive is None else "in the store and in the dataset, with its history"
    print(f"{votes} votes deleted {place}.")


def _pull(options: argparse.Namespace) -> None:
    archive = _needed_archive(options)
    store = _store(options, may_be_new=True)
    try:
        print(f"{pull(store, archive)} records are new.")
    finally:
        store.close()


def _compact(options: argparse.Namespace) -> None:
    archive = _needed_archive(options)
    store = _store(options, may_be_new=True)
    try:
        pull(store, archive)
        print("Done." if compact(store, archive) else "There is nothing to do.")
    finally:
        store.close()


def _render(options: argparse.Namespace) -> None:
    from ratings.workshop.render import render  # noqa: PLC0415  the other commands need no torch
    from zoo.files import embedded_zoo  # noqa: PLC0415

    zoo = embedded_zoo(options.home / "manifest.json")
    pictures = render(zoo, options.out, tell=lambda words: print(words, flush=True), is_fresh=options.fresh)
    print(f"{len(pictures.pictures)} pictures by {len(pictures.systems)} systems, version {pictures.version}")


def _originals(options: argparse.Namespace) -> None:
    pictures = load_pictures()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for picture in pictures.pictures:
            Image.fromarray(pictures.pixels(picture.name, ORIGINAL)).save(options.out / f"{picture.name}.png")
    except OSError as error:
        raise OutputError(f"The pictures cannot be written to {options.out} ({error.strerror}).") from error
    print(f"{options.out}: {len(pictures.pictures)} pictures")


def _standing(manifest: Manifest) -> tuple[tuple[str, ...], dict[str, str]]:
    """Returns the systems that stand on the board, and the full-precision networks of those that have one."""
    pictures = load_pictures().only([release.id for release in manifest.releases])
    return pictures.systems, manifest.references


def _folder() -> Path:
    return Path(os.environ.get("PSR_VOTES_DIR", "").strip() or "votes")


def _store(options: argparse.Namespace, *, may_be_new: bool = False) -> VoteStore:
    """Returns the store that is asked for.

    Raises:
        VoteError: It cannot be opened, or there is none and it must not be new.
    """
    url: str = options.store or os.environ.get("VOTES_DB_URL", "").strip() or f"sqlite:///{_folder() / 'votes.sqlite'}"
    scheme, separator, file = url.partition(":///")
    if not may_be_new and separator and scheme.startswith("sqlite") and not Path(file).is_file():
        raise VoteError(f"There are no votes in {file}; please name the store, such as --store sqlite:///FILE.")
    return VoteStore.open(url)


def _keys(folder: Path) -> Keys:
    """Returns the app's keys.

    Raises:
        VoteError: Its secret is not here; a new one would not know any rater.
    """
    given = os.environ.get("PSR_VOTES_SECRET")
    if not (given and given.strip()) and not (folder / "secret").is_file():
        raise VoteError(f"The app's secret is not in {folder}; please set PSR_VOTES_SECRET or give --folder.")
    return Keys(server_secret(given, folder))


def _archive(options: argparse.Namespace) -> Archive | None:
    repo: str = options.repo or os.environ.get("VOTES_REPO", "").strip()
    return Archive(ArchiveSource(repo=repo, token=os.environ.get("HF_TOKEN", "").strip() or None)) if repo else None


def _needed_archive(options: argparse.Namespace) -> Archive:
    archive = _archive(options)
    if archive is None:
        raise VoteError("No dataset is named; please give --repo owner/name or set VOTES_REPO.")
    return archive


if __name__ == "__main__":
    sys.exit(main())
