"""Follow a source with numpy and onnxruntime only: an exported tracker, a WAV file, no torch and no doatrack.

Run it: python examples/track_onnx.py model.onnx recording.wav --out track.csv, after
"doatrack export nao_head_12 --out model.onnx". Copy it: whatever it needs to know is in the model's metadata.

The model starts from correlations of microphone pairs. What comes before it is written out here: frames, spectra,
noise, weights, correlations (docs/features.md has the formulae), and the detector of sound.
"""

import argparse
import itertools
import json
import math
import wave

import numpy as np
import onnxruntime

LOWEST_HZ, HIGHEST_SHARE = 60.0, 0.494  # frequencies of snapshots that count, the latter of the sample rate
PSEUDO_SNAPSHOTS, WIDENING = 8.0, 1.5  # of white noise among the quiet ones; of bands of frequencies
MOST, MOST_CAUSAL, MOST_FOR_FLOOR = 640, 160, 80  # snapshots of a span that noise is learned from
FRAMES_AT_ONCE = 8
WINDOW_S, PREDICTED_S = 0.004, 0.192  # of what is foretold by the last 6 to 16 ms
MOST_TAPS, FEWEST_TAPS, INPUTS = 8, 3, 48  # windows, and windows times microphones
PREDICTION_LOADING, LEAST = 0.03, 0.1
MOST_TOGETHER, MOST_TURNED = 4, 0.06  # neighbouring frequencies that are turned as one; by so many radians at most
ALIKE, ENOUGH = 2, 64  # that have one noise model, if causal; of twice so many quiet snapshots half are taken
REFRESH_S, REFRESH_SHARE = 7.5, 1.0  # when noise is learned anew by models that look at earlier sound only
PIECE_S, SHARE = 0.2, 0.75  # of sound and frequencies, whose least power tells whether the noise is another one
EVERY, EVERY_FREQUENCY, TOGETHER = 2, 4, 2  # snapshots and frequencies that are looked at, and summed
RISES, RISES_LIVE = ((8, 1.5), (15, 0.8)), ((4, 1.6), (9, 0.8))  # pieces before and after, nats
BLOCK_S, BANDS_HZ, N_BANDS, FLOOR_BLOCKS = 0.032, (150.0, 4500.0), 24, 94  # of the detector of sound
MINIMUM_BIAS, THRESHOLD, FORGET = 1.7, 0.5, 10 ** (-0.05 * BLOCK_S)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("recording", help="WAV of 16 bits; other files where soundfile is installed")
    parser.add_argument("--channels", help="which ones are the microphones, counted from 1: 2,3,4,5")
    parser.add_argument("--out", default="track.csv")
    options = parser.parse_args()

    session = onnxruntime.InferenceSession(options.model, providers=["CPUExecutionProvider"])
    known = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
    rate, waveform = read(options.recording)
    if options.channels:
        waveform = waveform[[int(channel) - 1 for channel in options.channels.split(",")]]
    if rate != known["sample_rate"] or len(waveform) != len(known["mic_positions"]):
        raise SystemExit(
            f"The model takes {len(known['mic_positions'])} channels at {known['sample_rate']} Hz, got {len(waveform)} "
            f"at {rate} Hz. Choose --channels, or resample first."
        )
    n_frames = 1 + (waveform.shape[1] - known["win_length"]) // known["hop_length"]
    if n_frames < 1:
        raise SystemExit(f"The recording must be at least {known['win_length']} samples long.")
    activity = sound_activity(waveform, n_frames, known)
    inputs = {"correlations": correlations(waveform[known["channel_order"]], n_frames, known)[None]}
    if "activity" in [one.name for one in session.get_inputs()]:
        inputs["activity"] = activity.astype(np.float32)[None]
    names = [one.name for one in session.get_outputs()]
    answer = dict(zip(names, (value[0] for value in session.run(None, inputs)), strict=True))
    doa = answer["doa"] / np.linalg.norm(answer["doa"], axis=1, keepdims=True)
    write(options.out, doa, *believed(answer.get("concentration"), n_frames, known), activity, known)
    print(f"{n_frames} frames, {activity.sum()} with sound, by {known['estimator']}: {options.out}")


