/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container can do to its files, and what of it a commit carries: deletions, opaque
 * directories, changed types, hard links, renames, edits the time rule cannot see.
 */
#include "contract/contract.h"

#include "common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

/* A base image as a tar gives it: whole-second times. */
static void load_base(struct contract *c)
{
    struct tarball tar = TARBALL_INIT;

    tarball_add_dir(&tar, "d/");
    tarball_add_file(&tar, "d/a", "a of base");
    tarball_add_file(&tar, "d/b", "b of base");
    tarball_add_dir(&tar, "d/sub/");
    tarball_add_file(&tar, "d/sub/deep", "deep");
    tarball_add_file(&tar, "f", "f of base");
    tarball_add_symlink(&tar, "s", "d/a");
    (void)contract_load(c, "base", NULL, &tar);
}

static void start(struct contract *c)
{
    load_base(c);
    contract_create(c, "ctr", "base");
}

/* ---- deletions ---- */

static void changes__deleted_file_is_a_whiteout(void **state)
{
    struct contract *c = *state;
    struct ol_apply_result applied;

    start(c);
    contract_rm(c, "ctr", "d/a");
    assert_changes(c, "ctr", "base", "C /d\nD /d/a\n");
    applied = contract_commit(c, "ctr", "base", "new", "base");
    assert_int_equal(applied.layer.whiteouts, 1);
    contract_assert_gone(c, "new", "d/a");
    contract_assert_content(c, "new", "d/b", "b of base");
    contract_assert_content(c, "base", "d/a", "a of base");
}

static void changes__deleted_directory_is_one_deletion(void **state)
{
    struct contract *c = *state;

    start(c);
    contract_rm(c, "ctr", "d");
    assert_changes(c, "ctr", "base", "D /d\n");
    (void)contract_commit(c, "ctr", "base", "new", "base");
    contract_assert_gone(c, "new", "d");
    contract_assert_content(c, "base", "d/sub/deep", "deep");
}

static void changes__deleted_and_made_again(void **state)
{
    struct contract *c = *state;
    struct ol_rootfs *fs;

    start(c);
    fs = contract_root(c, "ctr");
    root_rm(fs, "f");
    root_write(fs, "f", "another f, longer");
    contract_close(fs);
    assert_changes(c, "ctr", "base", "C /f\n");
    (void)contract_commit(c, "ctr", "base", "new", "base");
    contract_assert_content(c, "new", "f", "another f, longer");
}

/* ---- opaque directories ---- */

static void changes__directory_made_again_hides_the_old_content(void **state)
{
    struct contract *c = *state;
    struct ol_rootfs *fs;

    start(c);
    fs = contract_root(c, "ctr");
    root_rm(fs, "d");
    root_mkdir(fs, "d");
    root_write(fs, "d/new", "new");
    contract_close(fs);
    assert_changes(c, "ctr", "base", "C /d\nD /d/a\nD /d/b\nA /d/new\nD /d/sub\n");
    (void)contract_commit(c, "ctr", "base", "new", "base");
    contract_assert_gone(c, "new", "d/a");
    contract_assert_gone(c, "new", "d/sub");
    contract_assert_content(c, "new", "d/new", "new");
}

static void changes__opaque_marker_in_a_tar_hides_the_parent(void **state)
{
    struct contract *c = *state;
    struct tarball tar = TARBALL_INIT;
    struct ol_apply_result applied;

    load_base(c);
    tarball_add_dir(&tar, "d/");
    tarball_add_file(&tar, "d/.wh..wh..opq", "");
    tarball_add_file(&tar, "d/c", "c");
    applied = contract_load(c, "new", "base", &tar);
    assert_int_equal(applied.layer.opaques, 1);
    contract_assert_gone(c, "new", "d/a");
    contract_assert_gone(c, "new", "d/sub");
    contract_assert_content(c, "new", "d/c", "c");
    contract_assert_content(c, "base", "d/a", "a of base");
    assert_changes(c, "new", "base", "C /d\nD /d/a\nD /d/b\nA /d/c\nD /d/sub\n");
}

