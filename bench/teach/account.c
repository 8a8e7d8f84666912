/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle beside a scene; see account.h. */
#include "bench/teach/account.h"

#include "bench/harness/engine.h"
#include "bench/oracle/held.h"
#include "bench/oracle/model_internal.h"
#include "bench/teach/scene.h"
#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

enum { LAYERS_MAX = 16 + OL_SCENE_CONTAINERS };

struct ol_account {
    struct ol_model *model; /* owned; the newest image */
    bool has_way;           /* there is a law, and way is how the engine uses its driver */
    struct ol_held_way way;
    struct ol_held_layer layers[LAYERS_MAX]; /* the imported ones, then one per commit */
    unsigned n_imported, n_layers;
    struct ol_held_layer *top;          /* of the newest image; NULL: none yet */
    struct ol_held_container container; /* the newest */
    bool mounted;                       /* it is */
    struct ol_op *ops;                  /* owned, with their texts; its changes */
    size_t n_ops;
    struct ol_inode_kinds changed; /* what they add */
    struct ol_inode_kinds added;   /* since the last time */
};

int ol_account_new(const char *engine, bool mounts, struct ol_account **ret, struct ol_error *err)
{
    struct ol_account *account = calloc(1, sizeof *account);
    int r;

    if (account == NULL)
        return ol_error_nomem(err);
    account->way = (struct ol_held_way){.mounts = mounts,
                                        .naive_diff = !ol_engine_has_option(engine, "diff=upper")};
    account->has_way = ol_engine_law(engine, &account->way.law) == 0;
    r = ol_model_new(&account->model, err);
    if (r == 0 && account->has_way && account->way.law == OL_LAW_OVERLAY2_NAIVE)
        r = ol_model_track_naive(account->model, err);
    if (r < 0) {
        ol_account_free(account);
        return r;
    }
    *ret = account;
    return 0;
}

static void forget_changes(struct ol_account *account)
{
    while (account->n_ops > 0) {
        struct ol_op *op = &account->ops[--account->n_ops];

        free(op->path);
        free(op->target);
    }
    account->changed = (struct ol_inode_kinds){0};
}

void ol_account_free(struct ol_account *account)
{
    if (account == NULL)
        return;
    forget_changes(account);
    free(account->ops);
    ol_model_free(account->model);
    free(account);
}

bool ol_account_law(const struct ol_account *account, enum ol_law *ret)
{
    if (account->has_way)
        *ret = account->way.law;
    return account->has_way;
}

static void add(struct ol_account *account, const struct ol_inode_kinds *kinds)
{
    ol_inode_kinds_add(&account->added, kinds, 1);
}

/* ---- images ---- */

static int add_entry(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    return ol_model_add(data, entry, err);
}

int ol_account_import(struct ol_account *account, const struct ol_input *tar, struct ol_error *err)
{
    struct ol_held_layer *layer = &account->layers[account->n_layers];
    struct ol_inode_kinds added;
    int r;

    if (account->n_layers == LAYERS_MAX)
        return ol_error_set(err, -E2BIG, "too many layers to keep account of");
    r = ol_model_begin_layer(account->model, err);
    if (r == 0)
        r = ol_layer_scan(tar, NULL, add_entry, account->model, NULL, err);
    if (r < 0 || !account->has_way)
        return r;
    if (ol_held_layer_apply(&account->way, account->model, account->top, layer, &added) < 0)
        return ol_error_nomem(err);
    add(account, &added);
    account->n_imported = ++account->n_layers;
    account->top = layer;
    return 0;
}

void ol_account_remove_image(struct ol_account *account, unsigned index)
{
    const unsigned first = index > 0 ? account->n_imported + index - 1 : 0;
    const unsigned end = index > 0 ? first + 1 : account->n_imported;

    for (unsigned i = first; account->has_way && i < end; i++) {
        struct ol_inode_kinds freed;

        ol_held_layer_remove(&account->layers[i], &freed);
        add(account, &freed);
    }
}

/* ---- containers ---- */

int ol_account_create(struct ol_account *account, struct ol_error *err)
{
    struct ol_inode_kinds added;

    forget_changes(account);
    if (!account->has_way)
        return 0;
    if (ol_held_container_create(&account->way, account->model, account->top, &account->container,
                                 &added) < 0)
        return ol_error_nomem(err);
    add(account, &added);
    return 0;
}

void ol_account_mount(struct ol_account *account)
{
    struct ol_inode_kinds added;

    if (!account->has_way)
        return;
    ol_held_mount(&account->container, &added);
    account->mounted = true;
    add(account, &added);
}

