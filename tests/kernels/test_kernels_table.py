"""KERNELS of setup.py, the files of the folder and the modules that import are the same list."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "src/fastobj/_ext"


def _kernels() -> dict[str, tuple[str, ...]]:
    """The table as written: setup.py itself needs the build tools, which tests need not have."""
    body = ast.parse((ROOT / "setup.py").read_text()).body
    assigned = ast.Module([node for node in body if isinstance(node, ast.Assign)], [])
    names: dict[str, dict[str, tuple[str, ...]]] = {}
    exec(compile(assigned, "setup.py", "exec"), names)
    return names["KERNELS"]


KERNELS = _kernels()


def test_table_names_every_pyx_file():
    assert set(KERNELS) == {path.stem for path in FOLDER.glob("*.pyx")}


def test_table_names_every_c_file():
    listed = {name for files in KERNELS.values() for name in files}
    assert listed | {"fo_cpu.c"} == {path.name for path in FOLDER.glob("*.c")}


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_imports_and_names_its_choice(kernel):
    module = importlib.import_module(f"fastobj._ext.{kernel}")
    assert module.ISA
    assert module.VERSION


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_has_its_files(kernel):
    for name in (f"{kernel}.pyi", f"{kernel}_impl.c", f"{kernel}_impl.h"):
        assert (FOLDER / name).is_file(), name


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.[ch]")), ids=lambda path: path.name)
def test_c_files_know_nothing_of_python(path):
    assert "Python.h" not in path.read_text()
