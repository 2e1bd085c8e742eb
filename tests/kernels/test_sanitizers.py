"""The C of the kernels under AddressSanitizer and UndefinedBehaviorSanitizer, fed by drive_*.c.

A missing compiler or sanitizer is a failure: a check that silently does not run is none.
"""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FOLDER = HERE.parents[1] / "src/fastobj/_ext"
SECONDS = 3

DRIVEN = {
    "blocks": ("blocks_impl.c", "crc_impl.c", "crc_sse42.c", "crc_avx512.c", "fo_cpu.c"),
    "crc": ("crc_impl.c", "crc_sse42.c", "crc_avx512.c", "fo_cpu.c"),
    "httphead": ("httphead_impl.c",),
    "sigv4": ("sigv4_impl.c", "digest_sha256.c", "digest_sha_ni.c", "fo_cpu.c"),
    "xmlout": ("xmlout_impl.c",),
}

WARNINGS = ("-std=gnu11", "-Wall", "-Wextra", "-Werror")
SANITIZERS = (
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
)


def _compiler() -> list[str]:
    command = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(command[0]) is None:
        pytest.fail(f"no C compiler: {command[0]!r} is not on the path (set CC, or install gcc)")
    return command


def _run(command: list[str], **environment: str) -> str:
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.fail(f"{shlex.join(command)}\n{done.stdout}{done.stderr}", pytrace=False)
    return done.stdout


@pytest.mark.parametrize("kernel", DRIVEN)
def test_random_inputs(kernel, seed, tmp_path):
    driver = tmp_path / f"drive_{kernel}"
    sources = [HERE / f"drive_{kernel}.c", *(FOLDER / name for name in DRIVEN[kernel])]
    flags = (*WARNINGS, *SANITIZERS, "-g", "-O1", f"-I{FOLDER}", f"-I{HERE}")
    _run([*_compiler(), *flags, *map(str, sources), "-o", str(driver)])
    # The program takes its own seed and level; a preloaded library would come before the runtime.
    assert "rounds" in _run([str(driver), str(seed), str(SECONDS)], FASTOBJ_ISA="", LD_PRELOAD="")


@pytest.mark.parametrize("optimisation", ["-O0", "-O2", "-O3"])
def test_compiles_without_a_warning(optimisation, tmp_path):
    for name in sorted({name for names in DRIVEN.values() for name in names}):
        output = str(tmp_path / "object.o")
        _run([*_compiler(), *WARNINGS, optimisation, "-c", str(FOLDER / name), "-o", output])
