# SPDX-License-Identifier: Apache-2.0
"""WebSocket endpoints as modules see them: open, sending from anywhere, slow clients, closing."""
import os

import pytest

from harness.env import until
from harness.websocket import BINARY, CLOSE, CONTINUATION, TEXT, Refused, Socket, close_payload

SOURCE = r"""
#include <instar/websocket.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int picky_open(ins_ws *ws, ins_request *r)
{
    const char *status = ins_query(r, "status");

    if (status) {
        return atoi(status);
    }
    if (ins_query(r, "words")) {
        return ins_error(r, 429, "one at a time");
    }
    if (ins_query(r, "decline")) {
        return INS_DECLINED;
    }
    ins_set_header(r, "X-Opened", "yes");
    ins_set_cookie(r, "seen", "1", NULL);
    ins_ws_choose(ws, "b") || ins_ws_choose(ws, "a");
    ins_ws_text(ws, "welcome");
    return INS_OK;
}

static void picky(ins_ws *ws, int type, const void *data, size_t len)
{
    (void)type;
    (void)len;
    ins_ws_text(ws, ((const char *)data)[len] == '\0' ? data : "no NUL");
}

/* A connection and a thread that counts down to it. */
static void *count_down(void *arg)
{
    ins_ws *ws = arg;
    char text[32];

    for (int i = 100; i > 0; i--) {
        snprintf(text, sizeof(text), "%d", i);
        if (ins_ws_text(ws, text) != 0) {
            break;
        }
    }
    ins_ws_release(ws);
    return NULL;
}

static void threads(ins_ws *ws, int type, const void *data, size_t len)
{
    pthread_t thread;

    (void)type;
    (void)data;
    (void)len;
    for (int i = 0; i < 4; i++) {
        ins_ws_hold(ws);
        pthread_create(&thread, NULL, count_down, ws);
        pthread_detach(thread);
    }
}

/* What a held handle says when its connection has gone. */
static ins_ws *held;

static void *watch(void *arg)
{
    ins_ws *ws = arg;
    struct timespec pause = { 0, 5000000 };

    while (ins_ws_text(ws, "tick") == 0) {
        nanosleep(&pause, NULL);
    }
    ins_ws_release(ws);
    __atomic_store_n(&held, NULL, __ATOMIC_SEQ_CST);
    return NULL;
}

static int hold_open(ins_ws *ws, ins_request *r)
{
    pthread_t thread;

    (void)r;
    __atomic_store_n(&held, ws, __ATOMIC_SEQ_CST);
    ins_ws_hold(ws);
    pthread_create(&thread, NULL, watch, ws);
    pthread_detach(thread);
    return INS_OK;
}

static int is_held(ins_request *r)
{
    ins_puts(r, __atomic_load_n(&held, __ATOMIC_SEQ_CST) ? "held" : "gone");
    return INS_OK;
}

/* As many messages of 10 KB as are asked for, numbered. */
static void flood(ins_ws *ws, int type, const void *data, size_t len)
{
    static char text[10000];
    int count = atoi(data), sent = 0;

    (void)type;
    (void)len;
    memset(text, '.', sizeof(text));
    for (int i = 0; i < count; i++) {
        snprintf(text, 16, "%d", i);
        text[strlen(text)] = ' ';
        sent += ins_ws_send(ws, INS_WS_BINARY, text, sizeof(text)) == 0;
    }
    snprintf(text, 32, "%d", sent);
    ins_ws_text(ws, text);
}

static void pieces(ins_ws *ws, int type, const void *data, size_t len)
{
    char text[64];

    (void)data;
    (void)len;
    ins_ws_begin(ws, type);
    ins_ws_more(ws, "one ", 4);
    ins_ws_text(ws, "between");
    snprintf(text, sizeof(text), "%d ", ins_ws_begin(ws, type));
    ins_ws_more(ws, text, strlen(text));
    ins_ws_more(ws, "two", 3);
    ins_ws_end(ws);
    snprintf(text, sizeof(text), "%d %d", ins_ws_more(ws, "x", 1), ins_ws_end(ws));
    ins_ws_text(ws, text);
    snprintf(text, sizeof(text), "%d %d", ins_ws_text(ws, "\xff"), ins_ws_send(ws, 3, "x", 1));
    ins_ws_text(ws, text);
}

static void closer(ins_ws *ws, int type, const void *data, size_t len)
{
    char text[64];
    char reason[200];

    (void)type;
    (void)len;
    if (strcmp(data, "bad") == 0) {
        snprintf(text, sizeof(text), "%d %d %d", ins_ws_close(ws, 1005, NULL),
                 ins_ws_close(ws, 99, NULL), ins_ws_close(ws, 1000, "\xff"));
        ins_ws_text(ws, text);
        return;
    }
    ins_ws_text(ws, "last");
    memset(reason, 'r', sizeof(reason));
    memcpy(reason + 122, "\xc3\xa4", 2);
    reason[150] = '\0';
    ins_ws_close(ws, 4001, strcmp(data, "long") == 0 ? reason : data);
    ins_ws_text(ws, "never");
}

static char log_path[] = "@ROOT@/run/closed";

static void closed(ins_ws *ws, int code, const char *reason)
{
    FILE *log = fopen(log_path, "a");

    fprintf(log, "%d %s %s\n", code, reason, ins_query(ins_ws_request(ws), "name"));
    fclose(log);
}

static int busy;

/* Callbacks of one connection never overlap, though they block. */
static void alone(ins_ws *ws, int type, const void *data, size_t len)
{
    struct timespec pause = { 0, 20000000 };
    int before = __atomic_fetch_add(&busy, 1, __ATOMIC_SEQ_CST);

    nanosleep(&pause, NULL);
    __atomic_fetch_sub(&busy, 1, __ATOMIC_SEQ_CST);
    ins_ws_send(ws, type, before ? "overlap" : data, before ? 7 : len);
}

static void pool(ins_ws *ws, int type, const void *data, size_t len)
{
    (void)type;
    (void)data;
    (void)len;
    ins_ws_text(ws, ins_ws_pool(ws) == ins_ws_pool(ws) ? "same" : "other");
}

static const ins_socket sockets[] = {
    { "picky", .open = picky_open, .message = picky },
    { "threads", .message = threads },
    { "holder", .open = hold_open },
    { "flood", .message = flood },
    { "pieces", .message = pieces },
    { "closer", .message = closer, .close = closed },
    { "alone", .message = alone },
    { "pool", .message = pool },
    { "mute" },
    { 0 },
};
static const ins_handler handlers[] = { { "held", is_held }, { 0 } };

INS_MODULE(sockets_module) = { INS_MODULE_HEADER, .handlers = handlers, .sockets = sockets };
"""

