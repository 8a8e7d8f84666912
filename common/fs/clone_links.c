/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of a clone's files that have several: the first name is copied, and the others are
 * linked to that copy, which is found again through the directory node it is in and its name there.
 * Only such files are remembered, so memory follows their number and not the tree's. The table is
 * cut into shards by inode, each with a lock, so that workers rarely wait for each other.
 */
#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/clone.h"

#include <fcntl.h>
#include <unistd.h>

struct ol_link_place {
    struct ol_tree_node *dir; /* referenced */
    uint32_t name;            /* offset in the shard's names */
};

void ol_clone_links_init(struct ol_clone *c)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(c->links); i++)
        pthread_mutex_init(&c->links[i].lock, NULL);
}

void ol_clone_links_fini(struct ol_clone *c)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(c->links); i++) {
        struct ol_link_shard *shard = &c->links[i];
        for (size_t k = 0; k < shard->count; k++)
            ol_tree_node_unref(shard->places[k].dir);
        free(shard->places);
        ol_buf_fini(&shard->names);
        ol_inode_map_fini(&shard->map);
        pthread_mutex_destroy(&shard->lock);
    }
}

static struct ol_link_shard *shard_of(struct ol_clone *c, const struct stat *st)
{
    return &c->links[(uint64_t)st->st_ino * 0x9e3779b97f4a7c15u >> 32 & (OL_LINK_SHARDS - 1)];
}

/* Remember where the copy of a file is, instead of where an earlier one was. */
static int remember(struct ol_link_shard *shard, const struct stat *st, struct ol_tree_node *dir,
                    const char *name)
{
    size_t at = shard->names.len;
    int r;

    if (shard->count == shard->cap) {
        size_t cap = shard->cap == 0 ? 64 : shard->cap * 2;
        struct ol_link_place *places = reallocarray(shard->places, cap, sizeof *places);
        if (places == NULL)
            return -ENOMEM;
        shard->places = places;
        shard->cap = cap;
    }
    if (at > UINT32_MAX)
        return -EOVERFLOW;
    r = ol_buf_append(&shard->names, name, strlen(name) + 1);
    if (r == 0)
        r = ol_inode_map_set(&shard->map, st, shard->count);
    if (r < 0)
        return r;
    ol_tree_node_ref(dir);
    shard->places[shard->count++] = (struct ol_link_place){dir, (uint32_t)at};
    return 0;
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

/* Link name of node to the copy `first` in dir. @return 0 or negative errno, -EMLINK when that is
 * full */
static int relink(struct ol_clone *c, const struct ol_tree_node *dir, const char *first,
                  struct ol_tree_node *node, const char *name)
{
    ol_auto_fd int dir_fd = -1;

    if (ol_fault_hit("link"))
        return -EIO;
    if (dir != node) {
        dir_fd = reopen_target(c, dir);
        if (dir_fd < 0)
            return dir_fd;
    }
    return linkat(dir == node ? node->fd[1] : dir_fd, first, node->fd[1], name, 0) < 0 ? -errno : 0;
}

/* With the shard locked. */
static int link_or_create(struct ol_clone *c, struct ol_link_shard *shard,
                          struct ol_tree_node *node, const char *name, const struct stat *st,
                          mode_t mode, int *ret_fd)
{
    uint32_t i;
    int r = -EMLINK;
    int fd;

    if (ol_inode_map_find(&shard->map, st, &i))
        r = relink(c, shard->places[i].dir, shard->names.data + shard->places[i].name, node, name);
    if (r != -EMLINK) /* the target takes fewer links than the source: the copy gets a second one */
        return r;
    fd = ol_clone_create(node, name, mode);
    if (fd < 0)
        return fd;
    r = remember(shard, st, node, name);
    if (r < 0)
        ol_fd_close(&fd);
    *ret_fd = fd;
    return r;
}

int ol_clone_link_or_create(struct ol_clone *c, struct ol_tree_node *node, const char *name,
                            const struct stat *st, mode_t mode, int *ret_fd)
{
    struct ol_link_shard *shard = shard_of(c, st);
    int r;

    pthread_mutex_lock(&shard->lock);
    r = link_or_create(c, shard, node, name, st, mode, ret_fd);
    pthread_mutex_unlock(&shard->lock);
    return r;
}
