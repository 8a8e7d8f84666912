/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containerd's test suite for any snapshotter (snapshots/testsuite), written anew and named alike.
 * "--async": removal leaves directories to cleanup; "--userns": in a user namespace.
 */
#include "direct.h"
#include "suite.h"

#include "common/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

static bool in_userns;

void suite_require_mounts(void)
{
    if (snap_view == OL_VIEW_DIRECT)
        return; /* nothing is mounted there */
    if (!in_userns)
        OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
}

/* ---- Basic ---- */

static void first_steps(const char *root)
{
    play_file(root, "/foo", "foo\n", 0777);
    play_dir(root, "/a", 0755);
    play_dir(root, "/a/b", 0755);
    play_dir(root, "/a/b/c", 0755);
}

static void second_steps(const char *root)
{
    play_file(root, "/bar", "bar\n", 0777);
    play_file(root, "/foo", "bar\n", 0777);
    play_remove(root, "/a/b");
}

static int find_by_name(const struct ol_snapshot_info *info, void *data, struct ol_error *err)
{
    struct snap *s = data;
    ol_auto_snapshot_info struct ol_snapshot_info stat = snap_stat(s, info->name);

    (void)err;
    assert_string_equal(stat.name, info->name);
    assert_string_equal(stat.parent, info->parent);
    assert_int_equal(stat.kind, info->kind);
    assert_int_equal(stat.created.tv_sec, info->created.tv_sec);
    assert_int_equal(stat.created.tv_nsec, info->created.tv_nsec);
    assert_int_equal(stat.updated.tv_nsec, info->updated.tv_nsec);
    assert_int_equal(stat.labels.count, info->labels.count);
    for (size_t i = 0; i < stat.labels.count; i++) {
        assert_string_equal(stat.labels.items[i].key, info->labels.items[i].key);
        assert_string_equal(stat.labels.items[i].value, info->labels.items[i].value);
    }
    return 0;
}

static void basic(void **state)
{
    struct snap *s = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *flat = NULL;
    char *path;

    suite_require_mounts();
    assert_true(asprintf(&flat, "%s/flat", s->work) > 0);
    assert_int_equal(mkdir(flat, 0755), 0);
    first_steps(flat);
    snap_prepare(s, "/keys/preparing", NULL);
    path = snap_mount(s, "/keys/preparing", "m");
    first_steps(path);
    snap_unmount(path);
    free(path);
    snap_commit(s, "/keys/committed", "/keys/preparing");
    assert_info(s, "/keys/committed", OL_SNAPSHOT_COMMITTED, "");
    assert_int_equal(snap_code(s, "/keys/preparing"), -ENOENT);

    snap_prepare(s, "/keys/nextlayer", "/keys/committed");
    path = snap_mount(s, "/keys/nextlayer", "m");
    suite_assert_same(flat, path);
    second_steps(path);
    second_steps(flat);
    snap_unmount(path);
    free(path);
    assert_info(s, "/keys/nextlayer", OL_SNAPSHOT_ACTIVE, "/keys/committed");
    snap_commit(s, "/keys/committed-next", "/keys/nextlayer");
    assert_info(s, "/keys/committed-next", OL_SNAPSHOT_COMMITTED, "/keys/committed");
    assert_int_equal(snap_code(s, "/keys/nextlayer"), -ENOENT);
    assert_ok(ol_snapshots_walk(s->sn, NULL, 0, find_by_name, s, &err), &err);

    snap_view_of(s, "/keys/nextnextlayer", "/keys/committed-next");
    path = snap_mount(s, "/keys/nextnextlayer", "m");
    suite_assert_same(flat, path);
    snap_unmount(path);
    free(path);
    snap_remove(s, "/keys/nextnextlayer");
    assert_int_equal(ol_snapshots_remove(s->sn, "/keys/committed", &err), -EBUSY);
    assert_message(&err, "remove");
    snap_remove(s, "/keys/committed-next");
    snap_remove(s, "/keys/committed");
}

/* ---- Stat ---- */

static void stat_active(void **state)
{
    struct snap *s = *state;
    ol_auto_free char *path = NULL;

    suite_require_mounts();
    snap_prepare(s, "preparing", NULL);
    path = snap_mount(s, "preparing", "m");
    play_file(path, "/foo", "content", 0777);
    assert_info(s, "preparing", OL_SNAPSHOT_ACTIVE, "");
    snap_unmount(path);
}

