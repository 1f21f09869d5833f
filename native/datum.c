/* Values to Avro data, by a plan that schemas.datum makes of a schema. */
#include "core.h"

#include <string.h>

enum { LONG, STRING, BYTES, BOOLEAN, DOUBLE, OPTIONAL, ARRAY, MAP, RECORD, KNOWN };

typedef struct {
    uint8_t *bytes;
    size_t size, room;
} Out;

static int reserve(Out *out, size_t more)
{
    uint8_t *grown;
    size_t room = out->room ? out->room : 512;

    if (out->room - out->size >= more)
        return 0;
    while (room - out->size < more)
        room *= 2;
    grown = PyMem_Realloc(out->bytes, room);
    if (grown == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    out->bytes = grown;
    out->room = room;
    return 0;
}

static int put_bytes(Out *out, const void *bytes, size_t size)
{
    if (reserve(out, size) < 0)
        return -1;
    memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
    return 0;
}

/* Zigzag, then 7 bits a byte, lowest first. */
static int put_number(Out *out, int64_t value)
{
    uint64_t zigzag = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);

    if (reserve(out, 10) < 0)
        return -1;
    for (; zigzag > 127; zigzag >>= 7)
        out->bytes[out->size++] = (uint8_t)(zigzag | 128);
    out->bytes[out->size++] = (uint8_t)zigzag;
    return 0;
}

static int put_sized(Out *out, const void *bytes, size_t size)
{
    return put_number(out, (int64_t)size) < 0 ? -1 : put_bytes(out, bytes, size);
}

static int put_end(Out *out)
{
    return put_bytes(out, "", 1);
}

static int put_long(Out *out, PyObject *value)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);

    if (overflow) {
        PyErr_Format(PyExc_OverflowError, "%S does not fit 64 bits", value);
        return -1;
    }
    return number == -1 && PyErr_Occurred() ? -1 : put_number(out, number);
}

static int put_string(Out *out, PyObject *value)
{
    Py_ssize_t size;
    const char *text;

    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "a str is wanted, not %.100s", Py_TYPE(value)->tp_name);
        return -1;
    }
    text = PyUnicode_AsUTF8AndSize(value, &size);
    return text == NULL ? -1 : put_sized(out, text, (size_t)size);
}

