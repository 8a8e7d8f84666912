/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header blocks with the bytes of Go's archive/tar when format PAX is asked for, which is what moby
 * does (FileInfoHeader in pkg/archive/archive.go). Go takes the first of these that holds the
 * entry: plain ustar; ustar with a long ASCII name split over the prefix field; a PAX extended
 * header and a ustar block with what fits. Sub-second times and xattrs always need PAX.
 */
#include "common/layer/tar_header.h"

#include "common/cleanup.h"
#include "common/fs/path.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

/* POSIX ustar, all fields at their offsets in the block. */
struct ustar {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char chksum[8];
    char typeflag;
    char linkname[100];
    char magic[6];
    char version[2];
    char uname[32];
    char gname[32];
    char devmajor[8];
    char devminor[8];
    char prefix[155];
    char pad[12];
};
_Static_assert(sizeof(struct ustar) == OL_TAR_BLOCK, "a ustar header is one block");

/* Go's zero time.Time, which is written as 1970. */
#define GO_ZERO_TIME (-62135596800LL)

/* What the PAX header has to carry; the xattrs come on top. */
struct pax_needs {
    bool gid, gname, linkpath, mtime, path, size, uid, uname;
};

static const char *text(const char *s)
{
    return s == NULL ? "" : s;
}

static bool is_ascii(const char *s)
{
    for (; *s != '\0'; s++)
        if ((unsigned char)*s >= 0x80)
            return false;
    return true;
}

static bool fits_octal(size_t field, int64_t value)
{
    return value >= 0 && value < (int64_t)1 << ((field - 1) * 3);
}

/* Digits with leading zeros and a NUL; what does not fit becomes zero, as in Go. */
static void put_octal(char *field, size_t len, int64_t value)
{
    uint64_t v = fits_octal(len, value) ? (uint64_t)value : 0;

    field[len - 1] = '\0';
    for (size_t i = len - 1; i-- > 0; v >>= 3)
        field[i] = (char)('0' + (v & 7));
}

/*
 * Copy into a zeroed field, leaving out bytes beyond ASCII. Of text that does not fit, a slash at
 * the cut becomes a NUL: readers that look at the field alone would take the entry for a directory.
 */
static void put_text(char *field, size_t len, const char *s)
{
    size_t n = 0, total = 0;

    for (; *s != '\0'; s++) {
        if ((unsigned char)*s >= 0x80)
            continue;
        if (n < len)
            field[n++] = *s;
        total++;
    }
    if (total > len && field[len - 1] == '/') {
        while (n > 0 && field[n - 1] == '/')
            n--;
        field[n] = '\0';
    }
}

static void put_checksum(struct ustar *block)
{
    const unsigned char *bytes = (const unsigned char *)block;
    int64_t sum = 0;

    memset(block->chksum, ' ', sizeof block->chksum);
    for (size_t i = 0; i < sizeof *block; i++)
        sum += bytes[i];
    put_octal(block->chksum, sizeof block->chksum - 1, sum);
    block->chksum[7] = ' ';
}

static void put_magic(struct ustar *block)
{
    memcpy(block->magic, "ustar", 6);
    memcpy(block->version, "00", 2);
}

/*
 * Where a long name may be cut for the prefix field: the last slash that leaves at most 155 bytes
 * before and 1 to 100 after it (Go splitUSTARPath). @return 0 when it cannot be split.
 */
static size_t split_point(const char *name)
{
    struct ustar *shape = NULL;
    size_t total = strlen(name), length = total, i;

    if (total <= sizeof shape->name || !is_ascii(name))
        return 0;
    if (length > sizeof shape->prefix + 1)
        length = sizeof shape->prefix + 1;
    else if (name[length - 1] == '/')
        length--;
    for (i = length; i > 0 && name[i - 1] != '/';)
        i--;
    if (i <= 1)
        return 0;
    i--; /* the slash itself */
    return total - i - 1 > sizeof shape->name || total - i - 1 == 0 ? 0 : i;
}

