/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a snapshot's mount is (containerd overlay.go, mounts, with the option order of 1.6), and
 * mounting it.
 *
 *   no parent             bind of its own fs, rw or ro
 *   view of one parent    bind of the parent's fs, ro
 *   else                  overlay; lowerdir nearest parent first, upperdir unless a view
 */
#include "drivers/snapshot/internal.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fault.h"
#include "common/mount/mount.h"
#include "common/mount/overlay.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

void ol_snapshot_mount_fini(struct ol_snapshot_mount *mount)
{
    for (size_t i = 0; i < mount->n_options; i++)
        free(mount->options[i]);
    free(mount->options);
    free(mount->type);
    free(mount->source);
    *mount = (struct ol_snapshot_mount){0};
}

/* Takes option over, also on failure; NULL is out of memory. */
static int add_option(struct ol_snapshot_mount *mount, char *option)
{
    char **grown = option != NULL
                       ? reallocarray(mount->options, mount->n_options + 2, sizeof *grown)
                       : NULL;

    if (grown == NULL) {
        free(option);
        return -ENOMEM;
    }
    mount->options = grown;
    grown[mount->n_options++] = option;
    grown[mount->n_options] = NULL;
    return 0;
}

/* "<key><dir>/<id>/<sub>" */
static char *path_option(const struct ol_snapshots *sn, const char *key, uint64_t id,
                         const char *sub)
{
    char *text;

    return asprintf(&text, "%s%s/%" PRIu64 "/%s", key, sn->dir, id, sub) < 0 ? NULL : text;
}

static int bind_mount(const struct ol_snapshots *sn, uint64_t id, const char *access,
                      struct ol_snapshot_mount *ret)
{
    ret->type = strdup("bind");
    ret->source = path_option(sn, "", id, "fs");
    if (ret->type == NULL || ret->source == NULL || add_option(ret, strdup(access)) < 0)
        return -ENOMEM;
    return add_option(ret, strdup("rbind"));
}

static char *lower_option(const struct ol_snapshots *sn, const struct ol_meta_snapshot *snapshot)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;

    for (size_t i = 0; i < snapshot->n_parents; i++) {
        if (ol_buf_printf(&text, "%s%s/%" PRIu64 "/fs", i == 0 ? "lowerdir=" : ":", sn->dir,
                          snapshot->parents[i]) < 0)
            return NULL;
    }
    return ol_buf_steal(&text);
}

static int overlay_mount(const struct ol_snapshots *sn, const struct ol_meta_snapshot *snapshot,
                         struct ol_snapshot_mount *ret)
{
    int r = 0;

    ret->type = strdup("overlay");
    ret->source = strdup("overlay");
    if (ret->type == NULL || ret->source == NULL)
        return -ENOMEM;
    if (sn->index_off)
        r = add_option(ret, strdup("index=off"));
    if (r == 0 && sn->userxattr)
        r = add_option(ret, strdup("userxattr"));
    if (snapshot->kind == OL_SNAPSHOT_ACTIVE) {
        if (r == 0)
            r = add_option(ret, path_option(sn, "workdir=", snapshot->id, "work"));
        if (r == 0)
            r = add_option(ret, path_option(sn, "upperdir=", snapshot->id, "fs"));
    }
    return r < 0 ? r : add_option(ret, lower_option(sn, snapshot));
}

int ol_snapshot_mount_of(const struct ol_snapshots *sn, const struct ol_meta_snapshot *snapshot,
                         struct ol_snapshot_mount *ret, struct ol_error *err)
{
    ol_auto_snapshot_mount struct ol_snapshot_mount mount = {0};
    bool view = snapshot->kind == OL_SNAPSHOT_VIEW;
    int r;

    if (snapshot->n_parents == 0)
        r = bind_mount(sn, snapshot->id, view ? "ro" : "rw", &mount);
    else if (view && snapshot->n_parents == 1)
        r = bind_mount(sn, snapshot->parents[0], "ro", &mount);
    else
        r = overlay_mount(sn, snapshot, &mount);
    if (r < 0)
        return ol_error_nomem(err);
    *ret = mount;
    mount = (struct ol_snapshot_mount){0};
    return 0;
}

/* ---- mounting ---- */

/* A read-only remount must repeat what the file system's mount has: in a user namespace those flags
 * are locked. */
static unsigned long inherited_flags(const char *target)
{
    static const struct {
        unsigned long from, to;
    } flags[] = {
        {ST_NOSUID, MS_NOSUID},   {ST_NODEV, MS_NODEV},           {ST_NOEXEC, MS_NOEXEC},
        {ST_NOATIME, MS_NOATIME}, {ST_NODIRATIME, MS_NODIRATIME}, {ST_RELATIME, MS_RELATIME},
    };
    unsigned long found = 0;
    struct statvfs st;

    if (statvfs(target, &st) < 0)
        return 0; /* the remount then says what is wrong */
    for (size_t i = 0; i < OL_ARRAY_LEN(flags); i++)
        found |= (st.f_flag & flags[i].from) != 0 ? flags[i].to : 0;
    return found;
}

