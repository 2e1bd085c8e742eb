"""Builds the C kernels of `fastobj._ext`; all other facts of the package are in pyproject.toml.

A new kernel is one row in KERNELS and its files: `<kernel>.pyx` (thin), `.pyi`, `<kernel>_impl.*`.
Cython writes its C below build/, so the source tree only gains the git-ignored `.so` files.
`FASTOBJ_SANITIZE=address,undefined` builds with those sanitizers.
"""

import os
from collections import defaultdict
from glob import glob
from pathlib import Path
from threading import Lock
from typing import Any

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FOLDER = "src/fastobj/_ext"
BUILD = "build/cython"

CRC = ("crc_impl.c", "crc_sse42.c", "crc_avx512.c")
SHA256 = ("digest_sha256.c", "digest_sha_ni.c")
DIGEST = (
    "digest_impl.c",
    "digest_schedule.c",
    "digest_md5.c",
    "digest_md5_avx2.c",
    "digest_md5_avx512.c",
    "digest_sha1.c",
    "digest_sha1_ni.c",
    *SHA256,
    "digest_sha256_avx2.c",
    "digest_sha256_avx512.c",
)
CHUNKED = ("chunked_impl.c", "sigv4_impl.c", *DIGEST)
SEGIO = ("segio_impl.c", "segio_hash.c", "segio_pool.c", "segio_record.c", "segio_fault.c")

# Kernel -> its hand-written C files. Every kernel also gets the CPU probe. A kernel that uses the
# functions of another one lists those files too: extensions share headers, never symbols.
KERNELS = {
    "blocks": ("blocks_impl.c", *CRC),
    "chunked": CHUNKED,
    "crc": CRC,
    "digest": DIGEST,
    "httphead": ("httphead_impl.c",),
    "pagesum": ("pagesum_impl.c", *CRC),
    "rs": ("rs_impl.c",),
    "segio": (*SEGIO, *CRC, *CHUNKED),
    "sigv4": ("sigv4_impl.c", *SHA256),
    "xmlout": ("xmlout_impl.c",),
}

# Flags that one kernel alone needs, to be linked; a C file is compiled the same for all.
LINK_FLAGS = {"segio": ("-pthread",), "rs": ("-ldl",)}

# No -march: the ISA files name their targets function by function, and the probe picks at import.
COMPILE_FLAGS = ("-std=gnu11", "-O2", "-Wall", "-fvisibility=hidden")

DIRECTIVES = {"language_level": "3", "freethreading_compatible": True}


def sanitizer_flags() -> tuple[str, ...]:
    """The flags that the environment asks for; none as a rule."""
    names = os.environ.get("FASTOBJ_SANITIZE", "")
    if not names:
        return ()
    # -O1 drops fewer accesses than -O2 before they are checked; -g1 names lines in reports.
    found = (f"-fsanitize={names}", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
    return (*found, "-O1", "-g1")


def flags_stamp() -> str:
    """A file that changes only when the flags do, so that new flags rebuild and old ones do not."""
    stamp = Path(BUILD, "flags.txt")
    text = " ".join(sanitizer_flags())
    if not stamp.exists() or stamp.read_text() != text:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(text)
    return str(stamp)


def extension(kernel: str, files: tuple[str, ...]) -> Extension:
    """One row of KERNELS as an extension module."""
    return Extension(
        f"fastobj._ext.{kernel}",
        [f"{FOLDER}/{name}" for name in (f"{kernel}.pyx", *files, "fo_cpu.c")],
        include_dirs=[FOLDER],
        extra_compile_args=[*COMPILE_FLAGS, *sanitizer_flags()],
        extra_link_args=[*LINK_FLAGS.get(kernel, ()), *sanitizer_flags()],
    )


class BuildOnce(build_ext):
    """Compiles a C file once that several kernels are made of, on all processors."""

    def build_extensions(self) -> None:
        """Builds what has changed."""
        compile_all = self.compiler.compile
        turns: defaultdict[str, Lock] = defaultdict(Lock)
        made: dict[str, list[str]] = {}

        def compile_once(sources: list[str], *args: Any, **options: Any) -> list[str]:
            for source in sources:
                with turns[source]:
                    if source not in made:
                        made[source] = compile_all([source], *args, **options)
            return [built for source in sources for built in made[source]]

        self.compiler.compile = compile_once
        self.parallel = self.parallel or os.cpu_count()
        super().build_extensions()


def main() -> None:
    """Entry for setuptools, which runs this file as `__main__`."""
    extensions = cythonize(
        [extension(kernel, files) for kernel, files in KERNELS.items()],
        build_dir=BUILD,
        compiler_directives=DIRECTIVES,
    )
    for built in extensions:  # set here, because Cython copies what it finds there into BUILD
        built.depends = ["setup.py", *sorted(glob(f"{FOLDER}/*.h")), flags_stamp()]
    setup(package_dir={"": "src"}, ext_modules=extensions, cmdclass={"build_ext": BuildOnce})


if __name__ == "__main__":
    main()