bool ol_tar_has_payload(char type)
{
    return type == '0';
}

static int check(const struct ol_tar_header *h, struct ol_error *err)
{
    struct ustar *shape = NULL;
    size_t len = strlen(h->name);

    if (h->type < '0' || h->type > '6')
        return ol_error_set(err, -EINVAL, "no tar entry type '%c' for '%s'", h->type, h->name);
    if (len == 0)
        return ol_error_set(err, -EINVAL, "a tar entry has no name");
    if (h->name[len - 1] == '/' && strchr("0346", h->type) != NULL)
        return ol_error_set(err, -EINVAL, "the name of '%s' ends in a slash, but is no directory",
                            h->name);
    if (h->uid > INT64_MAX || h->gid > INT64_MAX || h->size > INT64_MAX)
        return ol_error_set(err, -EINVAL, "a number of '%s' does not fit in a tar header", h->name);
    if (!fits_octal(sizeof shape->mode, h->mode) ||
        !fits_octal(sizeof shape->devmajor, h->dev_major) ||
        !fits_octal(sizeof shape->devminor, h->dev_minor))
        return ol_error_set(err, -EINVAL, "mode or device of '%s' does not fit in a tar header",
                            h->name);
    if (h->mtime.tv_nsec < 0 || h->mtime.tv_nsec > 999999999)
        return ol_error_set(err, -EINVAL, "impossible nanoseconds for '%s'", h->name);
    return 0;
}

static bool text_needs_pax(const char *s, size_t len)
{
    return strlen(s) > len || !is_ascii(s);
}

static bool zero_time(const struct timespec *t)
{
    return t->tv_sec == GO_ZERO_TIME && t->tv_nsec == 0;
}

static struct pax_needs needs_of(const struct ol_tar_header *h)
{
    struct ustar *shape = NULL;

    return (struct pax_needs){
        .path = text_needs_pax(h->name, sizeof shape->name),
        .linkpath = text_needs_pax(text(h->link), sizeof shape->linkname),
        .uname = text_needs_pax(text(h->uname), sizeof shape->uname),
        .gname = text_needs_pax(text(h->gname), sizeof shape->gname),
        .uid = !fits_octal(sizeof shape->uid, (int64_t)h->uid),
        .gid = !fits_octal(sizeof shape->gid, (int64_t)h->gid),
        .size = !fits_octal(sizeof shape->size, (int64_t)h->size),
        .mtime = !zero_time(&h->mtime) &&
                 (!fits_octal(sizeof shape->mtime, h->mtime.tv_sec) || h->mtime.tv_nsec != 0),
    };
}

