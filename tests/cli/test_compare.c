/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "overlab compare" as a user runs it: its JSON is what design and scripts rely on, its counts are
 * the predicted ones in every view, and nothing stays behind however it ends.
 */
#include "cli/program.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { COMMITS = 2, ROUNDS = 2 };

/* A small root file system, and a data root for the runs. */
struct fixture {
    struct test_dir dir;
    char *image;   /* path */
    char *backing; /* "--backing=…": an empty directory */
    char *root;    /* "--root=…" */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    test_dir_make(&f->dir);
    assert_int_equal(fchmod(f->dir.fd, 0755), 0);
    test_mkdir(f->dir.fd, "image", 0755);
    test_mkdir(f->dir.fd, "image/etc", 0755);
    test_mkdir(f->dir.fd, "image/usr", 0755);
    test_mkdir(f->dir.fd, "image/usr/lib", 0755);
    for (unsigned i = 0; i < 40; i++) {
        char name[64];

        (void)snprintf(name, sizeof name, "image/usr/lib/file%u", i);
        test_write(f->dir.fd, name, "content");
        (void)snprintf(name, sizeof name, "image/etc/link%u", i);
        test_symlink(f->dir.fd, "../usr/lib", name);
    }
    test_mkdir(f->dir.fd, "place", 0777);
    assert_int_equal(fchmodat(f->dir.fd, "place", 0777, 0), 0); /* whatever the umask is */
    test_mkdir(f->dir.fd, "home", 0777);
    assert_int_equal(fchmodat(f->dir.fd, "home", 0777, 0), 0);
    assert_true(asprintf(&f->image, "%s/image", f->dir.path) > 0);
    assert_true(asprintf(&f->backing, "--backing=%s/place", f->dir.path) > 0);
    assert_true(asprintf(&f->root, "--root=%s/home/root", f->dir.path) > 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    test_dir_remove(&f->dir);
    free(f->image);
    free(f->backing);
    free(f->root);
    free(f);
    return 0;
}

/* Run on the small image with more words; the place must be empty again, whatever happened. */
#define compare(f, ret, ...) compare_run((f), (ret), 0, (const char *const[]){__VA_ARGS__, NULL})
static void compare_run(struct fixture *f, struct program_result *ret, unsigned uid,
                        const char *const *words)
{
    const char *const first[] = {"compare",     f->image,     f->root,   f->backing,
                                 "--commits=2", "--rounds=2", "--quiet", NULL};

    program_more(&(struct program_run){.args = first, .uid = uid}, words, ret);
}

static void assert_empty(const struct fixture *f, const char *name)
{
    ol_auto_fd int fd = openat(f->dir.fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ol_auto_dir DIR *dir = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    const struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            fail_msg("'%s' was left in '%s'", entry->d_name, name);
    }
}

static json_t *parse(const struct program_result *result)
{
    json_error_t where;
    json_t *json = json_loads(result->out, 0, &where);

    if (result->status != 0)
        fail_msg("ended with %d: %s", result->status, result->err);
    if (json == NULL)
        fail_msg("no JSON: %s in line %d", where.text, where.line);
    return json;
}

/* "a.b.c" below json; a failure names the path. */
static const json_t *at(const json_t *json, const char *path)
{
    const char *rest = path;

    while (*rest != '\0') {
        ol_auto_free char *key = strndup(rest, strcspn(rest, "."));

        json = json_object_get(json, key);
        if (json == NULL)
            fail_msg("no key '%s'", path);
        rest += strlen(key) + (rest[strlen(key)] == '.');
    }
    return json;
}

static int64_t integer_at(const json_t *json, const char *path)
{
    const json_t *value = at(json, path);

    if (!json_is_integer(value))
        fail_msg("'%s' is no integer", path);
    return json_integer_value(value);
}

static const char *text_at(const json_t *json, const char *path)
{
    const json_t *value = at(json, path);

    if (!json_is_string(value))
        fail_msg("'%s' is no text", path);
    return json_string_value(value);
}

static void assert_times(const json_t *json, const char *path)
{
    const json_t *times = at(json, path);

    assert_true(json_is_array(times));
    assert_int_equal(json_array_size(times), ROUNDS);
    for (size_t i = 0; i < ROUNDS; i++) {
        assert_true(json_is_real(json_array_get(times, i)));
        assert_true(json_real_value(json_array_get(times, i)) >= 0);
    }
}

static void assert_step(const json_t *step)
{
    static const char *const kinds[] = {"directory", "regular",  "symlink",    "device",
                                        "fifo",      "whiteout", "bookkeeping"};
    const json_t *kinds_json = at(step, "kinds");
    const char *op = text_at(step, "op");
    int64_t sum = 0;

    for (size_t i = 0; i < OL_ARRAY_LEN(kinds); i++)
        sum += integer_at(kinds_json, kinds[i]);
    assert_int_equal(sum, integer_at(step, "inodes"));
    (void)integer_at(step, "bytes");
    (void)integer_at(step, "index");
    assert_times(step, "seconds");
    if (strcmp(op, "commit") == 0) {
        assert_times(step, "parts.create");
        assert_times(step, "parts.diff");
        assert_times(step, "parts.apply");
        assert_times(step, "parts.metadata");
    }
    if (!json_is_null(at(step, "predicted_inodes")))
        assert_int_equal(integer_at(step, "predicted_inodes"), integer_at(step, "inodes"));
}

/* Which steps there are, in which order; the docker-commit workflow. */
static void assert_steps(const json_t *steps)
{
    static const char *const ops[] = {
        "layer.apply",
        "container.create",
        "container.mount",
        "container.change",
        "container.unmount",
        "commit",
        "container.create",
        "container.mount",
        "container.change",
        "container.unmount",
        "commit",
        "container.remove",
        "container.remove",
        "image.remove",
        "image.remove",
        "image.remove",
    };

    assert_int_equal(json_array_size(steps), OL_ARRAY_LEN(ops));
    for (size_t i = 0; i < OL_ARRAY_LEN(ops); i++) {
        const json_t *step = json_array_get(steps, i);

        assert_string_equal(text_at(step, "op"), ops[i]);
        assert_step(step);
    }
}

static void assert_engine(const json_t *engine, const char *name)
{
    const json_t *steps = at(engine, "steps");
    const json_t *totals = at(engine, "totals");

    assert_string_equal(text_at(engine, "name"), name);
    assert_string_equal(text_at(engine, "kind"), "driver");
    (void)text_at(engine, "version");
    assert_steps(steps);
    assert_int_equal(integer_at(totals, "image_inodes"),
                     integer_at(json_array_get(steps, 0), "inodes"));
    assert_int_equal(integer_at(totals, "left_inodes"), 0);
    assert_int_equal(integer_at(totals, "unpredicted_steps"), 0);
    assert_true(integer_at(totals, "commit_inodes") > 0);
    assert_true(integer_at(totals, "commit_bytes") > 0);
    assert_true(integer_at(totals, "peak_inodes") >= integer_at(totals, "image_inodes"));
    assert_true(json_real_value(at(totals, "commit_seconds_median")) > 0);
    assert_int_equal(json_array_size(at(totals, "images")), COMMITS + 1);
}

static void compare_json__has_the_schema(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    json_t *json;
    const json_t *verdict;

    compare(f, &result, "--json", "--drivers=overlay,overlay:clone=all,overlay2,vfs");
    json = parse(&result);
    assert_string_equal(text_at(json, "schema"), "overlab.compare/1");
    (void)text_at(json, "overlab");
    (void)text_at(json, "host.kernel");
    (void)text_at(json, "host.machine");
    assert_true(integer_at(json, "host.cpus") > 0);
    assert_true(integer_at(json, "host.memory_bytes") > 0);
    (void)text_at(json, "backing.fs");
    assert_string_equal(text_at(json, "backing.path_kind"), "directory");
    assert_true(integer_at(json, "backing.block_size") > 0);
    (void)at(json, "backing.inode_size");
    assert_true(json_is_false(at(json, "backing.dedicated")));
    (void)text_at(json, "view");
    assert_string_equal(text_at(json, "image.source"), f->image);
    assert_string_equal(text_at(json, "image.format"), "rootfs-dir");
    assert_int_equal(json_array_size(at(json, "image.layers")), 1);
    assert_int_equal(integer_at(json_array_get(at(json, "image.layers"), 0), "entries"), 83);
    assert_string_equal(text_at(json_array_get(at(json, "image.layers"), 0), "diff_id"),
                        text_at(json, "image.id"));
    assert_int_equal(integer_at(json, "workload.commits"), COMMITS);
    assert_int_equal(integer_at(json, "workload.rounds"), ROUNDS);
    assert_int_equal(integer_at(json, "workload.seed"), 1);
    assert_int_equal(integer_at(json, "workload.change_bytes"), 4096);
    assert_int_equal(integer_at(json, "workload.changes.delete"), 3);
    assert_true(json_is_false(at(json, "workload.replay")));
    assert_int_equal(json_array_size(at(json, "engines")), 4);
    assert_engine(json_array_get(at(json, "engines"), 0), "overlay");
    assert_engine(json_array_get(at(json, "engines"), 1), "overlay:clone=all");
    assert_engine(json_array_get(at(json, "engines"), 2), "overlay2");
    assert_engine(json_array_get(at(json, "engines"), 3), "vfs");
    verdict = json_array_get(at(json, "verdict"), 0);
    assert_string_equal(text_at(verdict, "metric"), "inodes_per_commit");
    assert_string_equal(text_at(verdict, "of"), "overlay");
    assert_string_equal(text_at(verdict, "over"), "overlay:clone=all");
    assert_true(json_number_value(at(verdict, "ratio")) > 1);
    assert_true(json_number_value(at(verdict, "low")) <= json_number_value(at(verdict, "high")));
    json_decref(json);
    assert_empty(f, "place");
}

/* Drop what was timed, and what carries the time of the run: ids of commits. */
static void drop_times(json_t *json)
{
    static const char *const timed[] = {"seconds",
                                        "parts",
                                        "warmup_seconds",
                                        "avoided_sleep_seconds",
                                        "commit_seconds",
                                        "images",
                                        "commit_seconds_median",
                                        "commit_avoided_sleep_seconds",
                                        "harness",
                                        "verdict",
                                        "notes"};
    const char *key;
    json_t *value;
    size_t i;

    for (i = 0; i < OL_ARRAY_LEN(timed) && json_is_object(json); i++)
        (void)json_object_del(json, timed[i]); /* most objects have none of them */
    if (json_is_object(json)) {
        json_object_foreach(json, key, value) drop_times(value);
    } else if (json_is_array(json)) {
        json_array_foreach(json, i, value) drop_times(value);
    }
}

static char *run_without_times(struct fixture *f, const char *seed, const char *view)
{
    auto_result struct program_result result = {0};
    json_t *json;
    char *text;

    compare(f, &result, "--json", seed, view);
    json = parse(&result);
    drop_times(json);
    text = json_dumps(json, JSON_INDENT(1));
    assert_non_null(text);
    json_decref(json);
    return text;
}

static void compare_json__same_seed_same_text(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *first = run_without_times(f, "--seed=7", "--view=auto");
    ol_auto_free char *second = run_without_times(f, "--seed=7", "--view=auto");
    ol_auto_free char *other = run_without_times(f, "--seed=8", "--view=auto");

    assert_string_equal(first, second);
    assert_string_not_equal(first, other);
}

/* Inodes of every step of every engine, one line each; NULL when the view is not possible here. */
static char *counts_in_view(struct fixture *f, const char *view)
{
    auto_result struct program_result result = {0};
    char *text = NULL;
    size_t len = 0;
    json_t *json;
    FILE *out;

    compare(f, &result, "--json", "--drivers=overlay,overlay2,vfs", view);
    if (result.status == 3)
        return NULL;
    json = parse(&result);
    out = open_memstream(&text, &len);
    assert_non_null(out);
    for (size_t e = 0; e < 3; e++) {
        const json_t *steps = at(json_array_get(at(json, "engines"), e), "steps");

        for (size_t i = 0; i < json_array_size(steps); i++) {
            const json_t *step = json_array_get(steps, i);
            const char *op = text_at(step, "op");

            /* without mounts there is no mount point: the one difference, and predicted */
            if (strstr(op, "mount") == NULL)
                fprintf(out, "%zu %s %lld\n", e, op, (long long)integer_at(step, "inodes"));
        }
    }
    assert_int_equal(fclose(out), 0);
    json_decref(json);
    return text;
}

static void compare__views_agree(void **state)
{
    static const char *const views[] = {"--view=kernel", "--view=userns", "--view=direct"};
    struct fixture *f = *state;
    ol_auto_free char *first = NULL;
    unsigned possible = 0;

    for (size_t i = 0; i < OL_ARRAY_LEN(views); i++) {
        ol_auto_free char *counts = counts_in_view(f, views[i]);

        assert_empty(f, "place");
        if (counts == NULL) {
            print_message("SKIP %s: %s is not possible here\n", __func__, views[i]);
            continue;
        }
        possible++;
        if (first == NULL)
            first = ol_ptr_steal(counts);
        else
            assert_string_equal(counts, first);
    }
    if (possible < 2)
        ol_require_failed("two_views", __func__, "only one view is possible here");
}

static void compare__ordinary_user_without_root(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    if (geteuid() != 0)
        ol_require_failed("root", __func__, "becoming another user needs root");
    compare_run(f, &result, 65534, (const char *const[]){"--view=kernel", NULL});
    if (result.status == 127 || result.status == 126)
        ol_require_failed("readable_build", __func__, "another user cannot run the program here");
    assert_int_equal(result.status, 3);
    assert_non_null(strstr(result.err, "not possible on this host"));
    assert_string_equal(result.out, "");
    compare_run(f, &result, 65534, (const char *const[]){"--backing=tmpfs:64M", NULL});
    assert_int_equal(result.status, 3);
    compare_run(f, &result, 65534, (const char *const[]){"--json", NULL});
    if (result.status == 3)
        ol_require_failed("any_view", __func__, "no view is possible for an ordinary user here");
    json_decref(parse(&result));
    assert_empty(f, "place");
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;

    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

static void compare_csv__one_row_per_sample(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    compare(f, &result, "--csv", "--drivers=overlay2,overlay:diff=upper,clone=all");
    assert_int_equal(result.status, 0);
    assert_memory_equal(result.out, "engine,op,index,round,inodes,predicted_inodes,bytes,", 52);
    assert_int_equal(count_lines(result.out), 1 + 2 * 16 * ROUNDS);
    assert_non_null(strstr(result.out, "\"overlay:diff=upper,clone=all\",commit,1,1,"));
}

/* Cut from the first mark to the second, or to the end. */
static void cut_out(char *text, const char *from, const char *to)
{
    char *begin = strstr(text, from);
    char *end;

    if (begin == NULL)
        return;
    end = to != NULL ? strstr(begin, to) : begin + strlen(begin);
    assert_non_null(end);
    memmove(begin, end, strlen(end) + 1);
}

/*
 * What is the same in every run: the line of the image, the verdicts on disk and time, the warnings
 * and the remarks go; they depend on the machine, or their lines break where the numbers' widths
 * say.
 */
static char *stable_text(const char *text)
{
    ol_auto_free char *copy = strdup(text);

    assert_non_null(copy);
    cut_out(copy, "Image ", "\n2 commits");
    cut_out(copy, "  disk ", "\nInside");
    cut_out(copy, "  time ", "\nInside");
    cut_out(copy, "\nwarning: ", NULL);
    cut_out(copy, "\n- all ", NULL);
    return normalised(copy);
}

static void compare_table__golden(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    ol_auto_free char *text = NULL;

    OL_REQUIRE(can_mount_overlay, "the golden table is that of the kernel view");
    compare(f, &result, "--view=kernel");
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "view kernel: real overlay mounts as root"));
    assert_null(strchr(result.out, '\033')); /* no colour into a pipe */
    text = stable_text(result.out);
    assert_golden("compare-table.txt", text);
}

