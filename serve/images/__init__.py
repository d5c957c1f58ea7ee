"""Pictures as files: decoding what strangers send, encoding what is published, what is written into it."""
