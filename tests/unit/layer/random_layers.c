/* SPDX-License-Identifier: Apache-2.0 */
#include "random_layers.h"

#include "common/buf.h"
#include "common/fs/whiteout.h"
#include "common/layer/changes.h"
#include "support/support.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t below(uint64_t *s, uint64_t n)
{
    return random_next(s) % n;
}

/* One of few owners, modes and times, so that layers often agree. */
static void draw_attributes(int dir_fd, const char *name, bool symlink, uint64_t *s)
{
    const time_t sec = 1600000000 + (time_t)below(s, 2); /* one draw for each statement: C leaves
                                                            the order within one open */
    const struct timespec when = {sec, below(s, 2) ? 0 : 5};
    const struct timespec times[2] = {when, when};

    assert_int_equal(fchownat(dir_fd, name, (uid_t)below(s, 2), 0, AT_SYMLINK_NOFOLLOW), 0);
    if (!symlink)
        assert_int_equal(fchmodat(dir_fd, name, below(s, 2) ? 0755 : 0700, 0), 0);
    assert_int_equal(utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void draw_object(int dir_fd, const char *name, unsigned depth, bool overlay, uint64_t *s);

static void draw_directory(int dir_fd, unsigned depth, bool overlay, uint64_t *s)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "a-b", "f"};

    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++)
        if (below(s, 2) == 0)
            draw_object(dir_fd, names[i], depth, overlay, s);
}

static void draw_subdirectory(int dir_fd, const char *name, unsigned depth, bool overlay,
                              uint64_t *s)
{
    ol_auto_fd int fd = -1;

    assert_int_equal(mkdirat(dir_fd, name, 0755), 0);
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    if (overlay && below(s, 4) == 0)
        assert_int_equal(ol_whiteout_set_opaque(fd, OL_OVERLAY_TRUSTED), 0);
    if (depth < 4)
        draw_directory(fd, depth + 1, overlay, s);
}

static void draw_object(int dir_fd, const char *name, unsigned depth, bool overlay, uint64_t *s)
{
    uint64_t kind = below(s, overlay ? 12 : 10);

    switch (kind) {
    case 0:
    case 1:
    case 2:
        test_write(dir_fd, name, below(s, 2) ? "abc" : "abcd");
        break;
    case 3:
        test_symlink(dir_fd, below(s, 2) ? "x" : "yy", name);
        break;
    case 4:
        assert_int_equal(mknodat(dir_fd, name, S_IFIFO | 0600, 0), 0);
        break;
    case 5:
        assert_int_equal(
            mknodat(dir_fd, name, below(s, 2) ? S_IFCHR | 0600 : S_IFBLK | 0600, makedev(1, 3)), 0);
        break;
    case 10:
    case 11:
        assert_int_equal(ol_whiteout_make(dir_fd, name), 0);
        return;
    default:
        draw_subdirectory(dir_fd, name, depth, overlay, s);
    }
    draw_attributes(dir_fd, name, kind == 3, s);
}

void random_layer_draw(int dir_fd, uint64_t seed, bool overlay)
{
    uint64_t state = seed;

    draw_directory(dir_fd, 0, overlay, &state);
}

char *changes_text(const struct ol_changes *changes)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;

    for (size_t i = 0; i < changes->count; i++)
        assert_int_equal(ol_buf_printf(&text, "%c %s\n", "CAD"[changes->items[i].kind],
                                       changes -> items[i].path),
                         0);
    return ol_buf_steal(&text);
}
