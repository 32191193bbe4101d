"""What the check of a set-up found, and how sure it is."""

import dataclasses
from typing import Any

__all__ = ["Finding", "SetupReport"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a set-up.

    Parameters
    ----------
    kind : str
        "dead", "weak", "clipped", "copied", "unrelated", "inverted", "order", "offset", "scale" or "unexplained".
    channels : tuple of int
        The channels concerned, counted from 0; empty where it is the whole array. Texts count from 1, as the command
        line does.
    confidence : float
        From 0 to 1. Of geometry and wiring: the share of resampled recordings that say the same, divided among the
        explanations that are nearly as good. Of "order": at most the share in which no other order is better.
        docs/check.md has how often it was right.
    explanation, remedy : str
        What was seen, and what to do.
    details : dict
        Numbers for programs, by kind: "order" has `channels`, the channels (from 0) of the microphones in the array's
        order, and `confidence_wrong`, how sure it is that the given order is wrong; "scale" has `factor`, by which
        positions are too small; "offset" has `samples` by which the channel is late; "alternatives" are other kinds
        that explain nearly as much.

    Examples
    --------
    >>> finding = Finding("inverted", (2,), 1.0, "Channel 3 is inverted.", "Change its sign.", {})
    >>> str(finding)
    'inverted (100 % sure): Channel 3 is inverted. Change its sign.'
    """

    kind: str
    channels: tuple[int, ...]
    confidence: float
    explanation: str
    remedy: str
    details: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind} ({100 * self.confidence:.0f} % sure): {self.explanation} {self.remedy}"


@dataclasses.dataclass(frozen=True)
class SetupReport:
    """What recordings tell about the wiring and the geometry of an array.

    Parameters
    ----------
    findings : tuple of Finding
        What is wrong; empty if nothing was found.
    notes : tuple of str
        What these recordings or this array cannot tell.
    n_frames : int
        Frames with sound that were used.
    fit : float
        How well the delays fit the array as given: mean correlation at the delays of one direction, relative to the
        highest correlations at any delay; about 0.9 to 1 where all is well, NaN without sound.
    scale_range : tuple of float, optional
        The factors on all positions that would explain the delays as well as the best one, low and high; None where
        it was not looked at.

    Examples
    --------
    >>> report = SetupReport((), ("All sound came from one side.",), 40, 0.95, (0.9, 1.1))
    >>> report.is_fine
    True
    >>> print(report)
    Nothing wrong was found in 40 frames with sound; the delays fit the array to 95 %.
    Note: All sound came from one side.
    """

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    n_frames: int
    fit: float
    scale_range: tuple[float, float] | None = None

    @property
    def is_fine(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; an unknown fit is None."""
        values = dataclasses.asdict(self)
        values["findings"] = [item | {"channels": list(item["channels"])} for item in values["findings"]]
        unknown = self.fit != self.fit
        pair = None if self.scale_range is None else list(self.scale_range)
        return values | {"notes": list(self.notes), "fit": None if unknown else self.fit, "scale_range": pair}

    def __str__(self) -> str:
        if self.n_frames == 0:
            seen = "No sound was found that delays could be measured in"
        else:
            fits = f"the delays fit the array as given to {100 * self.fit:.0f} %"
            seen = f"{self.n_frames} frames with sound; {fits}"
        if self.findings:
            count = f"{len(self.findings)} problem{'s' if len(self.findings) > 1 else ''} found. {seen}."
        elif self.n_frames == 0:
            count = f"{seen}: nothing can be said about geometry and wiring."
        else:
            fits = f"the delays fit the array to {100 * self.fit:.0f} %"
            count = f"Nothing wrong was found in {self.n_frames} frames with sound; {fits}."
        lines = [count, *(f"- {finding}" for finding in self.findings), *(f"Note: {note}" for note in self.notes)]
        return "\n".join(lines)
