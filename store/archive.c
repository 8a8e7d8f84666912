/* SPDX-License-Identifier: Apache-2.0 */
/* Files of an image by name; see archive.h. */
#include "store/archive.h"

#include "common/cleanup.h"
#include "common/fs/path.h"
#include "common/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct ol_archive {
    unsigned refs;
    int fd; /* owned: the tar file, or the directory */
    bool is_dir;
    struct ol_archive_index index; /* of the tar */
};

static int archive_new(int fd, struct ol_archive_index *index, struct ol_archive **ret,
                       struct ol_error *err)
{
    struct ol_archive *archive = calloc(1, sizeof *archive);

    if (archive == NULL) {
        ol_fd_close(&fd);
        if (index != NULL)
            ol_archive_index_fini(index);
        return ol_error_nomem(err);
    }
    archive->refs = 1;
    archive->fd = fd;
    archive->is_dir = index == NULL;
    if (index != NULL) {
        archive->index = *index;
        *index = (struct ol_archive_index)OL_ARCHIVE_INDEX_INIT;
    }
    *ret = archive;
    return 0;
}

int ol_archive_new_tar(int fd, struct ol_archive_index *index, struct ol_archive **ret,
                       struct ol_error *err)
{
    return archive_new(fd, index, ret, err);
}

int ol_archive_new_dir(int fd, struct ol_archive **ret, struct ol_error *err)
{
    return archive_new(fd, NULL, ret, err);
}

struct ol_archive *ol_archive_ref(struct ol_archive *archive)
{
    archive->refs++;
    return archive;
}

void ol_archive_free(struct ol_archive *archive)
{
    if (archive == NULL || --archive->refs > 0)
        return;
    ol_fd_close(&archive->fd);
    ol_archive_index_fini(&archive->index);
    free(archive);
}

static int climbs(const char *name, struct ol_error *err)
{
    return ol_error_set(err, -EXDEV, "'%s' points outside the archive", name);
}

/* The clean name a link member points at: hard links count from the root, symlinks from their
 * directory. */
static int link_target(const char *name, char type, const char *text, struct ol_buf *ret,
                       struct ol_error *err)
{
    ol_auto_buf struct ol_buf joined = OL_BUF_INIT;
    int r = 0;

    if (type == '2' && text[0] != '/') {
        r = ol_buf_append(&joined, name, ol_path_dir_len(name));
        if (r == 0)
            r = ol_buf_putc(&joined, '/');
    }
    if (r == 0)
        r = ol_buf_puts(&joined, text);
    if (r == 0)
        r = ol_buf_putc(&joined, '\0'); /* terminated also when text is empty */
    if (r < 0)
        return ol_error_nomem(err);
    if (ol_path_clean(joined.data, joined.data))
        return climbs(text, err);
    ol_buf_truncate(ret, 0);
    return ol_buf_puts(ret, joined.data) < 0 ? ol_error_nomem(err) : 0;
}

static int tar_find(const struct ol_archive *archive, const char *name,
                    const struct ol_index_entry **ret, struct ol_error *err)
{
    const struct ol_archive_index *index = &archive->index;
    ol_auto_buf struct ol_buf path = OL_BUF_INIT;
    const struct ol_index_entry *entry = NULL;
    int r = link_target("", '1', name, &path, err); /* only cleans */

    for (int steps = 0; r == 0; steps++) {
        r = ol_archive_index_find(index, ol_buf_str(&path), &entry, err);
        if (r < 0)
            break;
        if (entry->type == '0')
            break;
        if (steps == OL_ARCHIVE_LINKS_MAX)
            return ol_error_set(err, -ELOOP, "'%s' leads through more than %d links", name,
                                OL_ARCHIVE_LINKS_MAX);
        r = link_target(ol_buf_str(&path), entry->type, index->names.data + entry->link, &path,
                        err);
    }
    if (r < 0)
        return r;
    if (entry->sparse)
        return ol_error_set(err, -ENOTSUP,
                            "'%s' is stored as a sparse file; pack the archive without sparse "
                            "files (tar without -S)",
                            name);
    *ret = entry;
    return 0;
}

/* O_NONBLOCK: a FIFO planted in the directory must not make us wait (CVE-2024-9676). */
static int dir_open(const struct ol_archive *archive, const char *name, struct ol_input *ret,
                    int *ret_fd, struct ol_error *err)
{
    ol_auto_fd int fd = -1;
    struct stat st;

    fd = ol_path_open(archive->fd, name, O_PATH, 0);
    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open '%s'", name);
    if (fstat(fd, &st) < 0)
        return ol_error_sys(err, errno, "cannot examine '%s'", name);
    if (!S_ISREG(st.st_mode))
        return ol_error_set(err, -EINVAL, "'%s' is not a regular file", name);
    ol_fd_close(&fd);
    fd = ol_path_open(archive->fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open '%s'", name);
    if (fstat(fd, &st) < 0)
        return ol_error_sys(err, errno, "cannot examine '%s'", name);
    if (!S_ISREG(st.st_mode))
        return ol_error_set(err, -EINVAL, "'%s' is not a regular file", name);
    *ret = (struct ol_input){.fd = fd, .offset = 0, .length = (uint64_t)st.st_size};
    *ret_fd = ol_fd_steal(&fd);
    return 0;
}

int ol_archive_open(const struct ol_archive *archive, const char *name, struct ol_input *ret,
                    int *ret_fd, struct ol_error *err)
{
    const struct ol_index_entry *entry = NULL;
    int r;

    if (archive->is_dir)
        return dir_open(archive, name, ret, ret_fd, err);
    r = tar_find(archive, name, &entry, err);
    if (entry == NULL) /* exactly when r < 0 */
        return r;
    *ret = (struct ol_input){
        .fd = archive->fd, .offset = (int64_t)entry->offset, .length = entry->length};
    *ret_fd = -1;
    return 0;
}

const char *ol_archive_layer_name(const struct ol_archive *archive)
{
    const struct ol_archive_index *index = &archive->index;

    for (size_t i = 0; i < index->count; i++) {
        const char *name = index->names.data + index->entries[i].name;
        size_t hex = strspn(name, "0123456789abcdef");
        if (strncmp(name, "blobs/sha256/", 13) == 0 ||
            (hex == 64 && strcmp(name + hex, "/layer.tar") == 0))
            return name;
    }
    return NULL;
}

int ol_archive_read(const struct ol_archive *archive, const char *name, size_t max,
                    struct ol_buf *buf, struct ol_error *err)
{
    struct ol_input input;
    ol_auto_fd int fd = -1;
    ssize_t n;
    int r = ol_archive_open(archive, name, &input, &fd, err);

    if (r < 0)
        return r;
    if (input.length > max)
        return ol_error_set(err, -E2BIG, "'%s' has %llu bytes; at most %zu are read", name,
                            (unsigned long long)input.length, max);
    if (ol_buf_reserve(buf, (size_t)input.length) < 0)
        return ol_error_nomem(err);
    n = ol_io_pread(input.fd, buf->data + buf->len, (size_t)input.length, input.offset);
    if (n < 0)
        return ol_error_sys(err, (int)-n, "cannot read '%s'", name);
    if ((uint64_t)n != input.length)
        return ol_error_set(err, -EBADMSG, "'%s' ended early", name);
    buf->len += (size_t)n;
    buf->data[buf->len] = '\0';
    return 0;
}