static int mount_bind(const struct ol_snapshot_mount *m, const char *target, struct ol_error *err)
{
    bool read_only = false;
    int r;

    for (size_t i = 0; i < m->n_options; i++)
        read_only = read_only || strcmp(m->options[i], "ro") == 0;
    if (ol_fault_hit("mount.bind") || mount(m->source, target, NULL, MS_BIND | MS_REC, NULL) < 0)
        return ol_error_sys(err, errno, "cannot bind '%s' to '%s'", m->source, target);
    if (!read_only)
        return 0;
    if (!ol_fault_hit("mount.remount") &&
        mount(NULL, target, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | inherited_flags(target),
              NULL) == 0)
        return 0;
    r = ol_error_sys(err, errno, "cannot make '%s' read-only", target);
    (void)ol_mount_detach(target, NULL); /* report the first error */
    return r;
}

/* An overlay's options taken apart. */
struct parts {
    char *text;          /* owned; the lowers are cut out of it */
    const char **lowers; /* owned */
    size_t n_lowers;
    const char *upper, *work;
    bool index_off, userxattr;
};

static void parts_fini(struct parts *parts)
{
    free(parts->text);
    free(parts->lowers);
}
#define auto_parts __attribute__((cleanup(parts_fini)))

static int split_lowers(struct parts *parts, const char *text)
{
    char *save = NULL;
    size_t n = 1;

    for (const char *c = text; *c != '\0'; c++)
        n += *c == ':';
    parts->text = strdup(text);
    parts->lowers = calloc(n, sizeof *parts->lowers);
    if (parts->text == NULL || parts->lowers == NULL)
        return -ENOMEM;
    for (char *name = strtok_r(parts->text, ":", &save); name != NULL;
         name = strtok_r(NULL, ":", &save))
        parts->lowers[parts->n_lowers++] = name;
    return 0;
}

static int take_option(struct parts *parts, const char *option, struct ol_error *err)
{
    const char *value = strchr(option, '=');

    value = value != NULL ? value + 1 : "";
    if (strcmp(option, "index=off") == 0)
        parts->index_off = true;
    else if (strcmp(option, "userxattr") == 0)
        parts->userxattr = true;
    else if (strncmp(option, "upperdir=", 9) == 0)
        parts->upper = value;
    else if (strncmp(option, "workdir=", 8) == 0)
        parts->work = value;
    else if (strncmp(option, "lowerdir=", 9) == 0)
        return split_lowers(parts, value) < 0 ? ol_error_nomem(err) : 0;
    else
        return ol_error_set(err, -EINVAL, "mount option '%s' is not known", option);
    return 0;
}

/* Length of the directory that all names are below, without the slash behind it. */
static size_t common_dir(const struct parts *parts)
{
    size_t len = strlen(parts->lowers[0]);
    const char *const others[] = {parts->upper, parts->work};

    for (size_t i = 1; i < parts->n_lowers + 2; i++) {
        const char *name = i < parts->n_lowers ? parts->lowers[i] : others[i - parts->n_lowers];
        size_t same = 0;

        if (name == NULL)
            continue;
        while (same < len && name[same] == parts->lowers[0][same])
            same++;
        len = same;
    }
    while (len > 0 && (parts->lowers[0][len - 1] != '/' || parts->lowers[0][len] == '\0'))
        len--;
    return len > 0 ? len - 1 : 0;
}

static int mount_overlay(const struct ol_snapshot_mount *m, const char *target,
                         struct ol_error *err)
{
    auto_parts struct parts parts = {0};
    ol_auto_free char *base = NULL;
    struct ol_overlay_spec spec = {.target = target};
    size_t len;
    int r = 0;

    for (size_t i = 0; i < m->n_options && r == 0; i++)
        r = take_option(&parts, m->options[i], err);
    if (r < 0)
        return r;
    if (parts.n_lowers == 0)
        return ol_error_set(err, -EINVAL, "an overlay mount needs a lower directory");
    len = common_dir(&parts);
    base = strndup(parts.lowers[0], len);
    if (base == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < parts.n_lowers; i++)
        parts.lowers[i] += len + 1;
    spec.base = base;
    spec.lowers = parts.lowers;
    spec.n_lowers = parts.n_lowers;
    spec.upper = parts.upper != NULL ? parts.upper + len + 1 : NULL;
    spec.work = parts.work != NULL ? parts.work + len + 1 : NULL;
    spec.index_off = parts.index_off;
    spec.userxattr = parts.userxattr;
    return ol_overlay_mount(&spec, err);
}

int ol_snapshot_mount_at(const struct ol_snapshot_mount *mount, const char *target,
                         struct ol_error *err)
{
    if (target[0] != '/')
        return ol_error_set(err, -EINVAL, "mount target '%s' is not an absolute path", target);
    if (strcmp(mount->type, "bind") == 0)
        return mount_bind(mount, target, err);
    if (strcmp(mount->type, "overlay") == 0)
        return mount_overlay(mount, target, err);
    return ol_error_set(err, -EINVAL, "mounts of type '%s' are not known", mount->type);
}
