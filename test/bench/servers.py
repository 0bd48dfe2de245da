# SPDX-License-Identifier: Apache-2.0
"""The servers that the benchmark compares, each started on one core with one
worker, logging nothing, answering the same fourteen bytes."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

SERVER_CORE = 0
BODY = "Hello, World!\n"
HELLO_C = r"""
#include <instar.h>

static int hello(ins_request *r)
{
    ins_set_type(r, "text/plain");
    ins_puts(r, "Hello, World!\n");
    return INS_OK;
}

INS_MODULE(hello_module) = {
    INS_MODULE_HEADER,
    .handlers = (const ins_handler[]) { { "hello", hello }, { 0 } },
};
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def descendants(pid):
    """The process and all below it."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


class Server:
    """A started server: its ports, its processes' CPU time and memory."""

    name = "?"

    def __init__(self, certificate):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="instar-bench-"))
        os.chmod(self.root, 0o755)
        self.port, self.tls_port = free_port(), free_port()
        self.certificate, self.key = certificate
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self):
        command = self.command()
        self.process = subprocess.Popen(
            ["taskset", "-c", str(SERVER_CORE), *command],
            stdout=subprocess.DEVNULL, stderr=open(self.root / "stderr", "wb"))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.02)
        raise RuntimeError(f"{self.name} did not start: {(self.root / 'stderr').read_text()}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def cpu_seconds(self):
        total = 0
        for pid in descendants(self.process.pid):
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def pss_bytes(self):
        total = 0
        for pid in descendants(self.process.pid):
            try:
                text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += sum(int(l.split()[1]) for l in text.splitlines() if l.startswith("Pss:"))
        return total * 1024


class Instar(Server):
    name = "instar"

    def __init__(self, certificate, prefix, extra=""):
        super().__init__(certificate)
        self.prefix = pathlib.Path(prefix)
        self.extra = extra

    def command(self):
        (self.root / "hello.c").write_text(HELLO_C)
        (self.root / "instar.conf").write_text(f"""
ServerRoot {self.root}
DefaultRuntimeDir {self.root}
ErrorLog {self.root}/error_log
Listen 127.0.0.1:{self.port}
Listen 127.0.0.1:{self.tls_port} https
Workers 1
MaxKeepAliveRequests 0
KeepAliveTimeout 60
LoadModule hello_module hello.c
Route GET / hello
SSLCertificateFile {self.certificate}
SSLCertificateKeyFile {self.key}
SSLSessionTickets Off
{self.extra}
""")
        return [str(self.prefix / "sbin/instar"), "-DFOREGROUND", "-f",
                str(self.root / "instar.conf")]


class Nginx(Server):
    name = "nginx"

    def command(self):
        (self.root / "nginx.conf").write_text(f"""
daemon off;
worker_processes 1;
pid {self.root}/nginx.pid;
error_log {self.root}/error.log crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 60;
    default_type text/plain;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_tickets off;
    ssl_session_cache off;
    server {{
        listen 127.0.0.1:{self.port} backlog=4096;
        listen 127.0.0.1:{self.tls_port} ssl;
        ssl_certificate {self.certificate};
        ssl_certificate_key {self.key};
        location / {{ return 200 "{BODY.strip()}\\n"; }}
    }}
}}
""")
        return ["/usr/sbin/nginx", "-c", str(self.root / "nginx.conf"), "-e", "stderr"]


class Httpd(Server):
    name = "httpd"

    def command(self):
        modules = "/usr/lib/apache2/modules"
        (self.root / "index.txt").write_text(BODY)
        os.chmod(self.root / "index.txt", 0o644)
        (self.root / "httpd.conf").write_text(f"""
ServerRoot {self.root}
ServerName localhost
DefaultRuntimeDir {self.root}
PidFile {self.root}/pid
ErrorLog {self.root}/error_log
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule ssl_module {modules}/mod_ssl.so
ServerLimit 1
StartServers 1
ThreadsPerChild 64
MaxRequestWorkers 64
AsyncRequestWorkerFactor 300
MaxKeepAliveRequests 0
KeepAliveTimeout 60
Listen 127.0.0.1:{self.port}
Listen 127.0.0.1:{self.tls_port} https
DocumentRoot {self.root}
DirectoryIndex index.txt
SSLSessionTickets Off
<VirtualHost *:{self.tls_port}>
SSLEngine On
SSLCertificateFile {self.certificate}
SSLCertificateKeyFile {self.key}
</VirtualHost>
""")
        return ["/usr/sbin/apache2", "-DFOREGROUND", "-f", str(self.root / "httpd.conf")]


class RawEpoll(Server):
    name = "raw epoll"

    def command(self):
        return [os.environ["RAW_EPOLL"], str(self.port)]
