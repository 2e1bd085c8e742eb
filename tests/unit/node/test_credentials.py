"""Identities and their keys: where they come from, which are refused, and how they are kept."""

import configparser
import stat
import string
from pathlib import Path

import pytest

from fastobj.core.errors import StoreError
from fastobj.core.setting_kinds import Address, GivenIdentity
from fastobj.core.settings import Settings
from fastobj.iam.identity import Identity
from fastobj.node.credentials import CredentialsError, load_credentials, owner_id
from fastobj.node.layout import StoreLayout, prepare

ANYWHERE = Address("0.0.0.0", 9000)
LOOPBACK = Address("127.0.0.1", 9000)
GOOD = "a good long secret"


@pytest.fixture
def layout(tmp_path: Path) -> StoreLayout:
    return prepare(tmp_path / "store")


def given(user: str, secret: str, address: Address = LOOPBACK) -> Settings:
    return Settings(
        address=address,
        root_user=user,
        root_password=secret,
        origins={"root-user": "FASTOBJ_ROOT_USER", "root-password": "FASTOBJ_ROOT_PASSWORD"},
    )


def test_keys_are_generated_once(layout: StoreLayout) -> None:
    first = load_credentials(layout, Settings())
    assert first.generated
    assert first.file == layout.credentials
    assert len(first.root.access_key) == 20
    assert set(first.root.access_key) <= set(string.ascii_uppercase + string.digits)
    assert len(first.root.secret_key) == 40
    second = load_credentials(layout, Settings())
    assert not second.generated
    assert second.root == first.root


def test_each_store_has_keys_of_its_own(layout: StoreLayout, tmp_path: Path) -> None:
    other = load_credentials(prepare(tmp_path / "other"), Settings()).root
    ours = load_credentials(layout, Settings()).root
    assert other.access_key != ours.access_key
    assert other.secret_key != ours.secret_key
    assert other.id != ours.id


def test_the_file_is_private_and_reads_as_a_shared_credentials_file(layout: StoreLayout) -> None:
    identity = load_credentials(layout, Settings()).root
    assert stat.S_IMODE(layout.credentials.stat().st_mode) == 0o600
    parser = configparser.RawConfigParser()
    parser.read(layout.credentials)
    assert dict(parser["default"]) == {
        "aws_access_key_id": identity.access_key,
        "aws_secret_access_key": identity.secret_key,
    }


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o644])
def test_a_file_that_others_can_read_is_refused(layout: StoreLayout, mode: int) -> None:
    load_credentials(layout, Settings())
    layout.credentials.chmod(mode)
    with pytest.raises(CredentialsError, match=f"mode {mode:04o}.*chmod 600"):
        load_credentials(layout, Settings())


@pytest.mark.parametrize(
    "contents",
    [b"", b"[default]\n", b"aws_access_key_id = A\n", b"aws_secret_access_key = B\n", b"\xff\xfe"],
)
def test_a_damaged_file_is_refused_and_kept(layout: StoreLayout, contents: bytes) -> None:
    load_credentials(layout, Settings())
    layout.credentials.write_bytes(contents)
    with pytest.raises(CredentialsError, match="remove"):
        load_credentials(layout, Settings())
    assert layout.credentials.read_bytes() == contents


def test_a_file_that_cannot_be_read_is_an_error_of_the_store(layout: StoreLayout) -> None:
    layout.credentials.mkdir()
    with pytest.raises(StoreError):
        load_credentials(layout, Settings())


def test_settings_go_before_the_file(layout: StoreLayout) -> None:
    kept = load_credentials(layout, Settings()).root
    root = load_credentials(layout, given("somebody", GOOD))
    assert (root.root.access_key, root.root.secret_key) == ("somebody", GOOD)
    assert (root.file, root.generated) == (None, False)
    assert load_credentials(layout, Settings()).root == kept


def test_settings_write_no_file(layout: StoreLayout) -> None:
    load_credentials(layout, given("somebody", GOOD))
    assert not layout.credentials.exists()


def test_the_owner_id_outlives_its_keys(layout: StoreLayout) -> None:
    before = load_credentials(layout, given("before", GOOD)).root
    after = load_credentials(layout, given("after", GOOD + "!")).root
    assert before.id == after.id == owner_id(layout.store_id)
    assert len(before.id) == 64
    assert before.id == before.id.lower()
    assert int(before.id, 16)


@pytest.mark.parametrize(("user", "secret"), [("somebody", ""), ("", GOOD)])
def test_half_a_pair_is_refused(layout: StoreLayout, user: str, secret: str) -> None:
    with pytest.raises(CredentialsError, match="set both, or neither"):
        load_credentials(layout, given(user, secret))


@pytest.mark.parametrize("user", ["ab", "a" * 129, "a b c", "a/b", "a=b", "a,b", "a:b", "äöü"])
def test_users_that_cannot_sign_are_refused(layout: StoreLayout, user: str) -> None:
    with pytest.raises(CredentialsError, match="the root user \\(from"):
        load_credentials(layout, given(user, GOOD))


