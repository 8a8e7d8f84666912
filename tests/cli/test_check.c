/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "overlab check" as a CI job runs it: exit statuses, the forms of its result and what their
 * readers make of them, baselines, and what happens to budgets and images that cannot be read.
 */
#include "cli/program.h"

#include "support/image_archive.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { NOBODY = 65534 };

/* A directory with web.tar, an image of three layers, and a budget that is kept and one that is
 * not. */
struct fixture {
    struct test_dir dir;
    struct tarball layers[3];
};

#define KEPT                                                                                       \
    "commits = 2\n"                                                                                \
    "changes = add=3,mkdir=1\n"                                                                    \
    "[web]\n"                                                                                      \
    "image = web.tar\n"                                                                            \
    "limit = overlay2 image_inodes <= 40\n"                                                        \
    "limit = overlay2 inodes_per_commit = 13\n"                                                    \
    "limit = overlay/overlay2 inodes_per_commit >= 0.5\n"                                          \
    "[bare]\n"                                                                                     \
    "image = builtin\n"                                                                            \
    "limit = snapshot inodes_per_commit = 0\n"

#define EXCEEDED                                                                                   \
    "commits = 2\n"                                                                                \
    "changes = add=3,mkdir=1\n"                                                                    \
    "[web]\n"                                                                                      \
    "image = web.tar\n"                                                                            \
    "limit = overlay2 image_inodes <= 20\n"                                                        \
    "limit = overlay2 content_bytes <= 1k\n"                                                       \
    "limit = overlay inodes_per_commit <= 5\n"                                                     \
    "limit = vfs/overlay2 image_inodes <= 1.05\n"                                                  \
    "limit = snapshot inodes_per_container >= 100\n"                                               \
    "limit = overlay2 peak_inodes <= 1000\n"

static void add_many(struct tarball *tar, const char *dir, unsigned count, const char *content)
{
    char name[64];

    tarball_add_dir(tar, dir);
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "%s%u", dir, i);
        tarball_add_file(tar, name, content);
    }
}

static void make_image(struct fixture *f, unsigned files)
{
    char kilobyte[1025];
    ol_auto_free char *path = NULL;

    memset(kilobyte, 'k', sizeof kilobyte - 1);
    kilobyte[sizeof kilobyte - 1] = '\0';
    for (size_t i = 0; i < OL_ARRAY_LEN(f->layers); i++) {
        tarball_fini(&f->layers[i]);
        f->layers[i] = (struct tarball)TARBALL_INIT;
    }
    tarball_add_dir(&f->layers[0], "usr/");
    add_many(&f->layers[0], "usr/bin/", 3, "program");
    tarball_add_symlink(&f->layers[0], "bin", "usr/bin");
    add_many(&f->layers[1], "usr/many <&\"'>/", files, "x");
    add_many(&f->layers[2], "usr/big/", 1, kilobyte);
    for (size_t i = 0; i < OL_ARRAY_LEN(f->layers); i++)
        tarball_end(&f->layers[i]);
    path = image_archive_write(&f->dir, "web.tar", f->layers, OL_ARRAY_LEN(f->layers));
    assert_int_equal(fchmodat(f->dir.fd, "web.tar", 0644, 0), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    test_dir_make(&f->dir);
    assert_int_equal(fchmod(f->dir.fd, 0755), 0);
    for (size_t i = 0; i < OL_ARRAY_LEN(f->layers); i++)
        f->layers[i] = (struct tarball)TARBALL_INIT;
    make_image(f, 6);
    test_write(f->dir.fd, "kept.ini", KEPT);
    test_write(f->dir.fd, "exceeded.ini", EXCEEDED);
    test_mkdir(f->dir.fd, "data", 0777);
    assert_int_equal(fchmodat(f->dir.fd, "data", 0777, 0), 0); /* whatever the umask is */
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(f->layers); i++)
        tarball_fini(&f->layers[i]);
    test_dir_remove(&f->dir);
    free(f);
    return 0;
}

/* Run in the directory, with its data root below it. */
#define check(f, ret, ...)                                                                         \
    check_run((f), (ret), &(struct program_run){0}, (const char *const[]){__VA_ARGS__, NULL})
