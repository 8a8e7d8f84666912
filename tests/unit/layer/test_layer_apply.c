/* SPDX-License-Identifier: Apache-2.0 */
/* ol_layer_apply(): what entries become in a tree. Hostile archives are in test_layer_hostile.c. */
#include "layer_fixture.h"

#include "common/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static void layer_apply__makes_every_type(void **state)
{
    struct layer_fixture *f = *state;
    struct stat st;
    char target[64] = "";

    tarball_add_dir_mode(&f->tar, "d/", 0750);
    tarball_add_file_mode(&f->tar, "d/f", 0640, "content");
    tarball_add_symlink(&f->tar, "d/s", "../anywhere");
    tarball_add_hardlink_mode(&f->tar, "h", "d/f", 0640, 0);
    tarball_add_fifo(&f->tar, "d/p");
    tarball_add_file(&f->tar, "empty", "");
    layer_apply_ok(f);
    assert_mode(f->root_fd, "d", 0750);
    assert_mode(f->root_fd, "d/f", 0640);
    assert_content(f->root_fd, "d/f", "content");
    assert_content(f->root_fd, "empty", "");
    assert_int_equal(layer_stat(f->root_fd, "h").st_ino, layer_stat(f->root_fd, "d/f").st_ino);
    assert_true(S_ISFIFO(layer_stat(f->root_fd, "d/p").st_mode));
    assert_true(readlinkat(f->root_fd, "d/s", target, sizeof target - 1) > 0);
    assert_string_equal(target, "../anywhere");
    st = layer_stat(f->root_fd, "d/s");
    assert_int_equal(st.st_mtim.tv_sec, 1000000000);
    assert_int_equal(f->res.entries, 6);
    assert_int_equal(f->res.regular, 2);
    assert_int_equal(f->res.directories, 1);
    assert_int_equal(f->res.hardlinks, 1);
    assert_int_equal(f->res.specials, 2);
    assert_int_equal(f->res.header_size_sum, 7);
}

