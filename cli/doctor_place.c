/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Findings of "overlab doctor" about the place: what the file system can do and how it counts, what
 * dead runs left, loop devices for --backing, and the real engines that are installed.
 */
#include "cli/doctor.h"

#include "bench/harness/backing.h"
#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/mount/mount.h"
#include "common/process.h"

#include <fcntl.h>
#include <inttypes.h>

enum {
    LOW_SPACE_MIB = 2048,   /* a comparison on a small Debian image needs about this */
    LOW_INODES = 200 << 10, /* an image of 10,000 files, three drivers, a few rounds */
};

/* --- the file system --- */

static void check_known(struct doctor *d, const char *check, enum ol_known known,
                        enum doctor_state state_no, const char *proof, const char *remedy,
                        const char *yes, const char *no)
{
    if (known == OL_KNOWN_YES)
        doctor_add(d, check, DOCTOR_OK, proof, NULL, "%s", yes);
    else if (known == OL_KNOWN_NO)
        doctor_add(d, check, state_no, proof, remedy, "%s", no);
    else
        doctor_add(d, check, DOCTOR_NOTE, proof, NULL, "could not be tried here");
}

static void check_abilities(struct doctor *d)
{
    const struct ol_fsinfo *fs = &d->fs;

    check_known(d, "d_type", fs->d_type, DOCTOR_NO, "read a directory with getdents64",
                "make the file system anew: mkfs.xfs -n ftype=1, or mkfs.ext4 -O filetype",
                "directory entries tell their type",
                "directory entries do not tell their type: overlay cannot work");
    check_known(d, "user xattrs", fs->user_xattr, DOCTOR_WARNING, "set user.overlab on a directory",
                "use another directory, or Linux 6.6 for tmpfs", "user.* attributes are kept",
                "no user.* attributes: no userns or direct view here");
    if (geteuid() == 0 && !ol_view_in_userns())
        check_known(d, "trusted xattrs", fs->trusted_xattr, DOCTOR_WARNING,
                    "set trusted.overlab on a directory", "use another directory",
                    "trusted.* attributes are kept", "no trusted.* attributes: no kernel view");
    check_known(d, "reflink", fs->reflink, DOCTOR_NOTE, "ioctl FICLONE between two files", NULL,
                "copies share blocks: the bytes of content copies are shared, inodes are not",
                "copies take blocks of their own");
}

static void check_journal(struct doctor *d)
{
    if (strcmp(d->fs.type, "ext4") != 0)
        return;
    check_known(d, "journal", d->fs.journal, DOCTOR_WARNING, "the superblock, or /proc/fs/jbd2",
                "measure on a file system made for the run: --backing ext4:8G",
                "ext4 has its journal",
                "ext4 without a journal: after deletions every create searches through freed "
                "inodes, and timings become many times slower");
}

static void check_room(struct doctor *d)
{
    const struct ol_fsinfo *fs = &d->fs;
    uint64_t mib = fs->free_bytes >> 20;

    doctor_add(d, "space", mib < LOW_SPACE_MIB ? DOCTOR_WARNING : DOCTOR_OK, "statfs",
               mib < LOW_SPACE_MIB ? "free some space, or use another directory" : NULL,
               "%" PRIu64 " MiB free of %" PRIu64 " MiB", mib, fs->total_bytes >> 20);
    if (fs->total_inodes == 0)
        doctor_add(d, "inodes", DOCTOR_NOTE, "statfs", NULL,
                   "%s does not count inodes in advance; overlab counts them by walking", fs->type);
    else if (fs->free_inodes < LOW_INODES)
        doctor_add(d, "inodes", DOCTOR_WARNING, "statfs",
                   "measure on a file system made for the run: --backing ext4:8G",
                   "only %" PRIu64 " free of %" PRIu64, fs->free_inodes, fs->total_inodes);
    else
        doctor_add(d, "inodes", DOCTOR_OK, "statfs", NULL, "%" PRIu64 " free of %" PRIu64,
                   fs->free_inodes, fs->total_inodes);
    if (fs->counts_links)
        doctor_add(d, "inode totals", DOCTOR_NOTE, "the file system is tmpfs", NULL,
                   "hard links are charged like inodes: statfs shows more than overlab counts");
    if (fs->floats_total)
        doctor_add(d, "inode totals", DOCTOR_NOTE, "the file system is xfs", NULL,
                   "the total moves with the free space: only differences of used inodes count");
}

