"""Studies that are made up, and variants that were pruned selectively and stored in mixed bits."""

from dataclasses import replace

from sr_core.spec import LayerFormat, PerBlock
from tests.ui.studio import family, score
from zoo.manifest import Manifest
from zoo.release import CalibrationRecord, CompressionRecord, FinetuneRecord, Release, SpeedRecord
from zoo.study import Study, StudyPoint, Technique

LIGHT = "swinir-light-x2-photos39-float16"
PRUNED = "swinir-light-x2-photos39-prune30d-float16"
MIXED = "swinir-light-x2-photos39-prune30d-1mb-mixed-bit"
SHARES = (0.05, 0.10, 0.15, 0.20, 0.25, 0.30)
LOSSES: dict[Technique, tuple[float, ...]] = {
    "selective": (0.05, 0.12, 0.25, 0.48, 0.85, 1.3),
    "selective-repair": (0.012, 0.04, 0.08, 0.13, 0.19, 0.28),
    "selective-distilled": (0.004, 0.011, 0.02, 0.04, 0.06, 0.09),
}


def study(losses: dict[Technique, tuple[float, ...]] = LOSSES) -> Study:
    """Returns what pruning costs the larger network of :func:`tests.ui.studio.family`."""
    points = tuple(
        _point(technique, share, 33.136 - loss_db)
        for technique, row in losses.items()
        for share, loss_db in zip(SHARES, row, strict=True)
    )
    return Study(
        family="swinir-light", scale=2, date="2026-01-02", calibration="photos of the tests", whole=LIGHT, points=points
    )


def _point(technique: Technique, share: float, psnr_db: float) -> StudyPoint:
    seconds = 54.3 * (1 - 0.8 * share)
    return StudyPoint(
        technique=technique,
        words=f"{share:.0%}",
        share=share,
        parameters=round(910_152 * (1 - share)),
        sparsity=share,
        sparsity_qkv=share / 2,
        iterations=0,
        heads=round(144 * (1 - share)),
        hidden=round(2880 * (1 - share)),
        weights_bytes=round(1.858e6 * (1 - share)),
        package_bytes=None,
        metrics=(score("Set5", psnr_db + 3.947, 33.673, 5), score("Kodak24", psnr_db, 30.852, 24)),
        speed=SpeedRecord(seconds_per_megapixel=seconds, compute="float32", machine="another machine"),
        agreement_db=None,
    )


def compressed() -> Manifest:
    """Returns the family with a pruned and distilled variant, and that one in mixed bits."""
    models = family()
    whole = models.release(LIGHT)
    heads: PerBlock = ((6, 5, 0, 4, 6, 6), (6, 6, 3, 2, 6, 6), (1, 6, 6, 5, 5, 6), (6, 6, 0, 6, 6, 4))
    hidden: PerBlock = ((120, 88, 64, 120, 97, 110), (120,) * 6, (75, 80, 81, 0, 90, 101), (120, 119, 118, 117, 3, 60))
    variant = replace(
        whole.variant, spec=replace(whole.variant.spec, heads=heads, hidden=hidden), compression="prune30d"
    )
    done = CompressionRecord(
        method="selective",
        amount=0.3,
        parent_sha256="1" * 64,
        removed_heads=tuple(tuple(tuple(range(left, 6)) for left in stage) for stage in heads),
        removed_units=tuple(tuple(tuple(range(left, 120)) for left in stage) for stage in hidden),
        measure="parameters",
        is_repaired=True,
        calibration=CalibrationRecord(photos="the example photos", tiles=32, side=64, sha256="c" * 64),
        finetune=FinetuneRecord(steps=3000, photos="photos of the tests", recipe="Charbonnier, Muon", seed=5),
    )
    metrics = (score("Set5", 36.993, 33.673, 5), score("Kodak24", 33.046, 30.852, 24))
    pruned = replace(
        whole,
        variant=variant,
        label="SwinIR light ×2, 30 % pruned",
        parent=LIGHT,
        compression=done,
        metrics=metrics,
        cost=replace(whole.cost, parameters=637_106, sparsity=0.3),
        speed=None if whole.speed is None else replace(whole.speed, seconds_per_megapixel=41.2),
    )
    return Manifest(releases=(*models.releases, pruned, _mixed(pruned)))


def _mixed(pruned: Release) -> Release:
    forms: list[LayerFormat] = ["int8"] * 12 + ["palette6"] * 60 + ["palette4"] * 2 + ["float16"]
    formats = tuple((f"layer.{at:03}.weight", form) for at, form in enumerate(forms))
    variant = replace(pruned.variant, precision="mixed-bit", compression="prune30d-1mb", formats=formats)
    assert pruned.compression
    done = replace(
        pruned.compression, method="mixed-bit", amount=1e6, removed_heads=(), removed_units=(), measure=None,
        is_repaired=False, finetune=None,
    )  # fmt: skip
    assert pruned.coreml
    return replace(
        pruned, variant=variant, label="SwinIR light ×2, 30 % pruned, 1 MB", parent=pruned.id, compression=done,
        coreml=replace(pruned.coreml, compact_bias=True),
    )  # fmt: skip
