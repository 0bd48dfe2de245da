/* SPDX-License-Identifier: Apache-2.0 */
/* What processes share for TLS: ticket keys, OCSP responses, bundles of files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/bundle.h"
#include "util/staple_board.h"
#include "util/ticket_ring.h"

/* ---- Ticket keys ------------------------------------------------------------ */

static void a_key_is_found_until_it_has_left_the_ring(void **state)
{
    struct ticket_keys keys;
    struct ticket_secret secret, found;
    enum ticket_place place;

    (void)state;
    assert_int_equal(ticket_keys_open(&keys, -1, 7), 0);
    assert_int_equal(atomic_load(&keys.ring->rotated_ms), 7);
    ticket_ring_get(keys.view, TICKET_CURRENT, &secret);
    assert_true(ticket_ring_find(keys.view, secret.name, &found, &place));
    assert_int_equal(place, TICKET_CURRENT);
    assert_memory_equal(&found, &secret, sizeof(secret));

    assert_int_equal(ticket_ring_rotate(keys.ring, 8), 0);
    assert_true(ticket_ring_find(keys.view, secret.name, &found, &place));
    assert_int_equal(place, TICKET_PREVIOUS);
    assert_memory_equal(&found, &secret, sizeof(secret));

    assert_int_equal(ticket_ring_rotate(keys.ring, 9), 0);
    assert_false(ticket_ring_find(keys.view, secret.name, &found, &place));
    assert_int_equal(atomic_load(&keys.view->rotations), 2);
    ticket_keys_close(&keys);
}

static void the_next_key_is_known_beforehand(void **state)
{
    struct ticket_keys keys;
    struct ticket_secret next, current;

    (void)state;
    assert_int_equal(ticket_keys_open(&keys, -1, 0), 0);
    ticket_ring_get(keys.view, TICKET_NEXT, &next);
    assert_int_equal(ticket_ring_rotate(keys.ring, 0), 0);
    ticket_ring_get(keys.view, TICKET_CURRENT, &current);
    assert_memory_equal(&next, &current, sizeof(next));
    ticket_ring_get(keys.view, TICKET_NEXT, &next);
    assert_memory_not_equal(&next, &current, sizeof(next));
    ticket_keys_close(&keys);
}

/* What an upgraded binary does with the old one's memory. */
static void keys_are_taken_over_by_their_descriptor(void **state)
{
    struct ticket_keys old, new;
    struct ticket_secret before, after;

    (void)state;
    assert_int_equal(ticket_keys_open(&old, -1, 5), 0);
    ticket_ring_get(old.view, TICKET_CURRENT, &before);
    assert_int_equal(ticket_keys_open(&new, dup(old.fd), 99), 0);
    ticket_ring_get(new.view, TICKET_CURRENT, &after);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_int_equal(atomic_load(&new.ring->rotated_ms), 5);
    /* one memory: who still has the old mapping sees a rotation by the new owner */
    assert_int_equal(ticket_ring_rotate(new.ring, 6), 0);
    ticket_ring_get(old.view, TICKET_PREVIOUS, &after);
    assert_memory_equal(&before, &after, sizeof(before));
    ticket_keys_close(&new);
    ticket_keys_close(&old);
}

static void keys_of_another_version_are_made_anew(void **state)
{
    struct ticket_keys old, new;
    struct ticket_secret secret, found;
    enum ticket_place place;

    (void)state;
    assert_int_equal(ticket_keys_open(&old, -1, 0), 0);
    ticket_ring_get(old.view, TICKET_CURRENT, &secret);
    old.ring->version++;
    assert_int_equal(ticket_keys_open(&new, dup(old.fd), 0), 0);
    assert_false(ticket_ring_find(new.view, secret.name, &found, &place));
    ticket_keys_close(&new);
    ticket_keys_close(&old);
}

