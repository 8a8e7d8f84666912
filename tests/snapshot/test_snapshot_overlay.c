/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is particular to the overlay snapshotter (containerd overlay_test.go) and needs no mounts:
 * what mounts() answers, errors, usage, filters, layers unpacked, removal left to cleanup.
 */
#include "support.h"

#include "support/tarball.h"

#include "common/buf.h"
#include "common/mount/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* "type source option option …"; the snapshotter's directory is "$". */
static char *mount_text(struct snap *s, const char *key)
{
    ol_auto_snapshot_mount struct ol_snapshot_mount mount = {0};
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    ol_auto_buf struct ol_buf shortened = OL_BUF_INIT;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    size_t len = strlen(s->root);

    assert_ok(ol_snapshots_mounts(s->sn, key, &mount, &err), &err);
    assert_int_equal(ol_buf_printf(&text, "%s %s", mount.type, mount.source), 0);
    for (size_t i = 0; i < mount.n_options; i++) {
        if (strcmp(mount.options[i], "index=off") != 0) /* where the kernel knows it */
            assert_int_equal(ol_buf_printf(&text, " %s", mount.options[i]), 0);
        else
            assert_int_equal(i, 0);
    }
    assert_null(mount.options[mount.n_options]);
    for (const char *at = ol_buf_str(&text); *at != '\0';) {
        bool root = strncmp(at, s->root, len) == 0;

        assert_int_equal(ol_buf_putc(&shortened, root ? '$' : *at), 0);
        at += root ? len : 1;
    }
    return ol_buf_steal(&shortened);
}

#define assert_mount(s, key, want)                                                                 \
    do {                                                                                           \
        ol_auto_free char *text_ = mount_text((s), (key));                                         \
        assert_string_equal(text_, (want));                                                        \
    } while (0)

static void mounts__of_every_kind(void **state)
{
    struct snap *s = *state;

    snap_committed(s, "base", NULL);       /* 1 */
    snap_committed(s, "top", "base");      /* 2 */
    snap_prepare(s, "/tmp/test", NULL);    /* 3 */
    snap_prepare(s, "/tmp/layer", "base"); /* 4 */
    snap_prepare(s, "active-2", "top");    /* 5 */
    snap_view_of(s, "view-0", NULL);       /* 6 */
    snap_view_of(s, "view-1", "base");     /* 7 */
    snap_view_of(s, "view-2", "top");      /* 8 */
    assert_mount(s, "/tmp/test", "bind $/snapshots/3/fs rw rbind");
    assert_mount(s, "/tmp/layer",
                 "overlay overlay workdir=$/snapshots/4/work upperdir=$/snapshots/4/fs "
                 "lowerdir=$/snapshots/1/fs");
    assert_mount(s, "active-2",
                 "overlay overlay workdir=$/snapshots/5/work upperdir=$/snapshots/5/fs "
                 "lowerdir=$/snapshots/2/fs:$/snapshots/1/fs");
    assert_mount(s, "view-0", "bind $/snapshots/6/fs ro rbind");
    assert_mount(s, "view-1", "bind $/snapshots/1/fs ro rbind");
    assert_mount(s, "view-2", "overlay overlay lowerdir=$/snapshots/2/fs:$/snapshots/1/fs");
}

static void mounts__say_userxattr_in_a_user_namespace(void **state)
{
    struct snap *s = *state;
    const struct ol_snapshots_config config = {
        .root = s->root, .view = OL_VIEW_USERNS, .no_sync = true};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    ol_snapshots_free(s->sn);
    s->sn = NULL;
    assert_ok(ol_snapshots_open(&config, &s->sn, &err), &err);
    snap_committed(s, "base", NULL);
    snap_prepare(s, "a", "base");
    assert_mount(s, "a",
                 "overlay overlay userxattr workdir=$/snapshots/2/work upperdir=$/snapshots/2/fs "
                 "lowerdir=$/snapshots/1/fs");
}

