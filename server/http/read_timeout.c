/* SPDX-License-Identifier: Apache-2.0 */
/* RequestReadTimeout, in the language of httpd's mod_reqtimeout:
 *   header=20-40,MinRate=500 body=20,MinRate=500 handshake=0 */
#include "http/core_directives.h"

#include <string.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "http/http_conf.h"

enum { SECONDS_MAX = 86400 * 365, RATE_MAX = 1 << 30, MS = 1000 };

static struct read_timeout *choose_stage(struct http_server_conf *conf, const char *name,
                                         size_t len)
{
    const struct {
        const char *name;
        struct read_timeout *timeout;
    } stages[] = { { "handshake", &conf->read_handshake },
                   { "header", &conf->read_header },
                   { "body", &conf->read_body } };

    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        if (strlen(stages[i].name) == len && strncasecmp(stages[i].name, name, len) == 0) {
            return stages[i].timeout;
        }
    }
    return NULL;
}

/* "20" or "20-40", in seconds. */
static const char *read_seconds(char *text, bool range, struct read_timeout *timeout)
{
    char *dash = strchr(text, '-');

    if (dash && !range) {
        return "a range of timeouts wants a rate: header=20-40,MinRate=500";
    }
    if (dash) {
        *dash = '\0';
        if (!conf_int(dash + 1, 1, SECONDS_MAX, &timeout->maximum)) {
            return "the longest timeout is a number of seconds";
        }
    }
    if (!conf_int(text, 0, SECONDS_MAX, &timeout->initial)) {
        return "a timeout is a number of seconds: header=20";
    }
    if (dash && timeout->initial >= timeout->maximum) {
        return "the longest timeout must be longer than the first";
    }
    timeout->initial *= MS;
    timeout->maximum *= MS;
    return NULL;
}

const char *read_timeout_set(ins_cmd *cmd, void *conf, const char *arg)
{
    struct read_timeout read = { 0, 0, 0 };
    const char *equals = strchr(arg, '=');
    struct read_timeout *timeout = equals ? choose_stage(conf, arg, (size_t)(equals - arg)) : NULL;
    const char *error;
    char *text;
    char *comma;

    if (timeout == NULL) {
        return apr_psprintf(cmd->temp_pool, "%s is none of header=, body= and handshake=", arg);
    }
    text = apr_pstrdup(cmd->temp_pool, equals + 1);
    comma = strchr(text, ',');
    if (comma) {
        *comma++ = '\0';
        if (strncasecmp(comma, "MinRate=", 8) != 0 ||
            !conf_int(comma + 8, 1, RATE_MAX, &read.min_rate)) {
            return "behind the comma stands MinRate= with bytes per second, 1 or more";
        }
    }
    error = read_seconds(text, comma != NULL, &read);
    if (error == NULL) {
        *timeout = read;
    }
    return error;
}
