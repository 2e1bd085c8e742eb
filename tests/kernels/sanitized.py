"""C of the kernels, compiled for tests with sanitizers: each file once for all programs with it.

Objects stay in build/tests and are made again when their file, a header, the compiler or a flag
has changed. A missing compiler or sanitizer is a failure: a check that silently does not run is
none.
"""

import fcntl
import functools
import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from tests.kernels.test_kernels_table import FOLDER, KERNELS, ROOT

HERE = Path(__file__).parent
FUZZERS = ROOT / "tests/fuzz"
OBJECTS = ROOT / "build/tests"
WARNINGS = ("-std=gnu11", "-Wall", "-Wextra", "-Werror")
SANITIZERS = "address,undefined"
INCLUDES = tuple(f"-I{folder}" for folder in (FOLDER, HERE, FUZZERS))


def compiler() -> list[str]:
    """The C compiler's command."""
    command = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(command[0]) is None:
        pytest.fail(f"no C compiler: {command[0]!r} is not on the path (set CC, or install gcc)")
    return command


def run(command: Sequence[str], **environment: str) -> str:
    """Standard output of a command that has to succeed."""
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.fail(f"{shlex.join(command)}\n{done.stdout}{done.stderr}", pytrace=False)
    return done.stdout


def files_of(kernel: str) -> list[Path]:
    """All C files of a kernel, as setup.py names them."""
    return [FOLDER / name for name in (*KERNELS[kernel], "fo_cpu.c")]


def flags_for(sanitizers: str) -> list[str]:
    """How everything is compiled and linked; with symbols, for reports name lines."""
    sanitizing = (f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all")
    return [*WARNINGS, *sanitizing, "-fno-omit-frame-pointer", "-g", "-O1", "-pthread"]


def compiled(source: Path, flags: Sequence[str]) -> Path:
    """The object of a C file, which is made first if need be. `-I` flags come in front of ours."""
    flags = [*flags, *INCLUDES]
    name = f"{source.stem}-{_sum(map(str.encode, flags))}"
    wanted = OBJECTS / f"{name}-{_sum([source.read_bytes(), _headers(*flags), _version()])}.o"
    OBJECTS.mkdir(parents=True, exist_ok=True)
    with (OBJECTS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not wanted.exists():
            for old in OBJECTS.glob(f"{name}-*.o"):
                old.unlink()
            made = wanted.with_suffix(".new")
            run([*compiler(), *flags, "-c", str(source), "-o", str(made)])
            made.rename(wanted)
    return wanted


def program(
    path: Path, sources: Iterable[Path], sanitizers: str = SANITIZERS, ready: Iterable[Path] = ()
) -> str:
    """Compiles and links a program of these C files and of objects that are `ready`."""
    flags = flags_for(sanitizers)
    objects = [*(compiled(source, flags) for source in sources), *ready]
    run([*compiler(), *flags, *map(str, objects), "-o", str(path), "-ldl"])
    return str(path)


def _sum(texts: Iterable[bytes]) -> str:
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:16]


@functools.cache
def _version() -> bytes:
    return run([*compiler(), "--version"]).encode()


@functools.cache
def _headers(*flags: str) -> bytes:
    folders = [Path(flag[2:]) for flag in flags if flag.startswith("-I")]
    return b"\0".join(path.read_bytes() for it in folders for path in sorted(it.glob("*.h")))
