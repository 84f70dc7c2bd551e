"""Many raters at once over HTTP/1.1, each with an own connection and as little work as possible for this process.

    python -m tests.ratings.people ADDRESS PEOPLE SECONDS

prints the waits as JSON; :mod:`tests.ratings.load` runs it beside the app.
"""

import asyncio
import json
import random
import sys
import time
from collections import defaultdict
from typing import Any, NamedTuple
from urllib.parse import urlsplit

VIEW = {"decision_ms": 2500, "viewport": [1280, 860], "pixel_ratio": 2.0, "zoom": 2.0}
LOOKING_SECONDS = (2.0, 6.0)
LEAST_SECONDS = 1.1
KEPT_SECONDS = 4.0


class Answer(NamedTuple):
    status: int
    body: bytes
    seconds: float


class Person:
    """A rater's browser: one connection that stays open, and the waits that it saw."""

    def __init__(self, address: str, number: int, waits: dict[str, list[float]]) -> None:
        parts = urlsplit(address)
        self._host, self._port = parts.hostname or "", parts.port or 80
        own = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        self._headers = f"Host: {parts.netloc}\r\nOrigin: {address}\r\nX-Forwarded-For: {own}\r\n"
        self._used_at = -KEPT_SECONDS
        self._waits = waits
        self.browser: str | None = None

    async def ask(self, kind: str, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} /ratings/{path} HTTP/1.1\r\n{self._headers}Content-Length: {len(content)}\r\n\r\n"
        begin = time.perf_counter()
        if begin - self._used_at > KEPT_SECONDS:  # the server closes what is idle for 5 s
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=1 << 22)
        self._writer.write(head.encode() + content)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        answer = Answer(int(lines[0].split()[1]), await self._reader.readexactly(length), time.perf_counter() - begin)
        self._used_at = time.perf_counter()
        self._waits[kind].append(answer.seconds)
        if answer.status != 200:
            raise RuntimeError(f"{kind}: {answer.status} {answer.body[:300]!r}")
        return answer

    async def draw(self) -> dict[str, Any]:
        """Draws a trial and fetches its pictures, as a page does."""
        answer = await self.ask("draw", "POST", "draw", {"browser": self.browser, "mode": "pair", "consent": True})
        drawn: dict[str, Any] = json.loads(answer.body)
        self.browser = drawn["browser"]
        for picture in drawn["pictures"]:
            await self.ask("picture", "GET", picture)
        return drawn

    async def vote(self, drawn: dict[str, Any], kind: str = "vote") -> None:
        answer = random.choice(("left", "right", "tie", "both_bad"))
        body = {"browser": self.browser, "ballot": drawn["ballot"], "answer": answer, "consent": True, "view": VIEW}
        voted = json.loads((await self.ask(kind, "POST", "vote", body)).body)
        self.voted = voted["id"]

    async def rate(self, until: float) -> None:
        """Rates until the time is over."""
        await asyncio.sleep(random.uniform(0, LOOKING_SECONDS[1]))
        while time.monotonic() < until:
            drawn = await self.draw()
            await asyncio.sleep(random.uniform(*LOOKING_SECONDS))
            await self.vote(drawn)
            await self.ask("state", "POST", "state", {"ids": [self.voted]})


async def crowd(address: str, people: int, seconds: float) -> dict[str, list[float]]:
    """Returns the waits of all people, in seconds, by what they waited for."""
    waits: dict[str, list[float]] = defaultdict(list)
    persons = [Person(address, number, waits) for number in range(people)]
    until = time.monotonic() + seconds
    await asyncio.gather(*(person.rate(until) for person in persons))
    drawn = [await person.draw() for person in persons]
    await asyncio.sleep(LEAST_SECONDS)
    await asyncio.gather(*(person.vote(one, "votes at once") for person, one in zip(persons, drawn, strict=True)))
    return waits


if __name__ == "__main__":
    print(json.dumps(asyncio.run(crowd(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))))  # noqa: T201
