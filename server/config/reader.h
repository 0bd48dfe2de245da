/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of config/ share while a config is read; dies with conf_read(). */
#ifndef CONFIG_READER_H
#define CONFIG_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <apr_hash.h>

#include "config/conf.h"
#include "config/lexer.h"
#include "config/outside.h"

struct conf_reader;

/* A directive that is obeyed while reading and leaves no node. */
typedef void (*statement_fn)(struct conf_reader *rd, const struct conf_node *node);
/* <IfModule> and its like: whether what it holds counts. */
typedef bool (*condition_fn)(struct conf_reader *rd, const struct conf_node *node);

/* A name that config/ itself knows. */
struct known {
    const char *name; /* a container's without its '<' */
    uint32_t hash;
    const ins_directive *row; /* applied, unless it has a statement or condition */
    statement_fn statement;
    condition_fn condition;
    const struct conf_obsolete *obsolete;
    bool log;  /* not ours, but its first argument names a log file */
    bool said; /* obsolete: has been warned of */
};
struct known_table;

struct known_table *known_create(apr_pool_t *pool);
struct known *known_find(const struct known_table *table, const struct conf_node *node);

/* A container that waits for its end. */
struct open_container {
    struct open_container *outer;
    const struct conf_node *node;
    bool skips;                       /* what it holds does not count */
    struct conf_node *parent, **tail; /* to go back to; NULL where it leaves no node */
};

/* A file that is being read, innermost first. */
struct open_file {
    struct open_file *outer;
    const struct conf_file *file;
    uint64_t device, inode;            /* 0 and 0 for text that was not read from the disk now */
    const struct open_container *base; /* what was open around it */
};

struct conf_reader {
    apr_pool_t *pool; /* of the conf */
    apr_pool_t *temp; /* until conf_read() returns */
    struct conf *conf;
    const struct conf_options *options;
    struct diags *diags;
    struct known_table *known;
    struct outside *outside;
    const struct conf *stored; /* files come from there; NULL: from the disk */
    bool from_memory;          /* no Include */
    bool stop;                 /* a limit was passed: read no further */

    struct lexer_scratch scratch, expanded;
    struct word *words;
    int words_size;

    struct conf_node *parent, **tail; /* where the next node goes */
    struct open_container *open;
    int nesting;
    int skipping; /* open containers that skip */

    struct open_file *reading;
    int depth;
    int file_count;
    size_t total;         /* bytes read and expanded so far */
    apr_hash_t *snapshot; /* path -> struct snapshot * */
    apr_hash_t *defines;  /* name -> struct define * */
};

/* snapshot.c: a file's text, read once. NULL with the error reported
 * (at node; NULL: the main file). */
struct snapshot {
    struct conf_file file;
    uint64_t device, inode;
};
const struct snapshot *snapshot_take(struct conf_reader *rd, const char *path,
                                     const struct conf_node *node);
/* Checks and keeps a text from memory. */
const struct snapshot *snapshot_text(struct conf_reader *rd, const char *name, const char *text,
                                     size_t length);

/* read.c: all lines of a file, at the current place of the tree. */
void read_file(struct conf_reader *rd, const struct snapshot *snapshot,
               const struct conf_node *node);

/* tree.c: a node from a line: name is a part of it, the arguments stand in [from, to). */
struct conf_node *node_create(struct conf_reader *rd, const struct logical_line *line,
                              const struct word *name, size_t from, size_t to);
void node_attach(struct conf_reader *rd, struct conf_node *node);

/* containers.c */
void container_line(struct conf_reader *rd, const struct logical_line *line);
/* At a file's end: what it opened is closed, with an error each. */
void container_unwind(struct conf_reader *rd, const struct open_container *base);

/* conditions.c */
bool condition_module(struct conf_reader *rd, const struct conf_node *node);
bool condition_define(struct conf_reader *rd, const struct conf_node *node);
bool condition_file(struct conf_reader *rd, const struct conf_node *node);

/* define.c */
void define_options(struct conf_reader *rd);
void define_set(struct conf_reader *rd, const struct conf_node *node);
void define_remove(struct conf_reader *rd, const struct conf_node *node);
bool define_test(const struct conf_reader *rd, const char *name);
/* What ${NAME} stands for; NULL: it is not defined. */
const char *define_value(const struct conf_reader *rd, const char *name);

/* expand.c: the line with each ${VAR} replaced, in out where there are any; an undefined
 * one stays, and is warned of. NULL where nothing is left, or too much (reported). */
const struct logical_line *expand_line(struct conf_reader *rd, const struct logical_line *line,
                                       struct logical_line *out);

/* include.c */
void include_required(struct conf_reader *rd, const struct conf_node *node);
void include_optional(struct conf_reader *rd, const struct conf_node *node);
/* glob.c: the paths that match a pattern, sorted within each folder. A relative one
 * starts at root, whose own name is no pattern, whatever it looks like. */
bool glob_is_pattern(const char *path);
apr_array_header_t *glob_expand(struct conf_reader *rd, const char *root, const char *pattern);

/* conf_path() while the conf is still being read. */
const char *reader_path(const struct conf_reader *rd, const char *path);

#endif
