"""Check 67: every kernel is fuzzed under the sanitizers, in C and from Python.

The runs are in tests/fuzz. Here stands that none of the kernels is left out of them.
"""

import pytest

from tests.fuzz import test_sanitized, test_sanitized_extensions
from tests.fuzz.fuzzers import FUZZERS
from tests.kernels.test_kernels_table import FOLDER, KERNELS


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_has_a_fuzzer_in_c(kernel):
    source = test_sanitized.fuzzer_of(kernel)
    assert source.is_file(), f"write {source}: see fuzz.h beside it"
    assert "fuzz(arguments, " in source.read_text()
    assert test_sanitized.ROUNDS[kernel] >= 1_000


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_has_a_fuzzer_in_python(kernel):
    assert test_sanitized_extensions.PYTHON_FUZZERS[kernel], f"name the fuzzers that use {kernel}"
    assert set(test_sanitized_extensions.PYTHON_FUZZERS[kernel]) <= set(FUZZERS)


def test_no_other_kernels_are_named():
    assert (
        set(test_sanitized.ROUNDS) == set(test_sanitized_extensions.PYTHON_FUZZERS) == set(KERNELS)
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_sanitizers_see_all_its_files(kernel):
    """Every file of the table is compiled into the fuzzer, and with it every other C file."""
    compiled = {path.name for path in test_sanitized.sources_of(kernel)}
    assert {*KERNELS[kernel], "fo_cpu.c", f"fuzz_{kernel}.c"} == compiled
    assert f"{kernel}_impl.c" in compiled
    assert all(path.is_file() for path in (FOLDER / name for name in KERNELS[kernel]))
