/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Config: text -> snapshot -> tree -> settings.
 *
 * conf_read() reads every file once, follows Include, Define, <IfDefine>,
 * <IfModule>, <IfFile>, and leaves a tree of directives and containers. The
 * master scans the tree for what it needs (conf_scan); a generation inherits
 * tree and settings by fork and applies everything else to it, so both see the same text.
 */
#ifndef CONFIG_CONF_H
#define CONFIG_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <apr_pools.h>
#include <apr_tables.h>

#include "config/log_spec.h"
#include "instar.h"
#include "util/diag.h"
#include "util/log.h"

/* One file as it was read: the manifest's text. */
struct conf_file {
    const char *path; /* absolute, or "-c" for directives of the command line */
    const char *text; /* NUL-terminated behind length */
    size_t length;
};

/* What the text's meaning depends on beside the text, and what the system said
 * (config/outside.h). In the order in which it was asked. */
enum conf_question {
    CONF_ASKED_VARIABLE, /* of the environment: value, NULL where not set */
    CONF_ASKED_PATH,     /* is it there: error, folder */
    CONF_ASKED_FOLDER,   /* value: the names in it, joined by '/'; or error */
    CONF_ASKED_ABSOLUTE, /* value: a relative path as seen from the working directory */
    CONF_QUESTIONS
};
struct conf_answer {
    enum conf_question question;
    const char *name, *value;
    int error; /* errno */
    bool folder;
};

/* A directive (children NULL) or a container such as <Location /x>. Containers
 * that only choose (<IfModule> ...) and Include leave no node: what they hold
 * stands in their place. */
struct conf_node {
    struct conf_node *next, *parent, *children;
    const char *name; /* as written, a container's without '<'; any case: see conf_is() */
    uint32_t hash;    /* conf_hash(name) */
    int argc;
    const char *const *argv; /* unquoted, ${VAR} replaced */
    const char *raw; /* everything behind the name, as one string: quotes kept, ${VAR} replaced */
    bool container;
    /* conf_read() has dealt with it whole (a process setting, an obsolete
     * directive): nothing is left for the generation, nor for an error. */
    bool applied;
    const struct conf_file *file;
    unsigned line, column;  /* where the name stands, from 1 */
    uint32_t at;            /* the same as an offset into file->text */
    const uint32_t *arg_at; /* argc offsets */
};

/* LoadModule NAME PATH..., in file order. */
struct conf_module {
    const char *name; /* "hello_module" */
    int path_count;
    const char *const *paths; /* absolute (ServerRoot-relative resolved) */
    bool prebuilt;            /* one .so */
    const char *flags;        /* ModuleFlags for all, then for this one; NULL none */
    const char *libs;         /* ModuleLibs likewise; each argument separated by \n */
    const struct conf_node *node;
};

/* host: "*" where none was given, an address without brackets in its shortest
 * form ("192.0.2.7", "::1", "fe80::1%eth0"), a name as written (which the master
 * looks up), "unix:/PATH", or "systemd:NAME". */
struct conf_listen {
    const char *host;
    int port;   /* 0 with unix: and systemd: */
    bool https; /* said so, or port 443 and nothing said */
    int backlog;
    const struct conf_node *node;
};

/* The NAME of systemd:NAME; NULL where it is something else. */
const char *conf_listen_name(const struct conf_listen *listen);

/* A log that the master opens (ErrorLog, CustomLog), once per key. */
struct conf_log {
    struct log_spec spec;
    const struct conf_node *node;
};

/* LogLevel inside a <VirtualHost>. */
struct conf_host_level {
    const struct conf_node *host, *node; /* the container; the last such line in it */
    int level;                           /* -1: the main server's, and its parts' too */
    apr_array_header_t *parts;           /* struct log_part_level */
};

/* Probe METHOD PATH STATUS: what a new generation must answer before it serves. */
struct conf_probe {
    const char *method, *path, *host; /* host NULL: the first Listen's */
    int status;
    int64_t timeout; /* milliseconds */
    const struct conf_node *node;
};