static void changes__whiteout_in_a_tar_deletes(void **state)
{
    struct contract *c = *state;
    struct tarball tar = TARBALL_INIT;

    load_base(c);
    tarball_add_file(&tar, "d/.wh.a", "");
    tarball_add_file(&tar, ".wh.f", "");
    (void)contract_load(c, "new", "base", &tar);
    contract_assert_gone(c, "new", "d/a");
    contract_assert_gone(c, "new", "f");
    contract_assert_content(c, "new", "d/b", "b of base");
    contract_assert_content(c, "base", "f", "f of base");
}

/* ---- types ---- */

static void changes__types_change(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs;

    start(c);
    fs = contract_root(c, "ctr");
    root_rm(fs, "f");
    root_mkdir(fs, "f");
    root_write(fs, "f/inside", "x");
    root_rm(fs, "d");
    root_write(fs, "d", "a file now");
    root_rm(fs, "s");
    assert_ok(ol_rootfs_symlink(fs, "elsewhere", "s", &err), &err);
    contract_close(fs);
    /* children of a directory that became a file are not listed as deleted (moby) */
    assert_changes(c, "ctr", "base", "C /d\nC /f\nA /f/inside\nC /s\n");
    (void)contract_commit(c, "ctr", "base", "new", "base");
    contract_assert_content(c, "new", "d", "a file now");
    contract_assert_content(c, "new", "f/inside", "x");
    assert_true(S_ISLNK(contract_stat(c, "new", "s").st_mode));
    assert_true(S_ISDIR(contract_stat(c, "base", "d").st_mode));
}

/* ---- metadata ---- */

static void changes__mode_alone_is_a_change(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs;

    start(c);
    fs = contract_root(c, "ctr");
    assert_ok(ol_rootfs_chmod(fs, "f", 04711, &err), &err);
    assert_ok(ol_rootfs_chmod(fs, "d/sub", 01777, &err), &err);
    contract_close(fs);
    assert_changes(c, "ctr", "base", "C /d\nC /d/sub\nC /f\n");
    (void)contract_commit(c, "ctr", "base", "new", "base");
    assert_int_equal(contract_stat(c, "new", "f").st_mode, S_IFREG | 04711);
    assert_int_equal(contract_stat(c, "new", "d/sub").st_mode, S_IFDIR | 01777);
    assert_int_equal(contract_stat(c, "base", "f").st_mode, S_IFREG | 0644);
}

static void changes__owner_alone_is_a_change(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs;

    OL_REQUIRE(can_chown, "owners can only be given away by root");
    start(c);
    fs = contract_root(c, "ctr");
    assert_ok(ol_rootfs_chown(fs, "f", 7, 8, &err), &err);
    contract_close(fs);
    assert_changes(c, "ctr", "base", "C /f\n");
    (void)contract_commit(c, "ctr", "base", "new", "base");
    assert_int_equal(contract_stat(c, "new", "f").st_uid, 7);
    assert_int_equal(contract_stat(c, "new", "f").st_gid, 8);
    assert_int_equal(contract_stat(c, "base", "f").st_uid, 0);
}

static void changes__root_directory_is_not_compared(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs;

    start(c);
    fs = contract_root(c, "ctr");
    assert_ok(ol_rootfs_chmod(fs, "", 0700, &err), &err);
    contract_close(fs);
    assert_changes(c, "ctr", "base", "");
}

/* ---- hard links ---- */

static void changes__hard_links_stay_linked(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs;
    struct stat one;
    struct stat two;

    start(c);
    fs = contract_root(c, "ctr");
    root_write(fs, "one", "linked");
    assert_ok(ol_rootfs_link(fs, "one", "two", &err), &err);
    contract_close(fs);
    assert_changes(c, "ctr", "base", "A /one\nA /two\n");
    (void)contract_commit(c, "ctr", "base", "new", "base");
    fs = contract_root(c, "new");
    assert_ok(ol_rootfs_lstat(fs, "one", &one, &err), &err);
    assert_ok(ol_rootfs_lstat(fs, "two", &two, &err), &err);
    contract_close(fs);
    assert_int_equal(one.st_ino, two.st_ino);
    assert_int_equal(two.st_nlink, 2);
    contract_assert_content(c, "new", "two", "linked");
}

