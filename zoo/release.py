"""What is known of a release: frozen records, from which every word on cards, tables and screens is made.

The manifest reads and writes them (``zoo.manifest``); nothing here touches a file.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from sr_core.coreml.package import CoreMLCompute
from sr_core.infer.tiles import Tiling
from sr_core.spec import Variant

__all__ = [
    "AUTHOR",
    "LICENSE",
    "CalibrationRecord",
    "CompressionMethod",
    "CompressionRecord",
    "CoreMLRecord",
    "CostRecord",
    "DeviceRecord",
    "FeatureRecord",
    "FileFormat",
    "FileRecord",
    "FinetuneRecord",
    "HashRecord",
    "LicenseRecord",
    "Measure",
    "Metric",
    "NumbersPerBlock",
    "ProofRecord",
    "Release",
    "SpeedRecord",
    "TilingRecord",
    "TrainingRecord",
]

AUTHOR: Final = "pocket-super-resolution"
LICENSE: Final = "Apache-2.0"

FileFormat: TypeAlias = Literal["safetensors", "mlpackage.zip"]
Measure: TypeAlias = Literal["parameters", "macs"]
"""What a share is a share of: learned values, or multiplications."""

CompressionMethod: TypeAlias = Literal["heads-l1", "magnitude-l1", "selective", "quantize", "mixed-bit"]
Bytes: TypeAlias = Annotated[int, Field(ge=1)]
Count: TypeAlias = Annotated[int, Field(ge=0)]
NumbersPerBlock: TypeAlias = tuple[tuple[tuple[Count, ...], ...], ...]
"""Numbers of heads or of hidden units, for each block of each stage; they are counted from 0."""
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ClassName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,127}$")]
InnerPath: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$")]
Day: TypeAlias = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """A file of a release: its path below the folder of files, its length and its sha256."""

    path: str
    bytes: Bytes
    sha256: Sha256
    format: FileFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class HashRecord:
    """A file inside a package: its path below the package, its length and its sha256."""

    path: InnerPath
    bytes: Bytes
    sha256: Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class TilingRecord:
    """How the release is tiled, in input pixels, and the largest seam difference measured with that.

    ``seam_max`` is in steps of 1/255 between tiled and whole-image output, before rounding; None when not measured.
    """

    tile: int
    overlap: int
    batch: int
    seam_max: float | None
    seam_data: str

    def plain(self) -> Tiling:
        """Returns the tiling without what was measured of it, as upscaling takes it."""
        return Tiling(tile=self.tile, overlap=self.overlap, batch=self.batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One measured score, bicubic enlargement's beside it, and all that is needed to measure it again."""

    dataset: str
    channels: Literal["y", "rgb"]
    border: int
    psnr_db: float
    ssim: float
    bicubic_psnr_db: float
    pictures: int
    tool: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRecord:
    """Measured time for a megapixel of photo, overlaps of tiles included.

    Attributes:
        seconds_per_megapixel: The median of the rounds.
        compute: Number format of the products.
        machine: The machine it was measured on, in words.
        run: When the run began in which it was measured; times of other runs are no measure of this one. Empty in
            records from before this was recorded.
    """

    seconds_per_megapixel: float
    compute: Literal["float32", "bfloat16"]
    machine: str
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecord:
    """How the weights came about, before anything was removed from them.

    Attributes:
        data: The training photos and their source.
        steps: Steps of this network; those of a parent it was grown from are not counted in. None when not stated.
        selected_on: The data set whose score chose the weights that are kept; scores on it are a little too good. None
            when not stated.
        recipe: The options of the run, in words.
    """

    data: str
    steps: Annotated[int, Field(ge=1)] | None
    selected_on: str | None
    recipe: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenseRecord:
    """One link of the licence chain: what it covers, under which terms, and where they stand."""

    covers: str
    terms: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRecord:
    """The pictures on which it was measured what a weight is worth.

    Attributes:
        photos: Where they are from, in words.
        tiles: How many there are.
        side: Side of one, in low-resolution pixels.
        sha256: Which exactly: of all their values.
        cell: Side of the squares into which the photos, contact strips, were cut; None for plain photos, and in records
            from before this was recorded.
    """

    photos: str
    tiles: Annotated[int, Field(ge=1)]
    side: Annotated[int, Field(ge=1)]
    sha256: Sha256
    cell: Annotated[int, Field(ge=1)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneRecord:
    """How the family's whole network taught a pruned one; no original of a photo is ever shown to it.

    Attributes:
        steps: Steps of that training.
        photos: The unlabeled photos and their source, in words.
        recipe: The other options of the run, in one phrase.
        seed: Of the crops.
        photos_sha256: Which photos exactly: of all their values as they are read. Empty, as the two below, in records
            from before this was recorded.
        cell: Side of the squares into which they, contact strips, were cut; None for plain photos.
        device: What it ran on and how it multiplied, such as ``cpu, bfloat16 products``: another one comes to slightly
            different weights.
    """

    steps: Annotated[int, Field(ge=1)]
    photos: str
    recipe: str
    seed: Count
    photos_sha256: Sha256 | Literal[""] = ""
    cell: Annotated[int, Field(ge=1)] | None = None
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionRecord:
    """What was done to the parent's weights, completely enough to do it again; nothing but ``finetune`` is random.

    A distilled release began from the weights of a pruned one, which is its parent. It repeats that one's record, and
    adds ``finetune``.

    Attributes:
        method: ``heads-l1`` removes attention heads and ``magnitude-l1`` sets single weights to zero, both by size;
            ``selective`` removes heads and hidden units by what that is measured to cost; ``quantize`` only stores
            weights coarser, all alike; ``mixed-bit`` stores each layer as coarsely as it bears.
        amount: Heads removed from each block (``heads-l1``), share of the linear weights set to zero
            (``magnitude-l1``), share of ``measure`` that was to go (``selective``), most bytes of the unzipped package
            (``mixed-bit``); 0 for ``quantize``.
        parent_sha256: The parent's weight file.
        removed_heads: The heads that are gone, by their number in the parent; empty for methods that remove none.
        removed_units: The hidden units of the MLPs that are gone, likewise.
        removed_stages: The stages that are gone with everything in them, which the two above name as well.
        measure: What ``amount`` is a share of, in ``selective``; None for other methods.
        is_repaired: Whether what is left was solved for anew by least squares, so that it does what all did.
        calibration: On which pictures that was measured and solved; None where none was needed.
        finetune: How it was distilled after that; None when it was not.
    """

    method: CompressionMethod
    amount: Annotated[float, Field(ge=0)]
    parent_sha256: Sha256
    removed_heads: NumbersPerBlock = ()
    removed_units: NumbersPerBlock = ()
    removed_stages: tuple[Count, ...] = ()
    measure: Measure | None = None
    is_repaired: bool = False
    calibration: CalibrationRecord | None = None
    finetune: FinetuneRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRecord:
    """What the network costs; counted from its spec, and zero weights from the file.

    Attributes:
        parameters: Learned values.
        attention_parameters: Those of the attention branches, without norms.
        mlp_parameters: Those of the MLP branches, without norms.
        sparsity: Share of the parameters of the family's whole network that are gone, removed or zero.
        macs_per_megapixel: Multiplications for a megapixel of input, without tile overlaps.
        attention_macs: Those of the attention branches.
        mlp_macs: Those of the MLP branches.
    """

    parameters: Count
    attention_parameters: Count
    mlp_parameters: Count
    sparsity: Share
    macs_per_megapixel: Count
    attention_macs: Count
    mlp_macs: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRecord:
    """An input or output of a package: its name, its kind, and its size in pixels."""

    name: ClassName
    kind: Literal["image RGB 8 bit"]
    height: int
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRecord:
    """What the reference interpreter found when it ran the package; decibels are PSNR with a peak of 1.

    Attributes:
        gate_a_db: The package in ideal arithmetic against the network loaded with the package's own constants.
        gate_b_db: As typed against the float32 network before quantization, on natural tiles: the published figure.
        gate_b_saturated_db: The same on tiles of extreme colours.
        gate_b_black_db: The same on black tiles.
        reference: Id of the release whose weights that float32 network has.
        screen_db: As typed and rounded to 8 bits, against the 8-bit picture that the page makes; None when equal.
        max_lsb: Largest difference of a value in that comparison, in steps of 1/255.
        tiles: Which tiles these were, in words.
        tiles_sha256: And which exactly: of all their values.
        tool: What measured it.
    """

    gate_a_db: float
    gate_b_db: float
    gate_b_saturated_db: float
    gate_b_black_db: float
    reference: str
    screen_db: float | None
    max_lsb: Count
    tiles: str
    tiles_sha256: Sha256
    tool: str

    @property
    def gate_b_natural_db(self) -> float:
        """The published figure under the name that tells it from the others of gate B."""
        return self.gate_b_db


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRecord:
    """Time measured on a device that runs Core ML."""

    device: str
    system: str
    compute_units: str
    milliseconds_per_tile: float
    date: Day


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreMLRecord:
    """The Core ML package of a release, as an app needs to know it.

    Attributes:
        name: The package's file name without suffix, which becomes the class in Xcode.
        compute: Number format of the arithmetic.
        min_ios: First iOS that runs it.
        specification_version: Core ML's own number for that.
        compute_units: Where it may run.
        tile: Side of the square that it takes, in pixels.
        overlap: Overlap of neighbouring tiles, in input pixels.
        margin: Mirrored pixels around the picture.
        seam_max: Largest difference to the untiled result with these tiles, in steps of 1/255; None when not measured.
        seam_data: What that was measured on.
        input: What goes in.
        output: What comes out.
        rescale: The residual stream is multiplied by 2 to the power of minus this, so that float16 holds it.
        package_bytes: Length of the files of the unzipped package.
        contents: Those files.
        is_experimental: Whether its format is known to fail on some devices, or not known to have been tried.
        exporter: What wrote it.
        proof: What was proven of it.
        devices: Times measured on devices; empty until somebody who has one adds them.
        compact_bias: Whether position biases are stored once as their tables and spread in the graph.
    """

    name: ClassName
    compute: CoreMLCompute
    min_ios: str
    specification_version: int
    compute_units: Literal["all"]
    tile: int
    overlap: int
    margin: int
    seam_max: float | None
    seam_data: str
    input: FeatureRecord
    output: FeatureRecord
    rescale: Count
    package_bytes: Bytes
    contents: tuple[HashRecord, ...]
    is_experimental: bool
    exporter: str
    proof: ProofRecord
    devices: tuple[DeviceRecord, ...] = ()
    compact_bias: bool = False

    def plain_tiling(self) -> Tiling:
        """Returns how an app tiles with this package, as upscaling takes it."""
        return Tiling(tile=self.tile, overlap=self.overlap, fixed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A variant with its files, its origin and what was measured of it.

    Attributes:
        variant: What it is.
        label: Its name on screen.
        recommended_for: One phrase on when to pick it.
        description: A sentence or two on what it is.
        author: Who made it.
        date: The day it was made, as year-month-day.
        tags: Words to find it by.
        parent: Id of the release whose weights it began from, or None when it began from random ones.
        license: SPDX name of the licence of the weights.
        license_chain: Everything that the weights come from, with its terms.
        training: How the weights came about.
        compression: What was done to the parent's weights, or None when they were trained.
        cost: What it costs.
        files: The weight file, and the Core ML package where there is one.
        tiling: How it is tiled on this project's page.
        metrics: Scores.
        speed: Time on a processor, or None when not measured.
        coreml: The Core ML package, or None where there is none.
    """

    variant: Variant
    label: str
    recommended_for: str
    description: str
    author: str
    date: Day
    tags: tuple[str, ...]
    parent: str | None
    license: str
    license_chain: tuple[LicenseRecord, ...]
    training: TrainingRecord
    compression: CompressionRecord | None
    cost: CostRecord
    files: tuple[FileRecord, ...]
    tiling: TilingRecord
    metrics: tuple[Metric, ...]
    speed: SpeedRecord | None
    coreml: CoreMLRecord | None

    @property
    def id(self) -> str:
        """The variant's id."""
        return self.variant.id

    @property
    def parameters(self) -> int:
        """Learned values."""
        return self.cost.parameters

    @property
    def weights(self) -> FileRecord:
        """The weight file."""
        return next(file for file in self.files if file.format == "safetensors")

    @property
    def package(self) -> FileRecord | None:
        """The zipped Core ML package, or None where there is none."""
        return next((file for file in self.files if file.format == "mlpackage.zip"), None)

    @property
    def size_bytes(self) -> int:
        """Length of the weight file."""
        return self.weights.bytes

    def metric(self, dataset: str, channels: Literal["y", "rgb"] = "y") -> Metric | None:
        """Returns the score on a data set, or None when it was not measured."""
        return next((m for m in self.metrics if m.dataset == dataset and m.channels == channels), None)
