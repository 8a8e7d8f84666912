/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads tar headers only. libarchive is not used here because it does not tell where a member's
 * bytes lie, and reading layers in place is what saves unpacking the archive. The layers themselves
 * go through the shared applier.
 */
#include "store/archive_index.h"

#include "common/cleanup.h"
#include "common/fs/path.h"
#include "common/io.h"
#include "common/limits.h"

#include <errno.h>

enum { BLOCK = 512 };

/* POSIX.1-1988 header, with the GNU and V7 readings of the same bytes. */
struct raw_header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], chksum[8], type, linkname[100];
    char magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct raw_header) == BLOCK, "a tar header is one block");

struct scan {
    int fd;
    uint64_t size, pos;
    struct ol_archive_index *index;
    /* From extended headers, for the member that follows. */
    struct ol_buf path, link;
    bool has_path, has_link, has_size, sparse;
    uint64_t pax_size;
    bool image; /* a name said "image" */
};

static bool all_zero(const void *block)
{
    static const char zero[BLOCK];
    return memcmp(block, zero, BLOCK) == 0;
}

static bool is_hex64(const char *text, size_t len)
{
    return len == 64 && strspn(text, "0123456789abcdef") >= 64;
}

enum ol_archive_guess ol_archive_guess_name(const char *path)
{
    static const char *const image_files[] = {"manifest.json", "index.json", "oci-layout",
                                              "repositories"};
    static const char *const root_dirs[] = {
        "bin", "boot", "dev",  "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt",
        "opt", "proc", "root", "run", "sbin", "srv", "sys",   "tmp",   "usr",    "var"};
    size_t len = strcspn(path, "/");

    for (size_t i = 0; i < OL_ARRAY_LEN(image_files); i++)
        if (strcmp(path, image_files[i]) == 0)
            return OL_GUESS_IMAGE;
    if (strncmp(path, "blobs/sha256", 12) == 0)
        return OL_GUESS_IMAGE;
    if (len >= 64 && is_hex64(path, 64) &&
        (len == 64 || strcmp(path + 64, ".json") == 0 || strcmp(path + 64, ".tar") == 0))
        return OL_GUESS_IMAGE;
    for (size_t i = 0; i < OL_ARRAY_LEN(root_dirs); i++)
        if (strlen(root_dirs[i]) == len && memcmp(path, root_dirs[i], len) == 0)
            return OL_GUESS_ROOTFS;
    return OL_GUESS_UNKNOWN;
}

/* Octal with blanks around it, or base 256 with the top bit set. Negative numbers are refused. */
static bool parse_number(const char *field, size_t len, uint64_t *ret)
{
    const unsigned char *p = (const unsigned char *)field;
    uint64_t value = 0;
    size_t i = 0;

    if (p[0] & 0x80) {
        for (i = 0; i < len; i++) {
            unsigned byte = i == 0 ? p[i] & 0x7fu : p[i];
            if (value >> 55 != 0)
                return false;
            value = value << 8 | byte;
        }
        *ret = value;
        return true;
    }
    while (i < len && p[i] == ' ')
        i++;
    for (; i < len && p[i] >= '0' && p[i] <= '7'; i++)
        value = value << 3 | (uint64_t)(p[i] - '0'); /* 12 digits are 36 bits */
    if (i < len && p[i] != ' ' && p[i] != '\0')
        return false;
    *ret = value;
    return true;
}

static bool checksum_ok(const struct raw_header *h)
{
    const unsigned char *p = (const unsigned char *)h;
    uint64_t want = 0;
    uint64_t sum = 0;

    if (!parse_number(h->chksum, sizeof h->chksum, &want))
        return false;
    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : p[i];
    return sum == want;
}

static int truncated(const struct scan *s, const char *what, struct ol_error *err)
{
    return ol_error_set(err, -EBADMSG, "the archive is truncated: %s after byte %llu", what,
                        (unsigned long long)s->pos);
}

