/* What the parts of native.core share. */
#ifndef LLMOPT_CORE_H
#define LLMOPT_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

#define MOST_KNOWN (1 << 17) /* keys that are kept for when they come again */

/* Bytes that somebody else keeps. */
typedef struct {
    const uint8_t *data; /* NULL: there is no value */
    size_t size;
} Span;

/* The value of a message, or the bytes that stand for it, or None. -1 with an exception if it is
 * something else. */
int span_of(PyObject *value, Span *found);

/* A writable or readable buffer of items of 8 bytes (or 1), at least `items` of them. */
int column_of(PyObject *array, size_t items, size_t width, int writable, Py_buffer *found);

#define FRAME 5 /* bytes before an Avro datum: a zero, and the schema's id */

/* Whether bytes are well-formed UTF-8. */
int legible(const uint8_t *at, size_t size);

/* Avro data that is being read. */
typedef struct {
    const uint8_t *at, *end;
} Cursor;

/* A zigzag number in its shortest form. */
static inline int number(Cursor *c, int64_t *found)
{
    uint64_t value = 0;
    int shift = 0;

    for (;;) {
        uint8_t byte;
        if (c->at == c->end)
            return 0;
        byte = *c->at++;
        if (shift == 63 && byte > 1)
            return 0;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            if (byte == 0 && shift > 0)
                return 0;
            *found = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
            return 1;
        }
        shift += 7;
        if (shift > 63)
            return 0;
    }
}

/* messages.c */
typedef struct {
    size_t users;
    uint8_t bytes[];
} Block; /* what messages of one partition that came together share */

typedef struct {
    PyObject_HEAD
    Block *block;
    PyObject *topic; /* the same object for all of a queue's messages of a topic */
    const uint8_t *value, *key, *headers; /* NULL: there is none */
    size_t value_size, key_size, headers_size;
    int64_t offset, timestamp;
    int32_t partition, error;
} Message;

extern PyTypeObject MessageType;
extern PyTypeObject QueueType;

/* split.c */
PyObject *split(PyObject *module, PyObject *messages);
PyObject *sizes(PyObject *module, PyObject *arguments);
PyObject *places(PyObject *module, PyObject *arguments);
extern const char split_doc[], sizes_doc[], places_doc[];

/* events.c */
PyObject *read_events(PyObject *module, PyObject *arguments);
extern const char read_events_doc[];

/* sums.c */
PyObject *counted(PyObject *module, PyObject *arguments);
PyObject *tallied(PyObject *module, PyObject *arguments);
PyObject *merged(PyObject *module, PyObject *arguments);
PyObject *moments(PyObject *module, PyObject *arguments);
PyObject *cells(PyObject *module, PyObject *arguments);
extern const char counted_doc[], tallied_doc[], merged_doc[], moments_doc[], cells_doc[];

/* keys.c */
PyObject *read_keys(PyObject *module, PyObject *arguments);
PyObject *looked_up(PyObject *module, PyObject *arguments);
extern const char read_keys_doc[], looked_up_doc[];

/* crc.c */
void crc32_begin(void);
uint32_t crc32_of(uint32_t crc, const uint8_t *at, size_t size);

/* faults.c, batchfaults.c */
PyObject *event_faults(PyObject *module, PyObject *arguments);
PyObject *batch_faults(PyObject *module, PyObject *arguments);
extern const char event_faults_doc[], batch_faults_doc[];

/* digests.c */
PyObject *digests(PyObject *module, PyObject *records);
extern const char digests_doc[];

/* datum.c */
PyObject *datum(PyObject *module, PyObject *arguments);
extern const char datum_doc[];

#endif
