# Runs in the new tree, by chroot: what makes it a guest of the lab.
here=/root/lab

echo lab >/etc/hostname
printf '127.0.0.1 localhost lab\n' >/etc/hosts
: >/etc/fstab
rm -f /etc/resolv.conf
echo 'nameserver 10.0.2.3' >/etc/resolv.conf
printf '[Match]\nName=e*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n' >/etc/systemd/network/10-lab.network

# alice: a user manager at all times, a range of ids. bob: neither.
mkdir -p /root/.ssh
install -m 600 $here/id.pub /root/.ssh/authorized_keys
for user in alice bob; do
    useradd -m -s /bin/bash $user
    chmod 711 /home/$user
    install -d -o $user -g $user -m 700 /home/$user/.ssh
    install -o $user -g $user -m 600 $here/id.pub /home/$user/.ssh/authorized_keys
done
echo alice:100000:65536 >/etc/subuid
echo alice:100000:65536 >/etc/subgid
if [ -n "$DELEGATE" ]; then
    mkdir -p "/etc/systemd/system/user@$(id -u alice).service.d"
    printf '[Service]\nDelegate=%s\n' "$DELEGATE" >"/etc/systemd/system/user@$(id -u alice).service.d/delegate.conf"
fi
mkdir -p /var/lib/systemd/linger
touch /var/lib/systemd/linger/alice
# For the tests' fixture as_root; a sandbox has no_new_privs and gains nothing by it.
echo 'alice ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/lab
chmod 440 /etc/sudoers.d/lab

systemctl enable systemd-networkd ssh >/dev/null 2>&1
# Its start takes nsdelegate off /sys/fs/cgroup: tests start it when they mean it.
systemctl disable lxcfs >/dev/null 2>&1
systemctl mask e2scrub_reap.service e2scrub_all.timer apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    systemd-timesyncd.service getty@tty1.service getty.target systemd-networkd-wait-online.service fstrim.timer \
    systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-pstore.service \
    systemd-remount-fs.service systemd-random-seed.service serial-getty@ttyS0.service podman-auto-update.timer \
    systemd-tmpfiles-clean.timer >/dev/null 2>&1
printf 'UseDNS no\nGSSAPIAuthentication no\nPasswordAuthentication no\nPrintMotd no\nMaxStartups 50:30:100\n' \
    >/etc/ssh/sshd_config.d/lab.conf
sed -i '/pam_motd\|pam_mail/d' /etc/pam.d/sshd
mkdir -p /etc/systemd/journald.conf.d
printf '[Journal]\nStorage=volatile\n' >/etc/systemd/journald.conf.d/lab.conf

# All clones of one state would draw the same random numbers.
cat >/usr/local/sbin/lab-reseed <<'END'
#!/usr/bin/python3 -IS
import fcntl, sys
RNDRESEEDCRNG = 0x5207
with open("/dev/urandom", "wb") as random:
    random.write(sys.stdin.buffer.read())
    random.flush()
    fcntl.ioctl(random, RNDRESEEDCRNG)
END
chmod 755 /usr/local/sbin/lab-reseed

cat >/etc/systemd/system/lab-swap.service <<'END'
[Unit]
Description=256 MiB of zram swap, for memory.swap.max
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'modprobe zram && echo 256M >/sys/block/zram0/disksize && mkswap -q /dev/zram0 && swapon /dev/zram0'
[Install]
WantedBy=multi-user.target
END
systemctl enable lab-swap >/dev/null 2>&1

apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
