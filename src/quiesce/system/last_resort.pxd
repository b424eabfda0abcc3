from quiesce.system cimport native
