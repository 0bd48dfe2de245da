/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sd_notify without libsystemd: the protocol is stable, documented, and smaller
 * than the library. Sockets of paths and of abstract names are known.
 */
#include "master/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <apr_strings.h>

#include "master/image.h"
#include "master/report.h"
#include "util/log.h"

#define LOG_PART "master"

enum {
    TEXT_MAX = 2048,
    SEND_MS = 500,     /* how long a manager may keep us waiting */
    BEAT_MS = 5000,    /* while something goes on */
    EXTEND_MS = 30000, /* what is asked for at each beat */
    WATCHDOG_MIN_MS = 10
};

static struct {
    struct sockaddr_un address;
    socklen_t length; /* 0: nobody wants to know */
    int64_t watchdog_ms;
    bool busy;     /* a start, reload or stop goes on */
    bool stopping; /* said */
    bool complained;
    struct timer beat;
} manager;

/* ---- Sending ----------------------------------------------------------- */

static int send_text(const char *text, size_t length)
{
    const struct timeval patience = { .tv_usec = SEND_MS * 1000 };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;

    if (fd < 0) {
        return errno;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (sendto(fd, text, length, MSG_NOSIGNAL, (const struct sockaddr *)&manager.address,
               manager.length) < 0) {
        error = errno;
    }
    (void)close(fd);
    return error;
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;
    int length, error;

    if (manager.length == 0) {
        return;
    }
    va_start(args, format);
    length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (length >= (int)sizeof(text)) {
        length = (int)sizeof(text) - 1;
    }
    error = send_text(text, (size_t)length);
    if (error != 0 && !manager.complained) {
        log_warning("INS01330", "the service manager could not be told: NOTIFY_SOCKET: %s",
                    strerror(error));
    }
    manager.complained = error != 0;
}

/* ---- What goes on ------------------------------------------------------ */

/* With no worker left nothing is served, and that the master lives is no comfort. */
static bool is_healthy(const struct master *m)
{
    return m->phase != PHASE_RUNNING || m->serving == NULL || m->serving->worker_count > 0;
}

static void beat(struct master *m, void *ctx)
{
    int64_t every = manager.watchdog_ms > 0 ? manager.watchdog_ms / 2 : BEAT_MS;

    (void)ctx;
    if (manager.watchdog_ms > 0 && is_healthy(m)) {
        say("WATCHDOG=1");
    }
    if (manager.busy) {
        say("EXTEND_TIMEOUT_USEC=%" PRId64, (int64_t)EXTEND_MS * 1000);
    }
    every = every < BEAT_MS ? every : BEAT_MS;
    if (manager.busy || manager.watchdog_ms > 0) {
        timer_set(&m->loop, &manager.beat, loop_now_ms() + every, beat, NULL);
    }
}

static void set_busy(struct master *m, bool busy)
{
    manager.busy = busy;
    if (busy && manager.length > 0 && manager.beat.due == 0) {
        timer_set(&m->loop, &manager.beat, loop_now_ms() + BEAT_MS, beat, NULL);
    }
}

void notify_job(struct master *m, const struct job *job)
{
    if (job->kind == JOB_RELOAD || job->kind == JOB_ROLLBACK || job->kind == JOB_UPGRADE) {
        say("RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\nSTATUS=A %s goes on", loop_now_us(),
            job->outcome->what);
    }
    if (job->kind != JOB_SUCCESSOR && job->kind != JOB_CHECK && job->kind != JOB_SINGLE) {
        set_busy(m, true);
    }
}

static void say_state(const struct master *m, const struct outcome *outcome, const char *before)
{
    const char *line = report_line(outcome, outcome->pool);

    if (m->serving != NULL) {
        say("%sSTATUS=Generation %" PRIu64 " serves with %d worker%s; last %s: %.1000s", before,
            m->serving->number, m->serving->worker_count, m->serving->worker_count == 1 ? "" : "s",
            outcome->what, line);
    }
    else {
        say("STATUS=%.1000s", line);
    }
}

void notify_outcome(struct master *m, enum job_kind kind, const struct outcome *outcome)
{
    char ready[64] = "";

    if (manager.length == 0 || manager.stopping || kind == JOB_CHECK || kind == JOB_SINGLE) {
        return;
    }
    if (kind != JOB_SUCCESSOR) {
        set_busy(m, false);
        (void)snprintf(ready, sizeof(ready), "READY=1\nMAINPID=%d\n", (int)getpid());
    }
    say_state(m, outcome, ready);
}

void notify_stopping(struct master *m)
{
    if (manager.length == 0 || manager.stopping) {
        return;
    }
    manager.stopping = true;
    say("STOPPING=1\nSTATUS=%s",
        m->phase == PHASE_DRAINING ? "Finishing what is in flight" : "Stopping");
    set_busy(m, true);
}

/* ---- The environment --------------------------------------------------- */

static void take_address(const char *name)
{
    struct sockaddr_un *un = &manager.address;
    size_t length = strlen(name);

    if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof(un->sun_path)) {
        log_warning("INS01331",
                    "NOTIFY_SOCKET=%s is neither a path nor an abstract name (@NAME): the service "
                    "manager is told nothing",
                    name);
        return;
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, name, length);
    manager.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (name[0] == '@') {
        un->sun_path[0] = '\0';
    }
    else {
        manager.length++; /* the end of the text */
    }
}

static int64_t number(const char *name)
{
    const char *text = getenv(name);
    char *end;
    long long value = text != NULL ? strtoll(text, &end, 10) : 0;

    return text != NULL && end != text && *end == '\0' && value > 0 ? value : 0;
}

void notify_take_environment(void)
{
    const char *name = getenv("NOTIFY_SOCKET");
    int64_t usec = number("WATCHDOG_USEC"), pid = number("WATCHDOG_PID");

    if (name != NULL && name[0] != '\0') {
        take_address(name);
        /* The first process is the one that is watched, also where it detaches. */
        if (usec / 1000 >= WATCHDOG_MIN_MS && (pid == 0 || pid == getpid())) {
            manager.watchdog_ms = usec / 1000;
        }
    }
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

void notify_save(struct image *image, apr_pool_t *pool)
{
    size_t length = manager.length - offsetof(struct sockaddr_un, sun_path);
    char *name;

    if (manager.length == 0) {
        return;
    }
    name = apr_pstrmemdup(pool, manager.address.sun_path, length);
    if (name[0] == '\0') {
        name[0] = '@';
    }
    image->notify_name = name;
    image->watchdog_ms = manager.watchdog_ms;
}

void notify_adopt(const struct image *image)
{
    if (image->notify_name != NULL) {
        take_address(image->notify_name);
        manager.watchdog_ms = image->watchdog_ms;
    }
}

void notify_open(struct master *m)
{
    if (manager.length > 0 && manager.watchdog_ms > 0) {
        beat(m, NULL);
    }
}
