/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlab explain: each step as it looks (golden, numbers normalised), as data, held against the
 * oracle's laws in every view; wrong usage, terminals, and what is left when it is interrupted.
 */
#include "cli/terminal.h"
#include "cli/traced.h"

#include "common/fs/dirents.h"
#include "support/crash.h"

#include <fcntl.h>
#include <jansson.h>
#include <regex.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const steps[] = {
    "mount", "create", "copy-up", "whiteout", "opaque",   "diff",
    "apply", "commit", "chain",   "remove",   "snapshot", "build",
};

struct fixture {
    struct test_dir dir;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    test_dir_make(&f->dir);
    assert_int_equal(fchmod(f->dir.fd, 0777), 0); /* also for an ordinary user's runs */
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    test_dir_remove(&f->dir);
    free(f);
    return 0;
}

/* ---- golden ---- */

/* The labels given to inode numbers, in the order they are met. */
struct labels {
    char numbers[512][24];
    size_t count;
};

static size_t label_of(struct labels *labels, const char *number, size_t len)
{
    for (size_t i = 0; i < labels->count; i++) {
        if (strlen(labels->numbers[i]) == len && memcmp(labels->numbers[i], number, len) == 0)
            return i + 1;
    }
    assert_true(labels->count < OL_ARRAY_LEN(labels->numbers) && len < sizeof labels->numbers[0]);
    memcpy(labels->numbers[labels->count], number, len);
    return ++labels->count;
}

/*
 * A rule: what matches is replaced. "\1" and "\2" in the text stand for groups, "@" for the label
 * of the first one, an inode number, in as many columns as the group has.
 */
struct rule {
    const char *pattern, *text;
};
enum { GROUPS = 3 };

static int put_label(struct ol_buf *out, struct labels *labels, const char *matched, size_t len)
{
    const size_t blanks = strspn(matched, " ");
    char label[32];

    (void)snprintf(label, sizeof label, "i%zu", label_of(labels, matched + blanks, len - blanks));
    return ol_buf_printf(out, "%*s", (int)len, label);
}

static void put_replacement(struct ol_buf *out, struct labels *labels, const char *text,
                            const char *from, const regmatch_t *groups)
{
    int r = 0;

    for (; *text != '\0' && r == 0; text++) {
        const regmatch_t *group = &groups[*text == '\2' ? 2 : 1];
        const char *matched = from + group->rm_so;
        size_t len = group->rm_so >= 0 ? (size_t)(group->rm_eo - group->rm_so) : 0;

        if (*text == '@')
            r = put_label(out, labels, matched, len);
        else if (*text == '\1' || *text == '\2')
            r = ol_buf_append(out, matched, len);
        else
            r = ol_buf_putc(out, *text);
    }
    assert_int_equal(r, 0);
}

static char *apply_rule(char *text, const struct rule *rule, struct labels *labels)
{
    ol_auto_free char *old = text;
    ol_auto_buf struct ol_buf out = OL_BUF_INIT;
    const char *at = old;
    regmatch_t groups[GROUPS];
    regex_t regex;

    assert_int_equal(regcomp(&regex, rule->pattern, REG_EXTENDED | REG_NEWLINE), 0);
    while (regexec(&regex, at, GROUPS, groups, at > old && at[-1] != '\n' ? REG_NOTBOL : 0) == 0) {
        assert_int_equal(ol_buf_append(&out, at, (size_t)groups[0].rm_so), 0);
        put_replacement(&out, labels, rule->text, at, groups);
        at += groups[0].rm_eo;
    }
    assert_int_equal(ol_buf_puts(&out, at), 0);
    regfree(&regex);
    return ol_buf_steal(&out);
}

/*
 * Inode numbers become labels, so that the same number stays the same; random names, the place, and
 * what newer kernels add to mount options go. Everything else stays where it is, but for what
 * follows the names overlayfs makes up in work/work, whose length depends on how long the kernel
 * runs.
 */
