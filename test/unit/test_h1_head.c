/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of requests: a table of texts with what must come of them. Each is
 * parsed whole, byte by byte (in a buffer that moves), and with a second request behind it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/h1_parser.h"

#define H "Host: a\r\n"
#define END "\r\n"
#define GET "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\n" H
#define MORE (-1)

enum { K = 1, C = 2, E = 4, U = 8 }; /* keep-alive, chunked, 100-continue, upgrade */

struct expected {
    const char *name, *text;
    size_t len; /* 0: strlen(text) */
    int status; /* 0 complete, MORE, or refused with it */
    const char *path, *host;
    int64_t length; /* content_length, NO: none */
    int flags;
};
#define NO (-1)
#define GOOD(name, text, path, host, length, flags)                                                \
    {                                                                                              \
        name, text, sizeof(text) - 1, 0, path, host, length, flags                                 \
    }
#define BAD(name, text, status)                                                                    \
    {                                                                                              \
        name, text, sizeof(text) - 1, status, NULL, NULL, 0, 0                                     \
    }

/* clang-format off */
static const struct expected cases[] = {
    /* whole requests */
    GOOD("plain", GET H END, "/", "a", NO, K),
    GOOD("path and query", "GET /x/y?z=1 HTTP/1.1\r\n" H END, "/x/y?z=1", "a", NO, K),
    GOOD("any method token", "M-SEARCH!# / HTTP/1.1\r\n" H END, "/", "a", NO, K),
    GOOD("lower-case method", "get / HTTP/1.1\r\n" H END, "/", "a", NO, K),
    GOOD("minor version above 1", "GET / HTTP/1.9\r\n" H END, "/", "a", NO, K),
    GOOD("one empty line before", "\r\n" GET H END, "/", "a", NO, K),
    GOOD("eight empty lines before", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n" GET H END, "/", "a", NO, K),
    GOOD("1.0 without Host", "GET / HTTP/1.0\r\n\r\n", "/", NULL, NO, 0),
    GOOD("1.0 with Host", "GET / HTTP/1.0\r\n" H END, "/", "a", NO, 0),
    GOOD("1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "/", NULL, NO, K),
    GOOD("1.0 keep-alive and close", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "/", NULL, NO, 0),
    GOOD("close", GET H "Connection: close\r\n\r\n", "/", "a", NO, 0),
    GOOD("close in capitals", GET H "CONNECTION: CLOSE\r\n\r\n", "/", "a", NO, 0),
    GOOD("close in a list", GET H "Connection: foo,\t close ,bar\r\n\r\n", "/", "a", NO, 0),
    GOOD("close in a second field", GET H "Connection: foo\r\nConnection: close\r\n\r\n", "/", "a", NO, 0),
    GOOD("closed is not close", GET H "Connection: closed\r\n\r\n", "/", "a", NO, K),
    GOOD("empty Connection", GET H "Connection:\r\n\r\n", "/", "a", NO, K),
    GOOD("no space behind the colon", GET "Host:a\r\n\r\n", "/", "a", NO, K),
    GOOD("white space around a value", GET "Host: \t a \t \r\n\r\n", "/", "a", NO, K),
    GOOD("empty value", GET H "X:\r\n\r\n", "/", "a", NO, K),
    GOOD("value of spaces", GET H "X:   \r\n\r\n", "/", "a", NO, K),
    GOOD("obs-text in a value", GET H "X: \xc3\xa4\xff\x80\r\n\r\n", "/", "a", NO, K),
    GOOD("tab within a value", GET H "X: a\tb with more than eight bytes\r\n\r\n", "/", "a", NO, K),
    GOOD("every tchar in a name", GET H "!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n", "/", "a", NO, K),
    GOOD("colons in a value", GET H "X: a:b::c\r\n\r\n", "/", "a", NO, K),
    GOOD("odd but legal target bytes", "GET /a|b^c`d{e}\"<>\\ HTTP/1.1\r\n" H END, "/a|b^c`d{e}\"<>\\", "a", NO, K),
    GOOD("percent escapes are left", "GET /%zz%00 HTTP/1.1\r\n" H END, "/%zz%00", "a", NO, K),
    GOOD("two slashes", "GET //x HTTP/1.1\r\n" H END, "//x", "a", NO, K),
    GOOD("question mark alone", "GET /? HTTP/1.1\r\n" H END, "/?", "a", NO, K),

    /* target forms */
    GOOD("absolute", "GET http://b/x HTTP/1.1\r\n" H END, "/x", "b", NO, K),
    GOOD("absolute with port", "GET http://b:8080/x?y HTTP/1.1\r\n" H END, "/x?y", "b:8080", NO, K),
    GOOD("absolute https", "GET https://b/ HTTP/1.1\r\n" H END, "/", "b", NO, K),
    GOOD("absolute in capitals", "GET HTTP://B/ HTTP/1.1\r\n" H END, "/", "B", NO, K),
    GOOD("absolute without path", "GET http://b HTTP/1.1\r\n" H END, "", "b", NO, K),
    GOOD("absolute with query alone", "GET http://b?q HTTP/1.1\r\n" H END, "?q", "b", NO, K),
    GOOD("absolute, Host behind it ignored", "GET http://b/ HTTP/1.1\r\nHost: other\r\n\r\n", "/", "b", NO, K),
    GOOD("absolute, empty Host", "GET http://b/ HTTP/1.1\r\nHost:\r\n\r\n", "/", "b", NO, K),
    GOOD("absolute in 1.0 without Host", "GET http://b/ HTTP/1.0\r\n\r\n", "/", "b", NO, 0),
    GOOD("absolute with IPv6", "GET http://[::1]:80/ HTTP/1.1\r\n" H END, "/", "[::1]:80", NO, K),
    GOOD("absolute, slashes in the query", "GET http://b?/x//y HTTP/1.1\r\n" H END, "?/x//y", "b", NO, K),
    GOOD("OPTIONS *", "OPTIONS * HTTP/1.1\r\n" H END, "*", "a", NO, K),
    GOOD("OPTIONS /", "OPTIONS / HTTP/1.1\r\n" H END, "/", "a", NO, K),
    GOOD("OPTIONS absolute", "OPTIONS http://b HTTP/1.1\r\n" H END, "", "b", NO, K),
    GOOD("CONNECT", "CONNECT b:443 HTTP/1.1\r\n" H END, "", "b:443", NO, K),
    GOOD("CONNECT IPv6", "CONNECT [::1]:443 HTTP/1.1\r\n" H END, "", "[::1]:443", NO, K),
    BAD("absolute without Host field", "GET http://b/ HTTP/1.1\r\n\r\n", 400),
    BAD("absolute without host", "GET http:///x HTTP/1.1\r\n" H END, 400),
    BAD("absolute with a user", "GET http://u@b/ HTTP/1.1\r\n" H END, 400),
    BAD("absolute with port alone", "GET http://:80/ HTTP/1.1\r\n" H END, 400),
    BAD("absolute with a bad port", "GET http://b:8x/ HTTP/1.1\r\n" H END, 400),
    BAD("absolute with a large port", "GET http://b:65536/ HTTP/1.1\r\n" H END, 400),
    BAD("absolute with bad IPv6", "GET http://[::g]/ HTTP/1.1\r\n" H END, 400),
    BAD("absolute with open bracket", "GET http://[::1/ HTTP/1.1\r\n" H END, 400),
    BAD("absolute, bytes behind the bracket", "GET http://[::1]x/ HTTP/1.1\r\n" H END, 400),
    BAD("absolute of another scheme", "GET ftp://b/ HTTP/1.1\r\n" H END, 400),
    BAD("scheme with one slash", "GET http:/b/ HTTP/1.1\r\n" H END, 400),
    BAD("scheme alone", "GET http:// HTTP/1.1\r\n" H END, 400),
    BAD("absolute, bad host bytes", "GET http://b\"c/ HTTP/1.1\r\n" H END, 400),
    BAD("GET *", "GET * HTTP/1.1\r\n" H END, 400),
    BAD("OPTIONS **", "OPTIONS ** HTTP/1.1\r\n" H END, 400),
    BAD("relative target", "GET x HTTP/1.1\r\n" H END, 400),
    BAD("query without path", "GET ?x HTTP/1.1\r\n" H END, 400),
    BAD("authority form for GET", "GET b:80 HTTP/1.1\r\n" H END, 400),
    BAD("CONNECT with a path", "CONNECT / HTTP/1.1\r\n" H END, 400),
    BAD("CONNECT without port", "CONNECT b HTTP/1.1\r\n" H END, 400),
    BAD("CONNECT with empty port", "CONNECT b: HTTP/1.1\r\n" H END, 400),
    BAD("CONNECT absolute", "CONNECT http://b:80/ HTTP/1.1\r\n" H END, 400),

    /* request line */
    BAD("fragment", "GET /#x HTTP/1.1\r\n" H END, 400),
    BAD("HTTP/0.9", "GET /\r\n", 400),
    BAD("HTTP/0.9 with space", "GET / \r\n", 400),
    BAD("explicit HTTP/0.9", "GET / HTTP/0.9\r\n\r\n", 505),
    BAD("HTTP/2.0", "GET / HTTP/2.0\r\n" H END, 505),
    BAD("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    BAD("HTTP/3.1", "GET / HTTP/3.1\r\n" H END, 505),
    BAD("HTTP/9.9", "GET / HTTP/9.9\r\n" H END, 505),
    BAD("HTTP/1", "GET / HTTP/1\r\n" H END, 400),
    BAD("HTTP/1.", "GET / HTTP/1.\r\n" H END, 400),
    BAD("HTTP/1.10", "GET / HTTP/1.10\r\n" H END, 400),
    BAD("HTTP/11.1", "GET / HTTP/11.1\r\n" H END, 400),
    BAD("HTTP/1,1", "GET / HTTP/1,1\r\n" H END, 400),
    BAD("HTTP/-1.1", "GET / HTTP/-1.1\r\n" H END, 400),
    BAD("http/1.1", "GET / http/1.1\r\n" H END, 400),
    BAD("HTTPS/1.1", "GET / HTTPS/1.1\r\n" H END, 400),
    BAD("HTTP/ 1.1", "GET / HTTP/ 1.1\r\n" H END, 400),
    BAD("ICY", "GET / ICY/1.1\r\n" H END, 400),
    BAD("space behind the version", "GET / HTTP/1.1 \r\n" H END, 400),
    BAD("two spaces before the target", "GET  / HTTP/1.1\r\n" H END, 400),
    BAD("two spaces before the version", "GET /  HTTP/1.1\r\n" H END, 400),
    BAD("tab as separator", "GET\t/ HTTP/1.1\r\n" H END, 400),
    BAD("tab before the version", "GET /\tHTTP/1.1\r\n" H END, 400),
    BAD("space in the target", "GET /a b HTTP/1.1\r\n" H END, 400),
    BAD("leading space", " GET / HTTP/1.1\r\n" H END, 400),
    BAD("method alone", "GET\r\n", 400),
    BAD("method and space", "GET \r\n", 400),
    BAD("no method", " / HTTP/1.1\r\n" H END, 400),
    BAD("method with a bracket", "G[T / HTTP/1.1\r\n" H END, 400),
    BAD("method with a slash", "G/T / HTTP/1.1\r\n" H END, 400),
    BAD("method with a colon", "GET: / HTTP/1.1\r\n" H END, 400),
    BAD("method with a quote", "\"GET\" / HTTP/1.1\r\n" H END, 400),
    BAD("method with obs-text", "G\xc3\x84T / HTTP/1.1\r\n" H END, 400),
    BAD("NUL in the method", "G\0T / HTTP/1.1\r\n" H END, 400),
    BAD("NUL in the target", "GET /\0 HTTP/1.1\r\n" H END, 400),
    BAD("NUL behind the version", "GET / HTTP/1.1\0\r\n" H END, 400),
    BAD("DEL in the target", "GET /\x7f HTTP/1.1\r\n" H END, 400),
    BAD("raw UTF-8 in the target", "GET /\xc3\xa4 HTTP/1.1\r\n" H END, 400),
    BAD("escape byte in the target", "GET /\x1b[m HTTP/1.1\r\n" H END, 400),
    BAD("CR in the target", "GET /\rx HTTP/1.1\r\n" H END, 400),
    BAD("CR in the version", "GET / HTTP/1.1\r\r\n" H END, 400),
    BAD("LF alone behind the request line", "GET / HTTP/1.1\n" H END, 400),
    BAD("LF alone everywhere", "GET / HTTP/1.1\nHost: a\n\n", 400),
    BAD("LF before the request", "\nGET / HTTP/1.1\r\n" H END, 400),
    BAD("CR before the request", "\rGET / HTTP/1.1\r\n" H END, 400),
    BAD("too many empty lines before", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n" GET H END, 400),
    BAD("a TLS handshake", "\x16\x03\x01\x02", 400),
    BAD("NUL first", "\0", 400),
    BAD("header line as request line", H END, 400),
    BAD("status line", "HTTP/1.1 200 OK\r\n\r\n", 400),

    /* field syntax */
    BAD("space before the colon", GET "Host : a\r\n\r\n", 400),
    BAD("tab before the colon", GET "Host\t: a\r\n\r\n", 400),
    BAD("space in a name", GET H "X Y: a\r\n\r\n", 400),
    BAD("empty name", GET H ": a\r\n\r\n", 400),
    BAD("no colon", GET H "X\r\n\r\n", 400),
    BAD("obs-fold", GET H "X: a\r\n b\r\n\r\n", 400),
    BAD("obs-fold by tab", GET H "X: a\r\n\tb\r\n\r\n", 400),
    BAD("first field line begins with space", GET " Host: a\r\n\r\n", 400),
    BAD("line of a space", GET H " \r\n\r\n", 400),
    BAD("name in brackets", GET H "[x]: a\r\n\r\n", 400),
    BAD("name with a comma", GET H "x,y: a\r\n\r\n", 400),
    BAD("name with a quote", GET H "\"x\": a\r\n\r\n", 400),
    BAD("name with a parenthesis", GET H "x(: a\r\n\r\n", 400),
    BAD("name with obs-text", GET H "x\xe4: a\r\n\r\n", 400),
    BAD("NUL in a name", GET H "x\0y: a\r\n\r\n", 400),
    BAD("NUL in a value", GET H "x: a\0b\r\n\r\n", 400),
    BAD("NUL in a long value", GET H "x: a value of some length\0 and more\r\n\r\n", 400),
    BAD("BEL in a value", GET H "x: a\ab\r\n\r\n", 400),
    BAD("DEL in a value", GET H "x: a\x7f\r\n\r\n", 400),
    BAD("DEL in a long value", GET H "x: abcdefgh\x7fijklmnop\r\n\r\n", 400),
    BAD("US in a long value", GET H "x: abcdefgh\x1fijklmnop\r\n\r\n", 400),
    BAD("CR in a value", GET H "x: a\rb\r\n\r\n", 400),
    BAD("CR at the end of a value", GET H "x: a\r\r\n\r\n", 400),
    BAD("vertical tab", GET H "x: \va\r\n\r\n", 400),
    BAD("form feed", GET H "x: a\f\r\n\r\n", 400),
    BAD("LF alone behind a field", GET "Host: a\nX: b\r\n\r\n", 400),
    BAD("LF alone as the end", GET H "\n", 400),
    BAD("CR CR LF as the end", GET H "\r\r\n", 400),
    BAD("second request line", GET "GET /x HTTP/1.1\r\n" H END, 400),

    /* Host */
    GOOD("Host with port", GET "Host: a.example:8080\r\n\r\n", "/", "a.example:8080", NO, K),
    GOOD("Host with empty port", GET "Host: a:\r\n\r\n", "/", "a:", NO, K),
    GOOD("Host in capitals", GET "HOST: A.Example\r\n\r\n", "/", "A.Example", NO, K),
    BAD("empty Host", GET "Host:\r\n\r\n", 400),
    BAD("empty Host, 1.0", "GET / HTTP/1.0\r\nHost: \r\n\r\n", 400),
    GOOD("Host IPv4", GET "Host: 127.0.0.1:80\r\n\r\n", "/", "127.0.0.1:80", NO, K),
    GOOD("Host IPv6", GET "Host: [2001:db8::1]\r\n\r\n", "/", "[2001:db8::1]", NO, K),
    GOOD("Host IPv6 with port", GET "Host: [::ffff:192.0.2.1]:1\r\n\r\n", "/", "[::ffff:192.0.2.1]:1", NO, K),
    GOOD("Host with an underscore", GET "Host: a_b\r\n\r\n", "/", "a_b", NO, K),
    GOOD("Host with an escape", GET "Host: a%41b\r\n\r\n", "/", "a%41b", NO, K),
    GOOD("Host with a final dot", GET "Host: a.b.\r\n\r\n", "/", "a.b.", NO, K),
    GOOD("Host port 65535", GET "Host: a:65535\r\n\r\n", "/", "a:65535", NO, K),
    BAD("no Host", GET END, 400),
    BAD("no Host among others", GET "X-Host: a\r\nHos: b\r\n\r\n", 400),
    BAD("two Hosts", GET H H END, 400),
    BAD("two Hosts apart and in another case", GET H "X: y\r\nhOST: b\r\n\r\n", 400),
    BAD("two Hosts in 1.0", "GET / HTTP/1.0\r\n" H H END, 400),
    BAD("Host with a space", GET "Host: a b\r\n\r\n", 400),
    BAD("Host with a slash", GET "Host: a/b\r\n\r\n", 400),
    BAD("Host with a user", GET "Host: u@a\r\n\r\n", 400),
    BAD("Host with a bad port", GET "Host: a:b\r\n\r\n", 400),
    BAD("Host with a negative port", GET "Host: a:-1\r\n\r\n", 400),
    BAD("Host with a large port", GET "Host: a:65536\r\n\r\n", 400),
    BAD("Host with a huge port", GET "Host: a:99999999999999999999\r\n\r\n", 400),
    BAD("Host with two ports", GET "Host: a:1:2\r\n\r\n", 400),
    BAD("Host of a port alone", GET "Host: :80\r\n\r\n", 400),
    BAD("Host with a query", GET "Host: a?b\r\n\r\n", 400),
    BAD("Host with a fragment", GET "Host: a#b\r\n\r\n", 400),
    BAD("Host with a backslash", GET "Host: a\\b\r\n\r\n", 400),
    BAD("Host with angle brackets", GET "Host: <a>\r\n\r\n", 400),
    BAD("Host with obs-text", GET "Host: \xe4\r\n\r\n", 400),
    BAD("Host with a bad escape", GET "Host: a%4\r\n\r\n", 400),
    BAD("Host with a worse escape", GET "Host: a%zz\r\n\r\n", 400),
    BAD("Host with empty brackets", GET "Host: []\r\n\r\n", 400),
    BAD("Host with bad IPv6", GET "Host: [1::2::3]\r\n\r\n", 400),
    BAD("Host with a zone", GET "Host: [fe80::1%25eth0]\r\n\r\n", 400),
    BAD("Host with open bracket", GET "Host: [::1\r\n\r\n", 400),
    BAD("Host with bytes behind the bracket", GET "Host: [::1]a\r\n\r\n", 400),
    BAD("Host with long brackets", GET "Host: [0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]\r\n\r\n", 400),

    /* Content-Length */
    GOOD("length", POST "Content-Length: 5\r\n\r\n", "/", "a", 5, K),
    GOOD("length 0", POST "Content-Length: 0\r\n\r\n", "/", "a", 0, K),
    GOOD("length with zeros", POST "Content-Length: 0005\r\n\r\n", "/", "a", 5, K),
    GOOD("largest length", POST "Content-Length: 9223372036854775807\r\n\r\n", "/", "a", INT64_MAX, K),
    GOOD("length in a GET", GET H "Content-Length: 5\r\n\r\n", "/", "a", 5, K),
    GOOD("equal lengths in a list", POST "Content-Length: 5, 5\r\n\r\n", "/", "a", 5, K),
    GOOD("equal lengths in two fields", POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", "/", "a", 5, K),
    GOOD("POST without length", POST END, "/", "a", NO, K),
    GOOD("1.0 with length", "POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n", "/", NULL, 5, 0),
    BAD("1.0 POST without length", "POST / HTTP/1.0\r\n\r\n", 411),
    BAD("1.0 PUT without length", "PUT / HTTP/1.0\r\n\r\n", 411),
    BAD("length +5", POST "Content-Length: +5\r\n\r\n", 400),
    BAD("length -5", POST "Content-Length: -5\r\n\r\n", 400),
    BAD("length -0", POST "Content-Length: -0\r\n\r\n", 400),
    BAD("length 0x5", POST "Content-Length: 0x5\r\n\r\n", 400),
    BAD("length 5.0", POST "Content-Length: 5.0\r\n\r\n", 400),
    BAD("length 5e1", POST "Content-Length: 5e1\r\n\r\n", 400),
    BAD("length 5 5", POST "Content-Length: 5 5\r\n\r\n", 400),
    BAD("length 1_000", POST "Content-Length: 1_000\r\n\r\n", 400),
    BAD("length \"5\"", POST "Content-Length: \"5\"\r\n\r\n", 400),
    BAD("length 5;x", POST "Content-Length: 5;x\r\n\r\n", 400),
    BAD("length of words", POST "Content-Length: five\r\n\r\n", 400),
    BAD("empty length", POST "Content-Length:\r\n\r\n", 400),
    BAD("length of a comma", POST "Content-Length: ,\r\n\r\n", 400),
    BAD("length with a comma behind", POST "Content-Length: 5,\r\n\r\n", 400),
    BAD("length with a comma before", POST "Content-Length: ,5\r\n\r\n", 400),
    BAD("length beyond 63 bits", POST "Content-Length: 9223372036854775808\r\n\r\n", 400),
    BAD("length beyond 64 bits", POST "Content-Length: 18446744073709551621\r\n\r\n", 400),
    BAD("length of many digits", POST "Content-Length: 99999999999999999999999999999999\r\n\r\n", 400),
    BAD("lengths that differ", POST "Content-Length: 5, 6\r\n\r\n", 400),
    BAD("fields that differ", POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
    BAD("fields that differ, 0 first", POST "Content-Length: 0\r\nContent-Length: 6\r\n\r\n", 400),

    /* Transfer-Encoding */
    GOOD("chunked", POST "Transfer-Encoding: chunked\r\n\r\n", "/", "a", NO, K | C),
    GOOD("chunked in capitals", POST "TRANSFER-ENCODING: CHUNKED\r\n\r\n", "/", "a", NO, K | C),
    GOOD("chunked with empty elements", POST "Transfer-Encoding: , chunked ,\r\n\r\n", "/", "a", NO, K | C),
    BAD("chunked and length", POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400),
    BAD("length and chunked", POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    BAD("length 0 and chunked", POST "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    BAD("length and an unknown coding", POST "Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
    BAD("length and identity", POST "Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\n", 400),
    BAD("chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    BAD("gzip", POST "Transfer-Encoding: gzip\r\n\r\n", 501),
    BAD("identity", POST "Transfer-Encoding: identity\r\n\r\n", 501),
    BAD("gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    BAD("gzip and chunked in two fields", POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
    BAD("coding with parameters", POST "Transfer-Encoding: x;a=b, chunked\r\n\r\n", 501),
    BAD("xchunked", POST "Transfer-Encoding: xchunked\r\n\r\n", 501),
    BAD("chunke", POST "Transfer-Encoding: chunke\r\n\r\n", 501),
    BAD("chunked, gzip", POST "Transfer-Encoding: chunked, gzip\r\n\r\n", 400),
    BAD("chunked and gzip in two fields", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    BAD("chunked, chunked", POST "Transfer-Encoding: chunked, chunked\r\n\r\n", 400),
    BAD("chunked in two fields", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    BAD("chunked, identity", POST "Transfer-Encoding: chunked, identity\r\n\r\n", 400),
    BAD("chunked with a parameter", POST "Transfer-Encoding: chunked;a=b\r\n\r\n", 400),
    BAD("empty coding", POST "Transfer-Encoding:\r\n\r\n", 400),
    BAD("coding of a comma", POST "Transfer-Encoding: ,\r\n\r\n", 400),
    BAD("quoted chunked", POST "Transfer-Encoding: \"chunked\"\r\n\r\n", 400),
    BAD("chunked behind a vertical tab", POST "Transfer-Encoding: \vchunked\r\n\r\n", 400),
    BAD("chunked over two lines", POST "Transfer-Encoding:\r\n chunked\r\n\r\n", 400),
    BAD("space before the colon of chunked", POST "Transfer-Encoding : chunked\r\n\r\n", 400),
    BAD("chunked x", POST "Transfer-Encoding: chunked x\r\n\r\n", 400),

    /* Expect, Upgrade */
    GOOD("100-continue", POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", "/", "a", 5, K | E),
    GOOD("100-continue in capitals", POST "Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n", "/", "a", 5, K | E),
    GOOD("100-continue chunked", POST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", "/", "a", NO, K | C | E),
    GOOD("100-continue without body", POST "Expect: 100-continue\r\n\r\n", "/", "a", NO, K),
    GOOD("100-continue with length 0", POST "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", "/", "a", 0, K),
    GOOD("100-continue in 1.0", "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", "/", NULL, 5, 0),
    GOOD("an empty expectation", POST "Expect:\r\nContent-Length: 5\r\n\r\n", "/", "a", 5, K),
    BAD("another expectation", POST "Expect: tea\r\nContent-Length: 5\r\n\r\n", 417),
    BAD("100-continue and another", POST "Expect: 100-continue, tea\r\n\r\n", 417),
    BAD("100-continuex", POST "Expect: 100-continuex\r\n\r\n", 417),
    GOOD("upgrade", GET H "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "/", "a", NO, K | U),
    GOOD("upgrade among others", GET H "Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\n\r\n", "/", "a", NO, K | U),
    GOOD("Upgrade without Connection", GET H "Upgrade: websocket\r\n\r\n", "/", "a", NO, K),
    GOOD("Connection upgrade without Upgrade", GET H "Connection: upgrade\r\n\r\n", "/", "a", NO, K),
    GOOD("upgrade in 1.0", "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "/", NULL, NO, 0),

    /* unfinished */
    BAD("nothing yet of the head", "G", MORE),
    BAD("half a request line", "GET /", MORE),
    BAD("request line", GET, MORE),
    BAD("request line and CR", "GET / HTTP/1.1\r", MORE),
    BAD("half a field", GET "Ho", MORE),
    BAD("fields", GET H, MORE),
    BAD("last CR", GET H "\r", MORE),
    BAD("empty lines alone", "\r\n\r\n", MORE),
    BAD("a CR alone", "\r", MORE),
};
/* clang-format on */

static const struct h1_limits limits = { 200, 20, 150 };

static int outcome_of(enum h1_outcome outcome, const struct h1_head *head)
{
    switch (outcome) {
    case H1_MORE:
        return MORE;
    case H1_COMPLETE:
        return 0;
    default:
        assert_int_not_equal(head->status, 0);
        assert_non_null(head->why);
        return head->status;
    }
}

static int flags_of(const struct h1_head *head)
{
    return (head->keep_alive ? K : 0) | (head->chunked ? C : 0) | (head->expect_continue ? E : 0) |
           (head->upgrade ? U : 0);
}

static void same_slice(const char *name, const char *got, size_t len, const char *wanted)
{
    if (len != strlen(wanted) || memcmp(got, wanted, len) != 0) {
        fail_msg("%s: got \"%.*s\", wanted \"%s\"", name, (int)len, got, wanted);
    }
}

static void check(const struct expected *e, int got, const struct h1_head *head)
{
    if (got != e->status) {
        fail_msg("%s: got %d (%s), wanted %d", e->name, got, head->why ? head->why : "", e->status);
    }
    if (got != 0) {
        return;
    }
    assert_int_equal(head->length, e->len);
    assert_int_equal(head->content_length, e->length);
    if (flags_of(head) != e->flags) {
        fail_msg("%s: flags %d, wanted %d", e->name, flags_of(head), e->flags);
    }
    same_slice(e->name, head->path, head->path_len, e->path);
    if (e->host) {
        assert_non_null(head->host);
        same_slice(e->name, head->host, head->host_len, e->host);
    }
    else {
        assert_null(head->host);
    }
    assert_int_equal(head->request_line[head->line_len], 0);
    for (unsigned n = 0; n < head->field_count; n++) {
        assert_int_equal(strlen(head->fields[n].name), head->fields[n].name_len);
        assert_int_equal(strlen(head->fields[n].value), head->fields[n].value_len);
    }
}

static void whole(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(cases) / sizeof(*cases); n++) {
        struct h1_field fields[20];
        struct h1_head head;
        char *buf = malloc(cases[n].len);

        assert_non_null(buf);
        memcpy(buf, cases[n].text, cases[n].len);
        h1_head_init(&head, fields, 20);
        check(&cases[n], outcome_of(h1_parse_head(&head, buf, cases[n].len, &limits), &head),
              &head);
        free(buf);
    }
}

/* In a buffer of exactly the bytes there are, another one each time. */
static void byte_by_byte(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(cases) / sizeof(*cases); n++) {
        struct h1_field fields[20];
        struct h1_head head;
        enum h1_outcome outcome = H1_MORE;
        char *buf = NULL;

        h1_head_init(&head, fields, 20);
        for (size_t len = 1; len <= cases[n].len && outcome == H1_MORE; len++) {
            free(buf);
            buf = malloc(len);
            assert_non_null(buf);
            memcpy(buf, cases[n].text, len);
            outcome = h1_parse_head(&head, buf, len, &limits);
        }
        check(&cases[n], outcome_of(outcome, &head), &head);
        free(buf);
    }
}

static void with_a_request_behind(void **state)
{
    static const char next[] = "GET /next HTTP/1.1\r\nHost: next\r\n\r\n";

    (void)state;
    for (size_t n = 0; n < sizeof(cases) / sizeof(*cases); n++) {
        struct h1_field fields[20];
        struct h1_head head;
        char buf[1024];

        if (cases[n].status == MORE) {
            continue;
        }
        memcpy(buf, cases[n].text, cases[n].len);
        memcpy(buf + cases[n].len, next, sizeof(next));
        h1_head_init(&head, fields, 20);
        check(
            &cases[n],
            outcome_of(h1_parse_head(&head, buf, cases[n].len + sizeof(next) - 1, &limits), &head),
            &head);
        assert_memory_equal(buf + cases[n].len, next, sizeof(next));
    }
}

static int parse_with(const struct h1_limits *with, const char *text, size_t step)
{
    struct h1_field fields[20];
    struct h1_head head;
    size_t len = strlen(text);
    char *buf = malloc(len + 1);
    enum h1_outcome outcome = H1_MORE;

    assert_non_null(buf);
    memcpy(buf, text, len + 1);
    h1_head_init(&head, fields, 20);
    for (size_t at = step < len ? step : len; outcome == H1_MORE;
         at = at + step < len ? at + step : len) {
        outcome = h1_parse_head(&head, buf, at, with);
        if (at == len) {
            break;
        }
    }
    free(buf);
    return outcome_of(outcome, &head);
}

/* The limit itself is allowed, one byte more is not, finished or not. */
static void limits_are_exact(void **state)
{
    const struct h1_limits narrow = { 20, 2, 10 };
    static const struct {
        const char *text;
        int status;
    } lines[] = {
        { "GET /5678 HTTP/1.1\r\n" H END, 0 },
        { "GET /567890 HTTP/1.1\r\n" H END, 0 },
        { "GET /5678901 HTTP/1.1\r\n" H END, 414 },
        { "GET /5678901234567890", MORE },
        { "GET /56789012345678901", 414 },
        { "GET /567890123456789012", 414 },
        { "A12345678901234567890123", 414 },
        { GET H "X: 4567890\r\n\r\n", 0 },
        { GET H "X: 45678901\r\n\r\n", 431 },
        { GET H "X12345678901", 431 },
        { GET H "X: y\r\n\r\n", 0 },
        { GET H "X: y\r\nX: z\r\n\r\n", 431 },
        { GET H "X: y\r\nX", MORE },
    };

    (void)state;
    for (size_t n = 0; n < sizeof(lines) / sizeof(*lines); n++) {
        int want = lines[n].status;

        for (size_t step = 1; step < 60; step += 7) {
            int got = parse_with(&narrow, lines[n].text, step);

            if (got != want) {
                fail_msg("\"%s\" by %zu: %d, wanted %d", lines[n].text, step, got, want);
            }
        }
    }
}

/* A head of many long fields ends where a buffer may end. */
static void whole_head_is_bounded(void **state)
{
    const struct h1_limits wide = { 100, 0, 100 };
    struct h1_field fields[H1_FIELDS_MAX];
    struct h1_head head;
    size_t max = h1_head_max(&wide), len;
    char *buf = malloc(max + 1);
    enum h1_outcome outcome = H1_MORE;

    (void)state;
    assert_non_null(buf);
    len = (size_t)sprintf(buf, "%s%s", GET, H);
    h1_head_init(&head, fields, H1_FIELDS_MAX);
    while (outcome == H1_MORE && len < max) {
        buf[len] = "X: abcdefghijklmnop\r\n"[(len - strlen(GET H)) % 21];
        outcome = h1_parse_head(&head, buf, ++len, &wide);
    }
    assert_int_equal(outcome, H1_REFUSED);
    assert_int_equal(head.status, 431);
    free(buf);
}

static void what_was_asked_is_known_of_refused_heads(void **state)
{
    static const struct {
        const char *text, *line, *method;
    } heads[] = {
        { "GET /x HTTP/3.0\r\nHost: a\r\n\r\n", "GET /x HTTP/3.0", "GET" },
        { "GET /x HTTP/1.1\r\n: a\r\n\r\n", "GET /x HTTP/1.1", "GET" },
        { "\r\nGET /x\nabc\r\n", "GET /x", "" },
        { "@", "@", "" },
    };

    (void)state;
    for (size_t n = 0; n < sizeof(heads) / sizeof(*heads); n++) {
        struct h1_field fields[4];
        struct h1_head head;
        char buf[100];

        strcpy(buf, heads[n].text);
        h1_head_init(&head, fields, 4);
        assert_int_equal(h1_parse_head(&head, buf, strlen(buf), &limits), H1_REFUSED);
        same_slice(heads[n].text, head.request_line, head.line_len, heads[n].line);
        same_slice(heads[n].text, head.method, head.method_len, heads[n].method);
        assert_int_equal(head.length, strlen(heads[n].text));
    }
}

static void equal_lengths_become_one_field(void **state)
{
    char buf[] = POST "Content-Length: 7 , 7\r\nX: y\r\nContent-Length: 7\r\nZ: 1\r\n\r\n";
    struct h1_field fields[8];
    struct h1_head head;

    (void)state;
    h1_head_init(&head, fields, 8);
    assert_int_equal(h1_parse_head(&head, buf, sizeof(buf) - 1, &limits), H1_COMPLETE);
    assert_int_equal(head.field_count, 4);
    assert_string_equal(fields[1].value, "7");
    assert_string_equal(fields[2].name, "X");
    assert_string_equal(fields[3].name, "Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),
        cmocka_unit_test(byte_by_byte),
        cmocka_unit_test(with_a_request_behind),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(whole_head_is_bounded),
        cmocka_unit_test(what_was_asked_is_known_of_refused_heads),
        cmocka_unit_test(equal_lengths_become_one_field),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
