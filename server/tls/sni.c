/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which server a client means, by the name in its ClientHello. Done in the
 * early callback, before versions, session tickets and certificates are looked
 * at, so that a ticket of one server can never get past the client
 * certificate that another asks for.
 */
#include "tls/tls_internal.h"

#include <string.h>

enum { NAME_TYPE_HOST = 0, NAME_MAX_LENGTH = 255 };

/* The host_name in a server_name extension; NULL where there is none, or it is
 * malformed (which OpenSSL refuses afterwards in its own words). */
static const char *sni_name(const unsigned char *ext, size_t size, size_t *len)
{
    size_t list, name;

    if (size < 5) {
        return NULL;
    }
    list = (size_t)ext[0] << 8 | ext[1];
    name = (size_t)ext[3] << 8 | ext[4];
    if (list != size - 2 || ext[2] != NAME_TYPE_HOST || name > list - 3 || name == 0 ||
        name > NAME_MAX_LENGTH || memchr(ext + 5, '\0', name)) {
        return NULL;
    }
    if (ext[5 + name - 1] == '.') {
        name--;
    }
    *len = name;
    return (const char *)ext + 5;
}

/* SSL_set_SSL_CTX() changes certificates, ciphers and the trust store alone. */
static bool use_context(SSL *ssl, SSL_CTX *ctx)
{
    uint64_t options = SSL_CTX_get_options(ctx);

    if (!SSL_set_SSL_CTX(ssl, ctx) ||
        !SSL_set_min_proto_version(ssl, (int)SSL_CTX_get_min_proto_version(ctx)) ||
        !SSL_set_max_proto_version(ssl, (int)SSL_CTX_get_max_proto_version(ctx))) {
        return false;
    }
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(ctx), SSL_CTX_get_verify_callback(ctx));
    (void)SSL_clear_options(ssl, SSL_get_options(ssl) & ~options);
    (void)SSL_set_options(ssl, options);
    (void)SSL_set_num_tickets(ssl, SSL_CTX_get_num_tickets(ctx));
    return true;
}

int sni_client_hello(SSL *ssl, int *alert, void *unused)
{
    struct tls_conn *t = SSL_get_app_data(ssl);
    const unsigned char *ext;
    const char *name;
    size_t size, len;
    struct tls_context *context;

    (void)unused;
    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &ext, &size)) {
        return SSL_CLIENT_HELLO_SUCCESS;
    }
    name = sni_name(ext, size, &len);
    if (!name || len == 0) {
        return SSL_CLIENT_HELLO_SUCCESS;
    }
    t->server = http_find_server(t->hosts, name, len);
    context = ssl_server_conf(t->server)->context;
    if (context && context->ctx != SSL_get_SSL_CTX(ssl) && !use_context(ssl, context->ctx)) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* Without a callback of this kind the name would not be acknowledged. */
int sni_acknowledge(SSL *ssl, int *alert, void *unused)
{
    (void)ssl;
    (void)alert;
    (void)unused;
    return SSL_TLSEXT_ERR_OK;
}
