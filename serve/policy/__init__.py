"""What must not be worked on: block lists of terms, brands and photos, as data, per tenant. Pure."""
