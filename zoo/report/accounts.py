"""Releases as points of studies, and both accounts of what is gone from a network.

The seed paper counts as removed only the weights of queries, keys and values. What removal really takes from a network
is more: their biases, the projection's columns and the position biases go with a head, and hidden units are no heads.
Both accounts are over all parameters of the whole network.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, assert_never

from sr_core.spec import SwinIRSpec
from zoo.energy import run_of
from zoo.manifest import Manifest
from zoo.release import Metric, Release, SpeedRecord
from zoo.report.caveats import in_order
from zoo.report.comparison import score_key
from zoo.report.techniques import COARSE
from zoo.study import Study, StudyPoint, Technique

__all__ = ["count_qkv_weights", "count_qkv_zeros", "merge_studies", "point_of", "sparsity_qkv", "technique_of"]

_NOTES: Final = 0.01
"""By how much of its length the notes in it can make one weight file longer than another of the same network."""


def count_qkv_weights(spec: SwinIRSpec) -> int:
    """Returns how many weights of queries, keys and values a network has, without biases."""
    return sum(_qkv_weights(spec, heads) for stage in spec.heads for heads in stage)


def count_qkv_zeros(spec: SwinIRSpec, share: float) -> int:
    """Returns how many of these weights are zero when every linear layer has lost a share of its own, rounded."""
    return sum(round(share * _qkv_weights(spec, heads)) for stage in spec.heads for heads in stage)


def sparsity_qkv(spec: SwinIRSpec, whole: SwinIRSpec, parameters: int, zeros: int = 0) -> float:
    """Returns the seed paper's account of sparsity: weights of queries, keys and values that are gone, as a share.

    Args:
        spec: The network.
        whole: The whole network of its family.
        parameters: All parameters of the whole network.
        zeros: Weights of queries, keys and values that are there and zero.
    """
    return (count_qkv_weights(whole) - count_qkv_weights(spec) + zeros) / parameters


def technique_of(release: Release) -> Technique:
    """Returns by which technique a release was made from its parent."""
    done = release.compression
    if done is None:
        return "whole"
    match done.method:
        case "heads-l1" | "magnitude-l1":
            return done.method
        case "mixed-bit":
            return "mixed-bit" if release.cost.sparsity == 0 else "selective-mixed-bit"
        case "quantize":
            return "uniform-bits"
        case "selective":
            if done.finetune is not None:
                return "selective-distilled"
            return "selective-repair" if done.is_repaired else "selective"
        case _:
            assert_never(done.method)


def point_of(release: Release, whole: Release) -> StudyPoint:
    """Returns a release as a point of the study of its whole network; nothing that its record does not say."""
    spec, done, technique = release.variant.spec, release.compression, technique_of(release)
    aimed = done if done is not None and done.method == "selective" else None
    zeroed = done.amount if done is not None and done.method == "magnitude-l1" else 0.0
    proof = release.coreml.proof if release.coreml and technique in COARSE else None
    return StudyPoint(
        technique=technique,
        words=f"{release.label} (of linear weights)" if zeroed else release.label,
        share=aimed.amount if aimed else 0.0,
        measure=(aimed.measure if aimed else None) or "parameters",
        parameters=release.parameters,
        sparsity=release.cost.sparsity,
        sparsity_qkv=sparsity_qkv(spec, whole.variant.spec, whole.parameters, count_qkv_zeros(spec, zeroed)),
        iterations=int(done.amount) if done is not None and technique == "heads-l1" else 0,
        heads=sum(map(sum, spec.heads)),
        hidden=sum(map(sum, spec.hidden)),
        weights_bytes=release.size_bytes,
        package_bytes=release.coreml.package_bytes if release.coreml else None,
        metrics=release.metrics,
        speed=release.speed,
        agreement_db=proof.gate_b_db if proof else None,
        agreement_with=proof.reference if proof and proof.reference != whole.id else "",
        recipe=done.finetune.recipe if done is not None and done.finetune else "",
        release=release.id,
    )


def merge_studies(manifest: Manifest, studies: Sequence[Study]) -> tuple[Study, ...]:
    """Returns a study for each whole network with all its points: the releases, then what does not ship.

    A point that is a release appears once, with the release's figures and, beside them, its own: scores of each tool,
    which are told apart by the tool, and what the release has not. Of two times it has that of the run in which most
    points of the study were timed together with the whole network. A point is a release if it says so, or if the
    release is the only one, and it the only point, of that technique and shape.

    Args:
        manifest: The releases; one whose whole network is not listed is left out.
        studies: What else was measured; those of whole networks that are not listed are returned as they are.
    """
    known = {study.whole: study for study in studies}
    groups: dict[str, list[Release]] = {}
    for release in manifest.releases:
        whole = manifest.whole(release)
        if whole is not None:
            groups.setdefault(whole.id, []).append(release)
    merged = [_merge(manifest.release(whole), group, known.pop(whole, None)) for whole, group in groups.items()]
    return in_order((*merged, *known.values()))


def _merge(whole: Release, releases: Sequence[Release], study: Study | None) -> Study:
    own = {release.id: point_of(release, whole) for release in releases}
    if study is None:
        study = Study(
            family=whole.variant.family,
            scale=whole.variant.spec.scale,
            date=max(release.date for release in releases),
            calibration="",
            whole=whole.id,
            points=(),
        )
    matches = _matches(releases, own, study.points)
    taken = {id(point) for point in matches.values()}
    others = [replace(point, release=None) for point in study.points if id(point) not in taken]
    records = {name: (point, *([matches[name]] if name in matches else [])) for name, point in own.items()}
    run = _common_run(records[whole.id], [*records.values(), *((one,) for one in others)])
    filled = (_fill(point, matches.get(name, point), run) for name, point in own.items())
    return replace(study, points=(*filled, *others))


def _common_run(whole: Sequence[StudyPoint], all_records: Sequence[Sequence[StudyPoint]]) -> str | None:
    """Returns the run that timed the whole network and most others; the records of one network stand together."""
    timed = [{run_of(one.speed) for one in records if one.speed} for records in all_records]
    runs = [run_of(one.speed) for one in whole if one.speed]
    return max(runs, key=lambda run: sum(run in found for found in timed), default=None)


def _matches(
    releases: Sequence[Release], own: Mapping[str, StudyPoint], points: Sequence[StudyPoint]
) -> dict[str, StudyPoint]:
    """Returns the point that is the same network, for each release that has one."""
    matches = {point.release: point for point in points if point.release is not None and point.release in own}
    free = [point for point in points if point.release not in own]
    left = [release for release in releases if release.id not in matches]
    found = {one.id: [point for point in free if _is_same(one, own[one.id], point)] for one in left}
    claims = Counter(id(one) for points in found.values() for one in points)
    return matches | {name: ones[0] for name, ones in found.items() if len(ones) == 1 and claims[id(ones[0])] == 1}


def _is_same(release: Release, own: StudyPoint, point: StudyPoint) -> bool:
    """Returns whether two records tell of one network, as far as its technique and its shape say."""
    if own.technique != point.technique:
        return False
    if own.technique == "whole":
        return True
    if own.technique in COARSE:  # these have one shape and differ in their files, whose notes differ in length
        are_close = abs(own.weights_bytes - point.weights_bytes) <= _NOTES * own.weights_bytes
        are_equal = None in (own.package_bytes, point.package_bytes) or own.package_bytes == point.package_bytes
        return own.parameters == point.parameters and are_close and are_equal
    return _shape(own) == _shape(point) and _is_same_training(release, point)


def _is_same_training(release: Release, point: StudyPoint) -> bool:
    """Returns whether a point was distilled as a release was; the steps of a point stand in its words."""
    finetune = release.compression.finetune if release.compression else None
    if finetune is None:
        return True
    return (
        point.recipe == finetune.recipe and re.search(rf"(?<![\d,]){finetune.steps:,} steps", point.words) is not None
    )


def _shape(point: StudyPoint) -> tuple[int, int, int, float]:
    return point.parameters, point.heads, point.hidden, round(point.sparsity, 4)


def _fill(point: StudyPoint, other: StudyPoint, run: str | None) -> StudyPoint:
    """Returns the point of a release with what only the other record of it says, and the time of a run if it has it."""
    aimed = point if point.share else other
    agreed = point if point.agreement_db is not None and not (point.agreement_with and _is_with_whole(other)) else other
    return replace(
        point,
        share=aimed.share,
        measure=aimed.measure,
        package_bytes=point.package_bytes or other.package_bytes,
        metrics=(*point.metrics, *_further(point.metrics, other.metrics)),
        speed=_speed_of(run, point, other),
        agreement_db=agreed.agreement_db,
        agreement_with=agreed.agreement_with,
        recipe=point.recipe or other.recipe,
    )


def _further(metrics: Sequence[Metric], others: Sequence[Metric]) -> list[Metric]:
    known = set(map(score_key, metrics))
    return [metric for metric in others if score_key(metric) not in known]


def _speed_of(run: str | None, *records: StudyPoint) -> SpeedRecord | None:
    """Returns the time in a run, or else the first one."""
    speeds = [one.speed for one in records if one.speed is not None]
    return next((speed for speed in speeds if run_of(speed) == run), speeds[0] if speeds else None)


def _is_with_whole(point: StudyPoint) -> bool:
    """Returns whether an agreement with the whole network was measured, with which those of others can be compared."""
    return point.agreement_db is not None and not point.agreement_with


def _qkv_weights(spec: SwinIRSpec, heads: int) -> int:
    """Returns the weights of one block's queries, keys and values."""
    return 3 * spec.embed_dim * heads * spec.head_dim
