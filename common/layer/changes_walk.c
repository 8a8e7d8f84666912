/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk of two stacks side by side. One job is one directory path and, for each side, the layers
 * that merge there. Of these only the ones the sides do not share at the bottom are listed: a name
 * found in shared layers alone is the same on both sides. Names are looked up in the other layers
 * one by one. With a plain directory on each side this is moby's walk (pkg/archive/
 * changes_linux.go), its skipping of equal inode numbers included; with a container's upper
 * directory on top of the image it costs as much as the upper directory is large.
 */
#include "common/layer/changes_walk.h"

#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/xattr.h"
#include "common/layer/stack.h"
#include "common/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>

/* A directory to compare. It lives until all directories below it are done, because a change there
 * makes it a changed one. */
struct node {
    struct ol_job job; /* first: the pool's link */
    struct node *parent;
    atomic_uint refs;
    atomic_bool listed; /* among the changes already */
    size_t path_len;    /* without leading slash; 0: the root */
    size_t name_len;
    uint16_t n[2];   /* layers of each side */
    uint16_t data[]; /* the layers of the new side, of the old side; then the name */
};

enum seen { SEEN_NOT_YET, SEEN_ABSENT, SEEN_THERE };

/* One layer in the directory at hand. */
struct slot {
    int fd; /* owned; -1: the directory is not looked at in this layer */
    bool listed;
    struct ol_dirents list;
    size_t at;
    const struct ol_dirent *here; /* listed: the entry of the name at hand, or NULL */
    enum seen seen;               /* st of the name at hand */
    struct stat st;
};

struct worker {
    struct ol_changes_walk *walk;
    struct ol_changes_part *part;
    struct slot *slots;  /* owned; one for each distinct layer */
    struct ol_buf path;  /* of the directory at hand */
    uint16_t *merged[2]; /* owned; layers that merge in the name at hand */
    struct ol_error *err;
};

/* What a name is on one side. */
struct found {
    struct slot *top; /* NULL: not there */
    mode_t type;      /* S_IF* */
    uint16_t n;       /* directory: how many layers merge, in the worker's merged */
};

struct context {
    struct ol_changes_walk *walk;
    struct worker *workers;
};

static uint16_t *node_layers(struct node *node, int side)
{
    return node->data + (side == OL_SIDE_OLD ? node->n[OL_SIDE_NEW] : 0);
}

static char *node_name(struct node *node)
{
    return (char *)(node->data + node->n[OL_SIDE_NEW] + node->n[OL_SIDE_OLD]);
}

static struct node *node_new(struct node *parent, const char *name, const uint16_t n[2])
{
    size_t name_len = strlen(name), layers = (size_t)n[0] + n[1];
    struct node *node = malloc(sizeof *node + layers * sizeof *node->data + name_len + 1);

    if (node == NULL)
        return NULL;
    node->parent = parent;
    atomic_init(&node->refs, 1);
    atomic_init(&node->listed, true);
    node->name_len = name_len;
    node->path_len = name_len;
    if (parent != NULL && parent->path_len > 0)
        node->path_len += parent->path_len + 1;
    node->n[0] = n[0];
    node->n[1] = n[1];
    memcpy(node_name(node), name, name_len + 1);
    if (parent != NULL)
        atomic_fetch_add_explicit(&parent->refs, 1, memory_order_relaxed);
    return node;
}

static void node_unref(struct node *node)
{
    while (node != NULL && atomic_fetch_sub(&node->refs, 1) == 1) {
        struct node *parent = node->parent;
        free(node);
        node = parent;
    }
}

static void drop_job(struct ol_job *job, void *data)
{
    (void)data;
    node_unref((struct node *)job);
}

/* Write the path of node into the worker's buffer, from the end to the start. */
static int set_path(struct worker *w, struct node *node)
{
    ol_buf_truncate(&w->path, 0);
    if (ol_buf_reserve(&w->path, node->path_len) < 0)
        return ol_error_nomem(w->err);
    w->path.len = node->path_len;
    w->path.data[w->path.len] = '\0';
    for (; node->parent != NULL; node = node->parent) {
        memcpy(w->path.data + node->path_len - node->name_len, node_name(node), node->name_len);
        if (node->parent->path_len > 0)
            w->path.data[node->parent->path_len] = '/';
    }
    return 0;
}

