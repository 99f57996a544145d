#!/bin/sh
# build.sh OUT SUITE PACKAGES DELEGATE [MIRROR]: makes in OUT, from a Debian archive:
#   root.img (ext4), vmlinuz, initrd, id and id.pub (ssh key), known_hosts
# Runs as root in a mount and pid namespace, or as root of a user namespace that has a range of ids.
set -eu
out=$1 suite=$2 packages=$3 delegate=$4 mirror=${5:-}
recipe=$(cd "$(dirname "$0")" && pwd)
root=$out/rootfs
umask 022

ssh-keygen -q -t ed25519 -N '' -C lab -f "$out/id"

# /sys: nothing asks for it, and a user namespace may not mount it without a network of its own.
# update-initramfs: our initrd is a busybox and six modules, theirs takes half a minute under emulation.
mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" --skip=chroot/mount/sys \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt=force-confold --dpkgopt=force-unsafe-io --aptopt='APT::Install-Recommends "false"' \
    --essential-hook='mkdir -p "$1/etc/initramfs-tools"
        echo update_initramfs=no >"$1/etc/initramfs-tools/update-initramfs.conf"' \
    "$suite" "$root" ${mirror:+"$mirror"}

mkdir -m 700 "$root/root/lab"
cp "$recipe/settings.sh" "$out/id.pub" "$root/root/lab/"
DELEGATE=$delegate chroot "$root" /bin/sh -eu /root/lab/settings.sh
rm -rf "$root/root/lab"
# All clones have the host key of the image, so it can be known.
printf 'lab %s\n' "$(cut -d ' ' -f 1,2 "$root/etc/ssh/ssh_host_ed25519_key.pub")" >"$out/known_hosts"

cp "$root"/boot/vmlinuz-* "$out/vmlinuz"
# The kernel has ext4 and NVMe built in, but a machine with NVMe cannot be saved to a file: virtio has to be loaded.
mkdir -p "$out/ird/bin" "$out/ird/dev" "$out/ird/root" "$out/ird/modules"
cp /bin/busybox "$out/ird/bin/busybox"
cp "$recipe/init" "$out/ird/init"
chmod 755 "$out/ird/init"
for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk; do
    file=$(find "$root"/lib/modules/ -name "$module.ko*" | head -n 1)
    case $file in
    '') ;; # built in
    *.xz) busybox xzcat "$file" >"$out/ird/modules/$module.ko" ;;
    *) cp "$file" "$out/ird/modules/" ;;
    esac
done
(cd "$out/ird" && find . | busybox cpio -o -H newc 2>/dev/null) | gzip -9 >"$out/initrd"
rm -rf "$out/ird" "$root"/boot/initrd* "$root"/boot/vmlinuz-*

truncate -s 4G "$out/root.img"
# No journal: an image is never mounted again after a crash.
PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -O ^has_journal,^metadata_csum -E lazy_itable_init=1,nodiscard -m 0 \
    -d "$root" "$out/root.img"
rm -rf "$root"
