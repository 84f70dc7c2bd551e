"""Specs: what is refused, and the way through JSON."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_core.errors import OptionError
from sr_core.spec import SwinIRSpec, Variant, spec_from_json, swinir_spec

SPEC = swinir_spec(scale=2, embed_dim=60, depths=(6,) * 4, heads=6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": ((6,) * 6,) * 3}, "as many head counts"),
        ({"hidden": ((120,) * 5,) * 4}, "as many head counts"),
        ({"heads": (), "hidden": ()}, "at least one stage"),
        ({"heads": ((), (6,)), "hidden": ((), (120,))}, "at least one stage"),
        ({"heads": ((-1,),), "hidden": ((120,),)}, "negative"),
        ({"embed_dim": 0}, "at least 1"),
        ({"head_dim": 0}, "at least 1"),
        ({"features": 0}, "at least 1"),
        ({"channels": 0, "mean": ()}, "at least 1"),
        ({"window": 7}, "even"),
        ({"window": 0}, "even"),
        ({"upsampler": "pixelshufle"}, "unknown upsampler"),
        ({"resi_connection": "2conv"}, "unknown upsampler or residual"),
        ({"scale": 5}, "not 5"),
        ({"scale": 3, "upsampler": "nearest+conv"}, "not 3"),
        ({"channels": 1}, "one mean"),
    ],
)
def test_a_spec_of_no_network_is_refused_in_one_sentence(change: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        replace(SPEC, **change)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("heads", [0, -1, 7])
def test_heads_must_split_the_embedding(heads: int) -> None:
    with pytest.raises(OptionError, match="cannot be split"):
        swinir_spec(scale=2, embed_dim=60, depths=(6,), heads=heads)


@st.composite
def specs(draw: st.DrawFn) -> SwinIRSpec:
    depths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    upsampler = draw(st.sampled_from(["pixelshuffle", "pixelshuffledirect", "nearest+conv"]))
    channels = draw(st.integers(1, 4))
    return SwinIRSpec(
        scale=draw(st.sampled_from([2, 4] if upsampler == "nearest+conv" else [2, 3, 4, 8])),
        embed_dim=draw(st.integers(1, 300)),
        heads=tuple(tuple(draw(st.integers(0, 9)) for _ in range(depth)) for depth in depths),
        head_dim=draw(st.integers(1, 64)),
        hidden=tuple(tuple(draw(st.integers(0, 400)) for _ in range(depth)) for depth in depths),
        window=2 * draw(st.integers(1, 8)),
        upsampler=upsampler,
        resi_connection=draw(st.sampled_from(["1conv", "3conv"])),
        features=draw(st.integers(1, 128)),
        channels=channels,
        mean=tuple(draw(st.floats(0, 1)) for _ in range(channels)),
    )


@given(specs())
@settings(max_examples=50, deadline=None)
def test_a_spec_survives_json(spec: SwinIRSpec) -> None:
    again = spec_from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert hash(again) == hash(spec)


@pytest.mark.parametrize(
    "change",
    [
        {"arch": "edsr"},
        {"arch": None},
        {"extra": 1},
        {"heads": None},
        {"heads": [6]},
        {"heads": [["six"]]},
        {"mean": 0.5},
        {"embed_dim": "60"},
        {"embed_dim": None},
        {"window": "8"},
        {"window": 8.5},
        {"scale": [2]},
        {"upsampler": ["pixelshuffle"]},
        {"embed_dim": 60.5},
        {"embed_dim": True},
    ],
)
def test_an_unclean_record_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        spec_from_json(SPEC.to_json() | change)


@pytest.mark.parametrize("name", ["arch", "scale", "heads", "hidden", "mean", "embed_dim"])
def test_a_record_without_a_field_is_refused(name: str) -> None:
    record = SPEC.to_json()
    del record[name]
    with pytest.raises(OptionError):
        spec_from_json(record)


def test_a_variant_id_is_made_of_its_record() -> None:
    variant = Variant(family="swinir-light", spec=SPEC, task="lightweight", trained="photos39", precision="float16")
    assert variant.id == "swinir-light-x2-photos39-float16"
    with pytest.raises(OptionError, match="does not fit"):
        _ = replace(variant, trained="../up").id


def mixed(formats: Any, precision: Any = "mixed-bit") -> Variant:
    return Variant(family="tiny", spec=SPEC, task="lightweight", trained="noise", precision=precision, formats=formats)


def test_formats_of_layers_belong_to_one_precision_and_not_to_the_id() -> None:
    assert mixed((("a", "int8"), ("b", "palette4"))).id == mixed((("a", "float16"),)).id == "tiny-x2-noise-mixed-bit"
    for formats, precision in [((), "mixed-bit"), ((("a", "int8"),), "int8"), ((("a", "int8"),), "float32")]:
        with pytest.raises(OptionError, match=r"\AFormats of single layers belong to the precision mixed-bit"):
            mixed(formats, precision)
    for formats in [(("b", "int8"), ("a", "int8")), (("a", "int8"), ("a", "int8"))]:
        with pytest.raises(OptionError, match=r"\AThe formats of layers must be listed in the order of their names"):
            mixed(formats)
    for word in ("int4", 8, "palette", "float32"):
        with pytest.raises(OptionError, match=rf"\AThe weight a has the unknown format {word!r}"):
            mixed((("a", word),))