static void stat_committed_while_mounted(void **state)
{
    struct snap *s = *state;
    ol_auto_free char *path = NULL;

    suite_require_mounts();
    snap_prepare(s, "preparing", NULL);
    path = snap_mount(s, "preparing", "m");
    play_file(path, "/foo", "content", 0777);
    snap_commit(s, "committed", "preparing");
    assert_info(s, "committed", OL_SNAPSHOT_COMMITTED, "");
    snap_unmount(path);
}

static void transitivity(void **state)
{
    struct snap *s = *state;
    ol_auto_snapshot_info struct ol_snapshot_info b = {0};
    ol_auto_free char *path_a = NULL;
    ol_auto_free char *path_b = NULL;

    suite_require_mounts();
    snap_prepare(s, "preparing", NULL);
    path_a = snap_mount(s, "preparing", "a");
    play_file(path_a, "/foo", "foo\n", 0777);
    snap_commit(s, "snapA", "preparing");
    snap_prepare(s, "next", "snapA");
    path_b = snap_mount(s, "next", "b");
    play_file(path_b, "/foo", "foo bar\n", 0777);
    snap_commit(s, "snapB", "next");
    assert_info(s, "snapA", OL_SNAPSHOT_COMMITTED, "");
    b = snap_stat(s, "snapB");
    assert_string_equal(b.parent, "snapA");
    assert_info(s, b.parent, OL_SNAPSHOT_COMMITTED, "");
    snap_unmount(path_b);
    snap_unmount(path_a);
}

/* ---- names ---- */

static void prepare_view_failing(void **state)
{
    struct snap *s = *state;

    snap_committed(s, "snapA", NULL);
    snap_prepare(s, "newlayer", "snapA");
    assert_int_equal(ol_snapshots_view(s->sn, "newlayer", "snapA", NULL, NULL, NULL), -EEXIST);
    snap_prepare(s, "prepLayer", "snapA");
    assert_int_equal(ol_snapshots_prepare(s->sn, "prepLayer", "snapA", NULL, NULL, NULL), -EEXIST);
    snap_view_of(s, "viewLayer", "snapA");
    assert_int_equal(ol_snapshots_view(s->sn, "viewLayer", "snapA", NULL, NULL, NULL), -EEXIST);
}

static void remove_frees_keys_and_names(void **state)
{
    struct snap *s = *state;

    snap_prepare(s, "committed-a", NULL);
    snap_commit(s, "committed-1", "committed-a");
    snap_prepare(s, "reuse-1", "committed-1");
    snap_remove(s, "reuse-1");
    snap_view_of(s, "reuse-1", "committed-1");
    snap_remove(s, "reuse-1");
    snap_prepare(s, "reuse-1", NULL);
    snap_remove(s, "committed-1");
    snap_commit(s, "committed-1", "reuse-1");
}

static void remove_intermediate_snapshot(void **state)
{
    struct snap *s = *state;
    ol_auto_free char *path = NULL;

    suite_require_mounts();
    snap_prepare(s, "base", NULL);
    path = snap_mount(s, "base", "m");
    snap_commit(s, "committed-base", "base");
    snap_prepare(s, "intermediate", "committed-base");
    snap_commit(s, "committed-inter", "intermediate");
    snap_prepare(s, "toplayer", "committed-inter");
    assert_int_equal(ol_snapshots_remove(s->sn, "committed-inter", NULL), -EBUSY);
    snap_remove(s, "toplayer");
    snap_remove(s, "committed-inter");
    snap_unmount(path);
    snap_remove(s, "committed-base");
}

static void close_twice(void **state)
{
    struct snap *s = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_snapshot_info info = {0};

    snap_prepare(s, "a", NULL);
    snap_commit(s, "b", "a");
    snap_remove(s, "b");
    snap_assert_sound(s);
    ol_snapshots_close(s->sn);
    ol_snapshots_close(s->sn);
    assert_int_equal(ol_snapshots_stat(s->sn, "b", &info, &err), -EBADF);
    assert_message(&err, "database not open");
    assert_int_equal(ol_snapshots_prepare(s->sn, "c", NULL, NULL, NULL, NULL), -EBADF);
    ol_snapshots_free(s->sn);
    s->sn = NULL;
}

