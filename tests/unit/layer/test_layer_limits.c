/* SPDX-License-Identifier: Apache-2.0 */
/* The applier where the system says no: an ordinary user, a full disk, no descriptors left. */
#include "layer_fixture.h"

#include "common/fs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534 };

/* Run in a child, so that rights, limits and mounts go with it; cmocka's asserts exit it. */
static void in_child(struct layer_fixture *f, void (*fn)(struct layer_fixture *f))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        fn(f);
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error("%s:%d: %s\n", __FILE__, __LINE__, #condition);                            \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static void become_nobody(struct layer_fixture *f)
{
    CHECK(fchown(f->root_fd, NOBODY, NOBODY) == 0);
    CHECK(fchmod(f->dir.fd, 0755) == 0);
    CHECK(setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
          setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

static void apply_as_nobody(struct layer_fixture *f)
{
    become_nobody(f);
    f->options.keep_owner = false;
    tarball_add_dir_mode(&f->tar, "usr", 0555);
    tarball_add_file(&f->tar, "usr/f", "x");
    tarball_add_device(&f->tar, "null", '3', 1, 3);
    tarball_add_dir_mode(&f->tar, "none", 0);
    tarball_add_file(&f->tar, "none/f", "x");
    CHECK(layer_apply(f) == 0);
    CHECK(f->res.skipped_devices == 1);
    CHECK(f->res.squashed_owners == 4);
    CHECK((layer_stat(f->root_fd, "usr").st_mode & 07777) == 0555);
    /* the next layer goes into the same directory, which is ours and not writable */
    tarball_add_file(&f->tar, "usr/new", "x");
    tarball_add_dir(&f->tar, "usr/dir");
    CHECK(layer_apply(f) == 0);
    CHECK((layer_stat(f->root_fd, "usr").st_mode & 07777) == 0555);
    CHECK(layer_stat(f->root_fd, "usr/new").st_size == 1);
    CHECK((layer_stat(f->root_fd, "none").st_mode & 07777) == 0);
}

static void layer_limits__ordinary_user_gets_all_but_owners_and_devices(void **state)
{
    OL_REQUIRE(can_chown, "becoming another user needs root");
    in_child(*state, apply_as_nobody);
}

static void owners_as_nobody(struct layer_fixture *f)
{
    become_nobody(f);
    f->options.keep_owner = true;
    tarball_add_file(&f->tar, "f", "x");
    CHECK(layer_apply(f) == -EPERM);
    CHECK(strstr(f->err.message, "'f'") != NULL);
}

static void layer_limits__owner_that_cannot_be_given_is_an_error(void **state)
{
    OL_REQUIRE(can_chown, "becoming another user needs root");
    in_child(*state, owners_as_nobody);
}

static void add_files(struct tarball *tar, int n, size_t size)
{
    char *content = calloc(1, size + 1);

    assert_non_null(content);
    for (int i = 0; i < n; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "d%d/f%d", i % 50, i);
        tarball_add_bytes(tar, name, content, size);
    }
    free(content);
}

static void on_small_disk(struct layer_fixture *f, const char *options, int n, size_t size)
{
    char *root = NULL;
    int r;

    CHECK(asprintf(&root, "%s/root", f->dir.path) > 0);
    CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mount("tmpfs", root, "tmpfs", 0, options) == 0);
    ol_fd_close(&f->root_fd);
    f->root_fd = ol_fs_open_dir(AT_FDCWD, root); /* dir.fd is in the old mount namespace */
    CHECK(f->root_fd >= 0);
    for (unsigned threads = 1; threads < 4; threads++) {
        f->options.threads = threads;
        add_files(&f->tar, n, size);
        r = layer_apply(f);
        if (r != -ENOSPC)
            print_error("%d: %s\n", r, ol_error_text(&f->err));
        CHECK(r == -ENOSPC);
        CHECK(strchr(f->err.message, '\'') != NULL);
        layer_clear(f);
    }
    free(root);
}

static void full_disk(struct layer_fixture *f)
{
    on_small_disk(f, "size=1m", 40, 100000);
}

static void layer_limits__full_disk_is_reported(void **state)
{
    OL_REQUIRE(can_mount_overlay, "mounting a small tmpfs needs CAP_SYS_ADMIN");
    in_child(*state, full_disk);
}

static void full_inodes(struct layer_fixture *f)
{
    on_small_disk(f, "nr_inodes=100", 5000, 1);
}

static void layer_limits__full_inode_table_is_reported(void **state)
{
    OL_REQUIRE(can_mount_overlay, "mounting a small tmpfs needs CAP_SYS_ADMIN");
    in_child(*state, full_inodes);
}

static void few_descriptors(struct layer_fixture *f)
{
    struct rlimit limit = {20, 20};

    f->options.threads = 3;
    add_files(&f->tar, 3000, 600);
    CHECK(tarball_fd(&f->tar) >= 0);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(layer_apply(f) == -EMFILE);
}

static void layer_limits__no_descriptors_left_is_reported(void **state)
{
    in_child(*state, few_descriptors);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, layer_setup, layer_teardown)
    const struct CMUnitTest tests[] = {
        TEST(layer_limits__ordinary_user_gets_all_but_owners_and_devices),
        TEST(layer_limits__owner_that_cannot_be_given_is_an_error),
        TEST(layer_limits__full_disk_is_reported),
        TEST(layer_limits__full_inode_table_is_reported),
        TEST(layer_limits__no_descriptors_left_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
