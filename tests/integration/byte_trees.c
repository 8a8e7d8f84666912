/* SPDX-License-Identifier: Apache-2.0 */
#include "byte_trees.h"

#include "common/fs/whiteout.h"
#include "common/fs/xattr.h"
#include "support/support.h"
#include "unit/layer/random_layers.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { NAME_MAX_BYTES = 255 };

static const char capability_v2[20] = {1, 0, 0, 2, 0, 4};
static const char capability_v3[24] = {1, 0, 0, 3, 0, 8, 0, 0, 0, 0, 0,
                                       0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1};

static void set_time(int fd, const char *path, time_t sec, long nsec)
{
    const struct timespec t[2] = {{sec, nsec}, {sec, nsec}};

    assert_int_equal(utimensat(fd, path, t, AT_SYMLINK_NOFOLLOW), 0);
}

static void own(int fd, const char *path, uid_t uid, gid_t gid)
{
    assert_int_equal(fchownat(fd, path, uid, gid, AT_SYMLINK_NOFOLLOW), 0);
}

static void node(int fd, const char *path, mode_t mode, dev_t dev)
{
    assert_int_equal(mknodat(fd, path, mode, dev), 0);
}

static void hard_link(int fd, const char *from, const char *to)
{
    assert_int_equal(linkat(fd, from, fd, to, 0), 0);
}

static int open_dir(int fd, const char *path)
{
    int sub = openat(fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(sub >= 0);
    return sub;
}

/* len bytes of which the first tells lengths apart and none is a slash. */
static const char *name_of(char buf[static NAME_MAX_BYTES + 1], size_t len)
{
    memset(buf, (int)('a' + len % 26), len);
    buf[len] = '\0';
    return buf;
}

/* One of each type that a long name may meet; directories have a slash at the end. */
static void put_types(int fd, const char *name, size_t len)
{
    switch (len % 4) {
    case 0:
        test_mkdir(fd, name, 0755);
        break;
    case 1:
        test_symlink(fd, "target", name);
        break;
    default:
        test_write(fd, name, "content");
    }
}

static const size_t lengths[] = {1,   2,   49,  50,  98,  99,  100, 101, 102, 150,
                                 153, 154, 155, 156, 157, 200, 253, 254, 255};

void byte_tree_long_names(int fd)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(lengths); i++) {
        char dir[NAME_MAX_BYTES + 1], name[NAME_MAX_BYTES + 1];
        ol_auto_fd int sub = -1;
        ol_auto_fd int deep = -1;

        test_mkdir(fd, name_of(dir, lengths[i]), 0755);
        sub = open_dir(fd, dir);
        for (size_t k = 0; k < OL_ARRAY_LEN(lengths); k++)
            put_types(sub, name_of(name, lengths[k]), lengths[k]);
        test_mkdir(sub, "deep", 0755);
        deep = open_dir(sub, "deep");
        for (size_t k = 0; k < OL_ARRAY_LEN(lengths); k++)
            put_types(deep, name_of(name, lengths[k]), lengths[k] + 1);
    }
}

/* Both n bytes long, the second with bytes beyond ASCII; both have a slash at byte 100, where the
 * ustar field cuts. */
static const char *text_of(char *buf, size_t len, bool odd)
{
    for (size_t i = 0; i < len; i++)
        buf[i] = i % 25 == 24 && i + 1 < len ? '/' : (char)('a' + i % 7);
    for (size_t i = 3; odd && i + 1 < len; i += 40) {
        buf[i] = (char)0xc3;
        buf[i + 1] = (char)0xa9;
    }
    buf[len] = '\0';
    return buf;
}

static const char *const odd_names[] = {
    "caf\xc3\xa9",  "\xc3\xa9",    "\xff\xfe",      "raw\x80", "new\nline",
    "tab\ttab",     "back\\slash", " blank ",       "a=b",     "=",
    "\x01\x7f\x1b", "\"quoted\"",  "'\"$(x)`y`;*?", "~",       "0123456789\xe2\x82\xac",
};

