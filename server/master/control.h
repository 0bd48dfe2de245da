/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: a unix stream socket, mode 0600, for root and the
 * server's own uid alone. One request line, "VERB [json] [colour] [config=PATH]"; the
 * reply is a line with the exit code, then the text to print, then the end.
 */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

#include "master/state.h"

struct conf;
struct image;

enum { CONTROL_REQUEST_MAX = 8192 };

struct control_client {
    struct control_client *next;
    struct control_client *next_waiting; /* in a job's list */
    struct source source;
    struct timer timer;
    bool json, colour;
    bool asked;   /* the request line was read */
    bool for_end; /* answered when the server ends */
    size_t in_len;
    char *line; /* the request as it came: an upgrade asks it again */
    char in[CONTROL_REQUEST_MAX];
    char *out;
    size_t out_len, out_sent;
};

/* 0, or errno: EEXIST where a living server answers at path. config: the config
 * file's path, by which the server is found too. */
int control_open(struct master *m, const char *path, const char *config);
/* Answers who waits for the end, closes, removes the file. */
void control_close(struct master *m);
/* A reload may have given the socket and the pid file new places. */
void control_follow(struct master *m, const struct conf *conf);

/* For and from another binary: sockets, clients and what they wait for. 0 or errno. */
void control_save(const struct master *m, struct image *image);
int control_adopt(struct master *m, const struct image *image);

void control_reply(struct master *m, struct control_client *client, int code, const char *text);
void control_reply_outcome(struct master *m, struct control_client *client,
                           const struct outcome *outcome);

/* In control_verbs.c: acts on client->in. */
void control_run(struct master *m, struct control_client *client);

#endif
