/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSLCertificateReload: the folders of the files are watched, and those of every symbolic link
 * on the way to a file, so that a link that is pointed elsewhere is noticed as well as a
 * file that is replaced. What changes is read when it has been quiet for a moment; a key that
 * does not fit its certificate yet gets a while for the other one to arrive.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "master/certs.h"
#include "master/manifest.h"
#include "master/memory.h"
#include "util/log.h"

#define LOG_PART "master"

enum {
    SETTLE_MS = 500,       /* quiet for so long */
    SETTLE_MAX_MS = 10000, /* or changing for so long */
    RETRY_MS = 3000,       /* for the rest of what does not fit yet */
    LINKS_MAX = 40,
    EVENTS_ABOUT_NAME =
        IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE | IN_ATTRIB,
    EVENTS_OF_FOLDER = IN_DELETE_SELF | IN_MOVE_SELF
};

/* A name in a watched folder. */
struct watch {
    int folder; /* inotify's number */
    const char *name;
};

/* ---- What is watched -------------------------------------------------------- */

static void watch_name(struct master *m, const char *folder, const char *name)
{
    struct certs *c = &m->certs;
    struct watch *w;
    int number = inotify_add_watch(c->inotify.fd, *folder != '\0' ? folder : "/",
                                   EVENTS_ABOUT_NAME | EVENTS_OF_FOLDER | IN_ONLYDIR);

    if (number < 0) {
        log_warning("INS01256", "SSLCertificateReload: cannot watch the folder %s: %s%s", folder,
                    strerror(errno),
                    errno == ENOSPC ? " (sysctl fs.inotify.max_user_watches)" : "");
        return;
    }
    w = apr_array_push(c->watches);
    w->folder = number;
    w->name = apr_pstrdup(c->watch_pool, name);
}

/* A path that is being followed: folder is real, without links; rest is what is left. */
struct walk {
    char folder[PATH_MAX], rest[PATH_MAX];
    int links;
};

/* False where the path has become too long. */
static bool follow_link(struct walk *at, const char *link)
{
    char target[PATH_MAX], joined[PATH_MAX];
    ssize_t n = readlink(link, target, sizeof(target) - 1);
    int len;

    if (n < 0 || ++at->links > LINKS_MAX) {
        return false;
    }
    target[n] = '\0';
    len = snprintf(joined, sizeof(joined), "%s/%s", target, at->rest);
    if (len < 0 || (size_t)len >= sizeof(joined)) {
        return false;
    }
    memcpy(at->rest, joined, (size_t)len + 1);
    if (target[0] == '/') {
        at->folder[0] = '\0';
    }
    return true;
}

/* The next component into name; false at the end. */
static bool take_component(struct walk *at, char name[NAME_MAX + 1])
{
    const char *start = at->rest + strspn(at->rest, "/");
    size_t len = strcspn(start, "/");

    if (len == 0 || len > NAME_MAX) {
        return false;
    }
    memcpy(name, start, len);
    name[len] = '\0';
    memmove(at->rest, start + len, strlen(start + len) + 1);
    return true;
}

static void leave_folder(struct walk *at)
{
    char *slash = strrchr(at->folder, '/');

    if (slash != NULL) {
        *slash = '\0';
    }
}

/* False where the walk ends. */
static bool step(struct master *m, struct walk *at, const char *name)
{
    char path[PATH_MAX];
    struct stat st = { 0 };
    int len = snprintf(path, sizeof(path), "%s/%s", at->folder, name);

    if (len < 0 || (size_t)len >= sizeof(path)) {
        return false;
    }
    if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        memcpy(at->folder, path, (size_t)len + 1);
        return true;
    }
    /* a link, the file itself, or the first that is missing */
    watch_name(m, at->folder, name);
    return S_ISLNK(st.st_mode) && follow_link(at, path);
}

static void watch_path(struct master *m, const char *path)
{
    struct walk at = { .folder = "" };
    char name[NAME_MAX + 1];
    bool more = strlen(path) < sizeof(at.rest);

    if (more) {
        memcpy(at.rest, path, strlen(path) + 1);
    }
    while (more && take_component(&at, name)) {
        if (strcmp(name, "..") == 0) {
            leave_folder(&at);
        }
        else if (strcmp(name, ".") != 0) {
            more = step(m, &at, name);
        }
    }
}

