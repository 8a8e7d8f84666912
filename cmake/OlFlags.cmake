# ol_flags carries how every target of ours is compiled; CMAKE_C_FLAGS stays the user's.
add_library(ol_flags INTERFACE)
target_compile_definitions(ol_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)
target_compile_options(ol_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
    -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wformat=2 -Wvla -Wimplicit-fallthrough
    -Wno-gnu -Wno-missing-field-initializers
    -fno-common -fstack-protector-strong -fno-strict-aliasing)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(ol_flags INTERFACE -Wlogical-op -Wduplicated-cond)
endif()
if(OL_WERROR)
    target_compile_options(ol_flags INTERFACE -Werror)
endif()
if(CMAKE_BUILD_TYPE MATCHES "Rel" AND NOT OL_SANITIZE)
    target_compile_definitions(ol_flags INTERFACE _FORTIFY_SOURCE=2)
    target_link_options(ol_flags INTERFACE -Wl,-z,relro -Wl,-z,now)
endif()
if(OL_SANITIZE)
    list(JOIN OL_SANITIZE "," _ol_sanitizers)
    target_compile_options(ol_flags INTERFACE -fsanitize=${_ol_sanitizers} -fno-omit-frame-pointer
        -fno-sanitize-recover=all)
    target_link_options(ol_flags INTERFACE -fsanitize=${_ol_sanitizers})
endif()
if(OL_COVERAGE)
    target_compile_options(ol_flags INTERFACE --coverage)
    target_link_options(ol_flags INTERFACE --coverage)
    target_compile_definitions(ol_flags INTERFACE OL_COVERAGE)
endif()
if(OL_FUZZ)
    target_compile_options(ol_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_link_libraries(ol_flags INTERFACE Threads::Threads)

configure_file(${CMAKE_CURRENT_LIST_DIR}/config.h.in ${PROJECT_BINARY_DIR}/generated/config.h @ONLY)
target_include_directories(ol_flags INTERFACE ${PROJECT_BINARY_DIR}/generated)
