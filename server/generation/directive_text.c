/* SPDX-License-Identifier: Apache-2.0 */
/* Directive tables printed for people. */
#include "generation/directive_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *context(const ins_directive *row)
{
    static const struct {
        unsigned where;
        const char *words;
    } contexts[] = {
        { INS_IN_SERVER | INS_IN_LOCATION, "anywhere" },
        { INS_IN_SERVER | INS_IN_LOCATION | INS_IN_GLOBAL, "anywhere" },
        { INS_IN_SERVER, "main server, <VirtualHost>" },
        { INS_IN_SERVER | INS_IN_GLOBAL, "main server, <VirtualHost>" },
        { INS_IN_LOCATION, "<Location>, <LocationMatch>" },
        { INS_IN_LOCATION | INS_IN_GLOBAL, "main server, <Location>, <LocationMatch>" },
        { INS_IN_GLOBAL, "main server" },
    };

    for (size_t i = 0; i < sizeof(contexts) / sizeof(contexts[0]); i++) {
        if (contexts[i].where == row->where) {
            return contexts[i].words;
        }
    }
    return "anywhere";
}

static const char *closing(const ins_directive *row)
{
    return row->name[0] == '<' ? ">" : "";
}

void directives_list(const ins_directive *table, const char *part)
{
    for (const ins_directive *row = table; row && row->name; row++) {
        printf("%s %s%s (%s)\n", row->name, row->syntax ? row->syntax : "", closing(row), part);
        printf("\t%s\n", row->help ? row->help : "");
        if (row->initial) {
            printf("\tDefault: %s\n", row->initial);
        }
        printf("\tAllowed in: %s\n", context(row));
    }
}

static void print_escaped(const char *text, const char *special)
{
    for (; *text; text++) {
        if (strchr(special, *text)) {
            (void)putchar('\\');
        }
        (void)putchar(*text);
    }
}

/* Cells of a table: '|' would end one, and outside of code more means something. */
static void print_code(const char *text)
{
    (void)fputs(" `", stdout);
    print_escaped(text, "|");
    (void)fputs("` |", stdout);
}

static void print_words(const char *text)
{
    (void)putchar(' ');
    print_escaped(text, "|<>*_`\\");
    (void)fputs(" |", stdout);
}

static void print_row(const ins_directive *row)
{
    char form[1024];

    (void)snprintf(form, sizeof(form), "%s%s%s%s", row->name,
                   row->syntax && *row->syntax ? " " : "", row->syntax ? row->syntax : "",
                   closing(row));
    (void)putchar('|');
    print_code(form);
    if (row->initial) {
        print_code(row->initial);
    }
    else {
        print_words("");
    }
    print_words(context(row));
    print_words(row->help ? row->help : "");
    (void)putchar('\n');
}

/* ---- mdoc(7) ------------------------------------------------------------ */

/* An argument of a macro in quotes; or a line of text, which must not begin like a macro. */
static void print_roff(const char *text, bool argument)
{
    if (!argument && (*text == '.' || *text == '\'')) {
        (void)fputs("\\&", stdout);
    }
    for (; *text; text++) {
        if (*text == '\\') {
            (void)fputs("\\e", stdout);
        }
        else if (*text == '"' && argument) {
            (void)fputs("\"\"", stdout);
        }
        else {
            (void)putchar(*text);
        }
    }
}

static void print_entry(const ins_directive *row)
{
    (void)fputs(".It Li \"", stdout);
    print_roff(row->name, true);
    if (row->syntax && *row->syntax) {
        (void)putchar(' ');
        print_roff(row->syntax, true);
    }
    printf("%s\"\n", closing(row));
    print_roff(row->help ? row->help : "", false);
    (void)putchar('\n');
    printf(".br\nWhere: %s.", context(row));
    if (row->initial) {
        (void)fputs(" Default: ", stdout);
        print_roff(row->initial, false);
    }
    (void)putchar('\n');
}

void directives_mdoc(const ins_directive *table, const char *title)
{
    printf(".Ss %s\n.Bl -tag -width Ds\n", title);
    for (const ins_directive *row = table; row && row->name; row++) {
        print_entry(row);
    }
    (void)fputs(".El\n", stdout);
}

/* ---- Markdown ----------------------------------------------------------- */

void directives_markdown(const ins_directive *table, const char *title)
{
    printf("\n## %s\n\n", title);
    (void)fputs("| Directive | Default | Where | Meaning |\n|---|---|---|---|\n", stdout);
    for (const ins_directive *row = table; row && row->name; row++) {
        print_row(row);
    }
}
