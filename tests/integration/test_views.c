/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The views, tried for real: as root, as an ordinary user, and as an ordinary user with subordinate
 * ids. What needs other ids or namespaces runs in a child; nothing outlives it.
 */
#include "support/support.h"

#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/mount/mount.h"
#include "common/mount/overlay.h"
#include "common/mount/view.h"
#include "common/process.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { NOBODY = 65534, STRANGER = 23456 };

/* How a child ends. */
enum { PASSED = 0, BROKEN = 1, CANNOT = 77 };

/* In a child: say what is wrong and end it; cmocka's assertions jump into the parent's code. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error("%s:%d: %s (errno: %s)\n", __FILE__, __LINE__, #condition,                 \
                        strerror(errno));                                                          \
            _exit(BROKEN);                                                                         \
        }                                                                                          \
    } while (0)
#define CHECK_OK(r, err)                                                                           \
    do {                                                                                           \
        if ((r) < 0) {                                                                             \
            print_error("%s:%d: %s: %s\n", __FILE__, __LINE__, #r, ol_error_text(err));            \
            _exit(BROKEN);                                                                         \
        }                                                                                          \
    } while (0)

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

/* Run fn in a child; skip the test when the child says it cannot be done here. */
static void in_child(void (*fn)(const char *dir), const char *dir, const char *test)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        fn(dir);
        _exit(PASSED);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CANNOT)
        ol_require_failed("other_user", test, "this machine does not let a test do that");
    assert_int_equal(WEXITSTATUS(status), PASSED);
}

/* Become an ordinary user who owns dir; one who runs the tests stays what he is. An exec would make
 * the process readable for its own /proc files again; here prctl does. */
static void become(uid_t uid, const char *dir)
{
    if (geteuid() == 0 &&
        (chown(dir, uid, uid) < 0 || setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
         setresuid(uid, uid, uid) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0))
        _exit(CANNOT);
    if (access(dir, R_OK | W_OK | X_OK) < 0)
        _exit(CANNOT); /* TMPDIR lies below a directory that is closed to others */
}

static bool is_empty(const char *dir)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    ol_auto_fd int fd = ol_fs_open_dir(AT_FDCWD, dir);

    if (fd < 0 || ol_dirents_read(&list, fd, true) < 0)
        return false;
    for (size_t i = 0; i < list.count; i++)
        print_error("'%s/%s' was left behind\n", dir, list.items[i].name);
    return list.count == 0;
}

/* An overlay mount with userxattr below dir, as a driver makes it. */
static void check_mount_works(const char *dir)
{
    const char *lower = "lower";
    const struct ol_overlay_spec spec = {.base = dir,
                                         .lowers = &lower,
                                         .n_lowers = 1,
                                         .upper = "upper",
                                         .work = "work",
                                         .target = "merged",
                                         .userxattr = true};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_fd int fd = ol_fs_open_dir(AT_FDCWD, dir);

    CHECK(fd >= 0);
    CHECK(mkdirat(fd, "lower", 0755) == 0 && mkdirat(fd, "upper", 0755) == 0);
    CHECK(mkdirat(fd, "work", 0755) == 0 && mkdirat(fd, "merged", 0755) == 0);
    CHECK_OK(ol_fs_write_file(fd, "lower/file", "x", 1, 0644, &err), &err);
    CHECK_OK(ol_overlay_mount(&spec, &err), &err);
    CHECK(faccessat(fd, "merged/file", R_OK, 0) == 0);
    CHECK_OK(ol_fs_write_file(fd, "merged/new", "x", 1, 0644, &err), &err);
    CHECK(faccessat(fd, "upper/new", R_OK, 0) == 0);
}

/* --- probing --- */

