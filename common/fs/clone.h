/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of ol_tree_clone() (not for use outside common/fs): clone.c walks and makes everything
 * but regular files, clone_file.c copies those, clone_links.c keeps their hard links, clone_meta.c
 * sets owner, attributes, mode and times.
 */
#ifndef OL_COMMON_FS_CLONE_H
#define OL_COMMON_FS_CLONE_H

#include "common/fs/copy_data.h"
#include "common/fs/inode_map.h"
#include "common/fs/tree.h"
#include "common/fs/tree_engine.h"
#include "common/limits.h"

#include <pthread.h>
#include <sys/stat.h>

struct ol_link_place;

enum { OL_LINK_SHARDS = 64 }; /* a power of two */

/* Where the first copies of files with several names are: those of one share of the inodes. */
struct ol_link_shard {
    pthread_mutex_t lock;         /* guards all of it, and the making of those copies */
    struct ol_inode_map map;      /* to an index in places */
    struct ol_link_place *places; /* owned */
    size_t count, cap;            /* of places */
    struct ol_buf names;          /* each with its NUL */
};

/* What one worker needs; touched by no other. */
struct ol_clone_worker {
    struct ol_clone_stats stats;
    struct stat dir;      /* the source directory being handled */
    bool owner_known;     /* new objects in the target directory get exactly clone.uid and .gid */
    struct ol_buf target; /* of a symlink */
    struct ol_buf names;  /* of attributes */
    struct ol_buf value;  /* of one attribute */
    char *block;          /* OL_COPY_BLOCK bytes, owned; NULL until needed */
};

struct ol_clone {
    struct ol_clone_options options;
    uid_t uid; /* what new objects get */
    gid_t gid;
    mode_t umask;
    bool mode_known; /* no inherited ACL: a new object's mode is what was asked, less the umask */
    int dst_fd;      /* borrowed; the target's root */
    struct ol_copy_memory copy;
    struct ol_link_shard links[OL_LINK_SHARDS];
    struct ol_clone_worker worker[OL_THREADS_MAX];
};

static inline struct ol_clone *ol_clone_of(const struct ol_tree_visit *v)
{
    return v->run->data;
}

static inline struct ol_clone_worker *ol_clone_worker_of(const struct ol_tree_visit *v)
{
    return &ol_clone_of(v)->worker[v->worker];
}

/** Learn what new objects below dst_fd get by themselves: owner, umask, inherited ACLs. */
int ol_clone_learn(struct ol_clone *c, struct ol_error *err);

/** Copy the regular file `name` of node, or link it to the copy of another of its names. */
int ol_clone_file(struct ol_tree_visit *v, struct ol_tree_node *node, const char *name);
/** @return a new, empty, exclusive file of the target, or negative errno */
int ol_clone_create(struct ol_tree_node *node, const char *name, mode_t mode);

void ol_clone_links_init(struct ol_clone *c);
void ol_clone_links_fini(struct ol_clone *c);
/**
 * For a file with several names: link name to the copy of another one, or make the first copy,
 * empty, before another worker can want to link to it.
 * @param st      of the source
 * @param ret_fd  a descriptor to copy into; unchanged when name was linked to an earlier copy
 */
int ol_clone_link_or_create(struct ol_clone *c, struct ol_tree_node *node, const char *name,
                            const struct stat *st, mode_t mode, int *ret_fd);

/**
 * Owner, attributes, mode and times of node's `name` in the target, which was just made with
 * made_mode (type bits ignored), in the one order in which none undoes another.
 */
int ol_clone_meta_name(struct ol_tree_visit *v, struct ol_tree_node *node, const char *name,
                       const struct stat *st);
/** The same for an open file. */
int ol_clone_meta_file(struct ol_tree_visit *v, struct ol_tree_node *node, const char *name,
                       int src_fd, int dst_fd, const struct stat *st, mode_t made_mode);
/** The same for the directory node itself, once its own entries are there. */
int ol_clone_meta_dir(struct ol_tree_visit *v, struct ol_tree_node *node);
/** The part of a directory's mode that had to wait until its subdirectories were opened. */
int ol_clone_meta_late(struct ol_tree_visit *v, struct ol_tree_node *node);

#endif
