/* SPDX-License-Identifier: Apache-2.0 */
/* conf_read(): the loop over files and lines. Each line is a node by itself, so a
 * bad one costs an error and nothing of what follows; all errors come out in
 * one run. Process settings take effect as they are read: Include and <IfModule>
 * behind a ServerRoot or LoadModule see it. */
#include "config/reader.h"

#include <string.h>

#include <apr_strings.h>

#include "config/apply.h"
#include "config/scan.h"

static void obsolete(struct conf_reader *rd, struct known *known, struct conf_node *node)
{
    node->applied = true;
    if (!known->said) {
        known->said = true;
        conf_warn(rd->diags, node, -1, "%s means nothing here: %s", known->name,
                  known->obsolete->instead);
    }
}

static void obey(struct conf_reader *rd, struct known *known, struct conf_node *node)
{
    if (known->statement) {
        if (apply_count(known->row, node, rd->diags)) {
            known->statement(rd, node);
        }
        return;
    }
    node_attach(rd, node);
    if (known->obsolete) {
        obsolete(rd, known, node);
    }
    else if (known->log) {
        scan_log(rd->conf, node);
    }
    else {
        node->applied = true;
        conf_apply(known->row, node, NULL, NULL, &rd->conf->process, rd->diags, rd->pool, rd->temp);
    }
}

static void directive_line(struct conf_reader *rd, const struct logical_line *line)
{
    struct word name;
    size_t at = 0;
    struct conf_node *node;
    struct known *known;

    (void)word_next(line->text, line->length, &at, &name);
    node = node_create(rd, line, &name, at, line->length);
    if (node->name[0] == '\0') {
        conf_error(rd->diags, node, -1, "a directive's name is expected here");
        return;
    }
    known = known_find(rd->known, node);
    if (known) {
        obey(rd, known, node);
    }
    else {
        node_attach(rd, node);
    }
}

static void read_line(struct conf_reader *rd, const struct logical_line *line)
{
    struct logical_line expanded;

    if (line->too_long) {
        struct word name = { .start = 0, .end = 0 };

        conf_error(rd->diags, node_create(rd, line, &name, 0, 0), -1, "a line of more than %d KiB",
                   CONF_LINE_MAX >> 10);
        return;
    }
    if (!rd->skipping) {
        line = expand_line(rd, line, &expanded);
    }
    if (line && line->text[0] == '<') {
        container_line(rd, line);
    }
    else if (line && !rd->skipping) {
        directive_line(rd, line);
    }
}

static bool within_limits(struct conf_reader *rd, const struct conf_file *file,
                          const struct conf_node *node)
{
    const char *words = NULL;

    rd->total += file->length;
    rd->file_count++;
    if (rd->total > CONF_TOTAL_MAX) {
        words =
            apr_psprintf(rd->temp, "the config is longer than %d MiB in all", CONF_TOTAL_MAX >> 20);
    }
    else if (rd->file_count > CONF_FILES_MAX) {
        words = apr_psprintf(rd->temp, "more than %d files are included", CONF_FILES_MAX);
    }
    if (!words) {
        return true;
    }
    rd->stop = true;
    if (node) {
        conf_error(rd->diags, node, 0, "%s", words);
    }
    else {
        diags_add(rd->diags, DIAG_CONFIG, DIAG_ERROR, file->path, 0, 0, "%s", words);
    }
    return false;
}

void read_file(struct conf_reader *rd, const struct snapshot *snapshot,
               const struct conf_node *node)
{
    struct open_file reading = { .outer = rd->reading,
                                 .file = &snapshot->file,
                                 .device = snapshot->device,
                                 .inode = snapshot->inode,
                                 .base = rd->open };
    struct lexer lexer = { .file = &snapshot->file, .line = 1, .scratch = &rd->scratch };
    struct logical_line line;

    if (!within_limits(rd, &snapshot->file, node)) {
        return;
    }
    rd->reading = &reading;
    rd->depth++;
    while (!rd->stop && lexer_next(&lexer, &line)) {
        read_line(rd, &line);
    }
    container_unwind(rd, reading.base);
    rd->depth--;
    rd->reading = reading.outer;
}