void byte_tree_odd_names(int fd)
{
    char long_name[NAME_MAX_BYTES + 1];
    ol_auto_fd int sub = -1;

    for (size_t i = 0; i < OL_ARRAY_LEN(odd_names); i++) {
        ol_auto_free char *dir = NULL;
        test_write(fd, odd_names[i], "x");
        assert_true(asprintf(&dir, "%s.d", odd_names[i]) > 0);
        test_mkdir(fd, dir, 0755);
        sub = open_dir(fd, dir);
        test_write(sub, odd_names[OL_ARRAY_LEN(odd_names) - 1 - i], "y");
        ol_fd_close(&sub);
    }
    for (size_t len = 95; len <= NAME_MAX_BYTES;
         len += 20) { /* cut before, in, after a character */
        memset(long_name, 'z', len);
        for (size_t i = len % 3; i + 1 < len; i += 5)
            memcpy(long_name + i, "\xc3\xa9", 2);
        long_name[len] = '\0';
        test_write(fd, long_name, "z");
    }
}

void byte_tree_link_names(int fd)
{
    static const size_t texts[] = {1, 99, 100, 101, 124, 125, 126, 155, 255, 256, 1000, 4095};
    char name[64], text[4096], target[NAME_MAX_BYTES + 1];

    for (size_t i = 0; i < OL_ARRAY_LEN(texts); i++) {
        for (int odd = 0; odd < 2; odd++) {
            (void)snprintf(name, sizeof name, "symlink-%zu-%d", texts[i], odd);
            test_symlink(fd, text_of(text, texts[i], odd == 1), name);
        }
    }
    test_symlink(fd, "ends/in/slash/", "symlink-slash");
    test_symlink(fd, "/absolute/../x", "symlink-absolute");
    for (size_t i = 0; i < OL_ARRAY_LEN(lengths); i++) {
        test_write(fd, name_of(target, lengths[i]), "target");
        (void)snprintf(name, sizeof name, "~link-%zu", lengths[i]); /* after the target */
        hard_link(fd, target, name);
        (void)snprintf(name, sizeof name, "+link-%zu", lengths[i]); /* before it */
        if (i % 2 == 0)
            hard_link(fd, target, name);
    }
    for (size_t i = 0; i < OL_ARRAY_LEN(odd_names); i++) {
        test_write(fd, odd_names[i], "odd");
        (void)snprintf(name, sizeof name, "\x7f-%zu", i);
        hard_link(fd, odd_names[i], name);
        (void)snprintf(name, sizeof name, "\xfe-%zu", i);
        hard_link(fd, odd_names[i], name);
    }
}

void byte_tree_numbers(int fd)
{
    static const uint32_t ids[] = {0,          1,          2,          1000,
                                   65534,      65535,      2097151,    2097152,
                                   2147483647, 2147483648, 4294967293, 4294967294};
    static const struct {
        int64_t sec;
        long nsec;
    } times[] = {{0, 0},          {0, 1},           {-1, 0},          {-1, 999999999},
                 {-2, 500000000}, {-2147483648, 1}, {1, 999999999},   {1600000000, 123456789},
                 {2147483647, 5}, {8589934591, 0},  {8589934591, 9},  {8589934592, 0},
                 {8589934592, 1}, {9999999999, 9},  {15032385535, 0}, {-62135596800, 0}};
    char name[64];

    for (size_t i = 0; i < OL_ARRAY_LEN(ids); i++) {
        (void)snprintf(name, sizeof name, "file-%u", ids[i]);
        test_write(fd, name, "x");
        own(fd, name, ids[i], ids[OL_ARRAY_LEN(ids) - 1 - i]);
        (void)snprintf(name, sizeof name, "dir-%u", ids[i]);
        test_mkdir(fd, name, 0755);
        own(fd, name, 0, ids[i]);
    }
    for (size_t i = 0; i < OL_ARRAY_LEN(times); i++) {
        (void)snprintf(name, sizeof name, "time-%zu", i);
        test_write(fd, name, "x");
        set_time(fd, name, times[i].sec, times[i].nsec);
        (void)snprintf(name, sizeof name, "time-dir-%zu", i);
        test_mkdir(fd, name, 0755);
        set_time(fd, name, times[i].sec, times[i].nsec);
    }
}

