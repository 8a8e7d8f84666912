/* SPDX-License-Identifier: Apache-2.0 */
/* The table of labs, and what they have in common; see lab.h. */
#include "bench/teach/lab.h"

#include "common/cleanup.h"
#include "common/fs/tree.h"
#include "common/mount/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct ol_lab table[OL_LABS] = {
    {.name = "overlay",
     .title = "What a commit costs under the legacy driver",
     .question = "How many inodes will the commit add under overlay?",
     .unit = "inodes",
     .hint = "A regular file can be given one more name. A directory cannot, and this driver makes "
             "symlinks anew. One more for the layer's own directory, and do not forget the change.",
     .why = "An image layer of overlay is the whole tree: ApplyDiff clones the parent's root with "
            "hard links, which cost no inode for regular files, but one for every directory and "
            "symlink of the image - whatever was changed.",
     .run = ol_lab_commit_overlay},
    {.name = "overlay2",
     .title = "The same commit under overlay2",
     .question = "How many inodes will the same commit add under overlay2?",
     .unit = "inodes",
     .hint = "The driver keeps for each layer: its directory, diff, link, lower, work, and the "
             "short link in l/. In diff lies what changed, with the directories on the way to it.",
     .why = "overlay2 mounts every layer as a lower directory of its own, so that a layer holds "
            "its changes only. The rest of the image does not matter.",
     .run = ol_lab_commit_overlay2},
    {.name = "snapshot",
     .title = "The same commit under containerd's snapshotter",
     .question = "How many inodes will the commit of the snapshot add?",
     .unit = "inodes",
     .hint = "What would have to be copied, if the container's own directory became the layer?",
     .why = "The snapshotter renames a record in its metadata; the directory the container wrote "
            "into is the layer. Its inodes were made by the writes, before the commit.",
     .run = ol_lab_commit_snapshot},
    {.name = "depth",
     .title = "The layer too many",
     .question = "How many of these layers can overlay2 make before it refuses one?",
     .unit = "layers",
     .hint = "A mount gets at most 128 lower directories. The first layer has none below it.",
     .why = "128 names of \"l/\" and 26 letters fit into the page of options mount(2) takes. "
            "Docker allows images even less, 125 layers, so that a container and its init layer "
            "find room on top.",
     .run = ol_lab_depth},
    {.name = "options",
     .title = "A mount that forgets layers, and says nothing",
     .question = "How many of the 70 layers can be seen in the mount?",
     .unit = "layers",
     .hint = "mount(2) copies one page of options: 4,095 bytes and the zero at their end. The "
             "list begins with \"lowerdir=\", and a colon stands between two names.",
     .why = "mount(2) cuts its options at the end of the page without an error. Where the cut "
            "falls between two names, the mount succeeds with fewer layers. So a driver has to "
            "count first: short names (overlay2's l/), relative ones, or fsconfig(\"lowerdir+\"), "
            "which takes one directory at a time.",
     .needs_mount = true,
     .run = ol_lab_option_page},
    {.name = "duplicate",
     .title = "The same lower directory twice",
     .question = "What does mounting lowerdir=barn:base:barn do?",
     .choices = {"it shows barn's files, once", "it fails: Invalid argument",
                 "it fails: Too many levels of symbolic links", "it fails: File exists", NULL},
     .hint = "There is no symbolic link anywhere in these directories. The kernel has no better "
             "word for layers that overlap.",
     .why = "The kernel refuses directories that overlap - the same one twice, or one inside "
            "another - with ELOOP, whose text is about symbolic links. Who sees it in a log "
            "should look for a layer that is listed twice.",
     .needs_mount = true,
     .run = ol_lab_duplicate_lower},
    {.name = "links",
     .title = "How many names can one inode have?",
     .question = "After how many names will the file system refuse one more?",
     .choices = {"at most 1,024", "32,000", "65,000", "it takes all 70,000", NULL},
     .hint = "It depends on the file system: ext4 counts in 16 bits and stops a little early, "
             "btrfs counts the names in one directory, xfs and tmpfs count in 32 bits.",
     .why = "Every image layer of overlay gives the files of the base image one more name. At the "
            "file system's limit the next commit fails with \"Too many links\", however much room "
            "there is.",
     .run = ol_lab_link_limit},
    {.name = "second",
     .title = "The edit that the naive diff does not see",
     .question = "How many entries has the diff that overlay would commit?",
     .unit = "entries",
     .hint = "The diff compares size and time of modification. Times from an archive have whole "
             "seconds, and where one of two times does, only the seconds are compared.",
     .why = "A file that was unpacked with whole seconds and edited within the same second to the "
            "same size is equal for a diff that compares times. That is why Docker sleeps until "
            "the next full second after such a diff. overlay2 commits its upper directory, "
            "where the file lies, whatever its time; but its `docker diff` compares too.",
     .run = ol_lab_same_second},
    {.name = "full",
     .title = "No space left, and plenty of space left",
     .question = "What does the commit that does not work any more say?",
     .choices = {"Too many links", "No space left on device", "Disk quota exceeded",
                 "Too many open files", NULL},
     .hint = "The kernel has one error for both things a file system can run out of.",
     .why = "ext4 makes its inodes when the file system is made, one for every 16 KiB by default. "
            "When they are used up, creating a file fails as if the disk were full. df -i shows "
            "it, df does not. `overlab predict` says how many a driver will need.",
     .needs_mount = true,
     .run = ol_lab_inode_table},
    {.name = "tmpfs",
     .title = "The file system that counts names",
     .question = "By how many does df -i of this tmpfs say its free inodes went down?",
     .unit = "inodes",
     .hint = "tmpfs takes one of its inodes for every name, also for a hard link.",
     .why = "On a disk a hard link is a line in a directory. On tmpfs every name is held in "
            "memory, and is charged as an inode; so the legacy driver, which saves inodes by hard "
            "links, saves none there. overlab counts by inode number, and says so in its report.",
     .needs_mount = true,
     .run = ol_lab_tmpfs},
};

