/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entering a user namespace; see view.h, ol_view_enter_userns(), and user_namespaces(7).
 *
 * The id maps are written once, by a process outside: a child made before unshare(2) waits, writes
 * them (as root) or runs newuidmap and newgidmap (subordinate ids), and says how it went. Without
 * ranges the process writes its own single id.
 */
#include "common/mount/userns.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/file.h"
#include "common/io.h"
#include "common/limits.h"
#include "common/mount/view.h"
#include "common/process.h"
#include "common/trace.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MAP_LINES_MAX = 340, /* the kernel's limit (user_namespaces(7)) */
    HELPER_TIMEOUT_MS = 10000,
};

/* One way to map ids, decided before the namespace is made. */
struct id_plan {
    bool as_root;       /* maps are written directly, by a process with CAP_SETUID */
    bool ranges;        /* newuidmap and newgidmap have ranges for us */
    struct ol_buf uids; /* lines of uid_map, or "0 uid 1 1 start count …" for newuidmap */
    struct ol_buf gids;
    uid_t uid;
    gid_t gid;
};

static void plan_fini(struct id_plan *plan)
{
    ol_buf_fini(&plan->uids);
    ol_buf_fini(&plan->gids);
}

#define auto_plan __attribute__((cleanup(plan_fini)))

bool ol_userns_has_cap(unsigned cap)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};

    if (syscall(SYS_capget, &header, data) < 0)
        return false;
    return (data[cap / 32].effective & (1u << (cap % 32))) != 0;
}

static int read_small(const char *path, struct ol_buf *buf)
{
    ol_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    char block[4096];
    ssize_t n;

    if (fd < 0)
        return -errno;
    while ((n = ol_io_read(fd, block, sizeof block)) > 0) {
        if (buf->len + (size_t)n > OL_SMALL_FILE_MAX)
            return -E2BIG;
        if (ol_buf_append(buf, block, (size_t)n) < 0)
            return -ENOMEM;
    }
    return (int)n;
}

/* --- what can be mapped --- */

/* "inside outside count" lines of our own map become identity lines of the new one. */
static int identity_map(const char *path, struct ol_buf *ret)
{
    ol_auto_buf struct ol_buf own = OL_BUF_INIT;
    const char *line;
    unsigned lines = 0;
    int r = read_small(path, &own);

    for (line = ol_buf_str(&own); r == 0 && *line != '\0' && lines < MAP_LINES_MAX; lines++) {
        const char *end = strchr(line, '\n');
        uint64_t inside, outside, count;

        if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64, &inside, &outside, &count) != 3)
            return -EBADMSG;
        r = ol_buf_printf(ret, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", inside, inside, count);
        line = end != NULL ? end + 1 : "";
    }
    return r;
}

/* Is this line of /etc/subuid ("name-or-id:start:count") ours, and a range? */
static bool parse_range(const char *line, const char *user, unsigned id, uint64_t *ret_start,
                        uint64_t *ret_count)
{
    const char *colon = strchr(line, ':');
    const char *end = strchr(line, '\n');
    size_t len = colon != NULL ? (size_t)(colon - line) : 0;
    char number[16];

    if (colon == NULL || (end != NULL && colon > end))
        return false;
    (void)snprintf(number, sizeof number, "%u", id); /* ten digits at most */
    if (!(strlen(number) == len && strncmp(line, number, len) == 0) &&
        !(user != NULL && strlen(user) == len && strncmp(line, user, len) == 0))
        return false;
    if (sscanf(colon, ":%" SCNu64 ":%" SCNu64, ret_start, ret_count) != 2)
        return false;
    return *ret_count > 0 && *ret_start <= UINT32_MAX && *ret_count <= UINT32_MAX;
}

/* Our ranges in path, as arguments of newuidmap after "0 id 1"; *ret_found says whether any. */
static int subordinate_map(const char *path, const char *user, unsigned owner, unsigned id,
                           struct ol_buf *ret, bool *ret_found)
{
    ol_auto_buf struct ol_buf file = OL_BUF_INIT;
    const char *line;
    uint64_t next = 1, start = 0, count = 0;
    unsigned lines = 1;

