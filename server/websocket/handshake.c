/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake's fields, checked one by one. */
#include "websocket/handshake.h"

#include <string.h>

#include <apr_base64.h>
#include <apr_sha1.h>
#include <apr_strings.h>
#include <apr_tables.h>

#include "websocket/words.h"

enum { KEY_LEN = 24, ACCEPT_SIZE = 32 };

/* Sixteen bytes in base64 with nothing left over. */
static bool key_valid(const char *key)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    return key != NULL && strlen(key) == KEY_LEN && strspn(key, alphabet) == KEY_LEN - 2 &&
           strcmp(key + KEY_LEN - 2, "==") == 0 && strchr("AQgw", key[KEY_LEN - 3]) != NULL;
}

/* Several fields of a name reach us joined, which is no number and no key then. */
static int check_version(ins_request *r, const char **why)
{
    const char *version = ins_header(r, "Sec-WebSocket-Version");

    if (version == NULL) {
        *why = "Sec-WebSocket-Version is missing";
        return 400;
    }
    if (strcmp(version, "13") != 0) {
        *why = "the only version is 13";
        apr_table_setn(r->err_headers_out, "Sec-WebSocket-Version", "13");
        apr_table_setn(r->err_headers_out, "Upgrade", "websocket");
        return 426;
    }
    return INS_OK;
}

static const char *check_fields(ins_request *r, const struct ws_settings *settings,
                                struct ws_terms *terms)
{
    const char *protocols = ins_header(r, "Sec-WebSocket-Protocol");
    const char *extensions = ins_header(r, "Sec-WebSocket-Extensions");

    if (r->clength != 0) {
        return "a body in the request for a WebSocket";
    }
    if (!key_valid(ins_header(r, "Sec-WebSocket-Key"))) {
        return "Sec-WebSocket-Key is not sixteen bytes in base64";
    }
    if (protocols != NULL && !ws_list_valid(protocols)) {
        return "Sec-WebSocket-Protocol is no list of different names";
    }
    *terms = (struct ws_terms){ 0 };
    if (extensions != NULL && !ws_terms_agree(terms, &settings->wish, extensions)) {
        return "Sec-WebSocket-Extensions is no list of extensions";
    }
    return NULL;
}

int ws_handshake_check(ins_request *r, const struct ws_settings *settings, struct ws_terms *terms,
                       const char **why)
{
    int status = check_version(r, why);

    if (status != INS_OK) {
        return status;
    }
    *why = check_fields(r, settings, terms);
    if (*why != NULL) {
        return 400;
    }
    if (!ws_origin_allowed(r, ins_header(r, "Origin"), ins_header(r, "Host"))) {
        *why = "WebSocketOrigin does not name the page's origin";
        return 403;
    }
    return INS_OK;
}

static const char *accept_text(ins_request *r)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    const char *key = ins_header(r, "Sec-WebSocket-Key");
    unsigned char digest[APR_SHA1_DIGESTSIZE];
    char *text = ins_alloc(r, ACCEPT_SIZE);
    apr_sha1_ctx_t sha1;

    apr_sha1_init(&sha1);
    apr_sha1_update(&sha1, key, KEY_LEN);
    apr_sha1_update(&sha1, guid, sizeof(guid) - 1);
    apr_sha1_final(digest, &sha1);
    (void)apr_base64_encode_binary(text, digest, sizeof(digest));
    return text;
}

void ws_handshake_accept(ins_request *r, const struct ws_terms *terms, const char *protocol)
{
    r->status = 101;
    r->status_line = NULL;
    apr_table_setn(r->headers_out, "Upgrade", "websocket");
    apr_table_setn(r->headers_out, "Sec-WebSocket-Accept", accept_text(r));
    if (protocol != NULL) {
        apr_table_set(r->headers_out, "Sec-WebSocket-Protocol", protocol);
    }
    if (terms->on) {
        char *text = ins_alloc(r, WS_TERMS_MAX);

        ws_terms_text(terms, text);
        apr_table_setn(r->headers_out, "Sec-WebSocket-Extensions", text);
    }
}
