# nginx that routes <tenant>.localhost to the tenant's web.
ARG BASE
FROM ${BASE}
COPY gateway.conf /etc/nginx/nginx.conf
COPY unavailable.html /usr/share/guestpost/unavailable.html
USER 65532:65532
ENTRYPOINT ["nginx", "-g", "daemon off;"]
