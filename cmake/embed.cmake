# Run by ol_embed(): OUTPUT is the C file to write, TABLE its table's name, FILES a list of text files.
set(texts "")
set(rows "")
foreach(file IN LISTS FILES)
    get_filename_component(name ${file} NAME_WE)
    string(MAKE_C_IDENTIFIER ${name} symbol)
    file(READ ${file} bytes HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
    string(APPEND texts "static const unsigned char text_${symbol}[] = {${bytes}0};\n")
    string(APPEND rows "    {\"${name}\", (const char *)text_${symbol}},\n")
endforeach()
file(WRITE ${OUTPUT} "/* Made by cmake/embed.cmake; do not edit. */\n\
#include \"cli/embedded.h\"\n\n${texts}\nconst struct ol_embedded ${TABLE}[] = {\n${rows}    {NULL, NULL},\n};\n")