void byte_tree_types(int fd)
{
    static const unsigned modes[] = {0,     0400,  0644,  0777,  01000, 01777, 02755,
                                     04755, 06755, 07000, 07777, 0111,  02000};
    char name[64];

    for (size_t i = 0; i < OL_ARRAY_LEN(modes); i++) {
        (void)snprintf(name, sizeof name, "file-%04o", modes[i]);
        test_write(fd, name, "x");
        assert_int_equal(fchmodat(fd, name, modes[i], 0), 0);
        (void)snprintf(name, sizeof name, "dir-%04o", modes[i]);
        test_mkdir(fd, name, modes[i]);
        (void)snprintf(name, sizeof name, "fifo-%04o", modes[i]);
        node(fd, name, S_IFIFO, 0);
        assert_int_equal(fchmodat(fd, name, modes[i], 0), 0);
        (void)snprintf(name, sizeof name, "socket-%04o", modes[i]);
        node(fd, name, S_IFSOCK, 0);
        assert_int_equal(fchmodat(fd, name, modes[i], 0), 0);
    }
    node(fd, "tty", S_IFCHR | 0620, makedev(5, 1));
    node(fd, "zero-major", S_IFCHR | 0600, makedev(0, 7));
    node(fd, "zero-minor", S_IFCHR | 0600, makedev(7, 0));
    node(fd, "large", S_IFCHR | 0600, makedev(4095, 1048575));
    node(fd, "disk", S_IFBLK | 0660, makedev(259, 300));
    node(fd, "zero-disk", S_IFBLK | 0660, makedev(0, 0));
    for (size_t size = 511; size <= 1025; size++) {
        ol_auto_free char *content = NULL;
        if (size > 513 && size < 1023)
            continue;
        assert_true(asprintf(&content, "%0*d", (int)size, 7) > 0);
        (void)snprintf(name, sizeof name, "size-%zu", size);
        test_write(fd, name, content);
    }
    test_write(fd, "size-0", "");
}

void byte_tree_hard_links(int fd, int outside_fd)
{
    char name[64], where[64];

    test_mkdir(fd, "a", 0755);
    test_mkdir(fd, "z", 0755);
    test_write(fd, "m-file", "content");
    test_write(fd, "m-empty", "");
    test_symlink(fd, "somewhere", "m-symlink");
    node(fd, "m-fifo", S_IFIFO | 0600, 0);
    node(fd, "m-char", S_IFCHR | 0600, makedev(1, 3));
    node(fd, "m-block", S_IFBLK | 0600, makedev(7, 3));
    node(fd, "m-socket", S_IFSOCK | 0600, 0);
    for (const char *const *kind = (const char *const[]){"file", "empty", "symlink", "fifo", "char",
                                                         "block", "socket", NULL};
         *kind != NULL; kind++) {
        (void)snprintf(name, sizeof name, "m-%s", *kind);
        (void)snprintf(where, sizeof where, "a/%s", *kind);
        hard_link(fd, name, where);
        (void)snprintf(where, sizeof where, "z/%s", *kind);
        hard_link(fd, name, where);
    }
    test_write(outside_fd, "shared", "outside");
    test_symlink(outside_fd, "x", "shared-symlink");
    assert_int_equal(linkat(outside_fd, "shared", fd, "one-name-here", 0), 0);
    assert_int_equal(linkat(outside_fd, "shared-symlink", fd, "symlink-here", 0), 0);
}

static void attribute(int fd, const char *path, const char *name, const void *value, size_t len)
{
    assert_int_equal(ol_xattr_set(fd, path, name, value, len), 0);
}

void byte_tree_attributes(int fd)
{
    char name[NAME_MAX_BYTES + 1];

    test_write(fd, "v2", "x");
    attribute(fd, "v2", "security.capability", capability_v2, sizeof capability_v2);
    hard_link(fd, "v2", "v2-link");
    test_write(fd, "v3", "x");
    attribute(fd, "v3", "security.capability", capability_v3, sizeof capability_v3);
    test_write(fd, "v3-empty", "");
    attribute(fd, "v3-empty", "security.capability", capability_v3, sizeof capability_v3);
    test_write(fd, "v2-setuid", "x");
    assert_int_equal(fchmodat(fd, "v2-setuid", 06755, 0), 0);
    attribute(fd, "v2-setuid", "security.capability", capability_v2, sizeof capability_v2);
    test_mkdir(fd, "v2-dir", 0755);
    attribute(fd, "v2-dir", "security.capability", capability_v2, sizeof capability_v2);
    for (size_t len = 90; len <= NAME_MAX_BYTES; len += 55) { /* beside path and numbers in PAX */
        test_write(fd, name_of(name, len), "x");
        own(fd, name, 3000000, 4000000);
        set_time(fd, name, -5, 0);
        attribute(fd, name, "security.capability", capability_v2, sizeof capability_v2);
    }
    test_write(fd, "others", "x");
    attribute(fd, "others", "user.note", "n", 1);
    attribute(fd, "others", "trusted.note", "n", 1);
    attribute(fd, "others", "trusted.overlay.origin", "n", 1);
    attribute(fd, "others", "security.note", "n", 1);
    test_mkdir(fd, "others-dir", 0755);
    attribute(fd, "others-dir", "user.note", "n", 1);
    attribute(fd, "others-dir", "trusted.overlay.impure", "y", 1);
}

