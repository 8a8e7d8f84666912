/* SPDX-License-Identifier: Apache-2.0 */
/* Places for benchmarks: directories and file systems of a run's own, and what stays after them. */
#include "support/support.h"

#include "bench/harness/backing.h"
#include "bench/harness/fsinfo.h"
#include "common/fault.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/mount/mount.h"
#include "common/mount/view.h"
#include "common/process.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int setup(void **state)
{
    struct test_dir *dir = calloc(1, sizeof *dir);

    assert_non_null(dir);
    test_dir_make(dir);
    *state = dir;
    return 0;
}

static int teardown(void **state)
{
    test_dir_remove(*state);
    free(*state);
    return 0;
}

static size_t entries_in(const char *path)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    ol_auto_fd int fd = ol_fs_open_dir(AT_FDCWD, path);

    assert_true(fd >= 0);
    assert_int_equal(ol_dirents_read(&list, fd, false), 0);
    return list.count;
}

static struct ol_backing *open_backing(const char *text, const char *tmp_dir)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_backing_spec spec = {0};
    struct ol_backing *b = NULL;

    assert_ok(ol_backing_parse(text, &spec, &err), &err);
    assert_ok(ol_backing_open(&spec, tmp_dir, &b, &err), &err);
    ol_backing_spec_fini(&spec);
    return b;
}

static void close_backing(struct ol_backing *b)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_backing_close(b, &err), &err);
}

/* --- parsing --- */

static void backing__parses_sizes(void **state)
{
    static const struct {
        const char *text;
        enum ol_backing_kind kind;
        uint64_t size;
    } cases[] = {
        {"ext4:512M", OL_BACKING_EXT4, 512ull << 20}, {"xfs:1g", OL_BACKING_XFS, 1ull << 30},
        {"btrfs:2T", OL_BACKING_BTRFS, 2ull << 40},   {"tmpfs:64k", OL_BACKING_TMPFS, 64 << 10},
        {"tmpfs:65536", OL_BACKING_TMPFS, 65536},
    };

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_backing_spec spec = {0};

        assert_ok(ol_backing_parse(cases[i].text, &spec, &err), &err);
        assert_int_equal(spec.kind, cases[i].kind);
        assert_true(spec.size_bytes == cases[i].size);
        assert_null(spec.dir);
    }
}

static void backing__takes_the_rest_for_a_directory(void **state)
{
    static const char *const dirs[] = {"/var/tmp", "./ext4:1G", "ext4", "./zfs:1G"};

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(dirs); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_backing_spec spec = {0};

        assert_ok(ol_backing_parse(dirs[i], &spec, &err), &err);
        assert_int_equal(spec.kind, OL_BACKING_DIRECTORY);
        assert_string_equal(spec.dir, dirs[i]);
        ol_backing_spec_fini(&spec);
    }
}

static void backing__refuses_sizes_that_are_none(void **state)
{
    static const char *const bad[] = {
        "ext4:",    "ext4:0",    "ext4:G",    "ext4:1X",           "ext4:1GB",
        "ext4:-1G", "ext4: 1G",  "xfs:1.5G",  "tmpfs:9999999999T", "tmpfs:99999999999999999999",
        "ext4:8G ", "ext4:0x10", "ext4:1G:2", "ext5:8G",           "zfs:1G",
    };

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(bad); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_backing_spec spec = {0};

        assert_int_equal(ol_backing_parse(bad[i], &spec, &err), -EINVAL);
        assert_message(&err, bad[i]);
    }
}

/* --- directories --- */

static void backing__directory_gets_a_place_of_its_own_and_loses_it(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_backing *a = open_backing(dir->path, "/nowhere");
    struct ol_backing *b = open_backing(dir->path, "/nowhere");
    ol_auto_free char *file = NULL;

    assert_string_not_equal(ol_backing_path(a), ol_backing_path(b));
    assert_false(ol_backing_is_dedicated(a));
    assert_int_equal(entries_in(ol_backing_path(a)), 0);
    assert_true(asprintf(&file, "%s/deep", ol_backing_path(a)) > 0);
    assert_int_equal(mkdir(file, 0755), 0);
    assert_ok(ol_backing_sync(a, &err), &err);
    close_backing(a);
    assert_int_equal(entries_in(dir->path), 1);
    close_backing(b);
    assert_int_equal(entries_in(dir->path), 0);
}

