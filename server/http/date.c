/* SPDX-License-Identifier: Apache-2.0 */
/* Dates as HTTP writes them. Every answer carries one, so each thread remembers
 * the text of its current second: nothing is shared, nothing is locked. */

#include "http/request_internal.h"

#include <string.h>
#include <time.h>

#include <apr_pools.h>
#include <apr_time.h>

static char *put_two(char *out, int number)
{
    *out++ = (char)('0' + number / 10 % 10);
    *out++ = (char)('0' + number % 10);
    return out;
}

static char *put_word(char *out, const char *words, int index)
{
    memcpy(out, words + index * 3, 3);
    return out + 3;
}

void http_date_format(char *out, int64_t seconds)
{
    time_t when = (time_t)seconds;
    struct tm t;

    if (!gmtime_r(&when, &t) || t.tm_year < -1900 || t.tm_year > 8099) {
        memset(&t, 0, sizeof(t));
        t.tm_mday = 1;
        t.tm_year = 70;
        t.tm_wday = 4;
    }
    out = put_word(out, "SunMonTueWedThuFriSat", t.tm_wday);
    *out++ = ',';
    *out++ = ' ';
    out = put_two(out, t.tm_mday);
    *out++ = ' ';
    out = put_word(out, "JanFebMarAprMayJunJulAugSepOctNovDec", t.tm_mon);
    *out++ = ' ';
    out = put_two(out, (t.tm_year + 1900) / 100);
    out = put_two(out, t.tm_year + 1900);
    *out++ = ' ';
    out = put_two(out, t.tm_hour);
    *out++ = ':';
    out = put_two(out, t.tm_min);
    *out++ = ':';
    out = put_two(out, t.tm_sec);
    memcpy(out, " GMT", 5);
}

const char *http_date_now(void)
{
    static _Thread_local struct {
        time_t second;
        char text[HTTP_DATE_LEN + 1];
    } cached;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != cached.second || cached.text[0] == '\0') {
        cached.second = now.tv_sec;
        http_date_format(cached.text, now.tv_sec);
    }
    return cached.text;
}

const char *ins_http_date(ins_request *r, apr_time_t when)
{
    char *text = apr_palloc(r->pool, HTTP_DATE_LEN + 1);

    http_date_format(text, apr_time_sec(when));
    return text;
}

apr_time_t ins_now(void)
{
    return apr_time_now();
}
