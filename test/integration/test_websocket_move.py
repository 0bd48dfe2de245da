# SPDX-License-Identifier: Apache-2.0
"""WebSockets over reloads: they move to the new generation, whose code answers their next message,
and no message is lost, doubled or out of order."""
import os
import selectors
import ssl
import struct
import time

import pytest

from harness.env import sized, until
from harness.http import Broken
from harness.websocket import (BINARY, CLOSE, CONTINUATION, PING, TEXT, Socket, close_payload, frame)

# An endpoint that keeps nothing, one that keeps a count and moves it, one that keeps something and
# cannot, and one whose callback blocks.
SOURCE = r"""
#include <instar/websocket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSION @VERSION@

static void answer(ins_ws *ws, const char *words, const void *data, long count)
{
    char text[400];

    snprintf(text, sizeof(text), "%d %s %.200s %ld", VERSION, words, (const char *)data, count);
    ins_ws_text(ws, text);
}

static void plain(ins_ws *ws, int type, const void *data, size_t len)
{
    (void)type;
    if (len > 200) {
        ins_ws_send(ws, type, data, len);
        return;
    }
    answer(ws, "plain", data, (long)len);
}

/* The request can be read in whatever generation. */
static void asked(ins_ws *ws, int type, const void *data, size_t len)
{
    ins_request *r = ins_ws_request(ws);
    char text[400];

    (void)type;
    (void)len;
    snprintf(text, sizeof(text), "%d %.20s %s %s %s %s %s %d %s", VERSION, (const char *)data,
             ins_param(r, "name"), ins_query(r, "q"), ins_header(r, "X-Mine"), r->user,
             r->connection->client_ip, r->connection->secure,
             ins_ws_protocol(ws) ? ins_ws_protocol(ws) : "none");
    ins_ws_text(ws, text);
}

static int name_user(ins_request *r)
{
    r->user = "zoe";
    return INS_OK;
}

static int asked_open(ins_ws *ws, ins_request *r)
{
    (void)r;
    ins_ws_choose(ws, "two");
    return INS_OK;
}

struct state {
    long count;
    char name[32];
};

static int count_open(ins_ws *ws, ins_request *r)
{
    struct state *s = calloc(1, sizeof(*s));

    snprintf(s->name, sizeof(s->name), "%s", ins_query(r, "name") ? ins_query(r, "name") : "-");
    ins_ws_set_data(ws, s);
    return INS_OK;
}

static void count(ins_ws *ws, int type, const void *data, size_t len)
{
    struct state *s = ins_ws_data(ws);

    (void)type;
    (void)len;
    s->count++;
    answer(ws, s->name, data, s->count);
}

static void count_close(ins_ws *ws, int code, const char *reason)
{
    (void)code;
    (void)reason;
    free(ins_ws_data(ws));
}

static int64_t count_freeze(ins_ws *ws, void *room, size_t size)
{
    struct state *s = ins_ws_data(ws);

    if (strcmp(s->name, "stay") == 0) {
        return -1;
    }
    memcpy(room, s, size < sizeof(*s) ? size : sizeof(*s));
    if (ins_ws_text(ws, "never") == 0) {
        ins_ws_text(ws, "sent");
    }
    return sizeof(*s);
}

static int count_thaw(ins_ws *ws, uint32_t version, const void *state, size_t len)
{
    struct state *s = calloc(1, sizeof(*s));

    if (len != sizeof(*s) || version > VERSION) {
        return INS_DECLINED;
    }
    memcpy(s, state, len);
    ins_ws_set_data(ws, s);
    return strcmp(s->name, "refuse") == 0 ? INS_DECLINED : INS_OK;
}

static void count_drain(ins_ws *ws)
{
    struct state *s = ins_ws_data(ws);

    if (strcmp(s->name, "told") == 0) {
        ins_ws_text(ws, "soon");
    }
}

static void slow(ins_ws *ws, int type, const void *data, size_t len)
{
    (void)type;
    answer(ws, "began", data, (long)len);
    ins_ws_will_block(ws);
    while (access("@ROOT@/run/go", F_OK) != 0) {
        usleep(10000);
    }
    answer(ws, "ended", data, (long)len);
}

static const ins_hook hooks[] = { INS_HOOK(access_checker, name_user, INS_MIDDLE), { 0 } };

static const ins_socket sockets[] = {
    { "plain", .message = plain },
    { "asked", .open = asked_open, .message = asked },
    { "count", .open = count_open, .message = count, .close = count_close, .version = VERSION,
      .freeze = count_freeze, .thaw = count_thaw, .drain = count_drain },
    { "keeps", .open = count_open, .message = count, .close = count_close },
    { "slow", .message = slow },
    { 0 },
};

INS_MODULE(live_module) = { INS_MODULE_HEADER, .sockets = sockets, .hooks = hooks };
"""

