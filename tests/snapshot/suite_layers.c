/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The half of containerd's suite (snapshots/testsuite) in which each step is done twice: on a
 * mounted snapshot on top of the last one, and on a plain directory; a view of the commit must then
 * look like the directory.
 */
#include "suite.h"

#include "direct.h"

#include "support/treecmp.h"

#include "common/fs/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

/* ---- the play ---- */

static char *join(const char *root, const char *path)
{
    char *text = NULL;

    assert_true(asprintf(&text, "%s%s", root, path) > 0);
    return text;
}

/* open(O_CREAT | O_TRUNC), write, chmod. */
static void direct_file(struct ol_rootfs *fs, const char *path, const char *content, unsigned mode)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    int r = ol_rootfs_create(fs, path, mode, content, strlen(content), NULL);

    if (r == -EEXIST)
        r = ol_rootfs_write(fs, path, content, strlen(content), &err);
    assert_ok(r, &err);
    assert_ok(ol_rootfs_chmod(fs, path, mode, &err), &err);
}

static void direct_dir(struct ol_rootfs *fs, const char *path, unsigned mode)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    int r = ol_rootfs_mkdir(fs, path, mode, NULL);

    assert_true(r == 0 || r == -EEXIST);
    assert_ok(ol_rootfs_chmod(fs, path, mode, &err), &err);
}

/* rename(2) of a file over another one; the object behind the play has no replacing rename. */
static void direct_rename(struct ol_rootfs *fs, const char *old_path, const char *new_path)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_rootfs_remove_tree(fs, new_path, &err), &err);
    assert_ok(ol_rootfs_rename(fs, old_path, new_path, &err), &err);
}

void play_file(const char *root, const char *path, const char *content, unsigned mode)
{
    struct ol_rootfs *fs = direct_at(root);
    ol_auto_free char *file = join(root, path);

    if (fs != NULL) {
        direct_file(fs, path + 1, content, mode);
        return;
    }
    test_write(AT_FDCWD, file, content);
    assert_int_equal(chmod(file, mode), 0);
}

void play_dir(const char *root, const char *path, unsigned mode)
{
    struct ol_rootfs *fs = direct_at(root);
    ol_auto_free char *dir = join(root, path);

    if (fs != NULL) {
        direct_dir(fs, path + 1, mode);
        return;
    }
    if (mkdir(dir, mode) < 0)
        assert_int_equal(errno, EEXIST);
    assert_int_equal(chmod(dir, mode), 0);
}

void play_remove(const char *root, const char *path)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs = direct_at(root);
    ol_auto_free char *name = join(root, path);
    struct stat st;

    if (fs != NULL) {
        assert_ok(ol_rootfs_lstat(fs, path + 1, &st, &err), &err);
        assert_ok(ol_rootfs_remove_tree(fs, path + 1, &err), &err);
        return;
    }
    assert_int_equal(access(name, F_OK), 0);
    assert_ok(ol_tree_remove(AT_FDCWD, name, &err), &err);
}

void play_chown(const char *root, const char *path, unsigned uid, unsigned gid)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs = direct_at(root);
    ol_auto_free char *name = join(root, path);

    if (fs != NULL)
        assert_ok(ol_rootfs_chown(fs, path + 1, uid, gid, &err), &err);
    else
        assert_int_equal(chown(name, uid, gid), 0);
}

void play_link(const char *root, const char *old_path, const char *new_path)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs = direct_at(root);
    ol_auto_free char *old_name = join(root, old_path);
    ol_auto_free char *new_name = join(root, new_path);

    if (fs != NULL)
        assert_ok(ol_rootfs_link(fs, old_path + 1, new_path + 1, &err), &err);
    else
        assert_int_equal(link(old_name, new_name), 0);
}

void play_rename(const char *root, const char *old_path, const char *new_path)
{
    struct ol_rootfs *fs = direct_at(root);
    ol_auto_free char *old_name = join(root, old_path);
    ol_auto_free char *new_name = join(root, new_path);

    if (fs != NULL)
        direct_rename(fs, old_path + 1, new_path + 1);
    else
        assert_int_equal(rename(old_name, new_name), 0);
}

