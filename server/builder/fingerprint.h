/* SPDX-License-Identifier: Apache-2.0 */
/* Fingerprints of content: SHA-256. A sum is fed piece by piece; texts are fed
 * with their NUL, so that neighbours cannot run together. */
#ifndef BUILDER_FINGERPRINT_H
#define BUILDER_FINGERPRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <apr_pools.h>

enum { FP_SIZE = 32, FP_HEX = 2 * FP_SIZE + 1 };

struct fp {
    unsigned char bytes[FP_SIZE];
};

/* A running sum, used again and again. Lives in pool. NULL without memory. */
struct fp_sum;
struct fp_sum *fp_sum_create(apr_pool_t *pool);

void fp_start(struct fp_sum *sum);
void fp_add(struct fp_sum *sum, const void *data, size_t len);
void fp_add_text(struct fp_sum *sum, const char *text); /* NULL is told from "" */
void fp_add_number(struct fp_sum *sum, int64_t number);
void fp_end(struct fp_sum *sum, struct fp *out);

/* Everything that can be read from fd, at most max bytes. 0 or errno (EFBIG). */
int fp_of_fd(struct fp_sum *sum, int fd, int64_t max, struct fp *out);

bool fp_equal(const struct fp *a, const struct fp *b);
void fp_to_hex(const struct fp *fp, char hex[FP_HEX]);
/* Reads 64 hex digits; false where there are others. */
bool fp_from_hex(const char *hex, struct fp *out);

#endif
