/* SPDX-License-Identifier: Apache-2.0 */
/* What a module logged last as an error: the reason why its set-up refused, so
 * that whoever asked for the reload reads it too. While there is one thread. */
#ifndef GENERATION_LAST_WORDS_H
#define GENERATION_LAST_WORDS_H

/* From now on; forgets what was kept. */
void last_words_keep(void);
/* Ends keeping. NULL where nothing was said; valid until the next keeping. */
const char *last_words_take(void);

#endif
