/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between processes, honest and other ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/ipc.h"
#include "ipc/reopen.h"

static struct ipc_message got;
static int pair[2];

static int open_pair(void **state)
{
    (void)state;
    return ipc_pair(pair);
}

static int close_pair(void **state)
{
    (void)state;
    (void)close(pair[0]);
    (void)close(pair[1]);
    return 0;
}

static int count_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

static void a_message_arrives_whole(void **state)
{
    struct ipc_worker_up up = { .index = 3, .pid = 77 };
    int null = open("/dev/null", O_RDONLY);

    (void)state;
    assert_int_equal(ipc_recv(pair[1], &got), APR_EAGAIN);
    assert_int_equal(ipc_send(pair[0], 9, IPC_GEN_WORKER_UP, &up, sizeof(up), &null, 1), 0);
    assert_int_equal(ipc_recv(pair[1], &got), 0);
    assert_int_equal(got.header.type, IPC_GEN_WORKER_UP);
    assert_int_equal(got.header.generation, 9);
    assert_int_equal(got.header.length, sizeof(up));
    assert_memory_equal(got.payload, &up, sizeof(up));
    assert_int_equal(got.fd_count, 1);
    assert_true(fcntl(got.fds[0], F_GETFD) & FD_CLOEXEC);
    (void)close(got.fds[0]);
    assert_true(fcntl(null, F_GETFD) >= 0);
    (void)close(null);
}

static void an_empty_payload_may_be_left_out(void **state)
{
    (void)state;
    assert_int_equal(ipc_send(pair[0], 1, IPC_POKE, NULL, 0, NULL, 0), 0);
    assert_int_equal(ipc_recv(pair[1], &got), 0);
    assert_int_equal(got.header.type, IPC_POKE);
    assert_int_equal(got.fd_count, 0);
}

static void the_largest_message_fits(void **state)
{
    static char big[IPC_MAX_PAYLOAD];
    int fds[IPC_MAX_FDS];

    (void)state;
    for (int i = 0; i < IPC_MAX_FDS; i++) {
        fds[i] = 0;
    }
    memset(big, 'x', sizeof(big));
    assert_int_equal(ipc_send(pair[0], 1, IPC_CONN_OFFER, big, sizeof(big), fds, IPC_MAX_FDS), 0);
    assert_int_equal(ipc_recv(pair[1], &got), 0);
    assert_int_equal(got.fd_count, IPC_MAX_FDS);
    assert_memory_equal(got.payload, big, sizeof(big));
    for (int i = 0; i < got.fd_count; i++) {
        (void)close(got.fds[i]);
    }
    assert_int_equal(ipc_send(pair[0], 1, IPC_CONN_OFFER, big, sizeof(big) + 1, NULL, 0),
                     APR_EINVAL);
}

static void the_end_is_told_from_an_empty_packet(void **state)
{
    (void)state;
    assert_int_equal(send(pair[0], "", 0, 0), 0);
    assert_int_equal(ipc_recv(pair[1], &got), APR_EGENERAL);
    assert_int_equal(ipc_recv(pair[1], &got), APR_EAGAIN);
    assert_int_equal(ipc_send(pair[0], 1, IPC_POKE, NULL, 0, NULL, 0), 0);
    (void)close(pair[0]);
    pair[0] = -1;
    assert_int_equal(ipc_recv(pair[1], &got), 0);
    assert_int_equal(ipc_recv(pair[1], &got), APR_EOF);
    assert_int_equal(ipc_send(pair[1], 1, IPC_POKE, NULL, 0, NULL, 0), APR_EOF);
}

static void a_full_queue_says_again(void **state)
{
    static char big[IPC_MAX_PAYLOAD];
    apr_status_t rv = APR_SUCCESS;

    (void)state;
    for (int i = 0; i < 10000 && rv == APR_SUCCESS; i++) {
        rv = ipc_send(pair[0], 1, IPC_CONN_TAKEN, big, sizeof(big), NULL, 0);
    }
    assert_int_equal(rv, APR_EAGAIN);
}

static void send_raw(const struct ipc_header *header, size_t payload, int fd_count)
{
    static char body[IPC_MAX_PAYLOAD + 100];
    struct iovec iov[2] = { { (void *)(uintptr_t)header, sizeof(*header) }, { body, payload } };
    char control[CMSG_SPACE(sizeof(int) * 253)] = { 0 };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

    if (fd_count > 0) {
        struct cmsghdr *c;

        msg.msg_control = control;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)fd_count);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)fd_count);
    }
    assert_true(sendmsg(pair[0], &msg, 0) > 0);
}

