/* SPDX-License-Identifier: Apache-2.0 */
/* Threads with signals blocked; see thread.h. */
#include "store/thread.h"

#include "common/cleanup.h"
#include "common/fault.h"

#include <signal.h>

int ol_thread_start(pthread_t *ret, void *(*fn)(void *arg), void *arg, struct ol_error *err)
{
    static const int own_fault[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    sigset_t block;
    sigset_t before;
    int e;

    if (ol_fault_hit("pthread_create"))
        return ol_error_sys(err, EIO, "cannot start a thread");
    (void)sigfillset(&block); /* cannot fail */
    for (size_t i = 0; i < OL_ARRAY_LEN(own_fault); i++)
        (void)sigdelset(&block, own_fault[i]);
    e = pthread_sigmask(SIG_SETMASK, &block, &before);
    if (e != 0)
        return ol_error_sys(err, e, "cannot block signals for a thread");
    e = pthread_create(ret, NULL, fn, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* the set came from the kernel */
    return e != 0 ? ol_error_sys(err, e, "cannot start a thread") : 0;
}
