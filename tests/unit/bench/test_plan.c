/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "bench/workloads/workload.h"
#include "common/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct fixture {
    struct ol_model *model;
    struct ol_plan *plan;
    struct ol_error err;
};

static void add(struct fixture *f, enum ol_entry_type type, const char *path, const char *link)
{
    const struct ol_entry entry = {
        .path = path, .link = link, .type = type, .mode = type == OL_ENTRY_FILE ? 0644 : 0755};

    assert_ok(ol_model_add(f->model, &entry, &f->err), &f->err);
}

/* Forty files in four directories, and what must never be chosen. */
static void fill(struct fixture *f)
{
    char path[32];

    ol_model_free(f->model);
    f->model = NULL;
    assert_ok(ol_model_new(&f->model, &f->err), &f->err);
    assert_ok(ol_model_begin_layer(f->model, &f->err), &f->err);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(path, sizeof path, "usr/d%d/file%d", i % 4, i);
        add(f, OL_ENTRY_FILE, path, NULL);
    }
    add(f, OL_ENTRY_FILE, "etc/hosts", NULL);
    add(f, OL_ENTRY_FILE, "dev/tty", NULL);
    add(f, OL_ENTRY_FILE, "usr/twice", NULL);
    add(f, OL_ENTRY_HARDLINK, "usr/again", "usr/twice");
    add(f, OL_ENTRY_SYMLINK, "usr/link", "d0");
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    fill(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ol_plan_free(f->plan);
    ol_model_free(f->model);
    ol_error_fini(&f->err);
    free(f);
    return 0;
}

static int make(struct fixture *f, struct ol_change_mix mix, uint64_t bytes, uint64_t seed)
{
    ol_plan_free(f->plan);
    f->plan = NULL;
    return ol_plan_make(f->model, &mix, bytes, seed, &f->plan, &f->err);
}

static char *text_of(const struct ol_plan *plan)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;

    for (size_t i = 0; i < ol_plan_count(plan); i++) {
        const struct ol_op *op = ol_plan_op(plan, i);
        assert_int_equal(ol_buf_printf(&text, "%d %s %s %ju %jx %o\n", op->kind, op->path,
                                       op->target != NULL ? op->target : "-", (uintmax_t)op->size,
                                       (uintmax_t)op->content_seed, op->mode),
                         0);
    }
    return ol_buf_steal(&text);
}

static void mix__parses_what_is_named_and_zeroes_the_rest(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_change_mix mix;

    (void)state;
    assert_ok(ol_change_mix_parse("add=7,delete=2", &mix, &err), &err);
    assert_int_equal(mix.add, 7);
    assert_int_equal(mix.remove, 2);
    assert_int_equal(mix.modify + mix.rename + mix.chmod + mix.mkdir, 0);
    assert_ok(ol_change_mix_parse("symlink=3,link=4,replace=5", &mix, &err), &err);
    assert_int_equal(mix.symlink * 100 + mix.link * 10 + mix.replace, 345);
    assert_ok(ol_change_mix_parse("none", &mix, &err), &err);
    assert_int_equal(mix.add + mix.symlink + mix.link + mix.replace, 0);
    assert_int_equal(ol_change_mix_parse("add", &mix, &err), -EINVAL);
    assert_int_equal(ol_change_mix_parse("touch=1", &mix, &err), -EINVAL);
    assert_message(&err, "'touch'");
    assert_int_equal(ol_change_mix_parse("add=-1", &mix, &err), -EINVAL);
    assert_int_equal(ol_change_mix_parse("add=99999999999999999999", &mix, &err), -EINVAL);
    assert_int_equal(ol_change_mix_parse("add=1000001", &mix, &err), -E2BIG);
}

static void plan__is_the_same_for_the_same_seed_and_other_for_another(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *first = NULL;
    ol_auto_free char *second = NULL;
    ol_auto_free char *third = NULL;

    assert_ok(make(f, OL_CHANGE_MIX_DEFAULT, 100, 5), &f->err);
    first = text_of(f->plan);
    fill(f);
    assert_ok(make(f, OL_CHANGE_MIX_DEFAULT, 100, 5), &f->err);
    second = text_of(f->plan);
    fill(f);
    assert_ok(make(f, OL_CHANGE_MIX_DEFAULT, 100, 6), &f->err);
    third = text_of(f->plan);
    assert_string_equal(first, second);
    assert_string_not_equal(first, third);
    assert_int_equal(ol_plan_count(f->plan), 21);
}