/* spec: CVE table 3, W1: moby's overlay writes through the shared inode into the parent image. */
static void changes__hard_link_entry_leaves_the_parent_alone(void **state)
{
    struct contract *c = *state;
    struct tarball tar = TARBALL_INIT;
    const struct ol_layer_spec spec = {.id = "new", .parent = "base"};
    struct ol_input input;
    struct stat st;
    int r;

    load_base(c);
    contract_create(c, spec.id, spec.parent);
    tarball_add_hardlink_mode(&tar, "h", "f", 04777, 1000);
    tarball_end(&tar);
    input = OL_INPUT_FD(tarball_fd(&tar));
    r = ol_driver_apply_diff(c->drv, "new", "base", &input, NULL, NULL);
    tarball_fini(&tar);
    if (contract_is(c, "overlay2") &&
        (!contract_has_option(c, "diff=naive") || c->target->view == OL_VIEW_DIRECT))
        assert_true(r < 0); /* unpacked into diff alone: links must point into the same layer */
    else
        assert_int_equal(r, 0);
    st = contract_stat(c, "base", "f");
    assert_int_equal(st.st_mode, S_IFREG | 0644);
    assert_int_equal(st.st_uid, geteuid());
    contract_assert_content(c, "base", "f", "f of base");
}

/* ---- renames ---- */

static void changes__rename_over_an_existing_file(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs;

    start(c);
    fs = contract_root(c, "ctr");
    root_write(fs, "d/a", "moved content");
    assert_ok(ol_rootfs_rename(fs, "d/a", "f", &err), &err);
    contract_close(fs);
    assert_changes(c, "ctr", "base", "C /d\nD /d/a\nC /f\n");
    (void)contract_commit(c, "ctr", "base", "new", "base");
    contract_assert_content(c, "new", "f", "moved content");
    contract_assert_gone(c, "new", "d/a");
}

static void changes__rename_of_an_untouched_file(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs;

    start(c);
    fs = contract_root(c, "ctr");
    assert_ok(ol_rootfs_rename(fs, "f", "g", &err), &err);
    contract_close(fs);
    assert_changes(c, "ctr", "base", "D /f\nA /g\n");
    (void)contract_commit(c, "ctr", "base", "new", "base");
    contract_assert_content(c, "new", "g", "f of base");
    contract_assert_gone(c, "new", "f");
}

/* ---- the time rule ---- */

/* moby's comparison holds times for equal when the seconds are and one side has no nanoseconds,
 * which every file from a tar has not: an edit that keeps the size within that second is lost. */
static void same_second_edit(struct contract *c, const char *content)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs;
    struct timespec mtime;

    start(c);
    fs = contract_root(c, "ctr");
    mtime.tv_sec = 1000000000; /* what tarball_add_file() writes */
    mtime.tv_nsec = 500000000;
    root_write(fs, "f", content);
    assert_ok(ol_rootfs_set_mtime(fs, "f", mtime, &err), &err);
    contract_close(fs);
}

static void changes__same_second_edit_of_the_same_size_is_not_seen(void **state)
{
    struct contract *c = *state;
    bool native = (ol_driver_caps(c->drv) & OL_CAP_NATIVE_DIFF) != 0;

    same_second_edit(c, "F OF BASE");
    assert_changes(c, "ctr", "base", "");
    (void)contract_commit(c, "ctr", "base", "new", "base");
    /* a native diff compares nothing: what lies in the upper directory is the change */
    contract_assert_content(c, "new", "f", native ? "F OF BASE" : "f of base");
}

static void changes__same_second_edit_of_another_size_is_seen(void **state)
{
    struct contract *c = *state;

    same_second_edit(c, "f of ctr, longer");
    assert_changes(c, "ctr", "base", "C /f\n");
    (void)contract_commit(c, "ctr", "base", "new", "base");
    contract_assert_content(c, "new", "f", "f of ctr, longer");
}