/* Either side may be a plain directory. */
static char *listing_of(const char *path)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs = direct_at(path);
    struct ol_rootfs *plain = NULL;
    char *text;

    if (fs != NULL)
        return direct_listing(fs);
    assert_ok(ol_rootfs_open_dir(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), &plain, &err),
              &err);
    text = direct_listing(plain);
    assert_ok(ol_rootfs_close(plain, &err), &err);
    return text;
}

static void assert_same_direct(const char *a, const char *b)
{
    ol_auto_free char *text_a = listing_of(a);
    ol_auto_free char *text_b = listing_of(b);

    assert_string_equal(text_a, text_b);
}

void suite_assert_same(const char *a, const char *b)
{
    const unsigned flags = TREECMP_NO_ROOT | TREECMP_NO_TIMES | TREECMP_NO_XATTRS;
    ol_auto_free char *text_a = NULL;
    ol_auto_free char *text_b = NULL;

    if (direct_at(a) != NULL || direct_at(b) != NULL) {
        assert_same_direct(a, b);
        return;
    }
    text_a = treecmp_describe(a, flags);
    text_b = treecmp_describe(b, flags);
    assert_trees_equal(a, text_a, b, text_b);
}

/* ---- checkSnapshots ---- */

typedef void step_fn(const char *root);

static void check_snapshots(struct snap *s, step_fn *const *steps, size_t n_steps)
{
    ol_auto_free char *flat = join(s->work, "/flat");
    char parent[32] = "";

    suite_require_mounts();
    assert_int_equal(mkdir(flat, 0755), 0);
    for (size_t i = 0; i < n_steps; i++) {
        ol_auto_free char *mounted = NULL;
        ol_auto_free char *viewed = NULL;
        char name[32];
        char view[40];

        (void)snprintf(name, sizeof name, "committed-%zu", i);
        (void)snprintf(view, sizeof view, "%s-view", name);
        snap_prepare(s, "preparing", parent);
        mounted = snap_mount(s, "preparing", "mounted");
        steps[i](mounted);
        snap_unmount(mounted);
        snap_commit(s, name, "preparing");
        steps[i](flat);
        snap_view_of(s, view, name);
        viewed = snap_mount(s, view, "viewed");
        suite_assert_same(flat, viewed);
        snap_unmount(viewed);
        snap_remove(s, view);
        memcpy(parent, name, sizeof parent);
    }
}

#define CHECK_SNAPSHOTS(s, ...)                                                                    \
    check_snapshots((s), (step_fn *const[]){__VA_ARGS__},                                          \
                    sizeof((step_fn *const[]){__VA_ARGS__}) / sizeof(step_fn *))

/* ---- LayerFileupdate ---- */

static void etc(const char *root)
{
    play_dir(root, "/etc", 0700);
    play_file(root, "/etc/hosts", "mydomain 10.0.0.1", 0644);
    play_file(root, "/etc/profile", "PATH=/usr/bin", 0644);
}

static void etc_update(const char *root)
{
    play_file(root, "/etc/hosts", "mydomain 10.0.0.2", 0644);
    play_file(root, "/etc/profile", "PATH=/usr/bin", 0666);
    play_dir(root, "/root", 0700);
    play_file(root, "/root/.bashrc", "PATH=/usr/sbin:/usr/bin", 0644);
}

static void layer_fileupdate(void **state)
{
    CHECK_SNAPSHOTS(*state, etc, etc_update);
}

/* ---- RemoveDirectoryInLowerLayer ---- */

static void lib(const char *root)
{
    play_dir(root, "/lib", 0700);
    play_file(root, "/lib/hidden", "", 0644);
}

static void lib_anew(const char *root)
{
    play_remove(root, "/lib");
    play_dir(root, "/lib", 0700);
    play_file(root, "/lib/not-hidden", "", 0644);
}

static void lib_more(const char *root)
{
    play_file(root, "/lib/newfile", "", 0644);
}

static void remove_directory_in_lower_layer(void **state)
{
    CHECK_SNAPSHOTS(*state, lib, lib_anew, lib_more);
}

/* ---- Chown ---- */

static void opt(const char *root)
{
    play_dir(root, "/opt", 0700);
    play_dir(root, "/opt/a", 0700);
    play_dir(root, "/opt/a/b", 0700);
    play_file(root, "/opt/a/b/file.txt", "hello", 0644);
}

