"""`fastobj kms`: the keys of the key service; shows ids and versions, never a key."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastobj.cli.main import Parser
from fastobj.core.setting_sources import add_arguments, load, spelled_out
from fastobj.core.settings import Settings
from fastobj.kms import local
from fastobj.kms.base import KmsError
from fastobj.kms.local import LocalKms
from fastobj.node import layout as layouts
from fastobj.node.encryption import key_file, key_service, vault

if TYPE_CHECKING:
    from fastobj.node.kms_retirement import KeyStatus, Status

_DESCRIPTION: Final = (
    "list: show the keys that encrypt objects, and how many versions each has. "
    "create: make a key with the id that is given. "
    "rotate: add a version to a key, which wraps all that is encrypted from now on. What older "
    "versions wrapped stays readable, and a running server wraps it anew in the background. "
    "status: show how far it is. "
    "retire: have older versions of a key open nothing any more, if nothing in the store needs "
    "them; no server may run on it meanwhile."
)
_OF_ALL_KEYS: Final = ("list", "status")


def main(argv: Sequence[str]) -> int:
    """Does what the action says; returns the exit status. Raises KmsError, StoreError."""
    parser = Parser("kms", _DESCRIPTION)
    actions = ("list", "create", "rotate", "status", "retire")
    parser.add_argument("action", choices=actions, help="what to do")
    parser.add_argument("directory", type=Path, help="the store's directory")
    parser.add_argument("key", nargs="?", help="the id of the key to create, rotate or retire")
    add_arguments(parser)
    arguments = parser.parse_args(spelled_out(argv))
    if (arguments.key is None) != (arguments.action in _OF_ALL_KEYS):
        parser.error(
            "list and status take a directory; create, rotate and retire take a directory and a key"
        )
    settings = load(arguments, os.environ)
    if settings.kms == "off":
        raise KmsError("kms is off: give --kms as the server has it")
    act = _act(settings, arguments.directory, arguments.action, arguments.key)
    sys.stdout.write(asyncio.run(act))
    return 0


async def _act(settings: Settings, directory: Path, action: str, key_id: str) -> str:
    if action == "status":
        return await _status(settings, directory)
    if action == "retire":
        return await _retire(settings, directory, key_id)
    if settings.kms == "vault":
        return await _act_on_vault(settings, action, key_id)
    return _act_on_file(key_file(settings, layouts.find(directory)), action, key_id)


def _act_on_file(path: Path, action: str, key_id: str) -> str:
    if action == "create":
        local.create(path, key_id)
        return f"made the key {key_id} in {path}: back that file up, apart from the store\n"
    if action == "rotate":
        number = local.rotate(path, key_id)
        return f"{key_id} has version {number} now, in {path}: back that file up again\n"
    keys = local.read(path)
    if not keys:
        return f"there are no keys in {path} yet\n"
    lines = [f"{key_id}  {_count(versions)}\n" for key_id, versions in keys.items()]
    return "".join(lines)


def _count(versions: Sequence[object]) -> str:
    retired = versions.count(None)
    word = "version" if len(versions) == 1 else "versions"
    return f"{len(versions)} {word}" + (f", {retired} of them retired" if retired else "")


async def _act_on_vault(settings: Settings, action: str, key_id: str) -> str:
    kms = vault(settings)
    try:
        if action == "create":
            await kms.create(key_id)
            return f"made the key {key_id} in {kms.place}\n"
        if action == "rotate":
            return f"{key_id} has version {await kms.rotate(key_id)} now, in {kms.place}\n"
        keys = await kms.keys()
        lines = [f"{key_id}  version {version}\n" for key_id, version in keys.items()]
        return "".join(lines) or f"there are no keys in {kms.place} yet\n"
    finally:
        await kms.close()


# --- rewrapping


async def _status(settings: Settings, directory: Path) -> str:
    from fastobj.node import kms_retirement

    kms = key_service(settings, layouts.find(directory))
    assert kms is not None, "kms is not off"
    try:
        found = await kms_retirement.status(directory, kms)
    finally:
        await kms.close()
    lines = [*map(_key_line, found.keys), *_pass_lines(found)]
    return "".join(f"{line}\n" for line in lines) or "nothing is encrypted with a key here yet\n"


def _key_line(key: KeyStatus) -> str:
    if not key.newest:
        return f"{key.id}  is not there any more: what it has wrapped cannot be read"
    if key.needed >= key.newest:
        return f"{key.id}  version {key.newest}; older ones are not needed"
    return f"{key.id}  version {key.newest}; those from {key.needed} on may still be needed"


def _pass_lines(found: Status) -> list[str]:
    record = found.rewrapping
    if record is None:
        return []
    counts = f"{record.rewrapped} rewrapped, {sum(record.failed.values())} failed"
    if not record.finished_ns:
        return [f"rewrapping goes on: {counts} until lately"]
    lines = [f"the last pass of rewrapping: {counts}"]
    if record.again_ns:
        lines.append("another one looks for stragglers, a day behind it")
    return lines


async def _retire(settings: Settings, directory: Path, key_id: str) -> str:
    from fastobj.node import kms_retirement

    layout = layouts.find(directory)
    if settings.kms == "vault":
        kms = vault(settings)
        try:
            newest = await kms_retirement.check_unused(directory, kms, key_id)
            await kms.retire(key_id, newest)
        finally:
            await kms.close()
        return f"versions of {key_id} below {newest} open nothing any more, in {kms.place}\n"
    path = key_file(settings, layout)
    keys = LocalKms(path, settings.kms_key_id)
    newest = await kms_retirement.check_unused(directory, keys, key_id)
    local.retire(path, key_id, newest)
    return f"versions of {key_id} below {newest} are no longer in {path}: back that file up again\n"