/* ---- What happens ------------------------------------------------------------- */

static void settled(struct master *m, void *ctx);

static void settle_in(struct master *m, int64_t ms)
{
    struct certs *c = &m->certs;
    int64_t now = loop_now_ms(), due = now + ms;

    if (c->first_change == 0) {
        c->first_change = now;
    }
    if (due > c->first_change + SETTLE_MAX_MS) {
        due = c->first_change + SETTLE_MAX_MS;
    }
    timer_set(&m->loop, &c->settle, due, settled, NULL);
}

static bool is_about_us(const struct certs *c, const struct inotify_event *e)
{
    if (e->mask & (IN_Q_OVERFLOW | IN_IGNORED | EVENTS_OF_FOLDER)) {
        return true;
    }
    for (int i = 0; i < c->watches->nelts; i++) {
        const struct watch *w = &APR_ARRAY_IDX(c->watches, i, struct watch);

        if (e->wd == w->folder && e->len > 0 && strcmp(e->name, w->name) == 0) {
            return true;
        }
    }
    return false;
}

static void events_ready(struct master *m, void *ctx, uint32_t events)
{
    char buf[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n = read(m->certs.inotify.fd, buf, sizeof(buf));
    bool ours = false;

    (void)ctx;
    (void)events;
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *e = (const void *)(buf + at);

        ours = ours || is_about_us(&m->certs, e);
        at += (ssize_t)(sizeof(*e) + e->len);
    }
    if (ours) {
        m->certs.tries = 0;
        settle_in(m, SETTLE_MS);
    }
}

static void open_watches(struct master *m, const struct conf *conf)
{
    struct certs *c = &m->certs;
    const apr_array_header_t *files;
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), error = fd < 0 ? errno : 0;

    if (error == 0) {
        error = source_add(&m->loop, &c->inotify, fd, EPOLLIN, events_ready, NULL);
    }
    if (error != 0) {
        log_warning("INS01257", "SSLCertificateReload: files cannot be watched: %s%s",
                    strerror(error),
                    error == EMFILE ? " (sysctl fs.inotify.max_user_instances)" : "");
        if (fd >= 0) {
            (void)close(fd);
        }
        return;
    }
    c->watch_pool = memory_pool(0);
    c->watches = apr_array_make(c->watch_pool, 8, sizeof(struct watch));
    files = certs_files(conf, c->watch_pool);
    for (int i = 0; i < files->nelts; i++) {
        watch_path(m, APR_ARRAY_IDX(files, i, const char *));
    }
}

static void close_watches(struct certs *c, struct loop *loop)
{
    source_close(loop, &c->inotify);
    if (c->watch_pool != NULL) {
        apr_pool_destroy(c->watch_pool);
        c->watch_pool = NULL;
    }
}

/* Watched anew first: links may lead elsewhere, and what changes from here on counts. */
static void settled(struct master *m, void *ctx)
{
    struct certs *c = &m->certs;

    (void)ctx;
    timer_clear(&m->loop, &c->settle);
    c->first_change = 0;
    if (m->serving == NULL) {
        return; /* a successor comes, and with it certs_follow() */
    }
    close_watches(c, &m->loop);
    open_watches(m, m->serving->manifest->conf);
    certs_changed(m, c->tries > 0);
}

void certs_watched_round_over(struct master *m, bool ok)
{
    struct certs *c = &m->certs;

    if (!ok && c->inotify.fd >= 0 && c->tries++ == 0 && c->first_change == 0) {
        settle_in(m, RETRY_MS);
    }
}

void certs_follow(struct master *m, const struct conf *conf)
{
    certs_watch_close(m);
    if (conf->process.certificate_reload) {
        open_watches(m, conf);
        /* what changed while the generation started */
        settle_in(m, SETTLE_MS);
    }
}

void certs_watch_close(struct master *m)
{
    struct certs *c = &m->certs;

    timer_clear(&m->loop, &c->settle);
    c->first_change = 0;
    c->tries = 0;
    c->wanted = false;
    close_watches(c, &m->loop);
}
