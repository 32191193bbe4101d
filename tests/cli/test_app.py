"""The command as a whole: help, version, start-up, exit codes of real processes."""

import functools
import signal
import subprocess
import sys
import time

import pytest

import doatrack as package

COMMANDS = ("demo", "track", "live", "fit", "evaluate", "simulate", "arrays")
PROGRAM = [sys.executable, "-c", "from doatrack.cli.app import main; main()"]


def test_version(doatrack):
    assert doatrack("--version").stdout.strip() == f"doatrack {package.__version__}"


def test_help_names_every_command_and_the_exit_codes(doatrack):
    shown = doatrack("--help").stdout
    assert all(command in shown for command in COMMANDS)
    assert "130 interrupted" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_an_example_and_explains_every_option(command, doatrack):
    shown = doatrack(command, "--help")
    assert shown.exit_code == 0
    assert f"Example: doatrack {command}" in shown.stdout
    from typer.main import get_command

    from doatrack.cli.app import app

    for parameter in get_command(app).commands[command].params:
        assert parameter.help, f"{command}: {parameter.name}"


def test_help_loads_nothing_heavy():
    code = (
        "import sys, doatrack.cli.app\n"
        "heavy = {'torch', 'scipy', 'sklearn', 'soundfile', 'matplotlib', 'pandas'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_unknown_command_and_option_are_wrong_use(doatrack):
    wrong = doatrack("trakc")
    assert wrong.exit_code == 2
    assert "track" in wrong.stderr
    assert doatrack("arrays", "--jsn", "a").exit_code == 2


def test_a_process_names_what_failed_without_a_traceback(scenes, spoil, tmp_path):
    spoil()
    line = [*PROGRAM, "track", str(scenes), "--method", "srp-phat", "--out", str(tmp_path / "out")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "cut.wav" in done.stderr
    assert (tmp_path / "out" / "quiet_00.csv").exists()


def test_ctrl_c_in_a_real_process_keeps_the_last_epoch(scenes, tmp_path):
    model = tmp_path / "m.safetensors"
    line = [*PROGRAM, "fit", str(scenes), "--out", str(model), "--epochs", "10000"]
    # where tests run in the background, Ctrl-C is ignored unless it is asked for again
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        deadline = time.monotonic() + 50
        while not (tmp_path / "m.safetensors.checkpoint" / "checkpoint.safetensors").exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert "--resume" in said
    assert "Traceback" not in said
    assert not model.exists()
    kept = [path.name for path in (tmp_path / "m.safetensors.checkpoint").iterdir()]
    assert kept == ["checkpoint.safetensors"]
