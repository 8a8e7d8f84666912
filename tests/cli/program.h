/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running the overlab command as a user would, and holding what it prints against golden files.
 * OL_TEST_PROGRAM names another program to test (an installed one); OL_BLESS=1 rewrites the golden
 * files instead of comparing.
 */
#ifndef OL_TESTS_CLI_PROGRAM_H
#define OL_TESTS_CLI_PROGRAM_H

#include "support/support.h"

#include <sys/types.h>

struct program_result {
    int status; /* exit status, or 128 + the signal that ended it */
    char *out;  /* owned, terminated; what it wrote to stdout */
    char *err;  /* owned; and to stderr */
    size_t out_len;
};
void program_result_fini(struct program_result *result);
#define auto_result __attribute__((cleanup(program_result_fini)))

struct program_run {
    const char *const *args; /* NULL-terminated, without the program's name */
    const char *const *env;  /* "NAME=value" set on top, NULL-terminated; NULL for none */
    const char *in_path;     /* stdin; NULL: /dev/null */
    const char *out_path;    /* stdout goes there instead of result.out; NULL: captured */
    const char *cwd;         /* working directory; NULL: the test's */
    const char *awaited;     /* once it has written this to stdout or stderr, ... */
    void (*then)(pid_t pid, void *data); /* ... this is called, unless it is NULL ... */
    void *then_data;
    int signal;        /* ... and this sent to it, unless it is 0; */
    unsigned after_ms; /* without anything awaited after so long; 0: never */
    unsigned uid;      /* user to become first; 0: the test's own */
};

/** Run it; the caller frees the result with program_result_fini(). */
void program_run(const struct program_run *run, struct program_result *ret);

/** Run it with these words behind its arguments, together at most 30. What ret
 * has is released. */
void program_more(const struct program_run *run, const char *const *words,
                  struct program_result *ret);
/** The same, and fail the test when it ends with another status. */
void program_expect(const struct program_run *run, const char *const *words, int status,
                    struct program_result *ret);

/** In a child: signals end it as they do in the foreground; a job in the background, or of nohup,
 * inherits that they are ignored. */
void program_default_signals(void);

/** The program's path, for shell pipelines. */
const char *program_path(void);

/** Run with these arguments: program("layer", "ls", NULL). */
#define program(ret, ...) program_args((ret), (const char *const[]){__VA_ARGS__, NULL})
void program_args(struct program_result *ret, const char *const *args);

/** The text equals tests/cli/golden/NAME. */
void assert_golden(const char *name, const char *text);

/**
 * What does not change from run to run: numbers become "#" (with their unit of time or size),
 * digests "HASH", runs of blanks one. Owned by the caller.
 */
char *normalised(const char *text);

#endif
