from typing import get_args

from sr_core.image.extensions import EXTENSIONS, PHOTO_EXTENSIONS, RAW_EXTENSIONS
from sr_core.image.picture import PhotoFormat


def test_every_family_has_extensions_and_none_belongs_to_two() -> None:
    assert set(EXTENSIONS) == set(get_args(PhotoFormat))
    assert len(set(PHOTO_EXTENSIONS)) == len(PHOTO_EXTENSIONS)
    assert all(name == name.lower() and name.startswith(".") for name in PHOTO_EXTENSIONS)


def test_results_have_the_names_that_every_system_knows() -> None:
    assert [names[0] for names in EXTENSIONS.values()] == [".jpg", ".png", ".webp", ".heic", ".avif", ".tif", ".dng"]


def test_what_cameras_write_can_be_chosen() -> None:
    for name in (".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw", ".kdc", ".crw", ".x3f"):
        assert name in RAW_EXTENSIONS
    assert {".heif", ".hif", ".jfif", ".tiff"} < set(PHOTO_EXTENSIONS)
