"""The archive of votes: a dataset on the Hugging Face Hub, private unless its owner makes it otherwise.

It holds parts (:mod:`ratings.parts`) and a card. Parts are added in commits that may be repeated; what changes others'
parts names the commit that it stands on, so that the Hub refuses it when somebody was faster. Whoever asks waits no
longer than the seconds of the source say, whatever the network does.
"""

import hashlib
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, hf_hub_url
from huggingface_hub.errors import (
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status, http_backoff

from hub.calls import Calls, TooManyCallsError, results
from hub.names import git_hash, is_repository_name
from ratings.parts import Folding, Part, is_part_name
from sr_core.errors import OptionError, VoteError

__all__ = ["Archive", "ArchiveError", "ArchiveSource", "Listing"]

_CARD: Final = "README.md"
_TEMPLATE: Final = Path(__file__).parent / "templates" / "votes.md"
_MARKER: Final = "deletion-under-way.txt"
_MARKER_TEXT: Final = b"Votes were deleted on request. The history that still holds them is squashed next.\n"
_BRANCH: Final = "main"
_WORKERS: Final = 8
_MOST_BYTES: Final = 64 << 20
_KIND: Final = "dataset"
_NOT_THERE: Final = 404
_STALE: Final = (409, 412)
_Operation = CommitOperationAdd | CommitOperationDelete
_T = TypeVar("_T")


class ArchiveError(VoteError):
    """The archive cannot be read or written now; the text says why, for its owner.

    Attributes:
        retry_seconds: How long the Hub asks to be left alone, or None.
        is_stale: Whether somebody else changed it meanwhile, so that one has to look again.
    """

    def __init__(self, sentence: str, *, retry_seconds: float | None = None, is_stale: bool = False) -> None:
        super().__init__(sentence)
        self.retry_seconds, self.is_stale = retry_seconds, is_stale


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSource:
    """A dataset on the Hub, and how long to wait for it.

    Attributes:
        repo: Its name, such as ``owner/votes``.
        token: What grants access to write, or None for what the client finds itself.
        endpoint: Address of the Hub, or None for the client's (``HF_ENDPOINT``).
        private: Whether a new dataset is hidden from others.
        answer_seconds: Longest wait for an answer.
        call_seconds: Longest wait for what takes several requests, repeated ones included.
    """

    repo: str
    token: str | None = field(default=None, repr=False)
    endpoint: str | None = None
    private: bool = True
    answer_seconds: float = 20.0
    call_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Refuses a name that no dataset can have.

        Raises:
            OptionError: The name is not like ``owner/name``.
        """
        if not is_repository_name(self.repo):
            raise OptionError(f"A dataset on the Hub has a name such as owner/votes, not {self.repo!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What an archive holds at one commit.

    Attributes:
        head: The commit; None where there is no dataset yet.
        parts: Length in bytes of each part, by name.
        hashes: By the name of a part, the hash that the Hub knows its content by.
        is_deleting: Whether votes were deleted and the history still holds them.
    """

    head: str | None
    parts: Mapping[str, int]
    hashes: Mapping[str, str]
    is_deleting: bool


class Archive:
    """A dataset of votes; one thread at a time may use it, and a second one at the end.

    Args:
        source: Where it is.

    Attributes:
        commits: How many were asked for; the Hub takes only so many an hour.
    """

    def __init__(self, source: ArchiveSource) -> None:
        self.source, self.commits = source, 0
        self._api = HfApi(endpoint=source.endpoint, token=source.token)
        self._calls = Calls()
        self._has_card = False
        self._listing = Listing(head=None, parts={}, hashes={}, is_deleting=False)
        self._fetched: dict[str, bytes] = {}

    def listing(self) -> Listing:
        """Returns what the archive holds now; one request when nothing has changed.

        Raises:
            ArchiveError: The Hub does not tell.
        """
        return self._ask(self._list)

    def read(self, listing: Listing, names: Collection[str]) -> dict[str, bytes]:
        """Returns the contents of parts, one request each; after a failure it goes on where it stopped.

        Raises:
            ArchiveError: One cannot be had, or is not what the Hub announced.
        """
        self._fetched = {name: content for name, content in self._fetched.items() if name in listing.parts}
        missing = [name for name in names if name not in self._fetched]

        with self._told():
            self._limit_waits()
            fetch = partial(self._fetch, listing)
            for name, content in results(fetch, missing, _WORKERS, self.source.call_seconds):
                self._fetched[name] = content
        fetched, self._fetched = self._fetched, {}
        return {name: fetched[name] for name in names}

    def push(self, parts: Sequence[Part], seconds: float | None = None) -> None:
        """Adds parts in one commit, and looks whether they are there; what is there already is not sent.

        The dataset is made when there is none, with its card.

        Args:
            parts: A few megabytes at most.
            seconds: Longest wait, when it is to be shorter than usual.

        Raises:
            ArchiveError: They may not be there.
        """
        self._ask(partial(self._push, parts), seconds)

    def replace(self, listing: Listing, folding: Folding) -> None:
        """Puts merged parts in the place of others, in one commit upon the one that was listed.

        Raises:
            ArchiveError: It may not have been done; nothing is half done.
        """
        self._ask(partial(self._replace, listing, folding))

    def finish_deletion(self) -> None:
        """Makes one commit of the whole history, so that nothing deleted is in it any more; it cannot be undone.

        Raises:
            ArchiveError: It may not have been done; it will be known (:attr:`Listing.is_deleting`) and can be repeated.
        """
        self._ask(self._squash)

    def _ask(self, call: Callable[[], _T], seconds: float | None = None) -> _T:
        limit = self.source.call_seconds if seconds is None else min(seconds, self.source.call_seconds)
        with self._told():
            self._limit_waits()
            return self._calls.within(limit, call)

    def _limit_waits(self) -> None:
        """Gives the client's session a limit, because it has none of its own."""
        get_session().timeout = httpx2.Timeout(self.source.answer_seconds, connect=min(self.source.answer_seconds, 5))

    @contextmanager
    def _told(self) -> Generator[None]:
        """Tells what goes wrong with the Hub as an error of the archive."""
        try:
            yield
        except _MismatchError as error:
            raise ArchiveError(f"The votes in {self.source.repo} are not as they must be: {error}.") from error
        except (
            httpx2.HTTPError,
            OSError,
            ValueError,
            RuntimeError,
            TooManyCallsError,
        ) as error:  # what the client raises, and TimeoutError
            raise _archive_error(error, self.source) from error

    def _list(self) -> Listing:
        try:
            head = self._api.dataset_info(self.source.repo, revision=_BRANCH, expand=["sha"]).sha
        except RepositoryNotFoundError as error:
            if error.response.status_code != _NOT_THERE:  # it may be there: only access is missing
                raise
            self._listing, self._has_card = Listing(head=None, parts={}, hashes={}, is_deleting=False), False
            return self._listing
        if head != self._listing.head:
            tree = self._api.list_repo_tree(self.source.repo, recursive=True, revision=head, repo_type=_KIND)
            files = {one.path: one for one in tree if isinstance(one, RepoFile)}
            parts = {path: file for path, file in files.items() if is_part_name(path)}
            self._listing = Listing(
                head=head,
                parts={path: file.size for path, file in parts.items()},
                hashes={path: _announced(file) for path, file in parts.items()},
                is_deleting=_MARKER in files,
            )
            self._has_card = _CARD in files
        return self._listing

    def _fetch(self, listing: Listing, name: str) -> bytes:
        source = self.source
        if listing.parts[name] > _MOST_BYTES:
            raise _MismatchError(f"{name} has more than {_MOST_BYTES >> 20} MB")
        url = hf_hub_url(source.repo, name, repo_type=_KIND, revision=listing.head, endpoint=source.endpoint)
        headers = build_hf_headers(token=source.token)
        answer = http_backoff("GET", url, headers=headers, max_retries=2, base_wait_time=0.2)
        hf_raise_for_status(answer)
        if listing.hashes[name] not in _hashes(answer.content):
            raise _MismatchError(f"what arrived as {name} is not what was announced")
        return answer.content

    def _push(self, parts: Sequence[Part]) -> None:
        operations: list[_Operation] = [_addition(part) for part in parts]
        if not self._has_card:
            operations += self._missing_card()
        self._has_card = False  # if this fails, the dataset may be gone
        commit = self._commit(operations, f"Add {len(parts)} parts")
        self._has_card = True
        self._check(commit, parts)

    def _replace(self, listing: Listing, folding: Folding) -> None:
        operations: list[_Operation] = [_addition(part) for part in folding.added]
        operations += [CommitOperationDelete(path_in_repo=name) for name in folding.removed]
        if folding.dropped:
            operations.append(CommitOperationAdd(path_in_repo=_MARKER, path_or_fileobj=_MARKER_TEXT))
        if operations:
            message = f"Make {len(folding.added)} parts of {len(folding.removed)}"
            commit = self._commit(operations, message, listing.head)
            self._check(commit, folding.added)

    def _squash(self) -> None:
        self.commits += 1
        self._api.super_squash_history(
            self.source.repo, branch=_BRANCH, repo_type=_KIND, commit_message="Votes as they are"
        )
        if self._list().is_deleting:
            self._commit([CommitOperationDelete(path_in_repo=_MARKER)], "The deletion is done", self._listing.head)

    def _commit(self, operations: Sequence[_Operation], message: str, parent: str | None = None) -> str:
        self.commits += 1
        return self._api.create_commit(
            self.source.repo,
            operations,
            commit_message=message,
            repo_type=_KIND,
            revision=_BRANCH,
            parent_commit=parent,
        ).oid

    def _missing_card(self) -> list[_Operation]:
        """Returns what adds the card, after making the dataset if there is none."""
        repo = self.source.repo
        try:
            there = self._api.get_paths_info(repo, [_CARD], repo_type=_KIND)
        except RepositoryNotFoundError:
            self._api.create_repo(repo, repo_type=_KIND, private=self.source.private, exist_ok=True)
            there = []
        return [] if there else [CommitOperationAdd(path_in_repo=_CARD, path_or_fileobj=_TEMPLATE.read_bytes())]

    def _check(self, commit: str, parts: Sequence[Part]) -> None:
        """Looks whether a commit holds parts: a .gitignore lets the client leave them out without a word."""
        names = [part.name for part in parts]
        there = self._api.get_paths_info(self.source.repo, names, revision=commit, repo_type=_KIND) if names else []
        hashes = {one.path: _announced(one) for one in there if isinstance(one, RepoFile)}
        for part in parts:
            if hashes.get(part.name) not in _hashes(part.content):
                raise _MismatchError(f"{part.name} was sent and is not there; please look for a .gitignore")


class _MismatchError(Exception):
    """What is in the archive is not what it says; the text is a part of a sentence."""


def _addition(part: Part) -> CommitOperationAdd:
    return CommitOperationAdd(path_in_repo=part.name, path_or_fileobj=part.content)


def _announced(file: RepoFile) -> str:
    return file.blob_id if file.lfs is None else file.lfs.sha256


def _hashes(content: bytes) -> tuple[str, str]:
    """Returns the names that the Hub may know a content by: git's and that of large files."""
    return git_hash(content), hashlib.sha256(content).hexdigest()


def _archive_error(error: Exception, source: ArchiveSource) -> ArchiveError:
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # the client wraps what goes wrong with one of several uploads
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    retry = error.response.headers.get("Retry-After", "") if isinstance(error, HfHubHTTPError) else ""
    return ArchiveError(
        f"Votes wait here, because {_reason(error, status, source)}.",
        retry_seconds=float(retry) if retry.isdigit() else None,
        is_stale=status in _STALE or isinstance(error, RevisionNotFoundError),
    )


def _reason(error: Exception, status: int | None, source: ArchiveSource) -> str:  # noqa: PLR0911  one for each
    """Returns why asking for an archive failed, as a part of a sentence.

    It never holds what the error says, which may be anything.
    """
    match error:
        case OfflineModeIsEnabled():
            return "the Hub is not asked while HF_HUB_OFFLINE is set"
        case RepositoryNotFoundError():
            return f"the Hub has no dataset {source.repo} that HF_TOKEN may read"
        case HfHubHTTPError() if status in (401, 403):
            return f"HF_TOKEN may not write to the dataset {source.repo}"
        case HfHubHTTPError() if status in _STALE:
            return f"somebody else changed {source.repo} at the same time"
        case HfHubHTTPError() if status == 429:
            return "the Hub takes no more commits for now"
        case HfHubHTTPError():
            return f"the Hub answered with the status {status}"
        case httpx2.TimeoutException() | TimeoutError():
            return "the Hub does not answer in time"
        case TooManyCallsError():
            return "the Hub has not answered earlier requests yet"
        case httpx2.HTTPError():
            return "the Hub cannot be reached"
        case _:
            return "the Hub's answer cannot be understood"
