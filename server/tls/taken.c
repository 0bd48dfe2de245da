/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TLS 1.3 session that began in another process and goes on here: application data,
 * KeyUpdate both ways, close_notify and alerts, nothing else. No session tickets are sent and no
 * other handshake message is taken. A session at rest is the few hundred bytes below.
 */
#include "tls/tls_internal.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

enum {
    KEY_UPDATE = 24,
    KEY_UPDATE_LEN = 5, /* with its header */
    EMPTY_MAX = 32      /* records without data among what came at once */
};

enum alert {
    ALERT_CLOSE_NOTIFY = 0,
    ALERT_UNEXPECTED_MESSAGE = 10,
    ALERT_BAD_RECORD_MAC = 20,
    ALERT_RECORD_OVERFLOW = 22,
    ALERT_ILLEGAL_PARAMETER = 47,
    ALERT_DECODE_ERROR = 50,
    ALERT_INTERNAL_ERROR = 80,
    ALERT_USER_CANCELED = 90
};
enum { ALERT_WARNING = 1, ALERT_FATAL = 2 };

struct taken {
    const struct tls13_suite *suite;
    const struct tls_context *context;
    EVP_CIPHER_CTX *cipher[TLS_DIRECTIONS]; /* while records pass; NULL at rest */
    unsigned limit;
    /* the record being read, at the front of the input, is open: the rest of it */
    size_t record_len, plain_at, plain_len; /* record_len 0: none */
    unsigned empty;
    unsigned char message[KEY_UPDATE_LEN]; /* a handshake message, as far as it has come */
    uint8_t message_len;
    bool ended;       /* close_notify came */
    bool owes_update; /* the client has asked for new keys */
    bool resumed, secure_renegotiation;
    uint8_t session_id_len;
    unsigned char session_id[SSL_MAX_SSL_SESSION_ID_LENGTH];
    unsigned char demands[TLS_DIGEST];
    long verify_result;
    size_t client_len, server_len;
    unsigned char *client, *server; /* in bytes; NULL none */
    char *sni;                      /* likewise */
    unsigned char bytes[];
};

/* ---- Beginning and end -------------------------------------------------- */

static unsigned char *keep(unsigned char **end, const void *data, size_t len)
{
    unsigned char *at = *end;

    if (len == 0) {
        return NULL;
    }
    memcpy(at, data, len);
    *end += len;
    return at;
}

bool taken_start(struct tls_conn *t, const struct taken_parts *parts)
{
    size_t room = parts->client_len + parts->server_len + parts->sni_len + 1;
    struct taken *s = calloc(1, sizeof(*s) + room);
    unsigned char *end;

    if (!s) {
        return false;
    }
    t->back = &taken_back;
    t->taken = s;
    t->began = t->told = true;
    s->suite = parts->suite;
    s->context = parts->context;
    s->limit = parts->limit;
    s->resumed = parts->resumed;
    s->secure_renegotiation = parts->secure_renegotiation;
    s->verify_result = parts->verify_result;
    s->session_id_len = (uint8_t)parts->session_id_len;
    memcpy(s->session_id, parts->session_id, parts->session_id_len);
    memcpy(s->demands, parts->demands, TLS_DIGEST);
    end = s->bytes;
    s->client_len = parts->client_len;
    s->client = keep(&end, parts->client, parts->client_len);
    s->server_len = parts->server_len;
    s->server = keep(&end, parts->server, parts->server_len);
    s->sni = (char *)keep(&end, parts->sni, parts->sni_len);
    return tls13_derive(s->suite, &t->traffic[TLS_RECEIVES]) &&
           tls13_derive(s->suite, &t->traffic[TLS_SENDS]);
}

static void drop_cipher(struct taken *s, enum tls_direction direction)
{
    EVP_CIPHER_CTX_free(s->cipher[direction]);
    s->cipher[direction] = NULL;
}

static void taken_close(struct tls_conn *t)
{
    if (t->taken) {
        drop_cipher(t->taken, TLS_RECEIVES);
        drop_cipher(t->taken, TLS_SENDS);
        free(t->taken);
    }
}

