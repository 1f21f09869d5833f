/* What is wrong with framed Avro data of MetricEvent: the first thing that a reader stumbles over,
 * else the first rule of schemas.events that is broken. Where there is no telling, nothing is said,
 * and the way in Python decides.
 */
#include "forgiving.h"

#include <math.h>

enum {
    SERVICE,
    ENDPOINT,
    MODEL,
    PROVIDER,
    ERROR_TYPE,
    VERSION,
    COHORT,
    REQUEST,
    TRACE,
    UNIT,
    REGION,
    TEXTS
};
enum { LATENCY, INPUT, OUTPUT, TOTAL, COST, RETRIES, TTFT, CACHED, NUMBERS };
#define MOST_ENTRIES 32
#define LONGEST_LABEL 256

typedef struct {
    int64_t timestamp, status;
    Span texts[TEXTS];
    double reals[NUMBERS]; /* 0 for a whole number, and the other way round; 0 for null */
    int64_t wholes[NUMBERS];
    int many; /* labels, or long ones */
} Read;

typedef struct {
    int64_t longest[TEXTS], most[NUMBERS], status[2], oldest, newest;
} EventRules; /* as schemas.faults lays them out */

static int maybe_text(Cursor *c, Span *found)
{
    int present, fault = branch(c, &present);

    return fault || !present ? fault : text(c, found);
}

static int maybe_wide(Cursor *c, int64_t *found)
{
    int present, fault = branch(c, &present);

    return fault || !present ? fault : wide(c, found);
}

static int maybe_real(Cursor *c, double *found)
{
    int present, fault = branch(c, &present);

    return fault || !present ? fault : real(c, found);
}

static int labels(Cursor *c, int *many)
{
    int64_t count, all = 0;
    Span part = {0};
    int fault;

    while (!(fault = block(c, &count)) && count) {
        for (int64_t i = 0; i < count; i++, all++)
            for (int either = 0; either < 2; either++) {
                if ((fault = text(c, &part)))
                    return fault;
                *many |= longer(part, LONGEST_LABEL);
            }
    }
    *many |= all > MOST_ENTRIES;
    return fault;
}

static int read_event(Cursor *c, Read *e)
{
    int fault;

    *e = (Read){0};
    if ((fault = wide(c, &e->timestamp)))
        return fault;
    for (int i = SERVICE; i <= PROVIDER; i++)
        if ((fault = text(c, &e->texts[i])))
            return fault;
    if ((fault = real(c, &e->reals[LATENCY])) || (fault = wide(c, &e->wholes[INPUT])) ||
        (fault = wide(c, &e->wholes[OUTPUT])) || (fault = maybe_wide(c, &e->wholes[TOTAL])) ||
        (fault = maybe_real(c, &e->reals[COST])) || (fault = wide(c, &e->status)) ||
        (fault = maybe_text(c, &e->texts[ERROR_TYPE])) || (fault = wide(c, &e->wholes[RETRIES])))
        return fault;
    for (int i = VERSION; i <= UNIT; i++)
        if ((fault = maybe_text(c, &e->texts[i])))
            return fault;
    if ((fault = maybe_real(c, &e->reals[TTFT])) || (fault = maybe_wide(c, &e->wholes[CACHED])) ||
        (fault = maybe_text(c, &e->texts[REGION])))
        return fault;
    return labels(c, &e->many);
}

/* In the order of schemas.events.judge. */
static int64_t judged_event(const Read *e, const EventRules *rules, int64_t *figure)
{
    int64_t code = RULES;
    int which;

    for (int i = 0; i < REQUIRED; i++, code++)
        if (e->texts[i].size == 0)
            return code;
    for (int i = 0; i < TEXTS; i++, code++)
        if (longer(e->texts[i], rules->longest[i]))
            return code;
    if (e->many) /* a label that is there twice counts once, or twice */
        return UNTOLD;
    for (int i = 0; i < NUMBERS; i++, code++)
        if (!isfinite(e->reals[i]))
            return code;
    for (int i = 0; i < NUMBERS; i++, code++)
        if (e->reals[i] < 0 || e->wholes[i] < 0)
            return code;
    for (int i = 0; i < NUMBERS; i++, code++)
        if (e->reals[i] > (double)rules->most[i] || e->wholes[i] > rules->most[i])
            return code;
    if (e->status < rules->status[0] || e->status > rules->status[1])
        return code;
    code++;
    if (e->timestamp < rules->oldest) {
        *figure = rules->oldest;
        return code;
    }
    code++;
    if (e->timestamp > rules->newest) {
        *figure = rules->newest;
        return code;
    }
    code++;
    /* The key's parts lie apart: config version and cohort come behind the error type. */
    const Span key[DIMENSIONS] = {e->texts[SERVICE],  e->texts[ENDPOINT], e->texts[MODEL],
                                  e->texts[PROVIDER], e->texts[VERSION],  e->texts[COHORT]};
    which = reserved(key, DIMENSIONS);
    return which == WHOLE ? NOTHING : code + which;
}

static void event_fault(Span value, const void *rules, Fault *found)
{
    Cursor c = {value.data + FRAME, value.data + value.size};
    Read e;

    if ((found->code = read_event(&c, &e)))
        return;
    found->figures[0] = c.end - c.at;
    found->code = c.at == c.end ? judged_event(&e, rules, &found->figures[0]) : LEFT_OVER;
}

/* ---- */

PyObject *faults(PyObject *arguments, void (*fault_of)(Span, const void *, Fault *),
                 size_t rules_size)
{
    PyObject *values, *given, *into, *result = NULL;
    Py_buffer rules, out;
    Span *spans;
    Py_ssize_t count;

    if (!PyArg_ParseTuple(arguments, "O!OO", &PyList_Type, &values, &given, &into))
        return NULL;
    count = PyList_GET_SIZE(values);
    if (column_of(given, rules_size / 8, 8, 0, &rules) < 0)
        return NULL;
    if (column_of(into, (size_t)count * 3, 8, 1, &out) < 0) {
        PyBuffer_Release(&rules);
        return NULL;
    }
    spans = PyMem_Malloc((size_t)count * sizeof *spans + 1);
    if (spans == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (span_of(PyList_GET_ITEM(values, i), &spans[i]) < 0)
            goto done;
        if (spans[i].size < FRAME) {
            PyErr_SetString(PyExc_ValueError, "a message is shorter than its frame");
            goto done;
        }
    }
    Py_INCREF(values); /* it keeps the bytes, which nobody changes */
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < count; i++) {
        Fault found = {0};
        fault_of(spans[i], rules.buf, &found);
        memcpy((Fault *)out.buf + i, &found, sizeof found);
    }
    Py_END_ALLOW_THREADS
    Py_DECREF(values);
    result = Py_NewRef(Py_None);
done:
    PyMem_Free(spans);
    PyBuffer_Release(&rules);
    PyBuffer_Release(&out);
    return result;
}

const char event_faults_doc[] =
    "event_faults(values, rules, faults): fill faults (3 int64 each) with what is wrong with each\n"
    "framed MetricEvent: a code of schemas.faults and what its sentence tells; 0 for nothing, -1\n"
    "where Python must say.";

PyObject *event_faults(PyObject *module, PyObject *arguments)
{
    (void)module;
    return faults(arguments, event_fault, sizeof(EventRules));
}
