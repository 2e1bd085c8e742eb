"""`fastobj clock confirm`: leaves a file that a server takes."""

import threading
import time

import msgspec
import pytest

from fastobj.background.timekeeping import Confirmation
from fastobj.cli.main import main
from fastobj.core import clock
from fastobj.node import layout


@pytest.fixture
def store(tmp_path):
    """A store that was made, with no server on it."""
    return layout.prepare(tmp_path / "store")


def test_of_a_store_that_is_stopped(store, capsys):
    before = clock.SystemClock().now_ns()
    assert main(["clock", "confirm", str(store.root)]) == 0
    said = msgspec.json.decode(store.trusted_time.read_bytes(), type=Confirmation)
    assert before <= said.time_ns <= clock.SystemClock().now_ns()
    assert said.boot == clock.uptime().boot != ""
    assert 0 < said.elapsed_ns <= clock.uptime().elapsed_ns
    assert store.trusted_time.stat().st_mode & 0o7777 == 0o600
    told = capsys.readouterr().out
    assert told.startswith(time.strftime("%Y-", time.gmtime()))
    assert "the next one that starts does" in told


def test_of_a_store_that_is_served(store, capsys):
    store.processes.touch()

    def take():
        while not store.trusted_time.exists():
            time.sleep(0.01)
        store.trusted_time.unlink()

    serving = threading.Thread(target=take)
    serving.start()
    assert main(["clock", "confirm", str(store.root)]) == 0
    serving.join()
    assert "is confirmed: the server trusts its clock" in capsys.readouterr().out


def test_wrong_calls(tmp_path, capsys):
    assert main(["clock", "confirm", str(tmp_path)]) == 1
    assert "holds no store" in capsys.readouterr().err
    for words in (["confirm"], ["set", str(tmp_path)]):
        with pytest.raises(SystemExit) as caught:
            main(["clock", *words])
        assert caught.value.code == 2
    assert list(tmp_path.iterdir()) == []