static void mounts__prepare_answers_what_mounts_does(void **state)
{
    struct snap *s = *state;
    ol_auto_snapshot_mount struct ol_snapshot_mount made = {0};
    ol_auto_snapshot_mount struct ol_snapshot_mount asked = {0};

    snap_committed(s, "base", NULL);
    assert_int_equal(ol_snapshots_prepare(s->sn, "a", "base", NULL, &made, NULL), 0);
    assert_int_equal(ol_snapshots_mounts(s->sn, "a", &asked, NULL), 0);
    assert_string_equal(made.type, asked.type);
    assert_int_equal(made.n_options, asked.n_options);
    for (size_t i = 0; i < made.n_options; i++)
        assert_string_equal(made.options[i], asked.options[i]);
}

static void directories__have_the_modes_of_containerd(void **state)
{
    static const struct {
        const char *path;
        mode_t mode;
    } cases[] = {
        {"root", 0700},
        {"root/metadata.mdb", 0600},
        {"root/snapshots", 0700},
        {"root/snapshots/1", 0700},
        {"root/snapshots/1/fs", 0755},
        {"root/snapshots/1/work", 0711},
        {"root/snapshots/2/fs", 0755},
    };
    struct snap *s = *state;
    struct stat st;

    snap_prepare(s, "a", NULL);
    snap_view_of(s, "v", NULL);
    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        assert_int_equal(fstatat(s->dir.fd, cases[i].path, &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(st.st_mode & 07777, cases[i].mode);
    }
    assert_absent(s->dir.fd, "root/snapshots/2/work");
}

static void owner__of_the_parents_root_is_taken_and_its_mode_is_not(void **state)
{
    struct snap *s = *state;
    struct stat st;

    OL_REQUIRE(can_chown, "files cannot be given away here");
    snap_committed(s, "base", NULL);
    assert_int_equal(fchownat(s->dir.fd, "root/snapshots/1/fs", 12, 34, 0), 0);
    assert_int_equal(fchmodat(s->dir.fd, "root/snapshots/1/fs", 0700, 0), 0);
    snap_prepare(s, "a", "base");
    assert_int_equal(fstatat(s->dir.fd, "root/snapshots/2/fs", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_uid, 12);
    assert_int_equal(st.st_gid, 34);
    assert_int_equal(st.st_mode & 07777, 0755);
}

static void upperdir_label__is_in_every_info_and_never_stored(void **state)
{
    struct snap *s = *state;
    const struct ol_snapshots_config config = {
        .root = s->root, .upperdir_label = true, .no_sync = true};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_snapshot_info struct ol_snapshot_info info = {0};
    ol_auto_snapshot_info struct ol_snapshot_info plain = {0};
    ol_auto_free char *want = NULL;

    ol_snapshots_free(s->sn);
    s->sn = NULL;
    assert_ok(ol_snapshots_open(&config, &s->sn, &err), &err);
    snap_committed(s, "base", NULL);
    info = snap_stat(s, "base");
    assert_true(asprintf(&want, "%s/snapshots/1/fs", s->root) > 0);
    assert_string_equal(ol_labels_get(&info.labels, OL_SNAPSHOT_UPPERDIR_LABEL), want);
    ol_snapshots_free(s->sn);
    snap_open(s);
    plain = snap_stat(s, "base");
    assert_int_equal(plain.labels.count, 0);
}

/* ---- errors ---- */

static int no_call(const struct ol_snapshot_info *info, void *data, struct ol_error *err)
{
    (void)info;
    (void)data;
    (void)err;
    fail_msg("there is nothing to walk");
    return 0;
}

static void errors__of_an_empty_store_are_not_found(void **state)
{
    struct snap *s = *state;
    struct ol_snapshot_info info = {.name = (char[]){"a"}};
    struct ol_snapshot_info found = {0};
    struct ol_snapshot_usage usage;
    struct ol_snapshot_mount mount;

    assert_int_equal(ol_snapshots_stat(s->sn, "a", &found, NULL), -ENOENT);
    assert_int_equal(ol_snapshots_usage(s->sn, "a", &usage, NULL), -ENOENT);
    assert_int_equal(ol_snapshots_mounts(s->sn, "a", &mount, NULL), -ENOENT);
    assert_int_equal(ol_snapshots_update(s->sn, &info, NULL, 0, NULL, NULL), -ENOENT);
    assert_int_equal(ol_snapshots_commit(s->sn, "b", "a", NULL, NULL, NULL), -ENOENT);
    assert_int_equal(ol_snapshots_remove(s->sn, "a", NULL), -ENOENT);
    assert_int_equal(ol_snapshots_walk(s->sn, NULL, 0, no_call, NULL, NULL), -ENOENT);
    assert_int_equal(ol_snapshots_cleanup(s->sn, NULL, NULL), -ENOENT);
}

static void errors__are_those_of_the_table(void **state)
{
    struct snap *s = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_snapshot_usage usage = {1, 1};
    struct ol_snapshot_mount mount;

    snap_committed(s, "c", NULL);
    snap_prepare(s, "a", NULL);
    snap_view_of(s, "v", NULL);
    assert_int_equal(snap_code(s, ""), -ENOENT);
    assert_int_equal(ol_snapshots_prepare(s->sn, "a", "none", NULL, NULL, &err), -ENOENT);
    assert_message(&err, "'none'");
    assert_int_equal(ol_snapshots_prepare(s->sn, "a", "a", NULL, NULL, NULL), -EINVAL);
    assert_int_equal(ol_snapshots_view(s->sn, "new", "v", NULL, NULL, NULL), -EINVAL);
    assert_int_equal(ol_snapshots_prepare(s->sn, "c", "c", NULL, NULL, NULL), -EEXIST);
    assert_int_equal(ol_snapshots_prepare(s->sn, "", NULL, NULL, NULL, NULL), -ENOKEY);
    assert_int_equal(ol_snapshots_mounts(s->sn, "c", &mount, NULL), -EBUSY);
    assert_int_equal(ol_snapshots_commit(s->sn, "new", "none", NULL, NULL, NULL), -ENOENT);
    assert_int_equal(ol_snapshots_commit(s->sn, "c", "none", NULL, NULL, NULL), -ENOENT);
    assert_int_equal(ol_snapshots_commit(s->sn, "c", "a", NULL, NULL, NULL), -EEXIST);
    assert_int_equal(ol_snapshots_commit(s->sn, "a", "a", NULL, NULL, NULL), -EEXIST);
    assert_int_equal(ol_snapshots_commit(s->sn, "c", "v", NULL, NULL, NULL), -EEXIST);
    assert_int_equal(ol_snapshots_commit(s->sn, "new", "v", NULL, NULL, NULL), -EBUSY);
    assert_int_equal(ol_snapshots_commit(s->sn, "new", "c", NULL, NULL, NULL), -EBUSY);
    assert_int_equal(ol_snapshots_usage(s->sn, "v", &usage, NULL), 0);
    assert_int_equal(usage.inodes, 0);
    assert_int_equal(
        ol_snapshots_walk(s->sn, (const char *const[]){"name="}, 1, no_call, NULL, NULL), -EINVAL);
    assert_int_equal(snap_dirs(s), 3); /* nothing of what failed is left */
}

static void errors__of_a_missing_directory_name_it(void **state)
{
    struct snap *s = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_snapshot_usage usage;

    snap_prepare(s, "a", NULL);
    assert_int_equal(unlinkat(s->dir.fd, "root/snapshots/1/fs", AT_REMOVEDIR), 0);
    assert_int_equal(ol_snapshots_usage(s->sn, "a", &usage, &err), -EUCLEAN);
    assert_message(&err, "snapshots/1/fs' is missing");
    assert_int_equal(ol_snapshots_commit(s->sn, "c", "a", NULL, NULL, NULL), -EUCLEAN);
    assert_int_equal(ol_snapshots_check(s->sn, NULL, NULL, NULL, NULL), 1);
    snap_remove(s, "a");
}

static void errors__of_a_parent_without_its_directory_name_it(void **state)
{
    struct snap *s = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    snap_committed(s, "base", NULL);
    assert_int_equal(unlinkat(s->dir.fd, "root/snapshots/1/fs", AT_REMOVEDIR), 0);
    assert_int_equal(ol_snapshots_prepare(s->sn, "a", "base", NULL, NULL, &err), -EUCLEAN);
    assert_message(&err, "snapshots/1/fs' is missing");
    assert_int_equal(ol_snapshots_view(s->sn, "v", "base", NULL, NULL, NULL), -EUCLEAN);
    assert_int_equal(snap_dirs(s), 1); /* nothing of what failed is left */
    snap_remove(s, "base");
}

static void open__where_mounts_could_not_be_is_refused(void **state)
{
    struct snap *s = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = NULL;
    struct ol_snapshots_config config = {0};
    struct ol_snapshots *sn = NULL;

    assert_true(asprintf(&path, "%s/a:b", s->dir.path) > 0);
    config.root = path;
    assert_int_equal(ol_snapshots_open(&config, &sn, &err), -EINVAL);
    assert_message(&err, "a:b");
    assert_absent(s->dir.fd, "a:b");
}

/* ---- usage ---- */

static void usage__counts_blocks_and_inodes_and_hard_links_once(void **state)
{
    struct snap *s = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_snapshot_usage active;
    struct ol_snapshot_usage committed;
    ol_auto_fd int fd = -1;
    int64_t blocks = 0;
    static const char *const paths[] = {"", "/d", "/f", "/hole"};

    snap_prepare(s, "a", NULL);
    fd = openat(s->dir.fd, "root/snapshots/1/fs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    test_mkdir(fd, "d", 0755);
    test_write(fd, "f", "content");
    test_write(fd, "hole", "");
    {
        ol_auto_fd int hole = openat(fd, "hole", O_WRONLY | O_CLOEXEC);

        assert_int_equal(ftruncate(hole, 1 << 20), 0);
    }
    assert_int_equal(linkat(fd, "f", fd, "d/f2", 0), 0);
    assert_int_equal(fsync(fd), 0);
    for (size_t i = 0; i < OL_ARRAY_LEN(paths); i++) {
        ol_auto_free char *path = NULL;
        struct stat st;

        assert_true(asprintf(&path, "%s/snapshots/1/fs%s", s->root, paths[i]) > 0);
        assert_int_equal(lstat(path, &st), 0);
        blocks += (int64_t)st.st_blocks * 512;
    }
    assert_ok(ol_snapshots_usage(s->sn, "a", &active, &err), &err);
    assert_int_equal(active.inodes, 4);
    assert_int_equal(active.size_bytes, blocks);
    snap_commit(s, "c", "a");
    test_write(fd, "later", "not counted any more");
    assert_ok(ol_snapshots_usage(s->sn, "c", &committed, &err), &err);
    assert_int_equal(committed.inodes, active.inodes);
    assert_int_equal(committed.size_bytes, active.size_bytes);
    snap_prepare(s, "child", "c");
    assert_ok(ol_snapshots_usage(s->sn, "child", &active, &err), &err);
    assert_int_equal(active.inodes, 1); /* fs itself; the parent is not counted */
}

/* ---- filters ---- */

static int count_match(const struct ol_snapshot_info *info, void *data, struct ol_error *err)
{
    (void)info;
    (void)err;
    ++*(unsigned *)data;
    return 0;
}

static void filters__grammar(void **state)
{
    /* One snapshot: active, name "a b,c", no parent, labels k.x/y=v1 and plain=12. */
    static const struct {
        const char *text;
        int want; /* matches, or the error */
    } cases[] = {
        {"", 1},
        {"name", 1},
        {"kind", 1},
        {"parent", 1},
        {"labels", 0},
        {"unknown", 0},
        {"unknown!=x", 1},
        {"unknown==\"\"", 0},
        {"name==\"a b,c\"", 1},
        {"name == \"a b,c\", kind == active", 1},
        {"name==a", 0},
        {"labels.\"k.x/y\"==v1", 1},
        {"labels.k.\"x/y\"==v1", 1},
        {"labels.plain~=^1", 1},
        {"labels.plain~=/^[0-9]+$/", 1},
        {"labels.plain~=|2$|", 1},
        {"labels.plain~=^2", 0},
        {"labels.plain~=\"[\"", 0}, /* an expression that is none matches nothing */
        {"labels.plain==\"\\x31\\062\"", 1},
        {"labels.plain==\"\\u0031\\U00000032\"", 1},
        {"kind==Active", 0},
        {"labels.plain!=12", 0},
        {"labels.none!=12", 1},
        {"labels.plain==12,kind==view", 0},
        {"kind=active", -EINVAL},
        {"kind===active", -EINVAL},
        {"kind==", -EINVAL},
        {"kind==\"active", -EINVAL},
        {"kind==active,", -EINVAL},
        {"kind==active name==x", -EINVAL},
        {"=active", -EINVAL},
        {"labels.", -EINVAL},
        {"name==\"\\q\"", -EINVAL},
        {"name==/x/", -EINVAL},
        {",", -EINVAL},
    };
    struct snap *s = *state;
    ol_auto_labels struct ol_labels labels = {0};

    assert_int_equal(ol_labels_set(&labels, "k.x/y", "v1"), 0);
    assert_int_equal(ol_labels_set(&labels, "plain", "12"), 0);
    assert_int_equal(ol_snapshots_prepare(s->sn, "a b,c", NULL, &labels, NULL, NULL), 0);
    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        unsigned n = 0;
        int r = ol_snapshots_walk(s->sn, &cases[i].text, 1, count_match, &n, NULL);

        if ((r < 0 ? r : (int)n) != cases[i].want)
            fail_msg("filter '%s': %d, not %d", cases[i].text, r < 0 ? r : (int)n, cases[i].want);
    }
}

/* ---- commit ---- */

static void commit__tells_what_it_spent_its_time_on(void **state)
{
    struct snap *s = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_snapshot_times times = {0};

    snap_prepare(s, "a", NULL);
    assert_ok(ol_snapshots_commit_timed(s->sn, "c", "a", NULL, NULL, &times, &err), &err);
    assert_true(times.usage_ns > 0 && times.transaction_ns > 0 && times.sync_ns > 0);
    assert_int_equal(ol_snapshots_commit_timed(s->sn, "d", "a", NULL, NULL, &times, NULL), -ENOENT);
    assert_int_equal(times.usage_ns + times.sync_ns, 0); /* it came to neither */
}

/* ---- removal ---- */

static void remove__at_once_or_left_to_cleanup(void **state)
{
    struct snap *s = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_snapshots_config config = {.root = s->root, .async_remove = true, .no_sync = true};
    unsigned removed = 0;

    snap_prepare(s, "a", NULL);
    snap_prepare(s, "b", NULL);
    snap_remove(s, "a");
    assert_int_equal(snap_dirs(s), snap_async ? 2 : 1);
    assert_ok(ol_snapshots_cleanup(s->sn, NULL, &err), &err);
    ol_snapshots_free(s->sn);
    s->sn = NULL;
    assert_ok(ol_snapshots_open(&config, &s->sn, &err), &err);
    snap_remove(s, "b");
    assert_int_equal(snap_dirs(s), 1);
    assert_int_equal(snap_code(s, "b"), -ENOENT);
    snap_prepare(s, "b", NULL); /* the key is free, the id is a new one */
    assert_mount(s, "b", "bind $/snapshots/3/fs rw rbind");
    assert_ok(ol_snapshots_cleanup(s->sn, &removed, &err), &err);
    assert_int_equal(removed, 1);
    assert_int_equal(snap_dirs(s), 1);
}

/* With --async removal leaves directories to cleanup, as containerd runs its tests a second time.
 */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        snap_test(mounts__of_every_kind),
        snap_test(mounts__say_userxattr_in_a_user_namespace),
        snap_test(mounts__prepare_answers_what_mounts_does),
        snap_test(directories__have_the_modes_of_containerd),
        snap_test(owner__of_the_parents_root_is_taken_and_its_mode_is_not),
        snap_test(upperdir_label__is_in_every_info_and_never_stored),
        snap_test(errors__of_an_empty_store_are_not_found),
        snap_test(errors__are_those_of_the_table),
        snap_test(errors__of_a_missing_directory_name_it),
        snap_test(errors__of_a_parent_without_its_directory_name_it),
        snap_test(open__where_mounts_could_not_be_is_refused),
        snap_test(usage__counts_blocks_and_inodes_and_hard_links_once),
        snap_test(filters__grammar),
        snap_test(commit__tells_what_it_spent_its_time_on),
        snap_test(remove__at_once_or_left_to_cleanup),
    };
    snap_async = argc > 1 && strcmp(argv[1], "--async") == 0;
    return cmocka_run_group_tests_name("snapshot overlay", tests, NULL, NULL);
}
