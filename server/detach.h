/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a server that stays when its starter goes. */
#ifndef DETACH_H
#define DETACH_H

#include "cli.h"
#include "master/master.h"

/* Runs the master in a session of its own, streams on /dev/null, and returns when it
 * serves or has failed: the exit code, the outcome printed. */
int detach_start(const struct cli *cli, struct master_options *options,
                 const struct launch_ops *ops);

#endif
