# A Debian root file system as mmdebstrap made it.
FROM scratch
ADD rootfs.tar /
ENV LANG=C.UTF-8
