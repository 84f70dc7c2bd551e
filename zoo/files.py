"""Where the files of releases are: those that come with the project, checked before anybody reads them."""

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sr_core.errors import ModelError, PackageError, WeightsError
from zoo.manifest import BUILTIN, MANIFEST_PATH, Manifest, load_manifest
from zoo.release import FileRecord

__all__ = ["CheckedFiles", "EmbeddedFiles", "ModelFiles", "Zoo", "embedded_zoo", "file_error", "file_words"]


class ModelFiles(Protocol):
    """Files of releases. Safe between threads."""

    def path_of(self, file: FileRecord, release_id: str) -> Path:
        """Returns the path of a file with the listed length and sha256, fetching it when needed.

        Raises:
            WeightsError: The weight file cannot be had, or is not the listed one.
            PackageError: The Core ML package cannot be had, or is not the listed one.
        """
        ...

    def is_here(self, file: FileRecord) -> bool:
        """Returns whether the file is on this machine, so that ``path_of`` needs no network; it is not checked."""
        ...


class CheckedFiles:
    """Remembers the sha256 of files for as long as they do not change. Safe between threads."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int, int], str]] = {}
        self._lock = threading.Lock()

    def is_listed(self, path: Path, file: FileRecord) -> bool:
        """Returns whether a path leads to a file with the listed length and sha256."""
        try:
            stat = path.stat()
            if stat.st_size != file.bytes:
                return False
            state = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
            with self._lock:
                known = self._known.get(path)
            if known is None or known[0] != state:
                with path.open("rb") as stream:
                    known = state, hashlib.file_digest(stream, "sha256").hexdigest()
                with self._lock:
                    self._known[path] = known
        except OSError:
            return False
        return known[1] == file.sha256


class EmbeddedFiles:
    """The files in a folder of the project, by their listed paths.

    Args:
        folder: The folder of files.
    """

    def __init__(self, folder: Path = BUILTIN) -> None:
        self._folder, self._checked = folder, CheckedFiles()

    def path_of(self, file: FileRecord, release_id: str) -> Path:
        """Returns the path of a file with the listed length and sha256.

        Raises:
            WeightsError: The weight file is missing or damaged.
            PackageError: The Core ML package is missing or damaged.
        """
        path = self._folder / file.path
        if not path.is_file():
            raise file_error(file, f"The {file_words(file)} of {release_id} is missing; install the project again.")
        if not self._checked.is_listed(path, file):
            raise file_error(
                file, f"The {file_words(file)} of {release_id} is damaged: it is not the one the manifest lists."
            )
        return path

    def is_here(self, file: FileRecord) -> bool:
        """Returns whether the file is there; it is not checked."""
        return (self._folder / file.path).is_file()


@dataclass(frozen=True, slots=True, kw_only=True)
class Zoo:
    """The models on offer.

    Attributes:
        manifest: Which they are.
        files: Where their files come from.
        origin: Where the list comes from, in words that fit after "The models are".
        notices: Sentences for who runs the app: what is missing, and what to do.
    """

    manifest: Manifest
    files: ModelFiles
    origin: str
    notices: tuple[str, ...] = ()


def embedded_zoo(manifest_path: Path = MANIFEST_PATH) -> Zoo:
    """Returns the models of a manifest file, with their files in the folder ``builtin`` beside it.

    Raises:
        ModelError: The manifest cannot be read.
    """
    return Zoo(
        manifest=load_manifest(manifest_path),
        files=EmbeddedFiles(manifest_path.with_name(BUILTIN.name)),
        origin="those that come with the app",
    )


def file_words(file: FileRecord) -> str:
    """Returns what a file is called in a sentence."""
    return {"safetensors": "weight file", "mlpackage.zip": "Core ML package"}[file.format]


def file_error(file: FileRecord, sentence: str) -> ModelError:
    """Returns the error for a file that cannot be used."""
    return WeightsError(sentence) if file.format == "safetensors" else PackageError(sentence)
