/* SPDX-License-Identifier: Apache-2.0 */
/* Visiting every directory of a tree by several threads; see tree_engine.h. */
#include "common/fs/tree_engine.h"

#include "common/cleanup.h"
#include "common/limits.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
    OL_TREE_KEEP_LEVELS = 4, /* of a subtree one worker does alone: parents that stay open */
    OL_TREE_BUDGET_MAX = 256,
};

struct ol_tree_identity {
    dev_t dev[2];
    ino_t ino[2];
};

_Static_assert(OL_ARRAY_LEN(((struct ol_tree_run *)0)->scan) == OL_THREADS_MAX,
               "a scan buffer for each worker");

struct ol_tree_node *ol_tree_node_new(struct ol_tree_node *parent, const char *name)
{
    size_t len = strlen(name) + 1;
    struct ol_tree_node *node = malloc(sizeof *node + len);

    if (node == NULL)
        return NULL;
    *node = (struct ol_tree_node){.parent = parent, .fd = {-1, -1}};
    atomic_init(&node->refs, 1);
    atomic_init(&node->unopened, 1);
    memcpy(node->name, name, len);
    if (parent != NULL)
        ol_tree_node_ref(parent);
    return node;
}

void ol_tree_node_ref(struct ol_tree_node *node)
{
    (void)atomic_fetch_add_explicit(&node->refs, 1, memory_order_relaxed);
}

/* True when that was the last reference. */
static bool put_ref(struct ol_tree_node *node)
{
    return atomic_fetch_sub_explicit(&node->refs, 1, memory_order_acq_rel) == 1;
}

static void close_fds(struct ol_tree_node *node)
{
    ol_fd_close(&node->fd[0]);
    ol_fd_close(&node->fd[1]);
}

/* The node alone; its parent keeps a reference too many. */
static void free_node(struct ol_tree_node *node)
{
    close_fds(node);
    free(node->paused);
    free(node);
}

void ol_tree_node_unref(struct ol_tree_node *node)
{
    while (node != NULL && put_ref(node)) { /* a loop: a chain may be a hundred thousand long */
        struct ol_tree_node *parent = node->parent;
        free_node(node);
        node = parent;
    }
}

/* Each subdirectory found but not handed on holds a reference to its node. */
static void drop_below(struct ol_tree_node *node)
{
    struct ol_tree_node *child;

    while ((child = node->below) != NULL) {
        node->below = (struct ol_tree_node *)child->job.next;
        ol_tree_node_unref(child);
    }
}

/* Give up a node whose visit failed. */
static void abandon(struct ol_tree_node *node)
{
    drop_below(node);
    ol_tree_node_unref(node);
}

static const struct ol_tree_node *ancestor(const struct ol_tree_node *node, unsigned up)
{
    while (up-- > 0)
        node = node->parent;
    return node;
}

int ol_tree_path(const struct ol_tree_node *node, const char *name, struct ol_buf *ret)
{
    enum { LONGEST = 4096 }; /* enough to find it by; a message is no place for more */
    const struct ol_tree_node *n;
    unsigned parts = 0;
    size_t len = strlen(name);
    int r = 0;

    ol_buf_truncate(ret, 0);
    for (n = node; n != NULL && len <= LONGEST; n = n->parent, parts++)
        len += strlen(n->name) + 1;
    if (n != NULL)
        r = ol_buf_puts(ret, "…/");
    while (r == 0 && parts-- > 0) { /* quadratic, in at most LONGEST steps, for messages only */
        const char *part = ancestor(node, parts)->name;
        if (*part != '\0')
            r = ol_buf_printf(ret, "%s/", part);
    }
    if (r == 0)
        r = ol_buf_puts(ret, name);
    if (r == 0 && ret->len > 1 && ret->data[ret->len - 1] == '/')
        ol_buf_truncate(ret, ret->len - 1);
    if (r == 0 && ret->len == 0)
        r = ol_buf_puts(ret, ".");
    return r;
}

int ol_tree_fail(struct ol_error *err, int errnum, const struct ol_tree_node *node,
                 const char *name, const char *what)
{
    ol_auto_buf struct ol_buf path = OL_BUF_INIT;

    if (err == NULL)
        return -errnum;
    if (ol_tree_path(node, name, &path) < 0)
        return ol_error_sys(err, errnum, "%s '%s'", what, name);
    return ol_error_sys(err, errnum, "%s '%s'", what, path.data);
}

/* Opening and closing. */

static void count_open(struct ol_tree_run *run, int change)
{
    if (change > 0)
        (void)atomic_fetch_add_explicit(&run->open_nodes, 1, memory_order_relaxed);
    else
        (void)atomic_fetch_sub_explicit(&run->open_nodes, 1, memory_order_relaxed);
}

static int open_node(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    int r = v->run->visitor->open(v, node);

    if (r == 0)
        count_open(v->run, 1);
    return r;
}

