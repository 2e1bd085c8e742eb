"""`fastobj config`: what settings a server would use, and where each came from."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence

from fastobj.cli.main import Parser
from fastobj.core.setting_sources import (
    SettingsError,
    add_arguments,
    gather,
    load,
    raise_all,
    show,
    show_rows,
    spelled_out,
)
from fastobj.core.settings import Settings

_DESCRIPTION = (
    "show: print every setting with its origin, as a TOML file without the secrets, and which code "
    "each C kernel has chosen for this processor, or which library it has found. "
    "check: say whether a server would start with the settings, and all that it would object to."
)


def main(argv: Sequence[str]) -> int:
    """Shows or checks the settings; returns the exit status. Raises SettingsError."""
    parser = Parser("config", _DESCRIPTION)
    parser.add_argument("action", choices=("show", "check"), help="what to do")
    parser.add_argument("--json", action="store_true", help="show as JSON, for programs")
    add_arguments(parser)
    arguments = parser.parse_args(spelled_out(argv))
    if arguments.action == "check":
        settings, faults = gather(arguments, os.environ)
        # Only here: to show settings needs none of the server's modules.
        from fastobj.node import checks

        raise_all([*faults, *map(SettingsError, checks.faults(settings))])
        text = "the settings can be used"
    else:
        settings = load(arguments, os.environ)
        text = _as_json(settings) if arguments.json else "\n".join(_lines(settings))
    sys.stdout.write(f"{text}\n")
    return 0


def _lines(settings: Settings) -> Iterator[str]:
    """A file of settings; the kernels are remarks in it, for nobody sets them there."""
    yield from show(settings)
    yield "\n# kernels"
    origin = _isa_origin()
    for name, isa in _kernels().items():
        yield f"# {name} is {isa}, from {origin}"
    for name, library in _libraries().items():
        yield f"# {name} uses a library, {library}"


def _as_json(settings: Settings) -> str:
    kernels = {"value": _kernels(), "origin": _isa_origin()}
    libraries = {"value": _libraries(), "origin": "this machine"}
    shown = {**show_rows(settings), "kernels": kernels, "libraries": libraries}
    return json.dumps(shown, indent=2)


def _isa_origin() -> str:
    return "FASTOBJ_ISA" if os.environ.get("FASTOBJ_ISA") else "this processor"


def _kernels() -> dict[str, str]:
    """The code of each kernel. Raises SettingsError for a FASTOBJ_ISA that cannot be used."""
    # Only here: a server loads the kernels where it uses them.
    from fastobj.core.kernels import chosen

    try:
        return chosen()
    except ImportError as error:
        raise SettingsError(str(error)) from error


def _libraries() -> dict[str, str]:
    from fastobj.core.kernels import libraries

    return libraries()