/* ---- Sending ------------------------------------------------------------ */

static EVP_CIPHER_CTX *cipher_of(struct tls_conn *t, enum tls_direction direction)
{
    struct taken *s = t->taken;

    if (!s->cipher[direction]) {
        s->cipher[direction] =
            tls13_cipher(s->suite, &t->traffic[direction], direction == TLS_SENDS);
    }
    return s->cipher[direction];
}

/* One record to the output. */
static bool put(struct tls_conn *t, enum tls13_type type, const unsigned char *data, size_t len)
{
    EVP_CIPHER_CTX *cipher = cipher_of(t, TLS_SENDS);

    if (!cipher || !out_reserve(&t->out, len + TLS13_OVERHEAD) ||
        !tls13_seal(cipher, &t->traffic[TLS_SENDS], type, data, len,
                    (unsigned char *)t->out.data + t->out.len)) {
        ERR_clear_error();
        return false;
    }
    t->out.len += len + TLS13_OVERHEAD;
    return true;
}

static bool put_alert(struct tls_conn *t, enum alert alert)
{
    unsigned char bytes[2] = { alert == ALERT_CLOSE_NOTIFY ? ALERT_WARNING : ALERT_FATAL,
                               (unsigned char)alert };

    return put(t, TLS13_ALERT, bytes, sizeof(bytes));
}

static int fail(struct tls_conn *t, enum alert alert, const char *words)
{
    (void)put_alert(t, alert);
    return tls_fail(t, words);
}

static bool renew(struct tls_conn *t, enum tls_direction direction)
{
    drop_cipher(t->taken, direction);
    if (tls13_ratchet(t->taken->suite, &t->traffic[direction])) {
        return true;
    }
    ERR_clear_error();
    return false;
}

/* Our own KeyUpdate: an answer, or because this key has sealed enough. */
static bool put_key_update(struct tls_conn *t)
{
    static const unsigned char message[KEY_UPDATE_LEN] = { KEY_UPDATE, 0, 0, 1, 0 };

    t->taken->owes_update = false;
    return put(t, TLS13_HANDSHAKE, message, sizeof(message)) && renew(t, TLS_SENDS);
}

static void taken_settle(struct tls_conn *t)
{
    if (t->taken->owes_update && !t->failed && !t->closing && !put_key_update(t)) {
        (void)tls_fail(t, "a KeyUpdate could not be sealed");
    }
}

static enum tls_result taken_write(struct tls_conn *t, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    const struct taken *s = t->taken;

    while (len > 0) {
        size_t part = len < s->limit ? len : s->limit;
        bool spent = t->traffic[TLS_SENDS].sequence >= TLS13_RECORDS_MAX;

        if (((spent || s->owes_update) && !put_key_update(t)) ||
            !put(t, TLS13_APPLICATION, bytes, part)) {
            (void)tls_fail(t, "a record could not be sealed");
            return TLS_FAILED;
        }
        bytes += part;
        len -= part;
    }
    drop_cipher(t->taken, TLS_SENDS);
    return TLS_OK;
}

static void taken_shutdown(struct tls_conn *t)
{
    (void)put_alert(t, ALERT_CLOSE_NOTIFY);
    drop_cipher(t->taken, TLS_SENDS);
}

/* ---- Receiving ---------------------------------------------------------- */

static int take_alert(struct tls_conn *t, const unsigned char *bytes, size_t len)
{
    if (len != 2) {
        return fail(t, ALERT_DECODE_ERROR, "an alert of a wrong length");
    }
    switch (bytes[1]) {
    case ALERT_CLOSE_NOTIFY:
        t->taken->ended = true;
        return TLS_OK;
    case ALERT_USER_CANCELED:
        return TLS_OK;
    default:
        return tls_fail(t, "the client has sent an alert");
    }
}

