/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts a route's pattern into segments. A '/' inside braces belongs to the
 * expression there, and braces inside an expression nest: {id:[0-9]{2,4}}.
 */
#include "http/route_pattern.h"

#include <stdbool.h>
#include <string.h>

static void wrong(struct segment *segment, const char *error)
{
    segment->kind = SEGMENT_WRONG;
    segment->error = error;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

/* Behind a character class that opens at s: "[...]". A ']' that comes first in it is an
 * ordinary byte. */
static const char *skip_class(const char *s)
{
    s++;
    if (*s == '^') {
        s++;
    }
    if (*s == ']') {
        s++;
    }
    while (*s != '\0' && *s != ']') {
        s += s[0] == '\\' && s[1] != '\0' ? 2 : 1;
    }
    return *s == ']' ? s + 1 : s;
}

/* The '}' that closes the '{' at s; NULL where none does. */
static const char *closing_brace(const char *s)
{
    int depth = 0;

    while (*s != '\0') {
        if (*s == '\\' && s[1] != '\0') {
            s += 2;
            continue;
        }
        if (*s == '[') {
            s = skip_class(s);
            continue;
        }
        if (*s == '{') {
            depth++;
        }
        else if (*s == '}' && --depth == 0) {
            return s;
        }
        s++;
    }
    return NULL;
}

static void read_parameter(const char *open, const char *close, struct segment *segment)
{
    const char *s = open + 1;

    segment->name = s;
    while (is_name_byte(*s)) {
        s++;
    }
    segment->name_len = (size_t)(s - segment->name);
    if (segment->name_len == 0) {
        wrong(segment, "a parameter has a name: {name}");
    }
    else if (s == close) {
        segment->kind = SEGMENT_ANY;
    }
    else if (*s == ':') {
        segment->kind = SEGMENT_EXPRESSION;
        segment->text = s + 1;
        segment->len = (size_t)(close - segment->text);
        if (segment->len == 0) {
            wrong(segment, "an expression is missing behind the ':'");
        }
    }
    else if (close - s == 3 && memcmp(s, "...", 3) == 0) {
        segment->kind = SEGMENT_TAIL;
    }
    else {
        wrong(segment, "a parameter is {name}, {name:regex} or {name...}; names have letters, "
                       "digits, '_' and '-'");
    }
}

static void check_literal(struct segment *segment)
{
    const char *text = segment->text;
    size_t len = segment->len;

    if (memchr(text, '{', len) || memchr(text, '}', len)) {
        wrong(segment, "a parameter is a whole segment: /{name}/; "
                       "use {name:regex} to match a part of one");
    }
    else if (memchr(text, '?', len)) {
        wrong(segment, "a pattern has no query: '?' is no part of a path");
    }
    else if ((len == 1 && *text == '.') || (len == 2 && memcmp(text, "..", 2) == 0)) {
        wrong(segment, "'.' and '..' are gone from a path before it is matched");
    }
    else if (strspn(text, "*") == len) {
        wrong(segment, "'*' is no wildcard here: use {name} for one segment, {name...} for the "
                       "rest of the path");
    }
}

/* Up to the next '/'. Bytes that hint at a mistake are rare, and looked at again. */
static const char *read_literal(const char *start, struct segment *segment)
{
    const char *end = start + strcspn(start, "/{}?*");
    bool odd = *end != '/' && *end != '\0';

    if (odd) {
        end = strchrnul(end, '/');
    }
    segment->kind = SEGMENT_LITERAL;
    segment->text = start;
    segment->len = (size_t)(end - start);
    if (odd || *start == '.') {
        check_literal(segment);
    }
    return end;
}

void pattern_next(const char **at, struct segment *segment)
{
    const char *start = *at;
    const char *end;

    memset(segment, 0, sizeof(*segment));
    if (start == NULL) {
        segment->kind = SEGMENT_END;
        return;
    }
    if (*start == '{') {
        end = closing_brace(start);
        if (end == NULL) {
            wrong(segment, "'}' is missing");
            return;
        }
        if (end[1] != '/' && end[1] != '\0') {
            wrong(segment, "a parameter is a whole segment: /{name}/; "
                           "use {name:regex} to match a part of one");
            return;
        }
        read_parameter(start, end, segment);
        end++;
    }
    else {
        end = read_literal(start, segment);
    }
    *at = *end == '/' ? end + 1 : NULL;
}
