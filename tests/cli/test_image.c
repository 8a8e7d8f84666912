/* SPDX-License-Identifier: Apache-2.0 */
/* "overlab image export" as users run it: files whole or not at all, and nothing onto a terminal;
 * and images that come through a pipe. */
#include "program.h"

#include "common/fs/dirents.h"
#include "support/tarball.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    struct test_dir dir;
    char *root, *layer, *out; /* owned */
};

static char *path_of(const struct fixture *f, const char *name)
{
    char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", f->dir.path, name) > 0);
    return path;
}

/* A data root with one image, "one:1". */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    auto_result struct program_result result = {0};
    struct tarball tar = TARBALL_INIT;
    ol_auto_fd int fd = -1;

    assert_non_null(f);
    test_dir_make(&f->dir);
    f->root = path_of(f, "root");
    f->layer = path_of(f, "layer.tar");
    f->out = path_of(f, "out.tar");
    tarball_add_file(&tar, "./f", "content");
    tarball_end(&tar);
    fd = open(f->layer, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, tar.data, tar.len), tar.len);
    tarball_fini(&tar);
    program(&result, "--root", f->root, "image", "import", "-d", "vfs", "--tag", "one:1", f->layer);
    assert_int_equal(result.status, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    test_dir_remove(&f->dir);
    free(f->root);
    free(f->layer);
    free(f->out);
    free(f);
    return 0;
}

static size_t count_files(const struct fixture *f)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;

    assert_int_equal(ol_dirents_read(&list, f->dir.fd, true), 0);
    return list.count;
}

static void image_export__to_a_file_and_to_stdout_is_the_same(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result file = {0};
    auto_result struct program_result out = {0};
    struct stat st;

    program(&file, "--root", f->root, "image", "export", "-d", "vfs", "one:1", "-o", f->out);
    assert_int_equal(file.status, 0);
    assert_string_equal(file.err, "");
    program(&out, "--root", f->root, "image", "export", "-d", "vfs", "one:1", "-o", "-");
    assert_int_equal(out.status, 0);
    assert_int_equal(fstatat(f->dir.fd, "out.tar", &st, 0), 0);
    assert_int_equal(st.st_size, out.out_len);
    assert_int_equal(count_files(f), 3); /* root, layer.tar, out.tar */
}

static void image_export__that_fails_leaves_the_old_file(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    test_write(f->dir.fd, "out.tar", "older");
    program(&result, "--root", f->root, "image", "export", "-d", "vfs", "none:1", "-o", f->out);
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "none:1"));
    assert_content(f->dir.fd, "out.tar", "older");
    assert_int_equal(count_files(f), 3);
}

static void image_export__to_a_full_device_fails_and_leaves_it(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    struct stat st;

    program(&result, "--root", f->root, "image", "export", "-d", "vfs", "one:1", "-o", "/dev/full");
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "No space left"));
    assert_int_equal(stat("/dev/full", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
}

static bool can_make_terminal(void)
{
    return system("script --version >/dev/null 2>&1") == 0;
}

static void image_export__is_not_written_to_a_terminal(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *command = NULL;

    OL_REQUIRE(can_make_terminal, "terminals are made with script(1)");
    assert_true(asprintf(&command,
                         "script -qec \"%s --root %s image export -d vfs one:1\" /dev/null "
                         ">%s/out.tar </dev/null",
                         program_path(), f->root, f->dir.path) > 0);
    assert_int_equal(WEXITSTATUS(system(command)), 2);
    ol_auto_free char *said = test_read(f->dir.fd, "out.tar");
    assert_non_null(strstr(said, "not written to a terminal"));
}

/* The command a shell makes of it: "%s" twice is the program with its data root. */
static int shell(const struct fixture *f, const char *line)
{
    ol_auto_free char *command = NULL;

    assert_true(asprintf(&command, "bash -c 'set -o pipefail; P=\"%s --root %s\"; cd %s; %s'",
                         program_path(), f->root, f->dir.path, line) > 0);
    return WEXITSTATUS(system(command)); /* a shell is what is being tested */
}

static void image_import__takes_an_archive_from_a_pipe(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result here = {0};
    auto_result struct program_result there = {0};

    program(&here, "--root", f->root, "image", "ls", "-d", "vfs", "--json");
    assert_int_equal(
        shell(f, "$P image export -d vfs one:1 | gzip | $P --root other image import -d vfs -"), 0);
    program_run(
        &(struct program_run){.args = (const char *const[]){"--root", "other", "image", "ls", "-d",
                                                            "vfs", "--json", NULL},
                              .cwd = f->dir.path},
        &there);
    assert_string_equal(there.out, here.out);
}

static void image_import__takes_a_file_and_one_name_from_the_standard_input(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(shell(f, "$P image export -d vfs one:1 -o out.tar"), 0);
    assert_int_equal(shell(f, "$P --root other image import -d vfs -- -#one:1 <out.tar"), 0);
    assert_int_equal(shell(f, "$P --root other image import -d vfs -- -#two:1 <out.tar 2>said"), 1);
    ol_auto_free char *said = test_read(f->dir.fd, "said");
    assert_non_null(strstr(said, "two:1"));
}

static void image_import__of_half_a_stream_leaves_nothing(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(shell(f, "$P image export -d vfs one:1 -o out.tar"), 0);
    assert_int_equal(
        shell(f, "head -c 2000 out.tar | $P --root other image import -d vfs - 2>said"), 1);
    assert_int_equal(shell(f, "$P --root other image import -d vfs - </dev/null 2>>said"), 1);
    assert_int_equal(
        shell(f, "test -z \"$($P --root other image ls -d vfs --json | grep sha256)\""), 0);
    ol_auto_free char *said = test_read(f->dir.fd, "said");
    assert_non_null(strstr(said, "image '-'"));
}

static void images__of_a_pipe_are_what_they_are_as_files(void **state)
{
    struct fixture *f = *state;
    static const char *const commands[] = {
        "predict --commits 0 --drivers vfs,overlay2 --json",
        "image history --json",
    };

    assert_int_equal(shell(f, "$P image export -d vfs one:1 -o out.tar"), 0);
    for (size_t i = 0; i < OL_ARRAY_LEN(commands); i++) {
        ol_auto_free char *line = NULL;

        assert_true(asprintf(&line,
                             "$P %s out.tar | sed s/out.tar/-/ >one && cat out.tar | $P %s - >two "
                             "&& cmp one two",
                             commands[i], commands[i]) > 0);
        assert_int_equal(shell(f, line), 0);
    }
}

static void image_import__interrupted_while_it_waits_leaves_nothing(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(shell(f, "mkfifo slow; sleep 60 >slow & "
                              "timeout --preserve-status -s TERM 0.3 "
                              "$P --root other image import -d vfs - <slow; "
                              "s=$?; kill %1; exit $s"),
                     128 + SIGTERM);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(image_export__to_a_file_and_to_stdout_is_the_same),
        TEST(image_export__that_fails_leaves_the_old_file),
        TEST(image_export__to_a_full_device_fails_and_leaves_it),
        TEST(image_export__is_not_written_to_a_terminal),
        TEST(image_import__takes_an_archive_from_a_pipe),
        TEST(image_import__takes_a_file_and_one_name_from_the_standard_input),
        TEST(image_import__of_half_a_stream_leaves_nothing),
        TEST(image_import__interrupted_while_it_waits_leaves_nothing),
        TEST(images__of_a_pipe_are_what_they_are_as_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
