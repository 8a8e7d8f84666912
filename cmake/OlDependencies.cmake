# The libraries overlab stands on, all in Debian 12 (docs/hacking.md lists the packages).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(LIBARCHIVE REQUIRED IMPORTED_TARGET libarchive>=3.6)
pkg_check_modules(LIBMOUNT REQUIRED IMPORTED_TARGET mount>=2.38)
pkg_check_modules(SMARTCOLS REQUIRED IMPORTED_TARGET smartcols>=2.38)
pkg_check_modules(INIH REQUIRED IMPORTED_TARGET inih)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.13)
pkg_check_modules(LIBCURL REQUIRED libcurl>=7.84)
pkg_check_modules(LIBCRYPTO REQUIRED IMPORTED_TARGET libcrypto>=3.0)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(LZMA REQUIRED IMPORTED_TARGET liblzma)
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb>=0.9.24)
find_package(BZip2 REQUIRED)
# ISA-L inflates twice as fast as zlib; zlib serves where it is missing.
pkg_check_modules(ISAL IMPORTED_TARGET libisal)
set(OL_HAVE_ISAL ${ISAL_FOUND})

# The shared libarchive brings libxml2 and ICU for formats overlab never opens. Of the static one only
# the tar reader comes along, which halves the time every command takes to start and saves 3 MiB.
option(OL_STATIC_LIBARCHIVE "Link libarchive.a, where that works, in place of the shared library" ON)
if(OL_STATIC_LIBARCHIVE)
    find_library(OL_LIBARCHIVE_A libarchive.a)
    mark_as_advanced(OL_LIBARCHIVE_A)
endif()
if(OL_STATIC_LIBARCHIVE AND OL_LIBARCHIVE_A)
    include(CheckCSourceCompiles)
    set(OL_LIBARCHIVE_LINK ${OL_LIBARCHIVE_A} PkgConfig::LIBCRYPTO PkgConfig::ZLIB PkgConfig::ZSTD
        PkgConfig::LZMA BZip2::BZip2)
    set(CMAKE_REQUIRED_LIBRARIES ${OL_LIBARCHIVE_LINK})
    check_c_source_compiles("
        #include <archive.h>
        #include <archive_entry.h>
        int main(void)
        {
            struct archive *a = archive_read_new();
            struct archive_entry *e = archive_entry_new();
            return archive_read_support_format_tar(a) + archive_read_open1(a) +
                   archive_read_next_header2(a, e) + archive_entry_xattr_reset(e) +
                   archive_read_free(a);
        }" OL_LIBARCHIVE_A_LINKS)
    unset(CMAKE_REQUIRED_LIBRARIES)
    if(OL_LIBARCHIVE_A_LINKS)
        set_target_properties(PkgConfig::LIBARCHIVE PROPERTIES
            INTERFACE_LINK_LIBRARIES "${OL_LIBARCHIVE_LINK}")
    endif()
endif()
# For the suites, and for overlab-test, which is not built without it.
if(OL_TESTS)
    pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka>=1.1.5)
else()
    pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka>=1.1.5)
endif()

include(CheckSymbolExists)
set(CMAKE_REQUIRED_DEFINITIONS -D_GNU_SOURCE)
check_symbol_exists(SYS_openat2 "sys/syscall.h" OL_HAVE_SYS_OPENAT2)
check_symbol_exists(SYS_fsopen "sys/syscall.h" OL_HAVE_SYS_FSOPEN)
check_symbol_exists(mount_setattr "sys/mount.h" OL_HAVE_MOUNT_SETATTR)
unset(CMAKE_REQUIRED_DEFINITIONS)