CONFIG = """
Route WS /picky picky
Route WS /threads threads
Route WS /holder holder
Route GET /held held
Route WS /flood flood
Route WS /drops flood
Route WS /pieces pieces
Route WS /closer closer
Route WS /alone alone
Route WS /pool pool
Route WS /mute mute
Route GET /mute held
<Location /flood>
    WebSocketMaxQueue 100K
</Location>
<Location /drops>
    WebSocketMaxQueue 100K drop-oldest
    WebSocketCompression context-takeover
</Location>
"""


@pytest.fixture(scope="module")
def s(shared):
    made = shared(start=False, workers=1)
    made.write_config(CONFIG)
    made.write_module("sockets", SOURCE.replace("@ROOT@", made.root))
    made.write_config()
    os.chmod(made.path("run"), 0o777)
    return made.start()


def test_open_may_refuse_with_a_status(s):
    with pytest.raises(Refused) as caught:
        Socket(s.address, "/picky?status=403")
    assert caught.value.status == 403
    with pytest.raises(Refused) as caught:
        Socket(s.address, "/picky?words=1")
    assert caught.value.status == 429 and "one at a time" in caught.value.answer.text
    with pytest.raises(Refused) as caught:
        Socket(s.address, "/picky?decline=1")
    assert caught.value.status == 404


@pytest.mark.parametrize("offered, chosen", [("a", "a"), ("a, b", "b"), ("c", None), (None, None),
                                             ("B", None)])
def test_open_sets_fields_and_chooses_a_subprotocol(s, offered, chosen):
    with Socket(s.address, "/picky", protocols=offered) as ws:
        assert ws.protocol == chosen
        assert ws.answer_head.get("X-Opened") == "yes" and "seen=1" in ws.answer_head.get("Set-Cookie")
        assert ws.message() == (TEXT, b"welcome")
        ws.text("x" * 500)
        assert ws.message() == (TEXT, b"x" * 500)


def test_a_get_route_beside_a_websocket_answers_others(s):
    assert s.get("/mute").text in ("held", "gone")
    with Socket(s.address, "/mute") as ws:
        ws.text("into the void")
        assert ws.bye() == 1000


def test_any_thread_may_send(s):
    with Socket(s.address, "/threads") as ws:
        ws.text("go")
        seen = [int(ws.message()[1]) for _ in range(400)]
        assert sorted(seen) == sorted(list(range(1, 101)) * 4)
        assert ws.bye() == 1000


