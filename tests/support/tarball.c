/* SPDX-License-Identifier: Apache-2.0 */
/* The raw tar builder of tarball.h. Formats: POSIX.1-2017 pax, GNU tar manual "Standard Format". */
#include "support/tarball.h"

#include "support/support.h"

#include <bzlib.h>
#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

/* Offsets and widths of the header fields. */
enum {
    NAME_WIDTH = 100,
    MODE_AT = 100,
    UID_AT = 108,
    GID_AT = 116,
    SIZE_AT = 124,
    MTIME_AT = 136,
    SUM_AT = 148,
    TYPE_AT = 156,
    LINK_AT = 157,
    MAGIC_AT = 257,
    MAJOR_AT = 329,
    MINOR_AT = 337,
    PREFIX_AT = 345,
    PREFIX_WIDTH = 155,
};

void tarball_fini(struct tarball *tar)
{
    free(tar->data);
    free(tar->pax);
    ol_fd_close(&tar->fd);
    *tar = (struct tarball)TARBALL_INIT;
}

static char *extend(struct tarball *tar, size_t len)
{
    char *at;

    if (tar->cap - tar->len < len) {
        size_t cap = (tar->len + len) * 2 + 8192;
        tar->data = realloc(tar->data, cap);
        assert_non_null(tar->data);
        tar->cap = cap;
    }
    at = tar->data + tar->len;
    tar->len += len;
    return at;
}

void tarball_raw(struct tarball *tar, const void *data, size_t len)
{
    if (len > 0)
        memcpy(extend(tar, len), data, len);
}

void tarball_zeros(struct tarball *tar, size_t len)
{
    if (len > 0)
        memset(extend(tar, len), 0, len);
}

void tarball_end(struct tarball *tar)
{
    tarball_zeros(tar, 2 * (size_t)TARBALL_BLOCK);
}

void tarball_cut(struct tarball *tar, size_t bytes)
{
    assert_true(bytes <= tar->len);
    tar->len -= bytes;
}

void tarball_base256(char *field, size_t width, int64_t value)
{
    for (size_t i = width; i-- > 0; value >>= 8) /* arithmetic shift: the sign fills the rest */
        field[i] = (char)(value & 0xff);
    field[0] = (char)(field[0] | (char)0x80);
}

void tarball_number(char *field, size_t width, int64_t value)
{
    char text[32];

    if (value < 0 || (width < 22 && value >= (int64_t)1 << (3 * (width - 1)))) {
        tarball_base256(field, width, value);
        return;
    }
    (void)snprintf(text, sizeof text, "%0*llo", (int)width - 1, (unsigned long long)value);
    memcpy(field, text, width - 1);
    field[width - 1] = '\0';
}

static void put_checksum(char *block)
{
    unsigned sum = 0;
    char text[8];

    memset(block + SUM_AT, ' ', 8);
    for (size_t i = 0; i < TARBALL_BLOCK; i++)
        sum += (unsigned char)block[i];
    (void)snprintf(text, sizeof text, "%06o", sum & 0777777);
    memcpy(block + SUM_AT, text, 7);
}

static void put_text(char *field, size_t width, const char *text)
{
    size_t len = strlen(text);

    memcpy(field, text, len < width ? len : width);
}

/* ustar: cut at a slash so that both parts fit; a name that has no such slash is cut off. */
static void put_name(char *block, const char *name, enum tarball_dialect dialect)
{
    size_t len = strlen(name);

    if (len > NAME_WIDTH && dialect == TARBALL_USTAR) {
        for (size_t i = len - NAME_WIDTH - 1; i < len && i <= PREFIX_WIDTH; i++) {
            if (name[i] != '/')
                continue;
            memcpy(block + PREFIX_AT, name, i);
            name += i + 1;
            break;
        }
    }
    put_text(block, NAME_WIDTH, name);
}

static int default_mode(char type)
{
    return type == '5' ? 0755 : type == '2' ? 0777 : 0644;
}

void tarball_fill_header(char block[TARBALL_BLOCK], const struct tarball_entry *entry,
                         enum tarball_dialect dialect)
{
    bool device = entry->type == '3' || entry->type == '4';

