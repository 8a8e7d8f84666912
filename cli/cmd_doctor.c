/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "overlab doctor": what this kernel, file system and user can do. The checks collect findings
 * (doctor_views.c, doctor_place.c) in one JSON array; the table is drawn from the same array, so
 * the two cannot disagree.
 */
#include "cli/doctor.h"

#include "common/cleanup.h"

#include "config.h"

#include <errno.h>
#include <libgen.h>
#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>

static const char *const state_names[] = {
    [DOCTOR_OK] = "ok",
    [DOCTOR_NOTE] = "note",
    [DOCTOR_WARNING] = "warning",
    [DOCTOR_NO] = "no",
};

void doctor_add(struct doctor *d, const char *check, enum doctor_state state, const char *proof,
                const char *remedy, const char *fmt, ...)
{
    ol_auto_free char *found = NULL;
    json_t *finding;
    va_list args;
    int n;

    va_start(args, fmt);
    n = vasprintf(&found, fmt, args);
    va_end(args);
    if (n < 0) {
        found = NULL;
        d->nomem = true;
        return;
    }
    finding = json_pack("{s:s, s:s, s:s, s:s, s:s?}", "check", check, "state", state_names[state],
                        "found", found, "proof", proof, "remedy", remedy);
    if (finding == NULL || json_array_append_new(d->findings, finding) < 0)
        d->nomem = true;
}

/* --- JSON --- */

static const char *known_text(enum ol_known known)
{
    return known == OL_UNKNOWN ? "unknown" : known == OL_KNOWN_YES ? "yes" : "no";
}

static json_t *view_json(bool works, const char *why)
{
    return json_pack("{s:b, s:s?}", "works", works, "why", why);
}

static json_t *views_json(const struct doctor *d)
{
    const struct ol_view_probe *p = &d->probe;

    return json_pack("{s:o, s:o, s:o, s:b}", "kernel", view_json(p->kernel_mount, p->kernel_why),
                     "userns", view_json(p->userns_mount, p->userns_why), "direct",
                     view_json(p->direct, p->direct_why), "id_ranges", p->id_ranges);
}

static json_t *directory_json(const struct doctor *d)
{
    const struct ol_fsinfo *fs = &d->fs;

    if (!d->has_fs)
        return json_pack("{s:s, s:s}", "path", d->asked, "looked_at", d->dir);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, "
                     "s:s, s:s, s:s}",
                     "path", d->asked, "looked_at", d->dir, "fs", fs->type, "backing_filesystem",
                     fs->magic_name, "source", fs->source, "mount_point", fs->mount_point,
                     "mount_options", fs->options, "block_size", (json_int_t)fs->block_size,
                     "inode_size", (json_int_t)fs->inode_size, "total_bytes",
                     (json_int_t)fs->total_bytes, "free_bytes", (json_int_t)fs->free_bytes,
                     "total_inodes", (json_int_t)fs->total_inodes, "free_inodes",
                     (json_int_t)fs->free_inodes, "journal", known_text(fs->journal), "reflink",
                     known_text(fs->reflink), "d_type", known_text(fs->d_type), "user_xattr",
                     known_text(fs->user_xattr), "trusted_xattr", known_text(fs->trusted_xattr));
}

static int print_json(const struct doctor *d)
{
    struct utsname host = {0};
    json_t *all;
    int r;

    (void)uname(&host); /* cannot fail with a valid buffer */
    all = json_pack("{s:s, s:s, s:{s:s, s:s}, s:o, s:s?, s:o, s:O, s:O}", "schema",
                    "overlab.doctor/1", "overlab", OL_VERSION, "host", "kernel", host.release,
                    "machine", host.machine, "directory", directory_json(d), "view",
                    d->any_view ? ol_view_name(d->view) : NULL, "views", views_json(d), "findings",
                    d->findings, "engines", d->engines);
    if (all == NULL)
        return -ENOMEM;
    r = json_dumpf(all, stdout, JSON_INDENT(2)); /* a failed write shows in ferror(stdout) */
    (void)putchar('\n');
    json_decref(all);
    return r < 0 && !ferror(stdout) ? -ENOMEM : 0;
}

