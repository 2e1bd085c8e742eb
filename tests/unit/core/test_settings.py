"""The table of settings: each row has one name everywhere, and a default that its kind reads."""

import json

from fastobj.core.setting_kinds import IDENTITIES, WEBHOOKS, Address, as_text
from fastobj.core.settings import SETTINGS, Settings

SECRET = "a secret nobody may see"


def test_each_row_has_help_and_a_field_of_its_own() -> None:
    names = [setting.name for setting in SETTINGS]
    assert len(set(names)) == len(names)
    for setting in SETTINGS:
        assert setting.help
        assert not setting.help.endswith(".")
        assert hasattr(Settings(), setting.field)


def test_a_setting_has_one_name_in_flag_file_and_environment() -> None:
    variables: list[str] = []
    for setting in SETTINGS:
        assert setting.name == setting.name.lower()
        assert "_" not in setting.name
        words = setting.name.split("-")
        assert setting.field == "_".join(words)
        assert setting.variables[0] == "FASTOBJ_" + "_".join(words).upper()
        assert not any(alias.startswith("FASTOBJ_") for alias in setting.aliases)
        variables += setting.variables
    assert len(set(variables)) == len(variables)


def test_no_variable_is_taken_for_the_file_of_another() -> None:
    variables = {variable for setting in SETTINGS for variable in setting.variables}
    assert not variables & {variable + "_FILE" for variable in variables}


def test_each_default_is_a_value_that_its_own_kind_accepts() -> None:
    for setting in SETTINGS:
        value = getattr(Settings(), setting.field)
        if value in ("", ()):
            continue  # not set: no text stands for that
        assert setting.kind.parse(as_text(value)) == value


def test_addresses_of_a_server_with_certificates_are_https() -> None:
    anywhere = Address("", 9000)
    assert Settings().url(anywhere) == "http://127.0.0.1:9000"
    assert Settings(tls_certs="/certs").url(anywhere) == "https://127.0.0.1:9000"


def test_signers_are_added_to_a_copy() -> None:
    settings = Settings()
    assert settings.with_signers(["somebody"]).signers == ("somebody",)
    assert settings.signers == ()


def test_no_secret_stands_in_a_repr() -> None:
    identities = IDENTITIES.parse(
        json.dumps([{"id": "a", "access-key": "k", "secret-key": SECRET}])
    )
    rows = [{"id": "a", "endpoint": f"https://{SECRET}@example.com", "auth-token": SECRET}]
    webhooks = WEBHOOKS.parse(json.dumps(rows))
    settings = Settings(
        root_password=SECRET,
        metrics_token=SECRET,
        identities=identities,
        notify_webhook=webhooks,
    )
    assert SECRET not in repr(settings) + str(settings) + repr(identities) + repr(webhooks)
