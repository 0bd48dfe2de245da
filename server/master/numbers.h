/* SPDX-License-Identifier: Apache-2.0 */
/* Generation numbers: 64 bits, persisted before they are used, never used twice. */
#ifndef MASTER_NUMBERS_H
#define MASTER_NUMBERS_H

#include <stdint.h>

#include <apr_pools.h>

/* The last number given out according to the file; 0 where there is none. A
 * file that makes no sense yields a number beyond all that can have been used. */
uint64_t numbers_read(const char *path);
/* 0 or errno. */
int numbers_write(const char *path, uint64_t number);

#endif
