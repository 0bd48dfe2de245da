/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to a WebSocket, and what of the request stays. */
#include <stdlib.h>
#include <string.h>

#include <apr_pools.h>
#include <apr_strings.h>

#include "util/log.h"
#include "websocket/handshake.h"
#include "websocket/words.h"
#include "worker/socket.h"

#define LOG_PART "worker"

/* ---- Making and forgetting ------------------------------------------------------ */

struct ins_ws *socket_make(struct worker *w, struct conn *c)
{
    struct ins_ws *ws = calloc(1, sizeof(*ws));

    if (ws != NULL) {
        atomic_init(&ws->refs, 1);
        ws->worker = w;
        ws->conn = c;
        ws->tag = conn_tag(&w->slab, c);
        ws->id = conn_record(&w->slab, c)->id;
        pthread_mutex_init(&ws->lock, NULL);
        c->socket = ws;
    }
    return ws;
}

void ins_ws_hold(ins_ws *ws)
{
    atomic_fetch_add(&ws->refs, 1);
}

void ins_ws_release(ins_ws *ws)
{
    if (atomic_fetch_sub(&ws->refs, 1) != 1) {
        return;
    }
    pthread_mutex_destroy(&ws->lock);
    ws_context_free(&ws->context);
    free(ws);
}

void socket_drop(struct conn *c)
{
    struct ins_ws *ws = c->socket;

    if (ws == NULL) {
        return;
    }
    c->socket = NULL;
    socket_shut(ws);
    ws_bytes_free(&ws->message);
    ws_bytes_free(&ws->state);
    if (ws->pool != NULL) {
        apr_pool_destroy(ws->pool);
        ws->pool = NULL;
    }
    free(ws->kept);
    ws->kept = NULL;
    ins_ws_release(ws);
}

/* ---- The handshake, as a route's handler ------------------------------------------- */

static int refuse(struct request *q, int status, const char *why)
{
    log_line("INS02500", LOG_PART, INS_INFO, q->conn.client_ip, "no WebSocket is opened: %s", why);
    return status == 426 ? status : ins_error(&q->pub, status, why);
}

static int run_open(struct ins_ws *ws, struct request *q)
{
    int result = INS_OK;

    ws->request = q;
    socket_current = ws;
    if (ws->endpoint->open != NULL) {
        result = ws->endpoint->open(ws, &q->pub);
    }
    socket_current = NULL;
    ws->request = NULL;
    return result;
}

int socket_upgrade(struct request *q)
{
    struct conn *c = q->owner;
    struct ins_ws *ws;
    const char *why = NULL;
    int status;

    ws = socket_make(worker_self, c);
    if (ws == NULL) {
        return 503;
    }
    ws->endpoint = q->match.route->socket;
    ws_settings_read(&q->pub, &ws->settings);
    status = ws_handshake_check(&q->pub, &ws->settings, &ws->terms, &why);
    if (status != INS_OK) {
        socket_drop(c);
        return refuse(q, status, why);
    }
    status = run_open(ws, q);
    if (status != INS_OK || q->pub.status != 200) {
        socket_drop(c);
        return status;
    }
    ws_handshake_accept(&q->pub, &ws->terms, ws->protocol);
    q->upgraded = true;
    return INS_OK;
}

/* ---- What stays of the request ------------------------------------------------------- */

static char *keep_text(char **room, const char *text)
{
    char *copy = *room;
    size_t len;

    if (text == NULL) {
        return NULL;
    }
    len = strlen(text) + 1;
    memcpy(copy, text, len);
    *room += len;
    return copy;
}

