# ol_embed_topics(OUTPUT FILES...): a C file with the table of cli/topics.h: for each FILE NAME.txt its
# name and its bytes.
function(ol_embed_topics output)
    add_custom_command(OUTPUT ${output}
        COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} "-DFILES=${ARGN}" -P ${PROJECT_SOURCE_DIR}/cmake/embed_topics.cmake
        DEPENDS ${ARGN} ${PROJECT_SOURCE_DIR}/cmake/embed_topics.cmake
        COMMENT "Embedding the topics of overlab help"
        VERBATIM)
endfunction()
