"""Clients are installed once, again when their row changes, and one that is missing is told."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools import client_env
from tools.client_env import CLIENTS, ClientEnvError, Kind, ensure


@dataclass(frozen=True)
class Counted(Kind):
    """Made of nothing; says how often."""

    row: str
    made: Callable[[str], None]
    folder = "bin"

    def wanted(self) -> str:
        return self.row

    def make(self, place: Path) -> None:
        (place / "bin").mkdir(parents=True)
        self.made(self.row)


def test_made_again_only_when_its_row_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(client_env, "HOME", tmp_path / "home")
    for row in ("a", "a", "b", "b"):
        monkeypatch.setattr(client_env, "CLIENTS", {"counted": Counted(row, made.append)})
        assert ensure("counted").is_dir()
    assert made == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("go", "go is not on PATH: install Go"), ("javascript", "npm is not on PATH")],
)
def test_without_its_tool(
    name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClientEnvError, match=words):
        CLIENTS[name].make(tmp_path / "place")


@dataclass(frozen=True)
class Failing(Counted):
    """A step of its installation ends with 3."""

    def make(self, place: Path) -> None:
        super().make(place)
        client_env.run(["sh", "-c", "echo no such package; exit 3"])


def test_a_failed_step_shows_its_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(client_env, "HOME", tmp_path)
    monkeypatch.setattr(client_env, "CLIENTS", {"failing": Failing("a", made.append)})
    for _ in range(2):  # it is not taken for made the second time
        with pytest.raises(ClientEnvError, match=r"ended with 3\nno such package"):
            ensure("failing")
    assert made == ["a", "a"]