static int read_at(const struct scan *s, uint64_t pos, void *data, size_t len, struct ol_error *err)
{
    ssize_t n = ol_io_pread(s->fd, data, len, (int64_t)pos);

    if (n < 0)
        return ol_error_sys(err, (int)-n, "cannot read the archive");
    if ((size_t)n != len)
        return truncated(s, "it ends", err);
    return 0;
}

/* A payload small enough to be an extended header. */
static int read_payload(const struct scan *s, uint64_t size, struct ol_buf *buf,
                        struct ol_error *err)
{
    int r;

    ol_buf_truncate(buf, 0);
    if (size > OL_LAYER_LIMITS_DEFAULT.header_bytes)
        return ol_error_set(err, -E2BIG, "extended header at byte %llu is larger than %llu bytes",
                            (unsigned long long)s->pos,
                            (unsigned long long)OL_LAYER_LIMITS_DEFAULT.header_bytes);
    r = ol_buf_reserve(buf, (size_t)size);
    if (r < 0)
        return ol_error_nomem(err);
    r = read_at(s, s->pos + BLOCK, buf->data, (size_t)size, err);
    if (r < 0)
        return r;
    buf->len = (size_t)size;
    buf->data[size] = '\0';
    return 0;
}

static int set_text(struct ol_buf *buf, const char *text, size_t len, struct ol_error *err)
{
    ol_buf_truncate(buf, 0);
    if (len > OL_LAYER_LIMITS_DEFAULT.path_bytes)
        return ol_error_set(err, -E2BIG, "a member name of the archive has more than %llu bytes",
                            (unsigned long long)OL_LAYER_LIMITS_DEFAULT.path_bytes);
    return ol_buf_append(buf, text, len) < 0 ? ol_error_nomem(err) : 0;
}

static bool has_prefix(const char *text, size_t len, const char *prefix)
{
    return len >= strlen(prefix) && memcmp(text, prefix, strlen(prefix)) == 0;
}

/* One "key=value" of a PAX header; keys that say nothing about place or name are passed over. */
static int pax_record(struct scan *s, const char *text, size_t len, struct ol_error *err)
{
    if (has_prefix(text, len, "path=")) {
        s->has_path = len > 5; /* an empty value takes the record back */
        return set_text(&s->path, text + 5, len - 5, err);
    }
    if (has_prefix(text, len, "linkpath=")) {
        s->has_link = len > 9;
        return set_text(&s->link, text + 9, len - 9, err);
    }
    if (has_prefix(text, len, "size=")) {
        s->pax_size = 0;
        for (size_t i = 5; i < len; i++) {
            if (text[i] < '0' || text[i] > '9' || s->pax_size > UINT64_MAX / 16)
                return ol_error_set(err, -EBADMSG, "malformed PAX size at byte %llu",
                                    (unsigned long long)s->pos);
            s->pax_size = s->pax_size * 10 + (uint64_t)(text[i] - '0');
        }
        s->has_size = true;
    }
    if (has_prefix(text, len, "GNU.sparse."))
        s->sparse = true;
    return 0;
}

/* Records are "<length> <key>=<value>\n", the length counting itself. */
static int parse_pax(struct scan *s, const struct ol_buf *buf, struct ol_error *err)
{
    size_t at = 0;

    while (at < buf->len) {
        size_t len = 0;
        size_t i = at;
        while (i < buf->len && buf->data[i] >= '0' && buf->data[i] <= '9' && len < (1u << 24))
            len = len * 10 + (size_t)(buf->data[i++] - '0');
        if (i == at || i >= buf->len || buf->data[i] != ' ' || len > buf->len - at ||
            len < i - at + 2 || buf->data[at + len - 1] != '\n')
            return ol_error_set(err, -EBADMSG, "malformed PAX header at byte %llu",
                                (unsigned long long)s->pos);
        int r = pax_record(s, buf->data + i + 1, at + len - 1 - (i + 1), err);
        if (r < 0)
            return r;
        at += len;
    }
    return 0;
}

