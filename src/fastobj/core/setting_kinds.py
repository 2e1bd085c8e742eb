"""How the values of settings are written: each kind reads text, and says what a good one is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

from fastobj.core import limits
from fastobj.core.nearest import nearest

LOG_LEVELS: Final = ("debug", "info", "warning", "error")
_HOST_NAME: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_WEBHOOK_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PORT_MAX: Final = 65535
_UNITS: Final = {
    "": 1,
    "KiB": limits.KIB,
    "MiB": limits.MIB,
    "GiB": limits.GIB,
    "TiB": 1024 * limits.GIB,
}
_DURATIONS: Final = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
_DURATION_DIGITS_MAX: Final = 8  # of seconds three years
_WORDS_FOR_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_WORDS_FOR_FALSE: Final = frozenset({"false", "no", "off", "0"})


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
    def reachable(self) -> Address:
        """An address by which this machine reaches it."""
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return Address(host, self.port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class GivenIdentity(NamedTuple):
    """An identity as settings give it; `core` knows no more of it."""

    id: str
    access_key: str
    secret_key: str
    display_name: str = ""
    email: str = ""

    def __repr__(self) -> str:
        return f"GivenIdentity({self.id!r})"


class Webhook(NamedTuple):
    """A target of events as settings give it. `auth_token` is sent with each, "" for none."""

    id: str
    endpoint: str
    auth_token: str = ""

    def __repr__(self) -> str:
        return f"Webhook({self.id!r})"


Row = TypeVar("Row", GivenIdentity, Webhook)


def as_text(value: object) -> str:
    """A value in the form that its kind reads; lists of rows, which hold secrets, have none."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple) and not isinstance(value, Address):
        return ",".join(map(str, value))
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


class Kind(NamedTuple):
    """How a value is written: in text, and in a TOML or YAML file.

    `parse` reads text and raises ValueError with the reason. `to_text` makes such text of what
    stands in a file, which is of one of `file_types`; it raises ValueError too.
    """

    metavar: str
    parse: Callable[[str], Any]
    file_types: tuple[type, ...]
    to_text: Callable[[Any], str] = as_text


def parse_address(text: str) -> Address:
    """Reads HOST:PORT, :PORT or [IPV6]:PORT. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > _PORT_MAX:
        raise ValueError("write HOST:PORT, for example 127.0.0.1:9000")
    _parse_text(host)
    if host.startswith("[") and host.endswith("]"):
        return Address(host[1:-1], int(port))
    if ":" in host:
        raise ValueError("write an IPv6 address in brackets, for example [::1]:9000")
    return Address(host, int(port))


def parse_bytes(text: str) -> int:
    """Reads a number of bytes such as 65536, 64KiB or 1GiB. Raises ValueError."""
    digits = text.rstrip("KMGTiB")
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


def _parse_duration(text: str) -> int:
    """Reads seconds, or a number with a unit, such as 90s, 30m, 12h or 7d. Raises ValueError."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _DURATIONS else (text, "s")
    if not number.isdecimal() or len(number) > _DURATION_DIGITS_MAX:
        raise ValueError("write a number and s, m, h or d, for example 12h or 7d")
    return int(number) * _DURATIONS[unit]


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


def _parse_switch(text: str) -> bool:
    word = text.lower()
    if word not in _WORDS_FOR_TRUE | _WORDS_FOR_FALSE:
        raise ValueError("write true or false")
    return word in _WORDS_FOR_TRUE


def _parse_names(text: str) -> tuple[str, ...]:
    """Host names, without repetitions."""
    names = [name.strip().lower().rstrip(".") for name in text.split(",") if name.strip()]
    for name in names:
        if not _HOST_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no host name, such as s3.example.com")
    return tuple(dict.fromkeys(names))


def _names_to_text(value: str | list[object]) -> str:
    words = [value] if isinstance(value, str) else value
    if not all(isinstance(word, str) for word in words):
        raise ValueError('write names in quotes, for example ["s3.example.com"]')
    return ",".join(map(str, words))


def _parse_url(text: str) -> str:
    """The URL of a server: scheme, host and port, nothing behind them."""
    from urllib.parse import urlsplit

    url = urlsplit(_parse_text(text).rstrip("/"))
    if url.scheme not in ("http", "https") or not url.hostname or url.path or url.query:
        raise ValueError("write a URL without a path, for example https://s3.example.com")
    return url.geturl()