static void changes__avoided_sleep_is_counted(void **state)
{
    struct contract *c = *state;
    bool as_moby = (ol_driver_caps(c->drv) & OL_CAP_NATIVE_DIFF) == 0 &&
                   !contract_has_option(c, "diff=upper");
    struct timespec start_time, end_time;
    ol_auto_fd int fd = -1;
    uint64_t ns;

    start(c);
    assert_int_equal(ol_driver_avoided_sleep_ns(c->drv), 0);
    contract_write(c, "ctr", "new", "x");
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &start_time), 0);
    fd = contract_diff_fd(c, "ctr", "base", NULL);
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &end_time), 0);
    ns = ol_driver_avoided_sleep_ns(c->drv);
    assert_true(ns <= 1000000000);
    if (!as_moby)
        assert_int_equal(ns, 0);
    else if (start_time.tv_sec == end_time.tv_sec) /* the next full second had not come */
        assert_true(ns > 0);
}

/* ---- whole diffs ---- */

static void changes__untouched_layer_has_the_empty_diff(void **state)
{
    struct contract *c = *state;
    struct ol_tar_result tar;
    ol_auto_fd int fd = -1;

    start(c);
    assert_changes(c, "ctr", "base", "");
    fd = contract_diff_fd(c, "ctr", "base", &tar);
    assert_string_equal(tar.diff_id, OL_EMPTY_DIFF_ID);
}

static void changes__diff_without_parent_holds_the_whole_tree(void **state)
{
    struct contract *c = *state;

    start(c);
    contract_rm(c, "ctr", "d/sub");
    contract_write(c, "ctr", "new", "new");
    (void)contract_commit(c, "ctr", NULL, "flat", NULL);
    contract_assert_content(c, "flat", "d/a", "a of base");
    contract_assert_content(c, "flat", "new", "new");
    contract_assert_gone(c, "flat", "d/sub");
    assert_changes(c, "flat", NULL, "A /d\nA /d/a\nA /d/b\nA /f\nA /new\nA /s\n");
}

static void changes__the_same_state_gives_the_same_digest(void **state)
{
    struct contract *c = *state;
    struct ol_tar_result first;
    struct ol_tar_result second;
    ol_auto_fd int one = -1;
    ol_auto_fd int two = -1;

    start(c);
    contract_write(c, "ctr", "d/new", "new");
    contract_write(c, "ctr", "f", "changed f");
    one = contract_diff_fd(c, "ctr", "base", &first);
    two = contract_diff_fd(c, "ctr", "base", &second);
    assert_string_equal(first.diff_id, second.diff_id);
}

/* ---- Diff of one layer while another is applied, on one pipe (docker commit) ---- */

struct diff_job {
    struct contract *c;
    int out_fd;
    int result;
};

static void *run_diff(void *data)
{
    struct diff_job *job = data;

    job->result = ol_driver_diff(job->c->drv, "ctr", "base", &job->out_fd, NULL, NULL);
    ol_fd_close(&job->out_fd); /* after a failure: the reader sees the end all the same */
    return NULL;
}

static void changes__diff_and_apply_run_at_the_same_time(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *big = malloc((4 << 20) + 1);
    struct diff_job job = {.c = c};
    struct ol_input input;
    pthread_t thread;
    int ends[2];

    start(c);
    memset(big, 'x', 4 << 20); /* more than a pipe holds: one without the other would hang */
    big[4 << 20] = '\0';
    contract_write(c, "ctr", "big", big);
    contract_create(c, "new", "base");
    assert_ok(ol_io_pipe(ends, &err), &err);
    job.out_fd = ends[1];
    input = OL_INPUT_FD(ends[0]);
    assert_int_equal(pthread_create(&thread, NULL, run_diff, &job), 0);
    assert_ok(ol_driver_apply_diff(c->drv, "new", "base", &input, NULL, &err), &err);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(job.result, 0);
    (void)close(ends[0]);
    assert_int_equal(contract_stat(c, "new", "big").st_size, 4 << 20);
}

