"""Settings: each source, their order, what is refused, and that secrets stay secret."""

import argparse
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from fastobj.core import settings as module
from fastobj.core.settings import (
    SETTINGS,
    Address,
    Settings,
    SettingsError,
    add_arguments,
    load,
    parse_address,
    parse_bytes,
    show,
)

SECRET = "a secret nobody may see"


def load_from(flags: str = "", environ: Mapping[str, str] | None = None) -> Settings:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_arguments(parser)
    return load(parser.parse_args(flags.split()), environ or {})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "fastobj.toml"


def test_defaults_come_without_any_source() -> None:
    settings = load_from()
    assert settings == Settings()
    assert str(settings.address) == "127.0.0.1:9000"
    assert str(settings.console_address) == "127.0.0.1:9001"
    assert settings.region == "us-east-1"
    assert 1 <= settings.workers <= 8
    assert settings.origin("region") == "default"


def test_each_row_has_help_and_a_field_of_its_own() -> None:
    names = [setting.name for setting in SETTINGS]
    assert len(set(names)) == len(names)
    for setting in SETTINGS:
        assert setting.help
        assert not setting.help.endswith(".")
        assert hasattr(Settings(), setting.field)


def test_each_default_is_a_value_that_its_own_kind_accepts() -> None:
    for setting in SETTINGS:
        value = getattr(Settings(), setting.field)
        assert setting.kind.parse(module._as_text(value)) == value


def test_flag_goes_before_environment_before_file_before_default(file: Path) -> None:
    file.write_text('region = "from-file"\n')
    environ = {"FASTOBJ_REGION": "from-env"}
    config = f"--config {file}"
    assert load_from(f"{config} --region from-flag", environ).region == "from-flag"
    assert load_from(config, environ).region == "from-env"
    assert load_from(config).region == "from-file"
    assert load_from(f"{config} --region from-flag").origin("region") == "--region"
    assert load_from(config, environ).origin("region") == "FASTOBJ_REGION"
    assert load_from(config).origin("region") == str(file)


def test_variable_file_loses_only_its_last_newline(tmp_path: Path) -> None:
    place = tmp_path / "password"
    place.write_text(" two words \n")
    settings = load_from("", {"FASTOBJ_ROOT_PASSWORD_FILE": str(place)})
    assert settings.root_password == " two words "
    assert settings.origin("root-password") == "FASTOBJ_ROOT_PASSWORD_FILE"


@pytest.mark.parametrize("suffix", ["", "_FILE"])
def test_old_names_are_read_behind_ours(tmp_path: Path, suffix: str) -> None:
    place = tmp_path / "value"
    place.write_text("old")
    environ = {f"MINIO_ROOT_USER{suffix}": str(place) if suffix else "old"}
    assert load_from("", environ).root_user == "old"
    environ["FASTOBJ_ROOT_USER"] = "new"
    assert load_from("", environ).root_user == "new"


def test_an_empty_variable_counts_as_not_set() -> None:
    environ = {"FASTOBJ_REGION": "", "FASTOBJ_ROOT_USER": "", "MINIO_ROOT_USER": "somebody"}
    settings = load_from("", environ)
    assert settings.region == "us-east-1"
    assert settings.root_user == "somebody"


def test_a_variable_and_its_file_together_are_refused(tmp_path: Path) -> None:
    environ = {"FASTOBJ_REGION": "a", "FASTOBJ_REGION_FILE": str(tmp_path)}
    with pytest.raises(SettingsError, match="both set"):
        load_from("", environ)


@pytest.mark.parametrize("contents", [None, "", "\n"])
def test_a_variable_file_that_is_missing_or_empty_is_refused(
    tmp_path: Path, contents: str | None
) -> None:
    place = tmp_path / "password"
    if contents is not None:
        place.write_text(contents)
    with pytest.raises(SettingsError, match="FASTOBJ_ROOT_PASSWORD_FILE names"):
        load_from("", {"FASTOBJ_ROOT_PASSWORD_FILE": str(place)})


