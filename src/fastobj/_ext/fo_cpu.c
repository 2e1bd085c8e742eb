/* CPU probe: see fo_cpu.h. Bit positions: the CPUID tables of the Intel SDM, volume 2A. */
#include "fo_cpu.h"

#include "fo_common.h"

#include <stdlib.h>

typedef struct {
    const char *name;
    unsigned needs;  /* without these the level is not available */
    unsigned allows; /* features that kernels may use at this level */
} level_row;

#define SSE42_ALLOWS (FO_CPU_SSE42 | FO_CPU_PCLMUL | FO_CPU_SHA_NI)
#define AVX2_ALLOWS (SSE42_ALLOWS | FO_CPU_AVX2)
#define AVX512_ALLOWS (AVX2_ALLOWS | FO_CPU_AVX512 | FO_CPU_VPCLMUL)

static const level_row LEVELS[] = {
    {"generic", 0, 0},
    {"sse42", FO_CPU_SSE42, SSE42_ALLOWS},
    {"avx2-no-sha", FO_CPU_AVX2, AVX2_ALLOWS & ~FO_CPU_SHA_NI},
    {"avx2", FO_CPU_AVX2, AVX2_ALLOWS},
    {"avx512-no-sha", FO_CPU_AVX512, AVX512_ALLOWS & ~FO_CPU_SHA_NI},
    {"avx512", FO_CPU_AVX512, AVX512_ALLOWS},
};
#define LEVEL_COUNT (sizeof LEVELS / sizeof LEVELS[0])

#if FO_X86_64
#include <cpuid.h>

#define BIT(word, position) (((word) >> (position)) & 1u)

/* The register state that the operating system saves (XCR0): a CPU may have AVX-512 while the
 * kernel does not keep its registers over a task switch. */
static unsigned saved_state(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static unsigned basic_features(unsigned ecx)
{
    /* The SSE4.2 files also use SSSE3 and SSE4.1. */
    if (!(BIT(ecx, 9) && BIT(ecx, 19) && BIT(ecx, 20)))
        return 0;
    return FO_CPU_SSE42 | (BIT(ecx, 1) ? FO_CPU_PCLMUL : 0);
}

/* 1 when all of these bits are set. */
static int is_saved(unsigned state)
{
    return (saved_state() & state) == state;
}

static unsigned wide_features(unsigned ebx, unsigned ecx)
{
    const unsigned ymm = 0x06, zmm = 0xE6; /* SSE and AVX; opmask and both parts of ZMM too */
    if (!BIT(ebx, 5) || !is_saved(ymm))
        return 0;
    const int has_avx512 = BIT(ebx, 16) && BIT(ebx, 17) && BIT(ebx, 30) && BIT(ebx, 31);
    if (!has_avx512 || !is_saved(zmm))
        return FO_CPU_AVX2;
    return FO_CPU_AVX2 | FO_CPU_AVX512 | (BIT(ecx, 10) ? FO_CPU_VPCLMUL : 0);
}

static unsigned machine_features(void)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx))
        return 0;
    unsigned features = basic_features(ecx);
    const int os_saves_state = BIT(ecx, 27);
    if (!features || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
        return features;
    features |= BIT(ebx, 29) ? FO_CPU_SHA_NI : 0;
    return features | (os_saves_state ? wide_features(ebx, ecx) : 0);
}
#else
static unsigned machine_features(void)
{
    return 0;
}
#endif

/* Asked once: in a virtual machine each CPUID takes longer than all else here together. */
static unsigned known_features(void)
{
    static int is_known;
    static unsigned features;
    if (!is_known)
        features = machine_features();
    is_known = 1;
    return features;
}

fo_cpu_status fo_cpu_probe(unsigned *features)
{
    const unsigned machine = known_features();
    const char *forced = getenv("FASTOBJ_ISA");
    if (!forced || !*forced) {
        *features = machine;
        return FO_CPU_OK;
    }
    for (size_t level = 0; level < LEVEL_COUNT; level++) {
        const level_row *row = &LEVELS[level];
        if (strcmp(row->name, forced) != 0)
            continue;
        if (!fo_cpu_has(machine, row->needs))
            return FO_CPU_UNAVAILABLE;
        *features = machine & row->allows;
        return FO_CPU_OK;
    }
    return FO_CPU_UNKNOWN;
}

const char *fo_cpu_message(fo_cpu_status status)
{
    switch (status) {
    case FO_CPU_UNKNOWN:
        return "FASTOBJ_ISA names no level; the levels are generic, sse42, avx2, avx512, "
               "avx2-no-sha and avx512-no-sha";
    case FO_CPU_UNAVAILABLE:
        return "FASTOBJ_ISA names a level that this machine does not have";
    default:
        return "no problem";
    }
}
