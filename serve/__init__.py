"""The serving room: pipeline, stages, storage, result index, ingress. Only `serve.app` knows Ray."""
