"""Every call that leaves the process, each behind a small Protocol, with timeouts and bounds."""
