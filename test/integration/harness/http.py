# SPDX-License-Identifier: Apache-2.0
"""An HTTP/1.1 client over a bare socket, which takes nothing on trust."""
import socket
import ssl
import time

from .env import PATIENCE


class Broken(Exception):
    """The answer did not come whole: kind is refused, reset, closed, truncated, timeout or malformed."""

    def __init__(self, kind, detail=""):
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


class Answer:
    def __init__(self, line, fields, body, interim):
        self.line = line
        self.fields = fields
        self.body = body
        self.interim = interim
        self.version, self.status = line.split(" ")[0], int(line.split(" ")[1])

    def __repr__(self):
        return f"<{self.line!r} {self.fields!r} {self.body[:200]!r}>"

    def get(self, name):
        """A field's values joined by ", ", or None."""
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        return ", ".join(values) if values else None

    @property
    def text(self):
        return self.body.decode(errors="replace")

    @property
    def closes(self):
        tokens = (self.get("Connection") or "").lower().replace(" ", "").split(",")
        if self.version == "HTTP/1.0":
            return "keep-alive" not in tokens
        return "close" in tokens


class Connection:
    """One connection. address is (host, port) or a unix socket's path."""

    def __init__(self, address, timeout=PATIENCE, tls=None, sni=None):
        self.buffer = bytearray()
        try:
            if isinstance(address, str):
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.settimeout(timeout)
                self.socket.connect(address)
            else:
                self.socket = socket.create_connection(address, timeout)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                self.socket = tls.wrap_socket(self.socket, server_hostname=sni)
        except ConnectionRefusedError as error:
            raise Broken("refused", str(error)) from error
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Broken("reset", str(error)) from error
        except TimeoutError as error:
            raise Broken("timeout", "connect") from error
        except ssl.SSLError as error:
            raise Broken("tls", str(error)) from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("latin-1")
        try:
            self.socket.sendall(data)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError) as error:
            raise Broken("reset", str(error)) from error

    def more(self):
        """Reads once; False at the end of the connection."""
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Broken("reset", str(error)) from error
        except TimeoutError as error:
            raise Broken("timeout", f"after {bytes(self.buffer[:80])!r}") from error
        except ssl.SSLError as error:
            raise Broken("tls", str(error)) from error
        self.buffer += data
        return bool(data)

    def _fill(self, enough):
        while not enough():
            if not self.more():
                raise Broken("truncated" if self.buffer else "closed", repr(bytes(self.buffer[:80])))

    def _take(self, length):
        self._fill(lambda: len(self.buffer) >= length)
        data = bytes(self.buffer[:length])
        del self.buffer[:length]
        return data

    def _line(self):
        self._fill(lambda: b"\r\n" in self.buffer)
        end = self.buffer.find(b"\r\n")
        line = bytes(self.buffer[:end])
        del self.buffer[:end + 2]
        return line

    def _chunked(self):
        body = bytearray()
        while True:
            size = int(self._line(), 16)
            if size == 0:
                while self._line():
                    pass
                return bytes(body)
            body += self._take(size)
            if self._take(2) != b"\r\n":
                raise Broken("malformed", "no CRLF behind a chunk")

    def _until_end(self):
        while self.more():
            pass
        data = bytes(self.buffer)
        self.buffer.clear()
        return data

    def _head(self):
        line = self._line().decode("latin-1")
        parts = line.split(" ", 2)
        if len(parts) < 2 or parts[0] not in ("HTTP/1.1", "HTTP/1.0") or not parts[1].isdigit():
            raise Broken("malformed", repr(line))
        fields = []
        while True:
            field = self._line().decode("latin-1")
            if not field:
                return line, fields
            name, colon, value = field.partition(":")
            if not colon or name != name.strip() or not name:
                raise Broken("malformed", repr(field))
            fields.append((name, value.strip(" \t")))

    def answer(self, head=False):
        """The next final answer, whole; interim ones are kept beside it."""
        interim = []
        while True:
            line, fields = self._head()
            answer = Answer(line, fields, b"", interim)
            if answer.status >= 200:
                break
            interim.append(answer.status)
        length, coding = answer.get("Content-Length"), answer.get("Transfer-Encoding")
        if length is not None and coding is not None:
            raise Broken("malformed", "both Content-Length and Transfer-Encoding")
        if head or answer.status in (204, 304):
            return answer
        if coding is not None:
            answer.body = self._chunked()
        elif length is not None:
            answer.body = self._take(int(length))
        else:
            answer.body = self._until_end()
        return answer

    def interim(self):
        """An interim answer's status alone."""
        line, _ = self._head()
        return int(line.split(" ")[1])

    def request(self, target="/", method="GET", fields=(), body=b"", host="localhost"):
        """Sends a request as it should be and returns the answer."""
        if isinstance(body, str):
            body = body.encode()
        lines = [f"{method} {target} HTTP/1.1"]
        if host is not None:
            lines.append(f"Host: {host}")
        lines += [f"{name}: {value}" for name, value in fields]
        if body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        return self.answer(head=method == "HEAD")

    def at_end(self, timeout=None):
        """True when the server has closed and nothing more came; False where bytes came."""
        if timeout is not None:
            self.socket.settimeout(timeout)
        try:
            while not self.buffer:
                if not self.more():
                    return True
        except Broken as broken:
            if broken.kind == "timeout":
                raise
            return broken.kind == "reset"
        return False

    def still_open(self, seconds=0.2):
        """Nothing came, not the end either, for so long."""
        if self.buffer:
            return False
        old = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            self.more()
            return False
        except Broken as broken:
            return broken.kind == "timeout"
        finally:
            self.socket.settimeout(old)


def get(address, target="/", **more):
    """One request on a connection of its own."""
    tls, sni = more.pop("tls", None), more.pop("sni", None)
    timeout = more.pop("timeout", PATIENCE)
    with Connection(address, timeout, tls=tls, sni=sni) as connection:
        fields = list(more.pop("fields", ())) + [("Connection", "close")]
        return connection.request(target, fields=fields, **more)


def answers_to(address, data, pause=None, timeout=PATIENCE, piece=1):
    """Sends raw bytes, in pieces with a pause between them where one is given; returns all that
    comes until the server closes, as bytes."""
    with Connection(address, timeout) as connection:
        try:
            if pause is None:
                connection.send(data)
            else:
                for i in range(0, len(data), piece):
                    connection.send(data[i:i + piece])
                    if pause:
                        time.sleep(pause)
        except Broken:
            pass
        try:
            while connection.more():
                pass
        except Broken as broken:
            if broken.kind != "reset":
                raise
        return bytes(connection.buffer)
