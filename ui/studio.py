"""What the app owns for as long as it runs: settings, the models on offer with their files, loaded models and their
speeds, the processes that read and write photos, and the pictures that visitors look at again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self

from sr_core.image.sandbox import Sandbox
from sr_core.infer.model import LoadedModel
from ui.kept import KeptPictures
from ui.settings import Settings
from ui.speeds import Speeds
from zoo.catalogue import ModelCache, load_model
from zoo.files import Zoo
from zoo.manifest import Manifest
from zoo.release import Release

__all__ = ["Studio"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """What handlers need besides what the visitor gave."""

    settings: Settings
    zoo: Zoo
    models: ModelCache
    speeds: Speeds
    sandbox: Sandbox
    kept: KeptPictures

    @classmethod
    def open(
        cls,
        settings: Settings,
        zoo: Zoo,
        load: Callable[[Release], LoadedModel] | None = None,
        sandbox: Sandbox | None = None,
    ) -> Self:
        """Returns a studio with nothing loaded, nothing measured and no process started yet.

        Args:
            settings: Limits and sizes.
            zoo: The models on offer.
            load: How a release becomes a model; None for reading its weight file.
            sandbox: What reads and writes photos; None for one with the confines of the settings.
        """
        models = ModelCache(zoo.manifest, settings.model_cache_bytes, load or partial(load_model, files=zoo.files))
        return cls(
            settings=settings,
            zoo=zoo,
            models=models,
            speeds=Speeds(),
            sandbox=Sandbox(settings.confines) if sandbox is None else sandbox,
            kept=KeptPictures(settings.kept_bytes, settings.keep_seconds),
        )

    @property
    def manifest(self) -> Manifest:
        """The releases on offer."""
        return self.zoo.manifest

    def close(self) -> None:
        """Ends the processes that read and write photos; a later request starts others."""
        self.sandbox.close()
