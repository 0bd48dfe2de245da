/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a successor needs to know of an OpenSSL session that speaks TLS 1.3: the secret of each
 * direction, which OpenSSL tells in the moment in which it takes it into use, and how many
 * records have passed under it since. Both come from callbacks of the same call of OpenSSL's, in
 * the order in which things happen, so neither handshake shapes nor session tickets nor
 * KeyUpdates need to be known here.
 */
#include "tls/tls_internal.h"

#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The secret's length, 0 where the text is none. */
static uint8_t read_hex(const char *text, unsigned char *out)
{
    size_t len = strlen(text);

    if (len % 2 != 0 || len / 2 > TLS13_SECRET_MAX) {
        return 0;
    }
    for (size_t i = 0; i < len / 2; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

        if (high < 0 || low < 0) {
            return 0;
        }
        out[i] = (unsigned char)(high << 4 | low);
    }
    return (uint8_t)(len / 2);
}

/* "CLIENT_TRAFFIC_SECRET_0 RANDOM SECRET"; _N after a KeyUpdate. */
void traffic_key_log(const SSL *ssl, const char *line)
{
    static const char *const labels[] = {
        [TLS_RECEIVES] = "CLIENT_TRAFFIC_SECRET_", [TLS_SENDS] = "SERVER_TRAFFIC_SECRET_"
    };
    struct tls_conn *t = SSL_get_app_data(ssl);
    const char *secret = strrchr(line, ' ');

    for (int i = 0; i < 2; i++) {
        if (secret && strncmp(line, labels[i], strlen(labels[i])) == 0) {
            t->traffic[i].secret_len = read_hex(secret + 1, t->traffic[i].secret);
            t->traffic[i].sequence = 0;
        }
    }
}

void traffic_message(int sent, int version, int type, const void *buf, size_t len, SSL *ssl,
                     void *unused)
{
    struct tls_conn *t = SSL_get_app_data(ssl);
    const unsigned char *bytes = buf;
    struct tls13_keys *keys = &t->traffic[sent ? TLS_SENDS : TLS_RECEIVES];

    (void)version;
    (void)unused;
    if (keys->secret_len == 0 || len == 0) {
        return;
    }
    switch (type) {
    case SSL3_RT_HEADER:
        keys->sequence += bytes[0] != SSL3_RT_CHANGE_CIPHER_SPEC;
        return;
    case SSL3_RT_INNER_CONTENT_TYPE:
        /* A message has begun; that it is whole is told by the next one. */
        t->split_message = t->split_message || (!sent && bytes[0] == SSL3_RT_HANDSHAKE);
        return;
    case SSL3_RT_HANDSHAKE:
        t->split_message = t->split_message && sent;
        return;
    default:
        return;
    }
}
