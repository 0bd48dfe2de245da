/* SPDX-License-Identifier: Apache-2.0 */
/* Why a route does not answer: compared segment by segment, without the trie, which forgets what
 * it has not found. */
#include "http/explain.h"

#include <string.h>

#include <apr_strings.h>

#include "http/route_pattern.h"

/* The path, a part at a time; NULL behind the last. */
struct parts {
    const char *at;
    const char *text;
    size_t len;
};

static bool next_part(struct parts *p)
{
    if (p->at == NULL) {
        return false;
    }
    p->text = p->at;
    p->len = strcspn(p->at, "/");
    p->at = p->at[p->len] == '/' ? p->at + p->len + 1 : NULL;
    return true;
}

static const char *differs(const struct parts *p, const char *wanted, size_t wanted_len,
                           apr_pool_t *pool)
{
    return apr_psprintf(pool, "\"%.*s\" is not \"%.*s\"", (int)p->len, p->text, (int)wanted_len,
                        wanted);
}

static const char *literal_differs(const struct parts *p, const char *text, size_t len,
                                   apr_pool_t *pool)
{
    return p->len == len && memcmp(p->text, text, len) == 0 ? NULL : differs(p, text, len, pool);
}

static const char *expression_differs(const struct http_app *app, const struct parts *p,
                                      const struct segment *segment, apr_pool_t *pool)
{
    const char *why, *text = apr_pstrmemdup(pool, segment->text, segment->len);
    size_t offset;
    struct regex *regex = regex_compile(text, REGEX_WHOLE, &why, &offset, pool);

    if (p->len > 0 && regex != NULL && regex_match(app->scratch, regex, p->text, p->len)) {
        return NULL;
    }
    return apr_psprintf(pool, "\"%.*s\" does not match {%.*s:%s}", (int)p->len, p->text,
                        (int)segment->name_len, segment->name, text);
}

static const char *segment_differs(const struct http_app *app, struct parts *p,
                                   const struct segment *segment, apr_pool_t *pool)
{
    if (!next_part(p)) {
        return segment->kind == SEGMENT_LITERAL
                   ? apr_psprintf(pool, "the path ends before \"%.*s\"", (int)segment->len,
                                  segment->text)
                   : apr_psprintf(pool, "the path ends before {%.*s}", (int)segment->name_len,
                                  segment->name);
    }
    switch (segment->kind) {
    case SEGMENT_LITERAL:
        return literal_differs(p, segment->text, segment->len, pool);
    case SEGMENT_EXPRESSION:
        return expression_differs(app, p, segment, pool);
    default:
        return p->len > 0 ? NULL
                          : apr_psprintf(pool, "nothing stands where {%.*s} is",
                                         (int)segment->name_len, segment->name);
    }
}

static const char *base_differs(struct parts *p, const char *base, unsigned *segments,
                                apr_pool_t *pool)
{
    while (*base == '/') {
        size_t len = strcspn(base + 1, "/");
        const char *why;

        if (!next_part(p)) {
            return apr_psprintf(pool, "the path ends before \"%.*s\"", (int)len, base + 1);
        }
        why = literal_differs(p, base + 1, len, pool);
        if (why != NULL) {
            return why;
        }
        (*segments)++;
        base += 1 + len;
    }
    return NULL;
}

static const char *pattern_differs(const struct http_app *app, const struct route_def *def,
                                   const char *path, unsigned *segments, apr_pool_t *pool)
{
    const char *base = def->section != NULL ? section_base(def->section) : "";
    const char *at = def->pub.pattern;
    struct parts p = { .at = path + 1 };
    struct segment segment;
    const char *why = base_differs(&p, base, segments, pool);

    if (why != NULL) {
        return why;
    }
    at = *at == '/' ? at + 1 : *at == '\0' && *base != '\0' ? NULL : at;
    for (pattern_next(&at, &segment); segment.kind != SEGMENT_END; pattern_next(&at, &segment)) {
        if (segment.kind == SEGMENT_TAIL && p.at != NULL) {
            return NULL;
        }
        why = segment_differs(app, &p, &segment, pool);
        if (why != NULL) {
            return why;
        }
        (*segments)++;
    }
    return p.at == NULL ? NULL : apr_psprintf(pool, "the path goes on with \"/%s\"", p.at);
}

static const char *expression_route_differs(const struct http_app *app, const struct route_def *def,
                                            const char *path)
{
    size_t len = strlen(path);

    if (def->section != NULL && !section_matches(def->section, app->scratch, path, len)) {
        return "the path is outside of its section";
    }
    return regex_match(app->scratch, def->regex, path, len) ? NULL
                                                            : "its expression does not match";
}

static const char *method_differs(const struct http_app *app, const struct route_def *def,
                                  const char *method, apr_pool_t *pool)
{
    uint64_t wanted = route_method_find(app->routes, method);

    if ((def->methods & wanted) || (wanted == ROUTE_HEAD && (def->methods & ROUTE_GET))) {
        return NULL;
    }
    return apr_psprintf(pool, "it matches, but not the method %s", method);
}

const char *explain_why_not(const struct http_app *app, const struct route_def *def,
                            const struct route_question *question, const char *path,
                            unsigned *segments, apr_pool_t *pool)
{
    const char *why;

    *segments = def->is_regex;
    why = def->is_regex ? expression_route_differs(app, def, path)
                        : pattern_differs(app, def, path, segments, pool);
    if (why != NULL) {
        return why;
    }
    *segments = ROUTE_DEPTH_MAX;
    why = method_differs(app, def, question->method, pool);
    return why != NULL ? why : "it matches too, but the one that answers goes before it";
}
