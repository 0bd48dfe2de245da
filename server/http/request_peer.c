/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end, as text. IPv4 is written by hand: this is done for
 * each request, and inet_ntop() prints through snprintf(). */

#include "http/request_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static char *put_octet(char *out, unsigned octet)
{
    if (octet >= 100) {
        *out++ = (char)('0' + octet / 100);
    }
    if (octet >= 10) {
        *out++ = (char)('0' + octet / 10 % 10);
    }
    *out++ = (char)('0' + octet % 10);
    return out;
}

static void write_v4(char *out, const unsigned char octets[4])
{
    for (int n = 0; n < 4; n++) {
        out = put_octet(out, octets[n]);
        *out++ = n < 3 ? '.' : '\0';
    }
}

static int write_address(char *out, size_t size, const struct sockaddr *addr)
{
    const void *any = addr;
    int family = addr ? addr->sa_family : AF_UNIX;
    const struct sockaddr_in *v4 = any;
    const struct sockaddr_in6 *v6 = any;
    unsigned char octets[4];

    switch (family) {
    case AF_INET:
        memcpy(octets, &v4->sin_addr, sizeof(octets));
        write_v4(out, octets);
        return ntohs(v4->sin_port);
    case AF_INET6:
        inet_ntop(AF_INET6, &v6->sin6_addr, out, (socklen_t)size);
        return ntohs(v6->sin6_port);
    default:
        memcpy(out, "unix:", sizeof("unix:"));
        return 0;
    }
}

/* Requests come in runs from one address, to one address. Returns the port. */
static int write_once(struct address_text *into, const struct sockaddr *addr)
{
    const void *any = addr;
    const struct sockaddr_in *v4 = any;
    uint32_t key = addr && addr->sa_family == AF_INET ? v4->sin_addr.s_addr : 0;

    if (key != 0 && key == into->v4) {
        return ntohs(v4->sin_port);
    }
    into->v4 = key;
    return write_address(into->text, sizeof(into->text), addr);
}

void request_read_peer(struct request *q, const struct request_source *source)
{
    ins_connection *c = &q->conn;

    c->client_port = write_once(&q->client_ip, source->peer);
    c->client_ip = q->client_ip.text;
    c->local_ip = NULL;
    c->local_port = 0;
    if (source->local) {
        c->local_port = write_once(&q->local_ip, source->local);
        c->local_ip = q->local_ip.text;
    }
    c->secure = source->secure;
    c->keepalives = source->keepalives;
    c->id = source->id;
    q->pub.connection = c;
    q->pub.useragent_ip = c->client_ip;
}
