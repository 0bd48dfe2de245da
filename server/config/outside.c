/* SPDX-License-Identifier: Apache-2.0 */
/* The tape between the config reader and the system: recorded on the first
 * reading, played back on each later one. */
#include "config/outside.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <apr_strings.h>

#include "config/paths.h"

struct outside {
    apr_pool_t *pool;
    apr_array_header_t *answers; /* struct conf_answer */
    bool replays, strayed;
    int next; /* replayed so far */
};

static struct outside *create(apr_array_header_t *answers, bool replays, apr_pool_t *pool)
{
    struct outside *outside = apr_pcalloc(pool, sizeof(*outside));

    outside->pool = pool;
    outside->answers = answers;
    outside->replays = replays;
    return outside;
}

struct outside *outside_ask(apr_pool_t *pool)
{
    return create(apr_array_make(pool, 8, sizeof(struct conf_answer)), false, pool);
}

struct outside *outside_replay(const apr_array_header_t *answers, apr_pool_t *pool)
{
    return create(apr_array_copy(pool, answers), true, pool);
}

apr_array_header_t *outside_answers(const struct outside *outside)
{
    return outside->answers;
}

bool outside_strayed(const struct outside *outside)
{
    return outside->strayed;
}

/* The next answer, if it is one to this question. */
static const struct conf_answer *replay(struct outside *outside, enum conf_question question,
                                        const char *name)
{
    static const struct conf_answer none = { .error = ENOENT };
    const struct conf_answer *answer;

    if (outside->next < outside->answers->nelts) {
        answer = &APR_ARRAY_IDX(outside->answers, outside->next, const struct conf_answer);
        if (answer->question == question && strcmp(answer->name, name) == 0) {
            outside->next++;
            return answer;
        }
    }
    outside->strayed = true;
    return &none;
}

static struct conf_answer *record(struct outside *outside, enum conf_question question,
                                  const char *name)
{
    struct conf_answer *answer = apr_array_push(outside->answers);

    answer->question = question;
    answer->name = apr_pstrdup(outside->pool, name);
    return answer;
}

/* ---- The questions -------------------------------------------------------- */

const char *outside_variable(struct outside *outside, const char *name)
{
    struct conf_answer *answer;
    const char *value;

    if (outside->replays) {
        return replay(outside, CONF_ASKED_VARIABLE, name)->value;
    }
    value = getenv(name);
    answer = record(outside, CONF_ASKED_VARIABLE, name);
    answer->value = value ? apr_pstrdup(outside->pool, value) : NULL;
    return answer->value;
}

int outside_path(struct outside *outside, const char *path, struct outside_path *found)
{
    const struct conf_answer *known;
    struct conf_answer *answer;
    struct stat st = { 0 };

    memset(found, 0, sizeof(*found));
    if (outside->replays) {
        known = replay(outside, CONF_ASKED_PATH, path);
        found->folder = known->folder;
        return known->error;
    }
    answer = record(outside, CONF_ASKED_PATH, path);
    answer->error = stat(path, &st) == 0 ? 0 : errno;
    answer->folder = answer->error == 0 && S_ISDIR(st.st_mode);
    found->folder = answer->folder;
    found->device = st.st_dev;
    found->inode = st.st_ino;
    return answer->error;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static apr_array_header_t *list(const char *folder, apr_pool_t *pool)
{
    apr_array_header_t *names;
    const struct dirent *entry;
    DIR *dir = opendir(folder);

    if (!dir) {
        return NULL;
    }
    names = apr_array_make(pool, 16, sizeof(const char *));
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            APR_ARRAY_PUSH(names, const char *) = apr_pstrdup(pool, entry->d_name);
        }
    }
    (void)closedir(dir);
    qsort(names->elts, (size_t)names->nelts, sizeof(const char *), by_bytes);
    return names;
}

/* Names are joined by '/', which none of them contains. */
static apr_array_header_t *split(const char *joined, apr_pool_t *pool)
{
    apr_array_header_t *names = apr_array_make(pool, 16, sizeof(const char *));
    char *rest = NULL, *text = apr_pstrdup(pool, joined), *name;

    for (name = apr_strtok(text, "/", &rest); name; name = apr_strtok(NULL, "/", &rest)) {
        APR_ARRAY_PUSH(names, const char *) = name;
    }
    return names;
}

apr_array_header_t *outside_names(struct outside *outside, const char *folder, apr_pool_t *pool)
{
    const struct conf_answer *known;
    struct conf_answer *answer;
    apr_array_header_t *names;

    if (outside->replays) {
        known = replay(outside, CONF_ASKED_FOLDER, folder);
        errno = known->error;
        return known->value ? split(known->value, pool) : NULL;
    }
    answer = record(outside, CONF_ASKED_FOLDER, folder);
    names = list(folder, pool);
    if (names) {
        answer->value = apr_array_pstrcat(outside->pool, names, '/');
    }
    else {
        answer->error = errno;
    }
    return names;
}

const char *outside_absolute(struct outside *outside, const char *path)
{
    struct conf_answer *answer;
    const char *value;

    if (path[0] == '/') {
        return path_absolute(path, outside->pool);
    }
    if (outside->replays) {
        value = replay(outside, CONF_ASKED_ABSOLUTE, path)->value;
        return value ? value : path;
    }
    answer = record(outside, CONF_ASKED_ABSOLUTE, path);
    answer->value = path_absolute(path, outside->pool);
    return answer->value;
}
