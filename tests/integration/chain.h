/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains of layer tars for the equivalence suite: random ones from a seed, kept to what every
 * driver must agree on. Left out on purpose, because moby's own drivers disagree on them (spec:
 * graphdriver 10.3, 10.4): a directory made where the same layer has a whiteout, hard links to
 * files of lower layers, directories without a header of their own, the root's entry.
 */
#ifndef OL_TESTS_CHAIN_H
#define OL_TESTS_CHAIN_H

#include "support/tarball.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chain;

struct chain *chain_new(uint64_t seed, bool owners, bool devices);
void chain_free(struct chain *chain);
/** Write the next layer into tar, ended. */
void chain_next_layer(struct chain *chain, struct tarball *tar);

#endif
