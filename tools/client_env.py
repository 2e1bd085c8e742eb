"""An environment per S3 client that tests run: `python -m tools.client_env NAME`.

Clients pin libraries that the tests, or other clients, use in another version. Each gets
`.venv-clients/NAME`, made once and again only when its row, what it is made from, or the
interpreter changes.
"""

import fcntl
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import steps

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv-clients"
SOURCES = ROOT / "tests/clients"
# Some thirty times less work than by pip. It is told to trust whom the system trusts, as others do.
UV = (str(Path(sys.executable).with_name("uv")), "--system-certs")
UNOPTIMISED = "-gcflags=all=-N -l"  # a program of Go takes longer to build than it runs


class ClientEnvError(Exception):
    """An environment could not be made; the text says why, with the output of the step."""


class Kind(ABC):
    """How one client is installed, and from what."""

    folder = ""  # below the environment: what `ensure` returns

    @abstractmethod
    def wanted(self) -> str:
        """What an environment is made from: another text, another environment."""

    @abstractmethod
    def make(self, place: Path) -> None:
        """Makes the environment in a folder, which is empty. Raises ClientEnvError."""


@dataclass(frozen=True)
class Pip(Kind):
    """Python packages in a virtual environment of their own."""

    requirements: tuple[str, ...]
    folder = "bin"

    def wanted(self) -> str:
        """The interpreter and the requirements."""
        return "\n".join([sys.version, *self.requirements])

    def make(self, place: Path) -> None:
        """A virtual environment by this interpreter."""
        run([*UV, "venv", "--quiet", "--python", sys.executable, str(place)], cure="make dev")
        install = (*UV, "pip", "install", "--quiet", "--compile-bytecode")
        run([*install, "--python", str(place / "bin/python"), *self.requirements])


@dataclass(frozen=True)
class Npm(Kind):
    """JavaScript packages, as the lock file in a folder of sources names them."""

    source: Path
    folder = "node_modules"

    def wanted(self) -> str:
        """The packages, each with its checksum."""
        return "\n".join(path.read_text() for path in self._files())

    def make(self, place: Path) -> None:
        """Exactly what the lock file says; no package runs a script of its own."""
        place.mkdir()
        for path in self._files():
            shutil.copy(path, place)
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
        run(["npm", "ci", *options], place, cure="install Node.js 20 or later with npm")

    def _files(self) -> list[Path]:
        return [self.source / name for name in ("package.json", "package-lock.json")]


@dataclass(frozen=True)
class Go(Kind):
    """A program in Go that is built from a folder of sources, with the modules of its go.sum."""

    source: Path
    folder = "bin"

    def wanted(self) -> str:
        """All of its sources."""
        paths = sorted(path for path in self.source.iterdir() if path.is_file())
        return "\n".join(f"{path.name}\n{path.read_text()}" for path in paths)

    def make(self, place: Path) -> None:
        """The program has the name of the folder of its sources."""
        output = place / "bin" / self.source.name
        command = ["go", "build", "-mod=readonly", "-buildvcs=false", UNOPTIMISED]
        run([*command, "-o", str(output), "."], self.source, cure="install Go 1.26 or later")


# Name of the environment -> what is installed into it.
CLIENTS: Mapping[str, Kind] = {
    "aws": Pip(("awscli>=1.40,<2",)),
    "awscrt": Pip(("awscrt>=0.38,<1",)),
    "go": Go(SOURCES / "go"),
    "javascript": Npm(SOURCES / "javascript"),
    "minio": Pip(("minio>=7.2,<8",)),
    "s3cmd": Pip(("s3cmd>=2.4,<3",)),
    "s3fs": Pip(("s3fs>=2026",)),
    "s3tests": Pip(
        (
            *("boto3", "botocore", "munch", "isodate", "requests", "pytz", "httplib2", "lxml"),
            *("pytest", "pytest-timeout", "pyyaml"),
        )
    ),
}


def run(command: Sequence[str], folder: Path | None = None, cure: str = "install it") -> None:
    """Runs one step of an installation. Raises ClientEnvError with its output."""
    steps.run(command, ClientEnvError, cure, folder)


def ensure(name: str) -> Path:
    """The folder with a client's programs or packages, which is made first if need be.

    Safe to call from several processes at once. Raises KeyError for a name without a row, and
    ClientEnvError when the installation fails.
    """
    kind = CLIENTS[name]
    place = HOME / name
    stamp = place / "stamp"
    wanted = f"{place}\n{kind.wanted()}"
    HOME.mkdir(exist_ok=True)
    with (HOME / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(place, ignore_errors=True)
            kind.make(place)
            stamp.write_text(wanted)
    return place / kind.folder


def main(argv: Sequence[str]) -> int:
    """Make the named environment and print its folder."""
    if len(argv) != 1 or argv[0] not in CLIENTS:
        print(f"usage: python -m tools.client_env {{{','.join(CLIENTS)}}}", file=sys.stderr)
        return 2
    try:
        print(ensure(argv[0]))
    except ClientEnvError as error:
        print(f"client_env: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
