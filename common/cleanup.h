/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owners: ol_auto_* release what a function owns when it returns, and keep errno. Ownership leaves
 * through ol_fd_steal() and ol_ptr_steal().
 */
#ifndef OL_COMMON_CLEANUP_H
#define OL_COMMON_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/** Close *fd if it is open and set it to -1; keeps errno. */
static inline void ol_fd_close(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        (void)close(*fd); /* nothing was written through it that close could still lose */
        errno = saved;
    }
    *fd = -1;
}

static inline void ol_ptr_free(void *p)
{
    int saved = errno;
    free(*(void **)p);
    *(void **)p = NULL;
    errno = saved;
}

static inline void ol_dir_close(DIR **dir)
{
    int saved = errno;
    if (*dir != NULL)
        (void)closedir(*dir); /* read-only stream */
    *dir = NULL;
    errno = saved;
}

static inline void ol_file_close(FILE **file)
{
    int saved = errno;
    if (*file != NULL)
        (void)fclose(*file); /* writers check with fflush and ferror first */
    *file = NULL;
    errno = saved;
}

#define ol_auto_fd   __attribute__((cleanup(ol_fd_close)))
#define ol_auto_free __attribute__((cleanup(ol_ptr_free)))
#define ol_auto_dir  __attribute__((cleanup(ol_dir_close)))
#define ol_auto_file __attribute__((cleanup(ol_file_close)))

/** Take the descriptor out of its owner. */
static inline int ol_fd_steal(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/** Take the pointer out of its owner; the type stays. */
#define ol_ptr_steal(p)                                                                            \
    __extension__({                                                                                \
        __typeof__(p) ol_taken_ = (p);                                                             \
        (p) = NULL;                                                                                \
        ol_taken_;                                                                                 \
    })

#define OL_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
