/* Sorting and counting integers that are known to be small, or sorted already. */
#include "core.h"

#include <string.h>

#define DIGIT 11
#define DIGITS (1 << DIGIT)
#define MOST_RUNS 64 /* of parts that ascend, which are merged instead of sorted */

/* Where the codes with each value of a digit begin, once they are sorted by it. */
static void begin(size_t *places, const int64_t *codes, size_t n, int shift)
{
    size_t at = 0;

    memset(places, 0, DIGITS * sizeof *places);
    for (size_t i = 0; i < n; i++)
        places[(uint64_t)codes[i] >> shift & (DIGITS - 1)]++;
    for (size_t digit = 0; digit < DIGITS; digit++) {
        size_t here = places[digit];
        places[digit] = at;
        at += here;
    }
}

/* The columns that a call gives, all writable and at least as long as the first, as views of which
 * the caller is rid. -1 with an exception. */
static int columns_of(PyObject *arguments, int columns, Py_buffer *views)
{
    int opened = 0;

    if (PyTuple_GET_SIZE(arguments) != columns) {
        PyErr_Format(PyExc_TypeError, "%d columns are wanted", columns);
        return -1;
    }
    for (; opened < columns; opened++)
        if (column_of(PyTuple_GET_ITEM(arguments, opened),
                      opened ? (size_t)views[0].len / 8 : 0, 8, 1, &views[opened]) < 0)
            goto failed;
    return 0;
failed:
    while (opened > 0)
        PyBuffer_Release(&views[--opened]);
    return -1;
}

/* All bits that any of the codes has. */
static uint64_t bits_of(const int64_t *codes, size_t n)
{
    uint64_t most = 0;

    for (size_t i = 0; i < n; i++)
        most |= (uint64_t)codes[i];
    return most;
}

/* Ascending, by counting sort of one digit after another from the least; `spare` is as long. */
static int64_t *sorted(int64_t *codes, int64_t *spare, size_t n)
{
    uint64_t most = bits_of(codes, n);

    for (int shift = 0; shift < 64 && most >> shift; shift += DIGIT) {
        size_t places[DIGITS];
        int64_t *other = spare;

        begin(places, codes, n, shift);
        for (size_t i = 0; i < n; i++)
            spare[places[(uint64_t)codes[i] >> shift & (DIGITS - 1)]++] = codes[i];
        spare = codes;
        codes = other;
    }
    return codes;
}

const char counted_doc[] =
    "counted(codes, found, counts) -> n\n\n"
    "Fill found with each of the codes (int64, not negative) once, ascending, and counts with how\n"
    "often it came; both are as long as the codes, whose order is lost.";

PyObject *counted(PyObject *module, PyObject *arguments)
{
    Py_buffer views[3];
    size_t n, kinds = 0;
    int64_t *codes, *found, *counts;

    (void)module;
    if (columns_of(arguments, 3, views) < 0)
        return NULL;
    n = (size_t)views[0].len / 8;
    codes = views[0].buf;
    found = views[1].buf;
    counts = views[2].buf;
    Py_BEGIN_ALLOW_THREADS
    codes = sorted(codes, found, n);
    for (size_t i = 0; i < n; kinds++) { /* in place, for kinds is at most i */
        size_t from = i;
        int64_t code = codes[i];
        while (i < n && codes[i] == code)
            i++;
        found[kinds] = code;
        counts[kinds] = (int64_t)(i - from);
    }
    Py_END_ALLOW_THREADS
    for (int i = 0; i < 3; i++)
        PyBuffer_Release(&views[i]);
    return PyLong_FromSize_t(kinds);
}

/* The same of codes with counts, which move along. Whether they end in the spare arrays. */
static int sorted_pairs(int64_t *codes, int64_t *counts, int64_t *spare_codes,
                        int64_t *spare_counts, size_t n)
{
    uint64_t most = bits_of(codes, n);
    int there = 0;

    for (int shift = 0; shift < 64 && most >> shift; shift += DIGIT, there = !there) {
        size_t places[DIGITS];
        const int64_t *from = there ? spare_codes : codes, *with = there ? spare_counts : counts;
        int64_t *to = there ? codes : spare_codes, *along = there ? counts : spare_counts;

        begin(places, from, n, shift);
        for (size_t i = 0; i < n; i++) {
            size_t place = places[(uint64_t)from[i] >> shift & (DIGITS - 1)]++;
            to[place] = from[i];
            along[place] = with[i];
        }
    }
    return there;
}

/* Where the first of at most MOST_RUNS runs that ascend begin, and where the last one ends; how many
 * there are, or 0 if there are more. */