void ol_account_unmount(struct ol_account *account)
{
    struct ol_inode_kinds added;

    if (!account->has_way)
        return;
    ol_held_unmount(&account->container, &added);
    account->mounted = false;
    add(account, &added);
}

/* All changes so far, on a copy of the image. @param ret_model  may be NULL; else the caller's */
static int plan_so_far(const struct ol_account *account, struct ol_model **ret_model,
                       struct ol_plan **ret, struct ol_error *err)
{
    struct ol_model *copy = NULL;
    int r = ol_model_copy(account->model, &copy, err);

    if (r == 0)
        r = ol_plan_list(copy, account->ops, account->n_ops, ret, err);
    if (r < 0 || ret_model == NULL)
        ol_model_free(copy);
    else
        *ret_model = copy;
    return r;
}

int ol_account_plan(const struct ol_account *account, const struct ol_op *op, struct ol_plan **ret,
                    struct ol_error *err)
{
    struct ol_model *changed = NULL;
    struct ol_plan *before = NULL;
    int r = plan_so_far(account, &changed, &before, err);

    ol_plan_free(before);
    if (r == 0)
        r = ol_plan_list(changed, op, 1, ret, err);
    if (r == 0 || changed != NULL)
        ol_model_free(changed);
    return r;
}

static int keep_op(struct ol_account *account, const struct ol_op *op)
{
    struct ol_op *grown = reallocarray(account->ops, account->n_ops + 1, sizeof *grown);
    struct ol_op *last;

    if (grown == NULL)
        return -ENOMEM;
    account->ops = grown;
    last = &grown[account->n_ops];
    *last = *op;
    last->path = strdup(op->path);
    last->target = op->target != NULL ? strdup(op->target) : NULL;
    account->n_ops++; /* from here on the account frees what it holds */
    return last->path == NULL || (op->target != NULL && last->target == NULL) ? -ENOMEM : 0;
}

/* What a change adds is what all of them add, less what was added before it. */
int ol_account_change(struct ol_account *account, const struct ol_op *op, struct ol_error *err)
{
    struct ol_inode_kinds so_far;
    struct ol_plan *plan = NULL;
    int r;

    if (keep_op(account, op) < 0)
        return ol_error_nomem(err);
    r = plan_so_far(account, NULL, &plan, err);
    if (r == 0 && account->has_way) {
        struct ol_inode_kinds one;

        ol_plan_predict(plan, account->way.law, &so_far);
        one = so_far;
        ol_inode_kinds_add(&one, &account->changed, -1);
        account->changed = so_far;
        ol_held_change(&account->container, &one, ol_plan_leaves_cached(plan, account->way.law));
        add(account, &one);
    }
    ol_plan_free(plan);
    return r;
}

void ol_account_diff(struct ol_account *account)
{
    struct ol_inode_kinds added;

    if (!account->has_way)
        return;
    ol_held_diff(&account->container, account->mounted, &added);
    add(account, &added);
}

static int commit_plan(struct ol_account *account, const struct ol_plan *plan)
{
    struct ol_held_layer *layer = &account->layers[account->n_layers];
    struct ol_inode_kinds added;
    int r = ol_held_commit(&account->container, account->model, account->top,
                           ol_plan_is_empty(plan, account->way.law), layer, &added);

    if (r < 0)
        return r;
    add(account, &added);
    if (!ol_plan_is_empty(plan, account->way.law) || account->container.gone)
        account->top = layer;
    account->n_layers++; /* an empty one keeps its number, and nothing */
    return 0;
}

int ol_account_commit(struct ol_account *account, struct ol_error *err)
{
    struct ol_plan *plan = NULL;
    int r;

    if (account->n_layers == LAYERS_MAX)
        return ol_error_set(err, -E2BIG, "too many layers to keep account of");
    r = ol_plan_list(account->model, account->ops, account->n_ops, &plan, err);
    if (r == 0 && account->has_way)
        r = commit_plan(account, plan) < 0 ? ol_error_nomem(err) : 0;
    ol_plan_free(plan);
    return r;
}

void ol_account_remove_container(struct ol_account *account)
{
    struct ol_inode_kinds freed;

    if (!account->has_way)
        return;
    ol_held_container_remove(&account->container, &freed);
    add(account, &freed);
}

/* ---- taking ---- */

bool ol_account_take(struct ol_account *account, struct ol_inode_kinds *ret)
{
    *ret = account->added;
    account->added = (struct ol_inode_kinds){0};
    return account->has_way;
}
