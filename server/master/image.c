/* SPDX-License-Identifier: Apache-2.0 */
/* The walk: each function goes over one structure, and either writes its fields or
 * fills them in. */
#include "master/image.h"

#include <string.h>

#include <apr_strings.h>

#include "ipc/ipc.h"
#include "master/pack.h"
#include "scoreboard/scoreboard.h"

enum { MARGIN = 16384 };

static const char magic[] = "instar state";

/* out or in is NULL. */
struct image_io {
    struct pack *out;
    struct unpack *in;
    apr_pool_t *pool;
    apr_array_header_t *fds;
    uint64_t version;
};

/* ---- Fields ------------------------------------------------------------------ */

static uint64_t number(struct image_io *io, uint64_t value)
{
    if (io->out != NULL) {
        pack_number(io->out, value);
        return value;
    }
    return unpack_number(io->in);
}

static const char *text(struct image_io *io, const char *value)
{
    if (io->out != NULL) {
        pack_string(io->out, value);
        return value;
    }
    return unpack_string(io->in, NULL, io->pool);
}

static void bytes(struct image_io *io, const char **value, size_t *length)
{
    if (io->out != NULL) {
        pack_bytes(io->out, *value != NULL ? *value : "", *length);
    }
    else {
        *value = unpack_string(io->in, length, io->pool);
        io->in->bad = io->in->bad || *value == NULL;
    }
}

static int descriptor(struct image_io *io, int fd)
{
    fd = (int)(int64_t)number(io, (uint64_t)(int64_t)fd);
    if (fd >= 0) {
        APR_ARRAY_PUSH(io->fds, int) = fd;
    }
    return fd;
}

#define NUMBER(field) ((field) = (__typeof__(field))number(io, (uint64_t)(field)))
#define FLAG(field) ((field) = number(io, (field)) != 0)
#define TEXT(field) ((field) = text(io, (field)))
#define FD(field) ((field) = descriptor(io, (field)))

/* How many there are; when reading, all are made, zeroed. */
static int list(struct image_io *io, apr_array_header_t **entries, size_t size)
{
    int count;

    if (io->out != NULL) {
        pack_number(io->out, (uint64_t)(*entries)->nelts);
        return (*entries)->nelts;
    }
    count = unpack_count(io->in);
    *entries = apr_array_make(io->pool, count + 1, (int)size);
    memset((*entries)->elts, 0, size * (size_t)count);
    (*entries)->nelts = count;
    return count;
}

#define LIST(entries, type, walk)                                                                  \
    for (int i_ = 0, n_ = list(io, &(entries), sizeof(type)); i_ < n_; i_++) {                     \
        walk(io, &APR_ARRAY_IDX(entries, i_, type));                                               \
    }

static void walk_text(struct image_io *io, const char **value)
{
    *value = text(io, *value);
    if (io->in != NULL && *value == NULL) {
        io->in->bad = true;
    }
}

/* ---- Structures ---------------------------------------------------------------- */

static void walk_listener(struct image_io *io, struct listener *l)
{
    const char *address = (const char *)&l->addr, *name = l->name;
    size_t length = l->addr_len;

    NUMBER(l->id);
    FD(l->fd);
    FLAG(l->https);
    NUMBER(l->backlog);
    bytes(io, &address, &length);
    TEXT(name);
    if (io->in == NULL) {
        return;
    }
    if (address == NULL || name == NULL || length > sizeof(l->addr)) {
        io->in->bad = true;
        return;
    }
    memcpy(&l->addr, address, length);
    l->addr_len = (socklen_t)length;
    (void)apr_cpystrn(l->name, name, sizeof(l->name));
}

static void walk_socket(struct image_io *io, struct image_socket *s)
{
    walk_listener(io, &s->listener);
    FLAG(s->dead);
    NUMBER(s->dev);
    NUMBER(s->inode);
}

static void walk_use(struct image_io *io, struct image_use *u)
{
    NUMBER(u->id);
    FLAG(u->https);
    NUMBER(u->backlog);
}

static void walk_passed(struct image_io *io, struct image_passed *p)
{
    walk_listener(io, &p->listener);
    walk_text(io, &p->name);
    FLAG(p->dual);
}

static void walk_command(struct image_io *io, struct image_command *c)
{
    walk_text(io, &c->key);
    walk_text(io, &c->text);
    TEXT(c->shell);
    walk_text(io, &c->folder);
    FD(c->read_fd);
    FD(c->write_fd);
    NUMBER(c->last_tries);
    NUMBER(c->pid);
    NUMBER(c->started);
    NUMBER(c->pause);
}

