/* Messages by where they are from, and their offsets, without a call of Python for each. */
#include "core.h"

#define MOST_PLACES 4096

typedef struct {
    PyObject *topic; /* borrowed */
    int32_t partition;
    int64_t offset; /* of the last record */
    Py_ssize_t last;
    PyObject *run; /* borrowed from the result */
} Place;

/* The place of a message, made if it is new; NULL with an exception, or without one for too many. */
static Place *place_of(Place *places, Py_ssize_t *count, Place *recent, const Message *message,
                       PyObject *runs)
{
    Place *each;
    PyObject *at;
    int failed;

    if (recent != NULL && recent->topic == message->topic &&
        recent->partition == message->partition)
        return recent;
    for (each = places; each < places + *count; each++)
        if (each->topic == message->topic && each->partition == message->partition)
            return each;
    if (*count == MOST_PLACES)
        return NULL;
    *each = (Place){message->topic, message->partition, -1, -1, PyList_New(0)};
    at = each->run == NULL ? NULL : Py_BuildValue("Oi", message->topic, (int)message->partition);
    failed = at == NULL || PyDict_SetItem(runs, at, each->run) < 0;
    Py_XDECREF(at);
    Py_XDECREF(each->run);
    if (failed)
        return NULL;
    ++*count;
    return each;
}

const char split_doc[] =
    "split(messages) -> ({(topic, partition): [record]}, {(topic, partition): index}, [index])\n\n"
    "The records of each place as they came, where the last of each was, and where errors are.\n"
    "None for others than Messages, or where offsets of a place do not ascend.";

PyObject *split(PyObject *module, PyObject *messages)
{
    PyObject *runs, *lasts, *faults, *result = NULL;
    Place *places, *recent = NULL;
    Py_ssize_t count = 0;

    (void)module;
    if (!PyList_Check(messages)) {
        PyErr_SetString(PyExc_TypeError, "a list of messages is wanted");
        return NULL;
    }
    places = PyMem_Malloc(MOST_PLACES * sizeof *places);
    runs = PyDict_New();
    lasts = PyDict_New();
    faults = PyList_New(0);
    if (places == NULL || runs == NULL || lasts == NULL || faults == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(messages); i++) {
        Message *message = (Message *)PyList_GET_ITEM(messages, i);

        if (Py_TYPE(message) != &MessageType)
            goto unusual;
        if (message->error) {
            PyObject *at = PyLong_FromSsize_t(i);
            int failed = at == NULL || PyList_Append(faults, at) < 0;
            Py_XDECREF(at);
            if (failed)
                goto done;
            continue;
        }
        recent = place_of(places, &count, recent, message, runs);
        if (recent == NULL && PyErr_Occurred())
            goto done;
        if (recent == NULL || message->offset <= recent->offset)
            goto unusual;
        recent->offset = message->offset;
        recent->last = i;
        if (PyList_Append(recent->run, (PyObject *)message) < 0)
            goto done;
    }
    for (Place *each = places; each < places + count; each++) {
        PyObject *at = Py_BuildValue("Oi", each->topic, (int)each->partition);
        PyObject *last = PyLong_FromSsize_t(each->last);
        int failed = at == NULL || last == NULL || PyDict_SetItem(lasts, at, last) < 0;
        Py_XDECREF(at);
        Py_XDECREF(last);
        if (failed)
            goto done;
    }
    result = PyTuple_Pack(3, runs, lasts, faults);
    goto done;
unusual:
    result = Py_NewRef(Py_None);
done:
    PyMem_Free(places);
    Py_XDECREF(runs);
    Py_XDECREF(lasts);
    Py_XDECREF(faults);
    return result;
}

const char places_doc[] =
    "places(messages, offsets, timestamps) -> bool\n\n"
    "Fill the arrays, int64 for each message; false for others than Messages.";

const char sizes_doc[] =
    "sizes(messages, found i64[n]) -> bool\n\nThe bytes that each of Queue's messages has: value, "
    "key and headers. False: there are others.";

PyObject *sizes(PyObject *module, PyObject *arguments)
{
    PyObject *messages, *found;
    Py_buffer size;
    size_t count;
    int usual = 1;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "O!O", &PyList_Type, &messages, &found))
        return NULL;
    count = (size_t)PyList_GET_SIZE(messages);
    if (column_of(found, count, 8, 1, &size) < 0)
        return NULL;
    for (size_t i = 0; usual && i < count; i++) {
        Message *message = (Message *)PyList_GET_ITEM(messages, (Py_ssize_t)i);
        usual = Py_TYPE(message) == &MessageType;
        if (usual)
            ((int64_t *)size.buf)[i] =
                (int64_t)(message->value_size + message->key_size + message->headers_size);
    }
    PyBuffer_Release(&size);
    return PyBool_FromLong(usual);
}

PyObject *places(PyObject *module, PyObject *arguments)
{
    PyObject *messages, *offsets, *timestamps;
    Py_buffer at, when;
    size_t count;
    int usual = 1;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "O!OO", &PyList_Type, &messages, &offsets, &timestamps))
        return NULL;
    count = (size_t)PyList_GET_SIZE(messages);
    if (column_of(offsets, count, 8, 1, &at) < 0)
        return NULL;
    if (column_of(timestamps, count, 8, 1, &when) < 0) {
        PyBuffer_Release(&at);
        return NULL;
    }
    for (size_t i = 0; usual && i < count; i++) {
        Message *message = (Message *)PyList_GET_ITEM(messages, (Py_ssize_t)i);
        usual = Py_TYPE(message) == &MessageType;
        if (usual) {
            ((int64_t *)at.buf)[i] = message->offset;
            ((int64_t *)when.buf)[i] = message->timestamp;
        }
    }
    PyBuffer_Release(&at);
    PyBuffer_Release(&when);
    return PyBool_FromLong(usual);
}