static void compare_markdown__has_tables(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    compare(f, &result, "--markdown");
    assert_int_equal(result.status, 0);
    assert_memory_equal(result.out, "## What one docker commit costs\n", 32);
    assert_non_null(strstr(result.out, "| ENGINE | INODES | PREDICTED | DISK | TIME | INTERVAL |\n"
                                       "|---|---:|---:|---:|---:|---:|\n| overlay | "));
    assert_non_null(strstr(result.out, "- **inodes**: overlay adds "));
}

static void compare_output__is_whole_or_not_there(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    ol_auto_free char *good = NULL;
    ol_auto_free char *bad = NULL;
    ol_auto_free char *text = NULL;

    assert_true(asprintf(&good, "--output=%s/report.csv", f->dir.path) > 0);
    assert_true(asprintf(&bad, "--output=%s/missing/report.csv", f->dir.path) > 0);
    compare(f, &result, "--csv", good);
    assert_int_equal(result.status, 0);
    assert_string_equal(result.out, "");
    text = test_read(f->dir.fd, "report.csv");
    assert_int_equal(count_lines(text), 1 + 2 * 16 * ROUNDS);
    compare(f, &result, "--csv", bad);
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "missing"));
    assert_empty(f, "place");
}

static void compare__verdict_stands_behind_the_table(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *command = NULL;
    ol_auto_free char *both = NULL;
    const char *line;

    assert_true(asprintf(&command,
                         "%s compare %s %s %s --rounds=1 --commits=1 --verify >%s/both 2>&1",
                         program_path(), f->image, f->root, f->backing, f->dir.path) > 0);
    assert_int_equal(system(command), 0); /* a shell is what makes one file of both */
    both = test_read(f->dir.fd, "both");
    line = strstr(both, "overlab compare: verified: ");
    assert_non_null(line);
    assert_string_equal(strchr(line, '\n'), "\n");
}

