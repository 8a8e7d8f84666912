/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shape of the built-in image. The base is like a minimal Debian 12: about 6,800 entries, a
 * ninth of them directories, a tenth symlinks, most files small, a few libraries large. The second
 * layer is a package installation with its clean-up, the third an application. Only entries are
 * used that every view can make: one owner, no devices, no file capabilities.
 */
#include "bench/workloads/builtin.h"

#include "common/cleanup.h"

#define ARCH "x86_64-linux-gnu"

static const char *const packages[] = {
    "adduser",       "apt",           "base-files",     "base-passwd",   "bash",
    "bsdutils",      "coreutils",     "dash",           "debconf",       "debianutils",
    "diffutils",     "dpkg",          "e2fsprogs",      "findutils",     "gcc-12-base",
    "gpgv",          "grep",          "gzip",           "hostname",      "libacl1",
    "libapt-pkg6.0", "libattr1",      "libaudit1",      "libblkid1",     "libbz2-1.0",
    "libc-bin",      "libc6",         "libcap-ng0",     "libcap2",       "libcom-err2",
    "libcrypt1",     "libdb5.3",      "libext2fs2",     "libffi8",       "libgcc-s1",
    "libgcrypt20",   "libgmp10",      "libgnutls30",    "libgpg-error0", "libhogweed6",
    "libidn2-0",     "liblz4-1",      "liblzma5",       "libmd0",        "libmount1",
    "libnettle8",    "libp11-kit0",   "libpam-modules", "libpam0g",      "libpcre2-8-0",
    "libseccomp2",   "libselinux1",   "libsemanage2",   "libsepol2",     "libsmartcols1",
    "libss2",        "libstdc++6",    "libsystemd0",    "libtasn1-6",    "libtinfo6",
    "libudev1",      "libunistring2", "libuuid1",       "libxxhash0",    "libzstd1",
    "login",         "logsave",       "mawk",           "mount",         "ncurses-base",
    "ncurses-bin",   "passwd",        "perl-base",      "sed",           "sysvinit-utils",
    "tar",           "tzdata",        "usr-is-merged",  "util-linux",    "zlib1g",
};

static const char *const translated[] = {"adduser", "apt",  "bash", "coreutils", "debconf",
                                         "dpkg",    "grep", "sed",  "tar",       "util-linux"};

static const char *const languages[] = {
    "ar", "ast", "be", "bg", "bn", "bs", "ca", "cs", "cy", "da", "de", "dz",   "el",
    "eo", "es",  "et", "eu", "fa", "fi", "fr", "ga", "gl", "gu", "he", "hi",   "hr",
    "hu", "hy",  "id", "it", "ja", "ka", "km", "ko", "ku", "lt", "lv", "mk",   "ml",
    "mr", "ms",  "nb", "ne", "nl", "nn", "pa", "pl", "pt", "ro", "ru", "si",   "sk",
    "sl", "sq",  "sr", "sv", "ta", "te", "th", "tl", "tr", "uk", "vi", "zh_CN"};

static const char *const tools[] = {
    "arch",    "awk",     "base64",  "basename", "bash",     "cat",     "chage",     "chfn",
    "chgrp",   "chmod",   "chown",   "chsh",     "cksum",    "clear",   "cmp",       "comm",
    "cp",      "csplit",  "cut",     "dash",     "date",     "dd",      "df",        "diff",
    "dir",     "dmesg",   "dpkg",    "du",       "echo",     "egrep",   "env",       "expand",
    "expiry",  "expr",    "factor",  "faillog",  "false",    "fgrep",   "find",      "findmnt",
    "flock",   "fmt",     "fold",    "free",     "getconf",  "getent",  "getopt",    "gpasswd",
    "grep",    "groups",  "gunzip",  "gzip",     "head",     "hostid",  "iconv",     "id",
    "infocmp", "install", "ionice",  "ipcmk",    "ipcrm",    "ipcs",    "join",      "kill",
    "last",    "ldd",     "link",    "ln",       "locale",   "logger",  "login",     "logname",
    "ls",      "lsblk",   "lscpu",   "lsipc",    "lslocks",  "lsmem",   "lsns",      "mawk",
    "mcookie", "md5sum",  "mesg",    "mkdir",    "mkfifo",   "mknod",   "mktemp",    "more",
    "mount",   "mv",      "namei",   "newgrp",   "nice",     "nl",      "nohup",     "nproc",
    "nsenter", "numfmt",  "od",      "partx",    "passwd",   "paste",   "perl",      "pinky",
    "pldd",    "pr",      "prlimit", "printf",   "ptx",      "pwd",     "readlink",  "realpath",
    "rename",  "renice",  "reset",   "rev",      "rm",       "rmdir",   "run-parts", "script",
    "sdiff",   "sed",     "seq",     "setarch",  "setsid",   "sha1sum", "sha256sum", "shred",
    "shuf",    "sleep",   "sort",    "split",    "stat",     "stdbuf",  "stty",      "su",
    "sum",     "sync",    "tabs",    "tac",      "tail",     "tar",     "taskset",   "tee",
    "test",    "tic",     "timeout", "touch",    "tput",     "tr",      "true",      "truncate",
    "tsort",   "tty",     "umount",  "uname",    "unexpand", "uniq",    "unlink",    "unshare",
    "users",   "vdir",    "wall",    "wc",       "wdctl",    "whereis", "which",     "who",
    "whoami",  "xargs",   "yes",     "zcat",     "zcmp",     "zdiff",   "zdump",     "zgrep",
    "zless",   "zmore",   "znew"};

