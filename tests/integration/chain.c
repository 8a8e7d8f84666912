/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model of the merged tree, changed at random; the changes of one layer are its entries. A path
 * that was touched in this layer is left alone by later changes of the layer, so that no name comes
 * twice.
 */
#include "chain.h"

#include "support/support.h"

#include <stdlib.h>

enum kind { KIND_DIR, KIND_FILE, KIND_SYMLINK, KIND_FIFO, KIND_DEVICE, KIND_LINK, KIND_GONE };

struct node {
    char path[96];
    enum kind kind; /* never KIND_GONE or KIND_LINK in the model */
    bool touched;   /* in this layer */
};

struct entry {
    char path[112]; /* whiteouts with their prefix */
    char link[112];
    enum kind kind;
    bool opaque;
};

struct chain {
    uint64_t random;
    bool owners, devices;
    unsigned layer;
    struct node nodes[512];
    size_t n_nodes;
    struct entry entries[512];
    size_t n_entries;
};

/* xorshift64*: the same everywhere. */
static unsigned pick(struct chain *c, unsigned limit)
{
    c->random ^= c->random >> 12;
    c->random ^= c->random << 25;
    c->random ^= c->random >> 27;
    return (unsigned)((c->random * UINT64_C(2685821657736338717)) >> 33) % limit;
}

struct chain *chain_new(uint64_t seed, bool owners, bool devices)
{
    struct chain *c = calloc(1, sizeof *c);

    assert_non_null(c);
    c->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    c->owners = owners;
    c->devices = devices;
    return c;
}

void chain_free(struct chain *chain)
{
    free(chain);
}

static struct node *find(struct chain *c, const char *path)
{
    for (size_t i = 0; i < c->n_nodes; i++)
        if (strcmp(c->nodes[i].path, path) == 0)
            return &c->nodes[i];
    return NULL;
}

static bool below(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    return len == 0 || (strncmp(path, dir, len) == 0 && path[len] == '/');
}

/* Anything at or below path that this layer has an entry for. */
static bool touched(const struct chain *c, const char *path)
{
    for (size_t i = 0; i < c->n_nodes; i++)
        if (c->nodes[i].touched &&
            (strcmp(c->nodes[i].path, path) == 0 || below(c->nodes[i].path, path)))
            return true;
    return false;
}

static void forget_below(struct chain *c, const char *dir, bool itself)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->n_nodes; i++)
        if (!(below(c->nodes[i].path, dir) || (itself && strcmp(c->nodes[i].path, dir) == 0)))
            c->nodes[kept++] = c->nodes[i];
    c->n_nodes = kept;
}

static struct entry *add_entry(struct chain *c, const char *path, enum kind kind)
{
    struct entry *e = &c->entries[c->n_entries++];

    assert_true(c->n_entries <= OL_ARRAY_LEN(c->entries));
    memset(e, 0, sizeof *e);
    assert_true((size_t)snprintf(e->path, sizeof e->path, "%s", path) < sizeof e->path);
    e->kind = kind;
    return e;
}

/* Every directory above path gets a header, once. */
static void touch_parents(struct chain *c, const char *path)
{
    char dir[96];

    for (size_t i = 0; path[i] != '\0'; i++) {
        struct node *n;
        if (path[i] != '/')
            continue;
        memcpy(dir, path, i);
        dir[i] = '\0';
        n = find(c, dir);
        if (n == NULL || n->touched)
            continue;
        n->touched = true;
        (void)add_entry(c, dir, KIND_DIR);
    }
}

static void put_node(struct chain *c, const char *path, enum kind kind)
{
    struct node *n = &c->nodes[c->n_nodes++];

    assert_true(c->n_nodes <= OL_ARRAY_LEN(c->nodes));
    memset(n, 0, sizeof *n);
    (void)snprintf(n->path, sizeof n->path, "%s", path);
    n->kind = kind;
    n->touched = true;
}