static void compare__a_full_disk_fails_it(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    const struct program_run run = {
        .args = (const char *const[]){"compare", f->image, f->root, f->backing, "--rounds=1",
                                      "--commits=1", NULL},
        .out_path = "/dev/full",
    };

    program_run(&run, &result);
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "cannot write to standard output"));
    assert_empty(f, "place");
}

static void interrupt(struct fixture *f, int signal, unsigned after_ms, int want)
{
    auto_result struct program_result result = {0};
    const struct program_run run = {
        .args = (const char *const[]){"compare", f->image, f->root, f->backing, "--rounds=900",
                                      NULL},
        .signal = signal,
        .after_ms = after_ms,
    };

    program_run(&run, &result);
    assert_int_equal(result.status, want);
    assert_string_equal(result.out, "");
    if (signal != SIGKILL)
        assert_non_null(strstr(result.err, "interrupted"));
}

static void compare__a_signal_ends_it_cleanly(void **state)
{
    static const unsigned after[] = {40, 120, 250, 400};
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(after); i++) {
        interrupt(f, i % 2 == 0 ? SIGINT : SIGTERM, after[i],
                  128 + (i % 2 == 0 ? SIGINT : SIGTERM));
        assert_empty(f, "place");
    }
}

/* Nothing can be done at that instant; the next run in the place does it. */
static void compare__the_next_run_cleans_up_after_a_kill(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    interrupt(f, SIGKILL, 400, 128 + SIGKILL);
    compare(f, &result, "--csv");
    assert_int_equal(result.status, 0);
    assert_empty(f, "place");
}

