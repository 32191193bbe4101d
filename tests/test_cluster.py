"""joblib's context may name a cluster of Dask or Ray: answers are those of one process, and deaths are told."""

import os
import pathlib
import re
import signal
import subprocess
import sys

import joblib
import numpy as np
import pytest

from doatrack import SRPPHAT, MicArray
from doatrack._parallel import in_parallel
from doatrack.exceptions import WorkerError
from doatrack.simulation import SceneSettings, simulate_scenes

ROOT = pathlib.Path(__file__).resolve().parents[1]
ARRAY = MicArray.from_preset("tetrahedron_4")
SETTINGS = SceneSettings(duration_s=0.6, rt60_range=(0.2, 0.25))
CLUSTERS = ["dask", pytest.param("ray", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def dask_cluster():
    """Return a cluster of two worker processes, which gives a job up when its first worker dies."""
    distributed = pytest.importorskip("distributed", reason="needs dask[distributed]")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
    ):
        cluster.scheduler.allowed_failures = 0
        yield cluster


@pytest.fixture(scope="module")
def ray_cluster(tmp_path_factory):
    ray = pytest.importorskip("ray", reason="needs ray")
    from ray.util.joblib import register_ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))  # it writes a token there
        ray.init(num_cpus=2, include_dashboard=False)
        register_ray()
        yield
        ray.shutdown()


@pytest.fixture(params=CLUSTERS)
def cluster(request):
    """Return the context of a cluster."""
    request.getfixturevalue(f"{request.param}_cluster")
    return lambda: joblib.parallel_config(request.param, n_jobs=-1)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_scenes_and_tracks_of_a_cluster_are_those_of_one_process(cluster):
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # as in workers: sums may round otherwise
        scenes = simulate_scenes(ARRAY, SETTINGS, seeds=range(3))
        signals = [scene.waveform for scene in scenes]
        tracker = SRPPHAT(n_directions=100, win_length=1024, hop_length=768).fit(signals[0], ARRAY)
        tracks, directions = tracker.track(signals), tracker.predict(signals)
        with cluster():
            others = simulate_scenes(ARRAY, SETTINGS, seeds=range(3))
            more_tracks, more_directions = tracker.track(signals), tracker.predict(signals)
    for one, other in zip(scenes, others, strict=True):
        assert np.array_equal(one.waveform, other.waveform)
        assert np.array_equal(one.truth, other.truth)
        assert one.info == other.info
    for one, other in zip(tracks, more_tracks, strict=True):
        assert np.array_equal(one.doa, other.doa)
        assert np.array_equal(one.concentration, other.concentration, equal_nan=True)
    assert all(np.array_equal(one, other) for one, other in zip(directions, more_directions, strict=True))


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_workers_of_a_cluster_use_one_thread_and_errors_are_raised_as_they_are(cluster):
    def work(k):
        import torch

        if k == 5:
            raise KeyError(k)
        return os.getpid(), torch.get_num_threads()

    with cluster():
        found = list(in_parallel(work, range(4), None, ""))
        with pytest.raises(KeyError, match="5"):
            list(in_parallel(work, range(6), None, ""))
    assert os.getpid() not in {pid for pid, _ in found}
    assert {n for _, n in found} == {1}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_a_job_that_kills_the_workers_of_a_cluster_is_told(cluster):
    def work(k):
        if k == 4:
            import os
            import signal
            import time

            time.sleep(0.5)  # the others are done by then
            os.kill(os.getpid(), signal.SIGKILL)
        return k

    found = []
    with cluster(), pytest.raises(WorkerError, match=r"worker process died at job \d of 5 .* Go on\."):
        found.extend(in_parallel(work, range(5), None, "Go on."))
    assert found == list(range(len(found)))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_dask_does_a_job_again_whose_worker_died(dask_cluster, tmp_path):
    def work(k):
        import os
        import pathlib
        import signal

        mark = pathlib.Path(tmp_path) / "killed"
        if k == 1 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return k

    dask_cluster.scheduler.allowed_failures = 3  # Dask's own default
    try:
        with joblib.parallel_config("dask"):
            assert list(in_parallel(work, range(4), None, "")) == [0, 1, 2, 3]
    finally:
        dask_cluster.scheduler.allowed_failures = 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dask", "ray"])
def test_the_example_of_the_page_runs(name, tmp_path):
    pytest.importorskip({"dask": "distributed"}.get(name, name), reason=f"needs {name}")
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (code,) = (block for block in blocks if f'parallel_config("{name}"' in block)
    (tmp_path / "example.py").write_text(code)
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(
        [sys.executable, "example.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "4 tracks" in done.stdout
