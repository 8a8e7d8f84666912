/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libarchive 3.6 as a tar reader. Three things it does not do by itself are done here:
 *
 * - Names stay bytes. ustar and GNU names are copied as they are, but the UTF-8 names of pax
 *   records are converted to the locale's character set. The reader runs libarchive in a private
 *   "C" locale (uselocale(3), this thread only), where every conversion of a non-ASCII name fails;
 *   libarchive then says ARCHIVE_WARN and hands out the original bytes, and that one warning is
 *   not an error here. All others are: they mean that a header was understood only in part.
 * - Headers are bounded. libarchive refuses extended headers above 1 MiB and more than 32 of them
 *   in a row, but a sparse map can be of any length: the read callback counts what one header
 *   takes.
 * - The type flag decides. libarchive turns a plain entry with a pax "linkpath" record (moby writes
 *   such whiteouts) into a hard link, and unknown types into files; the flag is looked up in the
 *   raw header.
 */
#include "common/layer/reader.h"

#include "common/buf.h"
#include "common/fs/path.h"
#include "common/layer/tarsplit.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TAR_BLOCK = 512,
    TAR_TYPE_AT = 156,      /* offset of the type flag in a header */
    LINUX_MAJOR_MAX = 4095, /* 12 bits, and 20 for the minor: include/linux/kdev_t.h */
    LINUX_MINOR_MAX = 1048575,
};

struct ol_reader {
    struct ol_reader_config config;
    struct archive *archive;     /* owned; NULL until the first header is wanted */
    struct archive_entry *entry; /* owned */
    locale_t c_locale;           /* owned */

    struct ol_block *block; /* what libarchive reads now; one reference */
    char tail[TAR_BLOCK];   /* the last bytes of the block before it */
    bool first_given;       /* libarchive has got the first block */
    bool stream_ended;
    bool in_header;       /* inside archive_read_next_header() */
    uint64_t header_pull; /* bytes of blocks begun by it */
    bool lone_zero;       /* the archive ended with one zero block instead of two */
    bool done;

    int result; /* the stream's failure, as libarchive passes on only -1 */
    struct ol_error error;

    uint64_t entries;
    uint64_t size;        /* of the current entry */
    uint64_t content_end; /* where its content ends in the stream; UINT64_MAX: not known */
    uint64_t given;       /* bytes of the stream that libarchive got or skipped */
    struct ol_buf path, link, last_name;
    struct ol_entry_xattr *xattrs;
    size_t xattrs_cap;
};

/* libarchive runs in the C locale, and nothing else does. */
static locale_t enter(const struct ol_reader *r)
{
    return uselocale(r->c_locale);
}

static void leave(locale_t old)
{
    (void)uselocale(old); /* it was valid before */
}

static unsigned long long ull(uint64_t n)
{
    return (unsigned long long)n;
}

static void drop_block(struct ol_reader *r)
{
    struct ol_block *b = r->block;

    if (b != NULL && b->len >= TAR_BLOCK)
        memcpy(r->tail, b->data + b->len - TAR_BLOCK, TAR_BLOCK);
    ol_block_unref(b);
    r->block = NULL;
}

static int next_block(struct ol_reader *r)
{
    const struct ol_reader_config *c = &r->config;

    drop_block(r);
    if (c->before_wait != NULL && !ol_stream_ready(c->stream))
        c->before_wait(c->data);
    r->result = ol_stream_next(c->stream, &r->block, &r->error);
    r->stream_ended = r->result == 0 && r->block == NULL;
    if (r->block != NULL && c->record != NULL)
        r->result = ol_tarsplit_block(c->record, r->block, &r->error);
    return r->result;
}

