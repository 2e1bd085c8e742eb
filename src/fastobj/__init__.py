"""fastobj: an S3-compatible object store. This is the map: packages, lowest layer first.

A package imports only itself and packages of a lower number; `tests/test_house.py` holds that.

0  _ext        C kernels: checksums, signatures, chunk decoding, disk I/O
1  core        settings, limits, errors, clock, log, metrics: what everything may use
2  meta        metadata engines: an ordered key-value store with transactions
2  events      where events are sent to, behind one contract
2  kms         key services, which wrap the keys that objects are encrypted with
2  storage     volumes, which keep bodies, and the log, which keeps small ones with their commits
4  http        HTTP/1.1: connections, messages, bodies; knows no S3
4  iam         identities, policies, decisions; knows no HTTP
4  objects     what S3 operations mean: put, get, list, versions, multipart; knows no wire
5  s3          the table of operations, routing, signatures, XML, handlers
5  background  compaction, lifecycle, scrub: throttled work that no request waits for
7  node        supervisor, committer, workers: the only place that wires all of the above
8  cli         the `fastobj` command
8  testing     contract suites and an in-process server, for our tests and for yours
"""

__version__ = "0.1.0"