void byte_tree_whiteout_names(int fd)
{
    static const char *const names[] = {".wh.a", ".wh.", ".wh..wh.a", ".wh..wh..opq.x",
                                        ".wh..wh.aufs"};

    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++) {
        ol_auto_free char *dir = NULL;
        ol_auto_free char *below = NULL;
        test_write(fd, names[i], "content");
        own(fd, names[i], 5, 6);
        assert_true(asprintf(&dir, "%s.d", names[i]) > 0);
        test_mkdir(fd, dir, 0750);
        assert_true(asprintf(&below, "%s/%s", dir, names[i]) > 0);
        test_symlink(fd, ".wh.target", below);
    }
}

static void opaque(int parent_fd, const char *name, const char *value, unsigned mode)
{
    ol_auto_fd int fd = -1;

    test_mkdir(parent_fd, name, mode);
    attribute(parent_fd, name, "trusted.overlay.opaque", value, strlen(value));
    fd = open_dir(parent_fd, name);
    test_write(fd, "inside", "x");
}

void byte_tree_opaques(int fd)
{
    static const unsigned modes[] = {0755, 0700, 01777, 02755, 0, 0511};
    char name[NAME_MAX_BYTES + 1];

    for (size_t i = 0; i < OL_ARRAY_LEN(modes); i++) {
        (void)snprintf(name, sizeof name, "mode-%04o", modes[i]);
        opaque(fd, name, "y", modes[i]);
    }
    for (size_t i = 0; i < OL_ARRAY_LEN(lengths); i++)
        opaque(fd, name_of(name, lengths[i]), "y", 0755);
    for (size_t len = 80; len < 100; len++) /* the marker's own name passes 100 bytes */
        if (len != 98 && len != 99)
            opaque(fd, name_of(name, len), "y", 0755);
    opaque(fd, "caf\xc3\xa9", "y", 0755);
    opaque(fd, "not-n", "n", 0755);
    opaque(fd, "not-yy", "yy", 0755);
    opaque(fd, "not-x", "x", 0755);
    opaque(fd, "owner", "y", 0755);
    own(fd, "owner", 3000000, 4000000);
    set_time(fd, "owner", -3, 5);
    opaque(fd, "capability", "y", 0755);
    attribute(fd, "capability", "security.capability", capability_v2, sizeof capability_v2);
    test_mkdir(fd, "outer", 0755);
    attribute(fd, "outer", "trusted.overlay.opaque", "y", 1);
    opaque(fd, "outer/inner", "y", 0700);
}

void byte_tree_whiteouts(int fd)
{
    char name[NAME_MAX_BYTES + 1];

    test_mkdir(fd, "d", 0755);
    assert_int_equal(ol_whiteout_make(fd, "alone"), 0);
    assert_int_equal(ol_whiteout_make(fd, "owned"), 0);
    own(fd, "owned", 1, 3000000);
    set_time(fd, "owned", -1, 0);
    assert_int_equal(ol_whiteout_make(fd, ".wh.named"), 0);
    assert_int_equal(ol_whiteout_make(fd, "shared"), 0); /* as the kernel does since 5.8 */
    hard_link(fd, "shared", "shared-2");
    hard_link(fd, "shared", "d/shared-3");
    hard_link(fd, "shared", "a-first");
    for (size_t i = 0; i < OL_ARRAY_LEN(lengths); i++)
        if (lengths[i] <= NAME_MAX_BYTES - 4) {
            char other[8];
            assert_int_equal(ol_whiteout_make(fd, name_of(name, lengths[i])), 0);
            (void)snprintf(other, sizeof other, "~%zu", lengths[i]); /* links to a long name */
            hard_link(fd, name, other);
        }
    assert_int_equal(ol_whiteout_make(fd, "caf\xc3\xa9"), 0);
    hard_link(fd, "caf\xc3\xa9", "\xfe");
}

