# Run by ol_embed_topics(): OUTPUT is the C file to write, FILES a list of text files.
set(texts "")
set(rows "")
foreach(file IN LISTS FILES)
    get_filename_component(name ${file} NAME_WE)
    string(MAKE_C_IDENTIFIER ${name} symbol)
    file(READ ${file} bytes HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
    string(APPEND texts "static const char text_${symbol}[] = {${bytes}0};\n")
    string(APPEND rows "    {\"${name}\", text_${symbol}},\n")
endforeach()
file(WRITE ${OUTPUT} "/* Made by cmake/embed_topics.cmake from docs/topics; do not edit. */\n\
#include \"cli/topics.h\"\n\n${texts}\nconst struct ol_cli_topic ol_cli_topics[] = {\n${rows}    {NULL, NULL},\n};\n")
