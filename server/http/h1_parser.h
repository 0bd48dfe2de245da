/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 on the wire (RFC 9112): the head of a request, and the framing of
 * its body. Incremental, strict, without allocation: what it finds are
 * pointers into the caller's buffer, NUL-terminated there. No I/O.
 */
#ifndef HTTP_H1_PARSER_H
#define HTTP_H1_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    H1_FIELDS_MAX = 1000,     /* the most that LimitRequestFields may allow */
    H1_SKIP_MAX = 16,         /* bytes of empty lines before a request line */
    H1_CHUNK_LINE_MAX = 1024, /* one chunk's size with its extensions */
    H1_EXTENSIONS_MAX = 16384 /* all chunk extensions of a body */
};

struct h1_limits {
    unsigned line;       /* LimitRequestLine, bytes: 414 beyond */
    unsigned fields;     /* LimitRequestFields: 431 beyond; 0: H1_FIELDS_MAX */
    unsigned field_size; /* LimitRequestFieldSize, name and value: 431 beyond */
};

struct h1_field {
    const char *name, *value; /* value trimmed of OWS */
    uint32_t name_len, value_len;
    uint32_t name_at, value_at; /* offsets in the buffer, while H1_MORE */
};

enum h1_outcome { H1_MORE, H1_COMPLETE, H1_REFUSED };
enum h1_scheme { H1_NO_SCHEME, H1_HTTP, H1_HTTPS };
enum h1_form { H1_ORIGIN, H1_ABSOLUTE, H1_AUTHORITY, H1_ASTERISK };

/* All of it plain data, reusable; zero it with h1_head_init(). */
struct h1_head {
    /* progress while H1_MORE: offsets only, the buffer may move between calls */
    size_t skipped; /* empty lines before the request line (RFC 9112, 2.2) */
    size_t scanned; /* bytes known not to end a line */
    size_t line_start;
    unsigned lines;
    uint32_t line_at, target_at, path_at, host_at;
    bool posts, host_seen, coded, upgrade_seen, connection_upgrade, connection_close,
        connection_keep;

    /* H1_COMPLETE */
    /* bytes of the head with its last empty line, skipped ones too; while there is none,
     * and where it is refused, all that came */
    size_t length;
    const char *request_line;    /* as it came, NUL-terminated */
    const char *method, *target; /* slices of request_line: not NUL-terminated */
    uint32_t line_len, method_len, target_len;
    int proto_num; /* 1001, 1000 */
    unsigned field_count;
    struct h1_field *fields; /* the caller's, capacity field_capacity */
    unsigned field_capacity;
    /* From the absolute-form target, else the Host field's value; a slice. NULL
     * where there is neither. With port, checked by the grammar. */
    const char *host;
    uint32_t host_len, host_name_len; /* with its port, without */
    enum h1_form form;
    enum h1_scheme scheme; /* of the absolute form */
    const char
        *path; /* slice of target: "/x?y", "?y" or "" for an absolute form without path; "*" */
    uint32_t path_len;
    int64_t content_length; /* -1: no field */
    bool chunked;           /* the final coding is chunked */
    bool keep_alive;        /* what version and Connection ask for */
    bool expect_continue;   /* and a body follows */
    bool upgrade;           /* Connection: upgrade with an Upgrade field, HTTP/1.1 */

    /* H1_REFUSED: close behind the answer. request_line and line_len tell as much of the
     * line as came, unterminated; method and method_len its method, 0: none was found */
    int status;      /* 400, 411, 414, 417, 431, 501, 505 */
    const char *why; /* words for the log and the error page */
};

void h1_head_init(struct h1_head *head, struct h1_field *fields, unsigned capacity);

/* Looks at buf[0..len), which starts at the first byte of the request. While
 * H1_MORE, call again with the same bytes and more. On H1_COMPLETE the buffer has
 * been changed (NULs behind the request line, names and values); pointers stay
 * valid as long as it does. Time is linear in the bytes, however they are cut.
 * Every line is checked as soon as it is there, and against limits before that. */
enum h1_outcome h1_parse_head(struct h1_head *head, char *buf, size_t len,
                              const struct h1_limits *limits);

/* A longer head is refused (431): what a buffer must be able to grow to. */
size_t h1_head_max(const struct h1_limits *limits);

/* host [":" port] by RFC 3986: no user, no empty brackets, port up to 65535.
 * host_only, where not NULL, is told the length without the port. */
bool h1_host_valid(const char *host, size_t len, size_t *host_only);

/* ---- Body -------------------------------------------------------------- */

struct h1_body {
    bool chunked, done;
    int64_t remaining; /* of the body, or of the chunk */
    int64_t total;     /* decoded so far */
    int state;
    unsigned line;     /* bytes of the current chunk line or trailer field, bounded */
    unsigned trailers; /* fields so far, bounded */
    unsigned trailers_max, trailer_size_max;
    unsigned extensions; /* bytes of chunk extensions so far, bounded */
    int status;          /* refused: 400, 431 */
    const char *why;
};

/* From the head's framing; done at once where there is no body. limits: for trailer
 * fields, as for the head's. */
void h1_body_init(struct h1_body *body, const struct h1_head *head, const struct h1_limits *limits);

/* Decodes from in to out (they may be the same memory: out never gets ahead; out
 * NULL drops the bytes). *consumed bytes of in were used, *produced bytes written. H1_MORE: wants
 * input (or room in out); H1_COMPLETE: the body and its trailers are over. Trailer fields
 * are checked as header fields are, and dropped. */
enum h1_outcome h1_body_decode(struct h1_body *body, const char *in, size_t in_len,
                               size_t *consumed, char *out, size_t out_size, size_t *produced);

#endif
