"""Forms: sent by curl, and by a page in a browser, to each scheme and style."""

import http.server
import subprocess
import threading
from collections.abc import Iterator
from html import escape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.clients.site import Site
from tools.debian import provide

BROWSER_S_MAX = 120
CONTENT = bytes(range(256)) * 300 + b"\r\n--"
PAGE = """<!doctype html><meta charset="utf-8"><title>upload</title>
<form id="form" action="{url}" method="post" enctype="multipart/form-data">
{fields}<input type="file" name="file"><input type="submit" name="submit" value="Upload"></form>
<script>
const bytes = Uint8Array.from({content});
const given = new DataTransfer();
given.items.add(new File([bytes], "grüße 1.bin", {{type: "image/png"}}));
const form = document.getElementById("form");
form.elements.file.files = given.files;
HTMLFormElement.prototype.submit.call(form);
</script>
"""


def signed(site: Site, bucket: str, **fields: str) -> dict[str, object]:
    """What boto3 makes for a form that may bring one file below in/."""
    conditions = [{name: value} for name, value in fields.items()]
    found: dict[str, object] = site.boto3().generate_presigned_post(
        bucket, "in/${filename}", fields, [*conditions, ["content-length-range", 1, 1 << 20]]
    )
    return found


def test_curl(crossed_site: Site, tmp_path: Path) -> None:
    site, s3 = crossed_site, crossed_site.boto3()
    bucket, file = f"curl-form-{site.name}", tmp_path / "a file.bin"
    s3.create_bucket(Bucket=bucket)
    file.write_bytes(CONTENT)
    form = signed(site, bucket, success_action_status="201", **{"Content-Type": "text/plain"})
    fields = form["fields"]
    assert isinstance(fields, dict)
    words = [
        word for name, value in fields.items() for word in ("--form-string", f"{name}={value}")
    ]
    trust = ["--cacert", str(site.certificate)] if site.certificate else []
    done = subprocess.run(
        ["curl", "-sS", *trust, *words, "-F", f"file=@{file};type=image/png", str(form["url"])],
        capture_output=True,
        text=True,
        check=True,
    )
    where = "in/a%20file.bin" if site.style == "virtual" else f"{bucket}/in/a%20file.bin"
    assert "<Key>in/a file.bin</Key>" in done.stdout
    assert f"/{where}</Location>" in done.stdout
    assert f"<Location>{site.scheme}://" in done.stdout
    found = s3.get_object(Bucket=bucket, Key="in/a file.bin")
    assert (found["Body"].read(), found["ContentType"]) == (CONTENT, "text/plain")


class _Done(http.server.BaseHTTPRequestHandler):
    """The page that a browser is sent to; keeps what it was asked for."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>done</title><p id=done>stored</p>")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is said."""


@pytest.fixture
def pages() -> Iterator[tuple[str, list[str]]]:
    """The URL of a server of pages, and the paths that it has been asked for."""
    asked: list[str] = []
    handler = type("Done", (_Done,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_a_page_in_a_browser(http_site: Site, tmp_path: Path, pages: tuple[str, list[str]]) -> None:
    browser = provide("chromium-headless-shell", "usr/lib/chromium/chromium-headless-shell")
    site, s3, (home, asked) = http_site, http_site.boto3(), pages
    s3.create_bucket(Bucket="browser-form")
    form = signed(site, "browser-form", success_action_redirect=f"{home}/done?a=b")
    fields = form["fields"]
    assert isinstance(fields, dict)
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">\n'
        for name, value in fields.items()
    )
    page = tmp_path / "page.html"
    page.write_text(PAGE.format(url=form["url"], fields=hidden, content=list(CONTENT)))
    done = subprocess.run(
        [
            browser,
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=20000",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=BROWSER_S_MAX,
    )
    assert '<p id="done">stored</p>' in done.stdout, done.stdout + done.stderr
    [key] = [found["Key"] for found in s3.list_objects_v2(Bucket="browser-form")["Contents"]]
    found = s3.get_object(Bucket="browser-form", Key=key)
    assert found["Body"].read() == CONTENT
    told = parse_qs(urlsplit(next(path for path in asked if "done" in path)).query)
    assert told == {"a": ["b"], "bucket": ["browser-form"], "key": [key], "etag": [found["ETag"]]}
    assert key == "in/grüße 1.bin"
