import re
from dataclasses import replace
from html import unescape
from types import SimpleNamespace
from typing import cast

import gradio as gr
import pytest

from ratings.board import Board, Equivalence, Verdict
from ratings.vote import ANCHORS, BICUBIC, ORIGINAL
from sr_core.errors import VoteError
from tests.ui.boards import CROWD, NOBODY, Booth, board_of
from tests.ui.studio import family
from ui import text
from ui.poll import Keeper, Poll, labels_of
from ui.studio import Studio
from ui.tabs.board import build_board_tab, show_board
from ui.tabs.board_points import points_of, points_text, range_text, wins_percent
from ui.tabs.board_rows import DATA, board_html
from zoo.energy import ASSUMED_WATTS, WATT_HOURS, inferences_per_budget
from zoo.manifest import Manifest

MODELS = family()
PLOT = r'<figure class="plot" .*?</figure>'
LIGHT, INT8 = "swinir-light-x2-photos39-float16", "swinir-light-x2-photos39-int8"
HEADS1, QUICK4 = "swinir-light-x2-photos39-heads1-float16", "swinir-quick-x2-photos39-palette4"
MANY, SOME = board_of(MODELS, 520, CROWD), board_of(MODELS, 260, CROWD)
NONE = board_of(MODELS, 0, NOBODY, None)


def read(board: Board, keeper: Keeper = "hub", models: Manifest = MODELS) -> str:
    return board_html(board, models, keeper)


