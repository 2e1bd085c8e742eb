"""The command: its verbs, its exit codes, its two-line errors, and how little it imports."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import fastobj
from fastobj._ext import digest, rs
from fastobj.cli import main as module
from fastobj.cli.main import VERBS, main
from fastobj.core.errors import StoreLocked

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith(("FASTOBJ_", "MINIO_"))]:
        monkeypatch.delenv(variable)


@pytest.mark.parametrize("word", ["version", "--version", "-V"])
def test_version(word: str, capsys: Capture) -> None:
    assert main([word]) == 0
    assert capsys.readouterr().out == f"fastobj {fastobj.__version__}\n"


@pytest.mark.parametrize("word", ["help", "--help", "-h"])
def test_help_names_every_verb(word: str, capsys: Capture) -> None:
    assert main([word]) == 0
    out = capsys.readouterr().out
    assert all(f"  {verb} " in out for verb in VERBS)


def test_no_command_is_a_wrong_call(capsys: Capture) -> None:
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("usage: fastobj COMMAND")


def test_an_unknown_command_names_the_nearest(capsys: Capture) -> None:
    assert main(["sever"]) == 2
    err = capsys.readouterr().err
    assert err == "fastobj: there is no command 'sever'; the nearest is 'server'\n"


WITHOUT_SETTINGS = {"check", "clock"}  # it is told all it needs by the store's directory


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help(verb: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        main([verb, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: fastobj {verb} ")
    assert ("FASTOBJ_NAME" in out) == (verb not in WITHOUT_SETTINGS)
    assert "--log-segment-bytes-min" not in out


@pytest.mark.parametrize("words", [["server"], ["server", "a", "b"], ["config", "guess"]])
def test_a_wrong_call_says_so_in_two_lines(words: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[1] == f"See `fastobj {words[0]} --help`."


def test_a_wrong_flag_value_is_a_wrong_call(capsys: Capture) -> None:
    assert main(["config", "check", "--workers", "x"]) == 2
    assert capsys.readouterr().err == (
        "fastobj config: --workers: 'x' cannot be used: write a whole number\n"
    )


def test_a_wrong_variable_is_an_error(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTOBJ_WORKERS", "x")
    assert main(["config", "check"]) == 1
    assert "workers (from FASTOBJ_WORKERS)" in capsys.readouterr().err


def test_config_show_tells_values_and_origins(capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("workers = 5\n")
    assert main(["config", "show", "--config", str(file), "--region", "eu"]) == 0
    out = capsys.readouterr().out
    assert f"workers = 5  # {file}\n" in out
    assert 'region = "eu"  # --region\n' in out
    assert 'address = "127.0.0.1:9000"  # default\n' in out


def test_config_show_can_be_read_by_programs(capsys: Capture) -> None:
    assert main(["config", "show", "--json", "--no-auth", "--region", "eu"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows["region"] == {"value": "eu", "origin": "--region"}
    assert rows["no-auth"] == {"value": True, "origin": "--no-auth"}


def _config_show(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: a kernel chooses its code when it is imported."""
    command = [sys.executable, "-m", "fastobj", "config", "show", *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def test_config_show_names_the_code_of_each_kernel() -> None:
    shown = json.loads(_config_show("--json", FASTOBJ_ISA="generic").stdout)
    kernels = shown["kernels"]
    assert kernels["origin"] == "FASTOBJ_ISA"
    named = {name.split(".")[0] for name in kernels["value"]}
    assert named | set(shown["libraries"]["value"]) == {
        path.stem for path in (Path(fastobj.__file__).parent / "_ext").glob("*.pyx")
    }
    assert {"digest.md5", "digest.sha1", "digest.sha256"} < set(kernels["value"])
    assert set(kernels["value"].values()) == {"generic"}
    lines = _config_show(FASTOBJ_ISA="generic").stdout.splitlines()
    assert "# crc is generic, from FASTOBJ_ISA" in lines[lines.index("# kernels") :]


def test_config_show_tells_what_the_kernels_have_chosen_by_themselves(capsys: Capture) -> None:
    assert main(["config", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["kernels"]
    assert shown["origin"] == "this processor"
    for name in ("chunked", "crc", "segio", "sigv4", "xmlout"):
        assert shown["value"][name] == importlib.import_module(f"fastobj._ext.{name}").ISA
    assert shown["value"]["digest.md5"] == digest.ISA["md5"]


def test_config_show_names_the_library_that_was_found(capsys: Capture) -> None:
    library = " at ".join(rs.library())
    assert library.startswith("ISA-L 2.")
    assert main(["config", "show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["libraries"]["value"] == {"rs": library}
    assert main(["config", "show"]) == 0
    assert f"# rs uses a library, {library}\n" in capsys.readouterr().out


def test_config_show_tells_how_to_get_a_library(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise rs.LibraryMissing(rs.LIBRARY_MISSING)

    monkeypatch.setattr(rs, "library", missing)
    assert main(["config", "show"]) == 0
    line = f"# rs uses a library, not found: {rs.LIBRARY_MISSING}\n"
    assert line in capsys.readouterr().out
    assert "pip install 'fastobj[erasure]'" in line


def test_config_show_with_an_unknown_level_names_the_levels() -> None:
    done = _config_show(FASTOBJ_ISA="sse9")
    assert done.returncode == 1
    assert done.stderr.startswith("fastobj config: FASTOBJ_ISA names no level; the levels are ")
    assert len(done.stderr.splitlines()) == 1


def test_config_check_loads_no_kernel_for_it() -> None:
    script = (
        "import sys; from fastobj.cli.main import main; main(['config', 'check']);"
        "print('fastobj.core.kernels' in sys.modules)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_config_check_says_that_all_is_well(capsys: Capture) -> None:
    assert main(["config", "check"]) == 0
    assert capsys.readouterr().out == "the settings can be used\n"


def test_config_check_names_what_sources_and_the_server_object_to(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTOBJ_REGIN", "eu")
    monkeypatch.setenv("FASTOBJ_ROOT_USER", "somebody")
    words = ["config", "check", "--no-auth", "--address", ":9000", "--access-log", "/missing/log"]
    assert main(words) == 1
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == "fastobj config: 4 faults in the settings:"
    for word in ["FASTOBJ_REGIN", "root-password is not", "no-auth", "access-log"]:
        assert sum(word in line for line in lines) == 1, word


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--adress", ":1"], "there is no flag --adress; the nearest is '--address'"),
        (["--wrokers=1"], "there is no flag --wrokers; the nearest is '--workers'"),
        (["--qqqqqq"], "there is no flag --qqqqqq; see `fastobj "),
        (["more"], "there is one word too many: more"),
    ],
)
@pytest.mark.parametrize("verb", ["server", "config"])
def test_an_unknown_flag_names_the_nearest(
    verb: str, words: list[str], message: str, capsys: Capture
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([verb, "show", *words])
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith(f"fastobj {verb}: {message}")


class _Verb:
    def __init__(self, run: Callable[[], int]) -> None:
        self._run = run

    def main(self, argv: list[str]) -> int:
        return self._run()


def _raise(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize(
    ("run", "status", "text"),
    [
        (lambda: 7, 7, ""),
        (lambda: _raise(StoreLocked("held")), 1, "fastobj server: held\n"),
        (lambda: _raise(OSError("taken")), 1, "fastobj server: taken\n"),
        (lambda: _raise(KeyboardInterrupt()), 130, ""),
    ],
)
def test_exit_codes(
    run: Callable[[], int],
    status: int,
    text: str,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module.importlib, "import_module", lambda name: _Verb(run))
    assert main(["server"]) == status
    assert capsys.readouterr().err == text


def test_help_imports_nothing_of_the_server() -> None:
    script = (
        "import sys; from fastobj.cli.main import main; main(['--help']);"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    ours = {name for name in loaded if name.startswith("fastobj.")}
    core = {"fastobj.core", "fastobj.core.errors", "fastobj.core.nearest"}
    assert ours == {"fastobj.cli", "fastobj.cli.main"} | core
    assert not loaded & {"asyncio", "uvloop", "msgspec", "apsw", "logging", "tomllib", "socket"}
