"""The polling booth: draws blind trials, takes votes, and shows the board. No HTTP, no page.

Everything that a browser gets is sealed (:mod:`ratings.ballot`), and everything that must last is in the store, so any
replica takes any vote, after any restart. A vote may arrive any number of times at once: it is stored once, its
first answer counts, and each time the answer is the same.
"""

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from random import Random, SystemRandom
from typing import Final, assert_never, cast, get_args

from ratings.allowance import Allowance
from ratings.ballot import LIFE_SECONDS, Ballot, Mode, OwnTicket, Seals
from ratings.board import Board
from ratings.draws import Draws
from ratings.identity import Keys, now
from ratings.rank import board_of
from ratings.stimuli import PictureSet
from ratings.store import State, VoteStore
from ratings.trial import GOLDEN_EVERY, draw_grade, draw_pair, seen_by
from ratings.vote import ANCHORS, OWN, Choice, Forget, GradeVote, PairVote, View, Vote
from sr_core.errors import AnswerError, BallotError, VoteError, VoteLimitError

__all__ = ["Accepted", "Booth", "Draw"]

_UNLOCK_MS: Final = 1500
"""So long the page keeps its buttons locked after both pictures are there."""
_LEAST_SECONDS: Final = 1.0
"""No answer can be honest sooner after the draw; shorter than the page's wait, because clocks of servers differ."""
_MOST_OPEN: Final = 2
"""So many trials of a mode can be open: one on screen, and one in another tab. Who draws more gets these again, because
otherwise one could draw until a wanted system shows, and answer only that. Where they are forgotten, after a restart
or at another replica, two more can be drawn."""
_BOARD_SECONDS: Final = 20.0
_MOST_RECEIPTS: Final = 500
_LOCKS: Final = 256
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """A trial as a browser gets it: nothing in it tells what is shown.

    Attributes:
        browser: The token to keep; a new one where none came, or one that is not ours or was forgotten.
        ballot: Sealed; a vote needs it.
        pictures: Sealed tickets, left and right, or the only one; each is for one picture and good for an hour.
        height: Rows of each picture.
        width: Columns of each picture.
        unlock_ms: How long to wait with the buttons after all pictures are shown.
        done_today: Votes of this rater since midnight, UTC.
        left_today: Votes that are left until the next midnight.
    """

    browser: str
    ballot: str
    pictures: tuple[str, ...]
    height: int
    width: int
    unlock_ms: int
    done_today: int
    left_today: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A vote that is stored.

    Attributes:
        id: Of the vote.
        state: How safe it is.
        receipt: The vote, sealed, to bring it again with :meth:`Booth.again` as long as it is not saved.
        systems: What was shown: (left, right), or the only one.
        picture: Name of the picture; of an own photo, the word for it.
        browser: The token to keep.
    """

    id: str
    state: State
    receipt: str
    systems: tuple[str, ...]
    picture: str
    browser: str


class Booth:
    """All that the page asks for. Safe between threads.

    Args:
        store: Where votes are kept.
        keys: What seals.
        pictures: What can be drawn.
        references: From a variant to the full-precision network that it was made from.
        votes_per_day: Votes of one rater on one day (UTC), of all kinds together.
        clock: Where the time comes from; the keys have one of their own.
        rng: Chance in the draws, by default the system's.
        votes_per_client: Votes of one network on one day, of all raters together.
    """

    def __init__(  # noqa: PLR0913, PLR0917  the booth is where everything comes together
        self,
        store: VoteStore,
        keys: Keys,
        pictures: PictureSet,
        references: Mapping[str, str],
        votes_per_day: int = 60,
        clock: Callable[[], datetime] = now,
        rng: Random | None = None,
        votes_per_client: int = 120,
    ) -> None:
        self._store, self._keys, self._pictures, self._references = store, keys, pictures, references
        self._clock, self._rng = clock, rng or SystemRandom()
        self._allowance = Allowance(store, keys, votes_per_day, votes_per_client)
        self._stimuli = {stimulus.name: stimulus for stimulus in pictures.pictures}
        self._seals = Seals(keys, pictures.version, tuple(self._stimuli), pictures.systems)
        self._draws = Draws(store, pictures.version, tuple(self._stimuli), pictures.systems, references, clock)
        self._turns = tuple(threading.Lock() for _ in range(_LOCKS))
        self._board: tuple[Board, int, datetime] | None = None
        self._counting = threading.Lock()

    # -- drawing

    def is_known(self, browser: str | None) -> bool:
        """Returns whether a browser's token is one that draws go on with, and not replaced by a new one."""
        return self._word_of(browser, self._clock()) is not None

    def draw(self, browser: str | None, mode: Mode, client: bytes | None = None) -> Draw:
        """Returns the next trial of a rater; the oldest open one again where two are open.

        Args:
            browser: The token that the browser keeps, if any.
            mode: Whether two pictures are compared or one is graded.
            client: A word for the network that asks, here and below; votes of None are not counted together.

        Raises:
            VoteLimitError: No votes are left today, to the rater or to the network, no trial is left at all, or there
                is nothing to compare.
        """
        if not self._pictures.pictures or set(self._pictures.systems) <= set(ANCHORS):
            raise VoteLimitError("There are no pictures yet of the models on offer here, so there is nothing to rate.")
        at = self._clock()
        rater = self._word_of(browser, at)
        if browser is None or rater is None:
            browser = self._keys.new_browser()
            rater = self._keys.word_of(browser, at)
        done, left = self._allowance.today(browser, client, at)
        ballot = self._next(rater, mode, at)
        stimulus = self._stimuli[ballot.picture]
        return Draw(
            browser=browser,
            ballot=self._seals.ballot(ballot),
            pictures=tuple(self._seals.ticket(ballot.picture, system) for system in ballot.systems),
            height=stimulus.height,
            width=stimulus.width,
            unlock_ms=_UNLOCK_MS,
            done_today=done,
            left_today=left,
        )

    def picture(self, ticket: str) -> bytes:
        """Returns the PNG that a ticket is for.

        Raises:
            BallotError: The ticket is not ours, is older than an hour, or the pictures have changed.
        """
        picture, system, nonce = self._seals.read_ticket(ticket)
        return self._pictures.png(picture, system, nonce)

    def own_ticket(self, variant: str, photo: str) -> str:
        """Returns a ticket to grade the result of a variant on a visitor's own photo.

        Args:
            variant: Its id.
            photo: A secret word that is new with each upload.
        """
        ticket = OwnTicket(id=secrets.token_hex(16), photo=self._keys.photo_word(photo), variant=variant)
        return self._seals.own_ticket(ticket)

    # -- votes

    def vote(
        self, browser: str, ballot: str, answer: Choice | int, view: View, client: bytes | None = None
    ) -> Accepted:
        """Stores the answer to a trial and returns what was shown; the same ballot again gets the same.

        Args:
            browser: The token that came with the draw.
            ballot: The draw's.
            answer: Which of two is better, or a grade from 1 to 5.
            view: How it was looked at.
            client: A word for the network.

        Raises:
            BallotError: The ballot is not ours, another browser's, older than an hour, or answered within a second;
                the pictures have changed; the rater has answered the same by another ballot, or was forgotten.
            VoteLimitError: No votes, or no skips, are left today.
            AnswerError: The answer does not fit the trial.
            VoteError: Votes cannot be stored just now.
        """
        drawn, at = self._seals.read_ballot(ballot), self._clock()
        if self._keys.word_of(browser, drawn.at) != drawn.rater:
            raise BallotError("This was drawn in another browser; please go on to the next picture.")
        seconds = (at - drawn.at).total_seconds()
        if seconds < _LEAST_SECONDS:
            raise BallotError("That was faster than one can look; please look for a second and answer again.")
        vote = self._vote_of(drawn, at, answer, view)
        if seconds > LIFE_SECONDS and self._store.states([vote.id])[vote.id] == "unknown":
            raise BallotError("This was drawn more than an hour ago; please go on to the next picture.")
        accepted, is_new = self._accept(vote, browser, client)
        if is_new:
            self._draws.close(drawn, tells=answer != "skip")
        return accepted

    def grade_own(
        self, browser: str | None, ticket: str, grade: int, view: View, client: bytes | None = None
    ) -> Accepted:
        """Stores the grade of a result on an own photo; the same ticket again gets the same answer.

        Args:
            browser: The token that the browser keeps, if any.
            ticket: From :meth:`own_ticket`, at most a day old.
            grade: From 1 to 5.
            view: How it was looked at.
            client: A word for the network.

        Raises:
            BallotError: The ticket is not ours or too old, or this result is graded already.
            VoteLimitError: No votes are left today.
            AnswerError: The grade is out of range.
            VoteError: Votes cannot be stored just now.
        """
        own, at = self._seals.read_own_ticket(ticket), self._clock()
        rater = self._word_of(browser, at)
        if browser is None or rater is None:
            # Clicks that arrive at once all come without a token; they must end up as one rater.
            browser = self._keys.new_browser(bytes.fromhex(own.id))
            rater = self._keys.word_of(browser, at)
        vote = GradeVote(
            id=own.id,
            at=at,
            rater=rater,
            picture_set=OWN,
            picture=own.photo,
            system=own.variant,
            grade=_grade_of(grade),
            view=view,
        )
        return self._accept(vote, browser, client)[0]

    def states(self, ids: Sequence[str]) -> dict[str, State]:
        """Returns how safe each vote is."""
        return self._store.states(ids)

    def again(self, receipts: Sequence[str], client: bytes | None = None) -> dict[str, State]:
        """Stores votes anew that a server lost before they were saved, and returns how safe each one is.

        Receipts that are not ours are left out. A vote that stays unknown cannot be stored any more: it was deleted on
        request, or the rater has answered the same anew. The browser can drop both.

        Raises:
            VoteLimitError: No votes are left to the network today; some may be stored.
            VoteError: These are too many at once, or votes cannot be stored just now.
        """
        if len(receipts) > _MOST_RECEIPTS:
            raise VoteError(f"At most {_MOST_RECEIPTS} votes can be sent again at once; please send fewer.")
        votes = {vote.id: vote for vote in self._votes_of(receipts)}
        states = self._store.states(list(votes))
        lost = [vote for vote in votes.values() if states[vote.id] == "unknown"]
        for vote in lost:
            self._allowance.store_again(vote, client, self._clock())
        return states | self._store.states([vote.id for vote in lost])

    def forget(self, browser: str) -> int:
        """Deletes all votes of a browser, wherever they are, and returns how many of them are deleted here.

        The token is void afterwards: a draw answers it with a new one, whose votes have nothing to do with the old.

        Raises:
            BallotError: The token is not ours.
            VoteError: Votes cannot be deleted just now.
        """
        at = self._clock()
        words = self._keys.words_of(browser, at)
        votes = sum(self._store.count_of(word, _EPOCH) for word in words)
        # The same wish has the same id, however often it comes.
        wish = sha256(",".join(words).encode()).hexdigest()[:32]
        self._store.accept(Forget(id=wish, at=at, raters=words))
        self._draws.forget(words)
        return votes

    def board(self) -> Board:
        """Returns what the votes tell; while it is counted anew, and for a while after, the last one."""
        last = self._board
        if last is None:
            with self._counting:
                if self._board is None:
                    self._board = self._counted()
                return self._board[0]
        is_fresh = (self._clock() - last[2]).total_seconds() < _BOARD_SECONDS or last[1] == self._store.revision
        if is_fresh or not self._counting.acquire(blocking=False):
            return last[0]
        try:
            self._board = self._counted()
            return self._board[0]
        finally:
            self._counting.release()

    # -- how

    def _word_of(self, browser: str | None, at: datetime) -> str | None:
        """Returns the word for a rater, or None where a new browser must be made.

        That is so for a token that is not ours: when the owner changes the secret, nobody shall be locked out.
        """
        if browser is None:
            return None
        try:
            rater = self._keys.word_of(browser, at)
        except BallotError:
            return None
        return None if self._draws.is_forgotten(rater) else rater

    def _next(self, rater: str, mode: Mode, at: datetime) -> Ballot:
        """Returns a ballot for a new trial, or anew for the oldest open one; either is open from then on."""
        knowledge, version = self._draws.knowledge(), self._pictures.version
        with self._turns[int(rater, 16) % _LOCKS]:  # or who draws often at the same instant would have many open
            slots = self._store.slots_of(rater)
            # What another replica took the answer to is open here no more.
            ours = (ballot for ballot in self._draws.open_ballots(rater) if ballot.mode == mode)
            opened = {slot: ballot for ballot in ours if (slot := ballot.slot(version)) not in slots}
            trial = None
            if len(opened) < _MOST_OPEN:
                seen = seen_by({*slots, *opened}, knowledge)
                match mode:
                    case "grade":
                        trial = draw_grade(knowledge, seen, self._rng)
                    case "pair":
                        done = seen_by(slots, knowledge).pair_trials
                        trial = draw_pair(knowledge, seen, self._rng, self._is_golden(rater, done))
                    case _:
                        assert_never(mode)
            if trial is not None:
                new = secrets.token_hex(16)
                ballot = Ballot(id=new, rater=rater, at=at, picture=trial.picture, systems=trial.systems)
            elif opened:
                # The id stays, so whichever of its ballots is answered first, all of them get that answer.
                ballot = replace(next(iter(opened.values())), at=at)
            else:
                raise VoteLimitError("You have rated all there is this month, thank you; please come back next month.")
            self._draws.open(ballot)
            return ballot

    def _is_golden(self, rater: str, pair_trials: int) -> bool:
        """Returns whether a rater's next pair is golden: one in each six, at a place that only we can tell."""
        block, place = divmod(pair_trials, GOLDEN_EVERY)
        return place == self._keys.number("golden", f"{rater}:{block}", GOLDEN_EVERY)

    def _vote_of(self, drawn: Ballot, at: datetime, answer: Choice | int, view: View) -> Vote:
        match drawn.systems:
            case (left, right):
                if answer not in get_args(Choice):
                    raise AnswerError(f"A pair is answered by one of {', '.join(get_args(Choice))}.")
                return PairVote(
                    id=drawn.id,
                    at=at,
                    rater=drawn.rater,
                    picture_set=self._pictures.version,
                    picture=drawn.picture,
                    left=left,
                    right=right,
                    choice=cast(Choice, answer),
                    view=view,
                )
            case _:
                return GradeVote(
                    id=drawn.id,
                    at=at,
                    rater=drawn.rater,
                    picture_set=self._pictures.version,
                    picture=drawn.picture,
                    system=drawn.systems[0],
                    grade=_grade_of(answer),
                    view=view,
                )

    def _accept(self, vote: Vote, browser: str, client: bytes | None) -> tuple[Accepted, bool]:
        """Stores a vote, and tells whether it is new."""
        match outcome := self._allowance.store(vote, browser, client):
            case "accepted":
                return self._accepted(vote, "saved" if self._store.is_remote else "accepted", browser), True
            case "repeated":
                first = self._store.find(vote.id)
                if first is None or isinstance(first, Forget) or first.rater != vote.rater:
                    raise BallotError("This is rated already, in another browser; please go on to the next picture.")
                return self._accepted(first, self._store.states([vote.id])[vote.id], browser), False
            case "taken":
                raise BallotError("You have rated this before, and the first answer counts; please go on to the next.")
            case "forgotten":
                self._draws.forget([vote.rater])
                raise BallotError("Your votes were deleted as you asked; the next picture comes under a new word.")
            case _:
                assert_never(outcome)

    def _accepted(self, vote: Vote, state: State, browser: str) -> Accepted:
        return Accepted(
            id=vote.id,
            state=state,
            receipt=self._seals.receipt(vote),
            systems=(vote.left, vote.right) if isinstance(vote, PairVote) else (vote.system,),
            picture=vote.picture,
            browser=browser,
        )

    def _votes_of(self, receipts: Sequence[str]) -> Iterator[Vote]:
        for receipt in receipts:
            try:
                yield self._seals.read_receipt(receipt)
            except VoteError:
                continue  # of another server or an older form; the others are worth keeping

    def _counted(self) -> tuple[Board, int, datetime]:
        revision = self._store.revision  # before the records, so that what comes between is counted next time
        board = board_of(self._store.records(), self._pictures.systems, self._references)
        return board, revision, self._clock()


def _grade_of(answer: Choice | int) -> int:
    if isinstance(answer, bool) or not isinstance(answer, int) or not 1 <= answer <= 5:
        raise AnswerError("A grade is a whole number from 1 (bad) to 5 (excellent).")
    return answer
