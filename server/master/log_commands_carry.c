/* SPDX-License-Identifier: Apache-2.0 */
/* Log commands across an upgrade: they run on and are reaped as before, and their pipes
 * stay open. */
#include <stdlib.h>
#include <string.h>

#include "master/image.h"
#include "master/log_command_state.h"
#include "util/check.h"

void log_commands_save(const struct master *m, struct image *image)
{
    for (const struct log_command *c = m->log_commands; c != NULL; c = c->next) {
        struct image_command *out = apr_array_push(image->commands);

        out->key = c->key;
        out->text = c->text;
        out->shell = c->shell;
        out->folder = c->folder;
        out->read_fd = c->read_fd;
        out->write_fd = c->write_fd;
        out->last_tries = c->last_tries;
        out->pid = c->pid;
        out->started = c->started;
        out->pause = c->pause;
    }
}

static void adopt(struct master *m, const struct image_command *from)
{
    struct log_command *c = calloc(1, sizeof(*c));

    INS_CHECK(c != NULL);
    c->key = strdup(from->key);
    c->text = strdup(from->text);
    c->shell = from->shell != NULL ? strdup(from->shell) : NULL;
    c->folder = strdup(from->folder);
    INS_CHECK(c->key != NULL && c->text != NULL && c->folder != NULL);
    c->read_fd = from->read_fd;
    c->write_fd = from->write_fd;
    c->last_tries = from->last_tries;
    c->pid = from->pid;
    c->started = from->started;
    c->pause = from->pause;
    c->next = m->log_commands;
    m->log_commands = c;
    if (c->pid == 0) {
        timer_set(&m->loop, &c->timer, loop_now_ms() + c->pause, log_command_start_again, c);
    }
}

void log_commands_adopt(struct master *m, const struct image *image)
{
    for (int i = 0; i < image->commands->nelts; i++) {
        adopt(m, &APR_ARRAY_IDX(image->commands, i, struct image_command));
    }
}
