/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oracle beside a scene: what each act should add to the engine's home, law by law
 * (bench/oracle/held.h), and the plans that carry changes out.
 *
 * Predictions are summed up until they are taken. Where the oracle has no law for an engine there
 * is nothing to take.
 */
#ifndef OL_BENCH_TEACH_ACCOUNT_H
#define OL_BENCH_TEACH_ACCOUNT_H

#include "bench/workloads/workload.h"

struct ol_account;

/** @param mounts  layers are really mounted in this view */
int ol_account_new(const char *engine, bool mounts, struct ol_account **ret, struct ol_error *err);
void ol_account_free(struct ol_account *account);

/** The engine's law; false where there is none. */
bool ol_account_law(const struct ol_account *account, enum ol_law *ret);

/* One for each act, after it was done. */
int ol_account_import(struct ol_account *account, const struct ol_input *tar, struct ol_error *err);
int ol_account_create(struct ol_account *account, struct ol_error *err);
void ol_account_mount(struct ol_account *account);
void ol_account_unmount(struct ol_account *account);
/** A change of the newest container. @param op  its texts are copied */
int ol_account_change(struct ol_account *account, const struct ol_op *op, struct ol_error *err);
int ol_account_commit(struct ol_account *account, struct ol_error *err);
void ol_account_remove_container(struct ol_account *account);
/** @param index  the engine's: 0 is the imported image, k that of commit k - 1 */
void ol_account_remove_image(struct ol_account *account, unsigned index);
/** The newest container's changes were written as a tar. */
void ol_account_diff(struct ol_account *account);

/** The plan of one more change in the newest container, not yet accounted for. */
int ol_account_plan(const struct ol_account *account, const struct ol_op *op, struct ol_plan **ret,
                    struct ol_error *err);

/** What the acts since the last time add. @return false: there is no law for them */
bool ol_account_take(struct ol_account *account, struct ol_inode_kinds *ret);

#endif
