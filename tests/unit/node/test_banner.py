"""What the server tells who started it: working commands, and the secret only once."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from fastobj.core.settings import Address, Settings
from fastobj.node import banner
from fastobj.node.credentials import RootCredentials, load_credentials
from fastobj.node.layout import prepare


@pytest.fixture
def generated(tmp_path: Path) -> RootCredentials:
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


def test_a_new_secret_is_shown_with_its_place(generated: RootCredentials) -> None:
    text = banner.text(Settings(), generated)
    assert generated.identity.access_key in text
    assert text.count(generated.identity.secret_key) == 1
    assert f"kept in {generated.file}" in text


def test_an_old_secret_is_not_shown(generated: RootCredentials) -> None:
    text = banner.text(Settings(), generated._replace(generated=False))
    assert generated.identity.secret_key not in text
    assert f"as in {generated.file}" in text


def test_the_file_reaches_aws_tools_past_keys_of_the_environment(
    generated: RootCredentials,
) -> None:
    environ = exported(banner.text(Settings(), generated), {"AWS_ACCESS_KEY_ID": "someone else's"})
    assert environ["AWS_SHARED_CREDENTIALS_FILE"] == str(generated.file)
    assert environ["AWS_DEFAULT_REGION"] == "us-east-1"
    assert "AWS_ACCESS_KEY_ID" not in environ


@pytest.mark.parametrize("origin", ["FASTOBJ_ROOT_PASSWORD", "MINIO_ROOT_PASSWORD_FILE"])
def test_given_keys_are_taken_from_where_they_were_given(
    tmp_path: Path, generated: RootCredentials, origin: str
) -> None:
    secret = "it's $HOME"
    settings = Settings(origins={"root-password": origin})
    text = banner.text(settings, generated._replace(file=None, generated=False))
    place = tmp_path / "pass word"
    place.write_text(secret + "\n")
    environ = exported(text, {origin: str(place) if origin.endswith("_FILE") else secret})
    assert environ["AWS_SECRET_ACCESS_KEY"] == secret
    assert environ["AWS_ACCESS_KEY_ID"] == generated.identity.access_key
    assert f"as in {origin}" in text


def test_keys_from_a_settings_file_are_left_for_the_person_to_fill_in(
    generated: RootCredentials,
) -> None:
    settings = Settings(origins={"root-password": "/etc/fastobj.toml"})
    text = banner.text(settings, generated._replace(file=None, generated=False))
    assert "as in /etc/fastobj.toml" in text
    assert 'AWS_SECRET_ACCESS_KEY="<the root password>"' in text


def test_commands_go_to_an_address_that_can_be_reached(generated: RootCredentials) -> None:
    text = banner.text(Settings(address=Address("0.0.0.0", 9100)), generated)
    commands = [shlex.split(line) for line in text.splitlines() if line.startswith("  aws ")]
    assert [command[4] for command in commands] == ["mb", "cp", "ls"]
    assert {command[2] for command in commands} == {"http://127.0.0.1:9100"}
    assert "curl http://127.0.0.1:9100/health/ready" in text
    assert Path(commands[1][5]).exists()


def test_it_goes_to_standard_output(
    generated: RootCredentials, capsys: pytest.CaptureFixture[str]
) -> None:
    banner.show(Settings(), generated)
    assert capsys.readouterr().out == banner.text(Settings(), generated)
