/* SPDX-License-Identifier: Apache-2.0 */
/* A data root with one small image, "base:1", and containers of it. */
#ifndef OL_TESTS_CONTAINERS_FIXTURE_H
#define OL_TESTS_CONTAINERS_FIXTURE_H

#include "support/support.h"

#include "store/engine.h"

struct containers_fixture {
    struct test_dir dir; /* "root" is the data root */
    char *root;          /* owned */
    const char *driver;  /* for the next containers_open(); at first vfs, */
    enum ol_view view;   /* in the direct view */
    struct ol_engine *engine;
    struct ol_containers *containers; /* of the engine, as this */
    struct ol_images *images;
    char base[OL_DIGEST_SIZE]; /* id of the image */
};

/* For cmocka: a fixture with the image. */
int containers_setup(void **state);
int containers_teardown(void **state);

/** A fixture for another driver, with the image, open. */
void containers_init(struct containers_fixture *f, const char *driver, enum ol_view view);
void containers_fini(struct containers_fixture *f);

/** Open what is shut; on failure it stays shut. */
int containers_try_open(struct containers_fixture *f, struct ol_error *err);
void containers_shut(struct containers_fixture *f);
/** As the next process would. */
void containers_reopen(struct containers_fixture *f);

/** Put base:1 into the store of a driver that has none yet. */
void containers_put_base(struct containers_fixture *f);

/** Create a container of base:1. @param name NULL: none. @return its id, owned by the caller */
char *containers_add(struct containers_fixture *f, const char *name);
/** The same where nobody needs its id. */
void containers_make(struct containers_fixture *f, const char *name);
int containers_try_add(struct containers_fixture *f, const char *name, struct ol_error *err);

/** Write a file of the container. */
void containers_write(struct containers_fixture *f, const char *name, const char *path,
                      const char *content);

/** The names of all containers, in the order of ol_containers_list(), a blank after each. */
char *containers_names(struct containers_fixture *f);

/** What check-store tells, a line each; the store is shut. Owned by the caller. */
char *containers_check(struct containers_fixture *f, bool content);

#endif
