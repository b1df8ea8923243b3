"""How a service speaks HTTP: a server that slow clients cannot hold up, and as many processes of it as asked for."""
