/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads change nothing: random archives full of names that meet again - as files, directories,
 * symlinks to each other, hard links, whiteouts - give the same tree, or the same error, with
 * writer threads and without.
 */
#include "layer_fixture.h"

#include "common/buf.h"
#include "common/fs/tree.h"

#include <errno.h>
#include <unistd.h>

enum { ROUNDS = 40, ENTRIES = 400, NAMES = 6 };

struct rng {
    uint64_t state;
};

static unsigned pick(struct rng *rng, unsigned n)
{
    rng->state = rng->state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(rng->state >> 33) % n;
}

/* Few names, up to three deep: almost everything meets again. Directories are d0, d1…, the last
 * component has the given letter. */
static const char *random_path(struct rng *rng, char letter, char *path, size_t size)
{
    unsigned depth = pick(rng, 3);
    size_t len = 0;

    for (unsigned i = 0; i < depth; i++)
        len += (size_t)snprintf(path + len, size - len, "d%u/", pick(rng, NAMES));
    (void)snprintf(path + len, size - len, "%c%u", letter, pick(rng, NAMES));
    return path;
}

static void add_whiteout(struct tarball *tar, struct rng *rng, char letter)
{
    char path[64], whiteout[80];
    char *slash;

    random_path(rng, letter, path, sizeof path);
    slash = strrchr(path, '/');
    (void)snprintf(whiteout, sizeof whiteout, "%.*s.wh.%s",
                   slash != NULL ? (int)(slash - path + 1) : 0, path,
                   slash != NULL ? slash + 1 : path);
    tarball_add_file(tar, whiteout, "");
}

static void add_symlink(struct tarball *tar, struct rng *rng)
{
    char path[64], target[64];

    random_path(rng, 'd', path, sizeof path);
    (void)snprintf(target, sizeof target, "/d%u", pick(rng, NAMES));
    if (strcmp(path, target + 1) != 0)
        tarball_add_symlink(tar, path, target);
}

static void add_hardlink(struct tarball *tar, struct rng *rng)
{
    char path[64], target[64];

    random_path(rng, 'f', path, sizeof path);
    random_path(rng, 'f', target, sizeof target);
    tarball_add_hardlink(tar, path, target);
}

static void add_opaque(struct tarball *tar, struct rng *rng)
{
    char path[64], marker[80];

    (void)snprintf(marker, sizeof marker, "%s/.wh..wh..opq",
                   random_path(rng, 'd', path, sizeof path));
    tarball_add_file(tar, marker, "");
}

/* wildness 0: files, directories and whiteouts; 1: directories become symlinks; 2: hard links, and
 * now and then a file where a directory was. */
static void add_random(struct tarball *tar, struct rng *rng, unsigned wildness)
{
    static const char content[4096];
    char path[64];
    unsigned kind = pick(rng, 1000);

    if (kind < 20 && wildness > 0)
        add_symlink(tar, rng);
    else if (kind < 40 && wildness > 1)
        add_hardlink(tar, rng);
    else if (kind < 41 && wildness > 1)
        tarball_add_file(tar, random_path(rng, 'd', path, sizeof path), "was a directory");
    else if (kind < 150)
        add_whiteout(tar, rng, 'x'); /* of names that only exist below, as whiteouts do */
    else if (kind < 160 && wildness > 0)
        add_whiteout(tar, rng, 'f');
    else if (kind < 170)
        add_opaque(tar, rng);
    else if (kind < 400)
        tarball_add_dir_mode(tar, random_path(rng, 'd', path, sizeof path),
                             0700 | (int)pick(rng, 0100));
    else
        tarball_add_bytes(tar, random_path(rng, 'f', path, sizeof path), content,
                          pick(rng, sizeof content));
}

static void make_archive(struct tarball *tar, uint64_t seed, unsigned wildness)
{
    struct rng rng = {seed};
    char *ballast = calloc(1, 1100000);

    assert_non_null(ballast);
    tarball_add_bytes(tar, "ballast", ballast, 1100000);
    for (unsigned i = pick(&rng, ENTRIES); i > 0; i--)
        add_random(tar, &rng, wildness);
    free(ballast);
}

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
    make_archive(&f->tar, seed, wildness);
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
