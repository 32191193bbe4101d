"""Room responses: against pyroomacoustics, and the physics of one wall, of symmetry and of decay."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfiltfilt

from doatrack.exceptions import InvalidInputError
from doatrack.simulation import ShoeboxRoom, room_impulse_responses

SAMPLE_RATE = 16000
N_TAPS = 800  # 50 ms


def band(responses: np.ndarray) -> np.ndarray:
    """Return the spectrum between 100 Hz and 7 kHz."""
    frequency = np.fft.rfftfreq(8192, 1 / SAMPLE_RATE)
    return np.fft.rfft(responses, 8192)[..., (frequency >= 100) & (frequency <= 7000)]


def relative_error(reference: np.ndarray, ours: np.ndarray) -> float:
    """Return the error of the best scaled copy of `ours`."""
    wanted, got = band(reference), band(ours)
    scale = np.vdot(got, wanted) / np.vdot(got, got)
    return float(np.linalg.norm(wanted - scale * got) / np.linalg.norm(wanted))


@pytest.mark.parametrize("reflection", [0.9, [0.95, 0.6, 0.9, 0.7, 0.5, 0.85]], ids=["uniform", "per wall"])
@pytest.mark.parametrize("size", [[6.2, 5.1, 3.3], [3.0, 4.2, 2.5]])
def test_first_50_ms_agree_with_pyroomacoustics(size, reflection):
    pra = pytest.importorskip("pyroomacoustics", reason="pyroomacoustics is the reference for image sources")
    rng = np.random.default_rng(0)
    mics = rng.uniform(0.6, np.array(size) - 0.6, (3, 3))
    sources = rng.uniform(0.4, np.array(size) - 0.4, (3, 3))
    hpf = pra.constants.get("rir_hpf_enable")
    pra.constants.set("rir_hpf_enable", False)
    try:
        names = ["west", "east", "south", "north", "floor", "ceiling"]
        walls = {n: pra.Material(1 - b**2) for n, b in zip(names, np.broadcast_to(reflection, 6), strict=True)}
        room = pra.ShoeBox(size, fs=SAMPLE_RATE, materials=walls, max_order=12)
        room.set_sound_speed(343.0)
        room.add_microphone_array(mics.T)
        for source in sources:
            room.add_source(source)
        room.compute_rir()
        offset = pra.constants.get("frac_delay_length") // 2
    finally:
        pra.constants.set("rir_hpf_enable", hpf)
    reference = np.zeros((3, 3, N_TAPS))
    for m in range(3):
        for s in range(3):
            part = room.rir[m][s][offset : offset + N_TAPS]
            reference[s, m, : len(part)] = part
    ours = ShoeboxRoom(size, reflection=reflection).images(sources, mics, n_taps=N_TAPS, max_order=12).numpy()
    assert relative_error(reference, ours) < 0.01


def test_direct_sound_is_a_fractional_delay_with_the_amplitude_of_a_point_source():
    source, mic = np.array([[2.0, 2.0, 1.5]]), np.array([[3.3, 2.7, 1.1]])
    distance = float(np.linalg.norm(source - mic))
    response = ShoeboxRoom([6, 5, 3], reflection=0.0).images(source, mic, n_taps=N_TAPS)[0, 0].numpy()
    frequency = np.fft.rfftfreq(N_TAPS, 1 / SAMPLE_RATE)
    inside = (frequency > 100) & (frequency < 7000)
    wanted = np.exp(-2j * np.pi * frequency * distance / 343.0) / (4 * np.pi * distance)
    error = np.abs(np.fft.rfft(response) - wanted)[inside] * 4 * np.pi * distance
    assert error.max() < 0.01


def test_one_wall_adds_one_image():
    source, mic = np.array([[1.0, 2.0, 1.5]]), np.array([[2.0, 2.0, 1.5]])
    wall = [0.5, 0, 0, 0, 0, 0]
    both = ShoeboxRoom([6, 5, 3], reflection=wall).images(source, mic, n_taps=N_TAPS)
    direct = ShoeboxRoom([6, 5, 3], reflection=0.0).images(source, mic, n_taps=N_TAPS)
    # The image at x = -1 is 3 m away, the source 1 m: half the amplitude over three times the distance.
    echo = (both - direct)[0, 0]
    assert int(echo.abs().argmax()) == round(3 / 343 * SAMPLE_RATE)
    assert (echo.norm() / direct.norm()).item() == pytest.approx(0.5 / 3, rel=0.02)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_exchanging_source_and_microphone_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    size = rng.uniform([3, 3, 2.5], [6, 6, 4])
    first, second = rng.uniform(0.3, size - 0.3, (2, 3))
    if np.linalg.norm(first - second) < 0.1:
        return
    room = ShoeboxRoom(size, 0.4)
    there = room.images(first[None], second[None], n_taps=N_TAPS)
    back = room.images(second[None], first[None], n_taps=N_TAPS)
    torch.testing.assert_close(there, back, atol=1e-4 * there.abs().max().item(), rtol=0)


def test_a_batch_equals_single_calls():
    rng = np.random.default_rng(1)
    room, mics = ShoeboxRoom([5, 4, 3], 0.4), rng.uniform(1, 2, (3, 3))
    sources = rng.uniform(0.5, 3, (4, 3))
    batch = room.images(sources, mics, n_taps=N_TAPS)
    single = torch.cat([room.images(s[None], mics, n_taps=N_TAPS) for s in sources])
    torch.testing.assert_close(batch, single, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(("size", "rt60"), [([6.2, 5.1, 3.3], 0.6), ([9.0, 8.0, 5.0], 0.3), ([4.0, 7.0, 3.0], 0.25)])
def test_the_decay_is_that_of_rt60_and_smooth_where_the_tail_takes_over(size, rt60):
    rng = np.random.default_rng(2)
    sources, mics = rng.uniform(0.5, 2.4, (6, 3)), rng.uniform(0.5, 2.4, (4, 3))
    responses = room_impulse_responses(size, rt60, sources, mics, generator=rng).double()
    octaves = butter(4, [300, 7000], "bandpass", fs=SAMPLE_RATE, output="sos")  # below, images add up in phase
    energy = (sosfiltfilt(octaves, responses.numpy()) ** 2).mean(axis=(0, 1))
    steps = 10 * np.log10(energy[: len(energy) // 20 * 20].reshape(20, -1).sum(axis=1))
    fit = np.polyfit(np.arange(3, 19) * rt60 / 20, steps[3:19], 1)
    assert -60 / fit[0] == pytest.approx(rt60, rel=0.15)
    assert np.abs(np.diff(steps[3:19]) + 3).max() < 2.5


def test_a_source_in_the_middle_of_the_microphones_is_heard_like_one_beside_it():
    middle = np.array([2.5, 2.0, 1.5])
    mics = middle + 0.05 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    responses = [room_impulse_responses([5, 4, 3], 0.4, [at], mics) for at in (middle, middle + 0.001)]
    energies = [float((response**2).sum()) for response in responses]
    assert energies[0] == pytest.approx(energies[1], rel=0.02)


def test_without_a_tail_images_fill_the_response():
    source, mic = [[1.0, 1, 1]], [[2.0, 2, 1.5]]
    images = room_impulse_responses([4, 3, 2.5], 0.2, source, mic, diffuse_tail=False)
    both = room_impulse_responses([4, 3, 2.5], 0.2, source, mic)
    assert images.shape == both.shape == (1, 1, 3200)
    torch.testing.assert_close(images[..., :600], both[..., :600], atol=1e-6, rtol=1e-3)
    assert not torch.allclose(images[..., 1500:], both[..., 1500:], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rt60": 0.01}, r"rt60 = 0.01 s is shorter than a room of 6 x 5 x 3 m can have.*Use at least 0\.02"),
        ({"rt60": 0.0}, "rt60 must be above 0, got 0"),
        ({"rt60": None}, "needs rt60 .* or reflection"),
        ({"room_size": [6, 5, 0]}, "room_size must hold three positive lengths"),
        ({"room_size": [6, 5]}, r"room_size must have the shape \(3\)"),
        ({"reflection": 1.2}, r"reflection must hold pressure reflection coefficients in \[0, 1\)"),
        ({"source_positions": [[7.0, 1, 1]]}, r"source_positions must lie inside the room.*row 0 is \[7\.0"),
        ({"mic_positions": [[1.0, 1, 1], [1, -1, 1]]}, r"mic_positions must lie inside the room.*row 1"),
        ({"source_positions": [[2.0, 2, 1]], "mic_positions": [[2.0, 2, 1.001]]}, "must keep 0.01 m"),
        ({"source_positions": np.zeros((0, 3))}, "source_positions must hold at least one position"),
        ({"mic_positions": np.zeros((0, 3))}, "mic_positions must hold at least one position"),
        ({"max_order": 3}, "give diffuse_tail=False"),
    ],
)
def test_errors_say_what_is_wrong(arguments, message):
    given = {"room_size": [6, 5, 3], "rt60": 0.4, "source_positions": [[1.0, 1, 1]], "mic_positions": [[3.0, 3, 1]]}
    with pytest.raises(InvalidInputError, match=message):
        room_impulse_responses(**{**given, **arguments})
