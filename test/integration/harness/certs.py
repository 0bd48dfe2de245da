# SPDX-License-Identifier: Apache-2.0
"""Certificates by the openssl program, and client contexts that trust them."""
import os
import ssl
import subprocess


def run(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Authority:
    """A CA in a folder, and what it signs."""

    def __init__(self, folder):
        self.folder = folder
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", self.path("ca.key"), "-out", self.path("ca.pem"), "-days", "30",
            "-subj", "/O=Tests/CN=Test CA")

    def path(self, name):
        return os.path.join(self.folder, name)

    def issue(self, name, common_name, names=(), rsa=False, extra=""):
        """NAME.pem and NAME.key for a server of these names, or for a client. extra: lines of
        extensions."""
        kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        run("req", "-newkey", *kind, "-nodes", "-keyout", self.path(name + ".key"),
            "-out", self.path(name + ".csr"), "-subj", f"/O=Tests/CN={common_name}")
        alternatives = ",".join(f"DNS:{other}" for other in (names or (common_name,)))
        with open(self.path(name + ".ext"), "w") as text:
            text.write(f"subjectAltName={alternatives},IP:127.0.0.1\n{extra}")
        run("x509", "-req", "-in", self.path(name + ".csr"), "-CA", self.path("ca.pem"),
            "-CAkey", self.path("ca.key"), "-CAcreateserial", "-days", "30",
            "-extfile", self.path(name + ".ext"), "-out", self.path(name + ".pem"))
        os.chmod(self.path(name + ".key"), 0o600)
        return self.path(name + ".pem"), self.path(name + ".key")

    def client(self, certificate=None, version=None):
        """A context that trusts this CA alone."""
        context = ssl.create_default_context(cafile=self.path("ca.pem"))
        context.check_hostname = False
        if version:
            context.minimum_version = context.maximum_version = version
        if certificate:
            context.load_cert_chain(self.path(certificate + ".pem"), self.path(certificate + ".key"))
        return context
