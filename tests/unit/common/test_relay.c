/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "common/relay.h"

#include <errno.h>

enum { SLOTS = 3, PIECES = 1000 };

struct ring {
    uint64_t slot[SLOTS];
    uint64_t fail_at; /* 0: never */
    uint64_t handled;
    bool in_order;
};

static int handle(uint64_t n, void *data)
{
    struct ring *ring = data;

    ring->in_order = ring->in_order && ring->slot[n % SLOTS] == n * n;
    ring->handled++;
    return n == ring->fail_at ? -EXDEV : 0;
}

static void relay__pieces_are_handled_in_order_before_their_slot_is_filled_again(void **state)
{
    struct ring ring = {.in_order = true};
    struct ol_relay relay;

    (void)state;
    ol_relay_init(&relay, SLOTS, handle, &ring);
    assert_true(ol_relay_start(&relay, 5));
    for (uint64_t n = 5; n < PIECES; n++) {
        ring.slot[n % SLOTS] = n * n;
        assert_int_equal(ol_relay_give(&relay), 0);
    }
    assert_int_equal(ol_relay_end(&relay), 0);
    assert_int_equal(ring.handled, PIECES - 5);
    assert_true(ring.in_order);
    ol_relay_fini(&relay);
}

static void relay__nothing_is_handled_after_a_failure(void **state)
{
    struct ring ring = {.fail_at = 10};
    struct ol_relay relay;
    int r = 0;

    (void)state;
    ol_relay_init(&relay, SLOTS, handle, &ring);
    assert_true(ol_relay_start(&relay, 0));
    for (uint64_t n = 0; n < PIECES; n++)
        r = ol_relay_give(&relay);
    assert_int_equal(r, -EXDEV);
    assert_int_equal(ol_relay_end(&relay), -EXDEV);
    assert_int_equal(ring.handled, 11);
    ol_relay_fini(&relay);
}

static void relay__that_was_never_started_ends_well(void **state)
{
    struct ol_relay relay;

    (void)state;
    ol_relay_init(&relay, SLOTS, handle, NULL);
    assert_int_equal(ol_relay_end(&relay), 0);
    ol_relay_fini(&relay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relay__pieces_are_handled_in_order_before_their_slot_is_filled_again),
        cmocka_unit_test(relay__nothing_is_handled_after_a_failure),
        cmocka_unit_test(relay__that_was_never_started_ends_well),
    };
    return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
