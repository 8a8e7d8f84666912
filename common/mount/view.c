/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding out what this process can do, by doing it; see view.h. Each trial runs in a child with a
 * mount namespace of its own: whatever it mounts is gone when it ends, and the caller's namespaces
 * and ids stay as they are. The child answers through a pipe.
 */
#include "common/mount/view.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/fs/whiteout.h"
#include "common/fs/xattr.h"
#include "common/io.h"
#include "common/mount/overlay.h"
#include "common/mount/userns.h"

#include <fcntl.h>
#include <libgen.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const names[] = {
    [OL_VIEW_AUTO] = "auto",
    [OL_VIEW_KERNEL] = "kernel",
    [OL_VIEW_USERNS] = "userns",
    [OL_VIEW_DIRECT] = "direct",
};

const char *ol_view_name(enum ol_view view)
{
    return (size_t)view < OL_ARRAY_LEN(names) ? names[view] : "?";
}

int ol_view_parse(const char *name, enum ol_view *ret, struct ol_error *err)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum ol_view)i;
            return 0;
        }
    }
    return ol_error_set(err, -EINVAL, "'%s' is not a view: auto, kernel, userns or direct", name);
}

/* What a trial says about itself, through a pipe. */
struct answer {
    int code;
    bool entered; /* the namespaces were made */
    bool ranges;
    char text[600];
};

/* --- the trial mount --- */

static int trial_prepare(int dir_fd, struct ol_error *err)
{
    static const char *const dirs[] = {"lower", "lower/opaque", "upper", "work", "merged"};

    for (size_t i = 0; i < OL_ARRAY_LEN(dirs); i++)
        if (mkdirat(dir_fd, dirs[i], 0755) < 0)
            return ol_error_sys(err, errno, "cannot make directory '%s'", dirs[i]);
    return ol_fs_write_file(dir_fd, "lower/gone", "x", 1, 0644, err);
}

/* Deleting must leave a whiteout, and a directory that replaces another must be opaque. */
static int trial_use(int dir_fd, enum ol_overlay_ns ns, struct ol_error *err)
{
    struct stat st;

    if (unlinkat(dir_fd, "merged/gone", 0) < 0 ||
        unlinkat(dir_fd, "merged/opaque", AT_REMOVEDIR) < 0 ||
        mkdirat(dir_fd, "merged/opaque", 0755) < 0)
        return ol_error_sys(err, errno, "cannot change files in an overlay mount here");
    if (fstatat(dir_fd, "upper/gone", &st, AT_SYMLINK_NOFOLLOW) < 0 || !ol_whiteout_is(&st))
        return ol_error_set(err, -ENOTSUP, "overlay does not store deletions here");
    if (!ol_whiteout_is_opaque(dir_fd, "upper/opaque", ns))
        return ol_error_set(err, -ENOTSUP, "overlay cannot keep '%s' on this file system",
                            ol_whiteout_opaque_attr(ns));
    return 0;
}

static int trial_mount(const char *path, enum ol_overlay_ns ns, struct ol_error *err)
{
    static const char *const lower = "lower";
    const struct ol_overlay_spec spec = {.base = path,
                                         .lowers = &lower,
                                         .n_lowers = 1,
                                         .upper = "upper",
                                         .work = "work",
                                         .target = "merged",
                                         .userxattr = ns == OL_OVERLAY_USER};
    ol_auto_fd int dir_fd = ol_fs_open_dir(AT_FDCWD, path);
    int r;

    if (dir_fd < 0)
        return ol_error_sys(err, -dir_fd, "cannot open '%s'", path);
    r = trial_prepare(dir_fd, err);
    if (r == 0)
        r = ol_overlay_mount(&spec, err);
    return r < 0 ? r : trial_use(dir_fd, ns, err);
}

/* What the direct view writes into an upper directory by itself. */
static int trial_marks(const char *path, struct answer *answer, struct ol_error *err)
{
    ol_auto_fd int dir_fd = ol_fs_open_dir(AT_FDCWD, path);
    ol_auto_fd int opaque_fd = -1;
    int r;

    answer->entered = true;
    if (dir_fd < 0)
        return ol_error_sys(err, -dir_fd, "cannot open '%s'", path);
    r = trial_prepare(dir_fd, err);
    if (r < 0)
        return r;
    r = ol_whiteout_make(dir_fd, "upper/gone");
    if (r < 0)
        return ol_error_sys(err, -r, "cannot make whiteouts (character device 0/0) here");
    opaque_fd = ol_fs_open_dir(dir_fd, "lower/opaque");
    if (opaque_fd < 0)
        return ol_error_sys(err, -opaque_fd, "cannot open '%s'", "lower/opaque");
    r = ol_whiteout_set_opaque(opaque_fd, OL_OVERLAY_USER);
    return r < 0 ? ol_error_sys(err, -r, "cannot set '%s' on this file system",
                                ol_whiteout_opaque_attr(OL_OVERLAY_USER))
                 : 0;
}

