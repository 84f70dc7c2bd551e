import base64
import re
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from ratings.identity import Keys, server_secret
from ratings.vote import Forget
from sr_core.errors import BallotError, VoteError

WORDS = "a secret that is long enough"
NOVEMBER = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
def keys() -> Keys:
    return Keys(WORDS, clock=lambda: NOVEMBER)


def test_a_browser_has_one_word_a_month(keys: Keys) -> None:
    browser = keys.new_browser()

    word = keys.word_of(browser, NOVEMBER)

    assert re.fullmatch("[0-9a-f]{16}", word)
    assert keys.word_of(browser, NOVEMBER - timedelta(days=29)) == word
    assert keys.word_of(browser, DECEMBER) != word
    assert keys.word_of(browser, NOVEMBER.astimezone(timezone(timedelta(hours=9)))) == word, "a month begins in UTC"


def test_browsers_differ(keys: Keys) -> None:
    browsers = [keys.new_browser() for _ in range(50)]

    assert len(set(browsers)) == len({keys.word_of(browser, NOVEMBER) for browser in browsers}) == 50
    assert len({len(browser) for browser in browsers}) == 1


def test_one_seed_is_one_browser(keys: Keys) -> None:
    first, again, other = keys.new_browser(b"seed"), keys.new_browser(b"seed"), keys.new_browser(b"other")

    assert first != again, "a token is new each time"
    assert keys.word_of(first, NOVEMBER) == keys.word_of(again, NOVEMBER) != keys.word_of(other, NOVEMBER)


