/* Messages of librdkafka without what confluent_kafka makes of each.
 *
 * Its Message is an object that the garbage collector looks at, with further objects for topic,
 * value, key and headers. Here a message is one small object that knows where its bytes lie, in a
 * block that is copied off librdkafka at once, so that nothing of it outlives a consumer.
 *
 * The records come from the queues of the partitions, which are led past the consumer's own;
 * joining, assigning, committing and all news of the group stay with confluent_kafka.Consumer.
 */
#include "core.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* ---- of librdkafka: its stable interface, whose header is not part of its wheels ---- */

typedef struct rd_kafka_s rd_kafka_t;
typedef struct rd_kafka_queue_s rd_kafka_queue_t;
typedef struct rd_kafka_topic_s rd_kafka_topic_t;
typedef struct rd_kafka_headers_s rd_kafka_headers_t;

typedef struct {
    int err;
    rd_kafka_topic_t *rkt;
    int32_t partition;
    void *payload;
    size_t len;
    void *key;
    size_t key_len;
    int64_t offset;
    void *private_;
} rd_kafka_message_t;

static struct {
    rd_kafka_queue_t *(*queue_new)(rd_kafka_t *);
    void (*queue_destroy)(rd_kafka_queue_t *);
    rd_kafka_queue_t *(*queue_get_partition)(rd_kafka_t *, const char *, int32_t);
    void (*queue_forward)(rd_kafka_queue_t *, rd_kafka_queue_t *);
    ssize_t (*consume_batch_queue)(rd_kafka_queue_t *, int, rd_kafka_message_t **, size_t);
    void (*message_destroy)(rd_kafka_message_t *);
    int64_t (*message_timestamp)(const rd_kafka_message_t *, int *);
    int (*message_headers)(const rd_kafka_message_t *, rd_kafka_headers_t **);
    int (*header_get_all)(const rd_kafka_headers_t *, size_t, const char **, const void **,
                          size_t *);
    const char *(*topic_name)(const rd_kafka_topic_t *);
    const char *(*err2str)(int);
} rk;

static int loaded(const char *library)
{
    static const struct {
        const char *name;
        void *place;
    } wanted[] = {
        {"rd_kafka_queue_new", &rk.queue_new},
        {"rd_kafka_queue_destroy", &rk.queue_destroy},
        {"rd_kafka_queue_get_partition", &rk.queue_get_partition},
        {"rd_kafka_queue_forward", &rk.queue_forward},
        {"rd_kafka_consume_batch_queue", &rk.consume_batch_queue},
        {"rd_kafka_message_destroy", &rk.message_destroy},
        {"rd_kafka_message_timestamp", &rk.message_timestamp},
        {"rd_kafka_message_headers", &rk.message_headers},
        {"rd_kafka_header_get_all", &rk.header_get_all},
        {"rd_kafka_topic_name", &rk.topic_name},
        {"rd_kafka_err2str", &rk.err2str},
    };
    /* The one that confluent_kafka uses, or none: what another one would say of a handle is void. */
    void *handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD);

    for (size_t i = 0; handle != NULL && i < sizeof wanted / sizeof *wanted; i++) {
        void *found = dlsym(handle, wanted[i].name);
        if (found == NULL)
            handle = NULL;
        else
            memcpy(wanted[i].place, &found, sizeof found);
    }
    return handle != NULL;
}

/* ---- blocks of bytes ---- */

static void block_left(Block *block)
{
    if (block != NULL && --block->users == 0)
        free(block);
}

/* ---- a message ---- */

#define SPARE 65536
static Message *spare[SPARE]; /* guarded by the interpreter's lock */
static size_t spares;

static Message *message_new(void)
{
    Message *self;

    if (spares > 0)
        return (Message *)PyObject_Init((PyObject *)spare[--spares], &MessageType);
    self = PyObject_New(Message, &MessageType);
    return self;
}