/* ---- changes ---- */

/* Old side and new side of one name: '-' absent, else its type. */
static void put_side(int fd, const char *name, char type)
{
    ol_auto_free char *below = NULL;

    switch (type) {
    case '-':
        return;
    case 'd':
        test_mkdir(fd, name, 0755);
        assert_true(asprintf(&below, "%s/below", name) > 0);
        test_write(fd, below, "x");
        break;
    case 'e':
        test_mkdir(fd, name, 0755);
        break;
    case 'l':
        test_symlink(fd, "target", name);
        break;
    case 'p':
        node(fd, name, S_IFIFO | 0600, 0);
        break;
    case 'c':
        node(fd, name, S_IFCHR | 0600, makedev(1, 3));
        break;
    default:
        test_write(fd, name, "content");
    }
    set_time(fd, name, 1600000000, 0);
}

static void put_pairs(int new_fd, int old_fd)
{
    static const char types[] = "-delpcf";

    for (const char *was = types; *was != '\0'; was++) {
        for (const char *now = types; *now != '\0'; now++) {
            char name[16];
            (void)snprintf(name, sizeof name, "%c-to-%c", *was, *now);
            put_side(old_fd, name, *was);
            put_side(new_fd, name, *now);
        }
    }
}

static void put_deletions(int new_fd, int old_fd)
{
    char dir[NAME_MAX_BYTES + 1], name[NAME_MAX_BYTES + 1];

    for (size_t i = 0; i < OL_ARRAY_LEN(lengths); i++) {
        ol_auto_fd int sub = -1;
        test_mkdir(new_fd, name_of(dir, lengths[i]), 0755);
        test_mkdir(old_fd, dir, 0755);
        sub = open_dir(old_fd, dir);
        for (size_t k = 0; k < OL_ARRAY_LEN(lengths); k++)
            if (lengths[k] <= NAME_MAX_BYTES - 4)
                put_types(sub, name_of(name, lengths[k]), lengths[k]);
    }
    for (size_t i = 0; i < OL_ARRAY_LEN(odd_names); i++)
        test_write(old_fd, odd_names[i], "gone");
    for (size_t len = 93; len < 103; len++) { /* with ".wh." around 100 bytes */
        memset(name, 'Y', len);
        name[len] = '\0';
        test_write(old_fd, name, "gone");
    }
}

static void put_metadata(int new_fd, int old_fd)
{
    for (int side = 0; side < 2; side++) {
        int fd = side == 0 ? new_fd : old_fd;
        test_write(fd, "meta-mode", "x");
        assert_int_equal(fchmodat(fd, "meta-mode", side == 0 ? 04711 : 0711, 0), 0);
        test_write(fd, "meta-owner", "x");
        own(fd, "meta-owner", side == 0 ? 7 : 8, 0);
        test_write(fd, "meta-time", "x");
        set_time(fd, "meta-time", 1600000000 + side, 0);
        test_write(fd, "meta-nanoseconds", "x");
        set_time(fd, "meta-nanoseconds", 1600000000, side + 1);
        test_write(fd, "meta-some-nanoseconds", "x"); /* one side has none: the same */
        set_time(fd, "meta-some-nanoseconds", 1600000000, side);
        test_write(fd, "meta-capability", "x");
        attribute(fd, "meta-capability", "security.capability",
                  side == 0 ? capability_v2 : capability_v3,
                  side == 0 ? sizeof capability_v2 : sizeof capability_v3);
        test_write(fd, "meta-user", "x"); /* not compared */
        attribute(fd, "meta-user", "user.side", side == 0 ? "n" : "o", 1);
        test_mkdir(fd, "meta-dir", side == 0 ? 0700 : 0755);
        for (const char *const *same =
                 (const char *const[]){"meta-mode", "meta-owner", "meta-capability", "meta-user",
                                       "meta-dir", NULL};
             *same != NULL; same++)
            set_time(fd, *same, 1600000000, 0);
        test_symlink(fd, side == 0 ? "abc" : "xyz", "symlink-same-length");
        set_time(fd, "symlink-same-length", 1600000000, 0);
        test_symlink(fd, side == 0 ? "abc" : "abcd", "symlink-text");
        set_time(fd, "symlink-text", 1600000000, 0);
    }
}

