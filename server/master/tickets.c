/* SPDX-License-Identifier: Apache-2.0 */
/* The master makes the session ticket keys, because it alone lives as long as clients remember
 * tickets. It knows nothing else of TLS. */
#include "master/tickets.h"

#include <inttypes.h>
#include <string.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "master/control.h"
#include "master/verbs.h"
#include "util/log.h"

#define LOG_PART "master"

static int rotate(struct master *m)
{
    int error = ticket_ring_rotate(m->tickets.ring, loop_now_ms());

    if (error != 0) {
        log_error("INS01250", "the session ticket keys could not be rotated: %s", strerror(error));
    }
    else {
        log_info("INS01251", "session ticket keys rotated");
    }
    return error;
}

static void plan(struct master *m);

static void due(struct master *m, void *ctx)
{
    (void)ctx;
    (void)rotate(m);
    plan(m);
}

/* From the last one, so that reloads do not put it off. */
static void plan(struct master *m)
{
    int64_t at = atomic_load(&m->tickets.ring->rotated_ms) + m->tickets_every;

    timer_clear(&m->loop, &m->tickets_timer);
    if (m->tickets_every > 0) {
        timer_set(&m->loop, &m->tickets_timer, at, due, NULL);
    }
}

void tickets_follow(struct master *m, const struct conf *conf)
{
    m->tickets_every = conf->process.ticket_key_rotation;
    plan(m);
}

void tickets_rotate(struct master *m, struct control_client *client)
{
    int error = rotate(m);
    char text[160];

    plan(m);
    if (error != 0) {
        (void)apr_snprintf(text, sizeof(text),
                           client->json ? "{\"ok\": false, \"message\": \"%s\"}\n"
                                        : "the session ticket keys could not be rotated: %s\n",
                           strerror(error));
    }
    else if (client->json) {
        (void)apr_snprintf(text, sizeof(text), "{\"ok\": true, \"rotations\": %" PRIu64 "}\n",
                           atomic_load(&m->tickets.ring->rotations));
    }
    else {
        (void)apr_snprintf(text, sizeof(text),
                           "session ticket keys rotated; the last key's tickets are accepted until "
                           "the next rotation\n");
    }
    control_reply(m, client, error == 0 ? VERB_DONE : VERB_REFUSED, text);
}
