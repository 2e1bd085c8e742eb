"""Sources of settings: each of them, their order, what is refused, and that secrets stay secret."""

import argparse
import importlib
import json
import re
import sys
import tomllib
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fastobj.core.setting_kinds import Address, GivenIdentity, Webhook
from fastobj.core.setting_sources import (
    SettingsError,
    Value,
    add_arguments,
    gather,
    load,
    show,
    show_rows,
    spelled_out,
)
from fastobj.core.settings import SETTINGS, Settings

SECRET = "a secret nobody may see"
SOURCE_TREE = Path(__file__).resolve().parents[3] / "src"
EVERYTHING = f"""
address = "0.0.0.0:80"
console-address = "[::1]:81"
domain = ["s3.example.com", "b.example"]
external-url = "https://s3.example.com"
pages = "console"
connections-max = 100
requests-max = 10
header-bytes-max = "16KiB"
header-timeout = 1
idle-timeout = 2.5
body-timeout = 3
body-rate-min = 2048
write-timeout = 4
tls-certs = "/certs"
tls-min-version = "1.3"
workers = 3
shutdown-timeout = 2.5
root-user = "me"
root-password = "{SECRET}"
root-id = "the-root"
root-display-name = "The Root"
root-email = "root@example.com"
no-auth = true
region = "x"
max-object-size = "1GiB"
presign-expires-max = 60
parts-max = 100
upload-expiry-days = 3
lifecycle-day-seconds = 60
integrity = "blake3"
parts-grace-seconds = 30
signature-v2 = "all"
clock-skew-max = 60
events-max = 1000
events-retention = "1h"
log-level = "debug"
log-format = "json"
access-log = "/var/log/access"
metrics-token = "{SECRET}"
scrub-interval = "12h"
scrub-rate = "1MiB"
small-body-bytes-max = "4KiB"
body-memory-bytes-max = "1GiB"
log-segment-bytes-min = 1048576
log-segment-bytes-max = 2097152
kms = "off"
kms-key-file = "/etc/fastobj/keys"
kms-key-id = "mine"
kms-endpoint = "https://vault.example.com:8200"
kms-mount = "keys"
kms-namespace = "team"
kms-ca = "/etc/vault.pem"
kms-token = "{SECRET}"
kms-token-sink = "/run/token"
kms-role-id = "role"
kms-secret-id = "{SECRET}"
kms-keep = "1m"
kms-check-interval = "1h"
sse-s3 = "off"
sse-c = "on"

[[identities]]
id = "alice"
access-key = "ALICEKEY"
secret-key = "{SECRET}"
display-name = "Alice"
email = "a@example.com"

[[identities]]
id = "bob"
access-key = "BOBKEY"
secret-key = "{SECRET}"

[[notify-webhook]]
id = "hook"
endpoint = "https://{SECRET}@example.com/"
auth-token = "{SECRET}"
"""