static int take_key_update(struct tls_conn *t, bool at_end)
{
    struct taken *s = t->taken;
    static const unsigned char header[KEY_UPDATE_LEN - 1] = { KEY_UPDATE, 0, 0, 1 };

    if (memcmp(s->message, header, sizeof(header)) != 0) {
        return fail(t, ALERT_DECODE_ERROR, "a KeyUpdate of a wrong length");
    }
    if (s->message[KEY_UPDATE_LEN - 1] > 1) {
        return fail(t, ALERT_ILLEGAL_PARAMETER, "a KeyUpdate that asks for nothing known");
    }
    if (!at_end) {
        return fail(t, ALERT_UNEXPECTED_MESSAGE, "something behind a KeyUpdate");
    }
    s->owes_update = s->owes_update || s->message[KEY_UPDATE_LEN - 1] == 1;
    s->message_len = 0;
    if (!renew(t, TLS_RECEIVES)) {
        return fail(t, ALERT_INTERNAL_ERROR, "new keys could not be derived");
    }
    return TLS_OK;
}

/* KeyUpdate alone, which may come in pieces. */
static int take_handshake(struct tls_conn *t, const unsigned char *bytes, size_t len)
{
    struct taken *s = t->taken;
    size_t part = KEY_UPDATE_LEN - s->message_len;

    if (len == 0 || (s->message_len == 0 && bytes[0] != KEY_UPDATE)) {
        return fail(t, ALERT_UNEXPECTED_MESSAGE, "a handshake message that has no place here");
    }
    part = part < len ? part : len;
    memcpy(s->message + s->message_len, bytes, part);
    s->message_len = (uint8_t)(s->message_len + part);
    return s->message_len < KEY_UPDATE_LEN ? TLS_OK : take_key_update(t, part == len);
}

static int take(struct tls_conn *t, unsigned type, const unsigned char *plain, size_t len)
{
    struct taken *s = t->taken;

    if (s->message_len > 0 && type != TLS13_HANDSHAKE) {
        return fail(t, ALERT_UNEXPECTED_MESSAGE, "something amid a handshake message");
    }
    s->empty = type == TLS13_APPLICATION && len > 0 ? 0 : s->empty + 1;
    if (s->empty > EMPTY_MAX) {
        return fail(t, ALERT_UNEXPECTED_MESSAGE, "too many records without data");
    }
    switch (type) {
    case TLS13_APPLICATION:
        s->plain_at = (size_t)(plain - (t->in.data + t->in.pos));
        s->plain_len = len;
        return TLS_OK;
    case TLS13_ALERT:
        return take_alert(t, plain, len);
    case TLS13_HANDSHAKE:
        return take_handshake(t, plain, len);
    default:
        return fail(t, ALERT_UNEXPECTED_MESSAGE, "a record of an unknown type");
    }
}

static int open_record(struct tls_conn *t, unsigned char *record, size_t record_len)
{
    EVP_CIPHER_CTX *cipher = cipher_of(t, TLS_RECEIVES);
    unsigned char *plain = NULL;
    size_t len = 0;
    unsigned type = 0;

    if (!cipher) {
        ERR_clear_error();
        return fail(t, ALERT_INTERNAL_ERROR, "out of memory");
    }
    switch (
        tls13_open(cipher, &t->traffic[TLS_RECEIVES], record, record_len, &type, &plain, &len)) {
    case TLS13_OPENED:
        break;
    case TLS13_BAD_MAC:
        ERR_clear_error();
        return fail(t, ALERT_BAD_RECORD_MAC, "a record that the client has not sealed");
    case TLS13_TOO_LONG:
        return fail(t, ALERT_RECORD_OVERFLOW, "a record that is too long");
    default:
        return fail(t, ALERT_UNEXPECTED_MESSAGE, "a record that has no place here");
    }
    if (len > t->taken->limit) {
        return fail(t, ALERT_RECORD_OVERFLOW, "a record longer than was agreed");
    }
    return take(t, type, plain, len);
}