static void plan__never_chooses_links_or_what_containers_override(void **state)
{
    struct fixture *f = *state;

    assert_ok(make(f, (struct ol_change_mix){.remove = 40}, 100, 1), &f->err);
    for (size_t i = 0; i < 40; i++)
        assert_int_equal(strncmp(ol_plan_op(f->plan, i)->path, "usr/d", 5), 0);
    fill(f);
    assert_int_equal(make(f, (struct ol_change_mix){.remove = 41}, 100, 1), -ENOENT);
    assert_message(&f->err, "has 40 regular files");
}

static bool lies_in(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    return path != NULL && strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static void plan__keeps_other_changes_out_of_replaced_directories(void **state)
{
    const struct ol_change_mix mix = {.add = 30, .remove = 9, .symlink = 9, .replace = 3};
    struct fixture *f = *state;
    size_t n;

    assert_ok(make(f, mix, 100, 1), &f->err);
    n = ol_plan_count(f->plan);
    for (size_t i = 0; i < n; i++) {
        const struct ol_op *replaced = ol_plan_op(f->plan, i);

        if (replaced->kind != OL_OP_REPLACE)
            continue;
        assert_true(lies_in(replaced->target, replaced->path));
        for (size_t k = 0; k < n; k++) {
            const struct ol_op *op = ol_plan_op(f->plan, k);

            assert_true(k == i || !lies_in(op->path, replaced->path));
            assert_true(k == i || !lies_in(op->target, replaced->path));
        }
    }
}

static void plan__replaces_only_directories_without_directories(void **state)
{
    struct fixture *f = *state;

    assert_ok(make(f, (struct ol_change_mix){.replace = 4}, 100, 1), &f->err);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(strncmp(ol_plan_op(f->plan, i)->path, "usr/d", 5), 0);
    fill(f);
    assert_int_equal(make(f, (struct ol_change_mix){.replace = 5}, 100, 1), -ENOENT);
    assert_message(&f->err, "has 4 directories");
}

static void plan__links_are_one_file_with_two_names(void **state)
{
    struct fixture *f = *state;
    struct ol_model_node node;

    assert_ok(make(f, (struct ol_change_mix){.link = 1}, 100, 1), &f->err);
    assert_true(ol_model_lookup(f->model, ol_plan_op(f->plan, 0)->path, &node));
    assert_int_equal(node.links, 2);
    assert_true(ol_model_lookup(f->model, ol_plan_op(f->plan, 0)->target, &node));
}

static void plan__applies_itself_to_the_model(void **state)
{
    struct fixture *f = *state;
    struct ol_model_counts before;
    struct ol_model_counts after;

    ol_model_counts(f->model, &before);
    assert_ok(make(f, OL_CHANGE_MIX_DEFAULT, 100, 9), &f->err);
    ol_model_counts(f->model, &after);
    assert_int_equal(after.regular, before.regular + 10 - 3);
    assert_int_equal(after.directories, before.directories + 1);
    assert_int_equal(after.written, 10 + 5 + 1 + 1);
    assert_int_equal(after.layer_whiteouts, 3 + 1);
}

/* The plan's layer never meets its own files again in a way the comparison could miss. */
static void plan__does_not_overwrite_what_an_earlier_one_wrote(void **state)
{
    struct fixture *f = *state;

    for (uint64_t commit = 0; commit < 6; commit++) {
        assert_ok(make(f, (struct ol_change_mix){.add = 20, .modify = 5}, 100, commit), &f->err);
        for (size_t i = 20; i < 25; i++)
            assert_null(strstr(ol_plan_op(f->plan, i)->path, "added"));
    }
}

static int64_t predicted(struct fixture *f, enum ol_law law)
{
    struct ol_inode_kinds kinds;

    ol_plan_predict(f->plan, law, &kinds);
    return ol_inode_kinds_total(&kinds);
}

static void plan__predicts_shared_whiteouts_and_parents_once(void **state)
{
    struct fixture *f = *state;

    /* four directories and usr itself come up, one whiteout inode serves all forty deletions */
    assert_ok(make(f, (struct ol_change_mix){.remove = 40}, 100, 1), &f->err);
    assert_int_equal(predicted(f, OL_LAW_OVERLAY), 5 + 1);
    assert_int_equal(predicted(f, OL_LAW_OVERLAY2), 5 + 1);
    assert_int_equal(predicted(f, OL_LAW_SNAPSHOT), 5 + 1);
    assert_int_equal(predicted(f, OL_LAW_VFS), -40);
    assert_int_equal(predicted(f, OL_LAW_NULL), 0);
    fill(f);
    /* a renamed lower file leaves a whiteout of its own; where it goes adds directories */
    assert_ok(make(f, (struct ol_change_mix){.rename = 40}, 100, 1), &f->err);
    assert_true(predicted(f, OL_LAW_OVERLAY) >= 5 + 80);
    assert_int_equal(predicted(f, OL_LAW_VFS), 0);
}

static void plan__writes_the_same_bytes_everywhere(void **state)
{
    struct fixture *f = *state;
    struct test_dir dir;
    struct ol_rootfs *fs = NULL;
    const struct ol_op *op;
    ol_auto_buf struct ol_buf content = OL_BUF_INIT;
    char digest[OL_DIGEST_SIZE];

    assert_ok(make(f, (struct ol_change_mix){.add = 1}, (3 << 20) + 5, 7), &f->err);
    op = ol_plan_op(f->plan, 0);
    test_dir_make(&dir);
    for (const char *p = op->path; (p = strchr(p, '/')) != NULL; p++) {
        ol_auto_free char *parent = strndup(op->path, (size_t)(p - op->path));
        test_mkdir(dir.fd, parent, 0755);
    }
    assert_ok(ol_rootfs_open_dir(fcntl(dir.fd, F_DUPFD_CLOEXEC, 0), &fs, &f->err), &f->err);
    assert_ok(ol_plan_run(f->plan, fs, &f->err), &f->err);
    assert_ok(ol_rootfs_read(fs, op->path, 4 << 20, &content, &f->err), &f->err);
    assert_int_equal(content.len, (3 << 20) + 5);
    assert_ok(ol_digest_of(content.data, content.len, digest, &f->err), &f->err);
    assert_string_equal(digest,
                        "sha256:03e4776640998be706ca6732db787cca1e736d5d8cdcd33d03dbc537230bb7d5");
    assert_ok(ol_rootfs_close(fs, &f->err), &f->err);
    test_dir_remove(&dir);
}

/* A path through a lower symlink: overlay2 has usr/link/through, a full tree usr/d0/through. */
static void plan__changes_only_what_every_driver_has(void **state)
{
    struct fixture *f = *state;
    char path[32];

    assert_ok(ol_model_begin_layer(f->model, &f->err), &f->err);
    for (int i = 0; i < 10; i++) {
        (void)snprintf(path, sizeof path, "usr/link/through%d", i);
        add(f, OL_ENTRY_FILE, path, NULL);
    }
    assert_true(ol_model_stacks_differ(f->model));
    assert_int_equal(make(f, (struct ol_change_mix){.modify = 41}, 100, 1), -ENOENT);
    assert_message(&f->err, "40 regular files");
    assert_ok(make(f, (struct ol_change_mix){.modify = 40}, 100, 1), &f->err);
    for (size_t i = 0; i < ol_plan_count(f->plan); i++)
        assert_null(strstr(ol_plan_op(f->plan, i)->path, "through"));
}

#define case_of(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mix__parses_what_is_named_and_zeroes_the_rest),
        case_of(plan__is_the_same_for_the_same_seed_and_other_for_another),
        case_of(plan__never_chooses_links_or_what_containers_override),
        case_of(plan__keeps_other_changes_out_of_replaced_directories),
        case_of(plan__replaces_only_directories_without_directories),
        case_of(plan__links_are_one_file_with_two_names),
        case_of(plan__applies_itself_to_the_model),
        case_of(plan__does_not_overwrite_what_an_earlier_one_wrote),
        case_of(plan__predicts_shared_whiteouts_and_parents_once),
        case_of(plan__writes_the_same_bytes_everywhere),
        case_of(plan__changes_only_what_every_driver_has),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
