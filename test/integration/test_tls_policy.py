# SPDX-License-Identifier: Apache-2.0
"""What is spoken, found out as scanners do: everything is offered, what was chosen is taken out, until
nothing is left."""
import re

import pytest

from harness import tls

BOTH = """
SSLCertificateFile "{ca}/localhost.pem"
SSLCertificateKeyFile "{ca}/localhost.key"
SSLCertificateFile "{ca}/b.pem"
SSLCertificateKeyFile "{ca}/b.key"
"""

AEAD = {f"ECDHE-{key}-{cipher}" for key in ("ECDSA", "RSA")
        for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")}
TLS13 = {"TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"}


def chosen(s, *arguments):
    found = re.search(r"^New, \S+, Cipher is (\S+)", tls.s_client(s, *arguments), re.M)
    return found.group(1) if found and found.group(1) != "(NONE)" else None


def accepted(s, version):
    """All ciphers that the server agrees to, under one version of the protocol."""
    found = []
    while len(found) < 100:
        if version == "-tls1_3":
            left = [name for name in sorted(TLS13 | {"TLS_AES_128_CCM_SHA256"}) if name not in found]
            one = chosen(s, version, "-ciphersuites", ":".join(left)) if left else None
        else:
            without = "".join(f":!{name}" for name in found)
            one = chosen(s, version, "-cipher", f"ALL:COMPLEMENTOFALL{without}:@SECLEVEL=0")
        if one is None:
            return set(found)
        assert one not in found
        found.append(one)
    raise AssertionError(found)


def groups(s):
    return [group for group in ("X25519", "P-256", "P-384", "P-521", "X448", "ffdhe2048")
            if chosen(s, "-tls1_3", "-groups", group)]


def is_weak(cipher):
    """No forward secrecy, or no authenticated encryption."""
    return not cipher.startswith(("ECDHE-", "DHE-")) or not re.search("GCM|POLY1305|CCM", cipher)


def test_intermediate_is_the_default(server, authority):
    s = tls.make(server, authority, BOTH)
    assert accepted(s, "-tls1") == accepted(s, "-tls1_1") == set()
    assert accepted(s, "-tls1_2") == AEAD
    assert not any(is_weak(cipher) for cipher in AEAD)
    assert accepted(s, "-tls1_3") == TLS13
    assert groups(s) == ["X25519", "P-256", "P-384"]
    text = tls.s_client(s, "-tls1_2")
    assert "Compression: NONE" in text and "Secure Renegotiation IS supported" in text
    assert "Extended master secret: yes" in text


def test_intermediate_said(server, authority):
    s = tls.make(server, authority, BOTH + "SSLPolicy intermediate\n")
    assert accepted(s, "-tls1_2") == AEAD
    assert chosen(s, "-tls1_3") and not chosen(s, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")


def test_modern(server, authority):
    s = tls.make(server, authority, BOTH + "SSLPolicy modern\n")
    assert accepted(s, "-tls1_2") == set()
    assert accepted(s, "-tls1_3") == TLS13


def test_old(server, authority):
    s = tls.make(server, authority, BOTH + "SSLPolicy old\n")
    for version in ("-tls1", "-tls1_1"):
        for cipher in ("ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "AES256-SHA"):
            assert chosen(s, version, "-cipher", cipher + ":@SECLEVEL=0") == cipher
    both = accepted(s, "-tls1_2")
    assert AEAD < both and "DHE-RSA-AES256-GCM-SHA384" in both
    assert not [name for name in both if re.search("NULL|RC4|MD5|ADH|AECDH|EXP|PSK|SRP", name)]
    assert accepted(s, "-tls1_3") == TLS13
    # The server's order: the best first, whatever the client would like.
    assert chosen(s, "-tls1_2", "-cipher", "AES128-SHA:ECDHE-ECDSA-AES128-GCM-SHA256:@SECLEVEL=0") \
        == "ECDHE-ECDSA-AES128-GCM-SHA256"


@pytest.mark.parametrize("lines", [
    "SSLPolicy modern\nSSLProtocol TLSv1.2\nSSLCipherSuite ECDHE-ECDSA-AES256-GCM-SHA384\n",
    "SSLCipherSuite ECDHE-ECDSA-AES256-GCM-SHA384\nSSLProtocol TLSv1.2\nSSLPolicy modern\n"],
    ids=["behind", "before"])
def test_what_is_said_singly_counts_more(server, authority, lines):
    s = tls.make(server, authority, BOTH + lines)
    assert accepted(s, "-tls1_2") == {"ECDHE-ECDSA-AES256-GCM-SHA384"}
    assert accepted(s, "-tls1_3") == set()


HOSTS = BOTH + """
SSLProtocol TLSv1.2
<VirtualHost *:{tls}>
    ServerName localhost
    SSLEngine On
</VirtualHost>
<VirtualHost *:{tls}>
    ServerName a.example
    SSLEngine On
    SSLPolicy modern
</VirtualHost>
"""


def test_a_hosts_own_policy_replaces_what_it_inherits(server, authority):
    s = tls.make(server, authority, HOSTS)
    assert chosen(s, "-tls1_2") and not chosen(s, "-tls1_3")
    modern = ("-servername", "a.example")
    assert chosen(s, "-tls1_3", *modern) and not chosen(s, "-tls1_2", *modern)


def test_an_unknown_policy_is_named(server):
    s = server("SSLPolicy paranoid\n", start=False)
    done = s.run("-t")
    line = s.line_of("instar.conf", "SSLPolicy")
    assert done.returncode == 1 and f"instar.conf:{line}:" in done.stderr
    assert "modern, intermediate, old" in done.stderr
