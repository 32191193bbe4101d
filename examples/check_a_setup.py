"""Find channels in the wrong order from a recording alone, and put them right."""

import numpy as np

from doatrack import MicArray
from doatrack.estimators import check_setup
from doatrack.simulation import SceneSettings, simulate_scene


def main():
    array = MicArray.from_preset("frl_octahedral_7")
    settings = SceneSettings(duration_s=4.0, rt60_range=(0.2, 0.3), snr_db_range=(20, 20), moving_probability=1.0)
    waveform = simulate_scene(array, settings, seed=5).waveform
    wired = waveform[[3, 1, 2, 0, 5, 4, 6]]  # somebody mixed up two pairs of plugs

    report = check_setup(wired, array)
    print(report)
    for finding in report.findings:
        if finding.kind == "order":
            mended = wired[np.array(finding.details["channels"])]
            print("In the order that was found:", check_setup(mended, array))


if __name__ == "__main__":
    main()
