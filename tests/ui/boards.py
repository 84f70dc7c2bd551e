"""Boards that are made up, in the form that the votes of a crowd give."""

import math
from dataclasses import dataclass

from ratings.board import (
    HIDDEN_BELOW,
    PRELIMINARY_BELOW,
    Board,
    Equivalence,
    GradeScore,
    PairScore,
    Screening,
    Standing,
    Verdict,
)
from ratings.rank import groups_of, ranks_of
from ratings.vote import BICUBIC, ORIGINAL
from zoo.manifest import Manifest

MARGIN = 0.2
NOBODY = Screening(
    raters=0, votes=0, skips=0, raters_failed_golden=0, raters_one_sided=0, raters_inconsistent=0, votes_left_out=0,
    golden=0, golden_right=0, left_bias=0.0,
)  # fmt: skip
CROWD = Screening(
    raters=214, votes=3120, skips=131, raters_failed_golden=12, raters_one_sided=3, raters_inconsistent=1,
    votes_left_out=412, golden=486, golden_right=451, left_bias=0.06,
)  # fmt: skip


@dataclass
class Booth:
    """A booth with nothing but a board."""

    shown: Board

    def board(self) -> Board:
        return self.shown


def board_of(manifest: Manifest, votes: int, screening: Screening, drop: int | None = 7) -> Board:
    """Returns a board where each system has so many votes, but for those that came last, which have fewer."""
    scores = _scores(manifest)
    counts = {system: max(0, votes - 17 * place + (97 * place) % 31) for place, system in enumerate(scores)}
    reach = {system: 3.92 / math.sqrt(count + 1) for system, count in counts.items()}
    shown = [system for system, count in counts.items() if standing_of(count) != "hidden"]
    lows, highs = [scores[one] - reach[one] for one in shown], [scores[one] + reach[one] for one in shown]
    ranks = dict(zip(shown, ranks_of(lows, highs), strict=True))
    groups = dict(zip(shown, groups_of(lows, highs), strict=True))
    pairs = [
        PairScore(
            system=system,
            score=score,
            low=score - reach[system],
            high=score + reach[system],
            votes=counts[system],
            standing=standing_of(counts[system]),
            rank=ranks.get(system, len(shown) + 1),
            group=groups.get(system, ""),
        )
        for system, score in scores.items()
    ]
    return Board(
        pairs=tuple(sorted(pairs, key=lambda one: (one.rank, -one.low))),
        grades=_grades(scores, votes // 4) if votes else (),
        equivalences=tuple(
            _equivalence(system, reference, scores[system] - scores[reference], reach[system])
            for system, reference in manifest.references.items()
        ),
        screening=screening,
        drop=drop,
    )


def standing_of(votes: int) -> Standing:
    return "hidden" if votes < HIDDEN_BELOW else "preliminary" if votes < PRELIMINARY_BELOW else "ranked"


def _scores(manifest: Manifest) -> dict[str, float]:
    """Returns scores that follow what was measured, the original on top."""
    measured = {one.id: metric.psnr_db for one in manifest.releases if (metric := one.metric("Kodak24"))}
    middle = sum(measured.values()) / len(measured)
    scores = {ORIGINAL: 1.31, **{key: 0.62 * (value - middle) for key, value in measured.items()}, BICUBIC: -1.27}
    return {system: score + 0.011 * (place % 5) for place, (system, score) in enumerate(scores.items())}


def _equivalence(system: str, reference: str, difference: float, reach: float) -> Equivalence:
    low, high = difference - reach, difference + reach
    verdict: Verdict = "open"
    if low > -MARGIN and high < MARGIN:
        verdict = "equivalent"
    elif high < 0:
        verdict = "worse"
    elif low > 0:
        verdict = "better"
    return Equivalence(
        system=system,
        reference=reference,
        difference=difference,
        low=low,
        high=high,
        margin=MARGIN,
        verdict=verdict,
        votes_needed=round(900 * reach) if verdict == "open" else None,
        drop=23 if verdict == "worse" else None,
    )


def _grades(scores: dict[str, float], votes: int) -> tuple[GradeScore, ...]:
    grades: list[GradeScore] = []
    for own in (False, True):
        for place, (system, score) in enumerate(sorted(scores.items(), key=lambda one: -one[1])):
            if own and system in {ORIGINAL, BICUBIC}:
                continue
            mos, count = 3.4 + 0.8 * score, max(0, (votes // 2 if own else votes) - 11 * place)
            grades.append(
                GradeScore(
                    system=system,
                    own=own,
                    mos=mos,
                    low=mos - 2 / math.sqrt(count + 1),
                    high=mos + 2 / math.sqrt(count + 1),
                    dmos=None if own else mos - (3.4 + 0.8 * scores[ORIGINAL]) + 5,
                    votes=count,
                    standing=standing_of(count),
                )
            )
    return tuple(grades)