static la_ssize_t on_read(struct archive *a, void *client, const void **buffer)
{
    struct ol_reader *r = client;

    if (r->first_given && next_block(r) < 0) {
        archive_set_error(a, EIO, "%s", ol_error_text(&r->error));
        return -1;
    }
    r->first_given = true;
    if (r->block == NULL)
        return 0;
    r->given = r->block->start + r->block->len;
    r->header_pull += r->block->len;
    if (r->in_header &&
        r->header_pull > r->config.limits->header_bytes + 2 * (uint64_t)OL_STREAM_BLOCK) {
        r->result = ol_error_set(&r->error, -E2BIG,
                                 "the headers after '%s' pass the limit of %llu bytes "
                                 "(header_bytes)",
                                 ol_buf_str(&r->last_name), ull(r->config.limits->header_bytes));
        archive_set_error(a, E2BIG, "header too long");
        return -1;
    }
    *buffer = r->block->data;
    return (la_ssize_t)r->block->len;
}

static la_int64_t on_skip(struct archive *a, void *client, la_int64_t request)
{
    struct ol_reader *r = client;
    int64_t n = ol_stream_skip(r->config.stream, request, &r->error);

    if (n < 0) {
        r->result = (int)n;
        archive_set_error(a, EIO, "%s", ol_error_text(&r->error));
        return ARCHIVE_FATAL;
    }
    r->given += (uint64_t)n;
    return n;
}

/* Where libarchive stands in the uncompressed stream. */
static uint64_t position(const struct ol_reader *r)
{
    return (uint64_t)archive_filter_bytes(r->archive, -1);
}

static int no_memory(const struct ol_reader *r)
{
    return archive_errno(r->archive) == ENOMEM;
}

/*
 * The stream ends behind the last entry's content, in the padding to a whole block. Go's reader,
 * and so every engine, takes that for the end of the archive; "umoci insert" writes such layers.
 */
static bool ended_in_padding(const struct ol_reader *r)
{
    return r->result == 0 && r->stream_ended && r->entries > 0 && r->given >= r->content_end &&
           r->given - r->content_end < TAR_BLOCK;
}

/* What libarchive said, in our words. */
static int archive_failed(struct ol_reader *r, struct ol_error *err)
{
    const char *text = archive_error_string(r->archive);
    const char *after = ol_buf_str(&r->last_name);

    if (r->result < 0) {
        ol_error_move(err, &r->error);
        return r->result;
    }
    if (no_memory(r))
        return ol_error_nomem(err);
    if (r->stream_ended)
        return r->entries == 0
                   ? ol_error_set(err, -EBADMSG, "truncated archive: it ends in its first header")
                   : ol_error_set(err, -EBADMSG, "truncated archive: it ends in or after '%s'",
                                  after);
    if (r->entries == 0)
        return ol_error_set(err, -EBADMSG, "not a tar archive%s%s", text != NULL ? ": " : "",
                            text != NULL ? text : "");
    return ol_error_set(err, -EBADMSG, "damaged archive after '%s': %s", after,
                        text != NULL ? text : "no reason given");
}

static int archive_open(struct ol_reader *r, struct ol_error *err)
{
    int ok;

    r->archive = archive_read_new();
    r->entry = archive_entry_new();
    if (r->archive == NULL || r->entry == NULL)
        return ol_error_nomem(err);
    ok = archive_read_support_format_tar(r->archive);
    if (ok == ARCHIVE_OK)
        ok = archive_read_set_skip_callback(r->archive, on_skip);
    if (ok == ARCHIVE_OK)
        ok = archive_read_set_read_callback(r->archive, on_read);
    if (ok == ARCHIVE_OK)
        ok = archive_read_set_callback_data(r->archive, r);
    if (ok == ARCHIVE_OK)
        ok = archive_read_open1(r->archive);
    return ok == ARCHIVE_OK ? 0 : archive_failed(r, err);
}

/* The first block tells an empty stream, which is an empty layer, from an archive. */
static int begin(struct ol_reader *r, struct ol_error *err)
{
    locale_t old;
    int result;

    if (next_block(r) < 0) {
        ol_error_move(err, &r->error);
        return r->result;
    }
    if (r->block == NULL) {
        r->done = true;
        return 0;
    }
    old = enter(r);
    result = archive_open(r, err);
    leave(old);
    return result;
}

