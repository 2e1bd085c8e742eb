"""A Dockerfile without an engine: its instructions, and its stages run in a clean directory tree.

A stage's file system is a directory, and the paths that the Dockerfile makes are put below it.
Lines that change the machine itself are not run; `NOT_RUN` names them.
"""

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

# First word of a RUN line -> why a test cannot run it.
NOT_RUN = {
    "apt-get": "changes the packages of this machine",
    "groupadd": "changes the users of this machine",
    "install": "gives a directory to another user",
}
# What the base image and the machine bring; all else that a path names is made by the Dockerfile.
_SYSTEM = ("/usr/", "/var/lib/apt/")
_PATH = re.compile(r"(?<![\w/.$-])/[\w./-]+")
_PASSED_ON = re.compile(r"PIP_.*|.*_proxy|SSL_CERT_FILE|HOME|LANG", re.IGNORECASE)


class Instruction(NamedTuple):
    """One instruction: its name, its flags, and the rest of the line."""

    name: str
    flags: dict[str, str]
    text: str

    @property
    def words(self) -> list[str]:
        """The words of its JSON form, or of the line as a shell splits it."""
        if self.text.startswith("["):
            found = json.loads(self.text)
            assert all(isinstance(word, str) for word in found)
            return list(found)
        return shlex.split(self.text)


def parse(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [_instruction(line) for line in joined.splitlines() if line.strip()]


def _instruction(line: str) -> Instruction:
    name, _, text = line.partition(" ")
    flags = {}
    while match := re.match(r"--([a-z-]+)=(\S+)\s+", text := text.strip()):
        flags[match[1]] = match[2]
        text = text[match.end() :]
    return Instruction(name, flags, text)


class Stage(NamedTuple):
    """One stage: its base image, its name, and what stands below FROM."""

    base: str
    name: str
    instructions: list[Instruction]

    def only(self, name: str) -> Instruction:
        """The instruction of that name, of which there is one."""
        (found,) = self.all(name)
        return found

    def all(self, name: str) -> list[Instruction]:
        """The instructions of that name."""
        return [row for row in self.instructions if row.name == name]


def stages(text: str) -> list[Stage]:
    """The stages of a Dockerfile."""
    found: list[Stage] = []
    for row in parse(text):
        if row.name == "FROM":
            base, *rest = row.words
            found.append(Stage(base, rest[1] if rest else "", []))
        else:
            found[-1].instructions.append(row)
    return found


# The build context --------------------------------------------------------------------------------


def is_ignored(path: str, patterns: Sequence[str]) -> bool:
    """Whether .dockerignore leaves a file out: the last pattern for it, or for a parent, wins."""
    ignored = False
    parts = path.split("/")
    parents = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    for pattern in patterns:
        bare = pattern.removeprefix("!")
        names = parts if bare.startswith("**/") else parents
        # Docker's * stands for no slash.
        if any(
            fnmatch.fnmatchcase(name, bare.removeprefix("**/"))
            and name.count("/") == bare.removeprefix("**/").count("/")
            for name in names
        ):
            ignored = not pattern.startswith("!")
    return ignored


def read_patterns(text: str) -> list[str]:
    """The patterns of a .dockerignore file."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def context_files(root: Path) -> Iterator[str]:
    """The files that an engine would be sent from a working tree."""
    patterns = read_patterns((root / ".dockerignore").read_text())
    for top in sorted(root.iterdir()):
        if top.is_file() and not is_ignored(top.name, patterns):
            yield top.name
        elif top.is_dir() and not is_ignored(top.name, patterns):
            for path in sorted(top.rglob("*")):
                name = path.relative_to(root).as_posix()
                if path.is_file() and not is_ignored(name, patterns):
                    yield name


# Building -----------------------------------------------------------------------------------------


class Build:
    """Runs stages one after the other, each in a directory that is then known by its name."""

    def __init__(self, context: Path, folder: Path, base_path: str) -> None:
        self.root = folder / "root"  # always the same path, as `/` is in an engine
        self.environment: dict[str, str] = {}
        self.not_run: list[str] = []
        self._context = context
        self._folder = folder
        self._base_path = base_path
        self._workdir = "/"

    def run(self, stage: Stage) -> None:
        """Builds a stage."""
        self.root.mkdir()
        self._workdir = "/"
        self.environment = {"PATH": self._base_path}
        for row in stage.instructions:
            handle = {"RUN": self._run, "COPY": self._copy, "WORKDIR": self._work, "ENV": self._env}
            if row.name in handle:
                handle[row.name](row)

    def set_aside(self, stage: Stage) -> None:
        """Ends a stage that another one copies from."""
        self.root.rename(self._folder / stage.name)

    def inside(self, path: str) -> Path:
        """Where a path of the image is here."""
        return self.root / path.lstrip("/")

    def here(self, text: str) -> str:
        """Text with its paths of the image made paths of this machine."""
        return _PATH.sub(
            lambda found: found[0] if found[0].startswith(_SYSTEM) else str(self.inside(found[0])),
            text,
        )

    def process_environment(self, further: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a process in the image."""
        passed = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
        return {**passed, **self.environment, **(further or {})}

    def _run(self, row: Instruction) -> None:
        if row.words[0] in NOT_RUN:
            self.not_run.append(row.text)
            return
        subprocess.run(
            ["/bin/sh", "-c", self.here(row.text)],
            cwd=self.inside(self._workdir),
            env=self.process_environment(),
            check=True,
        )

    def _copy(self, row: Instruction) -> None:
        *sources, target = row.words
        place = self.inside(os.path.join(self._workdir, target))
        for source in sources:
            if "from" in row.flags:
                origin = self._folder / row.flags["from"] / source.lstrip("/")
            else:
                origin = self._context / source
            if origin.is_dir():
                shutil.copytree(origin, place, symlinks=True, dirs_exist_ok=True)
            else:
                place.mkdir(parents=True, exist_ok=True)
                assert target.endswith("/"), "the name of a folder ends with a slash"
                shutil.copy2(origin, place)

    def _work(self, row: Instruction) -> None:
        self._workdir = row.text
        self.inside(row.text).mkdir(parents=True, exist_ok=True)

    def _env(self, row: Instruction) -> None:
        for word in row.words:
            name, _, value = word.partition("=")
            before = self.environment.get("PATH", "")
            head, variable, rest = value.partition("$PATH")
            self.environment[name] = self.here(head) + (before if variable else "") + rest
