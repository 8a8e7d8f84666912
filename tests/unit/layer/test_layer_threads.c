/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads change nothing: random archives full of names that meet again - as files, directories,
 * symlinks to each other, hard links, whiteouts - give the same tree, or the same error, with
 * writer threads and without.
 */
#include "layer_fixture.h"
#include "random_archive.h"

#include "common/buf.h"
#include "common/fs/tree.h"

#include <errno.h>
#include <unistd.h>

enum { ROUNDS = 40 };

static int describe(const struct ol_walk_entry *e, void *data, struct ol_error *err)
{
    struct ol_buf *text = data;
    const struct stat *st = e->st;

    (void)err;
    /* implied directories and overlay whiteouts have the time of their making */
    return ol_buf_printf(text, "%s %o %u %jd %jd\n", e->path, st->st_mode,
                         S_ISDIR(st->st_mode) ? 0 : (unsigned)st->st_nlink,
                         S_ISDIR(st->st_mode) ? 0 : (intmax_t)st->st_size,
                         S_ISREG(st->st_mode) || S_ISLNK(st->st_mode) ? (intmax_t)st->st_mtim.tv_sec
                                                                      : 0);
}

/* The result of one run: "-17" or the tree. */
static char *run(struct layer_fixture *f, uint64_t seed, unsigned wildness, unsigned threads)
{
    struct ol_buf text = OL_BUF_INIT;
    int r;

    f->options.threads = threads;
    random_archive_make(&f->tar, seed, wildness);
    r = layer_apply(f);
    if (r < 0)
        assert_int_equal(ol_buf_printf(&text, "%d", r), 0);
    else
        assert_ok(ol_tree_walk(f->root_fd, describe, &text, &f->err), &f->err);
    layer_clear(f);
    return ol_buf_steal(&text);
}

static void same_with_threads(struct layer_fixture *f, enum ol_layer_target target,
                              unsigned wildness)
{
    unsigned worked = 0;

    f->options.target = target;
    f->options.ns = OL_OVERLAY_USER;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t seed = 0x9e3779b97f4a7c15u * (i + 1) + wildness;
        ol_auto_free char *alone = run(f, seed, wildness, 1);
        ol_auto_free char *together = run(f, seed, wildness, 4);
        if (strcmp(alone, together) != 0)
            fail_msg("round %u (%s):\nalone:\n%s\ntogether:\n%s", i, ol_error_text(&f->err), alone,
                     together);
        worked += alone[0] != '-';
    }
    print_message("%u of %u archives could be applied\n", worked, (unsigned)ROUNDS);
    assert_true(worked > 0); /* or it would compare nothing but errors */
}

static void layer_threads__same_trees(void **state)
{
    same_with_threads(*state, OL_LAYER_TREE, 0);
}

static void layer_threads__same_trees_with_symlinks(void **state)
{
    same_with_threads(*state, OL_LAYER_TREE, 1);
}

static void layer_threads__same_trees_with_all_links(void **state)
{
    same_with_threads(*state, OL_LAYER_TREE, 2);
}

static void layer_threads__same_uppers(void **state)
{
    OL_REQUIRE(can_user_xattr, "opaque marks need user attributes");
    same_with_threads(*state, OL_LAYER_UPPER, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, layer_setup, layer_teardown)
    const struct CMUnitTest tests[] = {
        TEST(layer_threads__same_trees),
        TEST(layer_threads__same_trees_with_symlinks),
        TEST(layer_threads__same_trees_with_all_links),
        TEST(layer_threads__same_uppers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
