# shellcheck shell=bash
# How a test that is a script says what came of it: in cmocka's words, which scripts/test counts. Sourced.

passed() { # NAME
    echo "[       OK ] $1"
}
failed() { # NAME REASON
    printf 'FAILED %s: %s\n' "$1" "$2"
    printf '[  FAILED  ] %s\n' "$1" "$1" # cmocka repeats it at the end
}
left_out() { # NAME REASON: nobody can run this here
    printf 'SKIP %s: %s\n' "$1" "$2"
    printf '[  SKIPPED ] %s\n' "$1" "$1"
}
skipped() { # NAME REASON: something is missing; with OL_TEST_REQUIRE=all that is a failure, and the end
    if [[ ,${OL_TEST_REQUIRE-}, == *,all,* ]]; then
        failed "$1" "$2 (OL_TEST_REQUIRE)"
        exit 1
    fi
    left_out "$1" "$2"
}
