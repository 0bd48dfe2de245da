# SPDX-License-Identifier: Apache-2.0
"""C sources of modules that the tests serve."""

# A module whose answers tell which code gave them, and whether they are whole: the number
# stands at both ends of 2 KiB.
HELLO = r"""
#include <instar.h>
#include <unistd.h>

#define VERSION "@VERSION@"

static int hello(ins_request *r)
{
    ins_set_type(r, "text/plain");
    ins_printf(r, "begin %s %ld ", VERSION, (long)getpid());
    for (int i = 0; i < 64; i++) {
        ins_puts(r, "0123456789abcdefghijklmnopqrstu ");
    }
    ins_printf(r, "end %s\n", VERSION);
    return INS_OK;
}

static const ins_handler handlers[] = { { "hello", hello }, { 0 } };

INS_MODULE(hello_module) = { INS_MODULE_HEADER, .handlers = handlers };
"""


def hello(version):
    return HELLO.replace("@VERSION@", str(version))


def version_of(body):
    """The version that answered; None where the answer is not whole."""
    words = body.split()
    if len(words) < 5 or words[0] != b"begin" or words[-2] != b"end" or words[1] != words[-1]:
        return None
    if len(words) != 3 + 64 + 2:
        return None
    return int(words[1])


def pid_of(body):
    return int(body.split()[2])


# A handler for everything that the protocol tests need.
PROBE = r"""
#include <instar.h>
#include <apr_tables.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long number(ins_request *r, const char *name, long otherwise)
{
    const char *text = ins_query(r, name);
    return text ? atol(text) : otherwise;
}

static int echo(ins_request *r)
{
    char buf[8192];
    int64_t n;

    if (ins_header(r, "Content-Type")) {
        ins_set_type(r, ins_header(r, "Content-Type"));
    }
    while ((n = ins_read(r, buf, sizeof(buf))) > 0) {
        ins_write(r, buf, (size_t)n);
    }
    return n < 0 ? ins_body_status(r) : INS_OK;
}

static int whole(ins_request *r)
{
    size_t len;
    const char *body = ins_body(r, 1 << 20, &len);

    if (!body) {
        return ins_body_status(r);
    }
    ins_printf(r, "%zu bytes", len);
    return INS_OK;
}

/* Does not look at the body. */
static int ignore(ins_request *r)
{
    ins_puts(r, "ignored");
    return INS_OK;
}

static int info(ins_request *r)
{
    const char *header = ins_query(r, "header");

    ins_printf(r, "pid=%ld\nmethod=%s\nuri=%s\nargs=%s\nhost=%s\nserver=%s\nsecure=%d\n"
               "keepalives=%d\nport=%d\nclient=%s\nprotocol=%s\nhandler=%s\nunparsed=%s\n"
               "header=%s\nthe_request=%s\n",
               (long)getpid(), r->method, r->uri, r->args ? r->args : "(null)",
               r->hostname ? r->hostname : "(null)",
               r->server->server_hostname ? r->server->server_hostname : "(null)",
               r->connection->secure, r->connection->keepalives, r->connection->local_port,
               r->connection->client_ip, r->protocol, r->handler ? r->handler : "(null)",
               r->unparsed_uri, header && ins_header(r, header) ? ins_header(r, header) : "(null)",
               r->the_request);
    for (const char *name = "abcdefgh"; *name; name++) {
        char one[2] = { *name, 0 };
        if (ins_param(r, one)) {
            ins_printf(r, "%s=%s\n", one, ins_param(r, one));
        }
    }
    return INS_OK;
}

static int nap(ins_request *r)
{
    usleep((useconds_t)number(r, "ms", 1000) * 1000);
    ins_puts(r, "slept");
    return INS_OK;
}

static int64_t next(ins_request *r, void *state, char *buf, size_t size)
{
    int64_t *left = state;
    int64_t n = *left < (int64_t)size ? *left : (int64_t)size;

    (void)r;
    memset(buf, 's', (size_t)n);
    *left -= n;
    return n;
}

static int stream(ins_request *r)
{
    int64_t *left = ins_alloc(r, sizeof(*left));

    *left = number(r, "size", 1000);
    if (ins_query(r, "length")) {
        ins_set_length(r, *left);
    }
    return ins_stream(r, next, left);
}

static int big(ins_request *r)
{
    static const char block[1000];
    long left = number(r, "size", 1000);

    if (ins_query(r, "length")) {
        ins_set_length(r, left);
    }
    while (left > 0) {
        long n = left < (long)sizeof(block) ? left : (long)sizeof(block);
        if (ins_write(r, block, (size_t)n) != 0) {
            return INS_OK;
        }
        left -= n;
    }
    return INS_OK;
}

static int pieces(ins_request *r)
{
    for (long i = 0; i < number(r, "count", 3); i++) {
        ins_printf(r, "piece %ld\n", i);
        ins_flush(r);
    }
    return INS_OK;
}

static int status(ins_request *r)
{
    long code = number(r, "code", 200);

    if (ins_query(r, "returned")) {
        return (int)code;
    }
    if (ins_query(r, "error")) {
        return ins_error(r, (int)code, ins_query(r, "error"));
    }
    ins_set_status(r, (int)code);
    ins_puts(r, "a body");
    return INS_OK;
}

static int fields(ins_request *r)
{
    ins_set_header(r, "X-One", "first");
    ins_set_header(r, "X-One", "second");
    ins_add_header(r, "X-Two", "a");
    ins_add_header(r, "X-Two", "b");
    ins_set_header(r, "X-Evil", "a\r\nInjected: yes");
    ins_set_cookie(r, "taste", "sweet", NULL);
    ins_printf(r, "cookie=%s form=%s", ins_cookie(r, "c") ? ins_cookie(r, "c") : "none",
               ins_form(r, "f") ? ins_form(r, "f") : "none");
    return INS_OK;
}

static int away(ins_request *r)
{
    return ins_redirect(r, (int)number(r, "code", 302), "/there");
}

static int crash(ins_request *r)
{
    (void)r;
    *(volatile int *)0 = 1;
    return INS_OK;
}

static int say(ins_request *r)
{
    extern ins_module probe_module;
    const char *words = ins_query(r, "words");

    ins_rlog(r, &probe_module, INS_WARNING, "%s", words ? words : "nothing");
    ins_puts(r, "said");
    return INS_OK;
}

static const ins_handler handlers[] = {
    { "echo", echo },     { "whole", whole },   { "ignore", ignore }, { "info", info },
    { "nap", nap },       { "stream", stream }, { "big", big },       { "pieces", pieces },
    { "status", status }, { "fields", fields }, { "away", away },     { "crash", crash },
    { "say", say },       { 0 },
};

INS_MODULE(probe_module) = { INS_MODULE_HEADER, .handlers = handlers };
"""

PROBE_ROUTES = """
Route GET / info
Route GET|POST|PUT|DELETE|PATCH /info info
Route GET|POST|PUT /echo echo
Route POST /whole whole
Route GET|POST /ignore ignore
Route GET /nap nap
Route GET /stream stream
Route GET /big big
Route GET /pieces pieces
Route GET /status status
Route GET|POST /fields fields
Route GET /away away
Route GET /say say
"""