    *ret_found = false;
    if (ol_buf_printf(ret, "0 %u 1", id) < 0)
        return -ENOMEM;
    if (read_small(path, &file) < 0)
        return 0; /* no such file, or not for us: no ranges */
    for (line = ol_buf_str(&file); *line != '\0' && lines < MAP_LINES_MAX;) {
        const char *end = strchr(line, '\n');

        if (parse_range(line, user, owner, &start, &count)) {
            if (ol_buf_printf(ret, " %" PRIu64 " %" PRIu64 " %" PRIu64, next, start, count) < 0)
                return -ENOMEM;
            next += count;
            lines++;
            *ret_found = true;
        }
        line = end != NULL ? end + 1 : "";
    }
    return 0;
}

static int plan_root(struct id_plan *plan, struct ol_error *err)
{
    int r = identity_map("/proc/self/uid_map", &plan->uids);

    if (r == 0)
        r = identity_map("/proc/self/gid_map", &plan->gids);
    return r < 0 ? ol_error_sys(err, -r, "cannot read the id maps of this process") : 0;
}

static int plan_user(struct id_plan *plan, struct ol_error *err)
{
    const struct passwd *pw = getpwuid(plan->uid); /* single-threaded here, by contract */
    const char *user = pw != NULL ? pw->pw_name : NULL;
    ol_auto_free char *newuidmap = ol_process_find("newuidmap");
    ol_auto_free char *newgidmap = ol_process_find("newgidmap");
    bool uids = false, gids = false;
    int r = subordinate_map("/etc/subuid", user, plan->uid, plan->uid, &plan->uids, &uids);

    if (r == 0)
        r = subordinate_map("/etc/subgid", user, plan->uid, plan->gid, &plan->gids, &gids);
    plan->ranges = uids && gids && newuidmap != NULL && newgidmap != NULL;
    return r < 0 ? ol_error_nomem(err) : 0;
}

static int make_plan(struct id_plan *plan, struct ol_error *err)
{
    plan->uid = geteuid();
    plan->gid = getegid();
    plan->as_root = plan->uid == 0 && ol_userns_has_cap(CAP_SETUID) &&
                    ol_userns_has_cap(CAP_SETGID) && ol_userns_has_cap(CAP_SETFCAP);
    return plan->as_root ? plan_root(plan, err) : plan_user(plan, err);
}

/* --- writing maps --- */

