"""What the board says, from its records and the manifest alone.

What a system with few votes scored is said nowhere: neither in numbers, nor by its place among the others.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from ratings.board import (
    HIDDEN_BELOW,
    HIDDEN_BELOW_RATERS,
    PRELIMINARY_BELOW,
    Board,
    Equivalence,
    GradeScore,
    PairScore,
    Screening,
)
from ratings.vote import ANCHORS, ORIGINAL
from ui import text
from ui.poll import Keeper, labels_of
from ui.tabs.board_plots import plots_of
from ui.tabs.board_points import points_text, range_text, wins_percent
from ui.widgets.board_table import (
    Bar,
    Entry,
    Heading,
    Row,
    bar,
    board_table,
    key,
    listed,
    marked,
    paragraphs,
    part,
    progress,
    system_name,
)
from ui.widgets.sheet import Html, words
from zoo.manifest import Manifest

__all__ = ["DATA", "board_html"]

DATA: Final = "ratings/votes.zip"
"""Where the votes can be had, from the page on."""
_DASH: Final = Entry(content=Html(text.NO_TIME))
_GRADES_FROM_TO: Final = (1.0, 5.0)
_THRESHOLDS: Final = {"hidden": HIDDEN_BELOW, "raters": HIDDEN_BELOW_RATERS, "preliminary": PRELIMINARY_BELOW}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """The systems as a reader knows them, anchors first, then in the order of the manifest."""

    labels: dict[str, str]
    variants: tuple[str, ...]

    @classmethod
    def of(cls, manifest: Manifest) -> "_Names":
        return cls(labels=dict(labels_of(manifest)), variants=tuple(release.id for release in manifest.releases))

    def all(self, systems: Iterable[str]) -> str:
        return "; ".join(self.labels.get(system, system) for system in systems)  # some hold a comma

    def name(self, system: str, note: str = "") -> Html:
        notes = [one for one in (text.ANCHOR_NOTES.get(system, ""), note) if one]
        return system_name(self.all([system]), system if system in self.variants else None, ", ".join(notes))

    def place(self, system: str) -> tuple[int, str]:
        order = (*ANCHORS, *self.variants)
        return order.index(system) if system in order else len(order), system


def board_html(board: Board, manifest: Manifest, keeper: Keeper) -> Html:
    """Returns the whole board, all words escaped.

    Args:
        board: What the votes support.
        manifest: The variants on offer, for their names, sizes and measured scores.
        keeper: Where votes are kept for good.
    """
    names = _Names.of(manifest)
    here = [text.BOARD_HERE] if keeper == "here" else []
    if board.screening.votes == 0 and not any(one.votes for one in (*board.pairs, *board.grades)):
        thresholds = text.BOARD_THRESHOLDS.format_map(_THRESHOLDS)
        invitation = paragraphs([text.BOARD_INVITE.format(tab=text.RATE_TAB), thresholds, *here])
        return Html(f'<div class="board board-empty">{part(text.BOARD_NO_VOTES, invitation)}</div>')
    data = Html(f'<a class="board-data" href="{DATA}" download>{words(text.BOARD_DATA)}</a>')
    counted = [*_counted(board.screening, has_scores=any(one.standing != "hidden" for one in board.pairs)), *here]
    parts = (
        part(text.BOARD_TITLE, paragraphs([text.BOARD_LEAD]), listed(_first(board, names)), _pairs(board, names)),
        key(_meanings(board, manifest, names)),
        plots_of(board, manifest),
        part(text.BOARD_GRADES_TITLE, _grades(board.grades, names)),
        part(text.BOARD_COUNTED_TITLE, listed(counted), data, paragraphs([text.BOARD_DATA_HELP])),
    )
    return Html(f'<div class="board">{"".join(parts)}</div>')


def _first(board: Board, names: _Names) -> list[str]:
    """Returns who stands first, and what it would take to change that."""
    shown = [one for one in board.pairs if one.standing != "hidden" and one.system not in ANCHORS]
    if not shown:
        return [text.BOARD_NONE_SHOWN.format_map(_THRESHOLDS)]
    best = min(one.rank for one in shown)
    first = [one.system for one in shown if one.rank == best]
    if len(shown) == 1:
        return [text.BOARD_ONLY.format_map({"label": names.all(first), **_THRESHOLDS})]
    firmness = text.BOARD_DROP_NONE
    if board.drop is not None:
        firmness = text.BOARD_DROP.format(votes=text.votes_text(board.drop))
    match len(first):
        case 1:
            return [text.BOARD_FIRST.format(label=names.all(first)), firmness]
        case 2 | 3:
            return [text.BOARD_FIRST_OF.format(labels=names.all(first)), firmness]
        case many:
            return [text.BOARD_FIRST_MANY.format(count=many), firmness]


def _meanings(board: Board, manifest: Manifest, names: _Names) -> list[tuple[str, str]]:
    """Returns what the columns of the table mean."""
    entries = list(text.BOARD_KEY)
    if board.equivalences:
        margin = board.equivalences[0].margin
        low, high = (f"{wins_percent(value):.0f}" for value in (-margin, margin))
        name, meaning = text.BOARD_KEY_EQUAL
        entries.append((name, meaning.format(low=low, high=high)))
    name, meaning = text.BOARD_KEY_VOTES
    absent = [release.id for release in manifest.releases if release.id not in {one.system for one in board.pairs}]
    missing = text.BOARD_MISSING.format(labels=names.all(absent)) if absent else ""
    return [*entries, (name, f"{meaning.format_map(_THRESHOLDS)} {missing}".strip())]


# --- pairs -------------------------------------------------------------------------------------------------------


def _pairs(board: Board, names: _Names) -> Html:
    shown = [one for one in board.pairs if one.standing != "hidden"]
    hidden = sorted((one for one in board.pairs if one.standing == "hidden"), key=lambda one: names.place(one.system))
    ends = _ends(shown)
    rows = [_pair_row(one, _verdict(one.system, board, shown), ends, names) for one in shown]
    rows += [_waiting_row(one, names) for one in hidden]
    headings = [Heading(words=said, unit=unit, is_number=is_number) for said, unit, is_number in text.BOARD_HEADINGS]
    return board_table(text.BOARD_CAPTION, headings, rows)


def _ends(shown: Sequence[PairScore]) -> tuple[float, float]:
    """Returns what the width of the bars stands for; an interval much longer than all scores together is cut off."""
    scores = [one.score for one in shown] or [0.0]
    reach = max(max(scores) - min(scores), 1.0)
    lowest = min((max(one.low, min(scores) - reach) for one in shown), default=-reach)
    highest = max((min(one.high, max(scores) + reach) for one in shown), default=reach)
    return lowest, highest


def _pair_row(one: PairScore, verdict: Entry, ends: tuple[float, float], names: _Names) -> Row:
    is_preliminary = one.standing == "preliminary"
    interval = Bar(low=one.low, at=one.score, high=one.high, ends=ends, line=0.0, is_faint=is_preliminary)
    return Row(
        before=Entry(content=words(str(one.rank))),
        name=names.name(one.system, text.BOARD_PRELIMINARY if is_preliminary else ""),
        cells=(
            Entry(content=words(points_text(one.score))),
            Entry(content=bar(interval, range_text(one.low, one.high))),
            Entry(content=words(" ".join(one.group))),
            Entry(content=words(f"{one.votes:,}")),
            verdict,
        ),
        kind="anchor" if one.system in ANCHORS else "variant",
    )


def _waiting_row(one: PairScore, names: _Names) -> Row:
    return Row(
        before=_DASH,
        name=names.name(one.system),
        cells=(_waiting(one.votes, len(text.BOARD_HEADINGS) - 2),),
        kind="waiting",
    )


def _waiting(votes: int, columns: int) -> Entry:
    """Returns what a system lacks for a score: votes, or raters."""
    said = text.BOARD_WAITING.format(votes=votes, needed=HIDDEN_BELOW)
    if votes >= HIDDEN_BELOW:
        said = text.BOARD_WAITING_RATERS.format(votes=text.votes_text(votes), needed=HIDDEN_BELOW_RATERS)
    return Entry(content=progress(votes / HIDDEN_BELOW, said), columns=columns)


def _verdict(system: str, board: Board, shown: Sequence[PairScore]) -> Entry:
    """Returns what the votes say of a variant against the network that it was made from, where both have a score."""
    if any(one.reference == system for one in board.equivalences):
        return Entry(content=words(text.BOARD_FULL))
    one = next((one for one in board.equivalences if one.system == system), None)
    if one is None:
        return _DASH
    if one.reference not in {score.system for score in shown}:
        return Entry(content=words(text.BOARD_REFERENCE_WAITS))
    low, high = (f"{wins_percent(value):.1f}" for value in (one.low, one.high))  # 50.4 is not yet 50
    numbers = text.BOARD_WINS.format(wins=f"{wins_percent(one.difference):.0f}", low=low, high=high)
    return Entry(content=marked(one.verdict, text.VERDICTS[one.verdict], numbers, _firmness(one)))


def _firmness(one: Equivalence) -> str:
    """Returns what an open verdict lacks, and what it would take to turn another."""
    match one.verdict:
        case "open":
            needed = one.votes_needed
            if needed is None:
                return text.BOARD_NEEDS_UNKNOWN
            return text.BOARD_NEEDS.format(votes=text.votes_text(_in_two_digits(needed)))
        case "worse" | "better":
            return "" if one.drop is None else text.BOARD_TURNS.format(votes=text.votes_text(one.drop))
        case "equivalent":
            return ""
        case _:
            assert_never(one.verdict)


def _in_two_digits(count: int) -> int:
    """Returns an estimate as exact as it is: rounded up to two digits."""
    unit = 10 ** max(0, len(str(count)) - 2)
    return math.ceil(count / unit) * unit


# --- grades ------------------------------------------------------------------------------------------------------


def _grades(grades: Sequence[GradeScore], names: _Names) -> Html:
    """Returns the grades on the set of pictures and on own photos, a system to a row."""
    graded = [one for one in grades if one.votes]
    if not graded:
        return paragraphs([text.BOARD_NO_GRADES])
    found = {(one.system, one.own): one for one in graded}
    shown = list(dict.fromkeys(one.system for one in graded if one.standing != "hidden"))
    rest = sorted({one.system for one in graded} - set(shown), key=names.place)
    headings = [Heading(words=said, is_number=is_number) for said, is_number in text.BOARD_GRADES_HEADINGS]
    rows = [_grade_row(one, found, names) for one in (*shown, *rest)]
    table = board_table(text.BOARD_GRADES_CAPTION, headings, rows, groups=text.BOARD_GRADES_GROUPS)
    scale = ", ".join(f"{grade} {word.lower()}" for grade, word in enumerate(text.GRADES, start=1))
    return Html(table + paragraphs([text.BOARD_GRADES_HELP.format(grades=scale)]))


def _grade_row(system: str, found: Mapping[tuple[str, bool], GradeScore], names: _Names) -> Row:
    of_set, of_own = found.get((system, False)), found.get((system, True))
    original = found.get((ORIGINAL, False))
    has_dmos = original is not None and original.standing != "hidden"  # else it would tell of the original's score
    is_waiting = all(one is None or one.standing == "hidden" for one in (of_set, of_own))
    return Row(
        before=None,
        name=names.name(system),
        cells=(*_grade_cells(of_set, 4, has_dmos=has_dmos), *_grade_cells(of_own, 3, has_dmos=False)),
        kind="waiting" if is_waiting else "anchor" if system in ANCHORS else "variant",
    )


def _grade_cells(one: GradeScore | None, columns: int, *, has_dmos: bool) -> tuple[Entry, ...]:
    """Returns the cells of a mean opinion score; with four columns, one is for the DMOS."""
    if one is None:
        return (Entry(content=_DASH.content, columns=columns),)
    if one.standing == "hidden":
        return (_waiting(one.votes, columns),)
    said = text.BOARD_RANGE.format(low=f"{one.low:.2f}", high=f"{one.high:.2f}")
    is_faint = one.standing == "preliminary"
    interval = Bar(low=one.low, at=one.mos, high=one.high, ends=_GRADES_FROM_TO, line=3.0, is_faint=is_faint)
    dmos = Entry(content=words(f"{one.dmos:.2f}")) if has_dmos and one.dmos is not None else _DASH
    return (
        Entry(content=words(f"{one.mos:.2f}")),
        Entry(content=bar(interval, said)),
        *([dmos] if columns == 4 else []),
        Entry(content=words(f"{one.votes:,}")),
    )


# --- how it was counted ------------------------------------------------------------------------------------------


def _counted(one: Screening, *, has_scores: bool) -> list[str]:
    """Returns who voted, who was left out and why, in sentences."""
    raters, votes = text.raters_text(one.raters), text.votes_text(one.votes)
    skips = text.counted_text(one.skips, "was a skip", "were skips")
    counted = text.BOARD_SKIPS if one.skips else text.BOARD_COUNTED
    sentences = [counted.format(raters=raters, votes=votes, skips=skips)]
    reasons = (
        (one.raters_failed_golden, text.BOARD_WHY_GOLDEN),
        (one.raters_one_sided, text.BOARD_WHY_SIDED),
        (one.raters_inconsistent, text.BOARD_WHY_INCONSISTENT),
    )
    left_out = sum(count for count, _ in reasons)
    if left_out:
        votes, raters = text.votes_text(one.votes_left_out), text.raters_text(left_out)
        why = " ".join(why.format(raters=text.raters_text(count)) for count, why in reasons if count)
        sentences.append(text.BOARD_LEFT_OUT_RATERS.format(votes=votes, raters=raters, reasons=why))
    else:
        sentences.append(text.BOARD_NOBODY_OUT)
    if one.golden:
        sentences.append(text.BOARD_GOLDEN.format(right=f"{one.golden_right:,}", total=f"{one.golden:,}"))
    if has_scores:
        sentences.append(text.BOARD_SIDE.format(percent=f"{wins_percent(one.left_bias):.0f}"))
    return sentences
