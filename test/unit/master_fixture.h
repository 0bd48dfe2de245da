/* SPDX-License-Identifier: Apache-2.0 */
/* A master in a process of its own, whose generations only pretend: they do
 * what a file tells them to. */
#ifndef MASTER_FIXTURE_H
#define MASTER_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <apr_pools.h>

#include "master/control_client.h"

/* How the next generation behaves; words of the file, in any combination:
 *   workers=N   this many (2)
 *   refuse      GEN_FAILED with a diagnostic
 *   exit abort hang   in place of READY
 *   brief       READY, and is dead when the master hears it
 *   late        never acknowledges ACCEPT_OFF
 *   stuck       does not exit when it drains
 *   gossip      sends rubbish all the time */
struct master_fixture {
    char folder[64];
    apr_pool_t *pool;
    struct conf_options options;
    struct whereabouts where;
    pid_t pid; /* the master's */
    int report_fd;
};

void fixture_create(struct master_fixture *f, const char *directives);
/* Starts it; returns the code that it reports. */
int fixture_start(struct master_fixture *f);
void fixture_behave(const struct master_fixture *f, const char *words);
void fixture_config(const struct master_fixture *f, const char *directives);
/* Asks; the answer's text lives in f->pool. */
struct control_answer fixture_ask(struct master_fixture *f, const char *request);
/* Waits until status says so (a substring of its JSON), 30 s. */
bool fixture_wait(struct master_fixture *f, const char *words);
/* The number behind "key": in a JSON text. */
int64_t fixture_number(const char *json, const char *key);
int fixture_descriptors(const struct master_fixture *f);
/* Ends it if it lives, and removes the folder. */
void fixture_destroy(struct master_fixture *f);

#endif
