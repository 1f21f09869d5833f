/* Framed Avro data of MetricEvent to columns.
 *
 * A datum is taken only if it keeps every rule that schemas.events knows; all others are left to
 * the way in Python, which says what is wrong with them. So a rule stands there, and here is at most
 * what is stricter.
 */
#include "core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LATENCY, TTFT, INPUT, OUTPUT, TOTAL, CACHED, COST, QUALITY, METRICS };

#define ABSENT (-1)
#define NO_UNIT 65535
#define UNITS 10000         /* schemas.scope.BUCKETS */
#define LONGEST 256         /* bytes of a string; more may still be few enough characters */
#define LONGEST_ERROR 128
#define MOST_ENTRIES 32
#define MOST_MS 3600000.0
#define MOST_TOKENS 10000000
#define MOST_COST 1000.0
#define MOST_RETRIES 1000
#define LARGEST 1048576     /* schemas.decode.LARGEST */

/* ---- Avro ---- */

static inline int within(Cursor *c, int64_t most, int64_t *found)
{
    return number(c, found) && *found >= 0 && *found <= most;
}

static inline int real(Cursor *c, double most, double *found)
{
    if (c->end - c->at < 8)
        return 0;
    memcpy(found, c->at, 8);
    c->at += 8;
    return *found >= 0 && *found <= most; /* false for NaN */
}

/* Well-formed UTF-8 (Unicode 15, table 3-7). */
int legible(const uint8_t *at, size_t size)
{
    const uint8_t *end = at + size;

    while (at < end) {
        uint64_t word;
        int more;
        uint8_t low = 0x80, high = 0xBF;

        if (end - at >= 8) {
            memcpy(&word, at, 8);
            if ((word & 0x8080808080808080u) == 0) {
                at += 8;
                continue;
            }
        }
        if (*at < 0x80) {
            at++;
            continue;
        }
        if (*at >= 0xC2 && *at <= 0xDF)
            more = 1;
        else if (*at >= 0xE0 && *at <= 0xEF)
            more = 2;
        else if (*at >= 0xF0 && *at <= 0xF4)
            more = 3;
        else
            return 0;
        switch (*at) {
        case 0xE0: low = 0xA0; break;
        case 0xED: high = 0x9F; break;
        case 0xF0: low = 0x90; break;
        case 0xF4: high = 0x8F; break;
        default: break;
        }
        if (end - at <= more || at[1] < low || at[1] > high)
            return 0;
        for (int i = 2; i <= more; i++)
            if (at[i] < 0x80 || at[i] > 0xBF)
                return 0;
        at += more + 1;
    }
    return 1;
}

static inline int text(Cursor *c, size_t longest, Span *found)
{
    int64_t size;

    if (!within(c, (int64_t)longest, &size) || size > c->end - c->at)
        return 0;
    *found = (Span){c->at, (size_t)size};
    c->at += size;
    return legible(found->data, found->size);
}

/* Whether a union of null and something holds the latter: 1, 0, or -1 for neither. */
static inline int present(Cursor *c)
{
    if (c->at == c->end || (*c->at != 0 && *c->at != 2))
        return -1;
    return *c->at++ == 2;
}

static inline int maybe_text(Cursor *c, size_t longest, Span *found)
{
    *found = (Span){NULL, 0};
    switch (present(c)) {
    case 0: return 1;
    case 1: return text(c, longest, found);
    default: return 0;
    }
}

static inline int maybe_within(Cursor *c, int64_t most, int64_t *found)
{
    *found = ABSENT;
    switch (present(c)) {
    case 0: return 1;
    case 1: return within(c, most, found);
    default: return 0;
    }
}

/* In fixed point, rounded to even. */
static inline int maybe_real(Cursor *c, double most, double unit, int64_t *found)
{
    double value;

    *found = ABSENT;
    switch (present(c)) {
    case 0: return 1;
    case 1:
        if (!real(c, most, &value))
            return 0;
        *found = (int64_t)rint(value * unit);
        return 1;
    default: return 0;
    }
}

/* One block of pairs, or none. */
static int labels(Cursor *c)
{
    int64_t count, closed = 0;
    Span part;

    if (!within(c, MOST_ENTRIES, &count))
        return 0;
    for (int64_t i = 0; i < 2 * count; i++)
        if (!text(c, LONGEST, &part))
            return 0;
    return count == 0 || (number(c, &closed) && closed == 0);
}

/* A part of a key that can be taken for nothing else (schemas.scope.reserved). */
static inline int plain(Span part, int separator)
{
    for (size_t i = 0; i < part.size; i++)
        if (part.data[i] == '|' || part.data[i] == separator)
            return 0;
    return !(part.size == 1 && part.data[0] == '*');
}

/* ---- hashes: twins of schemas.hashing and schemas.scope ---- */

