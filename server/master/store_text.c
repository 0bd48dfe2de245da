/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests as bytes. The text is the larger part and is often the same from one
 * generation to the next, so it has a file of its own, named by its sum. */
#include <string.h>

#include "config/conf.h"
#include "master/pack.h"
#include "master/store_state.h"

enum { MARGIN = 4096, PER_BUILD = 320 };

static void pack_strings(struct pack *pack, const apr_array_header_t *list)
{
    pack_number(pack, list != NULL ? (uint64_t)list->nelts : 0);
    for (int i = 0; list != NULL && i < list->nelts; i++) {
        pack_string(pack, APR_ARRAY_IDX(list, i, const char *));
    }
}

static apr_array_header_t *unpack_strings(struct unpack *from, apr_pool_t *pool)
{
    int count = unpack_count(from);
    apr_array_header_t *list = apr_array_make(pool, 4, sizeof(const char *));

    for (int i = 0; i < count && !from->bad; i++) {
        const char *text = unpack_string(from, NULL, pool);

        APR_ARRAY_PUSH(list, const char *) = text != NULL ? text : "";
    }
    return list;
}

/* ---- A config's text ------------------------------------------------------ */

static size_t expected(const struct conf *conf)
{
    size_t sum = MARGIN;

    for (int i = 0; i < conf->files->nelts; i++) {
        const struct conf_file *file = APR_ARRAY_IDX(conf->files, i, const struct conf_file *);

        sum += file->length + strlen(file->path) + 32;
    }
    return sum + (size_t)conf->answers->nelts * 128;
}

struct store_bytes text_pack(const struct conf *conf, apr_pool_t *pool)
{
    struct pack pack;

    pack_start(&pack, expected(conf), pool);
    pack_string(&pack, conf->path);
    pack_string(&pack, conf->options->server_root);
    pack_string(&pack, conf->options->config_file);
    pack_string(&pack, conf->options->prefix);
    pack_strings(&pack, conf->options->defines);
    pack_strings(&pack, conf->options->directives);
    pack_number(&pack, (uint64_t)conf->files->nelts);
    for (int i = 0; i < conf->files->nelts; i++) {
        const struct conf_file *file = APR_ARRAY_IDX(conf->files, i, const struct conf_file *);

        pack_string(&pack, file->path);
        pack_bytes(&pack, file->text, file->length);
    }
    pack_number(&pack, (uint64_t)conf->answers->nelts);
    for (int i = 0; i < conf->answers->nelts; i++) {
        const struct conf_answer *answer =
            &APR_ARRAY_IDX(conf->answers, i, const struct conf_answer);

        pack_number(&pack, (uint64_t)answer->question);
        pack_string(&pack, answer->name);
        pack_string(&pack, answer->value);
        pack_number(&pack, (uint64_t)answer->error);
        pack_number(&pack, answer->folder);
    }
    return (struct store_bytes){ pack.bytes, pack.length };
}

static void unpack_files(struct unpack *from, struct conf *conf, apr_pool_t *pool)
{
    int count = unpack_count(from);

    conf->files = apr_array_make(pool, 8, sizeof(const struct conf_file *));
    for (int i = 0; i < count && !from->bad; i++) {
        struct conf_file *file = apr_pcalloc(pool, sizeof(*file));

        file->path = unpack_string(from, NULL, pool);
        file->text = unpack_string(from, &file->length, pool);
        from->bad = from->bad || file->path == NULL || file->text == NULL;
        APR_ARRAY_PUSH(conf->files, const struct conf_file *) = file;
    }
}

static void unpack_answers(struct unpack *from, struct conf *conf, apr_pool_t *pool)
{
    int count = unpack_count(from);

    conf->answers = apr_array_make(pool, 8, sizeof(struct conf_answer));
    for (int i = 0; i < count && !from->bad; i++) {
        struct conf_answer *answer = apr_array_push(conf->answers);
        uint64_t question = unpack_number(from);

        answer->question = (enum conf_question)(question < CONF_QUESTIONS ? question : 0);
        answer->name = unpack_string(from, NULL, pool);
        answer->value = unpack_string(from, NULL, pool);
        answer->error = (int)unpack_number(from);
        answer->folder = unpack_number(from) != 0;
        from->bad = from->bad || answer->name == NULL || question >= CONF_QUESTIONS;
    }
}

struct conf *text_unpack(const char *bytes, size_t length, apr_pool_t *pool)
{
    struct unpack from = { .at = bytes, .left = length };
    struct conf *conf = apr_pcalloc(pool, sizeof(*conf));
    struct conf_options *options = apr_pcalloc(pool, sizeof(*options));

    conf->pool = pool;
    conf->options = options;
    conf->path = unpack_string(&from, NULL, pool);
    options->server_root = unpack_string(&from, NULL, pool);
    options->config_file = unpack_string(&from, NULL, pool);
    options->prefix = unpack_string(&from, NULL, pool);
    options->defines = unpack_strings(&from, pool);
    options->directives = unpack_strings(&from, pool);
    unpack_files(&from, conf, pool);
    unpack_answers(&from, conf, pool);
    return from.bad || from.left > 0 || conf->path == NULL ? NULL : conf;
}

/* ---- The rest of a manifest ------------------------------------------------- */

struct store_bytes kept_pack(const struct kept *kept, const struct build_list *builds,
                             apr_pool_t *pool)
{
    struct pack pack;

    pack_start(&pack, MARGIN + (size_t)builds->count * PER_BUILD, pool);
    pack_number(&pack, kept->number);
    pack_number(&pack, kept->before);
    pack_string(&pack, kept->text);
    pack_number(&pack, (uint64_t)builds->count);
    for (int i = 0; i < builds->count; i++) {
        const struct build *build = &builds->list[i];

        pack_string(&pack, build->module->name);
        pack_string(&pack, build->key);
        pack_string(&pack, build->object);
        pack_string(&pack, build->stamp);
    }
    return (struct store_bytes){ pack.bytes, pack.length };
}

static struct build_list *unpack_builds(struct unpack *from, apr_array_header_t *names,
                                        apr_pool_t *pool)
{
    struct build_list *builds = apr_pcalloc(pool, sizeof(*builds));

    builds->count = unpack_count(from);
    builds->list = apr_pcalloc(pool, (size_t)builds->count * sizeof(struct build));
    for (int i = 0; i < builds->count && !from->bad; i++) {
        struct build *build = &builds->list[i];
        const char *name = unpack_string(from, NULL, pool);

        unpack_into(from, build->key, sizeof(build->key));
        build->object = unpack_string(from, NULL, pool);
        unpack_into(from, build->stamp, sizeof(build->stamp));
        /* It is a name in BuildDirectory, and nothing else. */
        from->bad = from->bad || name == NULL || build->object == NULL ||
                    strchr(build->object, '/') != NULL;
        APR_ARRAY_PUSH(names, const char *) = name;
    }
    return builds;
}

bool kept_unpack(struct kept *kept, struct build_list **builds, apr_array_header_t **names,
                 const char *bytes, size_t length, apr_pool_t *pool)
{
    struct unpack from = { .at = bytes, .left = length };

    *names = apr_array_make(pool, 8, sizeof(const char *));
    kept->number = unpack_number(&from);
    kept->before = unpack_number(&from);
    unpack_into(&from, kept->text, sizeof(kept->text));
    *builds = unpack_builds(&from, *names, pool);
    return !from.bad && from.left == 0 && strlen(kept->text) == FP_HEX - 1;
}
