/* SPDX-License-Identifier: Apache-2.0 */
/* The steps; see steps.h. A test looks for each function in the file that is named for it. */
#include "bench/teach/steps.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

/* clang-format off */
#define IMPORT           {.kind = OL_ACT_IMPORT}
#define CREATE           {.kind = OL_ACT_CREATE}
#define MOUNT            {.kind = OL_ACT_MOUNT}
#define UNMOUNT          {.kind = OL_ACT_UNMOUNT}
#define DIFF             {.kind = OL_ACT_DIFF}
#define COMMIT           {.kind = OL_ACT_COMMIT}
#define REMOVE_CONTAINER {.kind = OL_ACT_REMOVE_CONTAINER}
#define REMOVE_IMAGE     {.kind = OL_ACT_REMOVE_IMAGE}
#define ADD(file, bytes) {.kind = OL_ACT_CHANGE, .op = OL_OP_ADD, .path = (file), .size_bytes = (bytes), .mode = 0644}
#define WRITE(file, bytes) {.kind = OL_ACT_CHANGE, .op = OL_OP_MODIFY, .path = (file), .size_bytes = (bytes), .mode = 0644}
#define RM(file)         {.kind = OL_ACT_CHANGE, .op = OL_OP_DELETE, .path = (file)}
#define CHMOD(to, file)  {.kind = OL_ACT_CHANGE, .op = OL_OP_CHMOD, .path = (file), .mode = (to)}
#define REPLACE(dir, file, bytes) {.kind = OL_ACT_CHANGE, .op = OL_OP_REPLACE, .path = (dir), .target = (file), .size_bytes = (bytes), .mode = 0644}
/* clang-format on */

/* ---- notes that several phases share ---- */

#define NOTE_COPY_UP                                                                               \
    {                                                                                              \
        "A lower file is never written: before the first change overlayfs copies it up, all of "   \
        "its content and the directories on its way. The function is this copy-up done by hand "   \
        "for the view without mounts; with mounts the kernel does it.",                            \
            "drivers/rootfs_overlay_copyup.c", "ol_ovl_copy_up"                                    \
    }

#define NOTE_WHITEOUT                                                                              \
    {                                                                                              \
        "A lower file cannot be deleted, so a whiteout hides it: a character device 0/0. "         \
        "overlayfs makes one for the whole mount, keeps it in work/work, and gives it another "    \
        "name for each deletion: one inode, however many files go.",                               \
            "drivers/rootfs_overlay_copyup.c", "ol_ovl_take_whiteout"                              \
    }

#define NOTE_REPLACE                                                                               \
    {                                                                                              \
        "The new directory must not show what lower layers have under its name: it is marked "     \
        "opaque by an attribute, one inode for all that vanished.",                                \
            "drivers/rootfs_overlay.c", "mkdir_over_whiteout"                                      \
    }

#define NOTE_UNMOUNT                                                                               \
    {                                                                                              \
        "The mount point goes, what was written stays in upper; work/work, which the kernel "      \
        "made, stays too.",                                                                        \
            "drivers/mounted.c", "unmount_merged"                                                  \
    }

#define NOTE_OVERLAY_CREATE                                                                        \
    {                                                                                              \
        "A container is two layers: its init layer, with the mount points docker wants, and its "  \
        "own. There is room for one lower directory only, so the container's upper starts as a "   \
        "copy, by content, of the init layer's.",                                                  \
            "drivers/overlay/overlay.c", "overlay_copy_upper"                                      \
    }

#define NOTE_OVERLAY2_CREATE                                                                       \
    {                                                                                              \
        "The init layer is one more lower directory, so nothing is copied: a layer is its "        \
        "directory, diff, work, and the files link, lower and committed.",                         \
            "drivers/overlay2/overlay2.c", "create_linked"                                         \
    }

#define NOTE_SNAPSHOT_CREATE                                                                       \
    {                                                                                              \
        "An active snapshot is three directories and a record in the metadata. There is no init "  \
        "layer: containerd lets the runtime make the mount points.",                               \
            "drivers/snapshot/create.c", "create_locked"                                           \
    }

