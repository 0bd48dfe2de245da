/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket across an upgrade: whoever is connected stays so, and is answered by the
 * new binary. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "master/control_state.h"
#include "master/image.h"
#include "master/job.h"
#include "util/check.h"

static bool waits_in(const struct job *job, const struct control_client *client)
{
    const struct control_client *at = job != NULL ? job->clients : NULL;

    while (at != NULL && at != client) {
        at = at->next_waiting;
    }
    return at != NULL;
}

/* The reload behind the upgrade is as good as one that was asked for before, and as
 * another upgrade. Anything else is asked for anew. */
static enum image_waits waits_for(const struct master *m, const struct control_client *client)
{
    const struct job *job;

    if (waits_in(m->job, client) || waits_in(m->waiting, client)) {
        return WAITS_RELOAD;
    }
    for (job = m->rollbacks; job != NULL; job = job->next) {
        if (job->kind == JOB_UPGRADE && waits_in(job, client)) {
            return WAITS_RELOAD;
        }
    }
    return client->asked && client->out == NULL ? WAITS_AGAIN : WAITS_NOT;
}

static void save_client(const struct master *m, const struct control_client *client,
                        struct image_client *out)
{
    out->fd = client->source.fd;
    out->json = client->json;
    out->colour = client->colour;
    out->waits = waits_for(m, client);
    out->in = client->in;
    out->in_len = client->asked ? 0 : client->in_len;
    if (out->waits == WAITS_AGAIN && client->line != NULL) {
        out->in = client->line;
        out->in_len = strlen(client->line);
    }
    if (client->out != NULL) {
        out->out = client->out + client->out_sent;
        out->out_len = client->out_len - client->out_sent;
    }
}

void control_save(const struct master *m, struct image *image)
{
    const struct control *control = m->control;
    const struct control_client *client;

    image->control_fd = control->source.fd;
    image->by_config_fd = control->by_config.fd;
    image->control_path = control->path;
    image->control_dev = control->dev;
    image->control_inode = control->inode;
    for (client = control->clients; client != NULL; client = client->next) {
        save_client(m, client, apr_array_push(image->clients));
    }
}

static int adopt_door(struct master *m, struct source *door, int fd)
{
    door->fd = -1;
    return fd >= 0 ? source_add(&m->loop, door, fd, EPOLLIN, control_accept_ready, door) : 0;
}

static void go_on_answering(struct master *m, struct control_client *client,
                            const struct image_client *from)
{
    client->asked = true;
    client->out = malloc(from->out_len);
    INS_CHECK(client->out != NULL);
    memcpy(client->out, from->out, from->out_len);
    client->out_len = from->out_len;
    control_send_more(m, client);
}

static void go_on_asking(struct master *m, struct control_client *client,
                         const struct image_client *from)
{
    client->in_len = from->in_len < sizeof(client->in) - 1 ? from->in_len : 0;
    memcpy(client->in, from->in, client->in_len);
    timer_set(&m->loop, &client->timer, loop_now_ms() + CONTROL_ASK_MS, control_overdue, client);
    if (from->waits == WAITS_AGAIN) {
        client->in[client->in_len++] = '\n';
        control_take_line(m, client);
    }
}

static void adopt_client(struct master *m, const struct image_client *from)
{
    struct control_client *client = calloc(1, sizeof(*client));
    bool waits = from->waits == WAITS_RELOAD;

    INS_CHECK(client != NULL);
    if (source_add(&m->loop, &client->source, from->fd, waits ? EPOLLRDHUP : EPOLLIN,
                   control_client_ready, client) != 0) {
        (void)close(from->fd);
        free(client);
        return;
    }
    client->next = m->control->clients;
    m->control->clients = client;
    m->control->client_count++;
    client->json = from->json;
    client->colour = from->colour;
    if (from->out_len > 0) {
        go_on_answering(m, client, from);
    }
    else if (waits) {
        client->asked = true;
        job_add_client(m->job, client);
    }
    else {
        go_on_asking(m, client, from);
    }
}

int control_adopt(struct master *m, const struct image *image)
{
    struct control *control = calloc(1, sizeof(*control));
    int error;

    INS_CHECK(control != NULL);
    m->control = control;
    (void)snprintf(control->path, sizeof(control->path), "%s", image->control_path);
    control->owner = getpid();
    control->dev = (dev_t)image->control_dev;
    control->inode = (ino_t)image->control_inode;
    control->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    error = adopt_door(m, &control->source, image->control_fd);
    error = error == 0 ? adopt_door(m, &control->by_config, image->by_config_fd) : error;
    for (int i = 0; error == 0 && i < image->clients->nelts; i++) {
        adopt_client(m, &APR_ARRAY_IDX(image->clients, i, struct image_client));
    }
    return error;
}
