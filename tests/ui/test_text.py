import pytest

from ui.text import count_text, duration_text, megapixels_text, size_text, tiles_text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 s"),
        (0.4, "1 s"),
        (3.4, "3 s"),
        (41, "40 s"),
        (54.9, "55 s"),
        (58, "1 min"),
        (150, "2 min"),
        (7200, "2.0 h"),
    ],
)
def test_durations_are_coarser_where_they_are_longer(seconds: float, words: str) -> None:
    assert duration_text(seconds) == words


def test_sizes_and_counts_have_units() -> None:
    assert (size_text(10), size_text(48_000), size_text(1_830_000)) == ("1 kB", "48 kB", "1.8 MB")
    assert (count_text(900), count_text(910_152)) == ("1 k", "0.91 M")
    assert (megapixels_text(106_400), megapixels_text(12_192_768)) == ("0.11 MP", "12.2 MP")
    assert (tiles_text(1), tiles_text(12)) == ("1 tile", "12 tiles")
