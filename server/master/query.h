/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions about what serves: a generation is made from the serving manifest that does not serve
 * but answers, and is gone. Nothing is read or compiled, and module code runs where it
 * always does.
 */
#ifndef MASTER_QUERY_H
#define MASTER_QUERY_H

#include "master/state.h"

/* The strings are copied; output is not looked at. */
void query_ask(struct master *m, const struct launch_query *query, struct control_client *client);
/* The job went well: what was written is the answer. */
void query_answer(struct master *m, struct control_client *client, const struct job *job);

#endif
