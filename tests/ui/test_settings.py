from pathlib import Path

import pytest

from sr_core.errors import OptionError
from ui.settings import Settings


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environment({"HOME": "/root"}) == Settings()


def test_every_setting_is_read() -> None:
    settings = Settings.from_environment(
        {
            "PSR_MAX_UPLOAD_MIB": "5",
            "PSR_MAX_MEGAPIXELS": "6",
            "PSR_MAX_SIDE": "700",
            "PSR_MAX_RESULT_MEGAPIXELS": "8",
            "PSR_MAX_JOB_SECONDS": "90",
            "PSR_MAX_MEMORY_MIB": "100",
            "PSR_KEEP_MIB": "14",
            "PSR_QUEUE_LENGTH": "10",
            "PSR_MODEL_CACHE_MIB": "11",
            "PSR_KEEP_MINUTES": "12",
            "PSR_THREADS": "13",
            "PSR_HOST": "0.0.0.0",  # noqa: S104
            "PSR_PORT": "8080",
            "PSR_MANIFEST": "/zoo/manifest.json",
        }
    )
    assert settings.limits.max_file_bytes == 5 << 20
    assert (settings.limits.max_pixels, settings.limits.max_side) == (6_000_000, 700)
    assert (settings.max_result_pixels, settings.max_job_seconds, settings.queue_length) == (8_000_000, 90, 10)
    assert (settings.model_cache_bytes, settings.keep_seconds, settings.threads) == (11 << 20, 720, 13)
    assert (settings.max_job_bytes, settings.kept_bytes, settings.gone_seconds) == (100 << 20, 14 << 20, 1020)
    assert settings.manifest == Path("/zoo/manifest.json")
    assert (settings.host, settings.port) == ("0.0.0.0", 8080)  # noqa: S104


@pytest.mark.parametrize("text", ["many", "", "0", "-1", "1.5", "70000"])
def test_a_bad_value_is_said_in_a_sentence(text: str) -> None:
    with pytest.raises(OptionError, match=r"PSR_PORT is '.*'; it must be a whole number from 1 to 65535"):
        Settings.from_environment({"PSR_PORT": text})


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(OptionError, match="PSR_PROT is not known"):
        Settings.from_environment({"PSR_PROT": "1"})


def test_an_empty_host_is_refused() -> None:
    with pytest.raises(OptionError, match="PSR_HOST is empty"):
        Settings.from_environment({"PSR_HOST": " "})
