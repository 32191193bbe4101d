"""Several processes learn what one would; one that dies is named, and the run goes on from its last epoch."""

import importlib.util
import pathlib
import signal
import sys

import pytest
import torch

from doatrack.exceptions import InvalidInputError, ModelFileError, WorkerError
from doatrack.training import Checkpoint, Processes
from doatrack.training.fabric_processes import FabricProcesses
from doatrack.training.launch import join_processes, launch, started_outside

HERE = pathlib.Path(__file__).parent
needs_fabric = pytest.mark.skipif(
    importlib.util.find_spec("lightning_fabric") is None, reason="needs lightning-fabric (extra scale)"
)


@pytest.fixture(scope="module")
def work_of():
    """The work, in a module that new processes find too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        import work_for_processes

        yield work_for_processes.Work
        sys.modules.pop("work_for_processes", None)


def run(work, n_processes=2, way_out="Go on."):
    return launch(work, "cpu", n_processes, "32-true", way_out)


def assert_same(several, alone):
    for name, weight in alone["weights"].items():
        torch.testing.assert_close(several["weights"][name], weight, rtol=0, atol=1e-6)
    assert [h["epoch"] for h in several["history"]] == [1, 2, 3, 4]
    for a, b in zip(several["history"], alone["history"], strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
        assert a["learning_rate"] == b["learning_rate"]


@pytest.mark.slow
@needs_fabric
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_process_is_named_and_the_run_is_resumed_by_any_number(work_of, tmp_path):
    alone = work_of()(Processes())
    with pytest.raises(
        WorkerError, match=r"Process 1 of 2 \(counted from 0\) was killed by SIGKILL.*while learning.*Go on"
    ):
        run(work_of(tmp_path / "run", deadly_epoch=2))
    # two epochs of two processes, then two of one: as if one had done it all
    resumed = work_of(tmp_path / "run")(Processes())
    assert_same(resumed, alone)
    # and the other way round: one begins, two go on
    work = work_of(tmp_path / "other")
    with pytest.MonkeyPatch.context() as patch:
        original = Checkpoint.on_epoch_end

        def stopped(self, loop, record):
            original(self, loop, record)
            if loop.epoch == 1:
                raise KeyboardInterrupt

        patch.setattr(Checkpoint, "on_epoch_end", stopped)
        with pytest.raises(KeyboardInterrupt):
            work(Processes())
    assert_same(run(work), alone)


@pytest.mark.slow
@needs_fabric
def test_an_error_of_a_process_is_raised_as_it_is(work_of):
    with pytest.raises(ModelFileError, match=r"^The checkpoint is damaged"):
        run(work_of(error=ModelFileError("The checkpoint is damaged.")))


def test_one_process_is_started_by_nobody():
    alone = join_processes("cpu", 1, 1, "32-true")
    assert (alone.rank, alone.n_processes, alone.device.type) == (0, 1, "cpu")
    assert not started_outside()
    assert join_processes("cpu", 2, 1, "32-true") is None  # they have to be


def test_senseless_processes_are_refused(monkeypatch):
    with pytest.raises(InvalidInputError, match=r"num_nodes=2 needs .*torchrun --nnodes 2 --nproc-per-node 3"):
        join_processes("cpu", 3, 2, "32-true")
    with pytest.raises(InvalidInputError, match=r"device must be a kind, got 'cpu:0'. Give device='cpu'"):
        join_processes("cpu:0", 2, 1, "32-true")
    with pytest.raises(InvalidInputError, match="precision must be one of"):
        Processes("cpu", "16-mixed")
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(InvalidInputError, match=r"needs lightning-fabric: pip install 'doatrack\[scale\]'"):
        FabricProcesses("cpu", 2)
