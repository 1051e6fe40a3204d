"""The pocket model: tokenizer, architecture, schedule and sampling, in the classes of diffusers and transformers."""