/* ---- Update ---- */

static void set_label(struct ol_snapshot_info *info, const char *key, const char *value)
{
    assert_int_equal(ol_labels_set(&info->labels, key, value), 0);
}

static void assert_labels(struct snap *s, const char *name, const char *want)
{
    ol_auto_snapshot_info struct ol_snapshot_info info = snap_stat(s, name);
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;

    for (size_t i = 0; i < info.labels.count; i++)
        assert_int_equal(
            ol_buf_printf(&text, "%s=%s ", info.labels.items[i].key, info.labels.items[i].value),
            0);
    assert_string_equal(ol_buf_str(&text), want);
}

static void update_one(struct snap *s, const char *name)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_snapshot_info struct ol_snapshot_info given = {0};
    ol_auto_snapshot_info struct ol_snapshot_info before = snap_stat(s, name);
    ol_auto_snapshot_info struct ol_snapshot_info after = {0};

    assert_int_equal(before.created.tv_nsec, before.updated.tv_nsec);
    given.name = strdup(name);
    given.parent = strdup("doesnotexist");
    set_label(&given, "l1", "v1");
    set_label(&given, "l2", "v2");
    set_label(&given, "l3", "v3");
    set_label(&given, "gc", "root");
    assert_ok(ol_snapshots_update(s->sn, &given, NULL, 0, &after, &err), &err);
    assert_string_equal(after.parent, before.parent);
    assert_string_equal(after.name, before.name);
    assert_int_equal(after.kind, before.kind);
    assert_int_equal(after.created.tv_nsec, before.created.tv_nsec);
    assert_true(after.updated.tv_sec > before.updated.tv_sec ||
                after.updated.tv_nsec > before.updated.tv_nsec);
    assert_labels(s, name, "gc=root l1=v1 l2=v2 l3=v3 ");

    ol_labels_fini(&given.labels);
    set_label(&given, "l1", "updated");
    set_label(&given, "l4", "v4");
    assert_ok(ol_snapshots_update(s->sn, &given, (const char *const[]){"labels.l1", "labels.l2"}, 2,
                                  NULL, &err),
              &err);
    assert_labels(s, name, "gc=root l1=updated l3=v3 ");

    ol_labels_fini(&given.labels);
    set_label(&given, "l4", "v4");
    assert_ok(ol_snapshots_update(s->sn, &given, (const char *const[]){"labels"}, 1, NULL, &err),
              &err);
    assert_labels(s, name, "l4=v4 ");

    set_label(&given, "l5", "v5");
    assert_int_equal(ol_snapshots_update(s->sn, &given, (const char *const[]){"labels", "parent"},
                                         2, NULL, &err),
                     -EINVAL);
    assert_message(&err, "'parent'");
    assert_labels(s, name, "l4=v4 ");
}

static void update(void **state)
{
    static const char *const names[] = {"c1", "c2", "a1", "a2", "v1", "v2"};
    struct snap *s = *state;

    snap_committed(s, "c1", NULL);
    snap_committed(s, "c2", "c1");
    snap_prepare(s, "a1", "c2");
    snap_prepare(s, "a2", NULL);
    snap_view_of(s, "v1", "c2");
    snap_view_of(s, "v2", NULL);
    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++)
        update_one(s, names[i]);
}

/* ---- Walk ---- */

static void make_labelled(struct snap *s, enum ol_snapshot_kind kind, const char *name,
                          const char *parent, const char *label)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_labels struct ol_labels labels = {0};
    int r;

    assert_int_equal(ol_labels_set(&labels, "containerd.io/gc.root", "check-walk"), 0);
    assert_int_equal(ol_labels_set(&labels, "l", label), 0);
    if (kind == OL_SNAPSHOT_VIEW)
        r = ol_snapshots_view(s->sn, name, parent, &labels, NULL, &err);
    else if (kind == OL_SNAPSHOT_ACTIVE)
        r = ol_snapshots_prepare(s->sn, name, parent, &labels, NULL, &err);
    else {
        snap_prepare(s, "tmp", parent);
        r = ol_snapshots_commit(s->sn, name, "tmp", &labels, NULL, &err);
    }
    assert_ok(r, &err);
}