/* --- table --- */

enum { CHECK, STATE, FOUND, PROOF, N_COLUMNS };

static const struct {
    const char *key;
    const char *heading;
} columns[N_COLUMNS] = {
    [CHECK] = {"check", "CHECK"},
    [STATE] = {"state", "STATE"},
    [FOUND] = {"found", "FOUND"},
    [PROOF] = {"proof", "PROOF"},
};

/* The two columns of text share what check and state leave of the terminal. */
enum { NARROW_COLUMNS = 33, TEXT_MIN = 20, WHOLE_LINES = 0 };

static const char *cell_text(const json_t *finding, unsigned column)
{
    return json_string_value(json_object_get(finding, columns[column].key));
}

/* A copy with line breaks between words; libsmartcols of Debian 12 breaks within them. */
static char *wrap_words(const char *text, size_t width)
{
    char *copy = strdup(text);
    char *line = copy;
    char *space = NULL;

    if (width == WHOLE_LINES)
        return copy;
    for (char *p = copy; p != NULL && *p != '\0'; p++) {
        if (*p == ' ')
            space = p;
        if ((size_t)(p - line) >= width && space != NULL) {
            *space = '\n';
            line = space + 1;
            space = NULL;
        }
    }
    return copy;
}

static const char *state_color(const char *state)
{
    return strcmp(state, "ok") == 0 ? "green" : strcmp(state, "warning") == 0 ? "yellow" : NULL;
}

static int fill_line(struct libscols_line *line, const json_t *finding, const size_t *widths)
{
    const char *color = state_color(cell_text(finding, STATE));
    int r = 0;

    for (unsigned i = 0; i < N_COLUMNS && r == 0; i++) {
        char *text = wrap_words(cell_text(finding, i), widths[i]);

        r = text != NULL ? scols_line_refer_data(line, i, text) : -ENOMEM; /* takes it over */
        if (r != 0)
            free(text);
    }
    if (r == 0 && color != NULL)
        r = scols_cell_set_color(scols_line_get_cell(line, STATE), color);
    return r;
}

static int add_column(struct libscols_table *table, unsigned i)
{
    bool wraps = i == FOUND || i == PROOF;
    struct libscols_column *column = scols_table_new_column(table, columns[i].heading, 0,
                                                            wraps ? SCOLS_FL_WRAP : 0);

    if (column == NULL)
        return -ENOMEM;
    if (!wraps)
        return 0;
    if (scols_column_set_safechars(column, "\n") != 0)
        return -ENOMEM;
    return scols_column_set_wrapfunc(column, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL);
}

static int fill_table(struct libscols_table *table, const struct doctor *d)
{
    size_t widths[N_COLUMNS] = {WHOLE_LINES};
    size_t left = scols_table_get_termwidth(table);
    const json_t *finding;
    size_t i;
    int r = 0;

    left = left > NARROW_COLUMNS + 2 * TEXT_MIN ? left - NARROW_COLUMNS : 2 * TEXT_MIN;
    if (isatty(STDOUT_FILENO)) { /* elsewhere whole lines, for grep */
        widths[FOUND] = left * 11 / 20;
        widths[PROOF] = left - widths[FOUND];
    }
    for (unsigned c = 0; c < N_COLUMNS && r == 0; c++)
        r = add_column(table, c);
    json_array_foreach(d->findings, i, finding)
    {
        struct libscols_line *line = r == 0 ? scols_table_new_line(table, NULL) : NULL;

        if (line == NULL)
            return -ENOMEM;
        r = fill_line(line, finding, widths);
    }
    return r;
}

static int print_table(const struct doctor *d)
{
    struct libscols_table *table = scols_new_table();
    int r = table != NULL ? fill_table(table, d) : -ENOMEM;

    if (r == 0)
        r = scols_table_enable_colors(table, ol_cli_color(d->cli, STDOUT_FILENO));
    if (r == 0 && !isatty(STDOUT_FILENO))
        r = scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
    if (r == 0)
        r = scols_table_set_column_separator(table, "  ");
    if (r == 0)
        r = scols_print_table(table);
    scols_unref_table(table);
    return r == 0 ? 0 : -ENOMEM;
}

