"""C functions of the segio kernel, declared for its own .pyx only."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastobj._ext.chunked cimport fo_chunked


cdef extern from "segio_impl.h" nogil:
    enum:
        FO_PIECE_HEAD_BYTES
        FO_PIECE_BYTES
        FO_FRAME_BYTES
        FO_DATA_ID_BYTES
        FO_PACKED_HEAD_BYTES
        FO_STALE
        FO_SUMS_MAX
        FO_CHECKSUM

    ctypedef enum fo_job_kind:
        FO_WRITE_PIECE
        FO_READ_PIECE
        FO_READ
        FO_FDATASYNC
        FO_FSYNC
        FO_DECODE
        FO_HASH

    ctypedef enum fo_sum_kind:
        FO_SUM_CRC32
        FO_SUM_CRC32C
        FO_SUM_CRC64NVME

    ctypedef struct fo_sum:
        fo_sum_kind kind
        void *state

    ctypedef struct fo_piece:
        uint8_t data_id[16]
        uint64_t segment
        uint32_t generation
        uint32_t part
        uint32_t index
        uint32_t length

    ctypedef struct fo_job:
        fo_job *next
        fo_job_kind kind
        int fd
        int status
        int early_sync
        uint32_t payload_offset
        uint32_t payload_length
        uint64_t offset
        uint8_t *buffer
        uint64_t size
        fo_piece piece
        fo_chunked *chunked
        int64_t expected
        fo_sum sums[4]
        unsigned sum_count
        int urgent
        const char *path
        void *owner

    ctypedef struct fo_pool:
        pass

    void fo_piece_encode(uint8_t *head, const fo_piece *piece, const uint8_t *payload)
    int fo_piece_check(const uint8_t *head, const fo_piece *expected)
    ctypedef struct fo_packed:
        uint8_t data_id[16]
        uint64_t segment
        uint32_t generation
        uint64_t length

    int fo_packed_check(const uint8_t *head, const uint8_t *body, const fo_packed *expected)
    int fo_packed_read_now(int fd, uint64_t offset, uint8_t *body, const fo_packed *expected)
    fo_pool *fo_pool_new(unsigned threads, unsigned capacity, int *error)
    int fo_pool_eventfd(const fo_pool *pool)
    int fo_pool_submit(fo_pool *pool, fo_job *job)
    void fo_pool_streams(fo_pool *pool, int change)
    void fo_pool_hurry(fo_pool *pool, const void *state)
    void fo_pool_press(fo_pool *pool, int change)
    fo_job *fo_pool_take(fo_pool *pool)
    void fo_pool_close(fo_pool *pool)
    void fo_pool_free(fo_pool *pool)
    int fo_record_open(const char *record_path, const char *counter_path)
    void fo_record_close()
    int fo_record_is_on()
    uint64_t fo_record_begin()
    int fo_record_end(uint64_t begin, int kind, const char *path, uint64_t offset,
                      const void *bytes, uint64_t length)


cdef extern from "segio_fault.h" nogil:
    enum:
        FO_CALL_CREATE
        FO_CALL_OPEN
        FO_CALL_READ
        FO_CALL_WRITE
        FO_CALL_SYNC
        FO_CALL_TRUNCATE
        FO_CALL_ALLOCATE
        FO_CALL_RENAME
        FO_CALL_UNLINK
        FO_CALL_SYNC_DIRECTORY
        FO_FAULT_PATTERN_BYTES

    ctypedef enum fo_fault_kind:
        FO_FAULT_NONE
        FO_FAULT_FAIL
        FO_FAULT_SHORT
        FO_FAULT_LIE
        FO_FAULT_FLIP
        FO_FAULT_TEAR
        FO_FAULT_STALL
        FO_FAULT_COUNT

    ctypedef struct fo_fault_rule:
        unsigned calls
        char pattern[256]
        uint64_t first
        uint64_t times
        fo_fault_kind kind
        int error
        int drops
        uint64_t amount

    ctypedef struct fo_fault:
        fo_fault_kind kind
        int error
        uint64_t amount

    int fo_faults_on
    int fo_faults_add(const fo_fault_rule *rule)
    void fo_faults_clear()
    int fo_faults_share(const char *path)
    uint64_t fo_faults_counted(unsigned rule)
    fo_fault fo_fault_meet(unsigned call, const char *path, int fd, uint64_t size)
