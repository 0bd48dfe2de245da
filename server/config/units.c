/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, times and sizes as people write them. Nothing overflows, and nothing
 * but digits and one known unit is taken. */
#include "config/conf.h"

#include <string.h>
#include <strings.h>

/* No setting means more: 100 years, 2^53 bytes. */
#define TIME_MAX (INT64_C(100) * 366 * 86400 * 1000)
#define SIZE_LIMIT (INT64_C(1) << 53)

struct unit {
    const char *name;
    int64_t factor;
};

/* Digits at the front; NULL where there are none or too many. */
static const char *digits(const char *text, int64_t max, int64_t *value)
{
    int64_t n = 0;

    if (*text < '0' || *text > '9') {
        return NULL;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        if (n > (max - (*text - '0')) / 10) {
            return NULL;
        }
        n = n * 10 + (*text - '0');
    }
    *value = n;
    return text;
}

static bool scaled(const char *text, const struct unit *units, int64_t max, int64_t *value)
{
    int64_t n;
    const char *rest = digits(text, max, &n);

    for (; rest && units->name; units++) {
        if (strcasecmp(rest, units->name) == 0) {
            if (n > max / units->factor) {
                return false;
            }
            *value = n * units->factor;
            return true;
        }
    }
    return false;
}

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

bool conf_time(const char *text, int64_t *ms)
{
    static const struct unit units[] = {
        { "", SECOND },    { "ms", 1 },   { "s", SECOND }, { "m", MINUTE }, { "mi", MINUTE },
        { "min", MINUTE }, { "h", HOUR }, { "d", DAY },    { NULL, 0 },
    };

    return scaled(text, units, TIME_MAX, ms);
}

bool conf_size(const char *text, int64_t *bytes)
{
    static const struct unit units[] = {
        { "", 1 },         { "b", 1 },       { "k", 1 << 10 },  { "kb", 1 << 10 }, { "m", 1 << 20 },
        { "mb", 1 << 20 }, { "g", 1 << 30 }, { "gb", 1 << 30 }, { NULL, 0 },
    };

    return scaled(text, units, SIZE_LIMIT, bytes);
}

bool conf_int(const char *text, int64_t min, int64_t max, int64_t *value)
{
    bool negative = *text == '-';
    int64_t n;
    const char *rest = digits(text + (negative ? 1 : 0), INT64_MAX, &n);

    if (!rest || *rest != '\0') {
        return false;
    }
    if (negative) {
        n = -n;
    }
    if (n < min || n > max) {
        return false;
    }
    *value = n;
    return true;
}
