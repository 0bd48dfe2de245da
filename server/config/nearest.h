/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_NEAREST_H
#define CONFIG_NEAREST_H

/* A search for the name most like another one, without regard to case. */
struct nearest {
    const char *name;
    const char *found; /* NULL: none is near enough */
    int length, limit;
};

void nearest_start(struct nearest *best, const char *name);
void nearest_try(struct nearest *best, const char *candidate);

#endif
