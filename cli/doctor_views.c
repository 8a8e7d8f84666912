/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Findings of "overlab doctor" about mounting: the views, the kernel's overlay and its parameters,
 * and the drivers, which are opened for real in a child that enters the view auto picks. The child
 * answers with a JSON object through a pipe.
 */
#include "cli/doctor.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/io.h"
#include "common/limits.h"
#include "common/mount/fsconfig.h"
#include "drivers/driver.h"

#include <fcntl.h>
#include <sys/wait.h>

/* --- views --- */

static void add_view(struct doctor *d, enum ol_view view, bool works, const char *why,
                     const char *proof, const char *remedy)
{
    ol_auto_free char *check = NULL;
    bool picked = d->any_view && d->view == view;

    if (asprintf(&check, "view %s", ol_view_name(view)) < 0) {
        check = NULL;
        d->nomem = true;
        return;
    }
    if (works)
        doctor_add(d, check, DOCTOR_OK, proof, NULL, "works%s", picked ? "; auto picks it" : "");
    else
        doctor_add(d, check, DOCTOR_NO, proof, remedy, "%s", why);
}

static void add_id_ranges(struct doctor *d)
{
    static const char proof[] = "entered a user namespace and mapped ids";

    if (!d->probe.userns)
        return; /* the view userns says why */
    if (d->probe.id_ranges)
        doctor_add(d, "id ranges", DOCTOR_OK, proof, NULL,
                   "the user namespace has more than one id: layers keep their owners");
    else
        doctor_add(d, "id ranges", DOCTOR_NOTE, proof,
                   "as root: apt-get install uidmap, and give the user a line in /etc/subuid and "
                   "/etc/subgid, such as NAME:100000:65536",
                   "the user namespace has a single id: files lose their owners in the view "
                   "userns, inode counts stay the same");
}

void doctor_check_views(struct doctor *d)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    int r = ol_view_probe_dir(d->dir, &d->probe, &err);

    if (r < 0) {
        doctor_add(d, "views", DOCTOR_NO, "made a directory for the trial",
                   "ask about a directory that can be written: overlab doctor DIR", "%s",
                   ol_error_text(&err));
        return;
    }
    d->probed = true;
    d->any_view = ol_view_pick(&d->probe, OL_VIEW_AUTO, &d->view, NULL) == 0;
    add_view(d, OL_VIEW_KERNEL, d->probe.kernel_mount, d->probe.kernel_why,
             "mounted an overlay with trusted.* attributes, deleted and replaced a directory in it",
             "run as root, or stay with the view auto picks");
    add_view(d, OL_VIEW_USERNS, d->probe.userns_mount, d->probe.userns_why,
             "the same with userxattr in a user namespace", NULL);
    add_view(d, OL_VIEW_DIRECT, d->probe.direct, d->probe.direct_why,
             "made a whiteout and a user.overlay.opaque attribute",
             "use a directory on a file system with user.* attributes (ext4, xfs, btrfs)");
    add_id_ranges(d);
}

/* --- the kernel's overlay --- */

/* Lines are "nodev\toverlay"; a module that is not loaded yet is missing here and still works. */
static bool is_registered(void)
{
    ol_auto_file FILE *file = fopen("/proc/filesystems", "re");
    ol_auto_free char *line = NULL;
    size_t cap = 0;

    while (file != NULL && getline(&line, &cap, file) > 0)
        if (strcmp(line, "nodev\toverlay\n") == 0)
            return true;
    return false;
}

/* 'Y', 'N', or '\0' when the kernel has no such parameter. */
static char parameter(const char *name)
{
    ol_auto_free char *path = NULL;
    ol_auto_fd int fd = -1;
    char value = '\0';

    if (asprintf(&path, "/sys/module/overlay/parameters/%s", name) < 0) {
        path = NULL;
        return '\0';
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, &value, 1) == 1 ? value : '\0';
}

