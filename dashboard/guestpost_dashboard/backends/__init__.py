"""Every call that leaves the process: the Kubernetes API and the issuer of identities."""
