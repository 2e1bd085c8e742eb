"""Where settings come from: flags, environment, a file, defaults; and how they are shown.

The first source that has a value wins. What is no setting is refused, with the nearest name, in
each of the sources. A secret is never shown, and never stands in an error or its cause.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, NamedTuple

from fastobj.core import limits
from fastobj.core.errors import FastobjError
from fastobj.core.nearest import nearest
from fastobj.core.setting_kinds import OF_ROWS, SWITCH, Address, as_text
from fastobj.core.settings import (
    DEFAULT_ORIGIN,
    SETTINGS,
    VARIABLE_PREFIX,
    Setting,
    Settings,
)

FILE_SUFFIX: Final = "_FILE"
CONFIG_VARIABLE: Final = VARIABLE_PREFIX + "CONFIG"
YAML_SUFFIXES: Final = (".yaml", ".yml")

# Variables that are no settings: what forces a code path in tests, and how tests are run.
_FOR_TESTS: Final = frozenset(
    {
        "FASTOBJ_CLOCK_SHIFT",
        "FASTOBJ_CRASH_AT",
        "FASTOBJ_CRASH_ROLE",
        "FASTOBJ_FAULTS",
        "FASTOBJ_FAULTS_COUNTED",
        "FASTOBJ_IO_RECORD",
        "FASTOBJ_ISA",
        "FASTOBJ_SANITIZE",
    }
)
_FOR_TESTS_PREFIX: Final = "FASTOBJ_TEST_"
# Kubernetes gives each container such variables for services; one named fastobj is likely.
_OF_KUBERNETES: Final = re.compile(r"FASTOBJ_(\w+_)?(SERVICE_(HOST|PORT)|PORT_\d+_)")

_VALUE_FILE_CHARACTERS_MAX: Final = limits.MIB
_EPILOG: Final = (
    "Each setting may also stand in the environment as FASTOBJ_NAME (capitals, underscores), or in"
    " a file that FASTOBJ_NAME_FILE names, or as `name = value` in FILE, which FASTOBJ_CONFIG may"
    " name too. The first of flag, environment, FILE and default wins. Secrets have no flag: every"
    " user of a machine sees command lines."
)
_ADVICE: Final = "`fastobj config show` lists all settings"
_BY_NAME: Final = {setting.name: setting for setting in SETTINGS}
_SWITCHES: Final = frozenset(f"--{s.name}" for s in SETTINGS if s.kind is SWITCH)
_OUR_VARIABLES: Final = (
    CONFIG_VARIABLE,
    *(setting.variables[0] + suffix for setting in SETTINGS for suffix in ("", FILE_SUFFIX)),
)
_DEFAULTS: Final = Settings()


class SettingsError(FastobjError):
    """A setting cannot be used; the text names its origin and the cure.

    `usage` is true where the command line itself is wrong.
    """

    def __init__(self, message: str, *, usage: bool = False) -> None:
        super().__init__(message)
        self.usage = usage


class Value(NamedTuple):
    """Text as a source gave it, and where it stood."""

    text: str
    origin: str

    def __repr__(self) -> str:
        return f"Value(from {self.origin})"  # the text may be a secret


def raise_all(faults: Sequence[SettingsError]) -> None:
    """Raises SettingsError with every fault in its text, if there are any."""
    if len(faults) == 1:
        raise faults[0]
    if faults:
        lines = "".join(f"\n  {fault}" for fault in faults)
        usage = any(fault.usage for fault in faults)
        raise SettingsError(f"{len(faults)} faults in the settings:{lines}", usage=usage)


# Sources, the strongest first ---------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--config` and a flag for each setting that is not secret; their values stay text."""
    parser.epilog = _EPILOG
    parser.add_argument("--config", metavar="FILE", help="TOML or YAML file with settings")
    groups = {setting.group: parser.add_argument_group(setting.group) for setting in SETTINGS}
    for setting in SETTINGS:
        if setting.secret:
            continue
        bare: dict[str, str] = {"nargs": "?", "const": "true"} if setting.kind is SWITCH else {}
        groups[setting.group].add_argument(
            f"--{setting.name}",
            metavar=setting.kind.metavar,
            help=argparse.SUPPRESS if setting.hidden else _help(setting),
            **bare,  # type: ignore[arg-type]  # both are texts
        )


def _help(setting: Setting) -> str:
    default = getattr(_DEFAULTS, setting.field)
    shown = "" if default in ("", ()) or "default:" in setting.help else as_text(default)
    return (setting.help + (f" (default: {shown})" if shown else "")).replace("%", "%%")


