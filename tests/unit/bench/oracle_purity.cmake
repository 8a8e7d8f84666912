# SPDX-License-Identifier: Apache-2.0
# Holds an archive against what a pure library may use: NM and ARCHIVE are given. Undefined symbols
# outside the list, and data that can be written, fail. What it may use of common/ only computes.
cmake_minimum_required(VERSION 3.20)

set(pure
    # memory and strings
    calloc malloc realloc reallocarray free memcpy memmove memset memcmp memchr
    strlen strcmp strncmp strcspn strspn strchr strrchr strdup strndup
    asprintf vasprintf snprintf vsnprintf qsort qsort_r __errno_location
    # their hardened forms, and what compilers add
    __memcpy_chk __memmove_chk __memset_chk __asprintf_chk __vasprintf_chk __snprintf_chk
    __vsnprintf_chk __stack_chk_fail _GLOBAL_OFFSET_TABLE_
    # common/
    ol_path_base ol_path_dir_len ol_whiteout_parse)
set(pure_prefixes "ol_buf_|ol_error_|__asan_|__ubsan_|__tsan_|__sanitizer_|__gcov_|llvm_gcov|__llvm_")

execute_process(COMMAND ${NM} --format=sysv ${ARCHIVE} OUTPUT_VARIABLE symbols RESULT_VARIABLE failed)
if(failed)
    message(FATAL_ERROR "cannot read '${ARCHIVE}'")
endif()
string(REGEX MATCHALL "[^\n]+" lines "${symbols}")
set(defined "")
set(used "")
set(wrong "")
foreach(line IN LISTS lines) # name|value|class|type|size|line|section
    string(REPLACE " " "" line "${line}")
    if(NOT line MATCHES "^([^|]+)[|][^|]*[|]([A-Za-z])[|][^|]*[|][^|]*[|][^|]*[|](.*)$")
        continue()
    endif()
    set(name ${CMAKE_MATCH_1})
    set(class ${CMAKE_MATCH_2})
    set(section ${CMAKE_MATCH_3})
    if(class STREQUAL "U")
        list(APPEND used ${name})
    elseif(section MATCHES "^\\.(data|bss|tdata|tbss)" AND NOT section MATCHES "^\\.data\\.rel\\.ro" AND
           NOT name MATCHES "asan|ubsan|__gcov|__llvm|sancov|\\.L")
        list(APPEND wrong "state:${name}")
    elseif(class MATCHES "[TtRrVvWwiDd]")
        list(APPEND defined ${name})
    endif()
endforeach()
list(LENGTH defined count)
if(count EQUAL 0)
    message(FATAL_ERROR "'${ARCHIVE}' defines nothing")
endif()
list(REMOVE_DUPLICATES used)
foreach(symbol IN LISTS used)
    if(NOT symbol IN_LIST pure AND NOT symbol IN_LIST defined AND NOT symbol MATCHES "^(${pure_prefixes})")
        list(APPEND wrong "use:${symbol}")
    endif()
endforeach()
if(wrong)
    string(REPLACE ";" " " wrong "${wrong}")
    message(FATAL_ERROR "'${ARCHIVE}' is not pure: ${wrong}")
endif()
message(STATUS "${count} symbols, none that does I/O or keeps state")
