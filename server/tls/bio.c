/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BIO between OpenSSL and a connection's memory. Reading gives whole
 * records and then asks for a retry; writing accepts everything, so that no
 * record that OpenSSL has counted waits inside it for a slow client.
 */
#include "tls/tls_internal.h"

#include <stdlib.h>
#include <string.h>

enum { OUT_FIRST = 1024 };

bool out_reserve(struct tls_out *out, size_t more)
{
    size_t cap = out->cap;
    char *data;

    if (out->len + more <= cap) {
        return true;
    }
    if (out->pos > 0) {
        memmove(out->data, out->data + out->pos, out->len - out->pos);
        out->len -= out->pos;
        out->pos = 0;
        if (out->len + more <= cap) {
            return true;
        }
    }
    cap = cap * 2 > out->len + more ? cap * 2 : out->len + more;
    if (cap < OUT_FIRST) {
        cap = OUT_FIRST;
    }
    data = realloc(out->data, cap);
    if (!data) {
        return false;
    }
    out->data = data;
    out->cap = cap;
    return true;
}

static int conn_bio_write(BIO *bio, const char *data, int len)
{
    struct tls_conn *t = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (len <= 0) {
        return 0;
    }
    if (!out_reserve(&t->out, (size_t)len)) {
        return -1;
    }
    memcpy(t->out.data + t->out.len, data, (size_t)len);
    t->out.len += (size_t)len;
    return len;
}

static int conn_bio_read(BIO *bio, char *buf, int size)
{
    struct tls_conn *t = BIO_get_data(bio);
    size_t len;

    BIO_clear_retry_flags(bio);
    len = size > 0 ? records_take(&t->in, buf, (size_t)size) : 0;
    if (len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    return (int)len;
}

static long conn_bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int conn_bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *bio_method_create(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "instar");

    if (method) {
        (void)BIO_meth_set_write(method, conn_bio_write);
        (void)BIO_meth_set_read(method, conn_bio_read);
        (void)BIO_meth_set_ctrl(method, conn_bio_ctrl);
        (void)BIO_meth_set_create(method, conn_bio_create);
    }
    return method;
}