static void check_run(struct fixture *f, struct program_result *ret, const struct program_run *how,
                      const char *const *words)
{
    static const char *const first[] = {"check", "--root=data/root", NULL};
    struct program_run run = *how;

    run.args = first;
    run.cwd = f->dir.path;
    program_more(&run, words, ret);
}

static void assert_status(const struct program_result *result, int status)
{
    if (result->status != status)
        fail_msg("ended with %d, not %d:\n%s%s", result->status, status, result->out, result->err);
}

/* This text as b.ini. */
static void check_text(struct fixture *f, struct program_result *ret, const char *text, int status)
{
    test_write(f->dir.fd, "b.ini", text);
    check(f, ret, "b.ini");
    assert_status(ret, status);
}

/* Status 2, nothing on stdout, and one line that says so. */
static void assert_unreadable(const struct program_result *result, const char *says)
{
    assert_status(result, 2);
    assert_string_equal(result->out, "");
    if (strstr(result->err, says) == NULL)
        fail_msg("says '%s', not '%s'", result->err, says);
    assert_ptr_equal(strchr(result->err, '\n'), result->err + strlen(result->err) - 1);
}

static void assert_empty(const struct fixture *f, const char *name)
{
    ol_auto_fd int fd = openat(f->dir.fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ol_auto_dir DIR *dir = fd < 0 ? NULL : fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    const struct dirent *entry;

    if (fd < 0)
        return; /* it was not even made */
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            fail_msg("'%s' was left in '%s'", entry->d_name, name);
    }
}

/* ---- results ---- */

static void check__kept_budget_ends_with_0(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    check(f, &result, "kept.ini");
    assert_status(&result, 0);
    assert_string_equal(result.err, "");
    assert_golden("check-kept.txt", result.out);
}

static void check__exceeded_budget_ends_with_1_in_every_format(void **state)
{
    static const char *const formats[] = {"text", "tap", "tap13", "junit", "json", "markdown"};
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(formats); i++) {
        auto_result struct program_result result = {0};
        char golden[64];

        check(f, &result, "exceeded.ini", "--format", formats[i]);
        assert_status(&result, 1);
        assert_string_equal(result.err, "");
        (void)snprintf(golden, sizeof golden, "check-exceeded-%s.txt", formats[i]);
        assert_golden(golden, result.out);
    }
}

static void check__text_fits_80_columns(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    check(f, &result, "exceeded.ini");
    for (const char *line = result.out; *line != '\0'; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 80);
    assert_null(strchr(result.out, '\033'));
}

static void check__writes_several_formats_at_once(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    auto_result struct program_result junit = {0};

    check(f, &result, "exceeded.ini", "--output=junit=j.xml", "--output", "tap=t.tap",
          "--output=json=r.json");
    assert_status(&result, 1);
    assert_golden("check-exceeded-text.txt", result.out);
    check(f, &junit, "exceeded.ini", "--format=junit");
    assert_content(f->dir.fd, "j.xml", junit.out);
    assert_present(f->dir.fd, "t.tap");
    assert_present(f->dir.fd, "r.json");
    check(f, &result, "exceeded.ini", "--format=junit", "--output=./a=b.xml");
    assert_status(&result, 1);
    assert_string_equal(result.out, "");
    assert_content(f->dir.fd, "a=b.xml", junit.out);
}

static void check__json_flag_is_the_json_format(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    json_t *json;

    check(f, &result, "exceeded.ini", "--json");
    assert_status(&result, 1);
    json = json_loads(result.out, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "schema")), "overlab.check/1");
    assert_true(json_is_false(json_object_get(json, "passed")));
    assert_int_equal(json_integer_value(json_object_get(json, "exceeded")), 5);
    json_decref(json);
}

static void check__only_some_sections(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    check(f, &result, "kept.ini", "--only", "bare");
    assert_status(&result, 0);
    assert_non_null(strstr(result.out, "[bare]"));
    assert_null(strstr(result.out, "[web]"));
    check(f, &result, "kept.ini", "--only", "bare", "--only", "bear");
    assert_unreadable(&result, "kept.ini: there is no section [bear]");
}

