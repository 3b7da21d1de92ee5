"""What serving and training share: canonical form, classifier, registry, manifest, tokens, errors."""
