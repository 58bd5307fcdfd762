"""Two runs beside each other: where and how they were measured first, then what came out.

Works from the folders of the runs alone, like everything in `report`.
"""
