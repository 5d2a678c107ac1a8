"""What explanations cost: phases, limits of the machine, quality against price, grids of conditions."""