static void view__root_gets_the_kernel_view(void **state)
{
    struct test_dir *dir = *state;
    struct ol_view_probe probe = {0};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    enum ol_view view = OL_VIEW_AUTO;

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    assert_ok(ol_view_probe_dir(dir->path, &probe, &err), &err);
    assert_true(probe.kernel_mount);
    assert_null(probe.kernel_why);
    assert_true(probe.direct || !can_user_xattr());
    ol_view_probe_fini(&probe);
    assert_ok(ol_view_choose(dir->path, OL_VIEW_AUTO, &view, &err), &err);
    assert_int_equal(view, OL_VIEW_KERNEL);
    assert_true(is_empty(dir->path));
}

static void view__probe_takes_the_nearest_directory_there_is(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *missing = NULL;
    struct ol_view_probe probe = {0};

    assert_true(asprintf(&missing, "%s/not/yet/there", dir->path) > 0);
    assert_ok(ol_view_probe_dir(missing, &probe, &err), &err);
    ol_view_probe_fini(&probe);
    assert_true(is_empty(dir->path));
}

static void view__probe_of_a_file_is_refused(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *file = NULL;
    struct ol_view_probe probe = {0};

    test_write(dir->fd, "file", "x");
    assert_true(asprintf(&file, "%s/file", dir->path) > 0);
    assert_int_equal(ol_view_probe_dir(file, &probe, &err), -ENOTDIR);
    assert_message(&err, file);
}

static void user_probe(const char *dir)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_view_probe probe = {0};
    enum ol_view view = OL_VIEW_AUTO;

    become(STRANGER, dir);
    CHECK_OK(ol_view_probe_dir(dir, &probe, &err), &err);
    CHECK(!probe.kernel_mount && probe.kernel_code == -EPERM);
    CHECK(strstr(probe.kernel_why, "CAP_SYS_ADMIN") != NULL);
    CHECK(probe.direct || !can_user_xattr());
    CHECK(!probe.id_ranges || geteuid() != STRANGER); /* nobody gave ids to a stranger */
    CHECK(is_empty(dir));
    CHECK(ol_view_choose(dir, OL_VIEW_KERNEL, &view, &err) == -EPERM);
    CHECK(strstr(err.message, "--view userns") != NULL);
    if (!probe.userns_mount)
        _exit(CANNOT);
    ol_error_fini(&err);
    CHECK_OK(ol_view_choose(dir, OL_VIEW_AUTO, &view, &err), &err);
    CHECK(view == OL_VIEW_USERNS);
    ol_view_probe_fini(&probe);
}

static void view__ordinary_user_gets_the_userns_view(void **state)
{
    struct test_dir *dir = *state;

    OL_REQUIRE(can_user_namespace, "user namespaces are not allowed here");
    in_child(user_probe, dir->path, __func__);
}

static void closed_directory_probe(const char *dir)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_view_probe probe = {0};

    become(STRANGER, dir);
    CHECK(chmod(dir, 0500) == 0);
    CHECK(ol_view_probe_dir(dir, &probe, &err) == -EACCES);
    CHECK(strstr(err.message, dir) != NULL);
}

static void view__probe_of_a_closed_directory_names_it(void **state)
{
    struct test_dir *dir = *state;

    in_child(closed_directory_probe, dir->path, __func__);
}

/* --- entering --- */

static void user_enter_single(const char *dir)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    bool stranger;

    become(STRANGER, dir);
    stranger = geteuid() == STRANGER;
    CHECK(!ol_view_in_userns());
    CHECK_OK(ol_view_enter_userns(&err), &err);
    CHECK(ol_view_in_userns());
    CHECK(geteuid() == 0 && getegid() == 0);
    CHECK(!ol_view_can_keep_owner(dir) || !stranger);
    check_mount_works(dir);
}

static void view__ordinary_user_enters_with_the_single_id(void **state)
{
    struct test_dir *dir = *state;

    OL_REQUIRE(can_user_namespace, "user namespaces are not allowed here");
    in_child(user_enter_single, dir->path, __func__);
    assert_int_equal(ol_mount_detach_below(dir->path, NULL), 0); /* it went with the namespace */
}

