"""The C of the kernels under AddressSanitizer and UndefinedBehaviorSanitizer, fed by drive_*.c."""

import platform

import pytest

from tests.kernels.isal import carried_path
from tests.kernels.sanitized import (
    FOLDER,
    HERE,
    SANITIZERS,
    WARNINGS,
    compiled,
    compiler,
    files_of,
    flags_for,
    program,
    run,
)

SECONDS = 1
LONG_SECONDS = 60
# ISA-L itself is not compiled for `rs`: what it reads too far, test_rs.py sees at guarded pages.
DRIVEN = ("blocks", "chunked", "crc", "digest", "httphead", "rs", "sigv4", "xmlout")
AVX512_FILES = {FOLDER / name for name in ("digest_md5_avx512.c", "digest_sha256_avx512.c")}

for_so_long = pytest.mark.parametrize(
    "seconds", [SECONDS, pytest.param(LONG_SECONDS, marks=pytest.mark.long)]
)


def drive(driver: str, seed: int, seconds: int, **environment: str) -> None:
    """Runs a driver: it takes its own seed and level, and its runtime comes before any library."""
    own = {"FASTOBJ_ISA": "", "LD_PRELOAD": "", "FASTOBJ_TEST_ISAL": carried_path()}
    assert "rounds" in run([driver, str(seed), str(seconds)], **own, **environment)


@for_so_long
@pytest.mark.parametrize("kernel", DRIVEN)
def test_random_inputs(kernel, seconds, seed, tmp_path):
    sources = [HERE / f"drive_{kernel}.c", *files_of(kernel)]
    drive(program(tmp_path / "driver", sources), seed, seconds)


@for_so_long
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the files are empty but for x86-64")
def test_avx512_on_a_model_of_its_instructions(seconds, seed, tmp_path):
    """For these files alone the header of the model stands before that of the compiler."""
    model = [f"-I{HERE / 'avx512_model'}", *flags_for(SANITIZERS)]
    modelled = [compiled(source, model) for source in sorted(AVX512_FILES)]
    others = [file for file in files_of("digest") if file not in AVX512_FILES]
    sources = [HERE / "drive_digest_avx512.c", *others]
    drive(program(tmp_path / "driver", sources, ready=modelled), seed, seconds)


@for_so_long
@pytest.mark.parametrize("sanitizers", ["thread", SANITIZERS])
def test_random_pieces(sanitizers, seconds, seed, tmp_path):
    """The pool of segio, with the recorder on."""
    sources = [HERE / "drive_segio.c", *files_of("segio")]
    driver = program(tmp_path / "driver", sources, sanitizers)
    record = {"DRIVE_RECORD": str(tmp_path / "record"), "DRIVE_COUNTER": str(tmp_path / "counter")}
    for faults in ({}, {"DRIVE_FAULTS": "1"}):
        drive(driver, seed, seconds, **record, **faults)
    (tmp_path / "record").unlink()


@pytest.mark.parametrize(
    "optimisation", ["-O2", *(pytest.param(it, marks=pytest.mark.long) for it in ("-O0", "-O3"))]
)
@pytest.mark.parametrize("source", sorted(FOLDER.glob("*.c")), ids=lambda path: path.name)
def test_compiles_without_a_warning(source, optimisation, tmp_path):
    output = str(tmp_path / "object.o")
    run([*compiler(), *WARNINGS, optimisation, "-c", str(source), "-o", output])
