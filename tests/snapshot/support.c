/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "direct.h"

#include "common/buf.h"
#include "common/mount/mount.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

bool snap_async;
enum ol_view snap_view = OL_VIEW_AUTO;

void snap_open(struct snap *s)
{
    const struct ol_snapshots_config config = {
        .root = s->root,
        .view = snap_view,
        .keep_owner = geteuid() == 0,
        .async_remove = snap_async,
        .no_sync = true,
    };
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_snapshots_open(&config, &s->sn, &err), &err);
}

int snap_setup(void **state)
{
    struct snap *s = calloc(1, sizeof *s);

    assert_non_null(s);
    test_dir_make(&s->dir);
    assert_true(asprintf(&s->root, "%s/root", s->dir.path) > 0);
    assert_true(asprintf(&s->work, "%s/work", s->dir.path) > 0);
    test_mkdir(s->dir.fd, "work", 0777);
    snap_open(s);
    *state = s;
    return 0;
}

static void print_problem(const char *text, void *data)
{
    (void)data;
    print_error("check: %s\n", text);
}

void snap_assert_sound(struct snap *s)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    unsigned orphans = 0;
    int r = ol_snapshots_cleanup(s->sn, NULL, &err);

    if (r != -ENOENT) /* no snapshot was ever made */
        assert_ok(r, &err);
    assert_int_equal(ol_snapshots_check(s->sn, print_problem, NULL, &orphans, &err), 0);
    if (r == 0)
        assert_int_equal(orphans, 0);
}

int snap_teardown(void **state)
{
    struct snap *s = *state;

    if (s->sn != NULL)
        snap_assert_sound(s);
    ol_snapshots_free(s->sn);
    test_dir_remove(&s->dir);
    free(s->root);
    free(s->work);
    free(s);
    return 0;
}

void snap_prepare(struct snap *s, const char *key, const char *parent)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_snapshots_prepare(s->sn, key, parent, NULL, NULL, &err), &err);
}

void snap_view_of(struct snap *s, const char *key, const char *parent)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_snapshots_view(s->sn, key, parent, NULL, NULL, &err), &err);
}

void snap_commit(struct snap *s, const char *name, const char *key)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_snapshots_commit(s->sn, name, key, NULL, NULL, &err), &err);
}

void snap_remove(struct snap *s, const char *key)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_snapshots_remove(s->sn, key, &err), &err);
}

void snap_committed(struct snap *s, const char *name, const char *parent)
{
    snap_prepare(s, "being-committed", parent);
    snap_commit(s, name, "being-committed");
}

struct ol_snapshot_info snap_stat(struct snap *s, const char *key)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_snapshot_info info = {0};

    assert_ok(ol_snapshots_stat(s->sn, key, &info, &err), &err);
    return info;
}

int snap_code(struct snap *s, const char *key)
{
    ol_auto_snapshot_info struct ol_snapshot_info info = {0};

    return ol_snapshots_stat(s->sn, key, &info, NULL);
}

char *snap_mount(struct snap *s, const char *key, const char *dir)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_snapshot_mount struct ol_snapshot_mount mount = {0};
    char *path = NULL;

    if (snap_view == OL_VIEW_DIRECT)
        return direct_mount(s, key, dir);
    assert_true(asprintf(&path, "%s/%s", s->work, dir) > 0);
    if (mkdir(path, 0755) < 0)
        assert_int_equal(errno, EEXIST);
    assert_ok(ol_snapshots_mounts(s->sn, key, &mount, &err), &err);
    assert_ok(ol_snapshot_mount_at(&mount, path, &err), &err);
    return path;
}

void snap_unmount(const char *path)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    if (snap_view == OL_VIEW_DIRECT) {
        direct_unmount(path);
        return;
    }
    assert_true(ol_mount_is_point(path));
    assert_ok(ol_mount_detach(path, &err), &err);
}

size_t snap_dirs(struct snap *s)
{
    ol_auto_free char *path = NULL;
    ol_auto_dir DIR *dir = NULL;
    size_t n = 0;

    assert_true(asprintf(&path, "%s/snapshots", s->root) > 0);
    dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
        n += e->d_name[0] != '.';
    return n;
}

/* ---- operations ---- */

int snap_do_prepare(struct snap *s)
{
    return ol_snapshots_prepare(s->sn, "new", "base", NULL, NULL, NULL);
}

int snap_do_view(struct snap *s)
{
    return ol_snapshots_view(s->sn, "new", "base", NULL, NULL, NULL);
}

int snap_do_commit(struct snap *s)
{
    return ol_snapshots_commit(s->sn, "done", "active", NULL, NULL, NULL);
}

int snap_do_remove(struct snap *s)
{
    return ol_snapshots_remove(s->sn, "active", NULL);
}

int snap_do_update(struct snap *s)
{
    struct ol_snapshot_info info = {.name = (char[]){"active"}};

    return ol_snapshots_update(s->sn, &info, NULL, 0, NULL, NULL);
}

int snap_note_name(const struct ol_snapshot_info *info, void *buf, struct ol_error *err)
{
    (void)err;
    return ol_buf_printf(buf, "%s:%s ", ol_snapshot_kind_name(info->kind), info->name);
}
