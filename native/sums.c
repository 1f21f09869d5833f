/* Sorting and counting integers that are known to be small, or sorted already. */
#include "core.h"

#include <string.h>

#define DIGIT 11
#define DIGITS (1 << DIGIT)

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

const char tallied_doc[] =
    "tallied(codes, counts, found, sums) -> n\n\n"
    "Fill found with each of the codes (int64, not negative) once, ascending, and sums with the sum\n"
    "of its counts; all are as long as the codes. Codes and counts are lost.";

PyObject *tallied(PyObject *module, PyObject *arguments)
{
    Py_buffer views[4];
    int64_t *columns[4];
    size_t n, kinds = 0;

    (void)module;
    if (columns_of(arguments, 4, views) < 0)
        return NULL;
    for (int i = 0; i < 4; i++)
        columns[i] = views[i].buf;
    n = (size_t)views[0].len / 8;
    Py_BEGIN_ALLOW_THREADS
    int there = sorted_pairs(columns[0], columns[1], columns[2], columns[3], n);
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
