/* The keys of a partial or a batch, most of which have been read before. */
#include "core.h"

#define NAMES 6

/* The names of a key: a block of six strings, each shorter than 64 bytes. A new reference; NULL with
 * an exception only where memory is out, NULL without one where a name is not UTF-8. */
static PyObject *key_of(const uint8_t *at)
{
    PyObject *key = PyTuple_New(NAMES);

    if (key == NULL)
        return NULL;
    at++;
    for (int i = 0; i < NAMES; i++) {
        Py_ssize_t size = *at >> 1;
        PyObject *name = PyUnicode_DecodeUTF8((const char *)at + 1, size, NULL);
        if (name == NULL) {
            Py_DECREF(key);
            if (PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
                PyErr_Clear();
            return NULL;
        }
        PyUnicode_InternInPlace(&name); /* the same names make many keys */
        PyTuple_SET_ITEM(key, i, name);
        at += 1 + size;
    }
    return key;
}

/* The end of the key that begins at `at`; NULL if it is written in another way. */
static const uint8_t *end_of(const uint8_t *at, const uint8_t *end)
{
    if (at == end || *at++ != NAMES << 1)
        return NULL;
    for (int i = 0; i < NAMES; i++) {
        if (at == end || (*at & 129) || end - at <= *at >> 1) /* longer than one byte says, negative */
            return NULL;
        at += 1 + (*at >> 1);
    }
    return at < end && *at == 0 ? at : NULL;
}

const char read_keys_doc[] =
    "read_keys(data, at, known) -> (keys, at)\n\n"
    "The keys from data[at:] on, in one block, and where they end. Known are those that were read\n"
    "before, by their bytes; more are added. None: they are broken, or written in another way.";

PyObject *read_keys(PyObject *module, PyObject *arguments)
{
    PyObject *data, *known, *keys;
    Py_ssize_t start;
    int64_t count;
    Cursor c;
    const uint8_t *first;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "O!nO!", &PyBytes_Type, &data, &start, &PyDict_Type, &known))
        return NULL;
    if (start < 0 || start > PyBytes_GET_SIZE(data))
        Py_RETURN_NONE;
    first = (const uint8_t *)PyBytes_AS_STRING(data);
    c = (Cursor){first + start, first + PyBytes_GET_SIZE(data)};
    if (!number(&c, &count) || count < 0 || count > (c.end - c.at) / (NAMES + 2))
        Py_RETURN_NONE;
    keys = PyTuple_New((Py_ssize_t)count);
    if (keys == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        const uint8_t *end = end_of(c.at, c.end);
        PyObject *bytes, *key;
        if (end == NULL)
            goto unusual;
        bytes = PyBytes_FromStringAndSize((const char *)c.at, end - c.at);
        if (bytes == NULL)
            goto unusual;
        key = Py_XNewRef(PyDict_GetItemWithError(known, bytes));
        if (key == NULL && !PyErr_Occurred() && (key = key_of(c.at)) != NULL) {
            if (PyDict_GET_SIZE(known) >= MOST_KNOWN)
                PyDict_Clear(known);
            if (PyDict_SetItem(known, bytes, key) < 0)
                Py_CLEAR(key);
        }
        Py_DECREF(bytes);
        if (key == NULL)
            goto unusual;
        PyTuple_SET_ITEM(keys, i, key);
        c.at = end + 1;
    }
    if (count > 0 && (c.at == c.end || *c.at++ != 0)) /* a second block */
        goto unusual;
    return Py_BuildValue("(Nn)", keys, (Py_ssize_t)(c.at - first));
unusual:
    Py_DECREF(keys);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

const char looked_up_doc[] =
    "looked_up(known, names, found): fill found (int64) with the number that known, a dict, has for each\n"
    "of the names, a tuple. What it has not is asked of known[name], whose exceptions are raised.";

PyObject *looked_up(PyObject *module, PyObject *arguments)
{
    PyObject *known, *names, *array, *result = NULL;
    Py_buffer view;
    Py_ssize_t count;
    int64_t *found;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "O!O!O", &PyDict_Type, &known, &PyTuple_Type, &names, &array))
        return NULL;
    count = PyTuple_GET_SIZE(names);
    if (column_of(array, (size_t)count, 8, 1, &view) < 0)
        return NULL;
    found = view.buf;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        PyObject *number = Py_XNewRef(PyDict_GetItemWithError(known, name));
        if (number == NULL && !PyErr_Occurred())
            number = PyObject_GetItem(known, name);
        if (number == NULL)
            goto done;
        found[i] = PyLong_AsLongLong(number);
        Py_DECREF(number);
        if (found[i] == -1 && PyErr_Occurred())
            goto done;
    }
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&view);
    return result;
}