CONFIG = """
GracefulShutdownTimeout {deadline}
WebSocketTimeout 300
Route WS /plain plain
Route WS /asked/{{name}} asked
Route WS /count count
Route WS /keeps keeps
Route WS /slow slow
<Location /plain>
    WebSocketCompression context-takeover
    WebSocketMaxMessage 100000
</Location>
"""


class Live:
    """A server with the module, in versions."""

    def __init__(self, server, authority=None, deadline=300, **more):
        self.s = server(start=False, **more)
        self.version = 0
        config = CONFIG.format(deadline=deadline)
        if authority:
            self.s.listen += f"\nListen 127.0.0.1:{self.s.ports[1]} https"
            config += f"""
                <VirtualHost *:{self.s.ports[1]}>
                    SSLEngine On
                    SSLCertificateFile {authority.folder}/localhost.pem
                    SSLCertificateKeyFile {authority.folder}/localhost.key
                </VirtualHost>"""
        self.s.write_config(config)
        self.write()
        self.s.write_config()
        self.s.start()

    def write(self):
        self.version += 1
        self.s.write_module("live", SOURCE.replace("@VERSION@", str(self.version))
                            .replace("@ROOT@", self.s.root))

    def reload(self):
        self.write()
        self.s.reload()

    def alone(self, seconds=None):
        """The old generations are gone."""
        until(lambda: not self.s.old_generations(), "the old generation is gone",
              *([self.s.slack(seconds)] if seconds else []))


@pytest.fixture
def live(server):
    return Live(server)


def said(ws):
    opcode, data = ws.message()
    assert opcode == TEXT, (opcode, data)
    return data.decode()


def test_a_websocket_gets_new_code_and_the_old_generation_ends(live):
    with Socket(live.s.address, "/plain") as ws:
        for version in (1, 2):
            ws.text(f"m{version}")
            assert said(ws) == f"{version} plain m{version} 2"
            live.reload()
            live.alone()
        assert ws.bye() == 1000


def test_it_moves_on_a_unix_socket(server):
    live = Live(server, listen="Listen unix:run/http.sock")
    with Socket(live.s.path("run", "http.sock"), "/plain") as ws:
        live.reload()
        live.alone()
        ws.text("x")
        assert said(ws) == "2 plain x 1"


def test_it_moves_under_tls(server, authority):
    live = Live(server, authority)
    with Socket(("127.0.0.1", live.s.ports[1]), "/asked/tls", tls=authority.client(),
                sni="localhost") as ws:
        for version in (1, 2):
            ws.text("x")
            assert said(ws) == f"{version} x tls (null) (null) zoe 127.0.0.1 1 none"
            live.reload()
            live.alone()
        ws.text("y")
        assert said(ws) == "3 y tls (null) (null) zoe 127.0.0.1 1 none"


def test_the_opening_request_can_be_read_after_moves(live):
    with Socket(live.s.address, "/asked/n%C3%A4me?q=a+b", protocols="one, two",
                fields=[("X-Mine", "yes")]) as ws:
        for version in (1, 2):
            ws.text("x")
            assert said(ws) == f"{version} x näme a b yes zoe 127.0.0.1 0 two"
            live.reload()
            live.alone()


def test_what_a_module_keeps_is_frozen_and_thawed(live):
    with Socket(live.s.address, "/count?name=anna") as ws:
        for version in (1, 2):
            ws.text("x")
            assert said(ws) == f"{version} anna x {version}"
            live.reload()
            live.alone()


def test_the_drain_callback_is_heard(live):
    with Socket(live.s.address, "/count?name=told") as ws:
        live.reload()
        assert said(ws) == "soon"
        live.alone()
        ws.text("x")
        assert said(ws) == "2 told x 1"


def test_a_thaw_that_refuses_closes_with_1012(live):
    with Socket(live.s.address, "/count?name=refuse") as ws:
        live.reload()
        assert ws.closed() == 1012


def test_a_route_that_is_gone_closes_with_1012(live):
    with Socket(live.s.address, "/plain") as gone, Socket(live.s.address, "/count") as stays:
        live.s.replace("Route WS /plain plain\n", "")
        live.s.reload()
        assert gone.closed() == 1012
        stays.text("x")
        assert said(stays) == "1 - x 1"


