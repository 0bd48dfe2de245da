/* SPDX-License-Identifier: Apache-2.0 */
/* The directives that config/ itself owns, in the order of the manual: the
 * language, then what the master must know before any module runs. This table
 * is the parser's, the manual's and the nearest-name search's. */
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <apr_strings.h>

#include "config/scan.h"

/* A field of struct conf_process, for a setter that several rows share. */
#define FIELD(name) ((void *)offsetof(struct conf_process, name))

static void *field(const ins_cmd *cmd, void *conf)
{
    return (char *)conf + (uintptr_t)cmd->info;
}

static const char *set_text(ins_cmd *cmd, void *conf, const char *arg)
{
    if (*arg == '\0') {
        return "must not be empty";
    }
    *(const char **)field(cmd, conf) = arg;
    return NULL;
}

static const char *set_time(ins_cmd *cmd, void *conf, const char *arg)
{
    return conf_time(arg, field(cmd, conf))
               ? NULL
               : "must be a time: a number of seconds, or with a unit (500ms, 10s, 5m, 1h)";
}

static const char *set_time_above_zero(ins_cmd *cmd, void *conf, const char *arg)
{
    int64_t *time = field(cmd, conf), before = *time;
    const char *words = set_time(cmd, conf, arg);

    if (!words && *time <= 0) {
        *time = before; /* the rest of the check goes by it */
        words = "must be more than 0";
    }
    return words;
}

static const char *set_flag(ins_cmd *cmd, void *conf, const char *arg)
{
    bool on = strcasecmp(arg, "On") == 0;

    if (!on && strcasecmp(arg, "Off") != 0) {
        return "must be On or Off";
    }
    *(bool *)field(cmd, conf) = on;
    return NULL;
}

static const char *set_rotation(ins_cmd *cmd, void *conf, const char *arg)
{
    const char *words = set_time(cmd, conf, arg);
    int64_t ms = *(int64_t *)field(cmd, conf);

    return words || ms == 0 || ms >= 1000 ? words : "must be 0 (never) or at least one second";
}

static const char *set_memory(ins_cmd *cmd, void *conf, const char *arg)
{
    int64_t bytes;

    if (!conf_size(arg, &bytes)) {
        return "must be a size: a number of bytes, or with a unit (64K, 512M, 2G)";
    }
    if (bytes < 32 << 20) {
        return "must be at least 32M: no compiler runs with less";
    }
    *(int64_t *)field(cmd, conf) = bytes;
    return NULL;
}

static const char *set_worker_memory(ins_cmd *cmd, void *conf, const char *arg)
{
    int64_t bytes;

    (void)cmd;
    if (!conf_size(arg, &bytes) || (bytes > 0 && bytes < 1 << 20)) {
        return "must be 0 (none) or a size of at least 1M: a number of bytes, or with a unit "
               "(64M, 2G)";
    }
    ((struct conf_process *)conf)->worker_memory_limit = bytes;
    return NULL;
}

static const char *set_log_buffer_size(ins_cmd *cmd, void *conf, const char *arg)
{
    int64_t bytes;

    (void)cmd;
    if (!conf_size(arg, &bytes) || bytes < 64 << 10 || bytes > 1 << 30) {
        return "must be a size from 64K to 1G";
    }
    ((struct conf_process *)conf)->log_buffer_size = bytes;
    return NULL;
}

static const char *set_syslog_socket(ins_cmd *cmd, void *conf, const char *arg)
{
    struct sockaddr_un address;

    if (*arg != '/' || strlen(arg) >= sizeof(address.sun_path)) {
        return apr_psprintf(cmd->temp_pool, "must be an absolute path of at most %zu bytes",
                            sizeof(address.sun_path) - 1);
    }
    ((struct conf_process *)conf)->syslog_socket = arg;
    return NULL;
}

/* httpd's language for it is not spoken: the line is what tools expect, or JSON. */
static const char *set_error_log_format(ins_cmd *cmd, void *conf, const char *arg)
{
    bool json = strcasecmp(arg, "json") == 0;

    (void)cmd;
    ((struct conf_process *)conf)->error_log_json = json;
    return json || strcasecmp(arg, "default") == 0
               ? NULL
               : "is default or json; formats of one's own are not offered";
}

static const char *set_server_root(ins_cmd *cmd, void *conf, const char *arg)
{
    struct conf_process *process = conf;
    struct outside *outside = process->scan->outside;
    const char *path = outside_absolute(outside, arg);
    struct outside_path at;

    if (outside_path(outside, path, &at) != 0 || !at.folder) {
        return apr_psprintf(cmd->temp_pool, "%s is not a directory", path);
    }
    process->server_root = path;
    return NULL;
}

