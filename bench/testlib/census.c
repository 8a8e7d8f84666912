/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two walks: the first learns all names, and of files with several names whether old or new ones
 * are among them; the second gives each new inode to the directory its first name is in.
 */
#include "bench/testlib/census.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fs/inode_map.h"
#include "common/fs/tree.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* What is known about a file with several names. */
enum { NAME_OLD = 1, NAME_NEW = 2, COUNTED = 4 };

/* A directory on the way to the entry at hand, and the new inodes seen in it so far. */
struct level {
    struct ol_buf path;
    uint64_t inodes;
};

struct census_walk {
    const struct ol_test_census *before;
    struct ol_test_census now;
    struct ol_inode_map linked;
    struct ol_test_census_news *news;
    dev_t dev;
    struct level *levels; /* owned; [i]: the directory whose entries have i + 1 components */
    size_t n_levels, open_levels;
};

void ol_test_census_fini(struct ol_test_census *census)
{
    ol_seen_fini(&census->paths);
    census->cached = 0;
}

void ol_test_census_news_fini(struct ol_test_census_news *news)
{
    for (size_t i = 0; i < OL_TEST_CENSUS_TOP; i++)
        free(news->top[i].path);
    *news = (struct ol_test_census_news){.shared = 0};
}

static int add_dir(struct ol_test_census_news *news, const char *path, uint64_t inodes)
{
    struct ol_test_census_dir *last = &news->top[OL_TEST_CENSUS_TOP - 1];
    struct ol_test_census_dir dir = {.inodes = inodes};

    if (last->path != NULL && last->inodes >= inodes)
        return 0;
    dir.path = strdup(path);
    if (dir.path == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < OL_TEST_CENSUS_TOP && dir.path != NULL; i++) {
        struct ol_test_census_dir *at = &news->top[i];

        if (at->path == NULL || at->inodes < dir.inodes) {
            struct ol_test_census_dir pushed = *at;
            *at = dir;
            dir = pushed;
        }
    }
    free(dir.path);
    return 0;
}

int ol_test_census_news_add(struct ol_test_census_news *to, const struct ol_test_census_news *from)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < OL_TEST_CENSUS_TOP && from->top[i].path != NULL; i++)
        r = add_dir(to, from->top[i].path, from->top[i].inodes);
    to->shared += from->shared;
    return r;
}

static uint64_t key_of(const struct ol_seen *seen, const char *path)
{
    return ol_seen_key(seen, OL_SEEN_LISTED, 0, 0, path);
}

static bool is_new(const struct census_walk *walk, const char *path)
{
    const struct ol_seen *old = &walk->before->paths;

    return !ol_seen_has(old, key_of(old, path));
}

/* "<id>/work/work/<name>": what overlayfs keeps there is a whiteout for the next deletion. */
static bool is_cached_whiteout(const struct ol_walk_entry *entry)
{
    static const char work[] = "/work/work/";
    const struct stat *st = entry->st;
    const char *rest = strchr(entry->path, '/');

    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0) && st->st_nlink == 1 &&
           rest != NULL && strncmp(rest, work, sizeof work - 1) == 0 && entry->depth == 4;
}

static bool has_names(const struct stat *st)
{
    return !S_ISDIR(st->st_mode) && st->st_nlink > 1;
}

static int note_name(struct census_walk *walk, const struct ol_walk_entry *entry, bool new_name)
{
    uint32_t flags = 0;
    int r;

    (void)ol_inode_map_find(&walk->linked, entry->st, &flags); /* else none is known */
    r = ol_inode_map_set(&walk->linked, entry->st, flags | (new_name ? NAME_NEW : NAME_OLD));
    return r < 0 ? r : 0;
}