static char *steady(const char *text)
{
    static const struct rule rules[] = {
        {"^(\\$S +)/.*", "\1PLACE"},
        {"( +[0-9]+)( +(-|[0-9]+|[0-9]+>[0-9]+) [dflwcbps] +(-|[0-9]+) )", "@\2"},
        {"copy of ([0-9]+) *", "copy of @ "},
        {"inode ([0-9]+) *", "inode @ "},
        {"[0-9a-f]{8}~", "________~"},
        {"[A-Z0-9]{6}~", "......~"},
        {"#[0-9a-f]+( *char 0,0)? *", "#N\1 "},
        {",?(uuid|index|xino|nfs_export|metacopy|redirect_dir)=[a-z]+", ""},
        {"(workdir=[^ ,]*), *", "\1 "},
        {" +$", ""},
    };
    struct labels *labels = calloc(1, sizeof *labels);
    char *now = strdup(text);

    assert_non_null(labels);
    assert_non_null(now);
    for (size_t i = 0; i < OL_ARRAY_LEN(rules); i++)
        now = apply_rule(now, &rules[i], labels);
    free(labels);
    return now;
}

static void assert_step_golden(const char *step, const char *width)
{
    auto_result struct program_result result = {0};
    ol_auto_free char *text = NULL;
    ol_auto_free char *name = NULL;

    program(&result, "explain", step, "--width", width, "--view", "kernel", "--backing",
            "tmpfs:64M");
    assert_string_equal(result.err, "");
    assert_int_equal(result.status, 0);
    for (const char *line = result.out; *line != '\0';) {
        size_t len = strcspn(line, "\n");

        assert_true(len <= strtoul(width, NULL, 10));
        assert_true(len == 0 || line[len - 1] != ' ');
        line += len + (line[len] == '\n');
    }
    text = steady(result.out);
    assert_true(asprintf(&name, "explain-%s-%s.txt", step, width) > 0);
    assert_golden(name, text);
}

/* A tmpfs of its own: small inode numbers, and sizes that do not depend on the disk. */
static void explain__looks_as_it_should(void **state)
{
    (void)state;
    OL_REQUIRE(can_mount_overlay, "the golden output is that of root's view");
    for (size_t i = 0; i < OL_ARRAY_LEN(steps); i++) {
        assert_step_golden(steps[i], "80");
        assert_step_golden(steps[i], "160");
    }
}

/* ---- data ---- */

static json_t *explain_json(const struct fixture *f, const char *step, const char *view,
                            unsigned uid)
{
    const struct program_run run = {
        .args = (const char *const[]){"explain", step, "--json", "--view", view, "--backing",
                                      f->dir.path, NULL},
        .uid = uid,
    };
    auto_result struct program_result result = {0};
    json_error_t why;
    json_t *json;

    program_run(&run, &result);
    assert_string_equal(result.err, "");
    assert_int_equal(result.status, 0);
    json = json_loads(result.out, 0, &why);
    if (json == NULL)
        fail_msg("%s --view %s: %s", step, view, why.text);
    return json;
}

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));

    assert_non_null(text);
    return text;
}

static json_int_t number_of(const json_t *json, const char *key)
{
    const json_t *number = json_object_get(json, key);

    if (!json_is_integer(number))
        fail_msg("no number '%s'", key);
    return json_integer_value(number);
}

/* What is said about an entry has to be true of the others. */
static void assert_entries(const json_t *entries)
{
    size_t i;
    size_t j;
    json_t *entry;
    json_t *other;

    json_array_foreach(entries, i, entry)
    {
        const char *change = text_of(entry, "change");
        unsigned names = 0;

        if (strcmp(change, "gone") == 0)
            continue;
        json_array_foreach(entries, j, other)
        {
            names += number_of(other, "inode") == number_of(entry, "inode") &&
                     strcmp(text_of(other, "change"), "gone") != 0;
        }
        if (strcmp(change, "linked") == 0)
            assert_true(names > 1);
        assert_int_equal(json_is_true(json_object_get(entry, "shared")),
                         names > 1 && strcmp(text_of(entry, "kind"), "directory") != 0);
        if (names > 1) /* all names of an inode lie in the home */
            assert_int_equal(names, number_of(entry, "links"));
    }
}

/* The totals are those of the oracle, kind by kind; @return whether it had a law */
static bool assert_totals(const json_t *totals, const json_t *before, const char *what)
{
    const json_t *law = json_object_get(totals, "predicted_kinds");
    const json_t *kinds = json_object_get(totals, "kinds");
    const char *kind;
    json_t *value;

    if (before != NULL)
        assert_true(number_of(totals, "inodes") - number_of(before, "inodes") ==
                    number_of(totals, "added_inodes"));
    if (law == NULL)
        return false;
    if (number_of(totals, "added_inodes") != number_of(totals, "predicted_inodes"))
        fail_msg("%s: %" JSON_INTEGER_FORMAT " inodes, %" JSON_INTEGER_FORMAT " by law", what,
                 number_of(totals, "added_inodes"), number_of(totals, "predicted_inodes"));
    if (before == NULL)
        return true;
    json_object_foreach((json_t *)(uintptr_t)law, kind, value)
    {
        json_int_t was = number_of(json_object_get(before, "kinds"), kind);

        if (number_of(kinds, kind) - was != json_integer_value(value))
            fail_msg("%s: another count of kind %s than by law", what, kind);
    }
    return true;
}