/* True for the warning that means nothing here: see the top of the file. */
static bool only_conversion(const struct ol_reader *r)
{
    const char *text = archive_error_string(r->archive);

    return text != NULL && strstr(text, "can't be converted from") != NULL;
}

/* 1 an entry, 0 the end. */
static int read_header(struct ol_reader *r, struct ol_error *err)
{
    uint64_t before;
    int code = ARCHIVE_OK;

    if (r->entries > 0)
        code = archive_read_data_skip(r->archive);
    if (code != ARCHIVE_OK)
        return ended_in_padding(r) ? 0 : archive_failed(r, err);
    before = position(r);
    r->header_pull = 0;
    r->in_header = true;
    code = archive_read_next_header2(r->archive, r->entry);
    r->in_header = false;
    if (code == ARCHIVE_EOF && r->result == 0) {
        r->lone_zero = position(r) - before == TAR_BLOCK;
        return 0;
    }
    if (code != ARCHIVE_OK && !(code == ARCHIVE_WARN && only_conversion(r)))
        return archive_failed(r, err);
    if (position(r) - before > r->config.limits->header_bytes + TAR_BLOCK)
        return ol_error_set(err, -E2BIG,
                            "the headers after '%s' pass the limit of %llu bytes (header_bytes)",
                            ol_buf_str(&r->last_name), ull(r->config.limits->header_bytes));
    return 1;
}

/* The type flag of the header that libarchive has just consumed. */
static char type_flag(const struct ol_reader *r)
{
    uint64_t at = position(r) - TAR_BLOCK;

    if (r->block != NULL && at >= r->block->start &&
        at - r->block->start + TAR_BLOCK <= r->block->len)
        return r->block->data[at - r->block->start + TAR_TYPE_AT];
    return r->tail[TAR_TYPE_AT];
}

static int bad_type(char flag, const char *name, struct ol_error *err)
{
    if (flag > ' ' && flag < 127)
        return ol_error_set(err, -EINVAL, "'%s' has the unsupported entry type '%c'", name, flag);
    return ol_error_set(err, -EINVAL, "'%s' has the unsupported entry type %d", name, flag);
}

static int file_type(const struct ol_reader *r, struct ol_reader_entry *e, struct ol_error *err)
{
    char flag = type_flag(r);

    if (archive_entry_hardlink(r->entry) != NULL && flag == '1' && !e->sparse) {
        e->header.type = OL_ENTRY_HARDLINK;
        return 0;
    }
    switch (archive_entry_filetype(r->entry)) {
    case AE_IFREG:
        if (!e->sparse && flag != '\0' && strchr("07S", flag) == NULL)
            return bad_type(flag, e->name, err);
        e->header.type = OL_ENTRY_FILE;
        return 0;
    case AE_IFDIR:
        e->header.type = OL_ENTRY_DIRECTORY;
        return 0;
    case AE_IFLNK:
        e->header.type = OL_ENTRY_SYMLINK;
        return 0;
    case AE_IFCHR:
        e->header.type = OL_ENTRY_CHAR;
        return 0;
    case AE_IFBLK:
        e->header.type = OL_ENTRY_BLOCK;
        return 0;
    case AE_IFIFO:
        e->header.type = OL_ENTRY_FIFO;
        return 0;
    default:
        return bad_type(flag, e->name, err);
    }
}

static int too_long(const char *what, const char *name, uint64_t max, struct ol_error *err)
{
    return ol_error_set(err, -E2BIG,
                        "the %s of '%.64s…' passes the limit of %llu bytes "
                        "(path_bytes)",
                        what, name, ull(max));
}

/* Clean into buf; the archive may not name anything outside. */
static int clean_into(struct ol_buf *buf, const char *name, const char *entry, struct ol_error *err)
{
    size_t len = strlen(name);

    ol_buf_truncate(buf, 0);
    if (ol_buf_reserve(buf, len + 1) < 0)
        return ol_error_nomem(err);
    if (ol_path_clean(name, buf->data))
        return ol_error_set(err, -EXDEV, "'%s'%s%s%s points outside the layer", entry,
                            name != entry ? " -> '" : "", name != entry ? name : "",
                            name != entry ? "'" : "");
    buf->len = strlen(buf->data);
    return 0;
}

