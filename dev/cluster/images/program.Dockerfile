# One static program and nothing else: pause, local-path-provisioner, pubsub-standin.
FROM scratch
COPY program /program
USER 65532:65532
ENTRYPOINT ["/program"]
