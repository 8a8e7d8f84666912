# shellcheck shell=bash
# How a test that is a script says what came of it: in cmocka's words, which scripts/test counts. Sourced.

passed() { # NAME
    echo "[       OK ] $1"
}
failed() { # NAME REASON
    printf 'FAILED %s: %s\n' "$1" "$2"
    printf '[  FAILED  ] %s\n' "$1" "$1" # cmocka repeats it at the end
}
skipped() { # NAME REASON
    printf 'SKIP %s: %s\n' "$1" "$2"
    printf '[  SKIPPED ] %s\n' "$1" "$1"
}
