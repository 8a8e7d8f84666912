/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlay mounts in three forms; see overlay.h. The first that fits is used, and nothing is ever
 * handed to the kernel that it would cut: lengths are known before the call. Relative names need a
 * working directory, which belongs to the whole process; a short-lived thread with a working
 * directory of its own (unshare CLONE_FS) makes those mounts.
 */
#include "common/mount/overlay.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fault.h"
#include "common/limits.h"
#include "common/mount/fsconfig.h"
#include "common/trace.h"

#include <fcntl.h>
#include <libmount/libmount.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

/* What separates and quotes in overlay's option string; see name_is_plain(). */
static const char separators[] = ",:\\\"";

/* From this release on libmount hands each option to fsconfig(2), whose values end at 255 bytes:
 * four lower directories with long names already fail (util-linux issue 2287). */
enum { LIBMOUNT_SPLITS_OPTIONS = 2390 };

static bool name_is_plain(const char *name)
{
    return strpbrk(name, separators) == NULL;
}

/* A name the option string can carry and that starts below base. */
static int check_name(const char *what, const char *name, struct ol_error *err)
{
    if (name == NULL || name[0] == '\0' || name[0] == '/')
        return ol_error_set(err, -EINVAL, "overlay %s '%s' is not a relative name", what,
                            name == NULL ? "" : name);
    if (!name_is_plain(name))
        return ol_error_set(err, -EINVAL,
                            "overlay %s '%s' has one of %s in it, which mount options cannot carry",
                            what, name, separators);
    return 0;
}

/* The target as directory and name: "" and the rest of an absolute one. */
static const char *target_dir(const struct ol_overlay_spec *spec)
{
    return spec->target[0] == '/' ? "" : spec->base;
}

static const char *target_name(const struct ol_overlay_spec *spec)
{
    return spec->target[0] == '/' ? spec->target + 1 : spec->target;
}

static int check_spec(const struct ol_overlay_spec *spec, struct ol_error *err)
{
    int r = 0;

    if (spec->base == NULL || spec->base[0] != '/')
        return ol_error_set(err, -EINVAL, "overlay base '%s' is not an absolute path",
                            spec->base == NULL ? "" : spec->base);
    if (spec->n_lowers == 0)
        return ol_error_set(err, -EINVAL, "an overlay mount on '%s' needs a lower directory",
                            spec->target == NULL ? "" : spec->target);
    if ((spec->upper == NULL) != (spec->work == NULL))
        return ol_error_set(err, -EINVAL, "upper and work directory go together");
    if (spec->label != NULL && strchr(spec->label, '"') != NULL)
        return ol_error_set(err, -EINVAL, "mount label '%s' has a quote in it", spec->label);
    for (size_t i = 0; i < spec->n_lowers && r == 0; i++)
        r = check_name("lower directory", spec->lowers[i], err);
    if (r == 0 && spec->upper != NULL)
        r = check_name("upper directory", spec->upper, err);
    if (r == 0 && spec->work != NULL)
        r = check_name("work directory", spec->work, err);
    /* The target is an argument of its own: any character is fine there. */
    if (r == 0 && (spec->target == NULL || spec->target[0] == '\0'))
        r = ol_error_set(err, -EINVAL, "an overlay mount needs a target");
    return r;
}

bool ol_overlay_has_index(void)
{
    return access("/sys/module/overlay/parameters/index", F_OK) == 0;
}

/* "key" + base/name; base is "" in the relative form. */
static int put_name(struct ol_buf *buf, const char *key, const char *base, const char *name)
{
    return ol_buf_printf(buf, "%s%s%s%s", key, base, base[0] != '\0' ? "/" : "", name);
}

/* moby's order: flags, lowers, upper and work, label. */
static int build_options(const struct ol_overlay_spec *spec, const char *base, struct ol_buf *buf)
{
    int r = 0;

    if (spec->index_off && ol_overlay_has_index())
        r = ol_buf_puts(buf, "index=off,");
    if (r == 0 && spec->userxattr)
        r = ol_buf_puts(buf, "userxattr,");
    for (size_t i = 0; i < spec->n_lowers && r == 0; i++)
        r = put_name(buf, i == 0 ? "lowerdir=" : ":", base, spec->lowers[i]);
    if (r == 0 && spec->upper != NULL)
        r = put_name(buf, ",upperdir=", base, spec->upper);
    if (r == 0 && spec->work != NULL)
        r = put_name(buf, ",workdir=", base, spec->work);
    if (r == 0 && spec->label != NULL && spec->label[0] != '\0')
        r = ol_buf_printf(buf, ",context=\"%s\"", spec->label);
    return r;
}

