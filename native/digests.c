/* The digests of what a commit writes; the twin is Record.digest of streams.exactly_once.journal. */
#include "core.h"

enum { TOPIC, PARTITION, KEY, VALUE, FIELDS }; /* of a Record; what comes behind is not looked at */

static uint32_t taken(uint32_t crc, const char *text, Py_ssize_t size)
{
    return crc32_of(crc, (const uint8_t *)text, (size_t)size);
}

/* Bytes, or none of them for None. -1 with an exception for anything else. */
static int bytes_of(PyObject *value, const char **found, Py_ssize_t *size)
{
    *found = "";
    *size = 0;
    if (value == Py_None)
        return 0;
    if (!PyBytes_Check(value)) {
        PyErr_Format(PyExc_TypeError, "bytes or None are wanted, not %.100s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    *found = PyBytes_AS_STRING(value);
    *size = PyBytes_GET_SIZE(value);
    return 0;
}

static int digest(PyObject *record, uint32_t *found)
{
    const char *topic, *key, *value;
    Py_ssize_t named, keyed, size;
    int none;
    uint32_t crc;

    if (!PyTuple_Check(record) || PyTuple_GET_SIZE(record) < FIELDS) {
        PyErr_SetString(PyExc_TypeError, "a record is wanted");
        return -1;
    }
    topic = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(record, TOPIC), &named);
    if (topic == NULL || bytes_of(PyTuple_GET_ITEM(record, KEY), &key, &keyed) < 0 ||
        bytes_of(PyTuple_GET_ITEM(record, VALUE), &value, &size) < 0)
        return -1;
    none = PyTuple_GET_ITEM(record, VALUE) == Py_None;
    crc = taken(0, topic, named);
    crc = none ? taken(crc, "|True|", 6) : taken(crc, "|False|", 7);
    crc = taken(taken(crc, key, keyed), "|", 1);
    if (size > 0 && value[0] == 0) { /* Avro: another registry numbers schemas differently */
        Py_ssize_t frame = size < FRAME ? size : FRAME;
        value += frame;
        size -= frame;
    }
    *found = taken(crc, value, size);
    return 0;
}

const char digests_doc[] =
    "digests(records) -> bytes\n\n"
    "The CRC-32 of topic, key and body of each record, little-endian, four bytes each.";

PyObject *digests(PyObject *module, PyObject *records)
{
    PyObject *packed;

    (void)module;
    if (!PyList_Check(records)) {
        PyErr_SetString(PyExc_TypeError, "a list of records is wanted");
        return NULL;
    }
    packed = PyBytes_FromStringAndSize(NULL, 4 * PyList_GET_SIZE(records));
    for (Py_ssize_t i = 0; packed != NULL && i < PyList_GET_SIZE(records); i++) {
        uint8_t *at = (uint8_t *)PyBytes_AS_STRING(packed) + 4 * i;
        uint32_t found;
        if (digest(PyList_GET_ITEM(records, i), &found) < 0) {
            Py_CLEAR(packed);
            break;
        }
        for (int byte = 0; byte < 4; byte++)
            at[byte] = (uint8_t)(found >> 8 * byte);
    }
    return packed;
}