static const char *const admin_tools[] = {
    "addgroup", "adduser",    "agetty",     "badblocks", "blkdiscard",  "blkid",     "blockdev",
    "chcpu",    "chgpasswd",  "chmem",      "chpasswd",  "chroot",      "cpgr",      "ctrlaltdel",
    "debugfs",  "delgroup",   "deluser",    "dumpe2fs",  "e2fsck",      "e2image",   "e2label",
    "fdformat", "findfs",     "fsck",       "fsfreeze",  "fstrim",      "getty",     "groupadd",
    "groupdel", "groupmod",   "grpck",      "hwclock",   "iconvconfig", "isosize",   "ldattach",
    "ldconfig", "logsave",    "losetup",    "mke2fs",    "mkfs",        "mkswap",    "newusers",
    "nologin",  "pam_getenv", "pivot_root", "pwck",      "readprofile", "resize2fs", "rtcwake",
    "runuser",  "swaplabel",  "swapoff",    "swapon",    "switch_root", "tune2fs",   "useradd",
    "userdel",  "usermod",    "vipw",       "wipefs",    "zic",         "zramctl"};

static void top_level(struct ol_builtin_list *l)
{
    static const char *const dirs[] = {"boot", "dev/pts", "dev/shm",  "home", "media", "mnt",
                                       "opt",  "proc",    "run/lock", "srv",  "sys"};
    static const char *const merged[] = {"bin", "lib", "lib64", "sbin"};

    for (size_t i = 0; i < OL_ARRAY_LEN(dirs); i++)
        ol_builtin_dir(l, 0755, "%s", dirs[i]);
    ol_builtin_dir(l, 0700, "root");
    ol_builtin_dir(l, 01777, "tmp");
    ol_builtin_dir(l, 01777, "var/tmp");
    for (size_t i = 0; i < OL_ARRAY_LEN(merged); i++) {
        char target[16];
        (void)snprintf(target, sizeof target, "usr/%s", merged[i]);
        ol_builtin_link(l, '2', target, "%s", merged[i]);
        ol_builtin_dir(l, 0755, "usr/%s", merged[i]);
    }
    ol_builtin_file(l, 0644, 512, "root/.bashrc");
    ol_builtin_file(l, 0644, 128, "root/.profile");
}

