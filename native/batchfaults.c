/* The same of MetricBatch, whose rules are those of schemas.unbatch. */
#include "forgiving.h"

enum {
    KEY,
    TIMESTAMP,
    LATENCY_US,
    TTFT_US,
    COST_NANO,
    TOKENS_IN,
    TOKENS_OUT,
    TOKENS_ALL,
    TOKENS_CACHED,
    STATUS,
    RETRY,
    ERRORS,
    UNITS,
    COLUMNS
};
#define JUDGED 8

static const uint8_t WIDTH[COLUMNS] = {2, 8, 8, 8, 8, 4, 4, 4, 4, 2, 2, 2, 2};
/* The order of schemas.unbatch.LIMITS. */
static const uint8_t LIMITED[JUDGED] = {LATENCY_US, TTFT_US,    COST_NANO,     TOKENS_IN,
                                        TOKENS_OUT, TOKENS_ALL, TOKENS_CACHED, RETRY};

typedef struct {
    int64_t least[JUDGED], most[JUDGED], status[2], oldest, newest, longest, longest_error, unit,
        no_unit;
} BatchRules;

typedef struct {
    int64_t n, crc, keys_count, errors_count;
    Cursor keys, errors;
    Span columns[COLUMNS];
} Batch;

static int64_t cell(const Batch *b, int column, int64_t row)
{
    const uint8_t *at = b->columns[column].data + row * WIDTH[column];
    uint16_t two;
    int32_t four;
    int64_t eight;

    switch (WIDTH[column]) {
    case 2: memcpy(&two, at, 2); return two;
    case 4: memcpy(&four, at, 4); return four;
    default: memcpy(&eight, at, 8); return eight;
    }
}

static int pass_texts(Cursor *c, int64_t *all)
{
    int64_t count;
    Span part = {0};
    int fault;

    for (*all = 0; !(fault = block(c, &count)) && count;)
        for (int64_t i = 0; i < count; i++, ++*all)
            if ((fault = text(c, &part)))
                return fault;
    return fault;
}

static int read_batch(Cursor *c, Batch *b)
{
    int64_t epoch, seq, count, parts;
    Span name;
    int fault;

    if ((fault = text(c, &name)) || (fault = wide(c, &epoch)) || (fault = wide(c, &seq)) ||
        (fault = wide(c, &b->n)))
        return fault;
    b->keys = *c;
    for (b->keys_count = 0; !(fault = block(c, &count)) && count;)
        for (int64_t i = 0; i < count; i++, b->keys_count++)
            if ((fault = pass_texts(c, &parts)))
                return fault;
    if (fault)
        return fault;
    b->errors = *c;
    if ((fault = pass_texts(c, &b->errors_count)))
        return fault;
    for (int i = 0; i < COLUMNS; i++)
        if ((fault = piece(c, &b->columns[i])))
            return fault;
    return wide(c, &b->crc);
}

enum {
    EMPTY_BATCH = RULES,
    LENGTHS,
    CHECKSUM = LENGTHS + COLUMNS,
    PARTS,
    EMPTY,
    LONG = EMPTY + DIMENSIONS,
    RESERVED = LONG + DIMENSIONS,
    EMPTY_ERROR = RESERVED + WHOLE,
    LONG_ERROR,
    KEYS_INDEX,
    ERRORS_INDEX,
    UNIT_INDEX,
    NEGATIVE,
    ABOVE = NEGATIVE + JUDGED,
    NO_STATUS = ABOVE + JUDGED,
    OLD,
    FUTURE,
};

/* The first fault of a key that has been read before. */
static void judge_key(Cursor *c, const BatchRules *rules, Fault *found)
{
    Span parts[DIMENSIONS] = {{0}}, part;
    int64_t count, all = 0;
    int which;

    while (!block(c, &count) && count)
        for (int64_t i = 0; i < count; i++, all++) {
            text(c, &part);
            if (all < DIMENSIONS)
                parts[all] = part;
        }
    if (all != DIMENSIONS) {
        *found = (Fault){PARTS, {all, 0}};
        return;
    }
    for (int i = 0; i < DIMENSIONS; i++) {
        if (i < REQUIRED && parts[i].size == 0)
            found->code = EMPTY + i;
        else if (longer(parts[i], rules->longest))
            found->code = LONG + i;
        if (found->code)
            return;
    }
    which = reserved(parts, DIMENSIONS);
    found->code = which == WHOLE ? NOTHING : RESERVED + which;
}

