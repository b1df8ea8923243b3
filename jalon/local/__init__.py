"""Everything on one machine: the folder it lives in, the processes it consists of, and who looks after them."""
