import itertools
from dataclasses import replace
from io import BytesIO

import numpy as np
import pillow_heif
import pytest

from sr_core.image.decode import Limits, decode
from sr_core.image.heif.assembly import grid_of
from sr_core.image.heif.hevc import code_points_of, colours_of
from sr_core.image.heif.items import ItemSet, Property, read

from .heif_files import heic_items, mutations, save
from .photo_files import rgb_profile, scene

LIMITS = Limits()
KEYS = ("color_primaries", "transfer_characteristics", "matrix_coefficients", "full_range_flag")
PQ = (9, 16, 9, 1)


class BitWriter:
    """Writes what the parser reads; every method returns the writer."""

    def __init__(self):
        self.text = ""

    def put(self, value, count):
        self.text += f"{value:0{count}b}" if count else ""
        return self

    def golomb(self, *values):
        for value in values:
            word = f"{value + 1:b}"
            self.text += "0" * (len(word) - 1) + word
        return self

    def data(self):
        text = self.text + "1" + "0" * (-(len(self.text) + 1) % 8)
        return int(text, 2).to_bytes(len(text) // 8, "big")


def escaped(data):
    """Returns a parameter set with what keeps start codes out of it."""
    result, zeros = bytearray(), 0
    for byte in data:
        if zeros >= 2 and byte <= 3:
            result.append(3)
            zeros = 0
        result.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(result)


def no_lists(bits):
    bits.put(0, 1)


def default_lists(bits):
    bits.put(0b10, 2)


def all_lists(bits):
    bits.put(0b11, 2)
    for size in range(4):
        for place in range(2 if size == 3 else 6):
            if place % 2:
                bits.put(0, 1).golomb(1)
            else:
                bits.put(1, 1).golomb(*([7] if size > 1 else []), *range(16 if size == 0 else 64))


def no_sets(bits):
    bits.golomb(0).put(0, 1)


def many_sets(bits):
    bits.golomb(5)
    # -1, -3, 2
    bits.golomb(2, 1).golomb(0).put(1, 1).golomb(1).put(0, 1).golomb(1).put(1, 1)
    # All and the picture itself moved by -1: -2, -4, 1 and -1.
    bits.put(1, 1).put(1, 1).golomb(0).put(0b1111, 4)
    # Those moved by 2: the one at -2 is at 0 and so is none; the others are 4 pictures, of which one is not used.
    bits.put(1, 1).put(0, 1).golomb(1).put(0b1, 1).put(0b01, 2).put(0b00, 2).put(0b1, 1).put(0b1, 1)
    # Which leaves three; there is one flag for each and one for the picture itself.
    bits.put(1, 1).put(1, 1).golomb(0).put(0b1111, 4)
    bits.put(0, 1).golomb(0, 0)
    bits.put(1, 1).golomb(2).put(0x1AB, 9).put(0x0CD, 9)


def random_sets(seed):
    """Returns a writer of sets that follow from each other, by the letter of equations 7-61 and 7-62."""
    random = np.random.default_rng(seed)

    def write(bits):
        before, behind = [-1, -3], [2]
        bits.golomb(12).golomb(2, 1).golomb(0).put(1, 1).golomb(1).put(0, 1).golomb(1).put(1, 1)
        for _ in range(11):
            shift = int(random.integers(1, 4)) * int(random.choice((-1, 1)))
            count = len(before) + len(behind)
            use = random.integers(0, 5, count + 1) > 0
            bits.put(1, 1).put(shift < 0, 1).golomb(abs(shift) - 1)
            for is_kept in use:
                used = is_kept and random.integers(0, 2)
                bits.put(1, 1) if used else bits.put(0, 1).put(int(is_kept), 1)
            moved_behind = [(place + shift, use[len(before) + at]) for at, place in enumerate(behind)]
            moved_before = [(place + shift, use[at]) for at, place in enumerate(before)]
            downwards = [*reversed(moved_behind), (shift, use[count]), *moved_before]
            upwards = [*reversed(moved_before), (shift, use[count]), *moved_behind]
            before = [place for place, is_kept in downwards if place < 0 and is_kept]
            behind = [place for place, is_kept in upwards if place > 0 and is_kept]
        bits.put(0, 1)

    return write


def hvcc(
    points=PQ, *, layers=0, lists=no_lists, sets=no_sets, pcm=False, aspect=None, window=False, head=(66, 1), copies=1
):
    """Returns an hvcC of a parameter set made to order; ``points`` are None for no usability information."""
    bits = BitWriter().put(0, 4).put(layers, 3).put(1, 1)
    bits.put(0, 88).put(93, 8)
    if layers:
        for layer in range(layers):
            bits.put(layer & 3, 2)
        bits.put(0, 2 * (8 - layers))
        for layer in range(layers):
            bits.put(0, 88 * (layer >> 1 & 1) + 8 * (layer & 1))
    bits.golomb(0, 3).put(0, 1).golomb(640, 480).put(window, 1)
    if window:
        bits.golomb(0, 3, 0, 1)
    bits.golomb(2, 2, 4)  # depths, then 8 bits that order pictures
    bits.put(1, 1).golomb(*((4, 0, 0) * (layers + 1)))
    bits.golomb(0, 3, 0, 3, 1, 1)
    lists(bits)
    bits.put(0b11, 2).put(pcm, 1)
    if pcm:
        bits.put(0x77, 8).golomb(0, 2).put(1, 1)
    sets(bits)
    bits.put(0b11, 2)
    bits.put(points is not None, 1)
    if points is not None:
        bits.put(aspect is not None, 1)
        if aspect is not None:
            bits.put(aspect, 8).put(0x10001 if aspect == 255 else 0, 32 if aspect == 255 else 0)
        bits.put(0b11, 2)  # overscan
        bits.put(1, 1).put(5, 3).put(points[3], 1).put(1, 1)
        for number in points[:3]:
            bits.put(number, 8)
    unit = bytes(head) + escaped(bits.data())
    units = (len(unit).to_bytes(2, "big") + unit) * copies
    other = bytes((32, 0, 1, 0, 3, 64, 1, 9))
    return bytes(22) + bytes((2,)) + other + bytes((33,)) + copies.to_bytes(2, "big") + units


def heic(points, *, bits=8, chroma=444, preset="ultrafast", quality=50, icc=None, size=(48, 64)) -> ItemSet:
    """Returns a HEIC of a scene whose colours are stated in file and bitstream."""
    mode = "RGB" if bits == 8 else f"RGB;{bits}"
    pixels = np.ascontiguousarray(scene(*size, 3, bits))
    file = pillow_heif.from_bytes(mode, size[::-1], pixels.tobytes())
    file[0].info.update(bit_depth=bits, nclx_profile=dict(zip(KEYS, points, strict=True)))
    if icc is not None:
        file[0].info["icc_profile"] = icc
    stream = BytesIO()
    file.save(stream, quality=quality, chroma=chroma, enc_params={"preset": preset}, tile_size=0)
    return read(stream.getvalue())


def bare(items: ItemSet) -> ItemSet:
    """Returns a file that does not state its colours but in the bitstream."""
    known = {
        item.id: replace(item, properties=tuple(prop for prop in item.properties if prop.kind != b"colr"))
        for item in items.items.values()
    }
    return replace(items, items=known)


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("chroma", [420, 422, 444])
@pytest.mark.parametrize(("preset", "quality"), [("ultrafast", 50), ("medium", -1), ("slow", 90)])
def test_code_points_that_an_encoder_wrote(bits, chroma, preset, quality):
    for points in (PQ, (12, 13, 6, 0), (1, 1, 1, 1)):
        items = heic(points, bits=bits, chroma=chroma, preset=preset, quality=quality, size=(53, 71))
        assert colours_of(items) == points


@pytest.mark.parametrize("points", [PQ, (12, 13, 6, 0), (9, 18, 9, 0)])
def test_code_points_of_a_bitstream_count_where_the_file_states_none(tmp_path, points):
    picture = decode(save(tmp_path / "photo", bare(heic(points, bits=10))), LIMITS)
    assert (picture.metadata.nclx, picture.bit_depth) == (points, 10)
    assert np.abs(picture.pixels.astype(int) - scene(48, 64, 3, 10)).max() < 250


def test_light_is_taken_for_light(tmp_path):
    source = save(tmp_path / "photo", bare(heic((1, 8, 1, 1), bits=10)))
    picture = decode(source, LIMITS)
    assert picture.metadata.transfer is not None
    assert picture.bit_depth == 16


def test_what_the_file_states_goes_before_the_bitstream(tmp_path):
    items = bare(heic(PQ, bits=10))
    stated = b"nclx" + b"".join(number.to_bytes(2, "big") for number in (12, 13, 6)) + b"\x80"
    for body, expected in ((stated, (12, 13, 6, 1)), (b"prof" + rgb_profile(), None)):
        main = replace(items.main, properties=(*items.main.properties, Property(kind=b"colr", body=body)))
        source = save(tmp_path / "photo", replace(items, items={**items.items, main.id: main}))
        assert decode(source, LIMITS).metadata.nclx == expected


def test_a_picture_in_tiles_has_the_code_points_of_its_first_tile(tmp_path):
    tile = heic(PQ, bits=10, size=(64, 64))
    grid = bare(grid_of([tile, tile], 64, 128, 64))
    assert grid.main.kind == b"grid"
    assert decode(save(tmp_path / "photo", grid), LIMITS).metadata.nclx == PQ
    lost = replace(grid, items={grid.primary: grid.main})
    assert colours_of(lost) is None


def test_unstated_colours_stay_unstated(tmp_path):
    items = bare(heic_items(scene(48, 64)[:, :, :1]))
    assert b"hvcC" in {prop.kind for prop in items.main.properties}
    assert decode(save(tmp_path / "photo", items), LIMITS).metadata.nclx is None


@pytest.mark.parametrize("lists", [no_lists, default_lists, all_lists])
@pytest.mark.parametrize("sets", [no_sets, many_sets])
@pytest.mark.parametrize("layers", [0, 1, 6])
@pytest.mark.parametrize("aspect", [None, 1, 255])
def test_parameters_of_every_kind_are_passed(lists, sets, layers, aspect):
    for pcm, window in itertools.product((False, True), repeat=2):
        options = {"lists": lists, "sets": sets, "layers": layers, "aspect": aspect, "pcm": pcm, "window": window}
        assert code_points_of(hvcc((12, 16, 9, 0), **options)) == (12, 16, 9, 0)
        assert code_points_of(hvcc((1, 0, 0, 1), **options)) == (1, 0, 0, 1)
        assert code_points_of(hvcc(None, **options)) is None


@pytest.mark.parametrize("seed", range(20))
def test_reference_pictures_that_follow_from_others_are_counted(seed):
    assert code_points_of(hvcc((12, 16, 9, 0), sets=random_sets(seed))) == (12, 16, 9, 0)


def test_code_points_may_be_partly_unstated():
    assert code_points_of(hvcc((9, 2, 2, 0))) == (9, 2, 2, 0)
    assert code_points_of(hvcc((2, 16, 2, 0))) == (2, 16, 2, 0)
    assert code_points_of(hvcc((2, 2, 9, 1))) is None
    assert code_points_of(hvcc((2, 2, 0, 1))) == (2, 2, 0, 1)  # RGB


def test_parameters_that_contradict_each_other_say_nothing():
    one, other = hvcc(PQ), hvcc((1, 1, 1, 0))
    both = one[:22] + bytes((4,)) + one[23:] + other[23:]
    with pytest.raises(ValueError, match="2 kinds"):
        code_points_of(both)
    assert code_points_of(hvcc(PQ, copies=3)) == PQ


@pytest.mark.parametrize("head", [(67, 1), (66, 9), (68, 1)])
def test_parameters_of_other_layers_and_kinds_are_passed_over(head):
    data = hvcc(PQ, head=head)
    broken = data.replace(bytes((33, 0, 1)), bytes((34, 0, 1))) if head == (68, 1) else data
    with pytest.raises(ValueError, match="0 kinds"):
        code_points_of(broken)


def test_too_many_parameter_sets_are_refused():
    with pytest.raises(ValueError, match="too many"):
        code_points_of(hvcc(copies=64))


def test_parameters_that_end_early_say_nothing(tmp_path):
    whole = bare(heic(PQ, bits=10))
    config = whole.main.body(b"hvcC")
    for end in (0, 10, 23, 40, 60):
        main = replace(whole.main, properties=(Property(kind=b"hvcC", body=config[:end]),))
        assert colours_of(replace(whole, items={main.id: main})) is None
    assert colours_of(heic_items(scene(16, 16)[:, :, :1])) is None


def test_damaged_parameters_are_refused_or_read_and_nothing_else():
    for damaged in mutations(hvcc(lists=all_lists, sets=many_sets, layers=3), 2000):
        try:
            points = code_points_of(damaged)
        except ValueError:
            continue
        assert points is None or all(0 <= number < 256 for number in points)
