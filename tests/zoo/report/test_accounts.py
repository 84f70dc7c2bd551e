"""Both accounts of sparsity against networks that are really built, and each network told once."""

from dataclasses import replace
from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_core.arch.build import build
from sr_core.compress.cost import count_parameters
from sr_core.compress.heads import remove_heads
from sr_core.compress.magnitude import prune_magnitude
from sr_core.spec import SwinIRSpec, swinir_spec
from tests.zoo.report.made import SPEC, compressed, heads_removed, metric, point, study, whole
from zoo.manifest import Manifest
from zoo.release import FinetuneRecord, ProofRecord, Release, SpeedRecord
from zoo.report.accounts import (
    count_qkv_weights,
    count_qkv_zeros,
    merge_studies,
    point_of,
    sparsity_qkv,
    technique_of,
)
from zoo.report.caveats import caveat_of
from zoo.report.techniques import network_words
from zoo.study import StudyPoint


def counted_qkv(module: torch.nn.Module) -> tuple[int, int, int]:
    """Weights of queries, keys and values of a real network, those that are not zero, and all of its parameters."""
    weights = [value for name, value in module.named_parameters() if name.endswith("attn.qkv.weight")]
    total = sum(value.numel() for value in module.parameters())
    return sum(w.numel() for w in weights), sum(int(w.count_nonzero()) for w in weights), total


@st.composite
def specs(draw: st.DrawFn) -> SwinIRSpec:
    heads = draw(st.integers(1, 4))
    depths = tuple(draw(st.lists(st.integers(1, 2), min_size=1, max_size=2)))
    return swinir_spec(scale=2, embed_dim=heads * draw(st.integers(1, 4)), depths=depths, heads=heads)


@settings(max_examples=25, deadline=None)
@given(spec=specs(), data=st.data())
def test_the_account_of_queries_keys_and_values_is_what_a_real_network_lacks(
    spec: SwinIRSpec, data: st.DataObject
) -> None:
    module = build(spec)
    gone = tuple(
        tuple(tuple(sorted(data.draw(st.sets(st.integers(0, heads - 1))))) for heads in stage) for stage in spec.heads
    )
    pruned = remove_heads(module, gone)
    before, _, parameters = counted_qkv(module)
    after, _, left = counted_qkv(pruned)
    assert parameters == count_parameters(spec).total
    assert count_qkv_weights(pruned.spec) == after
    account = sparsity_qkv(pruned.spec, spec, parameters)
    assert account == (before - after) / parameters
    assert account <= 1 - left / parameters  # what is really gone is never less
    assert (account == 0) == (not any(block for stage in gone for block in stage))


@settings(max_examples=15, deadline=None)
@given(spec=specs(), share=st.floats(0, 0.99))
def test_zeros_among_them_are_as_many_as_pruning_makes(spec: SwinIRSpec, share: float) -> None:
    module = build(spec)
    before, was_there, parameters = counted_qkv(module)
    assert before == was_there
    _, nonzero, _ = counted_qkv(prune_magnitude(module, share))
    assert count_qkv_zeros(spec, share) == before - nonzero
    assert sparsity_qkv(spec, spec, parameters, before - nonzero) == (before - nonzero) / parameters


def test_hidden_units_are_not_in_the_paper_s_account() -> None:
    fewer = replace(SPEC, hidden=tuple((1,) * len(stage) for stage in SPEC.hidden))
    assert sparsity_qkv(fewer, SPEC, 10_000) == 0.0


FINETUNE = FinetuneRecord(steps=10, photos="drawings", recipe="by hand", seed=0)


def test_the_technique_is_read_from_what_was_done() -> None:
    one = whole()
    selective = compressed(one, "selective", 0.1, word="s10")
    repaired = compressed(one, "selective", 0.1, word="r10", is_repaired=True)
    assert repaired.compression
    distilled = replace(repaired, compression=replace(repaired.compression, finetune=FINETUNE))
    found = {
        "whole": one,
        "heads-l1": heads_removed(one, 1),
        "magnitude-l1": compressed(one, "magnitude-l1", 0.3, word="z"),
        "selective": selective,
        "selective-repair": repaired,
        "selective-distilled": distilled,
        "uniform-bits": compressed(one, "quantize", precision="int8"),
        "mixed-bit": compressed(one, "mixed-bit", 2_000_000, precision="mixed-bit"),
        "selective-mixed-bit": compressed(one, "mixed-bit", 1_000_000, precision="mixed-bit", sparsity=0.5),
    }
    assert {technique_of(release) for release in found.values()} == set(found)
    assert all(technique_of(release) == technique for technique, release in found.items())