static void message_dealloc(Message *self)
{
    block_left(self->block);
    Py_XDECREF(self->topic);
    if (spares < SPARE)
        spare[spares++] = self;
    else
        PyObject_Free(self);
}

static PyObject *bytes_or_none(const uint8_t *data, size_t size)
{
    if (data == NULL)
        Py_RETURN_NONE;
    return PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)size);
}

static PyObject *message_topic(Message *self, PyObject *none)
{
    (void)none;
    return Py_NewRef(self->topic);
}

static PyObject *message_partition(Message *self, PyObject *none)
{
    (void)none;
    return PyLong_FromLong(self->partition);
}

static PyObject *message_offset(Message *self, PyObject *none)
{
    (void)none;
    return PyLong_FromLongLong(self->offset);
}

static PyObject *message_timestamp(Message *self, PyObject *none)
{
    (void)none;
    return Py_BuildValue("iL", 1, (long long)self->timestamp);
}

static PyObject *message_value_(Message *self, PyObject *none)
{
    (void)none;
    return bytes_or_none(self->value, self->value_size);
}

static PyObject *message_key(Message *self, PyObject *none)
{
    (void)none;
    return bytes_or_none(self->key, self->key_size);
}

/* Laid out by `headers_kept`: for each the name with its zero, the size or −1, the value. */
static PyObject *message_headers(Message *self, PyObject *none)
{
    const uint8_t *at = self->headers, *end = at + self->headers_size;
    PyObject *list;

    (void)none;
    if (at == NULL)
        Py_RETURN_NONE;
    list = PyList_New(0);
    while (list != NULL && at < end) {
        const char *name = (const char *)at;
        int64_t size;
        PyObject *value, *pair;

        at += strlen(name) + 1;
        memcpy(&size, at, sizeof size);
        at += sizeof size;
        value = bytes_or_none(size < 0 ? NULL : at, (size_t)size);
        pair = value == NULL ? NULL : Py_BuildValue("sN", name, value);
        if (pair == NULL || PyList_Append(list, pair) < 0)
            Py_CLEAR(list);
        Py_XDECREF(pair);
        at += size < 0 ? 0 : size;
    }
    return list;
}

static PyObject *message_error(Message *self, PyObject *none)
{
    PyObject *module, *error = NULL;

    (void)none;
    if (self->error == 0)
        Py_RETURN_NONE;
    module = PyImport_ImportModule("confluent_kafka");
    if (module != NULL)
        error = PyObject_CallMethod(module, "KafkaError", "is", (int)self->error,
                                    rk.err2str(self->error));
    Py_XDECREF(module);
    return error;
}

static Py_ssize_t message_length(Message *self)
{
    return (Py_ssize_t)self->value_size;
}

static PyMethodDef message_methods[] = {
    {"topic", (PyCFunction)message_topic, METH_NOARGS, "The name of its topic."},
    {"partition", (PyCFunction)message_partition, METH_NOARGS, "Its partition."},
    {"offset", (PyCFunction)message_offset, METH_NOARGS, "Its offset."},
    {"timestamp", (PyCFunction)message_timestamp, METH_NOARGS, "(kind, ms since the epoch)."},
    {"value", (PyCFunction)message_value_, METH_NOARGS, "Its value, or None."},
    {"key", (PyCFunction)message_key, METH_NOARGS, "Its key, or None."},
    {"headers", (PyCFunction)message_headers, METH_NOARGS, "[(name, value or None)], or None."},
    {"error", (PyCFunction)message_error, METH_NOARGS, "A KafkaError, or None for a record."},
    {NULL, NULL, 0, NULL},
};

static PySequenceMethods message_sequence = {.sq_length = (lenfunc)message_length};

PyTypeObject MessageType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "native.core.Message",
    .tp_doc = "A record or an error, with the methods of confluent_kafka.Message.",
    .tp_basicsize = sizeof(Message),
    .tp_dealloc = (destructor)message_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = message_methods,
    .tp_as_sequence = &message_sequence,
};

/* ---- a queue beside a consumer's own ---- */