static int learn(const struct ol_walk_entry *entry, void *data, struct ol_error *err)
{
    struct census_walk *walk = data;
    int r;

    if (entry->depth == 0) {
        walk->dev = entry->st->st_dev;
        return 0;
    }
    if (entry->st->st_dev != walk->dev)
        return 1; /* mounted */
    r = ol_seen_insert(&walk->now.paths, key_of(&walk->now.paths, entry->path));
    if (r >= 0 && has_names(entry->st))
        r = note_name(walk, entry, is_new(walk, entry->path));
    if (is_cached_whiteout(entry))
        walk->now.cached++;
    return r < 0 ? ol_error_sys(err, -r, "cannot keep '%s' in mind", entry->path) : 0;
}

/* What lies deeper than this is listed to its end. */
static int close_levels(struct census_walk *walk, size_t depth)
{
    int r = 0;

    while (r == 0 && walk->open_levels > depth) {
        const struct level *level = &walk->levels[--walk->open_levels];

        if (level->inodes > 0)
            r = add_dir(walk->news, ol_buf_str(&level->path), level->inodes);
    }
    return r;
}

static int open_level(struct census_walk *walk, const char *path)
{
    struct level *level;

    if (walk->open_levels == walk->n_levels) {
        size_t n = walk->n_levels + 16;
        struct level *levels = realloc(walk->levels, n * sizeof *levels);
        if (levels == NULL)
            return -ENOMEM;
        walk->levels = levels;
        for (; walk->n_levels < n; walk->n_levels++)
            levels[walk->n_levels] = (struct level){OL_BUF_INIT, 0};
    }
    level = &walk->levels[walk->open_levels++];
    level->inodes = 0;
    ol_buf_truncate(&level->path, 0);
    return ol_buf_puts(&level->path, path);
}

static int count_inode(struct census_walk *walk, const struct ol_walk_entry *entry)
{
    uint32_t flags = NAME_NEW;
    int r = 0;

    if (!is_new(walk, entry->path))
        return 0;
    if (has_names(entry->st)) {
        (void)ol_inode_map_find(&walk->linked, entry->st, &flags); /* the first walk met it */
        if ((flags & COUNTED) != 0)
            return 0;
        r = ol_inode_map_set(&walk->linked, entry->st, flags | COUNTED);
    }
    if ((flags & NAME_OLD) != 0)
        walk->news->shared++;
    else
        walk->levels[entry->depth - 1].inodes++;
    return r < 0 ? r : 0;
}

static int count(const struct ol_walk_entry *entry, void *data, struct ol_error *err)
{
    struct census_walk *walk = data;
    int r = close_levels(walk, entry->depth);

    if (r == 0 && entry->st->st_dev != walk->dev)
        return 1;
    if (r == 0 && entry->depth > 0)
        r = count_inode(walk, entry);
    if (r == 0 && S_ISDIR(entry->st->st_mode))
        r = open_level(walk, entry->path);
    return r < 0 ? ol_error_sys(err, -r, "cannot count '%s'", entry->path) : 0;
}

static void walk_fini(struct census_walk *walk)
{
    for (size_t i = 0; i < walk->n_levels; i++)
        ol_buf_fini(&walk->levels[i].path);
    free(walk->levels);
    ol_inode_map_fini(&walk->linked);
    ol_test_census_fini(&walk->now);
}

int ol_test_census_take(struct ol_test_census *census, int home_fd, struct ol_test_census_news *ret,
                        struct ol_error *err)
{
    struct ol_test_census_news news = {.shared = 0};
    struct census_walk walk = {
        .before = census,
        .now = OL_TEST_CENSUS_INIT,
        .linked = OL_INODE_MAP_INIT,
        .news = &news,
    };
    int r = ol_seen_init(&walk.now.paths, err);

    if (r == 0)
        r = ol_tree_walk(home_fd, learn, &walk, err);
    if (r == 0 && ret != NULL)
        r = ol_tree_walk(home_fd, count, &walk, err);
    if (r == 0 && ret != NULL && close_levels(&walk, 0) < 0)
        r = ol_error_nomem(err);
    if (r == 0) {
        struct ol_test_census old = *census;
        *census = walk.now;
        walk.now = old;
    }
    if (r == 0 && ret != NULL)
        *ret = news;
    else
        ol_test_census_news_fini(&news);
    walk_fini(&walk);
    return r;
}