enum start_from { START_FROM_NOT_SAID, START_FROM_CONFIG, START_FROM_LAST };
enum { KEEP_GENERATIONS_DEFAULT = 10 };

struct conf_scan; /* of config/ alone, while it reads */

/* Process settings: what the master needs. Times in milliseconds. Paths are
 * absolute once conf_read() is back. */
struct conf_process {
    struct conf_scan *scan;
    const char *server_root, *runtime_dir, *pid_file, *control_socket;
    const char *user_name, *group_name; /* as configured */
    uid_t user;
    gid_t group;
    int workers, threads_per_worker;
    int max_connections;         /* of each worker */
    int64_t worker_memory_limit; /* bytes, 0 none */
    int worker_connections;      /* that a worker accepts in its life, 0 no limit */
    int64_t handler_timeout, handler_kill_timeout; /* 0 off */
    int listen_backlog;
    int64_t start_timeout, graceful_shutdown_timeout; /* 0: without limit */
    int max_draining_generations;
    int keep_generations;
    enum start_from start_from;
    int64_t probation_time; /* 0 off */
    int probation_crashes;
    apr_array_header_t *probes; /* struct conf_probe */
    const char *module_compiler, *build_directory, *build_user_name;
    uid_t build_user;
    gid_t build_group;
    int64_t build_timeout;
    int64_t build_memory_limit;      /* bytes */
    const char *core_dump_directory; /* NULL none */
    int64_t ticket_key_rotation;     /* 0: never */
    bool certificate_reload;         /* watch the files */
    const char *error_log;           /* the main server's, a log_spec's key */
    int error_log_json;              /* ErrorLogFormat json */
    const char *syslog_socket;
    int buffered_logs;
    int64_t log_flush_interval; /* ms */
    int64_t log_buffer_size;    /* bytes of lines that may wait in a worker */
    ins_level log_level;
    apr_array_header_t *part_levels; /* struct log_part_level */
    apr_array_header_t *host_levels; /* struct conf_host_level */
    apr_array_header_t *listens;     /* struct conf_listen */
    apr_array_header_t *modules;     /* struct conf_module */
    apr_array_header_t *logs;        /* struct conf_log: all of ErrorLog and CustomLog */
};

struct conf {
    apr_pool_t *pool;
    const struct conf_options *options; /* those that it was read with */
    const char *path;                   /* the file named by -f, absolute */
    apr_array_header_t *files;          /* struct conf_file *: the snapshot, in order of reading */
    apr_array_header_t *answers;        /* struct conf_answer */
    struct conf_node *root;             /* a node without a name; children: the file's top */
    struct conf_process process;
};

/* Limits of a config's text. */
enum {
    CONF_FILE_MAX = 8 << 20,   /* bytes of one file */
    CONF_TOTAL_MAX = 32 << 20, /* bytes of all, each as often as it is included */
    CONF_FILES_MAX = 10000,
    CONF_LINE_MAX = 1 << 20, /* with its continuations */
    CONF_DEPTH_MAX = 128     /* of Include, and of containers */
};

/* What the command line says. */
struct conf_options {
    const char *server_root;     /* -d, or the built-in one */
    const char *config_file;     /* -f; relative to server_root */
    apr_array_header_t *defines; /* const char *: -D */
    apr_array_header_t
        *directives;    /* const char *: -c, applied behind the file; -C is not offered */
    const char *prefix; /* where the installed files are (libexec, include) */
};

/* Reads, expands and scans. Errors go to diags (stage config); *out is made as far
 * as the text allows even then, so that more can be checked. Relative paths and
 * default paths are resolved. Pool is the conf's whole memory. Changes no
 * process state. */
void conf_read(struct conf **out, const struct conf_options *options, struct diags *diags,
               apr_pool_t *pool);

/* The same once more, from what an earlier conf_read() has left: of stored only
 * path, options, files and answers are looked at, and nothing of the disk, nor
 * of the environment. Users' names are looked up again. stored and options live as
 * long as pool. */
