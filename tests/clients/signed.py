"""Signs plain http.client requests, for what client libraries would do in their own way."""

import time

from fastobj._ext import sigv4
from fastobj.testing.process_server import ProcessServer

SIGNED_HEADERS = b"host;x-amz-content-sha256;x-amz-date"


def signed_headers(
    server: ProcessServer, method: str, path: str, query: str = ""
) -> dict[str, str]:
    """Headers for a request with UNSIGNED-PAYLOAD."""
    amz_date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{amz_date[:8]}/us-east-1/s3/aws4_request"
    headers = {
        "Host": f"127.0.0.1:{server.port}",
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
        "x-amz-date": amz_date,
    }
    key = sigv4.signing_key(server.secret_key.encode(), amz_date[:8].encode(), b"us-east-1", b"s3")
    signature = sigv4.signature(
        method.encode(),
        path.encode(),
        query.encode(),
        [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        SIGNED_HEADERS,
        b"UNSIGNED-PAYLOAD",
        amz_date.encode(),
        scope.encode(),
        key,
    )
    headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={server.access_key}/{scope},"
        f" SignedHeaders={SIGNED_HEADERS.decode()}, Signature={signature.decode()}"
    )
    return headers