static void malformed_messages_are_dropped_whole(void **state)
{
    static const struct {
        const char *name;
        struct ipc_header header;
        size_t payload;
        int fds;
    } cases[] = {
        { "version", { 2, IPC_POKE, 1, 0 }, 1, 0 },
        { "type 0", { IPC_VERSION, IPC_NONE, 1, 0 }, 1, 0 },
        { "type beyond", { IPC_VERSION, IPC_TYPES, 1, 0 }, 1, 0 },
        { "type 65535", { IPC_VERSION, 65535, 1, 0 }, 1, 0 },
        { "length too long", { IPC_VERSION, IPC_POKE, 2, 0 }, 1, 0 },
        { "length too short", { IPC_VERSION, IPC_POKE, 0, 0 }, 1, 0 },
        { "length huge", { IPC_VERSION, IPC_POKE, UINT32_MAX, 0 }, 1, 0 },
        { "payload of another size", { IPC_VERSION, IPC_GEN_DRAIN, 3, 0 }, 3, 0 },
        { "truncated",
          { IPC_VERSION, IPC_CONN_OFFER, IPC_MAX_PAYLOAD + 1, 0 },
          IPC_MAX_PAYLOAD + 1,
          1 },
        { "a descriptor too many", { IPC_VERSION, IPC_POKE, 1, 0 }, 1, 1 },
        { "two for one",
          { IPC_VERSION, IPC_GEN_WORKER_UP, sizeof(struct ipc_worker_up), 0 },
          sizeof(struct ipc_worker_up),
          2 },
        { "a descriptor too few",
          { IPC_VERSION, IPC_GEN_WORKER_UP, sizeof(struct ipc_worker_up), 0 },
          sizeof(struct ipc_worker_up),
          0 },
    };
    int before = count_fds();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        send_raw(&cases[i].header, cases[i].payload, cases[i].fds);
        if (ipc_recv(pair[1], &got) != APR_EGENERAL) {
            fail_msg("%s", cases[i].name);
        }
        assert_int_equal(got.fd_count, 0);
    }
    assert_int_equal(send(pair[0], "short", 5, 0), 5);
    assert_int_equal(ipc_recv(pair[1], &got), APR_EGENERAL);
    assert_int_equal(count_fds(), before);
}

static void lost_descriptors_are_noticed(void **state)
{
    static const struct ipc_header offer = { IPC_VERSION, IPC_CONN_OFFER, 8, 5 };
    struct rlimit limit, low;
    int before = count_fds();

    (void)state;
    /* more than fit into the buffer */
    send_raw(&offer, 8, IPC_MAX_FDS + 10);
    assert_int_equal(ipc_recv(pair[1], &got), APR_ENOSPC);
    assert_int_equal(got.header.generation, 5);
    assert_int_equal(got.header.length, 8);
    assert_int_equal(count_fds(), before);
    /* no free slots */
    send_raw(&offer, 8, 20);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = (rlim_t)pair[1] + 5;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(ipc_recv(pair[1], &got), APR_ENOSPC);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(count_fds(), before);
}

static char reopened[256];

static void note(void *ctx, const char *key, int fd)
{
    assert_ptr_equal(ctx, reopened);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    strcat(strcat(reopened, key), ";");
}

static void reopened_logs_come_with_their_keys(void **state)
{
    static struct ipc_reopen_out out;
    struct ipc_reopen head;
    int before = count_fds(), null = open("/dev/null", O_RDONLY);

    (void)state;
    out.head = (struct ipc_reopen){ .number = 7, .last = 1 };
    assert_true(ipc_reopen_add(&out, "/srv/a", null));
    assert_true(ipc_reopen_add(&out, "/srv/b", null));
    assert_int_equal(ipc_reopen_send(pair[0], 3, &out), 0);
    assert_int_equal(ipc_recv(pair[1], &got), 0);
    reopened[0] = '\0';
    assert_true(ipc_reopen_each(&got, &head, note, reopened));
    assert_string_equal(reopened, "/srv/a;/srv/b;");
    assert_int_equal(head.number, 7);
    assert_int_equal(head.last, 1);
    /* fewer keys than descriptors; a key without its end; less than a head */
    for (size_t cut = 1; cut < out.used + sizeof(head); cut += 3) {
        assert_int_equal(ipc_reopen_send(pair[0], 3, &out), 0);
        assert_int_equal(ipc_recv(pair[1], &got), 0);
        got.header.length -= (uint32_t)cut;
        assert_false(ipc_reopen_each(&got, &head, note, NULL));
    }
    (void)close(null);
    assert_int_equal(count_fds(), before);
    while (out.head.count < IPC_REOPEN_FDS) {
        assert_true(ipc_reopen_add(&out, "k", 0));
    }
    assert_false(ipc_reopen_add(&out, "k", 0));
}

static void every_type_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(ipc_type_name(IPC_GEN_READY), "GEN_READY");
    assert_string_equal(ipc_type_name(IPC_TYPES), "unknown");
    for (int i = 0; i < IPC_TYPES; i++) {
        assert_non_null(ipc_type_name((enum ipc_type)i));
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_pair, close_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_arrives_whole),
        TEST(an_empty_payload_may_be_left_out),
        TEST(the_largest_message_fits),
        TEST(the_end_is_told_from_an_empty_packet),
        TEST(a_full_queue_says_again),
        TEST(malformed_messages_are_dropped_whole),
        TEST(lost_descriptors_are_noticed),
        TEST(every_type_has_a_name),
        TEST(reopened_logs_come_with_their_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
