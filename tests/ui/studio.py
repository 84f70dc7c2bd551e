"""A studio with small fake networks, for tests that need an app but no weights."""

import atexit
import hashlib
import json
import shutil
import tempfile
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pillow_heif
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ratings.archive import Archive, ArchiveSource
from ratings.booth import Booth
from ratings.courier import Courier
from ratings.identity import Keys
from ratings.store import VoteStore
from sr_core.coreml.package import file_hashes, package_bytes, package_name, zip_package
from sr_core.image.sandbox import Sandbox
from sr_core.infer.engine import Compute
from sr_core.infer.model import LoadedModel
from sr_core.infer.tiles import Tiling
from sr_core.spec import Precision, SwinIRSpec, Variant, swinir_spec
from tests.ratings.picture_sets import small_set
from ui.poll import Poll, labels_of
from ui.settings import Settings
from ui.studio import Studio
from zoo.files import Zoo
from zoo.manifest import Manifest
from zoo.release import (
    CompressionRecord,
    CoreMLRecord,
    CostRecord,
    FeatureRecord,
    FileRecord,
    HashRecord,
    LicenseRecord,
    Metric,
    ProofRecord,
    Release,
    SpeedRecord,
    TilingRecord,
    TrainingRecord,
)

GPS_IFD, MAKE, ORIENTATION = 34853, 271, 274
MAKER = "CameraMaker"


class FakeEngine:
    """Enlarges by nearest neighbour and brightens a little; counts its runs and can take its time."""

    def __init__(self, scale: int, seconds: float = 0.0, brighter: float = 0.05) -> None:
        self._scale, self._seconds, self._brighter = scale, seconds, brighter
        self.runs = 0

    @property
    def scale(self) -> int:
        return self._scale

    @property
    def multiple(self) -> int:
        return 8

    @property
    def compute(self) -> Compute:
        return "float32"

    def run(self, tiles: Tensor) -> Tensor:
        self.runs += 1
        time.sleep(self._seconds)
        return torch.nn.functional.interpolate(tiles, scale_factor=self._scale, mode="nearest") * 0.9 + self._brighter


def release(
    scale: int = 2, *, label: str | None = None, trained: str = "fake", seconds: float | None = 60.0
) -> Release:
    spec = swinir_spec(scale=scale, embed_dim=12, depths=(2,), heads=2)
    variant = Variant(family="swinir-fake", spec=spec, task="lightweight", trained=trained, precision="float32")
    return Release(
        variant=variant,
        label=label or f"Fake ×{scale}",
        recommended_for="tests",
        description="A network that is none.",
        author="tests",
        date="2026-01-02",
        tags=("super-resolution",),
        parent=None,
        license="Apache-2.0",
        license_chain=(LicenseRecord(covers="weights", terms="Apache-2.0", source="made by the tests"),),
        training=TrainingRecord(data="none", steps=1_000, selected_on="nothing", recipe="none"),
        compression=None,
        cost=CostRecord(
            parameters=123_456,
            attention_parameters=50_000,
            mlp_parameters=40_000,
            sparsity=0.0,
            macs_per_megapixel=10**12,
            attention_macs=4 * 10**11,
            mlp_macs=3 * 10**11,
        ),
        files=(weight_file(variant.id, 500_000),),
        tiling=TilingRecord(tile=32, overlap=8, batch=1, seam_max=0.1, seam_data="tests"),
        metrics=(score("Set5", 37.5, 33.67, 5),),
        speed=None
        if seconds is None
        else SpeedRecord(seconds_per_megapixel=seconds, compute="float32", machine="another machine"),
        coreml=None,
    )


def score(dataset: str, psnr_db: float, bicubic_psnr_db: float, pictures: int) -> Metric:
    return Metric(
        dataset=dataset,
        channels="y",
        border=2,
        psnr_db=psnr_db,
        ssim=0.95,
        bicubic_psnr_db=bicubic_psnr_db,
        pictures=pictures,
        tool="tests",
    )


