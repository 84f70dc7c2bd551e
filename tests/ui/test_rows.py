from dataclasses import replace

from sr_core.image.header import Header
from tests.ui.studio import FakeFiles, Loader, family, release, studio, zoo
from ui import text
from ui.settings import Settings
from ui.studio import Studio
from ui.tabs.rows import model_groups, time_note
from zoo.manifest import Manifest
from zoo.release import FileRecord

PHOTO = Header(
    format="jpeg",
    height=48,
    width=72,
    bit_depth=8,
    channels=3,
    has_alpha=False,
    size_bytes=1000,
    kind="JPEG",
    samples="8 bit",
)


def test_the_note_says_that_times_are_being_measured_while_none_is_known() -> None:
    one = studio(models=Manifest(releases=(release(2, seconds=None), release(4, seconds=None))))
    assert time_note(one, None) == text.ESTIMATE_NONE
    assert time_note(one, PHOTO) == text.ESTIMATE_MEASURING
    assert [row.seconds for group in model_groups(one, PHOTO) for row in group.rows] == [None, None]
    one.speeds.record(one.manifest.default, 48, 72, 1.0)
    assert time_note(one, PHOTO) == text.ESTIMATE_MEASURING
    one.speeds.record(one.manifest.releases[1], 48, 72, 1.0)
    assert time_note(one, PHOTO) == text.ESTIMATE_HELP


def test_the_note_names_the_machine_that_the_times_are_of() -> None:
    assert "another machine" in time_note(studio(), PHOTO)


def test_a_family_begins_with_its_recommended_variant_and_the_others_have_short_names() -> None:
    light, quick = model_groups(studio(models=family()), None)
    assert (light.heading, light.rows[0].label) == ("SwinIR light ×2", "SwinIR light ×2")
    assert [row.short for row in light.rows[1:4]] == ["int8", "6-bit palette", "1 head fewer"]
    assert [row.id for group in (light, quick) for row in group.rows] == [one.id for one in family().releases]


def test_one_family_at_two_scales_is_two_groups() -> None:
    assert [group.heading for group in model_groups(studio(), None)] == ["Fake ×2", "Fake ×4"]


def test_networks_of_one_shape_share_a_speed() -> None:
    one = studio(models=family())
    one.speeds.record(one.manifest.default, 48, 72, 7.0)
    light, quick = model_groups(one, PHOTO)
    times = {row.short: row.seconds for row in light.rows}
    assert times["int8"] == times["30 % zeros"] == light.rows[0].seconds == 7.0
    assert times["1 head fewer"] != 7.0
    assert quick.rows[0].seconds != 7.0


def test_the_note_tells_what_is_being_measured_from_what_is_not_here_yet() -> None:
    class Elsewhere(FakeFiles):
        def is_here(self, file: FileRecord) -> bool:
            return False

    away = Studio.open(Settings(), replace(zoo(family()), files=Elsewhere()), Loader().load)
    assert "once a model has been fetched, until then on another machine" in time_note(away, PHOTO)
    assert "is being measured" in time_note(studio(models=family()), PHOTO)