def read(path):
    """Return the sample rate and the waveform (n_channels, n_samples), between -1 and 1."""
    try:
        with wave.open(path, "rb") as file:
            if file.getsampwidth() != 2:
                raise wave.Error("not of 16 bits")
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
            return file.getframerate(), np.ascontiguousarray(samples.T).astype(np.float32) / 32768
    except wave.Error:
        import soundfile

        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        return rate, np.ascontiguousarray(samples.T)


def correlations(waveform, n_frames, known):
    """Return the model's input (n_frames, n_pairs, n_columns) of channels in the model's order."""
    features = known["features"]
    if features["dereverberation"]:
        waveform = less_foretold(waveform, known)
    rows = phat(waveform, known) if features["weighting"] == "phat" else weighted(waveform, n_frames, known)
    if features["pair_weighting"] == "baseline":
        place = np.array(known["mic_positions"])[known["channel_order"]]
        first, second = np.array(known["mic_pairs"]).T
        length = np.linalg.norm(place[first] - place[second], axis=1)
        rows = rows * (length / length.mean())[:, None]
    average = features["average_frames"]
    if average > 1:
        rows = np.stack([rows[max(0, k - average + 1) : k + 1].mean(axis=0) for k in range(n_frames)])
    return rows.astype(np.float32)


