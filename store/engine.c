/* SPDX-License-Identifier: Apache-2.0 */
/* A driver and the stores over it; see engine.h. */
#include "store/engine.h"

#include "common/cleanup.h"

#include <string.h>

struct ol_engine {
    struct ol_driver *driver;         /* owned */
    struct ol_images *images;         /* owned; NULL once the stores are closed, */
    struct ol_containers *containers; /* as this, owned too */
};

/* "<root>/<before><driver without its options>" */
static int path_of(const struct ol_engine_config *config, const char *before, char **ret,
                   struct ol_error *err)
{
    int len = asprintf(ret, "%s/%s%.*s", config->root, before, (int)strcspn(config->driver, ":"),
                       config->driver);

    if (len >= 0)
        return 0;
    *ret = NULL;
    return ol_error_nomem(err);
}

int ol_engine_open(const struct ol_engine_config *config, struct ol_engine **ret,
                   struct ol_error *err)
{
    struct ol_store_options options = {
        .sync = config->sync, .problem = config->problem, .problem_data = config->problem_data};
    struct ol_driver_config driver = {
        .view = config->view, .keep_owner = config->keep_owner, .shared = true};
    struct ol_engine *engine = calloc(1, sizeof *engine);
    ol_auto_free char *home = NULL;
    ol_auto_free char *dir = NULL;
    int r;

    if (engine == NULL)
        return ol_error_nomem(err);
    r = path_of(config, "", &home, err);
    if (r == 0)
        r = path_of(config, "image/", &dir, err);
    driver.home = home;
    if (r == 0)
        r = ol_driver_open(config->driver, &driver, &engine->driver, err);
    if (r == 0) {
        options.tar_split = (ol_driver_caps(engine->driver) & OL_CAP_KEEPS_DATA) != 0;
        r = ol_images_open(dir, engine->driver, &options, &engine->images, err);
    }
    if (r == 0)
        r = ol_containers_open(config->root, strrchr(dir, '/') + 1, engine->images,
                               config->problem == NULL ? OL_CONTAINERS_USE : OL_CONTAINERS_CHECK,
                               &engine->containers, err);
    if (r < 0) {
        ol_engine_close(engine);
        return r;
    }
    *ret = engine;
    return 0;
}

void ol_engine_close(struct ol_engine *engine)
{
    if (engine == NULL)
        return;
    ol_engine_close_stores(engine);
    ol_driver_close(engine->driver);
    free(engine);
}

void ol_engine_close_stores(struct ol_engine *engine)
{
    ol_containers_close(engine->containers);
    engine->containers = NULL;
    ol_images_close(engine->images);
    engine->images = NULL;
}

struct ol_driver *ol_engine_driver(struct ol_engine *engine)
{
    return engine->driver;
}

struct ol_images *ol_engine_images(struct ol_engine *engine)
{
    return engine->images;
}

struct ol_store *ol_engine_layers(struct ol_engine *engine)
{
    return ol_images_layers(engine->images);
}

struct ol_containers *ol_engine_containers(struct ol_engine *engine)
{
    return engine->containers;
}