def spelled_out(words: Sequence[str]) -> list[str]:
    """The words of a command with `=true` behind each bare switch: it takes no word after it."""
    return [
        f"{word}=true" if word in _SWITCHES and not _is_switch_word(following) else word
        for word, following in zip_longest(words, words[1:], fillvalue="")
    ]


def _is_switch_word(word: str) -> bool:
    try:
        SWITCH.parse(word)
    except ValueError:
        return False
    return True


def load(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Settings:
    """The settings from all sources. Raises SettingsError."""
    settings, faults = gather(arguments, environ)
    raise_all(faults)
    return settings


def gather(
    arguments: argparse.Namespace, environ: Mapping[str, str]
) -> tuple[Settings, list[SettingsError]]:
    """The settings from all sources, and every fault; a setting that has one has its default."""
    faults = list(_unknown_variables(environ))
    path = arguments.config or environ.get(CONFIG_VARIABLE)
    file = _read_file(Path(path), faults) if path else {}
    found: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for setting in SETTINGS:
        try:
            value = _value(setting, arguments, environ, file)
            if value is not None:
                found[setting.field] = _parse(setting, value)
                origins[setting.name] = value.origin
        except SettingsError as error:
            faults.append(error)
    settings = Settings(**found, origins=origins)
    return settings, [*faults, *_contradictions(settings)]


def _value(
    setting: Setting,
    arguments: argparse.Namespace,
    environ: Mapping[str, str],
    file: Mapping[str, Value],
) -> Value | None:
    flag = getattr(arguments, setting.field, None)
    if flag is not None:
        return Value(flag, f"--{setting.name}")
    return _from_environment(setting, environ) or file.get(setting.name)


def _from_environment(setting: Setting, environ: Mapping[str, str]) -> Value | None:
    """An empty variable counts as not set, as compose files leave them."""
    for variable in setting.variables:
        text, path = environ.get(variable), environ.get(variable + FILE_SUFFIX)
        if text and path:
            raise SettingsError(
                f"{variable} and {variable}{FILE_SUFFIX} are both set: unset one of them"
            )
        if text:
            return Value(text, variable)
        if path:
            return Value(_read_value(path, variable + FILE_SUFFIX), variable + FILE_SUFFIX)
    return None


def _read_value(path: str, variable: str) -> str:
    """The text in a file that a variable names, without the newline at its end."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_VALUE_FILE_CHARACTERS_MAX + 1)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{variable} names a file that cannot be read: {error}") from error
    if len(text) > _VALUE_FILE_CHARACTERS_MAX:
        raise SettingsError(f"{variable} names a file that is too large: {path}")
    if not (text := text.rstrip("\r\n")):
        raise SettingsError(f"{variable} names an empty file: {path}")
    return text


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[SettingsError]:
    """A name of ours that nothing reads is a mistake, and its value would be missed in silence."""
    for name, text in sorted(environ.items()):
        if not text or not name.startswith(VARIABLE_PREFIX) or name in _OUR_VARIABLES:
            continue
        if name in _FOR_TESTS or name.startswith(_FOR_TESTS_PREFIX) or _is_of_a_service(name, text):
            continue
        hint = nearest(name, _OUR_VARIABLES, _ADVICE, VARIABLE_PREFIX)
        yield SettingsError(f"{name} is set, and there is no such setting{hint}")


def _is_of_a_service(name: str, text: str) -> bool:
    address = name.endswith("_PORT") and text.startswith(("tcp://", "udp://", "sctp://"))
    return address or bool(_OF_KUBERNETES.match(name))


# The file -----------------------------------------------------------------------------------------


def _read_file(path: Path, faults: list[SettingsError]) -> dict[str, Value]:
    """The values of a TOML or YAML file; what is wrong with it is added to `faults`."""
    values = {}
    try:
        for key, value in _document(path).items():
            try:
                values[key] = _file_value(key, value, path)
            except SettingsError as error:
                faults.append(error)
    except SettingsError as error:
        faults.append(error)
    return values


def _file_value(key: str, value: object, path: Path) -> Value:
    setting = _BY_NAME.get(key)
    if setting is None:
        hint = nearest(str(key).lower().replace("_", "-"), _BY_NAME, _ADVICE)
        raise SettingsError(f"{path}: there is no setting {key!r}{hint}")
    if type(value) not in setting.kind.file_types:
        raise SettingsError(f"{path}: {key} must be {_type_words(setting)}")
    try:
        return Value(setting.kind.to_text(value), str(path))
    except ValueError as error:
        raise SettingsError(f"{path}: {key}: {error}") from error


def _type_words(setting: Setting) -> str:
    words = {
        str: 'text in quotes ("...")',
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        list: "a list",
    }
    return " or ".join(words[kind] for kind in setting.kind.file_types)


def _document(path: Path) -> dict[str, Any]:
    """What stands in the file. Raises SettingsError."""
    import tomllib

    try:
        text = path.read_text("utf-8")
        return _yaml(text) if path.suffix in YAML_SUFFIXES else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error


def _yaml(text: str) -> dict[str, Any]:
    """A YAML document. Raises ValueError, without a word of the text: it may hold secrets."""
    yaml = _yaml_library()
    try:
        top = yaml.compose(text, yaml.SafeLoader)
        document = {} if top is None else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "some line"
    else:
        if not isinstance(document, dict):
            raise ValueError("write lines of the form `name: value`")
        if top is not None and len(top.value) != len(document):
            raise ValueError("a name stands in it twice")
        return document
    raise ValueError(f"{place} is not YAML, or lacks quotes")


def _yaml_library() -> Any:
    import importlib

    try:
        return importlib.import_module("yaml")  # an extra: most have no use for it
    except ImportError:
        raise ValueError(
            "YAML needs PyYAML, which is not installed: pip install 'fastobj[yaml]', or write TOML"
        ) from None


# Checks -------------------------------------------------------------------------------------------


def _parse(setting: Setting, value: Value) -> Any:
    try:
        return setting.kind.parse(value.text)
    except ValueError as error:
        shown = "its value" if setting.secret else repr(value.text)
        usage = value.origin == f"--{setting.name}"
        source = value.origin if usage else f"{setting.name} (from {value.origin})"
        message = f"{source}: {shown} cannot be used: {error}"
    # Raised outside the handler: a secret must not come back with its cause in a traceback.
    raise SettingsError(message, usage=usage)


def _contradictions(settings: Settings) -> Iterator[SettingsError]:
    """What a row cannot check alone."""
    if settings.log_segment_bytes_min > settings.log_segment_bytes_max:
        yield SettingsError("log-segment-bytes-min is above log-segment-bytes-max: lower it")
    if not settings.region or any(sign in settings.region for sign in " /"):
        yield SettingsError("region must be a name without blanks and slashes, such as us-east-1")
    if settings.kms == "vault":
        yield from map(SettingsError, _lacks_of_vault(settings))


def _lacks_of_vault(settings: Settings) -> Iterator[str]:
    if not settings.kms_endpoint:
        yield "kms is vault, and kms-endpoint does not say where: https://vault.example.com:8200"
    ways = (settings.kms_token, settings.kms_token_sink, settings.kms_role_id)
    if sum(map(bool, ways)) != 1:
        yield "kms is vault: give one of kms-token, kms-token-sink and kms-role-id"
    if bool(settings.kms_role_id) != bool(settings.kms_secret_id):
        yield "kms-role-id and kms-secret-id belong together: give both"


# To show ------------------------------------------------------------------------------------------


def show(settings: Settings) -> Iterator[str]:
    """Lines of a TOML file with every setting and its origin; secrets are only said to be set."""
    group = ""
    for setting in _shown(settings):
        if setting.group != group:
            yield f"# {setting.group}" if not group else f"\n# {setting.group}"
            group = setting.group
        origin = _one_line(settings.origin(setting.name))
        value = _plain(setting, settings)
        if value in ("", [], None) and origin == DEFAULT_ORIGIN:
            yield f"# {setting.name} is not set"
        elif setting.kind in OF_ROWS:
            yield f"# {setting.name} is set, from {origin}: {len(value)} ({', '.join(value)})"
        elif setting.secret:
            yield f"# {setting.name} is set, from {origin}"
        else:
            # A value of JSON without an object in it is one of TOML too.
            yield f"{setting.name} = {json.dumps(value, ensure_ascii=False)}  # {origin}"


def show_rows(settings: Settings) -> dict[str, dict[str, Any]]:
    """The same by name as `{"value": ..., "origin": ...}`; a secret is None or "set"."""
    return {
        setting.name: {
            "value": _plain(setting, settings),
            "origin": settings.origin(setting.name),
        }
        for setting in _shown(settings)
    }


def _shown(settings: Settings) -> Iterator[Setting]:
    for setting in SETTINGS:
        if not setting.hidden or settings.origin(setting.name) != DEFAULT_ORIGIN:
            yield setting


def _plain(setting: Setting, settings: Settings) -> Any:
    """A value as JSON has it: of rows their ids, of another secret only whether it is set."""
    value = getattr(settings, setting.field)
    if setting.kind in OF_ROWS:
        return [row.id for row in value]
    if setting.secret:
        return "set" if value else None
    if isinstance(value, Address):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _one_line(origin: str) -> str:
    return origin if origin.isprintable() else ascii(origin)
