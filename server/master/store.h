/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: what has served, exactly, so that it can serve again, also after the
 * master's death. It is the folder "generations" beside the file with the
 * generations' number:
 *
 *   SHA-256.text   a config: the text of its files, the command line, and what
 *                  the system said while it was read; one for all manifests
 *                  that were read from the same
 *   N.manifest     what generation N was made of: the name of its text, and the
 *                  objects of its modules. Objects stay in BuildDirectory for as long
 *   history        what became of the generations, and of reloads that failed
 *
 * A manifest is named by the generation that first served from it. A rollback
 * and a successor are new generations of an old manifest; the history knows
 * of which. Files are written by a short-lived child, one child at a time, so
 * that a slow disk holds nobody up.
 */
#ifndef MASTER_STORE_H
#define MASTER_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "master/state.h"

struct jout;

/* What is kept below the folder of a server with this runtime directory. What is
 * damaged is said in the log and left out. Reads alone: makes nothing. */
void store_open(struct master *m, const char *runtime_dir);
/* What is still to be written is written, here and now. */
void store_close(struct master *m);

/* Reads back what generation number was made of: conf from the stored text, builds
 * by key, BuildDirectory open. Listeners and logs are not opened: job_open()
 * does that as for a manifest from the disk. number may be that of a rollback
 * or a successor. NULL, with diagnostics, where it is not kept, is damaged, or an
 * object is gone. One reference. */
struct manifest *store_load(struct master *m, uint64_t number, struct diags *diags);

/* The newest that is good; NULL where there is none, or where it cannot be read
 * back, which is logged. */
struct manifest *store_load_last(struct master *m, apr_pool_t *pool);

/* ---- Told by the reload --------------------------------------------------- */

/* The job's generation serves from now on; old: what served before, NULL none. */
void store_served(struct master *m, const struct job *job, const struct manifest *old);
/* Why the process of a generation that served has ended; it is no judgement. */
void store_note(struct master *m, uint64_t number, const char *words);
/* The job failed, its outcome is finished. */
void store_failed(struct master *m, const struct job *job);
/* It was thrown out, by hand or because it crashed: its manifest is not the last
 * good one. */
void store_thrown_out(struct master *m, uint64_t number, bool crashed, const char *words);
/* True if pid was the child that writes, which has been reaped. */
bool store_writer_exited(struct master *m, pid_t pid, int status);

/* Nothing waits to be written, no child writes. */
bool store_is_at_rest(const struct master *m);

/* ---- Asked ------------------------------------------------------------------ */

/* The newest manifest that is good, by its number; 0 none. */
uint64_t store_last_good(const struct master *m);
/* What a rollback from this manifest goes back to; 0 where there is nothing. */
uint64_t store_before(const struct master *m, uint64_t manifest);
/* "3, 5 and 7", or "none": for the words of a refusal. */
const char *store_kept_words(const struct master *m, apr_pool_t *pool);
/* The highest number that it knows of. */
uint64_t store_highest(const struct master *m);
/* Does the last start or reload want to be followed by the last good manifest? */
bool store_prefers_last(const struct master *m);

/* Adds the lists of objects that must stay in BuildDirectory: struct build_list *. */
void store_objects(const struct master *m, apr_array_header_t *lists);

/* history_words.c: the history as lines, and as the member "history". */
const char *history_text(struct master *m, apr_pool_t *pool);
void history_member(struct jout *j, struct master *m);

#endif
