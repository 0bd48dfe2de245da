# SPDX-License-Identifier: Apache-2.0
"""Servers that speak TLS, and what the openssl program says of them."""
import re
import subprocess

from .env import PATIENCE
from .modules import PROBE, PROBE_ROUTES



def request(host="localhost"):
    return f"GET /info HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


def make(maker, authority, config, files=None, start=True, **more):
    """A server with the probe's routes and an https listener at s.tls. config may name {ca} (the
    authority's folder), {tls} (the port) and {root}; files are written into the server's folder."""
    s = maker(start=False, modules={"probe": PROBE}, **more)
    s.tls = s.ports[1]
    s.listen += f"\nListen 127.0.0.1:{s.tls} https"
    for name, data in (files or {}).items():
        s.write(name, data)
    s.write_config(PROBE_ROUTES + config.format(ca=authority.folder, tls=s.tls, root=s.root))
    return s.start() if start else s


def s_client(s, *arguments, send=request()):
    """What openssl s_client prints, from connecting to the connection's end."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{s.tls}", "-ign_eof",
                           *arguments], input=send, capture_output=True, timeout=PATIENCE)
    return (done.stdout + done.stderr).decode(errors="replace")


def subject(s, *arguments):
    """The common name of the certificate that is shown; None where there is none."""
    found = re.search(r"^subject=.*CN = (.*)$", s_client(s, *arguments), re.M)
    return found.group(1) if found else None
