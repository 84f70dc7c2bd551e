"""A short run of :mod:`tests.mutations`; ``python -m tests.mutations --count 100000`` is the long one."""

import random

import pytest

from sr_core.image.sandbox import Sandbox
from tests.mutations import CONFINES, TOO_LONG, Tally, mutated, seeds, survive

COUNT = 1500


@pytest.mark.slow
def test_damaged_photos_of_every_family_get_an_answer(tmp_path):
    for name in ("seeds", "work"):
        (tmp_path / name).mkdir()
    sound, random_, tally = seeds(tmp_path / "seeds"), random.Random(4), Tally()
    with Sandbox(CONFINES) as sandbox:
        survive(sandbox, iter(sound.items()), tmp_path / "work", tally)
        refused = [answer for answer in tally.answers if "picture" not in answer]
        assert set(refused) <= {"png: PhotoTooLargeError", "heic: UnreadablePhotoError"}  # the bomb, a broken sample
        host = sandbox._host.process.pid
        photos = (
            (name, mutated(sound[name], list(sound.values()), random_))
            for name in random_.choices(list(sound), k=COUNT)
        )
        survive(sandbox, photos, tmp_path / "work", tally)
        assert sandbox._host.process.pid == host
    assert tally.foreign == []
    assert not [answer for answer in tally.answers if TOO_LONG in answer]
    assert sum(tally.answers.values()) == COUNT + len(sound)
    assert tally.longest_seconds < CONFINES.read_seconds
    families = {key.partition(":")[0] for key in tally.answers}
    assert families >= {"jpeg", "png", "webp", "heic", "avif", "tiff", "dng"}
