/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a layer's upper directory may be taken for its diff (moby overlay2/check.go). Two kernel
 * behaviours forbid it: copying up the opaque mark (before Linux 4.8), which would delete content
 * of the parent, and directory renames by redirect, which a tar cannot say. Both are tried in a
 * real mount, once, when first asked.
 *
 * In a user namespace moby 20.10 never uses native diff; from 27.0 it tries there too, with
 * user.overlay attributes. overlab does the latter, so that both views count the same.
 */
#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/fs/whiteout.h"
#include "common/fs/xattr.h"
#include "common/mount/mount.h"
#include "common/mount/overlay.h"
#include "common/trace.h"
#include "drivers/layers.h"
#include "drivers/overlay2/overlay2.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static int make_dirs(int test_fd, struct ol_error *err)
{
    static const char *const names[] = {"l1",   "l1/d", "l1/d1", "l2",
                                        "l2/d", "l3",   "work",  "merged"};

    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++)
        if (ol_fault_hit("mkdirat") || mkdirat(test_fd, names[i], 0755) < 0)
            return ol_error_sys(err, errno, "cannot make '%s'", names[i]);
    return 0;
}

static int mark_opaque(int test_fd, enum ol_overlay_ns ns, struct ol_error *err)
{
    ol_auto_fd int fd = openat(test_fd, "l2/d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 ? -errno : ol_whiteout_set_opaque(fd, ns);

    return r < 0 ? ol_error_sys(err, -r, "cannot mark a directory opaque") : 0;
}

/* Did the kernel copy the mark up with the directory? */
static int try_opaque(int test_fd, enum ol_overlay_ns ns, struct ol_error *err)
{
    ol_auto_fd int fd = openat(test_fd, "merged/d/f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    ol_auto_fd int upper_fd = -1;

    if (fd < 0)
        return ol_error_sys(err, errno, "cannot write through the mount");
    upper_fd = openat(test_fd, "l3", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (upper_fd < 0)
        return ol_error_sys(err, errno, "cannot open the upper directory");
    if (ol_whiteout_is_opaque(upper_fd, "d", ns))
        return ol_error_set(err, -ENOTSUP, "the kernel copies up the opaque mark (Linux < 4.8)");
    return 0;
}

/* Does a directory rename leave a redirect behind? */
static int try_redirect(int test_fd, enum ol_overlay_ns ns, struct ol_error *err)
{
    const char *attr = ns == OL_OVERLAY_TRUSTED ? "trusted.overlay.redirect"
                                                : "user.overlay.redirect";
    ol_auto_fd int upper_fd = -1;
    char value[16];
    ssize_t n;

    if (renameat(test_fd, "merged/d1", test_fd, "merged/d2") < 0) {
        if (errno == EXDEV) /* redirect_dir=off */
            return 0;
        return ol_error_sys(err, errno, "cannot rename a directory in the mount");
    }
    upper_fd = openat(test_fd, "l3", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (upper_fd < 0)
        return ol_error_sys(err, errno, "cannot open the upper directory");
    n = ol_xattr_get(upper_fd, "d2", attr, value, sizeof(value));
    if (n == 2 && memcmp(value, "d1", 2) == 0)
        return ol_error_set(err, -ENOTSUP,
                            "the kernel renames directories by redirect "
                            "(redirect_dir=on)");
    return 0;
}

static int try_mounted(struct overlay2 *o, const char *base, int test_fd, struct ol_error *err)
{
    static const char *const lowers[] = {"l2", "l1"};
    const struct ol_overlay_spec spec = {
        .base = base,
        .lowers = lowers,
        .n_lowers = OL_ARRAY_LEN(lowers),
        .upper = "l3",
        .work = "work",
        .target = "merged",
        .userxattr = o->mounted.base.config.view == OL_VIEW_USERNS,
    };
    enum ol_overlay_ns ns = ol_driver_ns(&o->mounted.base);
    ol_auto_free char *merged = NULL;
    int r = mark_opaque(test_fd, ns, err);

    if (r == 0 && asprintf(&merged, "%s/merged", base) < 0)
        r = ol_error_nomem(err);
    if (r == 0)
        r = ol_overlay_mount(&spec, err);
    if (r < 0)
        return r;
    r = try_opaque(test_fd, ns, err);
    if (r == 0)
        r = try_redirect(test_fd, ns, err);
    if (r == 0)
        return ol_mount_detach(merged, err);
    (void)ol_mount_detach(merged, NULL); /* report the first error, not this one */
    return r;
}

static int try_native(struct overlay2 *o, struct ol_error *err)
{
    ol_auto_free char *name = NULL;
    ol_auto_free char *base = NULL;
    ol_auto_fd int test_fd = -1;
    int r = ol_fs_mkdir_temp(o->mounted.base.home_fd, OL_LAYER_TEST, &name, err);

    if (r < 0)
        return r;
    test_fd = ol_layer_subdir(o->mounted.base.home_fd, name, err);
    r = test_fd < 0 ? test_fd : make_dirs(test_fd, err);
    if (r == 0)
        r = ol_driver_layer_path(&o->mounted.base, name, NULL, &base, err);
    if (r == 0)
        r = try_mounted(o, base, test_fd, err);
    (void)ol_tree_remove(o->mounted.base.home_fd, name, NULL); /* else the next open removes it */
    return r;
}

bool overlay2_native(struct overlay2 *o)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    bool native;

    if (o->mounted.base.config.view == OL_VIEW_DIRECT)
        return true; /* the upper is written by us: no redirects, no copied marks */
    (void)pthread_mutex_lock(&o->once); /* a default mutex of ours: no error is possible */
    if (!o->native_known) {
        o->native = try_native(o, &err) == 0;
        o->native_known = true;
        if (!o->native) {
            ol_trace(OL_TRACE_DRIVER, "overlay2: native diff is off: %s", ol_error_text(&err));
            o->native_why = err.message != NULL ? strdup(err.message) : NULL;
        }
    }
    native = o->native;
    (void)pthread_mutex_unlock(&o->once);
    return native;
}
