/* SPDX-License-Identifier: Apache-2.0 */
/* The registered status codes and their words (RFC 9110, 15, and the IANA registry). */

#include "http/request_internal.h"

enum { FIRST = 100, BEYOND = 600 };

#define WORDS(status, words) [status - FIRST] = words
static const char *const all_words[BEYOND - FIRST] = {
    WORDS(101, "Switching Protocols"),
    WORDS(200, "OK"),
    WORDS(201, "Created"),
    WORDS(202, "Accepted"),
    WORDS(203, "Non-Authoritative Information"),
    WORDS(204, "No Content"),
    WORDS(205, "Reset Content"),
    WORDS(206, "Partial Content"),
    WORDS(207, "Multi-Status"),
    WORDS(208, "Already Reported"),
    WORDS(226, "IM Used"),
    WORDS(300, "Multiple Choices"),
    WORDS(301, "Moved Permanently"),
    WORDS(302, "Found"),
    WORDS(303, "See Other"),
    WORDS(304, "Not Modified"),
    WORDS(305, "Use Proxy"),
    WORDS(307, "Temporary Redirect"),
    WORDS(308, "Permanent Redirect"),
    WORDS(400, "Bad Request"),
    WORDS(401, "Unauthorized"),
    WORDS(402, "Payment Required"),
    WORDS(403, "Forbidden"),
    WORDS(404, "Not Found"),
    WORDS(405, "Method Not Allowed"),
    WORDS(406, "Not Acceptable"),
    WORDS(407, "Proxy Authentication Required"),
    WORDS(408, "Request Timeout"),
    WORDS(409, "Conflict"),
    WORDS(410, "Gone"),
    WORDS(411, "Length Required"),
    WORDS(412, "Precondition Failed"),
    WORDS(413, "Content Too Large"),
    WORDS(414, "URI Too Long"),
    WORDS(415, "Unsupported Media Type"),
    WORDS(416, "Range Not Satisfiable"),
    WORDS(417, "Expectation Failed"),
    WORDS(421, "Misdirected Request"),
    WORDS(422, "Unprocessable Content"),
    WORDS(423, "Locked"),
    WORDS(424, "Failed Dependency"),
    WORDS(425, "Too Early"),
    WORDS(426, "Upgrade Required"),
    WORDS(428, "Precondition Required"),
    WORDS(429, "Too Many Requests"),
    WORDS(431, "Request Header Fields Too Large"),
    WORDS(451, "Unavailable For Legal Reasons"),
    WORDS(500, "Internal Server Error"),
    WORDS(501, "Not Implemented"),
    WORDS(502, "Bad Gateway"),
    WORDS(503, "Service Unavailable"),
    WORDS(504, "Gateway Timeout"),
    WORDS(505, "HTTP Version Not Supported"),
    WORDS(506, "Variant Also Negotiates"),
    WORDS(507, "Insufficient Storage"),
    WORDS(508, "Loop Detected"),
    WORDS(511, "Network Authentication Required"),
};

const char *status_words(int status)
{
    const char *words = status >= FIRST && status < BEYOND ? all_words[status - FIRST] : NULL;

    return words ? words : "Unknown";
}
