/* SPDX-License-Identifier: Apache-2.0 */
/* A model of one layer that is begun, for tests of what is told from it. */
#ifndef OL_TESTS_MODEL_FIXTURE_H
#define OL_TESTS_MODEL_FIXTURE_H

#include "support/support.h"

#include "bench/oracle/oracle.h"

struct fixture {
    struct ol_model *model; /* owned */
    struct ol_error err;
};

/** One more; naive: it also follows what overlay2:diff=naive needs. */
struct fixture *model_make(void **state, bool naive);
/** For cmocka. */
int model_teardown(void **state);

#endif
