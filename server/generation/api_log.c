/* SPDX-License-Identifier: Apache-2.0 */
/* The module API's logging. A line about a request goes to its
 * host's own ErrorLog and names the client. */
#include "generation/last_words.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "http/http_conf.h"
#include "instar.h"
#include "util/log.h"

static struct {
    bool keeping;
    char text[512];
} last;

void last_words_keep(void)
{
    last.keeping = true;
    last.text[0] = '\0';
}

const char *last_words_take(void)
{
    last.keeping = false;
    return last.text[0] ? last.text : NULL;
}

/* A constructor may log before its module has a name. */
static const char *part_of(const ins_module *m)
{
    return m && m->name ? m->name : "module";
}

void ins_log_module(const ins_module *m, ins_level level, const char *format, ...)
{
    va_list args;

    if (last.keeping && level <= INS_ERR) {
        va_start(args, format);
        (void)vsnprintf(last.text, sizeof(last.text), format, args);
        va_end(args);
    }
    va_start(args, format);
    log_vline(&log_process, NULL, part_of(m), level, NULL, format, args);
    va_end(args);
}

void ins_log_request(const ins_request *r, const ins_module *m, ins_level level, const char *format,
                     ...)
{
    const struct log_host *host = &http_server_conf(r->server)->log;
    const ins_connection *c = r->connection;
    char client[80];
    const struct log_about about = { client, r->log_id };
    va_list args;

    if (!log_enabled_in(host->levels, part_of(m), level)) {
        return;
    }
    (void)snprintf(client, sizeof(client), "%s:%d", c->client_ip, c->client_port);
    va_start(args, format);
    log_vline(host, NULL, part_of(m), level, &about, format, args);
    va_end(args);
}
