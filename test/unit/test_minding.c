/* SPDX-License-Identifier: Apache-2.0 */
/* A generation minds its workers. The worker here is a stand-in that says READY
 * and obeys DRAIN; the test plays the master. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <apr_general.h>

#include "config/conf.h"
#include "generation/generation.h"
#include "generation_fixture.h"
#include "ipc/ipc.h"
#include "scoreboard/scoreboard.h"
#include "util/diag.h"
#include "util/log.h"
#include "util/role.h"
#include "worker/worker.h"

enum { WAIT_MS = 10000, WORKERS = 2 };

static apr_pool_t *pool;
static struct ipc_message got;

static int set_up(void **state)
{
    (void)state;
    log_set_level(INS_CRIT);
    return apr_initialize() != APR_SUCCESS || apr_pool_create(&pool, NULL) != APR_SUCCESS ||
           fixture_open() != 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_close();
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}

/* In place of the real one: without an event loop. */
int worker_run(const struct worker_start *start)
{
    start->child_init(start->ctx);
    (void)ipc_send(start->generation_fd, start->generation, IPC_WORKER_READY, NULL, 0, NULL, 0);
    for (;;) {
        struct pollfd p[2] = { { .fd = start->master_fd, .events = POLLIN },
                               { .fd = start->generation_fd, .events = POLLIN } };
        apr_status_t rv;

        (void)poll(p, 2, -1);
        if (p[1].revents && ipc_recv(start->generation_fd, &got) == APR_SUCCESS) {
            if (got.header.type == IPC_RETIRE) {
                return 0;
            }
            continue;
        }
        rv = ipc_recv(start->master_fd, &got);
        if (rv == APR_EOF) {
            return 9;
        }
        if (rv == APR_SUCCESS && got.header.type == IPC_POKE) { /* the test says: be spent */
            const struct ipc_spent spent = { .reason = IPC_SPENT_MEMORY };

            (void)ipc_send(start->generation_fd, start->generation, IPC_WORKER_SPENT, &spent,
                           sizeof(spent), NULL, 0);
        }
        if (rv == APR_SUCCESS && got.header.type == IPC_DRAIN) {
            start->child_exit(start->ctx);
            return 0;
        }
    }
}

/* The test as a master. */
struct played {
    pid_t pid;
    int fd;
    struct launch *launch;
    struct {
        pid_t pid;
        int fd;
    } workers[WORKERS];
};

static struct played start(const char *text, const struct test_module *modules)
{
    struct played p = { .launch = fixture_launch(text, modules, pool) };
    int pair[2], keep[2];

    for (int i = 0; i < WORKERS; i++) {
        p.workers[i].fd = -1;
    }
    assert_int_equal(ipc_pair(pair), 0);
    p.fd = pair[0];
    p.launch->master_fd = pair[1];
    keep[0] = pair[1];
    keep[1] = p.launch->build_dir;
    p.pid = fork_role("instar: generation", keep, 2, true);
    if (p.pid == 0) {
        (void)alarm(60);
        generation_run(p.launch);
    }
    (void)close(pair[1]);
    return p;
}

static void note_worker(struct played *p)
{
    struct ipc_worker_up up;

    memcpy(&up, got.payload, sizeof(up));
    assert_true(up.index < WORKERS);
    if (p->workers[up.index].fd >= 0) {
        (void)close(p->workers[up.index].fd);
    }
    p->workers[up.index].pid = up.pid;
    p->workers[up.index].fd = got.fds[0];
}

/* The next message of that type; false: the generation said no more. */
static bool hear(struct played *p, enum ipc_type type)
{
    for (;;) {
        struct pollfd poller = { .fd = p->fd, .events = POLLIN };
        apr_status_t rv;

        assert_int_equal(poll(&poller, 1, WAIT_MS), 1);
        rv = ipc_recv(p->fd, &got);
        if (rv == APR_EOF) {
            return false;
        }
        assert_int_equal(rv, APR_SUCCESS);
        if (got.header.type == IPC_GEN_WORKER_UP) {
            note_worker(p);
        }
        if (got.header.type == type) {
            return true;
        }
    }
}

static void tell(const struct played *p, enum ipc_type type)
{
    struct ipc_drain drain = { .deadline = 0 };
    bool with = type == IPC_GEN_DRAIN;

    assert_int_equal(
        ipc_send(p->fd, 0, type, with ? &drain : NULL, with ? sizeof(drain) : 0, NULL, 0), 0);
}

static void drain_workers(const struct played *p)
{
    struct ipc_drain drain = { .deadline = 0 };

    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(ipc_send(p->workers[i].fd, 0, IPC_DRAIN, &drain, sizeof(drain), NULL, 0),
                         0);
    }
}

