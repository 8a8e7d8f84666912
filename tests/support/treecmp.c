/* SPDX-License-Identifier: Apache-2.0 */
/* See treecmp.h. Recursion is bounded by the depth of the small trees tests make. */
#include "support/treecmp.h"

#include "support/support.h"

#include "common/buf.h"
#include "common/digest.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

struct first_name { /* of a regular file with more than one */
    dev_t dev;
    ino_t ino;
    char *path;
};

struct describer {
    struct ol_buf out;
    struct first_name *firsts;
    size_t n_firsts;
    unsigned flags;
};

static void check(int r)
{
    if (r < 0)
        fail_msg("out of memory");
}

/* Bytes that would break the line format become \xNN. */
static void put_escaped(struct ol_buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        check(isgraph(c) && c != '\\' ? ol_buf_putc(out, text[i])
                                      : ol_buf_printf(out, "\\x%02x", c));
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool shown_xattr(const char *name)
{
    return strncmp(name, "trusted.overlay.", 16) != 0 && strncmp(name, "user.overlay.", 13) != 0 &&
           strcmp(name, "security.selinux") != 0;
}

static void put_xattrs(struct describer *d, const char *path)
{
    char list[4096];
    char value[4096];
    char *names[64];
    size_t count = 0;
    ssize_t len = llistxattr(path, list, sizeof list);

    if (len < 0 && errno == ENOTSUP)
        return;
    if (len < 0)
        fail_msg("cannot list the xattrs of '%s': %s", path, strerror(errno));
    for (char *p = list; p < list + len && count < OL_ARRAY_LEN(names); p += strlen(p) + 1)
        if (shown_xattr(p))
            names[count++] = p;
    qsort(names, count, sizeof *names, by_text);
    for (size_t i = 0; i < count; i++) {
        ssize_t n = lgetxattr(path, names[i], value, sizeof value);
        if (n < 0)
            fail_msg("cannot read '%s' of '%s': %s", names[i], path, strerror(errno));
        check(ol_buf_printf(&d->out, " %s=", names[i]));
        put_escaped(&d->out, value, (size_t)n);
    }
}

static void put_content(struct describer *d, const char *path)
{
    ol_auto_fd int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct ol_hash *hash = NULL;
    char digest[OL_DIGEST_SIZE];
    static char block[1 << 16];
    ssize_t n;

    if (fd < 0)
        fail_msg("cannot open '%s': %s", path, strerror(errno));
    check(ol_hash_new(&hash, NULL));
    while ((n = read(fd, block, sizeof block)) > 0)
        ol_hash_update(hash, block, (size_t)n);
    assert_true(n == 0);
    ol_hash_final(hash, digest);
    ol_hash_free(hash);
    check(ol_buf_printf(&d->out, " %.12s", ol_digest_hex(digest)));
}

static void put_link_group(struct describer *d, const struct stat *st, const char *shown)
{
    for (size_t i = 0; i < d->n_firsts; i++) {
        if (d->firsts[i].dev == st->st_dev && d->firsts[i].ino == st->st_ino) {
            check(ol_buf_printf(&d->out, " same-as=%s", d->firsts[i].path));
            return;
        }
    }
    d->firsts = reallocarray(d->firsts, d->n_firsts + 1, sizeof *d->firsts);
    assert_non_null(d->firsts);
    d->firsts[d->n_firsts++] = (struct first_name){st->st_dev, st->st_ino, strdup(shown)};
}

static void put_kind(struct describer *d, const char *path, const char *shown,
                     const struct stat *st)
{
    char target[4096];
    ssize_t n;

    switch (st->st_mode & S_IFMT) {
    case S_IFREG:
        check(ol_buf_printf(&d->out, " file size=%lld", (long long)st->st_size));
        put_content(d, path);
        put_link_group(d, st, shown);
        break;
    case S_IFDIR:
        check(ol_buf_puts(&d->out, " dir"));
        break;
    case S_IFLNK:
        n = readlink(path, target, sizeof target);
        assert_true(n >= 0);
        check(ol_buf_puts(&d->out, " symlink -> "));
        put_escaped(&d->out, target, (size_t)n);
        break;
    case S_IFIFO:
        check(ol_buf_puts(&d->out, " fifo"));
        break;
    case S_IFCHR:
    case S_IFBLK:
        check(ol_buf_printf(&d->out, " %s %u:%u", S_ISCHR(st->st_mode) ? "char" : "block",
                            major(st->st_rdev), minor(st->st_rdev)));
        break;
    default:
        check(ol_buf_puts(&d->out, " socket"));
    }
}

static void put_entry(struct describer *d, const char *path, const char *shown,
                      const struct stat *st)
{
    put_escaped(&d->out, shown, strlen(shown));
    put_kind(d, path, shown, st);
    check(ol_buf_printf(&d->out, " %04o %u:%u", st->st_mode & 07777, st->st_uid, st->st_gid));
    if ((d->flags & TREECMP_NO_TIMES) == 0)
        check(ol_buf_printf(&d->out, " %lld.%09ld", (long long)st->st_mtim.tv_sec,
                            st->st_mtim.tv_nsec));
    if ((d->flags & TREECMP_NO_XATTRS) == 0)
        put_xattrs(d, path);
    check(ol_buf_putc(&d->out, '\n'));
}

static char **read_names(const char *path, size_t *ret_count)
{
    ol_auto_dir DIR *dir = opendir(path);
    const struct dirent *e;
    char **names = NULL;
    size_t count = 0;

    if (dir == NULL)
        fail_msg("cannot read directory '%s': %s", path, strerror(errno));
    while ((e = readdir(dir)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        names = reallocarray(names, count + 1, sizeof *names);
        assert_non_null(names);
        names[count++] = strdup(e->d_name);
    }
    if (count > 0)
        qsort(names, count, sizeof *names, by_text);
    *ret_count = count;
    return names;
}

static void describe_dir(struct describer *d, const char *path, const char *shown)
{
    size_t count = 0;
    char **names = read_names(path, &count);

    for (size_t i = 0; i < count; i++) {
        char *child = NULL;
        char *child_shown = NULL;
        struct stat st;
        assert_true(asprintf(&child, "%s/%s", path, names[i]) > 0);
        assert_true(asprintf(&child_shown, "%s/%s", shown, names[i]) > 0);
        if (lstat(child, &st) < 0)
            fail_msg("cannot examine '%s': %s", child, strerror(errno));
        put_entry(d, child, child_shown, &st);
        if (S_ISDIR(st.st_mode))
            describe_dir(d, child, child_shown);
        free(child);
        free(child_shown);
        free(names[i]);
    }
    free(names);
}

char *treecmp_describe(const char *path, unsigned flags)
{
    struct describer d = {.flags = flags};
    struct stat st;
    char *text;

    if (lstat(path, &st) < 0)
        fail_msg("cannot examine '%s': %s", path, strerror(errno));
    if ((flags & TREECMP_NO_ROOT) == 0)
        put_entry(&d, path, "/", &st);
    describe_dir(&d, path, "");
    for (size_t i = 0; i < d.n_firsts; i++)
        free(d.firsts[i].path);
    free(d.firsts);
    text = ol_buf_steal(&d.out);
    assert_non_null(text);
    return text;
}

/* Length of the path at the start of a line, which orders the lines. */
static int compare_paths(const char *a, const char *b)
{
    size_t len_a = strcspn(a, " \n");
    size_t len_b = strcspn(b, " \n");
    int r = memcmp(a, b, len_a < len_b ? len_a : len_b);

    return r != 0 ? r : len_a < len_b ? -1 : len_a > len_b;
}

static const char *print_line(const char *name, const char *line)
{
    int len = (int)strcspn(line, "\n");

    print_error("%-12s %.*s\n", name, len, line);
    return line + len + (line[len] == '\n');
}

/* Where paths come in an order of their own ("a/b" before "a-b" in a walk), a line may be shown as
 * missing on both sides; what is printed is still only what differs. */
void treecmp_assert_equal(const char *name_a, const char *text_a, const char *name_b,
                          const char *text_b, const char *file, int line)
{
    const char *a = text_a;
    const char *b = text_b;
    unsigned shown = 0;

    if (strcmp(text_a, text_b) == 0)
        return;
    print_error("the trees of %s and %s differ:\n", name_a, name_b);
    while ((*a != '\0' || *b != '\0') && shown < 40) {
        size_t len = strcspn(a, "\n") + 1;
        int order = *a == '\0' ? 1 : *b == '\0' ? -1 : compare_paths(a, b);
        if (order == 0 && strncmp(a, b, len) == 0) {
            a += len;
            b += len;
            continue;
        }
        if (order <= 0)
            a = print_line(name_a, a);
        if (order >= 0)
            b = print_line(name_b, b);
        shown++;
    }
    _fail(file, line);
}