#define NOTE_OVERLAY_COMMIT                                                                        \
    {                                                                                              \
        "Diff compares two mounted trees, entry by entry; ApplyDiff clones the parent's whole "    \
        "root before it unpacks: files by hard link, which costs no inode, but every directory "   \
        "and symlink of the image is made anew. That is what eats the inodes.",                    \
            "drivers/overlay/apply.c", "clone_and_apply"                                           \
    }

#define NOTE_OVERLAY2_COMMIT                                                                       \
    {                                                                                              \
        "Diff walks the container's upper directory only, and ApplyDiff unpacks into an empty "    \
        "one: the new layer holds what changed, once more.",                                       \
            "drivers/overlay2/diff.c", "overlay2_diff"                                             \
    }

#define NOTE_SNAPSHOT_COMMIT                                                                       \
    {                                                                                              \
        "No file is read, compared, copied or made: the upper directory is counted and its "       \
        "record renamed in one transaction. The directory that was the container is the layer "    \
        "now.",                                                                                    \
            "drivers/snapshot/snapshot.c", "commit_locked"                                         \
    }

#define NOTE_OVERLAY_APPLY                                                                         \
    {                                                                                              \
        "The layer has to be a full tree, as it will be the one lower directory: the parent's "    \
        "root is cloned with hard links, then the tar is unpacked over it. Files share their "     \
        "inode with the parent's; directories and symlinks cannot.",                               \
            "common/fs/clone_links.c", "ol_clone_link_or_create"                                   \
    }

#define NOTE_OVERLAY2_APPLY                                                                        \
    {                                                                                              \
        "The tar is unpacked alone: what it deletes becomes a whiteout, what it does not name "    \
        "stays in the layers below and costs nothing.",                                            \
            "drivers/overlay2/diff.c", "apply_upper"                                               \
    }

#define NOTE_SNAPSHOT_APPLY                                                                        \
    {                                                                                              \
        "Unpacked into an active snapshot's fs, which is then committed under the layer's "        \
        "ChainID: as overlay2, without link, lower and committed beside it.",                      \
            "drivers/snapshot/snapshot.c", "ol_snapshots_apply"                                    \
    }

#define NOTE_VFS                                                                                   \
    {                                                                                              \
        "Every layer is a full copy of the one below, by content: nothing is shared, nothing is "  \
        "mounted.",                                                                                \
            "drivers/vfs/vfs.c", "copy_parent"                                                     \
    }

#define CREATE_NOTES                                                                               \
    {                                                                                              \
        [OL_NOTE_OVERLAY] = NOTE_OVERLAY_CREATE, [OL_NOTE_OVERLAY2] = NOTE_OVERLAY2_CREATE,        \
        [OL_NOTE_SNAPSHOT] = NOTE_SNAPSHOT_CREATE, [OL_NOTE_VFS] = NOTE_VFS                        \
    }

#define COMMIT_NOTES                                                                               \
    {                                                                                              \
        [OL_NOTE_OVERLAY] = NOTE_OVERLAY_COMMIT, [OL_NOTE_OVERLAY2] = NOTE_OVERLAY2_COMMIT,        \
        [OL_NOTE_SNAPSHOT] = NOTE_SNAPSHOT_COMMIT, [OL_NOTE_VFS] = NOTE_VFS                        \
    }

#define APPLY_NOTES                                                                                \
    {                                                                                              \
        [OL_NOTE_OVERLAY] = NOTE_OVERLAY_APPLY, [OL_NOTE_OVERLAY2] = NOTE_OVERLAY2_APPLY,          \
        [OL_NOTE_SNAPSHOT] = NOTE_SNAPSHOT_APPLY, [OL_NOTE_VFS] = NOTE_VFS                         \
    }