static int close_node(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    const struct ol_tree_visitor *visitor = v->run->visitor;
    int r = 0;

    if (node->fd[0] < 0)
        return 0;
    if (visitor->closing != NULL)
        r = visitor->closing(v, node);
    close_fds(node);
    count_open(v->run, -1);
    return r;
}

/* Close what nobody needs any more once the visit, or a job below, has let go of it. */
static int let_go(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    if (v->run->visitor->hold)
        return 0;
    if (atomic_fetch_sub_explicit(&node->unopened, 1, memory_order_acq_rel) != 1)
        return 0;
    return close_node(v, node);
}

/* Close a node's descriptors for as long as the worker is deeper down. */
static int pause_node(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    struct ol_tree_identity *id = malloc(sizeof *id);
    struct stat st;

    if (id == NULL)
        return ol_error_nomem(v->err);
    for (unsigned i = 0; i < v->run->fds; i++) {
        if (fstat(node->fd[i], &st) < 0) {
            int saved = errno;
            free(id);
            return ol_tree_fail(v->err, saved, node, "", "cannot examine directory");
        }
        id->dev[i] = st.st_dev;
        id->ino[i] = st.st_ino;
    }
    node->paused = id;
    close_fds(node);
    count_open(v->run, -1);
    return 0;
}

/* Open it again from its child, which is still open. */
static int resume_node(struct ol_tree_visit *v, struct ol_tree_node *node,
                       const struct ol_tree_node *child)
{
    struct stat st;

    for (unsigned i = 0; i < v->run->fds; i++) {
        node->fd[i] = ol_tree_open_dir(child->fd[i], "..");
        if (node->fd[i] < 0)
            return ol_tree_fail(v->err, -node->fd[i], node, "", "cannot go back up to directory");
        if (fstat(node->fd[i], &st) < 0)
            return ol_tree_fail(v->err, errno, node, "", "cannot examine directory");
        if (st.st_dev != node->paused->dev[i] || st.st_ino != node->paused->ino[i])
            return ol_tree_fail(v->err, ESTALE, child, "", "somebody moved directory");
    }
    free(ol_ptr_steal(node->paused));
    count_open(v->run, 1);
    return 0;
}

/* One directory's own entries. */

