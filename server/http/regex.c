/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCRE2 behind the few calls that sections and routes need. The subject is a
 * client's, the expression an administrator's: so the steps of one match are
 * limited, and an expression that runs into the limit counts as not matching.
 */
#include "http/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <apr_strings.h>

#include "util/log.h"

#define LOG_PART "http"

enum { MATCH_LIMIT = 1000000, GROUPS_MAX = 64, ERROR_WORDS = 160 };

struct regex {
    pcre2_code *code;
    const char *text;
    const char **names; /* NULL-terminated */
    int *numbers;
    bool jit_tried, complained;
};

struct regex_scratch {
    pcre2_match_data *data;
    pcre2_match_context *context;
};

static apr_status_t free_scratch(void *memory)
{
    struct regex_scratch *scratch = memory;

    pcre2_match_data_free(scratch->data);
    pcre2_match_context_free(scratch->context);
    return APR_SUCCESS;
}

struct regex_scratch *regex_scratch_create(apr_pool_t *pool)
{
    struct regex_scratch *scratch = apr_palloc(pool, sizeof(*scratch));

    scratch->data = pcre2_match_data_create(GROUPS_MAX, NULL);
    scratch->context = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(scratch->context, MATCH_LIMIT);
    apr_pool_cleanup_register(pool, scratch, free_scratch, apr_pool_cleanup_null);
    return scratch;
}

static apr_status_t free_code(void *code)
{
    pcre2_code_free(code);
    return APR_SUCCESS;
}

/* The library's table has an entry a name: two bytes of number, then the name. It
 * is in the names' order, the list here in that of the groups. */
static void read_names(struct regex *re, apr_pool_t *pool)
{
    uint32_t count = 0;
    uint32_t size = 0;
    PCRE2_SPTR table = NULL;

    pcre2_pattern_info(re->code, PCRE2_INFO_NAMECOUNT, &count);
    re->names = apr_pcalloc(pool, (count + 1) * sizeof(*re->names));
    if (count == 0) {
        return;
    }
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMETABLE, &table);
    re->numbers = apr_palloc(pool, count * sizeof(*re->numbers));
    for (uint32_t i = 0; i < count; i++) {
        PCRE2_SPTR entry = table + (size_t)i * size;
        int number = entry[0] << 8 | entry[1];
        uint32_t at = i;

        for (; at > 0 && re->numbers[at - 1] > number; at--) {
            re->numbers[at] = re->numbers[at - 1];
            re->names[at] = re->names[at - 1];
        }
        re->numbers[at] = number;
        re->names[at] = (const char *)(entry + 2);
    }
}

struct regex *regex_compile(const char *text, enum regex_mode mode, const char **why,
                            size_t *offset, apr_pool_t *pool)
{
    uint32_t options = PCRE2_DOLLAR_ENDONLY;
    uint32_t groups = 0;
    int error = 0;
    struct regex *re;

    if (mode == REGEX_WHOLE) {
        options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
    }
    re = apr_pcalloc(pool, sizeof(*re));
    re->code =
        pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, options, &error, offset, NULL);
    if (re->code == NULL) {
        PCRE2_UCHAR words[ERROR_WORDS];

        pcre2_get_error_message(error, words, sizeof(words));
        *why = apr_pstrdup(pool, (const char *)words);
        return NULL;
    }
    apr_pool_cleanup_register(pool, re->code, free_code, apr_pool_cleanup_null);
    pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    if (groups >= GROUPS_MAX) {
        *why = apr_psprintf(pool, "more than %d groups", GROUPS_MAX - 1);
        *offset = 0;
        return NULL;
    }
    re->text = apr_pstrdup(pool, text);
    read_names(re, pool);
    return re;
}

const char *regex_text(const struct regex *re)
{
    return re->text;
}

bool regex_match(struct regex_scratch *scratch, struct regex *re, const char *subject, size_t len)
{
    int rc;

    if (!re->jit_tried) {
        re->jit_tried = true;
        (void)pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE);
    }
    rc = pcre2_match(re->code, (PCRE2_SPTR)subject, len, 0, 0, scratch->data, scratch->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
        rc = pcre2_match(re->code, (PCRE2_SPTR)subject, len, 0, PCRE2_NO_JIT, scratch->data,
                         scratch->context);
    }
    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH && !re->complained) {
        re->complained = true;
        log_warning("INS01550", "the expression %s was given up on after %d steps (error %d)",
                    re->text, MATCH_LIMIT, rc);
    }
    return rc >= 0;
}

const char *regex_group_name(const struct regex *re, int n)
{
    return re->names[n];
}

bool regex_group(const struct regex_scratch *scratch, const struct regex *re, int n, size_t *start,
                 size_t *end)
{
    const PCRE2_SIZE *vector = pcre2_get_ovector_pointer(scratch->data);
    int number = re->numbers[n];

    *start = vector[2 * number];
    *end = vector[2 * number + 1];
    return *start != PCRE2_UNSET && *start <= *end;
}