static void etc_tree(struct ol_builtin_list *l)
{
    static const char *const files[] = {
        "passwd",         "group",       "hostname",     "hosts",         "resolv.conf",
        "fstab",          "issue",       "issue.net",    "bash.bashrc",   "profile",
        "debian_version", "host.conf",   "ld.so.conf",   "libaudit.conf", "login.defs",
        "nsswitch.conf",  "pam.conf",    "shells",       "subuid",        "subgid",
        "environment",    "gai.conf",    "e2scrub.conf", "mke2fs.conf",   "xattr.conf",
        "deluser.conf",   "adduser.conf"};
    static const char *const dirs[] = {"apt/apt.conf.d",
                                       "apt/preferences.d",
                                       "apt/sources.list.d",
                                       "apt/trusted.gpg.d",
                                       "cron.daily",
                                       "default",
                                       "dpkg/dpkg.cfg.d",
                                       "ld.so.conf.d",
                                       "logrotate.d",
                                       "pam.d",
                                       "profile.d",
                                       "security",
                                       "selinux",
                                       "skel",
                                       "systemd/system",
                                       "terminfo",
                                       "update-motd.d",
                                       "init.d",
                                       "kernel/postinst.d",
                                       "opt",
                                       "gss/mech.d"};
    char word[16];

    for (size_t i = 0; i < OL_ARRAY_LEN(files); i++)
        ol_builtin_file(l, 0644, 512, "etc/%s", files[i]);
    ol_builtin_file(l, 0640, 512, "etc/shadow");
    ol_builtin_file(l, 0640, 512, "etc/gshadow");
    ol_builtin_file(l, 0600, 16, "etc/.pwd.lock");
    ol_builtin_file(l, 0644, 8192, "etc/ld.so.cache");
    ol_builtin_link(l, '2', "/proc/mounts", "etc/mtab");
    ol_builtin_link(l, '2', "../usr/lib/os-release", "etc/os-release");
    ol_builtin_link(l, '2', "/usr/share/zoneinfo/Etc/UTC", "etc/localtime");
    ol_builtin_file(l, 0644, 256, "usr/lib/os-release");
    for (size_t i = 0; i < OL_ARRAY_LEN(dirs); i++) {
        ol_builtin_dir(l, 0755, "etc/%s", dirs[i]);
        for (unsigned n = 2 + ol_builtin_pick(l, 9); n > 0; n--)
            ol_builtin_file(l, i == 17 ? 0755 : 0644, 512, "etc/%s/%s", dirs[i],
                            ol_builtin_word(l, false, word));
    }
    for (unsigned run = 0; run < 7; run++) {
        for (unsigned n = 0; n < 6; n++)
            ol_builtin_link(l, '2', "../init.d/hwclock.sh", "etc/rc%u.d/%c%02uservice%u", run,
                            run == 0 || run == 6 ? 'K' : 'S', n + 1, n);
    }
    for (size_t i = 0; i < 45; i++) {
        char target[64];
        const char *tool = tools[(i * 7) % OL_ARRAY_LEN(tools)];
        (void)snprintf(target, sizeof target, "/usr/bin/%s", tool);
        ol_builtin_link(l, '2', target, "etc/alternatives/%s.alt", tool);
    }
}

static void programs(struct ol_builtin_list *l)
{
    static const char *const privileged[] = {"su", "mount", "umount", "passwd", "chsh", "newgrp"};

    for (size_t i = 0; i < OL_ARRAY_LEN(privileged); i++)
        ol_builtin_file(l, 04755, 32768, "usr/bin/%s", privileged[i]); /* before the plain ones */
    ol_builtin_file(l, 02755, 32768, "usr/bin/chage");
    ol_builtin_file(l, 0755, 1048576, "usr/bin/perl");
    for (size_t i = 0; i < OL_ARRAY_LEN(tools); i++) {
        if (ol_builtin_chance(l, 8))
            ol_builtin_link(l, '2', "coreutils-multi", "usr/bin/%s", tools[i]);
        else
            ol_builtin_file(l, 0755, 24576, "usr/bin/%s", tools[i]);
    }
    ol_builtin_file(l, 0755, 131072, "usr/bin/coreutils-multi");
    ol_builtin_link(l, '1', "usr/bin/perl", "usr/bin/perl5.36.0");
    for (size_t i = 0; i < OL_ARRAY_LEN(admin_tools); i++)
        ol_builtin_file(l, 0755, 24576, "usr/sbin/%s", admin_tools[i]);
    ol_builtin_file(l, 0755, 65536, "usr/sbin/fsck.ext2");
    ol_builtin_link(l, '1', "usr/sbin/fsck.ext2", "usr/sbin/fsck.ext3");
    ol_builtin_link(l, '1', "usr/sbin/fsck.ext2", "usr/sbin/fsck.ext4");
    ol_builtin_file(l, 0755, 65536, "usr/sbin/mkfs.ext2");
    ol_builtin_link(l, '1', "usr/sbin/mkfs.ext2", "usr/sbin/mkfs.ext3");
    ol_builtin_link(l, '1', "usr/sbin/mkfs.ext2", "usr/sbin/mkfs.ext4");
}

