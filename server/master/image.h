/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master's state as plain data: what it takes along when it becomes another
 * binary (upgrade.h). Descriptors are numbers, since they stay open; pointers are
 * indices or copies. One walk over it both writes and reads, so that the two
 * cannot differ.
 *
 * INSTAR_STATE is the format's version. A binary reads its own and the one before:
 * what is new is added at the end of its structure's walk and read `if (io->version
 * >= N)`, with a default; nothing is removed or moved in less than two versions.
 * What else must fit (messages between processes, the scoreboard's layout) has its own
 * numbers in the head, so that a binary which cannot go on is found before it is
 * started in earnest.
 */
#ifndef MASTER_IMAGE_H
#define MASTER_IMAGE_H

#include "master/state.h"

enum { INSTAR_STATE = 1 };

/* ---- What is in it -------------------------------------------------------- */

struct image_socket {
    struct listener listener;
    bool dead;
    uint64_t dev, inode;
};

/* A listening socket as the serving manifest uses it. */
struct image_use {
    uint64_t id;
    bool https;
    int backlog;
};

struct image_passed {
    struct listener listener;
    const char *name;
    bool dual;
};

struct image_command {
    const char *key, *text, *shell, *folder;
    int read_fd, write_fd, last_tries;
    pid_t pid;
    int64_t started, pause;
};

struct image_log {
    const char *key;
    bool is_file;
};

struct image_build {
    const char *module, *key, *object, *stamp;
};

struct image_worker {
    uint32_t index;
    pid_t pid;
    int fd;
    bool moving, leaving;
    uint64_t reopened;
};

struct image_generation {
    uint64_t number, reopened;
    enum gen_life life;
    bool alive, ready, hand_over;
    int fd; /* -1 none */
    pid_t pid;
    int64_t since, drain_deadline, kill_due;
    apr_array_header_t *workers; /* struct image_worker */
    apr_array_header_t *logs;    /* struct image_log */
    apr_array_header_t *objects; /* const char * */
};

/* For the outcome of the upgrade; for something else, which is asked for again. */
enum image_waits { WAITS_NOT, WAITS_RELOAD, WAITS_AGAIN };

struct image_client {
    int fd;
    bool json, colour;
    enum image_waits waits;
    const char *in;  /* of its request, as far as it came */
    const char *out; /* of its answer, what it has not read */
    size_t in_len, out_len;
};

struct image_probation {
    uint64_t fallback;
    int64_t since, until;
    int crashes, allowed;
};

/* A rollback that nobody asked for, still to come. */
struct image_rollback {
    uint64_t target, guilty;
    const char *words;
};

struct image {
    apr_array_header_t *fds; /* int: all that are named below; of one that was read */
    const char *version;     /* INSTAR_VERSION of who wrote it */
    uint64_t ipc, board_version, board_size;
    apr_array_header_t *messages; /* const char *: the types' names, in order */

    /* The command line, as it was understood. */
    const char *binary, *server_root, *config_file;
    apr_array_header_t *defines, *directives; /* const char * */
    bool foreground, json, colour;

    int64_t started, successor_at, upgrade_began_us;
    uint64_t last_number, last_switch, last_listener, last_turn, last_reopen;
    bool need_successor, cut;
    int successors_in_a_row;
    const char *number_file;

    int board_fd, tickets_fd, staples_fd, pid_fd;
    int log_fd; /* until the logs are opened: for what goes wrong before; -1 stderr */
    const char *pid_path;
    int control_fd, by_config_fd;
    const char *control_path;
    uint64_t control_dev, control_inode;

    struct image_probation probation;

    const char *notify_name; /* NULL none */
    int64_t watchdog_ms;

    apr_array_header_t *passed;      /* struct image_passed */
    apr_array_header_t *sockets;     /* struct image_socket */
    apr_array_header_t *commands;    /* struct image_command */
    apr_array_header_t *generations; /* struct image_generation, newest first */
    apr_array_header_t *clients;     /* struct image_client */
    apr_array_header_t *rollbacks;   /* struct image_rollback */

    /* The serving generation, and its manifest. */
    uint64_t serving, manifest_number, manifest_before;
    bool manifest_stored;
    const char *conf; /* as text_pack() has it */
    size_t conf_len;
    apr_array_header_t *builds; /* struct image_build */
    apr_array_header_t *uses;   /* struct image_use */
};

/* ---- To bytes and back ------------------------------------------------------ */

/* Lists are made empty. */
struct image *image_create(apr_pool_t *pool);

struct image_bytes {
    const char *bytes;
    size_t length;
    apr_array_header_t *fds; /* int: those that it names */
};
struct image_bytes image_pack(struct image *image, apr_pool_t *pool);
/* NULL where *why says why not. Touches no descriptor. */
struct image *image_unpack(const char *bytes, size_t length, const char **why, apr_pool_t *pool);

/* Bytes in a memfd that can be passed on; -1 with errno. */
int image_write(const struct image_bytes *bytes);
/* All of it; NULL where *why says why not. */
struct image *image_read(int fd, const char **why, apr_pool_t *pool);

/* The manifest's config as this binary understands it, modules joined with their
 * builds; false with diagnostics where it does not. */
bool image_manifest(const struct image *image, struct manifest *manifest, struct diags *diags);

/* ---- upgrade_save.c, upgrade_restore.c ------------------------------------------ */

struct image *image_take(const struct master *m, apr_pool_t *pool);
/* m is made (loop, signals, scoreboard); everything else comes from here. False, and
 * said in the log: what is there does not make a server. */
bool image_restore(struct master *m, const struct image *image);

#endif
