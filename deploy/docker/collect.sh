#!/bin/sh
# Makes the root directory of an image that holds one program and what it needs to run; run inside Debian.
#
# usage: collect.sh PROGRAM ROOT
#
# What dpkg knows of each package that a file was taken from goes to var/lib/dpkg/status.d, where scanners of images
# look, and its licence to usr/share/doc.
set -eu

program=$1
root=$2

mkdir -p "$root/usr/bin" "$root/usr/lib" "$root/usr/lib64" "$root/etc/ssl/certs" "$root/var/lib/dpkg/status.d" "$root/tmp"
ln -s usr/bin "$root/bin"
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"
chmod 1777 "$root/tmp"
cp "$program" "$root/usr/bin/"
echo "coder:x:65532:65532::/tmp:/sbin/nologin" >"$root/etc/passwd"
echo "coder:x:65532:" >"$root/etc/group"
echo "hosts: files dns" >"$root/etc/nsswitch.conf"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cp -a /usr/share/zoneinfo --parents "$root"

libraries=$(ldd "$program" | awk '/not found/ {print "missing: " $1 > "/dev/stderr"; failed = 1}
  $3 ~ "^/" {print $3} $1 ~ "^/" {print $1} END {exit failed}')
packages="base-files
ca-certificates
tzdata"
for library in $libraries; do
  folder=$(realpath "$(dirname "$library")")
  mkdir -p "$root$folder"
  cp -L "$library" "$root$folder/"
  package=$(dpkg-query -S "$(realpath "$library")" 2>/dev/null || dpkg-query -S "$library" 2>/dev/null ||
    dpkg-query -S "$(realpath "$library" | sed 's,^/usr,,')")
  packages="$packages
${package%%:*}"
done
cp /etc/os-release /etc/debian_version "$root/etc/"

for package in $(printf '%s\n' "$packages" | sort -u); do
  dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$package"
  [ ! -e "/usr/share/doc/$package/copyright" ] ||
    install -D -m 644 "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
done