static void opt_chown(const char *root)
{
    play_chown(root, "/opt", 1, 1);
    play_chown(root, "/opt/a", 1, 1);
    play_chown(root, "/opt/a/b", 1, 1);
    play_chown(root, "/opt/a/b/file.txt", 1, 1);
}

static void require_chown(void)
{
    OL_REQUIRE(can_chown, "files cannot be given away here");
}

static void chown_(void **state)
{
    require_chown();
    CHECK_SNAPSHOTS(*state, opt, opt_chown);
}

/* ---- DirectoryPermissionOnCommit ---- */

static void dirs(const char *root)
{
    play_dir(root, "/dir1", 0700);
    play_dir(root, "/dir2", 0700);
    play_dir(root, "/dir3", 0700);
    play_dir(root, "/dir4", 0700);
    play_dir(root, "/dir5", 0700);
    play_file(root, "/dir4/f1", "...", 0644);
    play_file(root, "/dir5/f1", "...", 0644);
    play_chown(root, "/dir1", 1, 1);
    play_chown(root, "/dir2", 1, 1);
    play_chown(root, "/dir3", 1, 1);
    play_chown(root, "/dir5", 1, 1);
    play_chown(root, "/dir5/f1", 1, 1);
}

static void dirs_change(const char *root)
{
    play_chown(root, "/dir2", 0, 0);
    play_remove(root, "/dir3");
    play_chown(root, "/dir4", 1, 1);
    play_chown(root, "/dir4/f1", 1, 1);
}

static void dirs_again(const char *root)
{
    play_dir(root, "/dir3", 0700);
    play_chown(root, "/dir3", 1, 1);
    play_remove(root, "/dir5");
    play_dir(root, "/dir5", 0700);
    play_chown(root, "/dir5", 1, 1);
}

static void directory_permission_on_commit(void **state)
{
    require_chown();
    CHECK_SNAPSHOTS(*state, dirs, dirs_change, dirs_again);
}

/* ---- DeletedFilesInChildSnapshot ---- */

static void foo_foobar(const char *root)
{
    play_file(root, "/foo", "foo\n", 0777);
    play_file(root, "/foobar", "foobar\n", 0777);
}

static void no_foobar(const char *root)
{
    play_remove(root, "/foobar");
}

static void nothing(const char *root)
{
    (void)root;
}

static void deleted_files_in_child_snapshot(void **state)
{
    CHECK_SNAPSHOTS(*state, foo_foobar, no_foobar, nothing);
}

/* ---- MoveFileFromLowerLayer ---- */

static void dir1_dir2(const char *root)
{
    play_dir(root, "/dir1", 0700);
    play_file(root, "/dir1/f1", "Hello", 0644);
    play_dir(root, "/dir2", 0700);
    play_file(root, "/dir2/f2", "...", 0644);
}

static void move_to_dir3(const char *root)
{
    play_dir(root, "/dir3", 0700);
    play_file(root, "/dir3/f1", "Hello", 0644);
    play_remove(root, "/dir1");
    play_link(root, "/dir2/f2", "/dir3/f2");
    play_remove(root, "/dir2/f2");
}

static void move_file_from_lower_layer(void **state)
{
    CHECK_SNAPSHOTS(*state, dir1_dir2, move_to_dir3);
}

/* ---- Rename: of files; a directory of a lower layer is EXDEV without redirect_dir ---- */

static void rename_from(const char *root)
{
    play_dir(root, "/dir1", 0700);
    play_dir(root, "/somefiles", 0700);
    play_file(root, "/somefiles/f1", "was here first!", 0644);
    play_file(root, "/somefiles/f2", "nothing interesting", 0644);
}

static void rename_to(const char *root)
{
    play_file(root, "/somefiles/f1-overwrite", "new content 1", 0644);
    play_rename(root, "/somefiles/f1-overwrite", "/somefiles/f1");
    play_rename(root, "/somefiles/f2", "/somefiles/f3");
}

static void rename_(void **state)
{
    CHECK_SNAPSHOTS(*state, rename_from, rename_to);
}

/* ---- long chains ---- */