static void assert_engine(const json_t *json, const char *step, size_t phase, size_t engine)
{
    const json_t *phases = json_object_get(json, "phases");
    const json_t *now = json_array_get(phases, phase);
    const json_t *part = json_array_get(json_object_get(now, "engines"), engine);
    const json_t *before = NULL;
    ol_auto_free char *what = NULL;

    assert_true(asprintf(&what, "%s, phase %zu, %s", step, phase, text_of(part, "name")) > 0);
    if (phase > 0)
        before = json_object_get(
            json_array_get(json_object_get(json_array_get(phases, phase - 1), "engines"), engine),
            "totals");
    assert_entries(json_object_get(part, "entries"));
    assert_true(assert_totals(json_object_get(part, "totals"), before, what));
    assert_int_equal(json_is_object(json_object_get(part, "note")), phase > 0);
    assert_true(json_is_array(json_object_get(part, "calls")));
    assert_true(json_is_array(json_object_get(part, "mounts")));
}

static void assert_explained(const struct fixture *f, const char *step, const char *view,
                             unsigned uid)
{
    json_t *json = explain_json(f, step, view, uid);
    json_t *phases = json_object_get(json, "phases");
    size_t phase;
    json_t *one;

    assert_string_equal(text_of(json, "schema"), "overlab.explain/1");
    assert_string_equal(text_of(json, "step"), step);
    assert_string_equal(text_of(json, "view"), view);
    assert_true(json_array_size(phases) >= 2);
    json_array_foreach(phases, phase, one)
    {
        assert_int_equal(json_array_size(json_object_get(one, "engines")), 3);
        for (size_t engine = 0; engine < 3; engine++)
            assert_engine(json, step, phase, engine);
    }
    json_decref(json);
}

static void assert_nothing_left(const struct fixture *f)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    ol_auto_fd int fd = openat(f->dir.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ol_dirents_read(&list, fd, true), 0);
    if (list.count > 0)
        fail_msg("'%s' was left", list.items[0].name);
}

static void explain__counts_what_the_laws_say_as_root(void **state)
{
    OL_REQUIRE(can_mount_overlay, "root's view mounts");
    for (size_t i = 0; i < OL_ARRAY_LEN(steps); i++)
        assert_explained(*state, steps[i], "kernel", 0);
    assert_nothing_left(*state);
}

static void explain__counts_the_same_in_a_user_namespace(void **state)
{
    OL_REQUIRE(can_user_namespace, "this view is one of a user namespace");
    OL_REQUIRE(can_user_xattr, "opaque directories are marked with user.* attributes");
    for (size_t i = 0; i < OL_ARRAY_LEN(steps); i++)
        assert_explained(*state, steps[i], "userns", geteuid() == 0 ? 1000 : 0);
    assert_nothing_left(*state);
}

static void explain__counts_the_same_without_mounts(void **state)
{
    OL_REQUIRE(can_user_xattr, "opaque directories are marked with user.* attributes");
    for (size_t i = 0; i < OL_ARRAY_LEN(steps); i++)
        assert_explained(*state, steps[i], "direct", geteuid() == 0 ? 1000 : 0);
    assert_nothing_left(*state);
}

/* One phase of one engine: what there is under key. */
static const json_t *part_of(const json_t *json, size_t phase, size_t engine, const char *key)
{
    const json_t *of = json_array_get(json_object_get(json, "phases"), phase);

    return json_object_get(json_array_get(json_object_get(of, "engines"), engine), key);
}

static bool has_dialect(const json_t *dialects, const char *dialect, const char *path)
{
    size_t i;
    json_t *one;

    json_array_foreach(dialects, i, one)
    {
        if (strcmp(text_of(one, "dialect"), dialect) == 0 &&
            strcmp(text_of(one, "path"), path) == 0)
            return true;
    }
    return false;
}