static uint64_t components(const char *path)
{
    uint64_t n = *path != '\0';

    for (; *path != '\0'; path++)
        n += *path == '/';
    return n;
}

static int take_name(struct ol_reader *r, struct ol_reader_entry *e, struct ol_error *err)
{
    const struct ol_layer_limits *limits = r->config.limits;
    const char *name = archive_entry_pathname(r->entry);
    int result;

    if (name == NULL)
        return errno == ENOMEM ? ol_error_nomem(err)
                               : ol_error_set(err, -EBADMSG, "an entry after '%s' has no name",
                                              ol_buf_str(&r->last_name));
    e->name = name;
    if (strlen(name) > limits->path_bytes)
        return too_long("name", name, limits->path_bytes, err);
    ol_buf_truncate(&r->last_name, 0);
    if (ol_buf_puts(&r->last_name, name) < 0)
        return ol_error_nomem(err);
    result = clean_into(&r->path, name, name, err);
    if (result < 0)
        return result;
    e->header.path = ol_buf_str(&r->path);
    if (components(e->header.path) > limits->depth)
        return ol_error_set(err, -E2BIG, "'%.64s…' passes the limit of %llu components (depth)",
                            name, ull(limits->depth));
    return 0;
}

static int take_link(struct ol_reader *r, struct ol_reader_entry *e, struct ol_error *err)
{
    const char *link = NULL;
    int result;

    if (e->header.type == OL_ENTRY_HARDLINK)
        link = archive_entry_hardlink(r->entry);
    else if (e->header.type == OL_ENTRY_SYMLINK)
        link = archive_entry_symlink(r->entry);
    else
        return 0;
    if (link == NULL || *link == '\0')
        return ol_error_set(err, -EBADMSG, "the link '%s' has no target", e->name);
    if (strlen(link) > r->config.limits->path_bytes)
        return too_long("link target", e->name, r->config.limits->path_bytes, err);
    e->header.link = link;
    if (e->header.type == OL_ENTRY_SYMLINK)
        return 0;
    result = clean_into(&r->link, link, e->name, err);
    if (result < 0)
        return result;
    e->header.link = ol_buf_str(&r->link);
    return 0;
}

static int take_id(int64_t id, const char *what, const char *name, uint32_t *ret,
                   struct ol_error *err)
{
    if (id < 0 || id > (int64_t)UINT32_MAX - 1) /* UINT32_MAX means "leave alone" to chown(2) */
        return ol_error_set(err, -EINVAL, "the %s %lld of '%s' is out of range", what,
                            (long long)id, name);
    *ret = (uint32_t)id;
    return 0;
}

static int take_device(const struct ol_reader *r, struct ol_reader_entry *e, struct ol_error *err)
{
    uint64_t dev_major = archive_entry_rdevmajor(r->entry);
    uint64_t dev_minor = archive_entry_rdevminor(r->entry);

    if (e->header.type != OL_ENTRY_CHAR && e->header.type != OL_ENTRY_BLOCK)
        return 0;
    if (dev_major > LINUX_MAJOR_MAX || dev_minor > LINUX_MINOR_MAX)
        return ol_error_set(err, -EINVAL, "the device number %llu:%llu of '%s' is out of range",
                            ull(dev_major), ull(dev_minor), e->name);
    if (e->header.type == OL_ENTRY_CHAR && dev_major == 0 && dev_minor == 0)
        return ol_error_set(err, -EINVAL,
                            "'%s' is the character device 0:0, which overlay takes for a whiteout",
                            e->name);
    e->header.dev_major = (uint32_t)dev_major;
    e->header.dev_minor = (uint32_t)dev_minor;
    return 0;
}

/* moby replaces times a signed 64-bit count of nanoseconds since 1970 cannot hold by 1970, except
 * those of symlinks (pkg/system/chtimes.go). */
static struct timespec take_time(const struct ol_reader *r, enum ol_entry_type type)
{
    struct timespec t = {archive_entry_mtime(r->entry), archive_entry_mtime_nsec(r->entry)};
    const struct timespec last = {9223372036, 854775807};

