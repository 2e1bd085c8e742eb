"""C kernels.

`crc` (CRC32, CRC32C, CRC64NVME), `digest` (MD5, SHA-1, SHA-256, many streams at once), `sigv4`
(canonical request and signature), `chunked` (aws-chunked bodies), `segio` (thread pool, verified
reads and writes).

Each is `<kernel>.pyx` (thin) over `<kernel>_impl.c`, which knows nothing of Python. This package
imports no Python code of ours and has no fallback: a kernel that is not built is an ImportError.
The environment variable FASTOBJ_ISA forces a level (`fo_cpu.h`) for tests and for comparison.
"""
