/* SPDX-License-Identifier: Apache-2.0 */
/*
 * old_kernel PROGRAM ARGUMENT…: run a test as on a kernel without the newer system calls, so that
 * the fall-backs are proven on any kernel. A seccomp filter answers ENOSYS for them, as an old
 * kernel would.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same numbers on every architecture of Linux but alpha. */
enum { SETXATTRAT = 463, GETXATTRAT, LISTXATTRAT, REMOVEXATTRAT };

static const unsigned denied[] = {
    SETXATTRAT,          GETXATTRAT, LISTXATTRAT, REMOVEXATTRAT, /* Linux 6.13 */
    SYS_openat2,                                                 /* Linux 5.6 */
    SYS_copy_file_range,                                         /* Linux 4.5 */
};
enum { DENIED = sizeof denied / sizeof denied[0] };

static int install(void)
{
    struct sock_filter code[2 * DENIED + 2];
    struct sock_fprog program = {.filter = code};
    unsigned short n = 0;

    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                             offsetof(struct seccomp_data, nr));
    for (unsigned i = 0; i < DENIED; i++) {
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denied[i], 0, 1);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program.len = n;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fputs("usage: old_kernel PROGRAM ARGUMENT…\n", stderr);
        return 2;
    }
    if (install() < 0) {
        (void)printf("SKIP old_kernel: no seccomp filter here: %s\n", strerror(errno));
        return 77;
    }
    (void)execv(argv[1], argv + 1);
    (void)fprintf(stderr, "old_kernel: cannot run '%s': %s\n", argv[1], strerror(errno));
    return 2;
}
