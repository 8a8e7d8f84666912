# What `cmake --install` puts where: the command, the libraries with their headers, a pkg-config file.
install(TARGETS overlab RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${PROJECT_SOURCE_DIR}/cli/bash.completion RENAME overlab
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(TARGETS ol_common ol_drivers ol_store ol_oracle ol_bench
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/overlab)
foreach(part common drivers store bench)
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/${part}
            DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/overlab
            FILES_MATCHING PATTERN "*.h" PATTERN "peers" EXCLUDE)
endforeach()
if(OL_HAVE_ISAL)
    set(OL_REQUIRES_ISAL ", libisal")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/overlab.pc.in ${PROJECT_BINARY_DIR}/overlab.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/overlab.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
