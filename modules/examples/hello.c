/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest module: one handler. In the configuration:
 *
 *     LoadModule hello_module modules/examples/hello.c
 *     Route GET /hello/{name} hello
 */
#include <instar.h>

static int hello(ins_request *r)
{
    ins_set_type(r, "text/plain; charset=utf-8");
    ins_printf(r, "Hello, %s!\n", ins_param(r, "name"));
    return INS_OK;
}

static const ins_handler handlers[] = { { "hello", hello }, { 0 } };

INS_MODULE(hello_module) = {
    INS_MODULE_HEADER,
    .handlers = handlers,
};
