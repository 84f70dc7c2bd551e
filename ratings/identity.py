"""Who rates, without knowing who: random words of browsers, and what is sealed so that only this app reads it.

A browser keeps a random number, sealed. Votes name its rater by a word that is made from that number and the month, so
that nobody without the server's secret can tell whose a vote is, or which votes of two months belong together. Each
use of the secret has a key of its own (HKDF, RFC 5869). What is sealed is encrypted and signed (Fernet): only its
length and when it was sealed can be seen.
"""

import base64
import hmac
import os
import re
import secrets
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sr_core.errors import BallotError, VoteError

__all__ = ["Keys", "now", "server_secret"]

_SALT: Final = b"pocket super-resolution, ratings"
_BROWSER: Final = "browser"
_BROWSER_BYTES: Final = 16
_FIRST_MONTH: Final = (2026, 11)
"""No vote is older."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,8192}")
_SECRET_CHARACTERS: Final = 16
"""A shorter secret could be found by trying."""
_FOREIGN: Final = "This page holds something that was not made here or not for this; please load it again and go on."
_EXPIRED: Final = "This was open for too long to be answered; please load the page again or go on to the next picture."


def now() -> datetime:
    """Returns the time in UTC."""
    return datetime.now(UTC)


class Keys:
    """Keys made from one secret: for the words of raters and for what is sealed.

    Safe between threads. Servers with the same secret read each other's tokens.

    Args:
        secret: What only the servers know.
        clock: Where the time comes from, for the age of what was sealed.
    """

    def __init__(self, secret: str, clock: Callable[[], datetime] = now) -> None:
        if not secret:
            raise ValueError("an empty secret keeps nothing")
        self._secret, self._clock = secret.encode(), clock
        self._derived: dict[str, bytes] = {}  # deriving one takes longer than using it
        self._fernets: dict[str, Fernet] = {}

    def new_browser(self, seed: bytes | None = None) -> str:
        """Returns a random 128-bit number, sealed: what a browser keeps to be known again.

        Args:
            seed: Where given, the same seed gives the same number (not the same token), so that a first request that
                arrives several times still comes from one browser.
        """
        number = secrets.token_bytes(_BROWSER_BYTES) if seed is None else self._code("new browser", seed)
        return self.seal(_BROWSER, number[:_BROWSER_BYTES])

    def word_of(self, browser: str, at: datetime) -> str:
        """Returns the word for a browser's rater in the month of a time, 16 hexadecimal digits.

        Raises:
            BallotError: The browser's token is not ours.
        """
        at = at.astimezone(UTC)
        return self._month_word(self.unseal(_BROWSER, browser), at.year, at.month)

    def words_of(self, browser: str, until: datetime) -> tuple[str, ...]:
        """Returns the words for a browser's rater in each month in which there can be votes, up to that of a time.

        Raises:
            BallotError: The browser's token is not ours.
        """
        number, until = self.unseal(_BROWSER, browser), until.astimezone(UTC)
        last = until.year * 12 + until.month - 1
        # A clock that is wrong by years still gives the month that word_of gives.
        first = min(_FIRST_MONTH[0] * 12 + _FIRST_MONTH[1] - 1, last)
        return tuple(self._month_word(number, month // 12, month % 12 + 1) for month in range(first, last + 1))

    def photo_word(self, secret_word: str) -> str:
        """Returns how votes name an own photo, 16 hexadecimal digits, from the secret word of its upload."""
        return self._code("photo", secret_word.encode())[:8].hex()

    def number(self, purpose: str, text: str, below: int) -> int:
        """Returns a number from 0 on that looks random, always the same for a purpose and a text."""
        return int.from_bytes(self._code(f"number of {purpose}", text.encode())) % below

    def seal(self, purpose: str, payload: bytes) -> str:
        """Returns bytes as a token of letters, digits, ``-`` and ``_`` that only :meth:`unseal` of this purpose reads.

        Its length depends on that of the bytes alone. Two tokens of the same bytes differ.
        """
        token = self._fernet(purpose).encrypt_at_time(payload, int(self._clock().timestamp()))
        return token.decode("ascii").rstrip("=")

    def unseal(self, purpose: str, token: str, max_age_seconds: int | None = None) -> bytes:
        """Returns what was sealed for a purpose.

        Raises:
            BallotError: The token was not made with this secret for this purpose, was altered, or is too old.
        """
        if not _TOKEN.fullmatch(token):
            raise BallotError(_FOREIGN)
        signed, fernet = token + "=" * (-len(token) % 4), self._fernet(purpose)
        try:
            payload = fernet.decrypt(signed)
        except InvalidToken as error:
            raise BallotError(_FOREIGN) from error
        if max_age_seconds is not None:
            age_seconds = int(self._clock().timestamp()) - fernet.extract_timestamp(signed)
            if age_seconds > max_age_seconds:
                raise BallotError(_EXPIRED)
        return payload

    def _month_word(self, number: bytes, year: int, month: int) -> str:
        return self._code(f"rater {year:04d}-{month:02d}", number)[:8].hex()

    def _code(self, purpose: str, message: bytes) -> bytes:
        return hmac.digest(self._key(f"code {purpose}"), message, "sha256")

    def _fernet(self, purpose: str) -> Fernet:
        fernet = self._fernets.get(purpose)
        if fernet is None:
            fernet = Fernet(base64.urlsafe_b64encode(self._key(f"seal {purpose}")))
            self._fernets[purpose] = fernet
        return fernet

    def _key(self, purpose: str) -> bytes:
        key = self._derived.get(purpose)
        if key is None:
            key = HKDF(algorithm=SHA256(), length=32, salt=_SALT, info=purpose.encode()).derive(self._secret)
            self._derived[purpose] = key
        return key


def server_secret(given: str | None, folder: Path) -> str:
    """Returns the secret that raters' words and ballots are made with.

    Args:
        given: That of the settings, or None for one of this folder: made at the first call and the same ever after,
            whoever asks, also several processes at once.
        folder: Where the file ``secret`` lies, readable by its owner alone; made where it is missing.

    Raises:
        VoteError: The given secret is too short, or the file cannot be made or read.
    """
    if given is not None and given.strip():
        return _long_enough(given.strip(), "PSR_VOTES_SECRET")
    path = folder / "secret"
    try:
        if not path.exists():
            _make_secret(path)
        return _long_enough(path.read_text(encoding="ascii").strip(), f"the file {path.name!r} of the votes folder")
    except UnicodeDecodeError as error:
        raise VoteError(f"The file {path.name!r} of the votes folder is damaged; restore it or remove it.") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise VoteError(
            f"The secret of the votes folder cannot be made or read ({reason}); "
            "give the folder to the app's user, or set PSR_VOTES_SECRET."
        ) from error


def _make_secret(path: Path) -> None:
    """Leaves a whole file under the name or, where another process was first, that one's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".secret-", dir=path.parent)  # readable by its owner alone
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(name)
        except FileExistsError:
            return
    finally:
        Path(name).unlink()


def _long_enough(secret: str, place: str) -> str:
    if len(secret) < _SECRET_CHARACTERS:
        raise VoteError(
            f"The secret in {place} has {len(secret)} characters; give it at least {_SECRET_CHARACTERS} random ones."
        )
    return secret
