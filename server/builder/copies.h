/* SPDX-License-Identifier: Apache-2.0 */
/* Sources that the build user may not read, although root asks for their build. */
#ifndef BUILDER_COPIES_H
#define BUILDER_COPIES_H

struct build_run;

/* In the builder process, as long as it is root: each folder that the build user may not
 * enter, or that holds a source or header which it may not read, is copied into the work
 * folder (sources and headers alone), and its name in run->names leads to the copy from then
 * on. So all who use names compile there and speak of the real paths. What cannot be
 * copied stays as it is, with the error in its name. */
void copies_make(struct build_run *run);

#endif
