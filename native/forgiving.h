/* Avro data read as fastavro reads them, which decides what a datum is.
 *
 * It is more forgiving than events.c: a number may be written in a longer form, and what does not
 * fit 64 bits turns around; a union may tell its branch from the end; arrays and maps come in any
 * number of blocks. What each reader returns is NOTHING, or what it stumbles over.
 */
#ifndef LLMOPT_FORGIVING_H
#define LLMOPT_FORGIVING_H

#include "core.h"

#include <string.h>

enum { NOTHING, ENDS, CHOOSES, ILLEGIBLE, LEFT_OVER, RULES }; /* the codes of every record */
#define UNTOLD (-1)
#define REQUIRED 4   /* of the dimensions, those that may not be empty: they are the first ones */
#define DIMENSIONS 6

typedef struct {
    int64_t code, figures[2]; /* figures: what the sentence tells */
} Fault;

static inline int wide(Cursor *c, int64_t *found)
{
    uint64_t value = 0;

    if (c->at == c->end)
        return ENDS;
    for (unsigned shift = 0;; shift += 7) {
        if (c->at == c->end)
            return CHOOSES; /* the way it tells the end within a number */
        value |= (uint64_t)(*c->at & 127) << (shift & 63);
        if (*c->at++ < 128)
            break;
    }
    *found = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
    return NOTHING;
}

static inline int piece(Cursor *c, Span *found)
{
    int64_t size;
    int fault = wide(c, &size);

    if (fault)
        return fault;
    if (size < 0 || size > c->end - c->at)
        return ENDS;
    *found = (Span){c->at, (size_t)size};
    c->at += size;
    return NOTHING;
}

static inline int text(Cursor *c, Span *found)
{
    int fault = piece(c, found);

    return fault ? fault : legible(found->data, found->size) ? NOTHING : ILLEGIBLE;
}

static inline int real(Cursor *c, double *found)
{
    if (c->end - c->at < 8)
        return ENDS;
    memcpy(found, c->at, 8);
    c->at += 8;
    return NOTHING;
}

/* Which of a union of null and something. */
static inline int branch(Cursor *c, int *present)
{
    int64_t chosen;
    int fault = wide(c, &chosen);

    if (fault)
        return fault;
    *present = chosen == 1 || chosen == -1;
    return chosen >= -2 && chosen <= 1 ? NOTHING : CHOOSES;
}

/* How many items the next block of an array or a map has; 0 behind the last. The least number has no
 * opposite: such a block is none, and others follow. */
static inline int block(Cursor *c, int64_t *count)
{
    int64_t size;
    int fault = wide(c, count);

    if (fault || *count >= 0)
        return fault;
    if (*count != INT64_MIN)
        *count = -*count;
    return wide(c, &size); /* which it does not look at */
}

static inline size_t characters(Span part)
{
    size_t count = 0;

    for (size_t i = 0; i < part.size; i++)
        count += (part.data[i] & 0xC0) != 0x80;
    return count;
}

static inline int longer(Span part, int64_t most)
{
    return part.size > (size_t)most && characters(part) > (size_t)most;
}

enum { SLASH, STAR, BAR, WHOLE };

/* Twin of schemas.scope.reserved; WHOLE if nothing is. */
static inline int reserved(const Span *parts, int count)
{
    if (memchr(parts[0].data, '/', parts[0].size))
        return SLASH;
    for (int i = 0; i < count; i++) {
        if (parts[i].size == 1 && parts[i].data[0] == '*')
            return STAR;
        if (parts[i].size && memchr(parts[i].data, '|', parts[i].size))
            return BAR;
    }
    return WHOLE;
}

/* Say of each of many data what is wrong with it. */
PyObject *faults(PyObject *arguments, void (*fault_of)(Span, const void *, Fault *),
                 size_t rules_size);

#endif