/* A directory of the model, or "" for the root; at most three deep. */
static const char *pick_dir(struct chain *c)
{
    for (int tries = 0; tries < 8 && c->n_nodes > 0; tries++) {
        const struct node *n = &c->nodes[pick(c, (unsigned)c->n_nodes)];
        const char *slash = strchr(n->path, '/');
        bool deep = slash != NULL && strchr(slash + 1, '/') != NULL;
        if (n->kind == KIND_DIR && !deep)
            return n->path;
    }
    return "";
}

/* A name that may be used in dir; names are few, so that layers meet. */
static void pick_path(struct chain *c, char path[96])
{
    static const char *const names[] = {"a", "b", "c-d", "c", "e.f", "g", "\xc3\xbc", "h i"};
    const char *dir = pick_dir(c);

    (void)snprintf(path, 96, "%s%s%s", dir, dir[0] != '\0' ? "/" : "",
                   names[pick(c, OL_ARRAY_LEN(names))]);
}

/* Was path whited out in this layer? A directory there would not be opaque in overlay2. */
static bool whited_out(const struct chain *c, const char *path)
{
    const char *base = strrchr(path, '/');
    char wh[112];

    base = base != NULL ? base + 1 : path;
    (void)snprintf(wh, sizeof wh, "%.*s.wh.%s", (int)(base - path), path, base);
    for (size_t i = 0; i < c->n_entries; i++)
        if (strcmp(c->entries[i].path, wh) == 0)
            return true;
    return false;
}

static void op_put(struct chain *c)
{
    char path[96];
    enum kind kind = (enum kind)(pick(c, 8));
    const struct node *old;
    struct node *now;

    if (kind > KIND_DEVICE || (kind == KIND_DEVICE && !c->devices))
        kind = KIND_FILE;
    pick_path(c, path);
    old = find(c, path);
    if (touched(c, path) || (kind == KIND_DIR && whited_out(c, path)))
        return;
    touch_parents(c, path);
    if (old != NULL && !(old->kind == KIND_DIR && kind == KIND_DIR))
        forget_below(c, path, true); /* another type: what was there goes */
    now = find(c, path);
    if (now == NULL)
        put_node(c, path, kind);
    else
        now->touched = true;
    (void)add_entry(c, path, kind);
}

static void op_delete(struct chain *c)
{
    const struct node *n;
    char path[96];
    char wh[112];
    const char *base;

    if (c->n_nodes == 0)
        return;
    n = &c->nodes[pick(c, (unsigned)c->n_nodes)];
    memcpy(path, n->path, sizeof path);
    if (touched(c, path))
        return;
    touch_parents(c, path);
    forget_below(c, path, true);
    base = strrchr(path, '/');
    base = base != NULL ? base + 1 : path;
    (void)snprintf(wh, sizeof wh, "%.*s.wh.%s", (int)(base - path), path, base);
    (void)add_entry(c, wh, KIND_GONE);
}

static void op_opaque(struct chain *c)
{
    char dir[96];
    char opq[112];
    struct node *n;

    (void)snprintf(dir, sizeof dir, "%s", pick_dir(c));
    n = find(c, dir);
    if (n == NULL || touched(c, dir))
        return;
    touch_parents(c, dir);
    n->touched = true; /* touching parents moves no node */
    forget_below(c, dir, false);
    (void)add_entry(c, dir, KIND_DIR);
    (void)snprintf(opq, sizeof opq, "%s/.wh..wh..opq", dir);
    add_entry(c, opq, KIND_GONE)->opaque = true;
}

/* Parents before children: '/' sorts before every byte of a name. */
static int order(const char *a, const char *b)
{
    const unsigned char *x = (const unsigned char *)a;
    const unsigned char *y = (const unsigned char *)b;

    while (*x == *y && *x != '\0') {
        x++;
        y++;
    }
    return (*x == '/' ? 1 : *x == '\0' ? 0 : *x + 1) - (*y == '/' ? 1 : *y == '\0' ? 0 : *y + 1);
}