/* What to do, check by check; nothing when nothing needs doing. */
static void print_remedies(const struct doctor *d)
{
    const json_t *finding;
    bool headed = false;
    size_t i;

    json_array_foreach(d->findings, i, finding)
    {
        const char *remedy = json_string_value(json_object_get(finding, "remedy"));

        if (remedy == NULL)
            continue;
        if (!headed)
            printf("\nWhat can be done:\n");
        headed = true;
        printf("  %s: %s\n", json_string_value(json_object_get(finding, "check")), remedy);
    }
}

static int print_text(const struct doctor *d)
{
    int r;

    printf("%s (%s)\n\n", d->asked, d->has_fs ? d->fs.type : "unknown file system");
    r = print_table(d);
    if (r < 0)
        return r;
    print_remedies(d);
    if (d->any_view)
        printf("\nThe view auto picks here: %s\n", ol_view_name(d->view));
    else
        printf("\nNo view works here.\n");
    return 0;
}

/* --- the command --- */

/* The nearest directory at or above path that exists; NULL without memory. */
static char *existing_directory(const char *path)
{
    ol_auto_free char *name = strdup(path);
    struct stat st;

    while (name != NULL && (stat(name, &st) < 0 || !S_ISDIR(st.st_mode)) &&
           strcmp(name, "/") != 0 && strcmp(name, ".") != 0) {
        char *parent = strdup(dirname(name));

        free(name);
        name = parent;
    }
    return name != NULL ? realpath(name, NULL) : NULL;
}

static int prepare(struct doctor *d, struct ol_error *err)
{
    struct stat st;

    if (stat(d->asked, &st) == 0 && !S_ISDIR(st.st_mode))
        return ol_error_set(err, -ENOTDIR, "'%s' is not a directory", d->asked);
    d->dir = existing_directory(d->asked);
    if (d->dir == NULL)
        return ol_error_sys(err, errno, "cannot look at '%s'", d->asked);
    d->findings = json_array();
    d->engines = json_array();
    return d->findings != NULL && d->engines != NULL ? 0 : ol_error_nomem(err);
}

static void run_checks(struct doctor *d)
{
    doctor_check_views(d);
    doctor_check_kernel(d);
    doctor_check_drivers(d);
    doctor_check_place(d);
    doctor_check_leftovers(d);
    doctor_check_loop(d);
    doctor_check_engines(d);
}

static void finish(struct doctor *d)
{
    if (d->probed)
        ol_view_probe_fini(&d->probe);
    if (d->has_fs)
        ol_fsinfo_fini(&d->fs);
    json_decref(d->findings);
    json_decref(d->engines);
    free(d->dir);
}

static bool take(struct ol_cli *cli, int key, char *arg, void *data)
{
    struct doctor *d = data;

    (void)key; /* there is nothing but the argument */
    if (arg[0] == '\0') {
        (void)ol_cli_usage(cli, "the directory is empty");
        return false;
    }
    d->asked = arg;
    return true;
}

int cmd_doctor(struct ol_cli *cli, int argc, char **argv)
{
    struct doctor d = {.cli = cli};
    const struct ol_cli_syntax syntax = {
        .take = take,
        .data = &d,
        .max_arguments = 1,
        .help = "Tries what overlab needs in DIR (default: the data root) and says what works, how "
                "that was found out, and what can be done. Nothing is changed.\n\n"
                "Exit status: 0 at least one view works, 3 none does.",
    };
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    int r;

    if (!ol_cli_parse(cli, &syntax, argc, argv))
        return cli->status;
    if (d.asked == NULL)
        d.asked = cli->root;
    r = prepare(&d, &err);
    if (r == 0) {
        run_checks(&d);
        r = d.nomem ? -ENOMEM : cli->json ? print_json(&d) : print_text(&d);
    }
    finish(&d);
    if (r < 0)
        return ol_cli_fail(cli, r, &err);
    return d.any_view ? OL_EXIT_OK : OL_EXIT_IMPOSSIBLE;
}
