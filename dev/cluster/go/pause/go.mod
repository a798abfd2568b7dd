module guestpost.local/dev/pause

go 1.26.0