def test_the_file_takes_every_setting(file: Path) -> None:
    file.write_text(
        'address = "0.0.0.0:80"\nconsole-address = "[::1]:81"\nworkers = 3\n'
        'shutdown-timeout = 2.5\nroot-user = "me"\nroot-password = "long enough"\n'
        'region = "x"\nlog-level = "debug"\nsmall-body-bytes-max = "4KiB"\n'
        'body-memory-bytes-max = "1GiB"\nlog-segment-bytes-min = 1048576\n'
        "log-segment-bytes-max = 2097152\n"
    )
    assert set(tomllib.loads(file.read_text())) == {setting.name for setting in SETTINGS}
    settings = load_from(f"--config {file}")
    assert settings.console_address == Address("::1", 81)
    assert (settings.workers, settings.shutdown_timeout) == (3, 2.5)
    assert settings.small_body_bytes_max == 4096
    assert {settings.origin(setting.name) for setting in SETTINGS} == {str(file)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adress = 'x'", "no setting 'adress'; the nearest is 'address'"),
        ("console_address = 'x'", "the nearest is 'console-address'"),
        ("zzz = 1", "`fastobj config show` lists them"),
        ("[network]\naddress = 'x'", "no setting 'network'"),
        ("workers = '3'", "workers must be a whole number"),
        ("workers = true", "workers must be a whole number"),
        ("region = 1", "region must be text in quotes"),
        ("workers =", "cannot be read"),
        ("workers = 0", "the least is 1, the most 64"),
        ("log-segment-bytes-min = '1GiB'", "log-segment-bytes-min is above"),
    ],
)
def test_a_wrong_file_is_refused_with_the_cause(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_from(f"--config {file}")
    assert message in str(caught.value)
    assert not caught.value.usage


def test_a_missing_file_is_refused(file: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_from(f"--config {file}")


@pytest.mark.parametrize(
    "flags",
    [
        "--workers 0",
        "--workers 65",
        "--workers x",
        "--address 9000",
        "--address ::1:9000",
        "--address 1.2.3.4:65536",
        "--shutdown-timeout -1",
        "--shutdown-timeout nan",
        "--log-level loud",
        "--region a/b",
        "--small-body-bytes-max 1MB",
        "--small-body-bytes-max 1048577",
    ],
)
def test_a_wrong_value_is_refused(flags: str) -> None:
    with pytest.raises(SettingsError):
        load_from(flags)


def test_a_wrong_flag_is_a_wrong_call() -> None:
    with pytest.raises(SettingsError) as caught:
        load_from("--workers x")
    assert caught.value.usage
    assert str(caught.value) == "--workers: 'x' cannot be used: write a whole number"


@pytest.mark.parametrize(
    ("text", "address", "url", "is_loopback"),
    [
        ("127.0.0.1:9000", ("127.0.0.1", 9000), "http://127.0.0.1:9000", True),
        ("localhost:1", ("localhost", 1), "http://localhost:1", True),
        ("[::1]:65535", ("::1", 65535), "http://[::1]:65535", True),
        (":9000", ("", 9000), "http://127.0.0.1:9000", False),
        ("0.0.0.0:0", ("0.0.0.0", 0), "http://127.0.0.1:0", False),
        ("[::]:9000", ("::", 9000), "http://[::1]:9000", False),
        ("10.0.0.1:9000", ("10.0.0.1", 9000), "http://10.0.0.1:9000", False),
        ("store.example:9000", ("store.example", 9000), "http://store.example:9000", False),
    ],
)
def test_addresses(text: str, address: tuple[str, int], url: str, is_loopback: bool) -> None:
    parsed = parse_address(text)
    assert parsed == address
    assert str(parsed) == text
    assert parsed.url == url
    assert parsed.is_loopback is is_loopback


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


def test_secrets_are_never_shown() -> None:
    settings = load_from("", {"FASTOBJ_ROOT_PASSWORD": SECRET, "FASTOBJ_ROOT_USER": "me"})
    assert settings.root_password == SECRET
    shown = "\n".join(show(settings))
    assert "# root-password is set, from FASTOBJ_ROOT_PASSWORD" in shown
    assert SECRET not in shown + repr(settings) + str(settings)


def test_a_secret_that_is_refused_is_not_shown_either() -> None:
    with pytest.raises(SettingsError) as caught:
        load_from("", {"FASTOBJ_ROOT_PASSWORD": SECRET + "\x07"})
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_secrets_have_no_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load_from("--root-password x")
    assert "unrecognized arguments" in capsys.readouterr().err


def test_what_is_shown_can_be_read_back(file: Path) -> None:
    settings = load_from(
        "--address [::]:80 --workers 3 --shutdown-timeout 0.5 --log-segment-bytes-min 1MiB",
        {"FASTOBJ_REGION": 'q"uo\\te'},
    )
    file.write_text("\n".join(show(settings)))
    again = load_from(f"--config {file}")
    for setting in SETTINGS:
        assert getattr(again, setting.field) == getattr(settings, setting.field)


def test_hidden_settings_are_shown_only_when_set() -> None:
    assert "log-segment" not in "\n".join(show(Settings()))
    assert "log-segment-bytes-min = 1048576" in "\n".join(
        show(load_from("--log-segment-bytes-min 1MiB"))
    )


def test_identities_are_added_to_a_copy() -> None:
    settings = Settings()
    assert settings.with_identities(["somebody"]).identities == ("somebody",)
    assert settings.identities == ()
