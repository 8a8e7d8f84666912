/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular files of a clone. A file with several names is copied once; its other names are linked to
 * that copy, which is found again through the directory node it is in and its name there. Only such
 * files are remembered, so memory follows their number and not the tree's.
 */
#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/clone.h"
#include "common/fs/file.h"

#include <fcntl.h>
#include <unistd.h>

struct ol_link_place {
    dev_t dev;
    ino_t ino;
    struct ol_tree_node *dir; /* referenced; NULL: free slot */
    char *name;               /* owned */
};

static struct ol_link_place *find_slot(struct ol_link_place *places, size_t cap, dev_t dev,
                                       ino_t ino)
{
    size_t at = (size_t)(((uint64_t)ino ^ (uint64_t)dev << 40) * 0x9e3779b97f4a7c15u >> 20);

    for (;; at++) {
        struct ol_link_place *p = &places[at & (cap - 1)];
        if (p->dir == NULL || (p->ino == ino && p->dev == dev))
            return p;
    }
}

static int map_grow(struct ol_link_map *map)
{
    size_t cap = map->cap == 0 ? 64 : map->cap * 2;
    struct ol_link_place *places = calloc(cap, sizeof *places);

    if (places == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < map->cap; i++) {
        const struct ol_link_place *p = &map->places[i];
        if (p->dir != NULL)
            *find_slot(places, cap, p->dev, p->ino) = *p;
    }
    free(map->places);
    map->places = places;
    map->cap = cap;
    return 0;
}

static struct ol_link_place *map_find(struct ol_link_map *map, const struct stat *st)
{
    struct ol_link_place *p;

    if (map->cap == 0)
        return NULL;
    p = find_slot(map->places, map->cap, st->st_dev, st->st_ino);
    return p->dir != NULL ? p : NULL;
}

/* Remember, or move, the place of a file's copy. */
static int map_set(struct ol_link_map *map, const struct stat *st, struct ol_tree_node *dir,
                   const char *name)
{
    struct ol_link_place *p;
    char *copy = strdup(name);

    if (copy == NULL)
        return -ENOMEM;
    if (map->count * 2 >= map->cap && map_grow(map) < 0) {
        free(copy);
        return -ENOMEM;
    }
    p = find_slot(map->places, map->cap, st->st_dev, st->st_ino);
    if (p->dir == NULL)
        map->count++;
    ol_tree_node_ref(dir);
    ol_tree_node_unref(p->dir);
    free(p->name);
    *p = (struct ol_link_place){.dev = st->st_dev, .ino = st->st_ino, .dir = dir, .name = copy};
    return 0;
}

void ol_link_map_fini(struct ol_link_map *map)
{
    for (size_t i = 0; i < map->cap; i++) {
        ol_tree_node_unref(map->places[i].dir);
        free(map->places[i].name);
    }
    free(map->places);
    *map = (struct ol_link_map){0};
}

/* Open the target directory of node again, one component after the other from the root. */
static int reopen_target(struct ol_clone *c, const struct ol_tree_node *node)
{
    ol_auto_free const char **names = NULL;
    ol_auto_fd int fd = -1;
    size_t depth = 0;

    for (const struct ol_tree_node *n = node; n->parent != NULL; n = n->parent)
        depth++;
    names = calloc(depth + 1, sizeof *names);
    if (names == NULL)
        return -ENOMEM;
    for (size_t i = depth; i-- > 0; node = node->parent)
        names[i] = node->name;
    fd = openat(c->dst_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < depth && fd >= 0; i++) {
        int next = openat(fd, names[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        ol_fd_close(&fd);
        fd = next;
    }
    return fd < 0 ? -errno : ol_fd_steal(&fd);
}

/* Link name of node to the copy at place. @return 0 or negative errno, -EMLINK when that is full */
static int relink(struct ol_clone *c, const struct ol_link_place *place, struct ol_tree_node *node,
                  const char *name)
{
    ol_auto_fd int dir_fd = -1;

    if (ol_fault_hit("link"))
        return -EIO;
    if (place->dir != node) {
        dir_fd = reopen_target(c, place->dir);
        if (dir_fd < 0)
            return dir_fd;
    }
    return linkat(place->dir == node ? node->fd[1] : dir_fd, place->name, node->fd[1], name, 0) < 0
               ? -errno
               : 0;
}

/* @return a new, empty, exclusive file, or negative errno */
static int create_file(struct ol_tree_node *node, const char *name, mode_t mode)
{
    int fd;

    if (ol_fault_hit("create"))
        return -EIO;
    fd = openat(node->fd[1], name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    return fd < 0 ? -errno : fd;
}

/*
 * For a file with several names, under the lock, so that its first copy exists (empty maybe) before
 * another worker links to it.
 * @param ret_fd  a descriptor to copy into, or -1 when name was linked to an earlier copy
 */
static int link_or_create(struct ol_clone *c, struct ol_tree_node *node, const char *name,
                          const struct stat *st, mode_t mode, int *ret_fd)
{
    const struct ol_link_place *place = map_find(&c->map, st);
    int r = place != NULL ? relink(c, place, node, name) : -EMLINK;
    int fd;

    if (r != -EMLINK) /* the target takes fewer links than the source: the copy gets a second one */
        return r;
    fd = create_file(node, name, mode);
    if (fd < 0)
        return fd;
    r = map_set(&c->map, st, node, name);
    if (r < 0)
        ol_fd_close(&fd);
    *ret_fd = fd;
    return r;
}

/* Open the source for reading: whatever was put in its place meanwhile must not block or follow. */
static int open_source(struct ol_tree_visit *v, struct ol_tree_node *node, const char *name,
                       struct stat *st)
{
    ol_auto_fd int fd = ol_fs_open_read(node->fd[0], name, O_NOATIME);

    if (fd < 0)
        return ol_tree_fail(v->err, -fd, node, name, "cannot open");
    if (fstat(fd, st) < 0)
        return ol_tree_fail(v->err, errno, node, name, "cannot examine");
    if (!S_ISREG(st->st_mode))
        return ol_tree_fail(v->err, ESTALE, node, name, "somebody replaced the regular file");
    return ol_fd_steal(&fd);
}

int ol_clone_file(struct ol_tree_visit *v, struct ol_tree_node *node, const char *name)
{
    struct ol_clone *c = ol_clone_of(v);
    struct ol_clone_worker *w = ol_clone_worker_of(v);
    struct stat st;
    ol_auto_fd int src = open_source(v, node, name, &st);
    ol_auto_fd int dst = -1;
    /* set-id bits only once the owner is right; writing would clear them besides */
    mode_t mode = st.st_mode & 01777;
    int r;

    if (src < 0)
        return src;
    if (st.st_nlink > 1) {
        pthread_mutex_lock(&c->lock);
        r = link_or_create(c, node, name, &st, mode, &dst);
        pthread_mutex_unlock(&c->lock);
    } else {
        dst = create_file(node, name, mode);
        r = dst < 0 ? dst : 0;
    }
    if (r < 0)
        return ol_tree_fail(v->err, -r, node, name, "cannot create the copy of");
    if (dst < 0) {
        w->stats.relinked++;
        return 0;
    }
    r = ol_copy_data(src, dst, &st, &c->copy, &w->block);
    if (r < 0)
        return ol_tree_fail(v->err, -r, node, name, "cannot copy");
    w->stats.copied++;
    return ol_clone_meta_file(v, node, name, src, dst, &st, mode);
}
