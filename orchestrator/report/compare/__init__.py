"""Two runs beside each other, from their folders alone: where and how they were measured, then what came out."""