def _parse_rows(text: str, kind: type[Row], word: str, needed: tuple[str, ...]) -> tuple[Row, ...]:
    """A JSON list of objects, each with the fields of `kind` in words with dashes."""
    try:
        rows = json.loads(text)
    except ValueError:
        rows = None
    if not isinstance(rows, list):
        keys = ", ".join(f'"{key}": ...' for key in needed[:2])
        raise ValueError(f"write a JSON list, for example [{{{keys}}}]")
    return tuple(_parse_row(f"{word} {n}", row, kind, needed) for n, row in enumerate(rows, 1))


def _parse_row(name: str, row: object, kind: type[Row], needed: tuple[str, ...]) -> Row:
    """One of them. Its texts never stand in the reason: one of them is a secret."""
    if not isinstance(row, dict) or not all(isinstance(value, str) for value in row.values()):
        raise ValueError(f"{name} is not an object of texts")
    known = {field.replace("_", "-"): field for field in kind._fields}
    for key in row:
        if key not in known:
            hint = nearest(key, known, f"known are {', '.join(known)}")
            raise ValueError(f"{name} has {key!r}, which is not known{hint}")
    for wanted in needed:
        if not row.get(wanted):
            raise ValueError(f"{name} has no {wanted}")
    if not all(value.isprintable() for value in row.values()):
        raise ValueError(f"{name} has a control character")
    return kind(**{known[key]: value for key, value in row.items()})


def _parse_identities(text: str) -> tuple[GivenIdentity, ...]:
    return _parse_rows(text, GivenIdentity, "identity", ("id", "access-key", "secret-key"))


def _parse_webhooks(text: str) -> tuple[Webhook, ...]:
    """Targets of events, each with an id of its own. An endpoint may hold a secret: not shown."""
    from urllib.parse import urlsplit

    rows = _parse_rows(text, Webhook, "webhook", ("id", "endpoint"))
    for number, row in enumerate(rows, 1):
        if not _WEBHOOK_ID.fullmatch(row.id):
            raise ValueError(f"webhook {number}: an id is of letters, digits, - and _")
        try:
            url = urlsplit(row.endpoint)
            is_url = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
        except ValueError:
            is_url = False
        if not is_url:
            raise ValueError(f"webhook {number}: the endpoint is a URL of http or https")
    if len({row.id for row in rows}) < len(rows):
        raise ValueError("two webhooks have the same id")
    return rows


def _rows_to_text(value: str | list[object]) -> str:
    """What JSON does not have, such as a date of TOML, becomes what no row may hold."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, default=lambda _: None)
    except TypeError:
        raise ValueError("the keys of an object are texts") from None


def choice(*words: str) -> Kind:
    """One of some words, in any case."""

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return text.lower()

    return Kind("|".join(words), parse, (str,))


def count_between(low: int, high: int) -> Kind:
    """A whole number within bounds."""
    return Kind("N", _between(_parse_count, low, high), (int,))


def bytes_between(low: int, high: int) -> Kind:
    """A number of bytes within bounds."""
    return Kind("BYTES", _between(parse_bytes, low, high), (int, str))


ADDRESS: Final = Kind("HOST:PORT", parse_address, (str,))
TEXT: Final = Kind("TEXT", _parse_text, (str,))
URL: Final = Kind("URL", _parse_url, (str,))
NAMES: Final = Kind("NAME,...", _parse_names, (str, list), _names_to_text)
LEVEL: Final = Kind("LEVEL", choice(*LOG_LEVELS).parse, (str,))
SECONDS: Final = Kind("SECONDS", _parse_seconds, (int, float))
DURATION: Final = Kind("DURATION", _parse_duration, (int, str))
SWITCH: Final = Kind("true|false", _parse_switch, (bool,))
IDENTITIES: Final = Kind("JSON", _parse_identities, (str, list), _rows_to_text)
WEBHOOKS: Final = Kind("JSON", _parse_webhooks, (str, list), _rows_to_text)
# Kinds of lists of objects that have ids, of which no more than those is shown.
OF_ROWS: Final = (IDENTITIES, WEBHOOKS)