def test_a_held_handle_outlives_its_connection(s):
    with Socket(s.address, "/holder") as ws:
        assert ws.message() == (TEXT, b"tick")
        assert s.get("/held").text == "held"
    until(lambda: s.get("/held").text == "gone", "the sender has noticed")


def test_a_slow_client_is_closed_with_1013(s):
    with Socket(s.address, "/flood") as ws:
        ws.text("1000")
        opcode = BINARY
        while opcode == BINARY:
            opcode, data = ws.message()
        assert (opcode, data[:2]) == (CLOSE, close_payload(1013))
    with Socket(s.address, "/flood") as ws:
        ws.text("5")
        assert [ws.message()[1].split()[0] for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
        assert ws.message() == (TEXT, b"5")


def test_a_slow_client_may_lose_the_oldest_messages(s):
    with Socket(s.address, "/drops") as ws:
        ws.text("100000")
        numbers = []
        while True:
            opcode, data = ws.message()
            if opcode == TEXT:
                break
            numbers.append(int(data.split()[0]))
        assert data == b"100000"
        assert numbers == sorted(numbers) and len(set(numbers)) == len(numbers) < 100000
        assert numbers[-1] == 99999


def test_where_messages_may_be_dropped_none_refers_back_to_another(s):
    with Socket(s.address, "/drops", extensions="permessage-deflate") as ws:
        assert "server_no_context_takeover" in ws.terms


def test_a_message_in_pieces(s):
    with Socket(s.address, "/pieces") as ws:
        ws.text("go")
        frames = [ws.next_frame() for _ in range(4)]
        assert frames == [(TEXT, False, 0, b"one "), (CONTINUATION, False, 0, b"-1 "),
                          (CONTINUATION, False, 0, b"two"), (CONTINUATION, True, 0, b"")]
        assert ws.message() == (TEXT, b"between")
        assert ws.message() == (TEXT, b"-1 -1")
        assert ws.message() == (TEXT, b"-1 -1")


def test_a_module_closes(s):
    with Socket(s.address, "/closer?name=anna") as ws:
        ws.text("bad")
        assert ws.message() == (TEXT, b"-1 -1 -1")
        ws.text("because")
        assert ws.message() == (TEXT, b"last")
        assert ws.message() == (CLOSE, close_payload(4001, b"because"))
        ws.text("dropped")
        ws.frame(CLOSE, close_payload(4001))
        assert ws.at_end()
    until(lambda: "4001  anna" in s.read("run/closed"), "close was called")


def test_a_reason_is_cut_at_a_character(s):
    with Socket(s.address, "/closer?name=long") as ws:
        ws.text("long")
        assert ws.message() == (TEXT, b"last")
        assert ws.message() == (CLOSE, close_payload(4001, b"r" * 122))


def test_close_is_told_what_happened(s):
    with Socket(s.address, "/closer?name=berta") as ws:
        ws.bye(3000, b"enough")
    with Socket(s.address, "/closer?name=carl") as ws:
        ws.frame(TEXT, b"\xff")
        assert ws.closed() == 1007
    with Socket(s.address, "/closer?name=dora") as ws:
        ws.frame(CLOSE)
        assert ws.closed() is None
    with Socket(s.address, "/closer?name=emil"):
        pass
    for line in ("3000 enough berta", "1007 text that is not UTF-8 carl", "1005  dora", "1006  emil"):
        until(lambda wanted=line: wanted in s.read("run/closed"), line)


def test_a_client_that_does_not_answer_a_close_is_given_up(s):
    with Socket(s.address, "/closer?name=fritz") as ws:
        ws.text("x")
        assert ws.message() == (TEXT, b"last")
        assert ws.message()[0] == CLOSE
        assert ws.at_end()
    until(lambda: "1006  fritz" in s.read("run/closed"), "close was called")


def test_callbacks_of_one_connection_never_overlap(s):
    with Socket(s.address, "/alone") as ws:
        for i in range(10):
            ws.text(f"m{i}")
        assert [ws.message()[1] for _ in range(10)] == [b"m%d" % i for i in range(10)]


def test_a_callback_that_blocks_holds_nobody_else_up(s):
    with Socket(s.address, "/alone") as slow, Socket(s.address, "/pool") as quick:
        for _ in range(50):
            slow.text("x")
        quick.text("x")
        assert quick.message() == (TEXT, b"same")
        assert [slow.message()[1] for _ in range(50)] == [b"x"] * 50