static int by_path(const void *a, const void *b)
{
    return order(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

/* A second name, sorted after the first, for a file this layer writes. */
static void op_link(struct chain *c)
{
    char path[96];
    const struct entry *target;

    if (c->n_entries == 0)
        return;
    target = &c->entries[pick(c, (unsigned)c->n_entries)];
    pick_path(c, path);
    if (target->kind != KIND_FILE || order(path, target->path) <= 0 || find(c, path) != NULL ||
        touched(c, path))
        return;
    touch_parents(c, path);
    put_node(c, path, KIND_FILE);
    (void)snprintf(add_entry(c, path, KIND_LINK)->link, 112, "%s", target->path);
}

static void emit_file(struct chain *c, struct tarball *tar, struct tarball_entry *e)
{
    static const unsigned char capability[20] = {1, 0, 0, 2, 0, 4};
    static char content[200000];
    size_t len = pick(c, 20) == 0 ? sizeof content : pick(c, 3000);

    for (size_t i = 0; i < len; i += 64)
        content[i] = (char)pick(c, 256);
    if (c->owners && pick(c, 6) == 0)
        tarball_xattr(tar, "security.capability", capability, sizeof capability);
    e->type = '0';
    e->content = content;
    e->content_len = len;
    tarball_add(tar, e);
}

static void emit(struct chain *c, struct tarball *tar, const struct entry *entry)
{
    static const char types[] = {'5', '0', '2', '6', '3', '1', '0'};
    char name[128];
    char mtime[40];
    struct tarball_entry e = {.name = name, .type = types[entry->kind], .mode = TARBALL_UNSET};

    (void)snprintf(name, sizeof name, "%s%s", entry->path, entry->kind == KIND_DIR ? "/" : "");
    if (entry->kind == KIND_GONE) {
        tarball_add(tar, &e);
        return;
    }
    if (entry->kind == KIND_LINK) { /* with the metadata its target has: none of its own */
        tarball_add_hardlink(tar, name, entry->link);
        return;
    }
    if (entry->kind == KIND_DIR)
        e.mode = 0700 | (int)pick(c, 0100);
    else if (entry->kind != KIND_SYMLINK)
        e.mode = (int)pick(c, 010000) | 0400;
    if (c->owners) {
        e.uid = pick(c, 3) * 1000;
        e.gid = pick(c, 3) * 100000;
    }
    e.mtime = 1000000000 + pick(c, 500000000);
    if (pick(c, 2) == 0) {
        (void)snprintf(mtime, sizeof mtime, "%lld.%09u", (long long)e.mtime, pick(c, 1000000000));
        tarball_pax_text(tar, "mtime", mtime);
    }
    if (entry->kind == KIND_SYMLINK)
        e.link = pick(c, 2) == 0 ? "../nowhere" : "/a/b";
    if (entry->kind == KIND_DEVICE)
        e.dev_major = 1, e.dev_minor = 3;
    if (entry->kind == KIND_FILE)
        emit_file(c, tar, &e);
    else
        tarball_add(tar, &e);
}

void chain_next_layer(struct chain *chain, struct tarball *tar)
{
    unsigned ops = 4 + pick(chain, 14);

    chain->n_entries = 0;
    for (size_t i = 0; i < chain->n_nodes; i++)
        chain->nodes[i].touched = false;
    for (unsigned i = 0; i < (chain->layer == 0 ? 40 : ops); i++) {
        unsigned what = pick(chain, 10);
        if (chain->layer > 0 && what < 2)
            op_delete(chain);
        else if (chain->layer > 0 && what == 2)
            op_opaque(chain);
        else if (what == 3)
            op_link(chain);
        else
            op_put(chain);
    }
    chain->layer++;
    qsort(chain->entries, chain->n_entries, sizeof *chain->entries, by_path);
    for (size_t i = 0; i < chain->n_entries; i++)
        emit(chain, tar, &chain->entries[i]);
    tarball_end(tar);
}
