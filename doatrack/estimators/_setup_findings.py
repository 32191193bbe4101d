"""Repairs in words: what is wrong with wiring and geometry, and what to do."""

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from doatrack.estimators._setup_evidence import DelayEvidence
from doatrack.estimators._setup_repairs import Repair
from doatrack.estimators._setup_report import Finding
from doatrack.estimators._setup_symmetry import plainest_order, symmetries

__all__ = ["unexplained", "wiring_findings"]

_RATES = {44.1 / 48: "44.1 and 48 kHz", 48 / 44.1: "48 and 44.1 kHz", 2.0: "twice the rate", 0.5: "half the rate"}
_CLEAR = 0.95
_RIVALS = {
    "inverted": "an inverted channel",
    "order": "another order of the channels",
    "scale": "another scale of the positions",
    "offset": "a channel that is late",
}


def wiring_findings(evidence: DelayEvidence, repairs: list[Repair], good: NDArray[np.int64]) -> list[Finding]:
    """Return one finding per kind and channel, of all repairs together."""
    if not repairs:
        return []
    final = repairs[-1].after
    sure = {kind: min(_sure(r) for r in repairs if r.kind == kind) for kind in {r.kind for r in repairs}}
    findings = [
        Finding(
            "inverted",
            (int(good[m]),),
            sure["inverted"],
            f"Channel {good[m] + 1} is inverted: it falls where the others rise.",
            "Exchange the two wires of its microphone, or change the sign of the channel.",
        )
        for m in _odd_ones(final.signs)
        if "inverted" in sure
    ]
    order = plainest_order(evidence.positions, final.order)
    if "order" in sure and (order != np.arange(len(order))).any():
        clear = min(repair.order_confidence for repair in repairs if repair.kind == "order")
        findings.append(_order_finding(evidence, order, good, sure["order"], clear))
    if "scale" in sure:
        findings.append(_scale_finding(final.scale, sure["scale"]))
    if "offset" in sure:
        late = final.offsets - np.median(final.offsets)
        findings += [_offset_finding(int(good[m]), late[m], sure["offset"]) for m in np.flatnonzero(np.abs(late) > 0.5)]
    return [_with_rivals(finding, repairs) for finding in findings]


def _sure(repair: Repair) -> float:
    """Return how sure one repair is: explanations that are nearly as good share the confidence."""
    return repair.confidence / (1 + len(repair.rivals))


def _with_rivals(finding: Finding, repairs: list[Repair]) -> Finding:
    rivals = sorted({rival for repair in repairs if repair.kind == finding.kind for rival in repair.rivals})
    if not rivals:
        return finding
    words = " or ".join(_RIVALS[rival] for rival in rivals)
    explanation = f"{finding.explanation} Nearly as good an explanation: {words}."
    return dataclasses.replace(finding, explanation=explanation, details=finding.details | {"alternatives": rivals})


def _odd_ones(signs: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the inverted channels; the sign of all together cannot be heard, so they are the fewer."""
    return np.flatnonzero(signs == (-1 if (signs < 0).sum() * 2 <= len(signs) else 1))


def _order_finding(
    evidence: DelayEvidence, order: NDArray[np.int64], good: NDArray[np.int64], wrong: float, clear: float
) -> Finding:
    """Return that the given order is wrong, which is `wrong` sure; that this one is right is `clear` at most."""
    channels = [int(good[c]) for c in np.argsort(order)]  # of microphone 0, 1, ...
    moved = tuple(int(good[m]) for m in np.flatnonzero(order != np.arange(len(order))))
    alike = len(symmetries(evidence.positions))
    same = (
        f" The array looks the same in {alike}{' or more' if alike >= 64 else ''} orders, of which this one moves the "
        "fewest channels: check it against a source whose direction you know."
        if alike > 1
        else ""
    )
    listed, named = ",".join(str(c + 1) for c in channels), ", ".join(str(c + 1) for c in moved)
    doubt = (
        f" That the given order is wrong is {100 * wrong:.0f} % sure, which one is right is less so: others fit nearly "
        "as well. Record more, from other directions."
        if clear < _CLEAR
        else ""
    )
    return Finding(
        "order",
        moved,
        min(wrong, clear),
        f"Channels {named} are not the microphones that the array says.{same}{doubt}",
        f"The delays fit the channels {listed} in the array's order: --channels {listed}, or wire them so.",
        {"channels": channels, "confidence_wrong": round(wrong, 3)},
    )


def _scale_finding(factor: float, confidence: float) -> Finding:
    words = "farther apart" if factor > 1 else "closer together"
    rate = next((text for ratio, text in _RATES.items() if abs(math.log(factor / ratio)) < 0.03), None)
    hint = f" (a sample rate taken for another, {rate}, does the same)" if rate else ""
    return Finding(
        "scale",
        (),
        confidence,
        f"The microphones seem {words} than given: delays are those of positions {factor:.2g} times as large{hint}.",
        "Measure one distance between two microphones; check units, sample rate and speed of sound.",
        {"factor": round(factor, 3)},
    )


def _offset_finding(channel: int, samples: float, confidence: float) -> Finding:
    return Finding(
        "offset",
        (channel,),
        confidence,
        f"Channel {channel + 1} is {abs(samples):.3g} samples {'late' if samples > 0 else 'early'}.",
        "Take all channels from one converter with one clock, or shift the channel; a wrong position does the same.",
        {"samples": float(samples)},
    )


def unexplained(left: float) -> Finding:
    """Return that no single change explains the delays; `left` is the fit of the best."""
    return Finding(
        "unexplained",
        (),
        0.9,
        f"No direction explains the delays: they fit the array to {100 * left:.0f} % only, and no single change of "
        "order, sign or scale mends it.",
        "Check the positions, and that all channels come from one device with one clock.",
        {"fit": round(left, 3)},
    )
