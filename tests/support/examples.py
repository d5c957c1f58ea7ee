"""Example messages: what a platform sends, what Vitrine answers."""

from typing import Any

LISTING_EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "evt-1",
    "source": "//shop.example/listings",
    "type": "org.vitrine.catalog.listing.created.v1",
    "subject": "sku-1",
    "time": "2026-11-20T12:00:00Z",
    "datacontenttype": "application/json",
    "partitionkey": "shop:sku-1",
    "data": {
        "tenant_id": "shop",
        "listing_id": "sku-1",
        "revision": 3,
        "title": "Linen shirt",
        "category": {"id": "shirt", "path": "Clothes > Shirts"},
        "images": [{"url": "https://shop.example/1.jpg", "role": "main", "position": 0, "shot_by": "seller"}],
        "warehouse": {"aisle": 7},
    },
}

RESULT: dict[str, Any] = {
    "event_id": "evt-1",
    "event_source": "//shop.example/listings",
    "position": {"topic": "listings.new", "partition": 0, "offset": 12},
    "tenant_id": "shop",
    "listing_id": "sku-1",
    "revision": 3,
    "outcome": "enriched",
    "recipe": "studio",
    "recipe_version": 1,
    "outputs": [
        {
            "image_id": "0-white",
            "source_image_id": "0",
            "source_sha256": "a" * 64,
            "variant": "white",
            "operations": ["studio"],
            "s3_uri": "s3://vitrine/shop/" + "b" * 64 + ".jpg",
            "key": "shop/" + "b" * 64 + ".jpg",
            "sha256": "c" * 64,
            "phash": "d" * 16,
            "width": 1000,
            "height": 1000,
            "format": "jpeg",
            "content_type": "image/jpeg",
            "bytes": 84_211,
            "models": [{"name": "grabcut", "version": "1"}],
            "seed": 7,
            "digital_source_type": "algorithmicallyEnhanced",
            "quality": {
                "verdict": "publish",
                "score": 1.0,
                "rules": [{"rule": "fill", "passed": True, "measured": 0.88, "required": ">= 0.85"}],
            },
        }
    ],
    "timings_ms": {"fetch": 3.0},
    "finished_at": "2026-11-20T12:00:02Z",
    "vitrine_version": "0.1.0",
}
