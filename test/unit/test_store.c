/* SPDX-License-Identifier: Apache-2.0 */
/* The store's files: what is written is read back, and nothing else is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "config/conf.h"
#include "master/pack.h"
#include "master/store_state.h"
#include "util/diag.h"

struct place {
    apr_pool_t *pool;
    struct fp_sum *sum;
    char folder[64];
    int fd;
};

static int set_up(void **state)
{
    static struct place place;

    (void)snprintf(place.folder, sizeof(place.folder), "/tmp/instar-test-XXXXXX");
    if (mkdtemp(place.folder) == NULL || apr_pool_create(&place.pool, NULL) != APR_SUCCESS) {
        return -1;
    }
    place.sum = fp_sum_create(place.pool);
    place.fd = open(place.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = &place;
    return place.fd >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    char command[128];

    (void)close(place->fd);
    (void)snprintf(command, sizeof(command), "rm -rf %s", place->folder);
    apr_pool_destroy(place->pool);
    return system(command);
}

static void write_raw(const struct place *place, const char *bytes, size_t length)
{
    int fd = openat(place->fd, "x", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    assert_int_equal(close(fd), 0);
}

static const char *read_back(const struct place *place, size_t *length, const char **words)
{
    return store_file_read(place->fd, "x", place->sum, length, words, place->pool);
}

/* ---- Files ------------------------------------------------------------------- */

static void a_file_is_read_back(void **state)
{
    const struct place *place = *state;
    const char body[] = "all of\0it\n";
    const char *words = NULL, *read;
    struct store_bytes sealed = store_seal(place->sum, body, sizeof(body), place->pool);
    size_t length;

    assert_int_equal(store_file_write(place->fd, "x", sealed.at, sealed.length), 0);
    read = read_back(place, &length, &words);
    assert_non_null(read);
    assert_int_equal(length, sizeof(body));
    assert_memory_equal(read, body, sizeof(body));
    assert_int_equal(faccessat(place->fd, "x.new", F_OK, 0), -1);
}

static void a_missing_file_is_said_to_be_missing(void **state)
{
    const char *words = NULL;
    size_t length;

    assert_null(read_back(*state, &length, &words));
    assert_string_equal(words, "is not there");
}

/* Wherever it was cut off. */
static void a_torn_file_is_not_believed(void **state)
{
    const struct place *place = *state;
    struct store_bytes sealed = store_seal(place->sum, "0123456789", 10, place->pool);
    const char *words;
    size_t length;

    for (size_t cut = 0; cut < sealed.length; cut++) {
        write_raw(place, sealed.at, cut);
        assert_null(read_back(place, &length, &words));
    }
}

static void a_longer_file_is_not_believed(void **state)
{
    const struct place *place = *state;
    struct store_bytes sealed = store_seal(place->sum, "0123456789", 10, place->pool);
    char *longer = apr_pcalloc(place->pool, sealed.length + 1);
    const char *words;
    size_t length;

    memcpy(longer, sealed.at, sealed.length);
    write_raw(place, longer, sealed.length + 1);
    assert_null(read_back(place, &length, &words));
    assert_string_equal(words, "is damaged");
}

/* Whichever byte has changed. */
static void a_changed_file_is_not_believed(void **state)
{
    const struct place *place = *state;
    struct store_bytes sealed = store_seal(place->sum, "0123456789", 10, place->pool);
    char *changed = apr_pmemdup(place->pool, sealed.at, sealed.length);
    const char *words;
    size_t length;

    for (size_t at = 0; at < sealed.length; at++) {
        changed[at] ^= 1;
        write_raw(place, changed, sealed.length);
        assert_null(read_back(place, &length, &words));
        changed[at] ^= 1;
    }
}

static void another_version_is_not_guessed_at(void **state)
{
    const struct place *place = *state;
    struct store_bytes sealed = store_seal(place->sum, "0123456789", 10, place->pool);
    char *changed = apr_pmemdup(place->pool, sealed.at, sealed.length);
    const char *words;
    size_t length;

    *strchr(changed, '1') = '2';
    write_raw(place, changed, sealed.length);
    assert_null(read_back(place, &length, &words));
    assert_string_equal(words, "has a format that this server does not know");
}

/* ---- Bytes ---------------------------------------------------------------------- */

static void what_is_packed_is_unpacked(void **state)
{
    const struct place *place = *state;
    struct unpack from = { 0 };
    struct pack pack;
    size_t length;
    char small[4];

    pack_start(&pack, 0, place->pool);
    pack_number(&pack, UINT64_MAX);
    pack_string(&pack, NULL);
    pack_string(&pack, "");
    pack_bytes(&pack, "a\0b", 3);
    pack_string(&pack, "too long");
    from.at = pack.bytes;
    from.left = pack.length;
    assert_true(unpack_number(&from) == UINT64_MAX);
    assert_null(unpack_string(&from, &length, place->pool));
    assert_string_equal(unpack_string(&from, NULL, place->pool), "");
    assert_memory_equal(unpack_string(&from, &length, place->pool), "a\0b", 4);
    assert_int_equal(length, 3);
    unpack_into(&from, small, sizeof(small));
    assert_string_equal(small, "too");
    assert_false(from.bad);
    assert_int_equal(from.left, 0);
    assert_true(unpack_number(&from) == 0);
    assert_true(from.bad);
}

static void lengths_are_not_trusted(void **state)
{
    static const uint64_t lengths[] = { 2, 9, 1000, UINT64_MAX };
    const struct place *place = *state;

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct unpack from = { 0 }, again;
        struct pack pack;

        pack_start(&pack, 0, place->pool);
        pack_number(&pack, lengths[i]);
        from.at = pack.bytes;
        from.left = pack.length;
        again = from;
        assert_null(unpack_string(&from, NULL, place->pool));
        assert_true(from.bad);
        assert_int_equal(unpack_count(&again), 0);
        assert_true(again.bad);
    }
}

