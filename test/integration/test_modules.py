# SPDX-License-Identifier: Apache-2.0
"""The module API as modules use it: hooks, configs, forms of LoadModule, flags, C++, and the
examples and the helper that a newcomer begins with."""
import gzip
import os
import shutil
import subprocess
import time

import pytest

from harness.env import PATIENCE, PREFIX, sized, until
from harness.modules import PROBE, PROBE_ROUTES, hello, version_of

EXAMPLES = os.path.join(PREFIX, "libexec", "instar", "modules", "examples")

HOOKS = r"""
#include <instar.h>
#include <apr_tables.h>
#include <apr_strings.h>
#include <string.h>

static int note(ins_request *r, const char *name)
{
    const char *before = apr_table_get(r->notes, "order");

    apr_table_set(r->notes, "order", before ? apr_pstrcat(r->pool, before, " ", name, NULL) : name);
    if (ins_query(r, "stop") && strcmp(ins_query(r, "stop"), name) == 0) {
        return 403;
    }
    if (ins_query(r, "done") && strcmp(ins_query(r, "done"), name) == 0) {
        ins_printf(r, "done in %s", name);
        return INS_DONE;
    }
    return INS_DECLINED;
}

#define PHASE(p) static int on_##p(ins_request *r) { return note(r, #p); }
PHASE(post_read_request) PHASE(translate_name) PHASE(header_parser) PHASE(access_checker)
PHASE(auth_checker) PHASE(type_checker) PHASE(fixups) PHASE(insert_filter) PHASE(handler)

static int early(ins_request *r) { return note(r, "early"); }
static int late(ins_request *r) { return note(r, "late"); }

extern ins_module hooks_module;

static int logged(ins_request *r)
{
    ins_rlog(r, &hooks_module, INS_WARNING, "logged %s %d", r->uri, r->status);
    return INS_OK;
}

static int show(ins_request *r)
{
    ins_printf(r, "%s handler-itself", apr_table_get(r->notes, "order"));
    return INS_OK;
}

static int set_up(apr_pool_t *pool, ins_server *s)
{
    (void)pool;
    ins_log(&hooks_module, INS_WARNING, "set up for %s", s->server_hostname);
    return INS_OK;
}

static void begin(apr_pool_t *pool, ins_server *s)
{
    (void)pool;
    (void)s;
    ins_log(&hooks_module, INS_WARNING, "worker begins");
}

static void end(apr_pool_t *pool, ins_server *s)
{
    (void)pool;
    (void)s;
    ins_log(&hooks_module, INS_WARNING, "worker ends");
}

static const ins_hook hooks[] = {
    INS_HOOK(fixups, late, INS_LAST),
    INS_HOOK(insert_filter, on_insert_filter, INS_MIDDLE),
    INS_HOOK(handler, on_handler, INS_MIDDLE),
    INS_HOOK(post_read_request, on_post_read_request, INS_MIDDLE),
    INS_HOOK(translate_name, on_translate_name, INS_MIDDLE),
    INS_HOOK(header_parser, on_header_parser, INS_MIDDLE),
    INS_HOOK(access_checker, on_access_checker, INS_MIDDLE),
    INS_HOOK(auth_checker, on_auth_checker, INS_MIDDLE),
    INS_HOOK(type_checker, on_type_checker, INS_MIDDLE),
    INS_HOOK(fixups, on_fixups, INS_MIDDLE),
    INS_HOOK(fixups, early, INS_FIRST),
    INS_HOOK(log_transaction, logged, INS_MIDDLE),
    { 0 }
};

INS_MODULE(hooks_module) = {
    INS_MODULE_HEADER,
    .handlers = (const ins_handler[]) { { "show", show }, { 0 } },
    .hooks = hooks,
    .post_config = set_up,
    .child_init = begin,
    .child_exit = end,
};
"""

PHASES = ("post_read_request translate_name header_parser access_checker auth_checker type_checker "
          "early fixups late insert_filter handler").split()


@pytest.fixture(scope="module")
def hooked(shared):
    return shared("Route GET /show show\n", {"hooks": HOOKS})


def test_hooks_run_in_httpds_order(hooked):
    assert hooked.get("/show").text.split() == PHASES + ["handler-itself"]


