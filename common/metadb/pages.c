/* SPDX-License-Identifier: Apache-2.0 */
/* LMDB's pages, looked at; see pages.h. */
#include "common/metadb/pages.h"

#include "common/cleanup.h"
#include "common/metadb/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

enum {
    META_PAGES = 2,
    PAGE_MIN = 512,
    PAGE_MAX = 32768,
    DEPTH_MAX = 32, /* LMDB's CURSOR_STACK */
    DBS_MAX = 16,   /* named ones: there are OL_BUCKETS */

    FLAG_BRANCH = 0x01,
    FLAG_LEAF = 0x02,
    FLAG_OVERFLOW = 0x04,
    FLAG_META = 0x08,

    NODE_BIG = 0x01,   /* the data lies in overflow pages */
    NODE_SUBDB = 0x02, /* the data is a struct db */

    DB_INTEGER_KEY = 0x08,
    DB_UNUSED_FLAGS = 0x77, /* FIXEDMAP, REVERSEKEY, DUPSORT, DUPFIXED, INTEGERDUP, REVERSEDUP */
};

static const uint32_t meta_magic = 0xBEEFC0DE;
static const uint32_t meta_version = 1;
#define NO_PAGE SIZE_MAX

struct page_head {
    size_t number;
    uint16_t pad, flags;
    union {
        struct {
            uint16_t lower, upper; /* of the free space */
        };
        uint32_t pages; /* of an overflow */
    };
};

struct node {
    uint16_t low, high; /* a leaf's data size; a branch's page number, with flags above them */
    uint16_t flags, key_size;
};

