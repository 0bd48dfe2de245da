/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers that do what their query asks for, and the routes to them. */
#ifndef TEST_REQUEST_MODULE_H
#define TEST_REQUEST_MODULE_H

#include "http/http_app.h"

#define H "Host: a\r\n"
#define LENGTH(n) "Content-Length: " #n "\r\n"
#define CLOSE "Connection: close\r\n"
#define END "\r\n"

extern ins_module plain_module, hook_module; /* the second has hooks too */
extern const char request_config[];

/* Apps of the two: made by the setup for a group of tests, gone with its teardown. */
extern struct http_app *plain_app, *hook_app;
int request_module_setup(void **state);
int request_module_teardown(void **state);

#endif
