"""The documents as a site: `python -m docs.site` builds it, `python -m docs.site.reference` renews the reference."""
