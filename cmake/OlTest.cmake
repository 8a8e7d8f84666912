# ol_add_test(NAME LABELS l... SOURCES s... LINK t...): one cmocka program test_NAME, run by ctest.
function(ol_add_test name)
    cmake_parse_arguments(ARG "" "" "LABELS;SOURCES;LINK" ${ARGN})
    add_executable(test_${name} ${ARG_SOURCES})
    target_link_libraries(test_${name} PRIVATE ol_flags ol_test_support ${ARG_LINK} PkgConfig::CMOCKA)
    set_target_properties(test_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    add_test(NAME ${name} COMMAND test_${name})
    set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}")
endfunction()

# ol_add_old_kernel_test(NAME): run test_NAME once more as on a kernel without the newer system calls.
function(ol_add_old_kernel_test name)
    add_test(NAME ${name}_old_kernel COMMAND old_kernel $<TARGET_FILE:test_${name}>)
    set_tests_properties(${name}_old_kernel PROPERTIES LABELS unit SKIP_RETURN_CODE 77)
endfunction()