static void a_child_cannot_write_to_the_keys(void **state)
{
    struct ticket_keys keys;
    int status = 0;
    pid_t pid;

    (void)state;
    assert_int_equal(ticket_keys_open(&keys, -1, 0), 0);
    pid = fork();
    if (pid == 0) {
        /* the writable mapping is not there, the other cannot be made writable */
        _exit(mprotect((void *)(uintptr_t)keys.view, sizeof(*keys.view), PROT_READ | PROT_WRITE) !=
                          0 &&
                      msync(keys.ring, sizeof(*keys.ring), MS_ASYNC) != 0
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ticket_keys_close(&keys);
}

/* ---- OCSP responses --------------------------------------------------------------- */

enum { NOW = 1000000 };

static struct staple_board *open_board(int *fd)
{
    struct staple_board *board;

    *fd = -1;
    board = staple_board_open(fd);
    assert_non_null(board);
    return board;
}

static void close_board(struct staple_board *board, int fd)
{
    (void)munmap(board, sizeof(*board));
    (void)close(fd);
}

static void a_response_is_had_until_it_expires(void **state)
{
    static const char response[] = "thirteen byte";
    unsigned char out[STAPLE_MAX];
    int fd, slot;
    struct staple_board *board = open_board(&fd);

    (void)state;
    slot = staple_slot_find(board, 77, NOW);
    assert_true(slot >= 0);
    assert_int_equal(staple_slot_find(board, 77, NOW), slot);
    assert_int_equal(staple_get(board, slot, 77, NOW, out), 0);
    assert_true(staple_put(board, slot, 77, response, sizeof(response), NOW + 10));
    assert_int_equal(staple_get(board, slot, 77, NOW + 9, out), sizeof(response));
    assert_memory_equal(out, response, sizeof(response));
    assert_int_equal(staple_get(board, slot, 77, NOW + 10, out), 0);
    assert_int_equal(staple_get(board, slot, 78, NOW, out), 0);
    close_board(board, fd);
}

static void a_response_that_is_too_long_is_refused(void **state)
{
    static unsigned char long_one[STAPLE_MAX + 1];
    unsigned char out[STAPLE_MAX];
    int fd, slot;
    struct staple_board *board = open_board(&fd);

    (void)state;
    slot = staple_slot_find(board, 1, NOW);
    assert_false(staple_put(board, slot, 1, long_one, sizeof(long_one), NOW + 1));
    assert_true(staple_put(board, slot, 1, long_one, STAPLE_MAX, NOW + 1));
    assert_int_equal(staple_get(board, slot, 1, NOW, out), STAPLE_MAX);
    close_board(board, fd);
}

/* Tags that all begin to look at the same place. */
static void slots_in_use_are_kept_and_others_given_away(void **state)
{
    unsigned char out[STAPLE_MAX];
    int fd, first = -1, count = 0;
    struct staple_board *board = open_board(&fd);
    uint64_t tag;

    (void)state;
    for (tag = STAPLE_SLOTS; staple_slot_find(board, tag, NOW) >= 0; tag += STAPLE_SLOTS) {
        count++;
        assert_true(count <= STAPLE_SLOTS);
    }
    assert_true(count >= 8);
    first = staple_slot_find(board, STAPLE_SLOTS, NOW);
    assert_true(staple_put(board, first, STAPLE_SLOTS, "x", 1, NOW + 1000000));
    for (uint64_t other = 2 * STAPLE_SLOTS; other < tag; other += STAPLE_SLOTS) {
        assert_true(staple_slot_find(board, other, NOW + STAPLE_KEPT_SECONDS) >= 0);
    }
    assert_int_equal(staple_slot_find(board, tag, NOW + STAPLE_KEPT_SECONDS + 1), first);
    assert_int_equal(staple_get(board, first, tag, NOW, out), 0);
    assert_int_equal(staple_get(board, first, STAPLE_SLOTS, NOW, out), 0);
    assert_false(staple_put(board, first, STAPLE_SLOTS, "y", 1, NOW + 1000000));
    assert_false(staple_slot_use(board, first, STAPLE_SLOTS, NOW));
    close_board(board, fd);
}

static void a_writer_that_died_holds_nobody_up(void **state)
{
    unsigned char out[STAPLE_MAX];
    int fd, slot;
    struct staple_board *board = open_board(&fd);

    (void)state;
    slot = staple_slot_find(board, 5, NOW);
    atomic_fetch_add(&board->slots[slot].sequence, 1); /* as if in the middle */
    assert_int_equal(staple_get(board, slot, 5, NOW, out), 0);
    assert_true(staple_put(board, slot, 5, "z", 1, NOW + 1));
    assert_int_equal(staple_get(board, slot, 5, NOW, out), 1);
    close_board(board, fd);
}

static void responses_are_taken_over_by_their_descriptor(void **state)
{
    unsigned char out[STAPLE_MAX];
    int fd, copy, slot;
    struct staple_board *board = open_board(&fd), *next;

    (void)state;
    slot = staple_slot_find(board, 5, NOW);
    assert_true(staple_put(board, slot, 5, "kept", 4, NOW + 1));
    copy = dup(fd);
    next = staple_board_open(&copy);
    assert_non_null(next);
    assert_int_equal(staple_slot_find(next, 5, NOW), slot);
    assert_int_equal(staple_get(next, slot, 5, NOW, out), 4);
    close_board(next, copy);
    close_board(board, fd);
}

/* ---- Bundles --------------------------------------------------------------------------- */

static char folder[64];

static const char *file(const char *name, const char *text)
{
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];
    FILE *out;

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    if (text) {
        out = fopen(path, "we");
        assert_non_null(out);
        assert_true(fputs(text, out) >= 0);
        assert_int_equal(fclose(out), 0);
    }
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/instar-bundle-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

static void files_come_out_as_they_went_in(void **state)
{
    const char *paths[] = { file("a", "one"), file("b", ""), file("none", NULL), folder };
    struct bundle bundle;
    struct secret got;
    int fd;

    (void)state;
    assert_int_equal(bundle_make(&fd, paths, 4), 0);
    assert_int_equal(bundle_read(&bundle, fd), 0);
    assert_int_equal(bundle_find(&bundle, paths[0], &got), 0);
    assert_int_equal(got.len, 3);
    assert_memory_equal(got.data, "one", 3);
    secret_drop(&got);
    assert_int_equal(bundle_find(&bundle, paths[1], &got), 0);
    assert_int_equal(got.len, 0);
    secret_drop(&got);
    assert_int_equal(bundle_find(&bundle, paths[2], &got), ENOENT);
    assert_int_equal(bundle_find(&bundle, folder, &got), EISDIR);
    assert_int_equal(bundle_find(&bundle, "/not/asked/for", &got), ENOENT);
    bundle_free(&bundle);
    bundle_wipe(fd);
}

/* Each byte that could be a length or a number, changed: an error or a bundle, never a crash. */
static void a_bundle_from_elsewhere_is_not_trusted(void **state)
{
    const char *paths[] = { file("a", "one"), file("b", "two") };
    unsigned char bytes[1024];
    ssize_t size;
    int fd;

    (void)state;
    assert_int_equal(bundle_make(&fd, paths, 2), 0);
    size = pread(fd, bytes, sizeof(bytes), 0);
    assert_true(size > 0 && size < (ssize_t)sizeof(bytes));
    for (ssize_t at = 0; at < size; at++) {
        static const unsigned char values[] = { 0x00, 0x7f, 0xff };

        for (size_t v = 0; v < sizeof(values); v++) {
            struct bundle bundle;
            struct secret got;

            assert_int_equal(pwrite(fd, &values[v], 1, at), 1);
            if (bundle_read(&bundle, fd) == 0) {
                (void)bundle_find(&bundle, paths[1], &got);
                secret_drop(&got);
                bundle_free(&bundle);
            }
            assert_int_equal(pwrite(fd, &bytes[at], 1, at), 1);
        }
    }
    for (ssize_t cut = size - 1; cut >= 0; cut--) {
        struct bundle bundle;

        assert_int_equal(ftruncate(fd, cut), 0);
        assert_int_equal(bundle_read(&bundle, fd), EINVAL);
    }
    (void)close(fd);
}

static void what_is_no_file_is_not_waited_for(void **state)
{
    const char *path = file("fifo", NULL);
    struct secret got;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(secret_read(&got, path), EINVAL);
    assert_null(got.data);
    path = file("large", "");
    assert_int_equal(truncate(path, SECRET_FILE_MAX + 1), 0);
    assert_int_equal(secret_read(&got, path), EFBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_found_until_it_has_left_the_ring),
        cmocka_unit_test(the_next_key_is_known_beforehand),
        cmocka_unit_test(keys_are_taken_over_by_their_descriptor),
        cmocka_unit_test(keys_of_another_version_are_made_anew),
        cmocka_unit_test(a_child_cannot_write_to_the_keys),
        cmocka_unit_test(a_response_is_had_until_it_expires),
        cmocka_unit_test(a_response_that_is_too_long_is_refused),
        cmocka_unit_test(slots_in_use_are_kept_and_others_given_away),
        cmocka_unit_test(a_writer_that_died_holds_nobody_up),
        cmocka_unit_test(responses_are_taken_over_by_their_descriptor),
        cmocka_unit_test(files_come_out_as_they_went_in),
        cmocka_unit_test(a_bundle_from_elsewhere_is_not_trusted),
        cmocka_unit_test(what_is_no_file_is_not_waited_for),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
