"""What the make parts of the computed tables call: one function per long computation.

Each takes plain values from the database, works with store, readers and an engine, and returns
plain values to insert. No database is touched here.
"""