int ol_overlay_options(const struct ol_overlay_spec *spec, bool relative, char **ret,
                       struct ol_error *err)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    int r = check_spec(spec, err);

    if (r < 0)
        return r;
    if (!relative && !name_is_plain(spec->base))
        return ol_error_set(err, -EINVAL,
                            "'%s' has one of %s in it, which mount options cannot carry",
                            spec->base, separators);
    if (build_options(spec, relative ? "" : spec->base, &buf) < 0)
        return ol_error_nomem(err);
    *ret = ol_buf_steal(&buf);
    return *ret != NULL ? 0 : ol_error_nomem(err);
}

/* --- the classic mount --- */

/* Exactly these bytes reach mount(2): as mount data libmount neither sorts nor parses them. */
static int mount_libmount(const char *target, char *options)
{
    struct libmnt_context *cxt = mnt_new_context();
    int r;

    if (cxt == NULL)
        return -ENOMEM;
    (void)mnt_context_disable_mtab(cxt, 1); /* setters fail only for a NULL context */
    (void)mnt_context_disable_helpers(cxt, 1);
    (void)mnt_context_disable_canonicalize(cxt, 1);
    (void)mnt_context_disable_swapmatch(cxt, 1);
    (void)mnt_context_force_unrestricted(cxt); /* CAP_SYS_ADMIN decides, not the user id */
    (void)mnt_context_set_optsmode(cxt, MNT_OMODE_NOTAB);
    (void)mnt_context_set_mountdata(cxt, options);
    r = mnt_context_set_source(cxt, "overlay");
    if (r == 0)
        r = mnt_context_set_fstype(cxt, "overlay");
    if (r == 0)
        r = mnt_context_set_target(cxt, target);
    if (r == 0)
        r = mnt_context_mount(cxt); /* positive: errno of mount(2); negative: its own */
    if (mnt_context_syscall_called(cxt) == 1)
        r = -mnt_context_get_syscall_errno(cxt);
    mnt_free_context(cxt);
    return r > 0 ? -r : r;
}

static int mount_classic(const char *target, char *options)
{
    if (mnt_get_library_version(NULL) < LIBMOUNT_SPLITS_OPTIONS)
        return mount_libmount(target, options);
    return mount("overlay", target, "overlay", 0, options) < 0 ? -errno : 0;
}

/* --- in the base directory --- */

/* One mount made with base as working directory. */
struct base_job {
    const struct ol_overlay_spec *spec;
    int base_fd;
    char *options;       /* relative classic mount; NULL: one lower at a time */
    bool explain_only;   /* make no mount, only let the kernel say what it dislikes */
    struct ol_buf words; /* what the kernel said */
    int result;
};

static void *base_thread(void *data)
{
    struct base_job *job = data;

    if (unshare(CLONE_FS) < 0 || fchdir(job->base_fd) < 0)
        job->result = -errno;
    else if (job->options != NULL)
        job->result = mount_classic(job->spec->target, job->options);
    else
        job->result = ol_fsconfig_overlay(job->spec, !job->explain_only, &job->words);
    return NULL;
}

/* Run job in a thread of its own, whose working directory is base. */
static int run_in_base(struct base_job *job)
{
    ol_auto_fd int base_fd = open(job->spec->base, O_PATH | O_DIRECTORY | O_CLOEXEC);
    pthread_t thread;
    int r;

    if (base_fd < 0)
        return -errno;
    job->base_fd = base_fd;
    r = pthread_create(&thread, NULL, base_thread, job);
    if (r != 0)
        return -r;
    (void)pthread_join(thread, NULL); /* fails only for a thread that is not ours */
    return job->result;
}

/* --- saying what went wrong --- */

