/* SPDX-License-Identifier: Apache-2.0 */
/* Compresses what it is sent, with zlib: a module that links a library. In the
 * configuration:
 *
 *     LoadModule zip_module modules/examples/zip.c
 *     ModuleLibs zip_module -lz
 *     Route POST /zip zip
 *
 * Try:  curl --data-binary @README.md http://localhost:8080/zip | gunzip
 */
#include <zlib.h>

#include <instar.h>

enum { MOST = 8 << 20, GZIP_FORMAT = 15 + 16 };

static int zip(ins_request *r)
{
    z_stream z = { 0 };
    const char *text;
    size_t len, room;
    char *packed;

    text = ins_body(r, MOST, &len);
    if (!text) {
        return ins_body_status(r);
    }
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_FORMAT, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        return 500;
    }
    room = deflateBound(&z, len);
    packed = ins_alloc(r, room);
    z.next_in = (Bytef *)text;
    z.avail_in = (uInt)len;
    z.next_out = (Bytef *)packed;
    z.avail_out = (uInt)room;
    deflate(&z, Z_FINISH);
    deflateEnd(&z);

    ins_set_type(r, "application/gzip");
    ins_set_length(r, (int64_t)z.total_out);
    ins_write(r, packed, z.total_out);
    return INS_OK;
}

static const ins_handler handlers[] = { { "zip", zip }, { 0 } };

INS_MODULE(zip_module) = {
    INS_MODULE_HEADER,
    .handlers = handlers,
};