static void one_library(struct ol_builtin_list *l, const char *package)
{
    unsigned major = ol_builtin_pick(l, 9);
    unsigned minor = ol_builtin_pick(l, 30);
    char target[64];

    ol_builtin_file(l, 0644, 49152, "usr/lib/" ARCH "/%s.so.%u.%u.0", package, major, minor);
    (void)snprintf(target, sizeof target, "%s.so.%u.%u.0", package, major, minor);
    ol_builtin_link(l, '2', target, "usr/lib/" ARCH "/%s.so.%u", package, major);
}

/* What dpkg keeps and installs for every package. */
static void one_package(struct ol_builtin_list *l, const char *package)
{
    static const char *const scripts[] = {"postinst", "postrm", "preinst", "prerm"};
    static const char *const data[] = {"shlibs", "symbols", "triggers", "conffiles", "templates"};
    char word[16];

    ol_builtin_file(l, 0644, 2048, "var/lib/dpkg/info/%s.list", package);
    ol_builtin_file(l, 0644, 2048, "var/lib/dpkg/info/%s.md5sums", package);
    for (size_t i = 0; i < OL_ARRAY_LEN(scripts); i++) {
        if (ol_builtin_chance(l, 40))
            ol_builtin_file(l, 0755, 1024, "var/lib/dpkg/info/%s.%s", package, scripts[i]);
    }
    for (size_t i = 0; i < OL_ARRAY_LEN(data); i++) {
        if (ol_builtin_chance(l, 30))
            ol_builtin_file(l, 0644, 512, "var/lib/dpkg/info/%s.%s", package, data[i]);
    }
    ol_builtin_file(l, 0644, 3072, "usr/share/doc/%s/copyright", package);
    ol_builtin_file(l, 0644, 4096, "usr/share/doc/%s/changelog.Debian.gz", package);
    if (ol_builtin_chance(l, 40))
        ol_builtin_file(l, 0644, 2048, "usr/share/doc/%s/README.Debian", package);
    for (unsigned n = ol_builtin_chance(l, 25) ? 3 : 0; n > 0; n--)
        ol_builtin_file(l, 0644, 1024, "usr/share/doc/%s/examples/%s.conf", package,
                        ol_builtin_word(l, false, word));
    if (ol_builtin_chance(l, 50))
        ol_builtin_file(l, 0644, 128, "usr/share/lintian/overrides/%s", package);
    if (ol_builtin_chance(l, 45)) {
        for (unsigned n = 1 + ol_builtin_pick(l, 9); n > 0; n--)
            ol_builtin_file(l, 0644, 1024, "usr/share/%s/%s.txt", package,
                            ol_builtin_word(l, false, word));
    }
    if (strncmp(package, "lib", 3) == 0)
        one_library(l, package);
}

static void translations(struct ol_builtin_list *l)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(languages); i++) {
        for (size_t p = 0; p < OL_ARRAY_LEN(translated); p++) {
            if (p == 0 || ol_builtin_chance(l, 78))
                ol_builtin_file(l, 0644, 8192, "usr/share/locale/%s/LC_MESSAGES/%s.mo",
                                languages[i], translated[p]);
        }
    }
}

static void manuals(struct ol_builtin_list *l)
{
    char word[16];

    for (size_t i = 0; i < OL_ARRAY_LEN(tools); i++)
        ol_builtin_file(l, 0644, 1536, "usr/share/man/man1/%s.1.gz", tools[i]);
    for (size_t i = 0; i < OL_ARRAY_LEN(admin_tools); i++)
        ol_builtin_file(l, 0644, 1536, "usr/share/man/man8/%s.8.gz", admin_tools[i]);
    for (unsigned i = 0; i < 80; i++)
        ol_builtin_file(l, 0644, 1536, "usr/share/man/man5/%s.5.gz",
                        ol_builtin_word(l, false, word));
    for (size_t i = 0; i < OL_ARRAY_LEN(languages); i++) {
        for (unsigned section = 1; section < 9; section += section == 1 ? 4 : 3) {
            for (unsigned n = ol_builtin_chance(l, 70) ? 1 + ol_builtin_pick(l, 7) : 0; n > 0; n--)
                ol_builtin_file(l, 0644, 1024, "usr/share/man/%s/man%u/%s.%u.gz", languages[i],
                                section, tools[ol_builtin_pick(l, OL_ARRAY_LEN(tools))], section);
        }
    }
}

