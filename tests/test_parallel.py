"""Jobs give what a loop gives, in order; the user's context counts; a worker that dies is told."""

import os
import signal

import joblib
import numpy as np
import pytest
import torch

from doatrack._parallel import count_jobs, in_parallel
from doatrack.exceptions import WorkerError


def test_results_come_in_order_from_other_processes_with_one_thread_each():
    threads = torch.get_num_threads()

    def work(k):
        import time

        import torch

        time.sleep(0.2 if k == 0 else 0.0)  # the first is the last to be done
        return k, os.getpid(), torch.get_num_threads()

    found = list(in_parallel(work, range(5), 2, ""))
    assert [k for k, *_ in found] == list(range(5))
    assert os.getpid() not in {pid for _, pid, _ in found}
    assert {n for *_, n in found} == {1}
    assert torch.get_num_threads() == threads


def test_one_job_stays_here_and_is_lazy():
    seen = []
    results = in_parallel(seen.append, [1, 2, 3], None, "")
    next(results)
    assert seen == [1]


def test_none_follows_the_context():
    assert count_jobs(None) == 1
    with joblib.parallel_config("threading", n_jobs=2):
        assert count_jobs(None) == 2
        assert list(in_parallel(abs, [-1, 2], None, "")) == [1, 2]
    assert count_jobs(-1) == joblib.cpu_count()


def test_a_backend_that_cannot_give_results_as_they_come_is_taken_too():
    class Whole(joblib.parallel.ThreadingBackend if hasattr(joblib.parallel, "ThreadingBackend") else object):
        supports_return_generator = False

    joblib.register_parallel_backend("whole", Whole)
    try:
        with joblib.parallel_config("whole", n_jobs=2):
            assert list(in_parallel(abs, [-1, 2, -3], None, "")) == [1, 2, 3]
    finally:
        joblib.parallel.BACKENDS.pop("whole")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_job_that_kills_its_worker_is_told_and_results_before_it_stay():
    def work(k):
        if k == 6:
            import os
            import signal
            import time

            time.sleep(1.0)  # the others are done by then
            os.kill(os.getpid(), signal.SIGKILL)
        return k

    found = []
    with pytest.raises(WorkerError, match=r"worker process died at job \d of 7 .*no memory left.* Go on\."):
        found.extend(in_parallel(work, range(7), 2, "Go on."))
    assert found == list(range(len(found)))
    assert found


def test_other_errors_are_raised_as_they_are():
    def work(k):
        raise KeyError(k)

    with pytest.raises(KeyError):
        list(in_parallel(work, range(3), 2, ""))


def test_recordings_tracked_in_threads_or_processes_are_the_same():
    from doatrack import SRPPHAT, MicArray

    rng = np.random.default_rng(0)
    array = MicArray([[0.05, 0, 0], [-0.05, 0, 0], [0, 0.05, 0], [0, 0, 0.05]])
    signals = [rng.normal(size=(4, n)) for n in (12000, 9000, 15000, 8000, 8192)]
    tracker = SRPPHAT(n_directions=100, win_length=1024, hop_length=768).fit(signals[0], array)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone, tracks = tracker.predict(signals), tracker.track(signals)
        with joblib.parallel_config(n_jobs=2):
            several, others = tracker.predict(signals), tracker.track(signals)
    finally:
        torch.set_num_threads(threads)
    assert all(np.array_equal(a, b) for a, b in zip(alone, several, strict=True))
    for a, b in zip(tracks, others, strict=True):
        assert np.array_equal(a.doa, b.doa)
        assert np.array_equal(a.concentration, b.concentration, equal_nan=True)


def test_a_recording_sent_away_keeps_its_number_in_messages():
    from doatrack import SRPPHAT, MicArray
    from doatrack.exceptions import InvalidInputError

    array = MicArray.from_preset("tetrahedron_4")
    tracker = SRPPHAT(n_directions=100).fit(np.ones((4, 8192)), array)
    with joblib.parallel_config("threading", n_jobs=2), pytest.raises(InvalidInputError, match="recording 3"):
        tracker.predict([np.ones((4, 8192))] * 3 + [np.ones((3, 8192))])


class _Cluster(joblib.parallel.ThreadingBackend):
    """What joblib's backend for Dask looks like from here, with a thread for its cluster."""

    def __init__(self, n_cores=1, nesting_level=0, **submit_kwargs):
        super().__init__(nesting_level=nesting_level)
        self.client, self.n_cores, self.submit_kwargs, self.seen = self, n_cores, submit_kwargs, []

    def effective_n_jobs(self, n_jobs):
        return self.n_cores

    def submit(self, function, *task, pure, **options):
        import concurrent.futures

        self.seen.append((task[-1], pure, options))
        done = concurrent.futures.Future()
        try:
            done.set_result(function(*task))
        except RuntimeError as error:
            done.set_exception(error)
        return done


@pytest.fixture
def dask(request):
    """Return a cluster that the context names."""
    cluster = _Cluster(resources={"GPU": 1})
    with joblib.parallel_config(cluster):
        yield cluster


def test_jobs_go_to_dask_itself_in_order_and_not_all_at_once(dask):
    results = in_parallel(abs, range(-9, 0), None, "")
    assert next(results) == 9
    assert [item for item, *_ in dask.seen] == [-9, -8, -7, -6, -5]
    assert list(results) == list(range(8, 0, -1))
    assert dask.seen[-1] == (-1, False, {"resources": {"GPU": 1}})


def test_one_job_at_a_time_stays_here_where_it_is_asked_for(dask):
    assert list(in_parallel(abs, [-1, -2], 1, "")) == [1, 2]
    assert dask.seen == []


def test_a_job_that_dask_gives_up_is_told_by_the_name_of_a_base_class_too(dask):
    class KilledWorker(RuntimeError):  # noqa: N818
        pass

    class SomeKilledWorker(KilledWorker):
        pass

    def work(k):
        if k == 2:
            raise SomeKilledWorker
        return k

    found = []
    with pytest.raises(WorkerError, match=r"job 3 of 4 .* Go on\."):
        found.extend(in_parallel(work, range(4), None, "Go on."))
    assert found == [0, 1]


def test_no_more_processes_are_started_than_there_is_work(monkeypatch):
    asked = []

    class Noted(joblib.Parallel):
        def __init__(self, n_jobs, **options):
            asked.append(n_jobs)
            super().__init__(n_jobs, **options)

    monkeypatch.setattr(joblib, "Parallel", Noted)
    with joblib.parallel_config("threading"):
        for n_items, n_jobs in ((3, 100_000), (1, 100_000), (5, 2)):
            assert list(in_parallel(abs, range(n_items), n_jobs, "")) == list(range(n_items))
    assert asked == [3, 2, 2]