static void explain__shows_a_whiteout_in_its_three_dialects(void **state)
{
    json_t *json;

    OL_REQUIRE(can_user_xattr, "opaque directories are marked with user.* attributes");
    json = explain_json(*state, "whiteout", "direct", 0);
    for (size_t engine = 0; engine < 3; engine++) {
        const json_t *dialects = part_of(json, 4, engine, "dialects");

        assert_true(has_dialect(dialects, "tar", "farm/.wh.cow"));
        assert_true(has_dialect(dialects, "device", "farm/cow"));
        assert_true(has_dialect(dialects, "device", "etc/motd"));
        assert_true(has_dialect(dialects, "attribute", "farm/barn"));
        /* a naive diff of two trees knows of no opaque directory, and lists what went */
        assert_int_equal(has_dialect(dialects, "tar", "farm/barn/.wh.owl"), engine == 0);
        assert_int_equal(has_dialect(dialects, "tar", "farm/barn/.wh..wh..opq"), engine != 0);
    }
    json_decref(json);
}

static json_int_t changes(const json_t *entries, const char *change)
{
    json_int_t count = 0;
    size_t i;
    json_t *entry;

    json_array_foreach(entries, i, entry) count += strcmp(text_of(entry, "change"), change) == 0;
    return count;
}

/* The reason for all of this, in one test. */
static void explain__a_commit_links_or_copies_or_does_nothing(void **state)
{
    json_t *json;

    OL_REQUIRE(can_user_xattr, "this view needs user.* attributes");
    json = explain_json(*state, "commit", "direct", 0);
    assert_int_equal(changes(part_of(json, 1, 0, "entries"), "linked"), 3); /* motd, cat, owl */
    assert_int_equal(changes(part_of(json, 1, 1, "entries"), "linked"), 0);
    assert_int_equal(changes(part_of(json, 1, 2, "entries"), "new"), 0);
    assert_int_equal(number_of(part_of(json, 1, 2, "totals"), "added_inodes"), 0);
    assert_true(number_of(part_of(json, 1, 0, "totals"), "added_inodes") >
                number_of(part_of(json, 1, 1, "totals"), "added_inodes"));
    json_decref(json);
}

/* ---- drivers, pictures ---- */

static void explain__takes_variants_of_drivers(void **state)
{
    const struct fixture *f = *state;
    auto_result struct program_result result = {0};

    program(&result, "explain", "apply", "--drivers", "overlay:clone=all,vfs", "--backing",
            f->dir.path);
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "--- overlay:clone=all -"));
    assert_non_null(strstr(result.out, "--- vfs -"));
    assert_non_null(strstr(result.out, "drivers/vfs/vfs.c: copy_parent()"));
    assert_nothing_left(f);
}

static unsigned count_of(const char *text, const char *what)
{
    unsigned count = 0;

    for (; (text = strstr(text, what)) != NULL; text += strlen(what))
        count++;
    return count;
}

static void svg__draws_the_directories(void **state)
{
    const struct fixture *f = *state;
    auto_result struct program_result result = {0};
    struct test_dir out;
    ol_auto_free char *path = NULL;
    ol_auto_free char *svg = NULL;

    test_dir_make(&out);
    assert_true(asprintf(&path, "%s/commit.svg", out.path) > 0);
    program(&result, "explain", "commit", "--backing", f->dir.path, "--svg", path);
    assert_int_equal(result.status, 0);
    svg = test_read(out.fd, "commit.svg");
    assert_memory_equal(svg, "<svg xmlns=", 11);
    assert_string_equal(svg + strlen(svg) - 7, "</svg>\n");
    assert_null(strstr(svg, "href")); /* it stands alone */
    assert_int_equal(count_of(svg, "<text"), count_of(svg, "</text>"));
    assert_int_equal(count_of(svg, "class=\"engine\""), 3);
    assert_true(count_of(svg, "class=\"link\"") >= 5); /* legacy overlay's hard links */
    assert_non_null(strstr(svg, "copy of "));
    test_dir_remove(&out);
}

static void svg__a_place_that_is_not_there_fails(void **state)
{
    const struct fixture *f = *state;
    auto_result struct program_result result = {0};

    program(&result, "explain", "create", "--backing", f->dir.path, "--svg", "/nowhere/at/all.svg");
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "--svg '/nowhere/at/all.svg': cannot open '/nowhere/at'"));
    assert_nothing_left(f);
}

