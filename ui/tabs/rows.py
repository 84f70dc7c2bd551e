"""The model table's rows for a photo, from the manifest and from what was measured; what a model is compared with."""

from sr_core.image.header import Header
from sr_core.image.picture import Picture
from ui import text
from ui.studio import Studio
from ui.widgets.models import ModelGroup, ModelRow
from zoo.release import Release

__all__ = ["compare_choices", "families", "model_groups", "time_note"]


def families(releases: tuple[Release, ...]) -> tuple[tuple[Release, ...], ...]:
    """Returns the releases by family and scale, in their order; the first of each is the recommended one."""
    found: dict[tuple[str, int], list[Release]] = {}
    for release in releases:
        found.setdefault((release.variant.family, release.variant.spec.scale), []).append(release)
    return tuple(tuple(family) for family in found.values())


def model_groups(studio: Studio, photo: Header | Picture | None) -> tuple[ModelGroup, ...]:
    """Returns the rows of each family, with the estimated time when there is a photo."""
    return tuple(
        ModelGroup(heading=family[0].label, rows=tuple(_row(studio, one, family[0], photo) for one in family))
        for family in families(studio.manifest.releases)
    )


def time_note(studio: Studio, photo: Header | Picture | None) -> str:
    """Returns the sentence that says where the times come from."""
    if photo is None:
        return text.ESTIMATE_NONE
    unmeasured = [release for release in studio.manifest.releases if studio.speeds.of(release) is None]
    if not unmeasured:
        return text.ESTIMATE_HELP
    machines = [release.speed.machine for release in unmeasured if release.speed is not None]
    if not machines:
        return text.ESTIMATE_MEASURING
    is_coming = any(studio.zoo.files.is_here(release.weights) for release in unmeasured)
    return (text.ESTIMATE_ELSEWHERE if is_coming else text.ESTIMATE_FETCHED_LATER).format(machine=machines[0])


def compare_choices(studio: Studio, model_id: str) -> list[tuple[str, str]]:
    """Returns what a model's picture can be compared with, as label and value: bicubic, and variants of its scale."""
    scale = studio.manifest.release(model_id).variant.spec.scale
    others = [one for one in studio.manifest.releases if one.id != model_id and one.variant.spec.scale == scale]
    return [(text.BICUBIC_CHOICE, text.BICUBIC), *((one.label, one.id) for one in others)]


def _row(studio: Studio, release: Release, first: Release, photo: Header | Picture | None) -> ModelRow:
    score = release.metric("Set5")
    return ModelRow(
        id=release.id,
        label=release.label,
        short=_short(release.label, first.label),
        parameters=release.parameters,
        size_bytes=release.size_bytes,
        psnr_db=None if score is None else score.psnr_db,
        seconds=None if photo is None else studio.speeds.seconds(release, photo.height, photo.width),
        recommended_for=release.recommended_for,
    )


def _short(label: str, family: str) -> str:
    """Returns what a label says beyond that of its family."""
    return label.removeprefix(f"{family}, ")