static size_t runs_of(const int64_t *codes, size_t n, size_t *bounds)
{
    size_t runs = 1;

    bounds[0] = 0;
    for (size_t i = 1; i < n; i++)
        if (codes[i] < codes[i - 1]) {
            if (runs == MOST_RUNS)
                return 0;
            bounds[runs++] = i;
        }
    bounds[runs] = n;
    return runs;
}

/* Two runs with their counts, [from, middle) and [middle, to), as one. */
static void merge_runs(const int64_t *codes, const int64_t *counts, int64_t *found,
                       int64_t *along, size_t from, size_t middle, size_t to)
{
    size_t a = from, b = middle, at = from;

    while (a < middle && b < to) {
        int first = codes[a] <= codes[b];
        size_t one = first ? a : b;
        found[at] = codes[one];
        along[at++] = counts[one];
        a += (size_t)first;
        b += (size_t)!first;
    }
    memcpy(found + at, codes + a, (middle - a) * sizeof *found);
    memcpy(along + at, counts + a, (middle - a) * sizeof *along);
    at += middle - a;
    memcpy(found + at, codes + b, (to - b) * sizeof *found);
    memcpy(along + at, counts + b, (to - b) * sizeof *along);
}

/* As `sorted_pairs`, of so many runs that ascend, whose bounds are lost. */
static int merged_pairs(int64_t *columns[4], size_t *bounds, size_t runs)
{
    int there = 0;

    for (; runs > 1; there = !there) {
        int64_t **from = columns + (there ? 2 : 0), **to = columns + (there ? 0 : 2);
        size_t kept = 0, n = bounds[runs];

        for (size_t run = 0; run < runs; run += 2) {
            size_t middle = bounds[run + 1], end = run + 2 > runs ? middle : bounds[run + 2];
            merge_runs(from[0], from[1], to[0], to[1], bounds[run], middle, end);
            bounds[kept++] = bounds[run];
        }
        bounds[kept] = n;
        runs = kept;
    }
    return there;
}

const char tallied_doc[] =
    "tallied(codes, counts, found, sums) -> n\n\n"
    "Fill found with each of the codes (int64, not negative) once, ascending, and sums with the sum\n"
    "of its counts; all are as long as the codes. Codes and counts are lost.";

PyObject *tallied(PyObject *module, PyObject *arguments)
{
    Py_buffer views[4];
    int64_t *columns[4];
    size_t n, runs, kinds = 0, bounds[MOST_RUNS + 1];

    (void)module;
    if (columns_of(arguments, 4, views) < 0)
        return NULL;
    for (int i = 0; i < 4; i++)
        columns[i] = views[i].buf;
    n = (size_t)views[0].len / 8;
    Py_BEGIN_ALLOW_THREADS
    runs = runs_of(columns[0], n, bounds);
    int there = runs ? merged_pairs(columns, bounds, runs)
                     : sorted_pairs(columns[0], columns[1], columns[2], columns[3], n);
    const int64_t *codes = columns[there ? 2 : 0], *counts = columns[there ? 3 : 1];
    for (size_t i = 0; i < n; kinds++) { /* in place, for kinds is at most i */
        int64_t code = codes[i], sum = 0;
        for (; i < n && codes[i] == code; i++)
            sum += counts[i];
        columns[2][kinds] = code;
        columns[3][kinds] = sum;
    }
    Py_END_ALLOW_THREADS
    for (int i = 0; i < 4; i++)
        PyBuffer_Release(&views[i]);
    return PyLong_FromSize_t(kinds);
}

const char merged_doc[] =
    "merged(a, b, found): fill found with all of a and b, uint64, each ascending, in ascending order.";

PyObject *merged(PyObject *module, PyObject *arguments)
{
    PyObject *arrays[3];
    Py_buffer views[3];
    int opened = 0;
    size_t n, m, i = 0, j = 0;
    const uint64_t *a, *b;
    uint64_t *found;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOO", &arrays[0], &arrays[1], &arrays[2]))
        return NULL;
    for (; opened < 3; opened++)
        if (column_of(arrays[opened],
                      opened < 2 ? 0 : (size_t)(views[0].len + views[1].len) / 8, 8, opened == 2,
                      &views[opened]) < 0)
            goto failed;
    n = (size_t)views[0].len / 8;
    m = (size_t)views[1].len / 8;
    a = views[0].buf;
    b = views[1].buf;
    found = views[2].buf;
    Py_BEGIN_ALLOW_THREADS
    while (i < n && j < m) {
        int first = a[i] <= b[j];
        *found++ = first ? a[i] : b[j];
        i += (size_t)first;
        j += (size_t)!first;
    }
    memcpy(found, a + i, (n - i) * sizeof *a);
    memcpy(found + (n - i), b + j, (m - j) * sizeof *b);
    Py_END_ALLOW_THREADS
    for (int each = 0; each < 3; each++)
        PyBuffer_Release(&views[each]);
    Py_RETURN_NONE;
failed:
    while (opened > 0)
        PyBuffer_Release(&views[--opened]);
    return NULL;
}