def test_an_older_state_than_the_code_is_told_its_version(live):
    """Back to code that does not know the newer state: its thaw refuses."""
    live.reload()
    with Socket(live.s.address, "/count") as ws:
        live.version = 0
        live.reload()
        assert ws.closed() == 1012


def test_an_upgrade_of_the_binary_moves_them_and_a_rollback_back(live):
    with Socket(live.s.address, "/plain") as ws, Socket(live.s.address, "/count") as count:
        live.reload()
        live.alone()
        for verb, version in (("upgrade", 2), ("rollback", 1)):
            outcome = live.s.graceful(verb)
            assert outcome["ok"], outcome
            live.alone()
            ws.text("x")
            assert said(ws) == f"{version} plain x 1"
        # state of version 2, which the code of version 1 refused
        assert count.closed() == 1012


def test_those_that_the_new_worker_has_no_room_for_go_on_in_the_old_one(server):
    live = Live(server, workers=1)
    sockets = [Socket(live.s.address, target) for target in ("/plain", "/count") * 5]
    live.s.write_config(live.s.config + "MaxConnections 4\n")
    live.reload()
    versions = []
    for ws in sockets:
        ws.text("x")
        versions.append(said(ws).split()[0])
    assert versions.count("2") <= 4 and versions.count("1") >= 6, versions
    for ws in sockets:
        assert ws.bye() == 1000
    live.alone()


def staying(live, authority):
    """Those that cannot move: of modules that keep something, or will not; TLS 1.2."""
    tls = {"tls": authority.client(version=ssl.TLSVersion.TLSv1_2), "sni": "localhost"}
    return [Socket(live.s.address, "/keeps"), Socket(live.s.address, "/count?name=stay"),
            Socket(("127.0.0.1", live.s.ports[1]), "/plain", **tls)]


def test_those_that_cannot_move_stay_with_the_old_code(server, authority):
    live = Live(server, authority)
    sockets = staying(live, authority)
    live.reload()
    for ws in sockets:
        ws.text("x")
        assert said(ws).startswith("1 ")
    assert live.s.old_generations()
    for ws in sockets:
        ws.frame(CLOSE)
        assert ws.message() == (CLOSE, b"")
        ws.close()
    live.alone()


def test_those_that_cannot_move_are_closed_at_the_deadline(server, authority):
    live = Live(server, authority, deadline=1)
    sockets = staying(live, authority)
    live.reload()
    for ws in sockets:
        assert ws.message()[1][:2] == struct.pack("!H", 1012)
        ws.close()
    live.alone()


def test_a_graceful_stop_says_going_away(live):
    with Socket(live.s.address, "/plain") as ws:
        live.s.spawn(live.s.ctl_command("graceful-stop")).wait()
        assert ws.message() == (CLOSE, close_payload(1001))
        ws.frame(CLOSE, close_payload(1001))
        assert ws.at_end()


# ---- In the middle of things -------------------------------------------------------------------


MESSAGE = frame(TEXT, "grüße ".encode() * 10, fin=False) + frame(PING, b"p") + frame(
    CONTINUATION, "aus köln".encode() * 10)


def test_it_moves_in_the_middle_of_a_frame(live):
    """Cut at every byte, each in a connection of its own."""
    sockets = [Socket(live.s.address, "/plain") for _ in range(1, len(MESSAGE))]
    for cut, ws in enumerate(sockets, 1):
        ws.send(MESSAGE[:cut])
    live.reload()
    live.alone()
    for cut, ws in enumerate(sockets, 1):
        ws.send(MESSAGE[cut:])
        assert said(ws).startswith("2 plain " + ("grüße " * 10 + "aus köln" * 10)[:100])
        assert ws.bye() == 1000
        ws.close()


def test_text_that_becomes_invalid_behind_the_move(live):
    with Socket(live.s.address, "/plain") as ws:
        whole = frame(TEXT, b"\xed\xa0\x80")  # masked by chance
        ws.send(whole[:-2])
        live.reload()
        live.alone()
        ws.send(whole[-2:])
        assert ws.closed() == 1007


@pytest.mark.parametrize("offer", ["permessage-deflate; client_max_window_bits",
                                   "permessage-deflate; client_no_context_takeover"])
def test_compression_goes_on(live, offer):
    data = os.urandom(3000).hex().encode()
    with Socket(live.s.address, "/plain", extensions=offer) as ws:
        for _ in range(2):
            ws.packed(BINARY, data)
            assert ws.message() == (BINARY, data)
            assert ws.was_packed
            packed = ws.compress(data)
            ws.frame(BINARY, packed[:20], rsv=4, fin=False)
            live.reload()
            live.alone()
            ws.frame(CONTINUATION, packed[20:])
            assert ws.message() == (BINARY, data)


