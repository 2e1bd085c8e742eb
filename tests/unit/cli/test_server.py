"""`fastobj server`: what reaches the supervisor."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from fastobj.cli import server
from fastobj.core import log
from fastobj.core.setting_sources import SettingsError
from fastobj.core.settings import Settings


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Settings, Path]]:
    """A supervisor that only notes how it was called."""
    calls: list[tuple[Settings, Path]] = []

    def run(settings: Settings, directory: Path) -> int:
        calls.append((settings, directory))
        return 3

    fake = ModuleType("fastobj.node.supervisor")
    monkeypatch.setattr(fake, "run", run, raising=False)
    monkeypatch.setitem(sys.modules, "fastobj.node.supervisor", fake)
    node = importlib.import_module("fastobj.node")
    monkeypatch.setattr(node, "supervisor", fake, raising=False)
    monkeypatch.setattr(log, "configure", lambda level, format: None)
    return calls


def test_settings_and_directory_are_handed_over(
    calls: list[tuple[Settings, Path]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert server.main(["--address", ":9100", "--workers", "2", "store"]) == 3
    ((settings, directory),) = calls
    assert directory == tmp_path / "store"
    assert (settings.address.port, settings.workers) == (9100, 2)


def test_bad_settings_end_before_the_supervisor(calls: list[tuple[Settings, Path]]) -> None:
    with pytest.raises(SettingsError):
        server.main(["--workers", "none", "store"])
    assert not calls


def test_a_check_starts_nothing(calls: list[tuple[Settings, Path]], tmp_path: Path) -> None:
    assert server.main([str(tmp_path / "store"), "--check"]) == 0
    with pytest.raises(SettingsError, match="listen on 127"):
        server.main(["--no-auth", "--address", "0.0.0.0:9000", str(tmp_path / "store"), "--check"])
    assert not calls
    assert not (tmp_path / "store").exists()


def test_a_switch_does_not_take_the_directory_for_its_value(
    calls: list[tuple[Settings, Path]], tmp_path: Path
) -> None:
    assert server.main(["--no-auth", str(tmp_path)]) == 3
    ((settings, directory),) = calls
    assert (settings.no_auth, directory) == (True, tmp_path)
