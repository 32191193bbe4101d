"""Scenes: the truth is where the sound comes from, one seed is one scene, noise is what was asked for."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from doatrack.exceptions import InvalidInputError
from doatrack.geometry import MicArray, tdoa_far_field
from doatrack.simulation import SceneSettings, simulate_scene, simulate_scenes

ARRAY = MicArray([[0.06, 0.01, 0], [-0.05, 0, 0.01], [0, 0.06, 0], [0, 0.01, 0.06], [0.01, -0.05, -0.03]])
DRY = SceneSettings(duration_s=2.0, rt60_range=(0.15, 0.15), room_size_range=((5, 5, 4), (6, 6, 4)), noise="none")


def white_speech(generator, n_samples, sample_rate):
    """Return white noise that is active from 25 to 75 % of the time."""
    active = np.zeros(n_samples, bool)
    active[n_samples // 4 : 3 * n_samples // 4] = True
    return generator.standard_normal(n_samples) * active, active


def delay_errors(scene, array=ARRAY):
    """Return, per row of truth that is active, the largest error of a measured time difference in samples."""
    found = []
    for row in scene.truth[5::10]:
        start = int(row[0] * 16000) - 1024
        if row[4] and start >= 0 and start + 2048 <= scene.waveform.shape[1]:
            spectrum = np.fft.rfft(scene.waveform[:, start : start + 2048] * np.hanning(2048))
            first, second = array.mic_pairs.T
            cross = spectrum[first] * spectrum[second].conj()
            fine = np.fft.irfft(cross / np.abs(cross), 16 * 2048)
            lag = (fine.argmax(axis=1) + 8 * 2048) % (16 * 2048) - 8 * 2048
            found.append(np.abs(lag / 16 - tdoa_far_field(array, row[1:4]) * 16000).max())
    return np.array(found)


@pytest.mark.parametrize("moving", [0.0, 1.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_time_differences_are_those_of_the_true_direction(moving, seed):
    settings = dataclasses.replace(DRY, moving_probability=moving)
    scene = simulate_scene(ARRAY, settings, seed, speech=white_speech)
    assert scene.info["moving"] == bool(moving)
    errors = delay_errors(scene)
    assert len(errors) >= 3
    assert np.median(errors) < 0.35  # samples; spherical waves and early reflections are in it


def test_truth_rows():
    scene = simulate_scene(ARRAY, dataclasses.replace(DRY, moving_probability=1.0), 0, speech=white_speech)
    assert scene.waveform.shape == (5, 32000)
    assert scene.waveform.dtype == np.float32
    assert np.abs(scene.waveform).max() == pytest.approx(0.9, abs=1e-6)
    np.testing.assert_allclose(scene.truth[:, 0], np.arange(100) * 0.02)
    np.testing.assert_allclose(np.linalg.norm(scene.truth[:, 1:4], axis=1), 1.0)
    step = np.degrees(np.arccos(np.clip((scene.truth[1:, 1:4] * scene.truth[:-1, 1:4]).sum(1), -1, 1)))
    assert 0 < step.max() < 20
    active = np.flatnonzero(scene.truth[:, 4])
    assert 25 <= active[0] <= 27  # 0.5 s and the way to the array
    assert 74 <= active[-1] <= 76
    json.dumps(scene.info)


def test_one_seed_one_scene_on_any_number_of_threads_and_processes():
    settings = dataclasses.replace(DRY, noise="mixed", moving_probability=1.0, duration_s=1.0)
    first = simulate_scene(ARRAY, settings, 5)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    second = simulate_scene(ARRAY, settings, 5)
    torch.set_num_threads(threads)
    np.testing.assert_allclose(first.waveform, second.waveform, atol=2e-6)
    assert np.array_equal(first.truth, second.truth)
    assert not np.allclose(first.waveform, simulate_scene(ARRAY, settings, 6).waveform)


@pytest.mark.slow
def test_processes_make_the_same_scenes():
    settings = dataclasses.replace(DRY, noise="mixed", duration_s=1.0)
    one, two = (simulate_scenes(ARRAY, settings, range(4), white_speech, n_jobs=n) for n in (1, 2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a.waveform, b.waveform, atol=2e-6)
        assert a.info == b.info


def test_another_talker_or_noise_leaves_the_places_as_they_are():
    a = simulate_scene(ARRAY, DRY, 3, speech=white_speech)
    b = simulate_scene(ARRAY, dataclasses.replace(DRY, noise="directional"), 3)
    assert a.info["room"] == b.info["room"]
    np.testing.assert_array_equal(a.truth[:, 1:4], b.truth[:, 1:4])


@pytest.mark.parametrize("noise", ["sensor", "directional", "recorded", "diffuse"])
def test_noise_has_the_snr_asked_for_all_the_time(noise):
    settings = dataclasses.replace(DRY, noise=noise, snr_db_range=(10.0, 10.0), moving_probability=0.0)
    scene = simulate_scene(ARRAY, settings, 1, white_speech, lambda g, n, r: g.standard_normal(n))
    assert scene.info["noise"] == noise
    pause, speech = scene.waveform[:, 28000:], scene.waveform[:, 10000:22000]
    ratio = (speech**2).mean() / (pause**2).mean()
    assert 10 * np.log10(ratio - 1) == pytest.approx(10.0, abs=1.0)
    start = scene.waveform[:, :6000]
    assert 10 * np.log10((start**2).mean() / (pause**2).mean()) == pytest.approx(0, abs=1.0)


def test_an_interferer_that_stops_has_the_snr_asked_for_while_it_plays():
    settings = dataclasses.replace(DRY, noise="directional", snr_db_range=(10.0, 10.0), moving_probability=0.0)
    short = simulate_scene(ARRAY, dataclasses.replace(settings, noise_share=0.2), 1, white_speech)
    quiet = simulate_scene(ARRAY, dataclasses.replace(settings, noise="none"), 1, white_speech)
    played, pause = short.waveform[:, :6000], short.waveform[:, 28000:]
    speech = short.waveform[:, 10000:22000]
    assert 10 * np.log10((speech**2).mean() / (played**2).mean()) == pytest.approx(10.0, abs=1.0)
    assert (pause**2).mean() < 1e-3 * (played**2).mean()
    gain = short.waveform[:, 12000:].std() / quiet.waveform[:, 12000:].std()  # the peak of a scene is scaled to 0.9
    np.testing.assert_allclose(short.waveform[:, 12000:], gain * quiet.waveform[:, 12000:], atol=2e-3)


def test_an_interferer_may_start_later_and_plays_until_the_end_at_most():
    settings = dataclasses.replace(DRY, noise="directional", snr_db_range=(0.0, 0.0), moving_probability=0.0)
    late, long, quiet = (
        simulate_scene(ARRAY, dataclasses.replace(settings, **options), 1, white_speech).waveform
        for options in ({"noise_start_share": 0.5}, {"noise_start_share": 0.5, "noise_share": 0.5}, {"noise": "none"})
    )
    np.testing.assert_array_equal(late, long)
    n = late.shape[1] // 2
    gain = late[:, :n].std() / quiet[:, :n].std()
    np.testing.assert_allclose(late[:, :n], gain * quiet[:, :n], atol=1e-6)
    assert (late - gain * quiet)[:, n + 2000 :].std() > 0.3 * gain * quiet.std()
    part = dataclasses.replace(settings, noise_start_share=0.25, noise_share=0.5)
    assert part.noise_samples == (part.n_samples // 4, 3 * part.n_samples // 4)
    tiny = dataclasses.replace(settings, noise_start_share=0.5, noise_share=1e-17)
    assert np.subtract(*tiny.noise_samples) == -1
    sums = dataclasses.replace(settings, duration_s=3.0, noise_start_share=0.1, noise_share=0.2)
    assert sums.noise_samples == (4800, 14400)
    with pytest.raises(InvalidInputError, match=r"noise_start_share must be at least 0 and at most 0\.99, got 1"):
        dataclasses.replace(settings, noise_start_share=1.0)


def test_the_interferer_is_heard_from_its_direction():
    settings = dataclasses.replace(DRY, noise="directional", snr_db_range=(-40.0, -40.0), min_separation_deg=30.0)
    scene = simulate_scene(ARRAY, settings, 2, white_speech)
    away = scene.truth[:, 1:4] @ scene.info["noise_doa"]
    assert away.max() < 0.99
    rows = scene.truth.copy()
    rows[:, 1:4], rows[:, 4] = scene.info["noise_doa"], 1
    assert np.median(delay_errors(dataclasses.replace(scene, truth=rows))) < 0.35


def test_turning_is_about_the_vertical_only():
    kept = dataclasses.replace(DRY, random_yaw=False)
    turned, straight = simulate_scene(ARRAY, DRY, 4, white_speech), simulate_scene(ARRAY, kept, 4, white_speech)
    assert turned.info["array_yaw_deg"] != 0
    assert straight.info["array_yaw_deg"] == 0


def test_settings_are_kept():
    settings = SceneSettings(duration_s=0.3, rt60_range=(0.3, 0.4), snr_db_range=(0, 1), moving_probability=0.5)
    infos = [simulate_scene(ARRAY, settings, seed, white_speech).info for seed in range(12)]
    assert all(0.3 <= i["rt60"] <= 0.4 and 0 <= i["snr_db"] <= 1 for i in infos)
    assert all(3 <= i["room"][0] <= 10 and 2.5 <= i["room"][2] <= 6 for i in infos)
    assert {i["moving"] for i in infos} == {True, False}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": "directionnal"}, "Did you mean 'directional'"),
        ({"duration_s": 0.0}, "duration_s must be above 0"),
        ({"rt60_range": (1.0, 0.2)}, "rt60_range must go from low to high"),
        ({"moving_probability": 1.5}, "moving_probability must be at least 0 and at most 1"),
        ({"room_size_range": ((5, 5, 5), (4, 4, 4))}, "smallest and the largest room"),
        ({"array_margin": 2.0}, "must leave space between margins of 2 m"),
    ],
)
def test_bad_settings_are_refused(change, message):
    with pytest.raises(InvalidInputError, match=message):
        SceneSettings(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": dataclasses.replace(DRY, rt60_range=(0.01, 0.01))}, r"rt60 = 0\.01 s is shorter than a room"),
        ({"settings": dataclasses.replace(DRY, min_distance=9.0)}, "No place was found that keeps min_distance"),
        ({"settings": dataclasses.replace(DRY, noise="recorded")}, 'noise="recorded" needs noise_source'),
        ({"seed": -1}, "seed must be at least 0"),
        ({"speech": lambda g, n, r: np.zeros(n)}, r"speech must return a tuple \(dry, active\), got ndarray"),
        ({"speech": lambda g, n, r: (np.zeros(7), np.zeros(7))}, r"speech must return 32000 finite samples.*\(7,\)"),
    ],
)
def test_bad_calls_are_refused(change, message):
    call = {"array": ARRAY, "settings": DRY, "seed": 0, "speech": white_speech}
    with pytest.raises(InvalidInputError, match=message):
        simulate_scene(**{**call, **change})
