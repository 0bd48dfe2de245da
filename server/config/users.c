/* SPDX-License-Identifier: Apache-2.0 */
/* User, Group, BuildUser: from names to ids. Looked up when all is read, since
 * the group follows from the user where it is not given. */
#include "config/scan.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <apr_strings.h>

/* Of nobody, in /etc/passwd or out of it: modules cannot touch a build. */
#define DEFAULT_USER "nobody"
#define DEFAULT_BUILD_USER "#65533"
enum { NOBODY = 65534 };

const char *set_user(ins_cmd *cmd, void *conf, const char *arg)
{
    struct conf_process *process = conf;

    process->user_name = arg;
    process->scan->user = conf_cmd_node(cmd);
    return NULL;
}

const char *set_group(ins_cmd *cmd, void *conf, const char *arg)
{
    struct conf_process *process = conf;

    process->group_name = arg;
    process->scan->group = conf_cmd_node(cmd);
    return NULL;
}

const char *set_build_user(ins_cmd *cmd, void *conf, const char *arg)
{
    struct conf_process *process = conf;

    process->build_user_name = arg;
    process->scan->build_user = conf_cmd_node(cmd);
    return NULL;
}

/* "#1000"; ids end below (uid_t)-1, which means none */
static bool parse_id(const char *text, int64_t *id)
{
    return text[0] == '#' && conf_int(text + 1, 0, (int64_t)UINT32_MAX - 1, id);
}

/* A number stands for itself and for a group of the same number: asking the system
 * for what no passwd file has can load whole libraries into the master. */
static const char *find_user(const char *name, uid_t *uid, gid_t *gid)
{
    const struct passwd *entry;
    int64_t id;

    if (parse_id(name, &id)) {
        *uid = (uid_t)id;
        *gid = (gid_t)id;
        return NULL;
    }
    entry = getpwnam(name);
    if (!entry) {
        return name[0] == '#' ? "a number must follow the '#'" : "there is no user of that name";
    }
    *uid = entry->pw_uid;
    *gid = entry->pw_gid;
    return NULL;
}

static const char *find_group(const char *name, gid_t *gid)
{
    const struct group *entry;
    int64_t id;

    if (parse_id(name, &id)) {
        *gid = (gid_t)id;
        return NULL;
    }
    entry = getgrnam(name);
    if (!entry) {
        return name[0] == '#' ? "a number must follow the '#'" : "there is no group of that name";
    }
    *gid = entry->gr_gid;
    return NULL;
}

static void resolve_user(struct conf_scan *scan, const struct conf_node *node, const char *name,
                         uid_t *uid, gid_t *gid)
{
    const char *words;

    *uid = *gid = NOBODY;
    words = find_user(name, uid, gid);
    if (!words && *uid == 0 && geteuid() == 0) {
        words = "module code never runs as root: name another user";
    }
    /* a system without the default user: its usual number will do */
    if (words && node) {
        conf_error(scan->diags, node, 0, "%s %s: %s", node->name, name, words);
    }
}

void users_finish(struct conf_scan *scan)
{
    struct conf_process *process = &scan->conf->process;
    const char *words;

    if (!process->user_name) {
        process->user_name = DEFAULT_USER;
    }
    if (!process->build_user_name) {
        process->build_user_name = DEFAULT_BUILD_USER;
    }
    resolve_user(scan, scan->user, process->user_name, &process->user, &process->group);
    resolve_user(scan, scan->build_user, process->build_user_name, &process->build_user,
                 &process->build_group);
    if (!process->group_name) {
        return;
    }
    words = find_group(process->group_name, &process->group);
    if (words) {
        conf_error(scan->diags, scan->group, 0, "%s %s: %s", scan->group->name, process->group_name,
                   words);
    }
}