/* --- trials in a child --- */

typedef int trial_fn(const char *path, struct answer *answer, struct ol_error *err);

static int trial_kernel(const char *path, struct answer *answer, struct ol_error *err)
{
    int r = ol_view_private_mounts(err);

    if (r < 0)
        return r;
    answer->entered = true;
    return trial_mount(path, OL_OVERLAY_TRUSTED, err);
}

static int trial_userns(const char *path, struct answer *answer, struct ol_error *err)
{
    int r = ol_userns_enter(&answer->ranges, err);

    if (r < 0)
        return r;
    answer->entered = true;
    return trial_mount(path, OL_OVERLAY_USER, err);
}

static void trial_child(trial_fn *fn, const char *path, int out_fd)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct answer answer = {0};

    answer.code = fn(path, &answer, &err);
    if (answer.code < 0)
        (void)snprintf(answer.text, sizeof answer.text, "%s", ol_error_text(&err)); /* may be cut */
    _exit(ol_io_write(out_fd, &answer, sizeof answer) < 0 ? 1 : 0);
}

static int run_trial(trial_fn *fn, const char *path, struct answer *ret, struct ol_error *err)
{
    ol_auto_fd int read_fd = -1, write_fd = -1;
    int ends[2];
    ssize_t n;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return ol_error_sys(err, errno, "cannot make a pipe");
    read_fd = ends[0];
    write_fd = ends[1];
    pid = fork();
    if (pid < 0)
        return ol_error_sys(err, errno, "cannot make a process");
    if (pid == 0)
        trial_child(fn, path, write_fd);
    ol_fd_close(&write_fd);
    n = ol_io_read(read_fd, ret, sizeof *ret);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (n != (ssize_t)sizeof *ret)
        return ol_error_set(err, -EIO, "the process that tried an overlay mount died");
    return 0;
}

/* --- probing a directory --- */

/* dir, or the nearest ancestor that is a directory. */
static int open_existing(const char *dir, char **ret_path, struct ol_error *err)
{
    ol_auto_free char *path = strdup(dir);
    int fd;

    if (path == NULL)
        return ol_error_nomem(err);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == ENOENT && strcmp(path, "/") != 0 && strcmp(path, ".") != 0) {
        char *parent = strdup(dirname(path));

        free(path);
        path = parent;
        if (path == NULL)
            return ol_error_nomem(err);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0)
        return ol_error_sys(err, errno, "cannot open directory '%s'", dir);
    *ret_path = realpath(path, NULL);
    if (*ret_path == NULL) {
        int r = ol_error_sys(err, errno, "cannot resolve '%s'", path);
        (void)close(fd); /* a directory opened for reading */
        return r;
    }
    return fd;
}

/* Run one trial in a temporary directory of its own. */
static int probe_one(int dir_fd, const char *dir, trial_fn *fn, struct answer *ret,
                     struct ol_error *err)
{
    ol_auto_free char *name = NULL;
    ol_auto_free char *path = NULL;
    int r = ol_fs_mkdir_temp(dir_fd, ".overlab-probe-", &name, err);

    if (r < 0)
        return ol_error_wrap(err, r, "trying what works in '%s'", dir);
    if (asprintf(&path, "%s/%s", dir, name) < 0) {
        path = NULL;
        r = ol_error_nomem(err);
    } else
        r = run_trial(fn, path, ret, err);
    (void)ol_tree_remove(dir_fd, name, NULL); /* doctor lists what a dead file system keeps */
    return r;
}

/* Where the answer of each view's trial goes. */
static int keep_answer(enum ol_view view, struct answer *answer, struct ol_view_probe *probe)
{
    bool works = answer->code == 0;
    char *why;

    answer->text[sizeof answer->text - 1] = '\0';
    why = works ? NULL : strdup(answer->text);
    if (view == OL_VIEW_KERNEL) {
        probe->kernel_mount = works;
        probe->kernel_code = answer->code;
        probe->kernel_why = why;
    } else if (view == OL_VIEW_USERNS) {
        probe->userns = answer->entered;
        probe->id_ranges = answer->ranges;
        probe->userns_mount = works;
        probe->userns_code = answer->code;
        probe->userns_why = why;
    } else {
        probe->direct = works;
        probe->direct_code = answer->code;
        probe->direct_why = why;
    }
    return works || why != NULL ? 0 : -ENOMEM;
}

