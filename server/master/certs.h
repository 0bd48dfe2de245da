/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Renewed certificates without a reload. The master, which may be root, reads the files that the
 * serving config names and passes their bytes on; the generation judges them, takes them and
 * has its workers take them, or nothing changes. One round at a time, never while a
 * reload runs: that might have read a file just before.
 */
#ifndef MASTER_CERTS_H
#define MASTER_CERTS_H

#include "ipc/messages.h"
#include "master/state.h"

struct conf;

/* instarctl certs: answered when the round is over. */
void certs_request(struct master *m, struct control_client *client);
/* From certs_watch.c: the files have changed, it seems. last: what is wrong is said, not waited
 * out. */
void certs_changed(struct master *m, bool last);
/* No job runs any more: a round that waited may begin. */
void certs_next(struct master *m);
void certs_abandon(struct master *m, const char *why);
void certs_forget_client(struct master *m, struct control_client *client);

/* ---- Told by others ---------------------------------------------------- */

void certs_done(struct master *m, struct generation *gen, const struct ipc_certs_done *done,
                int diags_fd);
void certs_generation_gone(struct master *m, const struct generation *gen);

/* ---- The files (certs_files.c) ------------------------------------------ */

/* Absolute paths, each once: whatever SSL* directives of this config name as a file. */
apr_array_header_t *certs_files(const struct conf *conf, apr_pool_t *pool);

/* ---- Watching (certs_watch.c) ------------------------------------------- */

/* SSLCertificateReload, as the config that serves now says. */
void certs_follow(struct master *m, const struct conf *conf);
/* A round that began by itself is over. */
void certs_watched_round_over(struct master *m, bool ok);
void certs_watch_close(struct master *m);

#endif
