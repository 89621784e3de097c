"""The front end: fetch, decode, dispatch, and the token queues between the modules."""