#define MOUNT_NOTES                                                                                \
    {                                                                                              \
        [OL_NOTE_OVERLAY] = {"One lower directory is all this driver ever mounts: the image as "   \
                             "one full tree, below the container's upper.",                        \
                             "drivers/overlay/overlay.c", "overlay_plan"},                         \
        [OL_NOTE_OVERLAY2] = {"Every layer is a lower directory of its own, nearest first. The "   \
                              "26 letters in l/ stand for them, so that 128 fit into the one "     \
                              "page of options mount(2) takes.",                                   \
                              "drivers/overlay2/overlay2.c", "plan_lowers"},                       \
        [OL_NOTE_SNAPSHOT] = {"The snapshotter only says what is to be mounted; whoever asked "    \
                              "mounts it, wherever that may be. Its numbers are shorter than any " \
                              "link.",                                                             \
                              "drivers/snapshot/mounts.c", "overlay_mount"},                       \
    }

#define UNMOUNT_NOTES                                                                              \
    {                                                                                              \
        [OL_NOTE_SNAPSHOT] = {"Unmounting is the caller's affair too. What was written lies in "   \
                              "fs, where a commit will find it.",                                  \
                              "common/mount/mount.c", "ol_mount_detach"},                          \
        [OL_NOTE_OVERLAYS] = NOTE_UNMOUNT                                                          \
    }

#define DIFF_NOTES                                                                                 \
    {                                                                                              \
        [OL_NOTE_OVERLAY] = {"Container and init layer are mounted side by side and every entry "  \
                             "of the image is looked at in both; what one lacks is a deletion, "   \
                             "written as .wh.NAME. Nobody asks the upper directory, which knows.", \
                             "drivers/naive_diff.c", "ol_naive_diff"},                             \
        [OL_NOTE_OVERLAY2] = {"The upper directory is the difference: it is walked and written, "  \
                              "a device 0/0 as .wh.NAME, an opaque directory with a "              \
                              ".wh..wh..opq in it.",                                               \
                              "common/layer/export.c", "ol_export_upper"},                         \
        [OL_NOTE_SNAPSHOT] = {                                                                     \
            "The snapshotter has no diff at all: whoever needs a tar, as a push "                  \
            "does, walks the upper directory afterwards. This is that walk.",                      \
            "common/layer/export.c", "ol_export_upper"},                                           \
    }

#define REMOVE_NOTES                                                                               \
    {                                                                                              \
        [OL_NOTE_SNAPSHOT] = {"There is nothing to remove: the commit took the container's "       \
                              "directory.",                                                        \
                              "drivers/snapshot/snapshot.c", "commit_locked"},                     \
        [OL_NOTE_OVERLAYS] = {                                                                     \
            "The container's layer goes, then its init layer: what was "                           \
            "committed lies in a layer of its own.",                                               \
            "drivers/layers.c",                                                                    \
            "ol_layer_remove"                                                                      \
        }                                                                                          \
    }

/* ---- the table ---- */

