/* SPDX-License-Identifier: Apache-2.0 */
/* Answers with the body of the request, piece by piece: any length, little
 * memory. In the configuration:
 *
 *     LoadModule echo_module modules/examples/echo.c
 *     Route POST|PUT /echo echo
 *
 * Try:  curl --data 'Is anybody there?' http://localhost:8080/echo
 */
#include <instar.h>

static int echo(ins_request *r)
{
    const char *type = ins_header(r, "Content-Type");
    char piece[16 * 1024];
    int64_t n;

    ins_set_type(r, type ? type : "application/octet-stream");
    if (r->clength >= 0) {
        ins_set_length(r, r->clength);
    }
    while ((n = ins_read(r, piece, sizeof(piece))) > 0) {
        if (ins_write(r, piece, (size_t)n) != 0) {
            return INS_OK; /* the client is gone: nobody to tell */
        }
    }
    return n == 0 ? INS_OK : ins_body_status(r);
}

static const ins_handler handlers[] = { { "echo", echo }, { 0 } };

INS_MODULE(echo_module) = {
    INS_MODULE_HEADER,
    .handlers = handlers,
};