/* ---- moments and extremes ---- */

#define LIMB 36 /* bits of the low part of a sum of squares */

const char moments_doc[] =
    "moments(values, order, first, moments, extremes) -> most\n\n"
    "Fill in moments (g rows of m metrics: how many, sum, sum of squares high and low) and extremes\n"
    "(least, greatest) of values (n events of m metrics, below zero where there is none). order has\n"
    "the events of one row after another, first where each row begins. The greatest value of all.";

PyObject *moments(PyObject *module, PyObject *arguments)
{
    PyObject *arrays[5];
    Py_buffer views[5] = {0};
    PyObject *result = NULL;
    size_t n, k, rows, metrics;
    int64_t most = -1;
    int opened = 0, bad = 0;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOOOO", &arrays[0], &arrays[1], &arrays[2], &arrays[3],
                          &arrays[4]))
        return NULL;
    for (; opened < 5; opened++)
        if (column_of(arrays[opened], 0, 8, opened > 2, &views[opened]) < 0)
            goto done;
    k = (size_t)views[1].len / 8;
    rows = (size_t)views[2].len / 8;
    metrics = rows ? (size_t)views[4].len / 16 / rows : 0;
    n = metrics ? (size_t)views[0].len / 8 / metrics : 0;
    if ((size_t)views[3].len != rows * metrics * 32 || (size_t)views[4].len != rows * metrics * 16) {
        PyErr_SetString(PyExc_ValueError, "moments and extremes are of other rows or metrics");
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    const int64_t *values = views[0].buf, *order = views[1].buf, *first = views[2].buf;
    uint64_t *sums_of = views[3].buf; /* what is too large wraps, and is refused by its size */
    int64_t *extremes = views[4].buf;
    memset(sums_of, 0, (size_t)views[3].len);
    for (size_t row = 0; row < rows && !bad; row++) {
        uint64_t *sums = sums_of + row * metrics * 4;
        int64_t *ends = extremes + row * metrics * 2;
        size_t from = (size_t)first[row], to = row + 1 < rows ? (size_t)first[row + 1] : k;
        if (from > to || to > k) {
            bad = 1;
            break;
        }
        for (size_t m = 0; m < metrics; m++) {
            ends[2 * m] = INT64_MAX;
            ends[2 * m + 1] = -1;
        }
        for (size_t i = from; i < to; i++) {
            const int64_t *event;
            if ((uint64_t)order[i] >= n) {
                bad = 1;
                break;
            }
            event = values + (size_t)order[i] * metrics;
            for (size_t m = 0; m < metrics; m++) {
                int64_t value = event[m];
                unsigned __int128 square;
                if (value < 0)
                    continue;
                square = (unsigned __int128)value * (uint64_t)value;
                sums[4 * m]++;
                sums[4 * m + 1] += (uint64_t)value;
                sums[4 * m + 2] += (uint64_t)(square >> LIMB);
                sums[4 * m + 3] += (uint64_t)square & (((uint64_t)1 << LIMB) - 1);
                if (value < ends[2 * m])
                    ends[2 * m] = value;
                if (value > ends[2 * m + 1])
                    ends[2 * m + 1] = value;
            }
        }
        for (size_t m = 0; m < metrics; m++)
            if (ends[2 * m + 1] > most)
                most = ends[2 * m + 1];
    }
    Py_END_ALLOW_THREADS
    if (bad)
        PyErr_SetString(PyExc_ValueError, "rows begin, or events are, where there are none");
    else
        result = PyLong_FromLongLong(most);
done:
    while (opened > 0)
        PyBuffer_Release(&views[--opened]);
    return result;
}

/* ---- histograms ---- */

#define FEW 16 /* values that are sorted one by one instead of counted in a table */

typedef struct {
    const int64_t *first, *edge; /* processors.sketch: by the top bits of a double */
    size_t cells;
    uint32_t *table; /* zeros between two histograms, one for each bucket */
} Sketch;

/* The bucket of a value, from 0 on. Values of 2^53 and more, which there are not, share the last one. */
static inline int64_t bucket_of(const Sketch *sketch, int64_t value)
{
    double real = (double)value;
    int64_t bits, cell;

    memcpy(&bits, &real, 8);
    cell = (bits >> 45) - (1023 << 7) + 1;
    if (cell < 0)
        cell = 0;
    if ((size_t)cell >= sketch->cells)
        cell = (int64_t)sketch->cells - 1;
    return sketch->first[cell] + (value > sketch->edge[cell]) + 1;
}

