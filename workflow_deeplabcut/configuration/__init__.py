"""Which database and which directories this workflow uses, and how a user says so.

In the order in which one overrides the other, as DataJoint users know it:

1. what a program sets in ``dj.config`` before it imports the pipeline;
2. the environment: ``DJ_HOST``, ``DJ_PORT``, ``DJ_USER``, ``DJ_PASS``, ``DJ_USE_TLS``,
   ``DATABASE_PREFIX``, ``DLC_ROOT_DATA_DIR``, ``DLC_PROCESSED_DATA_DIR``;
3. ``dj_local_conf.json`` in the working directory or, only where there is none,
   ``~/.datajoint_config.json``; both are never mixed;
4. defaults.

``workflow-deeplabcut configure`` writes such a file. ``workflow-deeplabcut db start`` writes the
login of the embedded database into it, so that this is a configuration like any other: without
one, nothing connects anywhere.
"""
