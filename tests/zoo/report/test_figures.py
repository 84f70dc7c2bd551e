from dataclasses import replace
from time import perf_counter

import pytest

from sr_core.errors import OptionError
from tests.zoo.report.made import MACHINE, compressed, heads_removed, metric, point, study, whole
from zoo.manifest import Manifest, load_manifest
from zoo.release import DeviceRecord, Release, SpeedRecord
from zoo.report import (
    Figure,
    datasets_of,
    figure_energy,
    figure_loss,
    figure_psnr,
    figure_score,
    figure_speed,
    merge_studies,
)

ONE = whole()
FEWER, LEAST = heads_removed(ONE, 1, psnr_db=36.5), heads_removed(ONE, 2, psnr_db=33.0)
MANIFEST = Manifest(releases=(ONE, FEWER, LEAST))


def places(figure: Figure) -> dict[str, list[tuple[float, float]]]:
    return {series.name: [(p.x, p.y) for p in series.points] for series in figure.series}


class TestPsnr:
    def test_each_technique_is_a_series_from_small_to_large(self) -> None:
        figure = figure_psnr(MANIFEST, [study(point("selective", weights_bytes=15_000))], "Set5")
        assert places(figure) == {
            "whole network": [(0.02, 37.0)],
            "heads by L1 norm": [(0.0172, 33.0), (0.0186, 36.5)],
            "selective": [(0.015, 36.9)],
        }
        assert [series.is_joined for series in figure.series] == [False, True, True]
        assert [p.id for series in figure.series for p in series.points] == [ONE.id, LEAST.id, FEWER.id, None]
        assert figure.series[1].points[0].words == "0.02 MB, 33.00 dB"
        assert figure.note == ""

    def test_scores_of_two_tools_are_never_in_one_series(self) -> None:
        coarse = "test 1, coarse"
        points = [point("heads-l1", str(i), metrics=(metric(35.0 + i, tool=coarse),)) for i in range(4)]
        both = point("whole", metrics=(metric(36.9, tool=coarse),))
        figure = figure_psnr(MANIFEST, [study(*points, both)], "Set5")
        found = {series.name: [p.y for p in series.points] for series in figure.series}
        assert found == {
            "whole network": [36.9],  # by the tool that scored most
            "heads by L1 norm, test 1": [33.0, 36.5],
            "heads by L1 norm": [35.0, 36.0, 37.0, 38.0],
        }
        assert figure.note == "Scores are by test 1, coarse where nothing else is said."

    def test_what_has_no_score_there_is_named_and_not_drawn(self) -> None:
        unknown = point("selective", "half", metrics=(metric(30.0, "Kodak24"),))
        figure = figure_psnr(MANIFEST, [study(unknown)], "Set5")
        assert "selective" not in places(figure)
        assert figure.note == "Not shown, because they have no score on Set5: half."

    def test_many_without_a_score_are_counted(self) -> None:
        unknown = [point("selective", f"{i} %", metrics=()) for i in range(9)]
        figure = figure_psnr(MANIFEST, [study(*unknown)], "Set5")
        assert figure.note == "Not shown, because they have no score on Set5: 9 networks."

    def test_the_size_may_be_that_of_the_package(self, packed: Release) -> None:
        figure = figure_psnr(Manifest(releases=(packed, compressed(packed, "quantize", precision="int8"))), (), "Set5")
        assert figure.x.words == "weight file, MB"
        manifest = Manifest(releases=(packed, heads_removed(ONE, 1)))
        figure = figure_psnr(manifest, (), "Set5", size="package")
        assert places(figure) == {"whole network": [(0.002, 34.5)]}
        assert "package" in figure.x.words
        assert "package" in figure.title

    def test_with_several_networks_each_series_says_whose_it_is(self) -> None:
        figure = figure_psnr(Manifest(releases=(ONE, whole("other"))), (), "Set5")
        assert list(places(figure)) == ["tiny ×2: whole network", "other ×2: whole network"]

    def test_networks_of_one_family_and_scale_are_told_apart_by_id(self) -> None:
        again = replace(ONE, variant=replace(ONE.variant, trained="again"))
        figure = figure_psnr(Manifest(releases=(ONE, again)), (), "Set5")
        assert list(places(figure)) == [f"{ONE.id}: whole network", f"{again.id}: whole network"]


class TestScore:
    def test_scores_come_with_their_interval(self) -> None:
        figure = figure_score(MANIFEST, {FEWER.id: (-0.25, -0.5, 0.004), "bicubic": (-1.0, -2.0, 0.0)})
        [series] = figure.series
        [found] = series.points
        assert (found.id, found.x, found.y, found.interval) == (FEWER.id, 0.0186, -0.25, (-0.5, 0.004))
        assert found.words == "0.02 MB, −0.25 (−0.50 to 0.00)"
        assert not series.is_joined
        assert figure.note.endswith("too few votes for a score: Tiny; Tiny, heads1.")

    def test_without_votes_there_is_a_sentence(self) -> None:
        figure = figure_score(MANIFEST, {})
        assert figure.series == ()
        assert figure.note == "No variant has enough votes for a score."
        assert figure_score(MANIFEST, None).note == "No scores were given, so nothing can be said here of votes."


