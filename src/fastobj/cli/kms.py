"""`fastobj kms`: the keys of the local key service; shows ids and versions, never a key."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from fastobj.cli.main import Parser
from fastobj.core.setting_sources import add_arguments, load, spelled_out
from fastobj.kms import local
from fastobj.kms.base import KmsError
from fastobj.node import layout as layouts
from fastobj.node.encryption import key_file

_DESCRIPTION = (
    "list: show the keys that encrypt objects, and how many versions each has. "
    "create: make a key with the id that is given. "
    "rotate: add a version to a key, which wraps all that is encrypted from now on; what older "
    "versions wrapped stays readable. A running server sees each change with its next request."
)


def main(argv: Sequence[str]) -> int:
    """Lists, makes or rotates keys; returns the exit status. Raises KmsError, StoreError."""
    parser = Parser("kms", _DESCRIPTION)
    parser.add_argument("action", choices=("list", "create", "rotate"), help="what to do")
    parser.add_argument("directory", type=Path, help="the store's directory")
    parser.add_argument("key", nargs="?", help="the id of the key to create or rotate")
    add_arguments(parser)
    arguments = parser.parse_args(spelled_out(argv))
    if (arguments.key is None) != (arguments.action == "list"):
        parser.error("list takes a directory; create and rotate take a directory and a key")
    settings = load(arguments, os.environ)
    if settings.kms != "local":
        raise KmsError(f"kms is {settings.kms}: only the keys of kms local are made here")
    path = key_file(settings, layouts.find(arguments.directory))
    sys.stdout.write(_act(arguments.action, path, arguments.key))
    return 0


def _act(action: str, path: Path, key_id: str) -> str:
    if action == "create":
        local.create(path, key_id)
        return f"made the key {key_id} in {path}: back that file up, apart from the store\n"
    if action == "rotate":
        number = local.rotate(path, key_id)
        return f"{key_id} has version {number} now, in {path}: back that file up again\n"
    keys = local.read(path)
    if not keys:
        return f"there are no keys in {path} yet\n"
    lines = [f"{key_id}  {len(versions)} {_word(versions)}\n" for key_id, versions in keys.items()]
    return "".join(lines)


def _word(versions: Sequence[object]) -> str:
    return "version" if len(versions) == 1 else "versions"
