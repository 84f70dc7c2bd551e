"""What the booth gives out sealed: ballots, tickets for pictures, tickets for results, and receipts.

A ballot carries its trial, so that no server needs to remember it: a restart, or another replica, can take the vote.
Pictures and systems stand in it as places in a list, never as names, so that every token of a kind has one length.
"""

import hashlib
import secrets
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

from ratings.identity import Keys
from ratings.vote import Forget, Vote, line_of, record_of
from sr_core.errors import BallotError

__all__ = ["LIFE_SECONDS", "Ballot", "Mode", "OwnTicket", "Seals"]

Mode: TypeAlias = Literal["pair", "grade"]

LIFE_SECONDS: Final = 3600
"""How long a ballot and its pictures can be used."""
_OWN_LIFE_SECONDS: Final = 24 * 3600
"""How long a visitor's own result can be graded: pages stay open."""

_BALLOT: Final = struct.Struct(">8s16s8sQHHH")  # list, id, rater, milliseconds since 1970, picture, left, right
_TICKET: Final = struct.Struct(">8sHH16s")  # list, picture, system, nonce
_OWN: Final = struct.Struct(">16s8s128s")  # id, photo, variant
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NONE: Final = 0xFFFF
"""In place of the right system, where there is only one picture."""
_OTHER_SET: Final = "The set of pictures has changed since this was drawn; please go on to the next picture."
_RECEIPT_BYTES: Final = 1024
"""No vote is longer: four names of 128 characters and some numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """The right to one vote.

    Attributes:
        id: Of the vote, 32 hexadecimal digits.
        rater: The word for the rater in the month of the draw.
        at: Time of the draw.
        picture: Name of the picture.
        systems: (left, right), or the one whose picture is graded.
    """

    id: str
    rater: str
    at: datetime
    picture: str
    systems: tuple[str, ...]

    @property
    def mode(self) -> Mode:
        """What it asks for."""
        return "grade" if len(self.systems) == 1 else "pair"

    def slot(self, version: str) -> str:
        """Returns the slot (:func:`ratings.vote.slot_of`) that a vote on this takes, with the set's version."""
        return f"{self.rater}:{version}:{self.picture}:{'|'.join(sorted(self.systems))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTicket:
    """The right to grade the result of a variant on a visitor's own photo.

    Attributes:
        id: Of the vote, 32 hexadecimal digits.
        photo: The word for the photo.
        variant: What made the result.
    """

    id: str
    photo: str
    variant: str


class Seals:
    """Seals and unseals all that is given out for one list of pictures and systems.

    Args:
        keys: What seals.
        version: Of the set of pictures.
        pictures: Names, in the order of the set.
        systems: Names, in the order of the set.
    """

    def __init__(self, keys: Keys, version: str, pictures: tuple[str, ...], systems: tuple[str, ...]) -> None:
        self._keys, self._pictures, self._systems = keys, pictures, systems
        # Places mean something only in the very list they were made for, whatever the version of the set says.
        names = "\n".join((version, *pictures, "", *systems))
        self._list = hashlib.sha256(names.encode()).digest()[:8]

    def ballot(self, ballot: Ballot) -> str:
        """Returns a ballot, sealed."""
        places = [self._systems.index(system) for system in ballot.systems]
        payload = _BALLOT.pack(
            self._list,
            bytes.fromhex(ballot.id),
            bytes.fromhex(ballot.rater),
            (ballot.at - _EPOCH) // timedelta(milliseconds=1),  # rounded up it could be of the next month
            self._pictures.index(ballot.picture),
            places[0],
            places[1] if len(places) > 1 else _NONE,
        )
        return self._keys.seal("ballot", payload)

    def read_ballot(self, token: str) -> Ballot:
        """Returns the ballot of a token, however old.

        Raises:
            BallotError: It is not ours, or the pictures have changed.
        """
        payload = self._keys.unseal("ballot", token)
        names, vote, rater, milliseconds, picture, left, right = _BALLOT.unpack(payload)
        if names != self._list:
            raise BallotError(_OTHER_SET)
        places = (left,) if right == _NONE else (left, right)
        return Ballot(
            id=vote.hex(),
            rater=rater.hex(),
            at=_EPOCH + timedelta(milliseconds=milliseconds),
            picture=self._pictures[picture],
            systems=tuple(self._systems[place] for place in places),
        )

    def ticket(self, picture: str, system: str) -> str:
        """Returns a new ticket for a picture as a system shows it."""
        nonce = secrets.token_bytes(16)
        payload = _TICKET.pack(self._list, self._pictures.index(picture), self._systems.index(system), nonce)
        return self._keys.seal("picture", payload)

    def read_ticket(self, token: str) -> tuple[str, str, bytes]:
        """Returns the picture, the system and the 16 random bytes of a ticket.

        Raises:
            BallotError: It is not ours, is too old, or the pictures have changed.
        """
        names, picture, system, nonce = _TICKET.unpack(self._keys.unseal("picture", token, LIFE_SECONDS))
        if names != self._list:
            raise BallotError(_OTHER_SET)
        return self._pictures[picture], self._systems[system], nonce

    def own_ticket(self, ticket: OwnTicket) -> str:
        """Returns a ticket for a result, sealed."""
        name = ticket.variant.encode("ascii")
        if len(name) > 128:
            raise ValueError("a variant's id has at most 128 characters")
        return self._keys.seal("result", _OWN.pack(bytes.fromhex(ticket.id), bytes.fromhex(ticket.photo), name))

    def read_own_ticket(self, token: str) -> OwnTicket:
        """Returns the ticket for a result.

        Raises:
            BallotError: It is not ours or is too old.
        """
        vote, photo, name = _OWN.unpack(self._keys.unseal("result", token, _OWN_LIFE_SECONDS))
        return OwnTicket(id=vote.hex(), photo=photo.hex(), variant=name.rstrip(b"\0").decode("ascii"))

    def receipt(self, vote: Vote) -> str:
        """Returns a vote, sealed: with it a browser can bring it again after a server's disk was lost."""
        return self._keys.seal("receipt", line_of(vote).encode().ljust(_RECEIPT_BYTES))

    def read_receipt(self, token: str) -> Vote:
        """Returns the vote of a receipt.

        Raises:
            BallotError: It is not ours.
            VoteError: Votes have had another form since.
        """
        vote = record_of(self._keys.unseal("receipt", token))
        if isinstance(vote, Forget):
            raise TypeError("receipts are given for votes alone")
        return vote
