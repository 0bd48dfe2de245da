/* SPDX-License-Identifier: Apache-2.0 */
/* Diagnostics come from three processes, each of which reads the config in its
 * own order; a person reads it from the top. */
#include <stdlib.h>
#include <string.h>

#include "master/job.h"
#include "util/diag.h"

struct place {
    struct diag *entry;
    int file;  /* of which entry the file was named first */
    int index; /* what is equal stays in order */
};

static int compare(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->file != y->file) {
        return x->file - y->file;
    }
    if (x->entry->line != y->entry->line) {
        return x->entry->line < y->entry->line ? -1 : 1;
    }
    if (x->entry->column != y->entry->column) {
        return x->entry->column < y->entry->column ? -1 : 1;
    }
    return x->index - y->index;
}

static int first_of_file(const struct place *places, int count, const struct diag *entry)
{
    for (int i = 0; i < count; i++) {
        const char *file = places[i].entry->file;

        if (file == entry->file ||
            (file != NULL && entry->file != NULL && strcmp(file, entry->file) == 0)) {
            return places[i].file;
        }
    }
    return count;
}

void diags_order(struct diags *diags)
{
    struct place *places;
    struct diag *entry;
    int count = 0;

    for (entry = diags->first; entry != NULL; entry = entry->next) {
        count++;
    }
    places = count > 1 ? calloc((size_t)count, sizeof(*places)) : NULL;
    if (places == NULL) {
        return;
    }
    count = 0;
    for (entry = diags->first; entry != NULL; entry = entry->next) {
        places[count] = (struct place){ entry, first_of_file(places, count, entry), count };
        count++;
    }
    qsort(places, (size_t)count, sizeof(*places), compare);
    for (int i = 0; i < count; i++) {
        places[i].entry->next = i + 1 < count ? places[i + 1].entry : NULL;
    }
    diags->first = places[0].entry;
    diags->last = places[count - 1].entry;
    free(places);
}