static unsigned digits_of(size_t n)
{
    unsigned digits = 1;

    while (n >= 10) {
        n /= 10;
        digits++;
    }
    return digits;
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
static int put_record(struct ol_buf *out, const char *key, const void *value, size_t len)
{
    size_t rest = strlen(key) + len + 3; /* the blank, '=' and '\n' */
    size_t size = rest + digits_of(rest);
    int r;

    if (digits_of(size) != digits_of(rest))
        size = rest + digits_of(size);
    r = ol_buf_printf(out, "%zu %s=", size, key);
    if (r == 0)
        r = ol_buf_append(out, value, len);
    return r == 0 ? ol_buf_putc(out, '\n') : r;
}

static int put_text_record(struct ol_buf *out, bool needed, const char *key, const char *value)
{
    return needed ? put_record(out, key, value, strlen(value)) : 0;
}

static int put_number_record(struct ol_buf *out, bool needed, const char *key, uint64_t value)
{
    char digits[24];

    (void)snprintf(digits, sizeof digits, "%" PRIu64, value); /* 20 digits at most */
    return put_text_record(out, needed, key, digits);
}

/* Seconds, and nanoseconds without trailing zeros; before 1970 both count down from the sign. */
static int put_time_record(struct ol_buf *out, bool needed, const struct timespec *t)
{
    char digits[40];
    int64_t sec = t->tv_sec;
    long nsec = t->tv_nsec;
    int len;

    if (nsec == 0) {
        (void)snprintf(digits, sizeof digits, "%" PRId64, sec);
        return put_text_record(out, needed, "mtime", digits);
    }
    if (sec < 0) {
        len = snprintf(digits, sizeof digits, "-%" PRId64 ".%09ld", -(sec + 1), 1000000000 - nsec);
    } else {
        len = snprintf(digits, sizeof digits, "%" PRId64 ".%09ld", sec, nsec);
    }
    while (digits[len - 1] == '0')
        digits[--len] = '\0';
    return put_text_record(out, needed, "mtime", digits);
}

static int xattr_order(const void *a, const void *b)
{
    return strcmp(((const struct ol_tar_xattr *)a)->name, ((const struct ol_tar_xattr *)b)->name);
}

static int put_xattrs(struct ol_buf *out, const struct ol_tar_header *h, struct ol_error *err)
{
    ol_auto_free struct ol_tar_xattr *sorted = calloc(h->n_xattrs, sizeof(struct ol_tar_xattr));
    ol_auto_buf struct ol_buf key = OL_BUF_INIT;

    if (sorted == NULL)
        return ol_error_nomem(err);
    memcpy(sorted, h->xattrs, h->n_xattrs * sizeof(struct ol_tar_xattr));
    qsort(sorted, h->n_xattrs, sizeof(struct ol_tar_xattr), xattr_order);
    for (size_t i = 0; i < h->n_xattrs; i++) {
        const struct ol_tar_xattr *x = &sorted[i];
        if (strchr(x->name, '=') != NULL || (i > 0 && xattr_order(x - 1, x) == 0))
            return ol_error_set(err, -EINVAL, "attribute '%s' of '%s' cannot be a PAX record",
                                x->name, h->name);
        ol_buf_truncate(&key, 0);
        if (ol_buf_printf(&key, "SCHILY.xattr.%s", x->name) < 0 ||
            put_record(out, ol_buf_str(&key), x->value, x->len) < 0)
            return ol_error_nomem(err);
    }
    return 0;
}

/* All records, sorted bytewise by key. */
static int put_records(struct ol_buf *out, const struct ol_tar_header *h,
                       const struct pax_needs *needs, struct ol_error *err)
{
    int r = h->n_xattrs > 0 ? put_xattrs(out, h, err) : 0;

    if (r < 0)
        return r;
    if (put_number_record(out, needs->gid, "gid", h->gid) < 0 ||
        put_text_record(out, needs->gname, "gname", text(h->gname)) < 0 ||
        put_text_record(out, needs->linkpath, "linkpath", text(h->link)) < 0 ||
        put_time_record(out, needs->mtime, &h->mtime) < 0 ||
        put_text_record(out, needs->path, "path", h->name) < 0 ||
        put_number_record(out, needs->size, "size", h->size) < 0 ||
        put_number_record(out, needs->uid, "uid", h->uid) < 0 ||
        put_text_record(out, needs->uname, "uname", text(h->uname)) < 0)
        return ol_error_nomem(err);
    if (out->len > OL_TAR_PAX_MAX)
        return ol_error_set(err, -E2BIG, "the extended header of '%s' passes %d bytes", h->name,
                            OL_TAR_PAX_MAX);
    return 0;
}

/* "<dir>/PaxHeaders.0/<base>", cleaned; cut to the field after other than ASCII bytes are gone. */
static int put_pax_name(struct ustar *block, const char *name, struct ol_error *err)
{
    const char *slash = strrchr(name, '/');
    size_t dir = slash == NULL ? 0 : (size_t)(slash - name) + 1;
    ol_auto_buf struct ol_buf full = OL_BUF_INIT;
    size_t n = 0;

    if (ol_buf_append(&full, name, dir) < 0 || ol_buf_puts(&full, "PaxHeaders.0/") < 0 ||
        ol_buf_puts(&full, name + dir) < 0)
        return ol_error_nomem(err);
    (void)ol_path_clean(full.data, full.data); /* names of layers do not climb */
    for (const char *s = full.data; *s != '\0' && n < sizeof block->name; s++)
        if ((unsigned char)*s < 0x80)
            block->name[n++] = *s;
    while (n > 0 && block->name[n - 1] == '/')
        block->name[--n] = '\0';
    return 0;
}

static int put_pax(struct ol_buf *out, const struct ol_tar_header *h, const struct pax_needs *needs,
                   struct ol_error *err)
{
    static const char zeros[OL_TAR_BLOCK];
    ol_auto_buf struct ol_buf records = OL_BUF_INIT;
    struct ustar block = {.typeflag = 'x'};
    int r = put_records(&records, h, needs, err);

    if (r < 0)
        return r;
    r = put_pax_name(&block, h->name, err);
    if (r < 0)
        return r;
    put_octal(block.mode, sizeof block.mode, 0);
    put_octal(block.uid, sizeof block.uid, 0);
    put_octal(block.gid, sizeof block.gid, 0);
    put_octal(block.size, sizeof block.size, (int64_t)records.len);
    put_octal(block.mtime, sizeof block.mtime, 0);
    put_magic(&block);
    put_checksum(&block);
    if (ol_buf_append(out, &block, sizeof block) < 0 ||
        ol_buf_append(out, records.data, records.len) < 0 ||
        ol_buf_append(out, zeros, -records.len & (OL_TAR_BLOCK - 1)) < 0)
        return ol_error_nomem(err);
    return 0;
}

static void fill_block(struct ustar *block, const struct ol_tar_header *h, size_t split)
{
    int64_t mtime = zero_time(&h->mtime) ? 0 : h->mtime.tv_sec;

    if (split > 0)
        memcpy(block->prefix, h->name, split);
    put_text(block->name, sizeof block->name, split > 0 ? h->name + split + 1 : h->name);
    put_octal(block->mode, sizeof block->mode, h->mode);
    put_octal(block->uid, sizeof block->uid, (int64_t)h->uid);
    put_octal(block->gid, sizeof block->gid, (int64_t)h->gid);
    put_octal(block->size, sizeof block->size, (int64_t)h->size);
    put_octal(block->mtime, sizeof block->mtime, mtime);
    block->typeflag = h->type;
    put_text(block->linkname, sizeof block->linkname, text(h->link));
    put_text(block->uname, sizeof block->uname, text(h->uname));
    put_text(block->gname, sizeof block->gname, text(h->gname));
    put_octal(block->devmajor, sizeof block->devmajor, h->dev_major);
    put_octal(block->devminor, sizeof block->devminor, h->dev_minor);
    put_magic(block);
    put_checksum(block);
}

int ol_tar_header_format(const struct ol_tar_header *header, struct ol_buf *out,
                         struct ol_error *err)
{
    struct ustar block = {.name = {0}};
    struct pax_needs needs;
    size_t split;
    bool pax;
    int r = check(header, err);

    if (r < 0)
        return r;
    needs = needs_of(header);
    split = split_point(header->name);
    pax = header->n_xattrs > 0 || needs.gid || needs.gname || needs.linkpath || needs.mtime ||
          needs.size || needs.uid || needs.uname || (needs.path && split == 0);
    if (pax) {
        split = 0;
        r = put_pax(out, header, &needs, err);
        if (r < 0)
            return r;
    }
    fill_block(&block, header, split);
    return ol_buf_append(out, &block, sizeof block) < 0 ? ol_error_nomem(err) : 0;
}

unsigned ol_tar_mode(unsigned st_mode)
{
    return st_mode & (S_IFMT | 07777);
}
