# What `cmake --install` puts where: the command, the libraries with their headers, and what finds them.
include(CMakePackageConfigHelpers)

install(TARGETS overlab RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${PROJECT_SOURCE_DIR}/cli/bash.completion RENAME overlab
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(TARGETS ol_common ol_drivers ol_store ol_oracle ol_bench
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/overlab)
foreach(part common drivers store bench)
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/${part}
            DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/overlab
            FILES_MATCHING PATTERN "*.h" PATTERN "peers" EXCLUDE PATTERN "testlib" EXCLUDE)
endforeach()

# pkg-config files say where they lie themselves, so that a tree may be moved (--prefix, DESTDIR).
set(OL_PC_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
    set(OL_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
    set(OL_PC_LIBDIR ${CMAKE_INSTALL_FULL_LIBDIR})
    set(OL_PC_INCLUDEDIR ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
    file(RELATIVE_PATH _ol_up "/prefix/${OL_PC_DIR}" "/prefix")
    string(REGEX REPLACE "/$" "" _ol_up "${_ol_up}")
    set(OL_PC_PREFIX "\${pcfiledir}/${_ol_up}")
    set(OL_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
    set(OL_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
set(OL_PC_REQUIRES "libarchive >= 3.6, mount >= 2.38, smartcols, jansson, inih, libcrypto, zlib, libzstd, liblzma, lmdb")
if(OL_HAVE_ISAL)
    string(APPEND OL_PC_REQUIRES ", libisal")
endif()
set(OL_PC_LIBS "-lol_bench -lol_oracle -lol_store -lol_drivers -lol_common -lbz2 -lm -pthread")

configure_file(${PROJECT_SOURCE_DIR}/cmake/overlab.pc.in ${PROJECT_BINARY_DIR}/overlab.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/overlab.pc DESTINATION ${OL_PC_DIR})

if(TARGET ol_testlib)
    set(_ol_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/overlab-test)
    install(TARGETS ol_testlib ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/overlab)
    install(FILES ${PROJECT_SOURCE_DIR}/bench/testlib/overlab/test.h
            DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/overlab)
    configure_file(${PROJECT_SOURCE_DIR}/cmake/overlab-test.pc.in
                   ${PROJECT_BINARY_DIR}/overlab-test.pc @ONLY)
    configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/overlab-test-config.cmake.in
        ${PROJECT_BINARY_DIR}/overlab-test-config.cmake
        INSTALL_DESTINATION ${_ol_config_dir} PATH_VARS OL_PC_DIR)
    write_basic_package_version_file(${PROJECT_BINARY_DIR}/overlab-test-config-version.cmake
        COMPATIBILITY SameMinorVersion)
    install(FILES ${PROJECT_BINARY_DIR}/overlab-test.pc DESTINATION ${OL_PC_DIR})
    install(FILES ${PROJECT_BINARY_DIR}/overlab-test-config.cmake
                  ${PROJECT_BINARY_DIR}/overlab-test-config-version.cmake
            DESTINATION ${_ol_config_dir})
endif()