/* Note a change: the first dir_len bytes of the directory at hand, and in it name (or NULL). */
static int record(struct worker *w, size_t dir_len, const char *name, enum ol_change_kind kind)
{
    struct ol_changes_part *part = w->part;
    size_t name_len = name == NULL ? 0 : strlen(name);
    char *path, *end;

    if (part->count == part->cap) {
        size_t cap = part->cap == 0 ? 64 : part->cap * 2;
        struct ol_change *items = reallocarray(part->items, cap, sizeof *items);
        if (items == NULL)
            return ol_error_nomem(w->err);
        part->items = items;
        part->cap = cap;
    }
    path = end = ol_arena_alloc(part->arena, dir_len + name_len + 3);
    if (path == NULL)
        return ol_error_nomem(w->err);
    if (dir_len > 0) {
        *end++ = '/';
        memcpy(end, w->path.data, dir_len);
        end += dir_len;
    }
    if (name != NULL) {
        *end++ = '/';
        memcpy(end, name, name_len);
        end += name_len;
    }
    *end = '\0';
    part->items[part->count++] = (struct ol_change){path, kind};
    return 0;
}

/* Something changed in the directory: it and all above it are modified, each listed once. */
static int mark(struct worker *w, struct node *node)
{
    for (; node->parent != NULL && !atomic_exchange(&node->listed, true); node = node->parent) {
        int r = record(w, node->path_len, NULL, OL_CHANGE_MODIFY);
        if (r < 0)
            return r;
    }
    return 0;
}

static int report(struct worker *w, struct node *node, const char *name, enum ol_change_kind kind)
{
    int r = mark(w, node);

    return r < 0 ? r : record(w, w->path.len, name, kind);
}

static int fail(struct worker *w, int r, const char *name)
{
    return ol_error_sys(w->err, -r, "cannot compare '/%s%s%s'", ol_buf_str(&w->path),
                        w->path.len > 0 ? "/" : "", name);
}

/* Stat name in the layer, once. @return 0 with slot->seen set, or negative errno */
static int look(struct worker *w, struct slot *slot, const char *name)
{
    bool there = slot->fd >= 0 && (!slot->listed || slot->here != NULL);

    if (slot->seen != SEEN_NOT_YET)
        return 0;
    if (there && fstatat(slot->fd, name, &slot->st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT)
            return fail(w, -errno, name);
        there = false; /* vanished since it was listed */
    }
    slot->seen = there ? SEEN_THERE : SEEN_ABSENT;
    return 0;
}

/* S_IF* of name in the layer, 0 when it is not there; from the listing where that says enough. */
static int type_in(struct worker *w, struct slot *slot, const char *name, bool interpret,
                   mode_t *ret_type, bool *ret_whiteout)
{
    int r;

    *ret_type = 0;
    *ret_whiteout = false;
    if (slot->fd < 0 || (slot->listed && slot->here == NULL))
        return 0;
    /* Char devices are always looked at: whiteouts are such, and a mounted overlay lists those of
     * a directory that has but one layer, although they cannot be found. */
    if (slot->listed && slot->here->type != DT_UNKNOWN && slot->here->type != DT_CHR) {
        *ret_type = DTTOIF(slot->here->type);
        return 0;
    }
    r = look(w, slot, name);
    if (r == 0 && slot->seen == SEEN_THERE) {
        *ret_type = slot->st.st_mode & S_IFMT;
        *ret_whiteout = interpret && ol_whiteout_is(&slot->st);
    }
    return r;
}

static int refuse(struct worker *w, const char *name, mode_t type)
{
    return ol_error_set(w->err, -EOPNOTSUPP,
                        "'/%s%s%s' has an overlay %s: compare the mounted views instead",
                        ol_buf_str(&w->path), w->path.len > 0 ? "/" : "", name,
                        S_ISDIR(type) ? "redirect" : "metacopy mark");
}