static void time_zones(struct ol_builtin_list *l)
{
    static const struct {
        const char *name;
        unsigned cities;
    } regions[] = {{"Africa", 54},
                   {"America", 150},
                   {"Antarctica", 12},
                   {"Arctic", 1},
                   {"Asia", 90},
                   {"Atlantic", 12},
                   {"Australia", 22},
                   {"Europe", 62},
                   {"Indian", 11},
                   {"Pacific", 42},
                   {"America/Argentina", 12},
                   {"America/Indiana", 8},
                   {"Etc", 20},
                   {"US", 12},
                   {"Canada", 8},
                   {"Brazil", 4}};
    char city[16];
    char target[32];

    for (size_t i = 0; i < OL_ARRAY_LEN(regions); i++) {
        for (unsigned n = 0; n < regions[i].cities; n++) {
            (void)ol_builtin_word(l, true, city);
            ol_builtin_file(l, 0644, 768, "usr/share/zoneinfo/%s/%s", regions[i].name, city);
            if (!ol_builtin_chance(l, 62))
                continue;
            (void)snprintf(target, sizeof target, "%s", city);
            ol_builtin_link(l, '2', target, "usr/share/zoneinfo/%s/%s_Old", regions[i].name, city);
        }
    }
    ol_builtin_file(l, 0644, 128, "usr/share/zoneinfo/Etc/UTC");
    for (unsigned i = 0; i < 40; i++)
        ol_builtin_link(l, '2', "Etc/UTC", "usr/share/zoneinfo/Zone%02u", i);
}

/* count files in directories one or two deep below dir. */
static void modules(struct ol_builtin_list *l, const char *dir, const char *suffix, unsigned count,
                    uint64_t size_class)
{
    char names[24][16];
    char word[16];

    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++)
        (void)ol_builtin_word(l, true, names[i]);
    for (unsigned i = 0; i < count; i++) {
        const char *a = names[ol_builtin_pick(l, 12)];
        const char *b = names[12 + ol_builtin_pick(l, 12)];
        (void)ol_builtin_word(l, true, word);
        switch (ol_builtin_pick(l, 5)) {
        case 0:
            ol_builtin_file(l, 0644, size_class, "%s/%s%s", dir, word, suffix);
            break;
        case 1:
            ol_builtin_file(l, 0644, size_class, "%s/%s/%s/%s%s", dir, a, b, word, suffix);
            break;
        default:
            ol_builtin_file(l, 0644, size_class, "%s/%s/%s%s", dir, a, word, suffix);
            break;
        }
    }
}

/* count files with made-up names in one directory. */
static void flat(struct ol_builtin_list *l, const char *dir, const char *suffix, unsigned count,
                 uint64_t size_class)
{
    char word[16];

    for (unsigned i = 0; i < count; i++)
        ol_builtin_file(l, 0644, size_class, "%s/%s%u%s", dir, ol_builtin_word(l, false, word), i,
                        suffix);
}

static void services(struct ol_builtin_list *l)
{
    static const char *const targets[] = {"basic",     "graphical", "multi-user", "rescue",
                                          "sysinit",   "sockets",   "timers",     "local-fs",
                                          "remote-fs", "shutdown"};
    char word[16];
    char target[48];

    for (unsigned i = 0; i < 150; i++) {
        (void)ol_builtin_word(l, false, word);
        ol_builtin_file(l, 0644, 512, "usr/lib/systemd/system/%s%u.service", word, i);
        if (!ol_builtin_chance(l, 60))
            continue;
        (void)snprintf(target, sizeof target, "../%s%u.service", word, i);
        ol_builtin_link(l, '2', target, "usr/lib/systemd/system/%s.target.wants/%s%u.service",
                        targets[ol_builtin_pick(l, OL_ARRAY_LEN(targets))], word, i);
    }
}

