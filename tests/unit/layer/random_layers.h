/* SPDX-License-Identifier: Apache-2.0 */
/* Layers drawn from a seed: small trees over few names, so that layers hide, replace and merge each
 * other's objects often. */
#ifndef OL_TESTS_LAYER_RANDOM_LAYERS_H
#define OL_TESTS_LAYER_RANDOM_LAYERS_H

#include <stdbool.h>
#include <stdint.h>

struct ol_changes;

/** Fill the empty directory dir_fd. overlay: with whiteouts and opaque directories (trusted.*). */
void random_layer_draw(int dir_fd, uint64_t seed, bool overlay);

/** The next number of a splitmix64 sequence. */
uint64_t random_next(uint64_t *state);

/** One line for each change, "A /path"; owned by the caller. */
char *changes_text(const struct ol_changes *changes);

#endif