/* Of the open record; it goes when nothing is left. */
static int take_plain(struct tls_conn *t, void *buf, size_t size)
{
    struct taken *s = t->taken;
    size_t len = s->plain_len < size ? s->plain_len : size;

    memcpy(buf, t->in.data + t->in.pos + s->plain_at, len);
    s->plain_at += len;
    s->plain_len -= len;
    return (int)len;
}

static int taken_wait(struct tls_conn *t)
{
    struct taken *s = t->taken;

    if (t->in.broken) {
        return fail(t, ALERT_RECORD_OVERFLOW, "what came is no TLS record");
    }
    records_settle(&t->in);
    drop_cipher(s, TLS_RECEIVES);
    s->empty = 0;
    if (t->out.len == 0) {
        taken_settle(t);
    }
    return t->failed ? TLS_FAILED : TLS_WANT_INPUT;
}

static int taken_read(struct tls_conn *t, void *buf, size_t size)
{
    struct taken *s = t->taken;

    for (;;) {
        unsigned char *record;
        size_t len;

        if (s->plain_len > 0) {
            return take_plain(t, buf, size);
        }
        if (s->record_len > 0) {
            records_skip(&t->in, s->record_len);
            s->record_len = 0;
        }
        if (s->ended) {
            return TLS_EOF;
        }
        record = records_first(&t->in, &len);
        if (!record) {
            return taken_wait(t);
        }
        s->record_len = len;
        if (open_record(t, record, len) != TLS_OK) {
            return TLS_FAILED;
        }
    }
}

/* ---- Facts -------------------------------------------------------------- */

static bool taken_established(const struct tls_conn *t)
{
    (void)t;
    return true;
}

static bool taken_resumed(const struct tls_conn *t)
{
    return t->taken->resumed;
}

static void taken_facts(const struct tls_conn *t, struct tls_facts *facts)
{
    const struct taken *s = t->taken;

    *facts = (struct tls_facts){
        .protocol = "TLSv1.3",
        .cipher = s->suite->name,
        .bits = s->suite->key_len * 8,
        .all_bits = s->suite->key_len * 8,
        .sni = s->sni,
        .session_id = s->session_id,
        .session_id_len = s->session_id_len,
        .resumed = s->resumed,
        .secure_renegotiation = s->secure_renegotiation,
        .forgives = s->context->verify == VERIFY_OPTIONAL_NO_CA,
        .verify_result = s->verify_result,
    };
}

static X509 *taken_certificate(const struct tls_conn *t, bool client)
{
    const struct taken *s = t->taken;
    const unsigned char *der = client ? s->client : s->server;

    return der ? d2i_X509(NULL, &der, (long)(client ? s->client_len : s->server_len)) : NULL;
}

/* As it came: reading one takes longer than all the rest of a move. */
static size_t taken_certificate_der(const struct tls_conn *t, bool client, unsigned char *der)
{
    const struct taken *s = t->taken;
    size_t len = client ? s->client_len : s->server_len;

    if (der && len > 0) {
        memcpy(der, client ? s->client : s->server, len);
    }
    return len;
}

static const struct tls13_suite *taken_suite(const struct tls_conn *t, unsigned *limit)
{
    *limit = t->taken->limit;
    return t->taken->suite;
}

static bool taken_at_rest(const struct tls_conn *t)
{
    const struct taken *s = t->taken;

    return s->record_len == 0 && s->message_len == 0 && !s->owes_update && !s->ended;
}

static void taken_demands(const struct tls_conn *t, unsigned char digest[TLS_DIGEST])
{
    memcpy(digest, t->taken->demands, TLS_DIGEST);
}

const struct tls_back taken_back = {
    .read = taken_read,
    .write = taken_write,
    .shutdown = taken_shutdown,
    .settle = taken_settle,
    .established = taken_established,
    .resumed = taken_resumed,
    .facts = taken_facts,
    .certificate = taken_certificate,
    .certificate_der = taken_certificate_der,
    .suite = taken_suite,
    .at_rest = taken_at_rest,
    .demands = taken_demands,
    .close = taken_close,
};
