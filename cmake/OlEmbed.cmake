# ol_embed(OUTPUT TABLE FILES...): a C file with TABLE, a table of struct ol_embedded (cli/embedded.h):
# for each FILE NAME.suffix its name and its bytes.
function(ol_embed output table)
    add_custom_command(OUTPUT ${output}
        COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DTABLE=${table} "-DFILES=${ARGN}"
            -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
        DEPENDS ${ARGN} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
        COMMENT "Embedding ${table}"
        VERBATIM)
endfunction()
