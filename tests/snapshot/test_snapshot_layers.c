/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacking layers into snapshots as containerd 1.6 does (archive.Apply): where they go, and what
 * directories get that entries only imply.
 */
#include "support.h"

#include "support/tarball.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* The layer, ended and released here, as a committed snapshot over parent. */
static void layer(struct snap *s, const char *name, const char *parent, struct tarball *tar)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_input input;

    tarball_end(tar);
    input = OL_INPUT_FD(tarball_fd(tar));
    snap_prepare(s, "extract", parent);
    assert_ok(ol_snapshots_apply(s->sn, "extract", &input, NULL, &err), &err);
    snap_commit(s, name, "extract");
    tarball_fini(tar);
}

/* Of a path in the upper directory of a snapshot. */
static struct stat stat_in(struct snap *s, unsigned id, const char *path)
{
    ol_auto_free char *name = NULL;
    struct stat st;

    assert_true(asprintf(&name, "root/snapshots/%u/fs/%s", id, path) > 0);
    assert_int_equal(fstatat(s->dir.fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st;
}

#define assert_mode(s, id, path, want)                                                             \
    assert_int_equal(stat_in((s), (id), (path)).st_mode & 07777, (want))

static void apply__unpacks_into_the_upper_directory(void **state)
{
    struct snap *s = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_layer_result result = {0};
    struct tarball base = TARBALL_INIT;
    struct tarball top = TARBALL_INIT;
    struct ol_input input;
    struct stat st;

    tarball_add_dir(&base, "d/");
    tarball_add_file(&base, "d/a", "a");
    tarball_add_file(&base, "b", "b");
    tarball_end(&base);
    tarball_add_file(&top, ".wh.b", "");
    tarball_add_file(&top, "d/new", "new");
    tarball_end(&top);
    snap_prepare(s, "base", NULL);
    input = OL_INPUT_FD(tarball_fd(&base));
    assert_ok(ol_snapshots_apply(s->sn, "base", &input, &result, &err), &err);
    assert_content(s->dir.fd, "root/snapshots/1/fs/d/a", "a");
    assert_int_equal(result.entries, 3);
    snap_commit(s, "c", "base");
    input = OL_INPUT_FD(tarball_fd(&top));
    assert_int_equal(ol_snapshots_apply(s->sn, "c", &input, NULL, NULL), -EBUSY);
    snap_view_of(s, "v", "c");
    assert_int_equal(ol_snapshots_apply(s->sn, "v", &input, NULL, NULL), -EBUSY);
    assert_int_equal(ol_snapshots_apply(s->sn, "none", &input, NULL, NULL), -ENOENT);
    OL_REQUIRE(can_mknod, "whiteouts cannot be made here");
    snap_prepare(s, "top", "c");
    assert_ok(ol_snapshots_apply(s->sn, "top", &input, &result, &err), &err);
    assert_int_equal(fstatat(s->dir.fd, "root/snapshots/3/fs/b", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0));
    assert_content(s->dir.fd, "root/snapshots/3/fs/d/new", "new");
    tarball_fini(&base);
    tarball_fini(&top);
}

/* "d/e/new" alone, over layers that have d and d/e. */
static void implied__directories_get_modes_of_the_nearest_lower(void **state)
{
    struct snap *s = *state;
    struct tarball tar = TARBALL_INIT;

    tarball_add_dir_mode(&tar, "d/", 0711);
    tarball_add_dir_mode(&tar, "d/e/", 0750);
    tarball_add_dir_mode(&tar, "only-below/", 01777);
    layer(s, "1", NULL, &tar);
    tarball_add_dir_mode(&tar, "d/", 0701);
    layer(s, "2", "1", &tar);
    tarball_add_file(&tar, "d/e/new", "x");
    tarball_add_file(&tar, "only-below/new", "x");
    tarball_add_file(&tar, "nowhere/new", "x");
    layer(s, "3", "2", &tar);
    assert_mode(s, 3, "d", 0701);   /* 2 has it */
    assert_mode(s, 3, "d/e", 0750); /* 1 has it, and 2 does not hide it */
    assert_mode(s, 3, "only-below", 01777);
    assert_mode(s, 3, "nowhere", 0755);
}

static void implied__directories_get_owner_attributes_and_access_time(void **state)
{
    struct snap *s = *state;
    struct tarball tar = TARBALL_INIT;
    ol_auto_free char *lower = NULL;
    ol_auto_free char *upper = NULL;
    const struct timespec times[2] = {{1111111111, 5}, {1222222222, 7}};
    char value[8] = "";

    OL_REQUIRE(can_user_xattr, "the test directory has no user.* attributes");
    assert_true(asprintf(&lower, "%s/snapshots/1/fs/d", s->root) > 0);
    assert_true(asprintf(&upper, "%s/snapshots/2/fs/d", s->root) > 0);
    tarball_add_dir_mode(&tar, "d/", 02775);
    layer(s, "1", NULL, &tar);
    assert_int_equal(lsetxattr(lower, "user.colour", "red", 3, 0), 0);
    if (can_chown()) {
        assert_int_equal(chown(lower, 12, 34), 0);
        assert_int_equal(lsetxattr(lower, "trusted.overlay.opaque", "y", 1, 0), 0);
    }
    assert_int_equal(utimensat(AT_FDCWD, lower, times, 0), 0);
    tarball_add_file(&tar, "d/new", "x");
    layer(s, "2", "1", &tar);
    assert_mode(s, 2, "d", 02775);
    assert_int_equal(stat_in(s, 2, "d").st_uid, stat_in(s, 1, "d").st_uid);
    assert_int_equal(stat_in(s, 2, "d").st_gid, stat_in(s, 1, "d").st_gid);
    assert_int_equal(stat_in(s, 2, "d").st_atim.tv_sec, 1111111111);
    assert_int_equal(lgetxattr(upper, "user.colour", value, sizeof value), 3);
    assert_memory_equal(value, "red", 3);
    assert_int_equal(lgetxattr(upper, "trusted.overlay.opaque", value, sizeof value), -1);
}

/* The first lower that has the name decides: a file or whiteout there ends the search. */
static void implied__directories_ignore_what_is_replaced_or_deleted(void **state)
{
    struct snap *s = *state;
    struct tarball tar = TARBALL_INIT;

    OL_REQUIRE(can_mknod, "whiteouts cannot be made here");
    tarball_add_dir_mode(&tar, "file/", 0700);
    tarball_add_dir_mode(&tar, "gone/", 0700);
    tarball_add_dir_mode(&tar, "gone/below/", 0700);
    layer(s, "1", NULL, &tar);
    tarball_add_file(&tar, "file", "x");
    tarball_add_file(&tar, ".wh.gone", "");
    layer(s, "2", "1", &tar);
    tarball_add_file(&tar, "file/new", "x");
    tarball_add_file(&tar, "gone/below/new", "x");
    layer(s, "3", "2", &tar);
    assert_mode(s, 3, "file", 0755);
    assert_mode(s, 3, "gone", 0755);
    assert_mode(s, 3, "gone/below", 0755);
}

static void implied__directories_follow_symlinks_inside_their_lower(void **state)
{
    struct snap *s = *state;
    struct tarball tar = TARBALL_INIT;

    tarball_add_dir_mode(&tar, "usr/", 0711);
    tarball_add_dir_mode(&tar, "usr/lib/", 0701);
    tarball_add_symlink(&tar, "lib", "/usr/lib");
    tarball_add_symlink(&tar, "out", "../../../../../../../usr");
    tarball_add_symlink(&tar, "dangling", "nowhere");
    layer(s, "1", NULL, &tar);
    tarball_add_file(&tar, "lib/new", "x");
    tarball_add_file(&tar, "out/new", "x");
    tarball_add_file(&tar, "dangling/new", "x");
    layer(s, "2", "1", &tar);
    assert_mode(s, 2, "lib", 0701);
    assert_mode(s, 2, "out", 0711);
    assert_mode(s, 2, "dangling", 0755);
    assert_int_equal(stat_in(s, 2, "lib").st_nlink, 2); /* a directory of its own, as there */
}

static void implied__directory_gets_what_a_later_header_says(void **state)
{
    struct snap *s = *state;
    struct tarball tar = TARBALL_INIT;

    tarball_add_dir_mode(&tar, "d/", 0555);
    layer(s, "1", NULL, &tar);
    tarball_add_file(&tar, "d/new", "x");
    layer(s, "2", "1", &tar);
    tarball_add_file(&tar, "d/e/new", "x");
    tarball_add_dir_mode(&tar, "d/", 0751);
    layer(s, "3", "2", &tar);
    assert_mode(s, 2, "d", 0555); /* although something had to be made in it */
    assert_mode(s, 3, "d", 0751);
    assert_mode(s, 3, "d/e", 0755);
}

static void apply__ignores_an_entry_for_the_root(void **state)
{
    struct snap *s = *state;
    struct tarball tar = TARBALL_INIT;

    tarball_add_dir_mode(&tar, "./", 0700);
    tarball_add_file(&tar, "f", "x");
    layer(s, "1", NULL, &tar);
    assert_int_equal(stat_in(s, 1, ".").st_mode & 07777, 0755);
}

static void apply__over_a_missing_directory_names_it(void **state)
{
    struct snap *s = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct tarball tar = TARBALL_INIT;
    struct ol_input input;

    snap_committed(s, "c1", NULL);
    snap_committed(s, "c2", "c1");
    snap_prepare(s, "a", "c2");
    assert_int_equal(unlinkat(s->dir.fd, "root/snapshots/1/fs", AT_REMOVEDIR), 0);
    tarball_add_file(&tar, "d/f", "x");
    tarball_end(&tar);
    input = OL_INPUT_FD(tarball_fd(&tar));
    assert_int_equal(ol_snapshots_apply(s->sn, "a", &input, NULL, &err), -EUCLEAN);
    assert_message(&err, "snapshots/1/fs' is missing");
    assert_absent(s->dir.fd, "root/snapshots/3/fs/d");
    test_mkdir(s->dir.fd, "root/snapshots/1/fs", 0755);
    tarball_fini(&tar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        snap_test(apply__unpacks_into_the_upper_directory),
        snap_test(apply__ignores_an_entry_for_the_root),
        snap_test(apply__over_a_missing_directory_names_it),
        snap_test(implied__directories_get_modes_of_the_nearest_lower),
        snap_test(implied__directories_get_owner_attributes_and_access_time),
        snap_test(implied__directories_ignore_what_is_replaced_or_deleted),
        snap_test(implied__directories_follow_symlinks_inside_their_lower),
        snap_test(implied__directory_gets_what_a_later_header_says),
    };
    return cmocka_run_group_tests_name("snapshot layers", tests, NULL, NULL);
}