static int put_buffer(Out *out, PyObject *value)
{
    Py_buffer view;
    int ended;

    if (PyObject_GetBuffer(value, &view, PyBUF_SIMPLE) < 0)
        return -1;
    ended = put_sized(out, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return ended;
}

static int put_double(Out *out, PyObject *value)
{
    double number = PyFloat_AsDouble(value);
    uint64_t bits;
    uint8_t bytes[8];

    if (number == -1 && PyErr_Occurred())
        return -1;
    memcpy(&bits, &number, 8);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(bits >> 8 * i);
    return put_bytes(out, bytes, 8);
}

static int put(Out *out, PyObject *plan, PyObject *value);

static int put_array(Out *out, PyObject *items, PyObject *value)
{
    PyObject *all = PySequence_Fast(value, "an array is wanted");
    int ended = 0;

    if (all == NULL)
        return -1;
    if (PySequence_Fast_GET_SIZE(all) > 0)
        ended = put_number(out, PySequence_Fast_GET_SIZE(all));
    for (Py_ssize_t i = 0; ended == 0 && i < PySequence_Fast_GET_SIZE(all); i++)
        ended = put(out, items, PySequence_Fast_GET_ITEM(all, i));
    Py_DECREF(all);
    return ended < 0 ? -1 : put_end(out);
}

/* A tuple that was written before is kept with its data. */
static int put_known(Out *out, PyObject *plan, PyObject *known, PyObject *value)
{
    PyObject *bytes;
    size_t from = out->size;

    if (!PyTuple_CheckExact(value))
        return put(out, plan, value);
    bytes = PyDict_GetItemWithError(known, value);
    if (bytes != NULL)
        return put_bytes(out, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
    if (PyErr_Occurred() || put(out, plan, value) < 0)
        return -1;
    bytes = PyBytes_FromStringAndSize((const char *)out->bytes + from,
                                      (Py_ssize_t)(out->size - from));
    if (bytes == NULL)
        return -1;
    if (PyDict_GET_SIZE(known) >= MOST_KNOWN)
        PyDict_Clear(known);
    if (PyDict_SetItem(known, value, bytes) < 0)
        from = SIZE_MAX;
    Py_DECREF(bytes);
    return from == SIZE_MAX ? -1 : 0;
}

/* A mapping in the order of its keys. Values of the type `row` know their data themselves. */
static int put_map(Out *out, PyObject *values, PyObject *row, PyObject *value)
{
    PyObject *keys;
    int ended = 0;

    if ((PyObject *)Py_TYPE(value) == row) {
        PyObject *known = PyObject_GetAttrString(value, "avro");
        if (known == NULL)
            return -1;
        if (PyBytes_CheckExact(known)) {
            ended = put_bytes(out, PyBytes_AS_STRING(known), (size_t)PyBytes_GET_SIZE(known));
        } else {
            PyErr_SetString(PyExc_TypeError, "avro is not bytes");
            ended = -1;
        }
        Py_DECREF(known);
        return ended;
    }
    keys = PyMapping_Keys(value);
    if (keys == NULL)
        return -1;
    if (PyList_GET_SIZE(keys) > 0)
        ended = PyList_Sort(keys) < 0 ? -1 : put_number(out, PyList_GET_SIZE(keys));
    for (Py_ssize_t i = 0; ended == 0 && i < PyList_GET_SIZE(keys); i++) {
        PyObject *key = PyList_GET_ITEM(keys, i), *each = PyObject_GetItem(value, key);
        ended = each == NULL || put_string(out, key) < 0 ? -1 : put(out, values, each);
        Py_XDECREF(each);
    }
    Py_DECREF(keys);
    return ended < 0 ? -1 : put_end(out);
}

static int put_record(Out *out, PyObject *names, PyObject *plans, PyObject *value)
{
    int ended = 0;

    for (Py_ssize_t i = 0; ended == 0 && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *each = PyObject_GetAttr(value, PyTuple_GET_ITEM(names, i));
        ended = each == NULL ? -1 : put(out, PyTuple_GET_ITEM(plans, i), each);
        Py_XDECREF(each);
    }
    return ended;
}

/* A plan is a list: its kind, then the plans that it is made of. It is ours, so it is trusted. */
static int put(Out *out, PyObject *plan, PyObject *value)
{
    long kind = PyLong_AsLong(PyList_GET_ITEM(plan, 0));
    int ended;

    switch (kind) {
    case LONG: return put_long(out, value);
    case STRING: return put_string(out, value);
    case BYTES: return put_buffer(out, value);
    case DOUBLE: return put_double(out, value);
    case BOOLEAN:
        ended = PyObject_IsTrue(value);
        return ended < 0 ? -1 : put_bytes(out, ended ? "\1" : "", 1);
    default: break;
    }
    if (Py_EnterRecursiveCall(" while writing Avro data"))
        return -1;
    switch (kind) {
    case OPTIONAL:
        if (value == Py_None)
            ended = put_end(out);
        else
            ended = put_bytes(out, "\2", 1) < 0 ? -1 : put(out, PyList_GET_ITEM(plan, 1), value);
        break;
    case KNOWN:
        ended = put_known(out, PyList_GET_ITEM(plan, 1), PyList_GET_ITEM(plan, 2), value);
        break;
    case ARRAY: ended = put_array(out, PyList_GET_ITEM(plan, 1), value); break;
    case MAP:
        ended = put_map(out, PyList_GET_ITEM(plan, 1), PyList_GET_ITEM(plan, 2), value);
        break;
    case RECORD:
        ended = put_record(out, PyList_GET_ITEM(plan, 1), PyList_GET_ITEM(plan, 2), value);
        break;
    default:
        PyErr_Format(PyExc_SystemError, "there is no plan %ld", kind);
        ended = -1;
    }
    Py_LeaveRecursiveCall();
    return ended;
}

const char datum_doc[] =
    "datum(plan, value) -> bytes\n\n"
    "The Avro datum of a value, by a plan of schemas.datum.";

PyObject *datum(PyObject *module, PyObject *arguments)
{
    PyObject *plan, *value, *found = NULL;
    Out out = {NULL, 0, 0};

    (void)module;
    if (!PyArg_ParseTuple(arguments, "O!O", &PyList_Type, &plan, &value))
        return NULL;
    if (put(&out, plan, value) == 0)
        found = PyBytes_FromStringAndSize((const char *)out.bytes, (Py_ssize_t)out.size);
    PyMem_Free(out.bytes);
    return found;
}
