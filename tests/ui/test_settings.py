from pathlib import Path

import pytest

from sr_core.errors import OptionError
from sr_core.image.sandbox import Confines
from ui.settings import Access, Settings, Voting
from zoo.hub import HubSource


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environment({"HOME": "/root"}) == Settings()


def test_the_default_takes_the_files_of_48_megapixel_cameras_and_confines_their_readers() -> None:
    settings = Settings()
    assert settings.limits.max_file_bytes == 128 << 20
    assert settings.limits.max_pixels >= 48_000_000
    assert settings.confines == Confines(memory_bytes=3 << 30, read_seconds=90, write_seconds=900, at_once=2)


def test_every_setting_is_read() -> None:
    settings = Settings.from_environment(
        {
            "PSR_MAX_UPLOAD_MIB": "5",
            "PSR_MAX_MEGAPIXELS": "6",
            "PSR_MAX_SIDE": "700",
            "PSR_MAX_RESULT_MEGAPIXELS": "8",
            "PSR_MAX_JOB_SECONDS": "90",
            "PSR_MAX_MEMORY_MIB": "100",
            "PSR_WORKER_MIB": "300",
            "PSR_READ_SECONDS": "15",
            "PSR_WRITE_SECONDS": "16",
            "PSR_WORKERS": "3",
            "PSR_KEEP_MIB": "14",
            "PSR_QUEUE_LENGTH": "10",
            "PSR_MODEL_CACHE_MIB": "11",
            "PSR_KEEP_MINUTES": "12",
            "PSR_THREADS": "13",
            "PSR_HOST": "0.0.0.0",  # noqa: S104
            "PSR_PORT": "8080",
            "PSR_MANIFEST": "/zoo/manifest.json",
            "ZOO_REPO": "owner/light",
            "ZOO_REVISION": "0123456789abcdef0123456789abcdef01234567",
            "HF_TOKEN": "hf_secret",
        }
    )
    assert settings.limits.max_file_bytes == 5 << 20
    assert (settings.limits.max_pixels, settings.limits.max_side) == (6_000_000, 700)
    assert (settings.max_result_pixels, settings.max_job_seconds, settings.queue_length) == (8_000_000, 90, 10)
    assert (settings.model_cache_bytes, settings.keep_seconds, settings.threads) == (11 << 20, 720, 13)
    assert (settings.max_job_bytes, settings.kept_bytes, settings.gone_seconds) == (100 << 20, 14 << 20, 1020)
    assert settings.confines == Confines(memory_bytes=300 << 20, read_seconds=15, write_seconds=16, at_once=3)
    assert settings.manifest == Path("/zoo/manifest.json")
    assert (settings.host, settings.port) == ("0.0.0.0", 8080)  # noqa: S104
    assert settings.hub == HubSource(
        repo="owner/light",
        revision="0123456789abcdef0123456789abcdef01234567",
        token="hf_secret",  # noqa: S106
    )
    assert "hf_secret" not in repr(settings)


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


def test_the_hub_is_asked_for_its_main_branch_and_not_without_a_repository() -> None:
    settings = Settings.from_environment({"ZOO_REPO": "owner/light", "ZOO_REVISION": " ", "HF_TOKEN": ""})
    assert settings.hub == HubSource(repo="owner/light", revision="main", token=None)
    assert Settings.from_environment({"ZOO_REPO": "", "HF_TOKEN": "hf_secret"}).hub is None


@pytest.mark.parametrize("repo", ["light", "owner/light/x", "https://hub/owner/light", "owner/..", "owner/li ght"])
def test_what_names_no_repository_is_refused(repo: str) -> None:
    with pytest.raises(OptionError, match=r"ZOO_REPO is wrong: .* such as owner/name"):
        Settings.from_environment({"ZOO_REPO": repo})


def test_a_revision_of_nothing_is_refused() -> None:
    with pytest.raises(OptionError, match="ZOO_REVISION is given without ZOO_REPO"):
        Settings.from_environment({"ZOO_REVISION": "main"})


def test_votes_stay_here_unless_told_otherwise() -> None:
    voting = Settings().voting
    assert (voting.folder, voting.repo, voting.database) == (Path("votes"), None, None)
    assert (voting.per_day, voting.per_client) == (60, 120)
    assert Settings.from_environment({"VOTES_REPO": " ", "VOTES_DB_URL": "", "PSR_VOTES_SECRET": ""}).voting == voting


def test_the_settings_of_votes_are_read_and_what_is_secret_is_not_printed() -> None:
    settings = Settings.from_environment(
        {
            "PSR_VOTES_DIR": "/data/votes",
            "VOTES_REPO": "owner/votes",
            "HF_TOKEN": "hf_hidden",
            "VOTES_DB_URL": "postgresql://app:pass-word@db.example/votes",
            "PSR_VOTES_SECRET": "0123456789abcdef",
            "PSR_VOTES_REPLICAS": "3",
            "PSR_VOTES_PER_DAY": "20",
            "PSR_VOTES_PER_CLIENT": "900",
        }
    )
    assert settings.voting == Voting(
        folder=Path("/data/votes"),
        folder_lasts=True,
        repo="owner/votes",
        token="hf_hidden",  # noqa: S106
        database="postgresql://app:pass-word@db.example/votes",
        secret="0123456789abcdef",  # noqa: S106
        replicas=3,
        per_day=20,
        per_client=900,
    )
    assert not any(word in repr(settings) for word in ("hf_hidden", "pass-word", "0123456789abcdef"))


@pytest.mark.parametrize("repo", ["votes", "owner/votes/x", "https://hub/owner/votes"])
def test_what_names_no_dataset_is_refused(repo: str) -> None:
    with pytest.raises(OptionError, match=r"VOTES_REPO is wrong: .* such as owner/name"):
        Settings.from_environment({"VOTES_REPO": repo})


def test_a_short_secret_is_refused_and_not_repeated() -> None:
    with pytest.raises(OptionError, match="PSR_VOTES_SECRET is too short") as caught:
        Settings.from_environment({"PSR_VOTES_SECRET": "tooshort1234567"})
    assert "tooshort" not in str(caught.value)


def test_replicas_must_share_a_secret() -> None:
    with pytest.raises(OptionError, match="the same PSR_VOTES_SECRET"):
        Settings.from_environment({"PSR_VOTES_REPLICAS": "2"})


def test_a_space_has_one_proxy_unless_told_otherwise() -> None:
    assert Settings.from_environment({}).access == Access(trusted_hops=0)
    assert Settings.from_environment({"SPACE_ID": "owner/space"}).access == Access(trusted_hops=1)
    assert Settings.from_environment({"SPACE_ID": "owner/space", "PSR_TRUSTED_HOPS": "2"}).access.trusted_hops == 2


def test_origins_are_read_as_browsers_write_them() -> None:
    settings = Settings.from_environment({"PSR_ORIGINS": "https://Paper.example/, http://localhost:8000 ,"})
    assert settings.access.origins == ("https://paper.example", "http://localhost:8000")


@pytest.mark.parametrize(
    "text", ["*", "paper.example", "null", "https://a.example/page", "ftp://a.example", "https://"]
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"PSR_ORIGINS names .* no origin such as"):
        Settings.from_environment({"PSR_ORIGINS": text})