typedef struct {
    PyObject_HEAD
    PyObject *consumer;
    rd_kafka_t *handle;
    rd_kafka_queue_t *queue;
    rd_kafka_queue_t **led; /* those of the partitions */
    Py_ssize_t leads;
    PyObject *topics; /* name -> itself, so that messages share it */
} Queue;

/* confluent_kafka's Consumer begins with librdkafka's handle (Handle in its confluent_kafka.h). */
typedef struct {
    PyObject_HEAD
    rd_kafka_t *handle;
} Handle;

static PyObject *queue_new(PyTypeObject *type, PyObject *arguments, PyObject *named)
{
    PyObject *consumer;
    const char *library;
    Queue *self;

    (void)named;
    if (!PyArg_ParseTuple(arguments, "Os", &consumer, &library))
        return NULL;
    if (!loaded(library)) {
        PyErr_Format(PyExc_RuntimeError, "%s is not what confluent_kafka uses", library);
        return NULL;
    }
    if (((Handle *)consumer)->handle == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the consumer is closed");
        return NULL;
    }
    self = (Queue *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->consumer = Py_NewRef(consumer);
    self->handle = ((Handle *)consumer)->handle;
    self->queue = rk.queue_new(self->handle);
    self->topics = PyDict_New();
    if (self->topics == NULL)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void let_go(Queue *self)
{
    for (Py_ssize_t i = 0; i < self->leads; i++)
        rk.queue_destroy(self->led[i]);
    PyMem_Free(self->led);
    self->led = NULL;
    self->leads = 0;
}

static PyObject *queue_close(Queue *self, PyObject *none)
{
    (void)none;
    let_go(self);
    if (self->queue != NULL) {
        rd_kafka_queue_t *queue = self->queue;
        self->queue = NULL;
        Py_BEGIN_ALLOW_THREADS
        rk.queue_destroy(queue);
        Py_END_ALLOW_THREADS
    }
    Py_RETURN_NONE;
}

static void queue_dealloc(Queue *self)
{
    Py_XDECREF(queue_close(self, NULL));
    Py_XDECREF(self->topics);
    Py_XDECREF(self->consumer);
    Py_TYPE(self)->tp_free(self);
}

/* Once told, librdkafka leads the records of a partition nowhere else by itself. But whenever it
 * stops to fetch a partition, which it does some time after a new assignment, it leads them
 * nowhere, so that it must be told again. */
static void lead_all(Queue *self)
{
    for (Py_ssize_t i = 0; i < self->leads; i++)
        rk.queue_forward(self->led[i], self->queue);
}

static PyObject *queue_lead(Queue *self, PyObject *places)
{
    Py_ssize_t count = PySequence_Size(places);

    if (count < 0)
        return NULL;
    if (self->queue == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the queue is closed");
        return NULL;
    }
    let_go(self);
    self->led = PyMem_Calloc((size_t)count + 1, sizeof *self->led);
    if (self->led == NULL)
        return PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *place = PySequence_GetItem(places, i);
        const char *topic;
        int partition, good = place != NULL && PyArg_ParseTuple(place, "si", &topic, &partition);

        if (good)
            self->led[i] = rk.queue_get_partition(self->handle, topic, partition);
        Py_XDECREF(place);
        if (!good)
            return NULL;
        if (self->led[i] == NULL) {
            PyErr_SetString(PyExc_RuntimeError, "a partition has no queue");
            return NULL;
        }
        self->leads++;
    }
    lead_all(self);
    Py_RETURN_NONE;
}

static size_t headers_size(const rd_kafka_headers_t *headers)
{
    const char *name;
    const void *value;
    size_t size, total = 0;

    for (size_t i = 0; rk.header_get_all(headers, i, &name, &value, &size) == 0; i++)
        total += strlen(name) + 1 + sizeof(int64_t) + (value == NULL ? 0 : size);
    return total;
}

static uint8_t *headers_kept(const rd_kafka_headers_t *headers, uint8_t *at)
{
    const char *name;
    const void *value;
    size_t size;

    for (size_t i = 0; rk.header_get_all(headers, i, &name, &value, &size) == 0; i++) {
        int64_t said = value == NULL ? -1 : (int64_t)size;
        size_t named = strlen(name) + 1;

        memcpy(at, name, named);
        memcpy(at + named, &said, sizeof said);
        at += named + sizeof said;
        if (said > 0) {
            memcpy(at, value, size);
            at += size;
        }
    }
    return at;
}

/* Bytes of a value or key; where there is none, its place is NULL. */
static uint8_t *kept(const void *data, size_t size, uint8_t *at, const uint8_t **found)
{
    *found = data == NULL ? NULL : at;
    if (data == NULL || size == 0)
        return at;
    memcpy(at, data, size);
    return at + size;
}

typedef struct {
    size_t headers;
    int64_t timestamp;
    rd_kafka_headers_t *list;
    size_t place;
} Beside;

/* Each partition has a block of its own: messages of one that are held back for long keep no bytes
 * of the others. */
typedef struct {
    const rd_kafka_topic_t *rkt;
    int32_t partition;
    size_t size;
    Block *block;
    uint8_t *at; /* where in the block its next message goes */
} Place;

typedef struct {
    Place *all;
    size_t count, room, last;
} Places;

/* The index of the message's place; places->room is 0 when there is no memory for another. */
static size_t placed(Places *places, const rd_kafka_message_t *message)
{
    Place *all = places->all;
    size_t i = places->last;

    if (i < places->count && all[i].rkt == message->rkt && all[i].partition == message->partition)
        return i;
    for (i = 0; i < places->count; i++)
        if (all[i].rkt == message->rkt && all[i].partition == message->partition)
            return places->last = i;
    if (places->count == places->room) {
        places->room = 2 * places->room + 8;
        all = realloc(places->all, places->room * sizeof *all);
        if (all == NULL) {
            places->room = 0;
            return 0;
        }
        places->all = all;
    }
    all[i] = (Place){.rkt = message->rkt, .partition = message->partition};
    places->count++;
    return places->last = i;
}

static void places_left(Places *places)
{
    for (size_t i = 0; i < places->count; i++)
        block_left(places->all[i].block);
    free(places->all);
}

/* A block of the right size for each place; 0 when there is no memory for them. */
static int measured(rd_kafka_message_t **messages, Beside *beside, ssize_t count, Places *places)
{
    for (ssize_t i = 0; i < count; i++) {
        int kind;
        beside[i] = (Beside){.place = placed(places, messages[i])};
        if (places->room == 0)
            return 0;
        if (messages[i]->err != 0)
            continue; /* its payload is a sentence */
        beside[i].timestamp = rk.message_timestamp(messages[i], &kind);
        if (rk.message_headers(messages[i], &beside[i].list) == 0)
            beside[i].headers = headers_size(beside[i].list);
        else
            beside[i].list = NULL;
        places->all[beside[i].place].size +=
            messages[i]->len + messages[i]->key_len + beside[i].headers;
    }
    for (size_t i = 0; i < places->count; i++) {
        Place *each = &places->all[i];
        each->block = malloc(sizeof *each->block + each->size);
        if (each->block == NULL)
            return 0;
        each->block->users = 1;
        each->at = each->block->bytes;
    }
    return 1;
}

/* A name that all messages of a topic share. */
static PyObject *topic_of(Queue *self, const rd_kafka_message_t *message)
{
    PyObject *name = PyUnicode_FromString(message->rkt ? rk.topic_name(message->rkt) : "");
    PyObject *shared = name == NULL ? NULL : PyDict_SetDefault(self->topics, name, name);

    Py_XINCREF(shared);
    Py_XDECREF(name);
    return shared;
}

static PyObject *listed(Queue *self, rd_kafka_message_t **messages, const Beside *beside,
                        ssize_t count, Place *places)
{
    PyObject *list = PyList_New(count), *topic = NULL;
    rd_kafka_topic_t *last = NULL;

    for (ssize_t i = 0; list != NULL && i < count; i++) {
        rd_kafka_message_t *each = messages[i];
        Place *place = &places[beside[i].place];
        Message *made;

        if (topic == NULL || each->rkt != last) {
            Py_XDECREF(topic);
            topic = topic_of(self, each);
            last = each->rkt;
        }
        made = topic == NULL ? NULL : message_new();
        if (made == NULL) {
            Py_CLEAR(list);
            break;
        }
        made->block = place->block;
        place->block->users++;
        made->topic = Py_NewRef(topic);
        made->partition = each->partition;
        made->offset = each->offset;
        made->error = each->err;
        made->timestamp = beside[i].timestamp;
        made->value = made->key = made->headers = NULL;
        made->value_size = made->key_size = made->headers_size = 0;
        if (each->err == 0) {
            made->value_size = each->payload == NULL ? 0 : each->len;
            made->key_size = each->key == NULL ? 0 : each->key_len;
            place->at = kept(each->payload, each->len, place->at, &made->value);
            place->at = kept(each->key, each->key_len, place->at, &made->key);
            if (beside[i].list != NULL) {
                made->headers = place->at;
                made->headers_size = beside[i].headers;
                place->at = headers_kept(beside[i].list, place->at);
            }
        }
        PyList_SET_ITEM(list, i, (PyObject *)made);
    }
    Py_XDECREF(topic);
    return list;
}

static PyObject *queue_consume(Queue *self, PyObject *arguments)
{
    Py_ssize_t most;
    double timeout;
    rd_kafka_message_t **messages;
    rd_kafka_queue_t *queue = self->queue;
    Beside *beside;
    Places places = {0};
    int good = 0;
    ssize_t count;
    PyObject *list;

    if (!PyArg_ParseTuple(arguments, "nd", &most, &timeout))
        return NULL;
    if (queue == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the queue is closed");
        return NULL;
    }
    if (most < 1 || most > 1 << 20) {
        PyErr_SetString(PyExc_ValueError, "most is not within 1 and 1048576");
        return NULL;
    }
    messages = PyMem_Malloc((size_t)most * sizeof *messages);
    beside = PyMem_Malloc((size_t)most * sizeof *beside);
    if (messages == NULL || beside == NULL) {
        PyMem_Free(messages);
        PyMem_Free(beside);
        return PyErr_NoMemory();
    }
    Py_BEGIN_ALLOW_THREADS
    lead_all(self);
    count = rk.consume_batch_queue(queue, (int)(timeout * 1e3), messages, (size_t)most);
    if (count > 0)
        good = measured(messages, beside, count, &places);
    Py_END_ALLOW_THREADS
    if (count <= 0) {
        list = PyList_New(0);
    } else if (!good) {
        list = PyErr_NoMemory();
    } else {
        list = listed(self, messages, beside, count, places.all);
    }
    places_left(&places);
    Py_BEGIN_ALLOW_THREADS
    for (ssize_t i = 0; i < count; i++)
        rk.message_destroy(messages[i]);
    Py_END_ALLOW_THREADS
    PyMem_Free(messages);
    PyMem_Free(beside);
    return list;
}

static PyMethodDef queue_methods[] = {
    {"lead", (PyCFunction)queue_lead, METH_O,
     "lead([(topic, partition)]): have their records come here, not to the consumer."},
    {"consume", (PyCFunction)queue_consume, METH_VARARGS,
     "consume(most, seconds) -> [Message]: what there is, waiting until it is enough or time."},
    {"close", (PyCFunction)queue_close, METH_NOARGS, "Give it up, before the consumer is closed."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject QueueType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "native.core.Queue",
    .tp_doc = "Queue(consumer, library): the records of some partitions of a consumer.",
    .tp_basicsize = sizeof(Queue),
    .tp_dealloc = (destructor)queue_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = queue_new,
    .tp_methods = queue_methods,
};
