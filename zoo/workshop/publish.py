"""A family of models into its repository on the Hugging Face Hub, in one commit.

What is planned (:mod:`zoo.workshop.publication`) is compared with what is there, and only the difference is sent. A
commit names the one that it stands on, so two people cannot overwrite each other, and what is there is read again
after it, so a lost answer does no harm.
"""

import argparse
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile

from hub.names import git_hash
from sr_core.errors import OptionError, OutputError
from zoo.hub import LISTING, HubSource, failure_words
from zoo.workshop.publication import PlannedFile, Publication, plan_publication

__all__ = ["Change", "ChangeKind", "Comparison", "compare", "comparison_lines", "publish", "run_publish"]

ChangeKind: TypeAlias = Literal["add", "replace", "same", "remove"]

_OWN: Final = re.compile(r"variants/[^/]+/(model\.safetensors|config\.json|README\.md)|coreml/[^/]+\.mlpackage\.zip")
"""Files that only a plan puts into a repository; when no plan names them any more, they go."""

_ANSWER_SECONDS: Final = 10.0
"""Longest wait for an answer that tells what is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happens to a file of the repository; ``size_bytes`` is the length of what is planned, 0 where it goes."""

    kind: ChangeKind
    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A publication beside what is there: the newest commit, None without a repository, and every file's change."""

    head: str | None
    changes: tuple[Change, ...]

    @property
    def is_equal(self) -> bool:
        """Whether everything is there already."""
        return self.head is not None and all(change.kind == "same" for change in self.changes)


def compare(publication: Publication, source: HubSource) -> Comparison:
    """Returns a publication beside what is in a repository; nothing is sent.

    Raises:
        OutputError: The Hub cannot be asked.
    """
    api = HfApi(endpoint=source.endpoint, token=source.token)
    try:
        head = api.model_info(source.repo, revision=source.revision, timeout=_ANSWER_SECONDS).sha
        tree = api.list_repo_tree(source.repo, recursive=True, revision=head)
        there = {one.path: one for one in tree if isinstance(one, RepoFile)}
    except RepositoryNotFoundError:
        head, there = None, {}
    except (httpx2.HTTPError, OfflineModeIsEnabled) as error:
        raise OutputError(f"{source.repo} cannot be looked at: {_trouble(error, source)}.") from error
    changes = [
        Change(kind=_kind(file, there.get(file.path)), path=file.path, size_bytes=file.size_bytes)
        for file in publication.files
    ]
    planned = {file.path for file in publication.files}
    gone = sorted(path for path in there if path not in planned and _OWN.fullmatch(path))
    changes += [Change(kind="remove", path=path, size_bytes=0) for path in gone]
    return Comparison(head=head, changes=tuple(changes))


def publish(
    publication: Publication, source: HubSource, report: Callable[[str], None], *, private: bool = False
) -> str:
    """Brings a repository to what is planned, in at most one commit, and returns the commit that has it.

    Args:
        publication: What is planned.
        source: The repository, made when it does not exist; its revision is the branch to write to.
        report: Takes a sentence for each step.
        private: Whether a new repository is hidden from others.

    Raises:
        OutputError: It cannot be done, or somebody else changed the repository meanwhile; nothing is half done.
    """
    before = compare(publication, source)
    if before.is_equal and before.head:
        report(f"{source.repo} has all this already.")
        return before.head
    try:
        if before.head is None:
            HfApi(endpoint=source.endpoint, token=source.token).create_repo(source.repo, private=private, exist_ok=True)
            report(f"{source.repo} is made.")
            before = compare(publication, source)
        commit = _commit(publication, before, source)
    except (httpx2.HTTPError, OfflineModeIsEnabled, RuntimeError) as error:
        if not _is_refusal(error):
            after = compare(publication, source)
            if after.is_equal and after.head:
                report("The Hub's answer got lost, but everything is there.")
                return after.head
        raise OutputError(f"{source.repo} is not published: {_trouble(error, source)}.") from error
    after = compare(publication, replace(source, revision=commit))
    if not after.is_equal:
        first = next((change.path for change in after.changes if change.kind != "same"), "everything")
        raise OutputError(f"The Hub took the commit, but {first} is not as planned; please look at {source.repo}.")
    report(f"{source.repo} is published.")
    return commit


def comparison_lines(comparison: Comparison) -> list[str]:
    """Returns the changes as lines of text, and a line that sums them up."""
    lines = [f"{change.kind:8} {change.size_bytes:>12,}  {change.path}" for change in comparison.changes]
    kinds = [change.kind for change in comparison.changes]
    new = sum(change.size_bytes for change in comparison.changes if change.kind in ("add", "replace"))
    where = "a new repository" if comparison.head is None else f"the repository at {comparison.head}"
    counts = ", ".join(f"{kinds.count(kind)} to {kind}" for kind in ("add", "replace", "remove"))
    return [*lines, f"{counts}, {kinds.count('same')} are there; {new:,} bytes for {where}"]


def run_publish(options: argparse.Namespace, report: Callable[[str], None] = print) -> None:
    """Publishes a family, or tells with ``dry_run`` what that would change.

    Args:
        options: ``home``, ``family``, ``repo`` (None for ``ZOO_REPO``), ``base_model`` (or None), ``private`` and
            ``dry_run``.
        report: Takes the lines that are printed.

    Raises:
        OptionError: No repository is named, or no release is of this family.
        ModelError: A file of the family is missing or damaged.
        OutputError: The Hub cannot be asked, or does not take it.
    """
    repo: str = options.repo or os.environ.get("ZOO_REPO", "")
    if not repo:
        raise OptionError("There is no repository to publish to; please give --repo or set ZOO_REPO.")
    source = HubSource(repo=repo)
    publication = plan_publication(options.home, options.family, repo, options.base_model)
    if options.dry_run:
        for line in [*comparison_lines(compare(publication, source)), "Nothing was sent."]:
            report(line)
        return
    commit = publish(publication, source, report, private=options.private)
    report(f"ZOO_REPO={repo}")
    report(f"ZOO_REVISION={commit}")


def _commit(publication: Publication, before: Comparison, source: HubSource) -> str:
    kinds = {change.path: change.kind for change in before.changes}
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        CommitOperationAdd(path_in_repo=file.path, path_or_fileobj=file.source)
        for file in publication.files
        if kinds[file.path] in ("add", "replace")
    ]
    operations += [CommitOperationDelete(path_in_repo=path) for path, kind in kinds.items() if kind == "remove"]
    made = HfApi(endpoint=source.endpoint, token=source.token).create_commit(
        source.repo,
        operations,
        commit_message=f"Publish {publication.family}",
        revision=source.revision,
        parent_commit=before.head,
    )
    return made.oid


def _is_refusal(error: Exception) -> bool:
    """Returns whether the Hub has said no; after anything else, a commit may have been made all the same."""
    return isinstance(error, HfHubHTTPError) and error.response.status_code < 500


def _kind(file: PlannedFile, there: RepoFile | None) -> ChangeKind:
    if there is None:
        return "add"
    if there.lfs is not None:
        return "same" if there.lfs.sha256 == file.sha256 else "replace"
    return "same" if there.blob_id == git_hash(file.content()) else "replace"


def _trouble(error: Exception, source: HubSource) -> str:
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # the client wraps what goes wrong with one of several uploads
    if isinstance(error, HfHubHTTPError):
        match error.response.status_code:
            case 409 | 412:
                return "somebody else has changed it meanwhile; please look at the plan and run this again"
            case 401 | 403:
                return "HF_TOKEN gives no access to it"
            case _:
                pass
    return failure_words(error, source, LISTING, source.revision)
