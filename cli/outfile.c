/* SPDX-License-Identifier: Apache-2.0 */
/* Files at paths the user gave. */
#include "cli/cli.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* What is no regular file cannot be replaced by one (and /dev/null had better not be). */
static int write_through(const char *path, ol_fs_fill_fn *fill, void *data, struct ol_error *err)
{
    ol_auto_fd int fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);

    return fd < 0 ? ol_error_sys(err, errno, "cannot open '%s'", path) : fill(fd, data, err);
}

int ol_cli_replace_file(const char *path, ol_fs_fill_fn *fill, void *data, struct ol_error *err)
{
    const char *slash = strrchr(path, '/');
    ol_auto_free char *dir = slash == NULL
                                 ? strdup(".")
                                 : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    ol_auto_fd int dir_fd = -1;
    struct stat st;

    if (dir == NULL)
        return ol_error_nomem(err);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return write_through(path, fill, data, err);
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return ol_error_sys(err, errno, "cannot open '%s'", dir);
    return ol_fs_replace_file(dir_fd, slash == NULL ? path : slash + 1, 0644, fill, data, err);
}

const char *ol_cli_tmp_dir(void)
{
    const char *tmp = getenv("TMPDIR");

    return tmp != NULL && *tmp == '/' ? tmp : "/tmp";
}