static void check__budget_on_stdin(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    ol_auto_free char *path = NULL;

    assert_true(asprintf(&path, "%s/exceeded.ini", f->dir.path) > 0);
    check_run(f, &result, &(struct program_run){.in_path = path}, (const char *const[]){"-", NULL});
    assert_status(&result, 1);
    assert_golden("check-exceeded-text.txt", result.out);
    check(f, &result, "-"); /* nothing comes */
    assert_unreadable(&result, "stdin: no [SECTION] in it");
}

static void check__needs_no_privileges(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    const struct program_run nobody = {.uid = geteuid() == 0 ? NOBODY : 0};

    check_run(f, &result, &nobody, (const char *const[]){"kept.ini", NULL});
    assert_status(&result, 0);
    assert_golden("check-kept.txt", result.out);
    check_run(f, &result, &nobody, (const char *const[]){"exceeded.ini", NULL});
    assert_status(&result, 1);
    assert_golden("check-exceeded-text.txt", result.out);
    assert_empty(f, "data");
}

/* ---- those who read the results ---- */

static bool has_prove(void)
{
    return system("command -v prove >/dev/null") == 0; /* a shell is what looks it up */
}

static bool has_xmllint(void)
{
    return system("command -v xmllint >/dev/null") == 0;
}

static int shell(const struct fixture *f, const char *command)
{
    ol_auto_free char *text = NULL;
    int status;

    assert_true(asprintf(&text, "cd '%s' && %s", f->dir.path, command) > 0);
    status = system(text); /* a shell is what people have */
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void check_tap__prove_understands_it(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    OL_REQUIRE(has_prove, "reading TAP needs perl's prove");
    check(f, &result, "kept.ini", "--output=tap13=kept.tap", "--quiet");
    check(f, &result, "exceeded.ini", "--output=tap13=exceeded.tap");
    assert_int_equal(shell(f, "prove --exec cat kept.tap >out 2>&1"), 0);
    assert_int_equal(shell(f, "grep -q 'Tests=4,' out"), 0);
    assert_int_equal(shell(f, "prove --exec cat exceeded.tap >out 2>&1"), 1);
    assert_int_equal(shell(f, "grep -q 'Failed 5/6 subtests' out"), 0);
    assert_int_equal(shell(f, "! grep -qi 'parse error' out"), 0);
}

/* TAP::Parser reads the YAML blocks too. */
static void check_tap__its_yaml_is_yaml(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    OL_REQUIRE(has_prove, "reading TAP needs perl's prove");
    check(f, &result, "exceeded.ini", "--output=tap13=exceeded.tap");
    test_write(
        f->dir.fd, "read.pl",
        "use TAP::Parser;\n"
        "my $p = TAP::Parser->new({source => 'exceeded.tap'}); my ($yaml, $dirs) = (0, '');\n"
        "while (my $r = $p->next) {\n"
        "  next unless $r->is_yaml; $yaml++;\n"
        "  $dirs .= $_ for @{$r->data->{directories} || []};\n"
        "  die unless $r->data->{file} eq 'exceeded.ini' && $r->data->{line} > 0;\n"
        "}\n"
        "die if $p->parse_errors || $yaml != 6;\n"
        "die $dirs unless $dirs =~ m{6 in /usr/many <&\"'>};\n");
    assert_int_equal(shell(f, "perl read.pl"), 0);
}

static void check_junit__follows_its_schema(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    OL_REQUIRE(has_xmllint, "reading XML needs xmllint");
    check(f, &result, "kept.ini", "--output=junit=kept.xml");
    check(f, &result, "exceeded.ini", "--output=junit=exceeded.xml");
    assert_int_equal(shell(f, "xmllint --noout --nonet --schema '" OL_JUNIT_XSD
                              "' kept.xml exceeded.xml 2>/dev/null"),
                     0);
    assert_int_equal(shell(f, "test \"$(xmllint --xpath 'count(//testcase[failure])' "
                              "exceeded.xml)\" = 5"),
                     0);
    assert_int_equal(shell(f, "test \"$(xmllint --xpath 'count(//testcase)' kept.xml)\" = 4"), 0);
    assert_int_equal(shell(f, "xmllint --xpath 'string(//testcase[1]/failure)' exceeded.xml | "
                              "grep -qF \"6 in /usr/many <&\\\"'>\""),
                     0);
}

/* ---- what cannot be read ---- */

static void check__unreadable_budget_ends_with_2(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "b.ini: no [SECTION] in it"},
        {"[a]\nimage = none.tar\nlimit = vfs image_inodes <= 1\n", "b.ini:2: image 'none.tar': "},
        {"[a]\nimage = b.ini\nlimit = vfs image_inodes <= 1\n", "b.ini:2: image 'b.ini': "},
        {"[a]\nimage = web.tar\nimage_inodes = 1\n", "b.ini:3: unknown key 'image_inodes'"},
        {"[a]\nimage = web.tar\nlimit = vfs image_inodes <= ten\n", "b.ini:3: image_inodes takes"},
        {"[a]\nimage = web.tar\nlimit = vfs left_inodes = 0\n",
         "b.ini:3: left_inodes cannot be predicted"},
        {"[a]\nimage = web.tar\nlimit = overlay2:diff=fast image_inodes <= 1\n", "b.ini:3: "},
        {"[a]\nimage = web.tar\ncommits = 123\nlimit = vfs image_inodes <= 1\n",
         "b.ini:2: image 'web.tar': "},
        {"[a]\nimage = web.tar\nchanges = delete=900\nlimit = vfs image_inodes <= 1\n",
         "b.ini:2: image 'web.tar': "},
        {"[a]\nimage = web.tar\nchanges = add=1\nlimit = vfs/snapshot inodes_per_commit <= 1\n",
         "b.ini:4: inodes_per_commit is 0 there"},
        {"[a]\nimage = web.tar\nlimit = growth vfs image_inodes <= 1\n",
         "cannot open baseline 'b.ini.baseline.json'"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        auto_result struct program_result result = {0};

        test_write(f->dir.fd, "b.ini", cases[i].text);
        check(f, &result, "b.ini");
        assert_unreadable(&result, cases[i].says);
    }
}

