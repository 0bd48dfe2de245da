/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instarctl tail: follows the running server's logs. A log may be renamed and made anew (rotation),
 * cut off (copytruncate), or be another one after a reload; and a generation that drains goes on
 * in the file it has. So the name is looked at again and again, and a file that has lost its name
 * is read on for as long as something still comes.
 *
 * It ends when it is told to, or when the server has stopped and all it wrote was read.
 */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "master/verbs.h"

enum { LAST_LINES = 10, CHUNK = 64 * 1024, LINE_MAX_BYTES = 64 * 1024 };
static const double LOOK_SECONDS = 0.1, ASK_SECONDS = 1.0, QUIET_SECONDS = 60.0;

/* A file that is read: the log's present one, or one that it was before. */
struct piece {
    struct piece *next;
    int fd;
    dev_t dev;
    ino_t inode;
    off_t at;
    double heard; /* when something came last */
    char *line;   /* the beginning of one, until its end has come */
    size_t line_len;
};

struct log {
    struct log *next;
    const char *path, *name;
    struct piece *pieces; /* the present one first; may be none */
    bool told;            /* that it cannot be followed */
};

struct tail {
    struct request *r;
    const char *wanted; /* "error", "access", a path, NULL: all */
    struct log *logs;
    int log_count;
    long last_lines;
};

/* ---- Lines ----------------------------------------------------------------- */

static void print_line(struct tail *t, const struct log *log, const char *text, size_t len)
{
    if (t->log_count > 1) {
        (void)printf(t->r->cli.colour ? "\033[36m%s:\033[0m " : "%s: ", log->name);
    }
    (void)fwrite(text, 1, len, stdout);
    (void)fputc('\n', stdout);
}

/* A line that is longer than any log's is given out in parts. */
static void keep_rest(struct tail *t, const struct log *log, struct piece *p, const char *text,
                      size_t len)
{
    char *larger = realloc(p->line, p->line_len + len + 1);

    if (larger == NULL) {
        return;
    }
    p->line = larger;
    memcpy(p->line + p->line_len, text, len);
    p->line_len += len;
    if (p->line_len > LINE_MAX_BYTES) {
        print_line(t, log, p->line, p->line_len);
        p->line_len = 0;
    }
}

static void take_bytes(struct tail *t, const struct log *log, struct piece *p, const char *text,
                       size_t len)
{
    const char *end;

    while (len > 0 && (end = memchr(text, '\n', len)) != NULL) {
        size_t part = (size_t)(end - text);

        if (p->line_len > 0) {
            keep_rest(t, log, p, text, part);
            print_line(t, log, p->line, p->line_len);
            p->line_len = 0;
        }
        else {
            print_line(t, log, text, part);
        }
        text = end + 1;
        len -= part + 1;
    }
    if (len > 0) {
        keep_rest(t, log, p, text, len);
    }
}

/* All that has come since. */
static bool read_piece(struct tail *t, const struct log *log, struct piece *p)
{
    static char buf[CHUNK];
    struct stat st;
    bool any = false;
    ssize_t n;

    if (fstat(p->fd, &st) == 0 && st.st_size < p->at) {
        p->at = 0; /* it was cut off */
        p->line_len = 0;
    }
    while ((n = pread(p->fd, buf, sizeof(buf), p->at)) > 0) {
        take_bytes(t, log, p, buf, (size_t)n);
        p->at += n;
        any = true;
    }
    if (any) {
        p->heard = ctl_now();
    }
    return any;
}

/* Where the last count lines begin. */
static off_t find_last(int fd, off_t size, long count)
{
    static char buf[CHUNK];
    off_t at = size;

    while (at > 0) {
        size_t part = at > CHUNK ? CHUNK : (size_t)at;
        ssize_t n = pread(fd, buf, part, at - (off_t)part);

        if (n != (ssize_t)part) {
            return at;
        }
        for (size_t i = part; i > 0; i--) {
            off_t here = at - (off_t)part + (off_t)i;

            if (buf[i - 1] == '\n' && here < size && --count <= 0) {
                return here;
            }
            if (buf[i - 1] == '\n' && here == size && count == 0) {
                return size;
            }
        }
        at -= (off_t)part;
    }
    return at;
}

/* ---- Files ----------------------------------------------------------------- */

/* What else the configuration may name is no file that could be read. */
static const char *why_not(const char *path, const struct stat *st)
{
    if (path[0] != '/') {
        return "is not a file";
    }
    return S_ISREG(st->st_mode) ? NULL : "is not a regular file";
}

static void tell_once(struct log *log, const char *words)
{
    if (!log->told) {
        (void)fflush(stdout);
        (void)fprintf(stderr, "instarctl: %s %s: not followed\n", log->path, words);
        log->told = true;
    }
}

