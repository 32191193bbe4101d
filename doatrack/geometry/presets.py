"""Microphone positions of known devices, each with the source they were taken from.

A device whose positions or channel order could not be verified from a public source is left out.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import check_choice

__all__ = ["Preset", "get_preset", "preset_names", "preset_positions"]

_Row = tuple[float, float, float]

_LOCATA_AXES = "LOCATA's local frame: x right, y the device's look direction, z up. Its front has azimuth 90 degrees."
_FLAT_AXES = "x and y in the plane of the board, z out of the side with the microphones; the board lies flat."
_CROSS3D = "DavidDiazGuerra/Cross3D, acousticTrackingDataset.py (commit 4630e8d)"
_EM32_SOURCE = (
    "mh acoustics, em32 Eigenmike release notes, table of angles, radius 42 mm; read in pyfar/spharpy "
    "(spharpy/samplings/samplings.py, commit 791df73), and in facebookresearch/BinauralSDM, Src/create_MicGeometry.m"
)


@dataclasses.dataclass(frozen=True)
class Preset:
    """What is known of one device.

    Attributes
    ----------
    name : str
        The name for `MicArray.from_preset`.
    description : str
        The device, and what its channels are.
    axes : str
        How x, y and z lie in the device.
    source : str
        Where the positions come from, and what confirms them.
    rows : tuple of (x, y, z)
        Positions in metres, one row per microphone in channel order.

    Examples
    --------
    >>> get_preset("tetrahedron_4").positions.shape
    (4, 3)
    """

    name: str
    description: str
    axes: str
    source: str
    rows: tuple[_Row, ...]

    @property
    def positions(self) -> NDArray[np.float64]:
        """Positions in metres, shape (n_mics, 3); a new array each time."""
        return np.array(self.rows, dtype=np.float64)


def preset_names() -> tuple[str, ...]:
    """Return the names of the known devices, sorted.

    Examples
    --------
    >>> "nao_head_12" in preset_names()
    True
    """
    return tuple(sorted(_PRESETS))


def get_preset(name: str) -> Preset:
    """Return what is known of a device, by name.

    Raises
    ------
    InvalidInputError
        If the name is unknown; the message suggests the nearest.

    Examples
    --------
    >>> get_preset("minidsp_uma_8").description
    'miniDSP UMA-8: one microphone in the centre and 6 on a circle of 43 mm (channels 1-7 of 8)'
    """
    return _PRESETS[check_choice("preset", name, _PRESETS)]


def preset_positions(name: str) -> NDArray[np.float64]:
    """Return the microphone positions of a device in metres, shape (n_mics, 3), in channel order.

    Raises
    ------
    InvalidInputError
        If the name is unknown; the message suggests the nearest.

    Examples
    --------
    >>> preset_positions("respeaker_usb_4")[0].tolist()
    [0.02285, 0.02285, 0.005]
    """
    return get_preset(name).positions


def _em32_rows(first_azimuth_deg: float) -> tuple[_Row, ...]:
    """Em32 positions, the manufacturer's azimuth 0 turned to `first_azimuth_deg`."""
    colatitude = np.radians(_EM32_COLATITUDE_DEG)
    azimuth = np.radians(np.add(_EM32_AZIMUTH_DEG, first_azimuth_deg))
    x, y = np.sin(colatitude) * np.cos(azimuth), np.sin(colatitude) * np.sin(azimuth)
    return tuple(map(tuple, (0.042 * np.stack([x, y, np.cos(colatitude)], axis=1)).round(6).tolist()))


_EM32_COLATITUDE_DEG = (
    *(69, 90, 111, 90, 32, 55, 90, 125, 148, 125, 90, 55, 21, 58, 121, 159),
    *(69, 90, 111, 90, 32, 55, 90, 125, 148, 125, 90, 55, 21, 58, 122, 159),
)  # fmt: skip
_EM32_AZIMUTH_DEG = (
    *(0, 32, 0, 328, 0, 45, 69, 45, 0, 315, 291, 315, 91, 90, 90, 89),
    *(180, 212, 180, 148, 180, 225, 249, 225, 180, 135, 111, 135, 269, 270, 270, 271),
)  # fmt: skip

