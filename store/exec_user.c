/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "user[:group]" of an image, looked up in the container's own files (runc libcontainer/user). The
 * C library's functions would load the host's name services.
 */
#include "store/exec_internal.h"

#include "common/cleanup.h"
#include "common/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GROUPS_MAX = 1024 };

static bool parse_id(const char *text, unsigned *ret)
{
    char *end = NULL;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value >= UINT32_MAX)
        return false;
    *ret = (unsigned)value;
    return true;
}

/* A file of the container; *ret is NULL when it has none. */
static int open_file(const char *path, FILE **ret, struct ol_error *err)
{
    ol_auto_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? 0
                   : ol_error_sys(err, errno, "cannot read '%s' of the container", path);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > OL_SMALL_FILE_MAX)
        return ol_error_set(err, -EINVAL, "'%s' of the container is no file of at most %d bytes",
                            path, OL_SMALL_FILE_MAX);
    *ret = fdopen(fd, "r");
    if (*ret == NULL)
        return ol_error_nomem(err);
    (void)ol_fd_steal(&fd); /* the stream's now */
    return 0;
}

/* Names that are numbers are ids when nobody is called so. */
struct account {
    const char *name; /* as asked for */
    unsigned id;      /* of it, once found */
    bool numeric;
    bool found;
};

static void account_init(struct account *account, const char *name)
{
    *account = (struct account){.name = name};
    account->numeric = parse_id(name, &account->id);
}

static int look_up_user(struct account *account, struct ol_exec_user *user, char **ret_name,
                        struct ol_error *err)
{
    ol_auto_file FILE *file = NULL;
    const struct passwd *entry;
    int r = open_file("/etc/passwd", &file, err);

    while (r == 0 && file != NULL && !account->found && (entry = fgetpwent(file)) != NULL) {
        bool same = strcmp(entry->pw_name, account->name) == 0 ||
                    (account->numeric && entry->pw_uid == account->id);

        if (!same)
            continue;
        account->found = true;
        account->id = entry->pw_uid;
        user->gid = entry->pw_gid;
        *ret_name = strdup(entry->pw_name);
        if (*ret_name == NULL || ol_buf_puts(&user->home, entry->pw_dir) < 0)
            r = ol_error_nomem(err);
    }
    if (r == 0 && !account->found && !account->numeric)
        r = ol_error_set(err, -ENOENT, "the container has no user '%s'", account->name);
    user->uid = account->id;
    return r;
}

static int add_group(struct ol_exec_user *user, gid_t gid, struct ol_error *err)
{
    gid_t *grown;

    if (user->n_groups >= GROUPS_MAX)
        return ol_error_set(err, -E2BIG, "the user is in more than %d groups", GROUPS_MAX);
    grown = reallocarray(user->groups, user->n_groups + 1, sizeof *grown);
    if (grown == NULL)
        return ol_error_nomem(err);
    grown[user->n_groups++] = gid;
    user->groups = grown;
    return 0;
}

static bool is_member(const struct group *group, const char *name)
{
    for (char **member = group->gr_mem; name != NULL && *member != NULL; member++)
        if (strcmp(*member, name) == 0)
            return true;
    return false;
}

/* The group asked for, or, when none was, all those the user is a member of. */
static int look_up_groups(struct account *account, const char *user_name, struct ol_exec_user *user,
                          struct ol_error *err)
{
    ol_auto_file FILE *file = NULL;
    const struct group *entry;
    int r = open_file("/etc/group", &file, err);

    while (r == 0 && file != NULL && (entry = fgetgrent(file)) != NULL) {
        if (account == NULL) {
            if (is_member(entry, user_name))
                r = add_group(user, entry->gr_gid, err);
            continue;
        }
        if (!account->found && (strcmp(entry->gr_name, account->name) == 0 ||
                                (account->numeric && entry->gr_gid == account->id))) {
            account->found = true;
            account->id = entry->gr_gid;
        }
    }
    if (r == 0 && account != NULL && !account->found && !account->numeric)
        r = ol_error_set(err, -ENOENT, "the container has no group '%s'", account->name);
    if (account != NULL)
        user->gid = account->id;
    return r;
}

/* Files of the container may hold (uid_t)-1, which to setresuid(2) is "as it is": root. */
static int check_ids(const struct ol_exec_user *user, const char *text, struct ol_error *err)
{
    bool is_none = user->gid == UINT32_MAX;

    for (size_t i = 0; i < user->n_groups; i++)
        is_none = is_none || user->groups[i] == UINT32_MAX;
    if (user->uid == UINT32_MAX || is_none)
        return ol_error_set(err, -EINVAL, "%u of '%s' is no %s id", UINT32_MAX, text,
                            user->uid == UINT32_MAX ? "user" : "group");
    return 0;
}

int ol_exec_user_find(const char *text, struct ol_exec_user *ret, struct ol_error *err)
{
    ol_auto_free char *copy = strdup(text[0] != '\0' ? text : "0");
    ol_auto_free char *name = NULL;
    struct account user;
    struct account group;
    char *colon;
    int r;

    if (copy == NULL)
        return ol_error_nomem(err);
    colon = strchr(copy, ':');
    if (colon != NULL)
        *colon++ = '\0';
    account_init(&user, copy[0] != '\0' ? copy : "0");
    r = look_up_user(&user, ret, &name, err);
    if (r == 0 && colon != NULL && colon[0] != '\0') {
        account_init(&group, colon);
        r = look_up_groups(&group, name, ret, err);
    } else if (r == 0)
        r = look_up_groups(NULL, name, ret, err);
    if (r == 0)
        r = check_ids(ret, text, err);
    if (r == 0 && ret->home.len == 0 && ol_buf_puts(&ret->home, "/") < 0)
        r = ol_error_nomem(err);
    return r;
}

void ol_exec_user_fini(struct ol_exec_user *user)
{
    free(user->groups);
    ol_buf_fini(&user->home);
}

/* In a user namespace with a single id setgroups(2) is forbidden, and root is all there is. */
int ol_exec_user_become(const struct ol_exec_user *user, struct ol_error *err)
{
    if (setgroups(user->n_groups, user->groups) < 0 && (errno != EPERM || user->uid != 0))
        return ol_error_sys(err, errno, "cannot take the groups of user %u", user->uid);
    if (setresgid(user->gid, user->gid, user->gid) < 0)
        return ol_error_sys(err, errno, "cannot become group %u", user->gid);
    if (setresuid(user->uid, user->uid, user->uid) < 0)
        return ol_error_sys(err, errno, "cannot become user %u", user->uid);
    return 0;
}
