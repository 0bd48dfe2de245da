/* SPDX-License-Identifier: Apache-2.0 */
/* The state that an upgrade takes along: what is written is read, what is damaged is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "ipc/ipc.h"
#include "master/image.h"

static struct image *example(apr_pool_t *pool)
{
    struct image *g = image_create(pool);
    struct image_generation *gen = apr_array_push(g->generations);
    struct image_worker *w;
    struct image_client *c = apr_array_push(g->clients);
    struct image_socket *s = apr_array_push(g->sockets);
    struct image_command *command = apr_array_push(g->commands);

    memset(gen, 0, sizeof(*gen));
    memset(c, 0, sizeof(*c));
    memset(s, 0, sizeof(*s));
    memset(command, 0, sizeof(*command));
    g->binary = "/sbin/instar";
    g->server_root = "/srv";
    g->config_file = "instar.conf";
    APR_ARRAY_PUSH(g->defines, const char *) = "FOREGROUND";
    g->number_file = "/run/generation";
    g->pid_path = "/run/pid";
    g->control_path = "/run/sock";
    g->board_fd = 7;
    g->tickets_fd = 8;
    g->staples_fd = 16;
    g->log_fd = -1;
    g->pid_fd = 9;
    g->control_fd = 10;
    g->by_config_fd = -1;
    g->serving = 41;
    g->conf = "text";
    g->conf_len = 4;
    gen->number = 41;
    gen->life = GEN_SERVING;
    gen->alive = true;
    gen->fd = 11;
    gen->pid = 1234;
    gen->drain_deadline = -5;
    gen->workers = apr_array_make(pool, 1, sizeof(struct image_worker));
    gen->logs = apr_array_make(pool, 1, sizeof(struct image_log));
    gen->objects = apr_array_make(pool, 1, sizeof(const char *));
    APR_ARRAY_PUSH(gen->objects, const char *) = "KEY.so";
    w = apr_array_push(gen->workers);
    *w =
        (struct image_worker){ .index = 3, .pid = 1235, .fd = 12, .moving = true, .leaving = true };
    c->fd = 13;
    c->waits = WAITS_AGAIN;
    c->in = "rollback 3";
    c->in_len = strlen(c->in);
    s->listener.id = 5;
    s->listener.fd = 14;
    s->listener.addr_len = 16;
    (void)apr_cpystrn(s->listener.name, "0.0.0.0:80", sizeof(s->listener.name));
    command->key = "|$ cat";
    command->text = "cat";
    command->folder = "/";
    command->read_fd = 15;
    command->write_fd = -1;
    return g;
}

static void what_is_written_is_read(void **state)
{
    apr_pool_t *pool = *state;
    struct image_bytes bytes = image_pack(example(pool), pool);
    const char *why;
    const struct image *g = image_unpack(bytes.bytes, bytes.length, &why, pool);
    const struct image_generation *gen;
    const struct image_client *c;

    assert_null(why);
    assert_non_null(g);
    assert_string_equal(g->version, INSTAR_VERSION);
    assert_string_equal(g->binary, "/sbin/instar");
    assert_null(g->notify_name);
    assert_int_equal(g->defines->nelts, 1);
    assert_int_equal(g->by_config_fd, -1);
    assert_int_equal(g->serving, 41);
    assert_int_equal(g->generations->nelts, 1);
    gen = &APR_ARRAY_IDX(g->generations, 0, struct image_generation);
    assert_int_equal(gen->life, GEN_SERVING);
    assert_true(gen->alive);
    assert_int_equal(gen->drain_deadline, -5);
    assert_int_equal(APR_ARRAY_IDX(gen->workers, 0, struct image_worker).pid, 1235);
    assert_true(APR_ARRAY_IDX(gen->workers, 0, struct image_worker).moving);
    assert_true(APR_ARRAY_IDX(gen->workers, 0, struct image_worker).leaving);
    assert_string_equal(APR_ARRAY_IDX(gen->objects, 0, const char *), "KEY.so");
    c = &APR_ARRAY_IDX(g->clients, 0, struct image_client);
    assert_int_equal(c->waits, WAITS_AGAIN);
    assert_string_equal(c->in, "rollback 3");
    assert_string_equal(APR_ARRAY_IDX(g->sockets, 0, struct image_socket).listener.name,
                        "0.0.0.0:80");
    assert_int_equal(APR_ARRAY_IDX(g->commands, 0, struct image_command).write_fd, -1);
}

static void every_descriptor_is_named_once(void **state)
{
    apr_pool_t *pool = *state;
    struct image_bytes bytes = image_pack(example(pool), pool);
    const char *why;
    const struct image *g = image_unpack(bytes.bytes, bytes.length, &why, pool);
    int sum = 0;

    assert_int_equal(bytes.fds->nelts, 10); /* 7 to 16 */
    assert_int_equal(g->fds->nelts, 10);
    for (int i = 0; i < 10; i++) {
        sum += APR_ARRAY_IDX(bytes.fds, i, int);
        assert_int_equal(APR_ARRAY_IDX(bytes.fds, i, int), APR_ARRAY_IDX(g->fds, i, int));
    }
    assert_int_equal(sum, 7 + 8 + 9 + 10 + 11 + 12 + 13 + 14 + 15 + 16);
}

