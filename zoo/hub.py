"""The zoo on the Hugging Face Hub: which models a repository offers, and their files, fetched when they are asked for.

Everything is looked for on this machine first: among the files that come with the project (by their sha256), then in
the Hub's cache, and only then on the network. Who asks waits no longer than the seconds of the source say, whatever
the network does. The client alone would try an unreachable Hub for 24 seconds, so a single question without retries
goes ahead of each download. A repository is read at one commit, so that its list and its files belong together.
"""

import logging
import re
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Final

import httpx2
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from hub.calls import within
from hub.names import git_hash, is_repository_name
from sr_core.errors import ModelError, OptionError
from zoo.files import CheckedFiles, Zoo, embedded_zoo, file_error, file_words
from zoo.manifest import MANIFEST_PATH, load_manifest
from zoo.release import FileRecord

__all__ = ["LISTING", "HubFiles", "HubSource", "failure_words", "open_zoo"]

LISTING: Final = "zoo.json"
"""The manifest of a repository, with the paths that the files have there."""

_PATIENCE: Final = 2.0
"""One question may take so many times the wait for an answer, because it opens a connection first."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSource:
    """A repository of models, and how long to wait for it.

    Attributes:
        repo: Its name, such as ``owner/name``.
        revision: A commit of 40 hexadecimal digits, or the name of a branch or tag, which is resolved once.
        token: What grants access, or None for what the client finds itself.
        endpoint: Address of the Hub, or None for the client's (``HF_ENDPOINT``).
        cache_dir: Folder of the cache, or None for the client's (``HF_HOME``).
        answer_seconds: Longest wait for an answer.
        open_seconds: Longest wait for the list of models, when the app starts.
        fetch_seconds: Longest wait for a file; a download that takes longer goes on in the background.
    """

    repo: str
    revision: str = "main"
    token: str | None = field(default=None, repr=False)
    endpoint: str | None = None
    cache_dir: Path | None = None
    answer_seconds: float = 3.0
    open_seconds: float = 6.0
    fetch_seconds: float = 120.0

    def __post_init__(self) -> None:
        """Refuses a name that no repository can have.

        Raises:
            OptionError: The name is not like ``owner/name``.
        """
        if not is_repository_name(self.repo):
            raise OptionError(f"A Hub repository has a name such as owner/name, not {self.repo!r}.")


class _NotFetchedError(Exception):
    """A file cannot be fetched; the text is the reason, as a part of a sentence."""


def open_zoo(source: HubSource | None, manifest_path: Path = MANIFEST_PATH) -> Zoo:
    """Returns the models of a repository, or those that come with the app and a notice of why.

    Args:
        source: The repository; None for the models that come with the app.
        manifest_path: The manifest of those.

    Raises:
        ModelError: The manifest that comes with the app cannot be read.
    """
    embedded = embedded_zoo(manifest_path)
    if source is None:
        return embedded
    repository = _Repository(source)
    notices: tuple[str, ...] = ()
    listing = repository.cached(LISTING, source.revision)
    if listing is None or not _is_git_hash(source.revision):
        try:
            listing = repository.fetch(LISTING, source.revision, source.open_seconds)
        except _NotFetchedError as error:
            if listing is None:
                return _without(embedded, source, f"its {LISTING} is not on this machine, and {error}")
            notices = (_as_last_seen(source, listing, str(error)),)
    commit = listing.parent.name
    try:
        manifest = load_manifest(listing)
    except ModelError as error:
        repository.forget(listing)
        return _without(embedded, source, str(error).rstrip("."))
    return Zoo(
        manifest=manifest,
        files=HubFiles(source, commit, embedded),
        origin=f"those of {source.repo} on the Hub at commit {commit}",
        notices=notices,
    )


def _without(embedded: Zoo, source: HubSource, reason: str) -> Zoo:
    notice = f"The models that come with the app are offered and not those of {source.repo}: {reason}."
    return replace(embedded, notices=(notice,))


def _as_last_seen(source: HubSource, listing: Path, reason: str) -> str:
    return (
        f"The models of {source.repo} are offered as they were seen last, at commit {listing.parent.name}, "
        f"because {reason}; with that commit as ZOO_REVISION the app starts without asking."
    )


def failure_words(error: Exception, source: HubSource, path: str, revision: str) -> str:  # noqa: PLR0911  one for each
    """Returns why asking a repository failed, as a part of a sentence.

    It never holds what the error says, which may be anything.

    Args:
        error: What the client raised.
        source: The repository.
        path: The file that was asked for.
        revision: At which commit, branch or tag.
    """
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # the client found nothing in its cache after the network had failed
    match error:
        case OfflineModeIsEnabled():
            return "the Hub is not asked because HF_HUB_OFFLINE is set"
        case GatedRepoError():
            return f"the owner of {source.repo} has not granted access to HF_TOKEN"
        case RepositoryNotFoundError():
            return f"the Hub has no model repository {source.repo} that HF_TOKEN may read"
        case RevisionNotFoundError():
            return f"{source.repo} has no revision {revision}"
        case EntryNotFoundError():
            return f"{source.repo} has no file {path} at {revision}"
        case HfHubHTTPError():
            return f"the Hub answered with the status {error.response.status_code}"
        case FileMetadataError():
            return "what answers in the Hub's place is not the Hub"
        case httpx2.TimeoutException():
            return f"the Hub did not answer within {source.answer_seconds:g} s"
        case httpx2.HTTPError():
            return "the Hub cannot be reached"
        case OSError(errno=int()):
            return f"it cannot be stored in the Hub's cache ({error.strerror})"
        case _:
            return "it did not arrive completely"


class HubFiles:
    """The files of a repository at one commit, and what of them comes with the app.

    Args:
        source: The repository.
        commit: Its commit.
        embedded: The models that come with the app; a file of theirs serves where its sha256 is asked for.
    """

    def __init__(self, source: HubSource, commit: str, embedded: Zoo) -> None:
        self._source, self._commit, self._embedded = source, commit, embedded
        self._own = {file.sha256: file for release in embedded.manifest.releases for file in release.files}
        self._repository, self._checked = _Repository(source), CheckedFiles()

    def path_of(self, file: FileRecord, release_id: str) -> Path:
        """Returns the path of a file with the listed length and sha256, from this machine or else from the Hub.

        Raises:
            WeightsError: The weight file cannot be fetched, or is not the listed one.
            PackageError: The Core ML package cannot be fetched, or is not the listed one.
        """
        own = self._own.get(file.sha256)
        if own is not None:
            try:
                return self._embedded.files.path_of(own, release_id)
            except ModelError as error:
                _LOG.warning("%s It is fetched from %s.", error, self._source.repo)
        here = self._repository.cached(file.path, self._commit)
        if here is not None:
            if self._checked.is_listed(here, file):
                return here
            _LOG.warning("The cached %s of %s is not the listed one and is deleted.", file.path, self._source.repo)
            self._repository.forget(here)
        what = f"The {file_words(file)} of {release_id}"
        try:
            path = self._repository.fetch(file.path, self._commit, self._source.fetch_seconds)
        except _NotFetchedError as error:
            raise file_error(
                file, f"{what} is not on this machine, and {error}; please take another model or try again later."
            ) from error
        if not self._checked.is_listed(path, file):
            self._repository.forget(path)
            raise file_error(file, f"{what} in {self._source.repo} is not the one that its list names; it is not used.")
        return path

    def is_here(self, file: FileRecord) -> bool:
        """Returns whether the file is on this machine; it is not checked."""
        own = self._own.get(file.sha256)
        if own is not None and self._embedded.files.is_here(own):
            return True
        return self._repository.cached(file.path, self._commit) is not None


class _Repository:
    """The client's functions for one repository; the only place that names them."""

    def __init__(self, source: HubSource) -> None:
        self._source = source

    def cached(self, path: str, revision: str) -> Path | None:
        """Returns where a file of a revision is in the cache, or None."""
        found = try_to_load_from_cache(self._source.repo, path, self._source.cache_dir, revision)
        return Path(found) if isinstance(found, str) else None

    def fetch(self, path: str, revision: str, seconds: float) -> Path:
        """Returns the path of a file after fetching it; the parent of a file at the root is named after its commit.

        Args:
            path: Where the file is in the repository.
            revision: At which commit, branch or tag.
            seconds: Longest wait.

        Raises:
            _NotFetchedError: It cannot be had, for the reason that the error tells.
        """
        source, until = self._source, monotonic() + seconds
        url = hf_hub_url(source.repo, path, revision=revision, endpoint=source.endpoint)
        ask = partial(
            get_hf_file_metadata,
            url,
            token=source.token,
            timeout=source.answer_seconds,
            endpoint=source.endpoint,
            retry_on_errors=False,
        )
        download = partial(
            hf_hub_download,
            source.repo,
            path,
            revision=revision,
            cache_dir=source.cache_dir,
            endpoint=source.endpoint,
            token=source.token,
        )
        try:
            about = within(min(seconds, _PATIENCE * source.answer_seconds), ask)
            fetched = Path(within(until - monotonic(), download))
        except TimeoutError as error:
            raise _NotFetchedError(f"the Hub takes too long ({seconds:g} s are allowed)") from error
        except (httpx2.HTTPError, EntryNotFoundError, OSError, ValueError) as error:
            raise _NotFetchedError(failure_words(error, source, path, revision)) from error
        if about.commit_hash in fetched.parts and not _is_announced(fetched, about.etag or ""):
            self.forget(fetched)
            raise _NotFetchedError(f"what arrived as {path} is not what {source.repo} announced")
        return fetched

    def forget(self, path: Path) -> None:
        """Deletes a cached file with all that its links lead to."""
        try:
            while path.is_symlink():
                target = path.parent / path.readlink()
                path.unlink(missing_ok=True)
                path = target
            path.unlink(missing_ok=True)
        except OSError as error:
            _LOG.warning("%s cannot be deleted: %s", path, error.strerror)


def _is_git_hash(name: str) -> bool:
    """Returns whether a name is git's for one commit or one content."""
    return re.fullmatch(r"[0-9a-f]{40}", name) is not None


def _is_announced(path: Path, etag: str) -> bool:
    """Returns whether a file has the git hash by which the Hub names it; other names tell nothing of the content."""
    return not _is_git_hash(etag) or git_hash(path.read_bytes()) == etag
