# As CloudNativePG's own image lays it out: the manager, and a copy for the database pods to fetch.
FROM scratch
COPY program /manager
COPY program /operator/manager_amd64
USER 65532:65532
ENTRYPOINT ["/manager"]
