"""What the app owns for as long as it runs: settings, the list of models, loaded models and their speeds,
and the pictures that visitors look at again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from sr_core.infer.model import LoadedModel
from ui.kept import KeptPictures
from ui.settings import Settings
from ui.speeds import Speeds
from zoo.catalogue import ModelCache
from zoo.manifest import Manifest, Release

__all__ = ["Studio"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """What handlers need besides what the visitor gave."""

    settings: Settings
    manifest: Manifest
    models: ModelCache
    speeds: Speeds
    kept: KeptPictures

    @classmethod
    def open(cls, settings: Settings, manifest: Manifest, load: Callable[[Release], LoadedModel]) -> Self:
        """Returns a studio with nothing loaded and nothing measured yet."""
        return cls(
            settings=settings,
            manifest=manifest,
            models=ModelCache(manifest, settings.model_cache_bytes, load),
            speeds=Speeds(),
            kept=KeptPictures(settings.kept_bytes, settings.keep_seconds),
        )
