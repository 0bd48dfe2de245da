/* SPDX-License-Identifier: Apache-2.0 */
/* configtest needs no root: what the server has built cannot be used then, but
 * it can be built again, aside, and thrown away. */
#include "master/scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#include "master/folders.h"

static char made[64]; /* "" none */

void scratch_open(struct conf *conf)
{
    const char *wanted = conf->process.build_directory;

    if (geteuid() == 0 || (folder_make(wanted) == 0 && access(wanted, W_OK | X_OK) == 0)) {
        return;
    }
    (void)snprintf(made, sizeof(made), "/tmp/instar-check-XXXXXX");
    if (mkdtemp(made) == NULL) {
        made[0] = '\0'; /* the builder will say what is wrong with the real one */
        return;
    }
    conf->process.build_directory = apr_pstrdup(conf->pool, made);
}

/* The builder makes files and folders of files, nothing deeper than depth. */
static void remove_tree(int parent, const char *name, int depth)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (dir == NULL) {
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (unlinkat(fd, entry->d_name, 0) != 0 && depth > 0) {
            remove_tree(fd, entry->d_name, depth - 1);
        }
    }
    (void)closedir(dir);
    (void)unlinkat(parent, name, AT_REMOVEDIR);
}

void scratch_close(void)
{
    if (made[0] != '\0') {
        remove_tree(AT_FDCWD, made, 4);
        made[0] = '\0';
    }
}
