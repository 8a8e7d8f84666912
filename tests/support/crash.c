/* SPDX-License-Identifier: Apache-2.0 */
/* See crash.h. */
#include "support/crash.h"

#include "common/fault.h"

#include <signal.h>
#include <sys/wait.h>

void crash_in_child(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS};

    for (size_t i = 0; i < OL_ARRAY_LEN(signals); i++)
        (void)signal(signals[i], SIG_DFL); /* these can be set */
    (void)alarm(60);
}

int crash_wait(pid_t pid)
{
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void die(void)
{
    (void)kill(getpid(), SIGKILL); /* it does not come back */
}

bool crash_kill_at(const struct crash *crash, void *data, unsigned long n)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        crash_in_child();
        if (crash->begin != NULL && crash->begin(data) < 0)
            _exit(2);
        ol_fault_arm_with(n, die);
        _exit(crash->run(data) == 0 ? 0 : 3);
    }
    status = crash_wait(pid);
    if (WIFSIGNALED(status) ? WTERMSIG(status) != SIGKILL : WEXITSTATUS(status) != 0)
        fail_msg("%s, to be killed at point %lu: status %#x", crash->name, n, (unsigned)status);
    return WIFSIGNALED(status);
}

bool crash_fail_at(const struct crash *crash, void *data, unsigned long n, int *ret_result)
{
    bool delivered;

    ol_fault_arm(n);
    *ret_result = crash->run(data);
    delivered = ol_fault_delivered();
    ol_fault_arm(0);
    return delivered;
}