@pytest.mark.parametrize("phase", PHASES)
def test_a_hook_can_refuse_or_answer(hooked, phase):
    assert hooked.get(f"/show?stop={phase}").status == 403
    answer = hooked.get(f"/show?done={phase}")
    assert answer.status == 200 and answer.text == f"done in {phase}"


def test_hooks_see_what_is_not_found(hooked):
    assert hooked.get("/nothing?stop=access_checker").status == 403
    assert hooked.get("/nothing").status == 404
    until(lambda: "logged /nothing 404" in hooked.log(), "the log hook ran")


def test_a_generation_and_its_workers_run_their_hooks(server):
    s = server("Route GET /show show\n", {"hooks": HOOKS}, workers=2)
    assert s.log().count("set up for localhost") == 1
    assert s.log().count("worker begins") == 2
    s.reload()
    until(lambda: s.log().count("worker ends") == 2, "the old workers' hook ran")
    assert s.log().count("set up for localhost") == 2
    s.stop()
    assert s.log().count("worker ends") == 4


def test_a_module_of_several_files(server):
    s = server(start=False)
    s.write("modules/one.c", hello(1).replace("static int hello(ins_request *r)",
                                              "int hello(ins_request *r);\nint unused(ins_request *r)"))
    s.write("modules/two.c", '#include <instar.h>\n'
            'int hello(ins_request *r);\n'
            'int hello(ins_request *r) { ins_puts(r, "from two"); return INS_OK; }\n')
    s.write_config("LoadModule hello_module modules/one.c modules/two.c\nRoute GET /hello hello\n")
    s.start()
    assert s.get("/hello").text == "from two"
    s.write("modules/two.c", s.read("modules/two.c").replace("from two", "changed"))
    assert s.reload()["compiled"]
    assert s.get("/hello").text == "changed"


def test_a_module_that_is_a_folder(server):
    s = server(start=False)
    s.write("modules/whole/words.h", '#define WORDS "folder"\n')
    s.write("modules/whole/one.c", '#include "words.h"\n' + hello(1).replace("begin %s", WORDS_FORMAT))
    s.write("modules/whole/two.c", "int nothing_much;\n")
    s.write_config("LoadModule hello_module modules/whole\nRoute GET /hello hello\n")
    s.start()
    assert s.get("/hello").text.startswith("folder 1")
    s.write("modules/whole/words.h", '#define WORDS "header"\n')
    s.reload()
    assert s.get("/hello").text.startswith("header 1")


WORDS_FORMAT = '" WORDS " %s'


def test_a_module_that_is_compiled_already(server):
    s = server(start=False)
    source = s.write("modules/hello.c", hello(5))
    subprocess.run(["gcc", "-shared", "-fPIC", "-I", os.path.join(PREFIX, "include"), source,
                    "-o", s.path("modules", "hello.so")], check=True)
    s.write_config("LoadModule hello_module modules/hello.so\nRoute GET /hello hello\n")
    s.start()
    assert version_of(s.get("/hello").body) == 5
    s.write("modules/hello.c", hello(6))
    subprocess.run(["gcc", "-shared", "-fPIC", "-I", os.path.join(PREFIX, "include"), source,
                    "-o", s.path("modules", "new.so")], check=True)
    os.rename(s.path("modules", "new.so"), s.path("modules", "hello.so"))
    s.reload()
    assert version_of(s.get("/hello").body) == 6


def test_flags_and_libraries_per_module(server):
    source = hello(1).replace('#define VERSION "1"', "#include <math.h>\n#define VERSION WORD")
    source = source.replace("return INS_OK;", "return cos(r->bytes_sent) > 5 ? 500 : INS_OK;")
    s = server('ModuleFlags hello_module "-DWORD=\\"3\\"" -O0\nModuleFlags -DUNUSED\n'
               "ModuleLibs hello_module -lm\nRoute GET /hello hello\n", {"hello": source})
    assert version_of(s.get("/hello").body) == 3
    s.replace('3\\"', '4\\"')
    assert len(s.reload()["compiled"]) == 1
    assert version_of(s.get("/hello").body) == 4