void doctor_check_place(struct doctor *d)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    if (ol_fsinfo_get(d->dir, &d->fs, &err) < 0) {
        doctor_add(d, "file system", DOCTOR_NO, "statfs and the mount table", NULL, "%s",
                   ol_error_text(&err));
        return;
    }
    d->has_fs = true;
    if (d->fs.mount_point[0] != '\0')
        doctor_add(d, "file system", DOCTOR_OK, "statfs and the mount table", NULL,
                   "%s on %s, mounted on %s", d->fs.type, d->fs.source, d->fs.mount_point);
    else
        doctor_add(d, "file system", DOCTOR_NOTE, "statfs and the mount table", NULL,
                   "%s; in a chroot the mount table does not show more", d->fs.type);
    check_abilities(d);
    check_journal(d);
    check_room(d);
}

/* --- leftovers --- */

static void check_mounts(struct doctor *d)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *remedy = NULL;
    char **list = NULL;
    size_t count = 0, overlays = 0;
    const char *example = NULL;

    if (ol_mount_list_below(d->asked, &list, &count, &err) < 0) {
        doctor_add(d, "mounts", DOCTOR_NOTE, "/proc/self/mountinfo", NULL, "%s",
                   ol_error_text(&err));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i], d->dir) != 0 && ol_mount_is_overlay(list[i])) {
            overlays++;
            example = list[i];
        }
    }
    if (overlays == 0)
        doctor_add(d, "mounts", DOCTOR_OK, "/proc/self/mountinfo", NULL,
                   "no overlay mounts below the directory");
    else if (asprintf(&remedy, "if nobody uses them: overlab layer umount ID, or umount %s",
                      example) < 0) {
        remedy = NULL;
        d->nomem = true;
    } else
        doctor_add(d, "mounts", DOCTOR_NOTE, "/proc/self/mountinfo", remedy,
                   "%zu overlay mounts below the directory, such as '%s'", overlays, example);
    ol_mount_list_free(list);
}

static unsigned count_probes(const char *dir)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    ol_auto_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    static const char prefix[] = ".overlab-probe-";
    unsigned count = 0;

    if (fd < 0 || ol_dirents_read(&list, fd, false) < 0)
        return 0;
    for (size_t i = 0; i < list.count; i++)
        count += strncmp(list.items[i].name, prefix, strlen(prefix)) == 0;
    return count;
}

/* Dead runs and probes in one directory; *ret_total counts over all. */
static void check_dead(struct doctor *d, const char *dir, int *ret_total)
{
    ol_auto_free char *remedy = NULL;
    int runs = ol_backing_clean_stale(dir, true, NULL);
    unsigned probes = count_probes(dir);

    if (runs <= 0 && probes == 0)
        return; /* none, or the directory is not for us to read */
    *ret_total += (runs > 0 ? runs : 0) + (int)probes;
    if (runs > 0)
        doctor_add(d, "dead runs", DOCTOR_WARNING, "their locks are free",
                   "the next overlab run in that directory removes them",
                   "%d killed benchmark runs left their directories in '%s'", runs, dir);
    if (probes == 0)
        return;
    if (asprintf(&remedy, "rm -r '%s'/.overlab-probe-*", dir) < 0) {
        remedy = NULL;
        d->nomem = true;
        return;
    }
    doctor_add(d, "dead probes", DOCTOR_WARNING, "looked for .overlab-probe-*", remedy,
               "%u killed trials left their directories in '%s'", probes, dir);
}

