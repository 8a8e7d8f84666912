/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "common/fs/path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct fixture {
    struct test_dir dir; /* holds root/ and the canary outside it */
    int root;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    test_dir_make(&f->dir);
    test_write(f->dir.fd, "secret", "outside");
    test_mkdir(f->dir.fd, "root", 0755);
    f->root = openat(f->dir.fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    test_mkdir(f->root, "d", 0755);
    test_mkdir(f->root, "d/e", 0755);
    test_write(f->root, "d/e/f", "inside");
    test_write(f->root, "secret", "decoy");
    test_symlink(f->root, "/d/e", "abs");
    test_symlink(f->root, "d/e", "rel");
    test_symlink(f->root, "../../..", "d/up");
    test_symlink(f->root, "/secret", "d/s");
    test_symlink(f->root, "loop2", "loop1");
    test_symlink(f->root, "loop1", "loop2");
    test_symlink(f->root, "nowhere/x", "dangling");
    test_symlink(f->root, "/proc/self/cwd", "magic");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    ol_fd_close(&f->root);
    test_dir_remove(&f->dir);
    free(f);
    return 0;
}

typedef int open_fn(int root_fd, const char *path, int flags, mode_t mode);
static open_fn *const resolvers[] = {ol_path_open, ol_path_open_walk};

static void assert_reads(open_fn *open_it, int root, const char *path, const char *want)
{
    ol_auto_fd int fd = open_it(root, path, O_RDONLY, 0);
    char text[32] = "";

    if (fd < 0)
        fail_msg("'%s': %s", path, strerror(-fd));
    assert_true(read(fd, text, sizeof text - 1) >= 0);
    assert_string_equal(text, want);
}

static void path__resolves_links_inside_the_root(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(resolvers); i++) {
        assert_reads(resolvers[i], f->root, "d/e/f", "inside");
        assert_reads(resolvers[i], f->root, "/d//./e/f", "inside");
        assert_reads(resolvers[i], f->root, "abs/f", "inside");
        assert_reads(resolvers[i], f->root, "rel/../e/f", "inside");
        assert_reads(resolvers[i], f->root, "rel/f", "inside");
    }
}

static void path__never_leaves_the_root(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(resolvers); i++) {
        assert_reads(resolvers[i], f->root, "../../secret", "decoy");
        assert_reads(resolvers[i], f->root, "d/up/secret", "decoy");
        assert_reads(resolvers[i], f->root, "d/s", "decoy");
        assert_reads(resolvers[i], f->root, "d/up/../../d/up/secret", "decoy");
    }
}

static void path__says_what_is_wrong(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(resolvers); i++) {
        assert_int_equal(resolvers[i](f->root, "loop1", O_RDONLY, 0), -ELOOP);
        assert_int_equal(resolvers[i](f->root, "loop1/x", O_RDONLY, 0), -ELOOP);
        assert_int_equal(resolvers[i](f->root, "missing/x", O_RDONLY, 0), -ENOENT);
        assert_int_equal(resolvers[i](f->root, "dangling", O_RDONLY, 0), -ENOENT);
        assert_int_equal(resolvers[i](f->root, "secret/x", O_RDONLY, 0), -ENOTDIR);
        assert_int_equal(resolvers[i](f->root, "secret/", O_RDONLY, 0), -ENOTDIR);
        assert_int_equal(resolvers[i](f->root, "d/s", O_RDONLY | O_NOFOLLOW, 0), -ELOOP);
        assert_true(resolvers[i](f->root, "magic/x", O_RDONLY, 0) < 0);
    }
}

static void path__plain_meets_no_symlink(void **state)
{
    struct fixture *f = *state;
    int (*const plain[])(int, const char *, int) = {ol_path_open_plain, ol_path_open_plain_walk};

    for (size_t i = 0; i < OL_ARRAY_LEN(plain); i++) {
        ol_auto_fd int file = plain[i](f->root, "d/e/f", O_RDONLY);
        ol_auto_fd int dir = plain[i](f->root, "/d/../d/e", O_PATH | O_DIRECTORY);
        ol_auto_fd int root = plain[i](f->root, "", O_PATH | O_DIRECTORY);

        assert_true(file >= 0 && dir >= 0 && root >= 0);
        assert_int_equal(plain[i](f->root, "rel/f", O_RDONLY), -ELOOP);
        assert_int_equal(plain[i](f->root, "abs", O_PATH | O_DIRECTORY), -ELOOP);
        assert_int_equal(plain[i](f->root, "d/up/d", O_PATH | O_DIRECTORY), -ELOOP);
        assert_int_equal(plain[i](f->root, "d/missing", O_RDONLY), -ENOENT);
        assert_int_equal(plain[i](f->root, "secret/x", O_RDONLY), -ENOTDIR);
    }
}