/* ---- Manifests ------------------------------------------------------------------ */

static struct conf *read_conf(const struct place *place, const char *text,
                              struct conf_options *options, struct diags *diags)
{
    struct conf *conf = NULL;
    FILE *file = fopen(apr_pstrcat(place->pool, place->folder, "/x.conf", NULL), "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    options->server_root = place->folder;
    options->config_file = "x.conf";
    options->defines = apr_array_make(place->pool, 1, sizeof(const char *));
    options->directives = apr_array_make(place->pool, 1, sizeof(const char *));
    APR_ARRAY_PUSH(options->defines, const char *) = "GIVEN";
    APR_ARRAY_PUSH(options->directives, const char *) = "Workers 5";
    conf_read(&conf, options, diags, place->pool);
    return conf;
}

static int count_named(const struct conf *conf, const char *name)
{
    int count = 0;

    for (const struct conf_node *node = conf->root->children; node; node = node->next) {
        count += conf_is(node, name);
    }
    return count;
}

static struct conf *through_bytes(const struct place *place, const struct conf *conf)
{
    struct store_bytes bytes = text_pack(conf, place->pool);
    struct conf *stored = text_unpack(bytes.at, bytes.length, place->pool);

    assert_non_null(stored);
    return stored;
}

/* Everything that it depended on is gone. */
static void a_config_means_what_it_meant(void **state)
{
    const struct place *place = *state;
    struct conf_options options = { 0 };
    struct diags *diags = diags_create(place->pool);
    struct conf *conf, *stored, *again;

    assert_int_equal(setenv("STORE_TEST", "Here", 1), 0);
    conf = read_conf(place,
                     "Listen 81\nWord ${STORE_TEST}\n<IfFile x.conf>\nThere\n</IfFile>\n"
                     "<IfFile nothing>\nNever\n</IfFile>\nIncludeOptional *.none\n"
                     "<IfDefine GIVEN>\nGiven\n</IfDefine>\nIncludeOptional none.conf\n",
                     &options, diags);
    assert_string_equal(diags_text(diags, false, place->pool), "");
    stored = through_bytes(place, conf);
    assert_int_equal(unsetenv("STORE_TEST"), 0);
    assert_int_equal(unlink(apr_pstrcat(place->pool, place->folder, "/x.conf", NULL)), 0);
    conf_read_stored(&again, stored, diags, place->pool);
    assert_string_equal(diags_text(diags, false, place->pool), "");
    assert_string_equal(again->root->children->next->argv[0], "Here");
    assert_int_equal(count_named(again, "There"), 1);
    assert_int_equal(count_named(again, "Given"), 1);
    assert_int_equal(count_named(again, "Never"), 0);
    assert_int_equal(again->process.workers, 5);
    /* And so again: it is the same bytes. */
    assert_int_equal(text_pack(again, place->pool).length, text_pack(conf, place->pool).length);
}

/* As one of a server that asks otherwise. */
static void a_config_without_its_answers_is_refused(void **state)
{
    const struct place *place = *state;
    struct conf_options options = { 0 };
    struct diags *diags = diags_create(place->pool);
    struct conf *conf, *stored, *again;

    conf = read_conf(place, "Listen 81\n<IfFile x.conf>\nThere\n</IfFile>\n", &options, diags);
    stored = through_bytes(place, conf);
    apr_array_clear(stored->answers);
    conf_read_stored(&again, stored, diags, place->pool);
    assert_int_equal(diags->errors, 1);
}

static void cut_off_manifests_are_refused(void **state)
{
    const struct place *place = *state;
    struct conf_options options = { 0 };
    struct diags *diags = diags_create(place->pool);
    struct conf *conf = read_conf(place, "Listen 81\n${HOME}\n", &options, diags);
    struct store_bytes bytes = text_pack(conf, place->pool);
    struct conf_module module = { .name = "a_module" };
    struct build build = { .module = &module, .key = "k", .object = "k.so" };
    struct build_list list = { .count = 1, .list = &build }, *builds;
    struct kept kept = { .number = 7, .before = 5 }, again;
    apr_array_header_t *names;

    for (size_t cut = 0; cut < bytes.length; cut++) {
        assert_null(text_unpack(bytes.at, cut, place->pool));
    }
    memset(kept.text, 'a', sizeof(kept.text) - 1);
    bytes = kept_pack(&kept, &list, place->pool);
    assert_true(kept_unpack(&again, &builds, &names, bytes.at, bytes.length, place->pool));
    assert_true(again.number == 7 && again.before == 5 && builds->count == 1);
    for (size_t cut = 0; cut < bytes.length; cut++) {
        assert_false(kept_unpack(&again, &builds, &names, bytes.at, cut, place->pool));
    }
    /* An object is a name, and no way out of BuildDirectory. */
    build.object = "../k.so";
    bytes = kept_pack(&kept, &list, place->pool);
    assert_false(kept_unpack(&again, &builds, &names, bytes.at, bytes.length, place->pool));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_is_read_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_file_is_said_to_be_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_torn_file_is_not_believed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_longer_file_is_not_believed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_changed_file_is_not_believed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_version_is_not_guessed_at, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_packed_is_unpacked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lengths_are_not_trusted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_config_means_what_it_meant, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_config_without_its_answers_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cut_off_manifests_are_refused, set_up, tear_down),
    };

    (void)apr_initialize();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
