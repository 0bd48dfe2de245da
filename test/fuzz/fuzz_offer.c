/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An offer of connections as it arrives from another worker, whatever it is: the walk stays
 * within the message, and what is made of a TLS session can be used, frozen again and closed. The
 * first byte says how many descriptors came along.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/tls_fixture.h"
#include "util/check.h"
#include "worker/handover.h"
#include "worker/socket_wire.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fixture *fixture;

static void destroy(void)
{
    fixture_destroy(fixture);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fixture = fixture_create();
    fixture_certificate(fixture, "good", "a.example", NULL, CERT_PLAIN, -1, 30);
    fixture_tls(fixture, fixture_server(fixture, "a.example"), "good");
    INS_CHECK(fixture_start(fixture));
    return atexit(destroy);
}

static const char *const variables[] = {
    "SSL_CIPHER",        "SSL_TLS_SNI",     "SSL_SESSION_ID",
    "SSL_CLIENT_VERIFY", "SSL_CLIENT_S_DN", "SSL_SERVER_S_DN"
};

static void use(struct tls_conn *t)
{
    char buf[100];
    apr_pool_t *pool;
    size_t len;

    INS_CHECK(tls_can_move(t));
    apr_pool_create(&pool, fixture->pool);
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        (void)tls_variable(t, variables[i], pool);
    }
    apr_pool_destroy(pool);
    len = tls_frozen_size(t);
    if (len > 0) {
        void *frozen = malloc(len);

        INS_CHECK(frozen);
        tls_freeze(t, frozen);
        free(frozen);
    }
    (void)tls_read(t, buf, sizeof(buf));
    (void)tls_write(t, "answer", 6);
    tls_shutdown(t);
}

/* A WebSocket's strings lie within it, and its parser can go on. */
static void look_at_socket(const struct offered *one)
{
    static const struct ws_rules rules = { 1000, 1000, true };
    char input[] = "\x01\x85maskhello\x80\x83maskabc";
    struct socket_strings s;
    struct ws_bytes message = { NULL, 0, 0 };
    struct socket_wire wire;
    size_t used = 0;
    const char *why;

    if (!socket_wire_read(&wire, &s, one->socket, one->record.socket)) {
        return;
    }
    INS_CHECK((const uint8_t *)s.head >= one->socket + sizeof(wire));
    INS_CHECK(s.state == NULL ||
              (const uint8_t *)s.state + wire.state == one->socket + one->record.socket);
    INS_CHECK(ws_bytes_set(&message, s.message, wire.message));
    (void)ws_parse(&wire.parser, &rules, &message, input, sizeof(input) - 1, &used, &why);
    INS_CHECK(used < sizeof(input));
    ws_bytes_free(&message);
}

static void look_at(const struct offered *one, const uint8_t *message, size_t size)
{
    struct tls_conn *t;

    INS_CHECK(one->unread >= message && one->tls >= one->unread && one->socket >= one->tls);
    INS_CHECK(one->socket + one->record.socket <= message + size);
    if (!offer_readable(&one->record)) {
        return;
    }
    look_at_socket(one);
    t = tls_thaw(&fixture->hosts, one->tls, one->record.tls);
    if (t) {
        use(t);
        tls_close(t);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct offer_walk walk;
    struct offered one;
    unsigned count = 0;

    if (size < 1) {
        return -1;
    }
    if (!offer_check(&walk, data + 1, size - 1, data[0])) {
        return 0;
    }
    while (offer_next(&walk, &one)) {
        look_at(&one, data + 1, size - 1);
        count++;
    }
    INS_CHECK(count == data[0]);
    return 0;
}
