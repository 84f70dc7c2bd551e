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


class TestEnergy:
    def test_inferences_follow_from_time_power_and_budget(self) -> None:
        figure = figure_energy(MANIFEST, watts=2.0, watt_hours=5.0)
        assert places(figure)["whole network"] == [(0.02, 750.0)]
        assert "5 Wh at 2 W" in figure.title
        assert "750 photos of 12.0 s on two cores, float32" in figure.series[0].points[0].words

    def test_the_assumption_is_said_and_no_phone_is_claimed(self) -> None:
        note = figure_energy(MANIFEST, watts=3.0, watt_hours=10.0).note
        assert "not on a phone" in note
        assert "3 W is an assumption" in note
        assert MACHINE in note

    def test_a_device_s_time_takes_the_place_of_the_processor_s(self, packed: Release) -> None:
        assert packed.coreml
        device = DeviceRecord(
            device="Phone", system="iOS 26", compute_units="all", milliseconds_per_tile=1.6, date="2026-01-02"
        )
        measured = replace(packed, coreml=replace(packed.coreml, devices=(device,)))
        figure = figure_energy(Manifest(releases=(measured,)), watts=3.0, watt_hours=10.0)
        [found] = figure.series[0].points
        assert found.y == pytest.approx(36_000 / (3.0 * 625 * 0.0016))
        assert "Phone" in found.words
        assert "not on a phone" not in figure.note
        both = figure_energy(Manifest(releases=(measured, whole("other"))), watts=3.0, watt_hours=10.0).note
        assert "package on Phone, iOS 26, all. Times of the others were measured on two cores, float32, not on" in both

    def test_without_times_there_is_a_sentence(self) -> None:
        figure = figure_energy(Manifest(releases=(replace(ONE, speed=None),)), watts=3.0, watt_hours=10.0)
        assert figure.series == ()
        assert figure.note.startswith("No time was measured.")
        assert figure.note.endswith("have no measured time: Tiny.")

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
        figure = figure_loss(merge_studies(MANIFEST, [study(*points)]), "Set5")
        assert places(figure) == {
            "heads by L1 norm": [(7.0, 0.5), (14.0, 4.0)],
            "selective": [(5.0, 0.02), (10.0, -0.01)],
        }
        assert [p.words for p in figure.series[1].points] == ["5.0% gone, −0.02 dB", "10.0% gone, +0.01 dB"]
        assert (figure.y.kind, figure.y.floor) == ("log", 0.01)

    def test_without_the_whole_network_s_score_there_is_no_loss(self) -> None:
        assert figure_loss([study(point("selective"))], "Set5").series == ()
        assert figure_loss(merge_studies(MANIFEST, ()), "Kodak24").note == "Nothing was measured."

    def test_each_study_is_measured_by_its_own_whole_network(self) -> None:
        other = whole("other", psnr_db=35.0)
        manifest = Manifest(releases=(ONE, FEWER, other, heads_removed(other, 1, psnr_db=34.0)))
        figure = figure_loss(merge_studies(manifest, ()), "Set5")
        assert places(figure) == {
            "tiny ×2: heads by L1 norm": [(7.0, 0.5)],
            "other ×2: heads by L1 norm": [(7.0, 1.0)],
        }


def test_time_against_sparsity_leaves_out_what_only_stores_coarser() -> None:
    speed = SpeedRecord(seconds_per_megapixel=9.0, compute="float32", machine=MACHINE)
    points = (point("selective", speed=speed), point("uniform-bits", "int8", speed=speed), point("selective", "no"))
    figure = figure_speed(
        [study(*points, point("whole", speed=replace(speed, seconds_per_megapixel=10.0), sparsity=0.0))]
    )
    assert places(figure) == {"whole network": [(0.0, 10.0)], "selective": [(10.0, 9.0)]}
    assert figure.note == "Measured on two cores, float32."
    assert figure_speed(()).note == "Nothing was measured."


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
        figure_loss(merged, "Kodak24")
        return perf_counter() - started

    assert min(seconds() for _ in range(5)) < 0.05
