#!/bin/sh
# Make .venv and the C kernels: `build` for running fastobj, `dev` with the tools of tests and checks.
# A step runs again only when what it was made from has changed: each keeps a stamp in .venv/stamps.
set -eu
cd "$(dirname "$0")/.."

mode=${1:-build}
stamps=.venv/stamps
oldest='(3, 11)'
PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1
export PIP_DISABLE_PIP_VERSION_CHECK PIP_ROOT_USER_ACTION PIP_NO_INPUT

say() { echo "build: $*"; }
fail() { echo "build: $*" >&2; exit 1; }

is_new_enough() { "$1" -c "import sys; sys.exit(sys.version_info < $oldest)" 2>/dev/null; }

base_of() { "$1" -c 'import os, sys; print(os.path.realpath(sys._base_executable))'; }

has_headers() {
    "$1" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
}

has_ensurepip() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

has_libc_headers() { echo '#include <stdio.h>' | "${CC:-cc}" -E - >/dev/null 2>&1; }

# The first interpreter that has all it needs, else the first that is new enough. An interpreter of
# an environment stands for the one it was made from: ours cannot be made by itself.
choose_python() {
    found=
    for name in ${PYTHON:-python3.14 python3.13 python3.12 python3.11 python3}; do
        is_new_enough "$name" || continue
        name=$(base_of "$name")
        : "${found:=$name}"
        if has_headers "$name" && has_ensurepip "$name"; then found=$name; break; fi
    done
    echo "$found"
}

# Debian packages that this machine lacks, for the interpreter $1 (empty: none was found).
missing_packages() {
    if ! command -v "${CC:-cc}" >/dev/null; then echo gcc libc6-dev
    elif ! has_libc_headers; then echo libc6-dev; fi
    if [ -z "$1" ]; then echo python3 python3-dev python3-venv; return; fi
    if [ "$("$1" -c 'import sys; print(sys.base_prefix)')" = /usr ]; then
        part=$("$1" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
        has_headers "$1" || echo "$part-dev"
        has_ensurepip "$1" || echo "$part-venv"
    elif ! has_headers "$1" || ! has_ensurepip "$1"; then
        fail "$1 lacks Python.h or ensurepip, and no package brings them: make PYTHON=another"
    fi
}

provide_packages() {
    missing=$(missing_packages "$1") || exit 1
    missing=$(echo $missing)
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        fail "please install, then run make again: $missing"
    fi
    say "installing $missing"
    apt-get update -q
    # Unquoted: a list of names.
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing
}

# The environment runs, is not that of a moved checkout, and is of the interpreter asked for, if any.
venv_stands() {
    is_new_enough .venv/bin/python && grep -qsF "$PWD/.venv/" .venv/bin/pip || return 1
    [ -z "${PYTHON:-}" ] || [ "$(base_of "$PYTHON" 2>/dev/null)" = "$(base_of .venv/bin/python)" ]
}

make_venv() {
    if venv_stands; then return; fi
    python=$(choose_python)
    [ -z "${PYTHON:-}" ] || [ -n "$python" ] || fail "$PYTHON does not run, or is older than 3.11"
    provide_packages "$python"
    [ -n "$python" ] || python=$(choose_python)
    [ -n "$python" ] || fail "no Python 3.11 or later was found; name one: make PYTHON=/path/to/python3"
    say "making .venv with $("$python" -c 'import sys; print(sys.executable, sys.version.split()[0])')"
    "$python" -m venv --clear .venv
}

# Run a step ($3 and on) unless the stamp $1 already holds the value $2.
once() {
    stamp=$stamps/$1 value=$2
    shift 2
    [ "$(cat "$stamp" 2>/dev/null)" = "$value" ] && return
    rm -f "$stamp"
    "$@"
    echo "$value" >"$stamp"
}

# Dependency groups need pip 25.1.
upgrade_pip() { .venv/bin/python -m pip install -q --upgrade 'pip>=25.1'; }

install_group() {
    say "installing the $1 group"
    .venv/bin/python -m pip install -q --group "$1"
}

kernel_sources() {
    find src/fastobj/_ext -name '*.py[xd]' -o -name '*.px[di]' -o -name '*.[ch]' | LC_ALL=C sort
}

# Every kernel has its module: someone may have removed one without its stamp.
kernels_stand() {
    for source in src/fastobj/_ext/*.pyx; do
        [ -e "$source" ] || continue
        ls "${source%.pyx}".*.so >/dev/null 2>&1 || return 1
    done
}

# One after the other: kernels share C files, and so the objects made from them.
build_kernels() {
    say "building the kernels"
    .venv/bin/python setup.py -q build_ext --inplace
}

# So that the first start is as quick as the next, also where Python may not write bytecode.
compile_bytecode() { .venv/bin/python -m compileall -q src/fastobj; }

sources_sum() { find src/fastobj -name '*.py' | LC_ALL=C sort | xargs cksum | cksum; }

install_fastobj() {
    say "installing fastobj"
    .venv/bin/python -m pip install -q --no-build-isolation --editable .
}

# Two builds at once would tread on each other.
if command -v flock >/dev/null; then
    exec 9<pyproject.toml
    flock 9
fi

make_venv
mkdir -p $stamps
once pip 25.1 upgrade_pip
project=$(cksum <pyproject.toml)
once build "$project" install_group build
kernels_stand || rm -f $stamps/kernels
once kernels "$(kernel_sources | xargs cksum setup.py | cksum)" build_kernels
once install "$project" install_fastobj
once bytecode "$(sources_sum)" compile_bytecode
if [ "$mode" = dev ]; then
    once test "$project" install_group test
    once lint "$project" install_group lint
fi