def test_cplusplus_can_include_the_header(tmp_path):
    if not shutil.which("g++"):
        pytest.skip("no g++ here")
    source = tmp_path / "module.cc"
    source.write_text('#include <instar.h>\nextern "C" int answer(ins_request *r);\n'
                      "int answer(ins_request *r) { ins_puts(r, \"x\"); return INS_OK; }\n")
    subprocess.run(["g++", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I",
                    os.path.join(PREFIX, "include"), str(source)], check=True, timeout=PATIENCE)


def test_the_header_compiles_by_itself_in_c(tmp_path):
    source = tmp_path / "module.c"
    source.write_text(hello(1))
    for standard in ("c99", "c11", "gnu17"):
        subprocess.run(["gcc", f"-std={standard}", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I",
                        os.path.join(PREFIX, "include"), str(source)], check=True, timeout=PATIENCE)


# ---- The examples -------------------------------------------------------------------


def example(server, names, config):
    loads = "".join(f'LoadModule {name}_module "{EXAMPLES}/{name}.c"\n' for name in names)
    return server(loads + config)


def test_example_hello_and_welcome(server):
    s = example(server, ["hello", "welcome"], "Route GET / welcome\nRoute GET /hello/{name} hello\n")
    assert s.get("/hello/you").text == "Hello, you!\n"
    assert s.get("/hello/%3Cb%3E").get("Content-Type").startswith("text/plain")
    assert "<html" in s.get("/").text


def test_example_echo(server):
    s = example(server, ["echo"], "Route POST|PUT /echo echo\n")
    for body in (b"x", b"Is anybody there?", os.urandom(300000)):
        answer = s.get("/echo", method="POST", body=body,
                       fields=[("Content-Type", "application/x-test")])
        assert answer.body == body and answer.get("Content-Type") == "application/x-test"


def test_example_counter(server):
    s = example(server, ["counter"], "CounterStart 100\nCounterStep 5\nRoute GET /counter counter\n")
    s.workers = 1
    s.write_config()
    s.reload()
    first, second = s.get("/counter").text, s.get("/counter").text
    assert first != second
    s.write_config(s.config + "CounterStep many\n")
    outcome = s.graceful()
    assert outcome["exit"] == 1 and outcome["stage"] == "config", outcome


def test_example_slow(server):
    s = example(server, ["slow"], "Route GET /slow slow\nRoute GET /slow/{seconds} slow\n")
    began = time.monotonic()
    assert s.get("/slow/0.3").status == 200
    assert time.monotonic() - began >= 0.3


def test_example_stream(server):
    s = example(server, ["stream"], "Route GET /stream stream\n")
    assert len(s.get(f"/stream?bytes={sized(3, 100, 1)}000000").body) == sized(3, 100, 1) * 1000000
    if sized(0, 1):
        assert len(s.get("/stream").body) >= 100 << 20


def test_example_zip(server):
    if not os.path.exists("/usr/include/zlib.h"):
        pytest.skip("no zlib here")
    s = example(server, ["zip"], "ModuleLibs zip_module -lz\nRoute POST /zip zip\n")
    body = b"again and " * 10000
    answer = s.get("/zip", method="POST", body=body)
    assert len(answer.body) < len(body) and gzip.decompress(answer.body) == body


def test_a_probe_module_reads_its_request(server):
    s = server(PROBE_ROUTES, {"probe": PROBE})
    text = s.get("/info?a=b&header=Accept", fields=[("Accept", "text/plain")]).text
    assert "header=text/plain\n" in text and "args=a=b&header=Accept\n" in text
    assert f"port={s.port}\n" in text and "client=127.0.0.1\n" in text
    assert "the_request=GET /info?a=b&header=Accept HTTP/1.1\n" in text


def test_a_handler_reads_the_options_of_its_route(server):
    source = r"""
#include <instar.h>

static int tell(ins_request *r)
{
    const char *none = ins_option(r, "absent");

    ins_printf(r, "%s %s", ins_option(r, "shade"), none ? none : "-");
    return INS_OK;
}

static const ins_handler handlers[] = { { "tell", tell }, { 0 } };

INS_MODULE(tell_module) = { INS_MODULE_HEADER, .handlers = handlers };
"""
    s = server("Route GET /a tell shade=green\nRoute GET /b tell shade=blue\n", {"tell": source})
    assert s.get("/a").body == b"green -"
    assert s.get("/b").body == b"blue -"
