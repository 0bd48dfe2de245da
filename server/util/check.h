/* SPDX-License-Identifier: Apache-2.0 */
/* INS_CHECK(x): x can only be false through a bug of ours; says where and
 * aborts. Never for what a peer, a file or the kernel may do. */
#ifndef UTIL_CHECK_H
#define UTIL_CHECK_H

__attribute__((noreturn)) void check_failed(const char *file, int line, const char *what);

#define INS_CHECK(x) ((x) ? (void)0 : check_failed(__FILE__, __LINE__, #x))

#endif
