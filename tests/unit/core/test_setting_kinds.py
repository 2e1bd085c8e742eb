"""Kinds of settings: what each reads, and what it refuses with which words."""

import json

import pytest

from fastobj.core.setting_kinds import (
    DURATION,
    IDENTITIES,
    NAMES,
    SECONDS,
    SWITCH,
    URL,
    WEBHOOKS,
    GivenIdentity,
    Webhook,
    as_text,
    parse_address,
    parse_bytes,
)

SECRET = "a secret nobody may see"
ALICE = {"id": "alice", "access-key": "KEY", "secret-key": SECRET}


@pytest.mark.parametrize(
    ("text", "address", "reachable", "is_loopback"),
    [
        ("127.0.0.1:9000", ("127.0.0.1", 9000), "127.0.0.1:9000", True),
        ("127.9.9.9:9000", ("127.9.9.9", 9000), "127.9.9.9:9000", True),
        ("localhost:1", ("localhost", 1), "localhost:1", True),
        ("[::1]:65535", ("::1", 65535), "[::1]:65535", True),
        (":9000", ("", 9000), "127.0.0.1:9000", False),
        ("0.0.0.0:0", ("0.0.0.0", 0), "127.0.0.1:0", False),
        ("[::]:9000", ("::", 9000), "[::1]:9000", False),
        ("10.0.0.1:9000", ("10.0.0.1", 9000), "10.0.0.1:9000", False),
        ("store.example:9000", ("store.example", 9000), "store.example:9000", False),
    ],
)
def test_addresses(text: str, address: tuple[str, int], reachable: str, is_loopback: bool) -> None:
    parsed = parse_address(text)
    assert parsed == address
    assert str(parsed) == text
    assert str(parsed.reachable) == reachable
    assert parsed.is_loopback is is_loopback


@pytest.mark.parametrize("text", ["9000", "::1:9000", "1.2.3.4:65536", "a\x07:1", "a:", "a:-1"])
def test_addresses_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|control"):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("65536", 65536), ("64KiB", 65536), ("64 KiB", 65536), ("2GiB", 2 << 30)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "KiB", "-1", "1.5MiB", "1KB", "1KiBKiB", "1B", "0x10"])
def test_sizes_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number of bytes"):
        parse_bytes(text)


@pytest.mark.parametrize("value", [0.0, 0.5, 30.0, 86399.123456789, 1e-07])
def test_seconds_lose_no_digit_as_text(value: float) -> None:
    assert SECONDS.parse(as_text(value)) == value


@pytest.mark.parametrize(("word", "value"), [("true", True), ("YES", True), ("0", False)])
def test_switches(word: str, value: bool) -> None:
    assert SWITCH.parse(word) is value
    assert SWITCH.to_text(value) in ("true", "false")


def test_names_come_once_in_small_letters() -> None:
    assert NAMES.parse("S3.example.com., b.example,,b.example") == ("s3.example.com", "b.example")
    assert NAMES.to_text(["a.b", "c"]) == NAMES.to_text("a.b,c") == "a.b,c"


@pytest.mark.parametrize("text", ["a b", "-a", "a_b", "a..b", "http://a", "x" * 64])
def test_names_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no host name"):
        NAMES.parse(text)


def test_a_list_of_names_holds_texts_only() -> None:
    with pytest.raises(ValueError, match="in quotes"):
        NAMES.to_text(["a", 1])


@pytest.mark.parametrize("text", ["ftp://a", "s3.example.com", "http://a/b", "https://a\x07b", ""])
def test_urls_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"URL|control"):
        URL.parse(text)


def test_a_url_loses_the_slash_at_its_end() -> None:
    assert URL.parse("https://s3.example.com:8443/") == "https://s3.example.com:8443"


def test_identities_are_read_in_their_order() -> None:
    bob = {**ALICE, "id": "bob", "display-name": "Bob", "email": "b@example.com"}
    assert IDENTITIES.parse(json.dumps([ALICE, bob])) == (
        GivenIdentity("alice", "KEY", SECRET),
        GivenIdentity("bob", "KEY", SECRET, "Bob", "b@example.com"),
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("no JSON", "write a JSON list"),
        (ALICE, "write a JSON list"),
        ([SECRET], "identity 1 is not an object of texts"),
        ([ALICE, {**ALICE, "email": 1}], "identity 2 is not an object of texts"),
        ([{**ALICE, "secret_key": SECRET}], "has 'secret_key', .* nearest is 'secret-key'"),
        ([{**ALICE, "zzz": SECRET}], "known are id, access-key, secret-key"),
        ([{**ALICE, "id": ""}], "identity 1 has no id"),
        ([{"id": "a", "access-key": "b"}], "identity 1 has no secret-key"),
        ([{**ALICE, "secret-key": SECRET + "\n"}], "identity 1 has a control character"),
    ],
)
def test_identities_that_are_refused(rows: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        IDENTITIES.parse(rows if isinstance(rows, str) else json.dumps(rows))
    assert SECRET not in str(caught.value)


HOOK = {"id": "Hook_1-a", "endpoint": f"https://user:{SECRET}@example.com:8443/path?query"}


def test_webhooks_are_read_in_their_order() -> None:
    other = {"id": "other", "endpoint": "http://127.0.0.1/", "auth-token": SECRET}
    assert WEBHOOKS.parse(json.dumps([HOOK, other])) == (
        Webhook("Hook_1-a", HOOK["endpoint"]),
        Webhook("other", "http://127.0.0.1/", SECRET),
    )
    assert WEBHOOKS.parse("[]") == ()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("no JSON", "write a JSON list"),
        ([SECRET], "webhook 1 is not an object of texts"),
        ([{"id": "a"}], "webhook 1 has no endpoint"),
        ([{"endpoint": SECRET}], "webhook 1 has no id"),
        ([{**HOOK, "auth_token": SECRET}], "has 'auth_token', .* nearest is 'auth-token'"),
        ([{**HOOK, "id": "a b"}], "webhook 1: an id is of letters"),
        ([{**HOOK, "id": "a" * 65}], "webhook 1: an id is of letters"),
        ([HOOK, {**HOOK, "id": "b", "endpoint": SECRET}], "webhook 2: the endpoint is a URL"),
        ([{**HOOK, "endpoint": f"ftp://{SECRET}"}], "webhook 1: the endpoint is a URL"),
        ([{**HOOK, "endpoint": f"http://{SECRET}:port"}], "webhook 1: the endpoint is a URL"),
        ([{**HOOK, "endpoint": "http://[::1"}], "webhook 1: the endpoint is a URL"),
        ([{**HOOK, "endpoint": "https://"}], "webhook 1: the endpoint is a URL"),
        ([HOOK, HOOK], "two webhooks have the same id"),
    ],
)
def test_webhooks_that_are_refused(rows: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        WEBHOOKS.parse(rows if isinstance(rows, str) else json.dumps(rows))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90", 90), ("90s", 90), ("30m", 1800), ("12h", 43_200), ("7d", 604_800)],
)
def test_durations(text: str, seconds: int) -> None:
    assert DURATION.parse(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "-1", "1.5h", "7 d", "1w", "7D", "9" * 9, "1hh"])
def test_durations_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a number and s, m, h or d"):
        DURATION.parse(text)
