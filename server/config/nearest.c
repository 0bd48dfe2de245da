/* SPDX-License-Identifier: Apache-2.0 */
/* "Did you mean": an unknown directive is mostly a known one with a slip of the
 * finger. The distance is Damerau's and Levenshtein's: insert, delete, replace, swap. */
#include "config/nearest.h"

#include <stdbool.h>
#include <string.h>

#include "config/conf.h"

enum { NAME_MAX_LENGTH = 40 };

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

static bool swapped(const char *a, const char *b)
{
    return lower(a[0]) == lower(b[-1]) && lower(a[-1]) == lower(b[0]);
}

/* Three rows of the table are enough: a swap looks back two. */
static int distance(const char *a, int a_length, const char *b, int b_length)
{
    int rows[3][NAME_MAX_LENGTH + 1];

    for (int j = 0; j <= b_length; j++) {
        rows[0][j] = j;
    }
    for (int i = 1; i <= a_length; i++) {
        int *row = rows[i % 3];
        const int *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];

        row[0] = i;
        for (int j = 1; j <= b_length; j++) {
            int differ = lower(a[i - 1]) != lower(b[j - 1]);

            row[j] = smaller(above[j - 1] + differ, smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && swapped(&a[i - 1], &b[j - 1])) {
                row[j] = smaller(row[j], two_above[j - 2] + 1);
            }
        }
    }
    return rows[a_length % 3][b_length];
}

void nearest_start(struct nearest *best, const char *name)
{
    size_t length = strlen(name);

    best->name = name;
    best->found = NULL;
    best->length = length > NAME_MAX_LENGTH ? 0 : (int)length;
    /* every third letter may be wrong */
    best->limit = best->length / 3;
}

void nearest_try(struct nearest *best, const char *candidate)
{
    int length, d;

    if (best->length == 0 || strlen(candidate) > NAME_MAX_LENGTH) {
        return;
    }
    length = (int)strlen(candidate);
    if (length - best->length > best->limit || best->length - length > best->limit) {
        return;
    }
    d = distance(best->name, best->length, candidate, length);
    if (d <= best->limit) {
        best->limit = d - 1;
        best->found = candidate;
    }
}

const char *conf_nearest(const char *word, const char *const names[], int count)
{
    struct nearest best;

    nearest_start(&best, word);
    for (int i = 0; i < count; i++) {
        nearest_try(&best, names[i]);
    }
    return best.found;
}
