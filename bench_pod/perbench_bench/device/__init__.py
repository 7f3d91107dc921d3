"""Memory of a server's accelerators: what its runtime says, what follows from its model's layout, what is refused."""
