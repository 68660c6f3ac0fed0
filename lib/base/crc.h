/*
 * crc - a checksum of large blocks, to notice damage on a disk: CRC-32C (Castagnoli; Intel's crc32 instruction where
 * the processor has it, else eight tables) over four lanes of 8-byte words in turn, then over the lanes' results and
 * the rest.  Four lanes hide the latency of the instruction.  Not the CRC-32C of the bytes; no defence against malice.
 */
#ifndef BASE_CRC_H
#define BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc_lanes(const void *p, size_t n);
uint32_t crc_lanes_soft(const void *p, size_t n);	/* the same without the instruction: tests */

#endif