static void check_parameters(struct doctor *d)
{
    static const struct {
        const char *name;
        enum doctor_state state;
        const char *meaning;
    } params[] = {
        {"redirect_dir", DOCTOR_WARNING,
         "renamed directories are stored as redirects: overlay2 cannot use its native diff"},
        {"metacopy", DOCTOR_WARNING,
         "a chmod copies up no data: upper directories are incomplete and commits measure less"},
        {"index", DOCTOR_NOTE, "overlay2 mounts say index=off, overlay mounts keep an index"},
        {"nfs_export", DOCTOR_NOTE, "it needs the index, which overlay2 mounts switch off"},
    };
    bool all = true;

    for (size_t i = 0; i < OL_ARRAY_LEN(params); i++) {
        ol_auto_free char *check = NULL;
        ol_auto_free char *remedy = NULL;

        if (parameter(params[i].name) != 'Y')
            continue;
        all = false;
        if (asprintf(&check, "overlay %s", params[i].name) < 0 ||
            asprintf(&remedy, "as root: echo N > /sys/module/overlay/parameters/%s",
                     params[i].name) < 0) {
            d->nomem = true;
            return;
        }
        doctor_add(d, check, params[i].state, "/sys/module/overlay/parameters", remedy, "on: %s",
                   params[i].meaning);
    }
    if (all && is_registered())
        doctor_add(d, "overlay parameters", DOCTOR_OK, "/sys/module/overlay/parameters", NULL,
                   "redirect_dir, metacopy, index and nfs_export are off, as the drivers expect");
}

void doctor_check_kernel(struct doctor *d)
{
    if (is_registered())
        doctor_add(d, "overlay", DOCTOR_OK, "/proc/filesystems", NULL, "the kernel has it");
    else if (d->probed && (d->probe.kernel_mount || d->probe.userns_mount))
        doctor_add(d, "overlay", DOCTOR_OK, "a mount loaded the module", NULL, "the kernel has it");
    else
        doctor_add(d, "overlay", DOCTOR_NO, "/proc/filesystems", "as root: modprobe overlay",
                   "the kernel has no overlay file system, or it is not loaded");
    check_parameters(d);
}

/* --- drivers, in a child --- */

static json_t *status_json(struct ol_driver *drv)
{
    ol_auto_pairs struct ol_pairs pairs = {0};
    json_t *status = json_object();

    if (status == NULL || ol_driver_status(drv, &pairs, NULL) < 0)
        return status;
    for (size_t i = 0; i < pairs.count; i++)
        (void)json_object_set_new(status, pairs.items[i].key, json_string(pairs.items[i].value));
    return status; /* a pair lost for want of memory is a finding less */
}

/* Open one driver in home/<name> and ask it. */
static json_t *try_driver(const char *name, const char *home, enum ol_view view)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = NULL;
    struct ol_driver_config config = {.view = view};
    struct ol_driver *drv = NULL;
    json_t *ret;

    if (asprintf(&path, "%s/%s", home, name) < 0) {
        path = NULL;
        return NULL;
    }
    config.home = path;
    config.keep_owner = ol_view_can_keep_owner(home);
    if (ol_driver_open(name, &config, &drv, &err) < 0)
        return json_pack("{s:s}", "why", ol_error_text(&err));
    ret = json_pack("{s:o, s:b}", "status", status_json(drv), "keep_owner", config.keep_owner);
    ol_driver_close(drv);
    return ret;
}

static void child_main(const char *home, enum ol_view view, int out_fd)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *text = NULL;
    json_t *answer = json_object();
    int r = 0;

    if (view == OL_VIEW_KERNEL)
        r = ol_view_private_mounts(&err);
    else if (view == OL_VIEW_USERNS)
        r = ol_view_enter_userns(&err);
    if (r < 0 || answer == NULL)
        _exit(1);
    for (const char *const *name = ol_driver_names(); *name != NULL; name++)
        (void)json_object_set_new(answer, *name, try_driver(*name, home, view)); /* less to say */
    (void)json_object_set_new(answer, "lowerdir+", json_boolean(ol_fsconfig_has_lowerdir_plus()));
    text = json_dumps(answer, JSON_COMPACT);
    _exit(text != NULL && ol_io_write(out_fd, text, strlen(text)) == 0 ? 0 : 1);
}