static void root_enter(const char *dir)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    CHECK_OK(ol_view_enter_userns(&err), &err);
    CHECK(geteuid() == 0);
    CHECK(ol_view_can_keep_owner(dir));
    check_mount_works(dir);
}

static void view__root_enters_with_all_ids(void **state)
{
    struct test_dir *dir = *state;

    OL_REQUIRE(can_chown, "needs root");
    OL_REQUIRE(can_user_namespace, "user namespaces are not allowed here");
    in_child(root_enter, dir->path, __func__);
    assert_int_equal(ol_mount_detach_below(dir->path, NULL), 0);
}

/* Subordinate ids for NOBODY in a copy-on-write /etc that only this child sees. */
static void give_ranges(const char *dir)
{
    ol_auto_free char *options = NULL;
    ol_auto_free char *upper = NULL;
    ol_auto_free char *work = NULL;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    static const char line[] = "someone:100000:65536\nnobody:200000:65536\n";

    CHECK(asprintf(&upper, "%s/etc-upper", dir) > 0 && asprintf(&work, "%s/etc-work", dir) > 0);
    CHECK(asprintf(&options, "lowerdir=/etc,upperdir=%s,workdir=%s", upper, work) > 0);
    CHECK(mkdir(upper, 0755) == 0 && mkdir(work, 0755) == 0);
    CHECK_OK(ol_view_private_mounts(&err), &err);
    CHECK(mount("overlay", "/etc", "overlay", 0, options) == 0);
    CHECK_OK(ol_fs_write_file(AT_FDCWD, "/etc/subuid", line, sizeof line - 1, 0644, &err), &err);
    CHECK_OK(ol_fs_write_file(AT_FDCWD, "/etc/subgid", line, sizeof line - 1, 0644, &err), &err);
}

static void user_enter_ranges(const char *dir)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *home = NULL;

    CHECK(asprintf(&home, "%s/home", dir) > 0 && mkdir(home, 0755) == 0);
    CHECK(chmod(dir, 0711) == 0);
    give_ranges(dir);
    become(NOBODY, home);
    CHECK_OK(ol_view_enter_userns(&err), &err);
    CHECK(geteuid() == 0 && getegid() == 0);
    CHECK(ol_view_can_keep_owner(home));
    check_mount_works(home);
}

static void view__ordinary_user_enters_with_id_ranges(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_free char *newuidmap = ol_process_find("newuidmap");

    OL_REQUIRE(can_mount_overlay, "giving ids in /etc/subuid needs CAP_SYS_ADMIN");
    OL_REQUIRE(can_user_namespace, "user namespaces are not allowed here");
    if (newuidmap == NULL)
        ol_require_failed("newuidmap", __func__, "newuidmap (package uidmap) is not installed");
    in_child(user_enter_ranges, dir->path, __func__);
}

static void user_enter_forbidden_ranges(const char *dir)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *home = NULL;

    CHECK(asprintf(&home, "%s/home", dir) > 0 && mkdir(home, 0755) == 0);
    CHECK(chmod(dir, 0711) == 0);
    give_ranges(dir);
    /* A newgidmap that works and a newuidmap that does not: a map is written only once. */
    CHECK(mount("/bin/false", "/usr/bin/newuidmap", NULL, MS_BIND, NULL) == 0);
    become(NOBODY, home);
    CHECK_OK(ol_view_enter_userns(&err), &err);
    CHECK(geteuid() == 0);
    CHECK(!ol_view_can_keep_owner(home));
    check_mount_works(home);
}

static void view__falls_back_to_the_single_id_when_newuidmap_fails(void **state)
{
    struct test_dir *dir = *state;

    OL_REQUIRE(can_mount_overlay, "replacing newuidmap needs CAP_SYS_ADMIN");
    OL_REQUIRE(can_user_namespace, "user namespaces are not allowed here");
    if (access("/usr/bin/newuidmap", X_OK) < 0)
        ol_require_failed("newuidmap", __func__, "newuidmap (package uidmap) is not installed");
    in_child(user_enter_forbidden_ranges, dir->path, __func__);
}

