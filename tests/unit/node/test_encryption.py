"""What of encryption a server does by its settings; and that it costs nothing before it is used."""

import dataclasses
import subprocess
import sys
from collections import Counter

import pytest

from fastobj.core.metrics import Metric
from fastobj.core.setting_kinds import Address
from fastobj.core.settings import Settings
from fastobj.kms.base import KeyNotFound
from fastobj.kms.kept import KeepingKms
from fastobj.node import layout
from fastobj.node.encryption import CountedKms, encryption_rules, key_file


def ignore(family, amount):
    """Counts nothing."""


@pytest.fixture
def store(tmp_path):
    return layout.prepare(tmp_path / "store")


def test_keys_are_in_the_store_unless_a_setting_says_where(store, tmp_path):
    assert key_file(Settings(), store) == store.root / "kms-keys"
    assert key_file(Settings(kms_key_file=str(tmp_path / "k")), store) == tmp_path / "k"
    assert not (store.root / "kms-keys").exists()


def test_the_rules(store):
    rules = encryption_rules(Settings(), store, ignore)
    assert isinstance(rules.kms, CountedKms)
    assert (rules.key_id, rules.sse_s3, rules.sse_c_refusal) == ("default", True, "")
    other = Settings(kms="off", kms_key_id="mine", sse_s3="off")
    rules = encryption_rules(other, store, ignore)
    assert (rules.kms, rules.key_id, rules.sse_s3) == (None, "mine", False)


async def test_calls_of_the_key_service_are_counted(store):
    sums = Counter()
    kms = encryption_rules(Settings(), store, lambda family, by: sums.update({family: by})).kms
    made = await kms.generate("default", b"context")
    assert await kms.unwrap("default", made.wrapped, b"context") == made.plain
    assert await kms.wrap("default", made.plain, b"context")
    with pytest.raises(KeyNotFound):
        await kms.generate("nobody", b"")
    assert await kms.exists("default")
    assert sums.pop(Metric.KMS_CALLS_NS) > 0
    assert sums == {Metric.KMS_CALLS: 4, Metric.KMS_FAILURES: 1}


EVERYBODY = Address("0.0.0.0", 9000)


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        (Settings(), ""),
        (Settings(address=EVERYBODY), "secure connection"),
        (Settings(address=EVERYBODY, tls_certs="certs"), ""),
        (Settings(address=EVERYBODY, external_url="https://s3.example.com"), ""),
        (Settings(address=EVERYBODY, external_url="http://s3.example.com"), "secure connection"),
        (Settings(address=EVERYBODY, sse_c="on"), ""),
        (Settings(sse_c="off", tls_certs="certs"), "sse-c is off"),
    ],
)
def test_where_customers_keys_are_taken(store, settings, refusal):
    told = encryption_rules(settings, store, ignore).sse_c_refusal
    assert refusal in told
    assert bool(told) == bool(refusal)


def test_a_server_that_encrypts_nothing_loads_nothing_for_it():
    """By their modules: what each process imports before its first request."""
    code = (
        "import sys; from fastobj.node import supervisor, worker, committer_main, maintenance\n"
        "needless = ('cryptography', '_cffi', 'aiohttp')\n"
        "print([name for name in sys.modules if name.startswith(needless)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_vault_is_one_too(store, tmp_path):
    settings = Settings(kms="vault", kms_endpoint="http://127.0.0.1:1", kms_token="t" * 20)
    rules = encryption_rules(settings, store, ignore)
    assert isinstance(rules.kms, KeepingKms)
    assert isinstance(
        encryption_rules(dataclasses.replace(settings, kms_keep=0), store, ignore).kms, CountedKms
    )
    assert "t" * 20 not in repr(settings)