    memset(block, 0, TARBALL_BLOCK);
    put_name(block, entry->name, dialect);
    tarball_number(block + MODE_AT, 8,
                   entry->mode == TARBALL_UNSET ? default_mode(entry->type) : entry->mode);
    tarball_number(block + UID_AT, 8, entry->uid);
    tarball_number(block + GID_AT, 8, entry->gid);
    tarball_number(block + SIZE_AT, 12,
                   entry->size != 0 ? entry->size : (int64_t)entry->content_len);
    tarball_number(block + MTIME_AT, 12, entry->mtime);
    block[TYPE_AT] = entry->type;
    put_text(block + LINK_AT, NAME_WIDTH, entry->link != NULL ? entry->link : "");
    if (dialect == TARBALL_GNU)
        memcpy(block + MAGIC_AT, "ustar  ", 8);
    else if (dialect != TARBALL_V7)
        memcpy(block + MAGIC_AT, "ustar\00000", 8);
    if (device && dialect != TARBALL_V7) {
        tarball_number(block + MAJOR_AT, 8, entry->dev_major);
        tarball_number(block + MINOR_AT, 8, entry->dev_minor);
    }
    put_checksum(block);
}

static void put_padded(struct tarball *tar, const void *data, size_t len)
{
    if (data != NULL)
        tarball_raw(tar, data, len);
    else
        tarball_zeros(tar, len);
    tarball_zeros(tar, (TARBALL_BLOCK - len % TARBALL_BLOCK) % TARBALL_BLOCK);
}

static void put_block(struct tarball *tar, const struct tarball_entry *entry)
{
    tar->header = tar->len;
    tarball_fill_header(extend(tar, TARBALL_BLOCK), entry, tar->dialect);
}

void tarball_add_special(struct tarball *tar, char type, const void *body, size_t len)
{
    const char *name = type == 'x'   ? "PaxHeaders.0/entry"
                       : type == 'g' ? "pax_global_header"
                                     : "././@LongLink";

    put_block(tar, &(struct tarball_entry){.name = name, .type = type, .content_len = len});
    put_padded(tar, body, len);
}

void tarball_pax(struct tarball *tar, const char *key, const void *value, size_t len)
{
    size_t body = strlen(key) + len + 3; /* space, equals sign, newline */
    size_t total = body + 1;
    char digits[24];
    int n;

    /* the length counts its own digits */
    while ((n = snprintf(digits, sizeof digits, "%zu", total)) > 0 && body + (size_t)n != total)
        total = body + (size_t)n;
    tar->pax = realloc(tar->pax, tar->pax_len + total + 1);
    assert_non_null(tar->pax);
    n = snprintf(tar->pax + tar->pax_len, total + 1, "%s %s=", digits, key);
    if (len > 0)
        memcpy(tar->pax + tar->pax_len + n, value, len);
    tar->pax_len += total;
    tar->pax[tar->pax_len - 1] = '\n';
}

void tarball_pax_text(struct tarball *tar, const char *key, const char *value)
{
    tarball_pax(tar, key, value, strlen(value));
}

void tarball_xattr(struct tarball *tar, const char *name, const void *value, size_t len)
{
    ol_auto_free char *key = NULL;

    assert_true(asprintf(&key, "SCHILY.xattr.%s", name) > 0);
    tarball_pax(tar, key, value, len);
}

static void put_long(struct tarball *tar, const char *text, const char *pax_key, char gnu_type)
{
    if (strlen(text) <= NAME_WIDTH)
        return;
    if (tar->dialect == TARBALL_PAX)
        tarball_pax_text(tar, pax_key, text);
    else if (tar->dialect == TARBALL_GNU)
        tarball_add_special(tar, gnu_type, text, strlen(text) + 1);
}

void tarball_add(struct tarball *tar, const struct tarball_entry *entry)
{
    put_long(tar, entry->name, "path", 'L');
    put_long(tar, entry->link != NULL ? entry->link : "", "linkpath", 'K');
    if (tar->pax_len > 0) {
        tarball_add_special(tar, 'x', tar->pax, tar->pax_len);
        tar->pax_len = 0;
    }
    put_block(tar, entry);
    put_padded(tar, entry->content, entry->content_len);
}

static void add_usual(struct tarball *tar, struct tarball_entry entry)
{
    entry.mtime = 1000000000;
    tarball_add(tar, &entry);
}

void tarball_add_bytes(struct tarball *tar, const char *name, const void *data, size_t len)
{
    add_usual(
        tar,
        (struct tarball_entry){
            .name = name, .type = '0', .mode = TARBALL_UNSET, .content = data, .content_len = len});
}

void tarball_add_file(struct tarball *tar, const char *name, const char *content)
{
    tarball_add_bytes(tar, name, content, strlen(content));
}