static void changes__layers_stack(void **state)
{
    struct contract *c = *state;

    start(c);
    contract_write(c, "ctr", "one", "1");
    (void)contract_commit(c, "ctr", "base", "i1", "base");
    contract_create(c, "ctr2", "i1");
    contract_write(c, "ctr2", "two", "2");
    contract_rm(c, "ctr2", "d/a");
    (void)contract_commit(c, "ctr2", "i1", "i2", "i1");
    contract_assert_content(c, "i2", "one", "1");
    contract_assert_content(c, "i2", "two", "2");
    contract_assert_gone(c, "i2", "d/a");
    /* against a layer that is not the direct parent: the naive differ everywhere */
    assert_changes(c, "i2", "base", "C /d\nD /d/a\nA /one\nA /two\n");
    (void)contract_commit(c, "i2", "base", "squashed", "base");
    contract_assert_content(c, "squashed", "two", "2");
    contract_assert_content(c, "squashed", "one", "1");
    contract_assert_gone(c, "squashed", "d/a");
}

static int apply_second(struct contract *c, const char *id, const char *parent,
                        struct ol_error *err)
{
    struct tarball tar = TARBALL_INIT;
    struct ol_input input;
    int r;

    tarball_add_file(&tar, "second", "2");
    tarball_end(&tar);
    input = OL_INPUT_FD(tarball_fd(&tar));
    r = ol_driver_apply_diff(c->drv, id, parent, &input, NULL, err);
    tarball_fini(&tar);
    return r;
}

static void changes__second_apply_merges_or_is_refused(void **state)
{
    struct contract *c = *state;
    struct tarball tar = TARBALL_INIT;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    load_base(c);
    tarball_add_file(&tar, "first", "1");
    (void)contract_load(c, "new", "base", &tar);
    if (contract_is(c, "overlay")) { /* as moby: its rename finds a root there */
        assert_int_equal(apply_second(c, "new", "base", &err), -EEXIST);
    } else {
        assert_ok(apply_second(c, "new", "base", &err), &err);
        contract_assert_content(c, "new", "second", "2");
    }
    contract_assert_content(c, "new", "first", "1");
    assert_ok(apply_second(c, "base", NULL, &err), &err);
    contract_assert_content(c, "base", "f", "f of base");
    contract_assert_content(c, "base", "second", "2");
}

/* The others need no mount for it; with mounts faults__apply_on_a_container_layer does it. */
static bool overlay_without_mounts(const struct contract_target *target)
{
    return contract_on_overlay(target) && !contract_on_mounts(target);
}

static void changes__direct_view_refuses_an_apply_through_a_mount(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    start(c);
    contract_create(c, "new", "ctr");
    assert_int_equal(apply_second(c, "new", "ctr", &err), -EOPNOTSUPP);
    assert_message(&err, "'new'");
    assert_changes(c, "new", "ctr", "");
}

int contract_run_changes(void)
{
    static const struct contract_case cases[] = {
        contract_test(changes__deleted_file_is_a_whiteout),
        contract_test(changes__deleted_directory_is_one_deletion),
        contract_test(changes__deleted_and_made_again),
        contract_test(changes__directory_made_again_hides_the_old_content),
        contract_test(changes__opaque_marker_in_a_tar_hides_the_parent),
        contract_test(changes__whiteout_in_a_tar_deletes),
        contract_test(changes__types_change),
        contract_test(changes__mode_alone_is_a_change),
        contract_test(changes__owner_alone_is_a_change),
        contract_test(changes__root_directory_is_not_compared),
        contract_test(changes__hard_links_stay_linked),
        contract_test(changes__hard_link_entry_leaves_the_parent_alone),
        contract_test(changes__rename_over_an_existing_file),
        contract_test(changes__rename_of_an_untouched_file),
        contract_test(changes__same_second_edit_of_the_same_size_is_not_seen),
        contract_test(changes__same_second_edit_of_another_size_is_seen),
        contract_test(changes__avoided_sleep_is_counted),
        contract_test(changes__untouched_layer_has_the_empty_diff),
        contract_test(changes__diff_without_parent_holds_the_whole_tree),
        contract_test(changes__the_same_state_gives_the_same_digest),
        contract_test(changes__diff_and_apply_run_at_the_same_time),
        contract_test(changes__layers_stack),
        contract_test(changes__second_apply_merges_or_is_refused),
        contract_test_on(changes__direct_view_refuses_an_apply_through_a_mount,
                         overlay_without_mounts),
    };
    return contract_run("changes", cases, OL_ARRAY_LEN(cases));
}
