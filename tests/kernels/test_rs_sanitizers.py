"""The rs kernel under AddressSanitizer and UndefinedBehaviorSanitizer, by drive_rs.c.

ISA-L itself is not compiled for them: what it reads too far, test_rs.py sees at guarded pages.
"""

import pytest

from tests.kernels.isal import carried_path
from tests.kernels.test_sanitizers import FOLDER, HERE, SANITIZERS, WARNINGS, _compiler, _run

SECONDS = 2


def test_random_stripes(seed, tmp_path):
    driver = str(tmp_path / "drive_rs")
    flags = (*WARNINGS, *SANITIZERS, "-g", "-O1", f"-I{FOLDER}", f"-I{HERE}")
    sources = (str(HERE / "drive_rs.c"), str(FOLDER / "rs_impl.c"))
    _run([*_compiler(), *flags, *sources, "-o", driver, "-ldl"])
    environment = {"FASTOBJ_TEST_ISAL": carried_path(), "LD_PRELOAD": ""}
    assert "rounds" in _run([driver, str(seed), str(SECONDS)], **environment)


@pytest.mark.parametrize("optimisation", ["-O0", "-O2", "-O3"])
def test_compiles_without_a_warning(optimisation, tmp_path):
    output = str(tmp_path / "object.o")
    source = str(FOLDER / "rs_impl.c")
    _run([*_compiler(), *WARNINGS, optimisation, "-c", source, "-o", output])
