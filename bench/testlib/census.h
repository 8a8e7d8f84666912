/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is new in a driver's home since it was last looked at, beyond the numbers of an engine's
 * usage(): which directories hold the new inodes, and which old inodes got new names. Told by
 * paths: inode numbers are used again by some file systems as soon as they are free.
 */
#ifndef OL_BENCH_TESTLIB_CENSUS_H
#define OL_BENCH_TESTLIB_CENSUS_H

#include "common/error.h"
#include "common/layer/seen.h"

#include <stdint.h>

enum { OL_TEST_CENSUS_TOP = 5 };

/* A directory of the home, and the new inodes directly in it. */
struct ol_test_census_dir {
    char *path; /* owned; relative to the home, "" for the home itself */
    uint64_t inodes;
};

struct ol_test_census_news {
    struct ol_test_census_dir top[OL_TEST_CENSUS_TOP]; /* most first; unused ones have no path */
    uint64_t shared; /* distinct inodes that were there and have a new name, directories aside */
};
void ol_test_census_news_fini(struct ol_test_census_news *news);
/** Put from's directories and numbers to those of to. @return 0 or -ENOMEM */
int ol_test_census_news_add(struct ol_test_census_news *to, const struct ol_test_census_news *from);

struct ol_test_census {
    struct ol_seen paths; /* all there were when last looked at */
    uint64_t cached;      /* whiteouts kept in layers' work/work that have no other name */
};
#define OL_TEST_CENSUS_INIT                                                                        \
    {                                                                                              \
        .cached = 0                                                                                \
    }
void ol_test_census_fini(struct ol_test_census *census);

/**
 * Look at the home again. What is mounted in it is not entered.
 * @param ret  what is new; ol_test_census_news_fini() it. NULL: do not ask
 * @return 0 or negative errno; on failure the census is as it was
 */
int ol_test_census_take(struct ol_test_census *census, int home_fd, struct ol_test_census_news *ret,
                        struct ol_error *err);

#endif
