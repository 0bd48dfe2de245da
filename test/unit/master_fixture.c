/* SPDX-License-Identifier: Apache-2.0 */
/* See master_fixture.h. Listens on a unix socket, so that no port is needed. */
#include "master_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include <cmocka.h>

#include "ipc/ipc.h"
#include "master/master.h"
#include "master/signals.h"
#include "util/diag.h"

enum { WORKERS = 8 };

/* ---- The pretended generation ------------------------------------------ */

static char behaviour_path[128];

struct pretence {
    const struct launch *launch;
    char words[256];
    int count, fd[WORKERS];
    bool draining;
};

static bool has(const struct pretence *p, const char *word)
{
    return strstr(p->words, word) != NULL;
}

static void pause_ms(long ms)
{
    const struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };

    (void)nanosleep(&pause, NULL);
}

static void read_behaviour(struct pretence *p)
{
    int fd = open(behaviour_path, O_RDONLY | O_CLOEXEC);
    const char *at;

    if (fd >= 0) {
        ssize_t n = read(fd, p->words, sizeof(p->words) - 1);

        p->words[n > 0 ? n : 0] = '\0';
        (void)close(fd);
    }
    at = strstr(p->words, "workers=");
    p->count = at != NULL ? atoi(at + 8) : 2;
}

static void refuse(const struct pretence *p)
{
    apr_pool_t *pool;
    struct diags *diags;
    int fd = memfd_create("diags", MFD_CLOEXEC);

    (void)apr_pool_create(&pool, NULL);
    diags = diags_create(pool);
    diags_add(diags, DIAG_LOAD, DIAG_ERROR, "/somewhere/x.c", 5, 7, "it pretends to be broken");
    (void)diags_write(diags, fd);
    (void)ipc_send(p->launch->master_fd, p->launch->number, IPC_GEN_FAILED, NULL, 0, &fd, 1);
    _exit(1);
}

static void bring_up_workers(struct pretence *p)
{
    for (int i = 0; i < p->count; i++) {
        struct ipc_worker_up up = { .index = (uint32_t)i, .pid = getpid() };
        int pair[2];

        if (ipc_pair(pair) != APR_SUCCESS) {
            _exit(1);
        }
        (void)ipc_send(p->launch->master_fd, p->launch->number, IPC_GEN_WORKER_UP, &up, sizeof(up),
                       &pair[1], 1);
        (void)close(pair[1]);
        p->fd[i] = pair[0];
    }
}

/* The same rubbish in every run. */
static size_t noise_below(size_t limit)
{
    static uint32_t seed = 2463534242u;

    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % limit;
}

static void gossip(const struct pretence *p)
{
    unsigned char noise[512];
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct ipc_worker_up up = { .index = 999, .pid = 1 };

    for (int type = 0; type < IPC_TYPES; type++) {
        for (size_t i = 0; i < sizeof(noise); i++) {
            noise[i] = (unsigned char)noise_below(256);
        }
        if (type != IPC_GEN_FAILED && type != IPC_GEN_READY) {
            (void)ipc_send(p->launch->master_fd, 1, (enum ipc_type)type, noise,
                           noise_below(sizeof(noise)), &fd, (int)noise_below(2));
        }
        (void)ipc_send(p->fd[0], 1, (enum ipc_type)type, noise, noise_below(64), &fd, 1);
        (void)!write(p->launch->master_fd, noise, 40);
    }
    (void)ipc_send(p->launch->master_fd, 1, IPC_GEN_WORKER_UP, &up, sizeof(up), &fd, 1);
    (void)close(fd);
}

static void worker_hears(struct pretence *p, int i, const struct ipc_message *msg)
{
    if (msg->header.type == IPC_ACCEPT_OFF && !has(p, "late")) {
        (void)ipc_send(p->fd[i], p->launch->number, IPC_ACCEPT_STOPPED, msg->payload,
                       sizeof(struct ipc_switch), NULL, 0);
    }
    if (msg->header.type == IPC_DRAIN && !has(p, "stuck")) {
        p->draining = true;
    }
}

static void live(struct pretence *p)
{
    static struct ipc_message msg;
    struct pollfd polled[WORKERS + 1] = { { .fd = p->launch->master_fd, .events = POLLIN } };

    for (int i = 0; i < p->count; i++) {
        polled[i + 1] = (struct pollfd){ .fd = p->fd[i], .events = POLLIN };
    }
    while (!p->draining) {
        (void)poll(polled, (nfds_t)p->count + 1, has(p, "gossip") ? 1 : 1000);
        if (has(p, "gossip")) {
            gossip(p);
        }
        for (int i = 0; i <= p->count; i++) {
            apr_status_t rv = polled[i].revents ? ipc_recv(polled[i].fd, &msg) : APR_EAGAIN;

            for (int k = 0; rv == APR_SUCCESS && k < msg.fd_count; k++) {
                (void)close(msg.fds[k]);
            }
            if (rv == APR_EOF || (rv == APR_SUCCESS && msg.header.type == IPC_GEN_STOP)) {
                _exit(0);
            }
            if (rv == APR_SUCCESS && i > 0) {
                worker_hears(p, i - 1, &msg);
            }
        }
    }
    _exit(0);
}