/* What name is on one side, with the rules of stack.h. */
static int find(struct worker *w, struct node *node, int side, const char *name, struct found *ret)
{
    const struct ol_stack *stack = w->walk->sides[side];
    const uint16_t *layers = node_layers(node, side);
    bool interpret = ol_stack_interprets(stack);

    *ret = (struct found){NULL, 0, 0};
    for (unsigned i = 0; i < node->n[side]; i++) {
        struct slot *slot = &w->slots[layers[i]];
        bool whiteout;
        mode_t type;
        int r = type_in(w, slot, name, interpret, &type, &whiteout);

        if (r < 0)
            return r;
        if (type == 0)
            continue;
        if (whiteout)
            break;
        if (ret->top == NULL) {
            ret->top = slot;
            ret->type = type;
        }
        if (interpret && i + 1 < node->n[side] &&
            ol_stack_check_entry(stack, slot->fd, name, type) < 0)
            return refuse(w, name, type);
        if (!S_ISDIR(type))
            break;
        w->merged[side][ret->n++] = layers[i];
        if (i + 1 < node->n[side] && interpret && ol_whiteout_is_opaque(slot->fd, name, stack->ns))
            break;
    }
    return 0;
}

/* Equal seconds and equal nanoseconds, or one of them 0: tars carry whole seconds only. */
static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec &&
           (a->tv_nsec == b->tv_nsec || a->tv_nsec == 0 || b->tv_nsec == 0);
}

bool ol_changes_stat_differs(const struct stat *old_st, const struct stat *new_st)
{
    if (old_st->st_mode != new_st->st_mode || old_st->st_uid != new_st->st_uid ||
        old_st->st_gid != new_st->st_gid || old_st->st_rdev != new_st->st_rdev)
        return true;
    /* The directory bit is also part of the codes of block devices and sockets; moby up to v27
     * asks it this way, so that their times do not count. */
    if ((old_st->st_mode & S_IFDIR) == S_IFDIR)
        return false;
    return old_st->st_size != new_st->st_size || !same_time(&old_st->st_mtim, &new_st->st_mtim);
}

/* security.capability of one node; failures count as none, as in moby. */
static size_t capability(const struct slot *slot, const char *name, char *value, size_t len)
{
    ssize_t n = ol_xattr_get(slot->fd, name, "security.capability", value, len);

    return n < 0 ? 0 : (size_t)n;
}

static bool capability_differs(const struct slot *a, const struct slot *b, const char *name)
{
    char x[128], y[128]; /* the kernel stores 24 bytes at most */
    size_t nx = capability(a, name, x, sizeof x);

    return nx != capability(b, name, y, sizeof y) || memcmp(x, y, nx) != 0;
}

/* Stat both sides of a name that is on both; one that vanished meanwhile is no longer found. */
static int look_both(struct worker *w, const char *name, struct found found[2])
{
    for (int side = 0; side < 2; side++) {
        int r = look(w, found[side].top, name);
        if (r < 0)
            return r;
        if (found[side].top->seen != SEEN_THERE)
            found[side] = (struct found){NULL, 0, 0};
    }
    return 0;
}

static bool same_layers(const struct worker *w, const struct found found[2])
{
    return found[0].n == found[1].n &&
           memcmp(w->merged[0], w->merged[1], found[0].n * sizeof *w->merged[0]) == 0;
}

/* Put a job for the directory name. listed: it is among the changes already. */
static int put_child(struct worker *w, struct ol_pool *pool, struct node *node, const char *name,
                     const struct found found[2], bool listed)
{
    const uint16_t n[2] = {found[OL_SIDE_NEW].n, found[OL_SIDE_OLD].n};
    struct node *child = node_new(node, name, n);

    if (child == NULL)
        return ol_error_nomem(w->err);
    atomic_init(&child->listed, listed);
    for (int side = 0; side < 2; side++)
        memcpy(node_layers(child, side), w->merged[side], n[side] * sizeof *child->data);
    ol_pool_put(pool, &child->job);
    return 0;
}

/* A name on both sides: modified or not, and what to do about what is below it. */
static int compare_both(struct worker *w, struct ol_pool *pool, struct node *node, const char *name,
                        struct found found[2])
{
    struct slot *now = found[OL_SIDE_NEW].top, *was = found[OL_SIDE_OLD].top;
    bool differs = false;

