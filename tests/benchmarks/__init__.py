"""Hot paths against bare ones, in the same minute (`make bench`)."""
