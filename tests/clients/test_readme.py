"""Every command of README.md is run, in its order, as a reader would type it.

What is replaced: the ports 9000 and 9001 by free ones, `data` and `certs` by folders of the test's
own, and the clone, which this checkout is.
"""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from fastobj.testing.process_server import free_port
from tools.client_env import ensure
from tools.debian import provide

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"(?:^<!-- test: ([^\n]*) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
STARTS, NOT_RUN = "starts the server", "not run here"
CLONE = "git clone <this repository> fastobj && cd fastobj\n"
READY_S_MAX = 120  # `make run` may have to build first


class Block(NamedTuple):
    """A fenced block: what the test is told about it, its language, its text."""

    remark: str
    language: str
    text: str


def blocks() -> list[Block]:
    """The fenced blocks of README.md, from top to bottom."""
    return [Block(*found) for found in BLOCK.findall((ROOT / "README.md").read_text())]


class Reader:
    """Somebody who follows README.md: with a folder, a shell, and what they exported so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.console_port = free_port(), free_port()
        self.server: subprocess.Popen[bytes] | None = None
        self.exports = ""
        (folder / ".curlrc").write_text("fail\n")  # an error page is an error
        kept = {key: text for key, text in os.environ.items() if not key.startswith("AWS_")}
        self.environment = {
            **kept,
            "HOME": str(folder),
            "PATH": f"{self.programs()}{os.pathsep}{os.environ['PATH']}",
            "FASTOBJ_ADDRESS": f"127.0.0.1:{self.port}",
            "FASTOBJ_CONSOLE_ADDRESS": f"127.0.0.1:{self.console_port}",
        }

    def programs(self) -> Path:
        """A folder with the clients that README names."""
        folder = self.folder / "bin"
        folder.mkdir()
        for program in (
            ensure("aws") / "aws",
            ensure("s3cmd") / "s3cmd",
            provide("rclone", "rclone"),
        ):
            (folder / program.name.removeprefix("start-")).symlink_to(program)
        return folder

    def adapted(self, text: str) -> str:
        """The text with this reader's ports and folders."""
        text = text.replace(":9000", f":{self.port}").replace(":9001", f":{self.console_port}")
        text = re.sub(r"(?<![\w/.])(\$PWD/|\./)?(data|certs)\b", rf"{self.folder}/\2", text)
        return text.replace(".venv/bin/", f"{ROOT}/.venv/bin/")

    def follow(self, block: Block) -> None:
        """Does what a block says."""
        if block.remark == STARTS:
            self.start(block.text)
        elif block.language == "sh":
            self.shell(block.text)
        elif block.language == "python":
            self.python(block.text)
        elif block.language == "toml":
            self.settings(block.text)
        else:
            pytest.fail(f"nobody knows how to run a block of {block.language!r}: {block.text}")

    def start(self, text: str) -> None:
        """Starts the server and waits until it is ready."""
        assert CLONE in text
        command = text.replace(CLONE, "").replace(
            "make run", f"exec make run DATA={self.folder}/data"
        )
        with open(self.folder / "server.log", "wb") as log:
            self.server = subprocess.Popen(
                ["bash", "-c", command], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + READY_S_MAX
        while self.run(["curl", "-fs", f"http://127.0.0.1:{self.port}/health/ready"]).returncode:
            assert self.server.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def shell(self, text: str) -> None:
        """Runs commands, each of which must succeed."""
        text = self.adapted(text)
        done = self.run(["bash", "-euo", "pipefail", "-c", self.exports + text])
        assert done.returncode == 0, text + done.stdout + done.stderr
        kept = re.findall(r"^(?:export .*|[A-Z_]+=\$\(.*\))$", text, re.MULTILINE)
        self.exports += "".join(f"{line}\n" for line in kept)

    def python(self, text: str) -> None:
        """Runs a script with the library that it imports."""
        home = ensure("minio") if "import Minio" in text else ROOT / ".venv/bin"
        script = self.folder / "script.py"
        script.write_text(self.adapted(text))
        done = self.run(["bash", "-euc", f"{self.exports} exec {home}/python {script}"])
        assert done.returncode == 0, done.stdout + done.stderr

    def settings(self, text: str) -> None:
        """Has a server judge a settings file."""
        file = self.folder / "fastobj.toml"
        file.write_text(text)
        self.shell(f".venv/bin/fastobj config check --config {file}\n")

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Runs one command in the checkout."""
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )

    def stop(self) -> None:
        """SIGTERM to the server, as README says; it ends well."""
        if self.server is not None:
            supervisor = (self.folder / "data/processes").read_text().split()[1]
            self.run(["kill", supervisor])
            assert self.server.wait(60) == 0, (self.folder / "server.log").read_text()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Somebody without a server yet."""
    made = Reader(tmp_path)
    yield made
    made.stop()


def test_each_block_is_run_or_says_why_not() -> None:
    found = blocks()
    assert sum(block.remark == STARTS for block in found) == 1
    for block in found:
        if block.remark.startswith(NOT_RUN):
            assert len(block.remark) > len(NOT_RUN) + 10, "say why"


def test_the_commands_of_the_readme(reader: Reader) -> None:
    for block in blocks():
        if not block.remark.startswith(NOT_RUN):
            reader.follow(block)
