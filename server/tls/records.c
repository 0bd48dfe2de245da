/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts the wire's bytes into whole TLS records, so that OpenSSL never holds a
 * part of one: a connection between two records is plain state. A buffer
 * exists only while bytes are waiting. Lengths come from the peer and are
 * checked here before anything is kept for them.
 */
#include "tls/tls_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    FIRST_TYPE = 20, /* change_cipher_spec */
    LAST_TYPE = 24,  /* heartbeat */
    INPUT_MAX = 4 << 20
};

/* The record's length with its header, 0 where this is no record header. */
static unsigned record_length(const unsigned char *h)
{
    unsigned length = RECORD_HEADER + ((unsigned)h[3] << 8 | h[4]);

    if (h[0] < FIRST_TYPE || h[0] > LAST_TYPE || h[1] != 3 || length > RECORD_MAX) {
        return 0;
    }
    return length;
}

/* Moves whole behind the last whole record. */
static void records_scan(struct records *r)
{
    while (r->len - r->whole >= RECORD_HEADER) {
        unsigned length = record_length(r->data + r->whole);

        if (length == 0) {
            r->broken = true;
            break;
        }
        if (r->len - r->whole < length) {
            break;
        }
        r->whole += length;
    }
    if (r->broken) {
        r->whole = r->len;
    }
}

static void records_shift(struct records *r)
{
    if (r->pos > 0) {
        memmove(r->data, r->data + r->pos, r->len - r->pos);
        r->len -= r->pos;
        r->whole -= r->pos;
        r->pos = 0;
    }
}

static bool records_room(struct records *r, size_t len)
{
    unsigned char *data;
    unsigned cap;

    records_shift(r);
    if (len > INPUT_MAX || r->len + len > INPUT_MAX) {
        return false;
    }
    if (r->len + len <= r->cap) {
        return true;
    }
    cap = r->len + (unsigned)len > 2 * r->cap ? r->len + (unsigned)len : 2 * r->cap;
    data = realloc(r->data, cap);
    if (!data) {
        return false;
    }
    r->data = data;
    r->cap = cap;
    return true;
}

bool records_add(struct records *r, const void *raw, size_t len)
{
    if (len == 0) {
        return true;
    }
    if (!records_room(r, len)) {
        return false;
    }
    memcpy(r->data + r->len, raw, len);
    r->len += (unsigned)len;
    records_scan(r);
    return true;
}

size_t records_take(struct records *r, void *buf, size_t size)
{
    size_t len = r->whole - r->pos;

    if (len > size) {
        len = size;
    }
    if (len == 0) {
        return 0;
    }
    memcpy(buf, r->data + r->pos, len);
    records_skip(r, len);
    return len;
}

unsigned char *records_first(struct records *r, size_t *len)
{
    unsigned have = r->whole - r->pos;

    if (have < RECORD_HEADER) {
        return NULL;
    }
    *len = record_length(r->data + r->pos);
    return *len > 0 && *len <= have ? r->data + r->pos : NULL;
}

void records_skip(struct records *r, size_t len)
{
    r->pos += (unsigned)len;
    if (r->pos == r->len) {
        records_free(r);
    }
}

void records_settle(struct records *r)
{
    unsigned char *data;

    records_shift(r);
    if (!r->data || r->cap <= 2 * r->len) {
        return;
    }
    data = realloc(r->data, r->len);
    if (data) {
        r->data = data;
        r->cap = r->len;
    }
}

void records_free(struct records *r)
{
    free(r->data);
    r->data = NULL;
    r->pos = r->whole = r->len = r->cap = 0;
}
