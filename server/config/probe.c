/* SPDX-License-Identifier: Apache-2.0 */
/* Probe METHOD PATH STATUS [timeout=TIME] [host=NAME]. What comes out of it is put
 * into a request as it stands, so nothing may be in it that ends a line. */
#include <string.h>
#include <strings.h>

#include "config/scan.h"

enum { TIMEOUT_MS = 5000, FIRST_OPTION = 3, PATH_BYTES = 4096, HOST_BYTES = 255 };

static bool is_token(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

    return *text != '\0' && text[strspn(text, letters)] == '\0';
}

/* Printable ASCII without blanks. */
static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

static const char *set_option(struct conf_probe *probe, const char *text)
{
    if (strncasecmp(text, "timeout=", 8) == 0) {
        return conf_time(text + 8, &probe->timeout) && probe->timeout > 0
                   ? NULL
                   : "timeout= takes a time above 0, such as 5s or 500ms";
    }
    if (strncasecmp(text, "host=", 5) == 0) {
        probe->host = text + 5;
        return *probe->host != '\0' && is_plain(probe->host) && strlen(probe->host) <= HOST_BYTES
                   ? NULL
                   : "host= takes the name of a host";
    }
    return "must be timeout=TIME or host=NAME";
}

const char *set_probe(ins_cmd *cmd, void *conf, int argc, const char *const argv[])
{
    struct conf_process *process = conf;
    struct conf_probe probe = {
        .method = argv[0], .path = argv[1], .timeout = TIMEOUT_MS, .node = conf_cmd_node(cmd)
    };
    int64_t status;

    conf_cmd_at(cmd, 0);
    if (!is_token(probe.method)) {
        return "must be a method such as GET";
    }
    conf_cmd_at(cmd, 1);
    if (probe.path[0] != '/' || !is_plain(probe.path) || strlen(probe.path) > PATH_BYTES) {
        return "must be a path that begins with '/', without blanks, of at most 4096 bytes";
    }
    conf_cmd_at(cmd, 2);
    if (!conf_int(argv[2], 100, 599, &status)) {
        return "must be a status, from 100 to 599";
    }
    probe.status = (int)status;
    for (int i = FIRST_OPTION; i < argc; i++) {
        const char *words;

        conf_cmd_at(cmd, i);
        words = set_option(&probe, argv[i]);
        if (words) {
            return words;
        }
    }
    APR_ARRAY_PUSH(process->probes, struct conf_probe) = probe;
    return NULL;
}
