/* CRC-32 as zlib computes it, eight bytes at a time by eight tables. */
#include "core.h"

#include <string.h>

#define POLYNOMIAL 0xEDB88320u

static uint32_t tables[8][256];

void crc32_begin(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t left = i;
        for (int bit = 0; bit < 8; bit++)
            left = left >> 1 ^ (left & 1 ? POLYNOMIAL : 0);
        tables[0][i] = left;
    }
    for (int i = 0; i < 256; i++)
        for (int behind = 1; behind < 8; behind++) {
            uint32_t before = tables[behind - 1][i];
            tables[behind][i] = before >> 8 ^ tables[0][before & 255];
        }
}

uint32_t crc32_of(uint32_t crc, const uint8_t *at, size_t size)
{
    crc = ~crc;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        word ^= crc;
        crc = tables[7][word & 255] ^ tables[6][word >> 8 & 255] ^ tables[5][word >> 16 & 255] ^
              tables[4][word >> 24 & 255] ^ tables[3][word >> 32 & 255] ^
              tables[2][word >> 40 & 255] ^ tables[1][word >> 48 & 255] ^ tables[0][word >> 56];
    }
    for (; size > 0; at++, size--)
        crc = crc >> 8 ^ tables[0][(crc ^ *at) & 255];
    return ~crc;
}