static void check__unreadable_file_ends_with_2(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    check(f, &result, "none.ini");
    assert_unreadable(&result, "cannot open budget 'none.ini': No such file or directory");
    check(f, &result, "data");
    assert_unreadable(&result, "cannot read budget 'data': Is a directory");
    check(f, &result, "/dev/zero");
    assert_unreadable(&result, "budget '/dev/zero' has more than 1048576 bytes");
}

/* Wherever the archive ends early, short of what is only padding: never a pass. */
static void check__truncated_image_ends_with_2(void **state)
{
    static const char *const modes[] = {"--mode=predict", "--mode=measure"};
    struct fixture *f = *state;
    struct stat st;

    test_write(f->dir.fd, "b.ini",
               "[a]\nimage = web.tar\nview = direct\ncommits = 1\nchanges = none\n"
               "limit = vfs image_inodes <= 1000000\n");
    assert_int_equal(fstatat(f->dir.fd, "web.tar", &st, 0), 0);
    for (off_t cut = 1536; cut < st.st_size; cut += 3000) {
        ol_auto_fd int fd = openat(f->dir.fd, "web.tar", O_WRONLY | O_CLOEXEC);
        auto_result struct program_result result = {0};

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, st.st_size - cut), 0);
        check(f, &result, "b.ini", modes[(cut / 3000) % 2]);
        assert_unreadable(&result, "b.ini:2: image 'web.tar': ");
        make_image(f, 6);
    }
}

/* The archive is whole, a layer in it is not. */
static void check__truncated_layer_ends_with_2(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    ol_auto_free char *path = NULL;

    f->layers[2].len = 1024 + 100; /* a directory, a file's header, and a tenth of the file */
    path = image_archive_write(&f->dir, "web.tar", f->layers, OL_ARRAY_LEN(f->layers));
    check(f, &result, "exceeded.ini");
    assert_unreadable(&result, "exceeded.ini:4: image 'web.tar': layer 2 of ");
}

/* ---- baselines ---- */

#define GROWTH                                                                                     \
    "baseline = base.json\n"                                                                       \
    "[web]\nimage = web.tar\ncommits = 1\nchanges = add=1\nlimit = growth overlay2 image_inodes "  \
    "<= 10%\n"                                                                                     \
    "[more]\nimage = web.tar\ncommits = 1\nchanges = none\nlimit = growth vfs image_inodes <= 2\n"

