"""The digest kernel under AddressSanitizer and UndefinedBehaviorSanitizer, and its AVX-512 code on
machines that lack AVX-512."""

import platform

import pytest

from tests.kernels.test_kernels_table import KERNELS
from tests.kernels.test_sanitizers import FOLDER, HERE, SANITIZERS, WARNINGS, _compiler, _run

SECONDS = 3
FLAGS = (*WARNINGS, *SANITIZERS, "-g", "-O1", f"-I{FOLDER}", f"-I{HERE}")
AVX512_FILES = {"digest_md5_avx512.c", "digest_sha256_avx512.c"}
FILES = {*KERNELS["digest"], "fo_cpu.c"}


def _drive(driver, objects, seed, tmp_path):
    """Links the driver with these files of C or objects, and runs it."""
    program = str(tmp_path / driver)
    _run([*_compiler(), *FLAGS, str(HERE / f"{driver}.c"), *map(str, objects), "-o", program])
    assert "rounds" in _run([program, str(seed), str(SECONDS)], FASTOBJ_ISA="", LD_PRELOAD="")


def test_random_streams(seed, tmp_path):
    _drive("drive_digest", [FOLDER / name for name in FILES], seed, tmp_path)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the files are empty but for x86-64")
def test_avx512_on_a_model_of_its_instructions(seed, tmp_path):
    """For these files alone the header of the model stands before that of the compiler."""
    model = f"-I{HERE / 'avx512_model'}"
    objects = [tmp_path / f"{name}.o" for name in AVX512_FILES]
    for name, made in zip(AVX512_FILES, objects, strict=True):
        _run([*_compiler(), model, *FLAGS, "-c", str(FOLDER / name), "-o", str(made)])
    others = [FOLDER / name for name in FILES - AVX512_FILES]
    _drive("drive_digest_avx512", [*objects, *others], seed, tmp_path)


@pytest.mark.parametrize("optimisation", ["-O0", "-O2", "-O3"])
def test_compiles_without_a_warning(optimisation, tmp_path):
    output = str(tmp_path / "object.o")
    for name in sorted(FILES):
        source = str(FOLDER / name)
        _run([*_compiler(), *WARNINGS, optimisation, "-c", source, "-o", output])