/* O_NONBLOCK: a FIFO must not hold us up. */
static int open_log(struct log *log, struct stat *st)
{
    const char *why;
    int fd;

    memset(st, 0, sizeof(*st));
    st->st_mode = S_IFREG;
    why = why_not(log->path, st);
    fd = why == NULL ? open(log->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
    if (why == NULL && fd < 0 && errno != ENOENT) {
        why = strerror(errno);
    }
    if (fd >= 0 && fstat(fd, st) == 0) {
        why = why_not(log->path, st);
    }
    if (why != NULL) {
        tell_once(log, why);
        if (fd >= 0) {
            (void)close(fd);
        }
        return -1;
    }
    return fd;
}

static bool is_present(const struct log *log, const struct stat *st)
{
    return log->pieces != NULL && log->pieces->dev == st->st_dev &&
           log->pieces->inode == st->st_ino;
}

/* The file that has the name now becomes the present one; a new log shows its last lines, one that
 * was made anew all of them. */
static void look(struct tail *t, struct log *log, bool at_start)
{
    struct piece *p;
    struct stat st;
    int fd;

    if (log->pieces != NULL && (stat(log->path, &st) != 0 || is_present(log, &st))) {
        return;
    }
    fd = open_log(log, &st);
    p = fd >= 0 ? calloc(1, sizeof(*p)) : NULL;
    if (p == NULL) {
        return;
    }
    p->fd = fd;
    p->dev = st.st_dev;
    p->inode = st.st_ino;
    p->heard = ctl_now();
    p->at = at_start ? find_last(fd, st.st_size, t->last_lines) : 0;
    p->next = log->pieces;
    log->pieces = p;
}

static void close_piece(struct piece **at)
{
    struct piece *p = *at;

    *at = p->next;
    (void)close(p->fd);
    free(p->line);
    free(p);
}

/* First what is older. */
static void read_pieces(struct tail *t, const struct log *log, struct piece *p)
{
    if (p != NULL) {
        read_pieces(t, log, p->next);
        (void)read_piece(t, log, p);
    }
}

static void read_log(struct tail *t, struct log *log)
{
    struct piece **at;

    read_pieces(t, log, log->pieces);
    for (at = log->pieces != NULL ? &log->pieces->next : NULL; at != NULL && *at != NULL;) {
        if (ctl_now() - (*at)->heard > QUIET_SECONDS) {
            close_piece(at);
        }
        else {
            at = &(*at)->next;
        }
    }
}

/* ---- Which logs -------------------------------------------------------------- */

static bool is_wanted(const struct tail *t, const char *kind, const char *path)
{
    const char *name = strrchr(path, '/');

    return t->wanted == NULL || strcmp(t->wanted, kind) == 0 || strcmp(t->wanted, path) == 0 ||
           strcmp(t->wanted, name != NULL ? name + 1 : path) == 0;
}

static struct log *find_log(const struct tail *t, const char *path)
{
    struct log *log = t->logs;

    while (log != NULL && strcmp(log->path, path) != 0) {
        log = log->next;
    }
    return log;
}

static void add_log(struct tail *t, const char *path)
{
    struct log **end = &t->logs, *log = apr_pcalloc(t->r->cli.pool, sizeof(*log));
    const char *slash;

    while (*end != NULL) {
        end = &(*end)->next;
    }
    log->path = apr_pstrdup(t->r->cli.pool, path);
    slash = strrchr(log->path, '/');
    log->name = slash != NULL ? slash + 1 : log->path;
    *end = log;
    t->log_count++;
}

/* Lines "KIND PATH" of the server's answer; those that are new are added. */
static void take_list(struct tail *t, const char *answer, bool at_start)
{
    apr_pool_t *pool;
    char *line, *state = NULL;

    (void)apr_pool_create(&pool, t->r->cli.pool);
    for (line = strtok_r(apr_pstrdup(pool, answer), "\n", &state); line != NULL;
         line = strtok_r(NULL, "\n", &state)) {
        char *path = strchr(line, ' ');

        if (path == NULL) {
            continue;
        }
        *path++ = '\0';
        if (is_wanted(t, line, path) && find_log(t, path) == NULL) {
            add_log(t, path);
            look(t, find_log(t, path), at_start);
        }
    }
    apr_pool_destroy(pool);
}

/* False: the server is gone. */
static bool ask_again(struct tail *t, const struct whereabouts *w)
{
    apr_pool_t *pool;
    const char *answer;

    (void)apr_pool_create(&pool, t->r->cli.pool);
    answer = ctl_ask(w, "logs", pool);
    if (answer != NULL) {
        take_list(t, answer, false);
    }
    apr_pool_destroy(pool);
    return answer != NULL;
}

/* ---- The verb ------------------------------------------------------------------ */

static void read_all(struct tail *t)
{
    for (struct log *log = t->logs; log != NULL; log = log->next) {
        look(t, log, false);
        read_log(t, log);
    }
    if (fflush(stdout) != 0) {
        ctl_ended = 1; /* nobody reads any more */
    }
}

static int follow(struct tail *t, const struct whereabouts *w)
{
    double asked = ctl_now();

    while (!ctl_ended) {
        read_all(t);
        (void)ctl_wait(LOOK_SECONDS, false);
        if (ctl_now() - asked < ASK_SECONDS) {
            continue;
        }
        asked = ctl_now();
        if (!ask_again(t, w) && !ctl_ended) {
            read_all(t);
            (void)fprintf(stderr, "instarctl: the server has stopped\n");
            return VERB_DONE;
        }
    }
    read_all(t);
    return VERB_DONE;
}

int do_tail(struct request *r, const struct whereabouts *w)
{
    struct tail t = { .r = r, .last_lines = r->count >= 0 ? r->count : LAST_LINES };
    const char *answer;

    t.wanted = r->operand_count > 0 ? r->operands[0] : NULL;
    ctl_catch_end();
    (void)signal(SIGPIPE, SIG_IGN);
    answer = ctl_ask(w, "logs", r->cli.pool);
    if (answer == NULL) {
        return cli_problem(&r->cli, VERB_REFUSED, "the server (pid %d) does not tell its logs",
                           (int)w->pid);
    }
    take_list(&t, answer, true);
    if (t.logs == NULL) {
        return cli_problem(
            &r->cli, VERB_REFUSED,
            "the serving configuration has no log \"%s\" (instarctl logs lists them)",
            t.wanted != NULL ? t.wanted : "");
    }
    return follow(&t, w);
}