static int collect_name(const struct ol_snapshot_info *info, void *data, struct ol_error *err)
{
    (void)err;
    return ol_buf_printf(data, "%s ", info->name);
}

static void walk(void **state)
{
#define ROOT "labels.\"containerd.io/gc.root\"==check-walk"
    static const struct {
        const char *filters[2];
        const char *names; /* in byte order */
    } cases[] = {
        {{ROOT}, "a a-np a-np-wl a-wl p p-wl v v-wl "},
        {{"kind==active," ROOT}, "a a-np a-np-wl a-wl "},
        {{"kind==view," ROOT}, "v v-wl "},
        {{"kind==committed," ROOT}, "p p-wl "},
        {{"name==p", "name==a-np-wl"}, "a-np-wl p "},
        {{"name==a-wl,labels.l"}, "a-wl "},
        {{"parent==p"}, "a v "},
        {{"parent!=\"\"," ROOT}, "a a-wl v v-wl "},
        {{"labels.l"}, "a-np-wl a-wl p-wl v-wl "},
        {{"labels.l==2"}, "a-np-wl a-wl "},
    };
    struct snap *s = *state;

    snap_prepare(s, "unlabelled", NULL);
    make_labelled(s, OL_SNAPSHOT_ACTIVE, "a-np", NULL, NULL);
    make_labelled(s, OL_SNAPSHOT_COMMITTED, "p", NULL, NULL);
    make_labelled(s, OL_SNAPSHOT_ACTIVE, "a", "p", NULL);
    make_labelled(s, OL_SNAPSHOT_VIEW, "v", "p", NULL);
    make_labelled(s, OL_SNAPSHOT_COMMITTED, "p-wl", NULL, "1");
    make_labelled(s, OL_SNAPSHOT_ACTIVE, "a-wl", "p-wl", "2");
    make_labelled(s, OL_SNAPSHOT_VIEW, "v-wl", "p-wl", "3");
    make_labelled(s, OL_SNAPSHOT_ACTIVE, "a-np-wl", NULL, "2");
    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        ol_auto_buf struct ol_buf names = OL_BUF_INIT;

        assert_ok(ol_snapshots_walk(s->sn, cases[i].filters, cases[i].filters[1] != NULL ? 2 : 1,
                                    collect_name, &names, &err),
                  &err);
        assert_string_equal(ol_buf_str(&names), cases[i].names);
    }
}

static void stat_in_walk(void **state)
{
    struct snap *s = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    snap_committed(s, "stats-in-walk-c1", NULL);
    snap_committed(s, "stats-in-walk-c2", "stats-in-walk-c1");
    snap_prepare(s, "stats-in-walk-a1", "stats-in-walk-c2");
    snap_view_of(s, "stats-in-walk-v1", "stats-in-walk-c2");
    assert_ok(ol_snapshots_walk(s->sn, NULL, 0, find_by_name, s, &err), &err);
}

static int remove_it(const struct ol_snapshot_info *info, void *data, struct ol_error *err)
{
    struct snap *s = data;

    (void)err;
    if (info->kind != OL_SNAPSHOT_COMMITTED)
        snap_remove(s, info->name);
    return 0;
}

/* containerd lists this as not yet written; bbolt may deadlock on it. */
static void remove_in_walk(void **state)
{
    struct snap *s = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    snap_committed(s, "c", NULL);
    snap_prepare(s, "a", "c");
    snap_view_of(s, "v", "c");
    assert_ok(ol_snapshots_walk(s->sn, NULL, 0, remove_it, s, &err), &err);
    assert_int_equal(snap_code(s, "a"), -ENOENT);
    assert_int_equal(snap_code(s, "v"), -ENOENT);
    snap_remove(s, "c");
}

/* ---- mounts ---- */

static void view_readonly(void **state)
{
    struct snap *s = *state;
    ol_auto_free char *path = NULL;
    ol_auto_free char *file = NULL;

    suite_require_mounts();
    snap_committed(s, "committed", NULL);
    snap_view_of(s, "view", "committed");
    path = snap_mount(s, "view", "m");
    assert_true(asprintf(&file, "%s/testfile", path) > 0);
    assert_int_equal(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0777), -1);
    assert_int_equal(errno, EROFS);
    snap_unmount(path);
    snap_remove(s, "view");
    snap_remove(s, "committed");
}

