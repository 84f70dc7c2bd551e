"""What is asked of the app before Gradio or the ratings see it: how much, how often, and from which site.

Gradio limits single uploaded files and lets pages of any site ask it; what comes as JSON has no limit there. One
middleware stands before everything: it answers 413 to a body that is too long, whether its length is announced or not;
429 to a client that asks too often; and 403 to the page of a foreign site. A client is known by a word that is made
from its address with a key that the process forgets; nothing of it is stored or logged.
"""

import hmac
import ipaddress
import json
import math
import os
import re
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui import text
from ui.settings import Access

__all__ = ["BODY_BYTES", "RATES", "Asked", "Clients", "Gate", "Rate"]

BODY_BYTES: Final = 1 << 20
"""The longest body of a request that is no upload."""
_MIB: Final = 1 << 20
_FREE_BYTES: Final = 512 << 20
"""No upload may fill the disk further, because votes and results need it too."""
_FORM_BYTES: Final = 1 << 16
"""What an upload may have besides the file: names and boundaries of its form."""

Asked: TypeAlias = Literal["page", "event", "upload", "picture", "vote", "votes", "rater"]
"""What is asked for: parts of the page and of results, an event of Gradio, an upload; a picture of a trial, the JSON
routes of the ratings, the file of all votes, and the first trial of a rater."""


class Rate(NamedTuple):
    """How often one client may ask: so many times at once, and so many times a second after that; uploads in MiB."""

    burst: float
    per_second: float