static ino_t inode_of(int fd)
{
    struct stat st;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    return st.st_ino;
}

static void path__opens_the_root_and_links_themselves(void **state)
{
    struct fixture *f = *state;
    static const char *const roots[] = {"", "/", "..", "."};

    for (size_t i = 0; i < OL_ARRAY_LEN(resolvers); i++) {
        ol_auto_fd int link = resolvers[i](f->root, "d/s", O_PATH | O_NOFOLLOW, 0);
        struct stat st;

        for (size_t k = 0; k < OL_ARRAY_LEN(roots); k++) {
            ol_auto_fd int fd = resolvers[i](f->root, roots[k], O_PATH | O_DIRECTORY, 0);
            assert_int_equal(inode_of(fd), inode_of(f->root));
        }
        assert_int_equal(fstat(link, &st), 0);
        assert_true(S_ISLNK(st.st_mode));
    }
}

static void path__creates_beneath_the_root_only(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(resolvers); i++) {
        ol_auto_fd int fd = resolvers[i](f->root, "d/up/new", O_WRONLY | O_CREAT | O_EXCL, 0600);

        assert_true(fd >= 0);
        assert_present(f->root, "new");
        assert_absent(f->dir.fd, "new");
        assert_int_equal(unlinkat(f->root, "new", 0), 0);
        assert_int_equal(resolvers[i](f->root, "dangling", O_WRONLY | O_CREAT | O_EXCL, 0600),
                         -EEXIST);
    }
}

static void path__mkdirs_makes_what_is_missing_with_exact_mode(void **state)
{
    struct fixture *f = *state;
    mode_t old = umask(077);
    unsigned made = 0;
    ol_auto_fd int fd = ol_path_mkdirs(f->root, "abs/x/y/z", 0755, &made);
    struct stat st;

    (void)umask(old);
    assert_true(fd >= 0);
    assert_int_equal(made, 3);
    assert_int_equal(fstatat(f->root, "d/e/x/y/z", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(ol_path_mkdirs(f->root, "secret/x", 0755, NULL), -ENOTDIR);
}

static void path__clean_is_lexical_and_reports_climbing(void **state)
{
    static const struct {
        const char *name, *want;
        bool climbs;
    } cases[] = {
        {"a//b/../c", "a/c", false},
        {"./a/./b/", "a/b", false},
        {"/abs/f", "abs/f", false},
        {"../evil", "evil", true},
        {"a/../../evil", "evil", true},
        {"", "", false},
        {"./", "", false},
        {"/", "", false},
        {"a/..", "", false},
        {"...", "...", false},
        {"a/b/../../..", "", true},
    };

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        char got[32];
        assert_int_equal(ol_path_clean(cases[i].name, got), cases[i].climbs);
        assert_string_equal(got, cases[i].want);
        (void)snprintf(got, sizeof got, "%s", cases[i].name); /* in place works too */
        (void)ol_path_clean(got, got);
        assert_string_equal(got, cases[i].want);
    }
    assert_int_equal(ol_path_dir_len("a/b/c"), 3);
    assert_int_equal(ol_path_dir_len("a"), 0);
    assert_string_equal(ol_path_base("a/b/c"), "c");
    assert_string_equal(ol_path_base("a"), "a");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(path__resolves_links_inside_the_root),
        TEST(path__never_leaves_the_root),
        TEST(path__says_what_is_wrong),
        TEST(path__plain_meets_no_symlink),
        TEST(path__opens_the_root_and_links_themselves),
        TEST(path__creates_beneath_the_root_only),
        TEST(path__mkdirs_makes_what_is_missing_with_exact_mode),
        TEST(path__clean_is_lexical_and_reports_climbing),
    };
    return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
