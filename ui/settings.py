"""What can be set about the app from outside, read once from the environment."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from sr_core.errors import OptionError
from sr_core.image.header import Limits
from sr_core.image.sandbox import Confines
from zoo.hub import HubSource
from zoo.manifest import MANIFEST_PATH

__all__ = ["SWEEP_SECONDS", "Access", "Settings", "Voting"]

SWEEP_SECONDS: Final = 300
"""How often files that are old enough are deleted."""

_SHORTEST_SECRET: Final = 16
_MIB: Final = 1 << 20
_MEGAPIXEL: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Voting:
    """Where votes are kept, and how many a rater may give.

    Attributes:
        folder: Folder on a local disk for votes that are not elsewhere yet, and for the secret when none is given:
            ``PSR_VOTES_DIR``.
        folder_lasts: Whether the folder outlives a restart, to which its owner gives their word by naming one.
        repo: Dataset on the Hub where votes are kept for good, or None: ``VOTES_REPO``, written with ``HF_TOKEN``.
        token: What grants access to it, or None for what the client finds itself.
        database: Address of a database for votes in place of a file in the folder, or None: ``VOTES_DB_URL``.
        secret: What ballots and the words for raters are made with, the same for all replicas and after each start;
            None for one that is made once and kept in the folder: ``PSR_VOTES_SECRET``.
        replicas: How many processes of the app share the repository and its quota: ``PSR_VOTES_REPLICAS``.
        per_day: Votes of one rater on one day: ``PSR_VOTES_PER_DAY``.
        per_client: Votes of all raters behind one address on one day: ``PSR_VOTES_PER_CLIENT``.
    """

    folder: Path = Path("votes")
    folder_lasts: bool = False
    repo: str | None = None
    token: str | None = field(default=None, repr=False)
    database: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    replicas: int = 1
    per_day: int = 60
    per_client: int = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may ask, and how those who ask are told apart.

    Attributes:
        trusted_hops: How many proxies stand before the app, each of which adds the address that it was asked from to
            ``X-Forwarded-For``; 1 on a Space, otherwise 0: ``PSR_TRUSTED_HOPS``.
        origins: Other sites whose pages may ask, such as ``https://example.org``: ``PSR_ORIGINS``, with commas.
    """

    trusted_hops: int = 0
    origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The app's settings; each one is an environment variable of the same meaning.

    Attributes:
        limits: The largest photo taken in: ``PSR_MAX_UPLOAD_MIB``, ``PSR_MAX_MEGAPIXELS``, ``PSR_MAX_SIDE``.
        max_result_pixels: The largest result: ``PSR_MAX_RESULT_MEGAPIXELS``.
        max_job_seconds: The longest job, refused by its estimate and stopped by the clock: ``PSR_MAX_JOB_SECONDS``.
        max_job_bytes: The most memory that a job may take at its peak, by its estimate, without the weights and what
            reads and writes files. Large pictures lie in temporary files, so 50 megapixels at scale 2 take 0.6 GiB,
            and 1.5 GiB of disk for 8 bits a sample: ``PSR_MAX_MEMORY_MIB``.
        confines: What a process may take that reads or writes one photo, and how many there are at a time:
            ``PSR_WORKER_MIB``, ``PSR_READ_SECONDS``, ``PSR_WRITE_SECONDS``, ``PSR_WORKERS``.
        queue_length: Jobs that may wait: ``PSR_QUEUE_LENGTH``.
        model_cache_bytes: Weights kept in memory: ``PSR_MODEL_CACHE_MIB``.
        kept_bytes: Decoded photos and results kept on disk to look at again, of all visitors: ``PSR_KEEP_MIB``.
        keep_seconds: How long photos and results stay on the server, until the next sweep: ``PSR_KEEP_MINUTES``.
        threads: Processor threads, or None for torch's own choice: ``PSR_THREADS``.
        manifest: The models on offer; their weights are in ``builtin`` beside it: ``PSR_MANIFEST``.
        hub: The Hub repository whose models are offered in their place, or None: ``ZOO_REPO``, at the commit
            ``ZOO_REVISION`` (a branch or tag is resolved once at start; ``main`` by default), read with ``HF_TOKEN``.
        voting: Where votes are kept, and how many a rater may give.
        access: Who may ask, and how those who ask are told apart.
        host: Address to listen on, or None for Gradio's own choice (``GRADIO_SERVER_NAME``): ``PSR_HOST``.
        port: Port, or None for Gradio's own choice (``GRADIO_SERVER_PORT``): ``PSR_PORT``.
    """

    limits: Limits = field(default_factory=lambda: Limits(max_file_bytes=128 * _MIB, max_pixels=50 * _MEGAPIXEL))
    max_result_pixels: int = 200 * _MEGAPIXEL
    max_job_seconds: int = 3600
    max_job_bytes: int = 4096 * _MIB
    confines: Confines = field(default_factory=Confines)
    queue_length: int = 16
    model_cache_bytes: int = 512 * _MIB
    kept_bytes: int = 2048 * _MIB
    keep_seconds: int = 3600
    threads: int | None = None
    manifest: Path = MANIFEST_PATH
    hub: HubSource | None = None
    voting: Voting = field(default_factory=Voting)
    access: Access = field(default_factory=Access)
    host: str | None = None
    port: int | None = None

    @property
    def gone_seconds(self) -> int:
        """After how long nothing of a photo is left on the server."""
        return self.keep_seconds + SWEEP_SECONDS

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Returns the settings of an environment; what it does not name keeps its default.

        Raises:
            OptionError: A variable of the app is unknown, its value is not a whole number in its range, or it needs
                another one.
        """
        # names of other software begin with ZOO_ too, so only the app's own prefix can be checked for slips
        unknown = sorted(name for name in environment if name.startswith("PSR_") and name not in _FIELDS)
        if unknown:
            raise OptionError(f"The setting {unknown[0]} is not known; the settings are {', '.join(_FIELDS)}.")
        given = {name: _FIELDS[name](name, text.strip()) for name, text in environment.items() if name in _FIELDS}
        whole = {name: value for name, value in given.items() if isinstance(value, int)}
        default = cls()
        limits = Limits(
            max_file_bytes=whole.get("PSR_MAX_UPLOAD_MIB", default.limits.max_file_bytes // _MIB) * _MIB,
            max_pixels=whole.get("PSR_MAX_MEGAPIXELS", default.limits.max_pixels // _MEGAPIXEL) * _MEGAPIXEL,
            max_side=whole.get("PSR_MAX_SIDE", default.limits.max_side),
        )
        confines = Confines(
            memory_bytes=whole.get("PSR_WORKER_MIB", default.confines.memory_bytes // _MIB) * _MIB,
            read_seconds=whole.get("PSR_READ_SECONDS", default.confines.read_seconds),
            write_seconds=whole.get("PSR_WRITE_SECONDS", default.confines.write_seconds),
            at_once=whole.get("PSR_WORKERS", default.confines.at_once),
        )
        return cls(
            limits=limits,
            confines=confines,
            max_result_pixels=whole.get("PSR_MAX_RESULT_MEGAPIXELS", default.max_result_pixels // _MEGAPIXEL)
            * _MEGAPIXEL,
            max_job_seconds=whole.get("PSR_MAX_JOB_SECONDS", default.max_job_seconds),
            max_job_bytes=whole.get("PSR_MAX_MEMORY_MIB", default.max_job_bytes // _MIB) * _MIB,
            queue_length=whole.get("PSR_QUEUE_LENGTH", default.queue_length),
            model_cache_bytes=whole.get("PSR_MODEL_CACHE_MIB", default.model_cache_bytes // _MIB) * _MIB,
            kept_bytes=whole.get("PSR_KEEP_MIB", default.kept_bytes // _MIB) * _MIB,
            keep_seconds=whole.get("PSR_KEEP_MINUTES", default.keep_seconds // 60) * 60,
            threads=whole.get("PSR_THREADS"),
            manifest=default.manifest if "PSR_MANIFEST" not in given else Path(str(given["PSR_MANIFEST"])),
            hub=_hub(environment),
            voting=_voting(environment, given),
            access=_access(environment, given),
            host=None if "PSR_HOST" not in given else str(given["PSR_HOST"]),
            port=whole.get("PSR_PORT"),
        )


def _hub(environment: Mapping[str, str]) -> HubSource | None:
    """Returns the Hub repository that the environment names; what is set but empty counts as not set."""
    repo, revision, token = (environment.get(name, "").strip() for name in ("ZOO_REPO", "ZOO_REVISION", "HF_TOKEN"))
    if not repo:
        if revision:
            raise OptionError("The setting ZOO_REVISION is given without ZOO_REPO; please give both or neither.")
        return None
    try:
        return HubSource(repo=repo, revision=revision or "main", token=token or None)
    except OptionError as error:
        raise OptionError(f"The setting ZOO_REPO is wrong: {error}") from error


def _voting(environment: Mapping[str, str], given: Mapping[str, int | str]) -> Voting:
    """Returns where the environment wants votes to be kept; what is set but empty counts as not set."""
    names = ("VOTES_REPO", "HF_TOKEN", "VOTES_DB_URL", "PSR_VOTES_SECRET")
    repo, token, database, secret = (environment.get(name, "").strip() or None for name in names)
    if repo is not None:
        try:
            HubSource(repo=repo)
        except OptionError as error:
            raise OptionError(f"The setting VOTES_REPO is wrong: {error}") from error
    if secret is not None and len(secret) < _SHORTEST_SECRET:
        raise OptionError(
            f"The setting PSR_VOTES_SECRET is too short; please give at least {_SHORTEST_SECRET} random characters."
        )
    default = Voting()
    replicas = int(given.get("PSR_VOTES_REPLICAS", default.replicas))
    if replicas > 1 and secret is None:
        raise OptionError(
            "With PSR_VOTES_REPLICAS above 1 each replica must know the ballots of the others; "
            "please give all of them the same PSR_VOTES_SECRET."
        )
    return Voting(
        folder=Path(str(given.get("PSR_VOTES_DIR", default.folder))),
        folder_lasts="PSR_VOTES_DIR" in given,
        repo=repo,
        token=token,
        database=database,
        secret=secret,
        replicas=replicas,
        per_day=int(given.get("PSR_VOTES_PER_DAY", default.per_day)),
        per_client=int(given.get("PSR_VOTES_PER_CLIENT", default.per_client)),
    )


def _access(environment: Mapping[str, str], given: Mapping[str, int | str]) -> Access:
    """Returns who may ask; a Space (which sets ``SPACE_ID``) has one proxy before it."""
    hops = int(given.get("PSR_TRUSTED_HOPS", 1 if environment.get("SPACE_ID") else 0))
    return Access(trusted_hops=hops, origins=tuple(str(given.get("PSR_ORIGINS", "")).split()))


def _origins(name: str, text: str) -> str:
    """Returns origins as browsers write them, with spaces between them."""
    origins = [origin.strip().rstrip("/").lower() for origin in text.split(",") if origin.strip()]
    for origin in origins:
        if not re.fullmatch(r"https?://(\[[0-9a-f:]+\]|[a-z0-9.-]+)(:\d{1,5})?", origin):
            raise OptionError(f"The setting {name} names {origin!r}, which is no origin such as https://example.org.")
    return " ".join(origins)


def _anything(name: str, text: str) -> str:  # noqa: ARG001  as the other parsers
    """Returns a text that is looked at elsewhere."""
    return text


def _whole(low: int, high: int) -> Callable[[str, str], int]:
    """Returns a parser of whole numbers from ``low`` to ``high``."""

    def parse(name: str, text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise OptionError(f"The setting {name} is {text!r}; it must be a whole number from {low} to {high}.")
        return value

    return parse


def _words(name: str, text: str) -> str:
    """Returns an address or a path, which is anything but nothing."""
    if not text:
        raise OptionError(f"The setting {name} is empty; please leave it out or give it a value.")
    return text


_FIELDS: Mapping[str, Callable[[str, str], int | str]] = MappingProxyType(
    {
        "PSR_MAX_UPLOAD_MIB": _whole(1, 1024),
        "PSR_MAX_MEGAPIXELS": _whole(1, 1000),
        "PSR_MAX_SIDE": _whole(16, 65535),
        "PSR_MAX_RESULT_MEGAPIXELS": _whole(1, 4000),
        "PSR_MAX_JOB_SECONDS": _whole(10, 86400),
        "PSR_MAX_MEMORY_MIB": _whole(64, 1_048_576),
        "PSR_WORKER_MIB": _whole(256, 1_048_576),
        "PSR_READ_SECONDS": _whole(1, 3600),
        "PSR_WRITE_SECONDS": _whole(1, 86400),
        "PSR_WORKERS": _whole(1, 64),
        "PSR_QUEUE_LENGTH": _whole(1, 1000),
        "PSR_MODEL_CACHE_MIB": _whole(1, 65536),
        "PSR_KEEP_MIB": _whole(1, 1_048_576),
        "PSR_KEEP_MINUTES": _whole(5, 1440),
        "PSR_THREADS": _whole(1, 256),
        "PSR_MANIFEST": _words,
        "PSR_VOTES_DIR": _words,
        "PSR_VOTES_SECRET": _anything,
        "PSR_VOTES_REPLICAS": _whole(1, 100),
        "PSR_VOTES_PER_DAY": _whole(1, 10_000),
        "PSR_VOTES_PER_CLIENT": _whole(1, 1_000_000),
        "PSR_TRUSTED_HOPS": _whole(0, 10),
        "PSR_ORIGINS": _origins,
        "PSR_HOST": _words,
        "PSR_PORT": _whole(1, 65535),
    }
)
