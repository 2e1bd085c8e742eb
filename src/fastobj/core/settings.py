"""The settings: one row each, read from flags, environment, a TOML file and defaults.

A row is a field of `Settings`: its type, its default, and the metadata that `_row` gives it. Flags,
variables, the keys of the file, help, checks and `fastobj config show` all come from that row.
The first source that has a value wins: flag, environment, file, default. A value of a secret
setting is never shown, and has no flag, because every user of a machine sees command lines.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from fastobj.core import limits
from fastobj.core.errors import FastobjError

VARIABLE_PREFIX: Final = "FASTOBJ_"
FILE_SUFFIX: Final = "_FILE"
DEFAULT_ORIGIN: Final = "default"
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
WORKERS_MAX: Final = 64
_WORKERS_DEFAULT_MAX: Final = 8
_PORT_MAX: Final = 65535
_VALUE_FILE_BYTES_MAX: Final = 64 * limits.KIB
_EPILOG: Final = (
    "Each setting may also stand in the environment as FASTOBJ_NAME (capitals, underscores), or in"
    " a file that FASTOBJ_NAME_FILE names, or as `name = value` in FILE. The first of flag,"
    " environment, FILE and default wins. The root password has no flag: every user of a machine"
    " sees command lines."
)
_UNITS: Final = {"": 1, "KiB": limits.KIB, "MiB": limits.MIB, "GiB": limits.GIB}


class SettingsError(FastobjError):
    """A setting cannot be used; the text names its origin and the cure.

    `usage` is true where the command line itself is wrong.
    """

    def __init__(self, message: str, *, usage: bool = False) -> None:
        super().__init__(message)
        self.usage = usage


class Address(NamedTuple):
    """Where to listen. An empty host means every interface; port 0 lets the system choose."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        import ipaddress

        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def url(self) -> str:
        """An http URL by which this machine reaches it."""
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{Address(host, self.port)}"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Kind(NamedTuple):
    """How a value is written: `parse` reads text and raises ValueError with the reason."""

    metavar: str
    parse: Callable[[str], Any]
    toml_types: tuple[type, ...]


class Setting(NamedTuple):
    """One row of the table. `name` is the flag without dashes and the key in the file."""

    name: str
    kind: Kind
    help: str
    group: str
    secret: bool
    hidden: bool
    aliases: tuple[str, ...]

    @property
    def field(self) -> str:
        """The attribute of `Settings`."""
        return self.name.replace("-", "_")

    @property
    def variables(self) -> tuple[str, ...]:
        """Environment variables that hold the value, the first one that is set wins."""
        return (VARIABLE_PREFIX + self.field.upper(), *self.aliases)


class Value(NamedTuple):
    """Text as a source gave it, and where it stood."""

    text: str
    origin: str


# How values are written ---------------------------------------------------------------------------