static void layer_apply__makes_devices(void **state)
{
    struct layer_fixture *f = *state;
    struct stat st;

    OL_REQUIRE(can_mknod, "device nodes need CAP_MKNOD");
    tarball_add_device(&f->tar, "null", '3', 1, 3);
    tarball_add_device(&f->tar, "sda", '4', 8, 17);
    layer_apply_ok(f);
    st = layer_stat(f->root_fd, "null");
    assert_true(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
    st = layer_stat(f->root_fd, "sda");
    assert_true(S_ISBLK(st.st_mode) && st.st_rdev == makedev(8, 17));
    assert_int_equal(f->res.specials, 2);
}

static void layer_apply__keeps_owners(void **state)
{
    struct layer_fixture *f = *state;
    struct stat st;

    OL_REQUIRE(can_chown, "giving files away needs CAP_CHOWN");
    tarball_add(&f->tar, &(struct tarball_entry){
                             .name = "d", .type = '5', .mode = 02775, .uid = 7, .gid = 4294967294});
    tarball_add(&f->tar, &(struct tarball_entry){
                             .name = "d/f", .type = '0', .mode = 06755, .uid = 1000, .gid = 50});
    tarball_add(&f->tar, &(struct tarball_entry){
                             .name = "d/s", .type = '2', .mode = 0777, .uid = 5, .link = "x"});
    layer_apply_ok(f);
    st = layer_stat(f->root_fd, "d");
    assert_int_equal(st.st_uid, 7);
    assert_int_equal(st.st_gid, 4294967294);
    assert_mode(f->root_fd, "d", 02775);
    st = layer_stat(f->root_fd, "d/f");
    assert_int_equal(st.st_uid, 1000);
    assert_int_equal(st.st_gid, 50);
    assert_mode(f->root_fd, "d/f", 06755); /* chown would have cleared the set-id bits */
    st = layer_stat(f->root_fd, "d/s");
    assert_int_equal(st.st_uid, 5);
    assert_int_equal(st.st_gid, 0); /* not the set-gid directory's group */
    assert_int_equal(f->res.squashed_owners, 0);
}

static void layer_apply__squashes_owners_when_told(void **state)
{
    struct layer_fixture *f = *state;

    f->options.keep_owner = false;
    tarball_add(&f->tar, &(struct tarball_entry){
                             .name = "f", .type = '0', .mode = 0644, .uid = 12345, .gid = 12345});
    tarball_add(&f->tar,
                &(struct tarball_entry){
                    .name = "own", .type = '0', .mode = 0644, .uid = geteuid(), .gid = getegid()});
    layer_apply_ok(f);
    assert_int_equal(layer_stat(f->root_fd, "f").st_uid, geteuid());
    assert_int_equal(f->res.squashed_owners, 1);
}

static void layer_apply__modes_ignore_the_umask(void **state)
{
    struct layer_fixture *f = *state;
    mode_t old = umask(077);

    tarball_add_dir_mode(&f->tar, "d", 01777);
    tarball_add_file_mode(&f->tar, "d/f", 04777, "x");
    tarball_add_file(&f->tar, "implied/by/f", "x");
    tarball_add_fifo(&f->tar, "p");
    layer_apply_ok(f);
    (void)umask(old);
    assert_mode(f->root_fd, "d", 01777);
    assert_mode(f->root_fd, "d/f", 04777);
    assert_mode(f->root_fd, "p", 0644);
    assert_mode(f->root_fd, "implied", 0755);
    assert_mode(f->root_fd, "implied/by", 0755);
    assert_int_equal(f->res.directories, 1);
}

static void layer_apply__directory_without_rights_is_filled(void **state)
{
    struct layer_fixture *f = *state;

    tarball_add_dir_mode(&f->tar, "d", 0);
    tarball_add_dir_mode(&f->tar, "d/e", 0555);
    tarball_add_file_mode(&f->tar, "d/e/f", 0444, "x");
    layer_apply_ok(f);
    assert_mode(f->root_fd, "d", 0);
    assert_int_equal(fchmodat(f->root_fd, "d", 0700, 0), 0);
    assert_mode(f->root_fd, "d/e", 0555);
    assert_mtime(f->root_fd, "d/e", 1000000000);
    assert_content(f->root_fd, "d/e/f", "x");
}

static void layer_apply__last_mode_of_a_directory_wins(void **state)
{
    struct layer_fixture *f = *state;

    tarball_add_dir_mode(&f->tar, "d", 0555); /* set at the end: not over what comes after */
    tarball_add_dir_mode(&f->tar, "d", 0755);
    tarball_add_dir_mode(&f->tar, "e", 0755);
    tarball_add_dir_mode(&f->tar, "e", 0500);
    layer_apply_ok(f);
    assert_mode(f->root_fd, "d", 0755);
    assert_mode(f->root_fd, "e", 0500);
}

static void layer_apply__sets_times(void **state)
{
    struct layer_fixture *f = *state;
    struct stat st;

    tarball_add_dir(&f->tar, "d");
    tarball_pax_text(&f->tar, "mtime", "1500000000.123456789");
    tarball_add_file(&f->tar, "d/nano", "x");
    tarball_add(&f->tar,
                &(struct tarball_entry){.name = "d/old", .type = '0', .mode = 0644, .mtime = -5});
    tarball_add(&f->tar, &(struct tarball_entry){
                             .name = "d/far", .type = '0', .mode = 0644, .mtime = 1ll << 40});
    tarball_pax_text(&f->tar, "mtime", "9223372036.854775808");
    tarball_add_dir(&f->tar, "d/late");
    layer_apply_ok(f);
    st = layer_stat(f->root_fd, "d/nano");
    assert_int_equal(st.st_mtim.tv_sec, 1500000000);
    assert_int_equal(st.st_mtim.tv_nsec, 123456789);
    assert_int_equal(st.st_atim.tv_sec, 1500000000);
    assert_mtime(f->root_fd, "d/old", 0);
    assert_mtime(f->root_fd, "d/far", 0);
    assert_mtime(f->root_fd, "d/late", 0);
    assert_mtime(f->root_fd, "d", 1000000000); /* although entries were made in it later */
    assert_int_equal(layer_stat(f->root_fd, "d").st_atim.tv_sec, 1000000000);
}

static void layer_apply__root_entry_counts_in_trees_only(void **state)
{
    struct layer_fixture *f = *state;

    tarball_add_dir_mode(&f->tar, "./", 0711);
    layer_apply_ok(f);
    assert_mode(f->root_fd, ".", 0711);
    assert_mtime(f->root_fd, ".", 1000000000);
    f->options.target = OL_LAYER_UPPER;
    tarball_add_dir_mode(&f->tar, "./", 0700);
    layer_apply_ok(f);
    assert_mode(f->root_fd, ".", 0711);
}

static void layer_apply__replaces_other_types(void **state)
{
    struct layer_fixture *f = *state;

    test_mkdir(f->root_fd, "dir", 0755);
    test_mkdir(f->root_fd, "dir/below", 0755);
    test_write(f->root_fd, "dir/below/f", "old");
    test_write(f->root_fd, "file", "old");
    test_symlink(f->root_fd, "dir", "link");
    test_write(f->root_fd, "content", "old and longer");
    tarball_add_file(&f->tar, "dir", "now a file");
    tarball_add_dir(&f->tar, "file");
    tarball_add_file(&f->tar, "file/f", "x");
    tarball_add_dir(&f->tar, "link");
    tarball_add_file(&f->tar, "content", "new");
    layer_apply_ok(f);
    assert_content(f->root_fd, "dir", "now a file");
    assert_content(f->root_fd, "file/f", "x");
    assert_true(S_ISDIR(layer_stat(f->root_fd, "link").st_mode));
    assert_content(f->root_fd, "content", "new");
}

static void layer_apply__existing_directory_keeps_its_content(void **state)
{
    struct layer_fixture *f = *state;

    test_mkdir(f->root_fd, "d", 0700);
    test_write(f->root_fd, "d/old", "old");
    tarball_add_dir_mode(&f->tar, "d", 0751);
    tarball_add_file(&f->tar, "d/new", "new");
    layer_apply_ok(f);
    assert_content(f->root_fd, "d/old", "old");
    assert_mode(f->root_fd, "d", 0751);
    assert_mtime(f->root_fd, "d", 1000000000);
}

/* A layer on a tree with hard links to another one must never write into shared inodes. */
static void layer_apply__replacing_leaves_other_names_alone(void **state)
{
    struct layer_fixture *f = *state;

    test_write(f->root_fd, "a", "old");
    assert_int_equal(linkat(f->root_fd, "a", f->root_fd, "b", 0), 0);
    tarball_add_file(&f->tar, "a", "new");
    layer_apply_ok(f);
    assert_content(f->root_fd, "a", "new");
    assert_content(f->root_fd, "b", "old");
}

static void layer_apply__last_of_duplicates_wins(void **state)
{
    struct layer_fixture *f = *state;

    tarball_add_file(&f->tar, "f", "first");
    tarball_add_file_mode(&f->tar, "./f", 0600, "second");
    tarball_add_symlink(&f->tar, "x", "nowhere");
    tarball_add_file(&f->tar, "x", "file");
    tarball_add_file(&f->tar, "y", "file");
    tarball_add_dir(&f->tar, "y");
    tarball_add_dir_mode(&f->tar, "d", 0700);
    tarball_add_dir_mode(&f->tar, "d", 0711);
    layer_apply_ok(f);
    assert_content(f->root_fd, "f", "second");
    assert_mode(f->root_fd, "f", 0600);
    assert_content(f->root_fd, "x", "file");
    assert_true(S_ISDIR(layer_stat(f->root_fd, "y").st_mode));
    assert_mode(f->root_fd, "d", 0711);
}

static void layer_apply__entries_below_a_symlink_follow_it_inside(void **state)
{
    struct layer_fixture *f = *state;

    tarball_add_dir(&f->tar, "usr/bin");
    tarball_add_symlink(&f->tar, "bin", "usr/bin");
    tarball_add_symlink(&f->tar, "abs", "/usr/bin");
    tarball_add_file(&f->tar, "bin/a", "a");
    tarball_add_file(&f->tar, "abs/b", "b");
    tarball_add_file(&f->tar, "usr/bin/a", "again");
    layer_apply_ok(f);
    assert_content(f->root_fd, "usr/bin/a", "again");
    assert_content(f->root_fd, "usr/bin/b", "b");
}

/* Modes without the owner's rights and times come last, when the name may lead elsewhere. */
static void layer_apply__directories_get_theirs_when_the_symlink_to_them_goes(void **state)
{
    struct layer_fixture *f = *state;

    tarball_add_dir(&f->tar, "real");
    tarball_add_dir(&f->tar, "other");
    tarball_add_dir_mode(&f->tar, "other/sub", 0711);
    tarball_add_symlink(&f->tar, "t", "/");
    tarball_add_symlink(&f->tar, "s", "real");
    tarball_add_dir_mode(&f->tar, "s/sub", 0500);
    tarball_add_dir_mode(&f->tar, "t/s/sub/deep", 0);
    tarball_add_file(&f->tar, "s/sub/implied/file", "x");
    tarball_add_dir_mode(&f->tar, "s/sub/implied", 0555);
    tarball_add_symlink(&f->tar, "s", "other");
    tarball_add_file(&f->tar, "t", "a file");
    layer_apply_ok(f);
    assert_mode(f->root_fd, "real/sub", 0500);
    assert_mtime(f->root_fd, "real/sub", 1000000000);
    assert_mode(f->root_fd, "real/sub/deep", 0);
    assert_mtime(f->root_fd, "real/sub/deep", 1000000000);
    assert_mode(f->root_fd, "real/sub/implied", 0555);
    assert_mtime(f->root_fd, "real/sub/implied", 1000000000);
    assert_mode(f->root_fd, "other/sub", 0711);
    layer_clear(f);
    tarball_add_dir(&f->tar, "real");
    tarball_add_symlink(&f->tar, "s", "real");
    tarball_add_dir_mode(&f->tar, "s/sub", 0500);
    tarball_add_dir(&f->tar, "s");
    tarball_add_dir_mode(&f->tar, "s/sub", 0711);
    layer_apply_ok(f);
    assert_mode(f->root_fd, "real/sub", 0500);
    assert_mtime(f->root_fd, "real/sub", 1000000000);
    assert_mode(f->root_fd, "s/sub", 0711);
}

static void layer_apply__a_directory_removed_below_a_symlink_is_left_alone(void **state)
{
    struct layer_fixture *f = *state;

    tarball_add_dir_mode(&f->tar, "real", 0755);
    tarball_add_symlink(&f->tar, "s", "real");
    tarball_add_dir_mode(&f->tar, "s/sub", 0500);
    tarball_add_dir_mode(&f->tar, "s/sub/deep", 0500);
    tarball_add_file_mode(&f->tar, "real/sub", 0640, "a file");
    tarball_add_file(&f->tar, "s", "a file");
    layer_apply_ok(f);
    assert_mode(f->root_fd, "real/sub", 0640);
}

/* Their parents are held open, and not any number of them. */
static void layer_apply__too_many_directories_behind_a_lost_symlink_are_refused(void **state)
{
    struct layer_fixture *f = *state;

    for (int lost = 0; lost < 2; lost++) {
        tarball_add_dir(&f->tar, "real");
        tarball_add_symlink(&f->tar, "s", "real");
        for (int i = 0; i < 200; i++) {
            char name[32];
            (void)snprintf(name, sizeof name, "s/%03d", i);
            tarball_add_dir_mode(&f->tar, name, 0500);
            (void)snprintf(name, sizeof name, "s/%03d/below", i);
            tarball_add_dir_mode(&f->tar, name, 0500);
        }
        if (lost) {
            tarball_add_file(&f->tar, "s", "a file");
            layer_apply_fails(f, -E2BIG, "through a symlink that is gone");
        } else {
            layer_apply_ok(f);
            assert_mode(f->root_fd, "real/199/below", 0500);
            assert_mtime(f->root_fd, "real/199/below", 1000000000);
        }
        layer_clear(f);
    }
}

static void layer_apply__hard_links_have_absolute_and_odd_names(void **state)
{
    struct layer_fixture *f = *state;

    tarball_add_file(&f->tar, "d/f", "x");
    tarball_add_hardlink(&f->tar, "h1", "/d/f");
    tarball_add_hardlink(&f->tar, "h2", "./d/../d//f");
    tarball_add_symlink(&f->tar, "s", "nowhere");
    tarball_add_hardlink_mode(&f->tar, "hs", "s", 0777, 0);
    layer_apply_ok(f);
    assert_int_equal(layer_stat(f->root_fd, "d/f").st_nlink, 3);
    assert_true(S_ISLNK(layer_stat(f->root_fd, "hs").st_mode));
    assert_int_equal(layer_stat(f->root_fd, "s").st_nlink, 2);
}

static void layer_apply__hard_link_sets_metadata_of_its_inode(void **state)
{
    struct layer_fixture *f = *state;

    tarball_add_file_mode(&f->tar, "f", 0600, "x");
    tarball_add_hardlink_mode(&f->tar, "h", "f", 0644, 0);
    layer_apply_ok(f);
    assert_mode(f->root_fd, "f", 0644);
}

static void layer_apply__sets_allowed_xattrs(void **state)
{
    struct layer_fixture *f = *state;
    char value[16];

    OL_REQUIRE(can_user_xattr, "the test directory keeps no user attributes");
    tarball_xattr(&f->tar, "user.binary", "a\0\nb", 4);
    tarball_xattr(&f->tar, "user.overlay.opaque", "y", 1);
    tarball_xattr(&f->tar, "trusted.overlay.opaque", "y", 1);
    tarball_xattr(&f->tar, "security.selinux", "x", 1);
    tarball_add_file(&f->tar, "f", "x");
    tarball_xattr(&f->tar, "user.d", "1", 1);
    tarball_add_dir(&f->tar, "d");
    layer_apply_ok(f);
    assert_int_equal(fchdir(f->root_fd), 0);
    assert_int_equal(getxattr("f", "user.binary", value, sizeof value), 4);
    assert_memory_equal(value, "a\0\nb", 4);
    assert_int_equal(getxattr("d", "user.d", value, sizeof value), 1);
    assert_int_equal(getxattr("f", "user.overlay.opaque", value, sizeof value), -1);
    assert_int_equal(f->res.dropped_xattrs, 3);
    assert_int_equal(chdir("/"), 0);
}

static void layer_apply__capability_survives_chown(void **state)
{
    /* VFS_CAP_REVISION_2 with cap_net_raw permitted and effective */
    static const unsigned char cap[20] = {1, 0, 0, 2, 0, 0x20};
    struct layer_fixture *f = *state;
    char value[32];

    OL_REQUIRE(can_chown, "giving files away needs CAP_CHOWN");
    tarball_xattr(&f->tar, "security.capability", cap, sizeof cap);
    tarball_add(&f->tar, &(struct tarball_entry){
                             .name = "ping", .type = '0', .mode = 0755, .uid = 3, .gid = 4});
    layer_apply_ok(f);
    assert_int_equal(fchdir(f->root_fd), 0);
    if (f->res.dropped_xattrs == 0)
        assert_int_equal(getxattr("ping", "security.capability", value, sizeof value), 20);
    assert_int_equal(chdir("/"), 0);
}

static void layer_apply__whiteouts_delete_in_trees(void **state)
{
    struct layer_fixture *f = *state;

    test_mkdir(f->root_fd, "d", 0755);
    test_mkdir(f->root_fd, "d/tree", 0755);
    test_write(f->root_fd, "d/tree/f", "old");
    test_write(f->root_fd, "d/file", "old");
    test_write(f->root_fd, "stays", "old");
    tarball_add_file(&f->tar, "d/.wh.tree", "");
    tarball_add_file(&f->tar, "d/.wh.file", "");
    tarball_add_file(&f->tar, ".wh.missing", "");
    tarball_add_file(&f->tar, ".wh.stays", "");
    tarball_add_file(&f->tar, "stays", "new");
    tarball_add_file(&f->tar, "f", "new");
    tarball_add_file(&f->tar, ".wh.f", "");
    layer_apply_ok(f);
    assert_absent(f->root_fd, "d/tree");
    assert_absent(f->root_fd, "d/file");
    assert_absent(f->root_fd, "d/.wh.file");
    assert_content(f->root_fd, "stays", "new");
    assert_absent(f->root_fd, "f");
    assert_int_equal(f->res.whiteouts, 5);
    assert_int_equal(f->res.regular, 2);
}

static void layer_apply__opaque_deletes_what_is_older(void **state)
{
    struct layer_fixture *f = *state;

    test_mkdir(f->root_fd, "d", 0755);
    test_mkdir(f->root_fd, "d/old", 0755);
    test_write(f->root_fd, "d/old/f", "old");
    test_mkdir(f->root_fd, "d/both", 0755);
    test_write(f->root_fd, "d/both/old", "old");
    test_mkdir(f->root_fd, "d/implied", 0755);
    test_write(f->root_fd, "d/implied/old", "old");
    test_write(f->root_fd, "d/file", "old");
    tarball_add_dir(&f->tar, "d");
    tarball_add_dir(&f->tar, "d/both");
    tarball_add_file(&f->tar, "d/both/new", "new");
    tarball_add_file(&f->tar, "d/implied/new", "new");
    tarball_add_file(&f->tar, "d/made/new", "new");
    tarball_add_file(&f->tar, "d/.wh..wh..opq", "");
    tarball_add_file(&f->tar, "d/after", "new");
    layer_apply_ok(f);
    assert_absent(f->root_fd, "d/old");
    assert_absent(f->root_fd, "d/file");
    assert_absent(f->root_fd, "d/both/old");
    assert_content(f->root_fd, "d/both/new", "new");
    assert_absent(f->root_fd, "d/implied/old");
    assert_content(f->root_fd, "d/implied/new", "new");
    assert_content(f->root_fd, "d/made/new", "new");
    assert_content(f->root_fd, "d/after", "new");
    assert_mtime(f->root_fd, "d", 1000000000);
    assert_int_equal(f->res.opaques, 1);
}

static void layer_apply__skips_aufs_metadata(void **state)
{
    struct layer_fixture *f = *state;

    tarball_add_file(&f->tar, ".wh..wh.aufs", "");
    tarball_add_dir(&f->tar, ".wh..wh.plnk");
    tarball_add_file(&f->tar, ".wh..wh.plnk/1.2", "x");
    tarball_add_file(&f->tar, "f", "x");
    layer_apply_ok(f);
    assert_absent(f->root_fd, ".wh..wh.plnk");
    assert_absent(f->root_fd, ".wh..wh.aufs");
    assert_content(f->root_fd, "f", "x");
}

static void layer_apply__upper_gets_overlay_whiteouts(void **state)
{
    struct layer_fixture *f = *state;
    struct stat st;

    OL_REQUIRE(can_chown, "giving files away needs CAP_CHOWN");
    f->options.target = OL_LAYER_UPPER;
    tarball_add(&f->tar, &(struct tarball_entry){
                             .name = "d/.wh.gone", .type = '0', .mode = 0600, .uid = 7, .gid = 8});
    tarball_add_file(&f->tar, ".wh.back", "");
    tarball_add_file(&f->tar, "back", "again");
    layer_apply_ok(f);
    st = layer_stat(f->root_fd, "d/gone");
    assert_true(S_ISCHR(st.st_mode) && st.st_rdev == 0);
    assert_int_equal(st.st_mode & 07777, 0);
    assert_int_equal(st.st_uid, 7);
    assert_int_equal(st.st_gid, 8);
    assert_content(f->root_fd, "back", "again");
    assert_absent(f->root_fd, ".wh.back");
    assert_int_equal(f->res.whiteouts, 2);
}

static void layer_apply__upper_refuses_whiteout_of_its_own(void **state)
{
    struct layer_fixture *f = *state;

    f->options.target = OL_LAYER_UPPER;
    tarball_add_file(&f->tar, "f", "x");
    tarball_add_file(&f->tar, ".wh.f", "");
    layer_apply_fails(f, -EEXIST, "'.wh.f'");
}

static void layer_apply__upper_marks_opaque(void **state)
{
    struct layer_fixture *f = *state;
    char value[4];

    OL_REQUIRE(can_user_xattr, "the test directory keeps no user attributes");
    f->options.target = OL_LAYER_UPPER;
    f->options.ns = OL_OVERLAY_USER;
    tarball_add_dir(&f->tar, "d");
    tarball_add_file(&f->tar, "d/f", "x");
    tarball_add_file(&f->tar, "d/.wh..wh..opq", "");
    layer_apply_ok(f);
    assert_content(f->root_fd, "d/f", "x");
    assert_int_equal(fchdir(f->root_fd), 0);
    assert_int_equal(getxattr("d", "user.overlay.opaque", value, sizeof value), 1);
    assert_int_equal(value[0], 'y');
    assert_int_equal(chdir("/"), 0);
}

static void layer_apply__as_is_keeps_whiteout_names(void **state)
{
    struct layer_fixture *f = *state;

    f->options.target = OL_LAYER_ASIS;
    tarball_add_file(&f->tar, "d/.wh.x", "");
    tarball_add_file(&f->tar, ".wh..wh..opq", "");
    layer_apply_ok(f);
    assert_content(f->root_fd, "d/.wh.x", "");
    assert_content(f->root_fd, ".wh..wh..opq", "");
    assert_int_equal(f->res.whiteouts, 0);
}

static void layer_apply__whiteout_prefix_in_a_directory_name_is_ordinary(void **state)
{
    struct layer_fixture *f = *state;

    tarball_add_file(&f->tar, ".wh.dir/inner", "x");
    layer_apply_ok(f);
    assert_content(f->root_fd, ".wh.dir/inner", "x");
}

static void layer_apply__digests_the_whole_stream(void **state)
{
    struct layer_fixture *f = *state;
    char want[OL_DIGEST_SIZE];

    tarball_add_file(&f->tar, "f", "x");
    tarball_end(&f->tar);
    tarball_raw(&f->tar, "garbage after the end", 21);
    assert_int_equal(ol_digest_of(f->tar.data, f->tar.len, want, NULL), 0);
    assert_ok(layer_apply_raw(f), &f->err);
    assert_string_equal(f->res.diff_id, want);
    assert_int_equal(f->res.stream_bytes, 2048 + 21);
}

static void layer_apply__accepts_the_empty_layer(void **state)
{
    struct layer_fixture *f = *state;

    layer_apply_ok(f); /* 1024 zero bytes */
    assert_string_equal(f->res.diff_id, OL_EMPTY_DIFF_ID);
    assert_ok(layer_apply_raw(f), &f->err); /* nothing at all */
    assert_int_equal(f->res.stream_bytes, 0);
    assert_int_equal(f->res.entries, 0);
}

static void layer_apply__breaks_shared_inodes(void **state)
{
    struct layer_fixture *f = *state;
    struct stat before, after;

    f->options.shared_inodes = true;
    test_mkdir(f->root_fd, "etc", 0755);
    test_write(f->root_fd, "etc/secret", "secret");
    assert_int_equal(fchmodat(f->root_fd, "etc/secret", 0600, 0), 0);
    test_mkdir(f->root_fd, "other", 0755); /* stands for the layer that shares the inode */
    assert_int_equal(linkat(f->root_fd, "etc/secret", f->root_fd, "other/secret", 0), 0);
    before = layer_stat(f->root_fd, "other/secret");
    tarball_add_hardlink_mode(&f->tar, "h", "etc/secret", 0666, 0);
    tarball_add_hardlink_mode(&f->tar, "h2", "etc/secret", 0666, 0);
    layer_apply_ok(f);
    after = layer_stat(f->root_fd, "other/secret");
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_equal(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
    assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    assert_int_equal(after.st_nlink, 1);
    assert_mode(f->root_fd, "h", 0666);
    assert_content(f->root_fd, "h", "secret");
    assert_int_equal(layer_stat(f->root_fd, "etc/secret").st_nlink, 3);
    assert_int_equal(f->res.broken_links, 1);
}

static void layer_apply__keeps_shared_inode_when_nothing_changes(void **state)
{
    struct layer_fixture *f = *state;
    struct stat st;

    f->options.shared_inodes = true;
    f->options.keep_owner = false;
    test_write(f->root_fd, "f", "x");
    assert_int_equal(fchmodat(f->root_fd, "f", 0640, 0), 0);
    st = layer_stat(f->root_fd, "f");
    tarball_pax_text(&f->tar, "mtime", "77.5");
    assert_int_equal(
        utimensat(f->root_fd, "f", (struct timespec[]){{77, 500000000}, {77, 500000000}}, 0), 0);
    tarball_add_hardlink_mode(&f->tar, "h", "f", 0640, 0);
    layer_apply_ok(f);
    assert_int_equal(layer_stat(f->root_fd, "h").st_ino, st.st_ino);
    assert_int_equal(f->res.broken_links, 0);
}

/* The first link changes nothing and so shares; what comes through it later must not write to it.
 */
static void layer_apply__breaks_shared_inodes_behind_a_link_of_its_own(void **state)
{
    struct layer_fixture *f = *state;
    struct stat before, after;

    f->options.shared_inodes = true;
    f->options.keep_owner = false;
    test_write(f->root_fd, "secret", "x");
    assert_int_equal(fchmodat(f->root_fd, "secret", 0600, 0), 0);
    assert_int_equal(
        utimensat(f->root_fd, "secret", (struct timespec[]){{1000000000, 0}, {1000000000, 0}}, 0),
        0);
    test_mkdir(f->root_fd, "other", 0755); /* stands for the layer that shares the inode */
    assert_int_equal(linkat(f->root_fd, "secret", f->root_fd, "other/secret", 0), 0);
    before = layer_stat(f->root_fd, "other/secret");
    tarball_add_hardlink_mode(&f->tar, "h", "secret", 0600, 0);
    tarball_add_hardlink_mode(&f->tar, "i", "h", 0600, 0);
    tarball_add_hardlink_mode(&f->tar, "j", "i", 0666, 0);
    tarball_add_hardlink_mode(&f->tar, "k", "h", 0644, 0);
    layer_apply_ok(f);
    after = layer_stat(f->root_fd, "other/secret");
    assert_int_equal(after.st_mode, before.st_mode);
    assert_mode(f->root_fd, "secret", 0600);
    assert_mode(f->root_fd, "j", 0666);
    assert_mode(f->root_fd, "k", 0644);
    assert_int_equal(f->res.broken_links, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, layer_setup, layer_teardown)
    const struct CMUnitTest tests[] = {
        TEST(layer_apply__makes_every_type),
        TEST(layer_apply__makes_devices),
        TEST(layer_apply__keeps_owners),
        TEST(layer_apply__squashes_owners_when_told),
        TEST(layer_apply__modes_ignore_the_umask),
        TEST(layer_apply__directory_without_rights_is_filled),
        TEST(layer_apply__last_mode_of_a_directory_wins),
        TEST(layer_apply__sets_times),
        TEST(layer_apply__root_entry_counts_in_trees_only),
        TEST(layer_apply__replaces_other_types),
        TEST(layer_apply__existing_directory_keeps_its_content),
        TEST(layer_apply__replacing_leaves_other_names_alone),
        TEST(layer_apply__last_of_duplicates_wins),
        TEST(layer_apply__entries_below_a_symlink_follow_it_inside),
        TEST(layer_apply__directories_get_theirs_when_the_symlink_to_them_goes),
        TEST(layer_apply__a_directory_removed_below_a_symlink_is_left_alone),
        TEST(layer_apply__too_many_directories_behind_a_lost_symlink_are_refused),
        TEST(layer_apply__hard_links_have_absolute_and_odd_names),
        TEST(layer_apply__hard_link_sets_metadata_of_its_inode),
        TEST(layer_apply__sets_allowed_xattrs),
        TEST(layer_apply__capability_survives_chown),
        TEST(layer_apply__whiteouts_delete_in_trees),
        TEST(layer_apply__opaque_deletes_what_is_older),
        TEST(layer_apply__skips_aufs_metadata),
        TEST(layer_apply__upper_gets_overlay_whiteouts),
        TEST(layer_apply__upper_refuses_whiteout_of_its_own),
        TEST(layer_apply__upper_marks_opaque),
        TEST(layer_apply__as_is_keeps_whiteout_names),
        TEST(layer_apply__whiteout_prefix_in_a_directory_name_is_ordinary),
        TEST(layer_apply__digests_the_whole_stream),
        TEST(layer_apply__accepts_the_empty_layer),
        TEST(layer_apply__breaks_shared_inodes),
        TEST(layer_apply__keeps_shared_inode_when_nothing_changes),
        TEST(layer_apply__breaks_shared_inodes_behind_a_link_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