const struct ol_lab *ol_lab_get(unsigned number)
{
    return number >= 1 && number <= OL_LABS ? &table[number - 1] : NULL;
}

/* Whatever a lab left, half-way or not. */
static int clean(const char *dir, struct ol_error *err)
{
    int r = ol_mount_detach_below(dir, err);

    return r < 0 ? r : ol_tree_remove(AT_FDCWD, dir, err);
}

static int run_in(struct ol_lab_run *run, struct ol_error *err)
{
    int cleaned;
    int r = mkdir(run->dir, 0755) < 0
                ? ol_error_sys(err, errno, "cannot make the directory '%s'", run->dir)
                : run->lab->run(run, err);

    cleaned = clean(run->dir, r < 0 ? NULL : err);
    return r < 0 ? r : cleaned;
}

int ol_lab_run(const struct ol_lab *lab, const struct ol_lab_run *where, int64_t *ret_truth,
               struct ol_error *err)
{
    ol_auto_free char *dir = NULL;
    struct ol_lab_run run = *where;
    int r;

    if (lab->needs_mount && run.view == OL_VIEW_DIRECT)
        return ol_error_set(err, -EOPNOTSUPP,
                            "the lab '%s' mounts file systems, which is not possible in the direct "
                            "view: run it as root, or where user namespaces are allowed",
                            lab->name);
    if (asprintf(&dir, "%s/lab", where->dir) < 0) {
        dir = NULL;
        return ol_error_nomem(err);
    }
    run.dir = dir;
    run.lab = lab;
    r = run_in(&run, err);
    if (r == 0)
        *ret_truth = run.truth;
    return r;
}

static int parse_choice(const struct ol_lab *lab, const char *text, int64_t *ret,
                        struct ol_error *err)
{
    size_t count = 0;
    int choice = (*text | 0x20) - 'a'; /* either case */

    while (lab->choices[count] != NULL)
        count++;
    if (*text == '\0' || text[1] != '\0' || choice < 0 || (size_t)choice >= count)
        return ol_error_set(err, -EINVAL, "'%s' is none of the letters a to %c", text,
                            (char)('a' + count - 1));
    *ret = choice;
    return 0;
}

int ol_lab_answer_parse(const struct ol_lab *lab, const char *text, int64_t *ret,
                        struct ol_error *err)
{
    char *end = NULL;
    long long value;

    if (lab->unit == NULL)
        return parse_choice(lab, text, ret, err);
    errno = 0;
    value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0)
        return ol_error_set(err, -EINVAL, "'%s' is not a number of %s", text, lab->unit);
    *ret = value;
    return 0;
}

void ol_lab_say(const struct ol_lab_run *run, const char *fmt, ...)
{
    ol_auto_free char *text = NULL;
    va_list args;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    va_end(args);
    if (text != NULL)
        run->front->say(text, run->front->data);
}

int ol_lab_ask(const struct ol_lab_run *run, struct ol_error *err)
{
    return run->front->ask(run->lab, run->front->data, err);
}

int ol_lab_mkdir(const struct ol_lab_run *run, const char *name, char **ret_path,
                 struct ol_error *err)
{
    if (asprintf(ret_path, "%s/%s", run->dir, name) < 0) {
        *ret_path = NULL;
        return ol_error_nomem(err);
    }
    if (mkdir(*ret_path, 0755) < 0)
        return ol_error_sys(err, errno, "cannot make '%s'", *ret_path);
    return 0;
}