/* @return the child's answer, owned by the caller; NULL when it died */
static json_t *ask_child(const char *home, enum ol_view view)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    ol_auto_fd int read_fd = -1, write_fd = -1;
    char block[4096];
    int ends[2];
    ssize_t n;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return NULL;
    read_fd = ends[0];
    write_fd = ends[1];
    pid = fork();
    if (pid == 0)
        child_main(home, view, write_fd);
    ol_fd_close(&write_fd);
    while (pid > 0 && (n = ol_io_read(read_fd, block, sizeof block)) > 0)
        if (ol_buf_append(&text, block, (size_t)n) < 0)
            break;
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return json_loads(ol_buf_str(&text), 0, NULL);
}

static void report_native(struct doctor *d, const json_t *status)
{
    const char *native = json_string_value(json_object_get(status, "Native Overlay Diff"));
    static const char proof[] =
        "overlay2's own trial: a copied-up opaque mark, a renamed directory";

    if (native == NULL)
        return;
    if (strcmp(native, "true") == 0)
        doctor_add(d, "native diff", DOCTOR_OK, proof, NULL,
                   "overlay2 takes the upper directory for the diff");
    else
        doctor_add(d, "native diff", DOCTOR_WARNING, proof,
                   "as root: echo N > /sys/module/overlay/parameters/redirect_dir",
                   "off: overlay2 compares whole trees, as the legacy driver does");
}

static void report_drivers(struct doctor *d, const json_t *answer)
{
    for (const char *const *name = ol_driver_names(); *name != NULL; name++) {
        const json_t *driver = json_object_get(answer, *name);
        const char *why = json_string_value(json_object_get(driver, "why"));
        ol_auto_free char *check = NULL;

        if (asprintf(&check, "driver %s", *name) < 0) {
            check = NULL;
            d->nomem = true;
            return;
        }
        if (driver == NULL || why != NULL)
            doctor_add(d, check, DOCTOR_NO, "opened it in an empty directory",
                       "see what the views say", "%s", why != NULL ? why : "gave no answer");
        else
            doctor_add(d, check, DOCTOR_OK, "opened it in an empty directory", NULL,
                       "works in the view %s", ol_view_name(d->view));
    }
}

static void report_lowerdir_plus(struct doctor *d, const json_t *answer)
{
    static const char proof[] = "fsconfig(\"lowerdir+\") on a context that was dropped";

    if (d->view == OL_VIEW_DIRECT)
        return; /* nothing is mounted there */
    if (json_is_true(json_object_get(answer, "lowerdir+")))
        doctor_add(d, "mount options", DOCTOR_OK, proof, NULL,
                   "mount(2) passes %d bytes on; longer chains go one lower directory at a time",
                   OL_MOUNT_OPTIONS_MAX);
    else
        doctor_add(d, "mount options", DOCTOR_NOTE, proof, "use Linux 6.5 or newer",
                   "mount(2) passes %d bytes on, about %d layers; longer chains are refused",
                   OL_MOUNT_OPTIONS_MAX, OL_MAX_LOWER_DIRS);
}

void doctor_check_drivers(struct doctor *d)
{
    ol_auto_fd int dir_fd = open(d->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ol_auto_free char *name = NULL;
    ol_auto_free char *home = NULL;
    json_t *answer;

    if (!d->any_view || dir_fd < 0 || ol_fs_mkdir_temp(dir_fd, ".overlab-probe-", &name, NULL) < 0)
        return; /* the views have said why */
    if (asprintf(&home, "%s/%s", d->dir, name) < 0) {
        home = NULL;
        d->nomem = true;
        return;
    }
    answer = ask_child(home, d->view);
    report_drivers(d, answer);
    report_lowerdir_plus(d, answer);
    report_native(d, json_object_get(json_object_get(answer, "overlay2"), "status"));
    json_decref(answer);
    (void)ol_tree_remove(dir_fd, name, NULL); /* what stays is a finding of doctor_place.c */
}