static void limit_reached(const char *dir)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_fd int fd = -1;

    /* A user namespace has a limit of its own, so the machine's stays as it is. */
    CHECK_OK(ol_view_enter_userns(&err), &err);
    fd = open("/proc/sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1)
        _exit(CANNOT);
    CHECK(ol_view_enter_userns(&err) == -EPERM);
    CHECK(strstr(err.message, "user.max_user_namespaces") != NULL);
    (void)dir;
}

static void view__names_the_sysctl_when_the_limit_is_reached(void **state)
{
    struct test_dir *dir = *state;

    OL_REQUIRE(can_user_namespace, "user namespaces are not allowed here");
    in_child(limit_reached, dir->path, __func__);
}

static void private_mounts(const char *dir)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    CHECK_OK(ol_view_private_mounts(&err), &err);
    CHECK(mount("tmpfs", dir, "tmpfs", 0, "size=64k") == 0);
    CHECK(ol_mount_is_point(dir));
}

static void view__private_mounts_vanish_with_the_process(void **state)
{
    struct test_dir *dir = *state;

    OL_REQUIRE(can_mount_overlay, "mounting needs CAP_SYS_ADMIN");
    in_child(private_mounts, dir->path, __func__);
    assert_false(ol_mount_is_point(dir->path));
}

/* fresh Debian trees are entered by chroot, and there "/" is no mount point. */
static void private_mounts_in_chroot(const char *dir)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    CHECK(chdir(dir) == 0 && mkdir("place", 0755) == 0 && mkdir("here", 0755) == 0);
    CHECK(chroot(".") == 0 && chdir("/here") == 0);
    CHECK_OK(ol_view_private_mounts(&err), &err);
    CHECK(access("/place", F_OK) == 0 && access("../place", F_OK) == 0);
    CHECK(mount("tmpfs", "/place", "tmpfs", 0, "size=64k") == 0);
    CHECK(mkdir("/place/inside", 0755) == 0);
}

static void view__private_mounts_work_in_a_chroot(void **state)
{
    struct test_dir *dir = *state;

    OL_REQUIRE(can_mount_overlay, "mounting needs CAP_SYS_ADMIN");
    in_child(private_mounts_in_chroot, dir->path, __func__);
    assert_present(dir->fd, "place");
    assert_absent(dir->fd, "place/inside");
}

/* --- names --- */

static void view__names_parse_back(void **state)
{
    (void)state;
    for (int i = OL_VIEW_AUTO; i <= OL_VIEW_DIRECT; i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        enum ol_view view = OL_VIEW_AUTO;

        assert_ok(ol_view_parse(ol_view_name((enum ol_view)i), &view, &err), &err);
        assert_int_equal(view, i);
    }
}

static void view__unknown_name_lists_the_names(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    enum ol_view view = OL_VIEW_AUTO;

    (void)state;
    assert_int_equal(ol_view_parse("fuse", &view, &err), -EINVAL);
    assert_message(&err, "auto, kernel, userns or direct");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(view__root_gets_the_kernel_view),
        TEST(view__probe_takes_the_nearest_directory_there_is),
        TEST(view__probe_of_a_file_is_refused),
        TEST(view__ordinary_user_gets_the_userns_view),
        TEST(view__probe_of_a_closed_directory_names_it),
        TEST(view__ordinary_user_enters_with_the_single_id),
        TEST(view__root_enters_with_all_ids),
        TEST(view__ordinary_user_enters_with_id_ranges),
        TEST(view__falls_back_to_the_single_id_when_newuidmap_fails),
        TEST(view__names_the_sysctl_when_the_limit_is_reached),
        TEST(view__private_mounts_vanish_with_the_process),
        TEST(view__private_mounts_work_in_a_chroot),
        TEST(view__names_parse_back),
        TEST(view__unknown_name_lists_the_names),
    };
    return cmocka_run_group_tests_name("views", tests, NULL, NULL);
}
