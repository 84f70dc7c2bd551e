"""The model table's rows for a photo, from the manifest and from what was measured."""

from sr_core.image.header import Header
from sr_core.image.picture import Picture
from ui import text
from ui.studio import Studio
from ui.widgets.models import ModelRow

__all__ = ["model_rows", "time_note"]


def model_rows(studio: Studio, photo: Header | Picture | None) -> tuple[ModelRow, ...]:
    """Returns a row for each release, with the estimated time when there is a photo."""
    rows: list[ModelRow] = []
    for release in studio.manifest.releases:
        score = release.metric("Set5")
        seconds = None if photo is None else studio.speeds.seconds(release, photo.height, photo.width)
        rows.append(
            ModelRow(
                id=release.id,
                label=release.label,
                parameters=release.parameters,
                size_bytes=release.size_bytes,
                psnr_db=None if score is None else score.psnr_db,
                seconds=seconds,
                recommended_for=release.recommended_for,
            )
        )
    return tuple(rows)


def time_note(studio: Studio, photo: Header | Picture | None) -> str:
    """Returns the sentence that says where the times come from."""
    if photo is None:
        return text.ESTIMATE_NONE
    unmeasured = [release for release in studio.manifest.releases if studio.speeds.of(release) is None]
    for release in unmeasured:
        if release.speed is not None:
            return text.ESTIMATE_ELSEWHERE.format(machine=release.speed.machine)
    return text.ESTIMATE_MEASURING if unmeasured else text.ESTIMATE_HELP