struct db {
    uint32_t pad; /* of the list of free pages: the page size */
    uint16_t flags, depth;
    size_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

struct meta {
    uint32_t magic, version;
    size_t address, map_size;
    struct db free, main;
    size_t last_page, txnid;
};

struct check {
    int fd;
    const char *path;
    struct ol_error *err;
    size_t page_size;
    size_t last_page;
    unsigned char *used;    /* owned; a bit for each page */
    unsigned char *buffers; /* owned; a page for each level, and one */
    struct db named[DBS_MAX];
    size_t n_named;
};

__attribute__((format(printf, 2, 3))) static int damaged(const struct check *c, const char *fmt,
                                                         ...)
{
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = ol_error_vset(c->err, -EUCLEAN, fmt, ap);
    va_end(ap);
    return ol_error_wrap(c->err, r, "'%s' is no database, or damaged", c->path);
}

/* @return 0; -ENODATA the file ends before */
static int read_at(const struct check *c, size_t offset, void *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(c->fd, (char *)buf + done, len - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? ol_error_sys(c->err, errno, "cannot read '%s'", c->path) : -ENODATA;
        done += (size_t)n;
    }
    return 0;
}

/* ---- meta pages ---- */

static bool page_size_ok(uint32_t size)
{
    return size >= PAGE_MIN && size <= PAGE_MAX && (size & (size - 1)) == 0;
}

static int check_meta_head(const struct check *c, unsigned index, const struct page_head *head,
                           const struct meta *meta)
{
    if ((head->flags & FLAG_META) == 0 || meta->magic != meta_magic)
        return damaged(c, "meta page %u is none", index);
    if (meta->version != meta_version)
        return ol_error_set(c->err, -EPROTO,
                            "'%s' was written by another version of LMDB (data version %" PRIu32
                            ", this is %" PRIu32 ")",
                            c->path, meta->version, meta_version);
    if (!page_size_ok(meta->free.pad))
        return damaged(c, "meta page %u says a page has %" PRIu32 " bytes", index, meta->free.pad);
    if ((meta->free.flags & DB_UNUSED_FLAGS) != 0 || (meta->free.flags & DB_INTEGER_KEY) == 0)
        return damaged(c, "meta page %u has flags %#x", index, meta->free.flags);
    return 0;
}

static int read_meta(const struct check *c, unsigned index, size_t page_size, struct meta *ret)
{
    struct page_head head;
    size_t at = (size_t)index * page_size;
    int r = read_at(c, at, &head, sizeof head);

    if (r == 0)
        r = read_at(c, at + sizeof head, ret, sizeof *ret);
    return r == 0 ? check_meta_head(c, index, &head, ret) : r;
}

int ol_pages_check_head(const char *path, struct ol_error *err)
{
    ol_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    const struct check c = {.fd = fd, .path = path, .err = err};
    struct meta first;
    struct meta second;
    int r;

    if (fd < 0)
        return 0; /* missing, or LMDB says why not */
    r = read_meta(&c, 0, 0, &first);
    if (r == 0)
        r = read_meta(&c, 1, first.free.pad, &second);
    if (r == -ENODATA)
        return 0;
    if (r == 0 && first.free.pad != second.free.pad)
        r = damaged(&c, "its meta pages disagree about the size of pages");
    return r;
}

/* ---- pages ---- */

/* Note a page as used. */
static int use(struct check *c, size_t page)
{
    if (page < META_PAGES || page > c->last_page)
        return damaged(c, "page %zu is out of range", page);
    if ((c->used[page / 8] & 1u << page % 8) != 0)
        return damaged(c, "page %zu is used twice", page);
    c->used[page / 8] |= (unsigned char)(1u << page % 8);
    return 0;
}

static int read_page(struct check *c, size_t page, void *buf, size_t len)
{
    int r = read_at(c, page * c->page_size, buf, len);

    return r == -ENODATA ? damaged(c, "page %zu is cut off", page) : r;
}

/* The walk of one tree, in the order of its keys. */
struct tree {
    struct db db;
    bool is_main, is_free;
    size_t branch_pages, leaf_pages, overflow_pages, entries; /* found */
    unsigned char last[OL_META_KEY_MAX];                      /* key */
    size_t last_len;
    bool any, or_equal; /* the next key is greater than last, or (first of a page) the same */
};

static int compare(const struct tree *t, const unsigned char *key, size_t len)
{
    size_t a;
    size_t b;
    int r;

    if (t->is_free) { /* host order; the size was looked at */
        memcpy(&a, key, sizeof a);
        memcpy(&b, t->last, sizeof b);
        return a < b ? -1 : a > b;
    }
    r = memcmp(key, t->last, len < t->last_len ? len : t->last_len);
    return r != 0 ? r : len < t->last_len ? -1 : len > t->last_len;
}

static int check_key(struct check *c, struct tree *t, size_t page, const unsigned char *key,
                     size_t len)
{
    int order;

    if (len == 0 || len > OL_META_KEY_MAX || (t->is_free && len != sizeof(size_t)))
        return damaged(c, "page %zu has a key of %zu bytes", page, len);
    order = t->any ? compare(t, key, len) : 1;
    if (order < 0 || (order == 0 && !t->or_equal))
        return damaged(c, "the keys of page %zu are not in order", page);
    memcpy(t->last, key, len);
    t->last_len = len;
    t->any = true;
    t->or_equal = false;
    return 0;
}

static int use_overflow(struct check *c, struct tree *t, size_t page, size_t size)
{
    size_t pages = (size + sizeof(struct page_head) - 1) / c->page_size + 1;
    struct page_head head;
    unsigned char last;
    int r = 0;

    if (page > c->last_page || pages > c->last_page - page + 1)
        return damaged(c, "overflow page %zu is out of range", page);
    for (size_t i = 0; i < pages && r == 0; i++)
        r = use(c, page + i);
    if (r == 0)
        r = read_page(c, page, &head, sizeof head);
    if (r == 0) /* LMDB reads it through the map: it must be there */
        r = read_page(c, page, &last, 1);
    if (r == 0 && read_at(c, page * c->page_size + sizeof head + size - 1, &last, 1) < 0)
        return damaged(c, "overflow page %zu is cut off", page);
    if (r < 0)
        return r;
    if (head.number != page || head.flags != FLAG_OVERFLOW || head.pages != pages)
        return damaged(c, "overflow page %zu is none of %zu pages", page, pages);
    t->overflow_pages += pages;
    return 0;
}

/* A list of free pages: a count and so many numbers, descending. */
static int check_free_list(struct check *c, size_t page, const unsigned char *data, size_t size)
{
    size_t count;
    size_t number;
    size_t before = NO_PAGE;
    int r = 0;

    if (size < sizeof count)
        return damaged(c, "a list of free pages in page %zu is cut off", page);
    memcpy(&count, data, sizeof count);
    if (count > size / sizeof count - 1)
        return damaged(c, "a list of free pages in page %zu is longer than it is", page);
    for (size_t i = 0; i < count && r == 0; i++) {
        memcpy(&number, data + (i + 1) * sizeof number, sizeof number);
        if (number >= before)
            return damaged(c, "a list of free pages in page %zu is not in order", page);
        before = number;
        r = use(c, number);
    }
    return r;
}

static int check_big_free_list(struct check *c, size_t page, size_t overflow, size_t size)
{
    ol_auto_free unsigned char *data = malloc(size);
    int r;

    if (data == NULL)
        return ol_error_nomem(c->err);
    r = read_at(c, overflow * c->page_size + sizeof(struct page_head), data, size);
    return r < 0 ? r : check_free_list(c, page, data, size); /* its end was looked at */
}

static int keep_named(struct check *c, size_t page, const unsigned char *data, size_t size)
{
    struct db db;

    if (size != sizeof db)
        return damaged(c, "page %zu has a bucket of %zu bytes", page, size);
    if (c->n_named == DBS_MAX)
        return damaged(c, "it has more than %d buckets", (int)DBS_MAX);
    memcpy(&db, data, sizeof db);
    if ((db.flags & (DB_UNUSED_FLAGS | DB_INTEGER_KEY)) != 0)
        return damaged(c, "a bucket in page %zu has flags %#x", page, db.flags);
    c->named[c->n_named++] = db;
    return 0;
}

/* What stands behind a leaf's key. */
static int check_data(struct check *c, struct tree *t, size_t page, const struct node *node,
                      const unsigned char *data)
{
    size_t size = (size_t)node->low | (size_t)node->high << 16;
    size_t overflow;
    int r;

    if ((node->flags & ~(NODE_BIG | NODE_SUBDB)) != 0 || node->flags == (NODE_BIG | NODE_SUBDB) ||
        ((node->flags & NODE_SUBDB) != 0) != t->is_main)
        return damaged(c, "page %zu has a node with flags %#x", page, node->flags);
    if (node->flags == NODE_SUBDB)
        return keep_named(c, page, data, size);
    if (node->flags == 0)
        return t->is_free ? check_free_list(c, page, data, size) : 0;
    memcpy(&overflow, data, sizeof overflow);
    r = size == 0 ? damaged(c, "page %zu has empty overflow", page)
                  : use_overflow(c, t, overflow, size);
    return r == 0 && t->is_free ? check_big_free_list(c, page, overflow, size) : r;
}

static int walk(struct check *c, struct tree *t, size_t page, unsigned level);

static int check_leaf_node(struct check *c, struct tree *t, size_t page, const struct node *node,
                           const unsigned char *body, size_t room)
{
    size_t size = (size_t)node->low | (size_t)node->high << 16;
    size_t stored = (node->flags & NODE_BIG) != 0 ? sizeof(size_t) : size;
    int r;

    if (node->key_size > room || stored > room - node->key_size)
        return damaged(c, "a node of page %zu ends behind it", page);
    r = check_key(c, t, page, body, node->key_size);
    t->entries++;
    return r < 0 ? r : check_data(c, t, page, node, body + node->key_size);
}

/* The first key of a branch page is not looked at by LMDB, and mostly empty. */
static int check_branch_node(struct check *c, struct tree *t, size_t page, const struct node *node,
                             const unsigned char *body, size_t room, bool first, unsigned level)
{
    size_t child = (size_t)(node->low | (uint64_t)node->high << 16 | (uint64_t)node->flags << 32);
    int r = 0;

    if (node->key_size > room)
        return damaged(c, "a node of page %zu ends behind it", page);
    if (!first)
        r = check_key(c, t, page, body, node->key_size);
    if (r < 0)
        return r;
    t->or_equal = !first || t->or_equal; /* the child may begin with this very key */
    return walk(c, t, child, level + 1);
}

static int check_head(struct check *c, const struct tree *t, size_t page,
                      const struct page_head *head, unsigned level)
{
    uint16_t want = level == t->db.depth ? FLAG_LEAF : FLAG_BRANCH;

    if (head->number != page || head->flags != want)
        return damaged(c, "page %zu says that it is page %zu, with flags %#x", page, head->number,
                       head->flags);
    if (head->lower < sizeof *head || head->lower % 2 != 0 || head->lower > head->upper ||
        head->upper > c->page_size)
        return damaged(c, "page %zu has bounds that cannot be", page);
    if (head->lower < sizeof *head + (want == FLAG_BRANCH ? 2 : 1) * sizeof(uint16_t))
        return damaged(c, "page %zu has too few nodes", page);
    return 0;
}

/* What it takes of a page; LMDB keeps them side by side, at even places. */
static size_t node_size(const struct node *node, bool leaf)
{
    size_t data = (node->flags & NODE_BIG) != 0 ? sizeof(size_t)
                                                : (size_t)node->low | (size_t)node->high << 16;
    size_t size = sizeof *node + node->key_size + (leaf ? data : 0);

    return size + size % 2;
}

/* level: 1 for the root */
static int walk(struct check *c, struct tree *t, size_t page, unsigned level)
{
    unsigned char *bytes = c->buffers + (size_t)(level - 1) * c->page_size;
    struct page_head head;
    size_t count;
    size_t stored = 0;
    int r = use(c, page);

    if (r == 0)
        r = read_page(c, page, bytes, c->page_size);
    if (r < 0)
        return r;
    memcpy(&head, bytes, sizeof head);
    r = check_head(c, t, page, &head, level);
    count = (head.lower - sizeof head) / sizeof(uint16_t);
    for (size_t i = 0; i < count && r == 0; i++) {
        struct node node;
        uint16_t at;
        size_t room;

        memcpy(&at, bytes + sizeof head + i * sizeof at, sizeof at);
        if (at < head.upper || at % 2 != 0 || at + sizeof node > c->page_size)
            return damaged(c, "page %zu has a node outside", page);
        memcpy(&node, bytes + at, sizeof node);
        stored += node_size(&node, level == t->db.depth);
        room = c->page_size - at - sizeof node;
        r = level == t->db.depth
                ? check_leaf_node(c, t, page, &node, bytes + at + sizeof node, room)
                : check_branch_node(c, t, page, &node, bytes + at + sizeof node, room, i == 0,
                                    level);
    }
    if (r == 0 && stored != c->page_size - head.upper)
        return damaged(c, "the nodes of page %zu overlap", page);
    t->branch_pages += level < t->db.depth;
    t->leaf_pages += level == t->db.depth;
    return r;
}

static int check_tree(struct check *c, struct tree *t, const char *what)
{
    int r;

    if (t->db.root == NO_PAGE && t->db.depth == 0 && t->db.entries == 0)
        return 0;
    if (t->db.depth == 0 || t->db.depth > DEPTH_MAX)
        return damaged(c, "%s has depth %u", what, t->db.depth);
    r = walk(c, t, t->db.root, 1);
    if (r < 0)
        return r;
    if (t->entries != t->db.entries || t->branch_pages != t->db.branch_pages ||
        t->leaf_pages != t->db.leaf_pages || t->overflow_pages != t->db.overflow_pages)
        return damaged(c, "%s has %zu entries, %zu are counted", what, t->entries, t->db.entries);
    return 0;
}

/* ---- a state ---- */

static int check_trees(struct check *c, const struct meta *meta)
{
    struct tree main = {.db = meta->main, .is_main = true};
    struct tree free = {.db = meta->free, .is_free = true};
    int r = (meta->main.flags & (DB_UNUSED_FLAGS | DB_INTEGER_KEY)) != 0
                ? damaged(c, "its directory of buckets has flags %#x", meta->main.flags)
                : check_tree(c, &main, "its directory of buckets");

    for (size_t i = 0; i < c->n_named && r == 0; i++) {
        struct tree named = {.db = c->named[i]};

        r = check_tree(c, &named, "a bucket");
    }
    return r == 0 ? check_tree(c, &free, "the list of free pages") : r;
}

static int same_meta(const struct check *c, unsigned index, const struct meta *meta)
{
    struct meta again;
    int r = read_meta(c, index, c->page_size, &again);

    if (r < 0)
        return r;
    return memcmp(&again, meta, sizeof again) == 0 ? 0 : -ESTALE;
}

/* The meta page of this transaction, read twice: a writer may be at it. */
static int find_meta(struct check *c, size_t txnid, struct meta *ret)
{
    unsigned index = txnid % META_PAGES;
    struct meta first;
    int r = read_meta(c, 0, 0, &first);

    if (r == 0) {
        c->page_size = first.free.pad;
        r = read_meta(c, index, c->page_size, ret);
    }
    if (r == 0)
        r = same_meta(c, index, ret);
    if (r == -ENODATA)
        return damaged(c, "its meta pages are cut off");
    if (r == 0 && ret->txnid < txnid)
        return damaged(c, "meta page %u is of transaction %zu, not %zu", index, ret->txnid, txnid);
    return r == 0 && ret->txnid > txnid ? -ESTALE : r;
}

int ol_pages_check(int fd, const char *path, size_t txnid, size_t max_bytes, struct ol_error *err)
{
    struct check c = {.fd = fd, .path = path, .err = err};
    ol_auto_free unsigned char *used = NULL;
    ol_auto_free unsigned char *buffers = NULL;
    struct meta meta;
    int r = find_meta(&c, txnid, &meta);

    if (r < 0)
        return r;
    c.last_page = meta.last_page;
    if (meta.last_page >= max_bytes / c.page_size)
        return damaged(&c, "it has %zu pages", meta.last_page);
    c.used = used = calloc(meta.last_page / 8 + 1, 1);
    c.buffers = buffers = calloc(DEPTH_MAX, c.page_size);
    if (used == NULL || buffers == NULL)
        return ol_error_nomem(err);
    return check_trees(&c, &meta);
}