def parse_address(text: str) -> Address:
    """Reads HOST:PORT, :PORT or [IPV6]:PORT. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > _PORT_MAX:
        raise ValueError("write HOST:PORT, for example 127.0.0.1:9000")
    if host.startswith("[") and host.endswith("]"):
        return Address(host[1:-1], int(port))
    if ":" in host:
        raise ValueError("write an IPv6 address in brackets, for example [::1]:9000")
    return Address(host, int(port))


def parse_bytes(text: str) -> int:
    """Reads a number of bytes such as 65536, 64KiB or 1GiB. Raises ValueError."""
    digits = text.rstrip("KMGiB")
    unit = _UNITS.get(text[len(digits) :].strip())
    if unit is None or not digits.strip().isdecimal():
        raise ValueError("write a number of bytes, for example 65536 or 64KiB")
    return int(digits) * unit


def _parse_count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("write a whole number")
    return int(text)


def _parse_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 24 * 3600:
        raise ValueError("write seconds, 0 to 86400")
    return seconds


def _parse_text(text: str) -> str:
    if not text.isprintable():
        raise ValueError("control characters are not allowed")
    return text


def _between(parse: Callable[[str], int], low: int, high: int) -> Callable[[str], int]:
    def checked(text: str) -> int:
        value = parse(text)
        if not low <= value <= high:
            raise ValueError(f"the least is {low}, the most {high}")
        return value

    return checked


def _parse_level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise ValueError(f"one of {', '.join(LOG_LEVELS)}")
    return text.lower()


_ADDRESS: Final = Kind("HOST:PORT", parse_address, (str,))
_TEXT: Final = Kind("TEXT", _parse_text, (str,))
_LEVEL: Final = Kind("LEVEL", _parse_level, (str,))
_SECONDS: Final = Kind("SECONDS", _parse_seconds, (int, float))


def _count(low: int, high: int) -> Kind:
    return Kind("N", _between(_parse_count, low, high), (int,))


def _bytes(low: int, high: int) -> Kind:
    return Kind("BYTES", _between(parse_bytes, low, high), (int, str))


# The table ----------------------------------------------------------------------------------------


def _row(
    kind: Kind,
    default: Any,
    help: str,
    *,
    group: str,
    secret: bool = False,
    hidden: bool = False,
    aliases: tuple[str, ...] = (),
) -> Any:
    """A field with its row. A callable default is asked when the settings are made."""
    row = Setting("", kind, help, group, secret, hidden, aliases)
    if callable(default):
        return field(default_factory=default, repr=not secret, metadata={"row": row})
    return field(default=default, repr=not secret, metadata={"row": row})


def default_workers() -> int:
    """One worker for each core that this process may use, at most 8."""
    return max(1, min(len(os.sched_getaffinity(0)), _WORKERS_DEFAULT_MAX))


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a server, each with a default. `origins` says where the others came from."""

    address: Address = _row(  # noqa: RUF009 (it makes a field)
        _ADDRESS, Address("127.0.0.1", 9000), "where the S3 API listens", group="network"
    )
    console_address: Address = _row(  # noqa: RUF009 (as above)
        _ADDRESS,
        Address("127.0.0.1", 9001),
        "where the console listens: health checks",
        group="network",
    )
    workers: int = _row(
        _count(1, WORKERS_MAX),
        default_workers,
        "worker processes (default: one for each core, at most 8)",
        group="processes",
    )
    shutdown_timeout: float = _row(
        _SECONDS, 30.0, "seconds that open requests get when the server stops", group="processes"
    )
    root_user: str = _row(
        _TEXT,
        "",
        "access key of the root user (default: generated on the first start)",
        group="identity",
        aliases=("MINIO_ROOT_USER",),
    )
    root_password: str = _row(
        _TEXT,
        "",
        "secret key of the root user (default: generated on the first start)",
        group="identity",
        secret=True,
        aliases=("MINIO_ROOT_PASSWORD",),
    )
    region: str = _row(_TEXT, "us-east-1", "the region that requests are signed for", group="s3")
    log_level: str = _row(
        _LEVEL, "info", f"least level that is logged: {', '.join(LOG_LEVELS)}", group="log"
    )
    small_body_bytes_max: int = _row(
        _bytes(0, limits.MIB),
        limits.SMALL_BODY_BYTES_MAX,
        "bodies up to here are stored in the log, larger ones in extents",
        group="storage",
    )
    body_memory_bytes_max: int = _row(
        _bytes(8 * limits.MIB, 64 * limits.GIB),
        64 * limits.MIB,
        "memory for bodies in flight, for each worker",
        group="storage",
    )
    log_segment_bytes_min: int = _row(
        _bytes(64 * limits.KIB, limits.GIB),
        limits.LOG_SEGMENT_BYTES_MIN,
        "size of the first segments of the log",
        group="storage",
        hidden=True,
    )
    log_segment_bytes_max: int = _row(
        _bytes(64 * limits.KIB, limits.GIB),
        limits.LOG_SEGMENT_BYTES_MAX,
        "size that segments of the log grow to",
        group="storage",
        hidden=True,
    )
    origins: Mapping[str, str] = field(default_factory=dict, repr=False)
    # Who may sign requests: iam.identity.Identity, which this layer does not know.
    identities: tuple[Any, ...] = field(default=(), repr=False)

    def origin(self, name: str) -> str:
        """Where the value of a setting came from, as a person would say it."""
        return self.origins.get(name, DEFAULT_ORIGIN)

    def with_identities(self, identities: Iterable[Any]) -> Settings:
        """The same settings with the identities that were found at the start."""
        return replace(self, identities=tuple(identities))


