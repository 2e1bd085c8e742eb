"""The pool of segio under ThreadSanitizer and, with the recorder on, under AddressSanitizer."""

import pytest

from tests.kernels.test_kernels_table import KERNELS
from tests.kernels.test_sanitizers import FOLDER, HERE, WARNINGS, _compiler, _run

SOURCES = (*KERNELS["segio"], "fo_cpu.c")
SECONDS = 2


@pytest.mark.parametrize("sanitizers", ["thread", "address,undefined"])
def test_random_pieces(sanitizers, seed, tmp_path):
    driver = tmp_path / "drive_segio"
    sources = [HERE / "drive_segio.c", *(FOLDER / name for name in SOURCES)]
    sanitizing = (f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", "-g", "-O1")
    flags = (*WARNINGS, *sanitizing, "-pthread", f"-I{FOLDER}", f"-I{HERE}")
    _run([*_compiler(), *flags, *map(str, sources), "-o", str(driver)])
    record = {"DRIVE_RECORD": str(tmp_path / "record"), "DRIVE_COUNTER": str(tmp_path / "counter")}
    environment = {"FASTOBJ_ISA": "", "LD_PRELOAD": "", **record}
    for faults in ({}, {"DRIVE_FAULTS": "1"}):
        assert "rounds" in _run([str(driver), str(seed), str(SECONDS)], **environment, **faults)
    (tmp_path / "record").unlink()
