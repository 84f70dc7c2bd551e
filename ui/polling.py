"""The routes by which the page's scripts draw trials and vote: JSON over HTTP below ``/ratings``.

Votes do not pass through Gradio: a vote that is sent twice counts once, it outlives a lost session, and nothing of a
trial is ever in Gradio's configuration, event stream or file cache. They have threads of their own, so that no
computation and no large download makes a vote wait.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from time import monotonic
from types import MappingProxyType
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from ratings.booth import Booth
from ratings.export import votes_zip
from ratings.identity import now
from ratings.vote import Choice, View
from sr_core.errors import AnswerError, BallotError, VoteError, VoteLimitError
from ui import text
from ui.failures import failure_sentence
from ui.limits import Clients
from ui.poll import Poll

__all__ = ["Polling"]

_VOTERS: Final = 32
"""Threads for votes. They mostly wait for the disk, and the more wait, the more votes are written together."""
_SHOWERS: Final = 4
"""Threads that draw trials and pack pictures."""
_MOST_WAITING: Final = 1000
"""Requests that may wait for either; the next one is told to come back."""
_LIMIT_SECONDS: Final = 3600
_AGAIN_SECONDS: Final = 300
"""When votes that come again find no room today: so soon that the page keeps them, and asks again."""
_BUSY_SECONDS: Final = 3
_ZIP_SECONDS: Final = 20.0
"""The file of all votes may be so old, because it takes a fit of all scores to make."""
_UNKEPT: Final[Mapping[str, str]] = MappingProxyType({"cache-control": "no-store"})

_Token: TypeAlias = Annotated[str, Field(max_length=8192)]
_Id: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
_T = TypeVar("_T", bound="_Body")


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class _DrawBody(_Body):
    browser: _Token | None
    mode: Literal["pair", "grade"]
    consent: bool = False


class _VoteBody(_Body):
    browser: _Token
    ballot: _Token
    answer: Choice | Annotated[int, Field(ge=1, le=5)]
    consent: bool = False
    view: View


class _GradeBody(_Body):
    browser: _Token | None
    ticket: _Token
    grade: Annotated[int, Field(ge=1, le=5)]
    consent: bool = False
    view: View


class _StateBody(_Body):
    ids: Annotated[tuple[_Id, ...], Field(max_length=500, strict=False)]


class _AgainBody(_Body):
    receipts: Annotated[tuple[_Token, ...], Field(max_length=200, strict=False)]


class _ForgetBody(_Body):
    browser: _Token


class _Refusal(NamedTuple):
    """An answer that says why not."""

    status: int
    sentence: str
    wait_seconds: float = 0.0

    def response(self) -> Response:
        headers = dict(_UNKEPT)
        if self.wait_seconds:
            headers["retry-after"] = str(math.ceil(self.wait_seconds))
        return JSONResponse({"error": self.sentence}, self.status, headers)


class _RefusedError(Exception):
    """A request is refused before the booth sees it."""

    def __init__(self, refusal: _Refusal) -> None:
        super().__init__(refusal.sentence)
        self.refusal = refusal


class _Threads:
    """Some threads, and a bound on what may wait for them.

    Args:
        count: How many.
        name: What they are called.
    """

    def __init__(self, count: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(count, name)
        self._waiting = 0

    async def run(self, answer: Callable[[], Response]) -> Response:
        """Returns the answer of a function that is called in one of the threads, or that too many wait."""
        if self._waiting >= _MOST_WAITING:
            return _Refusal(503, text.RATINGS_BUSY, _BUSY_SECONDS).response()
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, answer)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Ends the threads when they have done what they are at."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Polling:
    """What answers below ``/ratings``.

    Args:
        poll: The booth and all that is around it.
        clients: Who asks how often.
        clock: Where the time comes from, for which votes are given away.
    """

    def __init__(self, poll: Poll, clients: Clients, clock: Callable[[], datetime] = now) -> None:
        self._poll, self._clients, self._clock = poll, clients, clock
        self._voters, self._showers = _Threads(_VOTERS, "votes"), _Threads(_SHOWERS, "trials")
        self._archivist = _Threads(1, "archive")
        self._titles = {one.name: one.title for one in poll.pictures.pictures} if poll.pictures is not None else {}
        self._zip: tuple[float, bytes] | None = None

    def routes(self) -> list[BaseRoute]:
        """Returns the routes, to be served beside Gradio's."""
        below = [
            Route("/draw", self._posted(self._showers, self._draw), methods=["POST"]),
            Route("/picture/{ticket}.png", self._picture),
            Route("/vote", self._posted(self._voters, self._vote), methods=["POST"]),
            Route("/grade", self._posted(self._voters, self._grade), methods=["POST"]),
            Route("/state", self._posted(self._voters, self._state), methods=["POST"]),
            Route("/again", self._posted(self._voters, self._again), methods=["POST"]),
            Route("/forget", self._posted(self._voters, self._forget), methods=["POST"]),
            Route("/votes.zip", self._votes_zip),
            Route("/{rest:path}", _nothing, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ]
        return [Mount("/ratings", routes=below)]

    def close(self) -> None:
        """Ends the threads."""
        for threads in (self._voters, self._showers, self._archivist):
            threads.close()

    def _posted(
        self, threads: _Threads, answer: Callable[[bytes, Request], dict[str, object]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Returns the endpoint that answers a JSON body in one of the threads."""

        async def endpoint(request: Request) -> Response:
            try:
                body = await request.body()
            except ClientDisconnect:
                return Response(status_code=400)  # nobody reads it
            return await threads.run(partial(_answered, lambda: _json(answer(body, request))))

        return endpoint

    async def _picture(self, request: Request) -> Response:
        def show() -> Response:
            png = self._booth().picture(request.path_params["ticket"])
            return Response(png, headers=_UNKEPT, media_type="image/png")

        return await self._showers.run(partial(_answered, show))

    async def _votes_zip(self, _: Request) -> Response:
        return await self._archivist.run(partial(_answered, self._zipped))

    def _draw(self, body: bytes, request: Request) -> dict[str, object]:
        asked, booth = _read(_DrawBody, body), self._booth()
        _see_consent(asked.consent)
        if not booth.is_known(asked.browser):
            self._count_rater(request)
        draw = booth.draw(asked.browser, asked.mode, self._clients.word_of(request.scope))
        return {
            "browser": draw.browser,
            "ballot": draw.ballot,
            "pictures": [f"picture/{ticket}.png" for ticket in draw.pictures],
            "height": draw.height,
            "width": draw.width,
            "unlock_ms": draw.unlock_ms,
            "done_today": draw.done_today,
            "left_today": draw.left_today,
        }

    def _vote(self, body: bytes, request: Request) -> dict[str, object]:
        given, booth = _read(_VoteBody, body), self._booth()
        _see_consent(given.consent)
        client = self._clients.word_of(request.scope)
        accepted = booth.vote(given.browser, given.ballot, given.answer, given.view, client)
        return {
            "id": accepted.id,
            "state": accepted.state,
            "receipt": accepted.receipt,
            "reveal": [self._poll.labels[system] for system in accepted.systems],
            "ids": accepted.systems,
            "picture": self._titles[accepted.picture],
        }

    def _grade(self, body: bytes, request: Request) -> dict[str, object]:
        given, booth = _read(_GradeBody, body), self._booth()
        _see_consent(given.consent)
        client = self._clients.word_of(request.scope)
        accepted = booth.grade_own(given.browser, given.ticket, given.grade, given.view, client)
        return {
            "id": accepted.id,
            "state": accepted.state,
            "receipt": accepted.receipt,
            "browser": accepted.browser,
        }

    def _state(self, body: bytes, _: Request) -> dict[str, object]:
        states = self._booth().states(_read(_StateBody, body).ids)
        courier = self._poll.courier
        has_trouble = courier is not None and courier.lag().trouble is not None
        return {"states": states, "keeper": self._poll.keeper, "trouble": has_trouble}

    def _again(self, body: bytes, request: Request) -> dict[str, object]:
        given, booth = _read(_AgainBody, body), self._booth()
        try:
            return {"states": booth.again(given.receipts, self._clients.word_of(request.scope))}
        except VoteLimitError as error:
            raise _RefusedError(_Refusal(429, str(error), _AGAIN_SECONDS)) from error

    def _forget(self, body: bytes, _: Request) -> dict[str, object]:
        return {"deleted": self._booth().forget(_read(_ForgetBody, body).browser)}

    def _zipped(self) -> Response:
        """Returns all votes as a file, made anew now and then; its thread is alone with what it keeps."""
        store, pictures = self._poll.store, self._poll.pictures
        if store is None or pictures is None:
            raise _RefusedError(_Refusal(503, text.RATINGS_OFF))
        if self._zip is None or self._zip[0] + _ZIP_SECONDS <= monotonic():
            self._zip = monotonic(), votes_zip(store.records(), pictures.systems, self._poll.references, self._clock())
        headers = {"content-disposition": 'attachment; filename="votes.zip"', "cache-control": "no-cache"}
        return Response(self._zip[1], headers=headers, media_type="application/zip")

    def _booth(self) -> Booth:
        """Returns where votes are given."""
        if self._poll.booth is None:
            raise _RefusedError(_Refusal(503, text.RATINGS_OFF))
        return self._poll.booth

    def _count_rater(self, request: Request) -> None:
        """Lets only so many raters begin at one client, so that votes a day and rater mean something."""
        wait = self._clients.wait_seconds(request.scope, "rater")
        if wait:
            sentence = text.NEW_RATERS.format(minutes=math.ceil(wait / 60))
            raise _RefusedError(_Refusal(429, sentence, wait))


def _answered(answer: Callable[[], Response]) -> Response:
    """Returns an answer, or one that says in a sentence why there is none."""
    try:
        return answer()
    except _RefusedError as error:
        return error.refusal.response()
    except VoteError as error:
        return _refusal_of(error).response()
    except Exception as error:  # noqa: BLE001  logged, and said to the visitor with the number of the job
        return _Refusal(500, failure_sentence(error)).response()


def _refusal_of(error: VoteError) -> _Refusal:
    match error:
        case AnswerError():
            return _Refusal(400, str(error))
        case BallotError():
            return _Refusal(409, str(error))
        case VoteLimitError():
            return _Refusal(429, str(error), _LIMIT_SECONDS)
        case _:
            return _Refusal(503, str(error), _BUSY_SECONDS)


def _read(model: type[_T], body: bytes) -> _T:
    """Returns a body as the record that it must be."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _RefusedError(_Refusal(400, text.BAD_REQUEST)) from error


def _see_consent(is_given: bool) -> None:
    if not is_given:
        raise _RefusedError(_Refusal(403, text.NO_CONSENT))


def _json(content: object) -> Response:
    return JSONResponse(content, headers=_UNKEPT)


async def _nothing(_: Request) -> Response:
    return _Refusal(404, text.NO_SUCH_ANSWER).response()
