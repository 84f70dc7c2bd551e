import struct

import imagecodecs
import pytest
from PIL import ImageCms

from sr_core.image.icc import is_linear

from .jpeg_files import profile_of_gamma
from .photo_files import ink_profile, rgb_profile


def profile_of_curve(curve, names=(b"rTRC", b"gTRC", b"bTRC")):
    """Returns a profile that holds nothing but a curve, under each of some names."""
    header = bytearray(128)
    header[36:40] = b"acsp"
    at = 132 + 12 * len(names)
    tags = b"".join(struct.pack(">4sII", name, at, len(curve)) for name in names)
    return bytes(header) + struct.pack(">I", len(names)) + tags + curve


def curv(*values):
    return b"curv" + bytes(4) + struct.pack(f">I{len(values)}H", len(values), *values)


def para(kind, *values):
    return b"para" + bytes(4) + struct.pack(f">HH{len(values)}i", kind, 0, *(round(each * 65536) for each in values))


LINEAR = [
    curv(),
    curv(256),
    curv(0, 65535),
    curv(0, 32768, 65535),
    curv(*range(0, 65536, 257)),
    para(0, 1.0),
    para(1, 1.0, 1.0, 0.0),
    para(2, 1.0, 1.0, 0.0, 0.0),
    para(3, 1.0, 1.0, 0.0, 1.0, 0.04),
    para(3, 2.4, 0.9, 0.1, 1.0, 0.9),  # 0.5 is in its straight part
    para(4, 1.0, 1.0, 0.0, 1.0, 0.04, 0.0, 0.0),
]
ENCODED = [
    curv(round(1.8 * 256)),
    curv(round(2.2 * 256)),
    curv(*(round(65535 * (at / 1023) ** 2.2) for at in range(1024))),
    para(0, 1.8),
    para(0, 2.4),
    para(1, 2.2, 1.0, 0.0),
    para(2, 2.2, 0.95, 0.05, 0.0),
    para(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    para(4, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045, 0.0, 0.0),
]


@pytest.mark.parametrize("curve", LINEAR)
def test_straight_curves_are_linear(curve):
    assert is_linear(profile_of_curve(curve))
    assert is_linear(profile_of_curve(curve, (b"kTRC",)))


@pytest.mark.parametrize("curve", ENCODED)
def test_curves_of_displays_are_not_linear(curve):
    assert not is_linear(profile_of_curve(curve))
    assert not is_linear(profile_of_curve(curve, (b"kTRC",)))


@pytest.mark.parametrize(
    "profile",
    [
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        imagecodecs.cms_profile("adobergb"),
        profile_of_gamma(1.8),
        profile_of_gamma(2.2),
        rgb_profile(),
        ink_profile(),  # a table and no curve
    ],
)
def test_usual_profiles_are_not_linear(profile):
    assert not is_linear(profile)


def test_profile_of_gamma_one_is_linear():
    assert is_linear(profile_of_gamma(1.0))
    assert is_linear(imagecodecs.cms_profile("gray", gamma=1.0))


def test_all_curves_must_be_straight():
    profile = bytearray(profile_of_gamma(1.0))
    at = profile.index(b"bTRC")
    start = struct.unpack_from(">I", profile, at + 4)[0]
    profile.extend(bytes(-len(profile) % 4))
    struct.pack_into(">I", profile, at + 4, len(profile))
    profile += para(0, 2.2)
    assert start < len(profile)
    assert not is_linear(bytes(profile))


@pytest.mark.parametrize(
    "profile",
    [
        None,
        b"",
        b"junk" * 50,
        profile_of_gamma(1.0)[:140],
        profile_of_curve(curv(*range(9)))[:-6],
        profile_of_curve(b"curv" + bytes(4) + b"\xff\xff\xff\xff"),
        profile_of_curve(para(9, 1.0)),
        profile_of_curve(b"text" + bytes(20)),
        profile_of_curve(para(0, -30000.0)),
        profile_of_curve(para(1, -0.5, 1.0, -0.5)),
        profile_of_curve(para(3, 0.3, -1.0, 0.1, 1.0, 0.04)),
        profile_of_curve(para(4, -2.3, -1.0, 0.1, 1.0, 0.04, 0.0, 0.0)),
        b"\x00" * 36 + b"acsp" + bytes(88) + b"\xff\xff\xff\xff",
    ],
)
def test_damaged_profiles_are_taken_for_encoded(profile):
    assert is_linear(profile) is False
