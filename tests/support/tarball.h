/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A raw tar builder for tests: writes what it is told, valid or hostile, block by block. It shares
 * no code with the readers and writers under test. Every function fails the test on misuse or when
 * memory runs out, so that calls need no checks.
 *
 *     struct tarball tar = TARBALL_INIT;
 *     tarball_add_dir(&tar, "etc/");
 *     tarball_pax_text(&tar, "mtime", "1.5");
 *     tarball_add_file(&tar, "etc/motd", "hello\n");
 *     tarball_end(&tar);
 *     ol_layer_apply(root_fd, &OL_INPUT_FD(tarball_fd(&tar)), …);
 *     tarball_fini(&tar);
 */
#ifndef OL_TESTS_TARBALL_H
#define OL_TESTS_TARBALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TARBALL_BLOCK = 512,
    TARBALL_UNSET = -1, /* in struct tarball_entry: the type's default mode */
};

/* How names that do not fit and the magic are written. */
enum tarball_dialect {
    TARBALL_PAX,   /* ustar magic; "path" and "linkpath" records where a name passes 100 bytes */
    TARBALL_USTAR, /* ustar magic; prefix field where a name passes 100 bytes */
    TARBALL_GNU,   /* GNU magic; 'L' and 'K' entries where a name passes 100 bytes */
    TARBALL_V7,    /* no magic; names are cut */
};

struct tarball {
    char *data; /* owned */
    size_t len, cap;
    enum tarball_dialect dialect; /* may be changed between entries */
    char *pax;                    /* owned; records waiting for the next entry */
    size_t pax_len;
    size_t header; /* offset of the last entry's own header block */
    int fd;        /* owned; -1 until tarball_fd() */
};

#define TARBALL_INIT                                                                               \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* One entry as it goes into the archive. Nothing is checked: any number and any name. */
struct tarball_entry {
    const char *name; /* bytes, as they are */
    char type; /* '0' file, '1' hard link, '2' symlink, '3' char, '4' block, '5' dir, '6' fifo */
    const char *link; /* NULL: empty */
    int mode;         /* TARBALL_UNSET: 0644, 0755 for directories, 0777 for symlinks */
    int64_t uid, gid; /* octal when they fit, else base-256; negative too */
    int64_t mtime;    /* seconds; octal when it fits, else base-256 */
    int64_t dev_major, dev_minor;
    const void *content; /* payload; NULL with content_len > 0: zeros */
    size_t content_len;
    int64_t size; /* the size field; 0: content_len. For lies and sparse files */
};

/** Release everything and make it ready for use again. */
void tarball_fini(struct tarball *tar);

/** Append an entry: waiting PAX records, long-name entries, header, padded content. */
void tarball_add(struct tarball *tar, const struct tarball_entry *entry);

/* The usual entries: root:root, mtime 1000000000. */
void tarball_add_file(struct tarball *tar, const char *name, const char *content);
void tarball_add_file_mode(struct tarball *tar, const char *name, int mode, const char *content);
void tarball_add_bytes(struct tarball *tar, const char *name, const void *data, size_t len);
void tarball_add_dir(struct tarball *tar, const char *name);
void tarball_add_dir_mode(struct tarball *tar, const char *name, int mode);
void tarball_add_symlink(struct tarball *tar, const char *name, const char *target);
void tarball_add_hardlink(struct tarball *tar, const char *name, const char *target);
void tarball_add_hardlink_mode(struct tarball *tar, const char *name, const char *target, int mode,
                               int64_t uid);
void tarball_add_device(struct tarball *tar, const char *name, char type, int64_t dev_major,
                        int64_t dev_minor);
void tarball_add_fifo(struct tarball *tar, const char *name);

/** A PAX record for the next entry; value may hold any bytes. */
void tarball_pax(struct tarball *tar, const char *key, const void *value, size_t len);
void tarball_pax_text(struct tarball *tar, const char *key, const char *value);
/** "SCHILY.xattr.<name>" for the next entry. */
void tarball_xattr(struct tarball *tar, const char *name, const void *value, size_t len);

/** A special header block (type 'x', 'g', 'L', 'K', …) with this body, as it is. */
void tarball_add_special(struct tarball *tar, char type, const void *body, size_t len);

/** Bytes as they are; zero blocks. */
void tarball_raw(struct tarball *tar, const void *data, size_t len);
void tarball_zeros(struct tarball *tar, size_t len);
/** The two zero blocks at the end. */
void tarball_end(struct tarball *tar);

/** The last entry's 512-byte header, for changing any field; valid until the next addition. */
char *tarball_header(struct tarball *tar);
/** Recompute the checksum of the last header after such a change. */
void tarball_fix_checksum(struct tarball *tar);

/** Number of bytes cut away from the end: truncation. */
void tarball_cut(struct tarball *tar, size_t bytes);

enum tarball_codec { TARBALL_GZIP, TARBALL_ZSTD, TARBALL_XZ, TARBALL_BZIP2 };
/** Replace the content by its compressed form. */
void tarball_compress(struct tarball *tar, enum tarball_codec codec);

/** A descriptor at the beginning of a copy in memory; owned by the tarball, made anew each time. */
int tarball_fd(struct tarball *tar);

/** Fill one header block, for tests that stream archives too big for memory. */
void tarball_fill_header(char block[TARBALL_BLOCK], const struct tarball_entry *entry,
                         enum tarball_dialect dialect);
/** Write a number field: octal when it fits, else base-256. */
void tarball_number(char *field, size_t width, int64_t value);
/** Write a number field in base-256 in any case. */
void tarball_base256(char *field, size_t width, int64_t value);

#endif
