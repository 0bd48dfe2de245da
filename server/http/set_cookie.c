/* SPDX-License-Identifier: Apache-2.0 */
/* Set-Cookie (RFC 6265, 4.1): nothing is sent that a browser could read as
 * another attribute or another cookie. */

#include "http/request_internal.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "http/chars.h"

static const ins_cookie_options usual = {
    .path = "/", .same_site = "Lax", .max_age = -1, .http_only = 1
};

static bool attribute_is_safe(const char *value)
{
    return !value || (http_text_clean(value, strlen(value)) && !strchr(value, ';'));
}

static bool same_site_is_known(const char *value)
{
    return !value || strcmp(value, "Lax") == 0 || strcmp(value, "Strict") == 0 ||
           strcmp(value, "None") == 0;
}

static bool cookie_is_safe(const char *name, const char *value, const ins_cookie_options *o)
{
    return name && *name && http_all(name, strlen(name), CHAR_TOKEN) && value &&
           http_all(value, strlen(value), CHAR_COOKIE) && attribute_is_safe(o->path) &&
           attribute_is_safe(o->domain) && same_site_is_known(o->same_site);
}

static const char *attribute(apr_pool_t *pool, const char *name, const char *value)
{
    return value ? apr_pstrcat(pool, "; ", name, "=", value, NULL) : "";
}

void ins_set_cookie(ins_request *r, const char *name, const char *value,
                    const ins_cookie_options *options)
{
    const ins_cookie_options *o = options ? options : &usual;
    const char *age = "";

    if (!cookie_is_safe(name, value, o)) {
        request_complain(request_of(r), "INS01507", INS_ERR,
                         "a handler set a cookie that would not come back as it is: %s",
                         name ? name : "(null)");
        return;
    }
    if (o->max_age >= 0) {
        age = ins_sprintf(r, "; Max-Age=%lld", (long long)o->max_age);
    }
    apr_table_addn(r->headers_out, "Set-Cookie",
                   apr_pstrcat(r->pool, name, "=", value, attribute(r->pool, "Path", o->path),
                               attribute(r->pool, "Domain", o->domain), age,
                               attribute(r->pool, "SameSite", o->same_site),
                               o->secure ? "; Secure" : "", o->http_only ? "; HttpOnly" : "",
                               NULL));
}