_UMA_16_BOARD = (
    *((-0.021, -0.063), (-0.063, -0.063), (-0.021, -0.021), (-0.063, -0.021)),
    *((-0.021, 0.021), (-0.063, 0.021), (-0.021, 0.063), (-0.063, 0.063)),
    *((0.063, 0.063), (0.021, 0.063), (0.063, 0.021), (0.021, 0.021)),
    *((0.063, -0.021), (0.021, -0.021), (0.063, -0.063), (0.021, -0.063)),
)

_TABLE = (
    Preset(
        "eigenmike_em32",
        "mh acoustics Eigenmike em32: 32 microphones in a rigid sphere of 42 mm radius",
        "the manufacturer's: +x at azimuth 0 (the logo on the shaft), z up along the shaft. The sphere shadows and "
        "delays sound around itself, which a free-field model of delays leaves out.",
        _EM32_SOURCE,
        _em32_rows(0),
    ),
    Preset(
        "frl_octahedral_7",
        "Meta's octahedral array of 96 mm diameter with one microphone in the centre (R3VIVAL impulse responses)",
        "x front, y left, z up; the first two microphones on the x axis, four in the y-z plane, the last at the origin",
        "facebookresearch/BinauralSDM, Src/create_MicGeometry.m, 'FRL_10cm'; azimuths confirmed by a least-squares "
        "delay fit on the 120 measured responses of R3VIVAL (mean error 0.5 degrees)",
        (
            *((0.048, 0.0, 0.0), (-0.048, 0.0, 0.0), (0.0, -0.03394, 0.03394), (0.0, 0.03394, 0.03394)),
            *((0.0, -0.03394, -0.03394), (0.0, 0.03394, -0.03394), (0.0, 0.0, 0.0)),
        ),
    ),
    Preset(
        "locata_dicit_15",
        "LOCATA's DICIT array: 13 microphones in a line of 1.92 m (nested spacings of 4, 8, 16, 32 cm) and 2 above it",
        _LOCATA_AXES,
        f"{_CROSS3D}, dicit_array_setup; LOCATA's own files (Zenodo 3630470) were reported to give the same line and "
        "the two raised microphones, and the corpus authors' MUSIC.m takes microphones 6, 7 and 9 as a uniform line",
        tuple(
            (x, 0.0, z)
            for x, z in (
                *((0.96, 0.0), (0.64, 0.0), (0.32, 0.0), (0.16, 0.0), (0.08, 0.0), (0.04, 0.0), (0.0, 0.0)),
                *((0.96, 0.32), (-0.04, 0.0), (-0.08, 0.0), (-0.16, 0.0), (-0.32, 0.0), (-0.64, 0.0)),
                *((-0.96, 0.0), (-0.96, 0.32)),
            )
        ),
    ),
    Preset(
        "locata_eigenmike_32",
        "LOCATA's Eigenmike: eigenmike_em32 turned so that its azimuth 0 is LOCATA's look direction",
        _LOCATA_AXES,
        f"{_EM32_SOURCE}; turned by +90 degrees, which 31 of the 32 rows of {_CROSS3D} confirm to its rounding of "
        "1 mm (its row 8 repeats row 6, a slip of sign)",
        _em32_rows(90),
    ),
    Preset(
        "locata_hearing_aids_4",
        "LOCATA's hearing aids on a dummy head: left front, left rear, right front, right rear",
        _LOCATA_AXES,
        f"{_CROSS3D}, dummy_array_setup; left and right are mirror images in it, and a public reader of LOCATA's files "
        "checks there that microphone 1 is left and 3 right, with x to the listener's right and y forward",
        ((-0.079, 0.0, 0.0), (-0.079, -0.009, 0.0), (0.079, 0.0, 0.0), (0.079, -0.009, 0.0)),
    ),
    Preset(
        "minidsp_uma_16",
        "miniDSP UMA-16: 4 x 4 microphones, 42 mm apart, in the order of its USB channels",
        "x out of the side with the microphones, y to the device's left (right for who looks at the microphones), "
        "z up, MIC1, 2, 15 and 16 (as printed) lowest: the board stands and faces the sources.",
        "acoular/acoular, acoular/xml/minidsp_uma-16.xml (corrected after issue 63; its x is as seen from behind), the "
        "same as mariemchhh/filter_before_ssl, uma16.cfg, an ODAS configuration seen from the microphones' side",
        tuple((0.0, left, up) for left, up in _UMA_16_BOARD),
    ),
    Preset(
        "minidsp_uma_8",
        "miniDSP UMA-8: one microphone in the centre and 6 on a circle of 43 mm (channels 1-7 of 8)",
        f"{_FLAT_AXES} The second microphone at +y, the others clockwise, seen from the microphones' side.",
        f"introlab/odas, config/odaslive/minidsp.cfg, to 1 mm; the hexagon to 0.1 mm: {_CROSS3D}, miniDSP_array_setup",
        (
            *((0.0, 0.0, 0.0), (0.0, 0.043, 0.0), (0.0372, 0.0215, 0.0), (0.0372, -0.0215, 0.0)),
            *((0.0, -0.043, 0.0), (-0.0372, -0.0215, 0.0), (-0.0372, 0.0215, 0.0)),
        ),
    ),
    Preset(
        "nao_head_12",
        "LOCATA's robot head (NAO, 'benchmark2'): 12 microphones around the head",
        f"{_LOCATA_AXES} The origin is not the mean of the microphones (1.6 cm apart).",
        f"LOCATA corpus documentation; read in {_CROSS3D}, benchmark2_array_setup",
        (
            *((-0.028, 0.030, -0.040), (0.006, 0.057, 0.0), (0.022, 0.022, -0.046), (-0.055, -0.024, -0.025)),
            *((-0.031, 0.023, 0.042), (-0.032, 0.011, 0.046), (-0.025, -0.003, 0.051), (-0.036, -0.027, 0.038)),
            *((-0.035, -0.043, 0.025), (0.029, -0.048, -0.012), (0.034, -0.030, 0.037), (0.035, 0.025, 0.039)),
        ),
    ),
    Preset(
        "respeaker_core_6",
        "Seeed ReSpeaker Core v2.0 and 6-Mic Circular Array for Raspberry Pi: a circle of 46.3 mm (channels 1-6 of 8)",
        f"{_FLAT_AXES} The first microphone at azimuth 120 degrees, the others counter-clockwise.",
        "introlab/odas, config/odaslive/respeaker_6_mic_array.cfg; voice-engine/voice-engine says that both boards "
        "have one geometry and gives 92.18 mm between opposite microphones (46.1 mm radius)",
        (
            *((-0.0232, 0.0401, 0.0), (-0.0463, 0.0, 0.0), (-0.0232, -0.0401, 0.0)),
            *((0.0232, -0.0401, 0.0), (0.0463, 0.0, 0.0), (0.0232, 0.0401, 0.0)),
        ),
    ),
    Preset(
        "respeaker_usb_4",
        "Seeed ReSpeaker USB 4-Mic Array (Mic Array v2.0): a square of 45.7 mm (channels 2-5 of 6)",
        f"{_FLAT_AXES} The first microphone at azimuth 45 degrees, the others counter-clockwise. ODAS turns the same "
        "board by 135 degrees.",
        "Multi_SSL, srp_phat_offline.py, init_respeaker_mic_array(rotation=0), with real recordings whose directions "
        "agree; introlab/odas, config/odaslive/respeaker_usb_4_mic_array.cfg: the same circle (32 mm) and order",
        (
            (0.02285, 0.02285, 0.005),
            (-0.02285, 0.02285, 0.005),
            (-0.02285, -0.02285, 0.005),
            (0.02285, -0.02285, 0.005),
        ),
    ),
    Preset(
        "tetrahedron_4",
        "regular tetrahedron, 50 mm from the origin to each microphone (edges of 81.6 mm)",
        "x front, y left, z up; the first microphone up in front on the left",
        "definition: alternate corners of a cube; no device",
        tuple(
            (0.05 / 3**0.5 * x, 0.05 / 3**0.5 * y, 0.05 / 3**0.5 * z)
            for x, y, z in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))
        ),
    ),
)

_PRESETS = {preset.name: preset for preset in _TABLE}