def arguments_of(flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("directory", nargs="?")
    add_arguments(parser)
    return parser.parse_args(spelled_out(flags.split()))


def load_from(flags: str = "", environ: Mapping[str, str] | None = None) -> Settings:
    return load(arguments_of(flags), environ or {})


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


def test_the_environment_may_name_the_file_but_a_flag_goes_before_it(file: Path) -> None:
    file.write_text('region = "from-file"\n')
    other = file.with_name("other.toml")
    other.write_text('region = "from-other"\n')
    environ = {"FASTOBJ_CONFIG": str(file)}
    assert load_from("", environ).region == "from-file"
    assert load_from(f"--config {other}", environ).region == "from-other"


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
    file.write_text(EVERYTHING)
    assert set(tomllib.loads(file.read_text())) == {setting.name for setting in SETTINGS}
    settings = load_from(f"--config {file}")
    assert settings.console_address == Address("::1", 81)
    assert settings.domain == ("s3.example.com", "b.example")
    assert (settings.workers, settings.shutdown_timeout, settings.no_auth) == (3, 2.5, True)
    assert settings.small_body_bytes_max == 4096
    assert (settings.scrub_interval, settings.scrub_rate) == (12 * 3600, 1 << 20)
    assert (settings.events_max, settings.events_retention) == (1000, 3600)
    assert settings.identities == (
        GivenIdentity("alice", "ALICEKEY", SECRET, "Alice", "a@example.com"),
        GivenIdentity("bob", "BOBKEY", SECRET),
    )
    assert settings.notify_webhook == (Webhook("hook", f"https://{SECRET}@example.com/", SECRET),)
    assert {settings.origin(setting.name) for setting in SETTINGS} == {str(file)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adress = 'x'", "no setting 'adress'; the nearest is 'address'"),
        ("console_address = 'x'", "the nearest is 'console-address'"),
        ("zzz = 1", "`fastobj config show` lists all settings"),
        ("[network]\naddress = 'x'", "no setting 'network'"),
        ("workers = '3'", "workers must be a whole number"),
        ("workers = true", "workers must be a whole number"),
        ("region = 1", "region must be text in quotes"),
        ("workers =", "cannot be read"),
        ("no-auth = 'true'", "no-auth must be true or false"),
        ("domain = 3", "domain must be text in quotes"),
        ("domain = [3]", "domain: write names in quotes"),
        ("domain = ['a b']", "'a b' is no host name"),
        ("[[identities]]\nid = 2024-01-01", "identity 1 is not an object of texts"),
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


def test_every_fault_is_named_at_once(file: Path) -> None:
    file.write_text('adress = "x"\nworkers = 0\n[[identities]]\nid = "a"\n')
    environ = {"FASTOBJ_REGIN": "x", "FASTOBJ_REGION": "a b", "FASTOBJ_ROOT_PASSWORD_FILE": "/-/-"}
    with pytest.raises(SettingsError) as caught:
        load_from(f"--config {file} --pages x", environ)
    first, *lines = str(caught.value).splitlines()
    assert first == "7 faults in the settings:"
    for word in ["REGIN ", "'adress'", "workers", "identity 1", "--pages", "region", "/-/-"]:
        assert sum(word in line for line in lines) == 1, word
    assert caught.value.usage
    settings, faults = gather(arguments_of(f"--config {file} --idle-timeout 9"), {})
    assert (settings.idle_timeout, settings.workers) == (9.0, Settings().workers)
    assert len(faults) == 3


# Names that are not known -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("FASTOBJ_REGIN", "the nearest is 'FASTOBJ_REGION'"),
        ("FASTOBJ_IDENTITY", "the nearest is 'FASTOBJ_IDENTITIES'"),
        ("FASTOBJ_CONFIG_FILE", "the nearest is 'FASTOBJ_CONFIG'"),
        ("FASTOBJ_PORT", "`fastobj config show` lists all settings"),
        ("FASTOBJ_QQQQQQ", "`fastobj config show` lists all settings"),
    ],
)
def test_an_unknown_variable_is_refused(variable: str, nearest: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable} is set, .*; {nearest}$") as caught:
        load_from("", {variable: SECRET})
    assert SECRET not in str(caught.value)
    assert load_from("", {variable: ""}) == Settings()


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("FASTOBJ_PORT", "tcp://10.0.0.1:9000"),
        ("FASTOBJ_CONSOLE_PORT", "tcp://10.0.0.1:9001"),
        ("FASTOBJ_SERVICE_HOST", "10.0.0.1"),
        ("FASTOBJ_SERVICE_PORT_HTTP", "9000"),
        ("FASTOBJ_PORT_9000_TCP_ADDR", "10.0.0.1"),
        ("FASTOBJ_TEST_SERVER", "inprocess"),
        ("MINIO_VOLUMES", "/data"),
        ("fastobj_region", "x"),
    ],
)
def test_variables_of_others_are_left_alone(variable: str, text: str) -> None:
    assert load_from("", {variable: text}) == Settings()