@pytest.mark.parametrize("user", ["abc", "a" * 128, "me@example.org", "a+b._-"])
def test_users_at_the_limits_are_taken(layout: StoreLayout, user: str) -> None:
    assert load_credentials(layout, given(user, GOOD)).root.access_key == user


def test_a_secret_needs_eight_characters(layout: StoreLayout) -> None:
    with pytest.raises(CredentialsError, match="FASTOBJ_ROOT_PASSWORD\\) is too short"):
        load_credentials(layout, given("somebody", "1234567"))
    assert load_credentials(layout, given("somebody", "q1w2e3r4")).root.id


WEAK = [
    ("minioadmin", "minioadmin"),
    ("me1", "ChangeMe"),
    ("me1", "password"),
    ("Twin-name", "twin-NAME"),
]


@pytest.mark.parametrize(("user", "secret"), WEAK)
def test_well_known_secrets_work_on_loopback_only(
    layout: StoreLayout, user: str, secret: str
) -> None:
    assert load_credentials(layout, given(user, secret)).root.id
    with pytest.raises(CredentialsError, match=r"well known, and 0\.0\.0\.0:9000") as caught:
        load_credentials(layout, given(user, secret, ANYWHERE))
    assert repr(secret) not in str(caught.value)


def test_the_console_address_counts_too(layout: StoreLayout) -> None:
    settings = Settings(
        console_address=Address("", 9001), root_user="minioadmin", root_password="minioadmin"
    )
    with pytest.raises(CredentialsError, match="well known"):
        load_credentials(layout, settings)


def test_a_weak_file_is_refused_too(layout: StoreLayout) -> None:
    load_credentials(layout, Settings())
    layout.credentials.write_text("aws_access_key_id=abc\naws_secret_access_key=password1\n")
    with pytest.raises(CredentialsError, match="well known"):
        load_credentials(layout, Settings(address=ANYWHERE))


ALICE = GivenIdentity("alice", "ALICEKEY", "the secret of alice", "", "a@example.com")


def test_the_root_user_is_the_first_of_the_identities(layout: StoreLayout) -> None:
    bob = GivenIdentity("bob", "BOBKEY", "the secret of bob", "Bob")
    credentials = load_credentials(layout, Settings(identities=(ALICE, bob)))
    assert credentials.root is credentials.identities[0]
    assert credentials.identities[1:] == (
        Identity("alice", "alice", "ALICEKEY", "the secret of alice", "a@example.com"),
        Identity("bob", "Bob", "BOBKEY", "the secret of bob"),
    )


def test_the_root_user_is_named_as_settings_say(layout: StoreLayout) -> None:
    settings = Settings(root_id="me", root_display_name="Me", root_email="me@example.com")
    root = load_credentials(layout, settings).root
    assert (root.id, root.display_name, root.email) == ("me", "Me", "me@example.com")
    assert load_credentials(layout, Settings()).root.display_name == "root"


@pytest.mark.parametrize("same", ["id", "access_key"])
def test_what_the_store_gave_the_root_user_is_nobody_elses(layout: StoreLayout, same: str) -> None:
    root = load_credentials(layout, Settings()).root
    twin = ALICE._replace(**{same: getattr(root, same)})
    with pytest.raises(
        CredentialsError, match=f"the root user and .* one {same.replace('_', ' ')}"
    ):
        load_credentials(layout, Settings(identities=(twin,)))


def test_every_fault_is_named(layout: StoreLayout) -> None:
    weak = ALICE._replace(access_key="a", secret_key="short")
    with pytest.raises(CredentialsError) as caught:
        load_credentials(layout, Settings(identities=(weak,)))
    assert len(str(caught.value).splitlines()) == 2
    assert "short" not in str(caught.value).replace("too short", "")


def test_a_new_secret_counts_from_the_next_start_and_is_told(
    layout: StoreLayout, caplog: pytest.LogCaptureFixture
) -> None:
    load_credentials(layout, Settings(identities=(ALICE,)))
    caplog.clear()
    changed = ALICE._replace(secret_key="another secret")
    credentials = load_credentials(layout, Settings(identities=(changed,)))
    assert credentials.identities[1].secret_key == "another secret"
    assert [record.getMessage() for record in caplog.records] == [
        "identity 'alice' has a new secret key"
    ]
    assert layout.identities.exists()


def test_no_secret_in_a_repr(layout: StoreLayout) -> None:
    credentials = load_credentials(layout, Settings(identities=(ALICE,)))
    settings = Settings(identities=(ALICE,)).with_signers(credentials.identities)
    shown = repr(credentials) + repr(settings) + repr(ALICE)
    assert credentials.root.secret_key not in shown
    assert ALICE.secret_key not in shown