def test_a_callback_that_runs_delays_its_own_connection_alone(live):
    with Socket(live.s.address, "/slow") as slow, Socket(live.s.address, "/plain") as quick:
        slow.text("a")
        assert said(slow) == "1 began a 1"
        slow.text("b")
        live.reload()
        quick.text("x")
        assert said(quick) == "2 plain x 1"
        live.s.write("run/go", "")
        assert said(slow) == "1 ended a 1"
        # b came behind a: the old code may have begun with it, but whoever did ends it
        began = said(slow)
        assert began in ("1 began b 1", "2 began b 1")
        assert said(slow) == began.replace("began", "ended")
        live.alone()
        slow.text("c")
        assert said(slow) == "2 began c 1"


def test_output_that_a_slow_client_has_not_taken_moves_or_waits(live):
    data = os.urandom(60000)
    with Socket(live.s.address, "/plain") as ws:
        ws.socket.settimeout(0.2)
        sent = 0
        try:
            while sent < 2000:
                ws.binary(data)
                sent += 1
        except (OSError, Broken):  # the server takes no more, and a frame is cut somewhere
            pass
        ws.socket.settimeout(60)
        live.reload()
        for _ in range(sent):
            assert ws.message() == (BINARY, data)
        live.alone()


# ---- Many ---------------------------------------------------------------------------------------------


class Counting:
    """Many WebSockets, each sending numbers and awaiting them back in order."""

    def __init__(self, sockets):
        self.sockets = sockets
        self.next = [0] * len(sockets)
        self.seen = [0] * len(sockets)
        self.versions = [0] * len(sockets)
        self.silence = 0.0
        self.last = [time.monotonic()] * len(sockets)
        self.select = selectors.DefaultSelector()
        for i, ws in enumerate(sockets):
            self.select.register(ws.socket, selectors.EVENT_READ, i)

    def send(self, i):
        self.next[i] += 1
        self.sockets[i].text(str(self.next[i]))

    def take(self, i):
        ws = self.sockets[i]
        assert ws.more(), f"socket {i} was closed"
        while len(ws.buffer) >= 2 and len(ws.buffer) >= 2 + ws.buffer[1]:
            version, _, number, _ = said(ws).split()
            assert int(number) == self.seen[i] + 1, (i, number, self.seen[i])
            assert int(version) >= self.versions[i], "older code behind newer"
            self.seen[i] += 1
            self.versions[i] = int(version)
            self.silence = max(self.silence, time.monotonic() - self.last[i])
            self.last[i] = time.monotonic()

    def turn(self, window=2):
        """Everybody has a few messages under way; what has come is taken."""
        for i in range(len(self.sockets)):
            while self.next[i] - self.seen[i] < window:
                self.send(i)
        for key, _ in self.select.select(0.05):
            self.take(key.data)

    def until(self, condition, what):
        end = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < end, what
            self.turn()

    def finish(self):
        end = time.monotonic() + 120
        while self.seen != self.next:
            assert time.monotonic() < end, "answers are missing"
            for key, _ in self.select.select(0.05):
                self.take(key.data)


def count_over_reloads(live, sockets, reloads):
    counting = Counting(sockets)
    for _ in range(reloads):
        live.write()
        reload = live.s.spawn(live.s.ctl_command("graceful"))
        counting.until(lambda: reload.poll() is not None, "the reload ends")
        assert reload.returncode == 0, live.s.log()[-3000:]
        done = time.monotonic()
        counting.until(lambda: min(counting.versions) == live.version, "all have new code")
        counting.until(lambda: not live.s.old_generations(), "the old generation is gone")
        assert time.monotonic() - done < sized(60, 3, 120)
    counting.finish()
    return counting


def test_many_lose_nothing_over_reloads(server):
    live = Live(server)
    sockets = [Socket(live.s.address, "/count" if i % 2 else "/plain")
               for i in range(sized(200, 10000, 60))]
    count_over_reloads(live, sockets, sized(5, 20, 3))
    for ws in sockets:
        ws.close()


def test_many_under_tls_lose_nothing_over_reloads(server, authority):
    live = Live(server, authority)
    context = authority.client()
    sockets = [Socket(("127.0.0.1", live.s.ports[1]), "/count" if i % 2 else "/plain", tls=context,
                      sni="localhost") for i in range(sized(40, 2000, 20))]
    count_over_reloads(live, sockets, sized(3, 20, 2))
    for ws in sockets:
        ws.close()
