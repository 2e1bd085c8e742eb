"""What keeps a server from starting, found from its settings alone."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from fastobj.core.setting_kinds import IDENTITIES, Address
from fastobj.core.setting_sources import SettingsError
from fastobj.core.settings import Settings
from fastobj.node.checks import check, faults

ANYWHERE = Address("0.0.0.0", 9000)
SECRET = "a-secret-nobody-may-see"


def identity(**changes: str) -> dict[str, str]:
    return {"id": "alice", "access-key": "ALICEKEY", "secret-key": SECRET, **changes}


def identities(*rows: dict[str, str]) -> Any:
    return IDENTITIES.parse(json.dumps(rows))


def test_the_defaults_can_be_used() -> None:
    assert list(faults(Settings())) == []
    check(Settings())


def test_faults_on_purpose_are_understood_before_the_start(monkeypatch: Any) -> None:
    monkeypatch.setenv("FASTOBJ_FAULTS", "sync:nth=3:error=EIO")
    check(Settings())
    monkeypatch.setenv("FASTOBJ_FAULTS", "sync:nth=3:error=EVIL")
    with pytest.raises(SettingsError, match="'EVIL' is no errno"):
        check(Settings())


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_no_auth_works_on_loopback(host: str) -> None:
    settings = Settings(no_auth=True, address=Address(host, 1), console_address=Address(host, 2))
    assert list(faults(settings)) == []


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "store.example"])
@pytest.mark.parametrize("name", ["address", "console_address"])
def test_no_auth_is_refused_where_others_reach_the_server(host: str, name: str) -> None:
    settings = Settings(no_auth=True, **{name: Address(host, 9000)})  # type: ignore[arg-type]
    (fault,) = faults(settings)
    assert f"{name.replace('_', '-')} {Address(host, 9000)} can be reached" in fault
    assert "127.0.0.1" in fault


def test_both_addresses_are_named() -> None:
    settings = Settings(no_auth=True, address=ANYWHERE, console_address=Address("", 9001))
    assert len(list(faults(settings))) == 2


@pytest.mark.parametrize("token", ["x" * 15, "é" * 16, "x" * 16 + " x"])
def test_a_weak_metrics_token_is_refused_and_not_shown(token: str) -> None:
    (fault,) = faults(Settings(metrics_token=token))
    assert "metrics-token" in fault
    assert token not in fault


def test_a_metrics_token_of_sixteen_is_taken() -> None:
    assert list(faults(Settings(metrics_token="x" * 16))) == []


@pytest.mark.parametrize("path", ["missing/log", "file/log", "."])
def test_an_access_log_that_cannot_be_written_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    (fault,) = faults(Settings(access_log=str(tmp_path / path)))
    assert fault.startswith("access-log (from default)")


@pytest.mark.parametrize("path", ["-", "new", "there"])
def test_an_access_log_that_can_be_written_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").touch()
    assert list(faults(Settings(access_log=path))) == []
    assert not (tmp_path / "new").exists()


def test_certificates_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    assert "tls-certs" in next(faults(Settings(tls_certs=str(tmp_path / "missing"))))
    assert "public.crt" in next(faults(Settings(tls_certs=str(tmp_path))))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([identity(**{"access-key": "a"})], "the access key of identity 'alice' (from default)"),
        ([identity(**{"access-key": "a/b/c"})], "must have 3 to 128 printable"),
        ([identity(**{"secret-key": "short"})], "secret key of identity 'alice' (from default) is"),
        ([identity(**{"secret-key": "Password"})], "well known, and 0.0.0.0:9000 can be reached"),
        ([identity(**{"secret-key": "alicekey"})], "well known"),
        ([identity(id="a b")], "the id of identity 'a b' must have"),
        ([identity(id="a" * 129)], "must have at most 128"),
        ([identity(), identity(**{"access-key": "OTHER"})], "'alice' have one id"),
        ([identity(), identity(id="bob")], "'alice' and identity 'bob' have one access key"),
        ([identity(id="the-root")], "the root user and identity 'the-root' have one id"),
        ([identity(**{"access-key": "ROOTKEY"})], "the root user and identity 'alice' have one"),
    ],
)
def test_each_identity_is_checked_as_the_root_user_is(
    rows: list[dict[str, str]], message: str
) -> None:
    settings = Settings(
        address=ANYWHERE,
        root_user="ROOTKEY",
        root_password=SECRET,
        root_id="the-root",
        identities=identities(*rows),
    )
    (fault,) = faults(settings)
    assert message in fault
    assert all(row["secret-key"] not in fault.split() for row in rows)


def test_a_well_known_secret_of_an_identity_works_on_loopback() -> None:
    rows = identities(identity(**{"secret-key": "password"}))
    assert list(faults(Settings(identities=rows))) == []


def test_ids_are_compared_where_the_root_id_is_not_known_yet() -> None:
    rows = identities(identity(), identity(id="bob", **{"access-key": "BOBKEY"}))
    settings = Settings(root_user="ROOTKEY", root_password=SECRET, identities=rows)
    assert list(faults(settings)) == []


def test_every_fault_is_named_at_once() -> None:
    settings = Settings(
        address=ANYWHERE,
        root_user="somebody",
        no_auth=True,
        metrics_token="short",
        access_log="/missing/log",
        tls_certs="/missing",
        identities=identities(identity(**{"secret-key": "short"}), identity(id="bob")),
    )
    with pytest.raises(SettingsError) as caught:
        check(settings)
    first, *lines = str(caught.value).splitlines()
    assert first == "7 faults in the settings:"
    words = ["root-password is not", "too short", "one access key", "no-auth", "tls-", "access-log"]
    for word in [*words, "metrics-token"]:
        assert sum(word in line for line in lines) == 1, word


def test_blake3_is_refused_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(integrity="blake3")
    assert list(faults(settings)) == []
    monkeypatch.setitem(sys.modules, "blake3", None)
    (fault,) = faults(settings)
    assert fault.startswith("integrity is blake3 (from default): BLAKE3 needs the package blake3")
    assert "pip install 'fastobj[blake3]'" in fault
    assert list(faults(Settings())) == []
