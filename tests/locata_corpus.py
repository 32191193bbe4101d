"""Writes recordings in the format of the LOCATA corpus, from a geometry that a test knows."""

import datetime
import pathlib

import numpy as np
import soundfile

TIME = ("year", "month", "day", "hour", "minute", "second")
BEGIN = datetime.datetime(2017, 9, 15, 15, 40, 25, 68000)  # the first sample; tables may begin 4 ms before
RATE = 48000


def calendar(seconds, begin=BEGIN):
    """Rows year to second of times after the first sample."""
    rows = []
    for value in np.atleast_1d(seconds):
        whole = int(np.floor(value))
        moment = begin.replace(microsecond=0) + datetime.timedelta(seconds=whole)
        second = moment.second + begin.microsecond / 1e6 + (value - whole)
        if second >= 60:
            moment, second = moment + datetime.timedelta(minutes=1), second - 60
        rows.append([moment.year, moment.month, moment.day, moment.hour, moment.minute, second])
    return rows


def write_table(path, names, rows):
    """Write a tab-separated table with every digit."""
    lines = ["\t".join(f"{value:.16g}" for value in row) for row in rows]
    pathlib.Path(path).write_text("\n".join(["\t".join(names), *lines, ""]))


def write_clock(path, n_samples, rate=RATE, start=0.0):
    """Write the times of all samples, one row each."""
    year, month, day, hour, minute, second = calendar(start)[0]
    front = f"{year}\t{month}\t{day}\t{hour}\t{minute}\t"
    lines = [f"{front}{second + k / rate:.9f}" for k in range(n_samples)]  # within a minute, as tests are short
    pathlib.Path(path).write_text("\n".join(["\t".join(TIME), *lines, ""]))


def write_recording(
    root,
    name,
    waveform,
    *,
    mics,
    position,
    rotation,
    sources,
    times,
    valid=None,
    source_sounds=None,
    vad=None,
    source_start=0.0,
):
    """Write the folder of one array.

    name: "dev/task1/recording1/dummy"; waveform (n_mics, n_samples) at 48 kHz; mics (n_mics, 3) in the array's frame;
    position (3,) or (n, 3) and rotation (3, 3) or (n, 3, 3) of the array in the world; sources: world positions (3,) or
    (n, 3) by name; times (n,) of all tables; source_sounds (n_samples,) and vad (n_samples,) by name.
    """
    folder = pathlib.Path(root) / name
    folder.mkdir(parents=True)
    array, n_rows = folder.name, len(times)
    soundfile.write(folder / f"audio_array_{array}.wav", np.asarray(waveform).T, RATE, subtype="FLOAT")
    write_clock(folder / f"audio_array_timestamps_{array}.txt", np.shape(waveform)[1])
    clock = calendar(times)
    flags = np.ones(n_rows) if valid is None else valid
    write_table(folder / "required_time.txt", [*TIME, "valid_flag"], np.column_stack([clock, flags]))
    position = np.broadcast_to(position, (n_rows, 3))
    rotation = np.broadcast_to(rotation, (n_rows, 3, 3))
    world = position[:, None] + np.einsum("nij,mj->nmi", rotation, mics)
    pose = [*"xyz", *(f"ref_vec_{axis}" for axis in "xyz"), *(f"rotation_{i}{j}" for i in "123" for j in "123")]
    names = [*TIME, *pose, *(f"mic{k + 1}_{axis}" for k in range(len(mics)) for axis in "xyz")]
    look = rotation[:, :, 1]
    rows = np.column_stack([clock, position, look, rotation.reshape(n_rows, 9), world.reshape(n_rows, -1)])
    write_table(folder / f"position_array_{array}.txt", names, rows)
    turned = np.broadcast_to(np.eye(3).reshape(9), (n_rows, 9))
    for source, place in sources.items():
        places = np.broadcast_to(place, (n_rows, 3))
        rows = np.column_stack([clock, places, np.tile([1.0, 0, 0], (n_rows, 1)), turned])
        write_table(folder / f"position_source_{source}.txt", [*TIME, *pose], rows)
    for source, sound in (source_sounds or {}).items():
        soundfile.write(folder / f"audio_source_{source}.wav", sound, RATE, subtype="FLOAT")
        write_clock(folder / f"audio_source_timestamps_{source}.txt", len(sound), start=source_start)
    for source, active in (vad or {}).items():
        lines = ["VAD", *(str(int(value)) for value in active), ""]
        (folder / f"VAD_{array}_{source}.txt").write_text("\n".join(lines))
    return folder
