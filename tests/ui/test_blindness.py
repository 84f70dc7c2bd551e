"""Between the draw and the vote, nothing that a browser gets tells what it is shown.

Asked is the real app over HTTP: page, configuration, API description, event stream, files, and everything below
``/ratings``. The pixels themselves are shown to everybody; who knows the set of pictures can tell them by these.
"""

import base64
import io
import itertools
import re
import struct
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from ratings.stimuli import EMBEDDED, Rendering, Shown, Stimulus, load_pictures, write_pictures
from ratings.vote import ANCHORS
from tests.ui.loops import closed_event_loops
from tests.ui.studio import fake_poll, family
from tests.ui.voters import LOOKING_SECONDS, Served, Voter, served
from ui.poll import Poll, labels_of, open_poll
from ui.settings import Access, Voting
from zoo.manifest import Manifest, load_manifest

CHUNKS = ["IHDR", "nnCe", "IDAT", "IEND"]


@pytest.fixture(scope="module")
def gradio_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gradio")


@pytest.fixture(scope="module")
def site(gradio_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with closed_event_loops(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("GRADIO_TEMP_DIR", str(gradio_folder))
        with served(tmp_path_factory.mktemp("poll"), family(), access=Access(trusted_hops=1)) as one:
            yield one


def new_voter(site: Served) -> Voter:
    """Returns a rater at an address of its own."""
    return Voter(site.address, forwarded_for=f"2001:db8:{uuid.uuid4().hex[:4]}:{uuid.uuid4().hex[:4]}::1")


def words_of(manifest: Manifest) -> set[str]:
    """Returns what would tell a system: ids, labels, and the parts of ids that are not common words."""
    parts = {part for one in manifest.releases for part in one.id.split("-") if len(part) > 3}
    return {word.lower() for word in (*labels_of(manifest), *labels_of(manifest).values(), *parts)}


def readings(content: bytes) -> Iterator[bytes]:
    """Yields what can be read in an answer: itself, and what its words of base64 and hexadecimal digits hold."""
    yield content
    for word in re.findall(rb"[A-Za-z0-9_=-]{8,}", content):
        for piece in (word, *word.split(b"."), *word.split(b"-")):
            padded = piece + b"=" * (-len(piece) % 4)
            try:
                yield base64.urlsafe_b64decode(padded)
                yield bytes.fromhex(piece.decode())
            except ValueError:
                continue


SEALED = re.compile(rb"[A-Za-z0-9_=-]{40,}")
"""A ticket or ballot: it is random, so a short word such as ``int8`` stands in some of them by chance."""


def leaks(content: bytes, words: set[str]) -> set[str]:
    short = {word for word in words if len(word) < 6}
    return found_in(content, words - short) | found_in(SEALED.sub(b"", content), short)


def found_in(content: bytes, words: set[str]) -> set[str]:
    return {word for reading in readings(content.lower()) for word in words if word.encode() in reading.lower()} | {
        word for reading in readings(content) for word in words if word.encode() in reading.lower()
    }


def answer_bytes(answer: httpx.Response) -> bytes:
    headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    return str(answer.url).encode() + headers.encode() + answer.content


def test_the_scan_finds_what_it_is_to_find() -> None:
    words = words_of(family())
    secret = family().releases[1].id
    for hidden in (
        secret.encode(),
        base64.urlsafe_b64encode(b"x" + secret.encode()).rstrip(b"="),
        secret.encode().hex().encode(),
        family().releases[1].label.upper().encode(),
    ):
        assert leaks(b'{"ballot": "' + hidden + b'"}', words)
    assert not leaks(b'{"ballot": "gAAAAABnothing", "pictures": ["picture/x.png"]}', words)


# -- what the ratings answer


@pytest.mark.parametrize("mode", ["pair", "grade"])
def test_no_answer_before_the_vote_names_a_system(site: Served, mode: str) -> None:
    words = words_of(family())
    for _ in range(40):
        with new_voter(site) as voter:
            drawing = voter.post("draw", browser=None, mode=mode, consent=True)
            drawn = drawing.json()
            early = voter.ask_vote(drawn, "left" if mode == "pair" else 3)
            assert early.status_code == 409
            answers = [
                drawing,
                early,
                voter.ask_vote(drawn, "middle"),
                voter.post("state", ids=["0" * 32]),
                voter.post("again", receipts=[drawn["ballot"]]),
                voter.client.get("picture/nonsense.png"),
            ]
            assert [leaks(answer_bytes(answer), words) for answer in answers] == [set()] * len(answers)
            for picture in voter.look(drawn):
                assert leaks(picture.content, words) == set()
                assert leaks(answer_bytes(picture)[: -len(picture.content)], words) == set()


def test_lengths_and_headers_of_a_draw_are_the_same_whatever_is_drawn(site: Served) -> None:
    lengths: set[tuple[int, ...]] = set()
    headers: set[tuple[tuple[str, str], ...]] = set()
    systems: set[tuple[str, ...]] = set()
    for _ in range(60):
        with new_voter(site) as voter:
            answer = voter.post("draw", browser=None, mode="pair", consent=True)
        drawn = answer.json()
        systems.add(sealed_systems(site, drawn["ballot"]))
        lengths.add(tuple(map(len, (answer.content, drawn["browser"], drawn["ballot"], *drawn["pictures"]))))
        headers.add(comparable(answer))
    assert len(systems) > 20
    assert len(lengths) == len(headers) == 1


def comparable(answer: httpx.Response) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in answer.headers.multi_items() if name != "date")


def sealed_systems(site: Served, ballot: str) -> tuple[str, ...]:
    assert site.poll.booth is not None
    return site.poll.booth._seals.read_ballot(ballot).systems


# -- pictures


def test_pictures_of_all_systems_look_alike_from_outside(site: Served) -> None:
    assert site.poll.pictures is not None
    see_alike(site, family())


def see_alike(site: Served, models: Manifest) -> None:
    """Asks for every picture by every system, twice, and compares all that is not pixels."""
    assert site.poll.booth is not None
    assert site.poll.pictures is not None
    words, seals = words_of(models), site.poll.booth._seals
    urls: list[str] = []
    contents: list[bytes] = []
    with httpx.Client(base_url=f"{site.address}/ratings/picture/", verify=False) as client:  # noqa: S501  plain HTTP
        for stimulus in site.poll.pictures.pictures:
            outside: set[Any] = set()
            for system in (*site.poll.pictures.systems, *site.poll.pictures.systems):
                url = f"{seals.ticket(stimulus.name, system)}.png"
                answer = client.get(url)
                assert answer.status_code == 200
                outside.add((len(url), len(answer.content), comparable(answer)))
                urls.append(url)
                contents.append(answer.content)
                assert leaks(url.encode(), words) == set()
                assert leaks(answer_bytes(answer)[: -len(answer.content)], words) == set()
                assert chunk_names(answer.content) == CHUNKS
                shown = Image.open(io.BytesIO(answer.content))
                assert (shown.size, shown.mode) == ((stimulus.width, stimulus.height), "RGB")
                assert (dict(shown.info), dict(shown.getexif())) == ({}, {})
                assert np.array_equal(np.asarray(shown), site.poll.pictures.pixels(stimulus.name, system))
            assert len(outside) == 1
    assert len(set(urls)) == len(urls)
    assert len(set(contents)) == len(contents)


def chunk_names(png: bytes) -> list[str]:
    names, at = [], 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        names.append(png[at + 4 : at + 8].decode())
        at += 12 + length
    return names


@pytest.mark.slow
@pytest.mark.skipif(not EMBEDDED.is_dir(), reason="the pictures are not rendered yet")
def test_the_pictures_that_ship_look_alike_from_outside(tmp_path: Path) -> None:
    models = load_manifest()
    poll = open_poll(Voting(folder=tmp_path / "votes"), models)
    with served(tmp_path, models, poll=poll) as site:
        see_alike(site, models)


def test_equal_pixels_share_no_address_and_no_bytes(tmp_path: Path) -> None:
    """All systems made the very same picture: answers differ in nothing but random bytes."""
    models = family()
    variants = [one.id for one in models.releases]
    pixels = np.full((24, 24, 3), 77, np.uint8)
    stimulus = Stimulus(name="flat", title="Flat", author="Nobody", rights="CC0", source="made up", height=24, width=24)
    renderings = [Rendering(variant=one, weights_sha256="0" * 64, tile=64, overlap=16, fixed=True) for one in variants]
    shown = Shown(stimulus=stimulus, pixels=dict.fromkeys((*ANCHORS, *variants), pixels))
    write_pictures(tmp_path / "flat", [shown], renderings, tool="tests")
    poll = open_poll(Voting(folder=tmp_path / "votes"), models, tmp_path / "flat")
    with served(tmp_path, models, poll=poll) as site:
        see_alike(site, models)
        assert poll.booth is not None
        tickets = [poll.booth._seals.ticket("flat", system) for system in load_pictures(tmp_path / "flat").systems]
        starts = {httpx.get(f"{site.address}/ratings/picture/{ticket}.png").content[:41] for ticket in tickets}
        assert len(starts) == 1


# -- everything else that a page gets


def without_times(content: str) -> str:
    """Returns what a page or an event says without what differs from one request to the next anyway."""
    return re.sub(r"[0-9a-f]{32}|\d+(\.\d+)?e-\d+|\d+\.\d{4,}|null", "*", content)


def page_of(site: Served) -> str:
    return httpx.get(site.address).text


def config_of(site: Served) -> str:
    return httpx.get(f"{site.address}/config").text


def info_of(site: Served) -> str:
    return httpx.get(f"{site.address}/gradio_api/info").text


def events_of(site: Served) -> str:
    """Returns the stream of all events of a page that ask for nothing: what is loaded with it, and the open API."""
    config = httpx.get(f"{site.address}/config").json()
    session, stream = uuid.uuid4().hex[:10], ""
    for event in config["dependencies"]:
        if event["inputs"] or not event["backend_fn"]:
            continue
        body = {"data": [], "fn_index": event["id"], "session_hash": session}
        joined = httpx.post(f"{site.address}/gradio_api/queue/join", json=body, headers={"origin": site.address})
        stream += joined.text
        if joined.status_code != 200:
            continue
        with httpx.stream("GET", f"{site.address}/gradio_api/queue/data?session_hash={session}", timeout=30) as lines:
            for line in lines.iter_lines():
                stream += line + "\n"
                if "close_stream" in line or "process_completed" in line:
                    break
    return stream


@pytest.mark.filterwarnings("ignore:.*future.no_silent_downcasting")  # gradio 6.31 counts its events with pandas
@pytest.mark.parametrize("read", [page_of, config_of, info_of, events_of])
def test_nothing_of_a_trial_is_in_what_gradio_answers(site: Served, read: Callable[[Served], str]) -> None:
    before = without_times(read(site))
    assert before
    for _ in range(1 if read is events_of else 5):
        with new_voter(site) as voter:
            drawn = voter.draw()
            voter.look(drawn)
            after = read(site)
            assert without_times(after) == before
            assert not any(token in after for token in tokens_of(drawn))


def tokens_of(drawn: dict[str, Any]) -> list[str]:
    return [drawn["browser"], drawn["ballot"], *(picture[8:-4] for picture in drawn["pictures"])]


def test_a_trial_leaves_no_file_that_could_be_asked_for(site: Served, gradio_folder: Path, tmp_path: Path) -> None:
    def files() -> set[Path]:
        return {path for path in gradio_folder.rglob("*") if path.is_file()}

    with new_voter(site) as voter:
        before = files()
        drawn = voter.draw()
        voter.look(drawn)
        assert files() == before
        time.sleep(LOOKING_SECONDS)
        voter.vote(drawn, "tie")
        assert files() == before


def test_a_place_says_nothing_of_a_system(site: Served) -> None:
    """Each system stands left as often as right, and the first picture is the left one of the ballot."""
    left: dict[str, int] = {}
    for _ in range(150):
        with new_voter(site) as voter:
            drawn = voter.draw()
        for place, system in enumerate(sealed_systems(site, drawn["ballot"])):
            left[system] = left.get(system, 0) + (1 if place == 0 else -1)
    assert max(map(abs, left.values())) < 25  # six times the standard deviation of a fair coin for the commonest one


def test_the_reveal_comes_with_the_vote_and_matches_what_was_shown(site: Served) -> None:
    assert site.poll.pictures is not None
    with new_voter(site) as voter:
        drawn = voter.draw()
        shown = [np.asarray(Image.open(io.BytesIO(one.content))) for one in voter.look(drawn)]
        time.sleep(LOOKING_SECONDS)
        voted = voter.vote(drawn, "right")
    names = {one.title: one.name for one in site.poll.pictures.pictures}
    for pixels, system in zip(shown, voted["ids"], strict=True):
        assert np.array_equal(pixels, site.poll.pictures.pixels(names[voted["picture"]], system))


def test_an_own_ticket_names_no_variant_and_has_one_length(tmp_path: Path) -> None:
    poll: Poll = fake_poll(tmp_path, family())
    assert poll.booth is not None
    words = words_of(family())
    tickets = [poll.booth.own_ticket(one.id, "a secret word") for one in family().releases]
    assert len({len(ticket) for ticket in tickets}) == 1
    assert [leaks(ticket.encode(), words) for ticket in tickets] == [set()] * len(tickets)
    assert all(one != other for one, other in itertools.combinations(tickets, 2))
    poll.close()
