"""The poll that the app holds: the booth where votes are given, and who takes them to where they are kept."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self, TypeAlias

from ratings.archive import Archive, ArchiveSource
from ratings.booth import Booth
from ratings.courier import Courier
from ratings.identity import Keys, server_secret
from ratings.stimuli import EMBEDDED, PictureSet, load_pictures
from ratings.store import VoteStore
from ratings.vote import BICUBIC, ORIGINAL
from sr_core.errors import VoteError
from ui import text
from ui.settings import Voting
from zoo.manifest import Manifest

__all__ = ["FLUSH_SECONDS", "Keeper", "Poll", "labels_of", "open_poll"]

Keeper: TypeAlias = Literal["hub", "database", "here"]
"""Where votes are kept for good: in a dataset on the Hub, in a database, or on this machine only."""

FLUSH_SECONDS: Final = 6.0
"""Longest wait for the last votes to be taken away when the app ends; who ends it often waits 10 s."""

_STORE: Final = "votes.sqlite"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """What the app owns for votes; where they cannot be kept there is no booth, and all else works.

    Attributes:
        keeper: Where votes are kept for good.
        booth: Where votes are given, or None when ratings are off.
        store: The votes, or None as well.
        pictures: What is shown, or None as well.
        courier: Who takes votes to the Hub, or None when nobody does.
        labels: A system's name for readers, by its id.
        references: From a variant to the full-precision network that it was made from.
        notice: Why ratings are off, for the visitor; or None.
    """

    keeper: Keeper = "here"
    booth: Booth | None = None
    store: VoteStore | None = None
    pictures: PictureSet | None = None
    courier: Courier | None = None
    labels: Mapping[str, str]
    references: Mapping[str, str]
    notice: str | None = None

    @classmethod
    def off(cls, manifest: Manifest, notice: str | None = None) -> Self:
        """Returns a poll where nobody can vote."""
        return cls(labels=labels_of(manifest), references=manifest.references, notice=notice)

    def start(self) -> None:
        """Lets the courier begin, which fetches what is on the Hub, and the pictures be made ready, both behind."""
        if self.courier is not None:
            self.courier.start()
        if self.pictures is not None:
            threading.Thread(target=self.pictures.warm, name="pictures", daemon=True).start()

    def close(self) -> None:
        """Lets the courier take away what it can within :data:`FLUSH_SECONDS`, and closes the store."""
        if self.courier is not None:
            self.courier.stop(FLUSH_SECONDS)
        if self.store is not None:
            self.store.close()


def open_poll(voting: Voting, manifest: Manifest, pictures_folder: Path = EMBEDDED) -> Poll:
    """Returns the poll of the settings, its courier not started yet; one that is off when votes cannot be kept.

    So is one whose votes would outlast the secret of their raters: kept elsewhere, with a secret made on this disk.

    Args:
        voting: Where votes are kept, and how many a rater may give.
        manifest: The models on offer.
        pictures_folder: The set of pictures; those of other models are left out.
    """
    if voting.secret is None and not voting.folder_lasts and (voting.repo or voting.database):
        # Votes would outlive the secret, without which nobody can say which are theirs, to have them deleted.
        _LOG.error("Ratings are off: %s", text.NO_KEY)
        return Poll.off(manifest, text.RATINGS_OFF)
    try:
        pictures = load_pictures(pictures_folder).only([release.id for release in manifest.releases])
        if voting.secret is None or voting.database is None:
            voting.folder.mkdir(parents=True, exist_ok=True)
        keys = Keys(server_secret(voting.secret, voting.folder))
        store = VoteStore.open(voting.database or f"sqlite:///{voting.folder.resolve() / _STORE}")
    except (OSError, VoteError) as error:
        _LOG.warning("Ratings are off: %s", error)
        return Poll.off(manifest, text.RATINGS_OFF)
    courier, references = None, manifest.references
    if voting.repo is not None:
        courier = Courier(store, Archive(ArchiveSource(repo=voting.repo, token=voting.token)), voting.replicas)
    return Poll(
        keeper="hub" if courier is not None else "database" if store.is_remote else "here",
        booth=Booth(store, keys, pictures, references, voting.per_day, votes_per_client=voting.per_client),
        store=store,
        pictures=pictures,
        courier=courier,
        labels=labels_of(manifest),
        references=references,
    )


def labels_of(manifest: Manifest) -> dict[str, str]:
    """Returns each system's name for readers, by its id."""
    anchors = {ORIGINAL: text.ORIGINAL_SHOWN, BICUBIC: text.BICUBIC_CHOICE}
    return anchors | {release.id: release.label for release in manifest.releases}