void byte_trees_changed(int new_fd, int old_fd)
{
    put_pairs(new_fd, old_fd);
    put_deletions(new_fd, old_fd);
    put_metadata(new_fd, old_fd);
    test_write(new_fd, "link", "new"); /* of three names, two in the change set */
    hard_link(new_fd, "link", "link-2");
    hard_link(new_fd, "link", "link-3");
    hard_link(new_fd, "link", "meta-link");
    assert_int_equal(linkat(new_fd, "link-3", old_fd, "link-3", 0), 0);
}

/* ---- random ---- */

static uint64_t below(uint64_t *s, uint64_t n)
{
    return random_next(s) % n;
}

/* Often around the lengths where headers change; bytes mostly letters. */
static const char *random_name(char buf[static NAME_MAX_BYTES + 1], uint64_t *s)
{
    size_t len = below(s, 3) == 0 ? lengths[below(s, OL_ARRAY_LEN(lengths))] : 1 + below(s, 130);
    bool odd = below(s, 6) == 0;

    for (size_t i = 0; i < len; i++)
        do
            buf[i] = odd && below(s, 8) == 0 ? (char)(1 + below(s, 255))
                                             : (char)('a' + below(s, 26));
        while (buf[i] == '/' || (len <= 2 && buf[i] == '.'));
    buf[len] = '\0';
    return buf;
}

static void random_metadata(int fd, const char *name, uint64_t *s)
{
    static const uint32_t ids[] = {0, 1, 2, 1000, 65534, 2097151, 2097152, 4294967294};
    uint32_t uid = ids[below(s, OL_ARRAY_LEN(ids))], gid = ids[below(s, OL_ARRAY_LEN(ids))];
    unsigned mode = (unsigned)below(s, 010000);
    int64_t sec = below(s, 8) == 0 ? -(int64_t)below(s, 1u << 31) : (int64_t)below(s, 1ull << 34);
    struct stat st;

    own(fd, name, uid, gid);
    assert_int_equal(fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    if (!S_ISLNK(st.st_mode))
        assert_int_equal(fchmodat(fd, name, mode, 0), 0);
    if (S_ISREG(st.st_mode) && below(s, 6) == 0)
        attribute(fd, name, "security.capability", capability_v3, sizeof capability_v3);
    if (S_ISDIR(st.st_mode) && below(s, 4) == 0)
        attribute(fd, name, "trusted.overlay.opaque", "y", 1);
    set_time(fd, name, sec, (long)below(s, 1000000000));
}

static void random_directory(int fd, uint64_t *s, unsigned depth);

/* A hard link has what its first name has; everything else draws its own metadata. */
static void random_object(int fd, const char *name, const char *linked, uint64_t *s, unsigned depth)
{
    char text[512];
    uint64_t kind = below(s, 9);
    ol_auto_fd int sub = -1;

    if (kind >= 7) {
        test_mkdir(fd, name, 0755);
        sub = open_dir(fd, name);
        if (depth < 4)
            random_directory(sub, s, depth + 1);
    } else if (kind == 0) {
        test_symlink(fd, text_of(text, 1 + below(s, 300), below(s, 4) == 0), name);
    } else if (kind == 1) {
        node(fd, name, S_IFIFO, 0);
    } else if (kind == 2) {
        node(fd, name, below(s, 2) ? S_IFCHR : S_IFBLK, makedev(below(s, 3), below(s, 3)));
    } else if (kind <= 4 && linked[0] != '\0') {
        hard_link(fd, linked, name);
        return;
    } else {
        test_write(fd, name, text_of(text, below(s, 500), false));
    }
    random_metadata(fd, name, s);
}

static void random_directory(int fd, uint64_t *s, unsigned depth)
{
    char linked[NAME_MAX_BYTES + 1] = "", name[NAME_MAX_BYTES + 1];
    unsigned count = (unsigned)below(s, 12);

    for (unsigned i = 0; i < count; i++) {
        struct stat st;
        if (fstatat(fd, random_name(name, s), &st, AT_SYMLINK_NOFOLLOW) == 0)
            continue;
        random_object(fd, name, linked, s, depth);
        assert_int_equal(fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
        if (!S_ISDIR(st.st_mode) && below(s, 2) == 0)
            memcpy(linked, name, strlen(name) + 1);
    }
}

void byte_tree_random(int fd, uint64_t seed)
{
    uint64_t state = seed;

    for (int i = 0; i < 4; i++)
        random_directory(fd, &state, 0);
}
