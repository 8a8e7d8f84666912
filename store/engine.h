/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine: a driver, the image store over it and its containers, for one data root. The driver's
 * home is <root>/<driver>, the image store <root>/image/<driver>, the containers of all drivers are
 * in <root>/containers, as Docker has them.
 */
#ifndef OL_STORE_ENGINE_H
#define OL_STORE_ENGINE_H

#include "store/containers.h"

struct ol_engine;

struct ol_engine_config {
    const char *root;       /* absolute; made when missing */
    const char *driver;     /* full name with options, as for ol_driver_open() */
    enum ol_view view;      /* of this root, entered by the caller; never auto */
    bool keep_owner;        /* as in struct ol_driver_config */
    bool sync;              /* fsync the layers' metadata */
    ol_problem_fn *problem; /* as in struct ol_store_options */
    void *problem_data;
};

/**
 * Open the driver and the stores over it. The driver's home is shared with commands that work on
 * single layers; a driver that keeps files keeps its layers' exact tars reproducible; the stores
 * are this process's alone.
 * @return 0; as ol_driver_open(), ol_images_open() and ol_containers_open()
 */
int ol_engine_open(const struct ol_engine_config *config, struct ol_engine **ret,
                   struct ol_error *err);
void ol_engine_close(struct ol_engine *engine); /* accepts NULL */
/** Close the stores, and with them let others at them; the driver stays open. */
void ol_engine_close_stores(struct ol_engine *engine);

/* Parts; owned by the engine. */
struct ol_driver *ol_engine_driver(struct ol_engine *engine);
struct ol_images *ol_engine_images(struct ol_engine *engine);
struct ol_store *ol_engine_layers(struct ol_engine *engine);
/** Only to be checked where problems are told. */
struct ol_containers *ol_engine_containers(struct ol_engine *engine);

#endif