/*
 * Try the views in order of preference: all of them, one of them (want), or those up to the first
 * that works. A trial costs some milliseconds, and commands that do one small step choose as well.
 */
static int probe_views(const char *dir, enum ol_view want, bool all, struct ol_view_probe *ret,
                       struct ol_error *err)
{
    static trial_fn *const trials[] = {
        [OL_VIEW_KERNEL] = trial_kernel,
        [OL_VIEW_USERNS] = trial_userns,
        [OL_VIEW_DIRECT] = trial_marks,
    };
    ol_auto_free char *path = NULL;
    ol_auto_fd int dir_fd = open_existing(dir, &path, err);
    struct ol_view_probe probe = {0};
    int r = dir_fd < 0 ? dir_fd : 0;
    bool done = false;

    for (int view = OL_VIEW_KERNEL; view <= OL_VIEW_DIRECT && r == 0 && !done; view++) {
        struct answer answer = {0};

        if (want != OL_VIEW_AUTO && (int)want != view)
            continue;
        r = probe_one(dir_fd, path, trials[view], &answer, err);
        if (r == 0 && keep_answer((enum ol_view)view, &answer, &probe) < 0)
            r = ol_error_nomem(err);
        done = !all && answer.code == 0;
    }
    if (r < 0) {
        ol_view_probe_fini(&probe);
        return r;
    }
    *ret = probe;
    return 0;
}

int ol_view_probe_dir(const char *dir, struct ol_view_probe *ret, struct ol_error *err)
{
    return probe_views(dir, OL_VIEW_AUTO, true, ret, err);
}

void ol_view_probe_fini(struct ol_view_probe *probe)
{
    free(probe->kernel_why);
    free(probe->userns_why);
    free(probe->direct_why);
    *probe = (struct ol_view_probe){0};
}

/* --- choosing --- */

/* Whatever the reason was, "this view is not possible here" has one of two codes. */
static int refuse(enum ol_view view, int code, const char *why, const char *remedy,
                  struct ol_error *err)
{
    return ol_error_set(err, code == -EPERM || code == -EACCES ? -EPERM : -ENOTSUP,
                        "view '%s' is not possible on this host: %s; %s", ol_view_name(view), why,
                        remedy);
}

int ol_view_pick(const struct ol_view_probe *probe, enum ol_view want, enum ol_view *ret,
                 struct ol_error *err)
{
    if (want == OL_VIEW_AUTO)
        want = probe->kernel_mount   ? OL_VIEW_KERNEL
               : probe->userns_mount ? OL_VIEW_USERNS
                                     : OL_VIEW_DIRECT;
    if (want == OL_VIEW_KERNEL && !probe->kernel_mount)
        return refuse(want, probe->kernel_code, probe->kernel_why,
                      "run as root, or use --view userns or --view direct", err);
    if (want == OL_VIEW_USERNS && !probe->userns_mount)
        return refuse(want, probe->userns_code, probe->userns_why,
                      "run as root with --view kernel, or use --view direct", err);
    if (want == OL_VIEW_DIRECT && !probe->direct)
        return refuse(want, probe->direct_code, probe->direct_why,
                      "use a directory on a file system with user.* attributes", err);
    *ret = want;
    return 0;
}

int ol_view_choose(const char *dir, enum ol_view want, enum ol_view *ret, struct ol_error *err)
{
    struct ol_view_probe probe = {0};
    int r = probe_views(dir, want, false, &probe, err);

    if (r < 0)
        return r;
    r = ol_view_pick(&probe, want, ret, err);
    ol_view_probe_fini(&probe);
    return r;
}

bool ol_view_can_keep_owner(const char *dir)
{
    static const id_t ids[] = {1, 1000, 65534};
    ol_auto_fd int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
        ol_auto_free char *path = NULL;

        if (asprintf(&path, "%s/.overlab-owner-XXXXXX", dir) < 0)
            return false;
        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0)
            (void)unlink(path); /* only the descriptor is used */
    }
    for (size_t i = 0; fd >= 0 && i < OL_ARRAY_LEN(ids); i++)
        if (fchown(fd, ids[i], ids[i]) < 0)
            return false;
    return fd >= 0;
}
