/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each request has a name that no other has: 72 random bits of its worker, then a
 * count, in letters that may stand in headers, files and URLs. Counting goes on
 * like an odometer, so that a name costs a copy of 20 bytes and seldom more. Loop's thread alone.
 */
#include "http/request_internal.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <apr_lib.h>
#include <apr_tables.h>

enum { RANDOM = 12, DIGITS = 9, LENGTH = RANDOM + DIGITS, TRUSTED_MAX = 128 };

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static struct {
    char text[LENGTH + 1];
    unsigned char digits[DIGITS];
} last;

void request_id_start(void)
{
    unsigned char bytes[RANDOM];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        /* not random, but no other process's either */
        struct timespec now;
        uint64_t mixed;

        (void)clock_gettime(CLOCK_REALTIME, &now);
        mixed = ((uint64_t)now.tv_nsec << 32) ^ (uint64_t)now.tv_sec ^ ((uint64_t)getpid() << 20);
        memset(bytes, 0, sizeof(bytes));
        memcpy(bytes, &mixed, sizeof(mixed));
    }
    for (int i = 0; i < RANDOM; i++) {
        last.text[i] = letters[bytes[i] & 63];
    }
    memset(last.text + RANDOM, letters[0], DIGITS);
    memset(last.digits, 0, sizeof(last.digits));
}

const char *request_id_make(char out[REQUEST_ID_SIZE])
{
    if (last.text[0] == '\0') {
        request_id_start();
    }
    for (int i = DIGITS - 1; i >= 0; i--) {
        last.digits[i] = (last.digits[i] + 1) & 63;
        last.text[RANDOM + i] = letters[last.digits[i]];
        if (last.digits[i] != 0) {
            break;
        }
    }
    return memcpy(out, last.text, sizeof(last.text));
}

/* What can do no harm in a log, a header or a file's name. */
static bool is_acceptable(const char *text)
{
    size_t len = 0;

    for (; text[len]; len++) {
        if (len == TRUSTED_MAX || (!apr_isalnum(text[len]) && !strchr("-_.~:+/=@", text[len]))) {
            return false;
        }
    }
    return len > 0;
}

void request_id_tell(struct request *q)
{
    const struct http_server_conf *conf = http_server_conf(q->pub.server);
    const char *name = conf->request_id_header, *given;

    if (name == NULL || *name == '\0') {
        return;
    }
    given = conf->request_id_trust ? apr_table_get(q->pub.headers_in, name) : NULL;
    if (given && is_acceptable(given)) {
        q->pub.log_id = given;
    }
    apr_table_setn(q->pub.err_headers_out, name, q->pub.log_id);
}
