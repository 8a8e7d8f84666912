/* SPDX-License-Identifier: Apache-2.0 */
#include "export_tree.h"

#include "common/fs/whiteout.h"
#include "common/fs/xattr.h"
#include "support/support.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static const char capability_v2[20] = {1, 0, 0, 2, 0, 4};
static const char capability_v3[24] = {1, 0, 0, 3, 0, 8, 0, 0, 0, 0, 0,
                                       0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1};

static void finish(int fd, const char *path, uid_t uid, unsigned mode, long nsec)
{
    const struct timespec t[2] = {{1600000000, nsec}, {1600000000, nsec}};

    assert_int_equal(fchownat(fd, path, uid, uid, AT_SYMLINK_NOFOLLOW), 0);
    if (mode != 0)
        assert_int_equal(fchmodat(fd, path, mode, 0), 0);
    assert_int_equal(utimensat(fd, path, t, AT_SYMLINK_NOFOLLOW), 0);
}

static void file(int fd, const char *path, size_t size, unsigned mode)
{
    ol_auto_free char *content = malloc(size + 1);

    assert_non_null(content);
    for (size_t i = 0; i < size; i++)
        content[i] = (char)('a' + i % 26);
    content[size] = '\0';
    test_write(fd, path, content);
    finish(fd, path, 1000, mode, 999999999);
}

static void node(int fd, const char *path, mode_t mode, dev_t dev)
{
    assert_int_equal(mknodat(fd, path, mode, dev), 0);
    finish(fd, path, 0, 0, 1);
}

static void link_to(int fd, const char *from, const char *to)
{
    assert_int_equal(linkat(fd, from, fd, to, 0), 0);
}

static void symlink_to(int fd, const char *text, const char *path)
{
    test_symlink(fd, text, path);
    finish(fd, path, 5, 0, 0);
}

static void long_text(char *out, size_t len, char c)
{
    memset(out, c, len);
    out[len] = '\0';
}

/* Long names of all three kinds: one for the prefix field, one only PAX can hold, one not ASCII. */
static void make_names(int fd)
{
    char dir[128], base[256], path[512];

    long_text(dir, 90, 'd');
    long_text(base, 60, 'b');
    test_mkdir(fd, dir, 0755);
    (void)snprintf(path, sizeof path, "%s/%s", dir, base);
    file(fd, path, 10, 0644);
    finish(fd, dir, 0, 0755, 0);
    long_text(base, 130, 'p');
    file(fd, base, 10, 0644);
    file(fd, "caf\xc3\xa9", 3, 0644);
    file(fd, "raw\xff", 3, 0644);
    long_text(base, 120, 't');
    symlink_to(fd, base, "long-link");
}

static void make_types(int fd)
{
    file(fd, "empty", 0, 0600);
    file(fd, "block", 512, 0644);
    file(fd, "setuid", 513, 04755);
    file(fd, ".wh.user-made", 1, 0644);
    symlink_to(fd, "../target", "link");
    node(fd, "char", S_IFCHR | 0620, makedev(5, 1));
    node(fd, "blockdev", S_IFBLK | 0660, makedev(259, 300));
    node(fd, "zero-device", S_IFCHR | 0600, makedev(0, 0));
    node(fd, "fifo", S_IFIFO | 0644, 0);
    node(fd, "socket", S_IFSOCK | 0644, 0);
    link_to(fd, "setuid", "setuid-2");
    link_to(fd, "link", "link-2");
    link_to(fd, "char", "char-2");
    assert_int_equal(ol_xattr_set(fd, "empty", "security.capability", capability_v2, 20), 0);
    assert_int_equal(ol_xattr_set(fd, "block", "security.capability", capability_v3, 24), 0);
}

void export_tree_make(int new_fd, int old_fd)
{
    static const char *const gone[] = {"gone", "kept/gone", "changed/deep/gone"};
    static const char *const dirs[] = {"kept", "changed", "changed/deep"};

    for (int side = 0; side < 2; side++) {
        int fd = side == 0 ? new_fd : old_fd;
        for (size_t i = 0; i < OL_ARRAY_LEN(dirs); i++)
            test_mkdir(fd, dirs[i], 0755);
        file(fd, "kept/same", 5, 0644);
        file(fd, "changed/deep/file", side == 0 ? 7 : 5, 0644);
        for (size_t i = 0; side == 1 && i < OL_ARRAY_LEN(gone); i++)
            file(fd, gone[i], 1, 0644);
    }
    test_mkdir(new_fd, "added", 01777);
    file(new_fd, "added/x", 1, 0644);
    file(new_fd, "added-", 1, 0644); /* sorts between "added" and "added/x" in a diff only */
    make_types(new_fd);
    make_names(new_fd);
    finish(new_fd, "added", 7, 01777, 5);
    for (size_t i = OL_ARRAY_LEN(dirs); i-- > 0;)
        finish(new_fd, dirs[i], 0, 0755, 5);
}

void export_upper_make(int fd)
{
    ol_auto_fd int opaque = -1;

    test_mkdir(fd, "opaque", 0755);
    file(fd, "opaque/x", 3, 0644);
    assert_int_equal(ol_whiteout_make(fd, "opaque/gone"), 0);
    finish(fd, "opaque/gone", 3, 0, 5);
    opaque = openat(fd, "opaque", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(opaque >= 0);
    assert_int_equal(ol_whiteout_set_opaque(opaque, OL_OVERLAY_TRUSTED), 0);
    assert_int_equal(ol_xattr_set(opaque, "", "trusted.overlay.origin", "abc", 3), 0);
    finish(fd, "opaque", 4, 01750, 0);
    assert_int_equal(ol_whiteout_make(fd, "gone"), 0);
    finish(fd, "gone", 0, 0, 0);
    make_types(fd);
    make_names(fd);
}