static bool is_dot(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* @return 1 and the next entry, 0 at the end, or negative errno */
static int scan_next(struct ol_tree_scan *scan, int fd, struct ol_dirent *ret)
{
    const struct dirent64 *d;

    do {
        if (scan->pos >= scan->len) {
            ssize_t n = getdents64(fd, scan->buf, OL_TREE_SCAN_BYTES);
            if (n <= 0)
                return n < 0 ? -errno : 0;
            scan->len = (size_t)n;
            scan->pos = 0;
        }
        d = (const void *)(scan->buf + scan->pos);
        scan->pos += d->d_reclen;
    } while (is_dot(d->d_name));
    *ret = (struct ol_dirent){.name = d->d_name, .ino = d->d_ino, .type = d->d_type};
    return 1;
}

static int add_below(struct ol_tree_visit *v, struct ol_tree_node *node, const char *name)
{
    struct ol_tree_node *child = ol_tree_node_new(node, name);

    if (child == NULL)
        return ol_error_nomem(v->err);
    child->job.next = (struct ol_job *)node->below;
    node->below = child;
    return 0;
}

static int scan_entries(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    struct ol_tree_scan *scan = &v->run->scan[v->worker];
    struct ol_dirent e;
    int r;

    scan->pos = scan->len = 0;
    if (scan->buf == NULL && (scan->buf = malloc(OL_TREE_SCAN_BYTES)) == NULL)
        return ol_error_nomem(v->err);
    while ((r = scan_next(scan, node->fd[0], &e)) == 1) {
        if (ol_pool_failed(v->pool))
            return -ECANCELED; /* the pool reports the failure that came first */
        r = v->run->visitor->entry(v, node, &e);
        if (r == 1)
            r = add_below(v, node, e.name);
        if (r < 0)
            return r;
    }
    return r < 0 ? ol_tree_fail(v->err, -r, node, "", "cannot read directory") : 0;
}

static int visit(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    const struct ol_tree_visitor *visitor = v->run->visitor;
    int r = visitor->begin != NULL ? visitor->begin(v, node) : 0;

    if (r == 0)
        r = scan_entries(v, node);
    if (r == 0 && visitor->end != NULL)
        r = visitor->end(v, node);
    return r;
}

static int visit_again(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    if (lseek(node->fd[0], 0, SEEK_SET) < 0)
        return ol_tree_fail(v->err, errno, node, "", "cannot read directory again");
    return visit(v, node);
}

/* A subtree by one worker, with few descriptors. */

/* Take the next subdirectory of node, open it and handle its entries; *ret is NULL when it was
 * left out. The caller frees *ret's chain on failure as well. */
static int step_down(struct ol_tree_visit *v, struct ol_tree_node *node, bool keep,
                     struct ol_tree_node **ret)
{
    struct ol_tree_node *child = node->below;
    int r;

    node->below = (struct ol_tree_node *)child->job.next;
    r = open_node(v, child);
    if (r != 0) {
        ol_tree_node_unref(child);
        return r < 0 ? r : 0;
    }
    *ret = child;
    if (!keep)
        r = pause_node(v, node);
    return r < 0 ? r : visit(v, child);
}

/* Leave node, which is done, for its parent. @return 1 when it has to be visited again */
static int step_up(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    struct ol_tree_node *parent = node->parent;
    int r = 0;

    if (parent->paused != NULL)
        r = resume_node(v, parent, node);
    if (r == 0 && v->run->visitor->leave != NULL)
        r = v->run->visitor->leave(v, node);
    if (r == 0)
        r = close_node(v, node);
    return r;
}

/* Everything below top. Where it fails, nodes and descriptors are given back. */
static int descend(struct ol_tree_visit *v, struct ol_tree_node *top)
{
    struct ol_tree_node *node = top;
    unsigned level = 0;
    int r = 0;

    while (r == 0 && (node != top || top->below != NULL)) {
        if (node->below != NULL) {
            struct ol_tree_node *child = NULL;
            r = step_down(v, node, level < OL_TREE_KEEP_LEVELS, &child);
            if (child != NULL) {
                node = child;
                level++;
            }
            continue;
        }
        r = step_up(v, node);
        if (r == 1) {
            r = visit_again(v, node);
        } else if (r == 0) {
            struct ol_tree_node *done = node;
            node = node->parent;
            level--;
            ol_tree_node_unref(done);
        }
    }
    while (node != top) {
        struct ol_tree_node *parent = node->parent;
        abandon(node);
        node = parent;
    }
    return r;
}

/* Jobs. */

/* Hand the subdirectories to all workers, or stay alone with them when descriptors are scarce. */
static int hand_on(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    struct ol_tree_node *first = node->below;
    unsigned count = 0;

    if (first == NULL)
        return 0;
    if (atomic_load_explicit(&v->run->open_nodes, memory_order_relaxed) >= v->run->budget)
        return descend(v, node);
    for (const struct ol_job *job = &first->job; job != NULL; job = job->next)
        count++;
    (void)atomic_fetch_add_explicit(&node->unopened, count, memory_order_relaxed);
    node->below = NULL;
    ol_pool_put_all(v->pool, &first->job);
    return 0;
}

static int leave_node(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    int r;

    if (v->run->visitor->leave == NULL || node->fd[0] < 0 || atomic_load(&v->run->aborted))
        return 0;
    while ((r = v->run->visitor->leave(v, node)) == 1) {
        ol_tree_node_ref(node); /* for this visit */
        r = visit_again(v, node);
        if (r == 0)
            r = descend(v, node);
        drop_below(node); /* empty but after a failure */
        (void)put_ref(node);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : close_node(v, node);
}

/* The visit's own reference, and those of parents that have nothing left below. */
static int finish(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    int r = 0;

    while (node != NULL && put_ref(node)) {
        struct ol_tree_node *parent = node->parent;
        if (r == 0)
            r = leave_node(v, node);
        if (r < 0)
            atomic_store(&v->run->aborted, true);
        free_node(node);
        node = parent;
    }
    return r;
}

static int run_job(struct ol_pool *pool, struct ol_job *job, unsigned worker, void *data,
                   struct ol_error *err)
{
    struct ol_tree_visit v = {.run = data, .pool = pool, .worker = worker, .err = err};
    struct ol_tree_node *node = (struct ol_tree_node *)job;
    int opened = node->parent != NULL ? open_node(&v, node) : 0;
    int r = opened < 0 ? opened : 0;

    if (r == 0 && node->parent != NULL)
        r = let_go(&v, node->parent);
    if (r == 0 && opened == 0)
        r = visit(&v, node);
    if (r == 0 && opened == 0)
        r = hand_on(&v, node);
    if (r == 0 && opened == 0)
        r = let_go(&v, node);
    if (r < 0) {
        atomic_store(&v.run->aborted, true);
        abandon(node);
        return r;
    }
    return finish(&v, node);
}

static void drop_job(struct ol_job *job, void *data)
{
    (void)data;
    ol_tree_node_unref((struct ol_tree_node *)job);
}

static unsigned default_budget(unsigned fds)
{
    struct rlimit limit;
    unsigned budget = OL_TREE_BUDGET_MAX;

    /* a quarter of what the process may have open: others need some too */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 4 / fds < budget)
        budget = (unsigned)(limit.rlim_cur / 4 / fds);
    return budget;
}

int ol_tree_run(struct ol_tree_run *run, struct ol_tree_node *root, unsigned threads,
                struct ol_error *err)
{
    static const struct ol_pool_ops ops = {run_job, drop_job};
    int r;

    if (run->budget == 0)
        run->budget = default_budget(run->fds);
    count_open(run, 1);
    r = ol_pool_run(&ops, threads, &root->job, run, err);
    for (unsigned i = 0; i < OL_THREADS_MAX; i++)
        free(run->scan[i].buf);
    return r;
}