static void backing__names_the_directory_that_is_missing(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *missing = NULL;
    struct ol_backing_spec spec = {0};
    struct ol_backing *b = NULL;

    assert_true(asprintf(&missing, "%s/missing", dir->path) > 0);
    assert_ok(ol_backing_parse(missing, &spec, &err), &err);
    assert_int_equal(ol_backing_open(&spec, "/tmp", &b, &err), -ENOENT);
    assert_message(&err, missing);
    ol_backing_spec_fini(&spec);
}

/* --- file systems of its own --- */

static void check_dedicated(struct test_dir *dir, const char *text, const char *type)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_backing *b = open_backing(text, dir->path);
    struct ol_fsinfo info;
    ol_auto_free char *device = NULL;
    struct stat st;

    assert_true(ol_backing_is_dedicated(b));
    assert_true(ol_mount_is_point(ol_backing_path(b)));
    assert_int_equal(stat(ol_backing_path(b), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_ok(ol_fsinfo_get(ol_backing_path(b), &info, &err), &err);
    assert_string_equal(info.type, type);
    assert_int_equal(info.d_type, OL_KNOWN_YES);
    device = strdup(info.source);
    ol_fsinfo_fini(&info);
    close_backing(b);
    assert_int_equal(entries_in(dir->path), 0);
    assert_int_equal(ol_mount_detach_below(dir->path, NULL), 0);
    if (strncmp(device, "/dev/loop", 9) == 0) {
        ol_auto_free char *state_file = NULL;
        assert_true(asprintf(&state_file, "/sys/block/%s/loop/backing_file", device + 5) > 0);
        assert_int_equal(access(state_file, F_OK), -1); /* the device freed itself */
    }
}

static void backing__makes_and_unmakes_ext4(void **state)
{
    OL_REQUIRE(can_loop_mount, "loop devices need root");
    check_dedicated(*state, "ext4:64M", "ext4");
}

static bool can_make(const char *program, const char *type)
{
    ol_auto_free char *path = ol_process_find(program);
    ol_auto_free char *load = NULL;

    /* Loading the module is what mount(2) does by itself, without saying whether it could. */
    if (path == NULL || asprintf(&load, "modprobe -q %s 2>/dev/null; grep -qw %s /proc/filesystems",
                                 type, type) < 0)
        return false;
    return system(load) == 0;
}

static bool can_xfs(void)
{
    return can_make("mkfs.xfs", "xfs");
}

static bool can_btrfs(void)
{
    return can_make("mkfs.btrfs", "btrfs");
}

static void backing__makes_and_unmakes_xfs(void **state)
{
    OL_REQUIRE(can_loop_mount, "loop devices need root");
    OL_REQUIRE(can_xfs, "needs xfsprogs and xfs in the kernel");
    check_dedicated(*state, "xfs:320M", "xfs");
}

static void backing__makes_and_unmakes_btrfs(void **state)
{
    OL_REQUIRE(can_loop_mount, "loop devices need root");
    OL_REQUIRE(can_btrfs, "needs btrfs-progs and btrfs in the kernel");
    check_dedicated(*state, "btrfs:160M", "btrfs");
}

static void backing__makes_and_unmakes_tmpfs(void **state)
{
    OL_REQUIRE(can_mount_overlay, "mounting needs CAP_SYS_ADMIN");
    check_dedicated(*state, "tmpfs:16M", "tmpfs");
}

static void backing__ext4_has_a_journal_and_many_inodes(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_backing *b = NULL;
    struct ol_fsinfo info;

    OL_REQUIRE(can_loop_mount, "loop devices need root");
    b = open_backing("ext4:64M", dir->path);
    assert_ok(ol_fsinfo_get(ol_backing_path(b), &info, &err), &err);
    assert_int_equal(info.journal, OL_KNOWN_YES);
    assert_int_equal(info.inode_size, 256);
    assert_string_equal(info.magic_name, "extfs");
    assert_false(ol_fsinfo_is_slow_ext4(&info));
    assert_true(info.total_inodes >= (64 << 20) / 4096);
    assert_int_equal(info.user_xattr, OL_KNOWN_YES);
    assert_int_equal(info.reflink, OL_KNOWN_NO);
    ol_fsinfo_fini(&info);
    assert_ok(ol_backing_drop_caches(b, &err), &err);
    close_backing(b);
}

static void backing__close_takes_leaked_mounts_along(void **state)
{
    struct test_dir *dir = *state;
    struct ol_backing *b = NULL;
    ol_auto_free char *inner = NULL;

    OL_REQUIRE(can_loop_mount, "loop devices need root");
    b = open_backing("ext4:64M", dir->path);
    assert_true(asprintf(&inner, "%s/inner", ol_backing_path(b)) > 0);
    assert_int_equal(mkdir(inner, 0755), 0);
    assert_int_equal(mount("tmpfs", inner, "tmpfs", 0, "size=64k"), 0);
    close_backing(b);
    assert_int_equal(entries_in(dir->path), 0);
}

static void backing__passes_on_what_mkfs_says(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_backing_spec spec = {.kind = OL_BACKING_XFS, .size_bytes = 1 << 20};
    struct ol_backing *b = NULL;

    OL_REQUIRE(can_xfs, "needs xfsprogs and xfs in the kernel");
    assert_true(ol_backing_open(&spec, dir->path, &b, &err) < 0);
    assert_message(&err, "cannot make the xfs file system: 'mkfs.xfs' failed");
    assert_int_equal(entries_in(dir->path), 0);
}

static void backing__refuses_an_image_the_disk_cannot_hold(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_backing_spec spec = {.kind = OL_BACKING_EXT4, .size_bytes = 1ull << 52};
    struct ol_backing *b = NULL;

    assert_int_equal(ol_backing_open(&spec, dir->path, &b, &err), -ENOSPC);
    assert_message(&err, dir->path);
    assert_int_equal(entries_in(dir->path), 0);
}

/* Fail each step once: no mount, no device, no directory may stay. */
static void fail_every_step(struct test_dir *dir, const char *text)
{
    struct ol_backing_spec spec = {0};
    bool opened = false;

    assert_int_equal(ol_backing_parse(text, &spec, NULL), 0);
    for (unsigned long n = 1; !opened && n < 100; n++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_backing *b = NULL;
        int r;

        ol_fault_arm(n);
        r = ol_backing_open(&spec, dir->path, &b, &err);
        opened = !ol_fault_delivered();
        ol_fault_arm(0);
        if (r == 0)
            close_backing(b);
        else
            assert_non_null(err.message);
        assert_int_equal(entries_in(dir->path), 0);
    }
    assert_true(opened);
    ol_backing_spec_fini(&spec);
}

static void backing__every_failed_step_leaves_nothing(void **state)
{
    struct test_dir *dir = *state;

    if (!OL_FAULTS)
        skip();
    OL_REQUIRE(can_loop_mount, "loop devices need root");
    fail_every_step(dir, "ext4:16M");
    fail_every_step(dir, "tmpfs:1M");
    fail_every_step(dir, dir->path);
}

/* --- killed runs --- */

/* A child opens a place and is killed in it. */
static void kill_a_run(const char *text, const char *tmp_dir, bool private_mounts)
{
    int ready[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        struct ol_backing_spec spec = {0};
        struct ol_backing *b = NULL;

        if ((private_mounts && ol_view_private_mounts(NULL) < 0) ||
            ol_backing_parse(text, &spec, NULL) < 0 ||
            ol_backing_open(&spec, tmp_dir, &b, NULL) < 0)
            _exit(1);
        (void)!write(ready[1], "r", 1);
        (void)pause();
        _exit(1);
    }
    assert_true(pid > 0);
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    assert_int_equal(ol_backing_clean_stale(tmp_dir, true, NULL), 0); /* alive is not stale */
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void backing__killed_run_leaves_no_mount_with_private_mounts(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    OL_REQUIRE(can_loop_mount, "loop devices need root");
    kill_a_run("ext4:64M", dir->path, true);
    assert_int_equal(ol_mount_detach_below(dir->path, NULL), 0);
    assert_int_equal(ol_backing_clean_stale(dir->path, true, &err), 1);
    assert_int_equal(ol_backing_clean_stale(dir->path, false, &err), 1);
    assert_int_equal(entries_in(dir->path), 0);
}

static void backing__next_run_unmounts_what_a_killed_run_left(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    OL_REQUIRE(can_loop_mount, "loop devices need root");
    kill_a_run("ext4:64M", dir->path, false);
    close_backing(open_backing("tmpfs:1M", dir->path));
    assert_int_equal(ol_backing_clean_stale(dir->path, true, &err), 0);
    assert_int_equal(entries_in(dir->path), 0);
}

static void backing__cleaning_leaves_other_directories_alone(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    test_mkdir(dir->fd, "overlab-run-mine", 0755);                /* not a name of ours */
    test_mkdir(dir->fd, "overlab-run-0123456789abcdef", 0755);    /* ours, but in use by someone */
    test_write(dir->fd, "overlab-run-0123456789abcdef/file", ""); /* who never locked it */
    test_symlink(dir->fd, "/etc", "overlab-run-fedcba9876543210");
    assert_int_equal(ol_backing_clean_stale(dir->path, false, &err), 0);
    assert_int_equal(entries_in(dir->path), 3);
    assert_present(dir->fd, "overlab-run-0123456789abcdef/file");
}

/* --- an ordinary user --- */

static int refuse_as_user(const char *dir, uid_t uid)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_backing_spec spec = {.kind = OL_BACKING_EXT4, .size_bytes = 16 << 20};
    struct ol_backing *b = NULL;

    if (chown(dir, uid, uid) < 0 || setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
        setresuid(uid, uid, uid) < 0)
        return 77;
    if (ol_backing_open(&spec, dir, &b, &err) != -EPERM || strstr(err.message, "--backing") == NULL)
        return 1;
    spec.kind = OL_BACKING_TMPFS;
    ol_error_fini(&err);
    if (ol_backing_open(&spec, dir, &b, &err) != -EPERM || strstr(err.message, "--view") == NULL)
        return 2;
    if (entries_in(dir) != 0)
        return 3;
    if (prctl(PR_SET_DUMPABLE, 1) < 0 || ol_view_enter_userns(NULL) < 0)
        return 0; /* no user namespaces here: the rest cannot be seen */
    if (ol_backing_open(&spec, dir, &b, &err) < 0)
        return 4;
    if (!ol_mount_is_point(ol_backing_path(b)) || ol_backing_close(b, &err) < 0)
        return 5;
    return entries_in(dir) == 0 ? 0 : 6;
}

static void backing__tells_an_ordinary_user_what_works(void **state)
{
    struct test_dir *dir = *state;
    int status = 0;
    pid_t pid;

    OL_REQUIRE(can_chown, "needs root to become another user");
    pid = fork();
    if (pid == 0)
        _exit(refuse_as_user(dir->path, 23456));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- facts about file systems --- */

static void fsinfo__tells_about_the_test_directory(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_fsinfo info;

    assert_ok(ol_fsinfo_get(dir->path, &info, &err), &err);
    assert_true(info.type[0] != '\0');
    assert_true(info.block_size > 0);
    assert_int_equal(info.user_xattr, can_user_xattr() ? OL_KNOWN_YES : OL_KNOWN_NO);
    assert_int_equal(strncmp(dir->path, info.mount_point, strlen(info.mount_point)), 0);
    assert_int_equal(entries_in(dir->path), 0);
    ol_fsinfo_fini(&info);
}

static void fsinfo__sees_the_missing_journal(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *command = NULL;
    ol_auto_free char *point = NULL;
    struct ol_fsinfo info;

    OL_REQUIRE(can_loop_mount, "loop devices need root");
    assert_true(asprintf(&command,
                         "cd '%s' && truncate -s 16M i && mkfs.ext4 -q -F -O ^has_journal i && "
                         "mkdir m && mount -o loop i m",
                         dir->path) > 0);
    assert_int_equal(system(command), 0);
    assert_true(asprintf(&point, "%s/m", dir->path) > 0);
    assert_ok(ol_fsinfo_get(point, &info, &err), &err);
    assert_int_equal(info.journal, OL_KNOWN_NO);
    assert_true(ol_fsinfo_is_slow_ext4(&info));
    ol_fsinfo_fini(&info);
    assert_ok(ol_mount_detach(point, &err), &err);
}

/* As in a tree made by debootstrap: the mount the root is on is not in the table. */
static void look_in_chroot(const char *dir, bool has_proc)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_fsinfo info;

    if (chdir(dir) < 0 || ol_view_private_mounts(NULL) < 0 || mkdir("proc", 0755) < 0 ||
        mkdir("place", 0755) < 0 || (has_proc && mount("proc", "proc", "proc", 0, NULL) < 0) ||
        chroot(".") < 0)
        _exit(77);
    if (!has_proc)
        _exit(ol_fsinfo_get("/place", &info, &err) < 0 && err.message != NULL ? 0 : 1);
    if (ol_fsinfo_get("/place", &info, &err) < 0)
        _exit(2);
    _exit(info.type[0] != '\0' && info.d_type == OL_KNOWN_YES && info.mount_point[0] == '\0' ? 0
                                                                                             : 3);
}

static void fsinfo__works_in_a_chroot(void **state)
{
    struct test_dir *dir = *state;
    int status = 0;
    pid_t pid;

    OL_REQUIRE(can_mount_overlay, "mounting needs CAP_SYS_ADMIN");
    pid = fork();
    if (pid == 0)
        look_in_chroot(dir->path, true);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void fsinfo__says_so_without_proc(void **state)
{
    struct test_dir *dir = *state;
    int status = 0;
    pid_t pid;

    OL_REQUIRE(can_mount_overlay, "mounting needs CAP_SYS_ADMIN");
    pid = fork();
    if (pid == 0)
        look_in_chroot(dir->path, false);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(backing__parses_sizes),
        TEST(backing__takes_the_rest_for_a_directory),
        TEST(backing__refuses_sizes_that_are_none),
        TEST(backing__directory_gets_a_place_of_its_own_and_loses_it),
        TEST(backing__names_the_directory_that_is_missing),
        TEST(backing__makes_and_unmakes_ext4),
        TEST(backing__makes_and_unmakes_xfs),
        TEST(backing__makes_and_unmakes_btrfs),
        TEST(backing__makes_and_unmakes_tmpfs),
        TEST(backing__ext4_has_a_journal_and_many_inodes),
        TEST(backing__close_takes_leaked_mounts_along),
        TEST(backing__passes_on_what_mkfs_says),
        TEST(backing__refuses_an_image_the_disk_cannot_hold),
        TEST(backing__every_failed_step_leaves_nothing),
        TEST(backing__killed_run_leaves_no_mount_with_private_mounts),
        TEST(backing__next_run_unmounts_what_a_killed_run_left),
        TEST(backing__cleaning_leaves_other_directories_alone),
        TEST(backing__tells_an_ordinary_user_what_works),
        TEST(fsinfo__tells_about_the_test_directory),
        TEST(fsinfo__sees_the_missing_journal),
        TEST(fsinfo__works_in_a_chroot),
        TEST(fsinfo__says_so_without_proc),
    };
    return cmocka_run_group_tests_name("backing", tests, NULL, NULL);
}