static void explain__says_where_a_place_that_is_missing_is_from(void **state)
{
    static const char *const args[] = {"explain", "create", NULL};
    static const char *const env[] = {"TMPDIR=/nowhere", NULL};
    auto_result struct program_result result = {0};

    (void)state;
    program_run(&(struct program_run){.args = args, .env = env}, &result);
    assert_string_equal(result.err,
                        "overlab explain: cannot open '/nowhere' (of $TMPDIR; --backing "
                        "names another): No such file or directory\n");
    assert_int_equal(result.status, 1);
}

/* ---- output that does not get out ---- */

static void output__a_full_disk_is_told_once(void **state)
{
    static const char *const kinds[] = {"kernel", "userns"}; /* userns: in a process of its own */
    const struct fixture *f = *state;

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    for (size_t i = 0; i < OL_ARRAY_LEN(kinds); i++) {
        const char *const args[] = {"--root", f->dir.path, "explain",   "create", "--view",
                                    kinds[i], "--backing", "tmpfs:64M", NULL};
        auto_result struct program_result result = {0};

        program_run(&(struct program_run){.args = args, .out_path = "/dev/full"}, &result);
        assert_string_equal(result.err, "overlab explain: cannot write to standard output: No "
                                        "space left on device\n");
        assert_int_equal(result.status, 1);
    }
}

/* In a child: explain, on a pipe nobody reads from. */
__attribute__((noreturn)) static void explain_unread(const struct fixture *f)
{
    int ends[2];

    crash_in_child();
    program_default_signals();
    if (pipe(ends) < 0 || dup2(ends[1], STDOUT_FILENO) < 0 || close(ends[0]) < 0)
        _exit(126);
    (void)execl(program_path(), "overlab", "explain", "create", "--backing", f->dir.path, NULL);
    _exit(127);
}

static void output__nobody_reads_ends_it_by_sigpipe(void **state)
{
    const struct fixture *f = *state;
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0)
        explain_unread(f);
    status = crash_wait(pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGPIPE);
    assert_nothing_left(f);
}

/* ---- terminals ---- */

#define explain_on(terminal, columns, ...)                                                         \
    terminal_start((terminal), (const char *const[]){"explain", __VA_ARGS__, NULL}, 50, (columns))

static void terminal__a_wide_one_has_columns_and_colour(void **state)
{
    const struct fixture *f = *state;
    struct terminal terminal;

    explain_on(&terminal, 160, "create", "--backing", f->dir.path);
    terminal_await(&terminal, "create_locked()");
    assert_non_null(strstr(terminal.seen.data, "\033[32m+"));
    for (const char *line = terminal.seen.data; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        ol_auto_free char *copy = strndup(line, len);

        assert_non_null(copy);
        if (strstr(copy, "--- overlay -") != NULL)
            assert_non_null(strstr(copy, "--- snapshot -"));
        line += len + (line[len] == '\n');
    }
    assert_int_equal(terminal_end(&terminal), 0);
}

static void terminal__a_narrow_one_is_told(void **state)
{
    const struct fixture *f = *state;
    struct terminal terminal;

    explain_on(&terminal, 40, "create", "--backing", f->dir.path, "--no-color");
    terminal_await(&terminal, "warning: the terminal has 40 columns");
    terminal_await(&terminal, "--- snapshot ");
    terminal_await(&terminal, "create_locked()");
    assert_null(strstr(terminal.seen.data, "\033["));
    assert_int_equal(terminal_end(&terminal), 0);
}

static const char prompt[] = "Enter goes on, Ctrl-C ends it";

static void interactive__waits_before_each_phase(void **state)
{
    const struct fixture *f = *state;
    struct terminal terminal;

    explain_on(&terminal, 80, "mount", "--backing", f->dir.path, "--interactive");
    terminal_await(&terminal, "Before");
    terminal_await(&terminal, prompt);
    assert_null(strstr(terminal.seen.data, "[1/2]"));
    terminal_type(&terminal, "\n");
    terminal_await(&terminal, "[1/2]");
    terminal_await(&terminal, prompt);
    terminal_type(&terminal, "\n");
    terminal_await(&terminal, "[2/2]");
    assert_int_equal(terminal_end(&terminal), 0);
    assert_nothing_left(f);
}

/* Ctrl-C at each prompt: while everything is mounted, and while nothing is. */
static void interactive__ends_clean_at_every_prompt(void **state)
{
    const struct fixture *f = *state;

    for (unsigned phases = 0; phases < 4; phases++) {
        struct terminal terminal;

        explain_on(&terminal, 80, "whiteout", "--backing", f->dir.path, "--interactive");
        for (unsigned i = 0; i < phases; i++) {
            terminal_await(&terminal, prompt);
            terminal_type(&terminal, "\n");
        }
        terminal_await(&terminal, prompt);
        terminal_type(&terminal, "\003");
        assert_int_equal(terminal_end(&terminal), 128 + SIGINT);
        assert_nothing_left(f);
    }
}

