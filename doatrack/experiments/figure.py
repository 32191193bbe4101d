"""Figure 3: azimuth and elevation of a talker, as the unsupervised tracker follows them."""

import io
from collections.abc import Sequence
from typing import Any

from doatrack._files import atomic_write_bytes
from doatrack.experiments.conditions import CONDITIONS
from doatrack.experiments.fitting import FIRST, fitted, model_key
from doatrack.experiments.methods import Method
from doatrack.experiments.published import FIGURE_3_DEG
from doatrack.experiments.recordings import figure_scene, home_array, locata_set
from doatrack.experiments.scoring import TestSet, figures, scene_errors
from doatrack.experiments.workspace import Workspace

__all__ = ["draw_figure"]

_SHOWN = ("physics-vae-paper", "physics-vae")

Row = dict[str, Any]


def draw_figure(space: Workspace, methods: Sequence[Method]) -> None:
    """Draw one picture per unsupervised tracker, trained as in experiment 1, and keep the errors of the excerpt.

    The excerpt is the first recording of LOCATA where that is given, else a simulated one of the same length.
    """
    found = locata_set(space)
    scene = figure_scene(space) if found is None else found
    excerpt = TestSet(scene.name, scene.label, scene.array, scene.signals[:1], scene.truths[:1])
    for method in methods:
        if method.name not in _SHOWN:
            continue
        tracker = fitted(space, method, CONDITIONS[FIRST], home_array(space))
        picture = f"figure3-{method.name}.png"
        key = {"model": model_key(tracker), "scene": str(excerpt.signals[0])}

        def draw(tracker: Any = tracker, picture: str = picture, method: Method = method) -> Row:
            space.say(f"drawing {picture}")
            _draw(space, tracker, excerpt, picture, method.label)
            known = {"set": excerpt.name, "set_label": excerpt.label, "method": method.name, "label": method.label}
            row = figures(scene_errors(tracker, excerpt), None)
            return known | row | {"picture": picture, "published_deg": FIGURE_3_DEG}

        space.once(f"parts/figure3/{method.name}.json", key, draw)


def _draw(space: Workspace, tracker: Any, excerpt: TestSet, picture: str, title: str) -> None:
    from matplotlib.figure import Figure

    from doatrack.plotting import TrackDisplay

    track = tracker.track(excerpt.signals[0], smoothing=None)
    figure = Figure(figsize=(9, 5), layout="constrained")
    TrackDisplay.from_track(track, excerpt.truths[0]).plot(figure.subplots(2, sharex=True), name=title)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120, metadata={"Software": "doatrack"})
    atomic_write_bytes(space.path(picture), content.getvalue())