/* Holds the master until this process is dead: however busy the machine is, it
 * hears of the death before a switch can be over. */
static void die_before_it_is_heard(void)
{
    pid_t self = getpid(), master = getppid();

    (void)kill(master, SIGSTOP);
    if (fork() == 0) {
        while (getppid() == self) {
            pause_ms(1);
        }
        (void)kill(master, SIGCONT);
        _exit(0);
    }
}

static void pretend(const struct launch *launch)
{
    static struct pretence p;

    p.launch = launch;
    read_behaviour(&p);
    if (has(&p, "refuse")) {
        refuse(&p);
    }
    if (has(&p, "exit")) {
        _exit(0);
    }
    if (has(&p, "abort")) {
        abort();
    }
    while (has(&p, "hang")) {
        (void)pause();
    }
    if (!launch->check_only) {
        bring_up_workers(&p);
    }
    if (has(&p, "brief")) {
        die_before_it_is_heard();
    }
    (void)ipc_send(launch->master_fd, launch->number, IPC_GEN_READY, NULL, 0, NULL, 0);
    if (has(&p, "brief")) {
        _exit(3);
    }
    if (launch->check_only) {
        _exit(0);
    }
    live(&p);
}

/* ---- The master -------------------------------------------------------- */

void fixture_config(const struct master_fixture *f, const char *directives)
{
    char path[128];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/x.conf", f->folder);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fprintf(file,
                        "ServerRoot %s\nDefaultRuntimeDir run\nPidFile run/x.pid\n"
                        "ControlSocket run/x.sock\n"
                        "BuildDirectory build\nErrorLog log\nListen unix:%s/listen.sock\n%s\n",
                        f->folder, f->folder, directives) > 0);
    assert_int_equal(fclose(file), 0);
}

void fixture_behave(const struct master_fixture *f, const char *words)
{
    FILE *file = fopen(behaviour_path, "w");

    (void)f;
    assert_non_null(file);
    assert_true(fputs(words, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

void fixture_create(struct master_fixture *f, const char *directives)
{
    memset(f, 0, sizeof(*f));
    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/instar-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(behaviour_path, sizeof(behaviour_path), "%s/behave", f->folder);
    assert_int_equal(apr_pool_create(&f->pool, NULL), APR_SUCCESS);
    f->options.server_root = f->folder;
    f->options.config_file = apr_pstrcat(f->pool, f->folder, "/x.conf", NULL);
    f->options.prefix = f->folder;
    f->options.defines = apr_array_make(f->pool, 1, sizeof(const char *));
    f->options.directives = apr_array_make(f->pool, 1, sizeof(const char *));
    fixture_config(f, directives);
}

int fixture_start(struct master_fixture *f)
{
    static const struct launch_ops ops = { .run = pretend };
    char text[4096] = "";
    size_t used = 0;
    int ends[2];
    ssize_t n;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    f->pid = fork();
    if (f->pid == 0) {
        struct master_options options = { .conf = f->options, .report_fd = ends[1] };

        signals_block();
        _exit(master_run(&options, &ops));
    }
    (void)close(ends[1]);
    while (used + 1 < sizeof(text) &&
           (n = read(ends[0], text + used, sizeof(text) - 1 - used)) > 0) {
        used += (size_t)n;
    }
    (void)close(ends[0]);
    whereabouts_find(&f->where, &f->options, f->pool);
    return atoi(text);
}

struct control_answer fixture_ask(struct master_fixture *f, const char *request)
{
    struct control_answer answer = { -1, "" };

    assert_int_equal(control_ask(&f->where, request, &answer, f->pool), 0);
    return answer;
}

bool fixture_wait(struct master_fixture *f, const char *words)
{
    for (int i = 0; i < 3000; i++) {
        if (strstr(fixture_ask(f, "status json").text, words) != NULL) {
            return true;
        }
        pause_ms(10);
    }
    return false;
}

int64_t fixture_number(const char *json, const char *key)
{
    char quoted[64];
    const char *at;

    (void)snprintf(quoted, sizeof(quoted), "\"%s\": ", key);
    at = strstr(json, quoted);
    return at != NULL ? strtoll(at + strlen(quoted), NULL, 10) : -1;
}

int fixture_descriptors(const struct master_fixture *f)
{
    char path[64];
    struct dirent *entry;
    int count = 0;
    DIR *dir;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)f->pid);
    dir = opendir(path);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(dir);
    return count;
}

void fixture_destroy(struct master_fixture *f)
{
    char command[192];

    if (f->pid > 0) {
        (void)kill(f->pid, SIGKILL);
        (void)waitpid(f->pid, NULL, 0);
    }
    (void)snprintf(command, sizeof(command), "rm -rf %s 2>/dev/null", f->folder);
    /* What it had begun may go on for a moment. */
    for (int i = 0; i < 300 && system(command) != 0; i++) {
        pause_ms(10);
    }
    assert_int_equal(access(f->folder, F_OK), -1);
    apr_pool_destroy(f->pool);
}
