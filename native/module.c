/* native.core: the few loops that are run for every event, each with a twin in Python. */
#include "core.h"

int span_of(PyObject *value, Span *found)
{
    if (value == Py_None) {
        *found = (Span){NULL, 0};
    } else if (PyBytes_CheckExact(value)) {
        *found = (Span){(const uint8_t *)PyBytes_AS_STRING(value), (size_t)PyBytes_GET_SIZE(value)};
    } else if (Py_TYPE(value) == &MessageType) {
        *found = (Span){((Message *)value)->value, ((Message *)value)->value_size};
    } else {
        PyErr_Format(PyExc_TypeError, "bytes, None or a Message are wanted, not %.100s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    return 0;
}

int column_of(PyObject *array, size_t items, size_t width, int writable, Py_buffer *found)
{
    if (PyObject_GetBuffer(array, found, writable ? PyBUF_CONTIG : PyBUF_CONTIG_RO) < 0)
        return -1;
    if ((size_t)found->itemsize != width || (size_t)found->len < items * width) {
        PyErr_Format(PyExc_ValueError, "a column of %zu items of %zu bytes is wanted", items, width);
        PyBuffer_Release(found);
        return -1;
    }
    return 0;
}

static PyMethodDef methods[] = {
    {"read_events", read_events, METH_VARARGS, read_events_doc},
    {"counted", counted, METH_VARARGS, counted_doc},
    {"tallied", tallied, METH_VARARGS, tallied_doc},
    {"read_keys", read_keys, METH_VARARGS, read_keys_doc},
    {"event_faults", event_faults, METH_VARARGS, event_faults_doc},
    {"batch_faults", batch_faults, METH_VARARGS, batch_faults_doc},
    {"digests", digests, METH_O, digests_doc},
    {"looked_up", looked_up, METH_VARARGS, looked_up_doc},
    {"datum", datum, METH_VARARGS, datum_doc},
    {"merged", merged, METH_VARARGS, merged_doc},
    {"moments", moments, METH_VARARGS, moments_doc},
    {"cells", cells, METH_VARARGS, cells_doc},
    {"split", split, METH_O, split_doc},
    {"sizes", sizes, METH_VARARGS, sizes_doc},
    {"places", places, METH_VARARGS, places_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "native.core", .m_size = -1, .m_methods = methods,
};

PyMODINIT_FUNC PyInit_core(void)
{
    PyObject *module;

    crc32_begin();
    if (PyType_Ready(&MessageType) < 0 || PyType_Ready(&QueueType) < 0)
        return NULL;
    module = PyModule_Create(&definition);
    if (module == NULL)
        return NULL;
    if (PyModule_AddObjectRef(module, "Message", (PyObject *)&MessageType) < 0 ||
        PyModule_AddObjectRef(module, "Queue", (PyObject *)&QueueType) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