def test_all_months_have_a_word_that_a_wish_can_hold(keys: Keys) -> None:
    browser, until = keys.new_browser(), datetime(2028, 1, 15, tzinfo=UTC)
    months = [datetime(2026 + (10 + n) // 12, (10 + n) % 12 + 1, 3, tzinfo=UTC) for n in range(15)]

    words = keys.words_of(browser, until)

    assert words == tuple(keys.word_of(browser, month) for month in months)
    assert Forget(id="0" * 32, at=until, raters=words).raters == words
    assert keys.words_of(browser, NOVEMBER) == (keys.word_of(browser, NOVEMBER),)


def test_a_clock_that_is_wrong_by_years_still_deletes_what_it_stored(keys: Keys) -> None:
    browser, wrong = keys.new_browser(), datetime(2001, 5, 1, tzinfo=UTC)

    assert keys.words_of(browser, wrong) == (keys.word_of(browser, wrong),)


def test_servers_with_one_secret_agree_and_others_do_not(keys: Keys) -> None:
    browser, sealed = keys.new_browser(), keys.seal("ballot", b"paper")
    replica, foreign = Keys(WORDS, clock=lambda: NOVEMBER), Keys(WORDS + "!", clock=lambda: NOVEMBER)

    assert replica.word_of(browser, NOVEMBER) == keys.word_of(browser, NOVEMBER)
    assert replica.unseal("ballot", sealed) == b"paper"
    assert replica.photo_word("upload") == keys.photo_word("upload") != foreign.photo_word("upload")
    with pytest.raises(BallotError, match="load it again"):
        foreign.word_of(browser, NOVEMBER)
    with pytest.raises(BallotError):
        foreign.unseal("ballot", sealed)


def test_purposes_are_separate(keys: Keys) -> None:
    for other in ("picture", "ballots", "", "seal ballot", "browser"):
        with pytest.raises(BallotError):
            keys.unseal(other, keys.seal("ballot", b"paper"))
    with pytest.raises(BallotError):
        keys.word_of(keys.seal("ballot", b"\0" * 16), NOVEMBER)


@given(payload=st.binary(max_size=300), other=st.binary(max_size=300))
@settings(max_examples=50, deadline=None)
def test_what_is_sealed_comes_back_and_shows_its_length_alone(payload: bytes, other: bytes) -> None:
    keys = Keys(WORDS)
    token = keys.seal("ballot", payload)

    assert keys.unseal("ballot", token) == payload
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token), "fit for an address as it is"
    assert token != keys.seal("ballot", payload)
    if len(payload) == len(other):
        assert len(keys.seal("ballot", other)) == len(token)


@given(place=st.integers(0, 10_000), letter=st.sampled_from("ABCxyz019-_"))
@settings(max_examples=100, deadline=None)
def test_an_altered_token_is_refused(place: int, letter: str) -> None:
    keys = Keys(WORDS)
    token = keys.seal("ballot", bytes(47))
    place %= len(token) - 1  # the last letter may hold bits that mean nothing
    altered = token[:place] + letter + token[place + 1 :]

    if altered != token:
        with pytest.raises(BallotError):
            keys.unseal("ballot", altered)


@given(token=st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_is_refused_with_a_sentence(token: str) -> None:
    with pytest.raises(BallotError, match=r"\.$"):
        Keys(WORDS).unseal("ballot", token)


@pytest.mark.parametrize("token", ["", "\ud800", "ä" * 100, "gAAAA", "A" * 100_000, "../etc", "a b", "=", "-"])
def test_odd_tokens_are_refused(keys: Keys, token: str) -> None:
    with pytest.raises(BallotError):
        keys.unseal("ballot", token)


def test_a_token_has_no_trailing_newline(keys: Keys) -> None:
    with pytest.raises(BallotError):
        keys.unseal("ballot", keys.seal("ballot", b"paper") + "\n")


def test_tokens_age_by_the_clock() -> None:
    time = [NOVEMBER]
    keys = Keys(WORDS, clock=lambda: time[0])
    token = keys.seal("picture", b"paper")

    time[0] += timedelta(seconds=60)
    assert keys.unseal("picture", token, 60) == b"paper"
    time[0] += timedelta(seconds=1)
    with pytest.raises(BallotError, match="too long"):
        keys.unseal("picture", token, 60)
    assert keys.unseal("picture", token) == b"paper", "without a limit it stays good"


def test_what_is_sealed_cannot_be_read_without_the_key(keys: Keys) -> None:
    token = keys.seal("ballot", b"original" * 6)

    assert b"original" not in base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def test_numbers_are_fixed_and_even(keys: Keys) -> None:
    numbers = [keys.number("golden", f"rater:{n}", 6) for n in range(6000)]

    assert numbers == [keys.number("golden", f"rater:{n}", 6) for n in range(6000)]
    assert all(850 < numbers.count(n) < 1150 for n in range(6))
    assert set(numbers) == set(range(6))
    assert numbers != [keys.number("other", f"rater:{n}", 6) for n in range(6000)]


def test_a_key_is_derived_once(monkeypatch: pytest.MonkeyPatch) -> None:
    purposes: list[bytes] = []

    def derive(*, info: bytes, **others: Any) -> HKDF:
        purposes.append(info)
        return HKDF(info=info, **others)

    monkeypatch.setattr("ratings.identity.HKDF", derive)
    keys = Keys(WORDS, clock=lambda: NOVEMBER)
    for _ in range(3):
        browser = keys.new_browser()
        keys.word_of(browser, NOVEMBER)
        keys.word_of(browser, DECEMBER)
        keys.photo_word("upload")
        keys.number("golden", "rater", 6)
        keys.unseal("ballot", keys.seal("ballot", b"x"))

    assert len(purposes) == len(set(purposes)) == 6


def test_an_empty_secret_is_a_bug() -> None:
    with pytest.raises(ValueError, match="empty"):
        Keys("")


def test_the_given_secret_is_taken(tmp_path: Path) -> None:
    assert server_secret(f" {WORDS}\n", tmp_path / "votes") == WORDS
    assert not (tmp_path / "votes").exists()


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VoteError, match=r"has 5 characters; give it at least 16"):
        server_secret("short", tmp_path)


@pytest.mark.parametrize("given_secret", [None, "", "  "])
def test_a_secret_is_made_once(tmp_path: Path, given_secret: str | None) -> None:
    folder = tmp_path / "new" / "votes"

    secret = server_secret(given_secret, folder)

    assert len(secret) >= 40
    assert server_secret(None, folder) == secret != server_secret(None, tmp_path)
    assert stat.S_IMODE((folder / "secret").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["secret"]


def test_processes_at_once_make_one_secret(tmp_path: Path) -> None:
    code = "import sys, pathlib; from ratings.identity import server_secret; sys.stdin.read(1); "
    code += "print(server_secret(None, pathlib.Path(sys.argv[1])))"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "votes")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go")
        process.stdin.flush()

    secrets = {process.communicate()[0] for process in processes}

    assert len(secrets) == 1
    assert len(secrets.pop().strip()) >= 40


def test_a_damaged_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff" * 40)
    with pytest.raises(VoteError, match="damaged"):
        server_secret(None, tmp_path)
    (tmp_path / "secret").write_bytes(b"")
    with pytest.raises(VoteError, match="0 characters"):
        server_secret(None, tmp_path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VoteError, match="PSR_VOTES_SECRET"):
        server_secret(None, tmp_path / "file")
