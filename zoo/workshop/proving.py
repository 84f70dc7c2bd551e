"""Single packages: made in another arithmetic or for another tile, and proven again."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sr_core.coreml.package import CoreMLCompute
from sr_core.errors import ModelError, PackageError
from zoo.release import CoreMLRecord, FileRecord, ProofRecord, Release
from zoo.workshop.inspection import Inspection
from zoo.workshop.packages import PackageOptions, make_package, prove_again
from zoo.workshop.stock import Stock

__all__ = ["ProvingOptions", "export_again", "verify"]

TOLERANCE_DB: Final = 0.5
"""How far a proof may differ on another processor, which may add in another order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvingOptions:
    """Where releases are and what proves them.

    Attributes:
        home: Folder of ``manifest.json`` and ``builtin``.
        photos: Folder of photos, tiles of which prove packages.
        package: How packages are made.
    """

    home: Path
    photos: Path
    package: PackageOptions = field(default_factory=PackageOptions)


def export_again(
    options: ProvingOptions, release: Release, compute: CoreMLCompute, folder: Path
) -> tuple[FileRecord, CoreMLRecord]:
    """Returns the records of a package that is made of a listed release, in another arithmetic or for another tile.

    Args:
        options: Where the zoo is, which photos prove the package, and its tile.
        release: The release; its record stays as it is.
        compute: Number format of the arithmetic.
        folder: Where the package goes, into a folder ``coreml``.

    Raises:
        PackageError: It does not pass a gate.
        OptionError: It cannot be exported here.
    """
    stock, inspection = Stock(options.home), Inspection(options.photos)
    return make_package(
        release,
        stock.networks(release),
        inspection.tiles(options.package.tile),
        compute=compute,
        options=options.package,
        folder=folder,
    )


def verify(options: ProvingOptions, release: Release, record: CoreMLRecord) -> tuple[ProofRecord, bool]:
    """Returns what is found when a listed package is run again, and whether that was on the recorded tiles.

    Raises:
        PackageError: The file is not the listed one, does not pass a gate, or what is found on the recorded tiles is
            not what is recorded.
        ModelError: The release before quantization is not listed.
    """
    package, stock = release.package, Stock(options.home)
    if package is None:
        raise ModelError(f"The release {release.id} has no package.")
    tiles = Inspection(options.photos).tiles(record.tile)
    found = prove_again(release, record, stock.path_of(release, package), stock.networks(release), tiles)
    if found.tiles_sha256 != record.proof.tiles_sha256:
        return found, False
    for name in ("gate_a_db", "gate_b_db", "gate_b_saturated_db", "gate_b_black_db", "screen_db", "max_lsb"):
        listed_value, found_value = (getattr(one, name) for one in (record.proof, found))
        if listed_value is None or found_value is None:
            is_equal = listed_value == found_value
        else:
            is_equal = abs(listed_value - found_value) <= (0 if name == "max_lsb" else TOLERANCE_DB)
        if not is_equal:
            raise PackageError(
                f"The manifest says {listed_value} as the {name} of {record.name}, but {found_value} was found."
            )
    return found, True
