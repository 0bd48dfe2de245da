/* SPDX-License-Identifier: Apache-2.0 */
/* The containers that a generation keeps: rows for the manual and for the
 * nearest-name search; names begin with '<', as in conf_process_directives. */
#ifndef GENERATION_CONTAINERS_H
#define GENERATION_CONTAINERS_H

#include "instar.h"

extern const ins_directive container_directives[]; /* ended by { 0 } */

#endif