RATES: Final[Mapping[Asked, Rate]] = MappingProxyType(
    {
        "page": Rate(6000, 200),
        "event": Rate(300, 15),
        "upload": Rate(1024, 1),
        "picture": Rate(300, 40),
        "vote": Rate(400, 50),
        "votes": Rate(10, 0.1),
        # Each new rater may look at two trials without an answer, so few may begin; but the thirty of a class begin
        # together. What one address can do in a day is bounded by the votes that its raters may give together.
        "rater": Rate(30, 12 / 3600),
    }
)
"""Enough for a class of thirty behind one address, who open the page and vote at the same time."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PORTS: Final = {"http": 80, "https": 443}


class Clients:
    """Who asks, by words that tell nothing; and how often each of them did.

    Args:
        trusted_hops: How many proxies before the app add to ``X-Forwarded-For``.
        rates: How often one client may ask.
        clock: Seconds from any start.
        most: How many counts are kept; beyond that, those that were not used for longest are forgotten.
    """

    def __init__(
        self,
        trusted_hops: int,
        rates: Mapping[Asked, Rate] = RATES,
        clock: Callable[[], float] = monotonic,
        most: int = 50_000,
    ) -> None:
        self._hops, self._rates, self._clock, self._most = trusted_hops, rates, clock, most
        self._key = os.urandom(32)
        self._left: OrderedDict[tuple[Asked, bytes], tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def word_of(self, scope: Scope) -> bytes:
        """Returns the word for who sent a request: equal for equal addresses until the process ends."""
        return hmac.digest(self._key, _network(self._address(scope)).encode(), "sha256")[:16]

    def wait_seconds(self, scope: Scope, asked: Asked, amount: float = 1) -> float:
        """Counts a request; returns 0 if it may go on, otherwise after how many seconds one like it may."""
        rate = self._rates[asked]
        amount = min(amount, rate.burst)
        key: tuple[Asked, bytes] = (asked, self.word_of(scope))
        with self._lock:
            now = self._clock()
            left, last = self._left.pop(key, (rate.burst, now))
            left = min(rate.burst, left + (now - last) * rate.per_second)
            wait = 0.0 if left >= amount else (amount - left) / rate.per_second
            self._left[key] = (left if wait else left - amount, now)
            if len(self._left) > self._most:
                self._left.popitem(last=False)
        return wait

    def _address(self, scope: Scope) -> str:
        """Returns the address that the outermost trusted proxy was asked from; what stands before may be made up."""
        peer: tuple[str, int] | None = scope.get("client")
        here = peer[0] if peer else ""
        if self._hops == 0:
            return here
        hops = [hop.strip() for line in Headers(scope=scope).getlist("x-forwarded-for") for hop in line.split(",")]
        return hops[-self._hops] if len(hops) >= self._hops else here


def _network(address: str) -> str:
    """Returns what stands for one client: an address without its port, of IPv6 the half that a provider gives out."""
    bare = re.sub(r"^\[(.*)\](:\d+)?$", r"\1", address)
    bare = bare.partition(":")[0] if bare.count(":") == 1 else bare
    try:
        parsed = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


class _TooLongError(Exception):
    """A body went beyond its limit while it was read."""


class Gate:
    """The middleware.

    Args:
        app: What answers requests that may pass.
        access: Whose pages may ask.
        max_upload_bytes: The longest file of an upload.
        clients: Who asks how often.
        uploads: Folder on the disk that uploads go to.
    """

    def __init__(
        self, app: ASGIApp, access: Access, max_upload_bytes: int, clients: Clients, uploads: Path | None = None
    ) -> None:
        self._app, self._access, self._clients = app, access, clients
        self._max_upload_bytes, self._uploads = max_upload_bytes, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request that may not pass; hands all others on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        send = _with_nosniff(send)
        asked, headers = _asked(scope["method"], scope["path"]), Headers(scope=scope)
        if scope["method"] not in _SAFE and not self._is_own(headers, asked):
            return await _refuse(send, 403, text.FOREIGN_PAGE)
        longest = self._max_upload_bytes + _FORM_BYTES if asked == "upload" else BODY_BYTES
        announced = headers.get("content-length", "0")
        is_too_long = not announced.isdecimal() or int(announced) > longest
        size_bytes = longest if is_too_long or "content-length" not in headers else int(announced)
        amount = max(size_bytes / _MIB, 1) if asked == "upload" else 1
        wait = self._clients.wait_seconds(scope, asked, amount)
        if wait:
            return await _refuse(send, 429, text.TOO_OFTEN, wait)
        if is_too_long:
            return await _refuse(send, 413, text.TOO_LONG_A_BODY)
        if asked == "upload" and self._is_full(size_bytes):
            return await _refuse(send, 507, text.DISK_FULL)
        return await self._pass(scope, receive, send, longest)

    def _is_own(self, headers: Headers, asked: Asked) -> bool:
        """Returns whether a request that changes something comes from a page of the app, or from no page at all.

        A browser says where a page is from, and scripts cannot say otherwise (``Sec-Fetch-Site``, ``Origin``). Programs
        say nothing, which is fine for Gradio's API; votes are taken from pages only.
        """
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None and origin.lower() in self._access.origins:
            return True
        if site == "cross-site":
            return False
        if origin is None:
            return site == "same-origin" or asked != "vote"
        hosts = {headers.get("host", "")}
        if self._access.trusted_hops:
            hosts.add(headers.get("x-forwarded-host", "").rpartition(",")[2].strip())
        asking, scheme = _host_of(origin), origin.partition("://")[0]
        return asking is not None and asking in {_host_of(f"{scheme}://{host}") for host in hosts}

    def _is_full(self, size_bytes: int) -> bool:
        """Returns whether the disk has no room for an upload; it is there once as it came and once as it is kept."""
        folder = self._uploads or Path(tempfile.gettempdir())
        return folder.is_dir() and shutil.disk_usage(folder).free < 2 * size_bytes + _FREE_BYTES

    async def _pass(self, scope: Scope, receive: Receive, send: Send, longest: int) -> None:
        """Hands a request on and breaks off when its body goes beyond the limit, whatever the app makes of that."""
        read, is_too_long, has_begun = 0, False, False

        async def receive_some() -> Message:
            nonlocal read, is_too_long
            message = await receive()
            read += len(message.get("body", b""))
            if read > longest:
                is_too_long = True
                raise _TooLongError
            return message

        async def send_unless_too_long(message: Message) -> None:
            nonlocal has_begun
            if not is_too_long or has_begun:
                has_begun = True
                await send(message)

        with suppress(_TooLongError):
            await self._app(scope, receive_some, send_unless_too_long)
        if is_too_long and not has_begun:
            await _refuse(send, 413, text.TOO_LONG_A_BODY)


def _asked(method: str, path: str) -> Asked:
    path = path.rstrip("/")
    if path.startswith("/ratings/"):
        if method not in _SAFE:
            return "vote"
        return "votes" if path.endswith("/votes.zip") else "picture"
    if method in _SAFE:
        return "page"
    return "upload" if path == "/gradio_api/upload" else "event"


def _host_of(origin: str) -> tuple[str, int] | None:
    """Returns the host and port of an origin, or None for what is none, such as ``null``."""
    try:
        parts = urlsplit(origin)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.hostname, port) if parts.hostname else None


def _with_nosniff(send: Send) -> Send:
    async def send_with_header(message: Message) -> None:
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            MutableHeaders(scope=message)["x-content-type-options"] = "nosniff"
        await send(message)

    return send_with_header


async def _refuse(send: Send, status: int, sentence: str, wait_seconds: float = 0.0) -> None:
    body = json.dumps({"error": sentence}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if wait_seconds:
        headers.append((b"retry-after", str(math.ceil(wait_seconds)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