/* The instant before the wait for Enter begins is the one that can be missed. */
static void interactive__is_interrupted_before_it_waits(void **state)
{
    const struct fixture *f = *state;
    struct terminal terminal;

    explain_on(&terminal, 80, "mount", "--backing", f->dir.path, "--interactive");
    signal_behind_write(terminal.pid, prompt, SIGINT);
    assert_int_equal(terminal_end(&terminal), 128 + SIGINT);
    assert_nothing_left(f);
}

static void interactive__needs_input_to_its_end(void **state)
{
    const struct fixture *f = *state;
    struct terminal terminal;

    explain_on(&terminal, 80, "mount", "--backing", f->dir.path, "--interactive");
    terminal_await(&terminal, prompt);
    terminal_type(&terminal, "\004");
    terminal_await(&terminal, "the input ended before the last phase");
    assert_int_equal(terminal_end(&terminal), 1);
    assert_nothing_left(f);
}

/* The end of the input is one, too: nobody is there to press Enter. */
static void interactive__ends_clean_when_the_terminal_goes(void **state)
{
    const struct fixture *f = *state;
    struct terminal terminal;
    int status = 0;

    explain_on(&terminal, 80, "mount", "--backing", f->dir.path, "--interactive");
    terminal_await(&terminal, prompt);
    ol_fd_close(&terminal.fd);
    assert_int_equal(waitpid(terminal.pid, &status, 0), terminal.pid);
    ol_buf_fini(&terminal.seen);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP);
    assert_nothing_left(f);
}

/* Killed, it leaves a directory without mounts, and the next run takes that away. */
static void killed__the_next_run_cleans_up(void **state)
{
    const struct fixture *f = *state;
    auto_result struct program_result result = {0};
    struct terminal terminal;

    explain_on(&terminal, 80, "mount", "--backing", f->dir.path, "--interactive");
    terminal_await(&terminal, prompt);
    terminal_type(&terminal, "\n");
    terminal_await(&terminal, prompt); /* mounted */
    assert_int_equal(kill(terminal.pid, SIGKILL), 0);
    assert_int_equal(terminal_end(&terminal), 128 + SIGKILL);
    program(&result, "explain", "create", "--backing", f->dir.path);
    assert_int_equal(result.status, 0);
    assert_nothing_left(f);
}

/* A signal as soon as a line of the output is there, whatever is being done then. */
static void signal__in_the_middle_leaves_nothing(void **state)
{
    static const char *const moments[] = {"view ", "Before", "[1/3]", "[2/3]"};
    const struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(moments); i++) {
        struct terminal terminal;
        int status;

        explain_on(&terminal, 80, "build", "--backing", f->dir.path);
        terminal_await(&terminal, moments[i]);
        assert_int_equal(kill(terminal.pid, SIGTERM), 0);
        status = terminal_end(&terminal);
        assert_true(status == 128 + SIGTERM || status == 0); /* it may have been done by then */
        assert_nothing_left(f);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(explain__looks_as_it_should),
        TEST(explain__counts_what_the_laws_say_as_root),
        TEST(explain__counts_the_same_in_a_user_namespace),
        TEST(explain__counts_the_same_without_mounts),
        TEST(explain__shows_a_whiteout_in_its_three_dialects),
        TEST(explain__a_commit_links_or_copies_or_does_nothing),
        TEST(explain__takes_variants_of_drivers),
        TEST(svg__draws_the_directories),
        TEST(svg__a_place_that_is_not_there_fails),
        TEST(explain__says_where_a_place_that_is_missing_is_from),
        TEST(output__a_full_disk_is_told_once),
        TEST(output__nobody_reads_ends_it_by_sigpipe),
        TEST(terminal__a_wide_one_has_columns_and_colour),
        TEST(terminal__a_narrow_one_is_told),
        TEST(interactive__waits_before_each_phase),
        TEST(interactive__ends_clean_at_every_prompt),
        TEST(interactive__is_interrupted_before_it_waits),
        TEST(interactive__needs_input_to_its_end),
        TEST(interactive__ends_clean_when_the_terminal_goes),
        TEST(killed__the_next_run_cleans_up),
        TEST(signal__in_the_middle_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