class TestEnergy:
    def test_inferences_follow_from_time_power_and_budget(self) -> None:
        figure = figure_energy(MANIFEST, watts=2.0, watt_hours=5.0)
        assert places(figure)["whole network"] == [(0.02, 750.0)]
        assert "5 Wh at 2 W" in figure.title
        assert "at 2 W (assumed)" in figure.y.words
        assert figure.series[0].points[0].words == "0.02 MB, 750 photos of 12.0 s"

    def test_the_assumption_is_said_and_no_phone_is_claimed(self) -> None:
        note = figure_energy(MANIFEST, watts=3.0, watt_hours=10.0).note
        assert "not on a phone" in note
        assert "3 W is an assumption" in note
        assert MACHINE in note

    def test_a_device_s_times_take_the_place_of_a_processor_s(self, packed: Release) -> None:
        assert packed.coreml
        device = DeviceRecord(
            device="Phone", system="iOS 26", compute_units="all", milliseconds_per_tile=1.6, date="2026-01-02"
        )
        measured = replace(packed, coreml=replace(packed.coreml, devices=(device,)))
        coarse = compressed(measured, "quantize", precision="int8")
        rest = heads_removed(packed, 1)
        figure = figure_energy(Manifest(releases=(measured, coarse, rest)), watts=3.0, watt_hours=10.0)
        assert [point.y for series in figure.series for point in series.points] == [
            pytest.approx(36_000 / (3.0 * 625 * 0.0016))
        ] * 2
        assert "package on Phone, iOS 26, all." in figure.note
        assert "not on a phone" not in figure.note
        assert figure.note.endswith("times of two runs cannot be compared: Tiny ×2, heads2.")

    def test_times_of_two_runs_are_not_in_one_plot(self) -> None:
        assert LEAST.speed
        later = replace(LEAST, speed=replace(LEAST.speed, machine="later"))
        untimed = heads_removed(replace(ONE, speed=None), 3)
        figure = figure_energy(Manifest(releases=(ONE, FEWER, later, untimed)), watts=3.0, watt_hours=10.0)
        assert places(figure) == {"whole network": [(0.02, 1000.0)], "heads by L1 norm": [(0.0186, 1000.0)]}
        assert (
            "Not shown, because they were timed in another run, and times of two runs cannot be compared: "
            "Tiny, heads1. Not shown, because they have no measured time: Tiny, heads0."
        ) in figure.note
        assert "later" not in figure.note

    def test_without_times_there_is_a_sentence(self) -> None:
        figure = figure_energy(Manifest(releases=(replace(ONE, speed=None),)), watts=3.0, watt_hours=10.0)
        assert figure.series == ()
        assert figure.note.startswith("No time was measured.")
        assert figure.note.endswith("have no measured time: Tiny.")
        figure = figure_energy(Manifest(releases=(replace(ONE, speed=None), FEWER)), watts=3.0, watt_hours=10.0)
        assert figure.series == ()
        assert figure.note.startswith("No whole network was timed.")

    def test_a_power_that_cannot_be_is_refused_even_then(self) -> None:
        with pytest.raises(OptionError, match="power"):
            figure_energy(Manifest(releases=(replace(ONE, speed=None),)), watts=0.0, watt_hours=10.0)