static int extended(struct scan *s, char type, uint64_t size, struct ol_error *err)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    int r = read_payload(s, size, &buf, err);

    if (r < 0)
        return r;
    if (type == 'x')
        return parse_pax(s, &buf, err);
    if (type == 'L') {
        s->has_path = true;
        return set_text(&s->path, buf.data, strnlen(buf.data, buf.len), err);
    }
    s->has_link = true;
    return set_text(&s->link, buf.data, strnlen(buf.data, buf.len), err);
}

/* The names of the member, from the header where no extended header gave them. */
static int member_names(struct scan *s, const struct raw_header *h, struct ol_error *err)
{
    int r = 0;

    if (!s->has_path) {
        ol_buf_truncate(&s->path, 0);
        if (memcmp(h->magic, "ustar", 6) == 0 && h->prefix[0] != '\0') {
            r = ol_buf_append(&s->path, h->prefix, strnlen(h->prefix, sizeof h->prefix));
            if (r == 0)
                r = ol_buf_putc(&s->path, '/');
        }
        if (r == 0)
            r = ol_buf_append(&s->path, h->name, strnlen(h->name, sizeof h->name));
    }
    if (r == 0 && !s->has_link) {
        ol_buf_truncate(&s->link, 0);
        r = ol_buf_append(&s->link, h->linkname, strnlen(h->linkname, sizeof h->linkname));
    }
    if (r < 0)
        return ol_error_nomem(err);
    /* A NUL inside a PAX name would make two readers see two names. */
    if (strlen(ol_buf_str(&s->path)) != s->path.len || strlen(ol_buf_str(&s->link)) != s->link.len)
        return ol_error_set(err, -EBADMSG, "member name '%s' holds a NUL byte",
                            ol_buf_str(&s->path));
    return 0;
}

static int keep_name(struct ol_buf *names, const char *text, size_t *ret, struct ol_error *err)
{
    if (names->len + strlen(text) + 1 > OL_ARCHIVE_NAMES_MAX)
        return ol_error_set(err, -E2BIG,
                            "the names of the archive's members need more than %d bytes",
                            OL_ARCHIVE_NAMES_MAX);
    *ret = names->len;
    return ol_buf_append(names, text, strlen(text) + 1) < 0 ? ol_error_nomem(err) : 0;
}

static int grow(struct ol_archive_index *index, struct ol_error *err)
{
    size_t cap = index->cap == 0 ? 64 : index->cap * 2;
    struct ol_index_entry *more;

    if (index->count < index->cap)
        return 0;
    if (index->count >= OL_ARCHIVE_MEMBERS_MAX)
        return ol_error_set(err, -E2BIG, "the archive has more than %d members",
                            OL_ARCHIVE_MEMBERS_MAX);
    more = reallocarray(index->entries, cap, sizeof *more);
    if (more == NULL)
        return ol_error_nomem(err);
    index->entries = more;
    index->cap = cap;
    return 0;
}

/* A name may climb here: it is cleaned as docker load's chroot would, and only ever looked up. */
static int add_member(struct scan *s, char type, uint64_t size, struct ol_error *err)
{
    struct ol_archive_index *index = s->index;
    struct ol_index_entry entry = {.offset = s->pos + BLOCK, .length = size, .sparse = s->sparse};
    enum ol_archive_guess guess;
    int r;

    (void)ol_path_clean(s->path.data, s->path.data);
    guess = ol_archive_guess_name(s->path.data);
    s->image = s->image || guess == OL_GUESS_IMAGE;
    index->rootfs = guess == OL_GUESS_ROOTFS && !s->image;
    if (index->rootfs)
        return 0;
    switch (type) {
    case '\0':
    case '7':
        type = '0';
        break;
    case 'S':
        type = '0';
        entry.sparse = true;
        break;
    case '0':
    case '1':
    case '2':
        break;
    default:
        return 0; /* directories and specials hold no bytes of an image */
    }
    entry.type = type;
    if (!s->image && index->count >= OL_ARCHIVE_MEMBERS_MAX) {
        index->rootfs = true; /* so many files and none of an image's names */
        return 0;
    }
    r = grow(index, err);
    if (r == 0)
        r = keep_name(&index->names, s->path.data, &entry.name, err);
    if (r == 0)
        r = keep_name(&index->names, ol_buf_str(&s->link), &entry.link, err);
    if (r == 0)
        index->entries[index->count++] = entry;
    return r;
}