static const char *set_start_from(ins_cmd *cmd, void *conf, const char *arg)
{
    struct conf_process *process = conf;

    (void)cmd;
    if (strcasecmp(arg, "config") != 0 && strcasecmp(arg, "last") != 0) {
        return "must be config or last";
    }
    process->start_from = strcasecmp(arg, "last") == 0 ? START_FROM_LAST : START_FROM_CONFIG;
    return NULL;
}

/* clang-format off */
#define LANGUAGE(nm, kind, lo, hi, form, words)                                                    \
    { .name = nm, .args = kind, .where = INS_IN_SERVER | INS_IN_LOCATION | INS_IN_GLOBAL,          \
      .min = lo, .max = hi, .syntax = form, .help = words }
#define ONE(nm, fn, fld, form, dflt, words)                                                        \
    { .name = nm, .args = INS_ARGS_ONE, .where = INS_IN_GLOBAL, .set = { .one = fn },              \
      .info = fld, .syntax = form, .initial = dflt, .help = words }
#define ARGV(nm, fn, at, lo, hi, form, dflt, words)                                                \
    { .name = nm, .args = INS_ARGS_ARGV, .where = at, .set = { .argv = fn }, .min = lo, .max = hi, \
      .syntax = form, .initial = dflt, .help = words }
#define INT(nm, fld, lo, hi, dflt, words)                                                          \
    INS_INT(nm, struct conf_process, fld, lo, hi, dflt, INS_IN_GLOBAL, words)

