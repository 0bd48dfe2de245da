# SPDX-License-Identifier: Apache-2.0
"""A WebSocket client over a bare socket. It sends what it is told, right or wrong, and takes
nothing from the server that RFC 6455 and RFC 7692 do not allow."""
import base64
import hashlib
import os
import struct
import zlib

from . import http

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
TAIL = b"\x00\x00\xff\xff"


def mask(data, key):
    if not data:
        return b""
    whole = (key * (len(data) // 4 + 1))[:len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(data), "big")


def frame(opcode, payload=b"", fin=True, rsv=0, masked=True, key=None, length=None, size=None):
    """The bytes of a frame. length: what it claims to hold; size: 7, 16 or 64, the bits that its
    length takes whatever it needs."""
    length = len(payload) if length is None else length
    size = size or (7 if length < 126 else 16 if length < 65536 else 64)
    second = length if size == 7 else 126 if size == 16 else 127
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode, (0x80 if masked else 0) | second])
    if size == 16:
        head += struct.pack("!H", length)
    elif size == 64:
        head += struct.pack("!Q", length)
    if not masked:
        return head + payload
    key = os.urandom(4) if key is None else key
    return head + key + mask(payload, key)


def close_payload(code, reason=b""):
    return struct.pack("!H", code) + reason


class Refused(Exception):
    def __init__(self, answer):
        super().__init__(repr(answer))
        self.answer = answer
        self.status = answer.status


def handshake(target="/echo", fields=(), key=None, host="localhost", version="13", origin=None,
              protocols=None, extensions=None, more=b""):
    """The request's bytes, and the key that stands in it."""
    key = base64.b64encode(os.urandom(16)).decode() if key is None else key
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"]
    for name, value in (("Sec-WebSocket-Key", key), ("Sec-WebSocket-Version", version),
                        ("Origin", origin), ("Sec-WebSocket-Protocol", protocols),
                        ("Sec-WebSocket-Extensions", extensions)):
        if value:
            lines.append(f"{name}: {value}")
    lines += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + more, key


class Socket(http.Connection):
    """Opened at once; Refused where the answer is not a 101."""

    def __init__(self, address, target="/echo", tls=None, sni=None, timeout=http.PATIENCE, **more):
        super().__init__(address, timeout, tls=tls, sni=sni)
        request, key = handshake(target, **more)
        self.inflater = self.deflater = None
        self.send(request)
        line, fields = self._head()
        self.answer_head = http.Answer(line, fields, b"", [])
        if self.answer_head.status != 101:
            self.answer_head.body = self._take(int(self.answer_head.get("Content-Length") or 0))
            raise Refused(self.answer_head)
        self._check(key, more)

    def _check(self, key, asked):
        a = self.answer_head
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        assert a.get("Sec-WebSocket-Accept") == accept, a
        assert a.get("Upgrade").lower() == "websocket" and a.get("Connection").lower() == "upgrade", a
        assert a.get("Content-Length") is None and a.get("Transfer-Encoding") is None, a
        self.protocol = a.get("Sec-WebSocket-Protocol")
        if self.protocol:
            assert self.protocol in asked["protocols"].replace(" ", "").split(","), a
        self.terms = None
        if a.get("Sec-WebSocket-Extensions"):
            self._agree(a.get("Sec-WebSocket-Extensions"))

    def _agree(self, text):
        name, *parts = [part.strip() for part in text.split(";")]
        assert name == "permessage-deflate", text
        self.terms = dict((part.split("=") + [True])[:2] for part in parts)
        assert set(self.terms) <= {"server_no_context_takeover", "client_no_context_takeover",
                                   "server_max_window_bits", "client_max_window_bits"}, text

    # ---- Sending ------------------------------------------------------------------

    def frame(self, opcode, payload=b"", **more):
        self.send(frame(opcode, payload, **more))

    def text(self, text):
        self.frame(TEXT, text.encode() if isinstance(text, str) else text)

    def binary(self, data):
        self.frame(BINARY, data)

    def ping(self, payload=b""):
        self.frame(PING, payload)

    def compress(self, data):
        """A message's bytes as agreed."""
        bits = int(self.terms.get("client_max_window_bits", 15))
        if self.deflater is None or "client_no_context_takeover" in self.terms:
            self.deflater = zlib.compressobj(6, zlib.DEFLATED, -max(bits, 9))
        packed = self.deflater.compress(data) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
        assert packed.endswith(TAIL)
        return packed[:-4]

    def packed(self, opcode, data, pieces=1):
        """A compressed message, in so many frames."""
        data = self.compress(data)
        step = len(data) // pieces + 1
        for i in range(pieces):
            self.frame(opcode if i == 0 else CONTINUATION, data[i * step:(i + 1) * step],
                       fin=i == pieces - 1, rsv=4 if i == 0 else 0)

    # ---- Receiving ------------------------------------------------------------------

    def next_frame(self):
        """(opcode, fin, rsv, payload) as the server may send it."""
        first, second = self._take(2)
        opcode, fin, rsv = first & 15, bool(first & 0x80), first >> 4 & 7
        assert not second & 0x80, "the server masks"
        length = second & 127
        if length == 126:
            length, = struct.unpack("!H", self._take(2))
            assert length > 125, "a length in more bytes than it needs"
        elif length == 127:
            length, = struct.unpack("!Q", self._take(8))
            assert 65535 < length < 1 << 63, "a length in more bytes than it needs"
        assert opcode in (0, 1, 2, 8, 9, 10), opcode
        if opcode & 8:
            assert fin and not rsv and length <= 125, (opcode, fin, rsv, length)
        return opcode, fin, rsv, self._take(length)

    def _inflate(self, data):
        assert self.terms is not None, "compressed, though nothing was agreed"
        bits = int(self.terms.get("server_max_window_bits", 15))
        if self.inflater is None or "server_no_context_takeover" in self.terms:
            self.inflater = zlib.decompressobj(-bits)
        return self.inflater.decompress(data + TAIL)

    def message(self, pongs=False):
        """The next message, (opcode, bytes); a close frame is one too. Pings are answered."""
        kind, data, packed = None, bytearray(), False
        while True:
            opcode, fin, rsv, payload = self.next_frame()
            if opcode == PING:
                self.frame(PONG, payload)
                continue
            if opcode == CLOSE or (opcode == PONG and pongs):
                return opcode, payload
            if opcode == PONG:
                continue
            if opcode == CONTINUATION:
                assert kind is not None and rsv == 0, "a continuation of nothing"
            else:
                assert kind is None and rsv in (0, 4), (kind, rsv)
                kind, packed = opcode, rsv == 4
            data += payload
            if fin:
                whole = self._inflate(bytes(data)) if packed else bytes(data)
                if kind == TEXT:
                    whole.decode("utf-8")
                self.was_packed = packed
                return kind, whole

    def closed(self):
        """Awaits the closing frame and the end behind it; its code, None where it has none."""
        opcode, payload = self.message()
        assert opcode == CLOSE, (opcode, payload[:100])
        assert len(payload) != 1, payload
        assert self.at_end(), bytes(self.buffer[:100])
        return struct.unpack("!H", payload[:2])[0] if payload else None

    def bye(self, code=1000, reason=b""):
        """Closes as it should be, and awaits the answer."""
        self.frame(CLOSE, close_payload(code, reason))
        return self.closed()
