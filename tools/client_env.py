"""A virtual environment per S3 client that cannot share ours: `python -m tools.client_env NAME`.

Some clients pin libraries that the tests use in another version. Each gets `.venv-clients/NAME`,
made once and again only when its row or the interpreter changes.
"""

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv-clients"

# Name of the environment -> what is installed into it.
CLIENTS: dict[str, tuple[str, ...]] = {
    "aws": ("awscli>=1.40,<2",),
    "minio": ("minio>=7.2,<8",),
    "s3tests": (
        *("boto3", "botocore", "munch", "isodate", "requests", "pytz", "httplib2", "lxml"),
        *("pytest", "pytest-timeout", "pyyaml"),
    ),
}


class ClientEnvError(Exception):
    """An environment could not be made; the text holds the output of the step that failed."""


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise ClientEnvError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}")


def _make(place: Path, requirements: Sequence[str]) -> None:
    shutil.rmtree(place, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(place)])
    pip = [str(place / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    _run([*pip, "install", "--quiet", *requirements])


def ensure(name: str) -> Path:
    """The `bin` directory of a client's environment, which is made first if need be.

    Safe to call from several processes at once. Raises KeyError for a name without a row, and
    ClientEnvError when the installation fails.
    """
    requirements = CLIENTS[name]
    place = HOME / name
    stamp = place / "stamp"
    wanted = "\n".join([sys.version, str(place), *requirements])
    HOME.mkdir(exist_ok=True)
    with (HOME / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            _make(place, requirements)
            stamp.write_text(wanted)
    return place / "bin"


def main(argv: Sequence[str]) -> int:
    """Make the named environment and print its `bin` directory."""
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