static void assert_refused(struct fixture *f, const char *image, const char *why)
{
    auto_result struct program_result result = {0};

    program(&result, "compare", image, f->root, f->backing, "--quiet");
    assert_int_equal(result.status, 1);
    assert_string_equal(result.out, "");
    if (strstr(result.err, why) == NULL || count_lines(result.err) != 1)
        fail_msg("'%s' is not said in one line: %s", why, result.err);
    assert_empty(f, "place");
}

static void compare__bad_images_are_named(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *missing = NULL;
    ol_auto_free char *garbage = NULL;
    ol_auto_free char *empty = NULL;

    assert_true(asprintf(&missing, "%s/nothing", f->dir.path) > 0);
    assert_true(asprintf(&garbage, "%s/garbage", f->dir.path) > 0);
    assert_true(asprintf(&empty, "%s/empty", f->dir.path) > 0);
    test_write(f->dir.fd, "garbage", "this is not an image, whatever it says");
    test_write(f->dir.fd, "empty", "");
    assert_refused(f, missing, missing);
    assert_refused(f, garbage, garbage);
    assert_refused(f, empty, empty);
    assert_refused(f, "/dev/null", "/dev/null");
}

static void compare__too_small_an_image_is_said(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    compare(f, &result, "--changes=delete=1000");
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "delete"));
    assert_empty(f, "place");
}