static const struct ol_step steps[] = {
    {
        .name = "mount",
        .summary = "how the layers of an image become one tree, and what a mount leaves behind",
        .before = {IMPORT, IMPORT, CREATE},
        .phases =
            {
                {"Mount the container", {MOUNT}, MOUNT_NOTES},
                {"Unmount it", {UNMOUNT}, UNMOUNT_NOTES},
            },
    },
    {
        .name = "create",
        .summary = "what a container costs before it has done anything",
        .before = {IMPORT, IMPORT},
        .phases = {{"Create a container from the image", {CREATE}, CREATE_NOTES}},
    },
    {
        .name = "copy-up",
        .summary = "what the first change of a file costs, however small it is",
        .before = {IMPORT, IMPORT, CREATE, MOUNT},
        .phases =
            {
                {"Change the mode of a file",
                 {CHMOD(0775, "bin/sh")},
                 {[OL_NOTE_OVERLAYS] = NOTE_COPY_UP}},
                {"Overwrite a file",
                 {WRITE("farm/barn/owl", 40)},
                 {[OL_NOTE_OVERLAYS] = NOTE_COPY_UP}},
                {"Overwrite it again",
                 {WRITE("farm/barn/owl", 60)},
                 {[OL_NOTE_OVERLAYS] = {"It is in upper already, the container's own: nothing is "
                                        "copied, nothing is made. Only the first change pays.",
                                        "drivers/rootfs_overlay_copyup.c", "ol_ovl_copy_up_pos"}}},
            },
    },
    {
        .name = "whiteout",
        .summary = "what a deletion leaves, in the upper directory and in the layer's tar",
        .before = {IMPORT, IMPORT, CREATE, MOUNT},
        .phases =
            {
                {"Delete a file", {RM("farm/cow")}, {[OL_NOTE_OVERLAYS] = NOTE_WHITEOUT}},
                {"Delete another one", {RM("etc/motd")}, {[OL_NOTE_OVERLAYS] = NOTE_WHITEOUT}},
                {"Replace a whole directory",
                 {REPLACE("farm/barn", "farm/barn/bat", 70)},
                 {[OL_NOTE_OVERLAYS] = NOTE_REPLACE}},
                {"Look at all of it as a layer's tar", {DIFF}, DIFF_NOTES},
            },
    },
    {
        .name = "opaque",
        .summary = "how a directory is replaced, and what a commit makes of it",
        .before = {IMPORT, IMPORT, CREATE, MOUNT},
        .phases =
            {
                {"Replace a directory with a new one",
                 {REPLACE("farm/barn", "farm/barn/bat", 70)},
                 {[OL_NOTE_OVERLAYS] = NOTE_REPLACE}},
                {"Commit it",
                 {UNMOUNT, COMMIT},
                 {[OL_NOTE_OVERLAY] = {"In a full tree nothing has to be hidden: the old files "
                                       "are unlinked from the clone, and the mark is gone.",
                                       "common/layer/apply_whiteout.c", "delete_name"},
                  [OL_NOTE_OVERLAY2] = {"The tar says .wh..wh..opq, and the new layer's directory "
                                        "gets the attribute back.",
                                        "common/layer/apply_whiteout.c", "ol_apply_opaque"},
                  [OL_NOTE_SNAPSHOT] = NOTE_SNAPSHOT_COMMIT}},
            },
    },
    {
        .name = "diff",
        .summary = "how each driver finds out what a container changed",
        .before = {IMPORT, IMPORT, CREATE, MOUNT, ADD("farm/goat", 80), WRITE("bin/sh", 9100),
                   RM("farm/cow"), UNMOUNT},
        .phases = {{"Write the changes as a layer's tar", {DIFF}, DIFF_NOTES}},
    },
    {
        .name = "apply",
        .summary = "what one more image layer costs",
        .before = {IMPORT},
        .phases = {{"Unpack the second layer: one file changed, one deleted, a directory with two "
                    "new",
                    {IMPORT},
                    APPLY_NOTES}},
    },
    {
        .name = "commit",
        .summary = "what docker commit costs, the reason for all of this",
        .before = {IMPORT, IMPORT, CREATE, MOUNT, ADD("farm/goat", 80), WRITE("bin/sh", 9100),
                   RM("farm/cow"), UNMOUNT},
        .phases = {{"Commit the container: one file added, one changed, one deleted",
                    {COMMIT},
                    COMMIT_NOTES}},
    },
    {
        .name = "chain",
        .summary = "an image grows layer by layer, and so does the mount",
        .phases =
            {
                {"The first layer",
                 {IMPORT},
                 {[OL_NOTE_OVERLAYS] = {"The base layer is a plain tree in every driver.",
                                        "common/layer/apply_make.c", "ol_apply_file"}}},
                {"The second layer", {IMPORT}, APPLY_NOTES},
                {"The third layer", {IMPORT}, APPLY_NOTES},
                {"A container on top, mounted", {CREATE, MOUNT}, MOUNT_NOTES},
            },
    },
    {
        .name = "remove",
        .summary = "what removing gives back, and when",
        .before = {IMPORT, IMPORT, CREATE, MOUNT, WRITE("bin/sh", 9100), RM("farm/cow"), UNMOUNT,
                   COMMIT},
        .phases =
            {
                {"Remove the container", {REMOVE_CONTAINER}, REMOVE_NOTES},
                {"Remove the committed image",
                 {REMOVE_IMAGE},
                 {[OL_NOTE_OVERLAY] = {"Of the shared files only names go: their inodes live "
                                       "while an older layer has a name of them.",
                                       "drivers/layers.c", "ol_layer_remove"},
                  [OL_NOTE_SNAPSHOT] = {"The record goes first, the directory after it: killed "
                                        "between the two, it is an orphan the next cleanup "
                                        "removes.",
                                        "drivers/snapshot/garbage.c", "ol_snapshots_remove"},
                  [OL_NOTE_OVERLAYS] =
                      {"Nobody else has a name of its files: all of it comes back.",
                       "drivers/layers.c", "ol_layer_remove"}}},
                {"Remove the image below, layer by layer",
                 {REMOVE_IMAGE},
                 {[OL_NOTE_SNAPSHOT] = {"Children first: a snapshot with children cannot be "
                                        "removed.",
                                        "drivers/snapshot/garbage.c", "ol_snapshots_remove"},
                  [OL_NOTE_OVERLAYS] =
                      {"Children first: a driver does not look whether another layer "
                       "needs the one it removes; the layer store does.",
                       "store/layerstore.c", "ol_store_layer_remove"}}},
            },
    },
    {
        .name = "snapshot",
        .summary = "a container's whole life, and why containerd's commit is nearly free",
        .before = {IMPORT, IMPORT},
        .phases =
            {
                {"Make a container", {CREATE}, CREATE_NOTES},
                {"Mount it, change three files, unmount it",
                 {MOUNT, ADD("farm/goat", 80), WRITE("bin/sh", 9100), RM("farm/cow"), UNMOUNT},
                 {[OL_NOTE_OVERLAYS] = NOTE_COPY_UP}},
                {"Commit it", {COMMIT}, COMMIT_NOTES},
                {"Make the next container from the commit", {CREATE}, CREATE_NOTES},
            },
    },
    {
        .name = "build",
        .summary = "two steps of a docker build: each is a container that is committed",
        .before = {IMPORT},
        .phases =
            {
                {"RUN: a container adds a file and is committed",
                 {CREATE, MOUNT, ADD("farm/goat", 80), UNMOUNT, COMMIT},
                 COMMIT_NOTES},
                {"The build is done with that container", {REMOVE_CONTAINER}, REMOVE_NOTES},
                {"RUN: the next one, from what was committed",
                 {CREATE, MOUNT, ADD("farm/duck", 90), UNMOUNT, COMMIT},
                 COMMIT_NOTES},
            },
    },
};