    if (t.tv_nsec < 0 || t.tv_nsec > 999999999)
        t.tv_nsec = 0;
    if (type == OL_ENTRY_SYMLINK)
        return t;
    if (t.tv_sec < 0 || t.tv_sec > last.tv_sec ||
        (t.tv_sec == last.tv_sec && t.tv_nsec > last.tv_nsec))
        return (struct timespec){0, 0};
    return t;
}

static int take_size(struct ol_reader *r, struct ol_reader_entry *e, struct ol_error *err)
{
    const struct ol_layer_limits *limits = r->config.limits;
    int64_t size = archive_entry_size(r->entry);
    int ranges = archive_entry_sparse_count(r->entry);

    if (size < 0)
        return ol_error_set(err, -EBADMSG, "'%s' has a negative size", e->name);
    if ((uint64_t)size > limits->file_bytes)
        return ol_error_set(err, -E2BIG,
                            "the %llu bytes of '%s' pass the limit of %llu (file_bytes)",
                            ull((uint64_t)size), e->name, ull(limits->file_bytes));
    if ((uint64_t)ranges > limits->sparse_ranges)
        return ol_error_set(err, -E2BIG,
                            "the %d data ranges of '%s' pass the limit of %llu (sparse_ranges)",
                            ranges, e->name, ull(limits->sparse_ranges));
    e->sparse = ranges > 0;
    e->header.size = (uint64_t)size;
    r->size = (uint64_t)size;
    return 0;
}

static int take_xattrs(struct ol_reader *r, struct ol_reader_entry *e, struct ol_error *err)
{
    size_t n = (size_t)archive_entry_xattr_reset(r->entry);

    if (n == 0)
        return 0;
    if (n > r->config.limits->xattrs)
        return ol_error_set(err, -E2BIG,
                            "the %zu extended attributes of '%s' pass the limit of %llu (xattrs)",
                            n, e->name, ull(r->config.limits->xattrs));
    if (n > r->xattrs_cap) {
        struct ol_entry_xattr *xattrs = reallocarray(r->xattrs, n, sizeof *xattrs);
        if (xattrs == NULL)
            return ol_error_nomem(err);
        r->xattrs = xattrs;
        r->xattrs_cap = n;
    }
    /* libarchive lists them last first; a key given twice must end as in the archive */
    for (size_t i = n; i-- > 0;) {
        struct ol_entry_xattr *x = &r->xattrs[i];
        if (archive_entry_xattr_next(r->entry, &x->name, &x->value, &x->len) != ARCHIVE_OK)
            return ol_error_nomem(err);
    }
    e->xattrs = r->xattrs;
    e->n_xattrs = n;
    return 0;
}

static int take_rest(struct ol_reader *r, struct ol_reader_entry *e, struct ol_error *err)
{
    int result = take_size(r, e, err);

    if (result == 0)
        result = file_type(r, e, err);
    if (result == 0)
        result = take_link(r, e, err);
    if (result == 0)
        result = take_id(archive_entry_uid(r->entry), "owner", e->name, &e->header.uid, err);
    if (result == 0)
        result = take_id(archive_entry_gid(r->entry), "group", e->name, &e->header.gid, err);
    if (result == 0)
        result = take_device(r, e, err);
    if (result == 0)
        result = take_xattrs(r, e, err);
    if (result < 0)
        return result;
    e->header.mode = archive_entry_perm(r->entry) & 07777;
    e->header.mtime = take_time(r, e->header.type);
    if (*e->header.path == '\0' && e->header.type != OL_ENTRY_DIRECTORY)
        return ol_error_set(err, -EINVAL, "'%s' is the layer's root and can only be a directory",
                            e->name);
    return 0;
}