static void what_is_cut_off_or_too_long_is_refused(void **state)
{
    apr_pool_t *pool = *state, *temp;
    struct image_bytes bytes = image_pack(example(pool), pool);
    char *longer = apr_pcalloc(pool, bytes.length + 1);
    const char *why;

    for (size_t length = 0; length < bytes.length; length++) {
        assert_int_equal(apr_pool_create(&temp, pool), APR_SUCCESS);
        assert_null(image_unpack(bytes.bytes, length, &why, temp));
        assert_non_null(why);
        apr_pool_destroy(temp);
    }
    memcpy(longer, bytes.bytes, bytes.length);
    assert_null(image_unpack(longer, bytes.length + 1, &why, pool));
    assert_string_equal(why, "the state is damaged");
}

/* Any byte may be another: it is refused or read, and nothing else. */
static void no_byte_can_do_harm(void **state)
{
    apr_pool_t *pool = *state, *temp;
    struct image_bytes bytes = image_pack(example(pool), pool);
    const char *why;

    for (size_t i = 0; i < bytes.length; i++) {
        char *copy;

        assert_int_equal(apr_pool_create(&temp, pool), APR_SUCCESS);
        copy = apr_pmemdup(temp, bytes.bytes, bytes.length);
        copy[i] = (char)~copy[i];
        (void)image_unpack(copy, bytes.length, &why, temp);
        apr_pool_destroy(temp);
    }
}

/* Where the head's parts stand: a length and 13 bytes of magic come first. */
enum { AT_VERSION = 8 + 13 };

static void another_version_is_refused_by_name(void **state)
{
    apr_pool_t *pool = *state;
    struct image_bytes bytes = image_pack(example(pool), pool);
    char *copy = apr_pmemdup(pool, bytes.bytes, bytes.length);
    const char *why;

    assert_int_equal(copy[AT_VERSION], INSTAR_STATE);
    copy[AT_VERSION] = INSTAR_STATE + 1;
    assert_null(image_unpack(copy, bytes.length, &why, pool));
    assert_non_null(strstr(why, "has state of version 2; instar " INSTAR_VERSION
                                " reads 1 and the one before"));
    copy[AT_VERSION] = 0;
    assert_null(image_unpack(copy, bytes.length, &why, pool));
    copy[0] ^= 1;
    assert_null(image_unpack(copy, bytes.length, &why, pool));
    assert_string_equal(why, "this is no state of a server");
}

static void moved_messages_are_refused(void **state)
{
    apr_pool_t *pool = *state;
    struct image_bytes bytes = image_pack(example(pool), pool);
    char *copy = apr_pmemdup(pool, bytes.bytes, bytes.length);
    const char *name = ipc_type_name(IPC_GEN_READY), *why;
    char *at = memmem(copy, bytes.length, name, strlen(name) + 1);

    assert_non_null(at);
    *at ^= 1;
    assert_null(image_unpack(copy, bytes.length, &why, pool));
    assert_non_null(strstr(why, "messages are not those of instar"));
}

static void it_crosses_in_a_memfd(void **state)
{
    apr_pool_t *pool = *state;
    struct image_bytes bytes = image_pack(example(pool), pool);
    int fd = image_write(&bytes);
    const char *why;

    assert_true(fd >= 0);
    assert_non_null(image_read(fd, &why, pool));
    assert_int_equal(ftruncate(fd, (off_t)bytes.length / 2), 0);
    assert_null(image_read(fd, &why, pool));
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_null(image_read(fd, &why, pool));
    assert_string_equal(why, "there is no state to read");
    (void)close(fd);
    assert_null(image_read(-1, &why, pool));
}

static int set_up(void **state)
{
    return apr_pool_create((apr_pool_t **)state, NULL) == APR_SUCCESS ? 0 : -1;
}

static int tear_down(void **state)
{
    apr_pool_destroy(*state);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read),
        TEST(every_descriptor_is_named_once),
        TEST(what_is_cut_off_or_too_long_is_refused),
        TEST(no_byte_can_do_harm),
        TEST(another_version_is_refused_by_name),
        TEST(moved_messages_are_refused),
        TEST(it_crosses_in_a_memfd),
    };
#undef TEST
    int failed;

    (void)apr_initialize();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    apr_terminate();
    return failed;
}
