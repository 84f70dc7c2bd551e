"""Releases as points of studies, and both accounts of what is gone from a network.

The seed paper counts as removed only the weights of queries, keys and values. What removal really takes from a network
is more: their biases, the projection's columns and the position biases go with a head, and hidden units are no heads.
Both accounts are over all parameters of the whole network.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, assert_never

from sr_core.spec import SwinIRSpec
from zoo.manifest import Manifest
from zoo.release import Metric, Release
from zoo.study import Study, StudyPoint, Technique

__all__ = ["count_qkv_weights", "count_qkv_zeros", "merge_studies", "point_of", "sparsity_qkv", "technique_of"]

_COARSE: Final[frozenset[Technique]] = frozenset({"uniform-bits", "mixed-bit"})
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
        case "heads-l1" | "magnitude-l1" | "mixed-bit":
            return done.method
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
    zeros = count_qkv_zeros(spec, done.amount) if done is not None and technique == "magnitude-l1" else 0
    proof = release.coreml.proof if release.coreml else None
    return StudyPoint(
        technique=technique,
        words=release.label,
        share=done.amount if done is not None and done.method in ("magnitude-l1", "selective") else 0.0,
        parameters=release.parameters,
        sparsity=release.cost.sparsity,
        sparsity_qkv=sparsity_qkv(spec, whole.variant.spec, whole.parameters, zeros),
        iterations=int(done.amount) if done is not None and technique == "heads-l1" else 0,
        heads=sum(map(sum, spec.heads)),
        hidden=sum(map(sum, spec.hidden)),
        weights_bytes=release.size_bytes,
        package_bytes=release.coreml.package_bytes if release.coreml else None,
        metrics=release.metrics,
        speed=release.speed,
        agreement_db=proof.gate_b_db if proof and technique in _COARSE and proof.reference == whole.id else None,
        release=release.id,
    )


def merge_studies(manifest: Manifest, studies: Sequence[Study]) -> tuple[Study, ...]:
    """Returns a study for each whole network with all its points: the releases, then what does not ship.

    A point that is a release appears once, with the release's figures and, where that has none, its own. It is one if
    it says so, or if the release is the only one, and it the only point, of that technique and shape.

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
    return (*merged, *known.values())


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
    matches = _matches(own, study.points)
    taken = {id(point) for point in matches.values()}
    filled = (_fill(point, matches[name]) if name in matches else point for name, point in own.items())
    others = (replace(point, release=None) for point in study.points if id(point) not in taken)
    return replace(study, points=(*filled, *others))


def _matches(own: Mapping[str, StudyPoint], points: Sequence[StudyPoint]) -> dict[str, StudyPoint]:
    """Returns the point that is the same network, for each release that has one."""
    matches = {point.release: point for point in points if point.release is not None and point.release in own}
    free = [point for point in points if point.release not in own]
    left = {name: point for name, point in own.items() if name not in matches}
    found = {name: [one for one in free if _is_same(point, one)] for name, point in left.items()}
    claims = Counter(id(one) for points in found.values() for one in points)
    return matches | {name: ones[0] for name, ones in found.items() if len(ones) == 1 and claims[id(ones[0])] == 1}


def _is_same(release: StudyPoint, point: StudyPoint) -> bool:
    """Returns whether two records tell of one network, as far as its technique and its shape say."""
    if release.technique != point.technique:
        return False
    if release.technique == "whole":
        return True
    if release.technique in _COARSE:  # these have one shape and differ in their files, whose notes differ in length
        are_close = abs(release.weights_bytes - point.weights_bytes) <= _NOTES * release.weights_bytes
        are_equal = None in (release.package_bytes, point.package_bytes) or release.package_bytes == point.package_bytes
        return release.parameters == point.parameters and are_close and are_equal
    return _shape(release) == _shape(point)


def _shape(point: StudyPoint) -> tuple[int, int, int, float]:
    return point.parameters, point.heads, point.hidden, round(point.sparsity, 4)


def _fill(point: StudyPoint, other: StudyPoint) -> StudyPoint:
    """Returns the point of a release with what only the other record of it says."""
    return replace(
        point,
        share=point.share or other.share,
        package_bytes=point.package_bytes or other.package_bytes,
        metrics=(*point.metrics, *_further(point.metrics, other.metrics)),
        speed=point.speed or other.speed,
        agreement_db=other.agreement_db if point.agreement_db is None else point.agreement_db,
    )


def _further(metrics: Sequence[Metric], others: Sequence[Metric]) -> list[Metric]:
    known = {(metric.dataset, metric.channels) for metric in metrics}
    return [metric for metric in others if (metric.dataset, metric.channels) not in known]


def _qkv_weights(spec: SwinIRSpec, heads: int) -> int:
    """Returns the weights of one block's queries, keys and values."""
    return 3 * spec.embed_dim * heads * spec.head_dim
