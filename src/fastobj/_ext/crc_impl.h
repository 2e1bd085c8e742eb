/* CRC32 (zlib, IEEE 802.3), CRC32C (Castagnoli) and CRC64NVME, for this kernel and for others.
 *
 * Another kernel includes this header, lists crc_impl.c, crc_sse42.c and crc_avx512.c among its
 * sources in setup.py, and calls fo_crc_init() once at import. All functions are thread-safe
 * after that. */
#ifndef FO_CRC_IMPL_H
#define FO_CRC_IMPL_H

#include <stddef.h>
#include <stdint.h>

#include "fo_cpu.h"

/* Computes the tables and chooses the code for this CPU. Must precede every other call; may be
 * repeated after FASTOBJ_ISA has changed, while no other thread computes. */
fo_cpu_status fo_crc_init(void);

/* Name of the chosen code: "generic", "sse42" or "avx512". */
const char *fo_crc_isa(void);

/* `crc` is 0 for the first bytes and the previous result for those that follow. Any alignment. */
uint32_t fo_crc32(uint32_t crc, const void *bytes, size_t length);
uint32_t fo_crc32c(uint32_t crc, const void *bytes, size_t length);
uint64_t fo_crc64nvme(uint64_t crc, const void *bytes, size_t length);

#endif