static void variable_data(struct ol_builtin_list *l)
{
    static const char *const dirs[] = {"backups",
                                       "cache/apt/archives/partial",
                                       "cache/ldconfig",
                                       "lib/apt/lists",
                                       "lib/apt/mirrors/partial",
                                       "lib/misc",
                                       "lib/pam",
                                       "lib/systemd/deb-systemd-helper-enabled",
                                       "local",
                                       "log/apt",
                                       "mail",
                                       "opt",
                                       "spool/cron",
                                       "lib/dpkg/updates"};
    static const char *const files[] = {"cache/ldconfig/aux-cache",
                                        "lib/dpkg/available",
                                        "lib/dpkg/diversions",
                                        "lib/dpkg/lock",
                                        "lib/dpkg/statoverride",
                                        "log/alternatives.log",
                                        "log/dpkg.log",
                                        "log/apt/history.log",
                                        "log/apt/term.log",
                                        "log/lastlog"};

    for (size_t i = 0; i < OL_ARRAY_LEN(dirs); i++)
        ol_builtin_dir(l, 0755, "var/%s", dirs[i]);
    for (size_t i = 0; i < OL_ARRAY_LEN(files); i++)
        ol_builtin_file(l, 0644, 4096, "var/%s", files[i]);
    ol_builtin_file(l, 0644, 131072, "var/lib/dpkg/status");
    flat(l, "var/lib/apt/lists", "_Packages", 12, 32768);
    flat(l, "var/lib/dpkg/alternatives", "", 40, 256);
    ol_builtin_link(l, '2', "/run", "var/run");
    ol_builtin_link(l, '2', "/run/lock", "var/lock");
    ol_builtin_link(l, '2', "../mail", "var/spool/mail");
}

static void terminals(struct ol_builtin_list *l)
{
    static const char letters[] = "acdhlmprstvwx";
    char word[16];

    for (const char *c = letters; *c != '\0'; c++) {
        for (unsigned n = 2 + ol_builtin_pick(l, 4); n > 0; n--)
            ol_builtin_file(l, 0644, 1024, "usr/lib/terminfo/%c/%c%s", *c, *c,
                            ol_builtin_word(l, false, word));
    }
}

void ol_builtin_base(struct ol_builtin_list *list)
{
    top_level(list);
    etc_tree(list);
    programs(list);
    for (size_t i = 0; i < OL_ARRAY_LEN(packages); i++)
        one_package(list, packages[i]);
    translations(list);
    manuals(list);
    time_zones(list);
    modules(list, "usr/lib/" ARCH "/perl-base", ".pm", 330, 4096);
    modules(list, "usr/share/perl5/Debconf", ".pm", 170, 2048);
    modules(list, "usr/share/perl/5.36.0", ".pl", 280, 4096);
    flat(list, "usr/lib/" ARCH "/gconv", ".so", 255, 12288);
    flat(list, "usr/lib/" ARCH "/security", ".so", 56, 12288);
    flat(list, "usr/share/i18n/locales", "", 350, 8192);
    flat(list, "usr/share/i18n/charmaps", ".gz", 236, 6144);
    flat(list, "usr/share/bash-completion/completions", "", 140, 1024);
    flat(list, "usr/share/keyrings", ".gpg", 14, 4096);
    flat(list, "usr/share/common-licenses", "", 16, 8192);
    services(list);
    variable_data(list);
    terminals(list);
    ol_builtin_file(list, 0755, 1572864, "usr/lib/" ARCH "/libc.so.6");
    ol_builtin_file(list, 0755, 196608, "usr/lib/" ARCH "/ld-linux-x86-64.so.2");
    ol_builtin_link(list, '2', "/lib/" ARCH "/ld-linux-x86-64.so.2",
                    "usr/lib64/ld-linux-x86-64.so.2");
}

static bool is_below(const struct ol_builtin_item *item, const char *prefix)
{
    return item->type == '0' && strncmp(item->path, prefix, strlen(prefix)) == 0;
}

/* Some file of base below prefix; NULL when there is none. */
static const struct ol_builtin_item *
some_file(struct ol_builtin_list *list, const struct ol_builtin_list *base, const char *prefix)
{
    uint64_t count = 0;
    uint64_t rank;

    for (size_t i = 0; i < base->count; i++)
        count += is_below(&base->items[i], prefix) ? 1 : 0;
    if (count == 0)
        return NULL;
    rank = ol_random_below(&list->random, count);
    for (size_t i = 0;; i++) {
        if (is_below(&base->items[i], prefix) && rank-- == 0)
            return &base->items[i];
    }
}

static void modify_some(struct ol_builtin_list *list, const struct ol_builtin_list *base,
                        const char *prefix, unsigned count)
{
    for (; count > 0; count--) {
        const struct ol_builtin_item *item = some_file(list, base, prefix);
        if (item != NULL)
            ol_builtin_file(list, item->mode, 2048, "%s", item->path);
    }
}