SETTINGS: Final = tuple(
    row.metadata["row"]._replace(name=row.name.replace("_", "-"))
    for row in fields(Settings)
    if "row" in row.metadata
)
_BY_NAME: Final = {setting.name: setting for setting in SETTINGS}


# Sources, the strongest first ---------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--config` and a flag for each setting that is not secret; their values stay text."""
    parser.epilog = _EPILOG
    parser.add_argument("--config", metavar="FILE", help="TOML file with settings")
    groups = {setting.group: parser.add_argument_group(setting.group) for setting in SETTINGS}
    for setting in SETTINGS:
        if not setting.secret:
            groups[setting.group].add_argument(
                f"--{setting.name}",
                metavar=setting.kind.metavar,
                help=argparse.SUPPRESS if setting.hidden else _help(setting),
            )


def _help(setting: Setting) -> str:
    default = getattr(_DEFAULTS, setting.field)
    shown = "" if "default:" in setting.help else f" (default: {_as_text(default)})"
    return (setting.help + shown).replace("%", "%%")


def load(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Settings:
    """The settings from all sources. Raises SettingsError."""
    file = _read_file(Path(arguments.config)) if arguments.config else {}
    found: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for setting in SETTINGS:
        flag = getattr(arguments, setting.field, None)
        if flag is not None:
            value: Value | None = Value(flag, f"--{setting.name}")
        else:
            value = _from_environment(setting, environ) or file.get(setting.name)
        if value is not None:
            found[setting.field] = _parse(setting, value)
            origins[setting.name] = value.origin
    return _checked(Settings(**found, origins=origins))


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
            text = file.read(_VALUE_FILE_BYTES_MAX)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{variable} names a file that cannot be read: {error}") from error
    if not (text := text.rstrip("\r\n")):
        raise SettingsError(f"{variable} names an empty file: {path}")
    return text


def _read_file(path: Path) -> dict[str, Value]:
    """The values of a TOML file. Raises SettingsError for what is not a setting."""
    import tomllib

    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    values = {}
    for key, value in document.items():
        setting = _BY_NAME.get(key)
        if setting is None:
            raise SettingsError(f"{path}: there is no setting {key!r}{_nearest(key)}")
        if type(value) not in setting.kind.toml_types:
            raise SettingsError(f"{path}: {key} must be {_toml_words(setting)}")
        values[key] = Value(str(value), str(path))
    return values


def _nearest(key: str) -> str:
    from difflib import get_close_matches

    names = get_close_matches(key.lower().replace("_", "-"), list(_BY_NAME), n=1)
    return f"; the nearest is {names[0]!r}" if names else "; `fastobj config show` lists them"


def _toml_words(setting: Setting) -> str:
    words = {str: 'text in quotes ("...")', int: "a whole number", float: "a number"}
    return " or ".join(words[kind] for kind in setting.kind.toml_types)


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


def _checked(settings: Settings) -> Settings:
    """What a row cannot check alone. Raises SettingsError."""
    if settings.log_segment_bytes_min > settings.log_segment_bytes_max:
        raise SettingsError("log-segment-bytes-min is above log-segment-bytes-max: lower it")
    if not settings.region or any(sign in settings.region for sign in " /"):
        raise SettingsError("region must be a name without blanks and slashes, such as us-east-1")
    return settings


# To show ------------------------------------------------------------------------------------------


def show(settings: Settings) -> Iterator[str]:
    """Lines of a TOML file with every setting and its origin; secrets are only said to be set."""
    group = ""
    for setting in SETTINGS:
        origin = settings.origin(setting.name)
        if setting.hidden and origin == DEFAULT_ORIGIN:
            continue
        if setting.group != group:
            yield f"# {setting.group}" if not group else f"\n# {setting.group}"
            group = setting.group
        value = getattr(settings, setting.field)
        if value == "":
            yield f"# {setting.name} is not set"
        elif setting.secret:
            yield f"# {setting.name} is set, from {origin}"
        else:
            yield f"{setting.name} = {_as_toml(value)}  # {origin}"


def _as_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _as_toml(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _as_text(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_DEFAULTS: Final = Settings()