static int write_proc(pid_t pid, const char *name, const char *text)
{
    ol_auto_free char *path = NULL;
    ol_auto_fd int fd = -1;

    if (asprintf(&path, "/proc/%d/%s", (int)pid, name) < 0)
        return -ENOMEM;
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    /* One write: the kernel takes a map whole or not at all. */
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* newuidmap PID 0 uid 1 1 start count … */
static int run_newidmap(const char *program, pid_t pid, const char *map, struct ol_error *err)
{
    const char *argv[MAP_LINES_MAX * 3 + 3] = {program};
    ol_auto_free char *words = strdup(map);
    ol_auto_free char *id = NULL;
    char *save = NULL;
    size_t n = 2;

    if (words == NULL || asprintf(&id, "%d", (int)pid) < 0)
        return ol_error_nomem(err);
    argv[1] = id;
    for (char *word = strtok_r(words, " ", &save); word != NULL && n + 1 < OL_ARRAY_LEN(argv);
         word = strtok_r(NULL, " ", &save))
        argv[n++] = word;
    return ol_process_run(argv, HELPER_TIMEOUT_MS, NULL, err);
}

static int map_from_outside(const struct id_plan *plan, pid_t pid, struct ol_error *err)
{
    int r;

    if (!plan->as_root) {
        r = run_newidmap("newgidmap", pid, ol_buf_str(&plan->gids), err);
        return r < 0 ? r : run_newidmap("newuidmap", pid, ol_buf_str(&plan->uids), err);
    }
    r = write_proc(pid, "gid_map", ol_buf_str(&plan->gids));
    if (r == 0)
        r = write_proc(pid, "uid_map", ol_buf_str(&plan->uids));
    return r < 0 ? ol_error_sys(err, -r, "cannot write the id maps of the user namespace") : 0;
}

/* newgidmap may have done its part before newuidmap failed; a map is written only once. */
static bool is_mapped(const char *path)
{
    ol_auto_buf struct ol_buf map = OL_BUF_INIT;

    return read_small(path, &map) == 0 && map.len > 0;
}

/* setgroups goes first, the kernel insists (user_namespaces(7)). */
static int write_single_group(const char *map)
{
    int r = write_proc(getpid(), "setgroups", "deny");

    if (r < 0 && r != -ENOENT) /* before Linux 3.19 there was nothing to deny */
        return r;
    return write_proc(getpid(), "gid_map", map);
}

/* The single id as root. */
static int map_single(const struct id_plan *plan, struct ol_error *err)
{
    ol_auto_free char *uids = NULL;
    ol_auto_free char *gids = NULL;
    int r;

    if (asprintf(&uids, "0 %u 1\n", plan->uid) < 0 || asprintf(&gids, "0 %u 1\n", plan->gid) < 0)
        return ol_error_nomem(err);
    r = is_mapped("/proc/self/gid_map") ? 0 : write_single_group(gids);
    if (r == 0 && !is_mapped("/proc/self/uid_map"))
        r = write_proc(getpid(), "uid_map", uids);
    if (r == -EPERM || r == -EACCES)
        return ol_error_set(
            err, r,
            "cannot map user %u into the user namespace: %s (a security module may forbid it; on "
            "Ubuntu, as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0)",
            plan->uid, strerror(-r));
    return r < 0 ? ol_error_sys(err, -r, "cannot map user %u into the user namespace", plan->uid)
                 : 0;
}

/* --- the helper outside --- */

struct helper {
    pid_t pid;
    int go_fd;     /* owned; a byte here: the namespace is there, map it */
    int answer_fd; /* owned; the text of the failure, nothing for success */
};

static void helper_main(const struct id_plan *plan, pid_t parent, int go_fd, int answer_fd)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char byte;
    int r = 0;

    if (ol_io_read(go_fd, &byte, 1) == 1)
        r = map_from_outside(plan, parent, &err);
    if (r < 0) {
        const char *text = ol_error_text(&err);
        /* The status tells as well; without the text the caller says less. */
        (void)ol_io_write(answer_fd, text, strlen(text));
    }
    _exit(r < 0 ? 1 : 0);
}

static int helper_start(struct helper *h, const struct id_plan *plan, struct ol_error *err)
{
    ol_auto_fd int go_read = -1, go_write = -1, answer_read = -1, answer_write = -1;
    pid_t parent = getpid();
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return ol_error_sys(err, errno, "cannot make a pipe");
    go_read = ends[0];
    go_write = ends[1];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return ol_error_sys(err, errno, "cannot make a pipe");
    answer_read = ends[0];
    answer_write = ends[1];
    h->pid = fork();
    if (h->pid < 0)
        return ol_error_sys(err, errno, "cannot make a process");
    if (h->pid == 0) {
        ol_fd_close(&go_write); /* or the helper would wait for itself */
        helper_main(plan, parent, go_read, answer_write);
    }
    h->go_fd = ol_fd_steal(&go_write);
    h->answer_fd = ol_fd_steal(&answer_read);
    return 0;
}

