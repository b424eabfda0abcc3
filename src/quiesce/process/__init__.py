"""Child processes: started by `spawn`, held by `transport`, ended by `reap`."""