int ol_reader_next(struct ol_reader *reader, struct ol_reader_entry *ret, struct ol_error *err)
{
    struct ol_reader *r = reader;
    struct ol_reader_entry e = {.name = NULL};
    locale_t old;
    int result = 0;

    if (r->archive == NULL && !r->done)
        result = begin(r, err);
    if (result < 0 || r->done)
        return result;
    old = enter(r);
    result = read_header(r, err);
    leave(old);
    if (result <= 0) {
        r->done = true;
        return result;
    }
    if (++r->entries > r->config.limits->entries)
        return ol_error_set(err, -E2BIG, "the layer passes the limit of %llu entries (entries)",
                            ull(r->config.limits->entries));
    result = take_name(r, &e, err);
    if (result == 0)
        result = take_rest(r, &e, err);
    if (result == 0 && r->config.record != NULL)
        result = ol_tarsplit_entry(r->config.record, &e, position(r), err);
    if (result < 0)
        return result;
    r->content_end = e.sparse ? UINT64_MAX : position(r) + r->size;
    *ret = e;
    return 1;
}

int ol_reader_data(struct ol_reader *reader, struct ol_reader_piece *ret, struct ol_error *err)
{
    struct ol_reader *r = reader;
    const struct ol_block *b;
    const char *data;
    la_int64_t offset;
    int code;

    do {
        code = archive_read_data_block(r->archive, &ret->data, &ret->len, &offset);
        if (code == ARCHIVE_EOF)
            return 0;
        if (code != ARCHIVE_OK)
            return ended_in_padding(r) ? 0 : archive_failed(r, err);
    } while (ret->len == 0);
    if (offset < 0 || (uint64_t)offset > r->size || ret->len > r->size - (uint64_t)offset)
        return ol_error_set(err, -EBADMSG, "the content of '%s' passes its size",
                            ol_buf_str(&r->last_name));
    ret->offset = (uint64_t)offset;
    data = ret->data;
    b = r->block;
    ret->block = b != NULL && data >= b->data && data < b->data + b->len ? r->block : NULL;
    return 1;
}

int ol_reader_drain(struct ol_reader *reader, struct ol_error *err)
{
    struct ol_reader *r = reader;
    uint64_t end = r->archive != NULL ? position(r) : 0;
    uint64_t seen = r->given;

    for (;;) {
        if (r->lone_zero && seen > end)
            return ol_error_set(err, -EBADMSG,
                                "damaged archive after '%s': a lone zero block, then more",
                                ol_buf_str(&r->last_name));
        if (r->stream_ended)
            return 0;
        drop_block(r);
        (void)ol_stream_skip(r->config.stream, INT64_MAX, NULL); /* where not, next() reads */
        if (next_block(r) < 0) {
            ol_error_move(err, &r->error);
            return r->result;
        }
        if (r->block != NULL)
            seen = r->block->start + r->block->len;
    }
}

void ol_reader_close(struct ol_reader *reader)
{
    struct ol_reader *r = reader;
    locale_t old;

    if (r == NULL)
        return;
    old = r->c_locale != (locale_t)0 ? enter(r) : (locale_t)0;
    archive_entry_free(r->entry);
    (void)archive_read_free(r->archive); /* nothing is written back on reading */
    if (old != (locale_t)0) {
        leave(old);
        freelocale(r->c_locale);
    }
    ol_block_unref(r->block);
    ol_error_fini(&r->error);
    ol_buf_fini(&r->path);
    ol_buf_fini(&r->link);
    ol_buf_fini(&r->last_name);
    free(r->xattrs);
    free(r);
}

int ol_reader_open(const struct ol_reader_config *config, struct ol_reader **ret,
                   struct ol_error *err)
{
    struct ol_reader *r = calloc(1, sizeof *r);
    locale_t base;

    if (r == NULL)
        return ol_error_nomem(err);
    r->config = *config;
    base = duplocale(uselocale((locale_t)0)); /* messages stay in the caller's language */
    if (base != (locale_t)0)
        r->c_locale = newlocale(LC_CTYPE_MASK, "C", base);
    if (r->c_locale == (locale_t)0) {
        if (base != (locale_t)0)
            freelocale(base);
        ol_reader_close(r);
        return ol_error_nomem(err);
    }
    *ret = r;
    return 0;
}