def test_each_variable_that_the_source_reads_is_taken_for_known() -> None:
    texts = [path.read_text("utf-8") for path in SOURCE_TREE.rglob("*.py")]
    read = {name for text in texts for name in re.findall(r'"(FASTOBJ_[A-Z_]+[A-Z])"', text)}
    assert {"FASTOBJ_CRASH_AT", "FASTOBJ_IO_RECORD"} <= read
    for name in read:
        settings, faults = gather(arguments_of(""), {name: "true"})
        assert "there is no such setting" not in "".join(map(str, faults)), name
        assert settings.no_auth is False


# Switches -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "value", "directory"),
    [
        ("", False, None),
        ("--no-auth", True, None),
        ("--no-auth ./data", True, "./data"),
        ("./data --no-auth", True, "./data"),
        ("--no-auth false ./data", False, "./data"),
        ("--no-auth=false ./data", False, "./data"),
        ("--no-auth --region x", True, None),
    ],
)
def test_a_switch_takes_no_word_that_is_not_its_own(
    flags: str, value: bool, directory: str | None
) -> None:
    assert load_from(flags).no_auth is value
    assert arguments_of(flags).directory == directory


def test_a_switch_is_a_word_in_the_environment() -> None:
    assert load_from("", {"FASTOBJ_NO_AUTH": "yes"}).no_auth
    assert not load_from("--no-auth=false", {"FASTOBJ_NO_AUTH": "yes"}).no_auth
    with pytest.raises(SettingsError, match="write true or false"):
        load_from("", {"FASTOBJ_NO_AUTH": "maybe"})


# YAML ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_a_yaml_file_means_what_a_toml_file_does(file: Path, suffix: str) -> None:
    yaml = importlib.import_module("yaml")
    file.write_text(EVERYTHING)
    place = file.with_suffix(suffix)
    place.write_text(yaml.safe_dump(tomllib.loads(EVERYTHING)))
    settings, expected = load_from(f"--config {place}"), load_from(f"--config {file}")
    for setting in SETTINGS:
        assert getattr(settings, setting.field) == getattr(expected, setting.field)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"a: [\n{SECRET}: *x", "line 2, column 26 is not YAML, or lacks quotes"),
        (f"root-password: *{SECRET}", "line 1, column"),
        (f"root-password: !{SECRET}", "line 1, column 16 is not YAML, or lacks quotes"),
        (f"root-password: {SECRET}\x07", "some line is not YAML"),
        (f"- {SECRET}", "write lines of the form `name: value`"),
        (SECRET, "write lines of the form `name: value`"),
        ("region: x\nregion: y", "a name stands in it twice"),
        ("root-user: 12345", "root-user must be text in quotes"),
        ("regin: x", "no setting 'regin'; the nearest is 'region'"),
        ("7: x", "no setting 7;"),
        ("identities: [{2024-01-01: x}]", "the keys of an object are texts"),
    ],
)
def test_a_wrong_yaml_file_is_refused_without_a_word_of_it(
    file: Path, text: str, message: str
) -> None:
    place = file.with_suffix(".yaml")
    place.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_from(f"--config {place}")
    assert message in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_an_empty_yaml_file_sets_nothing(file: Path) -> None:
    place = file.with_suffix(".yaml")
    place.write_text("# nothing\n")
    assert load_from(f"--config {place}") == Settings()


def test_yaml_without_its_library_says_how_to_get_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = file.with_suffix(".yaml")
    place.write_text("region: x\n")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(SettingsError, match=r"pip install 'fastobj\[yaml\]', or write TOML"):
        load_from(f"--config {place}")


# Secrets ------------------------------------------------------------------------------------------