/* What one row has of a metric, with `base` added to each bucket; how many buckets. */
static size_t histogram(const Sketch *sketch, const int64_t *values, const int64_t *order, size_t n,
                        size_t metrics, int64_t base, int64_t *found, int64_t *counts)
{
    size_t kinds = 0;
    int64_t least = INT64_MAX, most = -1;

    if (n <= FEW) {
        for (size_t i = 0; i < n; i++) {
            int64_t value = values[(size_t)order[i] * metrics], code;
            size_t at = kinds;
            if (value < 0)
                continue;
            code = base + bucket_of(sketch, value);
            while (at > 0 && found[at - 1] > code)
                at--;
            if (at > 0 && found[at - 1] == code) {
                counts[at - 1]++;
                continue;
            }
            for (size_t each = kinds++; each > at; each--) {
                found[each] = found[each - 1];
                counts[each] = counts[each - 1];
            }
            found[at] = code;
            counts[at] = 1;
        }
        return kinds;
    }
    for (size_t i = 0; i < n; i++) {
        int64_t value = values[(size_t)order[i] * metrics], bucket;
        if (value < 0)
            continue;
        bucket = bucket_of(sketch, value);
        sketch->table[bucket]++;
        least = bucket < least ? bucket : least;
        most = bucket > most ? bucket : most;
    }
    for (int64_t bucket = least; bucket <= most; bucket++)
        if (sketch->table[bucket]) {
            found[kinds] = base + bucket;
            counts[kinds++] = sketch->table[bucket];
            sketch->table[bucket] = 0;
        }
    return kinds;
}

const char cells_doc[] =
    "cells(values, order, first, firsts, edges, found, counts) -> n\n\n"
    "Fill found with (row * m + metric) * 2^16 + bucket + 1 of each bucket that has some, ascending,\n"
    "and counts with how many. values, order and first are as in moments, each value below 2^53; firsts\n"
    "and edges are the tables of processors.sketch; there is room for a bucket for each value.";

PyObject *cells(PyObject *module, PyObject *arguments)
{
    PyObject *arrays[7], *result = NULL;
    Py_buffer views[7] = {0};
    Sketch sketch = {0};
    size_t n, k, rows, metrics, kinds = 0;
    int opened = 0, bad = 0;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOOOOOO", &arrays[0], &arrays[1], &arrays[2], &arrays[3],
                          &arrays[4], &arrays[5], &arrays[6]))
        return NULL;
    for (; opened < 7; opened++)
        if (column_of(arrays[opened], 0, 8, opened > 4, &views[opened]) < 0)
            goto done;
    k = (size_t)views[1].len / 8;
    rows = (size_t)views[2].len / 8;
    metrics = views[0].ndim == 2 ? (size_t)views[0].shape[1] : 0;
    n = metrics ? (size_t)views[0].len / 8 / metrics : 0;
    sketch = (Sketch){views[3].buf, views[4].buf, (size_t)views[3].len / 8, NULL};
    if (!metrics || views[5].len != views[6].len || (size_t)views[5].len < k * metrics * 8 ||
        sketch.cells == 0 || views[3].len != views[4].len) {
        PyErr_SetString(PyExc_ValueError, "the columns are not as long as they must be");
        goto done;
    }
    sketch.table = PyMem_Calloc((size_t)sketch.first[sketch.cells - 1] + 3, sizeof *sketch.table);
    if (sketch.table == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    const int64_t *values = views[0].buf, *order = views[1].buf, *first = views[2].buf;
    int64_t *found = views[5].buf, *counts = views[6].buf;
    for (size_t i = 0; i < k && !bad; i++)
        bad = (uint64_t)order[i] >= n;
    for (size_t row = 0; row < rows && !bad; row++) {
        size_t from = (size_t)first[row], to = row + 1 < rows ? (size_t)first[row + 1] : k;
        if (from > to || to > k || (row == 0 && from)) {
            bad = 1;
            break;
        }
        for (size_t metric = 0; metric < metrics; metric++)
            kinds += histogram(&sketch, values + metric, order + from, to - from, metrics,
                               (int64_t)(row * metrics + metric) << 16, found + kinds,
                               counts + kinds);
    }
    Py_END_ALLOW_THREADS
    if (bad)
        PyErr_SetString(PyExc_ValueError, "rows begin, or events are, where there are none");
    else
        result = PyLong_FromSize_t(kinds);
done:
    PyMem_Free(sketch.table);
    while (opened > 0)
        PyBuffer_Release(&views[--opened]);
    return result;
}
