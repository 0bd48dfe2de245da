/* SPDX-License-Identifier: Apache-2.0 */
/* <instar/status.h>, the server's side. */
#ifndef GENERATION_API_STATUS_H
#define GENERATION_API_STATUS_H

struct scoreboard;

/* What ins_status_read() looks at, in this process and its children. */
void api_status_use(const struct scoreboard *board);

#endif