    if (now != was) { /* else it is one and the same inode */
        differs = ol_changes_stat_differs(&was->st, &now->st) || capability_differs(now, was, name);
        if (differs) {
            int r = report(w, node, name, OL_CHANGE_MODIFY);
            if (r < 0)
                return r;
        }
    }
    if (found[OL_SIDE_NEW].n == 0) {
        /* Not a directory any more: what was below it goes with it, unreported. Only a block device
         * or socket counts as a directory in moby's eyes, and has its "children" deleted. */
        if (found[OL_SIDE_OLD].n == 0 || (now->st.st_mode & S_IFDIR) == 0)
            return 0;
    } else if (same_layers(w, found)) {
        return 0;
    }
    return put_child(w, pool, node, name, found, differs);
}

/* A name that at least one side may have. */
static int visit(struct worker *w, struct ol_pool *pool, struct node *node, const char *name)
{
    struct found found[2];
    int r = 0;

    for (int side = 0; side < 2 && r == 0; side++)
        r = find(w, node, side, name, &found[side]);
    if (r == 0 && found[0].top != NULL && found[1].top != NULL && found[0].top != found[1].top)
        r = look_both(w, name, found);
    if (r < 0)
        return r;
    if (found[OL_SIDE_NEW].top == NULL)
        return found[OL_SIDE_OLD].top == NULL ? 0 : report(w, node, name, OL_CHANGE_DELETE);
    if (found[OL_SIDE_OLD].top != NULL)
        return compare_both(w, pool, node, name, found);
    r = report(w, node, name, OL_CHANGE_ADD);
    return r == 0 && found[OL_SIDE_NEW].n > 0 ? put_child(w, pool, node, name, found, true) : r;
}

/* How many layers at the bottom of both sides are the same. */
static unsigned shared_layers(struct node *node)
{
    const uint16_t *now = node_layers(node, OL_SIDE_NEW), *was = node_layers(node, OL_SIDE_OLD);
    unsigned most = node->n[0] < node->n[1] ? node->n[0] : node->n[1], shared = 0;

    while (shared < most && now[node->n[0] - 1 - shared] == was[node->n[1] - 1 - shared])
        shared++;
    return shared;
}

/* Open the directory in one layer, and list it. A directory that vanished is an empty one. */
static int open_slot(struct worker *w, uint16_t layer, bool list)
{
    struct slot *slot = &w->slots[layer];
    int r;

    if (slot->fd < 0) {
        r = ol_stack_open_dir(w->walk->layer_fds[layer], w->path.data);
        if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
            return 0;
        if (r < 0)
            return fail(w, r, "");
        slot->fd = r;
    }
    if (!list || slot->listed)
        return 0;
    r = ol_dirents_read(&slot->list, slot->fd, true);
    if (r < 0)
        return fail(w, r, "");
    slot->listed = true;
    slot->at = 0;
    return 0;
}

static int open_slots(struct worker *w, struct node *node)
{
    unsigned shared = shared_layers(node);
    int r = 0;

    for (int side = 0; side < 2; side++)
        for (unsigned i = 0; i < node->n[side] && r == 0; i++)
            r = open_slot(w, node_layers(node, side)[i], i + shared < node->n[side]);
    return r;
}

static void close_slots(struct worker *w, struct node *node)
{
    for (unsigned i = 0; i < (unsigned)node->n[0] + node->n[1]; i++) {
        struct slot *slot = &w->slots[node->data[i]];
        ol_fd_close(&slot->fd);
        slot->listed = false;
        slot->here = NULL;
    }
}

/* The two listings a plain comparison merges, when equal inode numbers in them mean equal files. */
static bool can_prune(struct worker *w, struct node *node)
{
    struct slot *now, *was;
    struct stat a, b;

    if (node->n[0] != 1 || node->n[1] != 1)
        return false;
    now = &w->slots[*node_layers(node, OL_SIDE_NEW)];
    was = &w->slots[*node_layers(node, OL_SIDE_OLD)];
    return now->listed && was->listed && fstat(now->fd, &a) == 0 && fstat(was->fd, &b) == 0 &&
           a.st_dev == b.st_dev;
}