class TestLoss:
    def test_the_loss_is_against_the_whole_network_of_the_study(self) -> None:
        points = (
            point("selective", "5 %", sparsity=0.05, metrics=(metric(36.98),)),
            point("selective", "10 %", sparsity=0.1, metrics=(metric(37.01),)),
            point("uniform-bits", "int8"),
        )
        [merged] = merge_studies(MANIFEST, [study(*points)])
        figure = figure_loss(merged, "Set5")
        assert places(figure) == {
            "heads by L1 norm": [(7.0, 0.5), (14.0, 4.0)],
            "selective": [(5.0, 0.02), (10.0, -0.01)],
        }
        assert [p.words for p in figure.series[1].points] == ["5.0% gone, −0.02 dB", "10.0% gone, +0.01 dB"]
        assert (figure.y.kind, figure.y.floor) == ("log", 0.01)
        assert figure.title == "PSNR lost on Set5 against sparsity, tiny ×2"
        assert figure.note == "Losses below 0.01 dB, and gains, stand below the axis."

    def test_without_the_whole_network_s_score_there_is_no_loss(self) -> None:
        alone = figure_loss(study(point("selective")), "Set5")
        assert alone.series == ()
        assert alone.note.startswith("Nothing was measured.")
        [merged] = merge_studies(MANIFEST, ())
        assert figure_loss(merged, "Kodak24").note == "Nothing was measured."

    def test_a_loss_is_between_scores_of_one_tool(self) -> None:
        coarse = "test 1, coarse"
        points = (
            point("whole", metrics=(metric(36.8, tool=coarse),)),
            point("selective", "both", sparsity=0.1, metrics=(metric(36.7, tool=coarse),)),
            point("selective", "third", sparsity=0.2, metrics=(metric(36.0, tool="test 2"),)),
            point("selective", "border", sparsity=0.3, metrics=(replace(metric(36.0), border=4),)),
            point("selective", "fewer", sparsity=0.4, metrics=(replace(metric(36.0), pictures=4),)),
        )
        [merged] = merge_studies(MANIFEST, [study(*points)])
        figure = figure_loss(merged, "Set5")
        assert places(figure) == {"heads by L1 norm": [(7.0, 0.5), (14.0, 4.0)], "selective": [(10.0, 0.1)]}
        assert (
            "a tool that did not score the whole network, so that their loss is not known: third; border; fewer."
            in (figure.note)
        )

    def test_what_was_scored_by_two_tools_has_the_loss_of_one_of_them(self) -> None:
        two = (metric(36.0, tool="test 2"), metric(36.9))
        [merged] = merge_studies(MANIFEST, [study(point("selective", sparsity=0.1, metrics=two))])
        assert places(figure_loss(merged, "Set5"))["selective"] == [(10.0, 0.1)]

    def test_what_was_chosen_by_another_measure_is_a_curve_of_its_own(self) -> None:
        points = (
            point("selective", "10 %", sparsity=0.1),
            point("selective", "10 % of the multiplications", sparsity=0.12, measure="macs"),
            point("selective", "5 %", sparsity=0.07, measure="milliseconds", share=0.05),
        )
        [merged] = merge_studies(MANIFEST, [study(*points)])
        _, *selective = figure_loss(merged, "Set5").series
        assert [(one.name, one.is_dashed, one.technique) for one in selective] == [
            ("selective", False, "selective"),
            ("selective, by multiplications", True, "selective"),
            ("selective, by measured time", True, "selective"),
        ]
        assert selective[2].points[0].label == "5 % (5 % of the measured time)"

    def test_zeros_are_not_gone(self) -> None:
        zeros = compressed(ONE, "magnitude-l1", 0.3, word="z30", sparsity=0.228)
        [merged] = merge_studies(Manifest(releases=(ONE, zeros)), ())
        [[found]] = [series.points for series in figure_loss(merged, "Set5").series]
        assert found.words == "22.8% zero, −1.00 dB"
        assert found.label == "Tiny, z30 (of linear weights)"


class TestSpeed:
    speed = SpeedRecord(seconds_per_megapixel=9.0, compute="float32", machine=MACHINE)
    whole = point("whole", speed=replace(speed, seconds_per_megapixel=10.0), sparsity=0.0)

    def test_what_only_stores_coarser_is_left_out(self) -> None:
        coarse = point("uniform-bits", "int8", speed=self.speed)
        figure = figure_speed(study(point("selective", speed=self.speed), coarse, point("selective", "no"), self.whole))
        assert places(figure) == {"whole network": [(0.0, 10.0)], "selective": [(10.0, 9.0)]}
        assert figure.note == "Measured on two cores, float32."
        assert figure_speed(study()).note == "Nothing was measured."

    def test_times_of_another_run_are_left_out_and_named(self) -> None:
        later = replace(self.speed, machine="later")
        coarse = point("uniform-bits", "int8", speed=later)
        figure = figure_speed(study(self.whole, point("selective", "then", speed=later), coarse))
        assert places(figure) == {"whole network": [(0.0, 10.0)]}
        assert figure.note.endswith("another run, and times of two runs cannot be compared: then.")
        alone = figure_speed(study(point("selective", "then", speed=later)))
        assert alone.series == ()
        assert alone.note == "The whole network was not timed, and times of others say nothing without it."


def test_data_sets_stand_in_the_order_in_which_they_appear() -> None:
    colour = replace(metric(30.0, "Colour"), channels="rgb")
    points = (point("whole", metrics=(metric(1.0, "B"), colour)), point("selective", metrics=(metric(1.0, "A"),)))
    assert datasets_of([study(*points)]) == ("B", "A")


def test_figures_of_what_ships_are_quick() -> None:
    manifest = load_manifest()

    def seconds() -> float:
        started = perf_counter()
        merged = merge_studies(manifest, ())
        figure_psnr(manifest, merged, "Kodak24")
        figure_energy(manifest, watts=3.0, watt_hours=10.0)
        figure_loss(merged[0], "Kodak24")
        return perf_counter() - started

    assert min(seconds() for _ in range(5)) < 0.05