static void check_update__saves_what_growth_is_held_against(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    ol_auto_free char *first = NULL;
    ol_auto_free char *second = NULL;

    test_write(f->dir.fd, "b.ini", GROWTH);
    check(f, &result, "b.ini");
    assert_unreadable(&result, "cannot open baseline 'base.json'");
    check(f, &result, "b.ini", "--update");
    assert_status(&result, 0);
    assert_non_null(strstr(result.err, "baseline saved in 'base.json'"));
    first = test_read(f->dir.fd, "base.json");
    check(f, &result, "b.ini");
    assert_status(&result, 0);
    make_image(f, 20);
    check(f, &result, "b.ini");
    assert_status(&result, 1);
    assert_golden("check-growth.txt", result.out); /* names the layer that grew */
    assert_content(f->dir.fd, "base.json", first);
    make_image(f, 6);
    check(f, &result, "b.ini", "--update", "--quiet");
    assert_string_equal(result.err, "");
    second = test_read(f->dir.fd, "base.json");
    assert_string_equal(first, second);
}

static void check_update__of_one_section_keeps_the_others(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    test_write(f->dir.fd, "b.ini", GROWTH);
    check(f, &result, "b.ini", "--update");
    make_image(f, 20);
    check(f, &result, "b.ini", "--update", "--only=web");
    assert_status(&result, 0);
    check(f, &result, "b.ini", "--only=web");
    assert_status(&result, 0);
    check(f, &result, "b.ini", "--only=more");
    assert_status(&result, 1);
}

static void check__unfit_baseline_ends_with_2(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    test_write(f->dir.fd, "b.ini", GROWTH);
    test_write(f->dir.fd, "base.json", "{\n\"schema\": ");
    check(f, &result, "b.ini");
    assert_unreadable(&result, "base.json:2: no baseline: ");
    check(f, &result, "b.ini", "--update", "--only=web"); /* would lose the others */
    assert_unreadable(&result, "base.json:2: no baseline: ");
    check(f, &result, "b.ini", "--update");
    assert_status(&result, 0);
    test_write(f->dir.fd, "b.ini",
               "baseline = base.json\n"
               "[web]\nimage = web.tar\ncommits = 2\nchanges = add=1\nlimit = growth overlay2 "
               "image_inodes <= 10%\n");
    check(f, &result, "b.ini");
    assert_unreadable(&result, "[web] had commits 1 then, and has 2 now");
    test_write(f->dir.fd, "b.ini",
               "[web]\nimage = web.tar\ncommits = 1\nchanges = add=1\nlimit = growth vfs "
               "image_inodes <= 10%\n");
    check(f, &result, "b.ini", "--baseline=base.json");
    assert_unreadable(&result, "b.ini:5: the baseline does not know image_inodes of 'vfs'");
}

static void check_update__of_stdin_needs_a_name(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    ol_auto_free char *path = NULL;

    assert_true(asprintf(&path, "%s/kept.ini", f->dir.path) > 0);
    check_run(f, &result, &(struct program_run){.in_path = path},
              (const char *const[]){"-", "--update", NULL});
    assert_unreadable(&result, "needs --baseline FILE");
}

/* ---- measured ---- */

static void check_measure__finds_what_was_predicted(void **state)
{
    static const char *const views[] = {"direct", "auto"};
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(views); i++) {
        auto_result struct program_result result = {0};
        ol_auto_free char *text = NULL;

        assert_true(asprintf(&text,
                             "mode = measure\nview = %s\ncommits = 2\nchanges = add=3,mkdir=1\n"
                             "[web]\nimage = web.tar\n"
                             "limit = overlay2 inodes_per_commit = 13\n"
                             "limit = overlay2 left_inodes = 0\n"
                             "limit = overlay2 unpredicted_steps = 0\n"
                             "limit = overlay unpredicted_steps = 0\n"
                             "limit = overlay2 bytes_per_commit <= 1m\n"
                             "[replayed]\nimage = web.tar\nreplay = yes\n"
                             "limit = overlay2 unpredicted_steps = 0\n",
                             views[i]) > 0);
        check_text(f, &result, text, 0);
        assert_non_null(strstr(result.out, "measured on "));
        assert_empty(f, "data/root");
    }
}

