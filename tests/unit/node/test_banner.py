"""What the server tells who started it: working commands, and the secret only once."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from fastobj.core.setting_kinds import Address
from fastobj.core.settings import Settings
from fastobj.iam.identity import Identity
from fastobj.node import banner
from fastobj.node.credentials import Credentials, load_credentials
from fastobj.node.layout import prepare


@pytest.fixture
def generated(tmp_path: Path) -> Credentials:
    return load_credentials(prepare(tmp_path / "a store"), Settings())


def exported(text: str, environ: dict[str, str]) -> dict[str, str]:
    """The environment after a shell has run the lines that set it."""
    lines = [line for line in text.splitlines() if line.startswith(("  export ", "  unset "))]
    script = "\n".join([*lines, "env -0"])
    environment = {"PATH": os.environ["PATH"], **environ}
    done = subprocess.run(
        ["sh", "-eu", "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    return dict(item.split("=", 1) for item in done.stdout.split("\0") if "=" in item)


def test_a_new_secret_is_shown_with_its_place(generated: Credentials) -> None:
    text = banner.text(Settings(), generated)
    assert generated.root.access_key in text
    assert text.count(generated.root.secret_key) == 1
    assert f"kept in {generated.file}" in text


def test_an_old_secret_is_not_shown(generated: Credentials) -> None:
    text = banner.text(Settings(), generated._replace(generated=False))
    assert generated.root.secret_key not in text
    assert f"as in {generated.file}" in text


def test_the_file_reaches_aws_tools_past_keys_of_the_environment(
    generated: Credentials,
) -> None:
    environ = exported(banner.text(Settings(), generated), {"AWS_ACCESS_KEY_ID": "someone else's"})
    assert environ["AWS_SHARED_CREDENTIALS_FILE"] == str(generated.file)
    assert environ["AWS_DEFAULT_REGION"] == "us-east-1"
    assert "AWS_ACCESS_KEY_ID" not in environ


@pytest.mark.parametrize("origin", ["FASTOBJ_ROOT_PASSWORD", "MINIO_ROOT_PASSWORD_FILE"])
def test_given_keys_are_taken_from_where_they_were_given(
    tmp_path: Path, generated: Credentials, origin: str
) -> None:
    secret = "it's $HOME"
    settings = Settings(origins={"root-password": origin})
    text = banner.text(settings, generated._replace(file=None, generated=False))
    place = tmp_path / "pass word"
    place.write_text(secret + "\n")
    environ = exported(text, {origin: str(place) if origin.endswith("_FILE") else secret})
    assert environ["AWS_SECRET_ACCESS_KEY"] == secret
    assert environ["AWS_ACCESS_KEY_ID"] == generated.root.access_key
    assert f"as in {origin}" in text


def test_keys_from_a_settings_file_are_left_for_the_person_to_fill_in(
    generated: Credentials,
) -> None:
    settings = Settings(origins={"root-password": "/etc/fastobj.toml"})
    text = banner.text(settings, generated._replace(file=None, generated=False))
    assert "as in /etc/fastobj.toml" in text
    assert 'AWS_SECRET_ACCESS_KEY="<the root password>"' in text


def test_commands_go_to_an_address_that_can_be_reached(generated: Credentials) -> None:
    text = banner.text(Settings(address=Address("0.0.0.0", 9100)), generated)
    commands = [shlex.split(line) for line in text.splitlines() if line.startswith("  aws ")]
    assert [command[4] for command in commands] == ["mb", "cp", "ls"]
    assert {command[2] for command in commands} == {"http://127.0.0.1:9100"}
    assert "curl http://127.0.0.1:9100/health/ready" in text
    assert Path(commands[1][5]).exists()


def test_an_address_with_certificates_is_https(generated: Credentials) -> None:
    text = banner.text(Settings(tls_certs="/certs"), generated)
    assert "http://" not in text
    assert "  S3        https://127.0.0.1:9000  (region us-east-1)" in text
    assert "  Console   https://127.0.0.1:9001" in text


def test_commands_go_where_clients_are_told_to(generated: Credentials) -> None:
    settings = Settings(external_url="https://s3.example.com", domain=("s3.example.com", "b.c"))
    text = banner.text(settings, generated)
    assert "  S3        http://127.0.0.1:9000 " in text
    assert "  Outside   https://s3.example.com\n" in text
    assert "  Buckets   BUCKET.s3.example.com, BUCKET.b.c\n" in text
    assert text.count("aws --endpoint-url https://s3.example.com s3") == 3


def test_further_identities_are_shown_without_their_secrets(generated: Credentials) -> None:
    alice = Identity("alice", "Alice", "ALICEKEY", "the secret of alice")
    credentials = generated._replace(identities=(generated.root, alice))
    text = banner.text(Settings(), credentials)
    assert "  Identity  alice  (access key ALICEKEY)\n" in text
    assert alice.secret_key not in text


def test_a_server_without_authentication_says_so_loudly(generated: Credentials) -> None:
    assert "WARNING" not in banner.text(Settings(), generated)
    assert "WARNING   NO AUTHENTICATION" in banner.text(Settings(no_auth=True), generated)


def test_it_goes_to_standard_output(
    generated: Credentials, capsys: pytest.CaptureFixture[str]
) -> None:
    banner.show(Settings(), generated)
    assert capsys.readouterr().out == banner.text(Settings(), generated)
