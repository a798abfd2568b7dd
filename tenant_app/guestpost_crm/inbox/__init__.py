"""Mail as people see it: threads, messages, attachments."""