/* What a run of b.ini knows of each driver: "workloads[].values.drivers". */
static json_t *values_of(struct fixture *f, const struct program_run *how, const char *mode)
{
    auto_result struct program_result result = {0};
    json_t *json;

    check_run(f, &result, how, (const char *const[]){"b.ini", "--format=json", mode, NULL});
    assert_status(&result, 0);
    json = json_loads(result.out, 0, NULL);
    assert_non_null(json);
    return json;
}

static json_int_t metric_of(const json_t *json, size_t workload, const char *driver,
                            const char *metric)
{
    const json_t *at = json_array_get(json_object_get(json, "workloads"), workload);
    static const char *const way[] = {"values", "drivers"};

    for (size_t i = 0; i < OL_ARRAY_LEN(way); i++)
        at = json_object_get(at, way[i]);
    at = json_object_get(json_object_get(json_object_get(at, driver), "metrics"), metric);
    if (!json_is_integer(at))
        fail_msg("%s: no %s", driver, metric);
    return json_integer_value(at);
}

/* Beside two commits, and on an image that was built from its layers. */
static void write_containers_budget(const struct fixture *f, const char *view)
{
    ol_auto_free char *text = NULL;

    assert_true(asprintf(&text,
                         "containers = 3\nview = %s\n"
                         "drivers = overlay,overlay2,overlay2:diff=naive,snapshot,vfs\n"
                         "[web]\nimage = web.tar\ncommits = 2\nchanges = add=3,mkdir=1\n"
                         "limit = overlay2 containers_inodes <= 1000\n"
                         "[replayed]\nimage = web.tar\nreplay = yes\n"
                         "limit = overlay2 containers_inodes <= 1000\n",
                         view) > 0);
    test_write(f->dir.fd, "b.ini", text);
}

static void containers_in(struct fixture *f, const char *view, unsigned uid)
{
    static const char *const drivers[] = {"overlay", "overlay2", "overlay2:diff=naive", "snapshot",
                                          "vfs"};
    const struct program_run how = {.uid = uid};
    json_t *predicted;
    json_t *measured;

    write_containers_budget(f, view);
    predicted = values_of(f, &how, "--mode=predict");
    measured = values_of(f, &how, "--mode=measure");
    for (size_t i = 0; i < 2 * OL_ARRAY_LEN(drivers); i++) {
        const char *driver = drivers[i / 2];

        assert_int_equal(metric_of(measured, i % 2, driver, "containers_inodes"),
                         metric_of(predicted, i % 2, driver, "containers_inodes"));
        assert_int_equal(metric_of(measured, i % 2, driver, "peak_inodes"),
                         metric_of(predicted, i % 2, driver, "peak_inodes"));
        assert_int_equal(metric_of(measured, i % 2, driver, "left_inodes"), 0);
        assert_int_equal(metric_of(measured, i % 2, driver, "unpredicted_steps"), 0);
    }
    json_decref(predicted);
    json_decref(measured);
    assert_empty(f, "data/root");
}

static void check_measure__counts_containers_as_predicted(void **state)
{
    containers_in(*state, "direct", 0);
    if (can_mount_overlay())
        containers_in(*state, "kernel", 0);
    else
        print_message("SKIP check_measure: the kernel view mounts overlayfs\n");
}

static void check_measure__counts_containers_for_an_ordinary_user(void **state)
{
    const unsigned uid = geteuid() == 0 ? NOBODY : 0;

    containers_in(*state, "direct", uid);
    if (can_user_namespace())
        containers_in(*state, "userns", uid);
    else
        print_message("SKIP check_measure: no user namespace can be entered\n");
}

static void check_measure__blames_by_bytes(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    check_text(f, &result,
               "[web]\nimage = web.tar\nchanges = add=1\nmode = measure\nview = direct\n"
               "limit = overlay2 image_bytes <= 1k\n",
               1);
    assert_non_null(strstr(result.out, "OVER"));
    assert_non_null(strstr(result.out, "layer 1, made by 'RUN step 1', adds "));
    assert_non_null(strstr(result.out, "6 B in /usr/many"));
}

