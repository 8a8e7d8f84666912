/* SPDX-License-Identifier: Apache-2.0 */
/* A store over a driver in a directory of its own, and what the store's tests ask about both. */
#ifndef OL_TESTS_STORE_FIXTURE_H
#define OL_TESTS_STORE_FIXTURE_H

#include "support/support.h"
#include "support/tarball.h"

#include "store/store.h"

struct store_fixture {
    struct test_dir dir;             /* "home" is the driver's, "db" the store's */
    struct ol_store_options options; /* for the next fixture_reopen(); all off */
    char *home, *db;
    struct ol_driver *drv; /* the fault decorator around the driver under the store */
    struct ol_store *store;
};

/** Open both; spec is the driver's full name. The fault decorator is disarmed. */
void fixture_open(struct store_fixture *f, const char *spec, enum ol_view view);
/** Close both and open them again, as the next process would. */
void fixture_reopen(struct store_fixture *f, const char *spec, enum ol_view view);
void fixture_shut(struct store_fixture *f);
/** Close and remove everything. */
void fixture_close(struct store_fixture *f);

/** Register tar over parent (NULL: base); fails the test when that fails. */
struct ol_store_layer fixture_register(struct store_fixture *f, const char *parent,
                                       struct tarball *tar);

/** The same for a layer of one file. */
struct ol_store_layer fixture_add(struct store_fixture *f, const char *parent, const char *name,
                                  const char *content);

/** Number of layers the driver has; of records the store has in the subdirectory. */
size_t fixture_driver_layers(struct store_fixture *f);
size_t fixture_records(struct store_fixture *f, const char *subdir);
/** Driver layers and records are exactly those of this many layers and containers. */
void fixture_assert_holds(struct store_fixture *f, size_t layers, size_t containers);

/** Open descriptors and threads of this process. */
size_t count_fds(void);
size_t count_threads(void);

#endif
