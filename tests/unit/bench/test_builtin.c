/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "bench/oracle/oracle.h"
#include "bench/workloads/workload.h"
#include "common/layer/layer.h"

#include <errno.h>
#include <unistd.h>

/* What one layer holds, from its tar. */
struct shape {
    struct ol_layer_result result;
    uint64_t setuid, payload;
    struct ol_model *model; /* borrowed */
};

static int look(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    struct shape *s = data;

    s->setuid += (entry->mode & 04000) != 0 ? 1 : 0;
    s->payload += entry->size;
    assert_int_equal(entry->uid, 0);
    assert_int_equal(entry->gid, 0);
    return ol_model_add(s->model, entry, err);
}

static void scan(struct ol_image *image, size_t index, struct ol_model *model, struct shape *ret)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_image_stream stream;

    *ret = (struct shape){.model = model};
    assert_ok(ol_model_begin_layer(model, &err), &err);
    assert_ok(ol_image_layer_open(image, index, &stream, &err), &err);
    assert_ok(ol_layer_scan(&stream.input, NULL, look, ret, &ret->result, &err), &err);
    assert_ok(ol_image_layer_close(&stream, &err), &err);
}

static void builtin__is_shaped_like_a_small_debian(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_model_counts counts;
    struct ol_image *image = NULL;
    struct ol_model *model = NULL;
    struct shape shape;

    (void)state;
    assert_ok(ol_builtin_image_new(1, &image, &err), &err);
    assert_ok(ol_model_new(&model, &err), &err);
    assert_int_equal(ol_image_layer_count(image), 3);
    assert_string_equal(ol_image_source(image), "built-in (seed 1)");
    scan(image, 0, model, &shape);
    ol_model_counts(model, &counts);
    assert_in_range(counts.directories, 700, 850);
    assert_in_range(counts.regular, 5000, 5700);
    assert_in_range(counts.specials, 580, 700);
    assert_in_range(counts.regular_names - counts.regular, 4, 10);
    assert_in_range(shape.setuid, 4, 10);
    assert_in_range(shape.payload, 30 << 20, 60 << 20);
    scan(image, 1, model, &shape);
    assert_in_range(shape.result.entries, 450, 650);
    assert_int_equal(shape.result.opaques, 1);
    assert_in_range(shape.result.whiteouts, 12, 20);
    scan(image, 2, model, &shape);
    assert_in_range(shape.result.entries, 250, 400);
    assert_in_range(shape.result.whiteouts, 20, 40);
    ol_model_free(model);
    ol_image_free(image);
}

/* Pinned: the same seed has to give the same bytes on every machine and in every release. */
static void builtin__is_reproducible_to_the_byte(void **state)
{
    static const char *const digests[] = {
        "sha256:851cf726bdee99cc1bea4e8c910a2a318de73ee2a226f14d492ec5631a7fdf05",
        "sha256:95414493b9157973a2a36f0b4c83c6553263c1de04993576eb171e96f96f75f6",
        "sha256:19954d8e2f2e616272087aa01a6651c9bb1005cce6600b2fb15e1bd373782f01",
    };
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_image *image = NULL;
    struct ol_model *model = NULL;
    struct shape shape;

    (void)state;
    assert_ok(ol_builtin_image_new(1, &image, &err), &err);
    assert_ok(ol_model_new(&model, &err), &err);
    for (size_t i = 0; i < OL_ARRAY_LEN(digests); i++) {
        scan(image, i, model, &shape);
        assert_string_equal(shape.result.diff_id, digests[i]);
    }
    ol_model_free(model);
    ol_image_free(image);
    assert_ok(ol_builtin_image_new(2, &image, &err), &err);
    assert_ok(ol_model_new(&model, &err), &err);
    scan(image, 0, model, &shape);
    assert_string_not_equal(shape.result.diff_id, digests[0]);
    ol_model_free(model);
    ol_image_free(image);
}

static void builtin__reader_may_stop_early(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_image *image = NULL;
    struct ol_image_stream stream;
    char block[512];

    (void)state;
    assert_ok(ol_builtin_image_new(1, &image, &err), &err);
    assert_ok(ol_image_layer_open(image, 0, &stream, &err), &err);
    assert_int_equal(ol_io_read(stream.input.fd, block, sizeof block), sizeof block);
    assert_ok(ol_image_layer_close(&stream, &err), &err);
    ol_image_free(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builtin__is_shaped_like_a_small_debian),
        cmocka_unit_test(builtin__is_reproducible_to_the_byte),
        cmocka_unit_test(builtin__reader_may_stop_early),
    };
    return cmocka_run_group_tests_name("builtin", tests, NULL, NULL);
}