def phat(waveform, known):
    """Return GCC-PHAT: every frequency of the whole frame counts alike."""
    length = known["win_length"]
    window = hann(length) if known["window"] == "hann" else np.ones(length, np.float32)
    spectra = np.fft.rfft(cut(waveform, length, known["hop_length"]) * window).transpose(1, 0, 2)
    magnitude = np.abs(spectra)
    white = spectra / np.maximum(magnitude, 1e-6 * magnitude.max(axis=-1, keepdims=True) + 1e-30)
    first, second = np.array(known["mic_pairs"]).T
    band = known["features"]["freq_range_hz"]
    bins = slice(0, length // 2 + 1) if band is None else inside(band, length, known["sample_rate"])
    transform = lag_transform(known, length, bins)
    if band is not None:
        transform *= length / 2 / len(transform)
    # frame by frame: cross-spectra of all pairs are large
    return np.stack([((frame[first] * frame[second].conj())[:, bins] @ transform).real for frame in white])


def less_foretold(waveform, known):
    """Return a waveform less what its last milliseconds foretell, block by block, in short windows, by least squares.

    Blocks end with frames. Where no frame may wait for later sound, all comes out later by what windows reach.
    """
    rate, (n_mics, n_samples) = known["sample_rate"], waveform.shape
    hop = max(2, round(WINDOW_S * rate / 2))
    usual = max(1, round(PREDICTED_S * rate / hop))
    step, first = known["hop_length"], known["win_length"]
    in_step = max(1, round(step / (usual * hop)))
    delay = 0
    if known["features"]["causal"]:
        delay = hop if first % hop == 0 and step % (in_step * hop) == 0 else 2 * hop - 1
    total = 1 + -(-n_samples // hop)
    shape = np.sin((np.arange(2 * hop) + 0.5) * np.pi / (2 * hop)).astype(np.float32)
    padded = np.pad(waveform, ((0, 0), (hop, total * hop - n_samples)))
    spectra = np.fft.rfft(cut(padded, 2 * hop, hop) * shape).transpose(2, 1, 0)
    n_taps = max(FEWEST_TAPS, min(MOST_TAPS, INPUTS // n_mics))
    before = np.pad(spectra, ((0, 0), (n_taps, 0), (0, 0)))
    first -= delay
    begin = -((first - max(1, min(first, usual * hop))) * in_step // step)
    ends = [first + k * step // in_step for k in range(begin, 2 + n_samples * in_step // step)]
    ends = sorted({1 + -(-end // hop) for end in ends})
    ends = [end for end in ends if end <= n_samples // hop]
    left, last, recent, n_recent = np.empty_like(spectra), 0, 0, 0
    for start, stop in itertools.pairwise([0, *ends, total]):
        earlier = np.concatenate([before[:, start + k : stop + k] for k in range(n_taps)], axis=2)
        now = spectra[:, start:stop]
        power = (np.abs(before[:, start : stop + n_taps]) ** 2).sum(axis=2)
        least = np.maximum(LEAST * power.mean(axis=1, keepdims=True), 1e-30)
        weight = 1 / np.maximum(power[:, n_taps:], least)
        recent = recent + (earlier * weight[..., None]).conj().mT @ np.concatenate([earlier, now], axis=2)
        n_recent += stop - start
        matrix, wanted = np.split(recent + last, [earlier.shape[2]], axis=2)
        mean = np.trace(matrix, axis1=1, axis2=2).real / matrix.shape[1]
        loaded = matrix + (PREDICTION_LOADING * mean + 1e-20)[:, None, None] * np.eye(matrix.shape[1], dtype=np.float32)
        # from a few windows alone nearly all would seem foretold
        left[:, start:stop] = now - np.float32(min(1, stop / usual)) * (earlier @ np.linalg.solve(loaded, wanted))
        if n_recent >= usual:
            last, recent, n_recent = recent, 0, 0
    halves = (np.fft.irfft(left.transpose(2, 1, 0), 2 * hop) * shape).reshape(n_mics, total, 2, hop)
    whole = np.pad((halves[:, 1:, 0] + halves[:, :-1, 1]).reshape(n_mics, -1), ((0, 0), (delay, 0)))
    return whole[:, :n_samples].astype(np.float32)


def weighted(waveform, n_frames, known):
    """Return correlations of snapshots weighted by what rises above noise and reverberation, noise made white."""
    features, rate, hop = known["features"], known["sample_rate"], known["hop_length"]
    length = min(features["snapshot_length"] or max(16, known["win_length"] // 4), known["win_length"])
    step = max(1, length // 4)
    bins = inside(features["freq_range_hz"] or (LOWEST_HZ, HIGHEST_SHARE * rate), length, rate)
    turned = length * MOST_TURNED / (2 * math.pi * max(map(abs, known["lags"])))
    together = max(1, min(MOST_TOGETHER, bins.stop - bins.start, math.floor(2 * turned + 1)))
    bins = slice(bins.start, bins.stop - (bins.stop - bins.start) % together)
    spectra = np.fft.rfft(cut(waveform, length, step) * hann(length))[:, :, bins].transpose(2, 1, 0)
    transform = lag_transform(known, length, bins, together) * np.float32(length / 2)
    n_bands = features["n_bands"] if features["weighting"] == "whitened" else 1
    edges = np.linspace(0, 1, n_bands + 1) ** WIDENING * (len(transform) // together)
    bands = [slice(low, high) for low, high in itertools.pairwise(sorted(set(together * np.rint(edges).astype(int))))]
    place = np.array(known["mic_positions"])[known["channel_order"]]
    apart = np.linalg.norm(place[:, None] - place, axis=-1) / known["speed_of_sound"]
    shared = features["causal"] and features["weighting"] == "whitened" and together % ALIKE == 0
    alike = ALIKE if shared else 1
    middles = np.arange(length)[bins].reshape(-1, alike).mean(axis=1)
    diffuse = np.sinc(2 * middles[:, None, None] * rate / length * apart)
    span = max(1, round(features["statistics_s"] * rate / hop))
    n_span = 1 + ((span - 1) * hop + known["win_length"] - length) // step
    frames = np.arange(n_frames + 1) * hop
    end = 1 + (frames + known["win_length"] - length) // step
    first = np.minimum(-(-frames // step), end - 1)
    at_once = 1 if features["causal"] else FRAMES_AT_ONCE
    delay = max(1, round(features["reverberation_delay_s"] * rate / step))
    decay = math.exp(-step / rate / features["reverberation_decay_s"])
    boost = max(1, features["reverberation_factor"]) ** 2
    echo, begin, parts = (np.zeros(len(spectra), np.float32), np.zeros((len(spectra), delay), np.float32)), 0, []
    find = runs_of_earlier if features["causal"] else runs_of_spans
    for start, stop, kept, every in find(spectra, first[:-1], end[:-1], n_span, step, known):
        whitening, floor = noise_of(spectra[:, kept], features, every, diffuse, alike)
        below = quadratic(whitening, transform, bands, known)
        below /= np.repeat([band.stop - band.start for band in bands], transform.shape[1])
        for k in range(start, stop, at_once):
            count = min(at_once, stop - k)
            heard = spectra[:, begin : end[k + count - 1]]
            white = heard @ whitening.mT
            power = whitened_power(heard, white)
            keep = min(first[k + count], end[k + count - 1]) - begin
            expected, echo = reverberation(power, echo, decay, keep)
            floor_and_echo = features["floor_factor"] * floor[:, None] + features["reverberation_factor"] * expected
            weight = boost * np.maximum(0, 1 - floor_and_echo / np.maximum(power, 1e-30))
            white = white * np.sqrt(weight / np.maximum(power, 1e-30))[..., None]
            places = zip(first[k : k + count] - begin, end[k : k + count] - begin, strict=True)
            for i, j in places:
                products = white[:, i:j].mT @ white[:, i:j].conj() / (j - i)
                above = quadratic(products, transform, bands, known) / len(products)
                parts.append(np.concatenate([above, below], axis=1))
            begin += keep
    return np.stack(parts)


def history(total, n_span, most):
    """Return which of so many snapshots are kept for the noise, and how many each of them stands for."""
    spacing, every = 1, 1
    while n_span > most * spacing:
        spacing *= 2
    capacity = max(1, n_span // spacing)
    while every < spacing and total > capacity * every:
        every *= 2
    # a ring: the newest are written over the oldest
    return sorted(range(0, total, every)[-capacity:], key=lambda k: k // every % capacity), every


def runs_of_spans(spectra, first, end, n_span, step, known):
    """Yield runs of frames (start, stop), the snapshots that tell their noise, and how many each of them stands for."""
    piece = EVERY * max(1, round(PIECE_S * known["sample_rate"] / step / EVERY))
    span = max(1, round(known["features"]["statistics_s"] * known["sample_rate"] / known["hop_length"]))
    levels = least_powers(spectra, piece) if known["features"].get("noise_changes") else np.zeros((0, 1))
    last = None
    for start in range(0, len(end), span):
        stop = min(start + span, len(end))
        total, middles = end[stop - 1], (first[start:stop] + end[start:stop]) // 2
        heard = min(len(levels), total // piece)
        recent = levels[max(0, heard - n_span // piece - max(n for n, _ in RISES)) : heard]
        kept, every = history(total, n_span, MOST)
        edges = [0, *(piece * (heard - len(recent) + k) for k in changes(recent)), total]
        for low, high in itertools.pairwise(edges):
            inside = start + np.flatnonzero((middles >= low) & (middles < high))
            if len(inside):
                # of what lies in an earlier span but for its end there is more in what was known then
                rest = high < total and high - max(low, total - n_span) < piece * RISES[0][0]
                if last is None or low > 0 or not rest:
                    last = between(kept, low, high) or kept, every
                yield inside[0], inside[-1] + 1, *last


def runs_of_earlier(spectra, first, end, n_span, step, known):
    """Yield what `runs_of_spans` does where nothing may wait for later sound."""
    rate, hop = known["sample_rate"], known["hop_length"]
    piece = EVERY * max(1, round(PIECE_S * rate / step / EVERY))
    refresh = max(1, round(REFRESH_S * rate / hop))
    levels = least_powers(spectra, piece) if known["features"].get("noise_changes") else np.zeros((0, 1))
    # snapshots and frames since the noise began, and the piece it began with
    counted, n_frames, begun = np.arange(0), 0, 0
    known_from, start, steady, heard = ([], 1), 0, 0, 0
    for k in range(len(end)):
        counted = np.append(counted, np.arange(heard, end[k]))
        n, new, heard = min(len(levels), end[k] // piece), end[k] // piece > heard // piece, end[k]
        grown = [m for m, least in RISES_LIVE if new and n - begun >= 2 * m and has_risen(levels[n - 2 * m : n], least)]
        if grown:
            kept, _ = history(len(counted), n_span, MOST_CAUSAL)
            counted = counted[between(kept, len(counted) - grown[0] * piece, len(counted))]
            begun, steady = n - grown[0], 0
            n_frames = round(grown[0] * piece * step / hop) if len(counted) else 0
        if steady <= 0 and len(counted):
            if k > start:
                yield start, k, *known_from
            kept, every = history(len(counted), n_span, MOST_CAUSAL)
            known_from, start = (counted[kept], every), k
            steady = max(1, min(refresh, int(REFRESH_SHARE * n_frames)))
        steady, n_frames = steady - 1, n_frames + 1
    yield start, len(end), *known_from


def between(kept, low, high):
    """Return those of the kept snapshots, in the order in which they came unless it is all."""
    inside = [k for k in kept if low <= k < high]
    return kept if len(inside) == len(kept) else sorted(inside)


def least_powers(spectra, piece):
    """Return logs of the least power, in groups of frequencies, of pieces of so many snapshots, one after the other."""
    power = (np.abs(spectra[::EVERY_FREQUENCY, EVERY - 1 :: EVERY]) ** 2).sum(axis=2)
    whole, size = len(power) // TOGETHER * TOGETHER, piece // EVERY
    power = power[:whole].reshape(whole // TOGETHER, TOGETHER, power.shape[1]).sum(axis=1) if whole else power
    n = power.shape[1] // size
    return np.log(np.where(power > 0, power, np.inf)[:, : n * size].reshape(len(power), n, size).min(axis=2)).T


def has_risen(levels, least):
    """Return whether the least power of the second half is far above that of the first, in most groups."""
    before, after = (half.min(axis=0) for half in np.split(levels, 2))
    risen = ((after >= before + least) & (after < np.inf)).sum()
    return risen > 0 and risen >= SHARE * ((before < np.inf) & (after < np.inf)).sum()


def changes(levels):
    """Return the pieces with which louder or softer noise begins."""
    found = []
    for rows, sign in ((levels, 1), (levels[::-1], -1)):
        start = 0
        for k in range(1, len(rows)):
            if any(start + n <= k <= len(rows) - n and has_risen(rows[k - n : k + n], least) for n, least in RISES):
                found.append(k if sign > 0 else len(rows) - k)
                start = k
    kept = []
    for k in sorted(set(found)):
        if not kept or k - kept[-1] >= min(n for n, _ in RISES):
            kept.append(k)
    return np.array(kept, int)


def noise_of(spectra, features, every, diffuse, alike):
    """Return the whitening (n_freq, n_mics, n_mics) and floor (n_freq,) of snapshots (n_freq, n_snapshots, n_mics).

    So many neighbouring frequencies are alike: their snapshots count as those of one.
    """
    heard = (spectra != 0).any(axis=(0, 2))
    if heard.any() and not heard.all():
        spectra = spectra[:, heard]
    some = spectra[:, :: -(-alike * spectra.shape[1] // (MOST_FOR_FLOOR // alike))]
    spectra, some = (part.reshape(len(part) // alike, -1, part.shape[2]) for part in (spectra, some))
    unit = np.eye(spectra.shape[2], dtype=np.complex64)
    whitening = np.broadcast_to(unit, (len(spectra), *unit.shape))
    if features["weighting"] == "whitened":
        power = (np.abs(spectra) ** 2).mean(axis=2)
        quiet = power <= np.quantile(power, features["noise_quantile"], axis=1, keepdims=True).astype(np.float32)
        # of many, alternate ones tell as much of frequencies that are alike
        spacing = min(alike, max(1, quiet[0].sum() // ENOUGH))
        counted = quiet & ((np.cumsum(quiet, axis=1) - 1) % spacing == 0)
        chosen, count = spectra * counted[..., None], counted.sum(axis=1)[:, None, None]
        covariance = chosen.mT @ chosen.conj() / count
        level = np.trace(covariance, axis1=1, axis2=2).real[:, None, None] / len(unit)
        share = np.where(
            level > 1e-12 * max(power.mean(), 1e-30), count / (count + alike * PSEUDO_SNAPSHOTS / every), 0.0
        )
        covariance = share * covariance / np.maximum(level, 1e-30) + (1 - share) * unit
        # what rises above the noise comes back from everywhere
        least, mean = (power * quiet).sum(axis=1) / quiet.sum(axis=1), power.mean(axis=1)
        rise = np.maximum(mean - least, 0) / np.maximum(least, 1e-6 * mean + 1e-30 / len(unit))
        reverberant = features["diffuse_factor"] * rise[:, None, None]
        covariance = (covariance + reverberant * diffuse) / (1 + reverberant)
        inverse = np.linalg.inv((covariance + features["loading"] * unit).astype(np.complex64))
        whitening = inverse * (len(unit) / np.trace(inverse, axis1=1, axis2=2).real)[:, None, None]
        spectra = some
    power = whitened_power(spectra, spectra @ whitening.mT)
    floor = np.quantile(power, features["floor_quantile"], axis=1).astype(np.float32)
    return np.repeat(whitening, alike, axis=0), np.repeat(floor, alike)


def quadratic(matrices, transform, bands, known):
    """Return what steers to the sums of a^H S a of matrices S in each band, beside each other."""
    left, right = np.array(known["mic_pairs"]).T
    own = np.trace(matrices, axis1=1, axis2=2).real
    columns = [
        own[band].sum() + 2 * len(left) * (matrices[band][:, left, right].T @ transform[band]).real for band in bands
    ]
    return np.concatenate(columns, axis=1) / matrices.shape[1]


def whitened_power(spectra, white):
    return np.maximum((spectra.conj() * white).sum(axis=-1).real, 0)


def reverberation(power, echo, decay, keep):
    """Return the fading mean of earlier power in snapshots (n_freq, n_snapshots), and the echo before one of them.

    The echo is the mean before the first snapshot, and the power of the last ones, which does not count yet.
    """
    (level, waiting), levels = echo, []
    late = np.concatenate([waiting, power], axis=1)
    for k in range(power.shape[1]):
        levels.append(decay * (levels[-1] if levels else level) + (1 - decay) * late[:, k])
    known = [level, *levels]
    return np.stack(levels, axis=1), (known[keep], late[:, keep : keep + waiting.shape[1]])


def sound_activity(waveform, n_frames, known):
    """Return which frames hold sound: a likelihood ratio over the floor of 3 s around, or before."""
    rate, size = known["sample_rate"], round(BLOCK_S * known["sample_rate"])
    power = (np.abs(np.fft.rfft(cut(waveform, size, size) * hann(size))) ** 2).mean(axis=0)
    if len(power) == 0:
        return np.zeros(n_frames, bool)
    edges = np.geomspace(BANDS_HZ[0], min(BANDS_HZ[1], 0.45 * rate), N_BANDS + 1) * size / rate
    limits = [(round(low), max(round(high), round(low) + 1)) for low, high in itertools.pairwise(edges)]
    power = np.stack([power[:, low:high].mean(axis=1) for low, high in limits], axis=1).astype(float)
    loudest = power.copy()
    for k in range(1, len(power)):
        loudest[k] = np.maximum(power[k], FORGET * loudest[k - 1])
    half = FLOOR_BLOCKS // 2
    windows = ((4, 0), (FLOOR_BLOCKS - 1, 0), (2, 0)) if known["causal"] else ((2, 2), (half, half - 1), (1, 1))
    smooth = around(power, *windows[0]).mean(axis=-1)
    floor = MINIMUM_BIAS * around(smooth, *windows[1]).min(axis=-1)
    snr = np.maximum(power / (floor + 1e-6 * loudest.mean(axis=1, keepdims=True) + 1e-20), 1)
    ratio = np.minimum((snr - np.log(snr) - 1).clip(max=5).mean(axis=1), 2.5 * THRESHOLD)
    active = around(ratio, *windows[2]).mean(axis=-1) > THRESHOLD
    centres, reach = (
        np.arange(n_frames) * known["hop_length"] + known["win_length"] / 2,
        max(known["hop_length"], size) / 2,
    )
    ends = (np.arange(n_frames) * known["hop_length"] + known["win_length"]) // size
    n_known = np.minimum(len(active), ends) if known["causal"] else np.full(n_frames, len(active))
    low = np.clip(np.ceil((centres - reach) / size - 0.5).astype(int), 0, np.maximum(n_known - 1, 0))
    high = np.clip(np.floor((centres + reach) / size - 0.5).astype(int) + 1, low + 1, np.maximum(n_known, low + 1))
    return np.array([n > 0 and active[a:b].mean() >= 0.5 for a, b, n in zip(low, high, n_known, strict=True)])


def around(values, back, ahead):
    """Return the windows of earlier and later rows of each row, the first and last one held."""
    held = np.concatenate([np.repeat(values[:1], back, axis=0), values, np.repeat(values[-1:], ahead, axis=0)])
    return np.lib.stride_tricks.sliding_window_view(held, back + 1 + ahead, axis=0)


def believed(concentration, n_frames, known):
    """Return concentrations that may be believed, and the half-angles in radians of cones of 90 %."""
    law = known["calibration"].get("frame")
    if concentration is None or (law is None and not known["concentration_is_claimed"]):
        return np.full(n_frames, np.nan), np.full(n_frames, np.nan)
    claimed = concentration.astype(float)
    if law is None:
        law = {"scale": 1.0, "power": 1.0, "tail": 0.0, "levels": [0.0, 1.0]}
    scaled = np.clip(law["scale"] * claimed ** law["power"], 1e-9, 1e9)
    tail = max(law["tail"], 1e-12)
    level = np.interp(0.9, np.linspace(0, 1, len(law["levels"])), law["levels"])
    beyond = np.log1p(level * np.expm1(-np.log1p(2 * tail * scaled) / tail))
    complement = np.clip(np.expm1(-tail * beyond) / (tail * scaled), 0, 2)
    return scaled, 2 * np.arctan2(np.sqrt(complement), np.sqrt(2 - complement))


def write(path, doa, concentration, angle, activity, known):
    times = (np.arange(len(doa)) * known["hop_length"] + known["win_length"] / 2) / known["sample_rate"]
    azimuth = np.degrees(np.arctan2(doa[:, 1], doa[:, 0]))
    elevation = np.degrees(np.arctan2(doa[:, 2], np.hypot(doa[:, 0], doa[:, 1])))
    columns = [times, *doa.T, azimuth, elevation, concentration, np.degrees(angle), activity]
    header = "time_s,x,y,z,azimuth_deg,elevation_deg,concentration,credible_angle_deg,active"
    np.savetxt(path, np.stack(columns, axis=1), fmt="%.9g", delimiter=",", header=header, comments="")


def cut(waveform, length, step):
    """Return pieces (n_channels, n_pieces, length) of a waveform."""
    if waveform.shape[1] < length:
        return np.zeros((len(waveform), 0, length), np.float32)
    return np.lib.stride_tricks.sliding_window_view(waveform, length, axis=1)[:, ::step]


def hann(length):
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)


def inside(band_hz, length, rate):
    """Return the bins of a DFT within a band, without 0 Hz and the Nyquist frequency."""
    first, last = math.ceil(band_hz[0] * length / rate - 1e-9), math.floor(band_hz[1] * length / rate + 1e-9)
    return slice(max(1, first), min(last, (length - 1) // 2) + 1)


def lag_transform(known, length, bins, together=1):
    """Return the matrix (n_freq, n_lags): one-sided cross-spectra times it have the correlations as real part.

    So many neighbouring frequencies together are turned as their middle.
    """
    k = np.arange(length // 2 + 1)[bins]
    weight = np.where((k == 0) | (2 * k == length), 1, 2) / length
    k = np.repeat(k.reshape(-1, together).mean(axis=1), together)
    return (weight[:, None] * np.exp(2j * np.pi / length * np.outer(k, known["lags"]))).astype(np.complex64)


if __name__ == "__main__":
    main()
