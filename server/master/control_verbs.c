/* SPDX-License-Identifier: Apache-2.0 */
/* What can be asked over the control socket: one table, one function a verb. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "config/conf.h"
#include "master/certs.h"
#include "master/control.h"
#include "master/manifest.h"
#include "master/memory.h"
#include "master/query.h"
#include "master/reload.h"
#include "master/reopen.h"
#include "master/report.h"
#include "master/rollback.h"
#include "master/sample.h"
#include "master/stop.h"
#include "master/tickets.h"
#include "master/upgrade.h"
#include "master/verbs.h"

/* The words behind the verb. */
struct request {
    const char *config;               /* the file that is to be tested; NULL: ours */
    uint64_t number;                  /* of a generation; 0: not said */
    const char *path, *method, *host; /* of a question; NULL: not said */
};

typedef void (*verb_fn)(struct master *m, struct control_client *client, const struct request *r);
typedef const char *(*words_fn)(struct master *m, apr_pool_t *pool);

static void reply_words(struct master *m, struct control_client *client, words_fn text,
                        words_fn json)
{
    apr_pool_t *pool = memory_pool(0);

    control_reply(m, client, 0, client->json ? json(m, pool) : text(m, pool));
    apr_pool_destroy(pool);
}

static void do_status(struct master *m, struct control_client *client, const struct request *r)
{
    (void)r;
    reply_words(m, client, status_text, status_json);
}

static void do_generations(struct master *m, struct control_client *client, const struct request *r)
{
    (void)r;
    reply_words(m, client, generations_text, generations_json);
}

static void do_sample(struct master *m, struct control_client *client, const struct request *r)
{
    (void)r;
    reply_words(m, client, sample_text, sample_text);
}

static void do_logs(struct master *m, struct control_client *client, const struct request *r)
{
    (void)r;
    reply_words(m, client, logs_text, logs_json);
}

static void do_routes(struct master *m, struct control_client *client, const struct request *r)
{
    struct launch_query query = { .path = r->path,
                                  .method = r->method != NULL ? r->method : "GET",
                                  .host = r->host,
                                  .json = client->json };

    query_ask(m, &query, client);
}

static void do_graceful(struct master *m, struct control_client *client, const struct request *r)
{
    (void)r;
    reload_request(m, false, client);
}

static void do_restart(struct master *m, struct control_client *client, const struct request *r)
{
    (void)r;
    reload_request(m, true, client);
}

static void do_rollback(struct master *m, struct control_client *client, const struct request *r)
{
    rollback_request(m, r->number, client);
}

static void do_upgrade(struct master *m, struct control_client *client, const struct request *r)
{
    (void)r;
    upgrade_request(m, client);
}

static void do_stop(struct master *m, struct control_client *client, const struct request *r)
{
    (void)r;
    client->for_end = true;
    stop_now(m);
}

static void do_graceful_stop(struct master *m, struct control_client *client,
                             const struct request *r)
{
    (void)r;
    stop_gracefully(m);
    control_reply(m, client, 0, report_stopped(client->json, "stopping gracefully\n"));
}

static void do_rotate(struct master *m, struct control_client *client, const struct request *r)
{
    (void)r;
    tickets_rotate(m, client);
}

static void do_certs(struct master *m, struct control_client *client, const struct request *r)
{
    (void)r;
    certs_request(m, client);
}

static bool is_our_config(const struct master *m, const char *path)
{
    return m->serving != NULL && strcmp(m->serving->manifest->conf->path, path) == 0;
}

/* Only what this server would read itself: its command line is part of that. */
static void do_configtest(struct master *m, struct control_client *client, const struct request *r)
{
    if (r->config == NULL || !is_our_config(m, r->config)) {
        control_reply(m, client, VERB_ELSEWHERE, "");
        return;
    }
    reload_check(m, DUMP_NOTHING, client);
}

static void do_reopen(struct master *m, struct control_client *client, const struct request *r)
{
    (void)r;
    reopen_request(m, client);
}

static const struct {
    const char *name;
    verb_fn act;
} verbs[] = {
    { "status", do_status },
    { "generations", do_generations },
    { "sample", do_sample },
    { "logs", do_logs },
    { "routes", do_routes },
    { "graceful", do_graceful },
    { "restart", do_restart },
    { "rollback", do_rollback },
    { "upgrade", do_upgrade },
    { "stop", do_stop },
    { "graceful-stop", do_graceful_stop },
    { "reopen", do_reopen },
    { "configtest", do_configtest },
    { "rotate-ticket-keys", do_rotate },
    { "certs", do_certs },
};

static void read_named(const char *word, const char *name, const char **value)
{
    size_t len = strlen(name);

    if (strncmp(word, name, len) == 0 && word[len] == '=') {
        *value = word + len + 1;
    }
}

static void read_options(struct control_client *client, char *rest, struct request *r)
{
    char *word, *state = NULL;
    char *config = rest != NULL ? strstr(rest, "config=") : NULL;

    /* The last one, since a path may hold spaces. */
    if (config != NULL && (config == rest || config[-1] == ' ')) {
        r->config = config + 7;
        *config = '\0';
    }
    for (word = rest != NULL ? strtok_r(rest, " ", &state) : NULL; word != NULL;
         word = strtok_r(NULL, " ", &state)) {
        r->number = word[0] >= '0' && word[0] <= '9' ? strtoull(word, NULL, 10) : r->number;
        read_named(word, "path", &r->path);
        read_named(word, "method", &r->method);
        read_named(word, "host", &r->host);
        client->json = client->json || strcmp(word, "json") == 0;
        client->colour = client->colour || strcmp(word, "colour") == 0;
    }
}

void control_run(struct master *m, struct control_client *client)
{
    struct request r = { 0 };
    char *rest = strchr(client->in, ' ');

    if (rest != NULL) {
        *rest++ = '\0';
    }
    read_options(client, rest, &r);
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, client->in) == 0) {
            verbs[i].act(m, client, &r);
            return;
        }
    }
    control_reply(m, client, VERB_USAGE, client->json ? "{\"ok\":false}\n" : "unknown request\n");
}
