"""How long a Core ML package takes for a tile on this Mac, measured through coremltools, and its place in the record.

What coremltools adds, above all turning pictures into buffers and back, is part of the time.
"""

import argparse
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, cast

import numpy as np
from PIL import Image

from sr_core.coreml.package import unzip_package
from sr_core.errors import OptionError, PackageError
from zoo.files import EmbeddedFiles
from zoo.manifest import BUILTIN, load_manifest
from zoo.release import CoreMLRecord, DeviceRecord, Release
from zoo.workshop.records import store_release

__all__ = [
    "WARM_UP",
    "Loader",
    "Machine",
    "Predictor",
    "Units",
    "bench_device",
    "load_core_ml",
    "put_device",
    "refuse_elsewhere",
    "run_bench_device",
    "this_machine",
]

Units: TypeAlias = Literal["all", "cpuAndGPU", "cpuAndNeuralEngine", "cpuOnly"]
"""Where a model may run, in the words of MLComputeUnits."""

Predictor: TypeAlias = Callable[[Image.Image], Image.Image]
"""Takes a tile and gives it enlarged."""

Loader: TypeAlias = Callable[[Path, CoreMLRecord, Units], Predictor]
"""Loads a package directory for some compute units."""

WARM_UP: Final = 5
"""Tiles that run before the first one that is timed."""

_UNITS: Final[Mapping[Units, str]] = MappingProxyType(
    {"all": "ALL", "cpuAndGPU": "CPU_AND_GPU", "cpuAndNeuralEngine": "CPU_AND_NE", "cpuOnly": "CPU_ONLY"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a time was measured on: the device with its chip, and its system."""

    device: str
    system: str


def refuse_elsewhere(release_id: str, system: str = sys.platform) -> None:
    """Refuses to go on where there is no Core ML.

    Raises:
        OptionError: This is no Mac; the sentence says what to run on one.
    """
    if system != "darwin":
        raise OptionError(
            "The time on a device can be measured only on a Mac, because Core ML runs nowhere else; on one, run "
            f"`python -m zoo bench-device {release_id}` in a checkout of the project."
        )


def bench_device(
    package_zip: Path, record: CoreMLRecord, *, units: Units, runs: int, machine: Machine, load: Loader
) -> DeviceRecord:
    """Returns the median time of a package for a tile, after tiles that are not counted.

    Args:
        package_zip: The zipped package.
        record: Its record.
        units: Where it may run.
        runs: Tiles that are timed, at least 1.
        machine: What it runs on.
        load: What loads it, such as :func:`load_core_ml`.

    Raises:
        OptionError: No tile would be timed.
        PackageError: The package is damaged, or gives a picture of another size than its record says.
    """
    if runs < 1:
        raise OptionError(f"At least 1 tile must be timed, not {runs}.")
    pixels = np.random.default_rng(0).integers(0, 256, (record.input.height, record.input.width, 3), np.uint8)
    tile = Image.fromarray(pixels)
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        predict = load(unzip_package(package_zip, Path(folder)), record, units)
        for _ in range(WARM_UP + runs):
            started = perf_counter()
            enlarged = predict(tile)
            seconds.append(perf_counter() - started)
            if enlarged.size != (record.output.width, record.output.height):
                raise PackageError(
                    f"The package {record.name} gave a picture of {enlarged.height} × {enlarged.width} pixels instead "
                    f"of {record.output.height} × {record.output.width}."
                )
    return DeviceRecord(
        device=machine.device,
        system=machine.system,
        compute_units=units,
        milliseconds_per_tile=round(1000 * median(seconds[WARM_UP:]), 2),
        date=date.today().isoformat(),
    )


def put_device(release: Release, device: DeviceRecord) -> Release:
    """Returns the release with this time, in the place of an earlier one of the same device, system and units.

    Raises:
        PackageError: The release has no Core ML package.
    """
    if release.coreml is None:
        raise PackageError(f"{release.id} has no Core ML package that could be timed.")

    def place(one: DeviceRecord) -> tuple[str, str, str]:
        return one.device, one.system, one.compute_units

    kept = tuple(one for one in release.coreml.devices if place(one) != place(device))
    return replace(release, coreml=replace(release.coreml, devices=(*kept, device)))


def load_core_ml(package: Path, record: CoreMLRecord, units: Units) -> Predictor:
    """Returns what runs a package with Core ML itself; on a Mac only."""
    import coremltools  # noqa: PLC0415  of use on a Mac only, and loud elsewhere

    model = coremltools.models.MLModel(str(package), compute_units=coremltools.ComputeUnit[_UNITS[units]])

    def predict(tile: Image.Image) -> Image.Image:
        results = cast(dict[str, Any], model.predict({record.input.name: tile}))
        return cast(Image.Image, results[record.output.name])

    return predict


def this_machine() -> Machine:
    """Returns this Mac, such as ``MacBookPro18,3 (Apple M1 Pro)`` with ``macOS 15.1``."""
    model, chip = (
        subprocess.run(["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("hw.model", "machdep.cpu.brand_string")
    )
    return Machine(device=f"{model} ({chip})", system=f"macOS {platform.mac_ver()[0]}")


def run_bench_device(options: argparse.Namespace) -> None:
    """Times a listed package on this Mac, and writes the time into its record and card.

    Raises:
        OptionError: This is no Mac, or no tile would be timed.
        UnknownModelError: No release has this id.
        PackageError: The release has no Core ML package, or it is missing or damaged.
    """
    refuse_elsewhere(options.id)
    release = load_manifest(options.home / "manifest.json").release(options.id)
    if release.coreml is None or release.package is None:
        raise PackageError(f"{release.id} has no Core ML package that could be timed.")
    package_zip = EmbeddedFiles(options.home / BUILTIN.name).path_of(release.package, release.id)
    device = bench_device(
        package_zip, release.coreml, units=options.units, runs=options.runs, machine=this_machine(), load=load_core_ml
    )
    store_release(options.home, release.id, lambda now: put_device(now or release, device))
    print(  # noqa: T201  what the command is for
        f"{release.id}: {device.milliseconds_per_tile} ms a tile on {device.device}, {device.system}, "
        f"{device.compute_units}"
    )
