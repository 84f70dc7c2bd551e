import numpy as np
import pytest

from sr_core.image.transfer import (
    Transfer,
    fitted_transfer,
    light_of,
    samples_of,
    signal_of,
    signal_of_samples,
)


def codes(bits):
    return np.arange(1 << bits).astype(np.uint8 if bits == 8 else np.uint16).reshape(-1, 1, 1)


def srgb(light):
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("lift", [1.0, 1.5, 8.0, 100.0])
@pytest.mark.parametrize("gain", [1.0, 0.5])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_samples_of_few_bits_come_back_exactly(bits, gain, lift):
    transfer = Transfer(stored="linear", bits=bits, gains=(gain,), lift=lift)
    samples = codes(bits)
    back = samples_of(signal_of_samples(samples, transfer), transfer)
    np.testing.assert_array_equal(back, samples)
    assert back.dtype == samples.dtype


@pytest.mark.parametrize(("lift", "most"), [(1.0, 1), (8.0, 3), (1000.0, 9)])
def test_samples_of_sixteen_bits_come_back_within_what_the_curve_tells_apart(lift, most):
    transfer = Transfer(stored="linear", bits=16, lift=lift)
    samples = codes(16)
    error = np.abs(samples_of(signal_of_samples(samples, transfer), transfer).astype(int) - samples)
    assert error.max() <= most
    assert error[: 65536 // 8].max() <= 1  # where the eye is finest, the signal is finer than the samples


@pytest.mark.parametrize("lift", [1.0, 30.0])
def test_curve_ends_at_black_and_white_and_never_falls(lift):
    signal = signal_of_samples(codes(16), Transfer(stored="linear", bits=16, lift=lift)).ravel().astype(int)
    assert (signal[0], signal[-1]) == (0, 65535)
    assert np.diff(signal).min() >= 0
    assert np.diff(signal).max() <= 13 * max(1.0, (lift - 1) / np.log(lift) if lift > 1 else 1.0) + 1


def test_lift_of_one_is_the_srgb_curve():
    light = np.linspace(0, 1, 1001, dtype=np.float32).reshape(-1, 1)
    signal = signal_of(light, Transfer(stored="linear", bits=16))
    np.testing.assert_allclose(signal, srgb(light.astype(np.float64)) * 65535, atol=0.51)


def test_gains_and_floor_are_those_of_their_channels():
    transfer = Transfer(stored="linear", bits=32, is_float=True, gains=(0.5, 0.25, 0.125), floor=-1.0)
    light = np.array([[[1.0, 3.0, 7.0], [-1.0, -1.0, -1.0], [0.0, 1.0, 3.0]]], dtype=np.float32)
    signal = signal_of(light, transfer)
    np.testing.assert_array_equal(signal[0, 0], [65535] * 3)
    np.testing.assert_array_equal(signal[0, 1], [0] * 3)
    np.testing.assert_array_equal(signal[0, 2], [round(float(srgb(np.float64(0.5))) * 65535)] * 3)
    back = light_of(signal, transfer)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, light, atol=2e-4)
    samples = np.array([[[40000, 20000, 10000]]], dtype=np.uint16)
    white_balanced = Transfer(stored="linear", bits=16, gains=(0.25, 0.5, 1.0))
    signal = signal_of_samples(samples, white_balanced)
    assert np.ptp(signal) <= 1
    np.testing.assert_allclose(samples_of(signal, white_balanced), samples, atol=4)


def test_light_and_samples_give_the_same_signal():
    samples = np.random.default_rng(0).integers(0, 65536, (50, 40, 3), dtype=np.uint16)
    transfer = Transfer(stored="linear", bits=16, gains=(1.0, 0.5, 0.7), lift=12.0)
    from_light = signal_of(samples / 65535, transfer)
    np.testing.assert_allclose(from_light, signal_of_samples(samples, transfer), atol=1)
    np.testing.assert_allclose(light_of(from_light, transfer) * 65535, samples, atol=6)


def test_light_beyond_the_range_is_clipped_and_what_is_no_number_is_dark():
    transfer = Transfer(stored="linear", bits=32, is_float=True)
    light = np.array([[[np.nan, -3.0, 2.0, np.inf, -np.inf]]], dtype=np.float32)
    np.testing.assert_array_equal(signal_of(light, transfer), [[[0, 0, 65535, 65535, 0]]])


def test_work_in_bands_gives_what_the_whole_does(monkeypatch):
    light = np.random.default_rng(1).random((37, 5, 3)).astype(np.float32)
    transfer = Transfer(stored="linear", bits=16, gains=(1.0, 0.6, 0.8), lift=3.0)
    whole = signal_of(light, transfer)
    monkeypatch.setattr("sr_core.image.transfer._BAND_SAMPLES", 40)
    np.testing.assert_array_equal(signal_of(light, transfer), whole)
    np.testing.assert_array_equal(light_of(whole[::2, ::2], transfer), light_of(whole, transfer)[::2, ::2])


@pytest.mark.parametrize("middle", [0.02, 1e-3, 1e-5])
def test_dark_light_is_lifted_to_where_photos_have_their_middle(middle):
    light = np.full((20, 20, 3), middle, dtype=np.float32)
    transfer = fitted_transfer(light, bits=32)
    assert transfer.is_float
    assert transfer.lift > 1
    signal = signal_of(light, transfer) / 65535
    np.testing.assert_allclose(signal, srgb(np.float64(0.04)), atol=1e-3)


def test_light_of_usual_brightness_gets_the_srgb_curve():
    samples = np.random.default_rng(0).integers(0, 4096, (300, 400, 3), dtype=np.uint16)
    assert fitted_transfer(samples, bits=12) == Transfer(stored="linear", bits=12)
    assert fitted_transfer(np.zeros((4, 4, 1), np.uint8), bits=8) == Transfer(stored="linear", bits=8)


def test_range_of_floats_is_all_of_it_wherever_it_lies():
    light = np.full((600, 700, 3), 0.5, dtype=np.float32)
    light[301, 533, 1], light[7, 2, 0], light[9, 9, 2], light[9, 8, 2] = 40.0, -2.0, np.inf, np.nan
    transfer = fitted_transfer(light, bits=32)
    assert transfer.floor == -2.0
    np.testing.assert_allclose(transfer.gains, 1 / 42)
    assert signal_of(light, transfer)[301, 533, 1] == 65535
    assert fitted_transfer(light[400:], bits=32) == Transfer(stored="linear", bits=32, is_float=True)


def test_balance_keeps_the_brightest_channel_within_the_range():
    samples = np.full((8, 8, 3), 65535, dtype=np.uint16)
    transfer = fitted_transfer(samples, bits=16, balance=(2.0, 1.0, 1.6))
    assert transfer.gains == (1.0, 0.5, 0.8)
    np.testing.assert_allclose(samples_of(signal_of_samples(samples, transfer), transfer), samples, atol=1)
