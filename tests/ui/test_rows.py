from sr_core.image.header import Header
from tests.ui.studio import release, studio
from ui import text
from ui.tabs.rows import model_rows, time_note
from zoo.manifest import Manifest

PHOTO = Header(format="jpeg", height=48, width=72, bit_depth=8, channels=3, has_alpha=False, size_bytes=1000)


def test_the_note_says_that_times_are_being_measured_while_none_is_known() -> None:
    one = studio(models=Manifest(releases=(release(2, seconds=None), release(4, seconds=None))))
    assert time_note(one, None) == text.ESTIMATE_NONE
    assert time_note(one, PHOTO) == text.ESTIMATE_MEASURING
    assert [row.seconds for row in model_rows(one, PHOTO)] == [None, None]
    one.speeds.record(one.manifest.default, 48, 72, 1.0)
    assert time_note(one, PHOTO) == text.ESTIMATE_MEASURING
    one.speeds.record(one.manifest.releases[1], 48, 72, 1.0)
    assert time_note(one, PHOTO) == text.ESTIMATE_HELP


def test_the_note_names_the_machine_that_the_times_are_of() -> None:
    assert "another machine" in time_note(studio(), PHOTO)
