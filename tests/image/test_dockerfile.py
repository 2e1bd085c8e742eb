"""The image: its Dockerfile is read, its stages are built here, and its server is run and asked."""

import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastobj.cli import health
from fastobj.core.settings import SETTINGS
from fastobj.testing.process_server import free_port
from tests.image.dockerfile import (
    NOT_RUN,
    Build,
    Instruction,
    Stage,
    context_files,
    is_ignored,
    parse,
    read_patterns,
    stages,
)

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
BUILDER, RUNTIME = stages(TEXT)
READY_S_MAX = 60

# The first test that needs the image waits for its build.
pytestmark = pytest.mark.timeout(600)


def run_lines(stage: Stage) -> list[list[str]]:
    """The commands of the RUN lines of a stage, each as its words."""
    commands = [
        command for row in stage.all("RUN") for command in re.split(r"\s+&&\s+", row.text.strip())
    ]
    return [shlex.split(command) for command in commands]


def command_of(stage: Stage, program: str) -> list[str]:
    """The only command of a stage that calls a program."""
    (found,) = [words for words in run_lines(stage) if words[0] == program]
    return found


def long_flags(words: list[str]) -> set[str]:
    """The long flags in a command."""
    return {word.partition("=")[0] for word in words if word.startswith("--")}


# What the Dockerfile says -------------------------------------------------------------------------


def test_the_parser_reads_what_the_file_uses() -> None:
    text = 'FROM a AS b\n# no\nRUN x \\\n    && y\nHEALTHCHECK --timeout=5s CMD ["z"]\nCMD ["u v"]'
    assert parse(text) == [
        Instruction("FROM", {}, "a AS b"),
        Instruction("RUN", {}, "x && y"),
        Instruction("HEALTHCHECK", {"timeout": "5s"}, 'CMD ["z"]'),
        Instruction("CMD", {}, '["u v"]'),
    ]
    assert parse(text)[-1].words == ["u v"]


def test_both_stages_stand_on_one_slim_python() -> None:
    assert BUILDER.base == RUNTIME.base
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", BUILDER.base)
    assert (BUILDER.name, RUNTIME.name) == ("builder", "")


def test_only_the_builder_has_a_compiler() -> None:
    install = command_of(BUILDER, "rm")  # ends the line that installs packages
    assert install[-1] == "/var/lib/apt/lists/*"
    assert not any("apt-get" in row.text or "pip" in row.text for row in RUNTIME.all("RUN"))
    assert [row.flags for row in RUNTIME.all("COPY")] == [{"from": "builder"}]


def test_the_packages_of_the_builder_exist() -> None:
    (words,) = [line for line in run_lines(BUILDER) if line[:2] == ["apt-get", "install"]]
    packages = [word for word in words[2:] if not word.startswith("-")]
    assert packages == ["gcc", "libc6-dev"]
    assert {"--yes", "--no-install-recommends"} <= set(words)
    for package in packages:
        subprocess.run(["apt-cache", "show", package], check=True, capture_output=True)


def test_the_user_is_a_number_and_owns_the_volume() -> None:
    uid, gid = RUNTIME.only("USER").text.split(":")
    assert uid.isdigit()
    assert gid.isdigit()
    assert int(uid) > 0
    group, user = command_of(RUNTIME, "groupadd"), command_of(RUNTIME, "useradd")
    data = command_of(RUNTIME, "install")
    assert f"--gid {gid}" in " ".join(group)
    assert f"--uid {uid} --gid {gid}" in " ".join(user)
    assert {f"--owner={uid}", f"--group={gid}", "--mode=0700", "--directory"} <= set(data)
    assert data[-1] == RUNTIME.only("VOLUME").text == RUNTIME.only("CMD").words[1]


@pytest.mark.parametrize("program", ["groupadd", "useradd", "install"])
def test_flags_of_lines_that_are_not_run_exist(program: str) -> None:
    # In an image these are Debian's, as here.
    place = shutil.which(program, path="/usr/bin:/usr/sbin:/bin:/sbin")
    assert place is not None
    usage = subprocess.run([place, "--help"], check=True, capture_output=True, text=True).stdout
    flags = long_flags(command_of(RUNTIME, program))
    assert flags
    assert all(re.search(rf"{flag}\b", usage) for flag in flags)


def test_order_of_the_last_stage() -> None:
    names = [row.name for row in RUNTIME.instructions]
    assert names.index("USER") > max(at for at, name in enumerate(names) if name in ("RUN", "COPY"))
    assert names.index("VOLUME") > names.index("RUN")


def test_ports_are_those_that_the_settings_name() -> None:
    settings = dict(word.partition("=")[::2] for word in RUNTIME.only("ENV").words)
    exposed = RUNTIME.only("EXPOSE").words
    assert [f":{port}" for port in exposed] == [
        settings["FASTOBJ_ADDRESS"],
        settings["FASTOBJ_CONSOLE_ADDRESS"],
    ]
    known = {name for setting in SETTINGS for name in setting.variables}
    assert set(settings) - {"PATH"} <= known


def test_commands_are_in_the_form_that_gets_signals() -> None:
    assert RUNTIME.only("ENTRYPOINT").text == '["fastobj"]'
    assert RUNTIME.only("CMD").text.startswith("[")
    assert RUNTIME.only("STOPSIGNAL").text == "SIGTERM"
    assert health_command()[0] == "fastobj"


def health_command() -> list[str]:
    """The command of HEALTHCHECK."""
    text = RUNTIME.only("HEALTHCHECK").text
    return Instruction("CMD", {}, text.removeprefix("CMD ")).words


