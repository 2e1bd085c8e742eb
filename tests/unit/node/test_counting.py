"""What a worker counts, without a server around it."""

import pytest

from fastobj.core.errors import ChecksumMismatch, StaleLocation
from fastobj.core.metrics import METRICS, Metric, MetricsPage
from fastobj.http.message import Request, Response
from fastobj.node.counting import CountingApplication, CountingVolume
from fastobj.storage.local_volume import LocalVolume

SLOT = 1


class _Body:
    def __init__(self, length):
        self.length = length


def _page() -> MetricsPage:
    return MetricsPage(memoryview(bytearray(2 * len(METRICS) * 8)).cast("Q"), 2)


def _counting(page, answer) -> CountingApplication:
    async def application(request):
        return answer(request)

    return CountingApplication(application, page, SLOT)


def _request(method=b"GET", length=0) -> Request:
    return Request(method, b"/b/k", [], _Body(length))


@pytest.mark.parametrize("status", [200, 206, 304, 404, 503])
async def test_requests_are_counted_by_class(status):
    page = _page()
    response = await _counting(page, lambda _: Response(status))(_request())
    assert response.status == status
    counted = [page.total(Metric(index)) for index in range(4)]
    assert counted == [int(status // 100 == number) for number in (2, 3, 4, 5)]


@pytest.mark.parametrize(
    ("method", "length", "response", "received", "sent"),
    [
        (b"PUT", 100, Response(200), 100, 0),
        (b"PUT", 100, Response(403, [], b"no"), 0, 2),
        (b"PUT", None, Response(200), 0, 0),
        (b"GET", 0, Response(200, [], b"body"), 0, 4),
        (b"HEAD", 0, Response(200, [], b"", 4), 0, 0),
        (b"GET", 0, Response(304, [], b"", 4), 0, 0),
        (b"DELETE", 0, Response(204), 0, 0),
    ],
)
async def test_bytes_are_those_of_bodies_that_moved(method, length, response, received, sent):
    page = _page()
    await _counting(page, lambda _: response)(_request(method, length))
    assert page.total(Metric.HTTP_BYTES_IN) == received
    assert page.total(Metric.HTTP_BYTES_OUT) == sent


class _Stream:
    def __init__(self, error):
        self._error = error
        self.closed = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        raise self._error

    async def aclose(self):
        self.closed = True


@pytest.mark.parametrize(
    ("error", "counted"), [(ChecksumMismatch("x"), 1), (StaleLocation("x"), 0)]
)
async def test_only_bytes_that_do_not_verify_are_counted(monkeypatch, error, counted):
    found = []
    stream = _Stream(error)

    async def read(*_):
        raise error

    monkeypatch.setattr(LocalVolume, "read", read)
    monkeypatch.setattr(LocalVolume, "stream", lambda *_: stream)
    volume = CountingVolume.__new__(CountingVolume)
    volume.mismatch = lambda: found.append(1)
    with pytest.raises(type(error)):
        await volume.read(None, b"", 0, 1)
    slices = volume.stream(None, b"", 0, 1)
    with pytest.raises(type(error)):
        await anext(aiter(slices))
    await slices.aclose()
    assert stream.closed
    assert len(found) == 2 * counted
