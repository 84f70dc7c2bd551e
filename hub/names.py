"""Names on the Hub: those of repositories, and those that it knows contents by."""

import hashlib

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

__all__ = ["git_hash", "is_repository_name"]


def is_repository_name(name: str) -> bool:
    """Returns whether a repository can have a name, which must be like ``owner/name``."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return "/" in name


def git_hash(content: bytes) -> str:
    """Returns the name that git gives to a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
