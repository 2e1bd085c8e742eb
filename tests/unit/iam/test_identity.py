"""Identities: found by what a request names, and by what a bucket names."""

from fastobj.iam.access import may
from fastobj.iam.identity import Identities, Identity

ROOT = Identity("root-id", "root", "ROOTKEY", "root's secret")
ALICE = Identity("alice", "Alice", "ALICEKEY", "alice's secret", "alice@example.com")


def test_an_identity_is_found_by_its_access_key() -> None:
    identities = Identities(iter([ROOT, ALICE]))
    assert identities.find("ALICEKEY") is ALICE
    assert identities.find("ROOTKEY") is ROOT
    assert identities.find("alice") is None
    assert identities.find("") is None


def test_an_owner_is_found_by_its_id() -> None:
    identities = Identities(iter([ROOT, ALICE]))
    assert identities.owner("alice") is ALICE
    assert identities.owner("ALICEKEY") is None
    assert identities.owner("somebody who left") is None


def test_only_the_owner_may_touch_a_bucket() -> None:
    assert may(ALICE, "alice")
    assert not may(ALICE, "root-id")
    assert not may(ROOT, "alice")


def test_a_secret_stands_in_no_repr() -> None:
    assert ALICE.secret_key not in repr(ALICE) + str(ALICE)


def test_found_by_email_in_any_case() -> None:
    silent = Identity("one", "One", "KEY1", "secret")
    known = Identity("two", "Two", "KEY2", "secret", "Two@Example.com")
    identities = Identities([silent, known])
    assert identities.of_email("two@example.COM") is known
    assert identities.of_email("other@example.com") is None
    assert identities.of_email("") is None
