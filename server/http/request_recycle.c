/* SPDX-License-Identifier: Apache-2.0 */
/* Requests are taken from a list and given back to it. Each keeps a pool of its
 * own, whose memory stays when it is cleared, so that a request in the middle of a worker's life
 * asks nothing of the system's heap. */

#include "http/request_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    FREE_MAX = 512,          /* requests kept for the next burst */
    POOL_KEEPS = 256 * 1024, /* bytes a request's pool keeps when it is cleared */
    FIELDS_USUAL = 32,
    FIELDS_FEW = 8
};

/* Of this process: one loop takes and gives. */
static struct {
    struct request *first;
    int count;
} free_list;

/* apr_table_elts() shows the array that a table consists of, read-only; its pool is
 * where the table copies to. */
static void make_table(struct request *q, struct lasting_table *t, int size)
{
    t->table = apr_table_make(q->lasting, size);
    t->array = (apr_array_header_t *)(uintptr_t)apr_table_elts(t->table);
    t->array->pool = q->pub.pool;
    t->elts = t->array->elts;
    t->nalloc = t->array->nalloc;
}

/* A table outlives requests, but what is copied into it, and a larger array, do not:
 * they came from the request's pool, and the first array returns. */
static apr_table_t *empty_table(struct lasting_table *t)
{
    apr_table_clear(t->table);
    t->array->elts = t->elts;
    t->array->nalloc = t->nalloc;
    return t->table;
}

static void make_lasting(struct request *q)
{
    for (int n = 0; n < REQUEST_TABLES; n++) {
        make_table(q, &q->tables[n], n == 0 ? FIELDS_USUAL : FIELDS_FEW);
    }
    q->config_slots = apr_palloc(q->lasting, sizeof(void *) * (size_t)q->app->module_count);
}

static bool make_pools(struct request *q)
{
    if (apr_allocator_create(&q->allocator) != APR_SUCCESS) {
        return false;
    }
    apr_allocator_max_free_set(q->allocator, POOL_KEEPS);
    if (apr_pool_create_unmanaged_ex(&q->lasting, NULL, q->allocator) != APR_SUCCESS) {
        apr_allocator_destroy(q->allocator);
        return false;
    }
    if (apr_pool_create_unmanaged_ex(&q->pub.pool, NULL, q->allocator) != APR_SUCCESS) {
        apr_pool_destroy(q->lasting);
        apr_allocator_destroy(q->allocator);
        return false;
    }
    return true;
}

struct request *request_make(struct http_app *app)
{
    struct request *q = malloc(sizeof(*q));

    if (!q || !make_pools(q)) {
        free(q);
        return NULL;
    }
    q->app = app;
    q->client_ip.v4 = q->local_ip.v4 = 0;
    make_lasting(q);
    h1_head_init(&q->head, q->fields, H1_FIELDS_MAX);
    q->pub.server = NULL;
    return q;
}

void request_free(struct request *q)
{
    apr_pool_destroy(q->pub.pool);
    apr_pool_destroy(q->lasting);
    apr_allocator_destroy(q->allocator);
    free(q);
}

static struct request *from_list(const struct http_app *app)
{
    struct request *q = free_list.first;

    if (!q) {
        return NULL;
    }
    free_list.first = q->next_free;
    free_list.count--;
    if (q->app != app) {
        request_free(q); /* made for other modules */
        return NULL;
    }
    return q;
}

struct request *request_take(struct http_app *app)
{
    struct request *q = from_list(app);

    if (!q) {
        return request_make(app);
    }
    h1_head_init(&q->head, q->fields, H1_FIELDS_MAX);
    q->pub.server = NULL;
    return q;
}

void request_give(struct request *q)
{
    if (free_list.count >= FREE_MAX) {
        request_free(q);
        return;
    }
    apr_pool_clear(q->pub.pool);
    q->next_free = free_list.first;
    free_list.first = q;
    free_list.count++;
}

static void reset_public(struct request *q)
{
    ins_request *r = &q->pub;
    apr_pool_t *pool = r->pool;
    size_t slots = sizeof(void *) * (size_t)q->app->module_count;

    memset(r, 0, sizeof(*r));
    r->pool = pool;
    r->headers_in = empty_table(&q->tables[0]);
    r->headers_out = empty_table(&q->tables[1]);
    r->err_headers_out = empty_table(&q->tables[2]);
    r->subprocess_env = empty_table(&q->tables[3]);
    r->notes = empty_table(&q->tables[4]);
    r->request_config = memset(q->config_slots, 0, slots);
}

static void reset_body(struct request *q)
{
    memset(&q->body, 0, sizeof(q->body));
    q->body.done = true;
    q->body_limit = 0;
    q->body_data = NULL;
    q->body_len = q->body_cap = q->body_read = 0;
    q->body_whole = true;
    q->expect_continue = false;
    q->body_status = INS_OK;
    q->discarded = 0;
    q->raw = q->pending = NULL;
    q->pending_len = 0;
}

void request_reset(struct request *q)
{
    reset_public(q);
    reset_body(q);
    q->why = NULL;
    q->match.route = NULL;
    q->match.allow = NULL;
    q->match.param_count = 0;
    q->query = q->form = q->cookies = NULL;
    q->first = (struct body_piece){ NULL, 0, OUTPUT_FIRST, q->first_data };
    q->head_bytes = 0;
    q->head_sent = q->out_chunked = q->upgraded = q->failed = q->pull_ended = q->trouble_logged =
        false;
    q->keep_alive = true;
    q->handler_result = INS_OK;
    q->safe_type = q->out_connection = NULL;
    output_reset(q);
}