void conf_read_stored(struct conf **out, const struct conf *stored, struct diags *diags,
                      apr_pool_t *pool);

/* The same for a text in memory, called name in messages; Include is refused.
 * For tests. */
void conf_read_text(struct conf **out, const struct conf_options *options, const char *name,
                    const char *text, size_t length, struct diags *diags, apr_pool_t *pool);

/* Of a directive's name, without regard to case. */
uint32_t conf_hash(const char *name);
/* Case-insensitive name test. */
bool conf_is(const struct conf_node *node, const char *name);
/* An error at a node (argument arg, from 0; -1: the name), with the excerpt. */
__attribute__((format(printf, 4, 5))) void conf_error(struct diags *diags,
                                                      const struct conf_node *node, int arg,
                                                      const char *format, ...);
__attribute__((format(printf, 4, 5))) void conf_warn(struct diags *diags,
                                                     const struct conf_node *node, int arg,
                                                     const char *format, ...);

/* The same for another stage than config (a bind, a log file). */
__attribute__((format(printf, 6, 7))) void conf_report(struct diags *diags, enum diag_stage stage,
                                                       enum diag_severity severity,
                                                       const struct conf_node *node, int arg,
                                                       const char *format, ...);

/* ---- Applying directives (in the generation) -------------------------- */

/* The rows that config/ itself owns (process settings, LoadModule, Listen, and
 * the language: Include, Define, <IfModule> ...): for -L, DIRECTIVES.md and the
 * nearest-name search. Ended by { 0 }. conf_read() has applied them all; the
 * names of containers begin with '<'. */
extern const ins_directive conf_process_directives[];

/* httpd directives that mean nothing here (StartServers ...): name, what to
 * use instead. Ended by { NULL }. One warning each a run. */
struct conf_obsolete {
    const char *name, *instead;
};
extern const struct conf_obsolete conf_obsolete[];

/* Checks the argument count and kind, then calls the setter or stores the
 * field. conf is the config the row is for. Errors go to diags. */
void conf_apply(const ins_directive *row, const struct conf_node *node, ins_server *server,
                const char *location, void *conf, struct diags *diags, apr_pool_t *pool,
                apr_pool_t *temp_pool);

/* What the setter of a row sees beyond ins_cmd: the node, the diagnostics, and
 * by conf_cmd_at() the argument (from 0) that the words it returns are about.
 * Only for setters called by conf_apply(). */
const struct conf_node *conf_cmd_node(const ins_cmd *cmd);
struct diags *conf_cmd_diags(const ins_cmd *cmd);
void conf_cmd_at(ins_cmd *cmd, int arg);

/* Reports an unknown directive with the nearest of all known names. */
void conf_unknown(const struct conf_node *node, const ins_directive *const tables[], int count,
                  struct diags *diags);

/* The same, but only where a known name is near; false where none is. For when the
 * module that could own the directive was not loaded. */
bool conf_misspelt(const struct conf_node *node, const ins_directive *const tables[], int count,
                   struct diags *diags);

/* The name nearest to word, without regard to case; NULL where none is near. */
const char *conf_nearest(const char *word, const char *const names[], int count);

/* "10", "10s", "500ms", "5m": to milliseconds (default unit: seconds); false
 * where it is no time. And sizes: "10", "10K", "64M". Used by setters. */
bool conf_time(const char *text, int64_t *ms);
bool conf_size(const char *text, int64_t *bytes);
/* A whole number in decimal from min to max; false where it is none. */
bool conf_int(const char *text, int64_t min, int64_t max, int64_t *value);
/* ServerRoot-relative. */
const char *conf_path(const struct conf *conf, const char *path, apr_pool_t *pool);
/* LogLevel of a <VirtualHost>, with what it inherits; NULL where it has none. */
const struct log_levels *conf_host_log_levels(const struct conf *conf, const struct conf_node *host,
                                              apr_pool_t *pool);
/* LogLevel, put into force in this process (util/log.h). */
void conf_apply_log_levels(const struct conf_process *process);

#endif
