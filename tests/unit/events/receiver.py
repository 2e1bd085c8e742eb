"""A webhook's other end: an HTTP server in a thread, which notes what it is sent."""

import asyncio
import json
import ssl
import threading
from collections import defaultdict

from aiohttp import web


class Receiver:
    """A server on a port of 127.0.0.1, from `start` to `stop`; it may start again on that port.

    `answers` gives the response to each request, by its number; `delay_s` passes before it.
    """

    def __init__(self, path="/events", certs=None):
        self.path = path
        self.port = 0
        self.got = []  # (headers, message) in the order of arrival
        self.answers = lambda number: web.Response()
        self.delay_s = 0.0
        self.count = 0
        self._certs = certs
        self._loop = None
        self._thread = None

    @property
    def endpoint(self):
        scheme = "http" if self._certs is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}{self.path}"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        started = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=[self._serve(started)])
        self._thread.start()
        assert started.wait(20), "the receiver did not start"

    def stop(self):
        """Ends it, with all its connections; does nothing where it does not run."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self._thread = None

    async def _serve(self, started):
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        trust = None
        if self._certs is not None:
            trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            trust.load_cert_chain(self._certs / "public.crt", self._certs / "private.key")
        site = web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=trust, reuse_address=True)
        await site.start()
        self.port = runner.addresses[0][1]
        started.set()
        await self._stopping.wait()
        await runner.cleanup()

    async def _take(self, request):
        body = await request.read()
        self.count += 1
        answer = self.answers(self.count)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if answer.status == 200:
            self.got.append((request.path, dict(request.headers), json.loads(body)))
        return answer

    def records(self):
        """The record of each event that was taken; test events have none."""
        messages = [message for _, _, message in list(self.got)]
        return [record for message in messages for record in message.get("Records", [])]

    def by_key(self):
        """Names and ETags of each key's events, each the first time it was taken."""
        found = defaultdict(dict)
        for record in self.records():
            about = record["s3"]["object"]
            told = (record["eventName"], about.get("eTag", ""))
            found[about["key"]].setdefault(about["sequencer"], told)
        return found
