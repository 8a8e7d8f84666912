/* SPDX-License-Identifier: Apache-2.0 */
/* A layer has few owners, a hostile tree as many as inodes: a hash table for each kind. */
#include "common/layer/owner_names.h"

#include "common/buf.h"
#include "common/cleanup.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

enum {
    RECORD_MIN = 1024,    /* bytes of one entry of the database, first try */
    RECORD_MAX = 1 << 20, /* and last; Go's os/user stops there too */
};

struct known {
    char *name; /* owned; NULL: a free slot */
    uint32_t id;
};

/* Users, or groups. */
struct kind {
    const char *what;
    /* 0 or errno; *ret "" when there is no such id */
    int (*ask)(uint32_t id, char *buffer, size_t len, const char **ret);
    struct known *slots; /* owned; cap of them, a power of two or 0 */
    size_t cap, count;
};

struct ol_owner_names {
    struct kind users, groups;
};

static int ask_user(uint32_t id, char *buffer, size_t len, const char **ret)
{
    struct passwd entry;
    struct passwd *found = NULL;
    int code = getpwuid_r(id, &entry, buffer, len, &found);

    *ret = found == NULL ? "" : entry.pw_name;
    return code;
}

static int ask_group(uint32_t id, char *buffer, size_t len, const char **ret)
{
    struct group entry;
    struct group *found = NULL;
    int code = getgrgid_r(id, &entry, buffer, len, &found);

    *ret = found == NULL ? "" : entry.gr_name;
    return code;
}

int ol_owner_names_new(struct ol_owner_names **ret, struct ol_error *err)
{
    struct ol_owner_names *names = calloc(1, sizeof *names);

    if (names == NULL)
        return ol_error_nomem(err);
    names->users = (struct kind){.what = "user", .ask = ask_user};
    names->groups = (struct kind){.what = "group", .ask = ask_group};
    *ret = names;
    return 0;
}

static void kind_fini(struct kind *kind)
{
    for (size_t i = 0; i < kind->cap; i++)
        free(kind->slots[i].name);
    free(kind->slots);
}

void ol_owner_names_free(struct ol_owner_names *names)
{
    if (names == NULL)
        return;
    kind_fini(&names->users);
    kind_fini(&names->groups);
    free(names);
}

/* The slot of id, or the free one where it belongs. */
static struct known *slot_for(struct known *slots, size_t cap, uint32_t id)
{
    size_t i = (id * 0x9e3779b97f4a7c15u >> 32) & (cap - 1);

    while (slots[i].name != NULL && slots[i].id != id)
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

static int grow(struct kind *kind, struct ol_error *err)
{
    size_t cap = kind->cap == 0 ? 64 : kind->cap * 2;
    struct known *slots = calloc(cap, sizeof *slots);

    if (slots == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < kind->cap; i++)
        if (kind->slots[i].name != NULL)
            *slot_for(slots, cap, kind->slots[i].id) = kind->slots[i];
    free(kind->slots);
    kind->slots = slots;
    kind->cap = cap;
    return 0;
}

/* The database's answer, owned by the caller. "Not there" has several spellings (getpwnam(3)). */
static int ask(const struct kind *kind, uint32_t id, char **ret, struct ol_error *err)
{
    for (size_t len = RECORD_MIN; len <= RECORD_MAX; len *= 2) {
        ol_auto_free char *buffer = malloc(len);
        const char *name = "";
        int code = buffer == NULL ? ENOMEM : kind->ask(id, buffer, len, &name);

        if (code == ERANGE)
            continue;
        if (code != 0 && code != ENOENT && code != ESRCH)
            return ol_error_sys(err, code, "cannot look up %s %u in the host's database",
                                kind->what, id);
        *ret = strdup(name);
        return *ret == NULL ? ol_error_nomem(err) : 0;
    }
    return ol_error_set(err, -E2BIG, "the host's database has more than %d bytes on %s %u",
                        RECORD_MAX, kind->what, id);
}

static int find(struct kind *kind, uint32_t id, const char **ret, struct ol_error *err)
{
    struct known *slot;
    int r = kind->count >= kind->cap / 2 ? grow(kind, err) : 0;

    if (r < 0)
        return r;
    slot = slot_for(kind->slots, kind->cap, id);
    if (slot->name == NULL) {
        r = ask(kind, id, &slot->name, err);
        if (r < 0)
            return r;
        slot->id = id;
        kind->count++;
    }
    *ret = slot->name;
    return 0;
}

int ol_owner_names_user(struct ol_owner_names *names, uint32_t uid, const char **ret,
                        struct ol_error *err)
{
    return find(&names->users, uid, ret, err);
}

int ol_owner_names_group(struct ol_owner_names *names, uint32_t gid, const char **ret,
                         struct ol_error *err)
{
    return find(&names->groups, gid, ret, err);
}