static const char every_driver[] = "--drivers=overlay,overlay:diff=upper,clone=all,overlay2,"
                                   "overlay2:diff=naive,vfs,snapshot,null";

static void compare_verify__every_step_of_every_driver(void **state)
{
    static const char *const mixes[] = {
        "--changes=none", "--changes=add=4,modify=2,delete=2,rename=2,mkdir=1,symlink=1,link=1"};
    static const char *const views[] = {"--view=kernel", "--view=userns", "--view=direct"};
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    for (size_t v = 0; v < OL_ARRAY_LEN(views); v++) {
        for (size_t m = 0; m < OL_ARRAY_LEN(mixes); m++) {
            compare(f, &result, "--verify", every_driver, mixes[m], views[v]);
            if (result.status == 3) {
                print_message("SKIP compare_verify %s: %s\n", views[v], result.err);
                break;
            }
            assert_string_equal(result.err, "");
            assert_int_equal(result.status, 0);
        }
    }
}

static void compare_verify__says_what_it_held(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    program(&result, "compare", f->image, f->root, f->backing, "--verify", "--commits=1",
            "--rounds=1", "--no-warmup");
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.err, "verified: all 18 steps of 2 engines are as predicted"));
}

/* A device an ordinary user cannot make is missing in the layer: that is a difference. */
static void compare_verify__fails_on_a_difference(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    OL_REQUIRE(can_mknod, "making a device node needs CAP_MKNOD");
    assert_int_equal(mknodat(f->dir.fd, "image/null", S_IFCHR | 0666, makedev(1, 3)), 0);
    compare_run(f, &result, 65534, (const char *const[]){"--verify", NULL});
    if (result.status == 3) {
        print_message("SKIP compare_verify: an ordinary user can run nothing here\n");
        return;
    }
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "overlay, layer.apply 0: 0 device inodes measured, 1 "
                                       "predicted\n"));
    assert_non_null(strstr(result.err, "overlay2, image.remove 0: 0 device inodes measured, -1 "
                                       "predicted\n"));
    assert_non_null(strstr(result.err, "not verified: "));
    assert_non_null(strstr(result.out, "overlay2")); /* the table is there */
}

