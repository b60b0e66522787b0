"""A database that went back to an older state is noticed, and held until it is looked over."""