const ins_directive conf_process_directives[] = {
    LANGUAGE("Include", INS_ARGS_ONE, 0, 0, "PATH",
             "read a file, a directory's files or what a pattern matches; it is an error if there "
             "is none"),
    LANGUAGE("IncludeOptional", INS_ARGS_ONE, 0, 0, "PATH",
             "the same, and no error if there is none"),
    LANGUAGE("Define", INS_ARGS_ARGV, 1, 2, "NAME [VALUE]",
             "define a name for <IfDefine> and a value for ${NAME}, from here on"),
    LANGUAGE("UnDefine", INS_ARGS_ONE, 0, 0, "NAME", "undo a Define or -D"),
    LANGUAGE("<IfDefine", INS_ARGS_ONE, 0, 0, "[!]NAME",
             "read what is inside only if the name is defined (with !: is not)"),
    LANGUAGE("<IfModule", INS_ARGS_ONE, 0, 0, "[!]MODULE",
             "read what is inside only if the module is loaded, by its name or its source file's"),
    LANGUAGE("<IfFile", INS_ARGS_ONE, 0, 0, "[!]PATH",
             "read what is inside only if the file exists"),

    ONE("ServerRoot", set_server_root, NULL, "DIRECTORY", "what -d says",
        "relative paths below it are relative to this"),
    ONE("DefaultRuntimeDir", set_text, FIELD(runtime_dir), "DIRECTORY", "logs",
        "where pid file, control socket and builds are unless set otherwise"),
    ONE("PidFile", set_text, FIELD(pid_file), "PATH", "httpd.pid in DefaultRuntimeDir",
        "the file that holds the master's process id"),
    ONE("ControlSocket", set_text, FIELD(control_socket), "PATH",
        "instar.sock in DefaultRuntimeDir",
        "the socket on which instarctl talks to the master"),
    ONE("User", set_user, NULL, "NAME|#ID", "nobody",
        "who the workers are, where the server is started as root"),
    ONE("Group", set_group, NULL, "NAME|#ID",
        "the User's own; of an #ID the same number",
        "the workers' group, where the server is started as root"),
    ARGV("Listen", set_listen, INS_IN_GLOBAL, 1, 2, "[ADDRESS:]PORT|unix:PATH|systemd:NAME [http|https]", NULL,
         "a socket to accept connections on, or one that the service manager has opened; https is the protocol of port 443, else http"),
    INT("ListenBacklog", listen_backlog, 1, 65535, "511",
        "connections that may wait to be accepted, for each socket"),
    INT("Workers", workers, 1, 512, "one for each CPU", "worker processes of a generation"),
    INT("ThreadsPerWorker", threads_per_worker, 2, 16384, "128",
        "threads that a worker may use for handlers that block"),
    INT("MaxConnections", max_connections, 1, 16777216, "65536",
        "connections of a worker; at that many it stops accepting until one ends"),
    ONE("WorkerMemoryLimit", set_worker_memory, NULL, "SIZE", "0",
        "a worker that uses more memory is replaced by a fresh one, and no request is lost; 0: "
        "none is"),
    INT("MaxConnectionsPerWorker", worker_connections, 0, 2147483647, "0",
        "after so many connections a worker is replaced by a fresh one, one worker at a time; 0: "
        "never"),
    INT("MaxConnectionsPerChild", worker_connections, 0, 2147483647, "0",
        "httpd's name for MaxConnectionsPerWorker"),
    ONE("HandlerTimeout", set_time, FIELD(handler_timeout), "TIME", "60s",
        "a handler or hook that runs for longer is logged once, with the stack of its thread; 0: "
        "never"),
    ONE("HandlerKillTimeout", set_time, FIELD(handler_kill_timeout), "TIME", "0",
        "a worker with a handler or hook that runs for longer is replaced, and ended with that "
        "request alone; 0: never"),
    ONE("StartTimeout", set_time_above_zero, FIELD(start_timeout), "TIME", "10s",
        "a new generation must be ready by then, or the reload has failed"),
    ONE("GracefulShutdownTimeout", set_time, FIELD(graceful_shutdown_timeout), "TIME", "30s",
        "how long an old generation may finish what it does; 0: without limit"),
    INT("MaxDrainingGenerations", max_draining_generations, 1, 16, "2",
        "old generations that may finish at the same time"),
    ARGV("Probe", set_probe, INS_IN_GLOBAL, 3, 5,
         "METHOD PATH STATUS [timeout=TIME] [host=NAME]", NULL,
         "a request that a new generation must answer so before it serves, else the reload has "
         "failed; timeout=5s"),
    ONE("ProbationTime", set_time, FIELD(probation_time), "TIME", "10s",
        "a new generation that crashes too often within that is rolled back; 0: never"),
    INT("ProbationCrashes", probation_crashes, 1, 1000, "3",
        "so many crashes within ProbationTime are too many"),
    INT("KeepGenerations", keep_generations, 2, 1000, "10",
        "what has served, kept for a rollback: config and builds"),
    ONE("StartFrom", set_start_from, NULL, "config|last", "config",
        "what a start serves: the config on disk, or the last one that served well"),

    ARGV("LoadModule", set_load_module, INS_IN_GLOBAL, 2, 0, "NAME PATH...", NULL,
         "a module's struct, and its source: a .c file, several, a directory of them, or a .so"),
    ONE("ModuleCompiler", set_text, FIELD(module_compiler), "COMMAND", "cc",
        "the C compiler for modules"),
    ARGV("ModuleFlags", set_module_flags, INS_IN_GLOBAL, 1, 0, "[NAME] FLAG...", NULL,
         "compiler flags, for one module or for all"),
    ARGV("ModuleLibs", set_module_libs, INS_IN_GLOBAL, 1, 0, "[NAME] FLAG...", NULL,
         "linker flags such as -lz, for one module or for all"),
    ONE("BuildDirectory", set_text, FIELD(build_directory), "DIRECTORY",
        "build in DefaultRuntimeDir",
        "where compiled modules are kept"),
    ONE("BuildUser", set_build_user, NULL, "NAME|#ID", "#65533",
        "who the compiler is, where the server is started as root"),
    ONE("BuildTimeout", set_time_above_zero, FIELD(build_timeout), "TIME", "60s",
        "a module's compile must end within that"),
    ONE("BuildMemoryLimit", set_memory, FIELD(build_memory_limit), "SIZE", "2G",
        "memory that a compiler process may use"),

    ARGV("LogLevel", set_log_level, INS_IN_SERVER, 1, 0, "[PART:]LEVEL...", "warn",
         "what is worth a line in the error log, for all or for a part or module"),
    ONE("ErrorLogFormat", set_error_log_format, NULL, "default|json", "default",
        "what a line of the error log looks like"),
    ONE("SyslogSocket", set_syslog_socket, NULL, "PATH", "/dev/log",
        "where logs named syslog are sent"),
    { .name = "BufferedLogs", .args = INS_ARGS_FLAG_FIELD, .where = INS_IN_GLOBAL,
      .syntax = "On|Off", .initial = "Off",
      .help = "let access log lines wait for LogFlushInterval, and write many at once",
      .offset = offsetof(struct conf_process, buffered_logs) },
    ONE("LogFlushInterval", set_time_above_zero, FIELD(log_flush_interval), "TIME", "1s",
        "how long a line may wait with BufferedLogs On"),
    ONE("LogBufferSize", set_log_buffer_size, NULL, "SIZE", "1M",
        "lines that may wait in a worker for a full disk or a slow command; what comes beyond is "
        "lost and counted"),
    ONE("CoreDumpDirectory", set_text, FIELD(core_dump_directory), "DIRECTORY", NULL,
        "where a crashed process leaves its core dump"),

    ONE("SSLCertificateReload", set_flag, FIELD(certificate_reload), "On|Off", "Off",
        "watch the files of certificates and keys, and take renewed ones without a reload"),
    ONE("SSLSessionTicketKeyRotation", set_rotation, FIELD(ticket_key_rotation), "TIME", "1h",
        "how long a session ticket key encrypts; tickets of the last one are accepted; 0: for ever"),
    { 0 }
};
/* clang-format on */
