/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file-descriptor mount interface; see fsconfig.h. Values end at 255 bytes
 * (fs/fsopen.c, strndup_user), so names are relative to the working directory.
 */
#include "common/mount/fsconfig.h"

#include "common/cleanup.h"

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#if OL_HAVE_SYS_FSOPEN
#include <sys/mount.h>

/* Each read gives one message, "e overlay: ..." (or w, i); ENODATA ends them. */
static void read_words(int fs_fd, struct ol_buf *words)
{
    char line[1024];
    ssize_t n;

    while ((n = read(fs_fd, line, sizeof line - 1)) > 0) {
        char *text = line;

        line[n] = '\0';
        while (n > 0 && line[n - 1] == '\n')
            line[--n] = '\0';
        if (n > 2 && line[1] == ' ')
            text += 2;
        /* Out of memory only shortens the explanation. */
        (void)ol_buf_printf(words, "%s%s", words->len > 0 ? "; " : "", text);
    }
}

static int set_string(int fs_fd, const char *key, const char *value)
{
    return fsconfig(fs_fd, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

/* Lower directories; the first tells whether the kernel knows the key at all. */
static int set_lowers(int fs_fd, const struct ol_overlay_spec *spec, struct ol_buf *words)
{
    for (size_t i = 0; i < spec->n_lowers; i++) {
        int r = set_string(fs_fd, "lowerdir+", spec->lowers[i]);

        if (r == 0)
            continue;
        if (i == 0 && r == -EINVAL && !ol_fsconfig_has_lowerdir_plus())
            return OL_FSCONFIG_NO_LOWERDIR_PLUS;
        (void)ol_buf_printf(words, "lower directory '%s'", spec->lowers[i]); /* explanation only */
        return r;
    }
    return 0;
}

static int configure(int fs_fd, const struct ol_overlay_spec *spec, struct ol_buf *words)
{
    int r = set_string(fs_fd, "source", "overlay");

    if (r == 0 && spec->index_off && ol_overlay_has_index())
        r = set_string(fs_fd, "index", "off");
    if (r == 0 && spec->userxattr && fsconfig(fs_fd, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0)
        r = -errno;
    if (r == 0)
        r = set_lowers(fs_fd, spec, words);
    if (r == 0 && spec->upper != NULL)
        r = set_string(fs_fd, "upperdir", spec->upper);
    if (r == 0 && spec->work != NULL)
        r = set_string(fs_fd, "workdir", spec->work);
    if (r == 0 && spec->label != NULL && spec->label[0] != '\0')
        r = set_string(fs_fd, "context", spec->label);
    if (r == 0 && fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        r = -errno;
    return r;
}

static int attach_mount(int fs_fd, const char *target)
{
    ol_auto_fd int mount_fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, 0);

    if (mount_fd < 0)
        return -errno;
    if (move_mount(mount_fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

int ol_fsconfig_overlay(const struct ol_overlay_spec *spec, bool attach, struct ol_buf *words)
{
    ol_auto_fd int fs_fd = fsopen("overlay", FSOPEN_CLOEXEC);
    int r;

    if (fs_fd < 0)
        return errno == ENOSYS ? OL_FSCONFIG_NO_LOWERDIR_PLUS : -errno;
    r = configure(fs_fd, spec, words);
    if (r == 0 && attach)
        r = attach_mount(fs_fd, spec->target);
    if (r < 0)
        read_words(fs_fd, words);
    return r;
}

bool ol_fsconfig_has_lowerdir_plus(void)
{
    ol_auto_fd int fs_fd = fsopen("overlay", FSOPEN_CLOEXEC);

    /* Any directory will do: the context is dropped before a superblock is made. */
    return fs_fd >= 0 && set_string(fs_fd, "lowerdir+", "/") == 0;
}

#else /* no fsopen(2) in these headers */

int ol_fsconfig_overlay(const struct ol_overlay_spec *spec, bool attach, struct ol_buf *words)
{
    (void)spec;
    (void)attach;
    (void)words;
    return OL_FSCONFIG_NO_LOWERDIR_PLUS;
}

bool ol_fsconfig_has_lowerdir_plus(void)
{
    return false;
}

#endif
