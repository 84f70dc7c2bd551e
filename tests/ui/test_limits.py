"""What the middleware lets pass: sizes, rates and origins, with a small app behind it and with the real one."""

import asyncio
import json
import shutil
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from sr_core.image.header import Limits
from tests.ui.loops import closed_event_loops
from tests.ui.studio import Loader, zoo
from ui.factory import create_app, serve
from ui.limits import BODY_BYTES, RATES, Asked, Clients, Gate, Rate
from ui.settings import Access, Settings, Voting

UPLOAD = "/gradio_api/upload"
HOST = "demo.example"


@dataclass
class Echo:
    """An app that reads a body to its end and answers with its length; what it does of errors is its own matter."""

    read: list[int] = field(default_factory=list)
    hides_errors: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length, more = 0, True
        try:
            while more:
                message = await receive()
                length, more = length + len(message["body"]), message["more_body"]
                self.read.append(length)
        except Exception:
            if not self.hides_errors:
                raise
        body = str(length).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-content-type-options", b"no")]})
        await send({"type": "http.response.body", "body": body})


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def sentence(self) -> str:
        assert self.headers["content-type"] == "application/json"
        assert int(self.headers["content-length"]) == len(self.body)
        return json.loads(self.body)["error"]


def ask(
    gate: Gate,
    path: str = "/gradio_api/queue/join",
    method: str = "POST",
    chunks: list[bytes] | None = None,
    *,
    client: str = "192.0.2.1",
    **headers: str,
) -> Answer:
    named = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "client": (client, 1234),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }
    waiting = list(chunks or [b""])
    sent: list[Message] = []

    async def receive() -> Message:
        chunk = waiting.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(gate(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    headers_back = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert headers_back["x-content-type-options"] == "nosniff"
    return Answer(sent[0]["status"], headers_back, sent[1]["body"])


def gate(app: Echo | None = None, access: Access | None = None, clients: Clients | None = None) -> Gate:
    access = access or Access()
    return Gate(app or Echo(), access, 5 * BODY_BYTES, clients or Clients(access.trusted_hops))


# -- sizes


@pytest.mark.parametrize("hides_errors", [False, True])
@pytest.mark.parametrize("announced", [True, False])
def test_a_body_may_have_one_mebibyte_and_not_a_byte_more(announced: bool, hides_errors: bool) -> None:
    for extra, status in ((0, 200), (1, 413)):
        app, chunks = Echo(hides_errors=hides_errors), [b"x" * (BODY_BYTES // 4)] * 4 + [b"y" * extra]
        length = {"content_length": str(BODY_BYTES + extra)} if announced else {}
        answer = ask(gate(app), chunks=chunks, **length)
        assert answer.status == status
        assert not app.read or max(app.read) <= BODY_BYTES
        if status == 413:
            assert "smaller file" in answer.sentence
            assert not (announced and app.read)


def test_an_upload_may_have_what_the_settings_say_all_files_together() -> None:
    files = [b"x" * BODY_BYTES] * 5
    assert ask(gate(), UPLOAD, chunks=[*files, b"form"]).status == 200
    assert ask(gate(), UPLOAD, chunks=[*files, b"x" * (BODY_BYTES // 10)]).status == 413
    assert ask(gate(), "/gradio_api/upload_progress", chunks=files).status == 413


def test_uploads_count_by_their_length_and_at_most_a_gibibyte_comes_at_once() -> None:
    now = 0.0
    clients = Clients(0, clock=lambda: now)
    one = gate(clients=clients)
    whole = {"content_length": str(5 * BODY_BYTES)}
    statuses = [ask(one, UPLOAD, **whole).status for _ in range(206)]
    assert statuses == [200] * 204 + [429] * 2  # 1024 of 5 MiB
    assert ask(one, UPLOAD, chunks=[b"x"]).status == 429, "a length that is not announced counts as the longest"
    assert ask(one, UPLOAD, content_length="100").status == 200
    now += 2
    assert [ask(one, UPLOAD, **whole).status for _ in range(2)] == [200, 429]


def test_an_upload_that_would_fill_the_disk_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    app, free = Echo(), (512 << 20) + 2 * BODY_BYTES
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(1 << 40, 0, free))
    assert ask(gate(app), UPLOAD, content_length=str(BODY_BYTES)).status == 200
    read = len(app.read)
    answer = ask(gate(app), UPLOAD, content_length=str(BODY_BYTES + 1))
    assert (answer.status, len(app.read)) == (507, read)
    assert "no room" in answer.sentence
    assert ask(gate(app), content_length="5").status == 200, "votes go on"


@pytest.mark.parametrize("length", ["-1", "1e3", "many", "٣"])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    scope_header = length.encode("utf-8").decode("latin-1")
    assert ask(gate(), content_length=scope_header).status == 413


def test_a_lying_length_does_not_help() -> None:
    assert ask(gate(), chunks=[b"x" * BODY_BYTES, b"x"], content_length="2").status == 413


# -- rates


def tight(rate: Rate, clock: Callable[[], float], most: int = 100) -> Clients:
    return Clients(0, dict.fromkeys(RATES, rate), clock, most)


def test_a_client_may_ask_so_often_at_once_and_then_so_often_a_second() -> None:
    now = 100.0
    one = gate(clients=tight(Rate(3, 0.25), lambda: now))
    assert [ask(one).status for _ in range(5)] == [200, 200, 200, 429, 429]
    refused = ask(one)
    assert (refused.headers["retry-after"], refused.headers["cache-control"]) == ("4", "no-store")
    assert "requests" in refused.sentence
    assert ask(one, client="192.0.2.2").status == 200
    now += 4
    assert [ask(one).status for _ in range(2)] == [200, 429]
    now += 1e6
    assert [ask(one).status for _ in range(4)] == [200, 200, 200, 429]


def test_kinds_of_requests_are_counted_apart() -> None:
    one = gate(clients=tight(Rate(1, 0.1), lambda: 0.0))
    kinds = [
        ("GET", "/assets/index.js"),
        ("POST", "/gradio_api/queue/join"),
        ("POST", UPLOAD),
        ("POST", "/ratings/vote"),
        ("GET", "/ratings/picture/abc.png"),
        ("GET", "/ratings/votes.zip"),
    ]
    assert [ask(one, path, method, origin=f"https://{HOST}").status for method, path in kinds] == [200] * 6
    assert [ask(one, path, method, origin=f"https://{HOST}").status for method, path in kinds] == [429] * 6


def test_what_is_remembered_is_bounded_and_forgets_the_longest_unused() -> None:
    clients = tight(Rate(1, 0.001), lambda: 0.0, most=10)
    asked: Asked = "event"
    waits = [clients.wait_seconds(scope_of(f"10.0.0.{n}"), asked) for n in range(10)]
    assert waits == [0.0] * 10
    assert clients.wait_seconds(scope_of("10.0.0.0"), asked) > 0
    assert clients.wait_seconds(scope_of("10.0.1.1"), asked) == 0
    assert clients.wait_seconds(scope_of("10.0.0.0"), asked) > 0
    assert clients.wait_seconds(scope_of("10.0.0.1"), asked) == 0
    assert len(clients._left) == 10


def test_nothing_that_is_remembered_holds_an_address() -> None:
    clients = Clients(0)
    clients.wait_seconds(scope_of("203.0.113.77"), "vote")
    assert "203.0.113" not in repr(vars(clients))
    assert clients.word_of(scope_of("203.0.113.77")) != Clients(0).word_of(scope_of("203.0.113.77"))


@given(st.integers(1, 20), st.floats(0.01, 50), st.lists(st.floats(0, 10), min_size=1, max_size=80))
def test_no_more_pass_than_the_rate_allows(burst: int, per_second: float, gaps: list[float]) -> None:
    now = 0.0
    clients = tight(Rate(burst, per_second), lambda: now)
    passed = 0
    for gap in gaps:
        now += gap
        wait = clients.wait_seconds(scope_of("10.0.0.1"), "vote")
        passed += wait == 0
        assert wait <= 1 / per_second + 1e-9
    assert passed <= burst + now * per_second + 1e-6


def test_a_class_behind_one_address_opens_the_page_and_votes() -> None:
    """Thirty people open the page at once, then each votes every four seconds and asks whether it is saved.

    How many votes these may be is the booth's matter.
    """
    now = 0.0
    clients = Clients(0, clock=lambda: now)
    one = scope_of("192.0.2.1")
    assert all(clients.wait_seconds(one, "page") == 0 for _ in range(30 * 150))
    assert all(clients.wait_seconds(one, "event") == 0 for _ in range(30 * 6))
    assert all(clients.wait_seconds(one, "upload", 30) == 0 for _ in range(30))  # MiB
    assert all(clients.wait_seconds(one, "rater") == 0 for _ in range(30))
    for _ in range(10):
        assert all(clients.wait_seconds(one, "vote") == 0 for _ in range(30 * 4))
        assert all(clients.wait_seconds(one, "picture") == 0 for _ in range(30 * 2))
        now += 4


def test_votes_a_day_mean_something_because_raters_are_not_made_at_will() -> None:
    now = 0.0
    clients = Clients(0, clock=lambda: now)
    made = 0
    for _ in range(24 * 60):
        made += sum(clients.wait_seconds(scope_of("192.0.2.1"), "rater") == 0 for _ in range(5))
        now += 60
    assert 24 * 12 < made <= 30 + 24 * 12


# -- who it is


def scope_of(peer: str | None, *forwarded: str) -> dict[str, Any]:
    return {
        "type": "http",
        "client": None if peer is None else (peer, 1),
        "headers": [(b"x-forwarded-for", line.encode()) for line in forwarded],
    }


def test_the_trusted_hop_is_counted_from_the_right_over_all_lines() -> None:
    direct, one, two = Clients(0), Clients(1), Clients(2)
    scope = scope_of("10.0.0.1", "1.1.1.1, 2.2.2.2", "3.3.3.3")
    for clients, address in ((direct, "10.0.0.1"), (one, "3.3.3.3"), (two, "2.2.2.2")):
        assert clients.word_of(scope) == clients.word_of(scope_of(address, address, address))
    # what a client puts on the left changes nothing
    assert one.word_of(scope) == one.word_of(scope_of("10.0.0.1", "9.9.9.9, 8.8.8.8, 3.3.3.3"))
    # fewer hops than there must be: it did not come through the proxies
    assert two.word_of(scope_of("10.0.0.1", "5.5.5.5")) == two.word_of(scope_of("10.0.0.1"))


def test_an_address_is_one_client_however_it_is_written() -> None:
    clients = Clients(1)

    def word(address: str) -> bytes:
        return clients.word_of(scope_of("10.0.0.1", address))

    assert word("192.0.2.9") == word("192.0.2.9:4711") == word("::ffff:192.0.2.9") == word("[::ffff:c000:209]:80")
    assert word("2001:db8::1") == word("[2001:db8::2]:443") == word("2001:db8:0:0:ffff::") == word("2001:db8::1%eth0")
    assert word("2001:db8:0:1::1") != word("2001:db8::1")
    assert word("192.0.2.9") != word("192.0.2.10")
    assert word("nonsense") == word("") == word("a:b:c") == word("999.1.1.1")


def test_a_peer_that_is_not_known_is_a_client_too() -> None:
    assert Clients(0).wait_seconds(scope_of(None), "vote") == 0


# -- from where


FOREIGN = (
    "https://evil.example",
    "null",
    "https://demo.example.evil.example",
    "http://demo.example:8080",
    "demo.example",
    "",
)


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("path", ["/gradio_api/queue/join", UPLOAD, "/ratings/vote"])
def test_the_page_of_another_site_is_refused(origin: str, path: str) -> None:
    answer = ask(gate(), path, origin=origin)
    assert answer.status == 403
    assert "own page" in answer.sentence


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://demo.example", "demo.example"),
        ("http://demo.example", "demo.example:80"),
        ("https://demo.example:443", "Demo.Example"),
        ("http://127.0.0.1:7860", "127.0.0.1:7860"),
        ("http://[::1]:7860", "[::1]:7860"),
    ],
)
@pytest.mark.parametrize("site", [{}, {"sec_fetch_site": "same-origin"}])
def test_the_own_page_may_ask(origin: str, host: str, site: dict[str, str]) -> None:
    assert ask(gate(), "/ratings/vote", origin=origin, host=host, **site).status == 200


def test_programs_may_use_the_api_and_read_but_votes_come_from_pages() -> None:
    assert ask(gate()).status == 200
    assert ask(gate(), UPLOAD).status == 200
    assert ask(gate(), "/ratings/votes.zip", "GET").status == 200
    assert ask(gate(), "/ratings/vote").status == 403
    assert ask(gate(), "/ratings/vote", sec_fetch_site="same-origin").status == 200
    assert ask(gate(), "/ratings/vote", sec_fetch_site="none").status == 403


def test_what_the_browser_says_of_a_page_outweighs_what_the_page_says() -> None:
    access = Access(trusted_hops=1)
    forged = {"origin": "https://evil.example", "x_forwarded_host": "evil.example"}
    assert ask(gate(access=access), **forged, sec_fetch_site="cross-site").status == 403
    assert ask(gate(access=access), sec_fetch_site="cross-site").status == 403


def test_the_host_is_taken_from_a_proxy_only_where_there_is_one() -> None:
    headers = {"origin": "https://demo.hf.space", "x_forwarded_host": "demo.hf.space", "host": "10.0.0.7:7860"}
    assert ask(gate(access=Access(trusted_hops=1)), **headers).status == 200
    assert ask(gate(access=Access(trusted_hops=0)), **headers).status == 403


def test_sites_of_the_settings_may_ask() -> None:
    one = gate(access=Access(origins=("https://paper.example",)))
    for origin in ("https://paper.example", "https://Paper.Example"):
        assert ask(one, "/ratings/vote", origin=origin, sec_fetch_site="cross-site").status == 200
    assert ask(one, "/ratings/vote", origin="http://paper.example").status == 403


def test_a_foreign_page_uses_up_nothing_of_its_visitor() -> None:
    one = gate(clients=tight(Rate(1, 0.1), lambda: 0.0))
    assert [ask(one, origin="https://evil.example").status for _ in range(3)] == [403] * 3
    assert ask(one).status == 200


def test_what_is_no_request_passes() -> None:
    passed: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope["type"])

    async def nothing() -> Message:
        raise AssertionError

    async def nowhere(_: Message) -> None:
        raise AssertionError

    asyncio.run(Gate(app, Access(), 1, Clients(0))({"type": "lifespan"}, nothing, nowhere))
    assert passed == ["lifespan"]


# -- the real app


@contextmanager
def served(folder: Path, **more: Any) -> Iterator[str]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    settings = Settings(host="127.0.0.1", port=port, voting=Voting(folder=folder), **more)
    app = create_app(settings, zoo(), Loader().load)
    yield serve(app, settings, block=False).rstrip("/")
    app.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with closed_event_loops(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        limits = Limits(max_file_bytes=2 << 20, max_pixels=1_000_000)
        with served(tmp_path_factory.mktemp("votes"), limits=limits) as one:
            yield one


def rss_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def test_many_files_that_are_small_enough_are_too_much_together(address: str) -> None:
    files = [("files", (f"{n}.png", b"x" * 1_900_000)) for n in range(20)]
    assert httpx.post(f"{address}{UPLOAD}", files=files).status_code == 413
    assert httpx.post(f"{address}{UPLOAD}", files=files[:1]).status_code == 200


def chunked(size_bytes: int) -> Iterator[bytes]:
    for _ in range(size_bytes >> 16):
        yield b"x" * (1 << 16)


@pytest.mark.parametrize("path", ["/gradio_api/queue/join", "/ratings/vote", "/gradio_api/run/models"])
@pytest.mark.parametrize("announced", [True, False])
def test_a_hundred_megabytes_of_json_are_not_read(address: str, path: str, announced: bool) -> None:
    before, length = rss_mib(), 100 << 20
    headers = {"origin": address} | ({"content-length": str(length)} if announced else {})
    answer = httpx.post(f"{address}{path}", content=chunked(length), headers=headers, timeout=20)
    assert answer.status_code == 413
    assert rss_mib() - before < 20


def test_a_picture_within_json_is_too_long(address: str) -> None:
    data = {"data": [{"url": "data:image/png;base64," + "A" * 30_000_000}], "fn_index": 0, "session_hash": "s"}
    assert httpx.post(f"{address}/gradio_api/queue/join", json=data, timeout=20).status_code == 413


def test_nothing_runs_around_the_queue(address: str) -> None:
    for path in ("/gradio_api/run/upscale", "/gradio_api/api/upscale", "/run/upscale"):
        assert httpx.post(f"{address}{path}", json={"data": []}).status_code == 404


def test_a_foreign_page_cannot_ask_the_real_app(address: str) -> None:
    headers = {"origin": "https://evil.example", "host": "demo.hf.space"}
    for path in ("/gradio_api/queue/join", UPLOAD, "/ratings/draw"):
        assert httpx.post(f"{address}{path}", json={}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "http://127.0.0.1/", "http://169.254.169.254/latest/meta-data", "/proc/self/environ"]
)
def test_no_file_of_the_server_and_no_address_is_served(address: str, path: str) -> None:
    answer = httpx.get(f"{address}/gradio_api/file={path}")
    assert answer.status_code in (403, 404)
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("name", "content"), [("a.svg", b"<svg onload='alert(1)'/>"), ("a.html", b"<script></script>")]
)
def test_what_was_uploaded_is_never_a_page(address: str, name: str, content: bytes) -> None:
    paths = httpx.post(f"{address}{UPLOAD}", files={"files": (name, content)}).json()
    answer = httpx.get(f"{address}/gradio_api/file={paths[0]}")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not answer.headers["content-type"].startswith(("text/html", "image/svg"))


def test_too_many_at_once_are_told_to_come_back(address: str) -> None:
    answers: list[int] = []

    def ask_often() -> None:
        with httpx.Client() as client:
            answers.extend(
                client.post(f"{address}/gradio_api/queue/join", json={}, headers=headers).status_code for _ in range(50)
            )

    headers = {"origin": address}
    threads = [threading.Thread(target=ask_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count(429) > 50
    assert 500 not in answers
    with urllib.request.urlopen(f"{address}/") as page:  # noqa: S310  our own address
        assert page.status == 200