def test_secrets_of_every_setting_are_never_shown(file: Path) -> None:
    file.write_text(EVERYTHING)
    settings = load_from(f"--config {file}")
    shown = "\n".join(show(settings))
    assert f"# identities is set, from {file}: 2 (alice, bob)" in shown
    assert f"# notify-webhook is set, from {file}: 1 (hook)" in shown
    assert f"# metrics-token is set, from {file}" in shown
    rows = show_rows(settings)
    assert rows["identities"] == {"value": ["alice", "bob"], "origin": str(file)}
    assert rows["root-password"]["value"] == "set"
    for text in (
        shown,
        json.dumps(show_rows(settings)),
        repr(settings),
        repr(Value(SECRET, "a file")),
    ):
        assert SECRET not in text


def test_a_secret_of_the_environment_is_not_shown() -> None:
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
    for setting in SETTINGS:
        if setting.secret:
            with pytest.raises(SystemExit):
                load_from(f"--{setting.name} x")
    assert capsys.readouterr().err.count("unrecognized arguments") == 6


# To show ------------------------------------------------------------------------------------------


def plainly(settings: Settings) -> dict[str, Any]:
    """The values of all settings that are shown with their values."""
    rows = [setting for setting in SETTINGS if not setting.secret]
    return {setting.name: getattr(settings, setting.field) for setting in rows}


def test_all_that_is_shown_is_toml_and_can_be_read_back(file: Path) -> None:
    file.write_text(EVERYTHING.replace('"x"', "'q\"uo\\\\té'"))
    settings = load_from(f"--config {file}")
    again = file.with_name("again.toml")
    again.write_text("\n".join(show(settings)))
    assert plainly(load_from(f"--config {again}")) == plainly(settings)
    again.write_text("\n".join(show(Settings())))
    assert plainly(load_from(f"--config {again}")) == plainly(Settings())


def test_an_empty_text_that_was_given_is_shown_as_such(file: Path) -> None:
    file.write_text('root-display-name = ""\n')
    assert f'root-display-name = ""  # {file}' in show(load_from(f"--config {file}"))


def test_each_setting_of_json_has_its_value_and_origin() -> None:
    rows = show_rows(load_from("--domain a,b --no-auth --idle-timeout 3"))
    assert rows["domain"] == {"value": ["a", "b"], "origin": "--domain"}
    assert rows["no-auth"] == {"value": True, "origin": "--no-auth"}
    assert rows["idle-timeout"] == {"value": 3.0, "origin": "--idle-timeout"}
    assert rows["address"] == {"value": "127.0.0.1:9000", "origin": "default"}
    assert rows["root-password"] == {"value": None, "origin": "default"}


def test_hidden_settings_are_shown_only_when_set() -> None:
    assert "log-segment" not in "\n".join(show(Settings()))
    assert "log-segment-bytes-min = 1048576" in "\n".join(
        show(load_from("--log-segment-bytes-min 1MiB"))
    )


@pytest.mark.parametrize(
    ("flags", "environ", "told"),
    [
        ("", {}, "kms-endpoint does not say where"),
        ("--kms-endpoint http://v", {}, "give one of kms-token"),
        ("--kms-endpoint http://v --kms-token-sink /t", {"VAULT_TOKEN": SECRET}, "give one of"),
        ("--kms-endpoint http://v --kms-role-id r", {}, "belong together"),
        ("--kms-endpoint http://v", {"FASTOBJ_KMS_SECRET_ID": SECRET}, "belong together"),
    ],
)
def test_what_vault_needs(flags, environ, told):
    with pytest.raises(SettingsError, match=told) as refused:
        load_from(f"--kms vault {flags}", environ)
    assert SECRET not in str(refused.value)
    assert load_from(flags, environ).kms == "local"  # which needs none of it


def test_vault_is_found_by_the_variables_of_its_own_programs():
    environ = {"VAULT_ADDR": "https://v:8200", "VAULT_TOKEN": SECRET, "VAULT_NAMESPACE": "n"}
    found = load_from("--kms vault", environ | {"VAULT_CACERT": "/ca"})
    assert (found.kms_endpoint, found.kms_token) == ("https://v:8200", SECRET)
    assert (found.kms_namespace, found.kms_ca) == ("n", "/ca")
