"""What is there already: the releases of a folder, their files, and networks with their weights."""

from pathlib import Path

from sr_core.arch.swinir import SwinIR
from sr_core.arch.weights import load_weights
from sr_core.errors import ModelError
from sr_core.infer.model import LoadedModel
from sr_core.infer.window_engine import WindowEngine
from zoo.files import EmbeddedFiles
from zoo.manifest import BUILTIN, load_manifest
from zoo.release import FileRecord, Release
from zoo.workshop.packages import Networks

__all__ = ["Stock"]


class Stock:
    """The releases of a folder as they stand on the disk, read again each time.

    Args:
        home: Folder of ``manifest.json`` and ``builtin``.
    """

    def __init__(self, home: Path) -> None:
        self.folder = home / BUILTIN.name
        self._home = home
        self._files = EmbeddedFiles(self.folder)

    def releases(self) -> tuple[Release, ...]:
        """Returns all that are listed."""
        return load_manifest(self._home / "manifest.json").releases

    def find(self, release_id: str) -> Release | None:
        """Returns a release, or None where it is not listed."""
        return next((release for release in self.releases() if release.id == release_id), None)

    def has(self, release: Release, file: FileRecord) -> bool:
        """Returns whether a file is there and is the listed one."""
        try:
            self.path_of(release, file)
        except ModelError:
            return False
        return True

    def path_of(self, release: Release, file: FileRecord) -> Path:
        """Returns where a file of a release is.

        Raises:
            ModelError: It is missing, or is not the listed one.
        """
        return self._files.path_of(file, release.id)

    def module(self, release: Release) -> SwinIR:
        """Returns the network of a release with its weights."""
        return load_weights(self.path_of(release, release.weights), release.variant)

    def model(self, release: Release) -> LoadedModel:
        """Returns the network of a release, ready to run in float32."""
        engine = WindowEngine(self.module(release), "float32")
        return LoadedModel(id=release.id, engine=engine, tiling=release.tiling.plain())

    def networks(self, release: Release) -> Networks:
        """Returns the network of a release, and that before quantization.

        Raises:
            ModelError: The release before quantization is not listed.
        """
        own, done = self.module(release), release.compression
        if done is None or done.method not in ("quantize", "mixed-bit") or release.parent is None:
            return Networks(own=own, original=own, original_id=release.id)
        parent = self.find(release.parent)
        if parent is None:
            raise ModelError(f"The release {release.parent}, from which {release.id} was made, is not listed.")
        return Networks(own=own, original=self.module(parent), original_id=parent.id)

    def ancestors(self, release: Release) -> list[Release]:
        """Returns what a compressed release was made from, nearest first, without the whole network."""
        listed = {one.id: one for one in self.releases()}
        found: list[Release] = []
        one = listed.get(release.parent or "")
        while one is not None and one.compression is not None and one not in found:
            found.append(one)
            one = listed.get(one.parent or "")
        return found
