/* The one CPU probe. A kernel asks for features and takes its best code; FASTOBJ_ISA=<level> hides
 * the features above that level, so that every path can be tested on a machine that has them all.
 *
 *   level     needs                          lets kernels use
 *   generic   nothing                        portable C only
 *   sse42     SSE4.2                         PCLMULQDQ and SHA-NI too, each where present
 *   avx2      AVX2                           AVX2 too
 *   avx512    AVX-512 F, BW, DQ, VL          VPCLMULQDQ too, where present
 *
 * "avx2-no-sha" and "avx512-no-sha" are the same without SHA-NI: where there is SHA-NI, it is what
 * SHA-256 runs on, and these show how a machine does that has none.
 *
 * Features beside a level are probed one by one, because AVX-512 without SHA-NI and SHA-NI without
 * AVX-512 are both common. On other machines than x86-64 the only level is generic. */
#ifndef FO_CPU_H
#define FO_CPU_H

enum {
    FO_CPU_SSE42 = 1 << 0,
    FO_CPU_PCLMUL = 1 << 1,
    FO_CPU_SHA_NI = 1 << 2,
    FO_CPU_AVX512 = 1 << 3,
    FO_CPU_VPCLMUL = 1 << 4,
    FO_CPU_AVX2 = 1 << 5,
};

typedef enum { FO_CPU_OK = 0, FO_CPU_UNKNOWN = -1, FO_CPU_UNAVAILABLE = -2 } fo_cpu_status;

/* Sets the FO_CPU_* bits that kernels may use. FO_CPU_UNKNOWN: FASTOBJ_ISA names no level.
 * FO_CPU_UNAVAILABLE: this machine lacks it. Both leave `features` alone. Empty means unset. For
 * one thread at a time, as kernels are when they are imported. */
fo_cpu_status fo_cpu_probe(unsigned *features);

/* What a status means, for the ImportError. */
const char *fo_cpu_message(fo_cpu_status status);

/* 1 when all `wanted` bits are in `features`. */
static inline int fo_cpu_has(unsigned features, unsigned wanted)
{
    return (features & wanted) == wanted;
}

#endif