void tarball_add_file_mode(struct tarball *tar, const char *name, int mode, const char *content)
{
    add_usual(tar, (struct tarball_entry){.name = name,
                                          .type = '0',
                                          .mode = mode,
                                          .content = content,
                                          .content_len = strlen(content)});
}

void tarball_add_dir(struct tarball *tar, const char *name)
{
    tarball_add_dir_mode(tar, name, TARBALL_UNSET);
}

void tarball_add_dir_mode(struct tarball *tar, const char *name, int mode)
{
    add_usual(tar, (struct tarball_entry){.name = name, .type = '5', .mode = mode});
}

void tarball_add_symlink(struct tarball *tar, const char *name, const char *target)
{
    add_usual(tar, (struct tarball_entry){
                       .name = name, .type = '2', .mode = TARBALL_UNSET, .link = target});
}

void tarball_add_hardlink(struct tarball *tar, const char *name, const char *target)
{
    tarball_add_hardlink_mode(tar, name, target, TARBALL_UNSET, 0);
}

void tarball_add_hardlink_mode(struct tarball *tar, const char *name, const char *target, int mode,
                               int64_t uid)
{
    add_usual(tar, (struct tarball_entry){
                       .name = name, .type = '1', .mode = mode, .uid = uid, .link = target});
}

void tarball_add_device(struct tarball *tar, const char *name, char type, int64_t dev_major,
                        int64_t dev_minor)
{
    add_usual(tar, (struct tarball_entry){.name = name,
                                          .type = type,
                                          .mode = TARBALL_UNSET,
                                          .dev_major = dev_major,
                                          .dev_minor = dev_minor});
}

void tarball_add_fifo(struct tarball *tar, const char *name)
{
    add_usual(tar, (struct tarball_entry){.name = name, .type = '6', .mode = TARBALL_UNSET});
}

char *tarball_header(struct tarball *tar)
{
    assert_true(tar->header + TARBALL_BLOCK <= tar->len);
    return tar->data + tar->header;
}

void tarball_fix_checksum(struct tarball *tar)
{
    put_checksum(tarball_header(tar));
}

static size_t compress_gzip(const struct tarball *tar, char *out, size_t cap)
{
    z_stream z = {.next_in = (unsigned char *)tar->data,
                  .avail_in = (unsigned)tar->len,
                  .next_out = (unsigned char *)out,
                  .avail_out = (unsigned)cap};

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(deflateEnd(&z), Z_OK);
    return z.total_out;
}

static size_t compress_zstd(const struct tarball *tar, char *out, size_t cap)
{
    size_t n = ZSTD_compress(out, cap, tar->data, tar->len, 3);

    assert_false(ZSTD_isError(n));
    return n;
}

static size_t compress_xz(const struct tarball *tar, char *out, size_t cap)
{
    size_t n = 0;

    assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, (uint8_t *)tar->data,
                                             tar->len, (uint8_t *)out, &n, cap),
                     LZMA_OK);
    return n;
}

static size_t compress_bzip2(const struct tarball *tar, char *out, size_t cap)
{
    unsigned n = (unsigned)cap;
    char none[1]; /* libbz2 wants an address, also for nothing */

    assert_int_equal(BZ2_bzBuffToBuffCompress(out, &n, tar->len > 0 ? tar->data : none,
                                              (unsigned)tar->len, 1, 0, 0),
                     BZ_OK);
    return n;
}

void tarball_compress(struct tarball *tar, enum tarball_codec codec)
{
    size_t cap = tar->len + tar->len / 8 + 65536; /* more than any of them adds to noise */
    char *out = malloc(cap);
    size_t n;

    assert_non_null(out);
    n = codec == TARBALL_GZIP   ? compress_gzip(tar, out, cap)
        : codec == TARBALL_ZSTD ? compress_zstd(tar, out, cap)
        : codec == TARBALL_XZ   ? compress_xz(tar, out, cap)
                                : compress_bzip2(tar, out, cap);
    free(tar->data);
    tar->data = out;
    tar->len = n;
    tar->cap = cap;
}

int tarball_fd(struct tarball *tar)
{
    size_t done = 0;

    ol_fd_close(&tar->fd);
    tar->fd = memfd_create("tarball", MFD_CLOEXEC);
    assert_true(tar->fd >= 0);
    while (done < tar->len) {
        ssize_t n = write(tar->fd, tar->data + done, tar->len - done);
        assert_true(n > 0);
        done += (size_t)n;
    }
    assert_int_equal(lseek(tar->fd, 0, SEEK_SET), 0);
    return tar->fd;
}
