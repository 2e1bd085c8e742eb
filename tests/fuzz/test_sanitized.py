"""The kernels under AddressSanitizer and UndefinedBehaviorSanitizer: fuzz_*.c.

A missing compiler or sanitizer is a failure: a check that silently does not run is none.
"""

import re
from pathlib import Path

import pytest

from tests.kernels.isal import carried_path
from tests.kernels.test_kernels_table import FOLDER, KERNELS, ROOT
from tests.kernels.test_sanitizers import SANITIZERS, WARNINGS, _compiler, _run

HERE = Path(__file__).parent
DRIVERS = ROOT / "tests/kernels"
LONG_TIMES = 50

pytestmark = pytest.mark.timeout(1800)

# Kernel -> rounds of its fuzzer in C in a normal run.
ROUNDS = {
    "blocks": 30_000,
    "chunked": 5_000,
    "crc": 3_000,
    "digest": 3_000,
    "httphead": 20_000,
    "pagesum": 1_000,
    "rs": 2_000,
    "segio": 10_000,
    "sigv4": 15_000,
    "xmlout": 30_000,
}


def fuzzer_of(kernel: str) -> Path:
    """The C fuzzer of a kernel."""
    return HERE / f"fuzz_{kernel}.c"


def sources_of(kernel: str) -> list[Path]:
    """What it is compiled from: itself, and all files of the kernel in setup.py."""
    return [fuzzer_of(kernel), *(FOLDER / name for name in (*KERNELS[kernel], "fo_cpu.c"))]


def note(record_property, output: str) -> None:
    """Keeps and shows how many executions the output of a run names."""
    counts = [int(count) for count in re.findall(r"([0-9]+) executions, [0-9]+/s", output)]
    assert counts, output
    record_property("executions", sum(counts))
    print(output)


@pytest.mark.parametrize("times", [1, pytest.param(LONG_TIMES, marks=pytest.mark.long)])
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel(kernel, times, seed, tmp_path, record_property):
    fuzzer = str(tmp_path / f"fuzz_{kernel}")
    includes = [f"-I{folder}" for folder in (FOLDER, HERE, DRIVERS)]
    flags = [*WARNINGS, *SANITIZERS, "-g", "-O1", "-pthread", *includes]
    _run([*_compiler(), *flags, *map(str, sources_of(kernel)), "-o", fuzzer, "-ldl"])
    # The program forces levels itself; a preloaded library would come before the runtime.
    rounds = str(ROUNDS[kernel] * times)
    environment = {"FASTOBJ_ISA": "", "LD_PRELOAD": "", "FASTOBJ_TEST_ISAL": carried_path()}
    note(record_property, _run([fuzzer, str(seed), rounds], **environment))
