"""Trackers that learn from known directions: what they learn from, how fast, and what they keep."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

import doatrack
from doatrack import Cross3DTracker, MicArray, NeuralSRPTracker
from doatrack.exceptions import (
    ArrayMismatchWarning,
    GeometryWarning,
    InvalidInputError,
    ModelFileError,
    NoActivityError,
)
from doatrack.metrics import angular_error
from doatrack.networks import NeuralSRP

SMALL = {"win_length": 1024, "hop_length": 768, "random_state": 0, "verbose": 0, "n_epochs": 2, "batch_size": 2}
KINDS = {
    "neural-srp": lambda **options: NeuralSRPTracker(**({"width": 8, "pairs_per_step": 4} | SMALL | options)),
    "cross3d": lambda **options: Cross3DTracker(**({"resolution": (8, 16), "width": 4} | SMALL | options)),
}


@pytest.fixture(params=list(KINDS))
def make(request):
    """Make a small tracker of each kind."""
    return KINDS[request.param]


@pytest.fixture(scope="session")
def rows(signals, doa):
    """Truth every 20 ms; sound comes in bursts of 3800 of 6400 samples."""
    truth = []
    for signal, u in zip(signals, doa, strict=True):
        times = np.arange(0, signal.shape[1] / 16000, 0.02)
        sounding = (times * 16000) % 6400 < 3800
        truth.append(np.column_stack([times, np.tile(u, (len(times), 1)), sounding]))
    return truth


def weights(tracker):
    return torch.cat([p.detach().flatten() for p in tracker.network_.parameters()])


def count(signal):
    return 1 + (signal.shape[1] - 1024) // 768


@pytest.mark.parametrize(
    ("kind", "options", "bound"),
    [
        ("neural-srp", {"width": 16, "learning_rate": 1e-2, "pairs_per_step": 6, "n_epochs": 120}, 10.0),
        ("cross3d", {"width": 6, "learning_rate": 4e-3, "n_epochs": 60}, 10.0),
    ],
)
def test_a_few_recordings_are_learned_by_heart(kind, options, bound, signals, array, rows):
    tracker = KINDS[kind](**options, batch_size=3).fit(signals, array, rows)
    first, last = tracker.history_[0], tracker.history_[-1]
    assert last["loss"] < 0.3 * first["loss"]
    assert last["error_deg"] < bound
    assert tracker.score(signals, rows) > -bound


def test_truth_may_be_rows_or_unit_vectors(make, signals, array, doa, rows):
    vectors = [np.tile(u, (count(s), 1)) for u, s in zip(doa, signals, strict=True)]
    activity = [t.activity for t in make().fit(signals, array, rows).track(signals)]
    same = [np.where(active[:, None], truth, np.nan) for active, truth in zip(activity, vectors, strict=True)]
    by_vectors, by_active_vectors = (make().fit(signals, array, y) for y in (vectors, same))
    assert torch.equal(weights(by_vectors), weights(by_active_vectors))
    assert not torch.equal(weights(by_vectors), weights(make().fit(signals, array, [-v for v in vectors])))


def test_frames_of_unknown_direction_do_not_count(make, signals, array, doa, rows):
    """Whatever stands in the rows of silence, and where the direction is NaN, changes nothing."""
    reference = weights(make().fit(signals, array, rows))
    other = [r.copy() for r in rows]
    for r in other:
        quiet = r[:, 4] == 0
        r[quiet, 1:4] = np.where(np.arange(quiet.sum())[:, None] % 7 == 3, [1.0, 0.0, 0.0], r[quiet, 1:4])
    # a frame between a sounding and a silent row is a chord of both: leave the neighbours of sound alone
    for r, original in zip(other, rows, strict=True):
        near = np.convolve(original[:, 4], np.ones(9), mode="same") > 0
        r[near, 1:4] = original[near, 1:4]
    assert torch.equal(weights(make().fit(signals, array, other)), reference)
    spoilt = [r.copy() for r in rows]
    spoilt[1][:, 1:4] = np.nan
    assert torch.equal(
        weights(make().fit(signals, array, spoilt)),
        weights(make().fit([signals[0], signals[2]], array, [rows[0], rows[2]])),
    )


def test_given_activity_says_which_frames_count(make, signals, array, rows):
    heard = [np.ones(count(s), dtype=bool) for s in signals]
    none_late = [h & (np.arange(len(h)) < 6) for h in heard]
    assert not torch.equal(
        weights(make().fit(signals, array, rows, activity=heard)),
        weights(make().fit(signals, array, rows, activity=none_late)),
    )


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_truth_is_asked_for(make, signals, array, call):
    with pytest.raises(
        InvalidInputError, match=r"learns from known directions.*got none: call fit\(signals, array, do"
    ):
        getattr(make(), call)(signals, array=array)


BAD_TRUTH = {
    "too few": (lambda rows: rows[:2], r"y must hold one entry per recording, 3, got 2"),
    "another length": (
        lambda rows: [np.ones((4, 3)) / 3**0.5, *rows[1:]],
        r"recording 0 must be one unit vector per f",
    ),
    "no unit vectors": (lambda rows: [rows[0] * [1, 2, 2, 2, 1], *rows[1:]], r"unit"),
    "text": (lambda rows: ["left", *rows[1:]], r"The truth of recording 0"),
}


@pytest.mark.parametrize("kind", BAD_TRUTH)
def test_bad_truth_is_refused_with_the_reason_and_nothing_is_fitted(make, signals, array, rows, kind):
    spoil, message = BAD_TRUTH[kind]
    tracker = make()
    with pytest.raises(InvalidInputError, match=message):
        tracker.fit(signals, array, spoil(rows))
    assert not hasattr(tracker, "network_")


def test_nothing_known_teaches_nothing(make, signals, array, rows):
    unknown = [r.copy() for r in rows]
    for r in unknown:
        r[:, 1:4] = np.nan
    with pytest.raises(NoActivityError, match="both sound and a known direction"):
        make().fit(signals, array, unknown)
    with pytest.raises(NoActivityError, match="only silence or steady noise"):
        make().fit([np.zeros_like(s) for s in signals], array, rows)


def test_partial_fit_adapts_with_labels(make, signals, array, rows):
    tracker = make().fit(signals, array, rows)
    before = weights(tracker)
    assert tracker.partial_fit(signals[1], rows[1]) is tracker
    assert not torch.equal(weights(tracker), before)
    assert len(tracker.history_) == 3
    new = make().partial_fit(signals, array, rows)
    assert len(new.history_) == 1


def test_concentration_is_unknown_until_calibrated(make, signals, array, doa, rows, tmp_path):
    tracker = make(n_epochs=20, learning_rate=4e-3).fit(signals, array, rows)
    before = tracker.track(signals[0], smoothing=None)
    assert np.isnan(before.concentration).all()
    assert np.isnan(before.credible_angle).all()
    assert tracker.calibrate(signals, rows) is tracker
    after = tracker.track(signals, smoothing=None)
    assert np.array_equal(after[0].doa, before.doa)
    inside, n_frames = 0, 0
    for k, track in enumerate(after):
        truth, active = doatrack.metrics.truth_at_frames(rows[k], track.times)
        inside += (angular_error(truth[active], track.doa[active]) <= track.credible_angle[active]).sum()
        n_frames += active.sum()
    assert inside / n_frames == pytest.approx(0.9, abs=1.5 / n_frames + 0.05)
    tracker.save(tmp_path / "model")
    kept = doatrack.load(tmp_path / "model").track(signals[0], smoothing=None)
    assert np.array_equal(kept.credible_angle, after[0].credible_angle)
    assert np.array_equal(kept.concentration, after[0].concentration)


def test_a_file_keeps_an_uncalibrated_tracker(make, signals, array, rows, tmp_path):
    tracker = make().fit(signals, array, rows)
    tracker.save(tmp_path / "model")
    other = doatrack.load(tmp_path / "model")
    assert np.isnan(other.track(signals[0], smoothing=None).concentration).all()
    assert torch.equal(weights(other), weights(tracker))
    assert other.history_ == tracker.history_
    assert other.fitted_array_ == array
    adapted = [t.partial_fit(signals[0], rows[0]).predict(signals[0]) for t in (other, tracker)]
    assert np.array_equal(*adapted)


def test_a_search_region_has_nothing_to_act_on(make, signals, array, rows):
    with pytest.raises(InvalidInputError, match=r"searches no grid.*use SRPPHAT"):
        make().fit(signals, array, rows).with_search_region(elevation_range_deg=(0, 90))


def test_moving_warns(make, signals, array, rows):
    tracker = make().fit(signals, array, rows)
    other = array.perturb(0.01, 0)
    with pytest.warns(ArrayMismatchWarning, match="This tracker learned with"):
        moved = tracker.for_array(other)
    assert not np.allclose(moved.predict(signals[0]), tracker.predict(signals[0]))


def test_a_long_recording_is_answered_as_a_short_one(make, signals, array, rows):
    """Parts of pairs or of time give what the whole gives: nothing changes at their seams."""
    tracker = make().fit(signals, array, rows)
    long = np.tile(signals[0], (1, 8))
    assert count(long) > 2 * 64
    features, activity = [], torch.ones(count(long))
    for gcc in tracker._runtime().extractor.stream([long]):
        features.append(tracker._runtime().features(gcc))
    features = torch.cat(features)
    with torch.no_grad():
        vectors = tracker._vectors()
        known = [vectors.push(f, a) for f, a in zip(features.split(50), activity.split(50), strict=True)]
        parts = np.concatenate([part.doa for part in [*known, vectors.finish()]])
        if isinstance(tracker, Cross3DTracker):
            whole = tracker.network_(features[None], activity[None])[0].numpy()
        else:
            positions = tracker._runtime().positions
            whole = tracker.network_(features[None], positions)[0].numpy()
            parts = parts[2::5]
            whole = whole[: len(parts)]
    assert np.allclose(parts, whole / np.linalg.norm(whole, axis=1, keepdims=True), atol=1e-4)


# ---- Neural-SRP alone ----


def test_a_random_part_of_the_pairs_is_scaled_up_to_all(signals, array, rows):
    """Six copies of one pair: any part of them gives what all give."""
    tracker = KINDS["neural-srp"]().fit(signals, array, rows)
    tables = tracker._runtime()
    tables.positions = tables.positions[:1].expand(6, -1)
    gcc = torch.rand(1, 10, 1, 64, generator=torch.Generator().manual_seed(0)).expand(-1, -1, 6, -1)
    ones, truth = torch.ones(1, 10), torch.zeros(1, 10, 3)
    with torch.no_grad():
        answers = [
            tracker._batch_vectors(doatrack.training.Batch(gcc[:, :, :n], ones, ones, torch.arange(n), truth))
            for n in (1, 4, 6)
        ]
    assert torch.allclose(answers[0], answers[2], atol=1e-5)
    assert torch.allclose(answers[1], answers[2], atol=1e-5)


def test_pair_order_decides_whether_the_order_of_channels_matters(signals, array, rows):
    order = [2, 0, 3, 1]
    turned = [s[order] for s in signals]
    for pair_order, same in (("canonical", True), ("channels", False)):
        tracker = KINDS["neural-srp"](pair_order=pair_order).fit(signals, array, rows)
        with pytest.warns(ArrayMismatchWarning):
            other = tracker.for_array(array.select(order))
        assert np.allclose(other.predict(turned[0]), tracker.predict(signals[0]), atol=1e-5) is same


def test_pairs_in_channel_order_are_i_before_j_with_positions_in_centimetres(signals, array, rows):
    tables = KINDS["neural-srp"](pair_order="channels").fit(signals, array, rows)._runtime()
    assert tables.extractor.mic_pairs.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    expected = [100 * np.concatenate([array.positions[i], array.positions[j]]) for i, j in tables.extractor.mic_pairs]
    assert np.allclose(tables.positions.numpy(), expected, atol=1e-5)
    assert tables.extractor.lags.tolist() == list(range(-32, 32))


def test_an_array_beyond_the_lags_is_told(signals, rows, array):
    wide = MicArray(8 * array.positions)
    with pytest.warns(GeometryWarning, match=r"reach 4\d samples, and this network sees 31.*lower sample_rate"):
        KINDS["neural-srp"]().fit(signals, wide, rows)


def test_a_late_microphone_has_its_peak_at_a_positive_lag():
    """|GCC| of X_i conj(X_j) peaks at t_i - t_j, from the whole band, with the lags -32 to 31."""
    noise = np.random.default_rng(0).normal(size=20000).astype(np.float32)
    late = np.stack([np.roll(noise, 5), -noise])  # opposite signs: the absolute value does not mind
    tracker = NeuralSRPTracker(pair_order="channels", width=4, random_state=0)
    tracker._start(MicArray([[0.2, 0, 0], [0, 0, 0]]))
    tables = tracker._runtime()
    heard = tables.features(tables.extractor.gcc(torch.from_numpy(late)))
    spectra = np.fft.rfft(np.stack([late[:, :4096] * np.hanning(4097)[:-1]]))[0]
    phase = spectra[0] * spectra[1].conj()
    plain = np.abs(np.fft.fftshift(np.fft.irfft(phase / np.abs(phase)))[2048 - 32 : 2048 + 32])
    assert (heard[:, 0].argmax(dim=1) == 32 + 5).all()
    assert np.allclose(heard[0, 0].numpy(), plain, atol=1e-3)


def published(**changes):
    """A state dict of the names, shapes and types of the published checkpoints."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        return NeuralSRP(activity_head=True).state_dict() | changes


