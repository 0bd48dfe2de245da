/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeps. Handlers are ordinary blocking code; the server goes on with all other
 * requests meanwhile. In the configuration:
 *
 *     LoadModule slow_module modules/examples/slow.c
 *     Route GET /slow slow seconds=0.5
 *     Route GET /slow/{seconds} slow
 *
 * Try:  curl http://localhost:8080/slow/2.5
 */
#include <stdlib.h>
#include <time.h>

#include <instar.h>

enum { LONGEST = 60 };

/* From the path, else from ?seconds=, else from the Route line, else one. */
static double wanted_seconds(ins_request *r)
{
    const char *text = ins_param(r, "seconds");

    if (!text) {
        text = ins_query(r, "seconds");
    }
    if (!text) {
        text = ins_option(r, "seconds");
    }
    return text ? strtod(text, NULL) : 1;
}

static int slow(ins_request *r)
{
    double seconds = wanted_seconds(r);
    struct timespec time;

    if (!(seconds >= 0 && seconds <= LONGEST)) {
        return ins_error(r, 400, "seconds is a number from 0 to 60");
    }
    time.tv_sec = (time_t)seconds;
    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    nanosleep(&time, NULL);

    ins_set_type(r, "text/plain");
    ins_printf(r, "slept %.3f s\n", seconds);
    return INS_OK;
}

static const ins_handler handlers[] = { { "slow", slow }, { 0 } };

INS_MODULE(slow_module) = {
    INS_MODULE_HEADER,
    .handlers = handlers,
};