static inline uint64_t absorb(uint64_t state, uint64_t word)
{
    word *= 0x9E3779B97F4A7C15u;
    state = (state ^ word ^ word >> 32) * 0xD6E8FEB86659FD93u;
    return state ^ state >> 29;
}

static uint64_t absorb_all(uint64_t state, Span part)
{
    size_t at = 0;
    uint64_t word;

    state = absorb(state, part.size);
    for (; at + 8 <= part.size; at += 8) {
        memcpy(&word, part.data + at, 8);
        state = absorb(state, word);
    }
    if (at < part.size) {
        word = 0;
        memcpy(&word, part.data + at, part.size - at);
        state = absorb(state, word);
    }
    return state;
}

static uint64_t identity(Span name)
{
    uint64_t state = absorb(absorb_all(0x6C6C6D6F70742E31u, name), 0);
    return state ? state : 1;
}

static uint32_t murmur3(const uint8_t *data, size_t size)
{
    uint32_t h = 0, k;
    size_t at = 0;

    for (; at + 4 <= size; at += 4) {
        memcpy(&k, data + at, 4);
        k *= 0xCC9E2D51u;
        k = k << 15 | k >> 17;
        h ^= k * 0x1B873593u;
        h = h << 13 | h >> 19;
        h = h * 5 + 0xE6546B64u;
    }
    if (at < size) {
        k = 0;
        memcpy(&k, data + at, size - at);
        k *= 0xCC9E2D51u;
        k = k << 15 | k >> 17;
        h ^= k * 0x1B873593u;
    }
    h ^= (uint32_t)size;
    h = (h ^ h >> 16) * 0x85EBCA6Bu;
    h = (h ^ h >> 13) * 0xC2B2AE35u;
    return h ^ h >> 16;
}

static int64_t unit_of(Span name)
{
    uint8_t salted[5 + LONGEST] = "unit:";

    memcpy(salted + 5, name.data, name.size);
    return murmur3(salted, 5 + name.size) % UNITS;
}

/* ---- names to numbers, in the order in which they come ---- */

typedef struct {
    uint64_t hash;
    Span first, second; /* what lies between them says nothing of the name */
} Name;

typedef struct {
    Name *names;
    uint32_t *slots; /* number + 1 of a name, 0 for none */
    size_t count, room, mask;
} Names;

static void names_close(Names *names)
{
    free(names->names);
    free(names->slots);
    *names = (Names){0};
}

static int names_grow(Names *names)
{
    size_t room = names->room ? 2 * names->room : 256;
    uint32_t *slots = calloc(2 * room, sizeof *slots);
    Name *grown = realloc(names->names, room * sizeof *grown);

    if (grown != NULL)
        names->names = grown;
    if (slots == NULL || grown == NULL) {
        free(slots);
        return 0;
    }
    free(names->slots);
    names->slots = slots;
    names->room = room;
    names->mask = 2 * room - 1;
    for (size_t i = 0; i < names->count; i++) {
        size_t slot = names->names[i].hash & names->mask;
        while (slots[slot])
            slot = (slot + 1) & names->mask;
        slots[slot] = (uint32_t)i + 1;
    }
    return 1;
}

