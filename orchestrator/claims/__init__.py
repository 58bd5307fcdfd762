"""Claims: their grammar, the functions they may name, their algebra, and whether a scenario can make them."""