/* Bytes on disk are exact when measured alone. */
static void check__labels_estimates(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    check_text(f, &result,
               "[web]\nimage = web.tar\nchanges = add=1\nview = direct\n"
               "limit = overlay2 image_bytes <= 1g\nlimit = overlay2 image_inodes <= 1000\n",
               0);
    assert_non_null(strstr(result.out, " estimated; "));
    assert_non_null(strstr(result.out, "35 inodes; 965 left"));
    check(f, &result, "b.ini", "--mode=measure");
    assert_status(&result, 0);
    assert_null(strstr(result.out, "estimated"));
}

/* A mounted container has its mount point, where anything is mounted. */
static void check__predicts_the_view_of_the_section(void **state)
{
    static const struct {
        const char *view, *inodes;
    } views[] = {{"", "= 84"},
                 {"view = kernel\n", "= 84"},
                 {"view = userns\n", "= 84"},
                 {"view = direct\n", "= 81"}};
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(views); i++) {
        auto_result struct program_result result = {0};
        ol_auto_free char *text = NULL;

        assert_true(
            asprintf(&text,
                     "[web]\nimage = web.tar\nchanges = add=1\ncontainers = 3\n%slimit = overlay2 "
                     "containers_inodes %s\n",
                     views[i].view, views[i].inodes) > 0);
        check_text(f, &result, text, 0);
    }
}

static void check_measure__impossible_view_ends_with_3(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    const struct program_run nobody = {.uid = geteuid() == 0 ? NOBODY : 0};

    test_write(f->dir.fd, "b.ini",
               "[web]\nimage = web.tar\nchanges = add=1\nmode = measure\nview = kernel\n"
               "limit = overlay2 image_inodes <= 1000\n");
    check_run(f, &result, &nobody, (const char *const[]){"b.ini", NULL});
    assert_status(&result, 3);
    assert_string_equal(result.out, "");
    assert_non_null(strstr(result.err, "kernel"));
}

static void check_measure__interrupted_leaves_nothing(void **state)
{
    static const int signals[] = {SIGINT, SIGTERM};
    struct fixture *f = *state;

    test_write(f->dir.fd, "b.ini",
               "[a]\nimage = builtin\ncommits = 60\nmode = measure\n"
               "limit = overlay image_inodes <= 10000000\n");
    for (size_t i = 0; i < OL_ARRAY_LEN(signals); i++) {
        auto_result struct program_result result = {0};

        check_run(f, &result, &(struct program_run){.signal = signals[i], .after_ms = 700},
                  (const char *const[]){"b.ini", "--update", "--output=junit=j.xml", NULL});
        assert_status(&result, 128 + signals[i]);
        assert_string_equal(result.out, "");
        assert_empty(f, "data/root");
        assert_absent(f->dir.fd, "j.xml");
        assert_absent(f->dir.fd, "b.ini.baseline.json");
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(check__kept_budget_ends_with_0),
        TEST(check__exceeded_budget_ends_with_1_in_every_format),
        TEST(check__text_fits_80_columns),
        TEST(check__writes_several_formats_at_once),
        TEST(check__json_flag_is_the_json_format),
        TEST(check__only_some_sections),
        TEST(check__budget_on_stdin),
        TEST(check__needs_no_privileges),
        TEST(check_tap__prove_understands_it),
        TEST(check_tap__its_yaml_is_yaml),
        TEST(check_junit__follows_its_schema),
        TEST(check__unreadable_budget_ends_with_2),
        TEST(check__unreadable_file_ends_with_2),
        TEST(check__truncated_image_ends_with_2),
        TEST(check__truncated_layer_ends_with_2),
        TEST(check_update__saves_what_growth_is_held_against),
        TEST(check_update__of_one_section_keeps_the_others),
        TEST(check__unfit_baseline_ends_with_2),
        TEST(check_update__of_stdin_needs_a_name),
        TEST(check_measure__finds_what_was_predicted),
        TEST(check_measure__counts_containers_as_predicted),
        TEST(check_measure__counts_containers_for_an_ordinary_user),
        TEST(check_measure__blames_by_bytes),
        TEST(check__labels_estimates),
        TEST(check__predicts_the_view_of_the_section),
        TEST(check_measure__impossible_view_ends_with_3),
        TEST(check_measure__interrupted_leaves_nothing),
    };

    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
