/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short links. Lower directories are mounted as l/<26 characters> because mount(2) copies one page
 * of options: 128 of "l/" + 26 + ":" take 3712 of 4095 bytes, while ids of 64 digits with "/diff:"
 * would pass the page at 55 layers.
 */
#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/limits.h"
#include "common/trace.h"
#include "drivers/layers.h"
#include "drivers/overlay2/overlay2.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; /* RFC 4648 */

static bool is_short_name(const char *name, size_t len)
{
    return len == OVERLAY2_LINK_LEN && strspn(name, base32) >= len;
}

/* 17 random bytes in base32, the first 26 characters of it. */
static int random_name(char ret[static OVERLAY2_LINK_LEN + 1], struct ol_error *err)
{
    unsigned char bytes[(OVERLAY2_LINK_LEN * 5 + 7) / 8];
    unsigned bits = 0;
    unsigned n_bits = 0;
    size_t at = 0;

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return ol_error_sys(err, errno, "cannot get random bytes");
    for (size_t i = 0; i < OVERLAY2_LINK_LEN; i++) {
        if (n_bits < 5) {
            bits = (bits << 8 | bytes[at++]) & 0xfff;
            n_bits += 8;
        }
        n_bits -= 5;
        ret[i] = base32[bits >> n_bits & 31];
    }
    ret[OVERLAY2_LINK_LEN] = '\0';
    return 0;
}

int overlay2_link_make(struct overlay2 *o, const char *id, char ret[static OVERLAY2_LINK_LEN + 1],
                       struct ol_error *err)
{
    ol_auto_free char *target = NULL;
    int r = random_name(ret, err);

    if (r < 0)
        return r;
    if (asprintf(&target, "../%s/diff", id) < 0)
        return ol_error_nomem(err);
    return ol_fs_symlink(target, o->links_fd, ret, err);
}

int overlay2_link_read(int layer_fd, char ret[static OVERLAY2_LINK_LEN + 1], struct ol_error *err)
{
    ol_auto_buf struct ol_buf name = OL_BUF_INIT;
    int r = ol_fs_read_file(layer_fd, "link", OL_NAME_MAX, &name, err);

    if (r < 0)
        return r;
    if (!is_short_name(ol_buf_str(&name), name.len))
        return ol_error_set(err, -EUCLEAN, "its file 'link' does not hold a short name");
    memcpy(ret, name.data, OVERLAY2_LINK_LEN + 1);
    return 0;
}

/* "l/<name>" joined by ":", nothing else: the text goes into mount options. */
static bool lower_is_valid(const char *lower)
{
    for (;;) {
        size_t len = strcspn(lower, ":");
        if (len != OVERLAY2_LINK_LEN + 2 || lower[0] != 'l' || lower[1] != '/' ||
            !is_short_name(lower + 2, len - 2))
            return false;
        if (lower[len] == '\0')
            return true;
        lower += len + 1;
    }
}

int overlay2_lower_read(int layer_fd, struct ol_buf *ret, struct ol_error *err)
{
    ol_auto_buf struct ol_buf lower = OL_BUF_INIT;
    ol_auto_error struct ol_error read_err = OL_ERROR_INIT;
    int r = ol_fs_read_file(layer_fd, "lower", OL_SMALL_FILE_MAX, &lower, &read_err);

    if (r == -ENOENT)
        return 0; /* a base layer */
    if (r < 0) {
        ol_error_move(err, &read_err);
        return r;
    }
    if (strlen(ol_buf_str(&lower)) != lower.len || !lower_is_valid(ol_buf_str(&lower)))
        return ol_error_set(err, -EUCLEAN, "its file 'lower' is no list of short links");
    return ol_buf_puts(ret, lower.data) < 0 ? ol_error_nomem(err) : 0;
}

size_t overlay2_lower_count(const char *lower)
{
    size_t count = lower[0] != '\0' ? 1 : 0;

    for (; *lower != '\0'; lower++)
        count += *lower == ':';
    return count;
}

/* What link name points at, if it has the form "../<id>/diff"; NULL otherwise (errno is set). */
static char *read_target(int links_fd, const char *name)
{
    static const char head[] = "../";
    static const char tail[] = "/diff";
    char text[OL_ID_MAX + sizeof(head) + sizeof(tail)];
    ssize_t n = readlinkat(links_fd, name, text, sizeof(text));
    size_t id_len;

    if (n < 0)
        return NULL;
    errno = EUCLEAN;
    if ((size_t)n >= sizeof(text) || (size_t)n <= strlen(head) + strlen(tail))
        return NULL;
    text[n] = '\0';
    id_len = (size_t)n - strlen(head) - strlen(tail);
    if (strncmp(text, head, strlen(head)) != 0 || strcmp(text + strlen(head) + id_len, tail) != 0)
        return NULL;
    text[strlen(head) + id_len] = '\0';
    if (!ol_driver_id_valid(text + strlen(head)))
        return NULL;
    return strdup(text + strlen(head));
}

int overlay2_link_target(struct overlay2 *o, const char *entry, char **ret, struct ol_error *err)
{
    char *id = read_target(o->links_fd, entry + 2); /* after "l/": lower_read() checked it */

    if (id == NULL)
        return ol_error_sys(err, errno, "short link '%s' leads to no layer", entry);
    *ret = id;
    return 0;
}

int overlay2_links_clean(struct overlay2 *o, struct ol_error *err)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    int r = ol_dirents_read(&list, o->links_fd, false); /* nobody else reads it yet */

    if (r < 0)
        return ol_error_sys(err, -r, "cannot list the short links");
    for (size_t i = 0; i < list.count && r == 0; i++) {
        ol_auto_free char *id = read_target(o->links_fd, list.items[i].name);
        if (id == NULL || ol_layer_exists(o->mounted.base.home_fd, id))
            continue; /* not one of ours, or alive */
        ol_trace(OL_TRACE_DRIVER, "removing 'l/%s': layer '%s' is gone", list.items[i].name, id);
        r = ol_fs_unlink(o->links_fd, list.items[i].name, err);
    }
    return r;
}
