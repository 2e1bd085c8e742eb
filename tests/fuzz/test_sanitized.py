"""The kernels under AddressSanitizer and UndefinedBehaviorSanitizer: fuzz_*.c."""

import re
from pathlib import Path

import pytest

from tests.kernels.isal import carried_path
from tests.kernels.sanitized import FUZZERS, files_of, program, run
from tests.kernels.test_kernels_table import KERNELS

LONG_ROUNDS = 1_000_000

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
    return FUZZERS / f"fuzz_{kernel}.c"


def sources_of(kernel: str) -> list[Path]:
    """What it is compiled from: itself, and all files of the kernel in setup.py."""
    return [fuzzer_of(kernel), *files_of(kernel)]


def note(record_property, output: str) -> None:
    """Keeps and shows how many executions the output of a run names."""
    counts = [int(count) for count in re.findall(r"([0-9]+) executions, [0-9]+/s", output)]
    assert counts, output
    record_property("executions", sum(counts))
    print(output)


@pytest.mark.parametrize("is_long", [False, pytest.param(True, marks=pytest.mark.long)])
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel(kernel, is_long, seed, tmp_path, record_property):
    fuzzer = program(tmp_path / "fuzzer", sources_of(kernel))
    # The program forces levels itself; a preloaded library would come before the runtime.
    rounds = str(LONG_ROUNDS if is_long else ROUNDS[kernel])
    environment = {"FASTOBJ_ISA": "", "LD_PRELOAD": "", "FASTOBJ_TEST_ISAL": carried_path()}
    note(record_property, run([fuzzer, str(seed), rounds], **environment))
