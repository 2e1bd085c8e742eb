"""Webhooks against a real HTTP server: what is sent, what counts as taken, and what is refused."""

import asyncio
import contextlib
import sys

import pytest
from aiohttp import web

from fastobj.core import limits
from fastobj.core.setting_kinds import Webhook
from fastobj.core.settings import Settings
from fastobj.events import webhook
from fastobj.events.base import NotDelivered
from fastobj.events.webhook import WebhookTarget
from fastobj.node import checks
from tests.unit.events.receiver import Receiver
from tests.unit.http.certificates import make_pair


@pytest.fixture(scope="module")
def running():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def receiver(running):
    running.got.clear()
    running.answers, running.delay_s = lambda number: web.Response(), 0
    return running


@contextlib.asynccontextmanager
async def target_of(receiver, token=""):
    target = WebhookTarget(Webhook("hook", receiver.endpoint, token))
    try:
        yield target
    finally:
        await target.rest()


@pytest.mark.parametrize(
    ("token", "sent"),
    [("", None), ("secret", "Bearer secret"), ("Basic dXNlcjpwYXNz", "Basic dXNlcjpwYXNz")],
)
async def test_a_message_is_posted(receiver, token, sent):
    async with target_of(receiver, token) as target:
        await target.send(b'{"EventName": "x"}')
    ((path, headers, message),) = receiver.got
    assert (path, message) == ("/events", {"EventName": "x"})
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("fastobj/")
    assert headers.get("Authorization") == sent


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_2xx_is_taken(receiver, status):
    receiver.answers = lambda number: web.Response(status=status)
    async with target_of(receiver) as target:
        await target.send(b"{}")


@pytest.mark.parametrize("status", [300, 400, 403, 429, 500, 503])
async def test_all_else_is_not(receiver, status):
    receiver.answers = lambda number: web.Response(status=status)
    async with target_of(receiver) as target:
        with pytest.raises(NotDelivered, match=f"it answers {status}"):
            await target.send(b"{}")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_is_followed(receiver, status):
    elsewhere = {"Location": "/elsewhere"}
    receiver.answers = lambda number: web.Response(status=status, headers=elsewhere)
    before = receiver.count
    async with target_of(receiver) as target:
        with pytest.raises(NotDelivered, match=str(status)):
            await target.send(b"{}")
    assert receiver.count == before + 1


async def test_no_proxy_and_no_cookie(receiver, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    receiver.answers = lambda number: web.Response(headers={"Set-Cookie": "a=b"})
    async with target_of(receiver) as target:
        await target.send(b"{}")
        await target.send(b"{}")
    assert all("Cookie" not in headers for _, headers, _ in receiver.got)


async def test_a_long_answer_is_not_read_to_its_end(receiver):
    receiver.answers = lambda number: web.Response(body=bytes(50 * limits.MIB))
    async with target_of(receiver) as target:
        await asyncio.wait_for(target.send(b"{}"), 10)
        await target.send(b"{}")


async def test_a_slow_answer_is_not_waited_for(receiver, monkeypatch):
    monkeypatch.setattr(webhook, "WEBHOOK_S_MAX", 0.1)
    receiver.delay_s = 1.0
    async with target_of(receiver) as target:
        with pytest.raises(NotDelivered, match="no answer in time"):
            await target.send(b"{}")


@pytest.mark.parametrize("token", ["secret", ""])
async def test_nobody_listens_and_nothing_secret_is_said(token):
    target = WebhookTarget(Webhook("hook", "http://user:secret@127.0.0.1:9/secret", token))
    try:
        with pytest.raises(NotDelivered) as caught:
            await target.send(b"{}")
    finally:
        await target.rest()
    assert "refused" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("token", "sent"), [("token", "Bearer token"), ("", "Basic dXNlcjpwYXNz")])
async def test_a_user_in_the_endpoint(receiver, token, sent):
    endpoint = receiver.endpoint.replace("://", "://user:pass@")
    target = WebhookTarget(Webhook("hook", endpoint, token))
    await target.send(b"{}")
    await target.rest()
    assert receiver.got[0][1]["Authorization"] == sent


async def test_a_certificate_that_nobody_has_signed_is_refused(tmp_path):
    with Receiver(certs=make_pair(tmp_path / "certs", "localhost")) as receiver:
        async with target_of(receiver, "secret") as target:
            with pytest.raises(NotDelivered, match="Certificate"):
                await target.send(b"{}")
        assert receiver.got == []


async def test_after_a_rest_it_goes_on(receiver):
    async with target_of(receiver) as target:
        await target.send(b"{}")
        await target.rest()
        await target.send(b"{}")
    assert len(receiver.got) == 2


def test_a_server_with_webhooks_asks_for_the_package(monkeypatch):
    settings = Settings(notify_webhook=(Webhook("hook", "http://127.0.0.1:9/"),))
    assert not [fault for fault in checks.faults(settings) if "aiohttp" in fault]
    monkeypatch.setattr(webhook, "find_spec", lambda name: None)
    (fault,) = [fault for fault in checks.faults(settings) if "aiohttp" in fault]
    assert "pip install 'fastobj[events]'" in fault
    assert not [fault for fault in checks.faults(Settings()) if "aiohttp" in fault]


def test_the_package_is_loaded_with_the_first_event_only(tmp_path):
    import subprocess

    code = (
        "import sys, fastobj.node.maintenance, fastobj.node.worker; print('aiohttp' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert found.stdout == b"False\n"