static bool header_only(char type)
{
    return type >= '1' && type <= '6'; /* what their size fields say is not followed by data */
}

static int member(struct scan *s, const struct raw_header *h, uint64_t *size, struct ol_error *err)
{
    int r = member_names(s, h, err);

    if (r < 0)
        return r;
    if (s->has_size)
        *size = s->pax_size;
    if (header_only(h->type))
        *size = 0;
    if (*size > s->size - s->pos - BLOCK)
        return ol_error_set(err, -EBADMSG, "the archive is truncated inside '%s'",
                            ol_buf_str(&s->path));
    if (s->path.len > 0)
        r = add_member(s, h->type, *size, err);
    s->has_path = s->has_link = s->has_size = s->sparse = false;
    return r;
}

/* @return 1 at the end mark, 0 after one header, or negative errno. */
static int step(struct scan *s, struct ol_error *err)
{
    struct raw_header h;
    uint64_t size = 0;
    int r;

    if (s->size - s->pos < BLOCK)
        return truncated(s, "no end mark", err);
    r = read_at(s, s->pos, &h, sizeof h, err);
    if (r < 0)
        return r;
    if (all_zero(&h))
        return 1;
    if (!checksum_ok(&h) || !parse_number(h.size, sizeof h.size, &size))
        return ol_error_set(err, -EBADMSG,
                            s->pos == 0 ? "not a tar archive (no header at byte %llu)"
                                        : "corrupt tar header at byte %llu",
                            (unsigned long long)s->pos);
    if (h.type == 'x' || h.type == 'L' || h.type == 'K')
        r = extended(s, h.type, size, err);
    else if (h.type != 'g') /* global headers say nothing about place or name */
        r = member(s, &h, &size, err);
    if (r < 0)
        return r;
    if (size > s->size - s->pos - BLOCK)
        return truncated(s, "an extended header ends early", err);
    s->pos += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
    return s->pos > s->size ? truncated(s, "padding is missing", err) : 0;
}

static int by_name(const void *a, const void *b, void *names)
{
    const struct ol_index_entry *x = a;
    const struct ol_index_entry *y = b;
    int r = strcmp((const char *)names + x->name, (const char *)names + y->name);

    if (r != 0)
        return r;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

int ol_archive_index_build(int fd, uint64_t size, struct ol_archive_index *ret,
                           struct ol_error *err)
{
    struct ol_archive_index index = OL_ARCHIVE_INDEX_INIT;
    struct scan s = {
        .fd = fd, .size = size, .index = &index, .path = OL_BUF_INIT, .link = OL_BUF_INIT};
    int r;

    do
        r = step(&s, err);
    while (r == 0 && !index.rootfs);
    ol_buf_fini(&s.path);
    ol_buf_fini(&s.link);
    if (r < 0) {
        ol_archive_index_fini(&index);
        return r;
    }
    if (index.count > 0)
        qsort_r(index.entries, index.count, sizeof *index.entries, by_name, index.names.data);
    *ret = index;
    return 0;
}

void ol_archive_index_fini(struct ol_archive_index *index)
{
    free(index->entries);
    index->entries = NULL;
    index->count = index->cap = 0;
    ol_buf_fini(&index->names);
}

int ol_archive_index_find(const struct ol_archive_index *index, const char *name,
                          const struct ol_index_entry **ret, struct ol_error *err)
{
    size_t low = 0;
    size_t high = index->count;

    while (low < high) { /* the first entry that is not less than name */
        size_t mid = low + (high - low) / 2;
        if (strcmp(index->names.data + index->entries[mid].name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == index->count || strcmp(index->names.data + index->entries[low].name, name) != 0)
        return ol_error_set(err, -ENOENT, "the archive has no member '%s'", name);
    if (low + 1 < index->count &&
        strcmp(index->names.data + index->entries[low + 1].name, name) == 0)
        return ol_error_set(err, -EBADMSG, "the archive has two members '%s'", name);
    *ret = &index->entries[low];
    return 0;
}