@pytest.mark.parametrize(
    "wrap", [lambda d: d, lambda d: {"model": d}, lambda d: {f"module.{k}": v for k, v in d.items()}]
)
def test_a_published_checkpoint_is_loaded(tmp_path, array, wrap):
    state = published()
    assert sum(v.numel() for v in state.values()) == 924_563
    torch.save(wrap(state), tmp_path / "neural-srp.bin")
    tracker = NeuralSRPTracker.from_reference(tmp_path / "neural-srp.bin", array)
    assert tracker.pair_order == "channels"
    assert tracker.window == "hann"
    assert tracker.array_ == array
    assert all(torch.equal(v, state[k]) for k, v in tracker.network_.state_dict().items())
    bursts = np.repeat([0.01, 1.0, 0.01], (4096 + 6 * 3072) // 3 + 1)[: 4096 + 6 * 3072]
    signal = (bursts * np.random.default_rng(1).normal(size=(4, len(bursts)))).astype(np.float32)
    doa = tracker.predict(signal)
    assert doa.shape == (7, 3)
    tracker.save(tmp_path / "model")
    assert np.array_equal(doatrack.load(tmp_path / "model").predict(signal), doa)
    assert len(
        tracker.set_params(verbose=0, pairs_per_step=2).partial_fit(signal, np.tile([1.0, 0, 0], (7, 1))).history_
    )


def test_another_networks_checkpoint_is_refused(tmp_path, array):
    torch.save({k: v for k, v in published().items() if "fnn_doa" not in k}, tmp_path / "net.bin")
    with pytest.raises(ModelFileError, match=r"another network: it lacks fnn_doa.blocks.0.0.weight, .*and 1 more"):
        NeuralSRPTracker.from_reference(tmp_path / "net.bin", array)


# ---- Cross3D alone ----


def test_the_map_of_a_plane_wave_has_its_maximum_at_the_source(array, signals, doa):
    tracker = Cross3DTracker(resolution=(16, 32), width=2, win_length=1024, hop_length=768, random_state=0)
    tracker._start(array)
    tables = tracker._runtime()
    for signal, u in zip(signals, doa, strict=True):
        maps = tables.features(tables.extractor.gcc(torch.from_numpy(signal[:, :3800])))
        assert torch.allclose(maps.amax(dim=(1, 2)), torch.ones(len(maps)))
        best = tracker.grid_.directions[maps.flatten(1).argmax(dim=1)]
        assert np.degrees(angular_error(np.tile(u, (len(best), 1)), best)).max() < 12


@pytest.mark.parametrize("resolution", [(8, 20), (3, 8), (2, 2), (8.5, 16), (8, 16, 2), "large", None])
def test_maps_that_cannot_be_halved_are_refused(resolution, signals, array, rows):
    with pytest.raises(InvalidInputError, match="resolution"):
        KINDS["cross3d"](resolution=resolution).fit(signals, array, rows)


def test_a_list_is_as_good_as_a_tuple(signals, array, rows):
    one, two = (KINDS["cross3d"](resolution=size).fit(signals, array, rows) for size in ((8, 16), [8, 16]))
    assert torch.equal(weights(one), weights(two))


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [("neural-srp", {"width": 4}, "width=8, and do not fit width=4"), ("cross3d", {"resolution": (4, 8)}, r"\(4, 8\)")],
)
def test_weights_of_another_size_are_told(kind, change, message, signals, array, rows):
    tracker = KINDS[kind](warm_start=True).fit(signals, array, rows)
    before = weights(tracker)
    tracker.set_params(**change)
    for call in (
        lambda: tracker.fit(signals, array, rows),
        lambda: tracker.partial_fit(signals, rows),
        lambda: tracker.predict(signals),
    ):
        with pytest.raises(InvalidInputError, match=message):
            call()
    assert torch.equal(weights(tracker), before)
    assert clone(tracker).set_params(warm_start=False).fit(signals, array, rows)