void doctor_check_leftovers(struct doctor *d)
{
    const char *tmp = getenv("TMPDIR"); /* where the command puts loop images */
    int total = 0;

    if (tmp == NULL || tmp[0] != '/')
        tmp = "/tmp";
    check_mounts(d);
    check_dead(d, d->dir, &total);
    if (strcmp(tmp, d->dir) != 0)
        check_dead(d, tmp, &total);
    if (total == 0)
        doctor_add(d, "leftovers", DOCTOR_OK, "looked for killed runs and trials", NULL,
                   "none in the directory and in '%s'", tmp);
}

/* --- loop devices --- */

static void check_mkfs(struct doctor *d)
{
    static const struct {
        const char *program;
        const char *package;
        const char *form;
    } makers[] = {
        {"mkfs.ext4", "e2fsprogs", "ext4:SIZE"},
        {"mkfs.xfs", "xfsprogs", "xfs:SIZE"},
        {"mkfs.btrfs", "btrfs-progs", "btrfs:SIZE"},
    };

    for (size_t i = 0; i < OL_ARRAY_LEN(makers); i++) {
        ol_auto_free char *path = ol_process_find(makers[i].program);
        ol_auto_free char *remedy = NULL;

        if (path != NULL)
            doctor_add(d, makers[i].program, DOCTOR_OK, path, NULL, "for --backing %s",
                       makers[i].form);
        else if (asprintf(&remedy, "as root: apt-get install %s", makers[i].package) < 0) {
            remedy = NULL;
            d->nomem = true;
        } else
            doctor_add(d, makers[i].program, DOCTOR_NO, "looked in the system's directories",
                       remedy, "not installed: no --backing %s", makers[i].form);
    }
}

void doctor_check_loop(struct doctor *d)
{
    static const char control[] = "/dev/loop-control";
    ol_auto_fd int fd = open(control, O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        doctor_add(d, "loop devices", DOCTOR_NO, "opened /dev/loop-control",
                   errno == ENOENT ? "as root: modprobe loop; in a container, pass the devices in"
                                   : "run as root, or use --backing DIR",
                   "%s: no --backing ext4:SIZE, xfs:SIZE or btrfs:SIZE", strerror(errno));
        return;
    }
    doctor_add(d, "loop devices", DOCTOR_OK, "opened /dev/loop-control", NULL,
               "file systems can be made for a run");
    check_mkfs(d);
}

/* --- engines --- */

/* Programs that tell their version without touching any storage. containers-storage is not asked:
 * its "version" makes and mounts an empty store first. */
static const struct {
    const char *name;
    const char *version_option; /* NULL: is not asked */
} engines[] = {
    {"dockerd", "--version"}, {"containerd", "--version"}, {"containers-storage", NULL},
    {"podman", "--version"},  {"umoci", "--version"},
};

static void check_engine(struct doctor *d, const char *name, const char *path, const char *option)
{
    const char *const argv[] = {path, option, NULL};
    ol_auto_buf struct ol_buf out = OL_BUF_INIT;
    json_t *engine;
    bool told = option != NULL && ol_process_run(argv, 5000, &out, NULL) == 0;

    if (told && strchr(ol_buf_str(&out), '\n') != NULL)
        ol_buf_truncate(&out, (size_t)(strchr(out.data, '\n') - out.data));
    doctor_add(d, name, DOCTOR_OK, path, NULL, "%s",
               told ? ol_buf_str(&out) : "installed, version not known");
    engine = json_pack("{s:s, s:s, s:s?}", "name", name, "path", path, "version",
                       told ? ol_buf_str(&out) : NULL);
    if (engine == NULL || json_array_append_new(d->engines, engine) < 0)
        d->nomem = true;
}

void doctor_check_engines(struct doctor *d)
{
    bool any = false;

    for (size_t i = 0; i < OL_ARRAY_LEN(engines); i++) {
        ol_auto_free char *path = ol_process_find(engines[i].name);

        if (path == NULL)
            continue;
        any = true;
        check_engine(d, engines[i].name, path, engines[i].version_option);
    }
    if (!any)
        doctor_add(d, "real engines", DOCTOR_NOTE,
                   "looked for dockerd, containerd, "
                   "containers-storage, podman, umoci",
                   NULL, "none is installed");
}
