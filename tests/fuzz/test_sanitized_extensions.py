"""The extensions under AddressSanitizer and UndefinedBehaviorSanitizer, fuzzed from Python.

They are built for it, which takes half a minute: in a file apart, so that only one of several
workers does it. A missing compiler or sanitizer is a failure.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.test_fuzzers import LONG_TIMES
from tests.fuzz.test_sanitized import note
from tests.kernels.sanitized import compiler
from tests.kernels.test_kernels_table import ROOT

pytestmark = pytest.mark.timeout(1800)

# Kernel -> the fuzzers of `fuzzers.py` that call it. They run with the sanitized extensions too.
PYTHON_FUZZERS = {
    "blocks": ("blocks",),
    "chunked": ("uploads",),
    "crc": ("sums",),
    "digest": ("digests",),
    "httphead": ("heads",),
    "pagesum": ("pages",),
    "rs": ("shards",),
    "segio": ("piece-heads", "pieces"),
    "sigv4": ("signatures", "signing-keys", "values"),
    "xmlout": ("entries",),
}
SANITIZED = {**PYTHON_FUZZERS, "http": ("chunks",)}
SANITIZED_PART = 20  # so many times fewer rounds than without sanitizers

# Reads 22 bytes too many from the C heap, through an extension.
OVERREAD = """
import ctypes
from fastobj._ext import sigv4
malloc = ctypes.CDLL(None).malloc
malloc.restype = ctypes.c_void_p
sigv4.sha256((ctypes.c_char * 32).from_address(malloc(10)))
"""


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    """A copy of the package whose extensions are sanitized; the one that is installed stays."""
    tree = tmp_path_factory.mktemp("sanitized")
    shutil.copy(ROOT / "setup.py", tree)
    unwanted = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "src", tree / "src", ignore=unwanted)
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    environment = {**os.environ, "FASTOBJ_SANITIZE": "address,undefined"}
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return tree / "src"


def _runtime() -> str:
    """The library of AddressSanitizer, which must be in the process before anything else."""
    command = [*compiler(), "-print-file-name=libasan.so"]
    path = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert Path(path).is_file(), f"no libasan.so: {path!r}"
    return path


def _python(sanitized: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "LD_PRELOAD": _runtime(),
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter does not free all at its end
        "PYTHONMALLOC": "malloc",  # else small objects lie in pools that the sanitizer cannot see
        "PYTHONPATH": os.pathsep.join([str(sanitized), str(ROOT)]),
    }
    return subprocess.run(
        [sys.executable, "-P", *arguments],
        cwd=sanitized,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_sanitized_build_is_used_and_sees_an_overread(sanitized):
    show = "from fastobj._ext import crc, segio, sigv4; print(crc.__file__)"
    done = _python(sanitized, "-c", show)
    assert Path(done.stdout.strip()).is_relative_to(sanitized), done.stdout + done.stderr
    done = _python(sanitized, "-c", OVERREAD)
    assert done.returncode != 0
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr


@pytest.mark.parametrize("times", [1, pytest.param(LONG_TIMES, marks=pytest.mark.long)])
@pytest.mark.parametrize("group", SANITIZED)
def test_fuzzers_with_sanitized_extensions(sanitized, group, times, seed, record_property):
    options = ["--seed", str(seed), "--times", str(times), "--part", str(SANITIZED_PART)]
    done = _python(sanitized, "-m", "tests.fuzz.run", *SANITIZED[group], *options, "--unbounded")
    if done.returncode != 0:
        pytest.fail(done.stdout + done.stderr, pytrace=False)
    note(record_property, done.stdout)
