/* SPDX-License-Identifier: Apache-2.0 */
/* Files at paths the user gave, and texts that came from elsewhere. */
#include "cli/cli.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
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

/* Bytes of the control character text begins with. */
static size_t control_len(const unsigned char *text)
{
    if (text[0] == 0xc2 && text[1] >= 0x80 && text[1] < 0xa0)
        return 2;
    return (text[0] < 0x20 && text[0] != '\t') || text[0] == 0x7f ? 1 : 0;
}

void ol_cli_put_visible(FILE *out, const char *text, const char *also)
{
    char block[512]; /* stderr has no buffer */
    size_t used = 0;

    for (const unsigned char *c = (const unsigned char *)text; *c != '\0';) {
        size_t len = control_len(c);

        if (len == 0 && strchr(also, *c) != NULL)
            len = 1;
        if (len == 0)
            block[used++] = (char)*c++;
        for (; len > 0; len--)
            used += (size_t)snprintf(block + used, sizeof block - used, "\\%03o", *c++);
        if (used > sizeof block - 2 * sizeof "\\ooo") {
            fwrite(block, 1, used, out);
            used = 0;
        }
    }
    fwrite(block, 1, used, out);
}

const char *ol_cli_tmp_dir(void)
{
    const char *tmp = getenv("TMPDIR");

    return tmp != NULL && *tmp == '/' ? tmp : "/tmp";
}
