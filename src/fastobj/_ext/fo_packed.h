/* The head of a record: of a small body, packed into a block of the log behind it. All integers are
 * little-endian.
 *
 *   offset  bytes  field
 *        0      4  magic "FOBR"
 *        4      1  sum kind: 1 is CRC32C
 *        5      1  zero, not looked at
 *        6      2  length of the hint behind the body
 *        8     16  data id
 *       24      8  segment
 *       32      4  generation
 *       36      4  CRC32C of the body
 *       40      8  length of the body */
#ifndef FO_PACKED_H
#define FO_PACKED_H

#include <stdint.h>

enum {
    FO_PACKED_AT_SUM_KIND = 4,
    FO_PACKED_AT_HINT = 6,
    FO_PACKED_AT_DATA_ID = 8,
    FO_PACKED_AT_SEGMENT = 24,
    FO_PACKED_AT_GENERATION = 32,
    FO_PACKED_AT_SUM = 36,
    FO_PACKED_AT_LENGTH = 40,
    FO_PACKED_HEAD_BYTES = 48,
    FO_PACKED_DATA_ID_BYTES = 16,
    FO_PACKED_SUM_CRC32C = 1,
};

#define FO_PACKED_MAGIC UINT32_C(0x52424F46)

#endif
