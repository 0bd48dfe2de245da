/* SPDX-License-Identifier: Apache-2.0 */
/* What -S, -M and -L say, in httpd's words where it has them. */
#include "generation/dump.h"

#include <grp.h>
#include <stdio.h>
#include <unistd.h>

#include "config/conf.h"
#include "generation/app.h"
#include "generation/containers.h"
#include "generation/directive_text.h"
#include "generation/loading.h"
#include "http/http_app.h"
#include "http/http_conf.h"
#include "tls/tls.h"
#include "websocket/settings.h"

static void dump_hosts(const struct app *app)
{
    const struct conf_process *p = &app->launch->conf->process;
    const struct group *group = getgrgid(p->group);

    http_app_dump(app->http);
    printf("ServerRoot: \"%s\"\n", p->server_root);
    printf("Main ErrorLog: \"%s\"\n", p->error_log ? p->error_log : "stderr");
    printf("PidFile: \"%s\"\n", p->pid_file);
    printf("ControlSocket: \"%s\"\n", p->control_socket);
    printf("User: name=\"%s\" id=%u\n", p->user_name ? p->user_name : "", (unsigned)p->user);
    printf("Group: name=\"%s\" id=%u\n", group ? group->gr_name : "", (unsigned)p->group);
}

static void dump_modules(const struct app *app)
{
    printf("Loaded Modules:\n");
    for (int i = 0; i < app->module_count; i++) {
        const char *how = "static";

        if (i >= FIRST_LOADED) {
            how = loading_module(app->launch, i)->prebuilt ? "shared" : "source";
        }
        printf(" %s (%s)\n", app->modules[i]->name, how);
    }
}

static void dump_directives(const struct app *app)
{
    static const char *const own[FIRST_LOADED] = {
        [CORE_INDEX] = "core", [SSL_INDEX] = "ssl", [WEBSOCKET_INDEX] = "websocket"
    };

    directives_list(container_directives, "core");
    directives_list(conf_process_directives, "core");
    for (int i = 0; i < app->module_count; i++) {
        directives_list(app->modules[i]->directives,
                        i < FIRST_LOADED ? own[i] : loading_module(app->launch, i)->paths[0]);
    }
}

/* A module's are for who has loaded it. */
static void own_tables(void (*print)(const ins_directive *table, const char *title))
{
    print(conf_process_directives, "Process and config language");
    print(container_directives, "Containers");
    print(core_module.directives, "HTTP");
    print(ssl_module.directives, "TLS");
    print(websocket_module.directives, "WebSockets");
}

static void dump_page(const struct app *app)
{
    (void)app;
    printf(
        "# Directives\n\n"
        "Generated from the server's own tables (`instar -L` prints the same, with the loaded\n"
        "modules'). Times are in seconds unless they end in `ms`, `s`, `m` or `h`; sizes are in\n"
        "bytes unless they end in `K`, `M` or `G`.\n");
    own_tables(directives_markdown);
    printf("\n`instar -L` also prints the directives of the modules that a configuration loads.\n");
}

static void dump_manual(const struct app *app)
{
    (void)app;
    printf(
        ".\\\" SPDX-License-Identifier: Apache-2.0\n"
        ".\\\" Generated from the server's own tables: make docs\n"
        ".Dd November 27, 2026\n.Dt INSTAR.CONF 5\n.Os\n"
        ".Sh NAME\n.Nm instar.conf\n.Nd configuration of instar\n"
        ".Sh DESCRIPTION\n"
        "The language is Apache httpd's: a directive a line, a backslash at the end of a line "
        "continues it,\n# begins a comment, ${NAME} is replaced by what Define or the environment "
        "has for it.\nTimes are in seconds unless they end in ms, s, m or h; sizes are in bytes "
        "unless they end in\nK, M or G.\nRelative paths start at ServerRoot.\n.Pp\n"
        ".Dl instarctl configtest\nsays all that is wrong, and\n.Dl instar -L\n"
        "prints this list with the directives of the loaded modules.\n"
        ".Sh DIRECTIVES\n");
    own_tables(directives_mdoc);
    printf(".Sh SEE ALSO\n.Xr instar 8 ,\n.Xr instarctl 8\n");
}

/* Nobody reads this process's own standard output. */
static void dump_routes(const struct app *app)
{
    const struct launch_query *query = app->launch->query;
    struct route_question question = {
        .path = query->path, .method = query->method, .host = query->host, .json = query->json
    };

    if (dup2(query->output, STDOUT_FILENO) >= 0) {
        http_explain(app->http, &question);
    }
}

void dump_print(const struct launch *launch, const struct app *app)
{
    static void (*const dumps[])(const struct app *app) = {
        [DUMP_HOSTS] = dump_hosts,           [DUMP_MODULES] = dump_modules,
        [DUMP_DIRECTIVES] = dump_directives, [DUMP_DIRECTIVES_MD] = dump_page,
        [DUMP_DIRECTIVES_MAN] = dump_manual, [DUMP_ROUTES] = dump_routes
    };

    if (dumps[launch->dump]) {
        dumps[launch->dump](app);
    }
    (void)fflush(stdout);
}