def test_a_point_says_what_the_release_says() -> None:
    one = whole()
    fewer = point_of(heads_removed(one, 2, psnr_db=35.0), one)
    assert (fewer.iterations, fewer.heads, fewer.hidden) == (2, 4, 96)
    assert fewer.share == 0.0
    assert (fewer.parameters, fewer.sparsity, fewer.weights_bytes) == (8_600, 0.14, 17_200)
    assert fewer.sparsity_qkv == 4 * 2 * 4 * 12 * 3 / 10_000  # blocks, heads, their width, channels; q, k and v
    assert fewer.metrics == (metric(35.0),)
    assert fewer.package_bytes is fewer.agreement_db is None
    zeros = point_of(compressed(one, "magnitude-l1", 0.25, word="z", sparsity=0.2), one)
    assert (zeros.share, zeros.iterations) == (0.0, 0)  # its quarter is one of the linear weights
    assert zeros.words == "Tiny, z (of linear weights)"
    assert zeros.sparsity_qkv == pytest.approx(0.25 * 4 * 12 * 36 / 10_000)


def test_a_share_says_of_what_it_is_one() -> None:
    one = whole()
    by_macs = point_of(compressed(one, "selective", 0.4, word="m", measure="macs"), one)
    assert (by_macs.share, by_macs.measure) == (0.4, "macs")
    assert network_words(by_macs) == "Tiny, m (40 % of the multiplications)"
    said = replace(by_macs, words="40 % of the multiplications")
    assert network_words(said) == said.words  # once is enough
    timed = replace(by_macs, measure="milliseconds", release=None)
    assert network_words(timed) == "Tiny, m (40 % of the measured time)"
    plain = point_of(compressed(one, "selective", 0.4, word="p", measure="parameters"), one)
    assert (plain.measure, network_words(plain)) == ("parameters", "Tiny, p")
    assert network_words(point("magnitude-l1", "30 % zeros")) == "30 % zeros, of all parameters"


def test_agreement_is_the_package_s_with_what_it_is_an_agreement_with(packed: Release) -> None:
    coarse = compressed(packed, "quantize", precision="int8")
    assert coarse.coreml
    assert point_of(coarse, packed).agreement_db == 71.0
    assert point_of(coarse, packed).package_bytes == 2_000
    proof: ProofRecord = replace(coarse.coreml.proof, reference="another")
    other = point_of(replace(coarse, coreml=replace(coarse.coreml, proof=proof)), packed)
    assert (other.agreement_db, other.agreement_with) == (71.0, "another")
    assert point_of(coarse, packed).agreement_with == ""
    assert point_of(packed, packed).agreement_db is None


