/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registering one layer (moby layer/layer_store.go, registerWithDescriptor): Create, ApplyDiff,
 * metadata, in steps, because a commit has its other side to wait for between the last two.
 */
#include "store/store_internal.h"

#include "common/limits.h"
#include "common/trace.h"

#include <errno.h>

static const char *parent_chain_of(const struct ol_register *reg)
{
    return reg->parent != NULL ? reg->parent->layer.chain_id : NULL;
}

static int check_depth(const struct ol_register *reg, struct ol_error *err)
{
    if (reg->parent == NULL || reg->parent->layer.depth < OL_MAX_IMAGE_LAYERS)
        return 0;
    return ol_error_set(err, -E2BIG, "layer '%s' is %u deep already; at most %d can be stacked",
                        reg->parent->layer.chain_id, reg->parent->layer.depth, OL_MAX_IMAGE_LAYERS);
}

static int create(struct ol_register *reg, struct ol_error *err)
{
    const struct ol_layer_spec spec = {
        .id = reg->cache_id,
        .parent = reg->parent != NULL ? reg->parent->layer.cache_id : NULL,
    };
    uint64_t start = ol_store_clock_ns();
    int r = ol_driver_create(reg->store->drv, &spec, err);

    reg->times.create_ns = ol_store_clock_ns() - start;
    reg->created = r != -EEXIST; /* removing what is not there is success */
    return r;
}

int ol_register_begin(struct ol_register *reg, struct ol_store *store, const char *parent_chain,
                      struct ol_error *err)
{
    int r;

    memset(reg, 0, sizeof *reg);
    reg->store = store;
    r = ol_store_hold(store, parent_chain, &reg->parent, err);
    if (r == 0)
        r = check_depth(reg, err);
    if (r == 0)
        r = ol_random_id(reg->cache_id, err);
    if (r == 0) {
        r = ol_layerdb_begin(store, reg->cache_id, err);
        reg->begun = r == 0;
    }
    if (r == 0)
        r = create(reg, err);
    if (r < 0)
        (void)ol_register_end(reg, NULL); /* the first error counts */
    return r;
}

static int apply(struct ol_register *reg, const struct ol_input *tar, struct ol_error *err)
{
    const char *parent = reg->parent != NULL ? reg->parent->layer.cache_id : NULL;
    uint64_t start = ol_store_clock_ns();
    int r = ol_driver_apply_diff(reg->store->drv, reg->cache_id, parent, tar, &reg->apply, err);

    reg->times.apply_ns = ol_store_clock_ns() - start;
    return r;
}

static int check_diff_id(const struct ol_register *reg, const char *want_diff_id,
                         struct ol_error *err)
{
    const char *diff_id = reg->apply.layer.diff_id;

    if (!ol_digest_valid(diff_id))
        return ol_error_set(err, -EIO, "driver '%s' computed no DiffID",
                            ol_driver_name(reg->store->drv));
    if (want_diff_id != NULL && strcmp(want_diff_id, diff_id) != 0)
        return ol_error_set(err, -EBADMSG,
                            "the layer's content has DiffID '%s', not the '%s' promised for it",
                            diff_id, want_diff_id);
    return 0;
}

int ol_register_apply(struct ol_register *reg, const struct ol_input *tar, const char *want_diff_id,
                      struct ol_error *err)
{
    struct ol_tar_record record = OL_TAR_RECORD_INIT;
    struct ol_input input = *tar;
    int r = 0;

    if (reg->store->options.tar_split)
        r = ol_tar_record_begin(&record, reg->store, reg->cache_id, &input, err);
    if (r == 0)
        r = apply(reg, &input, err);
    if (r == 0)
        r = check_diff_id(reg, want_diff_id, err);
    if (r == 0 && reg->store->options.tar_split)
        r = ol_tar_record_end(&record, reg->store, reg->cache_id, &input, err);
    ol_tar_record_fini(&record);
    return r;
}

static int fill_layer(const struct ol_register *reg, struct ol_store_layer *ret,
                      struct ol_error *err)
{
    const char *parent = parent_chain_of(reg);

