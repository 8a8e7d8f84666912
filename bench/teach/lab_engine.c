/* SPDX-License-Identifier: Apache-2.0 */
/* The tiny image on an engine; see lab_engine.h. */
#include "bench/teach/lab_engine.h"

#include "bench/teach/tiny.h"
#include "common/cleanup.h"

static int add_entry(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    return ol_model_add(data, entry, err);
}

static int import_layer(struct ol_engine *engine, struct ol_model *model, size_t index,
                        struct ol_error *err)
{
    ol_auto_fd int fd = -1;
    struct ol_engine_report report = {0};
    struct ol_input tar;
    int r = ol_tiny_layer(index, &fd, err);

    if (r < 0)
        return r;
    tar = (struct ol_input){.fd = fd, .offset = 0, .length = UINT64_MAX};
    r = engine->ops->import_layer(engine, &tar, NULL, &report, err);
    if (r == 0)
        r = ol_model_begin_layer(model, err);
    return r < 0 ? r : ol_layer_scan(&tar, NULL, add_entry, model, NULL, err);
}

int ol_lab_engine_open(const struct ol_lab_run *run, const char *dir, const char *name,
                       unsigned containers, struct ol_lab_engine *ret, struct ol_error *err)
{
    const struct ol_engine_config config = {
        .name = name,
        .dir = dir,
        .view = run->view,
        .keep_owner = run->keep_owner,
        .commits = containers,
    };
    struct ol_model *model = NULL;
    int r;

    *ret = (struct ol_lab_engine){0};
    r = ol_engine_ops_of(name)->open(&config, &ret->engine, err);
    if (r == 0)
        r = ol_model_new(&model, err);
    for (size_t i = 0; i < OL_TINY_LAYERS && r == 0; i++)
        r = import_layer(ret->engine, model, i, err);
    if (r == 0)
        ol_model_counts(model, &ret->counts);
    ol_model_free(model);
    return r;
}

void ol_lab_engine_close(struct ol_lab_engine *lab)
{
    if (lab->engine != NULL)
        lab->engine->ops->close(lab->engine);
    lab->engine = NULL;
}
