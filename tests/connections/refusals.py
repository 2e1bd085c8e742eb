"""A watch over a server's port: for how long new connections get no answer."""

import contextlib
import http.client
import threading
import time

from fastobj.testing.process_server import ProcessServer

_PAUSE_S = 0.005


class RefusalWatch:
    """Asks again and again, each time on a new connection.

    `longest_s` is the longest time between a question that failed and the next answer.
    """

    def __init__(self, server: ProcessServer) -> None:
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.longest_s = 0.0
        self.asked = self.refused = 0

    def __enter__(self) -> "RefusalWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def forget(self) -> None:
        """Counts anew."""
        self.asked = self.refused = 0
        self.longest_s = 0.0

    def _run(self) -> None:
        failed_at: float | None = None
        while not self._stop.is_set():
            began = time.monotonic()
            self.asked += 1
            if self._is_answered():
                if failed_at is not None:
                    self.longest_s = max(self.longest_s, time.monotonic() - failed_at)
                failed_at = None
            else:
                self.refused += 1
                failed_at = failed_at or began
            time.sleep(_PAUSE_S)

    def _is_answered(self) -> bool:
        connection = self._server.connection(30)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/health/live")
                return connection.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                return False
