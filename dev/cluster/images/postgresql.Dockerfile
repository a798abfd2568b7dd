# PostgreSQL as CloudNativePG wants it: user 26, programs on the PATH.
ARG BASE
FROM ${BASE}
ENV LANG=C.UTF-8 PATH=/usr/lib/postgresql/17/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
USER 26
