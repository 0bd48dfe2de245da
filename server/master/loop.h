/* SPDX-License-Identifier: Apache-2.0 */
/* The master's event loop: epoll over a handful of descriptors, and timers. */
#ifndef MASTER_LOOP_H
#define MASTER_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct master;

typedef void (*source_fn)(struct master *m, void *ctx, uint32_t events);
typedef void (*timer_fn)(struct master *m, void *ctx);

/* A descriptor that is watched; fd -1: none. The owner closes it. */
struct source {
    int fd;
    source_fn ready;
    void *ctx;
};

/* due 0: not set. */
struct timer {
    struct timer *next;
    int64_t due;
    timer_fn fire;
    void *ctx;
};

struct loop {
    int epoll_fd;
    struct timer *timers;
};

/* CLOCK_MONOTONIC. */
int64_t loop_now_ms(void);
int64_t loop_now_us(void);

/* 0 or errno. */
int loop_open(struct loop *loop);
void loop_close(struct loop *loop);
/* One turn: waits, at most until the next timer, handles one event, fires
 * what is due. */
void loop_turn(struct master *m, struct loop *loop);

/* Watches fd (EPOLLIN, EPOLLOUT ...); 0 or errno. */
int source_add(struct loop *loop, struct source *s, int fd, uint32_t events, source_fn ready,
               void *ctx);
int source_change(struct loop *loop, struct source *s, uint32_t events);
/* Stops watching and closes; safe where fd is -1. */
void source_close(struct loop *loop, struct source *s);
/* Stops watching and gives the descriptor back. */
int source_take(struct loop *loop, struct source *s);

void timer_set(struct loop *loop, struct timer *t, int64_t due_ms, timer_fn fire, void *ctx);
void timer_clear(struct loop *loop, struct timer *t);

#endif