static int end(struct played *p)
{
    int status;

    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    (void)close(p->fd);
    for (int i = 0; i < WORKERS; i++) {
        if (p->workers[i].fd >= 0) {
            (void)close(p->workers[i].fd);
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const struct test_module none[] = { { NULL, NULL } };

static void workers_start_and_drain(void **state)
{
    struct played p = start("Workers 2\n", none);

    (void)state;
    assert_true(hear(&p, IPC_GEN_READY));
    for (int i = 0; i < WORKERS; i++) {
        assert_true(p.workers[i].pid > 0);
        assert_int_equal(getpgid(p.workers[i].pid), p.pid);
    }
    tell(&p, IPC_GEN_DRAIN);
    drain_workers(&p);
    assert_false(hear(&p, IPC_NONE));
    assert_int_equal(end(&p), 0);
}

/* Ends worker 1 and waits for the next one; how long that took. */
static int64_t kill_and_await_next(struct played *p, int sig)
{
    pid_t first = p->workers[1].pid;
    struct ipc_worker_down down;
    int64_t began = now_ms();

    assert_int_equal(kill(first, sig), 0);
    assert_true(hear(p, IPC_GEN_WORKER_DOWN));
    memcpy(&down, got.payload, sizeof(down));
    assert_int_equal(down.pid, first);
    assert_int_equal(down.index, 1);
    assert_int_equal(WTERMSIG(down.status), sig);
    assert_true(hear(p, IPC_GEN_WORKER_UP));
    assert_int_not_equal(p->workers[1].pid, first);
    return now_ms() - began;
}

static void a_dead_worker_comes_back_at_once_then_later(void **state)
{
    int64_t at_once = 100;

    (void)state;
    /* A busy machine may take its time, but not with every one. */
    for (int tries = 0; tries < 10 && at_once >= 100; tries++) {
        struct played p = start("Workers 2\nProbationTime 0\n", none);

        assert_true(hear(&p, IPC_GEN_READY));
        at_once = kill_and_await_next(&p, SIGALRM);
        for (int64_t pause = 100; pause <= 400; pause *= 2) {
            assert_true(kill_and_await_next(&p, SIGALRM) >= pause);
        }
        tell(&p, IPC_GEN_STOP);
        assert_false(hear(&p, IPC_NONE));
        assert_int_equal(end(&p), 0);
    }
    assert_true(at_once < 100);
}

/* What goes on crashing is to be found out soon. */
static void on_probation_the_pauses_do_not_grow(void **state)
{
    struct played p = start("Workers 2\nProbationTime 60\n", none);
    int64_t began;

    (void)state;
    assert_true(hear(&p, IPC_GEN_READY));
    began = now_ms();
    for (int deaths = 0; deaths < 7; deaths++) {
        assert_int_equal(kill(p.workers[1].pid, SIGALRM), 0);
        assert_true(hear(&p, IPC_GEN_WORKER_UP));
    }
    assert_true(now_ms() - began < 100 + 200 + 400 + 800 + 1600 + 3200);
    tell(&p, IPC_GEN_STOP);
    assert_false(hear(&p, IPC_NONE));
    assert_int_equal(end(&p), 0);
}

/* The next death of that worker: was it expected? */
static bool hear_expected_end(struct played *p, pid_t pid)
{
    struct ipc_worker_down down;

    do {
        assert_true(hear(p, IPC_GEN_WORKER_DOWN));
        memcpy(&down, got.payload, sizeof(down));
    } while (down.pid != pid);
    return down.expected == 1 && down.status == 0;
}

static void a_spent_worker_leaves_when_a_fresh_one_is_there(void **state)
{
    struct played p = start("Workers 2\n", none);
    struct ipc_leaving leaving;
    int64_t began = now_ms();

    (void)state;
    assert_true(hear(&p, IPC_GEN_READY));
    for (int times = 0; times < 4; times++) {
        pid_t old = p.workers[1].pid;
        int kept = dup(p.workers[1].fd); /* the fresh one's takes its place */

        assert_int_equal(ipc_send(kept, 0, IPC_POKE, NULL, 0, NULL, 0), 0);
        assert_true(hear(&p, IPC_GEN_WORKER_UP));
        assert_int_not_equal(p.workers[1].pid, old);
        assert_true(hear(&p, IPC_GEN_WORKER_LEAVING));
        memcpy(&leaving, got.payload, sizeof(leaving));
        assert_int_equal(leaving.index, 1);
        assert_int_equal(leaving.pid, old);
        assert_int_equal(leaving.reason, IPC_SPENT_MEMORY);
        assert_true(hear_expected_end(&p, old));
        (void)close(kept);
    }
    /* ever more slowly where each lives for a moment only */
    assert_true(now_ms() - began >= 250 + 500 + 1000);
    tell(&p, IPC_GEN_DRAIN);
    drain_workers(&p);
    assert_false(hear(&p, IPC_NONE));
    assert_int_equal(end(&p), 0);
}

static void a_worker_that_dies_while_it_starts_fails_the_generation(void **state)
{
    static const struct test_module modules[] = {
        { "odd_module", "static void init(apr_pool_t *p, ins_server *s) { *(volatile int *)8 = 1; }"
                        "INS_MODULE(odd_module) = { INS_MODULE_HEADER, .child_init = init };" },
        { NULL, NULL }
    };
    /* one: what a generation is doing is a single text, whoever of its workers writes it */
    struct played p = start("Workers 1\n", modules);
    struct diags *diags = diags_create(pool);
    const char *text;

    (void)state;
    assert_true(hear(&p, IPC_GEN_FAILED));
    assert_int_equal(diags_read(diags, got.fds[0]), 0);
    (void)close(got.fds[0]);
    text = diags_text(diags, false, pool);
    assert_non_null(strstr(text, "was killed by SIGSEGV"));
    assert_non_null(strstr(text, "running child_init of odd_module"));
    assert_int_equal(diags_stage(diags), DIAG_START);
    assert_int_equal(end(&p), 1);
}

static void what_is_wrong_reaches_the_master(void **state)
{
    struct played p = start("Workers 2\nNoSuchThing\n", none);
    struct diags *diags = diags_create(pool);

    (void)state;
    assert_true(hear(&p, IPC_GEN_FAILED));
    assert_int_equal(diags_read(diags, got.fds[0]), 0);
    (void)close(got.fds[0]);
    assert_int_equal(diags->errors, 1);
    assert_non_null(strstr(diags_text(diags, false, pool), "NoSuchThing"));
    assert_int_equal(end(&p), 1);
}

static bool is_gone(pid_t pid)
{
    int64_t until = now_ms() + WAIT_MS;

    while (now_ms() < until) {
        /* workers outlive their generation: they are reaped here */
        if (waitpid(pid, NULL, WNOHANG) == pid || kill(pid, 0) != 0) {
            return true;
        }
        (void)usleep(2000);
    }
    return false;
}

static void without_a_master_all_end(void **state)
{
    struct played p = start("Workers 2\n", none);

    (void)state;
    assert_true(hear(&p, IPC_GEN_READY));
    (void)close(p.fd);
    p.fd = -1;
    assert_int_equal(end(&p), 1);
    assert_true(is_gone(p.workers[0].pid));
    assert_true(is_gone(p.workers[1].pid));
}

static void workers_outlive_a_killed_generation(void **state)
{
    struct played p = start("Workers 2\n", none);

    (void)state;
    assert_true(hear(&p, IPC_GEN_READY));
    assert_int_equal(kill(p.pid, SIGKILL), 0);
    assert_false(hear(&p, IPC_NONE));
    assert_int_equal(kill(p.workers[0].pid, 0), 0);
    drain_workers(&p);
    assert_int_equal(end(&p), 128 + SIGKILL);
    assert_true(is_gone(p.workers[0].pid));
    assert_true(is_gone(p.workers[1].pid));
}

static void gossip_is_ignored(void **state)
{
    struct played p = start("Workers 2\n", none);

    (void)state;
    assert_true(hear(&p, IPC_GEN_READY));
    assert_int_equal(send(p.fd, "nonsense", 8, 0), 8);
    assert_int_equal(ipc_send(p.fd, 0, IPC_CONN_OFFER, "x", 1, &p.fd, 1), 0);
    tell(&p, IPC_GEN_STOP);
    assert_false(hear(&p, IPC_NONE));
    assert_int_equal(end(&p), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_start_and_drain),
        cmocka_unit_test(a_dead_worker_comes_back_at_once_then_later),
        cmocka_unit_test(on_probation_the_pauses_do_not_grow),
        cmocka_unit_test(a_spent_worker_leaves_when_a_fresh_one_is_there),
        cmocka_unit_test(a_worker_that_dies_while_it_starts_fails_the_generation),
        cmocka_unit_test(what_is_wrong_reaches_the_master),
        cmocka_unit_test(without_a_master_all_end),
        cmocka_unit_test(workers_outlive_a_killed_generation),
        cmocka_unit_test(gossip_is_ignored),
    };

    role_init(argc, argv);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
