/* SPDX-License-Identifier: Apache-2.0 */
#include "random_archive.h"

#include "support/support.h"

enum { ENTRIES = 400, NAMES = 6 };

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

static void add_random(struct tarball *tar, struct rng *rng, unsigned wildness)
{
    char content[4096];
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
    else {
        memset(content, (int)pick(rng, 256), sizeof content);
        tarball_add_bytes(tar, random_path(rng, 'f', path, sizeof path), content,
                          pick(rng, sizeof content));
    }
}

void random_archive_make(struct tarball *tar, uint64_t seed, unsigned wildness)
{
    struct rng rng = {seed};
    char *ballast = calloc(1, 1100000);

    assert_non_null(ballast);
    tarball_add_bytes(tar, "ballast", ballast, 1100000);
    for (unsigned i = pick(&rng, ENTRIES); i > 0; i--)
        add_random(tar, &rng, wildness);
    free(ballast);
}