static void chain_step(const char *root, unsigned i)
{
    char text[40];

    if (i == 0) {
        play_file(root, "/bottom", "way at the bottom\n", 0777);
        play_file(root, "/overwriteme", "FIRST!\n", 0777);
        play_dir(root, "/ADDHERE", 0755);
        play_dir(root, "/ONLYME", 0755);
        play_file(root, "/ONLYME/bottom", "bye!\n", 0777);
        return;
    }
    (void)snprintf(text, sizeof text, "%u WAS HERE!\n", i);
    play_file(root, "/overwriteme", text, 0777);
    (void)snprintf(text, sizeof text, "/ADDHERE/file-%u", i);
    play_file(root, text, "same\n", 0755);
    play_remove(root, "/ONLYME");
    play_dir(root, "/ONLYME", 0755);
    (void)snprintf(text, sizeof text, "/ONLYME/file-%u", i);
    play_file(root, text, "only me!\n", 0777);
}

static void layers_128_mount(void **state)
{
    struct snap *s = *state;
    ol_auto_free char *flat = join(s->work, "/flat");
    ol_auto_free char *viewed = NULL;
    char parent[32] = "";

    suite_require_mounts();
    assert_int_equal(mkdir(flat, 0755), 0);
    for (unsigned i = 0; i < 128; i++) {
        ol_auto_free char *mounted = NULL;
        char name[32];

        (void)snprintf(name, sizeof name, "layer-%u", i);
        snap_prepare(s, "preparing", parent);
        mounted = snap_mount(s, "preparing", "mounted");
        if (i % 16 == 0) /* each one takes its time, and the last one covers them all */
            suite_assert_same(flat, mounted);
        chain_step(flat, i);
        chain_step(mounted, i);
        suite_assert_same(flat, mounted);
        snap_unmount(mounted);
        snap_commit(s, name, "preparing");
        memcpy(parent, name, sizeof parent);
    }
    snap_view_of(s, "all", parent);
    viewed = snap_mount(s, "all", "viewed");
    suite_assert_same(flat, viewed);
    snap_unmount(viewed);
}

/* The kernel's limit; containerd's relative option string ends at about 250 with short ids. */
static void layers_500_mount(void **state)
{
    struct snap *s = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_snapshot_mount struct ol_snapshot_mount mount = {0};
    ol_auto_free char *dir = join(s->work, "/mounted");
    char parent[32] = "";
    int r;

    suite_require_mounts();
    for (unsigned i = 0; i < 500; i++) {
        ol_auto_free char *fs = NULL;
        char name[32];
        char file[32];

        (void)snprintf(name, sizeof name, "layer-%u", i);
        (void)snprintf(file, sizeof file, "/file-%u", i);
        snap_prepare(s, "preparing", parent);
        assert_true(asprintf(&fs, "%s/snapshots/%u/fs", s->root, i + 1) > 0);
        play_file(fs, file, "x", 0644);
        snap_commit(s, name, "preparing");
        memcpy(parent, name, sizeof parent);
    }
    snap_prepare(s, "top", parent);
    assert_int_equal(mkdir(dir, 0755), 0);
    assert_ok(ol_snapshots_mounts(s->sn, "top", &mount, &err), &err);
    r = ol_snapshot_mount_at(&mount, dir, &err);
    if (r == -E2BIG)
        ol_require_failed("can_mount_500", __func__,
                          "this kernel takes lower directories as one page of text only");
    assert_ok(r, &err);
    for (unsigned i = 0; i < 500; i++) {
        ol_auto_free char *path = NULL;

        assert_true(asprintf(&path, "%s/file-%u", dir, i) > 0);
        assert_int_equal(access(path, F_OK), 0);
    }
    snap_unmount(dir);
}

int suite_run_layers(void)
{
    const struct CMUnitTest tests[] = {
        snap_test(layer_fileupdate),
        snap_test(remove_directory_in_lower_layer),
        snap_test(chown_),
        snap_test(directory_permission_on_commit),
        snap_test(deleted_files_in_child_snapshot),
        snap_test(move_file_from_lower_layer),
        snap_test(rename_),
        snap_test(layers_128_mount),
        snap_test(layers_500_mount), /* the kernel's limit: not in the direct view */
    };

    if (snap_view == OL_VIEW_DIRECT)
        return _cmocka_run_group_tests("snapshot layers, direct", tests, OL_ARRAY_LEN(tests) - 1,
                                       NULL, NULL);
    return cmocka_run_group_tests_name("snapshot layers", tests, NULL, NULL);
}