    memset(ret, 0, sizeof *ret);
    memcpy(ret->diff_id, reg->apply.layer.diff_id, sizeof ret->diff_id);
    memcpy(ret->cache_id, reg->cache_id, sizeof ret->cache_id);
    if (parent != NULL)
        memcpy(ret->parent, parent, sizeof ret->parent);
    ret->size_bytes = reg->apply.size_bytes;
    ret->depth = reg->parent != NULL ? reg->parent->layer.depth + 1 : 1;
    return ol_chain_id(parent, ret->diff_id, ret->chain_id, err);
}

/* Under the lock, with everything written: an older layer wins, else the rename decides. */
static int publish(struct ol_register *reg, struct ol_layer_entry **entry,
                   struct ol_store_layer *ret, bool *ret_existed, struct ol_error *err)
{
    struct ol_store *store = reg->store;
    const struct ol_layer_entry *older = ol_store_find_layer(store, (*entry)->layer.chain_id);
    int r;

    *ret_existed = older != NULL;
    if (older != NULL) {
        *ret = older->layer;
        return 0;
    }
    r = ol_store_reserve_layer(store, err);
    if (r == 0)
        r = ol_layerdb_commit_layer(store, &(*entry)->layer, err);
    if (r < 0)
        return r;
    *ret = (*entry)->layer;
    ol_store_add_layer(store, *entry);
    *entry = NULL;
    if (reg->parent != NULL)
        reg->parent->refs++;
    reg->begun = reg->created = false; /* nothing to take back any more */
    return 0;
}

int ol_register_write(struct ol_register *reg, struct ol_error *err)
{
    uint64_t start = ol_store_clock_ns();
    int r = fill_layer(reg, &reg->layer, err);

    if (r == 0)
        r = ol_layerdb_write_layer(reg->store, &reg->layer, err);
    reg->times.metadata_ns = ol_store_clock_ns() - start;
    return r;
}

int ol_register_commit(struct ol_register *reg, struct ol_store_layer *ret, bool *ret_existed,
                       struct ol_error *err)
{
    struct ol_store *store = reg->store;
    uint64_t start = ol_store_clock_ns();
    struct ol_layer_entry *entry = calloc(1, sizeof *entry);
    int r;

    if (entry == NULL)
        return ol_error_nomem(err);
    entry->layer = reg->layer;
    (void)pthread_mutex_lock(&store->lock);
    r = publish(reg, &entry, ret, ret_existed, err);
    (void)pthread_mutex_unlock(&store->lock);
    free(entry);
    reg->times.metadata_ns += ol_store_clock_ns() - start;
    return r;
}

int ol_register_end(struct ol_register *reg, struct ol_error *err)
{
    int r = 0;

    if (reg->created)
        r = ol_driver_remove(reg->store->drv, reg->cache_id, err);
    /* A driver layer that could not be removed keeps its write set: the next start tries again. */
    if (r == 0 && reg->begun)
        r = ol_layerdb_drop(reg->store, reg->cache_id, err);
    if (r < 0)
        ol_trace(OL_TRACE_STORE, "left for the next start: driver layer '%s'", reg->cache_id);
    ol_store_release(reg->store, reg->parent);
    reg->created = reg->begun = false;
    reg->parent = NULL;
    return r;
}

int ol_store_register(struct ol_store *store, const char *parent_chain, const struct ol_input *tar,
                      const char *want_diff_id, struct ol_store_layer *ret,
                      struct ol_apply_result *ret_apply, struct ol_store_times *ret_times,
                      bool *ret_existed, struct ol_error *err)
{
    struct ol_register reg;
    struct ol_store_layer layer;
    uint64_t start = ol_store_clock_ns();
    bool existed = false;
    int r = ol_register_begin(&reg, store, parent_chain, err);

    if (r < 0)
        return r;
    r = ol_register_apply(&reg, tar, want_diff_id, err);
    if (r == 0)
        r = ol_register_write(&reg, err);
    if (r == 0)
        r = ol_register_commit(&reg, &layer, &existed, err);
    if (r < 0) {
        (void)ol_register_end(&reg, NULL); /* the first error counts */
        return r;
    }
    r = ol_register_end(&reg, err); /* a second copy of an older layer is removed here */
    if (r < 0)
        return r;
    reg.times.total_ns = ol_store_clock_ns() - start;
    if (ret != NULL)
        *ret = layer;
    if (ret_apply != NULL)
        *ret_apply = reg.apply;
    if (ret_times != NULL)
        *ret_times = reg.times;
    if (ret_existed != NULL)
        *ret_existed = existed;
    return 0;
}
