"""Programs of Debian that tests run: `python -m tools.debian PACKAGE PROGRAM`.

A program on PATH is taken as it is, unless another one may have that name. Else its package, with
the packages that it lacks here, is downloaded and unpacked into `.debian/PACKAGE`, and nothing is
installed: no service starts, no user is made, and removing the folder undoes it all.
"""

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools import steps

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".debian"
# Daemons live in folders that are not on every user's PATH.
FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
MODULES = "usr/lib/python3/dist-packages"


class DebianError(Exception):
    """A program could not be provided; the text says why, with the output of the step."""


def provide(package: str, program: str, *, path_counts: bool = True) -> Path:
    """The path of a program, which is unpacked from its Debian package first if need be.

    `program` is its name, or its path in the package where the one of that name is a script that
    finds it only when it is installed. With `path_counts` false a program of that name on PATH is
    not taken. Safe to call from several processes at once. Raises DebianError.
    """
    path = os.pathsep.join([os.environ.get("PATH", ""), *FOLDERS])
    if path_counts and (installed := shutil.which(Path(program).name, path=path)):
        return Path(installed)
    HOME.mkdir(exist_ok=True)
    with (HOME / f"{package}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place = HOME / package
        if not place.exists():
            _unpack(package, place)
        return _starter(place, package, program)


def _unpack(package: str, place: Path) -> None:
    """Unpacks a package and what it needs; `place` is there only once all of it is."""
    unfinished = place.with_name(f"{package}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    archives = unfinished / "archives"
    (archives / "partial").mkdir(parents=True)
    _download(package, archives)
    for archive in archives.glob("*.deb"):
        _run(["dpkg-deb", "--extract", str(archive), str(unfinished)])
    shutil.rmtree(archives)
    if (modules := unfinished / MODULES).is_dir():  # as the package does once it is installed
        _run(["/usr/bin/python3", "-m", "compileall", "-q", str(modules)])
    unfinished.rename(place)


def _download(package: str, archives: Path) -> None:
    command = [
        *("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "--download-only"),
        *("-o", f"Dir::Cache::archives={archives}"),
        *("-o", "Debug::NoLocking=true", "-o", "APT::Sandbox::User="),
        package,
    ]
    try:
        _run(command)
    except DebianError:
        if os.geteuid() != 0:  # only root can renew the lists that name the archives
            raise
        _run(["apt-get", "update", "--quiet"])
        _run(command)


def _starter(place: Path, package: str, program: str) -> Path:
    """A script in place of the program, which finds its libraries where they were unpacked.

    A program in Python finds its modules there too, in front of those that PYTHONPATH names.
    """
    starter = place / f"start-{Path(program).name}"
    if starter.exists():
        return starter
    found = next(_programs(place, program), None)
    if found is None:
        raise DebianError(f"the Debian package {package} has no program {program}")
    libraries = sorted({str(path.parent) for path in place.rglob("*.so*")})
    unfinished = starter.with_suffix(".new")
    lines = ["#!/bin/sh", f'export LD_LIBRARY_PATH="{":".join(libraries)}"']
    if (modules := place / MODULES).is_dir():
        lines.append(f'export PYTHONPATH="{modules}${{PYTHONPATH:+:$PYTHONPATH}}"')
    lines.append(f'exec "{found}" "$@"\n')
    unfinished.write_text("\n".join(lines))
    unfinished.chmod(0o755)
    return unfinished.rename(starter)


def _programs(place: Path, program: str) -> Iterator[Path]:
    is_path = "/" in program
    for folder in ("",) if is_path else ("usr/bin", "usr/sbin", "bin", "sbin"):
        if (place / folder / program).exists():
            yield place / folder / program


def _run(command: Sequence[str]) -> None:
    steps.run(command, DebianError, "this is no Debian system")


def main(argv: Sequence[str]) -> int:
    """Provide one program and print its path."""
    if len(argv) != 2:
        print("usage: python -m tools.debian PACKAGE PROGRAM", file=sys.stderr)
        return 2
    try:
        print(provide(*argv))
    except DebianError as error:
        print(f"debian: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