static void walk_log(struct image_io *io, struct image_log *l)
{
    walk_text(io, &l->key);
    FLAG(l->is_file);
}

static void walk_build(struct image_io *io, struct image_build *b)
{
    walk_text(io, &b->module);
    walk_text(io, &b->key);
    walk_text(io, &b->object);
    walk_text(io, &b->stamp);
}

static void walk_worker(struct image_io *io, struct image_worker *w)
{
    NUMBER(w->index);
    NUMBER(w->pid);
    FD(w->fd);
    FLAG(w->moving);
    FLAG(w->leaving);
    NUMBER(w->reopened);
}

static void walk_generation(struct image_io *io, struct image_generation *g)
{
    NUMBER(g->number);
    NUMBER(g->reopened);
    NUMBER(g->life);
    FLAG(g->alive);
    FLAG(g->ready);
    FLAG(g->hand_over);
    FD(g->fd);
    NUMBER(g->pid);
    NUMBER(g->since);
    NUMBER(g->drain_deadline);
    NUMBER(g->kill_due);
    LIST(g->workers, struct image_worker, walk_worker)
    LIST(g->logs, struct image_log, walk_log)
    LIST(g->objects, const char *, walk_text)
    if (io->in != NULL && (unsigned)g->life > GEN_FAILED) {
        io->in->bad = true;
    }
}

static void walk_client(struct image_io *io, struct image_client *c)
{
    FD(c->fd);
    FLAG(c->json);
    FLAG(c->colour);
    NUMBER(c->waits);
    bytes(io, &c->in, &c->in_len);
    bytes(io, &c->out, &c->out_len);
}

static void walk_rollback(struct image_io *io, struct image_rollback *r)
{
    NUMBER(r->target);
    NUMBER(r->guilty);
    walk_text(io, &r->words);
}

static void walk_master(struct image_io *io, struct image *g)
{
    walk_text(io, &g->binary);
    TEXT(g->server_root);
    TEXT(g->config_file);
    LIST(g->defines, const char *, walk_text)
    LIST(g->directives, const char *, walk_text)
    FLAG(g->foreground);
    FLAG(g->json);
    FLAG(g->colour);
    NUMBER(g->started);
    NUMBER(g->successor_at);
    NUMBER(g->upgrade_began_us);
    NUMBER(g->last_number);
    NUMBER(g->last_switch);
    NUMBER(g->last_listener);
    NUMBER(g->last_turn);
    NUMBER(g->last_reopen);
    FLAG(g->need_successor);
    FLAG(g->cut);
    NUMBER(g->successors_in_a_row);
    walk_text(io, &g->number_file);
    FD(g->board_fd);
    FD(g->tickets_fd);
    FD(g->staples_fd);
    FD(g->log_fd);
    FD(g->pid_fd);
    walk_text(io, &g->pid_path);
    FD(g->control_fd);
    FD(g->by_config_fd);
    walk_text(io, &g->control_path);
    NUMBER(g->control_dev);
    NUMBER(g->control_inode);
    NUMBER(g->probation.fallback);
    NUMBER(g->probation.since);
    NUMBER(g->probation.until);
    NUMBER(g->probation.crashes);
    NUMBER(g->probation.allowed);
    TEXT(g->notify_name);
    NUMBER(g->watchdog_ms);
}

static void walk(struct image_io *io, struct image *g)
{
    walk_master(io, g);
    LIST(g->passed, struct image_passed, walk_passed)
    LIST(g->sockets, struct image_socket, walk_socket)
    LIST(g->commands, struct image_command, walk_command)
    LIST(g->generations, struct image_generation, walk_generation)
    LIST(g->clients, struct image_client, walk_client)
    LIST(g->rollbacks, struct image_rollback, walk_rollback)
    NUMBER(g->serving);
    NUMBER(g->manifest_number);
    NUMBER(g->manifest_before);
    FLAG(g->manifest_stored);
    bytes(io, &g->conf, &g->conf_len);
    LIST(g->builds, struct image_build, walk_build)
    LIST(g->uses, struct image_use, walk_use)
}

/* ---- The whole -------------------------------------------------------------------- */

struct image *image_create(apr_pool_t *pool)
{
    struct image *g = apr_pcalloc(pool, sizeof(*g));