def manifest() -> Manifest:
    return Manifest(releases=(release(2), release(4)))


def weight_file(release_id: str, size_bytes: int) -> FileRecord:
    path = f"{release_id}.safetensors"
    return FileRecord(path=path, bytes=size_bytes, sha256=_sha256(fake_bytes(path, size_bytes)), format="safetensors")


def fake_bytes(path: str, size_bytes: int) -> bytes:
    return (path.encode() * (size_bytes // len(path) + 1))[:size_bytes]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


FULL = {"swinir-light": (6, 6, 6, 6), "swinir-quick": (8,)}
"""Blocks of each stage of the families that :func:`family` has."""


class Member(NamedTuple):
    family: str
    compression: str
    precision: Precision
    heads: int
    megabytes: float
    kodak_db: float
    has_package: bool


def family() -> Manifest:
    """Returns as many variants as ship, with numbers and packages that are made up."""
    members = [
        Member("swinir-light", "", "float16", 6, 1.858, 33.136, True),
        Member("swinir-light", "", "int8", 6, 0.991, 33.121, True),
        Member("swinir-light", "", "palette6", 6, 0.764, 33.064, True),
        Member("swinir-light", "heads5", "float16", 5, 1.725, 32.914, True),
        Member("swinir-light", "heads5", "int8", 5, 0.921, 32.902, True),
        Member("swinir-light", "heads4", "float16", 4, 1.592, 32.311, False),
        Member("swinir-light", "heads3", "float16", 3, 1.459, 31.507, False),
        Member("swinir-light", "heads2", "float16", 2, 1.326, 30.212, False),
        Member("swinir-light", "heads1", "float16", 1, 1.193, 27.48, False),
        Member("swinir-light", "sparse30", "float16", 6, 1.858, 33.021, False),
        Member("swinir-quick", "", "float16", 6, 0.718, 33.023, True),
        Member("swinir-quick", "", "int8", 6, 0.387, 33.008, True),
        Member("swinir-quick", "", "palette6", 6, 0.301, 32.951, True),
        Member("swinir-quick", "", "palette4", 6, 0.214, 31.203, True),
    ]
    return Manifest(releases=tuple(map(_release_of, members)))


WORDS = {
    ("", "float16"): "", ("", "int8"): "int8", ("", "palette6"): "6-bit palette", ("", "palette4"): "4-bit palette",
    ("heads5", "float16"): "1 head fewer", ("heads5", "int8"): "1 head fewer, int8",
    ("heads4", "float16"): "2 heads fewer", ("heads3", "float16"): "3 heads fewer",
    ("heads2", "float16"): "4 heads fewer", ("heads1", "float16"): "5 heads fewer",
    ("sparse30", "float16"): "30 % zeros",
}  # fmt: skip


def _release_of(member: Member) -> Release:
    name, precision, heads = member.family, member.precision, member.heads
    whole = swinir_spec(scale=2, embed_dim=60, depths=FULL[name], heads=6)
    spec = replace(whole, heads=tuple((heads,) * depth for depth in whole.depths))
    compression = member.compression
    variant = Variant(
        family=name, spec=spec, task="lightweight", trained="photos39", precision=precision, compression=compression
    )
    parent = replace(
        variant, spec=whole, precision="float16", compression="" if precision == "float16" else compression
    )
    is_whole = parent == variant
    label, words = f"SwinIR {name.removeprefix('swinir-')} ×2", WORDS[compression, precision]
    one = replace(
        release(2, seconds=54.3 if name == "swinir-light" else 18.1),
        variant=variant,
        label=f"{label}, {words}" if words else label,
        recommended_for="best quality" if is_whole else "apps: half the download, the same picture to the eye",
        description="A SwinIR network that makes photos 2 times as large along each side.",
        parent=None if is_whole else parent.id,
        compression=None if is_whole else _compression(compression, precision, whole, heads),
        files=(weight_file(variant.id, round(member.megabytes * 1e6)),),
        metrics=(score("Set5", member.kodak_db + 3.947, 33.673, 5), score("Kodak24", member.kodak_db, 30.852, 24)),
    )
    parameters = round((0.4 + 0.6 * heads / 6) * (910_152 if name == "swinir-light" else 352_272))
    sparsity = round(0.6 - 0.1 * heads, 4) if heads < 6 else 0.0
    one = replace(one, cost=replace(one.cost, parameters=parameters, sparsity=sparsity))
    return pack(one) if member.has_package else one


def _compression(compression: str, precision: Precision, whole: SwinIRSpec, heads: int) -> CompressionRecord:
    removed = tuple(tuple(tuple(range(heads, 6)) for _ in range(depth)) for depth in whole.depths)
    if precision != "float16":
        return CompressionRecord(method="quantize", amount=0, parent_sha256="1" * 64)
    if compression.startswith("heads"):
        return CompressionRecord(method="heads-l1", amount=6 - heads, parent_sha256="1" * 64, removed_heads=removed)
    return CompressionRecord(method="magnitude-l1", amount=0.3, parent_sha256="1" * 64)


@cache
def fake_package(release_id: str) -> bytes:
    """Returns the zip of a package of the right form that holds no network."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / f"{package_name(release_id, 64)}.mlpackage"
        (package / "Data" / "com.apple.CoreML" / "weights").mkdir(parents=True)
        (package / "Manifest.json").write_text(json.dumps({"fileFormatVersion": "1.0.0"}))
        (package / "Data" / "com.apple.CoreML" / "model.mlmodel").write_bytes(b"no network of " + release_id.encode())
        (package / "Data" / "com.apple.CoreML" / "weights" / "weight.bin").write_bytes(
            np.random.default_rng(len(release_id)).bytes(300_000)
        )
        zip_package(package, Path(folder) / "zip")
        return (Path(folder) / "zip").read_bytes()


def pack(one: Release) -> Release:
    """Returns the release with a package."""
    data, name = fake_package(one.id), package_name(one.id, 64)
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        hashes, length = file_hashes(Path(file.name)), package_bytes(Path(file.name))
    side = FeatureRecord(name="image", kind="image RGB 8 bit", height=64, width=64)
    record = CoreMLRecord(
        name=name,
        compute="float16",
        min_ios="16.0",
        specification_version=7,
        compute_units="all",
        tile=64,
        overlap=24,
        margin=8,
        seam_max=0.12,
        seam_data="Kodak24 (1)",
        input=side,
        output=replace(side, name="upscaled", height=128, width=128),
        rescale=1,
        package_bytes=length,
        contents=tuple(HashRecord(path=path, bytes=1_000, sha256=sha256) for path, sha256 in hashes.items()),
        is_experimental=one.variant.precision.startswith("palette"),
        exporter="tests",
        proof=ProofRecord(
            gate_a_db=112.4,
            gate_b_db={"float16": 71.25, "int8": 49.63, "palette6": 44.81}.get(one.variant.precision, 31.07),
            gate_b_saturated_db=68.11,
            gate_b_black_db=74.02,
            reference=one.id,
            screen_db=61.37,
            max_lsb=1,
            tiles="8 tiles of Kodak24, 2 saturated, 1 black",
            tiles_sha256="2" * 64,
            tool="tests",
        ),
    )
    path = f"coreml/{name}.mlpackage.zip"
    file = FileRecord(path=path, bytes=len(data), sha256=_sha256(data), format="mlpackage.zip")
    return replace(one, files=(*one.files, file), coreml=record)


class Loader:
    """Makes fake models and keeps their engines for the test to look at; coarser weights make it brighter."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self.engines: dict[str, FakeEngine] = {}

    @property
    def runs(self) -> int:
        return sum(engine.runs for engine in self.engines.values())

    def load(self, one: Release) -> LoadedModel:
        brighter = 0.05 + {"int8": 1 / 255, "palette6": 2 / 255}.get(one.variant.precision, 0.0)
        engine = FakeEngine(one.variant.spec.scale, self._seconds, brighter)
        engine = self.engines.setdefault(one.id, engine)
        tiling = Tiling(tile=one.tiling.tile, overlap=one.tiling.overlap, batch=one.tiling.batch)
        return LoadedModel(id=one.id, engine=engine, tiling=tiling)


@cache
def _fake_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fake-files-", dir="/tmp"))  # not where a test counts what is left behind
    atexit.register(shutil.rmtree, folder)
    return folder


class FakeFiles:
    """Writes every file where it is asked for; none holds a network."""

    def path_of(self, file: FileRecord, release_id: str) -> Path:
        path = _fake_folder() / file.path
        path.parent.mkdir(exist_ok=True)
        is_package = file.format == "mlpackage.zip"
        path.write_bytes(fake_package(release_id) if is_package else fake_bytes(file.path, file.bytes))
        return path

    def is_here(self, file: FileRecord) -> bool:
        return True


def zoo(models: Manifest | None = None) -> Zoo:
    return Zoo(manifest=models or manifest(), files=FakeFiles(), origin="fakes")


@cache
def sandbox() -> Sandbox:
    """Returns the one that tests share, because it takes a second to start."""
    one = Sandbox()
    atexit.register(one.close)
    return one


def studio(
    settings: Settings | None = None,
    loader: Loader | None = None,
    models: Manifest | None = None,
    *,
    confined: Sandbox | None = None,
    poll: Poll | None = None,
) -> Studio:
    """Returns a studio; without ``poll`` its ratings are off (see :func:`fake_poll`)."""
    load = (loader or Loader()).load
    return Studio.open(settings or Settings(), zoo(models), load, confined or sandbox(), poll)


def fake_poll(
    folder: Path, models: Manifest | None = None, *, votes_per_day: int = 60, source: ArchiveSource | None = None
) -> Poll:
    """Returns a poll with a real store in a folder, and small pictures of the fake releases; the caller closes it.

    With a ``source``, a courier takes the votes there when the app is served or the poll is started.
    """
    models = models or manifest()
    store = VoteStore.open(f"sqlite:///{folder / 'votes.sqlite'}")
    references = models.references
    pictures = small_set(folder / "pictures", [one.id for one in models.releases])
    return Poll(
        keeper="here" if source is None else "hub",
        courier=None if source is None else Courier(store, Archive(source)),
        booth=Booth(store, Keys("a secret of the tests"), pictures, references, votes_per_day),
        store=store,
        pictures=pictures,
        labels=labels_of(models),
        references=references,
    )


def write_photo(path: Path, height: int = 48, width: int = 72, *, orientation: int = 1) -> Path:
    """Writes a photo, reddish at the top left, whose EXIF holds a maker and a place."""
    Image.fromarray(_scene(height, width)).save(path, exif=_exif(orientation), quality=95)
    return path


def write_heic(path: Path, height: int = 48, width: int = 72) -> Path:
    """Writes the same photo as a HEIC of 10 bits, as newer phones do."""
    samples = _scene(height, width).astype(np.uint16) * 4
    file = pillow_heif.from_bytes("RGB;10", (width, height), samples.tobytes())
    file[0].info.update({"bit_depth": 10, "exif": _exif(1).tobytes()})
    file.save(path, quality=90, chroma=420)
    return path


def _scene(height: int, width: int) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([255 - columns * 2, rows * 3 % 256, (rows + columns) % 256], axis=2).clip(0, 255).astype(np.uint8)


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[MAKE] = MAKER
    exif[ORIENTATION] = orientation
    exif.get_ifd(GPS_IFD).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    return exif