class TestMerge:
    one = whole()
    first = heads_removed(one, 1, psnr_db=36.5)
    manifest = Manifest(releases=(one, first))

    def test_releases_are_points_of_their_whole_network(self) -> None:
        other = whole("other")
        later = replace(self.first, date="2026-05-06")
        manifest = Manifest(releases=(self.one, other, later))
        merged = merge_studies(manifest, ())
        assert [one.whole for one in merged] == [self.one.id, other.id]
        assert [p.release for p in merged[0].points] == [self.one.id, self.first.id]
        assert (merged[0].family, merged[0].scale, merged[0].date) == ("tiny", 2, "2026-05-06")

    def test_a_point_that_says_which_release_it_is_appears_once(self) -> None:
        speed = SpeedRecord(seconds_per_megapixel=1.0, compute="float32", machine="another")
        more = point(
            "selective",
            release=self.first.id,
            metrics=(metric(1.0), metric(30.0, "Kodak24")),
            package_bytes=5,
            agreement_db=60.0,
            speed=speed,
        )
        [merged] = merge_studies(self.manifest, [study(more)])
        [_, found] = merged.points
        assert found.technique == "heads-l1"  # the release's figures stand; what it has not is added
        assert found.metrics == (metric(36.5), metric(30.0, "Kodak24"))  # and not a second one of the same tool
        assert (found.package_bytes, found.agreement_db, found.share) == (5, 60.0, 0.1)
        assert found.speed == self.first.speed
        assert (merged.calibration, merged.date) == ("drawings", "2026-02-03")

    def test_scores_of_two_tools_stay_apart(self) -> None:
        others = (metric(36.4, tool="test 1, coarse"), metric(30.0, "Kodak24", tool="test 1, coarse"))
        [merged] = merge_studies(self.manifest, [study(point("heads-l1", release=self.first.id, metrics=others))])
        assert merged.points[1].metrics == (metric(36.5), *others)
        narrow = replace(metric(36.3), border=4)
        [merged] = merge_studies(self.manifest, [study(point("heads-l1", release=self.first.id, metrics=(narrow,)))])
        assert merged.points[1].metrics == (metric(36.5), narrow)

    def test_of_two_times_that_counts_which_can_be_compared(self) -> None:
        """A study is timed in one run, and its releases were in another one."""
        run = SpeedRecord(seconds_per_megapixel=1.0, compute="float32", machine="later")
        ids = (self.one.id, self.first.id)
        timed = [point("selective", str(at), speed=run, release=name) for at, name in enumerate((*ids, None))]
        [merged] = merge_studies(self.manifest, [study(*timed)])
        assert [found.speed for found in merged.points] == [run] * 3  # three of the later run, two of the earlier one
        [merged] = merge_studies(self.manifest, [study(timed[0])])
        assert [found.speed for found in merged.points] == [self.one.speed, self.first.speed]
        [merged] = merge_studies(self.manifest, [study(timed[1], timed[2])])  # without the whole network
        assert [found.speed for found in merged.points] == [self.one.speed, self.first.speed, run]

    def test_the_agreement_that_can_be_compared_with_others_is_preferred(self, packed: Release) -> None:
        coarse = compressed(packed, "quantize", precision="int8")
        assert coarse.coreml
        proof = replace(coarse.coreml.proof, reference="parent")
        with_parent = replace(coarse, coreml=replace(coarse.coreml, proof=proof))
        of_study = point("uniform-bits", "int8", release=coarse.id, agreement_db=60.0)

        def found(release: Release, *points: StudyPoint) -> tuple[float | None, str]:
            [merged] = merge_studies(Manifest(releases=(packed, release)), [study(*points, whole_id=packed.id)])
            return merged.points[1].agreement_db, merged.points[1].agreement_with

        assert found(with_parent) == (71.0, "parent")
        assert found(with_parent, of_study) == (60.0, "")
        assert found(with_parent, replace(of_study, agreement_with="other")) == (71.0, "parent")
        assert found(with_parent, replace(of_study, agreement_db=None)) == (71.0, "parent")
        assert found(coarse, of_study) == (71.0, "")

    @pytest.mark.parametrize(
        ("recipe", "words", "is_same"),
        [
            ("by hand", "30 %, 10 steps", True),
            ("by hand", "30 %, 110 steps", False),
            ("by hand", "30 %, 3,010 steps", False),
            ("by hand", "30 %", False),
            ("", "30 %, 10 steps", False),
        ],
    )
    def test_a_network_that_was_taught_otherwise_is_another_one(self, recipe: str, words: str, is_same: bool) -> None:
        taught = compressed(self.one, "selective", 0.1, word="d", is_repaired=True, sparsity=0.1, finetune=FINETUNE)
        own = point_of(taught, self.one)
        assert own.recipe == "by hand"
        other = replace(own, release=None, words=words, recipe=recipe)
        [merged] = merge_studies(Manifest(releases=(self.one, taught)), [study(other)])
        assert len(merged.points) == (2 if is_same else 3)

    def test_what_a_share_is_of_comes_with_the_share(self) -> None:
        more = point("heads-l1", release=self.first.id, share=0.2, measure="macs", recipe="slowly")
        [merged] = merge_studies(self.manifest, [study(more)])
        found = merged.points[1]
        assert (found.share, found.measure, found.recipe) == (0.2, "macs", "slowly")

    def same(self, **changes: object) -> object:
        shape = {"parameters": 9_300, "sparsity": 0.07, "heads": 8, "hidden": 96, **changes}
        return point("heads-l1", cast(str, shape.pop("words", "1 head")), **shape)

    def test_a_point_of_the_same_technique_and_shape_is_that_release(self) -> None:
        [merged] = merge_studies(self.manifest, [study(self.same())])  # type: ignore[arg-type]
        assert [p.release for p in merged.points] == [self.one.id, self.first.id]

    @pytest.mark.parametrize(
        "change",
        [{"parameters": 9_301}, {"sparsity": 0.0702}, {"heads": 9}, {"hidden": 95}, {"technique": "selective"}],
        ids=str,
    )
    def test_another_shape_is_another_network(self, change: dict[str, object]) -> None:
        near = replace(self.same(), **change)  # type: ignore[type-var]
        [merged] = merge_studies(self.manifest, [study(near)])
        assert [p.release for p in merged.points] == [self.one.id, self.first.id, None]

    def test_two_points_of_one_shape_are_not_guessed_apart(self) -> None:
        both = self.same(), self.same(words="again")
        [merged] = merge_studies(self.manifest, [study(*both)])  # type: ignore[arg-type]
        assert [p.release for p in merged.points] == [self.one.id, self.first.id, None, None]

    def test_two_releases_of_one_shape_are_not_guessed_apart_either(self) -> None:
        again = replace(self.first, variant=replace(self.first.variant, compression="again"))
        manifest = Manifest(releases=(self.one, self.first, again))
        [merged] = merge_studies(manifest, [study(self.same())])  # type: ignore[arg-type]
        assert [p.release for p in merged.points] == [self.one.id, self.first.id, again.id, None]

    def test_coarse_weights_of_one_shape_differ_in_their_file(self) -> None:
        int8 = compressed(self.one, "quantize", precision="int8", size_bytes=10_000)
        manifest = Manifest(releases=(self.one, int8))
        points = (
            point("uniform-bits", "int8", parameters=10_000, weights_bytes=9_950),  # with a shorter note
            point("uniform-bits", "4 bits", parameters=10_000, weights_bytes=5_000),
            point("uniform-bits", "fewer heads", parameters=9_000, weights_bytes=10_000),
        )
        [merged] = merge_studies(manifest, [study(*points)])
        assert [p.words for p in merged.points] == ["Tiny", "Tiny, int8", "4 bits", "fewer heads"]

    def test_coarse_weights_in_different_packages_are_different(self, packed: Release) -> None:
        mixed = compressed(packed, "mixed-bit", precision="mixed-bit")
        shape = {"parameters": mixed.parameters, "weights_bytes": mixed.size_bytes}
        for size_bytes, count in ((2_000, 2), (None, 2), (2_001, 3)):
            more = point("mixed-bit", "2 MB", package_bytes=size_bytes, **shape)
            [merged] = merge_studies(Manifest(releases=(packed, mixed)), [study(more)])
            assert len(merged.points) == count

    def test_a_whole_network_is_one_however_it_was_measured(self) -> None:
        [merged] = merge_studies(self.manifest, [study(point("whole", "float32", metrics=(metric(31.0, "Kodak24"),)))])
        assert [p.technique for p in merged.points] == ["whole", "heads-l1"]
        assert merged.points[0].metrics == (metric(37.0), metric(31.0, "Kodak24"))

    def test_the_real_test_comes_before_what_proves_little(self) -> None:
        light = whole("swinir-light")
        variant = replace(light.variant, trained="photos39")
        manifest = Manifest(releases=(replace(light, variant=variant), self.one))
        assert [one.whole for one in merge_studies(manifest, ())] == [self.one.id, variant.id]
        assert caveat_of(variant.id)
        assert not caveat_of(self.one.id)

    def test_a_study_of_an_unlisted_network_stays_as_it_is(self) -> None:
        alone = study(point("selective"), whole_id="elsewhere", family="else")
        assert merge_studies(self.manifest, [alone])[-1] == alone

    def test_a_release_that_is_not_listed_has_no_link(self) -> None:
        [merged] = merge_studies(self.manifest, [study(point("selective", release="gone"))])
        assert merged.points[-1].release is None

    def test_a_release_without_its_whole_network_has_no_place(self) -> None:
        orphan = replace(self.first, parent="gone")
        [merged] = merge_studies(Manifest(releases=(self.one, orphan)), ())
        assert [p.release for p in merged.points] == [self.one.id]

    def test_merging_again_changes_nothing(self) -> None:
        studies = [study(self.same(), point("selective", "10 %"), point("mixed-bit"))]  # type: ignore[arg-type]
        merged = merge_studies(self.manifest, studies)
        assert merge_studies(self.manifest, merged) == merged
