/* CRC-32 as zlib computes it, sixteen bytes at a time by as many tables. */
#include "core.h"

#include <string.h>

#define POLYNOMIAL 0xEDB88320u

static uint32_t tables[16][256];

void crc32_begin(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t left = i;
        for (int bit = 0; bit < 8; bit++)
            left = left >> 1 ^ (left & 1 ? POLYNOMIAL : 0);
        tables[0][i] = left;
    }
    for (int i = 0; i < 256; i++)
        for (int behind = 1; behind < 16; behind++) {
            uint32_t before = tables[behind - 1][i];
            tables[behind][i] = before >> 8 ^ tables[0][before & 255];
        }
}

uint32_t crc32_of(uint32_t crc, const uint8_t *at, size_t size)
{
    crc = ~crc;
    for (; size >= 16; at += 16, size -= 16) {
        uint64_t first, second;
        uint32_t low = 0, high = 0;
        memcpy(&first, at, 8);
        memcpy(&second, at + 8, 8);
        first ^= crc;
        for (int i = 0; i < 8; i++) { /* two chains, which need not wait for each other */
            low ^= tables[15 - i][first >> 8 * i & 255];
            high ^= tables[7 - i][second >> 8 * i & 255];
        }
        crc = low ^ high;
    }
    for (; size > 0; at++, size--)
        crc = crc >> 8 ^ tables[0][(crc ^ *at) & 255];
    return ~crc;
}