/* -c: read last, as a file of that name with a line for each. */
static void read_command_line(struct conf_reader *rd)
{
    const apr_array_header_t *directives = rd->options->directives;
    const struct snapshot *snapshot;
    const char *text;

    if (!directives || directives->nelts == 0) {
        return;
    }
    text = apr_array_pstrcat(rd->temp, directives, '\n');
    snapshot = snapshot_text(rd, "-c", text, strlen(text));
    if (snapshot) {
        read_file(rd, snapshot, NULL);
    }
}

const char *reader_path(const struct conf_reader *rd, const char *path)
{
    return conf_path(rd->conf, path, rd->temp);
}

static void reader_init(struct conf_reader *rd, const struct conf_options *options,
                        const struct conf *stored, struct diags *diags, apr_pool_t *pool)
{
    struct conf *conf = apr_pcalloc(pool, sizeof(*conf));

    memset(rd, 0, sizeof(*rd));
    rd->pool = pool;
    (void)apr_pool_create(&rd->temp, pool);
    rd->conf = conf;
    rd->options = options;
    rd->diags = diags;
    rd->outside = stored ? outside_replay(stored->answers, pool) : outside_ask(pool);
    rd->stored = stored;
    rd->known = known_create(rd->temp);
    rd->scratch.pool = rd->expanded.pool = rd->temp;
    rd->snapshot = apr_hash_make(rd->temp);
    rd->defines = apr_hash_make(rd->temp);
    conf->pool = pool;
    conf->options = options;
    conf->files = apr_array_make(pool, 8, sizeof(const struct conf_file *));
    conf->answers = outside_answers(rd->outside);
    conf->root = apr_pcalloc(pool, sizeof(*conf->root));
    rd->parent = conf->root;
    rd->tail = &conf->root->children;
    scan_start(conf, rd->outside, diags, rd->temp);
    define_options(rd);
}

static void reader_finish(struct conf_reader *rd)
{
    read_command_line(rd);
    scan_finish(rd->conf);
    apr_pool_destroy(rd->temp);
}

static void read_main_file(struct conf_reader *rd, const char *path)
{
    const struct snapshot *snapshot;

    rd->conf->path = path;
    snapshot = snapshot_take(rd, path, NULL);
    if (snapshot) {
        read_file(rd, snapshot, NULL);
    }
}

void conf_read(struct conf **out, const struct conf_options *options, struct diags *diags,
               apr_pool_t *pool)
{
    struct conf_reader rd;

    reader_init(&rd, options, NULL, diags, pool);
    read_main_file(&rd, conf_path(rd.conf, options->config_file, pool));
    reader_finish(&rd);
    *out = rd.conf;
}

void conf_read_stored(struct conf **out, const struct conf *stored, struct diags *diags,
                      apr_pool_t *pool)
{
    struct conf_reader rd;

    reader_init(&rd, stored->options, stored, diags, pool);
    read_main_file(&rd, stored->path);
    reader_finish(&rd);
    if (outside_strayed(rd.outside)) {
        diags_add(diags, DIAG_CONFIG, DIAG_ERROR, stored->path, 0, 0,
                  "this server reads the stored config otherwise than the one that stored it");
    }
    *out = rd.conf;
}

void conf_read_text(struct conf **out, const struct conf_options *options, const char *name,
                    const char *text, size_t length, struct diags *diags, apr_pool_t *pool)
{
    struct conf_reader rd;
    const struct snapshot *snapshot;

    reader_init(&rd, options, NULL, diags, pool);
    rd.from_memory = true;
    rd.conf->path = apr_pstrdup(pool, name);
    snapshot = snapshot_text(&rd, rd.conf->path, text, length);
    if (snapshot) {
        read_file(&rd, snapshot, NULL);
    }
    reader_finish(&rd);
    *out = rd.conf;
}
