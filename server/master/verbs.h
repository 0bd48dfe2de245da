/* SPDX-License-Identifier: Apache-2.0 */
/* Exit codes of instar and instarctl, and of the control socket's replies. */
#ifndef MASTER_VERBS_H
#define MASTER_VERBS_H

enum {
    VERB_DONE = 0,
    VERB_REFUSED = 1, /* or failed; the old generation, if any, serves on */
    VERB_USAGE = 2,
    VERB_NOT_RUNNING = 3,
    VERB_RUNNING = 4,    /* already */
    VERB_ELSEWHERE = 100 /* a reply alone: ask instar -t, that is not my config */
};

#endif
