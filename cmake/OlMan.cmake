# Man pages, made by scdoc from docs/man/*.scd and from what the program says about its subcommands. Without
# scdoc, and where the program cannot be run here, there are none, which is said.
set(OL_MAN_PAGES
    overlab
    overlab-check
    overlab-check-store
    overlab-commit
    overlab-compare
    overlab-completion
    overlab-container
    overlab-doctor
    overlab-explain
    overlab-help
    overlab-image
    overlab-layer
    overlab-lesson
    overlab-predict
    overlab-snapshot)
set(OL_MAN_FORMAT_PAGES overlab-budget)
find_program(OL_SCDOC scdoc)
mark_as_advanced(OL_SCDOC)
set(OL_MAN_DIR ${PROJECT_BINARY_DIR}/man)

if(NOT OL_SCDOC)
    message(STATUS "scdoc is missing: no man pages are made (Debian package scdoc; scripts/setup installs it)")
elseif(CMAKE_CROSSCOMPILING)
    message(STATUS "cross-compiling: no man pages are made (they are asked of the program, which cannot run here)")
else()
    list(TRANSFORM OL_MAN_PAGES APPEND .1 OUTPUT_VARIABLE sources)
    list(TRANSFORM OL_MAN_FORMAT_PAGES APPEND .5 OUTPUT_VARIABLE formats)
    list(APPEND sources ${formats})
    list(TRANSFORM sources REPLACE "(.+)" "${PROJECT_SOURCE_DIR}/docs/man/\\1.scd")
    add_custom_command(OUTPUT ${OL_MAN_DIR}/made
        COMMAND ${PROJECT_SOURCE_DIR}/docs/man/make $<TARGET_FILE:overlab> ${PROJECT_VERSION} ${OL_MAN_DIR}
        COMMAND ${CMAKE_COMMAND} -E touch ${OL_MAN_DIR}/made
        DEPENDS overlab ${sources} ${PROJECT_SOURCE_DIR}/docs/man/make
        COMMENT "Making the man pages"
        VERBATIM)
    add_custom_target(man ALL DEPENDS ${OL_MAN_DIR}/made)
    install(DIRECTORY ${OL_MAN_DIR}/man1 ${OL_MAN_DIR}/man5 DESTINATION ${CMAKE_INSTALL_MANDIR})
endif()