/* Tell the helper to go on (or, not going, to end), and collect its answer. */
static int helper_finish(struct helper *h, bool go, struct ol_error *err)
{
    char text[512] = "";
    int status = 1;
    ssize_t n = 0;

    if (go && ol_io_write(h->go_fd, "g", 1) < 0)
        go = false;
    ol_fd_close(&h->go_fd);
    if (go)
        n = ol_io_read(h->answer_fd, text, sizeof text - 1);
    ol_fd_close(&h->answer_fd);
    while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (go && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    text[n > 0 ? n : 0] = '\0';
    return ol_error_set(err, -EPERM, "%s", text[0] != '\0' ? text : "the id mapping helper died");
}

/* --- entering --- */

static int explain_unshare(int errnum, struct ol_error *err)
{
    static const char what[] = "cannot make a user namespace";
    ol_auto_buf struct ol_buf value = OL_BUF_INIT;

    if (errnum == ENOSPC || errnum == EUSERS)
        return ol_error_set(err, -EPERM,
                            "%s: the limit user.max_user_namespaces is reached (as root: sysctl "
                            "user.max_user_namespaces=15000)",
                            what);
    if (errnum == EPERM && read_small("/proc/sys/kernel/unprivileged_userns_clone", &value) == 0 &&
        ol_buf_str(&value)[0] == '0')
        return ol_error_set(err, -EPERM,
                            "%s: forbidden for ordinary users (as root: sysctl "
                            "kernel.unprivileged_userns_clone=1)",
                            what);
    if (errnum == EPERM)
        return ol_error_set(err, -EPERM,
                            "%s: Operation not permitted (in a chroot, a container or by a "
                            "security module)",
                            what);
    if (errnum == EINVAL)
        return ol_error_set(err, -ENOTSUP,
                            "%s: the kernel has none, or this process has threads already", what);
    return ol_error_sys(err, errnum, "%s", what);
}

/*
 * In a chroot "/" is no mount, and only mounts can be made private. setns(2) into the namespace we
 * are in moves root and working directory to its true root, where it can be done, and both are put
 * back. What could not be put back must not go on: the caller ends.
 */
static int make_private_around_chroot(void)
{
    ol_auto_fd int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    ol_auto_fd int cwd_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    ol_auto_fd int self_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    int r = 0;

    if (root_fd < 0 || cwd_fd < 0 || self_fd < 0 || setns(self_fd, CLONE_NEWNS) < 0)
        return -errno;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        r = -errno;
    if (fchdir(root_fd) < 0 || chroot(".") < 0 || fchdir(cwd_fd) < 0)
        return -errno;
    return r;
}

static int make_private(struct ol_error *err)
{
    int r = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? -errno : 0;

    if (r == -EINVAL)
        r = make_private_around_chroot();
    if (r < 0)
        return ol_error_sys(err, -r, "cannot make the mounts of the namespace private");
    return 0;
}

/* Map ids in the namespace just made; falls back from ranges to the single id, and says so. */
static int map_ids(struct helper *h, const struct id_plan *plan, bool *ret_ranges,
                   struct ol_error *err)
{
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    int r = 0;

    *ret_ranges = false;
    if (plan->as_root || plan->ranges) {
        r = helper_finish(h, true, &why);
        if (r == 0) {
            *ret_ranges = true;
            return 0;
        }
        if (plan->as_root) {
            ol_error_move(err, &why);
            return r;
        }
        ol_trace(OL_TRACE_MOUNT, "no id ranges: %s", ol_error_text(&why));
    }
    return map_single(plan, err);
}

int ol_userns_enter(bool *ret_ranges, struct ol_error *err)
{
    auto_plan struct id_plan plan = {.uids = OL_BUF_INIT, .gids = OL_BUF_INIT};
    struct helper h = {.pid = -1, .go_fd = -1, .answer_fd = -1};
    bool helped;
    int r = make_plan(&plan, err);

    helped = plan.as_root || plan.ranges;
    if (r == 0 && helped)
        r = helper_start(&h, &plan, err);
    if (r < 0)
        return r;
    if (ol_fault_hit("userns.unshare") || unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
        r = explain_unshare(errno, err);
        if (helped)
            (void)helper_finish(&h, false, NULL); /* it only has to end */
        return r;
    }
    r = map_ids(&h, &plan, ret_ranges, err);
    return r < 0 ? r : make_private(err);
}

int ol_view_enter_userns(struct ol_error *err)
{
    bool ranges;

    return ol_userns_enter(&ranges, err);
}

int ol_view_private_mounts(struct ol_error *err)
{
    if (ol_fault_hit("mountns.unshare") || unshare(CLONE_NEWNS) < 0)
        return ol_error_sys(err, errno, "cannot make a mount namespace (needs CAP_SYS_ADMIN)");
    return make_private(err);
}

bool ol_view_in_userns(void)
{
    ol_auto_buf struct ol_buf map = OL_BUF_INIT;
    uint64_t inside, outside, count;

    if (read_small("/proc/self/uid_map", &map) < 0)
        return false;
    if (sscanf(ol_buf_str(&map), "%" SCNu64 " %" SCNu64 " %" SCNu64, &inside, &outside, &count) !=
        3)
        return true; /* made and not mapped yet */
    return inside != 0 || outside != 0 || count != UINT32_MAX;
}