/* The smallest name none of the listings has passed, with each slot standing on it or not. */
static const char *next_name(struct worker *w, struct node *node)
{
    unsigned n = (unsigned)node->n[0] + node->n[1];
    const char *least = NULL;

    for (unsigned i = 0; i < n; i++) {
        struct slot *slot = &w->slots[node->data[i]];
        int order;

        slot->here = NULL;
        slot->seen = SEEN_NOT_YET;
        if (!slot->listed || slot->at == slot->list.count)
            continue;
        order = least == NULL ? -1 : strcmp(slot->list.items[slot->at].name, least);
        if (order < 0)
            least = slot->list.items[slot->at].name;
    }
    for (unsigned i = 0; i < n && least != NULL; i++) {
        struct slot *slot = &w->slots[node->data[i]];
        if (slot->here == NULL && slot->listed && slot->at < slot->list.count &&
            strcmp(slot->list.items[slot->at].name, least) == 0)
            slot->here = &slot->list.items[slot->at++];
    }
    return least;
}

static int compare_directory(struct worker *w, struct ol_pool *pool, struct node *node)
{
    bool prune = can_prune(w, node);
    const struct slot *now = NULL, *was = NULL;
    const char *name;
    int r = 0;

    if (prune) {
        now = &w->slots[*node_layers(node, OL_SIDE_NEW)];
        was = &w->slots[*node_layers(node, OL_SIDE_OLD)];
    }
    while (r == 0 && (name = next_name(w, node)) != NULL) {
        if (prune && now->here != NULL && was->here != NULL && now->here->ino == was->here->ino)
            continue;
        r = visit(w, pool, node, name);
    }
    return r;
}

static int run_job(struct ol_pool *pool, struct ol_job *job, unsigned worker, void *data,
                   struct ol_error *err)
{
    struct context *context = data;
    struct worker *w = &context->workers[worker];
    struct node *node = (struct node *)job;
    int r;

    w->err = err;
    r = set_path(w, node);
    if (r == 0)
        r = open_slots(w, node);
    if (r == 0)
        r = compare_directory(w, pool, node);
    close_slots(w, node);
    node_unref(node);
    return r;
}

static void worker_fini(struct worker *w, unsigned n_layers)
{
    for (unsigned i = 0; w->slots != NULL && i < n_layers; i++)
        ol_dirents_fini(&w->slots[i].list);
    free(w->slots);
    free(w->merged[0]);
    free(w->merged[1]);
    ol_buf_fini(&w->path);
}

static int worker_init(struct worker *w, struct ol_changes_walk *walk, unsigned index)
{
    w->walk = walk;
    w->part = &walk->parts[index];
    w->part->arena = ol_arena_new();
    w->slots = calloc(walk->n_layers + 1u, sizeof *w->slots);
    if (w->part->arena == NULL || w->slots == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < walk->n_layers; i++)
        w->slots[i] = (struct slot){.fd = -1, .list = OL_DIRENTS_INIT};
    for (int side = 0; side < 2; side++) {
        w->merged[side] = calloc(walk->sides[side]->count + 1, sizeof *w->merged[side]);
        if (w->merged[side] == NULL)
            return -ENOMEM;
    }
    return 0;
}

static struct node *root_node(const struct ol_changes_walk *walk)
{
    const uint16_t n[2] = {(uint16_t)walk->sides[0]->count, (uint16_t)walk->sides[1]->count};
    struct node *root = node_new(NULL, "", n);

    for (int side = 0; root != NULL && side < 2; side++)
        memcpy(node_layers(root, side), walk->roots[side], n[side] * sizeof *root->data);
    return root;
}

int ol_changes_walk_run(struct ol_changes_walk *walk, struct ol_error *err)
{
    static const struct ol_pool_ops ops = {run_job, drop_job};
    struct context context = {walk, calloc(walk->threads, sizeof *context.workers)};
    struct node *root = root_node(walk);
    int r = context.workers == NULL || root == NULL ? -ENOMEM : 0;

    for (unsigned i = 0; i < walk->threads && r == 0; i++)
        r = worker_init(&context.workers[i], walk, i);
    if (r == 0) {
        r = ol_pool_run(&ops, walk->threads, &root->job, &context, err);
    } else {
        node_unref(root);
        r = ol_error_nomem(err);
    }
    for (unsigned i = 0; context.workers != NULL && i < walk->threads; i++)
        worker_fini(&context.workers[i], walk->n_layers);
    free(context.workers);
    return r;
}
