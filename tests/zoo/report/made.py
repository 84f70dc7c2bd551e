"""Releases and points with figures that are made up, for networks that nobody has to build."""

from dataclasses import replace

from sr_core.spec import Precision, SwinIRSpec, Variant, swinir_spec
from zoo.release import (
    CompressionMethod,
    CompressionRecord,
    CostRecord,
    FileRecord,
    FinetuneRecord,
    Measure,
    Metric,
    Release,
    SpeedRecord,
    TilingRecord,
    TrainingRecord,
)
from zoo.study import Study, StudyPoint, Technique

SPEC = swinir_spec(scale=2, embed_dim=12, depths=(2, 2), heads=3)
MACHINE = "two cores"


def metric(psnr_db: float, dataset: str = "Set5", tool: str = "test 1") -> Metric:
    return Metric(
        dataset=dataset,
        channels="y",
        border=2,
        psnr_db=psnr_db,
        ssim=0.9,
        bicubic_psnr_db=33.67,
        pictures=5,
        tool=tool,
    )


def whole(family: str = "tiny", psnr_db: float = 37.0) -> Release:
    variant = Variant(family=family, spec=SPEC, task="lightweight", trained="drawn", precision="float16")
    return Release(
        variant=variant,
        label=family.capitalize(),
        recommended_for="tests",
        description="",
        author="nobody",
        date="2026-01-02",
        tags=(),
        parent=None,
        license="Apache-2.0",
        license_chain=(),
        training=TrainingRecord(data="drawings", steps=7, selected_on="Set5", recipe="by hand"),
        compression=None,
        cost=CostRecord(
            parameters=10_000,
            attention_parameters=3_000,
            mlp_parameters=3_000,
            sparsity=0.0,
            macs_per_megapixel=1,
            attention_macs=1,
            mlp_macs=0,
        ),
        files=(FileRecord(path=f"{variant.id}.safetensors", bytes=20_000, sha256="0" * 64, format="safetensors"),),
        tiling=TilingRecord(tile=64, overlap=16, batch=1, seam_max=None, seam_data=""),
        metrics=(metric(psnr_db),),
        speed=SpeedRecord(seconds_per_megapixel=12.0, compute="float32", machine=MACHINE),
        coreml=None,
    )


def compressed(
    parent: Release,
    method: CompressionMethod,
    amount: float = 0,
    *,
    word: str = "",
    precision: Precision = "float16",
    spec: SwinIRSpec | None = None,
    sparsity: float = 0.0,
    size_bytes: int = 20_000,
    psnr_db: float = 36.0,
    is_repaired: bool = False,
    measure: Measure | None = None,
    finetune: FinetuneRecord | None = None,
) -> Release:
    variant = replace(
        parent.variant,
        compression=word,
        precision=precision,
        spec=spec or parent.variant.spec,
        formats=(("conv_first.weight", "float16"),) if precision == "mixed-bit" else (),
    )
    return replace(
        parent,
        variant=variant,
        label=f"{parent.label}, {word or precision}",
        parent=parent.id,
        compression=CompressionRecord(
            method=method,
            amount=amount,
            parent_sha256=parent.weights.sha256,
            is_repaired=is_repaired,
            measure=measure,
            finetune=finetune,
        ),
        cost=replace(parent.cost, parameters=round(10_000 * (1 - sparsity)), sparsity=sparsity),
        files=(replace(parent.weights, path=f"{variant.id}.safetensors", bytes=size_bytes),),
        metrics=(metric(psnr_db),),
    )


def heads_removed(parent: Release, count: int, psnr_db: float = 36.0) -> Release:
    """A release with so many heads fewer in each block; each is made to be 7 % of the parameters."""
    spec = replace(SPEC, heads=tuple(tuple(n - count for n in stage) for stage in SPEC.heads))
    gone = tuple(tuple(tuple(range(count)) for _ in stage) for stage in SPEC.heads)
    made = compressed(
        parent,
        "heads-l1",
        count,
        word=f"heads{3 - count}",
        spec=spec,
        sparsity=0.07 * count,
        size_bytes=20_000 - 1_400 * count,
        psnr_db=psnr_db,
    )
    assert made.compression
    return replace(made, compression=replace(made.compression, removed_heads=gone))


def point(technique: Technique, words: str = "one", **changes: object) -> StudyPoint:
    made = StudyPoint(
        technique=technique,
        words=words,
        share=0.1,
        parameters=9_000,
        sparsity=0.1,
        sparsity_qkv=0.05,
        iterations=0,
        heads=11,
        hidden=90,
        weights_bytes=18_000,
        package_bytes=None,
        metrics=(metric(36.9),),
        speed=None,
        agreement_db=None,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def study(*points: StudyPoint, whole_id: str = "tiny-x2-drawn-float16", family: str = "tiny") -> Study:
    return Study(family=family, scale=2, date="2026-02-03", calibration="drawings", whole=whole_id, points=points)