const struct ol_step *ol_steps(size_t *ret_count)
{
    *ret_count = OL_ARRAY_LEN(steps);
    return steps;
}

const struct ol_step *ol_step_find(const char *name, struct ol_error *err)
{
    ol_auto_buf struct ol_buf names = OL_BUF_INIT;
    int r = 0;

    for (size_t i = 0; i < OL_ARRAY_LEN(steps) && r == 0; i++) {
        if (strcmp(steps[i].name, name) == 0)
            return &steps[i];
        r = ol_buf_printf(&names, "%s%s", i > 0 ? ", " : "", steps[i].name);
    }
    (void)ol_error_set(err, -ENOENT, "no step '%s': %s", name,
                       r < 0 ? "out of memory" : ol_buf_str(&names));
    return NULL;
}

const struct ol_step_note *ol_step_note(const struct ol_step_phase *phase, bool has_law,
                                        enum ol_law law)
{
    static const enum ol_note_kind kinds[] = {
        [OL_LAW_OVERLAY] = OL_NOTE_OVERLAY,   [OL_LAW_OVERLAY_CLONE_ALL] = OL_NOTE_OVERLAY,
        [OL_LAW_OVERLAY2] = OL_NOTE_OVERLAY2, [OL_LAW_VFS] = OL_NOTE_VFS,
        [OL_LAW_SNAPSHOT] = OL_NOTE_SNAPSHOT, [OL_LAW_OVERLAY2_NAIVE] = OL_NOTE_OVERLAY2,
    };
    const struct ol_step_note *own;

    if (!has_law || law == OL_LAW_NULL)
        return NULL;
    own = &phase->notes[kinds[law]];
    if (own->why == NULL && law != OL_LAW_VFS)
        own = &phase->notes[OL_NOTE_OVERLAYS];
    return own->why != NULL ? own : NULL;
}