static void judge_names(const Batch *b, const BatchRules *rules, Fault *found)
{
    Cursor keys = b->keys, errors = b->errors;
    int64_t count;
    Span part = {0};

    while (!block(&keys, &count) && count)
        for (int64_t i = 0; i < count; i++) {
            judge_key(&keys, rules, found);
            if (found->code)
                return;
        }
    while (!block(&errors, &count) && count)
        for (int64_t i = 0; i < count; i++) {
            text(&errors, &part);
            if (part.size == 0)
                found->code = EMPTY_ERROR;
            else if (longer(part, rules->longest_error))
                found->code = LONG_ERROR;
            if (found->code)
                return;
        }
}

static void judge_indices(const Batch *b, const BatchRules *rules, Fault *found)
{
    const int columns[3] = {KEY, ERRORS, UNITS};
    const int64_t most[3] = {b->keys_count - 1, b->errors_count, rules->unit};

    for (int which = 0; which < 3; which++)
        for (int64_t row = 0; row < b->n; row++) {
            int64_t index = cell(b, columns[which], row);
            if (index > most[which] && (which < 2 || index != rules->no_unit)) {
                *found = (Fault){KEYS_INDEX + which, {most[which], 0}};
                return;
            }
        }
}

/* As schemas.unbatch: the first row that breaks a rule, and the first that it breaks. */
static void judge_rows(const Batch *b, const BatchRules *rules, Fault *found)
{
    for (int64_t row = 0; row < b->n; row++) {
        int64_t values[JUDGED], status = cell(b, STATUS, row), at = cell(b, TIMESTAMP, row);

        for (int i = 0; i < JUDGED; i++) {
            values[i] = cell(b, LIMITED[i], row);
            if (values[i] < rules->least[i]) {
                found->code = NEGATIVE + i;
                return;
            }
        }
        for (int i = 0; i < JUDGED; i++)
            if (values[i] > rules->most[i]) {
                found->code = ABOVE + i;
                return;
            }
        if (status < rules->status[0] || status > rules->status[1])
            found->code = NO_STATUS;
        else if (at < rules->oldest)
            *found = (Fault){OLD, {rules->oldest, 0}};
        else if (at > rules->newest)
            *found = (Fault){FUTURE, {rules->newest, 0}};
        if (found->code)
            return;
    }
}

static void batch_fault(Span value, const void *given, Fault *found)
{
    const BatchRules *rules = given;
    Cursor c = {value.data + FRAME, value.data + value.size};
    uint32_t crc = 0;
    Batch b;

    if ((found->code = read_batch(&c, &b)))
        return;
    if (c.at != c.end) {
        *found = (Fault){LEFT_OVER, {c.end - c.at, 0}};
        return;
    }
    if (b.n < 1) {
        *found = (Fault){EMPTY_BATCH, {b.n, 0}};
        return;
    }
    for (int i = 0; i < COLUMNS; i++) {
        if ((__int128)b.n * WIDTH[i] != (__int128)b.columns[i].size) {
            *found = (Fault){LENGTHS + i, {(int64_t)b.columns[i].size, b.n}};
            return;
        }
        crc = crc32_of(crc, b.columns[i].data, b.columns[i].size);
    }
    if (crc != b.crc) {
        found->code = CHECKSUM;
        return;
    }
    judge_names(&b, rules, found);
    if (!found->code)
        judge_indices(&b, rules, found);
    if (!found->code)
        judge_rows(&b, rules, found);
}

const char batch_faults_doc[] =
    "batch_faults(values, rules, faults): the same for framed data of MetricBatch.";

PyObject *batch_faults(PyObject *module, PyObject *arguments)
{
    (void)module;
    return faults(arguments, batch_fault, sizeof(BatchRules));
}
