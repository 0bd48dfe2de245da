/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a route's pattern, a segment at a time. */
#ifndef HTTP_ROUTE_PATTERN_H
#define HTTP_ROUTE_PATTERN_H

#include <stddef.h>

enum segment_kind {
    SEGMENT_LITERAL,
    SEGMENT_EXPRESSION, /* {name:regex} */
    SEGMENT_ANY,        /* {name} */
    SEGMENT_TAIL,       /* {name...} */
    SEGMENT_END,        /* behind the last */
    SEGMENT_WRONG       /* see error */
};

struct segment {
    enum segment_kind kind;
    const char *text; /* the literal, or the expression; inside the pattern */
    size_t len;
    const char *name; /* the parameter's */
    size_t name_len;
    const char *error;
};

/* *at stands behind a '/', or is NULL behind the last segment; it is moved on. */
void pattern_next(const char **at, struct segment *segment);

#endif