    g->messages = apr_array_make(pool, IPC_TYPES, sizeof(const char *));
    g->defines = apr_array_make(pool, 4, sizeof(const char *));
    g->directives = apr_array_make(pool, 4, sizeof(const char *));
    g->passed = apr_array_make(pool, 4, sizeof(struct image_passed));
    g->sockets = apr_array_make(pool, 8, sizeof(struct image_socket));
    g->commands = apr_array_make(pool, 4, sizeof(struct image_command));
    g->generations = apr_array_make(pool, 4, sizeof(struct image_generation));
    g->clients = apr_array_make(pool, 4, sizeof(struct image_client));
    g->rollbacks = apr_array_make(pool, 2, sizeof(struct image_rollback));
    g->builds = apr_array_make(pool, 8, sizeof(struct image_build));
    g->uses = apr_array_make(pool, 8, sizeof(struct image_use));
    return g;
}

static void pack_head(struct pack *out)
{
    pack_string(out, magic);
    pack_number(out, INSTAR_STATE);
    pack_string(out, INSTAR_VERSION);
    pack_number(out, SB_VERSION);
    pack_number(out, sizeof(struct scoreboard));
    pack_number(out, IPC_VERSION);
    pack_number(out, IPC_TYPES);
    for (int i = 0; i < IPC_TYPES; i++) {
        pack_string(out, ipc_type_name((enum ipc_type)i));
    }
}

struct image_bytes image_pack(struct image *image, apr_pool_t *pool)
{
    struct pack out;
    struct image_io io = { .out = &out, .pool = pool, .version = INSTAR_STATE };

    io.fds = apr_array_make(pool, 64, sizeof(int));
    pack_start(&out, MARGIN + image->conf_len, pool);
    pack_head(&out);
    walk(&io, image);
    return (struct image_bytes){ out.bytes, out.length, io.fds };
}

/* The version; what it is about is filled in. */
static uint64_t unpack_head(struct unpack *in, struct image *g, apr_pool_t *pool)
{
    uint64_t version = unpack_number(in);
    int count;

    g->version = unpack_string(in, NULL, pool);
    g->board_version = unpack_number(in);
    g->board_size = unpack_number(in);
    g->ipc = unpack_number(in);
    count = unpack_count(in);
    for (int i = 0; i < count && !in->bad; i++) {
        APR_ARRAY_PUSH(g->messages, const char *) = unpack_string(in, NULL, pool);
    }
    in->bad = in->bad || g->version == NULL;
    return version;
}

/* The old generations go on talking: each of their messages has its number here, too. New
 * ones stand behind. */
static bool same_messages(const struct image *g)
{
    if (g->ipc != IPC_VERSION || g->messages->nelts > IPC_TYPES) {
        return false;
    }
    for (int i = 0; i < g->messages->nelts; i++) {
        const char *name = APR_ARRAY_IDX(g->messages, i, const char *);

        if (name == NULL || strcmp(name, ipc_type_name((enum ipc_type)i)) != 0) {
            return false;
        }
    }
    return true;
}

/* NULL, or why this binary cannot go on with it. */
static const char *misfit(const struct image *g, uint64_t version, apr_pool_t *pool)
{
    if (version > INSTAR_STATE || version + 1 < INSTAR_STATE || version == 0) {
        return apr_psprintf(pool,
                            "the running server (%s) has state of version %d; instar %s reads %d "
                            "and the one before",
                            g->version, (int)version, INSTAR_VERSION, INSTAR_STATE);
    }
    if (!same_messages(g)) {
        return apr_psprintf(pool, "the running server's (%s) messages are not those of instar %s",
                            g->version, INSTAR_VERSION);
    }
    if (g->board_version != SB_VERSION || g->board_size != sizeof(struct scoreboard)) {
        return apr_psprintf(pool, "the running server's (%s) counters are not those of instar %s",
                            g->version, INSTAR_VERSION);
    }
    return NULL;
}

struct image *image_unpack(const char *from, size_t length, const char **why, apr_pool_t *pool)
{
    struct unpack in = { .at = from, .left = length };
    struct image_io io = { .in = &in, .pool = pool };
    struct image *g = image_create(pool);
    const char *word = unpack_string(&in, NULL, pool);

    io.fds = apr_array_make(pool, 64, sizeof(int));
    g->fds = io.fds;
    *why = "this is no state of a server";
    if (word == NULL || strcmp(word, magic) != 0) {
        return NULL;
    }
    io.version = unpack_head(&in, g, pool);
    if (in.bad) {
        return NULL;
    }
    *why = misfit(g, io.version, pool);
    if (*why != NULL) {
        return NULL;
    }
    walk(&io, g);
    *why = in.bad || in.left > 0 ? "the state is damaged" : NULL;
    return *why == NULL ? g : NULL;
}
