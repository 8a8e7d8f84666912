/* SPDX-License-Identifier: Apache-2.0 */
/* See traced.h and ptrace(2). */
#include "cli/traced.h"

#include "support/support.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { PATIENCE_MS = 60000, SYSCALL_STOP = SIGTRAP | 0x80, TEXT_MAX = 65536 };

static void go_on(pid_t child, int signal_number)
{
    assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, (void *)(uintptr_t)signal_number), 0);
}

/* @return true when the call that begins is a write of the text */
static bool begins_write_of(pid_t child, const struct __ptrace_syscall_info *info, const char *text)
{
    static char block[TEXT_MAX];
    struct iovec here = {.iov_base = block};
    struct iovec there;
    ssize_t n;

    if (info->op != PTRACE_SYSCALL_INFO_ENTRY || info->entry.nr != __NR_write)
        return false;
    here.iov_len = info->entry.args[2] < sizeof block ? info->entry.args[2] : sizeof block;
    there = (struct iovec){(void *)(uintptr_t)info->entry.args[1], here.iov_len};
    n = process_vm_readv(child, &here, 1, &there, 1, 0);
    return n > 0 && memmem(block, (size_t)n, text, strlen(text)) != NULL;
}

void signal_behind_write(pid_t child, const char *text, int signal_number)
{
    bool writing = false;

    assert_int_equal(ptrace(PTRACE_SEIZE, child, NULL, (void *)PTRACE_O_TRACESYSGOOD), 0);
    assert_int_equal(ptrace(PTRACE_INTERRUPT, child, NULL, NULL), 0);
    for (;;) {
        struct __ptrace_syscall_info info;
        int status = 0;

        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSTOPPED(status))
            fail_msg("it ended before it wrote '%s'", text);
        if (WSTOPSIG(status) == SYSCALL_STOP) {
            assert_true(ptrace(PTRACE_GET_SYSCALL_INFO, child, (void *)sizeof info, &info) > 0);
            if (writing) /* this is the end of that call */
                assert_int_equal(kill(child, signal_number), 0);
            writing = writing || begins_write_of(child, &info, text);
            go_on(child, 0);
        } else if (writing && WSTOPSIG(status) == signal_number) {
            assert_int_equal(ptrace(PTRACE_DETACH, child, NULL, (void *)(uintptr_t)signal_number),
                             0);
            return;
        } else { /* our own interruption is no signal; others are its own */
            go_on(child, status >> 16 != 0 ? 0 : WSTOPSIG(status));
        }
    }
}

int end_of(pid_t child)
{
    ol_auto_fd int fd = (int)syscall(SYS_pidfd_open, child, 0);
    struct pollfd end = {.fd = fd, .events = POLLIN};
    int status = 0;
    bool ended;

    assert_true(fd >= 0);
    ended = poll(&end, 1, PATIENCE_MS) == 1;
    if (!ended)
        (void)kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!ended)
        fail_msg("it did not end");
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