static inline int same(Span a, Span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* -1 when there is no memory. */
static int64_t numbered(Names *names, Span first, Span second)
{
    uint64_t hash = absorb_all(absorb_all(0, first), second);
    size_t slot;

    if (names->count == names->room && !names_grow(names))
        return -1;
    for (slot = hash & names->mask; names->slots[slot]; slot = (slot + 1) & names->mask) {
        Name *known = &names->names[names->slots[slot] - 1];
        if (known->hash == hash && same(known->first, first) && same(known->second, second))
            return names->slots[slot] - 1;
    }
    names->names[names->count] = (Name){hash, first, second};
    names->slots[slot] = (uint32_t)++names->count;
    return (int64_t)names->count - 1;
}

/* ---- events ---- */

typedef struct {
    int64_t timestamp, values[METRICS], status, retries, total;
    Span dimensions; /* service to provider, as they lie there */
    Span options;    /* config version and cohort, unions included */
    Span error, request, trace, unit;
    int blank; /* whether an option is there and says nothing, which is the same key */
} Event;

static int event(Cursor *c, int64_t oldest, int64_t newest, Event *e)
{
    const uint8_t *from;
    Span part;
    double latency;

    if (!number(c, &e->timestamp) || e->timestamp < oldest || e->timestamp > newest)
        return 0;
    from = c->at;
    for (int i = 0; i < 4; i++)
        if (!text(c, LONGEST, &part) || part.size == 0 || !plain(part, i == 0 ? '/' : '|'))
            return 0;
    e->dimensions = (Span){from, (size_t)(c->at - from)};
    if (!real(c, MOST_MS, &latency) || !within(c, MOST_TOKENS, &e->values[INPUT]) ||
        !within(c, MOST_TOKENS, &e->values[OUTPUT]) ||
        !maybe_within(c, MOST_TOKENS, &e->values[TOTAL]) ||
        !maybe_real(c, MOST_COST, 1e9, &e->values[COST]) || !number(c, &e->status) ||
        e->status < 100 || e->status > 599 || !maybe_text(c, LONGEST_ERROR, &e->error) ||
        !within(c, MOST_RETRIES, &e->retries))
        return 0;
    e->values[LATENCY] = (int64_t)rint(latency * 1e3);
    e->values[QUALITY] = ABSENT;
    if (e->values[TOTAL] == ABSENT)
        e->values[TOTAL] = e->values[INPUT] + e->values[OUTPUT];
    from = c->at;
    e->blank = 0;
    for (int i = 0; i < 2; i++) {
        if (!maybe_text(c, LONGEST, &part) || !plain(part, '|'))
            return 0;
        e->blank |= part.data != NULL && part.size == 0;
    }
    e->options = (Span){from, (size_t)(c->at - from)};
    return maybe_text(c, LONGEST, &e->request) && maybe_text(c, LONGEST, &e->trace) &&
           maybe_text(c, LONGEST, &e->unit) && maybe_real(c, MOST_MS, 1e3, &e->values[TTFT]) &&
           maybe_within(c, MOST_TOKENS, &e->values[CACHED]) && maybe_text(c, LONGEST, &part) &&
           labels(c) && c->at == c->end;
}

static inline int framed(Span value, uint32_t schema, Cursor *c)
{
    if (value.size < FRAME || value.size > LARGEST || value.data[0] != 0 ||
        ((uint32_t)value.data[1] << 24 | (uint32_t)value.data[2] << 16 |
         (uint32_t)value.data[3] << 8 | value.data[4]) != schema)
        return 0;
    *c = (Cursor){value.data + FRAME, value.data + value.size};
    return 1;
}

enum { MESSAGE, REST, TIMESTAMP, KEY, RETRIES, ERROR, UNIT, IDENTITY, VALUES, FAILED, TIMEOUT, COLUMNS };

/* How many events there are; -1 when there is no memory. */
static Py_ssize_t read_all(const Span *spans, Py_ssize_t count, uint32_t schema, int64_t oldest,
                           int64_t newest, const Py_buffer *out, Names *keys, Names *errors,
                           int *blank)
{
    Py_ssize_t n = 0, rest = 0;
    int64_t *column[VALUES + 1];
    uint8_t *failed = out[FAILED].buf, *timeout = out[TIMEOUT].buf;
    const Span nothing = {NULL, 0};

    for (int i = 0; i <= VALUES; i++)
        column[i] = out[i].buf;
    for (Py_ssize_t i = 0; i < count; i++) {
        Cursor c;
        Event e;
        Span unit;
        int64_t key, error = ABSENT;

        if (!framed(spans[i], schema, &c) || !event(&c, oldest, newest, &e)) {
            column[REST][rest++] = i;
            continue;
        }
        if ((key = numbered(keys, e.dimensions, e.options)) < 0 ||
            (e.error.size && (error = numbered(errors, e.error, nothing)) < 0))
            return -1;
        *blank |= e.blank;
        column[MESSAGE][n] = i;
        column[TIMESTAMP][n] = e.timestamp;
        column[KEY][n] = key;
        column[RETRIES][n] = e.retries;
        column[ERROR][n] = error;
        column[IDENTITY][n] = e.request.size ? (int64_t)identity(e.request) : 0;
        failed[n] = e.status < 200 || e.status > 299 || error != ABSENT;
        timeout[n] = e.status == 408 || e.status == 504 ||
                     (e.error.size == 7 && memcmp(e.error.data, "timeout", 7) == 0);
        unit = e.unit.size ? e.unit : e.trace.size ? e.trace : e.request;
        column[UNIT][n] = failed[n] && unit.size ? unit_of(unit) : NO_UNIT;
        memcpy(column[VALUES] + n * METRICS, e.values, sizeof e.values);
        n++;
    }
    return n;
}

/* The next string of a span that was read before. */
static PyObject *string(Cursor *c, int optional)
{
    int64_t size = 0;
    PyObject *found;

    if (!optional || present(c) == 1)
        number(c, &size);
    found = PyUnicode_DecodeUTF8((const char *)c->at, size, "strict");
    if (found != NULL)
        PyUnicode_InternInPlace(&found); /* the same names make many keys */
    c->at += size;
    return found;
}

static PyObject *key_of(const Name *name)
{
    PyObject *key = PyTuple_New(6);
    Cursor parts[2] = {{name->first.data, name->first.data + name->first.size},
                       {name->second.data, name->second.data + name->second.size}};

    for (int i = 0; key != NULL && i < 6; i++) {
        PyObject *part = string(&parts[i >= 4], i >= 4);
        if (part == NULL)
            Py_CLEAR(key);
        else
            PyTuple_SET_ITEM(key, i, part);
    }
    return key;
}

/* The same from those that are known by their bytes, or else made, and known from now on. */
static PyObject *known_key(const Name *name, PyObject *known)
{
    Py_ssize_t first = (Py_ssize_t)name->first.size, second = (Py_ssize_t)name->second.size;
    PyObject *key, *bytes = PyBytes_FromStringAndSize(NULL, first + second);

    if (bytes == NULL)
        return NULL;
    memcpy(PyBytes_AS_STRING(bytes), name->first.data, (size_t)first);
    memcpy(PyBytes_AS_STRING(bytes) + first, name->second.data, (size_t)second);
    key = Py_XNewRef(PyDict_GetItemWithError(known, bytes));
    if (key == NULL && !PyErr_Occurred() && (key = key_of(name)) != NULL) {
        if (PyDict_GET_SIZE(known) >= MOST_KNOWN)
            PyDict_Clear(known);
        if (PyDict_SetItem(known, bytes, key) < 0)
            Py_CLEAR(key);
    }
    Py_DECREF(bytes);
    return key;
}

static PyObject *error_of(const Name *name, PyObject *known)
{
    (void)known;
    return PyUnicode_DecodeUTF8((const char *)name->first.data, (Py_ssize_t)name->first.size,
                                "strict");
}

static PyObject *listed(const Names *names, PyObject *(*made)(const Name *, PyObject *),
                        PyObject *known)
{
    PyObject *list = PyList_New((Py_ssize_t)names->count);

    for (size_t i = 0; list != NULL && i < names->count; i++) {
        PyObject *item = made(&names->names[i], known);
        if (item == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
    }
    return list;
}

const char read_events_doc[] =
    "read_events(values, schema, oldest, newest, columns, known) -> (n, keys, error_types, distinct)\n\n"
    "Fill the columns, of the message, the ones left over, the timestamp, the key, retries, error\n"
    "type, unit, identity (int64), values (int64, 8 an event), failed and timeout (bool), with the\n"
    "n events that can be read; all others are left over. Keys that were read before are the same\n"
    "objects: known has them by their bytes. Some of the keys may be equal where they are not distinct.\n"
    "Raises MemoryError, TypeError, ValueError.";

PyObject *read_events(PyObject *module, PyObject *arguments)
{
    PyObject *values, *columns, *known, *keys_found = NULL, *errors_found = NULL, *result = NULL;
    Py_buffer out[COLUMNS] = {0};
    Span *spans = NULL;
    Names keys = {0}, errors = {0};
    long long oldest, newest;
    unsigned int schema;
    Py_ssize_t count, n;
    int opened = 0, blank = 0;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "O!ILLO!O!", &PyList_Type, &values, &schema, &oldest, &newest,
                          &PyTuple_Type, &columns, &PyDict_Type, &known))
        return NULL;
    count = PyList_GET_SIZE(values);
    if (PyTuple_GET_SIZE(columns) != COLUMNS) {
        PyErr_SetString(PyExc_ValueError, "the columns are not those that are wanted");
        return NULL;
    }
    for (; opened < COLUMNS; opened++)
        if (column_of(PyTuple_GET_ITEM(columns, opened),
                      (size_t)count * (opened == VALUES ? METRICS : 1),
                      opened >= FAILED ? 1 : 8, 1, &out[opened]) < 0)
            goto done;
    spans = PyMem_Malloc((size_t)count * sizeof *spans + 1);
    if (spans == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        if (span_of(PyList_GET_ITEM(values, i), &spans[i]) < 0)
            goto done;
    Py_INCREF(values); /* it keeps the bytes, which nobody changes */
    Py_BEGIN_ALLOW_THREADS
    n = read_all(spans, count, schema, oldest, newest, out, &keys, &errors, &blank);
    Py_END_ALLOW_THREADS
    Py_DECREF(values);
    if (n < 0) {
        PyErr_NoMemory();
        goto done;
    }
    if ((keys_found = listed(&keys, known_key, known)) != NULL &&
        (errors_found = listed(&errors, error_of, known)) != NULL)
        result = Py_BuildValue("nOOO", n, keys_found, errors_found, blank ? Py_False : Py_True);
done:
    Py_XDECREF(keys_found);
    Py_XDECREF(errors_found);
    while (opened > 0)
        PyBuffer_Release(&out[--opened]);
    PyMem_Free(spans);
    names_close(&keys);
    names_close(&errors);
    return result;
}
