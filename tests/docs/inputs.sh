# shellcheck shell=bash
# What the examples of man pages and notes name, made in a directory of their own. Sourced, with PROGRAM set;
# sets WORK (removed at exit) and leaves us in WORK/here, which has base.tar and top.tar (layers), rootfs (a
# directory) and debian.tar (an archive of debian:12, two layers). "overlab" works on the data root $ROOT.

# shellcheck source=tests/support/verdict.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../support/verdict.sh"

# Mounts of ours end with us.
if [ "$(id -u)" -eq 0 ] && [ -z "${OL_EXAMPLES_INSIDE-}" ] && unshare --mount true 2>/dev/null; then
    OL_EXAMPLES_INSIDE=1 exec unshare --mount "$0" "$@"
fi

PROGRAM=$(readlink -f "$PROGRAM")
WORK=$(mktemp -d) || exit 1
trap 'rm -rf "$WORK"' EXIT
export ROOT=$WORK/data
mkdir "$WORK/bin" "$WORK/here"
printf '#!/bin/sh\nexec "%s" --root "%s" "$@"\n' "$PROGRAM" "$ROOT" >"$WORK/bin/overlab"
chmod +x "$WORK/bin/overlab"
export PATH=$WORK/bin:$PATH LC_ALL=C.UTF-8

can_mount() {
    [ -n "${OL_EXAMPLES_INSIDE-}" ]
}

# A new file, written straight into the upper directory: that needs no mount.
change_container() {
    local layer
    layer=$(cat "$WORK/make/image/overlay2/layerdb/mounts/$1/mount-id") &&
        echo new >"$WORK/make/overlay2/$layer/diff/new"
}

make_inputs() {
    local i
    mkdir -p rootfs/etc rootfs/bin rootfs/dev top/etc && echo one >rootfs/etc/one && echo two >rootfs/etc/two &&
        for i in $(seq 150); do echo "$i" >"rootfs/bin/program-$i" || return 1; done &&
        ln -s one rootfs/etc/link && echo new >top/etc/new && : >top/etc/.wh.two &&
        tar --mtime=@0 --sort=name -C rootfs --owner=0 --group=0 -cf base.tar . &&
        tar --mtime=@0 --sort=name -C top --owner=0 --group=0 -cf top.tar etc &&
        overlab --root "$WORK/make" image import --tag debian:11 rootfs >/dev/null &&
        change_container "$(overlab --root "$WORK/make" container create --name made debian:11)" &&
        overlab --root "$WORK/make" commit made debian:12 >/dev/null &&
        overlab --root "$WORK/make" image export -o debian.tar debian:12 &&
        rm -rf top "$WORK/make"
}

if ! { cd "$WORK/here" && make_inputs; }; then
    failed "${0##*/}" "cannot make the inputs"
    exit 1
fi