static void compare__builtin_image_needs_nothing(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    json_t *json;

    program(&result, "compare", "--json", "--rounds=1", "--commits=1", f->root, f->backing);
    json = parse(&result);
    assert_string_equal(text_at(json, "image.format"), "built-in");
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(
            integer_at(json_array_get(at(json, "engines"), i), "totals.unpredicted_steps"), 0);
    json_decref(json);
    assert_empty(f, "place");
}

#define compare_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        compare_test(compare_json__has_the_schema),
        compare_test(compare_json__same_seed_same_text),
        compare_test(compare__views_agree),
        compare_test(compare__ordinary_user_without_root),
        compare_test(compare_csv__one_row_per_sample),
        compare_test(compare_table__golden),
        compare_test(compare_markdown__has_tables),
        compare_test(compare_output__is_whole_or_not_there),
        compare_test(compare__verdict_stands_behind_the_table),
        compare_test(compare__a_full_disk_fails_it),
        compare_test(compare__a_signal_ends_it_cleanly),
        compare_test(compare__the_next_run_cleans_up_after_a_kill),
        compare_test(compare__bad_images_are_named),
        compare_test(compare__too_small_an_image_is_said),
        compare_test(compare_verify__every_step_of_every_driver),
        compare_test(compare_verify__says_what_it_held),
        compare_test(compare_verify__fails_on_a_difference),
        compare_test(compare__builtin_image_needs_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