static void delete_some(struct ol_builtin_list *list, const struct ol_builtin_list *base,
                        const char *prefix, unsigned count)
{
    for (; count > 0; count--) {
        const struct ol_builtin_item *item = some_file(list, base, prefix);
        if (item != NULL)
            ol_builtin_whiteout(list, item->path);
    }
}

static void package_state(struct ol_builtin_list *list)
{
    ol_builtin_file(list, 0644, 131072, "var/lib/dpkg/status");
    ol_builtin_file(list, 0644, 131072, "var/lib/dpkg/status-old");
    ol_builtin_file(list, 0644, 8192, "var/log/dpkg.log");
    ol_builtin_file(list, 0644, 4096, "var/log/apt/history.log");
    ol_builtin_file(list, 0644, 8192, "var/log/apt/term.log");
    ol_builtin_file(list, 0644, 8192, "var/cache/ldconfig/aux-cache");
    ol_builtin_file(list, 0644, 8192, "etc/ld.so.cache");
}

static void certificates(struct ol_builtin_list *list)
{
    char word[16];
    char target[96];

    for (unsigned i = 0; i < 130; i++) {
        (void)ol_builtin_word(list, true, word);
        ol_builtin_file(list, 0644, 1536, "usr/share/ca-certificates/mozilla/%s_Root_%u.crt", word,
                        i);
        (void)snprintf(target, sizeof target, "/usr/share/ca-certificates/mozilla/%s_Root_%u.crt",
                       word, i);
        ol_builtin_link(list, '2', target, "etc/ssl/certs/%s_Root_%u.pem", word, i);
    }
    ol_builtin_file(list, 0644, 196608, "etc/ssl/certs/ca-certificates.crt");
}

void ol_builtin_packages(struct ol_builtin_list *list, const struct ol_builtin_list *base)
{
    static const char *const added[] = {
        "ca-certificates", "curl",     "libbrotli1", "libcurl4",  "libldap-2.5-0", "libnghttp2-14",
        "libpsl5",         "librtmp1", "libsasl2-2", "libssh2-1", "libssl3",       "openssl"};

    for (size_t i = 0; i < OL_ARRAY_LEN(added); i++)
        one_package(list, added[i]);
    package_state(list);
    certificates(list);
    ol_builtin_file(list, 0755, 196608, "usr/bin/curl");
    ol_builtin_file(list, 0755, 393216, "usr/bin/openssl");
    flat(list, "usr/lib/" ARCH "/sasl2", ".so", 18, 16384);
    flat(list, "usr/lib/" ARCH "/ossl-modules", ".so", 3, 65536);
    /* the package lists were removed and fetched again within the same layer */
    ol_builtin_file(list, 0644, 0, "var/lib/apt/lists/.wh..wh..opq");
    flat(list, "var/lib/apt/lists", "_InRelease", 4, 16384);
    modify_some(list, base, "etc/", 8);
    modify_some(list, base, "usr/lib/", 4);
    delete_some(list, base, "usr/share/man/", 12);
    delete_some(list, base, "usr/share/doc/", 6);
}

void ol_builtin_application(struct ol_builtin_list *list, const struct ol_builtin_list *base)
{
    modules(list, "opt/application/lib", ".py", 150, 3072);
    modules(list, "opt/application/assets", ".json", 50, 6144);
    flat(list, "opt/application/bin", "", 6, 8192);
    flat(list, "etc/application/conf.d", ".conf", 8, 512);
    ol_builtin_link(list, '2', "/opt/application/bin", "usr/local/bin/application");
    ol_builtin_file(list, 0644, 2048, "etc/passwd");
    ol_builtin_file(list, 0644, 1024, "etc/group");
    ol_builtin_file(list, 0640, 1024, "etc/shadow");
    ol_builtin_dir(list, 0700, "var/lib/application");
    /* a directory becomes a symlink, an empty one goes */
    ol_builtin_link(list, '2', "/opt/application", "srv");
    ol_builtin_whiteout(list, "var/local");
    modify_some(list, base, "usr/share/perl5/", 6);
    delete_some(list, base, "usr/share/locale/", 20);
    delete_some(list, base, "usr/share/zoneinfo/Pacific/", 10);
}
