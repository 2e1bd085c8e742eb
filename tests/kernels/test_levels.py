"""FASTOBJ_ISA: what each level gives, and that a wrong one is an error at import."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernels.conftest import LEVELS, NOT_HERE

AVX512 = {"avx512f", "avx512bw", "avx512dq", "avx512vl"}


def _cpu_flags() -> set[str]:
    if platform.machine() != "x86_64":
        return set()
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return set(next(line for line in lines if line.startswith("flags")).split(":")[1].split())


FLAGS = _cpu_flags()
HERE = {
    "generic": True,
    "sse42": "sse4_2" in FLAGS,
    "avx2-no-sha": "avx2" in FLAGS,
    "avx2": "avx2" in FLAGS,
    "avx512-no-sha": FLAGS >= AVX512,
    "avx512": FLAGS >= AVX512,
}
KERNELS = ("chunked", "crc", "digest", "sigv4")


def _expected_digest_isa(level: str) -> dict[str, str]:
    sha_ni = level in ("sse42", "avx2", "avx512") and "sha_ni" in FLAGS
    wide = level.split("-")[0] if level.startswith("avx") else "generic"
    return {
        "md5": wide,
        "sha1": "sha_ni" if sha_ni else "generic",
        "sha256": "sha_ni" if sha_ni else wide,
    }


def _expected_isa(kernel: str, level: str) -> str | dict[str, str]:
    if kernel == "digest":
        return _expected_digest_isa(level)
    if level == "generic":
        return "generic"
    if kernel in ("sigv4", "chunked"):
        return _expected_digest_isa(level)["sha1"]
    if level.startswith("avx512") and "vpclmulqdq" in FLAGS:
        return "avx512"
    return "sse42" if "pclmulqdq" in FLAGS else "generic"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_level_gives_what_the_machine_has(load_kernel, kernel, level):
    if HERE[level]:
        assert _expected_isa(kernel, level) == load_kernel(kernel, level).ISA
    else:
        with pytest.raises(ImportError, match=NOT_HERE):
            load_kernel(kernel, level)


@pytest.mark.parametrize("kernel", KERNELS)
def test_best_level_is_the_default(load_kernel, kernel):
    best = [level for level in LEVELS if HERE[level]][-1]
    assert load_kernel(kernel, "").ISA == load_kernel(kernel, best).ISA


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("wrong", ["fastest", "SSE42", "sse", "generic "])
def test_unknown_level_is_an_import_error(kernel, wrong):
    done = subprocess.run(
        [sys.executable, "-c", f"import fastobj._ext.{kernel}"],
        env={**os.environ, "FASTOBJ_ISA": wrong},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "ImportError: FASTOBJ_ISA names no level" in done.stderr


@pytest.mark.parametrize("kernel", KERNELS)
def test_version_is_a_number(load_kernel, kernel):
    assert isinstance(load_kernel(kernel, "generic").VERSION, int)
