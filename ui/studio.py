"""What the app owns for as long as it runs: settings, the models on offer with their files, loaded models and their
speeds, what was measured of others, the processes that read and write photos, the pictures that visitors look at again,
and the poll.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from ratings.booth import Booth
from ratings.courier import Courier
from sr_core.image.sandbox import Sandbox
from sr_core.infer.model import LoadedModel
from ui.background import Background
from ui.kept import KeptPictures
from ui.poll import Keeper, Poll
from ui.settings import Settings
from ui.speeds import Speeds
from zoo.catalogue import ModelCache, load_model
from zoo.files import Zoo
from zoo.manifest import Manifest
from zoo.release import Release
from zoo.study import Study

__all__ = ["Studio"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """What handlers need besides what the visitor gave; ``study_notice`` says why there are no studies."""

    settings: Settings
    zoo: Zoo
    background: Background
    models: ModelCache
    speeds: Speeds
    sandbox: Sandbox
    kept: KeptPictures
    poll: Poll
    studies: tuple[Study, ...]
    study_notice: str = ""

    @classmethod
    def open(
        cls,
        settings: Settings,
        zoo: Zoo,
        load: Callable[[Release], LoadedModel] | None = None,
        sandbox: Sandbox | None = None,
        poll: Poll | None = None,
        studies: Sequence[Study] = (),
    ) -> Self:
        """Returns a studio with nothing loaded, nothing measured and no process started yet.

        Args:
            settings: Limits and sizes.
            zoo: The models on offer.
            load: How a release becomes a model; None for reading its weight file.
            sandbox: What reads and writes photos; None for one with the confines of the settings.
            poll: What takes votes; None for a poll that is off.
            studies: What was measured of networks that are not on offer.
        """
        load, background = load or partial(load_model, files=zoo.files), Background()

        def load_to_background(release: Release) -> LoadedModel:
            model = load(release)
            return replace(model, engine=background.engine(model.engine))

        return cls(
            settings=settings,
            zoo=zoo,
            background=background,
            models=ModelCache(zoo.manifest, settings.model_cache_bytes, load_to_background),
            speeds=Speeds(),
            sandbox=Sandbox(settings.confines) if sandbox is None else sandbox,
            kept=KeptPictures(settings.kept_bytes, settings.keep_seconds),
            poll=Poll.off(zoo.manifest) if poll is None else poll,
            studies=tuple(studies),
        )

    @property
    def manifest(self) -> Manifest:
        """The releases on offer."""
        return self.zoo.manifest

    @property
    def booth(self) -> Booth | None:
        """Where votes are given; None when ratings are off."""
        return self.poll.booth

    @property
    def courier(self) -> Courier | None:
        """Who takes votes to the Hub; None when they stay here or in a database."""
        return self.poll.courier

    @property
    def keeper(self) -> Keeper:
        """Where votes are kept for good."""
        return self.poll.keeper

    def close(self) -> None:
        """Ends the processes that read and write photos, and lets the last votes be taken away."""
        try:
            self.poll.close()
        finally:
            self.sandbox.close()
            self.background.close()