static void root_permission(void **state)
{
    struct snap *s = *state;
    ol_auto_free char *path = NULL;
    struct stat st;
    mode_t mask = umask(0);

    suite_require_mounts();
    snap_prepare(s, "preparing", NULL);
    path = snap_mount(s, "preparing", "m");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0755);
    snap_unmount(path);
    (void)umask(mask);
}

/* ---- the direct view's own ---- */

static void direct__view_is_readonly(void **state)
{
    struct snap *s = *state;
    ol_auto_free char *path = NULL;
    struct stat st;

    snap_prepare(s, "active", NULL);
    path = snap_mount(s, "active", "m");
    play_file(path, "/foo", "foo", 0644);
    assert_int_equal(ol_rootfs_lstat(direct_at(path), "", &st, NULL), 0);
    assert_int_equal(st.st_mode & 0777, 0755);
    snap_unmount(path);
    snap_commit(s, "committed", "active");
    snap_view_of(s, "view", "committed");
    snap_view_of(s, "empty", NULL);
    free(path);
    path = snap_mount(s, "view", "m");
    assert_int_equal(ol_rootfs_create(direct_at(path), "bar", 0644, "x", 1, NULL), -EROFS);
    assert_int_equal(ol_rootfs_unlink(direct_at(path), "foo", NULL), -EROFS);
    snap_unmount(path);
    free(path);
    path = snap_mount(s, "empty", "m");
    assert_int_equal(ol_rootfs_mkdir(direct_at(path), "bar", 0755, NULL), -EROFS);
    snap_unmount(path);
}

static void direct__committed_has_no_root(void **state)
{
    struct snap *s = *state;
    struct ol_rootfs *fs = NULL;

    snap_committed(s, "c", NULL);
    assert_int_equal(ol_snapshots_open_rootfs(s->sn, "c", &fs, NULL), -EBUSY);
    assert_int_equal(ol_snapshots_open_rootfs(s->sn, "none", &fs, NULL), -ENOENT);
}

static bool enter_userns(void)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const char *tmp = getenv("TMPDIR");
    enum ol_view chosen;
    int r = ol_view_choose(tmp != NULL ? tmp : "/tmp", OL_VIEW_USERNS, &chosen, &err);

    if (r == 0)
        r = ol_view_enter_userns(&err);
    if (r < 0)
        print_message("SKIP snapshot__in_a_user_namespace: %s\n", ol_error_text(&err));
    snap_view = OL_VIEW_USERNS;
    in_userns = true;
    return r == 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        snap_test(basic),
        snap_test(stat_active),
        snap_test(stat_committed_while_mounted),
        snap_test(transitivity),
        snap_test(prepare_view_failing),
        snap_test(update),
        snap_test(remove_frees_keys_and_names),
        snap_test(walk),
        snap_test(remove_intermediate_snapshot),
        snap_test(stat_in_walk),
        snap_test(remove_in_walk),
        snap_test(close_twice),
        snap_test(view_readonly),   /* these two look at a mount; */
        snap_test(root_permission), /* direct[] has theirs */
    };
    const struct CMUnitTest direct[] = {
        snap_test(direct__view_is_readonly),
        snap_test(direct__committed_has_no_root),
    };
    int failed;

    if (argc > 1 && strcmp(argv[1], "--userns") == 0 && !enter_userns())
        return 0;
    snap_async = argc > 1 && strcmp(argv[1], "--async") == 0;
    if (argc > 1 && strcmp(argv[1], "--direct") == 0) {
        snap_view = OL_VIEW_DIRECT;
        failed = _cmocka_run_group_tests("snapshot suite, direct", tests, OL_ARRAY_LEN(tests) - 2,
                                         NULL, NULL);
        failed += cmocka_run_group_tests_name("snapshot, direct", direct, NULL, NULL);
        return failed + suite_run_layers();
    }
    failed = cmocka_run_group_tests_name("snapshot suite", tests, NULL, NULL);
    return failed + suite_run_layers();
}