static size_t text_size(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static size_t params_size(const struct route_match *match)
{
    size_t size = 0;

    for (int i = 0; i < match->param_count; i++) {
        size += sizeof(struct route_param) + text_size(match->params[i].value);
    }
    return size;
}

/* In one block: parameters, then texts, and the head, which is last. */
static bool keep_texts(struct ins_ws *ws, const struct request *q)
{
    const struct route_match *match = &q->match;
    size_t head_len = request_head_size(q);
    size_t size = params_size(match) + text_size(q->pub.user) + text_size(ws->protocol) +
                  text_size(q->pub.log_id) + head_len;
    struct route_param *params = malloc(size);
    char *room;

    if (params == NULL) {
        return false;
    }
    room = (char *)(params + match->param_count);
    for (int i = 0; i < match->param_count; i++) {
        params[i].name = match->params[i].name;
        params[i].value = keep_text(&room, match->params[i].value);
    }
    ws->place = (struct request_place){ keep_text(&room, q->pub.log_id), q->pub.per_dir_config,
                                        match->route, params, match->param_count };
    ws->user = keep_text(&room, q->pub.user);
    ws->protocol = keep_text(&room, ws->protocol);
    request_head_write(q, room);
    ws->kept = params;
    ws->head_text = room;
    ws->head_len = head_len;
    ws->opened = q->pub.request_time;
    return true;
}

/* Past the number that is remembered, merged sections lie in the request's pool. */
static void keep_location(struct worker *w, struct ins_ws *ws, const struct request *q)
{
    if (ws->place.route != NULL && !http_locations_last(w->http)) {
        ws->place.per_dir_config = http_locate(w->http, q->pub.server, q->pub.uri, ins_ws_pool(ws));
    }
}

static void keep_settings(struct ins_ws *ws, const struct request *q)
{
    static const ins_socket nobody;

    ws->endpoint = ws->place.route != NULL ? ws->place.route->socket : &nobody;
    if (ws->place.route != NULL) {
        ws_settings_read(&q->pub, &ws->settings);
    }
    ws->rules = (struct ws_rules){ .max_frame = (uint64_t)ws->settings.max_frame,
                                   .max_message = (uint64_t)ws->settings.max_message,
                                   .compression = ws->terms.on };
}

bool socket_keep_request(struct worker *w, struct ins_ws *ws, const struct request *q)
{
    if (!keep_texts(ws, q)) {
        return false;
    }
    if (q->match.route == NULL || q->match.route->socket == NULL) {
        ws->place.route = NULL; /* this generation has no endpoint there */
    }
    keep_location(w, ws, q);
    keep_settings(ws, q);
    return true;
}

/* ---- The 101 ---------------------------------------------------------------------------- */

/* Who looks at the record alone must not take it for an HTTP connection. */
static void mark_record(struct worker *w, const struct conn *c)
{
    struct record *r = conn_record(&w->slab, c);

    record_change(r);
    r->protocol = RECORD_WEBSOCKET;
    record_settle(r);
}

enum step socket_begin(struct worker *w, struct conn *c)
{
    struct ins_ws *ws = c->socket;
    struct work *work = c->work;
    struct request *q = work->request;
    const char *head = NULL;
    size_t len =
        request_answer(q, false, work->out + work->out_end, OUT_BYTES - work->out_end, &head);

    if (head == work->out + work->out_end) {
        work->out_end += len;
    }
    else if (!socket_prepend(ws, head, len)) {
        return http_conn_close(w, c);
    }
    if (!socket_keep_request(w, ws, q)) {
        return http_conn_close(w, c);
    }
    ws->heard = w->now;
    ws->head_bytes = q->head_bytes;
    SB_COUNT(w->slot, bytes_out, (uint64_t)q->head_bytes);
    request_give(q);
    work->request = NULL;
    mark_record(w, c);
    c->state = CONN_SOCKET;
    return STEP_NEXT;
}

/* ---- The request again -------------------------------------------------------------------- */

struct request *socket_request(struct ins_ws *ws)
{
    struct worker *w = ws->worker;
    struct request_source source = http_conn_source(w, ws->conn, ws->opened);
    struct request *q = request_again(w->http, ws->head_text, ws->head_len, &source,
                                      &http_handler_io, ws->conn, &ws->place);

    if (q != NULL) {
        q->pub.user = ws->user;
        q->pub.status = 101;
        q->upgraded = true;
    }
    return q;
}

ins_request *ins_ws_request(ins_ws *ws)
{
    if (ws->request == NULL && socket_current == ws) {
        ws->request = socket_request(ws);
    }
    return ws->request != NULL ? &ws->request->pub : NULL;
}

/* ---- What else callbacks ask -------------------------------------------------------------- */

int ins_ws_choose(ins_ws *ws, const char *protocol)
{
    const char *offered =
        ws->request != NULL ? ins_header(&ws->request->pub, "Sec-WebSocket-Protocol") : NULL;

    if (offered == NULL || !ws_list_has(offered, protocol, true)) {
        return 0;
    }
    ws->protocol = ins_strdup(&ws->request->pub, protocol);
    return 1;
}

const char *ins_ws_protocol(const ins_ws *ws)
{
    return ws->protocol;
}

uint64_t ins_ws_id(const ins_ws *ws)
{
    return ws->id;
}

void ins_ws_set_data(ins_ws *ws, void *data)
{
    ws->data = data;
}

void *ins_ws_data(const ins_ws *ws)
{
    return ws->data;
}

apr_pool_t *ins_ws_pool(ins_ws *ws)
{
    if (ws->pool == NULL) {
        (void)apr_pool_create_unmanaged_ex(&ws->pool, NULL, NULL);
    }
    return ws->pool;
}
