/* SPDX-License-Identifier: Apache-2.0 */
/* See model_fixture.h. */
#include "model_fixture.h"

struct fixture *model_make(void **state, bool naive)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    *state = f;
    assert_ok(ol_model_new(&f->model, &f->err), &f->err);
    if (naive)
        assert_ok(ol_model_track_naive(f->model, &f->err), &f->err);
    assert_ok(ol_model_begin_layer(f->model, &f->err), &f->err);
    return f;
}

int model_teardown(void **state)
{
    struct fixture *f = *state;

    ol_model_free(f->model);
    ol_error_fini(&f->err);
    free(f);
    return 0;
}
