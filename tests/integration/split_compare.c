/* SPDX-License-Identifier: Apache-2.0 */
#include "split_compare.h"

#include "common/buf.h"
#include "common/digest.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/layer/tarsplit_lines.h"
#include "support/support.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

enum { SPLIT_MAX = 64 << 20 };

static void collect_one(int layers_fd, const char *chain, int dir_fd)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_fd int fd = ol_fs_open_dir(layers_fd, chain);
    ol_auto_buf struct ol_buf split = OL_BUF_INIT;
    ol_auto_free char *diff = NULL;

    assert_true(fd >= 0);
    diff = test_read(fd, "diff");
    assert_true(ol_digest_valid(diff));
    assert_ok(ol_fs_read_file(fd, "tar-split.json.gz", SPLIT_MAX, &split, &err), &err);
    assert_ok(ol_fs_write_file(dir_fd, ol_digest_hex(diff), split.data, split.len, 0600, &err),
              &err);
}

void split_collect(const char *layers, int dir_fd)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    ol_auto_fd int fd = ol_fs_open_dir(AT_FDCWD, layers);

    assert_true(fd >= 0);
    assert_int_equal(ol_dirents_read(&list, fd, true), 0);
    for (size_t i = 0; i < list.count; i++)
        collect_one(fd, list.items[i].name, dir_fd);
}

static void end_segment(struct ol_buf *text, struct ol_buf *segment)
{
    char digest[OL_DIGEST_SIZE];

    if (segment->len == 0)
        return;
    assert_int_equal(ol_digest_of(segment->data, segment->len, digest, NULL), 0);
    assert_int_equal(ol_buf_printf(text, "%zu bytes %s\n", segment->len, digest), 0);
    ol_buf_truncate(segment, 0);
}

/* One line for each entry, and for the bytes between two. */
static char *describe(int dir_fd, const char *name)
{
    const struct ol_layer_limits limits = OL_LAYER_LIMITS_DEFAULT;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf segment = OL_BUF_INIT;
    ol_auto_fd int fd = ol_fs_open_read(dir_fd, name, 0);
    struct ol_tarsplit_reader *reader = NULL;
    struct ol_tarsplit_line line;
    struct ol_buf text = OL_BUF_INIT;
    int r;

    if (fd < 0)
        fail_msg("no tar-split file for DiffID %s", name);
    assert_ok(ol_tarsplit_reader_new(fd, &limits, &reader, &err), &err);
    while ((r = ol_tarsplit_read_line(reader, &line, &err)) == 1) {
        if (line.type == OL_TARSPLIT_SEGMENT) {
            assert_int_equal(ol_buf_append(&segment, line.bytes, line.len), 0);
            continue;
        }
        end_segment(&text, &segment);
        assert_int_equal(
            ol_buf_printf(&text, "'%s' %" PRIu64 " %" PRIx64 "\n", line.name, line.size, line.crc),
            0);
    }
    assert_ok(r, &err);
    end_segment(&text, &segment);
    ol_tarsplit_reader_free(reader);
    return ol_buf_steal(&text);
}

unsigned split_assert_same(int ours_fd, int theirs_fd)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;

    assert_int_equal(ol_dirents_read(&list, theirs_fd, true), 0);
    for (size_t i = 0; i < list.count; i++) {
        ol_auto_free char *ours = describe(ours_fd, list.items[i].name);
        ol_auto_free char *theirs = describe(theirs_fd, list.items[i].name);
        assert_string_equal(ours, theirs);
    }
    return (unsigned)list.count;
}