def test_the_health_check_ends_before_its_timeout() -> None:
    timeout_s = int(RUNTIME.only("HEALTHCHECK").flags["timeout"].removesuffix("s"))
    assert timeout_s > health._ANSWER_S_MAX


# What an engine is sent ---------------------------------------------------------------------------

PATTERNS = read_patterns((ROOT / ".dockerignore").read_text())


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("setup.py", False),
        ("src/fastobj/core/log.py", False),
        ("src/fastobj/_ext/crc_impl.c", False),
        ("src/fastobj/_ext/crc.cpython-313-x86_64-linux-gnu.so", True),
        ("src/fastobj/core/__pycache__/log.cpython-313.pyc", True),
        ("src/fastobj.egg-info/PKG-INFO", True),
        ("tests/conftest.py", True),
        (".git/config", True),
        (".venv/bin/python", True),
        ("data/credentials", True),
    ],
)
def test_what_is_left_out(path: str, ignored: bool) -> None:
    assert is_ignored(path, PATTERNS) == ignored


def test_all_that_is_sent_is_in_the_repository() -> None:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    sent = set(context_files(ROOT))
    assert sent
    assert sent <= set(listed.splitlines())
    copied = {word for row in BUILDER.all("COPY") for word in row.words[:-1]}
    assert {path.split("/")[0] for path in sent} == copied


# What comes out of it -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Both stages, built from a clean copy of what an engine would be sent."""
    folder = tmp_path_factory.mktemp("image")
    context = folder / "context"
    for name in context_files(ROOT):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, context / name)
    # The Python of the base image: one with pip, and none of this project's packages.
    subprocess.run([sys.executable, "-m", "venv", folder / "base"], check=True)
    build = Build(context, folder, f"{folder / 'base' / 'bin'}:/usr/bin:/bin")
    build.run(BUILDER)
    build.set_aside(BUILDER)
    build.run(RUNTIME)
    shutil.rmtree(folder / BUILDER.name)
    shutil.rmtree(context)
    return build


def test_only_lines_that_change_the_machine_were_not_run(image: Build) -> None:
    assert [line.split()[0] for line in image.not_run] == list(NOT_RUN)


def test_any_user_may_read_what_is_installed(image: Build) -> None:
    closed = [
        path
        for path in [image.inside("/opt/fastobj"), *image.inside("/opt/fastobj").rglob("*")]
        if not path.is_symlink()
        and not path.stat().st_mode & (stat.S_IXOTH if path.is_dir() else stat.S_IROTH)
    ]
    assert closed == []


def test_nothing_is_installed_that_only_a_build_needs(image: Build) -> None:
    (packages,) = image.inside("/opt/fastobj/lib").glob("python3.*/site-packages")
    names = {path.name.split("-")[0].lower() for path in packages.iterdir()}
    assert "fastobj" in names
    assert not names & {"pip", "setuptools", "cython", "wheel"}


@pytest.fixture
def environment(image: Build) -> dict[str, str]:
    """The environment of a container, with free ports of the loopback interface."""
    return image.process_environment(
        {
            "FASTOBJ_ADDRESS": f"127.0.0.1:{free_port()}",
            "FASTOBJ_CONSOLE_ADDRESS": f"127.0.0.1:{free_port()}",
        }
    )


@pytest.fixture
def server(image: Build, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """What an engine starts: ENTRYPOINT and CMD, on an empty volume."""
    words = [*RUNTIME.only("ENTRYPOINT").words, *map(image.here, RUNTIME.only("CMD").words)]
    program = shutil.which(words[0], path=environment["PATH"])
    assert program == str(image.inside("/opt/fastobj/bin/fastobj"))
    volume = image.inside(RUNTIME.only("VOLUME").text)
    volume.chmod(0o700)
    process = subprocess.Popen([program, *words[1:]], env=environment, cwd=volume)
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()


def ask(environment: dict[str, str]) -> int:
    """Runs the command of HEALTHCHECK."""
    program, *words = health_command()
    place = shutil.which(program, path=environment["PATH"])
    assert place is not None
    return subprocess.run([place, *words], env=environment, check=False).returncode


def test_the_server_runs_is_healthy_and_stops(
    image: Build, environment: dict[str, str], server: subprocess.Popen[bytes]
) -> None:
    deadline = time.monotonic() + READY_S_MAX
    while ask(environment) != 0:
        assert server.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (image.inside("/data") / "credentials").exists()
    server.send_signal(signal.Signals[RUNTIME.only("STOPSIGNAL").text])
    assert server.wait(READY_S_MAX) == 0
    assert ask(environment) == 1


def test_secrets_may_stand_in_files(
    image: Build, environment: dict[str, str], tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("correct horse battery\n")
    given = {"FASTOBJ_ROOT_USER": "admin-of-this", "FASTOBJ_ROOT_PASSWORD_FILE": str(secret)}
    shown = subprocess.run(
        [image.inside("/opt/fastobj/bin/fastobj"), "config", "show"],
        env={**environment, **given},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "root-password is set, from FASTOBJ_ROOT_PASSWORD_FILE" in shown
    assert "correct horse" not in shown


def test_variables_in_the_document_are_settings() -> None:
    known = {name for setting in SETTINGS for name in setting.variables}
    named = set(re.findall(r"FASTOBJ_[A-Z_]+", (ROOT / "docs/docker.md").read_text()))
    assert named
    assert {name.removesuffix("_FILE") for name in named} <= known
