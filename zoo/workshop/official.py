"""Published SwinIR checkpoints: which there are, where they come from, and how one becomes a release here."""

import shutil
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sr_core.arch.weights import PUBLISHED_SHA256, sha256_of
from sr_core.errors import OptionError, WeightsError
from sr_core.spec import SwinIRSpec, Task, swinir_spec
from zoo.release import LICENSE, LicenseRecord, TrainingRecord
from zoo.workshop.recipes import Recipe

__all__ = ["AUTHOR", "OFFICIAL", "RELEASE_URL", "Official", "download", "official", "official_of_file"]

AUTHOR: Final = "JingyunLiang"
RELEASE_URL: Final = "https://github.com/JingyunLiang/SwinIR/releases/download/v0.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Official:
    """A published checkpoint.

    Attributes:
        name: What it is called on the command line, after ``official:``.
        file: Its file name.
        family: The family of the release that it becomes.
        label: That release's name on screen; the scale is added to it.
        task: The degradation it was trained for.
        spec: The shape of its network.
        data: What it was trained on, as published.
    """

    name: str
    file: str
    family: str
    label: str
    task: Task
    spec: SwinIRSpec
    data: str

    @property
    def recipe(self) -> Recipe:
        """What the release says of itself."""
        return Recipe(
            family=self.family,
            label=self.label,
            task=self.task,
            recommended_for="comparison with the published network",
            embed_dim=self.spec.embed_dim,
            depths=self.spec.depths,
            heads=self.spec.heads[0][0],
        )

    @property
    def training(self) -> TrainingRecord:
        """What is known of its training here."""
        return TrainingRecord(data=self.data, steps=None, selected_on=None, recipe="as published")

    @property
    def license_chain(self) -> tuple[LicenseRecord, ...]:
        """Where the weights come from, with its terms."""
        return (
            LicenseRecord(
                covers="weights",
                terms=f"{LICENSE} (the repository's; the release states no terms of its own)",
                source=f"{RELEASE_URL}/{self.file}",
            ),
            LicenseRecord(covers="training data", terms="those of the data sets named", source=self.data),
        )


def _light(scale: int) -> SwinIRSpec:
    return swinir_spec(scale=scale, embed_dim=60, depths=(6,) * 4, heads=6)


def _classical(scale: int) -> SwinIRSpec:
    return swinir_spec(scale=scale, embed_dim=180, depths=(6,) * 6, heads=6, upsampler="pixelshuffle")


def _real(scale: int) -> SwinIRSpec:
    return swinir_spec(scale=scale, embed_dim=180, depths=(6,) * 6, heads=6, upsampler="nearest+conv")


_LARGE: Final = swinir_spec(
    scale=4, embed_dim=240, depths=(6,) * 9, heads=8, upsampler="nearest+conv", resi_connection="3conv"
)
_REAL_DATA: Final = "DIV2K, Flickr2K and OST with the BSRGAN degradation model"

OFFICIAL: Final[Mapping[str, Official]] = MappingProxyType(
    {
        one.name: one
        for one in (
            *(
                Official(
                    name=f"lightweight-x{scale}",
                    file=f"002_lightweightSR_DIV2K_s64w8_SwinIR-S_x{scale}.pth",
                    family="swinir-s",
                    label="SwinIR-S, published",
                    task="lightweight",
                    spec=_light(scale),
                    data="DIV2K",
                )
                for scale in (2, 4)
            ),
            *(
                Official(
                    name=f"classical-x{scale}",
                    file=f"001_classicalSR_DF2K_s64w8_SwinIR-M_x{scale}.pth",
                    family="swinir-m",
                    label="SwinIR-M, published",
                    task="classical",
                    spec=_classical(scale),
                    data="DIV2K and Flickr2K",
                )
                for scale in (2, 4)
            ),
            *(
                Official(
                    name=f"real-x{scale}",
                    file=f"003_realSR_BSRGAN_DFO_s64w8_SwinIR-M_x{scale}_GAN.pth",
                    family="swinir-m-real",
                    label="SwinIR-M real-world, published",
                    task="real-world",
                    spec=_real(scale),
                    data=_REAL_DATA,
                )
                for scale in (2, 4)
            ),
            Official(
                name="real-large-x4",
                file="003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_GAN.pth",
                family="swinir-l-real",
                label="SwinIR-L real-world, published",
                task="real-world",
                spec=_LARGE,
                data=f"{_REAL_DATA}, with WED, Manga109 and further data",
            ),
        )
    }
)


def official(name: str) -> Official:
    """Returns the published checkpoint of a name.

    Raises:
        OptionError: There is none; the sentence lists those there are.
    """
    if name not in OFFICIAL:
        raise OptionError(f"There is no published checkpoint {name!r}; there are {', '.join(OFFICIAL)}.")
    return OFFICIAL[name]


def official_of_file(path: Path) -> Official:
    """Returns the published checkpoint that a file is by its name.

    Raises:
        OptionError: No published file has this name.
    """
    for one in OFFICIAL.values():
        if one.file == path.name:
            return one
    raise OptionError(
        f"The file name {path.name} is not that of a published checkpoint; say with --as which network it holds "
        f"({', '.join(OFFICIAL)})."
    )


def download(one: Official, folder: Path, base_url: str = RELEASE_URL, timeout_seconds: float = 20.0) -> Path:
    """Returns the file of a published checkpoint, fetched unless the right one is there already.

    Args:
        one: Which.
        folder: Where to put it.
        base_url: Where it is published.
        timeout_seconds: How long the server may stay silent.

    Raises:
        WeightsError: The file cannot be fetched, or is not the published one.
    """
    path = folder / one.file
    if not path.is_file() or sha256_of(path) != PUBLISHED_SHA256[one.file]:
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        url = f"{base_url}/{one.file}"
        try:
            with urllib.request.urlopen(url, timeout=timeout_seconds) as answer, part.open("wb") as file:  # noqa: S310  the address is this project's constant
                shutil.copyfileobj(answer, file, 1 << 20)
        except (urllib.error.URLError, OSError) as error:
            part.unlink(missing_ok=True)
            raise WeightsError(
                f"The checkpoint {one.file} cannot be fetched from {url} ({error}); "
                f"download it yourself and give the file instead."
            ) from error
        if sha256_of(part) != PUBLISHED_SHA256[one.file]:
            part.unlink()
            raise WeightsError(f"What {url} gave is not the published checkpoint: its sha256 differs.")
        part.replace(path)
    return path
