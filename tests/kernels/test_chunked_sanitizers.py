"""The chunked kernel under AddressSanitizer and UndefinedBehaviorSanitizer, by drive_chunked.c."""

import pytest

from tests.kernels.test_kernels_table import KERNELS
from tests.kernels.test_sanitizers import FOLDER, HERE, SANITIZERS, WARNINGS, _compiler, _run

SECONDS = 3


def test_random_uploads(seed, tmp_path):
    driver = tmp_path / "drive_chunked"
    kernel = [FOLDER / name for name in (*KERNELS["chunked"], "fo_cpu.c")]
    flags = (*WARNINGS, *SANITIZERS, "-g", "-O1", f"-I{FOLDER}", f"-I{HERE}")
    sources = map(str, (HERE / "drive_chunked.c", *kernel))
    _run([*_compiler(), *flags, *sources, "-o", str(driver)])
    assert "rounds" in _run([str(driver), str(seed), str(SECONDS)], FASTOBJ_ISA="", LD_PRELOAD="")


@pytest.mark.parametrize("optimisation", ["-O0", "-O2", "-O3"])
def test_compiles_without_a_warning(optimisation, tmp_path):
    output = str(tmp_path / "object.o")
    source = str(FOLDER / "chunked_impl.c")
    _run([*_compiler(), *WARNINGS, optimisation, "-c", source, "-o", output])