def plain(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def rows(html: str, table: int = 0) -> dict[str, list[str]]:
    """Returns the cells of a table by the name in the row, from top to bottom."""
    body = re.findall(r"<tbody>(.*?)</tbody>", html)[table]
    found: dict[str, list[str]] = {}
    for row in re.findall(r"<tr.*?</tr>", body):
        [name] = re.findall(r'<th scope="row">.*?class="board-name"[^>]*>(.*?)<', row)
        found[unescape(name)] = [plain(cell) for cell in re.findall(r"<td.*?</td>", row)]
    return found


def with_pair(board: Board, system: str, change: dict[str, object]) -> Board:
    pairs = tuple(replace(one, **change) if one.system == system else one for one in board.pairs)  # type: ignore[arg-type]
    return replace(board, pairs=pairs)


def test_points_and_wins_are_those_of_chess() -> None:
    assert wins_percent(0) == 50
    assert wins_percent(100 / points_of(1)) == pytest.approx(64.0, abs=0.05)  # as the page says
    assert wins_percent(200 / points_of(1)) == pytest.approx(76.0, abs=0.05)
    assert points_of(1) == pytest.approx(173.7, abs=0.05)
    assert (points_text(0.5), points_text(-0.5), points_text(0.001)) == ("+87", "−87", "0")
    assert range_text(-0.1, 0.2) == "−17 to +35"
    assert (wins_percent(-1e4), wins_percent(1e4)) == (0, 100)


def test_the_table_says_what_the_board_holds() -> None:
    shown = rows(read(MANY))
    labels = labels_of(MODELS)
    assert list(shown) == [labels[one.system] for one in MANY.pairs]
    by_system = {one.system: one for one in MANY.pairs}
    light = by_system[LIGHT]
    assert shown[labels[LIGHT]] == [
        str(light.rank), points_text(light.score), range_text(light.low, light.high), " ".join(light.group),
        str(light.votes), text.BOARD_FULL,
    ]  # fmt: skip
    assert shown[labels[ORIGINAL]][-1] == text.NO_TIME
    assert "hidden reference" in read(MANY)
    pairs = read(MANY).split("</table>")[0]
    assert pairs.count('<tr class="board-anchor">') == 2
    assert pairs.count('<tr class="board-variant">') == len(MODELS.releases)


def test_a_hidden_score_is_nowhere() -> None:
    """Whatever a hidden system scored, the page is the same to the letter."""
    hidden = [one.system for one in SOME.pairs if one.standing == "hidden"]
    assert {QUICK4, BICUBIC} <= set(hidden)
    other = replace(
        SOME,
        pairs=tuple(
            sorted(
                (
                    replace(one, score=-one.score + 7, low=5.0, high=9.0, rank=1, group="xyz")
                    if one.system in hidden
                    else one
                    for one in SOME.pairs
                ),
                key=lambda one: -one.score,
            )
        ),
        equivalences=tuple(
            replace(one, difference=3.0, low=2.0, high=4.0, verdict="better", votes_needed=None, drop=5)
            if {one.system, one.reference} & set(hidden)
            else one
            for one in SOME.equivalences
        ),
        grades=tuple(
            replace(one, mos=1.23, low=1.11, high=1.35, dmos=4.56) if one.standing == "hidden" else one
            for one in SOME.grades
        ),
    )
    shown = tuple(one for one in SOME.pairs if one.standing != "hidden")
    kept = tuple(one for one in other.pairs if one.system in hidden)
    assert read(replace(other, pairs=shown + kept)) == read(SOME)
    page = plain(read(replace(other, pairs=kept + shown)))
    assert page == plain(read(SOME))
    for number in (points_text(7), "1.23", "4.56", "xyz"):
        assert number not in page


def test_hidden_systems_say_how_many_votes_they_have_and_are_left_out_of_the_plots() -> None:
    html = read(SOME)
    votes = next(one.votes for one in SOME.pairs if one.system == QUICK4)
    label = MODELS.release(QUICK4).label
    assert rows(html)[label] == [text.NO_TIME, f"{votes} of 100 votes"]
    assert list(rows(html))[-1] == label  # behind those with a score, in the order of the manifest
    plots = html[html.index("board-plots") : html.index(text.BOARD_GRADES_TITLE)]
    assert f'data-variant="{QUICK4}"' not in plots
    assert f'data-variant="{LIGHT}"' in plots
    assert plots.count("Left out, with too few votes: Bicubic enlargement;") == 3
    few = with_pair(SOME, QUICK4, {"votes": 160})  # which are of two raters
    assert rows(read(few))[label][-1] == "160 votes, but of fewer than 5 raters"


def test_dmos_is_not_shown_while_it_would_tell_of_the_hidden_original() -> None:
    labels = labels_of(MODELS)
    grades = board_of(MODELS, 1600, CROWD).grades
    shown = rows(read(replace(MANY, grades=grades)), 1)[labels[LIGHT]]
    light = next(one for one in grades if one.system == LIGHT and not one.own)
    own = next(one for one in grades if one.system == LIGHT and one.own)
    assert light.dmos is not None
    assert shown == [
        f"{light.mos:.2f}", f"{light.low:.2f} to {light.high:.2f}", f"{light.dmos:.2f}", str(light.votes),
        f"{own.mos:.2f}", f"{own.low:.2f} to {own.high:.2f}", str(own.votes),
    ]  # fmt: skip
    few = tuple(replace(one, votes=40, standing="hidden") if one.system == ORIGINAL else one for one in grades)
    cells = rows(read(replace(MANY, grades=few)), 1)
    assert cells[labels[LIGHT]][2] == text.NO_TIME
    assert cells[labels[ORIGINAL]] == ["40 of 100 votes", text.NO_TIME]
    assert list(cells)[-1] == labels[ORIGINAL]


@pytest.mark.parametrize(
    ("verdict", "difference", "needed", "drop", "words"),
    [
        ("equivalent", 0.0, None, 4, "Equivalent 50 % (47.5–52.5)"),
        ("worse", -0.5, None, 23, "Worse 38 % (35.4–40.1) removing 23 votes turns it"),
        ("better", 0.5, None, 1, "Better 62 % (59.9–64.6) removing 1 vote turns it"),
        ("worse", -0.5, None, None, "Worse 38 % (35.4–40.1)"),
        ("open", 0.1, 1234, None, "Open 52 % (50.0–55.0) about 1,300 votes more needed"),
        ("open", 0.1, 1, 3, "Open 52 % (50.0–55.0) about 1 vote more needed"),
        ("open", 0.1, None, 3, "Open 52 % (50.0–55.0) votes needed: not to be told yet"),
    ],
)
def test_a_verdict_says_what_it_rests_on(
    verdict: Verdict, difference: float, needed: int | None, drop: int | None, words: str
) -> None:
    one = Equivalence(
        system=INT8, reference=LIGHT, difference=difference, low=difference - 0.1, high=difference + 0.1, margin=0.2,
        verdict=verdict, votes_needed=needed, drop=drop,
    )  # fmt: skip
    html = read(replace(MANY, equivalences=(one,)))
    assert rows(html)[MODELS.release(INT8).label][-1] == words
    assert f'class="board-{verdict}"' in html
    assert "lies within 45 to 55 %" in html
    assert "lies within 40 to 60 %" in read(replace(MANY, equivalences=(replace(one, margin=0.4),)))


def test_no_verdict_is_given_while_full_precision_has_no_score() -> None:
    html = read(with_pair(MANY, LIGHT, {"standing": "hidden", "votes": 3}))
    assert rows(html)[MODELS.release(INT8).label][-1] == text.BOARD_REFERENCE_WAITS


def test_who_stands_first_is_said_with_what_it_would_take_to_change_that() -> None:
    variants = [one for one in MANY.pairs if one.system not in ANCHORS]
    best, second = (labels_of(MODELS)[one.system] for one in variants[:2])

    def first(*ranks: int, drop: int | None = 7) -> str:
        pairs = [replace(one, rank=rank) for one, rank in zip(variants, ranks, strict=False)]
        return plain(read(replace(MANY, pairs=tuple(pairs), drop=drop)))

    assert f"{best} stands first, apart from all other variants." in first(2, 3, 3)
    assert f"The best rank is shared by {best}; {second}: the votes" in first(2, 2, 4)
    assert "The best rank is shared by 4 variants" in first(2, 2, 2, 2, 6)
    assert "Removing 7 votes would change which variant has the highest score." in first(2, 2)
    assert "Removing 1 vote would change" in first(2, 2, drop=1)
    assert "Removing a tenth of the votes would not change" in first(2, 2, drop=None)
    assert f"{best} is the only variant with 100 votes of 5 raters so far." in first(1, drop=None)
    assert "Removing" not in first(1, drop=None)
    assert "No variant has 100 votes of 5 raters yet" in plain(read(board_of(MODELS, 60, CROWD, None)))
    anchors = tuple(one for one in MANY.pairs if one.system in ANCHORS)
    assert "No variant has 100 votes" in plain(read(replace(MANY, pairs=anchors)))


def test_the_plots_show_the_scores_with_their_intervals_and_the_anchors() -> None:
    size, psnr, energy = re.findall(PLOT, read(MANY))
    int8 = MODELS.release(INT8)
    score = next(one for one in MANY.pairs if one.system == INT8)
    assert int8.coreml
    said = f"{points_text(score.score)} points ({range_text(score.low, score.high)})"
    assert f'aria-label="{int8.label}: {int8.coreml.package_bytes / 1e6:.2f} MB · {said}"' in size
    assert f'aria-label="{int8.label}: 33.12 dB · {said}"' in psnr
    assert int8.speed
    photos = round(inferences_per_budget(int8.speed.seconds_per_megapixel, ASSUMED_WATTS, WATT_HOURS))
    assert photos == 221
    assert f'aria-label="{int8.label}: 221 photos · {said}"' in energy
    assert "Photos of a megapixel at 3 W, 10 Wh (assumed)" in energy
    assert "Times were measured on another machine, float32." in energy
    assert "put in your own in the Zoo tab, below the plot “Energy”" in energy
    for one in (size, psnr, energy):
        original = next(p for p in MANY.pairs if p.system == ORIGINAL)
        assert f"The original {points_text(original.score)}" in one
        assert one.count("plot-whisker") == one.count("data-variant=")
    without = [one.label for one in MODELS.releases if one.coreml is None]
    assert f"Left out, without a package: {'; '.join(without)}." in size
    assert HEADS1 not in size
    assert HEADS1 in psnr
    assert "PSNR on Kodak24, dB" in psnr


def test_what_was_not_measured_is_left_out_of_the_plot_and_named() -> None:
    releases = tuple(replace(one, metrics=()) if one.id == INT8 else one for one in MODELS.releases)
    _, psnr, _ = re.findall(PLOT, read(MANY, models=Manifest(releases=releases)))
    assert INT8 not in psnr
    assert "Left out, not measured on Kodak24: SwinIR light ×2, int8." in psnr
    bare = Manifest(releases=tuple(replace(one, coreml=None) for one in MODELS.releases))
    assert len(re.findall(r'<figure class="plot" ', read(MANY, models=bare))) == 2
    untimed = tuple(replace(one, speed=None) if one.id == INT8 else one for one in MODELS.releases)
    *_, energy = re.findall(PLOT, read(MANY, models=Manifest(releases=untimed)))
    assert INT8 not in energy
    assert "Left out, without a time of that run: SwinIR light ×2, int8." in energy
    later = tuple(
        replace(one, speed=replace(one.speed, machine="later")) if one.id == INT8 and one.speed else one
        for one in MODELS.releases
    )
    *_, energy = re.findall(PLOT, read(MANY, models=Manifest(releases=later)))
    assert INT8 not in energy
    assert "Left out, without a time of that run: SwinIR light ×2, int8." in energy
    nothing = Manifest(releases=tuple(replace(one, speed=None) for one in MODELS.releases))
    assert "Times were measured" not in read(MANY, models=nothing)


def test_a_network_looks_the_same_in_all_plots() -> None:
    """Also where none of the network before it has anything to show."""
    first = MODELS.releases[0].variant.family
    bare = tuple(replace(one, coreml=None) if one.variant.family == first else one for one in MODELS.releases)
    size, psnr, _ = re.findall(PLOT, read(MANY, models=Manifest(releases=bare)))
    legend = r'<li><svg class="(plot-network-\d) plot-filled".*?</svg>([^<]*)</li>'
    assert re.findall(legend, size) == [("plot-network-1", "SwinIR quick ×2")]
    assert re.findall(legend, psnr) == [("plot-network-0", "SwinIR light ×2"), ("plot-network-1", "SwinIR quick ×2")]


def test_preliminary_scores_are_marked_in_table_and_plot() -> None:
    html = read(with_pair(MANY, INT8, {"standing": "preliminary"}))
    row = next(row for row in re.findall(r"<tr.*?</tr>", html) if f'data-variant="{INT8}"' in row)
    assert text.BOARD_PRELIMINARY in row
    assert "board-faint" in row
    points = re.findall(rf'data-variant="{INT8}" class="([^"]*)"', html)
    assert points == ["plot-mark plot-network-0 plot-hollow"] * 3


def test_the_screening_is_told_in_words() -> None:
    page = plain(read(MANY))
    assert "214 raters gave 3,120 votes; 131 were skips and not counted." in page
    assert (
        "Left out, but still stored: 412 votes of 16 raters. 12 raters missed too many golden trials, where the "
        "original stands against bicubic. 3 raters took one side whatever was there. The votes of 1 rater have little"
    ) in page
    assert "Golden trials: 451 of 486 were answered right." in page
    assert "the left (on a phone the upper) one is preferred in 51 %" in page
    honest = replace(NOBODY, raters=214, votes=3120)
    page = plain(read(replace(MANY, screening=honest)))
    assert "214 raters gave 3,120 votes. " in page
    assert text.BOARD_NOBODY_OUT in page
    page = plain(read(replace(MANY, screening=replace(CROWD, raters_one_sided=0))))
    assert "of 13 raters. 12 raters missed" in page
    assert "took one side" not in page
    page = plain(read(replace(MANY, screening=honest)))
    assert "Left out, but" not in page
    assert "Golden trials:" not in page


def test_votes_that_stay_on_the_server_are_said_to() -> None:
    assert text.BOARD_HERE in plain(read(MANY, "here"))
    assert text.BOARD_HERE in plain(read(NONE, "here"))
    assert text.BOARD_HERE not in plain(read(MANY, "hub"))
    assert text.BOARD_HERE not in plain(read(MANY, "database"))


def test_without_votes_the_board_invites_to_rate() -> None:
    html = read(NONE)
    assert text.BOARD_NO_VOTES in html
    assert f"“{text.RATE_TAB}”" in html
    assert "100 counted votes of at least 5 raters" in plain(html)
    assert "<table" not in html
    assert "<svg" not in html


def test_grades_alone_are_a_board_too() -> None:
    board = replace(NONE, grades=MANY.grades, screening=replace(NOBODY, votes=400, raters=9))
    page = plain(read(board))
    assert text.BOARD_NO_VOTES not in page
    assert text.BOARD_NO_PLOTS in page
    assert "the left one" not in page
    assert text.BOARD_NO_GRADES in plain(read(replace(MANY, grades=())))


def test_raw_votes_are_one_click_away() -> None:
    assert f'<a class="board-data" href="{DATA}" download>{text.BOARD_DATA}</a>' in read(MANY)
    assert not DATA.startswith("/")  # the page may be served below a path


def test_names_lead_to_the_zoo_and_those_that_are_not_there_do_not() -> None:
    gone = replace(MANY.pairs[3], system="gone<b>")
    html = read(replace(MANY, pairs=(*MANY.pairs, gone)))
    assert f'<a class="board-name" href="?variant={INT8}" data-variant="{INT8}">' in html
    assert '<span class="board-name">gone&lt;b&gt;</span>' in html
    assert "gone<b>" not in html
    for anchor in ANCHORS:
        assert f'data-variant="{anchor}"' not in html


def test_variants_that_are_not_in_the_trials_are_named() -> None:
    html = read(replace(MANY, pairs=tuple(one for one in MANY.pairs if one.system != INT8)))
    assert "Not part of the blind trials: SwinIR light ×2, int8." in plain(html)
    assert "Not part of" not in read(MANY)


def test_words_from_outside_are_escaped_on_the_board() -> None:
    attack = "<img src=x onerror=alert(1)>"
    bad = Manifest(releases=tuple(replace(one, label=attack) for one in MODELS.releases))
    for board in (MANY, SOME):
        assert "<img" not in read(board, models=bad)


def test_tables_can_be_read_aloud() -> None:
    html = read(board_of(MODELS, 900, CROWD))
    assert html.count("<table>") == html.count("<caption>") == 2
    assert html.count('scope="row"') == sum(len(rows(html, table)) for table in (0, 1))
    assert html.count('scope="col"') == len(text.BOARD_HEADINGS) + len(text.BOARD_GRADES_HEADINGS)
    assert html.count('scope="colgroup"') == 2


def a_studio(booth: object, notice: str | None = None) -> Studio:
    poll = replace(Poll.off(MODELS, notice), booth=booth)  # type: ignore[arg-type]
    return cast(Studio, SimpleNamespace(booth=booth, poll=poll, manifest=MODELS, keeper="here"))


def test_the_tab_shows_the_board_when_it_is_opened_and_is_no_endpoint() -> None:
    studio = a_studio(Booth(MANY))
    with gr.Blocks(analytics_enabled=False) as app, gr.Tabs(), gr.Tab("Board") as tab:
        view = build_board_tab(studio, tab)
    [function] = app.fns.values()
    assert function.targets == [(tab._id, "select")]
    assert (function.queue, function.api_visibility, function.outputs) == (False, "private", [view])
    assert function.fn is not None
    assert function.fn() == read(MANY, "here")
    assert text.BOARD_COUNTING in str(view.value)


def test_without_a_booth_the_board_says_that_ratings_are_off() -> None:
    assert text.BOARD_OFF in unescape(show_board(a_studio(None)))
    assert "the disk &lt;is&gt; full" in show_board(a_studio(None, "the disk <is> full"))


def test_a_board_that_cannot_be_made_is_a_sentence() -> None:
    class Broken:
        def __init__(self, error: Exception) -> None:
            self._error = error

        def board(self) -> Board:
            raise self._error

    assert "The votes cannot be read." in show_board(a_studio(Broken(VoteError("The votes cannot be read."))))
    said = show_board(a_studio(Broken(RuntimeError("secret"))))
    assert "job" in said
    assert "secret" not in said