/* The first directory of the spec that is not there, or NULL. */
static const char *find_missing(const struct ol_overlay_spec *spec, const char **ret_what)
{
    ol_auto_fd int base_fd = open(spec->base, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char *const others[] = {spec->target, spec->upper, spec->work};
    static const char *const what[] = {"target", "upper directory", "work directory"};

    *ret_what = "base directory";
    if (base_fd < 0)
        return spec->base;
    for (size_t i = 0; i < OL_ARRAY_LEN(others); i++) {
        *ret_what = what[i];
        if (others[i] != NULL && faccessat(base_fd, others[i], F_OK, 0) < 0 && errno == ENOENT)
            return others[i];
    }
    *ret_what = "lower directory";
    for (size_t i = 0; i < spec->n_lowers; i++)
        if (faccessat(base_fd, spec->lowers[i], F_OK, 0) < 0 && errno == ENOENT)
            return spec->lowers[i];
    return NULL;
}

static int explain_failure(const struct ol_overlay_spec *spec, int r, struct ol_buf *words,
                           struct ol_error *err)
{
    const char *what;
    const char *missing;

    if (r == -ENODEV)
        return ol_error_set(err, -ENOTSUP,
                            "cannot mount overlay on '%s/%s': this kernel has no overlay file "
                            "system (as root: modprobe overlay)",
                            target_dir(spec), target_name(spec));
    if (r == -EPERM || r == -EACCES)
        return ol_error_sys(err, -r,
                            "cannot mount overlay on '%s/%s' (mounting needs CAP_SYS_ADMIN in the "
                            "user namespace that owns the mount namespace)",
                            target_dir(spec), target_name(spec));
    missing = r == -ENOENT ? find_missing(spec, &what) : NULL;
    if (missing != NULL)
        return ol_error_sys(err, ENOENT, "cannot mount overlay on '%s/%s': %s '%s'",
                            target_dir(spec), target_name(spec), what, missing);
    if (words->len > 0)
        return ol_error_set(err, r, "cannot mount overlay on '%s/%s': %s (%s)", target_dir(spec),
                            target_name(spec), strerror(-r), ol_buf_str(words));
    return ol_error_set(err, r,
                        "cannot mount overlay on '%s/%s': %s (the kernel log may say why: "
                        "dmesg)",
                        target_dir(spec), target_name(spec), strerror(-r));
}

/* mount(2) says EINVAL for everything; a configuration context knows the words. */
static void ask_kernel(const struct ol_overlay_spec *spec, struct ol_buf *words)
{
    struct base_job job = {.spec = spec, .explain_only = true, .words = OL_BUF_INIT};

    (void)run_in_base(&job); /* only the words are wanted; none is fine */
    ol_buf_fini(words);
    *words = job.words;
}

/* --- choosing the form --- */

/* 1 when the absolute form was tried (*ret_result says how it went), 0 when it does not fit. */
static int try_absolute(const struct ol_overlay_spec *spec, int *ret_result)
{
    ol_auto_buf struct ol_buf options = OL_BUF_INIT;
    ol_auto_free char *target = NULL;

    if (!name_is_plain(spec->base))
        return 0;
    if (build_options(spec, spec->base, &options) < 0 ||
        asprintf(&target, "%s/%s", target_dir(spec), target_name(spec)) < 0)
        return -ENOMEM;
    if (options.len > OL_MOUNT_OPTIONS_MAX || strlen(target) >= PATH_MAX)
        return 0;
    ol_trace(OL_TRACE_MOUNT, "mount overlay %s: %s", target, ol_buf_str(&options));
    *ret_result = mount_classic(target, options.data);
    return 1;
}

static int mount_in_base(const struct ol_overlay_spec *spec, struct ol_buf *words, size_t *ret_len)
{
    ol_auto_buf struct ol_buf options = OL_BUF_INIT;
    struct base_job job = {.spec = spec, .words = OL_BUF_INIT};
    int r;

    if (build_options(spec, "", &options) < 0)
        return -ENOMEM;
    *ret_len = options.len;
    if (options.len <= OL_MOUNT_OPTIONS_MAX)
        job.options = options.data;
    ol_trace(OL_TRACE_MOUNT, "mount overlay %s in %s, %s: %s", spec->target, spec->base,
             job.options != NULL ? "relative" : "lowerdir+", ol_buf_str(&options));
    r = run_in_base(&job);
    ol_buf_fini(words);
    *words = job.words;
    return r;
}

int ol_overlay_mount(const struct ol_overlay_spec *spec, struct ol_error *err)
{
    ol_auto_buf struct ol_buf words = OL_BUF_INIT;
    size_t len = 0;
    int result = 0;
    int r = check_spec(spec, err);

    if (r < 0)
        return r;
    if (ol_fault_hit("overlay.mount"))
        return ol_error_sys(err, EIO, "cannot mount overlay on '%s/%s'", target_dir(spec),
                            target_name(spec));
    r = try_absolute(spec, &result);
    if (r < 0)
        return ol_error_nomem(err);
    if (r == 0)
        result = mount_in_base(spec, &words, &len);
    if (result == 0)
        return 0;
    if (result == OL_FSCONFIG_NO_LOWERDIR_PLUS)
        return ol_error_set(err, -E2BIG,
                            "cannot mount overlay on '%s/%s': %zu lower directories make %zu bytes "
                            "of options, the kernel passes on %d, and it cannot take them one by "
                            "one (Linux 6.5 can)",
                            target_dir(spec), target_name(spec), spec->n_lowers, len,
                            OL_MOUNT_OPTIONS_MAX);
    if (result == -EINVAL && words.len == 0)
        ask_kernel(spec, &words);
    return explain_failure(spec, result, &words, err);
}
