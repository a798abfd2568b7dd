# nginx that routes <tenant>.localhost to the tenant's web.
ARG BASE
FROM ${BASE}
COPY gateway.conf /etc/nginx/nginx.conf
COPY unavailable.html /usr/share/guestpost/unavailable.html
USER 65532:65532
ENTRYPOINT ["/bin/sh", "-euc", "sed -n 's/^nameserver \\([0-9.]*\\)$/resolver \\1 valid=5s ipv6=off;/p' /etc/resolv.conf | head -n 1 > /tmp/resolver.conf; exec nginx -g 'daemon off;'"]
