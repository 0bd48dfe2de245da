/* SPDX-License-Identifier: Apache-2.0 */
/* Why a compiler and not ready objects: half of what is tested is what the
 * dynamic linker says about odd objects. */
#include "generation_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "builder/builder.h"
#include "config/conf.h"
#include "scoreboard/scoreboard.h"
#include "util/diag.h"
#include "util/listener.h"

static char folder[] = "/tmp/instar-generation-XXXXXX";
static int folder_fd = -1;

int fixture_open(void)
{
    if (!mkdtemp(folder) || chmod(folder, 0755) != 0) {
        return -1;
    }
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder_fd < 0 ? -1 : 0;
}

void fixture_close(void)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    (void)system(command);
    (void)close(folder_fd);
}

static const char *compile(const struct test_module *m, apr_pool_t *pool)
{
    const char *top = getenv("srcdir"), *cc = getenv("CC");
    static int number;
    const char *object = apr_psprintf(pool, "%d.so", ++number), *command;
    char *source = apr_psprintf(pool, "%s/%d.c", folder, number);
    FILE *file = fopen(source, "we");

    if (!file) {
        return NULL;
    }
    (void)fprintf(file, "#include <instar.h>\n%s\n", m->source);
    (void)fclose(file);
    command = apr_psprintf(pool, "%s -w -shared -fPIC -o %s/%s -I%s/include %s", cc ? cc : "cc",
                           folder, object, top ? top : ".", source);
    return system(command) == 0 ? object : NULL;
}

static struct build_list *build(const struct conf *conf, const struct test_module *modules,
                                apr_pool_t *pool)
{
    struct build_list *builds = apr_pcalloc(pool, sizeof(*builds));
    const apr_array_header_t *list = conf->process.modules;

    builds->count = list->nelts;
    builds->list = apr_pcalloc(pool, sizeof(*builds->list) * ((size_t)list->nelts + 1));
    for (int i = 0; i < list->nelts; i++) {
        builds->list[i].module = &APR_ARRAY_IDX(list, i, struct conf_module);
        builds->list[i].object = modules[i].source ? compile(&modules[i], pool) : NULL;
    }
    return builds;
}

struct launch *fixture_launch(const char *text, const struct test_module *modules, apr_pool_t *pool)
{
    static struct listener_set no_listeners;
    struct launch *launch = apr_pcalloc(pool, sizeof(*launch));
    struct conf_options options = { .server_root = folder, .config_file = "test.conf" };
    const char *whole = "";
    struct conf *conf;
    int board_fd;

    for (int i = 0; modules[i].name; i++) {
        whole = apr_psprintf(pool, "%sLoadModule %s %d.c\n", whole, modules[i].name, i);
    }
    whole = apr_pstrcat(pool, whole, text, "Listen 127.0.0.1:8080\n", NULL);
    launch->scan = diags_create(pool);
    conf_read_text(&conf, &options, "test.conf", whole, strlen(whole), launch->scan, pool);
    launch->number = 7;
    launch->conf = conf;
    launch->listeners = &no_listeners;
    launch->builds = build(conf, modules, pool);
    launch->board = sb_create(&board_fd);
    (void)close(board_fd);
    sb_generation_set(sb_generation_take(launch->board, launch->number), SB_STARTING);
    launch->master_fd = -1;
    launch->build_dir = folder_fd;
    conf->process.build_directory = folder;
    return launch;
}
