/* SPDX-License-Identifier: Apache-2.0 */
/* What the printers of a check share: the words. All int functions return 0 or -ENOMEM. */
#ifndef OL_BENCH_BUDGET_PRINT_INTERNAL_H
#define OL_BENCH_BUDGET_PRINT_INTERNAL_H

#include "bench/budget/print.h"

/** What is limited, as it is: "1,662 inodes", "22.46 (1,662 over 74)", "+5.4 % (78, it was 74)". */
int ol_check_words_value(const struct ol_check_result *result, struct ol_buf *buf);
/** How far it may go: "6 left", or "1,162 too many". */
int ol_check_words_headroom(const struct ol_check_result *result, struct ol_buf *buf);
/** "layer 2, made by RUN …, adds 7,705 inodes". Nothing when nobody is to blame. */
int ol_check_words_culprit(const struct ol_check_workload *workload,
                           const struct ol_check_result *result, struct ol_buf *buf);
/** "394 in /var/lib/dpkg/info": one of the culprit's directories. */
int ol_check_words_dir(const struct ol_check_result *result, size_t index, struct ol_buf *buf);
/** "web.tar, 3 commits", "web.tar, replayed". */
int ol_check_words_workload(const struct ol_check_workload *workload, struct ol_buf *buf);
/** "2 of 3 limits kept, 1 exceeded". */
int ol_check_words_total(const struct ol_check *check, struct ol_buf *buf);

/** Text from outside, on one line and in UTF-8: other bytes become "?". */
int ol_check_clean(const char *text, struct ol_buf *buf);
/** The same between double quotes, as JSON and YAML have it. */
int ol_check_quote(const char *text, struct ol_buf *buf);

int ol_check_print_text(const struct ol_check *check, const struct ol_report_style *style,
                        FILE *out);
int ol_check_print_tap(const struct ol_check *check, unsigned version, FILE *out);
int ol_check_print_junit(const struct ol_check *check, FILE *out);
int ol_check_print_json(const struct ol_check *check, FILE *out);
int ol_check_print_markdown(const struct ol_check *check, FILE *out);

#endif
