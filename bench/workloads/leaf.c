/* SPDX-License-Identifier: Apache-2.0 */
/* Finding directories without directories in them, in one walk; see leaf.h. */
#include "bench/workloads/leaf.h"

#include "bench/oracle/model_internal.h"
#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

/* The walk is in pre-order: a directory is a leaf unless the next directory lies in it. */
struct search {
    struct ol_leaves *leaves;
    char *dir; /* owned; the last directory met, or NULL */
    bool holds_something;
};

void ol_leaves_fini(struct ol_leaves *leaves)
{
    for (size_t i = 0; i < leaves->count; i++)
        free(leaves->paths[i]);
    free(leaves->paths);
    *leaves = (struct ol_leaves){.paths = NULL};
}

static bool lies_in(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    return strncmp(path, dir, len) == 0 && path[len] == '/';
}

bool ol_leaves_hold(char *const *dirs, size_t count, const char *path)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(path, dirs[i]) == 0 || lies_in(path, dirs[i]))
            return true;
    }
    return false;
}

/* Not the root, and not the one directory in which the init layer overrides single files. */
static bool may_be_replaced(const char *path)
{
    return path[0] != '\0' && strcmp(path, "etc") != 0 && !ol_model_is_init_path(path);
}

static int keep(struct search *s)
{
    struct ol_leaves *leaves = s->leaves;

    if (leaves->count == leaves->room) {
        size_t room = leaves->room > 0 ? 2 * leaves->room : 64;
        char **grown = reallocarray(leaves->paths, room, sizeof *grown);

        if (grown == NULL)
            return -ENOMEM;
        leaves->paths = grown;
        leaves->room = room;
    }
    leaves->paths[leaves->count++] = ol_ptr_steal(s->dir);
    return 0;
}

/* The last directory met is complete. */
static int leave(struct search *s, bool leaf)
{
    int r = 0;

    if (s->dir != NULL && leaf && s->holds_something && may_be_replaced(s->dir))
        r = keep(s);
    free(s->dir);
    s->dir = NULL;
    s->holds_something = false;
    return r;
}

static int look_at(const struct ol_model_node *node, void *data)
{
    struct search *s = data;
    bool inside = s->dir != NULL && lies_in(node->path, s->dir);
    int r;

    if (node->type != OL_MODEL_DIRECTORY) {
        s->holds_something = s->holds_something || inside;
        return 0;
    }
    r = leave(s, !inside);
    if (r < 0)
        return r;
    s->dir = strdup(node->path);
    return s->dir == NULL ? -ENOMEM : 0;
}

int ol_leaves_find(const struct ol_model *model, struct ol_leaves *ret)
{
    struct search s = {.leaves = ret};
    int r = ol_model_walk_common(model, look_at, &s);

    if (r == 0)
        r = leave(&s, true);
    free(s.dir);
    return r;
}
